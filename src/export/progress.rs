//! How far everything is delivered.

use std::collections::BTreeSet;

use crate::evidence::Position;

/// The batches that were taken and are not settled.
#[derive(Debug, Default)]
pub(super) struct Progress {
    open: BTreeSet<Position>,
    /// The end of the last batch that was taken.
    end: Position,
    told: Position,
}

impl Progress {
    pub(super) fn take(&mut self, position: Position, next: Position) {
        self.open.insert(position);
        self.end = self.end.max(next);
    }

    pub(super) fn settle(&mut self, positions: &[Position]) {
        for position in positions {
            self.open.remove(position);
        }
    }

    /// The position before which all is settled, if it is further than the last time.
    pub(super) fn news(&mut self) -> Option<Position> {
        let reached = self.open.first().copied().unwrap_or(self.end);
        (reached > self.told).then(|| {
            self.told = reached;
            reached
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_is_delivered_before_the_first_batch_is() {
        let mut progress = Progress::default();
        progress.take(Position(10), Position(20));
        progress.take(Position(20), Position(30));
        assert_eq!(progress.news(), Some(Position(10)));

        progress.settle(&[Position(20)]);
        assert_eq!(progress.news(), None);
        progress.settle(&[Position(10)]);
        assert_eq!(progress.news(), Some(Position(30)));
    }

    proptest! {
        #[test]
        fn delivered_is_always_the_first_that_is_not_settled(order in Just((0..40_u64).collect::<Vec<_>>()).prop_shuffle()) {
            let mut progress = Progress::default();
            (0..40).for_each(|at| progress.take(Position(at * 7), Position(at * 7 + 7)));
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
