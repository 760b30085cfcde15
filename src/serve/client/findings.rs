//! What is wrong, in words, the worst first.

use super::rates::{PerSecond, Rates};
use super::show::{age, count, percent, size};
use super::snapshot::{Reasons, Snapshot, total};

/// A destination that restarts comes back within this.
const PATIENCE_NS: u64 = 60 * 1_000_000_000;

/// Of the log's bytes, those that a consumer has not finished: half is worth knowing, and past
/// four fifths there is little time left until the doors refuse.
const BEHIND_PERCENT: u64 = 50;
const FULL_PERCENT: u64 = 80;

/// Of `memory_max`.
const MEMORY_PERCENT: u64 = 90;

/// These are faults of whoever sent it.
const OF_THE_SENDER: [&str; 3] = ["malformed", "too_large", "invalid"];

/// Whether someone has to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Now.
    Act,
    /// It is good to know.
    Know,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) level: Level,
    pub(crate) text: String,
}

/// What is wrong `now`. What goes on at this moment is only known with a snapshot from `before`.
pub(crate) fn findings(before: Option<&Snapshot>, now: &Snapshot) -> Vec<Finding> {
    let rates = before.and_then(|before| Rates::between(before, now));
    let rates = rates.unwrap_or_else(|| Rates::at_rest(now));
    let mut found = Found::default();
    if !now.ready {
        found.act("the gateway takes no requests: it is starting or stopping".to_owned());
    }
    log(now, &mut found);
    doors(now, &rates, &mut found);
    exports(now, &mut found);
    index(now, &mut found);
    losses(&rates, &mut found);
    memory(now, &mut found);
    balance(before, now, &mut found);
    found.0.sort_by_key(|finding| finding.level);
    found.0
}

#[derive(Default)]
struct Found(Vec<Finding>);

impl Found {
    fn act(&mut self, text: String) {
        self.0.push(Finding { level: Level::Act, text });
    }

    fn know(&mut self, text: String) {
        self.0.push(Finding { level: Level::Know, text });
    }
}

fn log(now: &Snapshot, found: &mut Found) {
    let log = &now.log;
    if log.failing {
        found.act("the log cannot be written: the disk refuses, and so do the doors".to_owned());
    }
    if log.poisoned > 0 {
        let given_up = count(log.poisoned);
        found.act(format!("the disk failed: the log gave up {given_up} segments since the start"));
    }
    if log.corrupt_spans > 0 {
        let spans = count(log.corrupt_spans);
        found.act(format!("the disk gave back other bytes than were written: {spans} spans lost"));
    }
    full(now, found);
    if log.torn_bytes > 0 {
        let torn = size(log.torn_bytes);
        found.know(format!("a crash left an unfinished batch, never acknowledged: {torn} cut off"));
    }
}

/// Bytes that everyone has read make room by themselves: only those that someone still needs can
/// fill the log.
fn full(now: &Snapshot, found: &mut Found) {
    let held = now.log.cursors.iter().map(|cursor| cursor.lag_bytes).max().unwrap_or(0);
    let percent_held = percent(held, now.log.bytes_max);
    if percent_held < BEHIND_PERCENT {
        return;
    }
    let holds = |lag: u64| percent(lag, now.log.bytes_max) >= BEHIND_PERCENT;
    let by = now.log.cursors.iter().filter(|cursor| holds(cursor.lag_bytes));
    let by: Vec<_> = by.map(|cursor| cursor.name.as_str()).collect();
    let text = format!("the log is {percent_held}% full: held by {}", by.join(", "));
    if percent_held >= FULL_PERCENT {
        found.act(text);
    } else {
        found.know(text);
    }
}

