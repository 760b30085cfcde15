//! Report: what was measured, for people.
//!
//! In: the newest results of each row. Out: lines, tables in `docs/measured.md`, a chart.

mod chart;
mod sections;
mod table;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::Outcome;
use crate::results::{self, Measured, OURS, Row, spread};

const DOCUMENT: &str = "docs/measured.md";
const CHART: &str = "docs/peers.svg";
const BEGIN: &str = "<!-- peers: begin, written by `make bench-peers-table` -->\n";
const END: &str = "<!-- peers: end -->\n";

/// One round of one peer.
pub(crate) fn line(measured: &Measured) -> String {
    let Measured { peer, micros, micros_interval, peak_mib, .. } = measured;
    let Measured { gateway_busy, bench_busy, drain, .. } = measured;
    let mut line = format!(
        "{peer:>14}: {micros:.2} us an item ({micros_interval:.2} in the interval), \
         {:.0} items/s, {peak_mib:.0} MiB, cores {gateway_busy:.2} and {bench_busy:.2}, \
         answers {:.0}/{:.0} ms, at rest after {drain:.1} s, {}",
        measured.lasting(),
        measured.latency_p50_ms,
        measured.latency_p99_ms,
        table::delivered(measured.delivered, measured.accepted),
    );
    let told = [
        (measured.again, "delivered again"),
        (measured.foreign, "FOREIGN"),
        (measured.leaking, "requests with a secret"),
        (measured.refused, "times refused"),
        (measured.failed, "FAILED"),
    ];
    for (count, what) in told.into_iter().filter(|(count, _)| *count > 0) {
        _ = write!(line, ", {count} {what}");
    }
    let of_raw = [("log", table::log_of_raw(measured)), ("index", table::index_of_raw(measured))];
    for (what, share) in of_raw {
        let Some(share) = share else { continue };
        _ = write!(line, ", {what}/raw {share:.3}");
    }
    line
}

/// How the peer compares with ours.
pub(crate) fn ratio(row: &Row) -> Option<String> {
    let (rival, ratio) = (row.rival.as_ref()?, row.ratio()?);
    let micros = |rounds| Some(spread(rounds, |it| it.micros)?.median);
    let (theirs, ours) = (micros(&row.theirs)?, micros(&row.ours)?);
    Some(format!(
        "ratio {rival} / {OURS}: {:.2}x ({:.2} to {:.2}); {theirs:.2} against {ours:.2} us",
        ratio.median, ratio.least, ratio.most
    ))
}

/// Writes the tables and the chart.
pub(crate) fn write(folder: &Path) -> Outcome {
    let newest = results::newest(folder)?;
    let document = fs::read_to_string(DOCUMENT)?;
    let parts = document.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or(format!("{DOCUMENT} has no place for the table"))?;
    fs::write(DOCUMENT, format!("{before}{BEGIN}\n{}{END}{after}", sections::all(&newest)))?;
    fs::write(CHART, chart::draw(&newest))?;
    Ok(())
}

/// From the least work to the most; what is not known comes last, by its name.
fn rank(case: &str) -> (usize, &str) {
    let known = ["passthrough", "durable", "edits", "redact", "full", "indexed"];
    (known.iter().position(|it| *it == case).unwrap_or(known.len()), case)
}
