//! What the writer, the readers and the once-a-second trim share.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::active::Active;
use super::cursors::{self, Cursors};
use super::damage::Damage;
use super::disk::{Dir, segment_name};
use super::flight::{Flight, Written};
use super::frame::Totals;
use super::frames::Frames;
use super::pack::Payload;
use super::queue::Queue;
use super::recover::recover;
use super::state::{Located, Segment, State};
use super::storage::{Open, Space, Storage, Stored};
use super::tail::{Cache, Kept, Tail};
use super::{Batch, Error, Settings};
use crate::evidence::Position;
use crate::ledger::Refusal;

const LOCK: &str = "lock";

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    /// Whether batches are packed with the least effort.
    pub(super) is_least: AtomicBool,
    pub(super) dir: Dir,
    pub(super) queue: Queue,
    pub(super) flight: Flight,
    pub(super) cursors: Cursors,
    pub(super) progress: watch::Sender<Progress>,
    state: Mutex<State>,
    damage: Mutex<Damage>,
    cache: Mutex<Cache>,
    /// One at a time syncs and publishes, so that batches become visible in their order.
    settling: Mutex<()>,
    /// As it was measured last.
    pub(super) space: Mutex<Option<Space>>,
    /// Where the first segment of this process begins.
    pub(super) first_base: u64,
    lock: Arc<dyn Stored>,
}

/// What waiting readers are told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub(super) end: u64,
    pub(super) closed: bool,
}

impl Shared {
    pub(super) fn open(settings: Settings, storage: Arc<dyn Storage>) -> Result<Self, Error> {
        let path = &settings.dir;
        let dir = Dir::create(storage, path).map_err(Error::io(path))?;
        let is_new =
            matches!(dir.size(LOCK), Err(error) if error.kind() == io::ErrorKind::NotFound);
        let lock = lock_file(&dir)?;
        let mut damage = Damage::new(dir.clone(), settings.segment_bytes);
        let io = Error::io(dir.path_of(cursors::NAME));
        let cursors = Cursors::load(dir.clone()).map_err(io)?;
        let segments = recover(&dir, cursors.passed(), &mut damage)?;
        // A power cut in memory mode may leave the cursors ahead.
        let end = segments.back().map_or(0, |last| last.end).max(cursors.furthest());
        let first_base = if is_new { end } else { leap(end, settings.bytes_max) };
        let cache_bytes = settings.tail_bytes / 4;
        let tail = Tail::new(settings.tail_bytes - cache_bytes);
        let shared = Self {
            queue: Queue::new(settings.queue_bytes_max),
            flight: Flight::default(),
            cursors,
            progress: watch::Sender::new(Progress { end, closed: false }),
            state: Mutex::new(State::new(segments, end, tail)),
            damage: Mutex::new(damage),
            cache: Mutex::new(Cache::new(cache_bytes)),
            settling: Mutex::default(),
            space: Mutex::default(),
            first_base,
            lock,
            settings,
            is_least: AtomicBool::new(false),
            dir,
        };
        shared.measure();
        // A removal that a power cut undid must not cost the budget.
        shared.drop_passed(shared.settings.bytes_max);
        Ok(shared)
    }

