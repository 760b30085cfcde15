//! The log as the other stages hold it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use super::frame::LENGTH_MAX;
use super::pack::Packed;
use super::pressure::Pressure;
use super::queue::Pending;
use super::reader::{Cursor, Reader};
use super::shared::Shared;
use super::storage::{Storage, System};
use super::writer::Writer;
use super::{Ack, Batch, CursorStatus, Effort, Error, Settings, Status};
use crate::evidence::{Head, Nanos, Position};
use crate::ledger::Refusal;
use crate::redact::Clean;

/// The open log. Clones are the same log; the last one to go stops its writer.
#[derive(Clone, Debug)]
pub struct Log(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Log {
    /// Opens the log, whatever state an earlier run left it in, and starts its writer.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] while another process has it, [`Error::Newer`] when a later version
    /// wrote it, [`Error::Io`] when the disk fails.
    pub fn open(settings: Settings) -> Result<Self, Error> {
        Self::open_on(settings, Arc::new(System))
    }

    pub(super) fn open_on(settings: Settings, storage: Arc<dyn Storage>) -> Result<Self, Error> {
        let shared = Arc::new(Shared::open(settings, storage)?);
        let inner = Inner { shared: Arc::clone(&shared), threads: Mutex::default() };
        let writer = Writer::new(Arc::clone(&shared));
        inner.spawn("log", || writer.run())?;
        if shared.settings.ack == Ack::Wal {
            inner.spawn("log-sync", move || sync(shared))?;
        }
        Ok(Self(Arc::new(inner)))
    }

    /// Appends a batch and waits until it is as safe as the ack mode says.
    ///
    /// A caller that stops waiting does not take the batch back.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooLarge`] for a batch that could never fit, [`Refusal::Busy`] while too much
    /// waits for the disk, [`Refusal::LogFull`] without room on disk, [`Refusal::LogFailed`] when
    /// the disk fails, [`Refusal::Closing`] after [`Log::close`]. None of them leaves the batch
    /// where a reader sees it.
    pub async fn append(&self, packed: Packed) -> Result<Position, Refusal> {
        let settings = &self.0.shared.settings;
        let (held, stored) = (packed.payload.held_bytes(), packed.payload.stored().len());
        let fits_disk = stored as u64 <= settings.bytes_max / 4;
        if held > settings.queue_bytes_max.min(LENGTH_MAX) || !fits_disk {
            return Err(Refusal::TooLarge);
        }
        let (reply, answer) = oneshot::channel();
        self.0.shared.queue.push(Pending { packed, reply })?;
        answer.await.unwrap_or(Err(Refusal::LogFailed))
    }

    /// How hard it is tried to pack what comes from now on.
    pub fn set_effort(&self, effort: Effort) {
        self.0.shared.is_least.store(effort == Effort::Least, Ordering::Relaxed);
    }

    /// Packs a batch as it is to be kept. Takes about a millisecond for each MiB.
    #[must_use]
    pub fn pack(&self, clean: &Clean) -> Packed {
        let Settings { packs, queue_bytes_max, .. } = self.0.shared.settings;
        let is_least = self.0.shared.is_least.load(Ordering::Relaxed);
        let effort = if is_least { Effort::Least } else { Effort::Usual };
        let packed = Packed::new(clean, packs.then_some(effort));
        // With its frame it would find no room, and be refused for good.
        let fits = packed.payload.held_bytes() <= queue_bytes_max;
        if fits { packed } else { Packed::new(clean, None) }
    }

    /// The end of what readers may see.
    #[must_use]
    pub fn end(&self) -> Position {
        Position(self.0.shared.progress.borrow().end)
    }

    /// The oldest readable position.
    #[must_use]
    pub fn start(&self) -> Position {
        Position(self.0.shared.state().start())
    }

    /// Reads from `from` on. It holds nothing back from being trimmed; a [`Cursor`] does.
    #[must_use]
    pub fn reader(&self, from: Position) -> Reader {
        Reader::new(Arc::clone(&self.0.shared), from)
    }

    /// The cursor of a required consumer. A new one stands at the start of the log.
    #[must_use]
    pub fn cursor(&self, name: &str) -> Cursor {
        let shared = &self.0.shared;
        let at = shared.cursors.open(name, self.start().0);
        Cursor::new(Arc::clone(shared), at)
    }

    /// Forgets the cursors of all other consumers, which otherwise hold the log forever. To be
    /// called at the start, when the settings have named every consumer.
    pub fn keep_cursors(&self, names: &[&str]) {
        self.0.shared.cursors.keep(names);
    }

    /// The batch that begins at `at`.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] when it was trimmed, [`Error::NoBatch`] and [`Error::Corrupt`] when there
    /// is none to read, [`Error::Io`] when the disk fails.
    pub fn read(&self, at: Position) -> Result<Batch, Error> {
        self.0.shared.read(at.0)
    }

    /// Items from `from` to the end, per signal in the order of `Signal::ALL`; those in damaged
    /// spans ahead are among them. One small read at most.
    #[must_use]
    pub fn items(&self, from: Position) -> [u64; 3] {
        self.0.shared.items_from(from.0)
    }

    /// The heads of the newest batches received at `since` or later, newest first, at most so
    /// many. Reads headers from the disk, of no more segments than hold them.
    #[must_use]
    pub fn recent(&self, since: Nanos, at_most: usize) -> Vec<(Head, Position)> {
        self.0.shared.recent(since, at_most)
    }

    /// How close the log is to refusing, as of the last trim where it is for the disk.
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        self.0.shared.judged()
    }

    /// Saves the cursors, drops what nobody keeps, and in memory mode syncs what was written.
    /// To be called about once a second, where waiting for the disk is allowed.
    pub fn trim(&self, now: Nanos) {
        if !self.0.shared.progress.borrow().closed {
            self.0.shared.trim(now);
        }
    }

    /// Bytes of the log from `from` on. Positions are no measure of that: each start leaps ahead.
    #[must_use]
    pub fn bytes_from(&self, from: Position) -> u64 {
        self.0.shared.state().bytes_from(from.0)
    }

    /// From where on the log has so many bytes; its start when it has fewer.
    #[must_use]
    pub fn back(&self, bytes: u64) -> Position {
        Position(self.0.shared.state().back(bytes))
    }

    /// What it may take of the disk.
    #[must_use]
    pub fn bytes_max(&self) -> u64 {
        self.0.shared.settings.bytes_max
    }

    /// How the log is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        let shared = &self.0.shared;
        let corrupt = shared.damage().corrupt;
        let positions = shared.cursors.positions();
        let queued_bytes = shared.queue.bytes() as u64;
        let pressure = shared.judged();
        let state = shared.state();
        let cursors = positions.into_iter().map(|(name, at)| {
            let lag_bytes = state.bytes_from(at);
            CursorStatus { name, position: Position(at), lag_bytes }
        });
        Status {
            start: Position(state.start()),
            end: Position(state.end),
            bytes: state.bytes,
            bytes_max: shared.settings.bytes_max,
            segments: state.segments.len(),
            queued_bytes,
            queued_bytes_max: shared.settings.queue_bytes_max as u64,
            ack: shared.settings.ack,
            cursors: cursors.collect(),
            corrupt,
            poisoned: state.poisoned,
            failing: state.failing,
            pressure,
        }
    }

    /// Waits until there is something past `at`, or until the log is closed.
    pub async fn changed_past(&self, at: Position) {
        let mut progress = self.0.shared.progress.subscribe();
        // The sender lives in what this borrows, so the wait cannot fail.
        progress.wait_for(|seen| seen.closed || seen.end > at.0).await.ok();
    }

    /// Takes no more batches, commits those that wait, and saves the cursors. Waits for the disk.
    pub fn close(&self) {
        self.0.stop();
        self.0.shared.finish();
    }
}

impl Inner {
    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let running = thread::Builder::new().name(name.to_owned()).spawn(run);
        self.threads().push(running.map_err(Error::io(&self.shared.settings.dir))?);
        Ok(())
    }

    /// Returns when the writer is done, and what it wrote is synced.
    fn stop(&self) {
        self.shared.queue.close();
        let running: Vec<_> = self.threads().drain(..).collect();
        for thread in running {
            if thread.join().is_err() {
                tracing::error!("a thread of the log ended early");
            }
        }
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Syncs group after group while the writer writes the next.
fn sync(shared: Arc<Shared>) {
    let farewell = Farewell(shared);
    let shared = &farewell.0;
    while shared.flight.wait() {
        shared.settle();
    }
}

/// Callers must not wait for a thread that is no more, whatever ended it.
pub(super) struct Farewell(pub(super) Arc<Shared>);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.queue.abandon();
        if thread::panicking() {
            self.0.flight.abandon();
        } else {
            self.0.flight.close();
        }
    }
}

impl Drop for Inner {
    /// A log that was let go without [`Log::close`] keeps what it acknowledged; its cursors stay
    /// as they were saved last.
    fn drop(&mut self) {
        self.stop();
        self.shared.end_readers();
    }
}
