//! What is answered: each series over the last windows.

use std::array;
use std::cmp::Reverse;
use std::time::Duration;

use hashbrown::HashMap;

use super::hops::{Cell, Past};
use super::timings::Merged;
use super::{Hops, Labels, Part, Summary};
use crate::evidence::Nanos;

/// One label set over a span of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Series {
    /// What it is told apart by; failures are in the outcome.
    pub labels: Labels,
    /// Crossings in the span.
    pub count: u64,
    /// Crossings per second of the span, as far as there was a gateway to count them.
    pub rate_per_second: f64,
    /// By part, in the order of [`Part::ALL`]; `None` for one that no crossing had.
    pub parts: [Option<Summary>; Part::ALL.len()],
}

/// The windows of one series.
#[derive(Default)]
struct Gathered<'a> {
    filling: Option<&'a Cell>,
    full: Vec<&'a Past>,
}

impl Hops {
    /// Every series that had crossings within `span` before `now`, the busiest first.
    ///
    /// A span is answered in whole windows, and reaches back no further than they are kept.
    #[must_use]
    pub fn snapshot(&self, span: Duration, now: Nanos) -> Vec<Series> {
        let oldest = self.window_of(now.before(span)).max(self.oldest_kept(now));
        let covered = now.since(oldest.max(self.started.unwrap_or(now)));
        // Less than a second would turn one crossing into a flood.
        let seconds = covered.as_secs_f64().max(1.0);

        let mut merged = Merged::new();
        let mut all: Vec<Series> = self
            .gather(oldest)
            .into_iter()
            .map(|(labels, gathered)| gathered.series(labels, seconds, &mut merged))
            .filter(|series| series.count > 0)
            .collect();
        all.sort_unstable_by_key(|series| (Reverse(series.count), series.labels));
        all
    }

    fn gather(&self, oldest: Nanos) -> HashMap<Labels, Gathered<'_>> {
        let mut gathered: HashMap<Labels, Gathered<'_>> = HashMap::new();
        for window in self.full.iter().filter(|window| window.from >= oldest) {
            for past in &window.series {
                gathered.entry(past.labels).or_default().full.push(past);
            }
        }
        if self.from >= oldest {
            for cell in self.cells() {
                gathered.entry(cell.labels).or_default().filling = Some(cell);
            }
        }
        gathered
    }
}

impl Series {
    /// The times of one part.
    #[must_use]
    pub fn part(&self, part: Part) -> Option<&Summary> {
        let at = Part::ALL.iter().position(|it| *it == part)?;
        self.parts.get(at)?.as_ref()
    }
}

impl Gathered<'_> {
    /// `merged` is lent, because it is larger than all that it adds up.
    fn series(&self, labels: Labels, seconds: f64, merged: &mut Merged) -> Series {
        let parts = array::from_fn(|part| self.summary(part, merged));
        // The total comes first, and every crossing has one.
        let count = parts.first().copied().flatten().map_or(0, |total| total.count);
        let rate_per_second = count as f64 / seconds;
        Series { labels, count, rate_per_second, parts }
    }

    fn summary(&self, part: usize, merged: &mut Merged) -> Option<Summary> {
        merged.clear();
        for packed in self.full.iter().filter_map(|past| past.parts.get(part)?.as_ref()) {
            merged.add_packed(packed);
        }
        if let Some(timings) = self.filling.and_then(|cell| cell.filling.get(part)?.as_deref()) {
            merged.add(timings);
        }
        merged.summary()
    }
}
