//! One budget of bytes for all requests in flight, shared fairly among their senders.
//!
//! As long as there is plenty, a sender may hold as much as it likes. When less than a quarter
//! would be left, one that has other requests in flight is kept to its share: the budget divided
//! among those that hold anything, and one more. So there is always room for the one that comes
//! next, and a sender that was greedy gets no more until it is below its share. A sender's only
//! request is never refused for its share, or the largest would never fit.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Extensions;

use super::Denial;
use super::deadline::Deadline;
use super::turn::{Turn, Turns};
use crate::ledger::Refusal;

/// Less than this part of the budget left is short.
const SHORT_PART: usize = 4;

/// Whose requests share one share: a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sender(u64);

/// What is left to hold.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    bytes_max: usize,
    held: Arc<Mutex<Held>>,
    turns: Turns,
}

/// A part of the budget; it goes back when this is dropped.
#[derive(Debug)]
pub(super) struct Hold {
    budget: Budget,
    sender: Sender,
    bytes: usize,
    /// Goes where the hold goes, so that work nobody waits for any more still has it.
    turn: Turn,
}

#[derive(Debug, Default)]
struct Held {
    bytes: usize,
    /// Only those that hold something: no more than there are holds.
    senders: HashMap<Sender, Share>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Share {
    bytes: usize,
    holds: usize,
}

impl Sender {
    /// One that is like no other.
    pub(super) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// The one that the door put beside the request; each request is its own without it.
    pub(super) fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or_else(Self::next)
    }
}

impl Budget {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, held: Arc::default(), turns: Turns::new() }
    }

    /// Never waits: a queue in front of a full gateway is memory without a bound.
    pub(super) fn take(&self, sender: Sender, bytes: usize) -> Result<Hold, Denial> {
        let mut held = self.held();
        self.allows(&held, sender, 0, bytes)?;
        held.senders.entry(sender).or_default().holds += 1;
        held.add(sender, bytes);
        Ok(Hold { budget: self.clone(), sender, bytes, turn: Turn::default() })
    }

    pub(super) fn left_bytes(&self) -> usize {
        self.bytes_max.saturating_sub(self.held().bytes)
    }

    /// Whether a request of `sender` that holds `own` may hold `more`.
    fn allows(&self, held: &Held, sender: Sender, own: usize, more: usize) -> Result<(), Denial> {
        let left = self.bytes_max.saturating_sub(held.bytes);
        let Some(rest) = left.checked_sub(more) else {
            return Err(Denial::new(Refusal::Busy, "too many bytes are in flight"));
        };
        let has = held.senders.get(&sender).map_or(0, |share| share.bytes);
        let share = self.bytes_max / (held.senders.len() + 1);
        if rest < self.bytes_max / SHORT_PART && has > own && has.saturating_add(more) > share {
            let message = "this connection has more than its share of the bytes in flight";
            return Err(Denial::new(Refusal::Busy, message));
        }
        Ok(())
    }

    /// A thread that died with the lock left whole numbers behind.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold {
    /// Holds `bytes` from now on; what is too much goes back.
    pub(super) fn resize(&mut self, bytes: usize) -> Result<(), Denial> {
        let mut held = self.budget.held();
        if bytes > self.bytes {
            let more = bytes - self.bytes;
            self.budget.allows(&held, self.sender, self.bytes, more)?;
            held.add(self.sender, more);
        } else {
            held.remove(self.sender, self.bytes - bytes);
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Waits until it is the turn of a body of so many bytes, which told what it will be long or not.
    pub(super) async fn begin(
        &mut self,
        encoded_bytes: usize,
        told: Option<usize>,
        deadline: Deadline,
    ) -> Result<(), Denial> {
        self.turn = self.budget.turns.take(encoded_bytes, told, deadline).await?;
        Ok(())
    }

    /// The turn, for whoever works on.
    pub(super) fn turn(&mut self) -> Turn {
        std::mem::take(&mut self.turn)
    }

    /// Holds `bytes` at least.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Denial> {
        if bytes > self.bytes { self.resize(bytes) } else { Ok(()) }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.budget.held();
        held.remove(self.sender, self.bytes);
        held.leave(self.sender);
    }
}

impl Held {
    fn add(&mut self, sender: Sender, bytes: usize) {
        self.bytes += bytes;
        self.senders.entry(sender).or_default().bytes += bytes;
    }

    fn remove(&mut self, sender: Sender, bytes: usize) {
        self.bytes -= bytes;
        if let Some(share) = self.senders.get_mut(&sender) {
            share.bytes -= bytes;
        }
    }

