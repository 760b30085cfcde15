//! What is wrong, in words, the worst first.

use super::rates::{PerSecond, Rates};
use super::show::{age, count, many, percent, size};
use super::snapshot::{Join, Reasons, Snapshot, total};

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

/// Messages that carry no evidence, but say where it belongs.
const OF_BINDINGS: [&str; 3] = ["bind", "expect", "await"];

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
    join(now, &rates, &mut found);
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
        let given_up = many(log.poisoned, "segment");
        found.act(format!("the disk failed: the log gave up {given_up} since the start"));
    }
    if log.corrupt_spans > 0 {
        let lost = many(log.corrupt_spans, "place");
        found.act(format!("the disk gave back other bytes than were written, at {lost}"));
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
        let turned_away = many(now.connections.turned_away, "connection");
        found.know(format!("{turned_away} turned away since the start"));
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

/// That a connection which is kept alive has more bindings than a key may have is no finding: its
/// oldest are of requests long over.
fn join(now: &Snapshot, rates: &Rates, found: &mut Found) {
    let Some(join) = &now.join else { return };
    if total(&join.lost_mail) > 0 {
        mail(join, rates, found);
    }
    let forgotten = join.forgotten_bindings.get("bindings_full").copied().unwrap_or(0);
    if forgotten > 0 {
        let bindings = many(forgotten, "binding");
        found.know(format!(
            "{bindings} forgotten for join.bindings_max: late evidence may stand in a journey of its own"
        ));
    }
}

fn mail(join: &Join, rates: &Rates, found: &mut Found) {
    let (subjects, most) = (reasons(&join.lost_mail), count(join.mail_max));
    let then = what_lost_mail_does(&join.lost_mail);
    if rates.lost_mail.is_zero() {
        let lost = many(total(&join.lost_mail), "message");
        found.know(format!(
            "shards of the join lost {lost} to each other since the start: {subjects}; {then}"
        ));
    } else {
        let rate = rates.lost_mail;
        found.act(format!(
            "shards of the join lose {rate} messages/s to each other: {subjects} so far; \
             more than {most} wait at one for the others, and {then}"
        ));
    }
}

fn what_lost_mail_does(lost: &Reasons) -> &'static str {
    let is_some = |binds: bool| {
        let mut some = lost.iter().filter(|(_, messages)| **messages > 0);
        some.any(|(subject, _)| OF_BINDINGS.contains(&subject.as_str()) == binds)
    };
    match (is_some(true), is_some(false)) {
        (true, false) => "evidence may stand in a journey of its own",
        (true, true) => "evidence is lost, or may stand in a journey of its own",
        (false, _) => "the evidence in them is lost",
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
        let buckets = many(index.unreadable_buckets, "bucket");
        found.act(format!("the index has moved aside {buckets} that cannot be read"));
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::example::snapshot;
    use super::*;

    /// The clock of the example.
    const NOW_NS: u64 = 1_790_000_252_123_000_000;

    fn found(before: &Snapshot, now: &Snapshot) -> Vec<(Level, String)> {
        findings(Some(before), now).into_iter().map(|it| (it.level, it.text)).collect()
    }

    /// What is found at once in a gateway that is well but for this.
    fn found_in(changes: &[(&str, Value)]) -> Vec<(Level, String)> {
        let now = snapshot(changes);
        findings(None, &now).into_iter().map(|it| (it.level, it.text)).collect()
    }

    /// A second later, but for this.
    fn later(changes: &[(&str, Value)]) -> Snapshot {
        let mut now = snapshot(changes);
        now.now_ns += 1_000_000_000;
        now
    }

    fn act(text: &str) -> (Level, String) {
        (Level::Act, text.to_owned())
    }

    fn know(text: &str) -> (Level, String) {
        (Level::Know, text.to_owned())
    }

    #[test]
    fn nothing_is_found_in_a_gateway_that_is_well() {
        assert_eq!(found(&snapshot(&[]), &later(&[])), []);
    }

    #[test]
    fn a_destination_that_is_down_for_minutes_needs_a_person() {
        let down = |since_s: u64| {
            found_in(&[
                ("/exports/0/up", json!(false)),
                ("/exports/0/retrying_since_ns", json!(NOW_NS - since_s * 1_000_000_000)),
                ("/exports/0/last_error", json!("connection refused")),
            ])
        };
        assert_eq!(down(240), [act("export/tempo takes nothing since 4m: connection refused")]);
        assert_eq!(down(5), [know("export/tempo takes nothing since 5s: connection refused")]);
    }

    #[test]
    fn what_a_destination_says_does_not_steer_the_terminal() {
        let changes = [
            ("/exports/0/up", json!(false)),
            ("/exports/0/last_error", json!("a\u{1b}[2J\nb\u{202e}c")),
        ];
        let text = "export/tempo takes nothing since 0s: a\u{fffd}[2J\u{fffd}b\u{fffd}c";
        assert_eq!(found_in(&changes), [know(text)]);
    }

    #[test]
    fn a_log_that_fills_up_names_who_holds_it() {
        let behind = |percent: u64| {
            let bytes = snapshot(&[]).log.bytes_max / 100 * percent + 100;
            found_in(&[("/log/cursors/0/lag_bytes", json!(bytes))])
        };
        assert_eq!(behind(91), [act("the log is 91% full: held by export/tempo")]);
        assert_eq!(behind(60), [know("the log is 60% full: held by export/tempo")]);
        assert_eq!(behind(49), []);
    }

    #[test]
    fn a_log_that_is_full_of_what_everyone_has_read_is_as_it_should_be() {
        let full = snapshot(&[]).log.bytes_max;
        assert_eq!(found_in(&[("/log/bytes", json!(full))]), []);
    }

    #[test]
    fn a_disk_that_fails_needs_a_person() {
        let changes = [
            ("/log/failing", json!(true)),
            ("/log/poisoned", json!(1)),
            ("/log/corrupt_spans", json!(2)),
        ];
        let levels: Vec<_> = found_in(&changes).into_iter().map(|(level, _)| level).collect();
        assert_eq!(levels, [Level::Act; 3]);
    }

    #[test]
    fn an_index_that_gives_way_or_fails_needs_a_person() {
        let changes = [("/index/shedding", json!(true)), ("/index/failing", json!("disk full"))];
        let texts = [
            act("the index cannot be written: disk full"),
            act("the index is shedding: journeys that worked are not indexed until it has caught \
                 up"),
        ];
        assert_eq!(found_in(&changes), texts);
    }

    #[test]
    fn what_is_lost_now_needs_a_person_and_what_was_lost_does_not() {
        let place = "/ledger/signals/1/consumers/1/lost/rejected";
        let (few, more) = ([(place, json!(10))], [(place, json!(1210))]);

        let before = "export/tempo has lost 10 logs since the start: rejected";
        assert_eq!(found(&snapshot(&few), &later(&few)), [know(before)]);

        let now = "export/tempo loses 1,200 logs/s: rejected, 1,210 so far";
        assert_eq!(found(&snapshot(&few), &later(&more)), [act(now)]);
    }

    #[test]
    fn a_door_that_refuses_needs_a_person_unless_the_sender_is_at_fault() {
        let (full, broken) = ("/sources/0/refused/log_full", "/sources/0/refused/malformed");
        let now = later(&[(full, json!(3)), (broken, json!(2))]);

        let texts = [
            act("otlp_grpc sends back 3.0 requests/s: log_full"),
            know("otlp_grpc sends back 2.0 requests/s: malformed"),
            know("otlp_grpc has sent back requests since the start: log_full 3, malformed 2"),
        ];
        assert_eq!(found(&snapshot(&[]), &now), texts);
    }

    #[test]
    fn connections_that_are_turned_away_now_need_a_person() {
        let (some, more) = ([("/connections/turned_away", json!(1))], json!(5));
        assert_eq!(
            found(&snapshot(&some), &later(&[("/connections/turned_away", more)])),
            [act("4.0 connections/s are turned away: 2 are open")]
        );
        assert_eq!(
            found(&snapshot(&some), &later(&some)),
            [know("1 connection turned away since the start")]
        );
    }

    #[test]
    fn mail_that_shards_lose_now_needs_a_person_and_says_what_it_does() {
        let (bind, ask) = ("/join/lost_mail/bind", "/join/lost_mail/ask");
        let (some, more) = ([(bind, json!(8))], [(bind, json!(1208))]);

        let text = "shards of the join lost 8 messages to each other since the start: bind 8; \
                    evidence may stand in a journey of its own";
        assert_eq!(found(&snapshot(&some), &later(&some)), [know(text)]);
        let text = "shards of the join lose 1,200 messages/s to each other: bind 1,208 so far; \
                    more than 100,000 wait at one for the others, and evidence may stand in a journey of \
                    its own";
        assert_eq!(found(&snapshot(&some), &later(&more)), [act(text)]);

        let text = "shards of the join lost 1 message to each other since the start: ask 1; the \
                    evidence in them is lost";
        assert_eq!(found_in(&[(ask, json!(1))]), [know(text)]);
        let text = "shards of the join lost 3 messages to each other since the start: ask 1, \
                    bind 2; evidence is lost, or may stand in a journey of its own";
        assert_eq!(found_in(&[(ask, json!(1)), (bind, json!(2))]), [know(text)]);
    }

    #[test]
    fn bindings_that_were_forgotten_because_all_were_taken_are_good_to_know() {
        let all = [("/join/forgotten_bindings/bindings_full", json!(1200))];
        let text = "1,200 bindings forgotten for join.bindings_max: late evidence may stand in a \
                    journey of its own";
        assert_eq!(found_in(&all), [know(text)]);
        assert_eq!(found_in(&[("/join/forgotten_bindings/key_full", json!(1200))]), []);
    }

    #[test]
    fn a_balance_is_wrong_when_it_stays_off_by_the_same() {
        let off = |items: i64| [("/ledger/signals/0/consumers/0/imbalance", json!(items))];

        assert_eq!(found(&snapshot(&off(7)), &later(&off(3))), []);
        let text = "the ledger of traces for index is off by 3: a fault of Hopline when nothing \
                    moves";
        assert_eq!(found(&snapshot(&off(3)), &later(&off(3))), [know(text)]);
    }

    #[test]
    fn more_memory_than_there_may_be_needs_a_person() {
        let changes =
            [("/memory/resident_bytes", json!(3 << 20)), ("/memory/max_bytes", json!(2 << 20))];
        assert_eq!(found_in(&changes), [act("memory: 3MiB of 2MiB are in use")]);
    }

    #[test]
    fn a_gateway_that_is_not_ready_needs_a_person_first_of_all() {
        let changes = [
            ("/symbols/overflowed", json!(4)),
            ("/hop_series/overflowed", json!(4)),
            ("/log/torn_bytes", json!(4)),
            ("/ready", json!(false)),
        ];
        let first = act("the gateway takes no requests: it is starting or stopping");
        assert_eq!(found_in(&changes).first(), Some(&first));
        assert_eq!(found_in(&changes).len(), 4);
    }
}
