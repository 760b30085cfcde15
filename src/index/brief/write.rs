//! From a journey to its bytes.

use super::{CLOSED, FORMAT, KINDS, MARKS, METHODS, OUTCOMES, PLACEMENT, SIDES};
use crate::evidence::{Facts, Origin, OriginId, Place, Symbol, Symbols};
use crate::index::outline::{Outline, each_once};
use crate::join::{Hop, Journey};
use crate::wire::write_varint;

const HOPS_MAX: usize = 64;
const PLACES_MAX: usize = 512;
const ORIGINS_MAX: usize = 64;

/// Writes journeys in few bytes. It is kept for the buffers that it has.
#[derive(Debug, Default)]
pub(crate) struct Brief {
    names: Vec<Symbol>,
    origins: Vec<OriginId>,
    body: Vec<u8>,
}

/// How much is listed at most; how much more there is is said.
#[derive(Clone, Copy, Debug)]
struct Most {
    places: usize,
    hops: usize,
    origins: usize,
    services: usize,
}

impl Brief {
    /// The journey: with fewer hops, then origins, then services, until it fits. Names take the
    /// room; places have none.
    pub(crate) fn of(
        &mut self,
        journey: &Journey,
        hops: &[Hop],
        symbols: &Symbols,
        bytes_max: usize,
    ) -> Vec<u8> {
        let mut most = Most::of(journey, hops);
        loop {
            let bytes = self.write(journey, hops, symbols, most);
            if bytes.len() <= bytes_max || !most.shrink() {
                return bytes;
            }
        }
    }

    fn write(&mut self, journey: &Journey, hops: &[Hop], symbols: &Symbols, most: Most) -> Vec<u8> {
        self.names.clear();
        self.origins.clear();
        self.body.clear();
        let outline = Outline::of(journey);
        self.whole(journey, &outline, symbols);
        self.services(journey, symbols, most.services);
        self.count(hops.len() - most.hops);
        self.count(most.hops);
        for hop in hops.iter().take(most.hops) {
            self.hop(hop, outline.start.0);
        }
        self.places(journey, symbols, most);
        self.finished(symbols)
    }

    /// What there is one of.
    fn whole(&mut self, journey: &Journey, outline: &Outline<'_>, symbols: &Symbols) {
        self.body.extend(journey.id.0.to_be_bytes());
        self.number(u8::from(journey.trace.is_some()));
        self.number(outline.start.0);
        self.number(outline.duration_ns);
        self.code(&OUTCOMES, &outline.outcome);
        let entry = outline.entry.copied().unwrap_or_default();
        self.name(symbols.origin(entry.origin).service);
        self.name(entry.route.or(entry.name));
        self.code(&METHODS, &entry.method);
        self.number(entry.status);
        for count in [journey.ambiguous, journey.truncated, journey.revision] {
            self.number(count);
        }
        self.code(&CLOSED, &journey.closed);
        self.count(KINDS.len());
        for kind in KINDS {
            self.count(journey.evidence.iter().filter(|(facts, _)| facts.kind == kind).count());
        }
    }

    fn services(&mut self, journey: &Journey, symbols: &Symbols, most: usize) {
        let origins = each_once(journey.evidence.iter().map(|(facts, _)| facts.origin));
        let mut services = each_once(origins.into_iter().map(|id| symbols.origin(id).service));
        services.retain(|service| !service.is_none());
        services.truncate(most);
        self.count(services.len());
        services.into_iter().for_each(|service| self.name(service));
    }

    fn hop(&mut self, hop: &Hop, start_ns: u64) {
        let times = [hop.network_ns, hop.server_ns, hop.self_ns, hop.proxy_ns];
        for name in [hop.caller, hop.callee, hop.route, hop.version, hop.detail] {
            self.name(name);
        }
        self.code(&METHODS, &hop.method);
        self.code(&OUTCOMES, &hop.outcome);
        self.code(&SIDES, &hop.sides);
        self.number(hop.status);
        // Nearly always a little after the start of all.
        self.number(hop.start.0.wrapping_sub(start_ns));
        self.number(hop.total_ns);
        self.flags(times.map(|time| time.is_some()));
        times.into_iter().flatten().for_each(|time| self.number(time));
    }

