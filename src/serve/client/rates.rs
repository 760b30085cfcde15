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
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceRate {
    pub(crate) source: String,
    pub(crate) requests: PerSecond,
    pub(crate) items: PerSecond,
    pub(crate) wire_bytes: PerSecond,
    pub(crate) bytes: PerSecond,
    pub(crate) refused: PerSecond,
    /// Only the reasons for which something was sent back in this time.
    pub(crate) reasons: Vec<(String, PerSecond)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignalRate {
    pub(crate) signal: String,
    pub(crate) received: PerSecond,
    pub(crate) admitted: PerSecond,
    pub(crate) repeated: PerSecond,
    pub(crate) refused: PerSecond,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExportRate {
    pub(crate) name: String,
    pub(crate) items: PerSecond,
    pub(crate) bytes: PerSecond,
    pub(crate) retries: PerSecond,
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
        wire_bytes: rate(|it| it.wire_bytes),
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
        admitted: rate(|it| it.admitted),
        repeated: rate(|it| it.repeated),
        refused: rate(|it| total(&it.refused)),
    }
}

fn export(before: &Snapshot, now: &Export, ns: u64) -> ExportRate {
    let earlier = before.exports.iter().find(|it| it.name == now.name);
    let rate = |count: fn(&Export) -> u64| since(earlier, now, count, ns);
    ExportRate {
        name: now.name.clone(),
        items: rate(|it| it.sent_items),
        bytes: rate(|it| it.sent_bytes),
        retries: rate(|it| it.retries),
    }
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

/// Consumer, signal and reason, and how much was lost there.
fn lost(snapshot: &Snapshot) -> Vec<((&str, &str, &str), u64)> {
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
