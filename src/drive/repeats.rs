//! Requests that are sent again: a sender that heard no answer repeats what is in the log already.
//!
//! A request is known by the digest of its bytes. While the first is on its way the second waits
//! for it: most senders repeat because the first is slow, and not because it failed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::sync::watch;

use crate::evidence::{Digest, Nanos, Position};
use crate::log::Log;
use crate::redact::Rejected;

/// The requests of the last while. Clones are the same.
#[derive(Clone)]
pub(crate) struct Repeats {
    known: Arc<Mutex<Known>>,
    window: Duration,
    capacity: usize,
}

/// What became of a request that is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Where it lies.
    pub(crate) position: Position,
    /// Items of it in the log.
    pub(crate) items: u64,
    /// Items of it that were rejected, and are again.
    pub(crate) rejected: Rejected,
}

/// Whether a request is new.
pub(crate) enum Claim {
    /// It is, or those before it failed.
    First(Pending),
    /// It is in the log.
    Again(Kept),
}

/// A request on its way into the log. Dropped before it is kept, it never was.
pub(crate) struct Pending {
    digest: Digest,
    known: Arc<Mutex<Known>>,
    capacity: usize,
    outcome: watch::Sender<Option<Kept>>,
}

#[derive(Default)]
struct Known {
    states: HashMap<Digest, State, RandomState>,
    /// Those that are kept, oldest first.
    order: VecDeque<(Nanos, Digest)>,
}

enum State {
    Pending(watch::Receiver<Option<Kept>>),
    Kept(Kept),
}

impl Repeats {
    /// Knows requests for `window`, and at most `capacity` of them. Without either, none.
    pub(crate) fn new(window: Duration, capacity: usize) -> Self {
        Self { known: Arc::default(), window, capacity }
    }

    /// Answers when it is clear whether a request is new.
    pub(crate) async fn claim(&self, digest: Digest, now: Nanos) -> Claim {
        loop {
            let mut waiting = {
                let mut known = lock(&self.known);
                known.forget_before(now.before(self.window));
                match known.states.get(&digest) {
                    Some(State::Kept(kept)) => return Claim::Again(*kept),
                    Some(State::Pending(outcome)) => outcome.clone(),
                    None => return Claim::First(self.begin(&mut known, digest)),
                }
            };
            // It is kept before its sender is dropped; without that it has failed.
            if let Ok(kept) = waiting.wait_for(Option::is_some).await
                && let Some(kept) = *kept
            {
                return Claim::Again(kept);
            }
        }
    }

    /// Knows what the log has of the last while.
    pub(crate) fn recall(&self, log: &Log, now: Nanos) {
        let mut known = lock(&self.known);
        let recent = log.recent(now.before(self.window), self.capacity);
        for (head, position) in recent.into_iter().rev() {
            let kept = Kept { position, items: head.items.into(), rejected: Rejected::default() };
            known.keep(head.digest, head.received, kept, self.capacity);
        }
    }

    fn begin(&self, known: &mut Known, digest: Digest) -> Pending {
        let (outcome, waiting) = watch::channel(None);
        known.states.insert(digest, State::Pending(waiting));
        Pending { digest, known: Arc::clone(&self.known), capacity: self.capacity, outcome }
    }
}

impl Pending {
    /// The log has it.
    pub(crate) fn keep(self, kept: Kept, now: Nanos) {
        lock(&self.known).keep(self.digest, now, kept, self.capacity);
        self.outcome.send_replace(Some(kept));
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let mut known = lock(&self.known);
        if matches!(known.states.get(&self.digest), Some(State::Pending(_))) {
            known.states.remove(&self.digest);
        }
    }
}

impl Known {
    fn keep(&mut self, digest: Digest, now: Nanos, kept: Kept, capacity: usize) {
        self.states.insert(digest, State::Kept(kept));
        self.order.push_back((now, digest));
        while self.order.len() > capacity {
            self.forget_oldest();
        }
    }

    fn forget_before(&mut self, time: Nanos) {
        while self.order.front().is_some_and(|(kept, _)| *kept <= time) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, digest)) = self.order.pop_front() {
            self.states.remove(&digest);
        }
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(600);
    const DIGEST: Digest = Digest(7);
    const KEPT: Kept = Kept {
        position: Position(72),
        items: 3,
        rejected: Rejected { trace_id: 1, span_id: 0, first: 2 },
    };

    async fn first(repeats: &Repeats, digest: Digest, now: Nanos) -> Option<Pending> {
        match repeats.claim(digest, now).await {
            Claim::First(pending) => Some(pending),
            Claim::Again(_) => None,
        }
    }

    #[tokio::test]
    async fn a_request_that_is_in_the_log_is_known() {
        let repeats = Repeats::new(WINDOW, 10);
        first(&repeats, DIGEST, Nanos(1)).await.expect("new").keep(KEPT, Nanos(1));

        let Claim::Again(kept) = repeats.claim(DIGEST, Nanos(2)).await else { panic!("new") };

        assert_eq!(kept, KEPT);
    }

    #[tokio::test]
    async fn a_request_that_failed_is_new_when_it_comes_again() {
        let repeats = Repeats::new(WINDOW, 10);
        drop(first(&repeats, DIGEST, Nanos(1)).await);

        assert!(first(&repeats, DIGEST, Nanos(2)).await.is_some());
    }

    #[tokio::test]
    async fn the_second_waits_for_the_first() {
        let repeats = Repeats::new(WINDOW, 10);
        let pending = first(&repeats, DIGEST, Nanos(1)).await.expect("new");
        let again = repeats.clone();
        let second = tokio::spawn(async move { again.claim(DIGEST, Nanos(2)).await });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());

        pending.keep(KEPT, Nanos(3));

        assert!(matches!(second.await, Ok(Claim::Again(kept)) if kept == KEPT));
    }

    #[tokio::test]
    async fn the_second_takes_over_when_the_first_fails() {
        let repeats = Repeats::new(WINDOW, 10);
        let pending = first(&repeats, DIGEST, Nanos(1)).await.expect("new");
        let again = repeats.clone();
        let second = tokio::spawn(async move { again.claim(DIGEST, Nanos(2)).await });
        tokio::task::yield_now().await;

        drop(pending);

        assert!(matches!(second.await, Ok(Claim::First(_))));
    }

    #[tokio::test]
    async fn a_request_is_new_again_after_the_window() {
        let repeats = Repeats::new(WINDOW, 10);
        first(&repeats, DIGEST, Nanos(1)).await.expect("new").keep(KEPT, Nanos(1));

        assert!(first(&repeats, DIGEST, Nanos(1).after(WINDOW)).await.is_some());
    }

    #[tokio::test]
    async fn the_oldest_is_forgotten_past_the_capacity() {
        let repeats = Repeats::new(WINDOW, 2);
        for digest in 1..=3 {
            let pending = first(&repeats, Digest(digest), Nanos(1)).await.expect("new");
            pending.keep(KEPT, Nanos(1));
        }

        assert!(first(&repeats, Digest(1), Nanos(2)).await.is_some());
        assert!(first(&repeats, Digest(2), Nanos(2)).await.is_none());
        assert_eq!(lock(&repeats.known).order.len(), 2);
    }

    #[tokio::test]
    async fn nothing_is_known_without_a_window() {
        let repeats = Repeats::new(Duration::ZERO, 10);
        first(&repeats, DIGEST, Nanos(1)).await.expect("new").keep(KEPT, Nanos(1));

        assert!(first(&repeats, DIGEST, Nanos(1)).await.is_some());
    }
}
