//! The spans of a journey, and which of them called which.

use hashbrown::HashMap;

use super::{Hop, Sides};
use crate::evidence::{Facts, Kind, Method, Nanos, SpanId, Symbol, Symbols};
use crate::join::Journey;

/// The spans of a journey by their ids. Where an id comes twice, the first in order has it.
pub(super) struct Spans<'a> {
    symbols: &'a Symbols,
    callers: BySpan<Caller<'a>>,
    callees: BySpan<Callee<'a>>,
    inner: BySpan<&'a Facts>,
}

type BySpan<T> = HashMap<SpanId, T, foldhash::fast::RandomState>;

struct Caller<'a> {
    facts: &'a Facts,
    /// How many callees it called.
    callees: u32,
}

struct Callee<'a> {
    facts: &'a Facts,
    /// How much of it its children cover.
    covered_ns: u64,
    covered_to: Nanos,
    /// A child on another clock cannot be laid over it.
    foreign_child: Foreign,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Foreign {
    None,
    Some,
}

impl<'a> Spans<'a> {
    pub(super) fn of(journey: &'a Journey, symbols: &'a Symbols) -> Self {
        let mut spans = Self {
            symbols,
            callers: with_room(journey, |kind| matches!(kind, Kind::Client | Kind::Producer)),
            callees: with_room(journey, |kind| matches!(kind, Kind::Server | Kind::Consumer)),
            inner: HashMap::default(),
        };
        for (facts, _) in &journey.evidence {
            let Some(id) = facts.span else { continue };
            match facts.kind {
                Kind::Client | Kind::Producer => {
                    spans.callers.entry(id).or_insert(Caller { facts, callees: 0 });
                }
                Kind::Server | Kind::Consumer => {
                    spans.callees.entry(id).or_insert(Callee::new(facts));
                }
                Kind::Internal => {
                    spans.inner.entry(id).or_insert(facts);
                }
                Kind::Log | Kind::Access | Kind::Flow | Kind::Exemplar => {}
            }
        }
        spans
    }

    /// Evidence is in the order of its start, so one sweep makes the union of the children.
    pub(super) fn add_children(&mut self, journey: &Journey) {
        for (facts, _) in &journey.evidence {
            if let Some(caller) = self.caller_id(facts)
                && let Some(caller) = self.callers.get_mut(&caller)
            {
                caller.callees = caller.callees.saturating_add(1);
                continue;
            }
            let is_parent = |id: &SpanId| facts.kind.is_span() && facts.span != Some(*id);
            let Some(parent) = facts.parent.filter(is_parent) else { continue };
            let Some(callee) = self.callees.get_mut(&parent) else { continue };
            if same_clock(callee.facts, facts, self.symbols) {
                callee.cover(facts);
            } else if facts.kind == Kind::Server {
                callee.foreign_child = Foreign::Some;
            }
        }
    }

    /// The span that called this one: its parent, or for sources that give both sides of a call
    /// one id, its namesake.
    fn caller_id(&self, facts: &Facts) -> Option<SpanId> {
        let wanted = match facts.kind {
            Kind::Server => Kind::Client,
            Kind::Consumer => Kind::Producer,
            _ => return None,
        };
        let mut near = facts.parent.into_iter().chain(facts.span);
        near.find(|id| self.callers.get(id).is_some_and(|caller| caller.facts.kind == wanted))
    }

    pub(super) fn incoming(&self, facts: &Facts) -> Option<Hop> {
        let caller = self.caller_id(facts).and_then(|id| self.callers.get(&id));
        let Some(caller) = caller else { return Some(self.lone_callee(facts)) };
        let mut hop = self.callee_side(facts);
        hop.sides = Sides::Both;
        hop.caller = self.service(caller.facts).or(facts.peer);
        hop.caller_span = caller.facts.span;
        hop.route = facts.route.or(caller.facts.route);
        hop.evidence = 2;
        if hop.method == Method::None {
            hop.method = caller.facts.method;
        }
        // A message is not waited for, and of several attempts nobody can say which part of the
        // wait was whose: these keep the callee's own times and its own end.
        if caller.facts.kind == Kind::Client && caller.callees == 1 {
            hop.start = caller.facts.start;
            hop.total_ns = caller.facts.duration_ns;
            hop.network_ns = Some(caller.facts.duration_ns.saturating_sub(facts.duration_ns));
            hop.end(caller.facts);
        }
        Some(hop)
    }

