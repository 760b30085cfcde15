//! What an answer says of a journey: stored with its document, or made while it is still open.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::evidence::{Facts, Kind, Marks, Nanos, Origin, Outcome, Place, Symbols};
use crate::join::{Closed, Hop, Journey, Sides};

/// Beyond these a summary says how much it leaves out: documents have a bound.
const HOPS_MAX: usize = 64;
const PLACES_MAX: usize = 512;
const ORIGINS_MAX: usize = 64;

/// A journey in few words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Summary {
    /// Its name: the trace id where there is one.
    pub id: String,
    /// The trace.
    pub trace_id: Option<String>,
    /// Start of the earliest evidence, ns since 1970.
    pub start_ns: u64,
    /// How long the root took; without a root, from the first start to the last end.
    pub duration_ns: u64,
    /// How the root ended; without a root, the worst that was seen.
    pub outcome: String,
    /// Whether someone should look at it.
    pub failed: bool,
    /// Where it came in.
    pub entry: Entry,
    /// Services that were seen.
    pub services: Vec<String>,
    /// How much evidence, by kind.
    pub evidence: BTreeMap<String, u32>,
    /// How much evidence fits other journeys too.
    pub ambiguous: u32,
    /// How much evidence was lost because the journey was full.
    pub truncated: u32,
    /// How often it was amended after it closed.
    pub revision: u32,
    /// Why it closed; `open` while it is open.
    pub closed: String,
    /// Its hops, in order of time.
    pub hops: Vec<HopLine>,
    /// Hops that are left out here.
    pub hops_omitted: usize,
    /// Who saw it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<OriginLine>,
    /// Where its evidence lies in the log. Answers of the API show the evidence itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<PlaceLine>,
    /// Evidence that is left out here.
    pub places_omitted: usize,
}

/// Where a journey came in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Entry {
    /// The service that took it.
    pub service: String,
    /// The route, or the name of the root span.
    pub route: String,
    /// HTTP method.
    pub method: String,
    /// HTTP status; zero for none.
    pub status: u16,
}

/// One hop. Parts are absent where nobody saw them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HopLine {
    /// The service that calls.
    pub caller: String,
    /// The service that is called.
    pub callee: String,
    /// HTTP method.
    pub method: String,
    /// The route.
    pub route: String,
    /// The callee's version.
    pub version: String,
    /// How it ended.
    pub outcome: String,
    /// HTTP status; zero for none.
    pub status: u16,
    /// Why, in the source's own words.
    pub detail: String,
    /// When it began.
    pub start_ns: u64,
    /// How long it took.
    pub total_ns: u64,
    /// What the caller waited beyond the callee's work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_ns: Option<u64>,
    /// How long the callee took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_ns: Option<u64>,
    /// What the callee took without waiting for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_ns: Option<u64>,
    /// What proxies took beyond their upstreams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_ns: Option<u64>,
    /// Who saw it: `both`, `caller`, `callee` or `proxy`.
    pub sides: String,
}

/// Who saw evidence. Empty texts are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OriginLine(pub BTreeMap<String, String>);

/// Where one evidence lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PlaceLine {
    /// Position of the batch.
    #[serde(rename = "b")]
    pub batch: u64,
    /// Offset in the batch.
    #[serde(rename = "o")]
    pub offset: u32,
    /// Index into the kinds of evidence.
    #[serde(rename = "k")]
    pub kind: u8,
    /// Index into the origins; past their end where there were too many to list.
    #[serde(rename = "w")]
    pub origin: u8,
    /// How it was joined: 1 ambiguous, 2 bound, 4 late.
    #[serde(rename = "m")]
    pub marks: u8,
}

/// Kinds in the order in which [`PlaceLine::kind`] counts them.
const KINDS: [Kind; 9] = [
    Kind::Internal,
    Kind::Server,
    Kind::Client,
    Kind::Producer,
    Kind::Consumer,
    Kind::Log,
    Kind::Access,
    Kind::Flow,
    Kind::Exemplar,
];

