//! The table of series: counts crossings, turns the windows, forgets what is idle.

use std::collections::VecDeque;
use std::time::Duration;

use super::timings::{Fit, LONGEST_NS, Packed, Timings};
use super::{Crossing, Labels, Part};
use crate::evidence::{Nanos, Outcome};
use crate::limit::{Budget, Slot};

/// Upper ends of the Prometheus buckets: those of OpenTelemetry's conventions for durations,
/// with finer ones below and the histograms' own end above.
pub(super) const BOUNDS_NS: [u64; 14] = [
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    LONGEST_NS,
];
const PARTS: usize = Part::ALL.len();
const OUTCOMES: usize = 5;

/// How much is measured, and for how long it is kept.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Label sets with a series of their own; the others share one per outcome.
    pub series_max: usize,
    /// How long one histogram counts. At least a second.
    pub window: Duration,
    /// How many full windows are kept beside the one that is filling.
    pub windows: usize,
    /// A label set that was not seen for so long makes room for another. Its counts leave the
    /// Prometheus text, as a restarted process's would.
    pub idle: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            series_max: 500,
            window: Duration::from_secs(60),
            windows: 5,
            idle: Duration::from_secs(15 * 60),
        }
    }
}

/// What is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Label sets with a series of their own.
    pub series: usize,
    /// How many there may be.
    pub series_max: usize,
    /// Crossings so far: those in all series, and those that left with an idle one.
    pub recorded: u64,
    /// Crossings so far that went to the shared series.
    pub folded: u64,
    /// Crossings that left with their idle series.
    pub released: u64,
    /// Times so far that were shorter than a microsecond and were counted as one.
    pub short: u64,
    /// Times so far that were longer than a minute and were counted, and summed, as one.
    pub long: u64,
}

/// Per-hop latency, by label set.
#[derive(Debug)]
pub struct Hops {
    pub(super) settings: Settings,
    budget: Budget<Labels>,
    /// First the shared series, by outcome, then those of the budget's slots.
    cells: Vec<Option<Cell>>,
    /// When the window that is filling began.
    pub(super) from: Nanos,
    /// Full windows, the oldest first.
    pub(super) full: VecDeque<Window>,
    /// When the first crossing came.
    pub(super) started: Option<Nanos>,
    status: Status,
}

/// One series: its counts since the start, and its times in the window that is filling.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) labels: Labels,
    /// Not cumulative; the last one is past all bounds.
    pub(super) buckets: [u64; BOUNDS_NS.len() + 1],
    /// By part; `None` for a part that no crossing had.
    pub(super) sums_ns: [Option<u128>; PARTS],
    pub(super) filling: [Option<Box<Timings>>; PARTS],
}

/// A window that is over.
///
/// It holds labels, not slots: a slot may have a new owner by the time it is asked.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) from: Nanos,
    pub(super) series: Box<[Past]>,
}

/// One series in a window that is over.
#[derive(Debug)]
pub(super) struct Past {
    pub(super) labels: Labels,
    pub(super) parts: [Option<Packed>; PARTS],
}

