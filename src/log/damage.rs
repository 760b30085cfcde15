//! What was found damaged: counted once however many readers meet it, and copied aside.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};

use super::Corrupt;
use super::disk::{Dir, write_all};
use super::frames::Frames;
use super::storage::Open;

/// Spans remembered. Past it a span is counted each time that a reader meets it.
const SPANS_MAX: usize = 4096;
const QUARANTINE: &str = "quarantine";
/// Bytes copied of one span.
const COPY_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Damage {
    /// The log's. The copies have a directory inside.
    dir: Dir,
    /// Bytes that may still be copied.
    room: u64,
    seen: BTreeMap<u64, u64>,
    pub(super) corrupt: Corrupt,
}

impl Damage {
    /// The copies take at most `bytes_max`, what earlier runs left included.
    pub(super) fn new(dir: Dir, bytes_max: u64) -> Self {
        let used = dir.sizes(QUARANTINE).unwrap_or_default().into_iter().sum();
        let room = bytes_max.saturating_sub(used);
        Self { dir, room, seen: BTreeMap::new(), corrupt: Corrupt::default() }
    }

    /// A span without a readable batch, in the middle of the log.
    pub(super) fn found(&mut self, frames: Option<&Frames>, from: u64, to: u64) {
        if self.seen.get(&from) == Some(&to) {
            return;
        }
        if self.seen.len() < SPANS_MAX {
            self.seen.insert(from, to);
        }
        self.corrupt.spans += 1;
        self.corrupt.bytes = self.corrupt.bytes.saturating_add(to.saturating_sub(from));
        tracing::warn!(from, to, "log damaged, span skipped");
        self.copy(frames, from, to);
    }

    /// A batch that was never finished, at the end of the log.
    pub(super) fn torn(&mut self, frames: &Frames, from: u64, to: u64) {
        let bytes = to.saturating_sub(from);
        self.corrupt.torn_bytes = self.corrupt.torn_bytes.saturating_add(bytes);
        tracing::warn!(from, to, "log ended in an unfinished batch, cut off");
        self.copy(Some(frames), from, to);
    }

    /// Spans before `start` are trimmed and met no more.
    pub(super) fn forget_before(&mut self, start: u64) {
        self.seen = self.seen.split_off(&start);
    }

    /// A failing copy must not stand in the way of the batches behind the damage.
    fn copy(&mut self, frames: Option<&Frames>, from: u64, to: u64) {
        let Some(frames) = frames else { return };
        let to = to.min(from.saturating_add(self.room.min(COPY_BYTES_MAX)));
        if from >= to {
            return;
        }
        match self.try_copy(frames, from, to) {
            Ok(copied) => self.room = self.room.saturating_sub(copied),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => tracing::warn!(%error, from, to, "damaged span not copied"),
        }
    }

    fn try_copy(&self, frames: &Frames, from: u64, to: u64) -> io::Result<u64> {
        let copies = self.dir.inner(QUARANTINE)?;
        let bytes = frames.raw(from, to)?;
        let file = copies.open(&format!("{from:020}.bin"), Open::New)?;
        write_all(file.as_ref(), &mut [IoSlice::new(&bytes)], 0)?;
        Ok(bytes.len() as u64)
    }
}
