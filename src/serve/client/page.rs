//! One screen for whoever is on call: what is wrong, then where everything is.

use std::fmt::Write as _;

use super::findings::{Finding, Level, reasons};
use super::rates::{Rates, SourceRate};
use super::show::{age, bar, clock_seconds, count, many, percent, plain, size};
use super::snapshot::{Consumer, Export, Signal, Snapshot, Source, Use, total};

const BAR_WIDTH: usize = 10;

/// The report. Rates are those between the two snapshots.
pub(super) fn page(api: &str, before: &Snapshot, now: &Snapshot, found: &[Finding]) -> String {
    let rates = Rates::between(before, now).unwrap_or_else(|| Rates::at_rest(now));
    let mut out = Lines(String::new());
    head(api, now, &mut out);
    wrong(found, &mut out);
    doors(now, &rates, &mut out);
    ledger(now, &mut out);
    log(now, &mut out);
    exports(now, &rates, &mut out);
    inside(now, &mut out);
    out.0
}

struct Lines(String);

impl Lines {
    fn line(&mut self, text: &str) {
        self.0.push_str(text.trim_end());
        self.0.push('\n');
    }

    /// A column of names 20 wide, then columns of numbers.
    fn row(&mut self, name: &str, columns: &[&str], rest: &str) {
        let mut line = format!("{name:<20}");
        for column in columns {
            let _infallible = write!(line, " {column:>10}");
        }
        let _infallible = write!(line, "  {rest}");
        self.line(&line);
    }
}

fn head(api: &str, now: &Snapshot, out: &mut Lines) {
    let up = age(now.now_ns.saturating_sub(now.started_ns));
    let ready = if now.ready { "ready" } else { "not ready" };
    let (version, since) = (&now.version, clock_seconds(now.started_ns));
    let (api, ack) = (plain(api), &now.ack);
    out.line(&format!("hopline {version} at {api}: {ready}, ack {ack}, up {up} since {since}"));
    out.line("");
}

fn wrong(found: &[Finding], out: &mut Lines) {
    let mut section = |title: &str, level: Level| {
        let texts = found.iter().filter(|finding| finding.level == level);
        let texts: Vec<_> = texts.map(|finding| &finding.text).collect();
        if !texts.is_empty() {
            out.line(title);
            texts.into_iter().for_each(|text| out.line(&format!("  {text}")));
            out.line("");
        }
    };
    section("NEEDS A PERSON", Level::Act);
    section("GOOD TO KNOW", Level::Know);
    if found.is_empty() {
        out.line("Nothing is wrong.");
        out.line("");
    }
}

fn doors(now: &Snapshot, rates: &Rates, out: &mut Lines) {
    let titles = ["requests", "requests/s", "items/s", "bytes/s", "rejected"];
    out.row("DOORS", &titles, "sent back");
    let all = now.sources.iter().zip(&rates.sources);
    for (source, rate) in all.filter(|(source, _)| source.requests > 0) {
        door(source, rate, out);
    }
    for door in &now.doors {
        let denied =
            if total(&door.denied) > 0 { reasons(&door.denied) } else { "none".to_owned() };
        let tenants = door.tenants.iter();
        let tenants = tenants.map(|it| format!(", tenant {} {}", it.name, count(it.requests)));
        let tenants: String = tenants.collect();
        out.line(&format!("  {}: denied {denied}{tenants}", door.door));
    }
    let (connections, inflight) = (&now.connections, &now.inflight);
    let (open, turned_away) = (connections.open, count(connections.turned_away));
    let open = many(open, "connection");
    let (held, held_max) = (size(inflight.bytes), size(inflight.bytes_max));
    out.line(&format!("  {open}, {turned_away} turned away; {held} of {held_max} on the way in"));
    out.line("");
}

fn door(source: &Source, rate: &SourceRate, out: &mut Lines) {
    let columns = [
        &count(source.requests),
        &rate.requests.to_string(),
        &rate.items.to_string(),
        &size(rate.bytes.whole()),
        &count(source.rejected),
    ];
    out.row(
        &format!("  {}", source.source),
        &columns.map(String::as_str),
        &reasons(&source.refused),
    );
}

