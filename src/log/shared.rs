//! What the writer, the readers and the once-a-second trim share.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::cursors::Cursors;
use super::damage::Damage;
use super::disk;
use super::frame::Totals;
use super::frames::Frames;
use super::queue::Queue;
use super::recover::recover;
use super::state::{Located, Segment, State};
use super::tail::{Cache, Tail};
use super::{Ack, Batch, Error, Settings};
use crate::evidence::{Nanos, Position};
use crate::ledger::Refusal;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) queue: Queue,
    pub(super) cursors: Cursors,
    pub(super) progress: watch::Sender<Progress>,
    state: Mutex<State>,
    damage: Mutex<Damage>,
    cache: Mutex<Cache>,
    lock: File,
}

/// What waiting readers are told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub(super) end: u64,
    pub(super) closed: bool,
}

impl Shared {
    pub(super) fn open(settings: Settings) -> Result<Self, Error> {
        let dir = settings.dir.clone();
        disk::create_dir(&dir).map_err(Error::io(&dir))?;
        let lock = lock_file(&dir)?;
        let quarantine = dir.join("quarantine");
        let mut damage = Damage::new(quarantine, settings.segment_bytes);
        let segments = recover(&settings, &mut damage)?;
        let path = dir.join("cursors");
        let cursors = Cursors::load(path.clone()).map_err(Error::io(path))?;
        // A power cut in memory mode may leave the cursors ahead. What they saw had positions,
        // and those are not given again.
        let end = segments.back().map_or(0, |last| last.end).max(cursors.furthest());
        let cache_bytes = settings.tail_bytes / 4;
        let tail = Tail::new(settings.tail_bytes - cache_bytes);
        Ok(Self {
            queue: Queue::new(settings.queue_bytes_max),
            cursors,
            progress: watch::Sender::new(Progress { end, closed: false }),
            state: Mutex::new(State::new(segments, end, tail)),
            damage: Mutex::new(damage),
            cache: Mutex::new(Cache::new(cache_bytes)),
            lock,
            settings,
        })
    }

    /// One short moment: nobody does I/O while holding it.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn damage(&self) -> MutexGuard<'_, Damage> {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The batch that begins at `at`.
    pub(super) fn read(&self, at: u64) -> Result<Batch, Error> {
        let segment = {
            let state = self.state();
            if let Some(kept) = state.tail.get(at) {
                return Ok(kept.batch.clone());
            }
            match state.locate(at) {
                Located::At(segment, next) if next == at => segment,
                Located::Gone { start } => return Err(gone(at, start)),
                _ => return Err(Error::NoBatch { at: Position(at) }),
            }
        };
        if let Some(batch) = self.cache().get(at) {
            return Ok(batch.clone());
        }
        let frames = self.frames(&segment, at)?;
        let frame = frames.frame(at).map_err(|source| self.unreadable(&segment, source))?;
        let frame = frame.ok_or(Error::NoBatch { at: Position(at) })?;
        let bytes = frames.payload(&frame).map_err(|source| self.unreadable(&segment, source))?;
        let Some(bytes) = bytes else {
            let next = frame.next().min(segment.end);
            let items = difference(frame.before, frame.after());
            return Err(Error::Corrupt { at: Position(at), next: Position(next), items });
        };
        let batch = Batch::new(&frame, bytes);
        self.cache().insert(&batch);
        Ok(batch)
    }

    /// Opens a segment; it may have been trimmed since it was located.
    pub(super) fn frames(&self, segment: &Segment, at: u64) -> Result<Frames, Error> {
        let opened = Frames::open(&self.settings.dir, segment.base, segment.end);
        opened.map_err(|source| {
            let start = self.state().start();
            let trimmed = source.kind() == io::ErrorKind::NotFound && at < start;
            if trimmed { gone(at, start) } else { self.unreadable(segment, source) }
        })
    }

    pub(super) fn unreadable(&self, segment: &Segment, source: io::Error) -> Error {
        Error::Io { path: self.segment_path(segment.base), source }
    }

