//! A histogram of times, in three forms: counting, packed, and summed up.

use hdrhistogram::{Counter, Histogram};

/// A longer time counts as this one, in sums too: one hostile duration would spoil a mean, and
/// a sum that is never reset, for good.
pub(super) const LONGEST_NS: u64 = HIGH_US * 1000;

const LOW_US: u64 = 1;
const HIGH_US: u64 = 60_000_000;
/// Two significant figures: a quantile is at most 1 % above the truth.
const FIGURES: u8 = 2;

/// The times of one part of one series, in the window that is filling.
#[derive(Debug)]
pub(super) struct Timings {
    counts: Histogram<u32>,
    exact: Exact,
}

/// The same, once the window is over: only the buckets that were hit, unless most were.
///
/// A hop's times lie close together, so this is about a tenth of the counting form.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    buckets: Buckets,
    exact: Exact,
}

/// Many windows added up. Its counters are wider, because each window may fill its own.
#[derive(Debug, PartialEq)]
pub(super) struct Merged {
    counts: Histogram<u64>,
    exact: Exact,
}

/// The times of one part of one series, summed up; none is above a minute.
///
/// Quantiles are the upper end of their bucket: never below the truth, at most 1 % above it, or
/// 1 µs where that is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How many crossings had this part.
    pub count: u64,
    /// Half took no longer.
    pub p50_ns: u64,
    /// 90 % took no longer.
    pub p90_ns: u64,
    /// 95 % took no longer.
    pub p95_ns: u64,
    /// 99 % took no longer.
    pub p99_ns: u64,
    /// The longest, exactly.
    pub max_ns: u64,
    /// The mean, exactly.
    pub mean_ns: u64,
}

/// Whether a time fits the histogram's range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Within,
    Short,
    Long,
}

/// What a histogram would round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Exact {
    sum_ns: u128,
    max_ns: u64,
}

#[derive(Clone, Debug)]
enum Buckets {
    Sparse(Box<[Hit]>),
    Dense(Box<Histogram<u32>>),
}

/// A bucket that was hit.
#[derive(Clone, Copy, Debug)]
struct Hit {
    /// The bucket's upper end.
    up_to_us: u32,
    count: u32,
}

impl Timings {
    pub(super) fn new() -> Self {
        Self { counts: empty(), exact: Exact::default() }
    }

    pub(super) fn record(&mut self, time_ns: u64) -> Fit {
        let kept_ns = time_ns.min(LONGEST_NS);
        self.counts.saturating_record((kept_ns / 1000).max(LOW_US));
        self.exact.sum_ns += u128::from(kept_ns);
        self.exact.max_ns = self.exact.max_ns.max(kept_ns);
        match time_ns {
            ..1000 => Fit::Short,
            1000..=LONGEST_NS => Fit::Within,
            _ => Fit::Long,
        }
    }

    /// Hands over what was counted and starts anew; `None` when nothing was.
    pub(super) fn pack(&mut self) -> Option<Packed> {
        if self.counts.is_empty() {
            return None;
        }
        let exact = std::mem::take(&mut self.exact);
        let buckets: Box<[Hit]> = hits(&self.counts).collect();
        if size_of_val(&*buckets) < dense_bytes() {
            self.counts.reset();
            return Some(Packed { buckets: Buckets::Sparse(buckets), exact });
        }
        let counts = std::mem::replace(&mut self.counts, empty());
        Some(Packed { buckets: Buckets::Dense(Box::new(counts)), exact })
    }

    /// The most that one of these, or its packed form, takes.
    pub(super) fn bytes_max() -> usize {
        dense_bytes() + size_of::<Self>() + size_of::<Packed>()
    }
}

impl Merged {
    pub(super) fn new() -> Self {
        Self { counts: empty(), exact: Exact::default() }
    }

    pub(super) fn clear(&mut self) {
        self.counts.reset();
        self.exact = Exact::default();
    }

    pub(super) fn add(&mut self, timings: &Timings) {
        self.add_hits(hits(&timings.counts), timings.exact);
    }

    pub(super) fn add_packed(&mut self, packed: &Packed) {
        match &packed.buckets {
            Buckets::Sparse(buckets) => self.add_hits(buckets.iter().copied(), packed.exact),
            Buckets::Dense(counts) => self.add_hits(hits(counts), packed.exact),
        }
    }

    fn add_hits(&mut self, hits: impl Iterator<Item = Hit>, exact: Exact) {
        for hit in hits {
            self.counts.saturating_record_n(u64::from(hit.up_to_us), u64::from(hit.count));
        }
        self.exact.sum_ns = self.exact.sum_ns.saturating_add(exact.sum_ns);
        self.exact.max_ns = self.exact.max_ns.max(exact.max_ns);
    }