    /// A segment that has reached this size is followed by a new one.
    pub(super) fn segment_bytes(&self) -> u64 {
        self.settings.segment_bytes.min(self.settings.bytes_max / 4).max(1)
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
                Located::Gone { start } => return Err(gone(at, start, None)),
                _ => return Err(Error::NoBatch { at: Position(at) }),
            }
        };
        if let Some(batch) = self.cache().get(at) {
            return Ok(batch.clone());
        }
        let frames = self.frames(&segment, at)?;
        let frame = frames.frame(at).map_err(|source| self.unreadable(&segment, source))?;
        let Some(frame) = frame else {
            self.still_there(at)?;
            return Err(Error::NoBatch { at: Position(at) });
        };
        let payload = frames.payload(&frame).map_err(|source| self.unreadable(&segment, source))?;
        let Some(payload) = payload else {
            self.still_there(at)?;
            let next = frame.next().min(segment.end);
            let items = difference(frame.before, frame.after());
            return Err(Error::Corrupt { at: Position(at), next: Position(next), items });
        };
        // Whoever looks something up has no use for the frame.
        let batch = Batch::new(&frame, Payload { packed: None, ..payload });
        self.cache().insert(&batch);
        Ok(batch)
    }

    /// What was trimmed while it was read may have been written over: that is no damage.
    pub(super) fn still_there(&self, at: u64) -> Result<(), Error> {
        let start = self.state().start();
        if at < start { Err(gone(at, start, None)) } else { Ok(()) }
    }

    /// Opens a segment; it may have been trimmed since it was located.
    pub(super) fn frames(&self, segment: &Segment, at: u64) -> Result<Frames, Error> {
        let opened = self.open_frames(segment);
        opened.map_err(|source| {
            let start = self.state().start();
            let trimmed = source.kind() == io::ErrorKind::NotFound && at < start;
            if trimmed { gone(at, start, None) } else { self.unreadable(segment, source) }
        })
    }

    pub(super) fn unreadable(&self, segment: &Segment, source: io::Error) -> Error {
        Error::Io { path: self.dir.path_of(&segment_name(segment.base)), source }
    }

    fn open_frames(&self, segment: &Segment) -> io::Result<Frames> {
        Frames::open(&self.dir, segment.base, segment.end, segment.format)
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
        self.open_frames(&segment)?.totals_at(at, segment.before)
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

    /// Syncs what was written before, publishes it and answers its callers.
    pub(super) fn settle(&self) {
        let _one = self.settling.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.flight.take();
        let Some(active) = written.front().map(|first| Arc::clone(&first.active)) else { return };
        let outcome = if self.state().is_active(&active) {
            active.sync(&self.dir).map_err(|error| self.poison(&active, &error))
        } else {
            // A sync failed since it was written. The next one would succeed and mean nothing.
            Err(Refusal::LogFailed)
        };
        self.answer(written, outcome);
    }

    /// The groups are as safe as the ack mode says, or none of them will be seen.
    pub(super) fn answer(&self, written: VecDeque<Written>, outcome: Result<(), Refusal>) {
        self.queue.done(written.iter().map(Written::bytes).sum());
        let mut answers = Vec::new();
        let mut published = Vec::new();
        for group in written {
            let positions = group.kept.iter().map(|kept| outcome.map(|()| kept.batch.position));
            answers.extend(group.replies.into_iter().zip(positions.collect::<Vec<_>>()));
            published.extend(group.kept);
        }
        if outcome.is_ok() {
            self.publish(published);
        }
        for (reply, answer) in answers {
            // A caller that went away has its batch in the log all the same.
            reply.send(answer).ok();
        }
    }

    fn publish(&self, kept: Vec<Kept>) {
        let end = {
            let mut state = self.state();
            state.publish(kept);
            state.failing = false;
            state.end
        };
        self.progress.send_modify(|progress| progress.end = end);
    }

    /// The end of the log's life in this process.
    pub(super) fn finish(&self) {
        self.save_cursors();
        self.sync_written();
        self.end_readers();
        // The directory is free again even while a reader still drains.
        self.lock.unlock().ok();
    }

    /// Readers that reach the end have seen all.
    pub(super) fn end_readers(&self) {
        self.progress.send_modify(|progress| progress.closed = true);
    }

    /// The disk failed on the segment: the writer goes on in a new one. The kernel marks the
    /// pages of a failed sync as clean, so that to try again would succeed and mean nothing.
    pub(super) fn poison(&self, active: &Arc<Active>, error: &io::Error) -> Refusal {
        tracing::error!(%error, "log segment given up, the disk failed to sync it");
        let mut state = self.state();
        if state.is_active(active) {
            state.active = None;
            state.failing = true;
        }
        state.poisoned += 1;
        Refusal::LogFailed
    }
}

/// What a power cut took in memory mode had positions, of which somebody may still know. At most
/// nine segments were not synced, each of no more than half the budget.
fn leap(end: u64, bytes_max: u64) -> u64 {
    // Where the positions end there is no room to leap.
    end.checked_add(bytes_max.saturating_mul(5)).unwrap_or(end)
}

pub(super) fn gone(at: u64, start: u64, items: Option<Totals>) -> Error {
    Error::Gone { at: Position(at), start: Position(start), items }
}

fn lock_file(dir: &Dir) -> Result<Arc<dyn Stored>, Error> {
    let locked = dir.open(LOCK, Open::Any).and_then(|file| file.try_lock().map(|()| file));
    locked.map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => Error::Locked { dir: dir.path().to_owned() },
        _ => Error::Io { path: dir.path_of(LOCK), source },
    })
}

pub(super) fn difference(from: Totals, to: Totals) -> Totals {
    let mut items = to;
    for (to, from) in items.iter_mut().zip(from) {
        *to = to.saturating_sub(from);
    }
    items
}
