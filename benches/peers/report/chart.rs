//! A chart of bars: what an item costs, by case and gateway.

use std::fmt::Write;

use super::{micros, sorted};
use crate::results::Loads;

const WIDTH: f64 = 720.0;
/// Where bars begin, and what is left for the figure behind the longest.
const LEFT: f64 = 210.0;
const RIGHT: f64 = 90.0;
const BAR: f64 = 18.0;
const GAP: f64 = 14.0;
const TOP: f64 = 44.0;

/// Of the load that has the most cases.
pub(super) fn draw(newest: &Loads) -> String {
    let most = newest.iter().max_by_key(|(_, cases)| cases.len());
    let Some((label, cases)) = most else { return String::new() };
    let cases = sorted(cases);
    let all = || cases.iter().flat_map(|(_, rounds)| rounds.values());
    let longest = all().map(|rounds| micros(rounds).median).fold(0.0, f64::max);
    let bars = all().count() as f64;
    let height = TOP + bars * BAR + cases.len() as f64 * GAP;

    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"8\" y=\"18\" font-weight=\"bold\">Core-microseconds an item, less is better</text>\n\
         <text x=\"8\" y=\"34\" fill=\"#666\">{label}</text>\n"
    );
    let mut y = TOP;
    for (case, rounds) in cases {
        _ = writeln!(out, "<text x=\"8\" y=\"{:.0}\">{case}</text>", y + 13.0);
        for (peer, rounds) in rounds {
            let cost = micros(rounds).median;
            bar(&mut out, peer, cost, (y, longest));
            y += BAR;
        }
        y += GAP;
    }
    out.push_str("</svg>\n");
    out
}

fn bar(out: &mut String, peer: &str, cost: f64, (y, longest): (f64, f64)) {
    let width = cost / longest * (WIDTH - LEFT - RIGHT);
    let color = if peer == super::OURS { "#0b7285" } else { "#adb5bd" };
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
