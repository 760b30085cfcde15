//! An open file and what of it is not handed over yet.

use std::fs::Metadata;
use std::io::{self, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use memchr::memchr_iter;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use xxhash_rust::xxh3::xxh3_64;

use super::checkpoint::Mark;

const LINES_MAX: usize = 512;
const CHUNK_BYTES: usize = 64 << 10;
const HEAD_BYTES: usize = 256;
const SIBLINGS_MAX: usize = 4096;

/// The file, by its inode: its name may change while it is read.
#[derive(Debug)]
pub(super) struct Tail {
    file: File,
    device: u64,
    inode: u64,
    /// Where in the file `pending` begins.
    offset: u64,
    pending: Vec<u8>,
    /// The first bytes of the file, as far as they were handed over.
    head: Vec<u8>,
    /// The end of a line that is too long to be held is passed over.
    line: Long,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Long {
    No,
    Skipped,
}

impl Tail {
    /// The file of the mark, wherever it was renamed to in its directory; else the one at `path`,
    /// from its start.
    pub(super) async fn open(path: &Path, mark: Option<&Mark>) -> io::Result<Self> {
        if let Some(mark) = mark {
            for candidate in candidates(path, mark).await {
                if let Some(tail) = Self::resume(&candidate, mark).await? {
                    return Ok(tail);
                }
            }
        }
        Self::start(path).await
    }

    async fn start(path: &Path) -> io::Result<Self> {
        let file = File::open(path).await?;
        let found = file.metadata().await?;
        Ok(Self {
            file,
            device: found.dev(),
            inode: found.ino(),
            offset: 0,
            pending: Vec::new(),
            head: Vec::new(),
            line: Long::No,
        })
    }

    /// `None` when it is another file, or was cut since.
    async fn resume(path: &Path, mark: &Mark) -> io::Result<Option<Self>> {
        let mut tail = Self::start(path).await?;
        let found = tail.file.metadata().await?;
        let known = found.dev() == mark.device && found.ino() == mark.inode;
        if !known || found.len() < mark.offset || mark.head_bytes > HEAD_BYTES {
            return Ok(None);
        }
        tail.head.resize(mark.head_bytes, 0);
        tail.file.read_exact(&mut tail.head).await?;
        if xxh3_64(&tail.head) != mark.head_digest {
            return Ok(None);
        }
        tail.file.seek(SeekFrom::Start(mark.offset)).await?;
        tail.offset = mark.offset;
        Ok(Some(tail))
    }

    /// Reads on, as far as a batch and a line of the largest size need; answers how much.
    pub(super) async fn fill(&mut self, line_bytes_max: usize) -> io::Result<usize> {
        if self.pending.len() > line_bytes_max {
            return Ok(0);
        }
        self.pending.reserve(CHUNK_BYTES);
        let chunk = &mut (&mut self.file).take(CHUNK_BYTES as u64);
        let read = chunk.read_to_end(&mut self.pending).await?;
        if self.line == Long::Skipped {
            self.skip_line();
        }
        Ok(read)
    }

    /// The whole lines that are there, as many as a batch may have.
    pub(super) fn batch(&self) -> Bytes {
        let last = memchr_iter(b'\n', &self.pending).take(LINES_MAX).last();
        let end = last.map_or(0, |at| at + 1);
        Bytes::copy_from_slice(self.pending.get(..end).unwrap_or_default())
    }

    /// What is there, whole or not.
    pub(super) fn rest(&self) -> Bytes {
        Bytes::copy_from_slice(&self.pending)
    }

    /// The first `bytes` of what is there were handed over.
    pub(super) fn consume(&mut self, bytes: usize) {
        let missing = HEAD_BYTES.saturating_sub(self.head.len());
        let gone = self.pending.drain(..bytes.min(self.pending.len()));
        self.offset += gone.len() as u64;
        self.head.extend(gone.take(missing));
    }

    /// Whether a line was begun that is longer than it may be. It is let go of, to its end.
    pub(super) fn skip_long_line(&mut self, line_bytes_max: usize) -> bool {
        if self.pending.len() <= line_bytes_max {
            return false;
        }
        self.line = Long::Skipped;
        self.skip_line();
        true
    }

    fn skip_line(&mut self) {
        let end = memchr::memchr(b'\n', &self.pending);
        if end.is_some() {
            self.line = Long::No;
        }
        self.consume(end.map_or(self.pending.len(), |at| at + 1));
    }

    /// The file was cut: it begins anew.
    pub(super) async fn rewind(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0)).await?;
        self.offset = 0;
        self.pending.clear();
        self.head.clear();
        self.line = Long::No;
        Ok(())
    }

    pub(super) fn is(&self, found: &Metadata) -> bool {
        found.dev() == self.device && found.ino() == self.inode
    }

    /// How far the file was read.
    pub(super) fn end(&self) -> u64 {
        self.offset + self.pending.len() as u64
    }

    /// How far the file was handed over.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            device: self.device,
            inode: self.inode,
            offset: self.offset,
            head_bytes: self.head.len(),
            head_digest: xxh3_64(&self.head),
        }
    }
}

/// The files beside `path` that have the inode of the mark.
async fn candidates(path: &Path, mark: &Mark) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let dir = parent.unwrap_or(Path::new("."));
    let Ok(mut entries) = tokio::fs::read_dir(dir).await else { return found };
    for _ in 0..SIBLINGS_MAX {
        let Ok(Some(entry)) = entries.next_entry().await else { break };
        if entry.ino() == mark.inode {
            found.push(entry.path());
        }
    }
    found
}