fn ledger(now: &Snapshot, out: &mut Lines) {
    let titles = ["received", "admitted", "repeated", "done", "passed", "held"];
    out.row("LEDGER", &titles, "refused, lost");
    for signal in now.ledger.signals.iter().filter(|signal| is_seen(signal)) {
        let columns = [signal.received, signal.admitted, signal.repeated].map(count);
        let refused = match total(&signal.refused) {
            0 => String::new(),
            _ => format!("refused {}", reasons(&signal.refused)),
        };
        let [received, admitted, repeated] = &columns;
        let columns: [&str; 6] = [received, admitted, repeated, "", "", ""];
        let rest = refused + &off(signal.imbalance);
        out.row(&format!("  {}", signal.signal), &columns, &rest);
        for consumer in &signal.consumers {
            account(consumer, out);
        }
    }
    out.line("");
}

/// Nothing is said of a signal that nobody sends.
fn is_seen(signal: &Signal) -> bool {
    signal.received > 0 || signal.consumers.iter().any(|consumer| consumer.recovered > 0)
}

fn account(consumer: &Consumer, out: &mut Lines) {
    let columns = [consumer.done, consumer.passed, consumer.held].map(count);
    let [done, passed, held] = &columns;
    let lost = match total(&consumer.lost) {
        0 => "none".to_owned(),
        _ => reasons(&consumer.lost),
    };
    let rest = lost + &off(consumer.imbalance);
    let name = format!("    {}", consumer.consumer);
    out.row(&name, &["", "", "", done, passed, held], &rest);
}

/// While evidence moves, counts are a moment apart: it is a finding when this stays.
fn off(imbalance: i64) -> String {
    if imbalance == 0 { String::new() } else { format!("  off by {imbalance}") }
}

fn log(now: &Snapshot, out: &mut Lines) {
    let log = &now.log;
    let shown = bar(log.bytes, log.bytes_max, BAR_WIDTH);
    let full = percent(log.bytes, log.bytes_max);
    let (bytes, most) = (size(log.bytes), size(log.bytes_max));
    let segments = many(log.segments, "segment");
    let covers = log.oldest_ns.map(|oldest| age(now.now_ns.saturating_sub(oldest)));
    let covers = covers.map_or_else(|| "nothing yet".to_owned(), |it| format!("the last {it}"));
    out.line(&format!(
        "LOG        {shown} {full}%: {bytes} of {most} in {segments}, covers {covers}"
    ));
    for cursor in &log.cursors {
        let (lag, share) = (size(cursor.lag_bytes), percent(cursor.lag_bytes, log.bytes_max));
        out.line(&format!("  {:<18} {lag} behind, {share}% of what the log may hold", cursor.name));
    }
    out.line("");
}

fn exports(now: &Snapshot, rates: &Rates, out: &mut Lines) {
    if now.exports.is_empty() {
        out.line("DESTINATIONS  none");
        out.line("");
        return;
    }
    out.row("DESTINATIONS", &["items", "items/s", "bytes", "retries", "behind"], "state");
    for (export, rate) in now.exports.iter().zip(&rates.exports) {
        let columns = [
            &count(export.sent_items),
            &rate.items.to_string(),
            &size(export.sent_bytes),
            &count(export.retries),
            &size(now.lag_bytes(export)),
        ];
        let name = format!("  {}", export.name);
        out.row(&name, &columns.map(String::as_str), &state(now, export));
    }
    out.line("");
}

fn state(now: &Snapshot, export: &Export) -> String {
    let endpoint = &export.endpoint;
    match export.retrying_since_ns {
        None if export.up => format!("up, {endpoint}"),
        None => format!("down, {endpoint}"),
        Some(since) => {
            let since = age(now.now_ns.saturating_sub(since));
            let why = export.last_error.as_deref().unwrap_or("no reason known");
            format!("retrying since {since}, {endpoint}: {why}")
        }
    }
}

