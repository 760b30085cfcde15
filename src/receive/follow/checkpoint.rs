//! Where in which file the reading goes on.

use std::io;
use std::path::{Path, PathBuf};

use tokio::io::AsyncWriteExt;
use xxhash_rust::xxh3::xxh3_64;

/// Names the version of the form below.
const FORM: &str = "hopline-follow-1";

/// A file, by what stays when it is renamed, and how far it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) offset: u64,
    /// How many of the file's first bytes are digested: inodes are used again.
    pub(super) head_bytes: usize,
    pub(super) head_digest: u64,
}

/// The mark of one followed path, on disk.
#[derive(Debug)]
pub(super) struct Checkpoint {
    file: PathBuf,
    mark: Option<Mark>,
}

impl Checkpoint {
    /// The checkpoint of `path`. One that cannot be read counts as none: lines are then repeated.
    pub(super) async fn open(dir: &Path, path: &Path) -> io::Result<Self> {
        tokio::fs::create_dir_all(dir).await?;
        let name = xxh3_64(path.as_os_str().as_encoded_bytes());
        let file = dir.join(format!("{name:016x}.mark"));
        let mark = match tokio::fs::read_to_string(&file).await {
            Ok(text) => parse(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
            Err(error) => return Err(error),
        };
        Ok(Self { file, mark })
    }

    pub(super) fn mark(&self) -> Option<&Mark> {
        self.mark.as_ref()
    }

    /// The file was read to its end and has a successor.
    pub(super) fn forget(&mut self) {
        self.mark = None;
    }

    /// Whole or not at all: the mark is written beside the old one and takes its name.
    pub(super) async fn save(&mut self, mark: Mark) -> io::Result<()> {
        if self.mark.as_ref() == Some(&mark) {
            return Ok(());
        }
        let Mark { device, inode, offset, head_bytes, head_digest } = &mark;
        let text = format!("{FORM} {device} {inode} {offset} {head_bytes} {head_digest}\n");
        let beside = self.file.with_extension("new");
        let mut file = tokio::fs::File::create(&beside).await?;
        file.write_all(text.as_bytes()).await?;
        file.sync_all().await?;
        tokio::fs::rename(&beside, &self.file).await?;
        self.mark = Some(mark);
        Ok(())
    }
}

fn parse(text: &str) -> Option<Mark> {
    let mut words = text.strip_prefix(FORM)?.split_ascii_whitespace();
    Some(Mark {
        device: words.next()?.parse().ok()?,
        inode: words.next()?.parse().ok()?,
        offset: words.next()?.parse().ok()?,
        head_bytes: words.next()?.parse().ok()?,
        head_digest: words.next()?.parse().ok()?,
    })
}
