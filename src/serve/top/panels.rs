//! The rows of each panel, as text.

use super::super::client::show::{age, bar, count, percent, size};
use super::super::client::{PerSecond, Rates, Snapshot};
use super::history::Series;
use super::state::{Panel, State};

const LINE_WIDTH: usize = 16;
const BAR_WIDTH: usize = 12;

/// A table. The first column is left-aligned, and so is each that has no width: it takes what is
/// left. Numbers are right-aligned.
#[derive(Debug, Default)]
pub(super) struct Grid {
    pub(super) title: &'static str,
    pub(super) columns: Vec<Column>,
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
    Rest,
}

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
    let (title, columns) = head(panel);
    let rows = state.latest.as_ref().map_or_else(Vec::new, |now| {
        let rates = state.rates.clone().unwrap_or_else(|| Rates::at_rest(now));
        match panel {
            Panel::Doors => doors(state, &rates),
            Panel::Bounds => bounds(now),
            Panel::Destinations => destinations(state, now, &rates),
            Panel::Evidence => evidence(state, &rates),
            Panel::Losses => losses(&rates),
        }
    });
    Grid { title, columns, rows }
}

fn head(panel: Panel) -> (&'static str, Vec<Column>) {
    use Width::{Number, Rest, Text};
    let column = |(title, width)| Column { title, width };
    match panel {
        Panel::Doors => (
            "Doors",
            vec![
                ("door", Text(10)),
                ("requests/s", Number(10)),
                ("", Text(16)),
                ("items/s", Number(10)),
                ("bytes/s", Number(10)),
                ("refused/s", Number(9)),
                ("", Rest),
            ]
            .into_iter()
            .map(column)
            .collect(),
        ),
        Panel::Bounds => (
            "Queues, log, memory: used of what they may",
            vec![("", Text(11)), ("", Text(12)), ("", Number(4)), ("", Rest)]
                .into_iter()
                .map(column)
                .collect(),
        ),
        Panel::Destinations => (
            "Destinations",
            vec![
                ("name", Text(10)),
                ("items/s", Number(8)),
                ("behind", Number(9)),
                ("state", Rest),
            ]
            .into_iter()
            .map(column)
            .collect(),
        ),
        Panel::Evidence => (
            "Evidence",
            vec![
                ("signal", Text(8)),
                ("received/s", Number(10)),
                ("", Text(8)),
                ("refused/s", Number(9)),
                ("held", Rest),
            ]
            .into_iter()
            .map(column)
            .collect(),
        ),
        Panel::Losses => (
            "Losses",
            vec![("reason", Text(12)), ("items", Number(9)), ("now/s", Number(8)), ("by", Rest)]
                .into_iter()
                .map(column)
                .collect(),
        ),
    }
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
        ("unread log", behind, log.bytes_max),
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
    let on_disk = bound(("log on disk", log.bytes, log.bytes_max), size);
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
        bar(used, most, BAR_WIDTH),
        format!("{percent}%"),
        format!("{} of {}", show(used), show(most)),
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

fn evidence(state: &State, rates: &Rates) -> Vec<Row> {
    let signals = state.latest.iter().flat_map(|now| &now.ledger.signals);
    let rows = rates.signals.iter().zip(signals).map(|(it, signal)| {
        let held = signal.consumers.iter();
        let held: Vec<_> =
            held.map(|one| format!("{} {}", one.consumer, count(one.held))).collect();
        let cells = vec![
            it.signal.clone(),
            it.received.to_string(),
            state.history.line(Series::Received, &it.signal, LINE_WIDTH / 2),
            it.refused.to_string(),
            held.join(", "),
        ];
        Row { cells, tone: if it.refused.is_zero() { Tone::Calm } else { Tone::Bad } }
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
