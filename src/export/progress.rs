//! How far everything is delivered.

use std::collections::BTreeMap;

use crate::evidence::{Nanos, Position};

/// The batches that were taken and are not settled.
#[derive(Debug, Default)]
pub(super) struct Progress {
    open: BTreeMap<Position, Open>,
    /// Their bytes: a part of a batch keeps all of it in memory.
    bytes: usize,
    /// The end of the last batch that was taken.
    end: Position,
    told: Position,
}

/// A batch that is on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    /// Requests that have a part of it, and are not settled.
    pub(super) parts: usize,
    pub(super) bytes: usize,
    pub(super) received: Nanos,
}

impl Progress {
    pub(super) fn take(&mut self, position: Position, next: Position, open: Open) {
        self.pass(next);
        if open.parts > 0 {
            self.bytes += open.bytes;
            self.open.insert(position, open);
        }
    }

    /// Nothing up to `next` is left to deliver.
    pub(super) fn pass(&mut self, next: Position) {
        self.end = self.end.max(next);
    }

    pub(super) fn settle(&mut self, positions: &[Position]) {
        for position in positions {
            let Some(open) = self.open.get_mut(position) else { continue };
            open.parts -= 1;
            if open.parts == 0 {
                self.bytes -= open.bytes;
                self.open.remove(position);
            }
        }
    }

    /// The position before which all is settled, if it is further than the last time.
    pub(super) fn news(&mut self) -> Option<Position> {
        let reached = self.open.first_key_value().map_or(self.end, |(position, _)| *position);
        (reached > self.told).then(|| {
            self.told = reached;
            reached
        })
    }

    /// Bytes of the batches that are not settled.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the first batch that is not settled was received.
    pub(super) fn oldest(&self) -> Option<Nanos> {
        self.open.first_key_value().map(|(_, open)| open.received)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn open(parts: usize) -> Open {
        Open { parts, bytes: 10, received: Nanos(1) }
    }

    #[test]
    fn nothing_is_delivered_before_the_first_batch_is() {
        let mut progress = Progress::default();
        progress.take(Position(10), Position(20), open(1));
        progress.take(Position(20), Position(30), open(1));
        assert_eq!(progress.news(), Some(Position(10)));

        progress.settle(&[Position(20)]);
        assert_eq!(progress.news(), None);
        progress.settle(&[Position(10)]);
        assert_eq!(progress.news(), Some(Position(30)));
    }

    #[test]
    fn a_batch_is_delivered_with_its_last_part() {
        let mut progress = Progress::default();
        progress.take(Position(10), Position(20), open(2));
        progress.news();

        progress.settle(&[Position(10)]);
        assert_eq!((progress.news(), progress.bytes()), (None, 10));
        progress.settle(&[Position(10)]);
        assert_eq!((progress.news(), progress.bytes()), (Some(Position(20)), 0));
    }

    proptest! {
        #[test]
        fn delivered_is_always_the_first_that_is_not_settled(order in Just((0..40_u64).collect::<Vec<_>>()).prop_shuffle()) {
            let mut progress = Progress::default();
            (0..40).for_each(|at| progress.take(Position(at * 7), Position(at * 7 + 7), open(1)));
            let mut settled = BTreeSet::new();
            let mut reached = Position(0);
            for at in order {
                progress.settle(&[Position(at * 7)]);
                settled.insert(at);
                reached = progress.news().unwrap_or(reached);
                let first = (0..40).find(|at| !settled.contains(at)).unwrap_or(40);
                prop_assert_eq!(reached, Position(first * 7));
            }
        }
    }
}
