//! What went on between two moments.

use std::fmt;

use super::snapshot::{Export, Reasons, Signal, Snapshot, Source, total};

/// How often something happened, in thousandths a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PerSecond(pub(crate) u64);

/// What went on between two snapshots of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rates {
    pub(crate) sources: Vec<SourceRate>,
    pub(crate) signals: Vec<SignalRate>,
    pub(crate) exports: Vec<ExportRate>,
    /// Everything that was ever lost, and how fast it is being lost now.
    pub(crate) losses: Vec<Loss>,
    pub(crate) turned_away: PerSecond,
    /// Messages between the shards of the join.
    pub(crate) lost_mail: PerSecond,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceRate {
    pub(crate) source: String,
    pub(crate) requests: PerSecond,
    pub(crate) items: PerSecond,
    pub(crate) bytes: PerSecond,
    pub(crate) refused: PerSecond,
    /// Only the reasons for which something was sent back in this time.
    pub(crate) reasons: Vec<(String, PerSecond)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignalRate {
    pub(crate) signal: String,
    pub(crate) received: PerSecond,
    pub(crate) refused: PerSecond,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExportRate {
    pub(crate) name: String,
    pub(crate) items: PerSecond,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) consumer: String,
    pub(crate) signal: String,
    pub(crate) reason: String,
    pub(crate) items: u64,
    pub(crate) now: PerSecond,
}

impl PerSecond {
    /// `count` in `ns` nanoseconds.
    pub(crate) fn of(count: u64, ns: u64) -> Self {
        let thousandths = u128::from(count) * 1_000_000_000_000 / u128::from(ns.max(1));
        Self(u64::try_from(thousandths).unwrap_or(u64::MAX))
    }

    /// To the nearest whole number.
    pub(crate) fn whole(self) -> u64 {
        self.0.saturating_add(500) / 1000
    }

    pub(crate) fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for PerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.saturating_add(50) / 100;
        let text = match self.0 {
            0 => "0".to_owned(),
            1..1_000 => format!("0.{:02}", (self.0.saturating_add(5) / 10).clamp(1, 99)),
            1_000..100_000 => format!("{}.{}", tenths / 10, tenths % 10),
            _ => super::show::count(self.whole()),
        };
        f.pad(&text)
    }
}

impl Rates {
    /// `None` when the gateway was started anew in between, or no time has passed.
    pub(crate) fn between(before: &Snapshot, now: &Snapshot) -> Option<Self> {
        let ns = now.now_ns.checked_sub(before.now_ns).filter(|ns| *ns > 0)?;
        if before.started_ns != now.started_ns {
            return None;
        }
        Some(Self::of(before, now, ns))
    }

    /// The losses since the start, of which nothing is known to go on.
    pub(crate) fn at_rest(now: &Snapshot) -> Self {
        Self::of(now, now, 1)
    }

    fn of(before: &Snapshot, now: &Snapshot, ns: u64) -> Self {
        let turned_away = grown(before.connections.turned_away, now.connections.turned_away);
        Self {
            sources: now.sources.iter().map(|it| source(before, it, ns)).collect(),
            signals: now.ledger.signals.iter().map(|it| signal(before, it, ns)).collect(),
            exports: now.exports.iter().map(|it| export(before, it, ns)).collect(),
            losses: losses(before, now, ns),
            turned_away: PerSecond::of(turned_away, ns),
            lost_mail: PerSecond::of(grown(lost_mail(before), lost_mail(now)), ns),
        }
    }
}

fn source(before: &Snapshot, now: &Source, ns: u64) -> SourceRate {
    let earlier = before.sources.iter().find(|it| it.source == now.source);
    let rate = |count: fn(&Source) -> u64| since(earlier, now, count, ns);
    let none = Reasons::new();
    let reasons = now.refused.iter().map(|(reason, count)| {
        let refused = earlier.map_or(&none, |it| &it.refused);
        let grown = grown(refused.get(reason).copied().unwrap_or(0), *count);
        (reason.clone(), PerSecond::of(grown, ns))
    });
    SourceRate {
        source: now.source.clone(),
        requests: rate(|it| it.requests),
        items: rate(|it| it.items),
        bytes: rate(|it| it.bytes),
        refused: rate(|it| total(&it.refused)),
        reasons: reasons.filter(|(_, rate)| !rate.is_zero()).collect(),
    }
}

fn signal(before: &Snapshot, now: &Signal, ns: u64) -> SignalRate {
    let earlier = before.ledger.signals.iter().find(|it| it.signal == now.signal);
    let rate = |count: fn(&Signal) -> u64| since(earlier, now, count, ns);
    SignalRate {
        signal: now.signal.clone(),
        received: rate(|it| it.received),
        refused: rate(|it| total(&it.refused)),
    }
}

