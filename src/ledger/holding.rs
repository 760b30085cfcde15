//! What a consumer has in its hands, by the batch it came in.
//!
//! A journey gathers evidence of many batches and lets go of it in another order. The lowest batch
//! of which anything is still held is where the consumer has to begin again after a crash.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::BySignal;
use crate::evidence::{Position, Signal};

/// Held evidence, counted per batch.
#[derive(Debug, Default)]
pub struct Holding {
    batches: Mutex<VecDeque<Batch>>,
    items: BySignal,
}

#[derive(Debug)]
struct Batch {
    position: Position,
    signal: Signal,
    left: u32,
}

impl Holding {
    /// Holds nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes `items` of the batch at `position`. Batches come in the order of the log.
    pub fn take(&self, position: Position, signal: Signal, items: u32) {
        if items == 0 {
            return;
        }
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        batches.push_back(Batch { position, signal, left: items });
        self.items.add(signal, u64::from(items));
    }

    /// Lets go of one item of the batch at `position`; answers its signal. `None` when nothing of
    /// that batch is held.
    pub fn settle(&self, position: Position) -> Option<Signal> {
        let settled = self.settle_all([position]);
        Signal::ALL
            .into_iter()
            .zip(settled)
            .find_map(|(signal, items)| (items > 0).then_some(signal))
    }

    /// Lets go of one item for each position; answers how many were held, in the order of
    /// [`Signal::ALL`].
    pub fn settle_all(&self, positions: impl IntoIterator<Item = Position>) -> [u64; 3] {
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut settled, mut last) = ([0; 3], 0);
        for position in positions {
            // A journey's evidence often came in one batch.
            let is_last = batches.get(last).is_some_and(|batch| batch.position == position);
            if !is_last {
                let found = batches.binary_search_by_key(&position, |batch| batch.position);
                let Ok(at) = found else { continue };
                last = at;
            }
            let Some(batch) = batches.get_mut(last).filter(|batch| batch.left > 0) else {
                continue;
            };
            batch.left -= 1;
            if let Some(items) = settled.get_mut(batch.signal as usize) {
                *items += 1;
            }
        }
        for (signal, items) in Signal::ALL.into_iter().zip(settled) {
            if items > 0 {
                self.items.remove(signal, items);
            }
        }
        while batches.front().is_some_and(|batch| batch.left == 0) {
            batches.pop_front();
        }
        settled
    }

    /// Takes one item more of a batch that was taken before, even if all of it was settled since.
    pub fn take_again(&self, position: Position, signal: Signal) {
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        match batches.binary_search_by_key(&position, |batch| batch.position) {
            Ok(at) => {
                if let Some(batch) = batches.get_mut(at) {
                    batch.left += 1;
                }
            }
            Err(at) => batches.insert(at, Batch { position, signal, left: 1 }),
        }
        self.items.add(signal, 1);
    }

    /// The first batch of which anything is held.
    #[must_use]
    pub fn lowest(&self) -> Option<Position> {
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        batches.front().map(|batch| batch.position)
    }

    /// Items held.
    #[must_use]
    pub fn items(&self, signal: Signal) -> u64 {
        self.items.get(signal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_batch_stays_until_its_last_item_is_settled() {
        let holding = Holding::new();
        holding.take(Position(10), Signal::Traces, 2);
        holding.take(Position(20), Signal::Logs, 1);

        holding.settle(Position(20));
        holding.settle(Position(10));
        assert_eq!(holding.lowest(), Some(Position(10)));

        holding.settle(Position(10));
        assert_eq!(holding.lowest(), None);
    }

    #[test]
    fn a_batch_that_was_settled_is_the_lowest_again_when_an_item_comes_back() {
        let holding = Holding::new();
        holding.take(Position(10), Signal::Logs, 1);
        holding.take(Position(20), Signal::Logs, 1);
        holding.settle(Position(10));

        holding.take_again(Position(10), Signal::Logs);

        assert_eq!(holding.lowest(), Some(Position(10)));
        assert_eq!(holding.items(Signal::Logs), 2);
    }

    #[test]
    fn what_is_not_held_cannot_be_settled() {
        let holding = Holding::new();
        holding.take(Position(10), Signal::Traces, 1);
        assert_eq!(holding.settle(Position(11)), None);
        assert_eq!(holding.settle(Position(10)), Some(Signal::Traces));
        assert_eq!(holding.settle(Position(10)), None);
        assert_eq!(holding.items(Signal::Traces), 0);
    }
}
