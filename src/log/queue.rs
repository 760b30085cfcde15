//! Batches on their way to the disk: many callers put in, the one writer takes out.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::frame::FRAME_BYTES;
use super::pack::Packed;
use crate::evidence::Position;
use crate::ledger::Refusal;

/// Where a caller waits.
pub(super) type Reply = oneshot::Sender<Result<Position, Refusal>>;

/// A batch whose caller waits.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) packed: Packed,
    pub(super) reply: Reply,
}

/// Bounded by bytes, those being written included; more are refused as busy.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    pending: VecDeque<Pending>,
    bytes: usize,
    closed: bool,
    is_untidy: bool,
}

impl Pending {
    /// Bytes on disk.
    pub(super) fn frame_bytes(&self) -> u64 {
        (self.packed.payload.stored().len() as u64).saturating_add(FRAME_BYTES as u64)
    }

    /// Bytes in memory.
    pub(super) fn held_bytes(&self) -> usize {
        self.packed.payload.held_bytes()
    }
}

impl Queue {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { waiting: Mutex::default(), changed: Condvar::new(), bytes_max }
    }

    pub(super) fn push(&self, pending: Pending) -> Result<(), Refusal> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(Refusal::Closing);
        }
        let bytes = waiting.bytes.saturating_add(pending.held_bytes());
        if bytes > self.bytes_max {
            return Err(Refusal::Busy);
        }
        waiting.bytes = bytes;
        waiting.pending.push_back(pending);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for batches and takes as many as fit in `room`, at least one; or none when the
    /// writer was asked to tidy up. `None` once the queue is closed and empty.
    pub(super) fn take(&self, room: u64) -> Option<Vec<Pending>> {
        let idle = |waiting: &mut Waiting| {
            waiting.pending.is_empty() && !waiting.closed && !waiting.is_untidy
        };
        let waited = self.changed.wait_while(self.lock(), idle);
        let mut waiting = waited.unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut waiting.is_untidy) {
            return Some(Vec::new());
        }
        let mut group = vec![waiting.pending.pop_front()?];
        let mut bytes = group.iter().map(Pending::frame_bytes).sum::<u64>();
        while let Some(next) = waiting.pending.front() {
            bytes = bytes.saturating_add(next.frame_bytes());
            if bytes > room {
                break;
            }
            group.extend(waiting.pending.pop_front());
        }
        Some(group)
    }

    /// Bytes that wait for the disk.
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Asks the writer to give up the room that its segment has not used.
    pub(super) fn tidy(&self) {
        self.lock().is_untidy = true;
        self.changed.notify_one();
    }

    /// Batches of this many bytes have been written or refused.
    pub(super) fn done(&self, bytes: usize) {
        let mut waiting = self.lock();
        waiting.bytes = waiting.bytes.saturating_sub(bytes);
    }

    /// No more batches come in; those inside are still taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Nobody takes any more. Those inside are let go, and their callers learn of it.
    pub(super) fn abandon(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.pending.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::log::tests::head;
    use crate::redact::Clean;

    fn pending(length: usize) -> Pending {
        let clean = Clean::for_test(head(1), Bytes::from(vec![0; length]));
        Pending { packed: Packed::new(&clean, None), reply: oneshot::channel().0 }
    }

    #[test]
    fn a_full_queue_is_busy_until_what_was_taken_is_done() {
        let queue = Queue::new(100);
        queue.push(pending(100)).unwrap();
        assert_eq!(queue.push(pending(1)), Err(Refusal::Busy));
        assert_eq!(queue.take(u64::MAX).map(|group| group.len()), Some(1));
        assert_eq!(queue.push(pending(1)), Err(Refusal::Busy));
        queue.done(100);
        assert_eq!(queue.push(pending(1)), Ok(()));
    }

    #[test]
    fn a_group_takes_what_fits_and_at_least_one() {
        let queue = Queue::new(1000);
        for _ in 0..3 {
            queue.push(pending(100)).unwrap();
        }
        let two = 2 * pending(100).frame_bytes();
        assert_eq!(queue.take(two).map(|group| group.len()), Some(2));
        assert_eq!(queue.take(0).map(|group| group.len()), Some(1));
    }

    #[test]
    fn who_is_asked_to_tidy_up_takes_nothing_and_then_what_is_there() {
        let queue = Queue::new(1000);
        queue.push(pending(1)).unwrap();
        queue.tidy();
        let taken = [queue.take(0), queue.take(0)].map(|group| group.map(|group| group.len()));
        assert_eq!(taken, [Some(0), Some(1)]);
    }

    #[test]
    fn a_closed_queue_refuses_and_is_drained() {
        let queue = Queue::new(1000);
        queue.push(pending(1)).unwrap();
        queue.close();
        assert_eq!(queue.push(pending(1)), Err(Refusal::Closing));
        assert_eq!(queue.take(0).map(|group| group.len()), Some(1));
        assert!(queue.take(0).is_none());
    }
}