fn export(before: &Snapshot, now: &Export, ns: u64) -> ExportRate {
    let earlier = before.exports.iter().find(|it| it.name == now.name);
    let rate = |count: fn(&Export) -> u64| since(earlier, now, count, ns);
    ExportRate { name: now.name.clone(), items: rate(|it| it.sent_items) }
}

fn losses(before: &Snapshot, now: &Snapshot, ns: u64) -> Vec<Loss> {
    let was = lost(before);
    let all = lost(now).into_iter().filter(|(_, items)| *items > 0);
    let all = all.map(|(what, items)| {
        let earlier = was.iter().find(|(it, _)| *it == what).map_or(0, |(_, items)| *items);
        let (consumer, signal, reason) = what;
        Loss {
            consumer: consumer.to_owned(),
            signal: signal.to_owned(),
            reason: reason.to_owned(),
            items,
            now: PerSecond::of(grown(earlier, items), ns),
        }
    });
    all.collect()
}

fn lost_mail(snapshot: &Snapshot) -> u64 {
    snapshot.join.as_ref().map_or(0, |join| total(&join.lost_mail))
}

/// Consumer, signal and reason.
type Whereabouts<'a> = (&'a str, &'a str, &'a str);

/// How much was lost where.
fn lost(snapshot: &Snapshot) -> Vec<(Whereabouts<'_>, u64)> {
    let mut all = Vec::new();
    for signal in &snapshot.ledger.signals {
        for consumer in &signal.consumers {
            let reasons = consumer.lost.iter().map(|(reason, items)| {
                ((consumer.consumer.as_str(), signal.signal.as_str(), reason.as_str()), *items)
            });
            all.extend(reasons);
        }
    }
    all
}

/// What was not there before came in this time.
fn since<T>(before: Option<&T>, now: &T, count: fn(&T) -> u64, ns: u64) -> PerSecond {
    PerSecond::of(grown(before.map_or(0, count), count(now)), ns)
}

/// A count that is smaller than before began again from zero.
fn grown(before: u64, now: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::example::snapshot;
    use super::*;

    fn later(changes: &[(&str, serde_json::Value)]) -> Snapshot {
        let mut now = snapshot(changes);
        now.now_ns += 2_000_000_000;
        now
    }

    #[test]
    fn a_rate_is_what_came_by_the_time_it_took() {
        let before = snapshot(&[("/sources/0/requests", json!(100))]);
        let now = later(&[("/sources/0/requests", json!(150))]);

        let rates = Rates::between(&before, &now).unwrap();

        assert_eq!(rates.sources[0].requests, PerSecond(25_000));
        assert_eq!(rates.sources[1].requests, PerSecond(0));
    }

    #[test]
    fn no_rate_spans_a_restart_or_no_time() {
        let before = snapshot(&[]);
        assert_eq!(Rates::between(&before, &before), None);
        assert_eq!(Rates::between(&later(&[]), &before), None);
        assert_eq!(Rates::between(&before, &later(&[("/started_ns", json!(5))])), None);
    }

    #[test]
    fn a_count_that_began_again_is_counted_from_zero() {
        let before = snapshot(&[("/exports/0/sent_items", json!(1000))]);
        let now = later(&[("/exports/0/sent_items", json!(10))]);
        assert_eq!(Rates::between(&before, &now).unwrap().exports[0].items, PerSecond(5000));
    }

    #[test]
    fn a_loss_is_known_by_who_lost_what_and_why() {
        let place = "/ledger/signals/1/consumers/1/lost/rejected";
        let now = later(&[(place, json!(6))]);

        let losses = Rates::between(&snapshot(&[(place, json!(2))]), &now).unwrap().losses;

        let (consumer, signal) = ("export/tempo".to_owned(), "logs".to_owned());
        let reason = "rejected".to_owned();
        assert_eq!(losses, [Loss { consumer, signal, reason, items: 6, now: PerSecond(2000) }]);
    }

    #[test]
    fn rates_are_shown_as_exactly_as_they_are_large() {
        let shown = [0, 1, 49, 999, 1000, 12_340, 99_940, 123_456, 1_234_567_000];
        let shown = shown.map(|rate| PerSecond(rate).to_string());
        assert_eq!(shown, ["0", "0.01", "0.05", "0.99", "1.0", "12.3", "99.9", "123", "1,234,567"]);
    }

    proptest! {
        #[test]
        fn any_rate_can_be_computed_and_shown(count in 0..=u64::MAX, ns in 0..=u64::MAX) {
            prop_assert!(!PerSecond::of(count, ns).to_string().is_empty());
        }
    }
}
