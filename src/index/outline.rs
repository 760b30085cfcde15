//! What a journey is in its few main figures.

use crate::evidence::{Facts, Kind, Nanos, Outcome};
use crate::join::Journey;

/// The main figures of a journey.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outline<'a> {
    /// Where it came in: the root; without one, whoever saw it first.
    pub(super) entry: Option<&'a Facts>,
    /// Start of the earliest evidence.
    pub(super) start: Nanos,
    /// How long the root took; without a root, from the first start to the last end.
    pub(super) duration_ns: u64,
    /// How the root ended; without a root, the worst that was seen.
    pub(super) outcome: Outcome,
}

impl<'a> Outline<'a> {
    pub(super) fn of(journey: &'a Journey) -> Self {
        let facts = || journey.evidence.iter().map(|(facts, _)| facts);
        let root = root(journey);
        let start = facts().map(|it| it.start).filter(|start| *start != Nanos(0)).min();
        let start = start.unwrap_or_default();
        let end = || facts().map(|it| it.start.0.saturating_add(it.duration_ns)).max();
        let extent = || end().unwrap_or(0).saturating_sub(start.0);
        let worst = || facts().map(|it| it.outcome).max().unwrap_or_default();
        Self {
            entry: root.or_else(|| facts().next()),
            start,
            duration_ns: root.map_or_else(extent, |it| it.duration_ns),
            outcome: root.map_or_else(worst, |it| it.outcome),
        }
    }
}

/// The earliest span without a parent. Without spans, the proxy's entry tells what came in.
fn root(journey: &Journey) -> Option<&Facts> {
    let facts = || journey.evidence.iter().map(|(facts, _)| facts);
    let span = facts().find(|it| it.kind.is_span() && it.parent.is_none());
    span.or_else(|| facts().find(|it| it.kind == Kind::Access))
}

/// In order, each once.
pub(super) fn each_once<T: Ord>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<_> = all.collect();
    all.sort_unstable();
    all.dedup();
    all
}