impl Summary {
    /// What there is to say of a journey and its hops.
    #[must_use]
    pub fn new(journey: &Journey, hops: &[Hop], symbols: &Symbols) -> Self {
        let root = root(journey);
        let outcome = outcome(journey);
        // Without a root, whoever saw it first says where it was.
        let entry = root.or_else(|| journey.evidence.first().map(|(facts, _)| facts));
        let start = start(journey);
        let mut summary = Self {
            id: journey.id.to_string(),
            trace_id: journey.trace.map(|id| id.to_string()),
            start_ns: start.0,
            duration_ns: root.map_or_else(|| extent(journey, start), |it| it.duration_ns),
            outcome: outcome.name().to_owned(),
            failed: outcome.is_failure(),
            entry: entry.map(|facts| Entry::new(facts, symbols)).unwrap_or_default(),
            ambiguous: journey.ambiguous,
            truncated: journey.truncated,
            revision: journey.revision,
            closed: closed(journey.closed).to_owned(),
            hops: hops.iter().take(HOPS_MAX).map(|hop| HopLine::new(hop, symbols)).collect(),
            hops_omitted: hops.len().saturating_sub(HOPS_MAX),
            places_omitted: journey.evidence.len().saturating_sub(PLACES_MAX),
            ..Self::default()
        };
        for (facts, _) in &journey.evidence {
            *summary.evidence.entry(facts.kind.name().to_owned()).or_default() += 1;
        }
        summary.locate(journey, symbols);
        summary
    }

    /// When it began.
    #[must_use]
    pub fn start(&self) -> Nanos {
        Nanos(self.start_ns)
    }

    /// The summary as it is stored: with fewer places, then hops, then origins, until it fits.
    #[must_use]
    pub fn stored(mut self, bytes_max: usize) -> Vec<u8> {
        loop {
            // Maps with text keys and structs of plain fields always serialize.
            let bytes = serde_json::to_vec(&self).unwrap_or_default();
            if bytes.len() <= bytes_max || !self.shorten() {
                return bytes;
            }
        }
    }

    /// Leaves out half of what there is most of. Answers whether there was anything.
    fn shorten(&mut self) -> bool {
        if !self.places.is_empty() {
            self.places_omitted += halve(&mut self.places);
        } else if !self.hops.is_empty() {
            self.hops_omitted += halve(&mut self.hops);
        } else if !self.origins.is_empty() {
            halve(&mut self.origins);
        } else {
            return halve(&mut self.services) > 0;
        }
        true
    }

    /// Fills in who saw the evidence and where it lies.
    fn locate(&mut self, journey: &Journey, symbols: &Symbols) {
        let mut known: Vec<Origin> = Vec::new();
        for (facts, place) in journey.evidence.iter().take(PLACES_MAX) {
            let origin = symbols.origin(facts.origin);
            let at = known.iter().position(|it| *it == origin).unwrap_or(known.len());
            if at == known.len() && at < ORIGINS_MAX {
                known.push(origin);
            }
            self.places.push(PlaceLine::new(facts, *place, at.min(ORIGINS_MAX)));
        }
        self.origins = known.iter().map(|origin| OriginLine::new(*origin, symbols)).collect();
        let services = journey.evidence.iter().map(|(facts, _)| facts.origin);
        let services: BTreeSet<_> = services.map(|id| symbols.origin(id).service).collect();
        let services = services.into_iter().filter(|service| !service.is_none());
        self.services = services.take(ORIGINS_MAX).map(|it| symbols.text(it).to_string()).collect();
        self.services.sort_unstable();
    }
}

impl Entry {
    fn new(root: &Facts, symbols: &Symbols) -> Self {
        Self {
            service: symbols.text(symbols.origin(root.origin).service).to_string(),
            route: symbols.text(root.route.or(root.name)).to_string(),
            method: root.method.name().to_owned(),
            status: root.status,
        }
    }
}