impl Hops {
    /// An empty table.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let window = settings.window.max(Duration::from_secs(1));
        Self {
            settings: Settings { window, ..settings },
            budget: Budget::new(settings.series_max, settings.idle),
            cells: Vec::new(),
            from: Nanos(0),
            full: VecDeque::new(),
            started: None,
            status: Status { series_max: settings.series_max, ..Status::default() },
        }
    }

    /// The most memory that a table with these settings takes; reached only when every series
    /// has every part in every window, and most buckets of each are hit.
    #[must_use]
    pub fn bytes_max(settings: &Settings) -> usize {
        let series = settings.series_max.saturating_add(OUTCOMES);
        let timings = PARTS * Timings::bytes_max();
        let window = timings + size_of::<Past>();
        // The list of cells and the budget's map may be half empty; the map holds the labels
        // again, with a slot and a time.
        let cell = 2 * (size_of::<Option<Cell>>() + size_of::<Labels>() + 32) + timings;
        series.saturating_mul(settings.windows.saturating_mul(window).saturating_add(cell))
    }

    /// Counts a crossing, in the window of `now`.
    pub fn record(&mut self, crossing: &Crossing, now: Nanos) {
        self.rotate(now);
        self.started.get_or_insert(now);
        self.status.recorded += 1;
        let (index, labels) = self.series_of(Labels::of(crossing), now);
        if self.cells.len() <= index {
            self.cells.resize_with(index + 1, || None);
        }
        let Some(cell) = self.cells.get_mut(index) else { return };
        let (short, long) = cell.get_or_insert_with(|| Cell::new(labels)).record(crossing);
        self.status.short += short;
        self.status.long += long;
    }

    /// Starts a new window if the one that is filling is over, drops those past the number to
    /// keep, and releases what is idle. Cheap when nothing is to be done; [`Self::record`]
    /// calls it, so a caller has to only to free memory while nothing comes.
    pub fn rotate(&mut self, now: Nanos) {
        let window = self.settings.window;
        let stepped_back = self.from.since(now) > window;
        if now.since(self.from) < window && !stepped_back {
            return;
        }
        // What goes makes room first, so that no more than the number to keep is ever held.
        let (oldest, newest) = (self.oldest_kept(now), self.window_of(now));
        // Windows from a future that the clock has taken back have no place in any span.
        let is_kept = |from: Nanos| (oldest..newest).contains(&from);
        self.full.retain(|window| is_kept(window.from));
        let series: Box<[_]> = self.cells.iter_mut().flatten().filter_map(Cell::pack).collect();
        if is_kept(self.from) && !series.is_empty() {
            self.full.push_back(Window { from: self.from, series });
        }
        self.from = newest;
        for slot in self.budget.release(now) {
            let released = self.cells.get_mut(OUTCOMES + slot).and_then(Option::take);
            self.status.released += released.map_or(0, |cell| cell.count());
        }
    }

    /// What is in use.
    #[must_use]
    pub fn status(&self) -> Status {
        Status { series: self.budget.len(), ..self.status }
    }

    /// All series, the shared ones first.
    pub(super) fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().flatten()
    }

    /// When the window that `at` falls into begins.
    pub(super) fn window_of(&self, at: Nanos) -> Nanos {
        let window = Nanos(0).after(self.settings.window).0;
        Nanos(at.0 - at.0 % window)
    }

    /// When the oldest window that is still kept at `now` began.
    pub(super) fn oldest_kept(&self, now: Nanos) -> Nanos {
        let windows = u32::try_from(self.settings.windows).unwrap_or(u32::MAX);
        self.window_of(now).before(self.settings.window.saturating_mul(windows))
    }

    fn series_of(&mut self, labels: Labels, now: Nanos) -> (usize, Labels) {
        // Without names it is what the shared series is for; a slot would make it a twin.
        let slot =
            if labels.is_overflow() { Slot::Overflow } else { self.budget.admit(labels, now) };
        match slot {
            Slot::Own(slot) => (OUTCOMES + slot, labels),
            Slot::Overflow => {
                self.status.folded += 1;
                (outcome_index(labels.outcome), Labels::overflow(labels.outcome))
            }
        }
    }
}

impl Cell {
    fn new(labels: Labels) -> Self {
        let buckets = [0; BOUNDS_NS.len() + 1];
        Self { labels, buckets, sums_ns: [None; PARTS], filling: Default::default() }
    }

    /// How many times were too short, and how many too long, for the histograms.
    fn record(&mut self, crossing: &Crossing) -> (u64, u64) {
        let bucket = BOUNDS_NS.partition_point(|bound| *bound < crossing.total_ns);
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count += 1;
        }
        let (mut short, mut long) = (0, 0);
        let parts = self.sums_ns.iter_mut().zip(&mut self.filling);
        for (time, (sum, filling)) in crossing.times().into_iter().zip(parts) {
            let Some(time_ns) = time else { continue };
            *sum = Some(sum.unwrap_or(0) + u128::from(time_ns.min(LONGEST_NS)));
            match filling.get_or_insert_with(|| Box::new(Timings::new())).record(time_ns) {
                Fit::Within => {}
                Fit::Short => short += 1,
                Fit::Long => long += 1,
            }
        }
        (short, long)
    }

    /// What the window counted; the histograms that counted nothing in it are freed.
    fn pack(&mut self) -> Option<Past> {
        let parts = self.filling.each_mut().map(|filling| {
            let packed = filling.as_deref_mut().and_then(Timings::pack);
            if packed.is_none() {
                *filling = None;
            }
            packed
        });
        parts.iter().any(Option::is_some).then_some(Past { labels: self.labels, parts })
    }

    /// Crossings since the start.
    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// Below [`OUTCOMES`].
fn outcome_index(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Unknown => 0,
        Outcome::Success => 1,
        Outcome::ClientError => 2,
        Outcome::ServerError => 3,
        Outcome::Dropped => 4,
    }
}