    /// `None` when nothing was counted.
    pub(super) fn summary(&self) -> Option<Summary> {
        let count = self.counts.len();
        let mean = self.exact.sum_ns.checked_div(u128::from(count))?;
        let mut quantiles = self.counts.value_at_quantiles([0.5, 0.9, 0.95, 0.99]);
        // The end of a bucket may lie above the longest time in it.
        let mut next = || {
            let time_us = quantiles.next().unwrap_or(0);
            (time_us * 1000 + 999).min(self.exact.max_ns)
        };
        Some(Summary {
            count,
            p50_ns: next(),
            p90_ns: next(),
            p95_ns: next(),
            p99_ns: next(),
            max_ns: self.exact.max_ns,
            mean_ns: u64::try_from(mean).unwrap_or(u64::MAX),
        })
    }
}

fn empty<T: Counter>() -> Histogram<T> {
    Histogram::new_with_bounds(LOW_US, HIGH_US, FIGURES).expect("the constants are a valid range")
}

/// 2,560 counters of four bytes.
fn dense_bytes() -> usize {
    empty::<u32>().distinct_values() * size_of::<u32>()
}

fn hits(counts: &Histogram<u32>) -> impl Iterator<Item = Hit> {
    counts.iter_recorded().map(|bucket| {
        let up_to_us = bucket.value_iterated_to().min(HIGH_US);
        let up_to_us = u32::try_from(up_to_us).unwrap_or(u32::MAX);
        Hit { up_to_us, count: bucket.count_at_value() }
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{Just, Strategy};
    use proptest::proptest;

    use super::*;

    fn timed(times: &[u64]) -> Timings {
        let mut timings = Timings::new();
        for time in times {
            timings.record(*time);
        }
        timings
    }

    fn summary(timings: &Timings) -> Option<Summary> {
        let mut merged = Merged::new();
        merged.add(timings);
        merged.summary()
    }

    #[test]
    fn a_time_longer_than_a_minute_counts_as_a_minute() {
        let mut timings = Timings::new();
        assert_eq!(timings.record(60_000_000_000), Fit::Within);
        assert_eq!(timings.record(u64::MAX), Fit::Long);

        let summary = summary(&timings).unwrap();

        assert_eq!((summary.max_ns, summary.mean_ns), (60_000_000_000, 60_000_000_000));
        assert_eq!((summary.p50_ns, summary.p99_ns), (60_000_000_000, 60_000_000_000));
    }

    #[test]
    fn a_time_shorter_than_a_microsecond_counts_as_one_but_sums_up_exactly() {
        let mut timings = Timings::new();
        assert_eq!(timings.record(1000), Fit::Within);
        assert_eq!(timings.record(0), Fit::Short);

        let summary = summary(&timings).unwrap();

        assert_eq!((summary.count, summary.p50_ns, summary.mean_ns), (2, 1000, 500));
    }

    #[test]
    fn a_packed_window_leaves_an_empty_one() {
        let mut timings = timed(&[5_000_000]);
        assert!(timings.pack().is_some());
        assert_eq!(summary(&timings), None);
        assert!(timings.pack().is_none());
    }

    #[test]
    fn a_window_that_hits_every_bucket_is_packed_no_larger_than_it_was() {
        let fine = 1..10_000_u64;
        let all: Vec<u64> =
            fine.chain((10_000..=60_000_000).step_by(997)).map(|us| us * 1000).collect();
        let few = timed(&[1_000_000, 2_000_000]).pack().unwrap();
        let packed = timed(&all).pack().unwrap();

        assert!(matches!(packed.buckets, Buckets::Dense(_)));
        assert!(matches!(few.buckets, Buckets::Sparse(it) if it.len() == 2));
    }

    proptest! {
        #[test]
        fn windows_merge_in_any_order_to_what_one_window_would_have_counted(
            (ordered, shuffled) in vec(vec(0..1u64 << 40, 0..60), 0..6)
                .prop_flat_map(|it| (Just(it.clone()), Just(it).prop_shuffle())),
        ) {
            let mut at_once = Merged::new();
            at_once.add(&timed(&ordered.concat()));

            let (mut forward, mut mixed) = (Merged::new(), Merged::new());
            for times in &ordered {
                forward.add(&timed(times));
            }
            for packed in shuffled.iter().filter_map(|times| timed(times).pack()) {
                mixed.add_packed(&packed);
            }

            assert_eq!(forward, at_once);
            assert_eq!(mixed, at_once);
        }

        #[test]
        fn a_quantile_is_at_most_one_percent_above_the_truth(
            times in vec(1_000_000_u64..60_000_000_000, 1..300),
        ) {
            let summary = summary(&timed(&times)).unwrap();

            let mut sorted = times;
            sorted.sort_unstable();
            let rank = (sorted.len() * 99).div_ceil(100) - 1;
            let truth = sorted[rank];
            assert!(summary.p99_ns >= truth, "{} < {truth}", summary.p99_ns);
            assert!(summary.p99_ns - truth <= truth / 100, "{} > {truth}", summary.p99_ns);
            assert!(summary.p50_ns <= summary.p90_ns && summary.p95_ns <= summary.p99_ns);
            assert_eq!(summary.max_ns, *sorted.last().unwrap());
        }
    }
}
