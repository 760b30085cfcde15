//! What an answer says of a journey: stored with its document, or made while it is still open.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::brief::{self, Brief};
use super::document::STORED_BYTES_MAX;
use crate::evidence::{Kind, Symbols};
use crate::join::{Hop, Journey};

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

impl Summary {
    /// What there is to say of a journey and its hops: the same as if it had been stored.
    #[must_use]
    pub fn new(journey: &Journey, hops: &[Hop], symbols: &Symbols) -> Self {
        let stored = Brief::default().of(journey, hops, symbols, STORED_BYTES_MAX);
        let read = brief::read(&stored);
        debug_assert!(read.is_some(), "what was written can be read");
        read.unwrap_or_default()
    }

    /// What was stored with a document; `None` when that cannot be read.
    #[must_use]
    pub fn read(stored: &[u8]) -> Option<Self> {
        brief::read(stored)
    }
}

impl PlaceLine {
    /// What sort of evidence lies there.
    #[must_use]
    pub fn kind(&self) -> Kind {
        brief::kind(self.kind)
    }
}