fn inside(now: &Snapshot, out: &mut Lines) {
    out.line(&match &now.join {
        None => "JOIN       off".to_owned(),
        Some(join) => {
            let journeys = many(join.open_journeys, "open journey");
            let evidence = count(join.evidence);
            let (waiting, bindings) = (count(join.waiting), count(join.bindings));
            let forgotten = match total(&join.forgotten_bindings) {
                0 => String::new(),
                _ => format!("; forgotten: {}", reasons(&join.forgotten_bindings)),
            };
            format!(
                "JOIN       {journeys} with {evidence} evidence; {waiting} wait for a binding, \
                 {bindings} bindings{forgotten}"
            )
        }
    });
    out.line(&match &now.index {
        None => "INDEX      off".to_owned(),
        Some(index) => {
            let (journeys, bytes) = (many(index.documents, "journey"), size(index.bytes));
            let buckets = many(index.buckets, "bucket");
            let state = match (&index.failing, index.shedding) {
                (Some(_), _) => "; cannot be written",
                (None, true) => "; shedding",
                (None, false) => "",
            };
            format!("INDEX      {journeys}, {bytes} in {buckets}{state}")
        }
    });
    let (resident, most) = (size(now.memory.resident_bytes), size(now.memory.max_bytes));
    let bounds = size(now.bounds_bytes());
    out.line(&format!("MEMORY     {resident} in use; all bounds reached {bounds}, of {most}"));
    let (symbols, series) = (used(&now.symbols), used(&now.hop_series));
    out.line(&format!("NAMES      {symbols}; hop series {series}"));
}

fn used(use_: &Use) -> String {
    format!("{} of {}", count(use_.used), count(use_.max))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::example::{compare, snapshot};
    use super::super::findings::findings;
    use super::*;

    const API: &str = "http://127.0.0.1:8317";

    fn shown(before: &Snapshot, mut now: Snapshot) -> String {
        now.now_ns += 1_000_000_000;
        let found = findings(Some(before), &now);
        page(API, before, &now, &found)
    }

    #[test]
    fn a_gateway_that_is_well_fits_on_a_screen() {
        let now = snapshot(&[
            ("/sources/0/requests", json!(520)),
            ("/sources/0/bytes", json!(3_000_000)),
            ("/exports/0/sent_items", json!(3381)),
        ]);
        compare("client/well.txt", &shown(&snapshot(&[]), now));
    }

    #[test]
    fn what_is_wrong_comes_first() {
        let now = snapshot(&[
            ("/exports/0/up", json!(false)),
            ("/exports/0/retrying_since_ns", json!(1_790_000_012_000_000_000_u64)),
            ("/exports/0/last_error", json!("connection refused")),
            ("/log/bytes", json!(7_900_000_000_u64)),
            ("/log/cursors/0/lag_bytes", json!(7_900_000_000_u64)),
            ("/index/shedding", json!(true)),
            ("/join/forgotten_bindings/bindings_full", json!(2600)),
            ("/join/forgotten_bindings/key_full", json!(31)),
            ("/ledger/signals/0/consumers/0/lost/shed", json!(12)),
            ("/ledger/signals/1/refused/log_full", json!(400)),
            ("/ledger/signals/1/imbalance", json!(-5)),
            ("/sources/0/refused/log_full", json!(4)),
        ]);
        compare("client/ill.txt", &shown(&snapshot(&[]), now));
    }

    #[test]
    fn who_came_in_is_shown_where_callers_say_who_they_are() {
        let mut now = snapshot(&[]);
        now.doors = vec![super::super::snapshot::Door {
            door: "grpc".to_owned(),
            denied: [("no_token".to_owned(), 3)].into(),
            tenants: vec![super::super::snapshot::Tenant {
                name: "shop".to_owned(),
                requests: 1200,
            }],
        }];
        let shown = shown(&snapshot(&[]), now);
        assert!(shown.contains("\n  grpc: denied no_token 3, tenant shop 1,200\n"), "{shown}");
    }
}