    /// Where the evidence lies, then who saw it.
    fn places(&mut self, journey: &Journey, symbols: &Symbols, most: Most) {
        self.count(journey.evidence.len() - most.places);
        self.count(most.places);
        let mut batch = 0_u64;
        for (facts, place) in journey.evidence.iter().take(most.places) {
            self.place(facts, *place, batch, most.origins);
            batch = place.batch.0;
        }
        self.count(self.origins.len());
        for at in 0..self.origins.len() {
            let origin = self.origins.get(at).copied().unwrap_or_default();
            names(symbols.origin(origin)).into_iter().for_each(|name| self.name(name));
        }
    }

    fn place(&mut self, facts: &Facts, place: Place, batch: u64, origins_max: usize) {
        let known = self.origins.iter().position(|origin| *origin == facts.origin);
        let origin = known.unwrap_or(self.origins.len());
        if known.is_none() && origin < origins_max {
            self.origins.push(facts.origin);
        }
        // Most lie in the same batch as the one before.
        self.number(place.batch.0.wrapping_sub(batch));
        self.number(place.offset);
        self.code(&KINDS, &facts.kind);
        self.count(origin.min(origins_max));
        self.flags(MARKS.map(|mark| facts.marks.has(mark)));
    }

    /// The names come before what refers to them.
    fn finished(&self, symbols: &Symbols) -> Vec<u8> {
        const NAME_BYTES: usize = 24;
        let mut out = Vec::with_capacity(self.body.len() + self.names.len() * NAME_BYTES);
        out.push(FORMAT);
        write_varint(&mut out, self.names.len() as u64);
        for name in &self.names {
            let text = symbols.text(*name);
            write_varint(&mut out, text.len() as u64);
            out.extend(text.as_bytes());
        }
        out.extend(&self.body);
        out
    }

    /// Zero for none.
    fn name(&mut self, name: Symbol) {
        if name.is_none() {
            return self.number(0_u8);
        }
        let known = self.names.iter().position(|known| *known == name);
        if known.is_none() {
            self.names.push(name);
        }
        self.count(known.map_or(self.names.len(), |at| at + 1));
    }

    fn code<T: PartialEq>(&mut self, list: &[T], value: &T) {
        let at = list.iter().position(|it| it == value);
        debug_assert!(at.is_some(), "a list of values lacks one");
        self.count(at.unwrap_or_default());
    }

    /// The first is the lowest bit.
    fn flags<const N: usize>(&mut self, flags: [bool; N]) {
        self.number(flags.iter().rev().fold(0_u8, |bits, flag| bits << 1 | u8::from(*flag)));
    }

    fn count(&mut self, count: usize) {
        self.number(count as u64);
    }

    fn number(&mut self, number: impl Into<u64>) {
        write_varint(&mut self.body, number.into());
    }
}

impl Most {
    fn of(journey: &Journey, hops: &[Hop]) -> Self {
        Self {
            places: journey.evidence.len().min(PLACES_MAX),
            hops: hops.len().min(HOPS_MAX),
            origins: ORIGINS_MAX,
            services: ORIGINS_MAX,
        }
    }

    /// Half of what has the most names. Answers whether there was anything.
    fn shrink(&mut self) -> bool {
        let all = [&mut self.hops, &mut self.origins, &mut self.services, &mut self.places];
        let most = all.into_iter().find(|most| **most > 0);
        most.map(|most| *most /= 2).is_some()
    }
}

/// In the order of [`PLACEMENT`].
fn names(origin: Origin) -> [Symbol; PLACEMENT.len()] {
    let Origin { service, namespace, workload, pod, node, zone, cluster, version } = origin;
    [service, namespace, workload, pod, node, zone, cluster, version]
}
