//! The directory of the log: names, and what must be synced for an entry to last.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::storage::{Open, Space, Storage, Stored};
use crate::ledger::Refusal;

/// A directory that lasts.
#[derive(Clone, Debug)]
pub(super) struct Dir {
    storage: Arc<dyn Storage>,
    path: PathBuf,
}

impl Dir {
    /// Creates what is missing of it. The entries of all its ancestors last on return: who was
    /// killed between creating one and syncing it must not leave the log hanging by it.
    pub(super) fn create(storage: Arc<dyn Storage>, path: &Path) -> io::Result<Self> {
        create(storage.as_ref(), path)?;
        for ancestor in path.ancestors().skip(1) {
            match storage.sync_dir(named(ancestor)) {
                // One that may not be opened was not created by this program.
                Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
                _ => {}
            }
        }
        Ok(Self { storage, path: path.to_owned() })
    }

    /// A directory inside, created when it is missing.
    pub(super) fn inner(&self, name: &str) -> io::Result<Self> {
        let path = self.path_of(name);
        if !self.storage.is_dir(&path) {
            self.storage.create_dir(&path)?;
            self.sync()?;
        }
        Ok(Self { storage: Arc::clone(&self.storage), path })
    }

    /// The sizes of what is in a directory inside. None when there is no such directory.
    pub(super) fn sizes(&self, name: &str) -> io::Result<Vec<u64>> {
        let path = self.path_of(name);
        if !self.storage.is_dir(&path) {
            return Ok(Vec::new());
        }
        let inner = Self { storage: Arc::clone(&self.storage), path };
        Ok(inner.list()?.iter().filter_map(|name| inner.size(name).ok()).collect())
    }

    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn open(&self, name: &str, how: Open) -> io::Result<Arc<dyn Stored>> {
        self.storage.open(&self.path_of(name), how)
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.storage.rename(&self.path_of(from), &self.path_of(to))
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        self.storage.remove(&self.path_of(name))
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.storage.sync_dir(&self.path)
    }

    pub(super) fn space(&self) -> io::Result<Space> {
        self.storage.space(&self.path)
    }

    pub(super) fn size(&self, name: &str) -> io::Result<u64> {
        self.open(name, Open::Read)?.size()
    }

    pub(super) fn list(&self) -> io::Result<Vec<String>> {
        self.storage.list(&self.path)
    }

    /// The bases of all segments, in order. Other files are not the log's and stay.
    pub(super) fn segments(&self) -> io::Result<Vec<u64>> {
        self.bases(SEGMENT)
    }

    /// The former bases of the files that wait to be used again.
    pub(super) fn spares(&self) -> io::Result<Vec<u64>> {
        self.bases(SPARE)
    }

    /// A small file, whole.
    pub(super) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = self.open(name, Open::Read)?;
        let mut bytes = vec![0; usize::try_from(file.size()?).unwrap_or(usize::MAX)];
        let read = read_up_to(file.as_ref(), &mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Replaces a file's content: after a crash it is either the old or the new.
    pub(super) fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let temporary = format!("{name}.tmp");
        let file = self.open(&temporary, Open::Anew)?;
        write_all(file.as_ref(), &mut [IoSlice::new(content)], 0)?;
        file.sync_data()?;
        self.rename(&temporary, name)?;
        self.sync()
    }

    fn bases(&self, extension: &str) -> io::Result<Vec<u64>> {
        let mut bases: Vec<u64> =
            self.list()?.iter().filter_map(|name| base_of(name, extension)).collect();
        bases.sort_unstable();
        Ok(bases)
    }
}

const SEGMENT: &str = ".seg";
const SPARE: &str = ".spare";

pub(super) fn segment_name(base: u64) -> String {
    format!("{base:020}{SEGMENT}")
}

pub(super) fn spare_name(base: u64) -> String {
    format!("{base:020}{SPARE}")
}

/// Reads until the bytes are full or the file ends, and answers how many there were.
pub(super) fn read_up_to(
    file: &dyn Stored,
    bytes: &mut [u8],
    mut offset: u64,
) -> io::Result<usize> {
    let asked = bytes.len();
    let mut rest = bytes;
    while !rest.is_empty() {
        match file.read_at(rest, offset) {
            Ok(0) => break,
            Ok(read) => {
                offset = offset.saturating_add(read as u64);
                rest = rest.get_mut(read..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(asked - rest.len())
}

/// Vectored, without copying a payload.
pub(super) fn write_all(
    file: &dyn Stored,
    slices: &mut [IoSlice<'_>],
    mut offset: u64,
) -> io::Result<()> {
    let mut rest = slices;
    // Empty slices would be taken for a file that takes nothing.
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match file.write_vectored_at(rest, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset = offset.saturating_add(written as u64);
                IoSlice::advance_slices(&mut rest, written);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A disk without room is refused as full, every other failure as failed.
pub(super) fn refusal(error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            Refusal::LogFull
        }
        _ => Refusal::LogFailed,
    }
}

fn create(storage: &dyn Storage, path: &Path) -> io::Result<()> {
    if storage.is_dir(named(path)) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create(storage, parent)?;
    }
    storage.create_dir(path)
}

/// The parent of a lone name is the directory of the process.
fn named(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

fn base_of(name: &str, extension: &str) -> Option<u64> {
    let digits = name.strip_suffix(extension)?;
    let named = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    named.then(|| digits.parse().ok())?
}
