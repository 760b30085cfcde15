//! Room for journeys that closed and are not finished: a bound on their evidence, wherever they are.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::join::Journey;

/// How often whoever waits looks whether the gateway stops.
const LOOK: Duration = Duration::from_millis(100);

/// Shared by the shards, which take, and the finisher, which gives back.
#[derive(Debug)]
pub(crate) struct Room {
    state: Mutex<State>,
    freed: Condvar,
    evidence_max: usize,
}

#[derive(Debug, Default)]
struct State {
    used: usize,
    /// Whoever waits: without anybody, nobody is to be woken.
    waiting: usize,
}

impl Room {
    pub(crate) fn new(evidence_max: usize) -> Self {
        Self { state: Mutex::default(), freed: Condvar::new(), evidence_max }
    }

    /// Waits for room for a journey. One that is larger than all room waits until it is alone.
    /// False when the gateway stops meanwhile.
    pub(super) fn take(&self, journey: &Journey, halt: &CancellationToken) -> bool {
        let weight = journey.weight();
        let mut state = self.state();
        while state.used > 0 && state.used.saturating_add(weight) > self.evidence_max {
            if halt.is_cancelled() {
                return false;
            }
            state.waiting += 1;
            let waited = self.freed.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.waiting -= 1;
        }
        state.used = state.used.saturating_add(weight);
        true
    }

    /// Journeys of this weight together are finished.
    pub(super) fn give(&self, weight: usize) {
        let mut state = self.state();
        state.used = state.used.saturating_sub(weight);
        if state.waiting > 0 {
            self.freed.notify_all();
        }
    }

    /// What may wait for a commit: the rest is for what is on its way to the finisher, or the shards
    /// would stand still until the commit.
    pub(super) fn committed_at(&self) -> usize {
        self.evidence_max / 2
    }

    #[cfg(test)]
    pub(super) fn used_for_test(&self) -> usize {
        self.state().used
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;
    use crate::evidence::{Facts, Place, Position};
    use crate::join::Home;

    /// A journey that weighs four and so many.
    fn journey(evidence: u64) -> Journey {
        let place = |at| Place { batch: Position(at), offset: 0 };
        let evidence = (0..evidence).map(|at| (Facts::default(), place(at))).collect();
        Journey::new(Home::Alone(place(0)), evidence)
    }

    #[test]
    fn who_finds_no_room_waits_until_a_journey_is_finished() {
        let (room, halt) = (Arc::new(Room::new(10)), CancellationToken::new());
        let small = journey(1);
        assert!(room.take(&small, &halt) && room.take(&small, &halt));
        let third = {
            let room = Arc::clone(&room);
            thread::spawn(move || room.take(&journey(1), &CancellationToken::new()))
        };
        thread::park_timeout(Duration::from_millis(20));
        assert!(!third.is_finished());

        room.give(small.weight());

        assert!(third.join().unwrap());
        assert_eq!((room.used_for_test(), room.committed_at()), (10, 5));
    }

    #[test]
    fn a_journey_larger_than_all_room_goes_alone() {
        let (room, halt) = (Room::new(3), CancellationToken::new());
        assert!(room.take(&journey(9), &halt));
        halt.cancel();
        assert!(!room.take(&journey(9), &halt));
        room.give(journey(9).weight());
        assert!(room.take(&journey(9), &halt));
    }
}
