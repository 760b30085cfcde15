//! Hops: which crossings a journey is made of.
//!
//! In: a journey. Out: its [`Hop`]s. Holds nothing.

mod spans;

use hashbrown::HashMap;

use spans::Spans;

use super::Journey;
use crate::evidence::{Facts, Kind, Method, Nanos, Outcome, SpanId, Symbol, Symbols};

/// One crossing from a caller to a callee. A time is `None` where nobody measured it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The service that calls.
    pub caller: Symbol,
    /// The service that is called.
    pub callee: Symbol,
    /// The templated route.
    pub route: Symbol,
    /// HTTP method.
    pub method: Method,
    /// The callee's version.
    pub version: Symbol,
    /// Why it ended so, in the words of the side that saw it end worst.
    pub detail: Symbol,
    /// The worst that a side saw.
    pub outcome: Outcome,
    /// HTTP status code of the side that saw it end worst; zero for none.
    pub status: u16,
    /// When it began, by the clock of the side that `total_ns` is of.
    pub start: Nanos,
    /// How long the caller waited; how long the callee took where nobody saw the caller wait.
    pub total_ns: u64,
    /// What the caller waited beyond the callee's work.
    pub network_ns: Option<u64>,
    /// How long the callee took.
    pub server_ns: Option<u64>,
    /// What the callee took without waiting for others.
    pub self_ns: Option<u64>,
    /// What proxies took beyond their upstreams.
    pub proxy_ns: Option<u64>,
    /// Who saw it.
    pub sides: Sides,
    /// The caller's span.
    pub caller_span: Option<SpanId>,
    /// The callee's span.
    pub callee_span: Option<SpanId>,
    /// How much evidence is about this hop: its spans, and what happened in them.
    pub evidence: u32,
}

/// Which sides of a hop were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sides {
    /// The caller's span and the callee's.
    Both,
    /// The caller's span alone.
    Caller,
    /// The callee's span alone.
    Callee,
    /// Neither; a proxy between them wrote it down.
    Proxy,
}

impl Sides {
    /// The name in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Caller => "caller",
            Self::Callee => "callee",
            Self::Proxy => "proxy",
        }
    }
}

/// The hops of a journey, in the order of its evidence.
///
/// Only durations are subtracted, or times of one clock: two hosts do not agree what time it is.
#[must_use]
pub fn hops(journey: &Journey, symbols: &Symbols) -> Vec<Hop> {
    let mut spans = Spans::of(journey, symbols);
    spans.add_children(journey);
    let mut hops = Vec::new();
    for (facts, _) in &journey.evidence {
        hops.extend(match facts.kind {
            Kind::Server | Kind::Consumer => spans.incoming(facts),
            Kind::Client | Kind::Producer => spans.outgoing(facts),
            _ => None,
        });
    }
    if journey.evidence.iter().any(|(facts, _)| !facts.kind.is_span()) {
        add_others(journey, symbols, &mut hops);
    }
    hops
}

/// What is about the hops and no span of theirs.
fn add_others(journey: &Journey, symbols: &Symbols, hops: &mut Vec<Hop>) {
    let mut by_span: HashMap<SpanId, usize, foldhash::fast::RandomState> = HashMap::default();
    for (at, hop) in hops.iter().enumerate() {
        for span in hop.caller_span.into_iter().chain(hop.callee_span) {
            by_span.entry(span).or_insert(at);
        }
    }
    for (facts, _) in &journey.evidence {
        if facts.kind.is_span() {
            continue;
        }
        let known = facts.span.and_then(|span| by_span.get(&span).copied());
        let hop = known.and_then(|at| hops.get_mut(at));
        match (hop, facts.kind) {
            (Some(hop), Kind::Access) => hop.refine(facts),
            (Some(hop), _) => hop.evidence = hop.evidence.saturating_add(1),
            (None, Kind::Access) => {
                by_span.extend(facts.span.map(|span| (span, hops.len())));
                hops.push(proxied(facts, symbols));
            }
            (None, _) => {}
        }
    }
}

impl Hop {
    pub(super) fn new(facts: &Facts, sides: Sides) -> Self {
        Self {
            caller: Symbol::NONE,
            callee: Symbol::NONE,
            route: facts.route,
            method: facts.method,
            version: Symbol::NONE,
            detail: facts.detail,
            outcome: facts.outcome,
            status: facts.status,
            start: facts.start,
            total_ns: facts.duration_ns,
            network_ns: None,
            server_ns: None,
            self_ns: None,
            proxy_ns: None,
            sides,
            caller_span: None,
            callee_span: None,
            evidence: 1,
        }
    }

    /// Another side tells how it ended; the worst end counts, and the first of equals.
    pub(super) fn end(&mut self, facts: &Facts) {
        if facts.outcome > self.outcome {
            (self.outcome, self.status) = (facts.outcome, facts.status);
            self.detail = facts.detail.or(self.detail);
        } else {
            if self.status == 0 && facts.outcome == self.outcome {
                self.status = facts.status;
            }
            self.detail = self.detail.or(facts.detail);
        }
    }

    /// A proxy on the way tells what it saw. Each proxy on the way adds its part.
    fn refine(&mut self, access: &Facts) {
        self.evidence = self.evidence.saturating_add(1);
        self.end(access);
        self.route = self.route.or(access.route);
        if self.method == Method::None {
            self.method = access.method;
        }
        if let Some(proxy_ns) = proxy_ns(access) {
            self.proxy_ns = Some(self.proxy_ns.unwrap_or(0).saturating_add(proxy_ns));
        }
        if self.sides == Sides::Caller && self.callee.is_none() {
            self.callee = access.peer;
        }
    }
}

fn proxied(access: &Facts, symbols: &Symbols) -> Hop {
    let mut hop = Hop::new(access, Sides::Proxy);
    let proxy = symbols.origin(access.origin);
    if access.peer.is_none() {
        (hop.callee, hop.version) = (proxy.service, proxy.version);
    } else {
        (hop.caller, hop.callee) = (proxy.service, access.peer);
    }
    hop.server_ns = upstream_ns(access);
    hop.proxy_ns = proxy_ns(access);
    hop
}

/// `None` where the proxy did not say, as it does when nothing was sent upstream.
fn upstream_ns(access: &Facts) -> Option<u64> {
    (access.upstream_us > 0).then(|| u64::from(access.upstream_us) * 1000)
}

fn proxy_ns(access: &Facts) -> Option<u64> {
    upstream_ns(access).map(|upstream| access.duration_ns.saturating_sub(upstream))
}

#[cfg(test)]
mod tests;
