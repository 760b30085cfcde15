//! What is known of the segments. No I/O: every answer is of one moment, under one lock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::active::Active;
use super::frame::{Format, Totals};
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
    /// The latest `received` in it; without batches that of the segment before.
    pub(super) newest: Nanos,
    pub(super) file_bytes: u64,
    pub(super) format: Format,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) segments: VecDeque<Segment>,
    /// The end of what readers may see.
    pub(super) end: u64,
    /// Size of all segments, spares and leftovers.
    pub(super) bytes: u64,
    pub(super) tail: Tail,
    /// The segment being written.
    pub(super) active: Option<Arc<Active>>,
    /// Segments that are full and not yet synced, in memory mode.
    pub(super) unsynced: VecDeque<Arc<Active>>,
    /// Trimmed segments that wait to be written over.
    pub(super) spares: VecDeque<Spare>,
    /// Files of trimmed segments that could not be removed, with their sizes.
    pub(super) leftovers: Vec<(String, u64)>,
    /// The base of the segment being written, and when a trim saw it first.
    active_seen: Option<(u64, Nanos)>,
    /// Segments given up because the disk failed on them.
    pub(super) poisoned: u64,
    /// Whether the latest group could not be written.
    pub(super) failing: bool,
}

/// The file of a trimmed segment. Its blocks are on disk already, which makes syncing what is
/// written over them several times as fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spare {
    pub(super) base: u64,
    pub(super) bytes: u64,
    /// When it was trimmed.
    pub(super) since: Nanos,
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

impl Segment {
    /// A batch of it was received then. The clock may have been set back since the last one.
    pub(super) fn receive(&mut self, is_first: bool, received: Nanos) {
        self.newest = if is_first { received } else { self.newest.max(received) };
    }

    /// Where in the file a position lies.
    pub(super) fn offset(&self, at: u64) -> u64 {
        let opening = self.format.version.opening_bytes() as u64;
        at.saturating_sub(self.base).saturating_add(opening)
    }
}

impl State {
    pub(super) fn new(segments: VecDeque<Segment>, end: u64, tail: Tail) -> Self {
        let bytes = segments.iter().map(|segment| segment.file_bytes).sum();
        Self {
            segments,
            end,
            bytes,
            tail,
            active: None,
            unsynced: VecDeque::new(),
            spares: VecDeque::new(),
            leftovers: Vec::new(),
            active_seen: None,
            poisoned: 0,
            failing: false,
        }
    }

    pub(super) fn start(&self) -> u64 {
        self.segments.front().map_or(self.end, |segment| segment.previous_end.min(segment.base))
    }

