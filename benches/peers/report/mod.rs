//! Report: what was measured, for people.
//!
//! In: the results of the newest run of each case. Out: lines, a table in `docs/measured.md`, a chart.

mod chart;

use std::fmt::Write;
use std::fs;

use crate::Outcome;
use crate::results::{self, Cases, Loads, Measured, Rounds, Spread, spread};

const DOCUMENT: &str = "docs/measured.md";
const CHART: &str = "docs/peers.svg";
const BEGIN: &str = "<!-- peers: begin, written by `make bench-peers-table` -->\n";
const END: &str = "<!-- peers: end -->\n";

/// Who is measured against the others.
const OURS: &str = "hopline";

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
        delivered(measured.delivered, measured.accepted),
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
    line
}

/// How each peer compares with ours.
pub(crate) fn ratios(rounds: &Rounds) -> Vec<String> {
    let Some(ours) = rounds.get(OURS) else { return Vec::new() };
    let others = rounds.iter().filter(|(peer, _)| *peer != OURS);
    let line = |(peer, theirs): (&String, &Vec<Measured>)| {
        let ratio = results::ratio(theirs, ours)?;
        let (theirs, ours) = (micros(theirs).median, micros(ours).median);
        Some(format!(
            "ratio {peer} / {OURS}: {:.2}x ({:.2} to {:.2}); {theirs:.2} against {ours:.2} us",
            ratio.median, ratio.least, ratio.most
        ))
    };
    others.filter_map(line).collect()
}

/// Writes the table and the chart.
pub(crate) fn write() -> Outcome {
    let newest = results::newest()?;
    let document = fs::read_to_string(DOCUMENT)?;
    let parts = document.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or(format!("{DOCUMENT} has no place for the table"))?;
    fs::write(DOCUMENT, format!("{before}{BEGIN}\n{}\n{END}{after}", tables(&newest)))?;
    fs::write(CHART, chart::draw(&newest))?;
    Ok(())
}

/// One table for each load.
fn tables(newest: &Loads) -> String {
    let mut out = String::new();
    for (label, cases) in newest {
        _ = write!(
            out,
            "\n{label}:\n\n| case | gateway | µs an item | items/s | peak MiB | delivered of accepted \
             | Hopline is better by |\n|---|---|---|---|---|---|---|\n"
        );
        for (case, rounds) in sorted(cases) {
            let ours = rounds.get(OURS);
            rounds.iter().for_each(|(peer, theirs)| row(&mut out, case, (peer, theirs), ours));
        }
    }
    out.trim_start().to_owned()
}

fn row(
    out: &mut String,
    case: &str,
    (peer, rounds): (&str, &[Measured]),
    ours: Option<&Vec<Measured>>,
) {
    let Spread { median, least, most } = micros(rounds);
    let ratio = ours.filter(|_| peer != OURS).and_then(|ours| results::ratio(rounds, ours));
    let ratio = ratio.map_or(String::new(), |ratio| {
        format!("**{:.2}x** ({:.2} to {:.2})", ratio.median, ratio.least, ratio.most)
    });
    let sum = |value: fn(&Measured) -> u64| rounds.iter().map(value).sum::<u64>();
    let delivered = delivered(sum(|it| it.delivered), sum(|it| it.accepted));
    _ = writeln!(
        out,
        "| {case} | {peer} | {median:.2} ({least:.2} to {most:.2}) | {:.0} | {:.0} | {delivered} | {ratio} |",
        spread(rounds, Measured::lasting).median,
        spread(rounds, |it| it.peak_mib).median,
    );
}

fn micros(rounds: &[Measured]) -> Spread {
    spread(rounds, |it| it.micros)
}

fn delivered(delivered: u64, accepted: u64) -> String {
    if delivered == accepted {
        return "all delivered".to_owned();
    }
    format!("{:.2} % delivered", delivered as f64 * 100.0 / accepted.max(1) as f64)
}

fn sorted(cases: &Cases) -> Vec<(&String, &Rounds)> {
    let mut sorted: Vec<_> = cases.iter().collect();
    sorted.sort_by_key(|(case, _)| rank(case));
    sorted
}

/// From the least work to the most; what is not known comes last, by its name.
fn rank(case: &str) -> (usize, &str) {
    let known = ["passthrough", "durable", "edits", "redact", "full", "indexed"];
    (known.iter().position(|it| *it == case).unwrap_or(known.len()), case)
}