fn doors(now: &Snapshot, rates: &Rates, found: &mut Found) {
    for source in &rates.sources {
        for (reason, rate) in &source.reasons {
            let text = format!("{} sends back {rate} requests/s: {reason}", source.source);
            if OF_THE_SENDER.contains(&reason.as_str()) {
                found.know(text);
            } else {
                found.act(text);
            }
        }
    }
    if rates.turned_away > PerSecond::default() {
        let (rate, open) = (rates.turned_away, now.connections.open);
        found.act(format!("{rate} connections/s are turned away: {open} are open"));
    } else if now.connections.turned_away > 0 {
        let turned_away = count(now.connections.turned_away);
        found.know(format!("{turned_away} connections were turned away since the start"));
    }
    for source in now.sources.iter().filter(|source| total(&source.refused) > 0) {
        let reasons = reasons(&source.refused);
        found.know(format!("{} has sent back requests since the start: {reasons}", source.source));
    }
}

/// What there is of each reason, without those of which there is nothing.
pub(super) fn reasons(reasons: &Reasons) -> String {
    let some = reasons.iter().filter(|(_, items)| **items > 0);
    let some: Vec<_> = some.map(|(reason, items)| format!("{reason} {}", count(*items))).collect();
    some.join(", ")
}

fn exports(now: &Snapshot, found: &mut Found) {
    for export in now.exports.iter().filter(|export| !export.up) {
        let since = now.now_ns.saturating_sub(export.retrying_since_ns.unwrap_or(now.now_ns));
        let why = export.last_error.as_deref().unwrap_or("it does not say why");
        let text = format!("export/{} takes nothing since {}: {why}", export.name, age(since));
        if since >= PATIENCE_NS {
            found.act(text);
        } else {
            found.know(text);
        }
    }
}

fn index(now: &Snapshot, found: &mut Found) {
    let Some(index) = &now.index else { return };
    if let Some(why) = &index.failing {
        found.act(format!("the index cannot be written: {why}"));
    }
    if index.shedding {
        let what = "journeys that worked are not indexed until it has caught up";
        found.act(format!("the index is shedding: {what}"));
    }
    if index.unreadable_buckets > 0 {
        let buckets = count(index.unreadable_buckets);
        found.act(format!("{buckets} hours of the index cannot be read and were moved aside"));
    }
}

fn losses(rates: &Rates, found: &mut Found) {
    for loss in &rates.losses {
        let (consumer, signal, reason) = (&loss.consumer, &loss.signal, &loss.reason);
        let items = count(loss.items);
        if loss.now.is_zero() {
            found.know(format!("{consumer} has lost {items} {signal} since the start: {reason}"));
        } else {
            let rate = loss.now;
            found.act(format!("{consumer} loses {rate} {signal}/s: {reason}, {items} so far"));
        }
    }
}

fn memory(now: &Snapshot, found: &mut Found) {
    let (resident, max) = (now.memory.resident_bytes, now.memory.max_bytes);
    let text = format!("memory: {} of {} are in use", size(resident), size(max));
    if resident > max {
        found.act(text);
    } else if percent(resident, max) >= MEMORY_PERCENT {
        found.know(text);
    }
    if now.symbols.overflowed > 0 {
        let (names, max) = (count(now.symbols.overflowed), count(now.symbols.max));
        found.know(format!("{names} names came after the table of {max} was full: __other__"));
    }
    if now.hop_series.overflowed > 0 {
        let (hops, max) = (count(now.hop_series.overflowed), count(now.hop_series.max));
        found.know(format!("{hops} crossings share a series: the {max} of their own were taken"));
    }
}

/// A balance that is off while evidence moves is only late. One that stays off by the same is
/// wrong.
fn balance(before: Option<&Snapshot>, now: &Snapshot, found: &mut Found) {
    let Some(before) = before else { return };
    let was = imbalances(before);
    for (what, items) in imbalances(now) {
        if was.contains(&(what.clone(), items)) {
            let fault = "a fault of Hopline when nothing moves";
            found.know(format!("the ledger of {what} is off by {items}: {fault}"));
        }
    }
}

fn imbalances(snapshot: &Snapshot) -> Vec<(String, i64)> {
    let mut all = Vec::new();
    for signal in &snapshot.ledger.signals {
        all.push((signal.signal.clone(), signal.imbalance));
        let consumers = signal.consumers.iter().map(|consumer| {
            (format!("{} for {}", signal.signal, consumer.consumer), consumer.imbalance)
        });
        all.extend(consumers);
    }
    all.retain(|(_, items)| *items != 0);
    all
}
