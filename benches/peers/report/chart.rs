//! A chart of bars: what an item costs, by case and gateway.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::rank;
use crate::results::{Measured, OURS, Row, spread};
use crate::shape::Label;

const WIDTH: f64 = 720.0;
/// Where bars begin, and what is left for the figure behind the longest.
const LEFT: f64 = 210.0;
const RIGHT: f64 = 90.0;
const BAR: f64 = 18.0;
const GAP: f64 = 14.0;
const TOP: f64 = 44.0;

/// Of the load that has the most cases beside the Collector.
pub(super) fn draw(newest: &[Row]) -> String {
    let mut loads: BTreeMap<&Label, Vec<&Row>> = BTreeMap::new();
    for row in newest.iter().filter(|row| row.rival.as_deref() == Some("otelcol")) {
        loads.entry(&row.label).or_default().push(row);
    }
    // Of loads with as many, the last: it has zstd.
    let most = loads.into_iter().max_by_key(|(_, rows)| rows.len());
    let Some((label, mut rows)) = most else { return String::new() };
    rows.sort_by_key(|row| rank(&row.case));
    let longest = rows.iter().flat_map(|row| [&row.theirs, &row.ours]);
    let longest = longest.filter_map(|rounds| micros(rounds)).fold(0.0, f64::max);
    let height = TOP + rows.len() as f64 * (2.0 * BAR + GAP);

    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"8\" y=\"18\" font-weight=\"bold\">Core-microseconds an item, less is better</text>\n\
         <text x=\"8\" y=\"34\" fill=\"#666\">{label}</text>\n"
    );
    let mut y = TOP;
    for row in rows {
        _ = writeln!(out, "<text x=\"8\" y=\"{:.0}\">{}</text>", y + 13.0, row.case);
        for (peer, rounds) in [("otelcol", &row.theirs), (OURS, &row.ours)] {
            bar(&mut out, peer, micros(rounds).unwrap_or(0.0), (y, longest));
            y += BAR;
        }
        y += GAP;
    }
    out.push_str("</svg>\n");
    out
}

fn bar(out: &mut String, peer: &str, cost: f64, (y, longest): (f64, f64)) {
    let width = cost / longest * (WIDTH - LEFT - RIGHT);
    let color = if peer == OURS { "#0b7285" } else { "#adb5bd" };
    _ = writeln!(
        out,
        "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\" fill=\"#444\">{peer}</text>\
         <rect x=\"{LEFT}\" y=\"{y:.0}\" width=\"{width:.1}\" height=\"{:.0}\" fill=\"{color}\"/>\
         <text x=\"{:.1}\" y=\"{:.0}\">{cost:.2}</text>",
        LEFT - 8.0,
        y + 13.0,
        BAR - 3.0,
        LEFT + width + 6.0,
        y + 13.0,
    );
}

fn micros(rounds: &[Measured]) -> Option<f64> {
    Some(spread(rounds, |it| it.micros)?.median)
}
