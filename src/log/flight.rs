//! Groups that are written and not yet synced: while the disk syncs some, the next are written.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::active::Active;
use super::queue::Reply;
use super::tail::Kept;

/// Callers that were answered together come back together, a moment later. To wait for them is
/// cheaper than a sync for the first and another for the rest; with fewer callers than last time
/// it is waited in vain once.
const GATHER: Duration = Duration::from_micros(300);

/// A group whose callers wait.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) active: Arc<Active>,
    pub(super) kept: Vec<Kept>,
    pub(super) replies: Vec<Reply>,
}

/// Between the writer and the thread that syncs. What is in it counts as queued, so that the
/// queue's bound is its bound.
#[derive(Debug, Default)]
pub(super) struct Flight {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    written: VecDeque<Written>,
    /// Batches in it.
    batches: usize,
    /// Batches that were taken last.
    taken: usize,
    is_closed: bool,
}

impl Written {
    pub(super) fn bytes(&self) -> usize {
        self.kept.iter().map(|kept| kept.batch.payload.held_bytes()).sum()
    }
}

impl Flight {
    pub(super) fn push(&self, written: Written) {
        let mut inner = self.lock();
        inner.batches += written.kept.len();
        inner.written.push_back(written);
        self.changed.notify_one();
    }

    /// Waits until there may be something; false once it is closed and empty.
    pub(super) fn wait(&self) -> bool {
        let idle = |inner: &mut Inner| inner.written.is_empty() && !inner.is_closed;
        let waited = self.changed.wait_while(self.lock(), idle);
        let inner = waited.unwrap_or_else(PoisonError::into_inner);
        let few = |inner: &mut Inner| inner.batches < inner.taken && !inner.is_closed;
        let waited = self.changed.wait_timeout_while(inner, GATHER, few);
        let (inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        // The writer may have taken all meanwhile, to end its segment.
        !inner.written.is_empty() || !inner.is_closed
    }

    /// All there is. They are of one segment: the next one is begun when nothing is in flight.
    pub(super) fn take(&self) -> VecDeque<Written> {
        let mut inner = self.lock();
        inner.taken = std::mem::take(&mut inner.batches);
        std::mem::take(&mut inner.written)
    }

    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Nobody syncs any more. Those inside are let go, and their callers learn of it.
    pub(super) fn abandon(&self) {
        let mut inner = self.lock();
        inner.is_closed = true;
        inner.written.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
