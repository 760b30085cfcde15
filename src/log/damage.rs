//! What was found damaged: counted once however many readers meet it, and copied aside.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::frames::Frames;
use super::{Corrupt, disk};

/// Spans remembered. Past it a span is counted each time that a reader meets it.
const SPANS_MAX: usize = 4096;
/// Bytes copied of one span.
const COPY_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Damage {
    dir: PathBuf,
    /// Bytes that may still be copied.
    room: u64,
    seen: BTreeMap<u64, u64>,
    pub(super) corrupt: Corrupt,
}

impl Damage {
    /// `dir` holds at most `bytes_max`, what earlier runs left included.
    pub(super) fn new(dir: PathBuf, bytes_max: u64) -> Self {
        let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
        let used: u64 = entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum();
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
        disk::create_dir(&self.dir)?;
        let path = self.dir.join(format!("{from:020}.bin"));
        let bytes = frames.raw(from, to)?;
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(&bytes)?;
        Ok(bytes.len() as u64)
    }
}
