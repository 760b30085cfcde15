//! The directory of the log: names, modes, and what must be synced for an entry to last.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::frame::Opening;
use crate::ledger::Refusal;

pub(super) fn segment_path(dir: &Path, base: u64) -> PathBuf {
    dir.join(format!("{base:020}.seg"))
}

/// Creates the directory and its missing ancestors, each with a lasting entry in its parent.
pub(super) fn create_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = parent(dir);
    if parent != dir {
        create_dir(parent)?;
    }
    DirBuilder::new().mode(0o700).create(dir)?;
    sync_dir(parent)
}

/// Creates a segment whose file and entry last, or leaves nothing behind.
pub(super) fn create_segment(dir: &Path, opening: &Opening) -> io::Result<File> {
    let path = segment_path(dir, opening.base);
    let mut file =
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    let written = file
        .write_all(&opening.encode())
        .and_then(|()| file.sync_all())
        .and_then(|()| sync_dir(dir));
    if let Err(error) = written {
        // What cannot be removed either is an empty segment, which the next start discards.
        fs::remove_file(&path).ok();
        return Err(error);
    }
    Ok(file)
}

/// Replaces a file's content: after a crash it is either the old or the new.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_dir(parent(path))
}

/// The lock file, locked; `WouldBlock` while another process has it.
pub(super) fn lock(path: &Path) -> io::Result<File> {
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.try_lock()?;
    Ok(file)
}

/// The bases of all segments, in order. Other files are not the log's and stay.
pub(super) fn segments(dir: &Path) -> io::Result<Vec<u64>> {
    let mut bases = Vec::new();
    for entry in fs::read_dir(dir)? {
        bases.extend(base_of(&entry?.file_name()));
    }
    bases.sort_unstable();
    Ok(bases)
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

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

fn base_of(name: &OsStr) -> Option<u64> {
    let digits = name.to_str()?.strip_suffix(".seg")?;
    let named = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    named.then(|| digits.parse().ok())?
}
