//! What is known of the segments. No I/O: every answer is of one moment, under one lock.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;

use super::frame::Totals;
use super::tail::{Kept, Tail};
use crate::evidence::Nanos;

/// A segment, and the log's counts around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) base: u64,
    /// The end of its published batches.
    pub(super) end: u64,
    /// Where the batches before it end. Between there and `base` nothing ever was.
    pub(super) previous_end: u64,
    pub(super) before: Totals,
    pub(super) after: Totals,
    /// The latest `received` up to its end.
    pub(super) newest: Nanos,
    pub(super) file_bytes: u64,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) segments: VecDeque<Segment>,
    /// The end of what readers may see.
    pub(super) end: u64,
    /// Size of all segments.
    pub(super) bytes: u64,
    pub(super) tail: Tail,
    /// The segment being written, for the background sync of [`super::Ack::Memory`].
    pub(super) active: Option<Arc<File>>,
    /// Segments given up because the disk failed on them.
    pub(super) poisoned: u64,
    /// Whether the latest group could not be written.
    pub(super) failing: bool,
}

/// Where a position leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Located {
    /// It was trimmed.
    Gone { start: u64 },
    /// The batches up to `to` are missing from the disk; the next segment begins at `base`.
    Missing { to: u64, base: u64 },
    /// The next batch is in this segment, at this position.
    At(Segment, u64),
    /// There is nothing yet.
    End { at: u64 },
}

impl State {
    pub(super) fn new(segments: VecDeque<Segment>, end: u64, tail: Tail) -> Self {
        let bytes = segments.iter().map(|segment| segment.file_bytes).sum();
        Self { segments, end, bytes, tail, active: None, poisoned: 0, failing: false }
    }

    pub(super) fn start(&self) -> u64 {
        self.segments.front().map_or(self.end, |segment| segment.previous_end.min(segment.base))
    }

    /// Items counted up to the end.
    pub(super) fn totals(&self) -> Totals {
        self.segments.back().map_or([0; 3], |segment| segment.after)
    }

    pub(super) fn newest(&self) -> Nanos {
        self.segments.back().map_or(Nanos(0), |segment| segment.newest)
    }

    pub(super) fn locate(&self, at: u64) -> Located {
        let start = self.start();
        if at < start {
            return Located::Gone { start };
        }
        let mut at = at;
        let ahead = self.segments.partition_point(|segment| segment.end <= at);
        for segment in self.segments.range(ahead..) {
            if segment.previous_end > at {
                return Located::Missing { to: segment.previous_end, base: segment.base };
            }
            at = at.max(segment.base);
            if at < segment.end {
                return Located::At(*segment, at);
            }
        }
        Located::End { at: at.max(self.end) }
    }

    /// The segment whose counts hold for `at`: the last one that begins there or before.
    pub(super) fn segment_before(&self, at: u64) -> Option<Segment> {
        let after = self.segments.partition_point(|segment| segment.base <= at);
        self.segments.get(after.saturating_sub(1)).copied()
    }

    /// Makes batches of the last segment visible. They are as safe as they have to be.
    pub(super) fn publish(&mut self, group: Vec<Kept>) {
        let Some(segment) = self.segments.back_mut() else { return };
        for kept in group {
            let grown = kept.batch.next.0.saturating_sub(kept.batch.position.0);
            segment.end = kept.batch.next.0;
            segment.after = kept.after;
            segment.newest = segment.newest.max(kept.batch.head.received);
            segment.file_bytes = segment.file_bytes.saturating_add(grown);
            self.bytes = self.bytes.saturating_add(grown);
            self.tail.push(kept);
        }
        self.end = segment.end;
    }

    pub(super) fn open_segment(&mut self, segment: Segment, file: Arc<File>) {
        self.bytes = self.bytes.saturating_add(segment.file_bytes);
        self.segments.push_back(segment);
        self.active = Some(file);
    }

    /// The last segment's file is larger than what was published of it.
    pub(super) fn resize_last(&mut self, file_bytes: u64) {
        let Some(segment) = self.segments.back_mut() else { return };
        let others = self.bytes.saturating_sub(segment.file_bytes);
        segment.file_bytes = file_bytes;
        self.bytes = others.saturating_add(file_bytes);
    }

    /// Forgets the last segment, unless it alone tells where the log ends.
    pub(super) fn remove_last(&mut self) -> bool {
        if self.segments.len() < 2 {
            return false;
        }
        let removed = self.segments.pop_back();
        self.bytes = self.bytes.saturating_sub(removed.map_or(0, |segment| segment.file_bytes));
        true
    }

    /// Forgets the oldest segments that lie before `floor` and are older than `oldest` or in the
    /// way of the budget, and returns their bases. The last one stays: its name is what tells a
    /// restart where the log ends.
    pub(super) fn drop_passed(&mut self, floor: u64, oldest: Nanos, budget: u64) -> Vec<u64> {
        let mut dropped = Vec::new();
        while self.segments.len() > 1 {
            let Some(front) = self.segments.front() else { break };
            let wanted = front.newest < oldest || self.bytes > budget;
            if front.end > floor || !wanted {
                break;
            }
            self.bytes = self.bytes.saturating_sub(front.file_bytes);
            dropped.push(front.base);
            self.segments.pop_front();
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(base: u64, end: u64, previous_end: u64) -> Segment {
        let newest = Nanos(end);
        let (before, after) = ([0; 3], [0; 3]);
        Segment { base, end, previous_end, before, after, newest, file_bytes: 10 }
    }

    fn state(segments: &[Segment]) -> State {
        let end = segments.last().map_or(0, |segment| segment.end);
        State::new(segments.iter().copied().collect(), end, Tail::new(0))
    }

    #[test]
    fn a_position_in_a_gap_that_nothing_ever_filled_leads_to_the_next_segment() {
        let (empty, next) = (segment(20, 20, 10), segment(30, 40, 20));
        let state = state(&[segment(0, 10, 0), empty, next]);
        assert_eq!(state.locate(10), Located::At(next, 30));
    }

    #[test]
    fn a_segment_that_is_not_there_is_missing() {
        let state = state(&[segment(0, 10, 0), segment(20, 30, 20)]);
        assert_eq!(state.locate(10), Located::Missing { to: 20, base: 20 });
    }

    #[test]
    fn the_last_segment_is_never_dropped() {
        let mut state = state(&[segment(0, 10, 0), segment(10, 20, 10)]);
        assert_eq!(state.drop_passed(u64::MAX, Nanos(u64::MAX), 0), [0]);
        assert_eq!((state.start(), state.bytes), (10, 10));
    }

    #[test]
    fn a_passed_segment_stays_while_it_is_young_and_the_budget_allows() {
        let mut state = state(&[segment(0, 10, 0), segment(10, 20, 10)]);
        assert_eq!(state.drop_passed(20, Nanos(10), 20), Vec::<u64>::new());
        assert_eq!(state.drop_passed(20, Nanos(11), 20), [0]);
    }

    #[test]
    fn a_segment_ahead_of_the_slowest_cursor_stays_whatever_the_budget() {
        let mut state = state(&[segment(0, 10, 0), segment(10, 20, 10)]);
        assert_eq!(state.drop_passed(9, Nanos(u64::MAX), 0), Vec::<u64>::new());
    }
}