impl HopLine {
    /// A hop in words.
    #[must_use]
    pub fn new(hop: &Hop, symbols: &Symbols) -> Self {
        let text = |symbol| symbols.text(symbol).to_string();
        Self {
            caller: text(hop.caller),
            callee: text(hop.callee),
            method: hop.method.name().to_owned(),
            route: text(hop.route),
            version: text(hop.version),
            outcome: hop.outcome.name().to_owned(),
            status: hop.status,
            detail: text(hop.detail),
            start_ns: hop.start.0,
            total_ns: hop.total_ns,
            network_ns: hop.network_ns,
            server_ns: hop.server_ns,
            self_ns: hop.self_ns,
            proxy_ns: hop.proxy_ns,
            sides: match hop.sides {
                Sides::Both => "both",
                Sides::Caller => "caller",
                Sides::Callee => "callee",
                Sides::Proxy => "proxy",
            }
            .to_owned(),
        }
    }
}

impl OriginLine {
    fn new(origin: Origin, symbols: &Symbols) -> Self {
        let names = [
            ("service", origin.service),
            ("namespace", origin.namespace),
            ("workload", origin.workload),
            ("pod", origin.pod),
            ("node", origin.node),
            ("zone", origin.zone),
            ("cluster", origin.cluster),
            ("version", origin.version),
        ];
        let known = names.into_iter().filter(|(_, symbol)| !symbol.is_none());
        let text = |(name, symbol): (&str, _)| (name.to_owned(), symbols.text(symbol).to_string());
        Self(known.map(text).collect())
    }
}

impl PlaceLine {
    fn new(facts: &Facts, place: Place, origin: usize) -> Self {
        let kind = KINDS.iter().position(|kind| *kind == facts.kind).unwrap_or(0);
        let marks = [(Marks::AMBIGUOUS, 1), (Marks::BOUND, 2), (Marks::LATE, 4)];
        Self {
            batch: place.batch.0,
            offset: place.offset,
            kind: u8::try_from(kind).unwrap_or(0),
            origin: u8::try_from(origin).unwrap_or(u8::MAX),
            marks: marks.iter().filter(|(mark, _)| facts.marks.has(*mark)).map(|it| it.1).sum(),
        }
    }

    /// What sort of evidence lies there.
    #[must_use]
    pub fn kind(&self) -> Kind {
        KINDS.get(usize::from(self.kind)).copied().unwrap_or_default()
    }
}

/// Cuts a list in half; answers how much went.
fn halve<T>(list: &mut Vec<T>) -> usize {
    let before = list.len();
    list.truncate(before / 2);
    before - list.len()
}

/// The earliest span without a parent. Without spans, the proxy's entry tells what came in.
fn root(journey: &Journey) -> Option<&Facts> {
    let facts = || journey.evidence.iter().map(|(facts, _)| facts);
    let span = facts().find(|it| it.kind.is_span() && it.parent.is_none());
    span.or_else(|| facts().find(|it| it.kind == Kind::Access))
}

/// How the root ended; without a root, the worst that was seen.
pub(super) fn outcome(journey: &Journey) -> Outcome {
    let worst = || journey.evidence.iter().map(|(facts, _)| facts.outcome).max();
    root(journey).map(|root| root.outcome).or_else(worst).unwrap_or_default()
}

fn start(journey: &Journey) -> Nanos {
    let starts = journey.evidence.iter().map(|(facts, _)| facts.start);
    starts.filter(|start| *start != Nanos(0)).min().unwrap_or_default()
}

fn extent(journey: &Journey, start: Nanos) -> u64 {
    let ends = journey.evidence.iter();
    let ends = ends.map(|(facts, _)| facts.start.0.saturating_add(facts.duration_ns));
    ends.max().unwrap_or(0).saturating_sub(start.0)
}

fn closed(closed: Option<Closed>) -> &'static str {
    match closed {
        None => "open",
        Some(Closed::Quiet) => "quiet",
        Some(Closed::Rootless) => "rootless",
        Some(Closed::Longest) => "longest",
        Some(Closed::Full) => "full",
        Some(Closed::Drained) => "drained",
        Some(Closed::Amended) => "amended",
        Some(Closed::Alone) => "alone",
    }
}
