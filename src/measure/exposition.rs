//! The hops as Prometheus text: counts since the start, which no window resets.

use std::sync::Arc;

use super::hops::{BOUNDS_NS, Cell};
use super::prometheus::{Kind, Page, Value};
use super::{Hops, Part};
use crate::evidence::{Symbol, Symbols};

const DURATION_BUCKET: &str = "hopline_hop_duration_seconds_bucket";

/// A series with its names as text, looked up once for all its lines.
struct Named<'a> {
    cell: &'a Cell,
    caller: Arc<str>,
    callee: Arc<str>,
    method: &'static str,
    route: Arc<str>,
    version: Arc<str>,
}

type Label<'a> = (&'a str, &'a str);

impl Hops {
    /// Appends all series, cumulative since the start, and how full the table is.
    pub fn write_prometheus(&self, symbols: &Symbols, out: &mut String) {
        let series: Vec<Named<'_>> = self.cells().map(|cell| Named::new(cell, symbols)).collect();
        let bounds = BOUNDS_NS.map(|bound| (bound as f64 / 1e9).to_string());
        let mut page = Page::new(out);
        write_durations(&mut page, &series, &bounds);
        write_parts(&mut page, &series);
        self.write_status(&mut page);
    }

    fn write_status(&self, page: &mut Page<'_>) {
        let status = self.status();
        let name = "hopline_hop_series";
        page.family(name, Kind::Gauge, "Label sets with a series of their own.");
        page.sample(name, &[], status.series);
        let name = "hopline_hop_series_max";
        page.family(name, Kind::Gauge, "Label sets that may have a series of their own.");
        page.sample(name, &[], status.series_max);
        let name = "hopline_hop_folded_total";
        page.family(name, Kind::Counter, "Crossings in the series that label sets share.");
        page.sample(name, &[], status.folded);
        let name = "hopline_hop_released_total";
        page.family(name, Kind::Counter, "Crossings that left with their idle series.");
        page.sample(name, &[], status.released);
        let name = "hopline_hop_clamped_total";
        page.family(name, Kind::Counter, "Times past an end of the histograms' range.");
        page.sample(name, &[("end", "short")], status.short);
        page.sample(name, &[("end", "long")], status.long);
    }
}

impl<'a> Named<'a> {
    fn new(cell: &'a Cell, symbols: &Symbols) -> Self {
        let text = |symbol: Symbol| symbols.text(symbol);
        let labels = &cell.labels;
        let method = if labels.is_overflow() { Symbols::OTHER_TEXT } else { labels.method.name() };
        Self {
            cell,
            caller: text(labels.caller),
            callee: text(labels.callee),
            method,
            route: text(labels.route),
            version: text(labels.version),
        }
    }

    /// The labels of the series, and one more behind them.
    fn labels<'b>(&'b self, last: Label<'b>) -> [Label<'b>; 7] {
        [
            ("caller", &self.caller),
            ("callee", &self.callee),
            ("method", self.method),
            ("route", &self.route),
            ("outcome", self.cell.labels.outcome.name()),
            ("version", &self.version),
            last,
        ]
    }
}

fn write_durations(page: &mut Page<'_>, series: &[Named<'_>], bounds: &[String]) {
    let help = "Time from a hop's call to its answer, summed as a minute at most.";
    page.family("hopline_hop_duration_seconds", Kind::Histogram, help);
    for named in series {
        let les = bounds.iter().map(String::as_str).chain(["+Inf"]);
        let mut below = 0;
        for (le, count) in les.zip(named.cell.buckets) {
            below += count;
            page.sample(DURATION_BUCKET, &named.labels(("le", le)), below);
        }
        let [labels @ .., _] = &named.labels(("le", "+Inf"));
        let sum = named.cell.sums_ns.first().copied().flatten().unwrap_or(0);
        page.sample("hopline_hop_duration_seconds_sum", labels, Value::Nanos(sum));
        page.sample("hopline_hop_duration_seconds_count", labels, below);
    }
}

fn write_parts(page: &mut Page<'_>, series: &[Named<'_>]) {
    let name = "hopline_hop_part_seconds_total";
    page.family(name, Kind::Counter, "Time that the parts of a hop took.");
    for named in series {
        for (part, sum) in Part::ALL.iter().zip(named.cell.sums_ns).skip(1) {
            let Some(sum) = sum else { continue };
            page.sample(name, &named.labels(("part", part.name())), Value::Nanos(sum));
        }
    }
}
