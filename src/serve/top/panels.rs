//! The rows of each panel, as text.

use super::super::client::show::{age, bar, count, percent, size};
use super::super::client::{PerSecond, Rates, Snapshot};
use super::history::Series;
use super::state::{Panel, State};

const LINE_WIDTH: usize = 16;
const BAR_WIDTH: usize = 6;

/// A table. Numbers are right-aligned.
#[derive(Debug)]
pub(super) struct Grid {
    pub(super) title: &'static str,
    pub(super) columns: &'static [Column],
    pub(super) rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) width: Width,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Text(u16),
    Number(u16),
    /// What the others leave.
    Rest,
}

const DOORS: &[Column] = &[
    text("door", 10),
    number("requests/s", 10),
    text("", 16),
    number("items/s", 10),
    number("bytes/s", 10),
    number("refused/s", 9),
    rest(""),
];
const BOUNDS: &[Column] = &[text("", 10), number("", 4), rest("")];
const DESTINATIONS: &[Column] =
    &[text("name", 10), number("items/s", 8), number("behind", 9), rest("state")];
const EVIDENCE: &[Column] =
    &[text("signal", 7), number("received/s", 10), number("refused/s", 9), rest("held")];
const LOSSES: &[Column] = &[text("reason", 12), number("items", 9), number("now/s", 8), rest("by")];

#[derive(Debug)]
pub(super) struct Row {
    pub(super) cells: Vec<String>,
    pub(super) tone: Tone,
}

/// How worrying a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Calm,
    Notable,
    Bad,
}

pub(super) fn grid(panel: Panel, state: &State) -> Grid {
    let (title, columns) = match panel {
        Panel::Doors => ("Doors", DOORS),
        Panel::Bounds => ("Log, queues, memory", BOUNDS),
        Panel::Destinations => ("Destinations", DESTINATIONS),
        Panel::Evidence => ("Evidence", EVIDENCE),
        Panel::Losses => ("Losses", LOSSES),
    };
    let rows = state.latest.as_ref().map_or_else(Vec::new, |now| {
        let rates = state.rates.clone().unwrap_or_else(|| Rates::at_rest(now));
        match panel {
            Panel::Doors => doors(state, &rates),
            Panel::Bounds => bounds(now),
            Panel::Destinations => destinations(state, now, &rates),
            Panel::Evidence => evidence(now, &rates),
            Panel::Losses => losses(&rates),
        }
    });
    Grid { title, columns, rows }
}

const fn text(title: &'static str, width: u16) -> Column {
    Column { title, width: Width::Text(width) }
}

const fn number(title: &'static str, width: u16) -> Column {
    Column { title, width: Width::Number(width) }
}

const fn rest(title: &'static str) -> Column {
    Column { title, width: Width::Rest }
}

fn doors(state: &State, rates: &Rates) -> Vec<Row> {
    let rows = rates.sources.iter().map(|it| Row {
        cells: vec![
            it.source.clone(),
            it.requests.to_string(),
            state.history.line(Series::Requests, &it.source, LINE_WIDTH),
            it.items.to_string(),
            size(it.bytes.whole()),
            it.refused.to_string(),
            state.history.line(Series::Refused, &it.source, LINE_WIDTH),
        ],
        tone: if it.refused.is_zero() { Tone::Calm } else { Tone::Bad },
    });
    rows.collect()
}

fn bounds(now: &Snapshot) -> Vec<Row> {
    let log = &now.log;
    let behind = log.cursors.iter().map(|cursor| cursor.lag_bytes).max().unwrap_or(0);
    let bytes = [
        ("log unread", behind, log.bytes_max),
        ("doors", now.inflight.bytes, now.inflight.bytes_max),
        ("log queue", log.queued_bytes, log.queued_bytes_max),
        ("memory", now.memory.resident_bytes, now.memory.max_bytes),
    ];
    let names = [
        ("symbols", now.symbols.used, now.symbols.max),
        ("hop series", now.hop_series.used, now.hop_series.max),
    ];
    let mut rows: Vec<_> = bytes.map(|it| bound(it, size)).into();
    rows.extend(names.map(|it| bound(it, count)));
    // A log that is full of what everyone has read is as it should be.
    let on_disk = bound(("log kept", log.bytes, log.bytes_max), size);
    rows.push(Row { tone: Tone::Calm, ..on_disk });
    rows
}

fn bound((name, used, most): (&str, u64, u64), show: fn(u64) -> String) -> Row {
    let percent = percent(used, most);
    let tone = match percent {
        0..50 => Tone::Calm,
        50..80 => Tone::Notable,
        _ => Tone::Bad,
    };
    let cells = vec![
        name.to_owned(),
        format!("{percent}%"),
        format!("{} {} of {}", bar(used, most, BAR_WIDTH), show(used), show(most)),
    ];
    Row { cells, tone }
}

fn destinations(state: &State, now: &Snapshot, rates: &Rates) -> Vec<Row> {
    let rows = now.exports.iter().zip(&rates.exports).map(|(it, rate)| {
        let state = match (it.up, it.retrying_since_ns) {
            (true, _) => format!("up {}", state.history.line(Series::Sent, &it.name, LINE_WIDTH)),
            (false, None) => "down".to_owned(),
            (false, Some(since)) => {
                let since = age(now.now_ns.saturating_sub(since));
                let why = it.last_error.as_deref().unwrap_or_default();
                format!("retrying since {since}: {why}")
            }
        };
        let cells = vec![it.name.clone(), rate.items.to_string(), size(now.lag_bytes(it)), state];
        Row { cells, tone: if it.up { Tone::Calm } else { Tone::Bad } }
    });
    rows.collect()
}

fn evidence(now: &Snapshot, rates: &Rates) -> Vec<Row> {
    let rows = rates.signals.iter().zip(&now.ledger.signals).map(|(rate, signal)| {
        let held = signal.consumers.iter().filter(|it| it.held > 0);
        let held: Vec<_> = held.map(|it| format!("{} {}", it.consumer, count(it.held))).collect();
        let (received, refused) = (rate.received.to_string(), rate.refused.to_string());
        let cells = vec![rate.signal.clone(), received, refused, held.join(", ")];
        Row { cells, tone: if rate.refused.is_zero() { Tone::Calm } else { Tone::Bad } }
    });
    rows.collect()
}

/// What is being lost now comes first.
fn losses(rates: &Rates) -> Vec<Row> {
    let mut losses: Vec<_> = rates.losses.iter().collect();
    losses.sort_by_key(|loss| std::cmp::Reverse((loss.now, loss.items)));
    let rows = losses.into_iter().map(|it| Row {
        cells: vec![
            it.reason.clone(),
            count(it.items),
            it.now.to_string(),
            format!("{}, {}", it.consumer, it.signal),
        ],
        tone: if it.now > PerSecond::default() { Tone::Bad } else { Tone::Notable },
    });
    rows.collect()
}