    /// What the log had counted at `at`.
    pub(super) fn totals_at(&self, at: u64) -> io::Result<Totals> {
        let segment = {
            let state = self.state();
            if let Some(kept) = state.tail.get(at) {
                return Ok(kept.before);
            }
            if at >= state.end {
                return Ok(state.totals());
            }
            match state.segment_before(at) {
                None => return Ok([0; 3]),
                Some(segment) if at >= segment.end => return Ok(segment.after),
                Some(segment) => segment,
            }
        };
        if at <= segment.base {
            return Ok(segment.before);
        }
        let frames = Frames::open(&self.settings.dir, segment.base, segment.end)?;
        frames.totals_at(at, segment.before)
    }

    /// Items from `at` to the end. A segment that cannot be read counts from its begin.
    pub(super) fn items_from(&self, at: u64) -> Totals {
        let from = self.totals_at(at).unwrap_or_else(|_| {
            let state = self.state();
            state.segment_before(at).map_or([0; 3], |segment| segment.before)
        });
        difference(from, self.state().totals())
    }

    /// Items between two positions, lost ones included.
    pub(super) fn items_between(&self, from: u64, to: u64) -> io::Result<Totals> {
        Ok(difference(self.totals_at(from)?, self.totals_at(to)?))
    }

    /// Refuses what the budget has no room for, after dropping what nobody needs any more.
    pub(super) fn make_room(&self, need: u64) -> Result<(), Refusal> {
        let budget = self.settings.bytes_max.saturating_sub(need);
        let fits = || self.state().bytes <= budget;
        if fits() {
            return Ok(());
        }
        self.drop_passed(Nanos(0), budget);
        if !fits() && self.save_cursors() {
            self.drop_passed(Nanos(0), budget);
        }
        if fits() { Ok(()) } else { Err(Refusal::LogFull) }
    }

    /// Drops what all cursors have passed and the window or the budget does not keep.
    pub(super) fn trim(&self, now: Nanos) {
        self.save_cursors();
        self.drop_passed(now.before(self.settings.keep), self.settings.bytes_max);
        if self.settings.ack == Ack::Memory {
            self.sync_active();
        }
    }

    /// The end of the log's life in this process.
    pub(super) fn finish(&self) {
        self.save_cursors();
        if self.settings.ack == Ack::Memory {
            self.sync_active();
        }
        self.end_readers();
        // The directory is free again even while a reader still drains.
        self.lock.unlock().ok();
    }

    /// Readers that reach the end have seen all.
    pub(super) fn end_readers(&self) {
        self.progress.send_modify(|progress| progress.closed = true);
    }

    /// The disk failed on the active segment: the writer goes on in a new one. The kernel marks
    /// the pages of a failed sync as clean, so that to try again would succeed and mean nothing.
    pub(super) fn poison(&self, error: &io::Error) {
        tracing::error!(%error, "log segment given up, the disk failed to sync it");
        let mut state = self.state();
        state.active = None;
        state.poisoned += 1;
        state.failing = true;
    }

    fn sync_active(&self) {
        let Some(file) = self.state().active.clone() else { return };
        if let Err(error) = file.sync_data() {
            self.poison(&error);
        }
    }

    fn save_cursors(&self) -> bool {
        let saved = self.cursors.save();
        if let Err(error) = &saved {
            tracing::error!(%error, "cursors not saved, nothing is trimmed");
        }
        saved.is_ok()
    }

    fn drop_passed(&self, oldest: Nanos, budget: u64) {
        let floor = self.cursors.floor();
        let (dropped, start) = {
            let mut state = self.state();
            (state.drop_passed(floor, oldest, budget), state.start())
        };
        for base in &dropped {
            let path = self.segment_path(*base);
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(%error, path = %path.display(), "trimmed segment not removed");
            }
        }
        if !dropped.is_empty() {
            self.damage().forget_before(start);
        }
    }

    fn segment_path(&self, base: u64) -> PathBuf {
        disk::segment_path(&self.settings.dir, base)
    }
}

pub(super) fn gone(at: u64, start: u64) -> Error {
    Error::Gone { at: Position(at), start: Position(start) }
}

fn lock_file(dir: &std::path::Path) -> Result<File, Error> {
    let path = dir.join("lock");
    disk::lock(&path).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => Error::Locked { dir: dir.to_owned() },
        _ => Error::Io { path, source },
    })
}

fn difference(from: Totals, to: Totals) -> Totals {
    let mut items = to;
    for (to, from) in items.iter_mut().zip(from) {
        *to = to.saturating_sub(from);
    }
    items
}
