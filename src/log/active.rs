//! The file of the segment that is being written.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::disk::{Dir, segment_name, spare_name, write_all};
use super::frame::{Format, OPENING_BYTES, Opening};
use super::state::Spare;
use super::storage::{Open, Stored};

/// Written by one thread, synced by another.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) file: Arc<dyn Stored>,
    pub(super) base: u64,
    pub(super) format: Format,
    /// Whether the entry in the directory lasts as well.
    entry_lasts: AtomicBool,
}

impl Active {
    /// Creates a segment; it lasts from its first sync on. `spare` is written over when there is
    /// one, else the file gets `bytes` of room: to sync bytes that lie within a file is cheaper
    /// than to sync a file that grows.
    pub(super) fn create(
        dir: &Dir,
        opening: &Opening,
        bytes: u64,
        spare: Option<Spare>,
    ) -> io::Result<Self> {
        let name = segment_name(opening.base);
        let file = match spare {
            Some(spare) => begin_again(dir, &spare_name(spare.base), &name, opening),
            None => begin(dir, &name, opening, bytes),
        }?;
        let Opening { base, format, .. } = *opening;
        Ok(Self { file, base, format, entry_lasts: AtomicBool::new(false) })
    }

    /// The same segment with another file, for a test in which the disk fails.
    #[cfg(test)]
    pub(super) fn of(file: Arc<dyn Stored>, other: &Self) -> Self {
        let Self { base, format, .. } = *other;
        Self { file, base, format, entry_lasts: AtomicBool::new(true) }
    }

    /// What was written before is on disk on return. Failing, it must not be tried again: the
    /// kernel marks the pages of a failed sync as clean.
    pub(super) fn sync(&self, dir: &Dir) -> io::Result<()> {
        self.file.sync_data()?;
        if !self.entry_lasts.load(Ordering::Acquire) {
            dir.sync()?;
            self.entry_lasts.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Where in the file a position lies.
    pub(super) fn offset(&self, at: u64) -> u64 {
        at.saturating_sub(self.base).saturating_add(OPENING_BYTES as u64)
    }
}

fn begin(dir: &Dir, name: &str, opening: &Opening, bytes: u64) -> io::Result<Arc<dyn Stored>> {
    let file = dir.open(name, Open::New)?;
    write_opening(file.as_ref(), opening)?;
    if file.allocate(bytes.max(OPENING_BYTES as u64)).is_err() {
        // Not every file system can. It grows as it is written.
        file.set_len(OPENING_BYTES as u64)?;
    }
    Ok(file)
}

fn begin_again(
    dir: &Dir,
    spare: &str,
    name: &str,
    opening: &Opening,
) -> io::Result<Arc<dyn Stored>> {
    let file = dir.open(spare, Open::Write)?;
    write_opening(file.as_ref(), opening)?;
    dir.rename(spare, name)?;
    Ok(file)
}

fn write_opening(file: &dyn Stored, opening: &Opening) -> io::Result<()> {
    write_all(file, &mut [IoSlice::new(&opening.encode())], 0)
}