    fn lone_callee(&self, facts: &Facts) -> Hop {
        let mut hop = self.callee_side(facts);
        let parent = facts.parent.filter(|parent| facts.span != Some(*parent));
        let above = parent.and_then(|id| {
            let callee = self.callees.get(&id).map(|callee| callee.facts);
            callee.or_else(|| self.inner.get(&id).copied())
        });
        if let Some(above) = above {
            hop.caller = self.service(above).or(facts.peer);
            hop.caller_span = above.span;
        }
        hop
    }

    fn callee_side(&self, facts: &Facts) -> Hop {
        let mut hop = Hop::new(facts, Sides::Callee);
        let origin = self.symbols.origin(facts.origin);
        (hop.caller, hop.callee, hop.version) = (facts.peer, origin.service, origin.version);
        hop.callee_span = facts.span;
        hop.server_ns = Some(facts.duration_ns);
        let callee = facts.span.and_then(|id| self.callees.get(&id));
        hop.self_ns = match callee {
            // Children of an id that comes twice are its first owner's.
            Some(callee) if callee.facts != facts => None,
            Some(callee) => callee.self_ns(),
            None => Some(facts.duration_ns),
        };
        hop
    }

    /// A hop of its own only if no callee was seen.
    pub(super) fn outgoing(&self, facts: &Facts) -> Option<Hop> {
        let caller = facts.span.and_then(|id| self.callers.get(&id));
        if caller.is_some_and(|caller| caller.callees > 0 && caller.facts == facts) {
            return None;
        }
        let mut hop = Hop::new(facts, Sides::Caller);
        (hop.caller, hop.callee) = (self.service(facts), facts.peer);
        hop.caller_span = facts.span;
        Some(hop)
    }

    fn service(&self, facts: &Facts) -> Symbol {
        self.symbols.origin(facts.origin).service
    }
}

impl<'a> Callee<'a> {
    fn new(facts: &'a Facts) -> Self {
        Self { facts, covered_ns: 0, covered_to: facts.start, foreign_child: Foreign::None }
    }

    fn cover(&mut self, child: &Facts) {
        let from = child.start.max(self.covered_to);
        let to = end(child).min(end(self.facts));
        if to > from {
            self.covered_ns += to.0 - from.0;
            self.covered_to = to;
        }
    }

    fn self_ns(&self) -> Option<u64> {
        let own = self.facts.duration_ns.saturating_sub(self.covered_ns);
        (self.foreign_child == Foreign::None).then_some(own)
    }
}

/// A map that does not have to grow.
fn with_room<T>(journey: &Journey, is_in: impl Fn(Kind) -> bool) -> BySpan<T> {
    let room = journey.evidence.iter().filter(|(facts, _)| is_in(facts.kind)).count();
    HashMap::with_capacity_and_hasher(room, foldhash::fast::RandomState::default())
}

fn end(facts: &Facts) -> Nanos {
    Nanos(facts.start.0.saturating_add(facts.duration_ns))
}

/// Whether two times may be compared: one process, one pod or one node wrote both.
fn same_clock(left: &Facts, right: &Facts, symbols: &Symbols) -> bool {
    if left.origin == right.origin {
        return true;
    }
    let (left, right) = (symbols.origin(left.origin), symbols.origin(right.origin));
    let same =
        |left: Symbol, right: Symbol| left == right && !left.is_none() && left != Symbol::OTHER;
    let cluster = left.cluster == right.cluster;
    cluster && (same(left.node, right.node) || same(left.pod, right.pod))
}
