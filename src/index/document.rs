//! A journey as the index takes it.

use std::sync::Arc;

use tantivy::TantivyDocument;

use super::analyzer::{VALUE_BYTES_MAX, head};
use super::lookup::halves;
use super::schema::{Fields, TEXT_CUT};
use super::{Error, Settings};
use crate::evidence::{JourneyId, Nanos};

/// How many values a field of one journey may have; those beyond are cut off and counted.
const VALUES_MAX: usize = 256;
/// How large the stored summary may be.
pub(super) const STORED_BYTES_MAX: usize = 64 * 1024;

/// One journey, with all that it can be found by.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Which journey.
    pub id: JourneyId,
    /// Digests of its request ids.
    pub requests: Vec<u64>,
    /// When it began.
    pub start: Nanos,
    /// How long it took.
    pub duration_ns: u64,
    /// Whether someone should look at it.
    pub failed: bool,
    /// How it ended.
    pub outcome: &'static str,
    /// Status codes.
    pub statuses: Vec<u16>,
    /// How much evidence it was made from: of two versions, more covers less.
    pub evidence: u32,
    /// Services.
    pub services: Vec<Arc<str>>,
    /// Namespaces.
    pub namespaces: Vec<Arc<str>>,
    /// Workloads.
    pub workloads: Vec<Arc<str>>,
    /// Pods.
    pub pods: Vec<Arc<str>>,
    /// Nodes.
    pub nodes: Vec<Arc<str>>,
    /// Zones.
    pub zones: Vec<Arc<str>>,
    /// Clusters.
    pub clusters: Vec<Arc<str>>,
    /// Versions.
    pub versions: Vec<Arc<str>>,
    /// Templated routes.
    pub routes: Vec<Arc<str>>,
    /// Methods.
    pub methods: Vec<Arc<str>>,
    /// The other sides of its hops.
    pub peers: Vec<Arc<str>>,
    /// Kinds of evidence.
    pub kinds: Vec<Arc<str>>,
    /// Response flags, drop reasons, error types.
    pub details: Vec<Arc<str>>,
    /// Everything that a free word should find it by.
    pub text: String,
    /// What an answer says of it; opaque here.
    pub stored: Vec<u8>,
}

/// What had to be left out of a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cuts {
    pub(super) texts: u64,
    pub(super) values: u64,
}

impl Document {
    /// A journey of which nothing is known.
    #[must_use]
    pub fn new(id: JourneyId) -> Self {
        Self {
            id,
            requests: Vec::new(),
            start: Nanos(0),
            duration_ns: 0,
            failed: false,
            outcome: "",
            statuses: Vec::new(),
            evidence: 0,
            services: Vec::new(),
            namespaces: Vec::new(),
            workloads: Vec::new(),
            pods: Vec::new(),
            nodes: Vec::new(),
            zones: Vec::new(),
            clusters: Vec::new(),
            versions: Vec::new(),
            routes: Vec::new(),
            methods: Vec::new(),
            peers: Vec::new(),
            kinds: Vec::new(),
            details: Vec::new(),
            text: String::new(),
            stored: Vec::new(),
        }
    }

    /// The document in tantivy's form.
    pub(super) fn lower(
        &self,
        fields: &Fields,
        settings: &Settings,
    ) -> Result<(TantivyDocument, Cuts), Error> {
        let (bytes, max) = (self.stored.len(), STORED_BYTES_MAX);
        if bytes > max {
            return Err(Error::Stored { bytes, max });
        }
        let mut cuts = Cuts::default();
        let mut out = TantivyDocument::new();
        let (high, low) = halves(self.id.0);
        out.add_u64(fields.id_high, high);
        out.add_u64(fields.id_low, low);
        out.add_u64(fields.start, self.start.0);
        out.add_u64(fields.duration, self.duration_ns);
        out.add_u64(fields.evidence, u64::from(self.evidence));
        out.add_bool(fields.failed, self.failed);
        for request in cuts.values(&self.requests) {
            out.add_u64(fields.request, *request);
        }
        for status in cuts.values(&self.statuses) {
            out.add_u64(fields.status, u64::from(*status));
        }
        let outcome = [Arc::from(self.outcome)];
        for (field, values) in fields.texts.into_iter().zip(self.texts(&outcome)) {
            for value in cuts.values(values).iter().filter(|value| !value.is_empty()) {
                out.add_text(field, cuts.value(value));
            }
        }
        let text = head(&self.text, settings.text_bytes_max);
        if text.len() < self.text.len() {
            cuts.texts += 1;
            if let Some(detail) = fields.text("detail") {
                out.add_text(detail, TEXT_CUT);
            }
        }
        out.add_text(fields.text, text);
        out.add_bytes(fields.stored, &self.stored);
        Ok((out, cuts))
    }

    /// In the order of [`super::schema::TEXTS`].
    fn texts<'a>(&'a self, outcome: &'a [Arc<str>]) -> [&'a [Arc<str>]; 14] {
        [
            &self.services,
            &self.namespaces,
            &self.workloads,
            &self.pods,
            &self.nodes,
            &self.zones,
            &self.clusters,
            &self.versions,
            &self.routes,
            &self.methods,
            &self.peers,
            &self.kinds,
            &self.details,
            outcome,
        ]
    }
}

impl Cuts {
    fn values<'a, T>(&mut self, values: &'a [T]) -> &'a [T] {
        match values.split_at_checked(VALUES_MAX) {
            Some((kept, rest)) => {
                self.values += u64::try_from(rest.len()).unwrap_or(u64::MAX);
                kept
            }
            None => values,
        }
    }

    fn value<'a>(&mut self, value: &'a str) -> &'a str {
        let kept = head(value, VALUE_BYTES_MAX);
        self.values += u64::from(kept.len() < value.len());
        kept
    }
}
