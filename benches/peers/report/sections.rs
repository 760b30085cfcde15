//! Which rows stand in which table.

use std::cmp::Ordering;
use std::fmt::Write;

use super::{rank, table};
use crate::results::Row;
use crate::shape::{HALF, Label};

/// One row's cells.
type Cells = fn(&Row) -> Vec<String>;

/// Rows that differ in one thing or two.
struct Section {
    title: &'static str,
    /// What all of them have in common.
    about: &'static str,
    takes: fn(&Row) -> bool,
    /// What they differ in beside the case: the heads of the columns, and one row's cells.
    heads: &'static [&'static str],
    cells: Cells,
}

const SECTIONS: &[Section] = &[
    Section {
        title: "What it has to do",
        about: "Traces, gRPC in and out, batches of 1,000, as fast as they are answered.",
        takes: |row| is_plain(row) && row.label.batch == BATCH,
        heads: &["compression"],
        cells: |row| vec![row.label.compression.clone()],
    },
    Section {
        title: "Sizes of requests",
        about: "Traces, gRPC in and out, zstd.",
        takes: |row| {
            let is_sized = ["passthrough", "full"].contains(&&*row.case);
            is_plain(row) && row.label.compression == "zstd" && is_sized
        },
        heads: &["items a request"],
        cells: |row| vec![row.label.batch.to_string()],
    },
    Section {
        title: "Over HTTP",
        about: "Traces, zstd, batches of 1,000. In and out are the two sides of the gateway.",
        takes: |row| {
            let Label { protocol, out, .. } = &row.label;
            is_usual(row)
                && is_closed(row)
                && is_traces(row)
                && (protocol == "http" || out == "http")
        },
        heads: &["in", "out"],
        cells: |row| vec![row.label.protocol.clone(), row.label.out.clone()],
    },
    Section {
        title: "Logs and metrics",
        about: "Log records and data points, gRPC in and out, zstd, batches of 1,000.",
        takes: |row| is_usual(row) && is_closed(row) && is_grpc(row) && !is_traces(row),
        heads: &["signal"],
        cells: |row| vec![row.label.signal.clone()],
    },
    Section {
        title: "Half load",
        about: "Traces, gRPC, zstd, batches of 1,000: an open loop at half of what the slower gateway \
                takes, the same for both. Latency counts from when a request was due.",
        takes: |row| is_usual(row) && row.label.load == HALF,
        heads: &["sent, items/s", "p50 ms", "p99 ms"],
        cells: |row| {
            let rate = table::of_both(row, |it| it.rate.unwrap_or(0) as f64);
            let least = rate.into_iter().flatten().min_by(f64::total_cmp);
            vec![
                table::grouped(least.unwrap_or(0.0)),
                table::both(row, table::tenths, |it| it.latency_p50_ms),
                table::both(row, table::tenths, |it| it.latency_p99_ms),
            ]
        },
    },
    Section {
        title: "The Collector set up otherwise",
        about: "Traces, gRPC, zstd, batches of 1,000. Without its memory limiter; and with batches made \
                by the exporter's queue.",
        takes: |row| !is_usual(row),
        heads: &["peer", "memory limiter"],
        cells: |row| vec![row.rival.clone().unwrap_or_default(), row.label.limiter.clone()],
    },
];

/// What no other table takes.
const OTHERS: Section = Section {
    title: "Other loads",
    about: "",
    takes: |row| SECTIONS.iter().all(|section| !(section.takes)(row)),
    heads: &["load"],
    cells: |row| vec![row.label.to_string()],
};

const BATCH: usize = 1000;

const LEGEND: &str = "µs are core-microseconds an item. Two figures in a cell are the Collector's and \
                      Hopline's. log/raw and index/raw are what Hopline wrote over what it received.\n\n";

/// All tables that have a row.
pub(super) fn all(rows: &[Row]) -> String {
    let mut out = LEGEND.to_owned();
    for Section { title, about, takes, heads, cells } in SECTIONS.iter().chain([&OTHERS]) {
        let mut own: Vec<&Row> = rows.iter().filter(|row| takes(row)).collect();
        if own.is_empty() {
            continue;
        }
        own.sort_by(|one, other| order(one, other));
        _ = write!(out, "### {title}\n\n");
        if !about.is_empty() {
            _ = write!(out, "{about}\n\n");
        }
        let lines: Vec<_> = own.into_iter().map(|row| (row, cells(row))).collect();
        out.push_str(&table::render(heads, &lines));
        out.push('\n');
    }
    out
}

/// What is of one case stands together.
fn order(one: &Row, other: &Row) -> Ordering {
    let key = |row: &Row| {
        let Label { signal, protocol, out, compression, .. } = &row.label;
        let coding = ["none", "gzip", "zstd"].iter().position(|it| it == compression);
        (signal.clone(), protocol.clone(), out.clone(), coding)
    };
    let by_case = rank(&one.case).cmp(&rank(&other.case));
    let signal = one.label.signal.cmp(&other.label.signal);
    signal.then(by_case).then(key(one).cmp(&key(other))).then(one.label.cmp(&other.label))
}

/// Of the first two tables.
fn is_plain(row: &Row) -> bool {
    is_usual(row) && is_closed(row) && is_grpc(row) && is_traces(row)
}

/// The Collector as its documents recommend, or nobody.
fn is_usual(row: &Row) -> bool {
    row.label.limiter == "on" && row.rival.as_ref().is_none_or(|rival| rival == "otelcol")
}

fn is_closed(row: &Row) -> bool {
    row.label.load.ends_with("in flight")
}

fn is_grpc(row: &Row) -> bool {
    row.label.protocol == "grpc" && row.label.out == "grpc"
}

fn is_traces(row: &Row) -> bool {
    row.label.signal == "traces"
}
