//! One table: the Collector, or whoever is beside us, and Hopline in each row.

use std::fmt::Write;

use crate::results::{Measured, Row, Spread, spread};

/// Of its processor: who was idle for longer was not what limited a closed loop.
const BUSY: f64 = 0.9;

/// Gives a figure as people read it.
type Style = fn(f64) -> String;

/// A part of the bytes that came.
type Share = fn(&Measured) -> Option<f64>;

const SHARES: [(&str, Share); 2] = [("log/raw", log_of_raw), ("index/raw", index_of_raw)];

/// A row, and the cells that tell it from others.
pub(super) type Line<'a> = (&'a Row, Vec<String>);

pub(super) fn render(heads: &[&str], lines: &[Line<'_>]) -> String {
    let known = |of: Share| lines.iter().flat_map(|(row, _)| &row.ours).any(|it| of(it).is_some());
    let shares: Vec<_> = SHARES.into_iter().filter(|(_, of)| known(*of)).collect();
    let mut all = vec!["case"];
    all.extend(heads);
    all.extend(["Collector µs", "Hopline µs", "better by", "items/s", "peak MiB"]);
    all.extend(shares.iter().map(|(head, _)| head));
    let mut out = format!("| {} |\n|{}\n", all.join(" | "), "---|".repeat(all.len()));
    let mut notes = Vec::new();
    for (row, cells) in lines {
        _ = write!(out, "| {} | {} | ", row.case, cells.join(" | "));
        let [theirs, ours] = of_both(row, |it| it.micros);
        let better = row.ratio().map_or("–".to_owned(), better);
        let once = if row.rounds() == 1 { " ¹" } else { "" };
        let limit = limit(row);
        _ = write!(
            out,
            "{} | {}{once} | {better} | {}{} | {} |",
            shown(theirs, hundredths),
            shown(ours, hundredths),
            both(row, grouped, Measured::lasting),
            if limit.is_some() { " ²" } else { "" },
            both(row, whole, |it| it.peak_mib),
        );
        for (_, of) in &shares {
            let known: Vec<Measured> =
                row.ours.iter().filter(|it| of(it).is_some()).cloned().collect();
            let share = spread(&known, |it| of(it).unwrap_or(0.0));
            _ = write!(out, " {} |", shown(share.map(|it| it.median), hundredths));
        }
        out.push('\n');
        let name = [std::slice::from_ref(&row.case), cells].concat().join(", ");
        notes.extend(limit.map(|limit| format!("² {name}: {limit}")));
        notes.extend(losses(row).into_iter().map(|loss| format!("{name}: {loss}")));
    }
    if lines.iter().any(|(row, _)| row.rounds() == 1) {
        notes.insert(0, "¹ One round".to_owned());
    }
    if !notes.is_empty() {
        _ = write!(out, "\n{}.\n", notes.join(".  \n"));
    }
    out
}

/// Medians of the peer's rounds and of ours.
pub(super) fn of_both(row: &Row, value: impl Fn(&Measured) -> f64) -> [Option<f64>; 2] {
    [&row.theirs, &row.ours].map(|rounds| Some(spread(rounds, &value)?.median))
}

/// The same in one cell.
pub(super) fn both(row: &Row, style: Style, value: impl Fn(&Measured) -> f64) -> String {
    let [theirs, ours] = of_both(row, value).map(|it| shown(it, style));
    if row.rival.is_none() { ours } else { format!("{theirs} / {ours}") }
}

/// Bytes appended to the log over bytes received.
pub(super) fn log_of_raw(measured: &Measured) -> Option<f64> {
    let disk = measured.disk.filter(|disk| disk.raw > 0)?;
    Some(disk.log as f64 / disk.raw as f64)
}

/// Bytes of the index over the bytes received of the journeys in it.
pub(super) fn index_of_raw(measured: &Measured) -> Option<f64> {
    let disk = measured.disk.filter(|disk| disk.journeys > 0 && disk.indexed_raw > 0.0)?;
    Some(disk.index as f64 / disk.indexed_raw)
}

pub(super) fn delivered(delivered: u64, accepted: u64) -> String {
    if delivered == accepted {
        return "all delivered".to_owned();
    }
    format!("{:.2} % delivered", delivered as f64 * 100.0 / accepted.max(1) as f64)
}

/// With its thousands apart.
pub(super) fn grouped(figure: f64) -> String {
    let digits = whole(figure);
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

pub(super) fn tenths(figure: f64) -> String {
    format!("{figure:.1}")
}

fn hundredths(figure: f64) -> String {
    format!("{figure:.2}")
}

fn whole(figure: f64) -> String {
    format!("{figure:.0}")
}

fn shown(figure: Option<f64>, style: Style) -> String {
    figure.map_or("–".to_owned(), style)
}

fn better(Spread { median, least, most }: Spread) -> String {
    if least.total_cmp(&most).is_eq() {
        return format!("**{median:.2}x**");
    }
    format!("**{median:.2}x** ({least:.2} to {most:.2})")
}

/// Who of both could have taken more of a closed loop.
fn limit(row: &Row) -> Option<String> {
    let busy = of_both(row, |it| it.gateway_busy);
    let idle = names(row).into_iter().zip(busy).filter_map(|(name, busy)| {
        let busy = busy.filter(|busy| *busy < BUSY && row.label.load.ends_with("in flight"))?;
        Some(format!("{name} {:.0} %", busy * 100.0))
    });
    let idle: Vec<_> = idle.collect();
    (!idle.is_empty()).then(|| format!("no ceiling, busy was {}", idle.join(", ")))
}

fn names(row: &Row) -> [&str; 2] {
    [row.rival.as_deref().unwrap_or_default(), "Hopline"]
}

/// What did not come, or came to the wrong place.
fn losses(row: &Row) -> Vec<String> {
    let mut losses = Vec::new();
    for (name, rounds) in names(row).into_iter().zip([&row.theirs, &row.ours]) {
        let sum = |value: fn(&Measured) -> u64| rounds.iter().map(value).sum::<u64>();
        let (came, accepted) = (sum(|it| it.delivered), sum(|it| it.accepted));
        if came != accepted {
            losses.push(format!("{name}: {} of what it accepted", delivered(came, accepted)));
        }
        let hides = ["redact", "full", "indexed"].contains(&&*row.case);
        let told = [
            (sum(|it| it.again), "delivered again"),
            (sum(|it| it.foreign), "that nobody sent"),
            (if hides { sum(|it| it.leaking) } else { 0 }, "requests with a secret"),
            (sum(|it| it.failed), "requests failed"),
        ];
        let told = told.into_iter().filter(|(count, _)| *count > 0);
        losses.extend(told.map(|(count, what)| format!("{name}: {count} {what}")));
    }
    losses
}
