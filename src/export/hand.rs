//! What a destination has in its hand: read from the log, and not settled.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use crate::evidence::{Position, Signal};
use crate::ledger::BySignal;

/// What was read and is neither delivered, lost nor passed. With what lies ahead in the log, it is
/// all that the destination holds: a request that is retried holds its own items and no others.
#[derive(Debug, Default)]
pub struct Hand {
    read: AtomicU64,
    items: BySignal,
    /// Everything before it is settled.
    settled: watch::Sender<Position>,
}

impl Hand {
    /// An empty one, for a reader that begins at `from`.
    #[must_use]
    pub fn new(from: Position) -> Self {
        let (read, settled) = (AtomicU64::new(from.0), watch::Sender::new(from));
        Self { read, items: BySignal::default(), settled }
    }

    /// Waits until the batch at `position` is settled, and all before it.
    pub async fn settled_past(&self, position: Position) {
        // The sender lives as long as this does.
        self.settled.subscribe().wait_for(|to| *to > position).await.ok();
    }

    /// Where the reader goes on.
    #[must_use]
    pub fn read_to(&self) -> Position {
        Position(self.read.load(Ordering::Acquire))
    }

    /// Items that were read and are not settled.
    #[must_use]
    pub fn items(&self, signal: Signal) -> u64 {
        self.items.get(signal)
    }

    pub(super) fn take(&self, next: Position, signal: Signal, items: u64) {
        self.items.add(signal, items);
        self.skip(next);
    }

    /// Nothing before `next` is there to be taken.
    pub(super) fn skip(&self, next: Position) {
        self.read.store(next.0, Ordering::Release);
    }

    pub(super) fn settled_to(&self, to: Position) {
        self.settled.send_replace(to);
    }

    pub(super) fn settle(&self, signal: Signal, items: u64) {
        self.items.remove(signal, items);
    }
}