    /// Items counted before the start.
    pub(super) fn totals_at_start(&self) -> Totals {
        self.segments.front().map_or([0; 3], |segment| segment.before)
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
            segment.receive(segment.end == segment.base, kept.batch.head.received);
            segment.end = kept.batch.next.0;
            segment.after = kept.after;
            self.tail.push(kept);
        }
        self.end = segment.end;
    }

    pub(super) fn open_segment(&mut self, segment: Segment, active: Arc<Active>) {
        self.bytes = self.bytes.saturating_add(segment.file_bytes);
        self.segments.push_back(segment);
        self.active = Some(active);
    }

    pub(super) fn is_active(&self, active: &Arc<Active>) -> bool {
        self.active.as_ref().is_some_and(|one| Arc::ptr_eq(one, active))
    }

    /// The size of the last segment's file, which is more than what was published of it.
    pub(super) fn resize_last(&mut self, file_bytes: u64) {
        let Some(segment) = self.segments.back_mut() else { return };
        let others = self.bytes.saturating_sub(segment.file_bytes);
        segment.file_bytes = file_bytes;
        self.bytes = others.saturating_add(file_bytes);
    }

    /// What lies ahead of a position.
    pub(super) fn bytes_from(&self, at: u64) -> u64 {
        let ahead = |segment: &Segment| segment.end.saturating_sub(segment.base.max(at));
        self.segments.iter().map(ahead).fold(0, u64::saturating_add)
    }

    /// Size of what no trim can drop while nothing before `floor` is needed.
    pub(super) fn bytes_held(&self, floor: u64) -> u64 {
        let held = self.segments.iter().filter(|segment| segment.end > floor);
        held.map(|segment| segment.file_bytes).fold(0, u64::saturating_add)
    }

    /// Whether the segment being written has been so for longer than `stale`, and has room that it
    /// has not used. Said once for each segment.
    pub(super) fn is_untidy(&mut self, now: Nanos, stale: Duration) -> bool {
        let Some(active) = &self.active else { return false };
        let (base, since) = *self.active_seen.get_or_insert((active.base, now));
        if base != active.base {
            self.active_seen = Some((active.base, now));
            return false;
        }
        let is_due = since < now.before(stale);
        if is_due {
            self.active_seen = Some((base, Nanos(u64::MAX)));
        }
        is_due
    }

    pub(super) fn add_spare(&mut self, spare: Spare) {
        self.bytes = self.bytes.saturating_add(spare.bytes);
        self.spares.push_back(spare);
    }

    pub(super) fn add_leftover(&mut self, name: &str, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.leftovers.push((name.to_owned(), bytes));
    }

    pub(super) fn take_leftovers(&mut self) -> Vec<(String, u64)> {
        let bytes = self.leftovers.iter().map(|(_, bytes)| *bytes).fold(0, u64::saturating_add);
        self.bytes = self.bytes.saturating_sub(bytes);
        std::mem::take(&mut self.leftovers)
    }

    /// The oldest of the spares, if it has been one since `before`.
    pub(super) fn take_spare(&mut self, before: Nanos) -> Option<Spare> {
        let spare = self.spares.pop_front_if(|spare| spare.since <= before)?;
        self.bytes = self.bytes.saturating_sub(spare.bytes);
        Some(spare)
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
    /// way of the budget, and returns them. The last one stays: its name is what tells a restart
    /// where the log ends.
    pub(super) fn drop_passed(&mut self, floor: u64, oldest: Nanos, budget: u64) -> Vec<Segment> {
        // What lies before other evidence is no younger than it, whatever the clock was then.
        let mut newest: Vec<Nanos> = Vec::with_capacity(self.segments.len());
        for segment in self.segments.iter().rev() {
            newest.push(newest.last().map_or(segment.newest, |after| segment.newest.min(*after)));
        }
        let mut dropped = Vec::new();
        while let Some(newest) = newest.pop().filter(|_| self.segments.len() > 1) {
            let Some(front) = self.segments.front() else { break };
            let wanted = newest < oldest || self.bytes > budget;
            // It alone tells how many items are missing between it and the next.
            let next = self.segments.get(1).map_or(front.end, |next| next.previous_end);
            if front.end.max(next) > floor || !wanted {
                break;
            }
            self.bytes = self.bytes.saturating_sub(front.file_bytes);
            dropped.extend(self.segments.pop_front());
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
        let format = Format::marked(1);
        Segment { base, end, previous_end, before, after, newest, file_bytes: 10, format }
    }

    fn bases(dropped: &[Segment]) -> Vec<u64> {
        dropped.iter().map(|segment| segment.base).collect()
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
        assert_eq!(bases(&state.drop_passed(u64::MAX, Nanos(u64::MAX), 0)), [0]);
        assert_eq!((state.start(), state.bytes), (10, 10));
    }

    #[test]
    fn a_passed_segment_stays_while_it_is_young_and_the_budget_allows() {
        let mut state = state(&[segment(0, 10, 0), segment(10, 20, 10)]);
        assert_eq!(bases(&state.drop_passed(20, Nanos(10), 20)), Vec::<u64>::new());
        assert_eq!(bases(&state.drop_passed(20, Nanos(11), 20)), [0]);
    }

    #[test]
    fn a_segment_ahead_of_the_slowest_cursor_stays_whatever_the_budget() {
        let mut state = state(&[segment(0, 10, 0), segment(10, 20, 10)]);
        assert_eq!(bases(&state.drop_passed(9, Nanos(u64::MAX), 0)), Vec::<u64>::new());
    }

    #[test]
    fn a_segment_before_missing_ones_stays_until_they_are_passed_as_well() {
        let segments = [segment(0, 10, 0), segment(20, 30, 20)];
        let dropped = |floor| bases(&state(&segments).drop_passed(floor, Nanos(u64::MAX), 0));
        assert_eq!([dropped(19), dropped(20)], [vec![], vec![0]]);
    }

    #[test]
    fn what_a_wrong_clock_stamped_leaves_with_what_came_after_it() {
        let far = Segment { newest: Nanos(u64::MAX), ..segment(0, 10, 0) };
        let mut state = state(&[far, segment(10, 20, 10), segment(20, 30, 20)]);
        assert_eq!(bases(&state.drop_passed(30, Nanos(20), 100)), Vec::<u64>::new());
        assert_eq!(bases(&state.drop_passed(30, Nanos(21), 100)), [0, 10]);
    }

    #[test]
    fn what_lies_ahead_is_counted_without_gaps() {
        let state = state(&[segment(0, 10, 0), segment(1000, 1010, 10)]);
        assert_eq!(
            [0, 5, 10, 500, 1004, 2000].map(|at| state.bytes_from(at)),
            [20, 15, 10, 10, 6, 0]
        );
    }
}
