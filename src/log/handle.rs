//! The log as the other stages hold it.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use super::frame::LENGTH_MAX;
use super::queue::Pending;
use super::reader::{Cursor, Reader};
use super::shared::Shared;
use super::writer::Writer;
use super::{Batch, CursorStatus, Error, Settings, Status};
use crate::evidence::{Nanos, Position};
use crate::ledger::Refusal;
use crate::redact::Clean;

/// The open log. Clones are the same log; the last one to go stops its writer.
#[derive(Clone, Debug)]
pub struct Log(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Log {
    /// Opens the log, whatever state an earlier run left it in, and starts its writer.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] while another process has it, [`Error::Newer`] when a later version
    /// wrote it, [`Error::Io`] when the disk fails.
    pub fn open(settings: Settings) -> Result<Self, Error> {
        let dir = settings.dir.clone();
        let shared = Arc::new(Shared::open(settings)?);
        let writer = Writer::new(Arc::clone(&shared));
        let thread = thread::Builder::new().name("log".to_owned());
        let running = thread.spawn(|| writer.run()).map_err(Error::io(dir))?;
        Ok(Self(Arc::new(Inner { shared, writer: Mutex::new(Some(running)) })))
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
    pub async fn append(&self, clean: Clean) -> Result<Position, Refusal> {
        let settings = &self.0.shared.settings;
        let bytes = clean.bytes().len();
        let fits_disk = bytes as u64 <= settings.bytes_max / 4;
        if bytes > settings.queue_bytes_max.min(LENGTH_MAX) || !fits_disk {
            return Err(Refusal::TooLarge);
        }
        let payload_crc = crc32fast::hash(clean.bytes());
        let (reply, answer) = oneshot::channel();
        self.0.shared.queue.push(Pending { clean, payload_crc, reply })?;
        answer.await.unwrap_or(Err(Refusal::LogFailed))
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

    /// Saves the cursors, drops what nobody keeps, and in memory mode syncs what was written.
    /// To be called about once a second, where waiting for the disk is allowed.
    pub fn trim(&self, now: Nanos) {
        if !self.0.shared.progress.borrow().closed {
            self.0.shared.trim(now);
        }
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
        let state = shared.state();
        let cursors = positions.into_iter().map(|(name, at)| {
            let lag_bytes = state.end.saturating_sub(at);
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
    /// Returns when the writer is done.
    fn stop(&self) {
        self.shared.queue.close();
        let running = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if running.is_some_and(|running| running.join().is_err()) {
            tracing::error!("log writer ended early");
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