    /// One hold of the sender is over; the last takes the sender with it.
    fn leave(&mut self, sender: Sender) {
        if let Some(share) = self.senders.get_mut(&sender) {
            share.holds -= 1;
            if share.holds == 0 {
                self.senders.remove(&sender);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hold_takes_and_gives_back_what_it_is_resized_to() {
        let budget = Budget::new(10 << 10);
        let mut hold = budget.take(Sender(1), 2 << 10).unwrap();

        hold.resize(9 << 10).unwrap();
        assert_eq!(budget.left_bytes(), 1 << 10);
        hold.resize(1).unwrap();
        assert_eq!(budget.left_bytes(), (10 << 10) - 1);
        drop(hold);
        assert_eq!(budget.left_bytes(), 10 << 10);
    }

    #[test]
    fn past_the_budget_a_hold_is_refused_as_busy_and_keeps_what_it_has() {
        let budget = Budget::new(4 << 10);
        let mut hold = budget.take(Sender(1), 3 << 10).unwrap();

        assert_eq!(hold.resize(5 << 10).unwrap_err().refusal, Refusal::Busy);
        assert_eq!(budget.take(Sender(2), 2 << 10).unwrap_err().refusal, Refusal::Busy);
        assert_eq!(budget.left_bytes(), 1 << 10);
    }

    #[test]
    fn one_request_may_take_the_whole_budget_and_a_second_beside_it_only_a_share() {
        let budget = Budget::new(100);
        drop(budget.take(Sender(1), 100).unwrap());
        let _first = budget.take(Sender(1), 60).unwrap();

        let second = budget.take(Sender(1), 30).unwrap_err();
        assert_eq!((second.refusal, second.message.contains("share")), (Refusal::Busy, true));
        let _other = budget.take(Sender(2), 30).unwrap();
    }

    /// What a sender does: takes a request of so many bytes, changes one, or ends one.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Take(u64, usize),
        Resize(usize, usize),
        End(usize),
    }

    fn steps(senders: u64) -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (0..senders, 0..400_usize).prop_map(|(sender, bytes)| Step::Take(sender, bytes)),
            1 => (any::<usize>(), 0..400_usize).prop_map(|(at, bytes)| Step::Resize(at, bytes)),
            1 => any::<usize>().prop_map(Step::End),
        ];
        prop::collection::vec(step, 0..200)
    }

    fn run(budget: &Budget, steps: &[Step]) -> Vec<Hold> {
        let mut holds = Vec::new();
        for step in steps {
            match *step {
                Step::Take(sender, bytes) => holds.extend(budget.take(Sender(sender), bytes)),
                Step::Resize(at, bytes) if !holds.is_empty() => {
                    let at = at % holds.len();
                    drop(holds[at].resize(bytes));
                }
                Step::End(at) if !holds.is_empty() => drop(holds.swap_remove(at % holds.len())),
                Step::Resize(..) | Step::End(_) => {}
            }
        }
        holds
    }

    const ALL: usize = 1000;

    proptest! {
        #[test]
        fn what_is_held_and_what_is_left_is_the_whole_budget(steps in steps(5)) {
            let budget = Budget::new(ALL);
            let holds = run(&budget, &steps);
            let held: usize = holds.iter().map(|hold| hold.bytes).sum();
            prop_assert_eq!(held + budget.left_bytes(), ALL);
            drop(holds);
            prop_assert_eq!(budget.left_bytes(), ALL);
            prop_assert!(budget.held().senders.is_empty());
        }

        /// Whatever one sender does with requests of up to a quarter of the budget, another that
        /// has none finds a quarter of it.
        #[test]
        fn one_greedy_sender_never_shuts_another_out(steps in steps(1), asked in 1..=ALL / 4) {
            let budget = Budget::new(ALL);
            let small: Vec<_> = steps.into_iter().map(|step| match step {
                Step::Take(sender, bytes) => Step::Take(sender, bytes.min(ALL / 4)),
                Step::Resize(at, bytes) => Step::Resize(at, bytes.min(ALL / 4)),
                Step::End(at) => Step::End(at),
            }).collect();
            let _holds = run(&budget, &small);
            prop_assert!(budget.take(Sender(9), asked).is_ok());
        }

        /// Greedy senders that take again whatever they give back fall below their share, and a
        /// modest one gets in before they have given back everything three times.
        #[test]
        fn many_greedy_senders_make_room(greedy in 1..8_u64, grain in 10..50_usize) {
            let budget = Budget::new(ALL);
            let one = |sender| budget.take(Sender(sender), grain).ok();
            let mut holds: VecDeque<_> = (0..greedy).filter_map(one).collect();
            let take_all = |holds: &mut VecDeque<Hold>| {
                for sender in 0..greedy {
                    while let Ok(hold) = budget.take(Sender(sender), grain) {
                        holds.push_back(hold);
                    }
                }
            };
            take_all(&mut holds);
            let modest = ALL / (usize::try_from(greedy).unwrap() + 2) / 2;
            let mut served = budget.take(Sender(99), modest).is_ok();
            for _ in 0..3 * holds.len() {
                drop(holds.pop_front());
                take_all(&mut holds);
                served |= budget.take(Sender(99), modest).is_ok();
            }
            prop_assert!(served);
        }

        #[test]
        fn a_sender_is_refused_only_when_the_budget_or_its_share_is_used(
            steps in steps(4), sender in 0..4_u64, asked in 0..ALL,
        ) {
            let budget = Budget::new(ALL);
            let holds = run(&budget, &steps);
            let own = |hold: &&Hold| hold.sender == Sender(sender);
            let has: usize = holds.iter().filter(own).map(|hold| hold.bytes).sum();
            let fits = asked <= budget.left_bytes();
            let alone = has == 0;
            let active = budget.held().senders.len();
            let within = has + asked <= ALL / (active + 1);
            let taken = budget.take(Sender(sender), asked).is_ok();
            prop_assert!(fits || !taken);
            prop_assert!(taken || !fits || !(alone || within));
        }
    }
}
