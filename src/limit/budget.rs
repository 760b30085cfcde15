//! At most so many distinct label sets; the rest share one slot.

use std::hash::Hash;
use std::time::Duration;

use hashbrown::HashMap;

use crate::evidence::Nanos;

/// Where the numbers of a label set are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// A slot of its own; dense, below the capacity.
    Own(usize),
    /// The slot that all label sets past the capacity share.
    Overflow,
}

/// Admits at most `capacity` distinct keys at a time.
///
/// A key keeps its slot until [`Budget::release`] finds it idle. Nothing is released behind the
/// caller's back, because the caller must clear what it holds for the slot before another key
/// gets it.
#[derive(Debug)]
pub struct Budget<K> {
    slots: HashMap<K, Entry>,
    /// Slots that were released and wait for a new key.
    free: Vec<usize>,
    capacity: usize,
    idle: Duration,
    observed: u64,
    folded: u64,
}

#[derive(Debug)]
struct Entry {
    slot: usize,
    seen: Nanos,
}

impl<K: Eq + Hash> Budget<K> {
    /// A budget for `capacity` keys; one that was not seen for `idle` may be released.
    #[must_use]
    pub fn new(capacity: usize, idle: Duration) -> Self {
        let (slots, free) = (HashMap::new(), Vec::new());
        Self { slots, free, capacity, idle, observed: 0, folded: 0 }
    }

    /// The slot of a known key, or of a new one while there is room; else the overflow, counted.
    pub fn admit(&mut self, key: K, now: Nanos) -> Slot {
        self.observed += 1;
        if let Some(entry) = self.slots.get_mut(&key) {
            entry.seen = entry.seen.max(now);
            return Slot::Own(entry.slot);
        }
        if self.slots.len() >= self.capacity {
            self.folded += 1;
            return Slot::Overflow;
        }
        // Without a free slot, the slots in use are exactly 0 to len - 1.
        let slot = self.free.pop().unwrap_or(self.slots.len());
        self.slots.insert(key, Entry { slot, seen: now });
        Slot::Own(slot)
    }

    /// Forgets the keys that are idle and names their slots, which new keys may get from now on.
    ///
    /// This walks all keys: call it once per window, not once per evidence.
    #[must_use = "what is held for a released slot must be cleared"]
    pub fn release(&mut self, now: Nanos) -> Vec<usize> {
        let idle = self.idle;
        let released: Vec<usize> = self
            .slots
            .extract_if(|_, entry| now.since(entry.seen) >= idle)
            .map(|(_, entry)| entry.slot)
            .collect();
        self.free.extend_from_slice(&released);
        released
    }

    /// Keys that have a slot of their own.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether no key has a slot.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many keys may have a slot of their own.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Observations so far, of all keys.
    #[must_use]
    pub fn observed(&self) -> u64 {
        self.observed
    }

    /// Observations so far that went to the overflow. How many distinct keys they had is not
    /// known: to know it would take the memory that the budget saves.
    #[must_use]
    pub fn folded(&self) -> u64 {
        self.folded
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::collection::vec;
    use proptest::prelude::any;
    use proptest::proptest;

    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    #[test]
    fn a_key_past_the_capacity_is_folded_and_counted() {
        let mut budget = Budget::new(1, IDLE);
        budget.admit("cart", Nanos(0));

        assert_eq!(budget.admit("pay", Nanos(0)), Slot::Overflow);
        assert_eq!(budget.admit("cart", Nanos(0)), Slot::Own(0));
        assert_eq!((budget.observed(), budget.folded()), (3, 1));
    }

    #[test]
    fn an_idle_key_makes_room_for_a_new_one() {
        let mut budget = Budget::new(2, IDLE);
        budget.admit("old", Nanos(0));
        budget.admit("busy", Nanos(0));
        let later = Nanos(0).after(IDLE);
        budget.admit("busy", later);

        assert_eq!(budget.release(later), [0]);
        assert_eq!(budget.admit("new", later), Slot::Own(0));
        assert_eq!(budget.admit("old", later), Slot::Overflow);
    }

    #[test]
    fn a_clock_that_steps_back_makes_nothing_idle() {
        let mut budget = Budget::new(1, IDLE);
        budget.admit("cart", Nanos(0).after(IDLE));
        budget.admit("cart", Nanos(0));

        assert_eq!(budget.release(Nanos(0).after(IDLE)), Vec::<usize>::new());
    }

    proptest! {
        #[test]
        fn slots_stay_within_the_capacity_and_totals_stay_exact(
            steps in vec((0u8..12, 0u64..90, any::<bool>()), 0..200),
            capacity in 0usize..5,
        ) {
            let mut budget = Budget::new(capacity, IDLE);
            let mut counts: HashMap<Slot, u64> = HashMap::new();
            let mut holders: HashMap<usize, u8> = HashMap::new();
            let (mut now, mut retired) = (Nanos(0), 0);
            for (key, wait_s, releases) in steps.iter().copied() {
                now = now.after(Duration::from_secs(wait_s));
                let freed = if releases { budget.release(now) } else { Vec::new() };
                for slot in freed {
                    retired += counts.remove(&Slot::Own(slot)).unwrap();
                    holders.remove(&slot);
                }
                let slot = budget.admit(key, now);
                *counts.entry(slot).or_default() += 1;
                if let Slot::Own(own) = slot {
                    assert!(own < capacity);
                    assert_eq!(*holders.entry(own).or_insert(key), key);
                }
            }

            let distinct: HashSet<&u8> = holders.values().collect();
            assert_eq!(distinct.len(), holders.len());
            assert!(counts.len() <= capacity + 1);
            assert_eq!(counts.values().sum::<u64>() + retired, steps.len() as u64);
            assert_eq!(counts.get(&Slot::Overflow).copied().unwrap_or(0), budget.folded());
        }
    }
}
