//! A closed journey becomes a document.

use std::sync::Arc;

use super::brief::Brief;
use super::document::STORED_BYTES_MAX;
use super::outline::{Outline, each_once};
use super::{Document, text};
use crate::evidence::{Facts, Place, Symbol, Symbols};
use crate::join::{Hop, Journey};
use crate::log::{Batch, Log};
use crate::wire;

/// Makes documents. One per thread: it keeps the batch that it read last, since the evidence of a
/// journey often came together.
#[derive(Debug)]
pub struct Describer {
    symbols: Arc<Symbols>,
    log: Log,
    text_bytes_max: usize,
    last: Option<Batch>,
    brief: Brief,
}

impl Describer {
    /// Reads words from `log`, at most `text_bytes_max` for one journey.
    #[must_use]
    pub fn new(symbols: Arc<Symbols>, log: Log, text_bytes_max: usize) -> Self {
        Self { symbols, log, text_bytes_max, last: None, brief: Brief::default() }
    }

    /// The document of a journey and its hops.
    pub fn document(&mut self, journey: &Journey, hops: &[Hop]) -> Document {
        let outline = Outline::of(journey);
        let mut document = Document::new(journey.id);
        document.requests = journey.requests.iter().map(|key| key.0.get()).collect();
        document.start = outline.start;
        document.duration_ns = outline.duration_ns;
        document.failed = outline.outcome.is_failure();
        document.outcome = outline.outcome.name();
        document.evidence = u32::try_from(journey.evidence.len()).unwrap_or(u32::MAX);
        self.name(&mut document, journey, hops);
        document.text = self.words(journey);
        document.stored = self.brief.of(journey, hops, &self.symbols, STORED_BYTES_MAX);
        document
    }

    /// The names that it can be found by, each once.
    fn name(&self, document: &mut Document, journey: &Journey, hops: &[Hop]) {
        let facts = || journey.evidence.iter().map(|(facts, _)| facts);
        let origins = each_once(facts().map(|it| it.origin));
        let origins: Vec<_> = origins.into_iter().map(|id| self.symbols.origin(id)).collect();
        document.services = self.texts(origins.iter().map(|it| it.service));
        document.namespaces = self.texts(origins.iter().map(|it| it.namespace));
        document.workloads = self.texts(origins.iter().map(|it| it.workload));
        document.pods = self.texts(origins.iter().map(|it| it.pod));
        document.nodes = self.texts(origins.iter().map(|it| it.node));
        document.zones = self.texts(origins.iter().map(|it| it.zone));
        document.clusters = self.texts(origins.iter().map(|it| it.cluster));
        document.versions = self.texts(origins.iter().map(|it| it.version));
        document.routes = self.texts(facts().map(|it| it.route));
        document.details = self.texts(facts().map(|it| it.detail));
        let callees = hops.iter().map(|hop| hop.callee);
        document.peers = self.texts(facts().map(|it| it.peer).chain(callees));
        document.methods = names(facts().map(|it| it.method.name()));
        document.kinds = names(facts().map(|it| it.kind.name()));
        document.statuses = each_once(facts().map(|it| it.status).filter(|it| *it > 0));
    }

    fn texts(&self, symbols: impl Iterator<Item = Symbol>) -> Vec<Arc<str>> {
        let symbols = each_once(symbols.filter(|symbol| !symbol.is_none()));
        symbols.into_iter().map(|symbol| self.symbols.text(symbol)).collect()
    }

    fn words(&mut self, journey: &Journey) -> String {
        let mut words = String::new();
        for (facts, place) in &journey.evidence {
            if words.len() >= self.text_bytes_max {
                break;
            }
            self.append(facts, *place, &mut words);
        }
        words
    }

    /// Most evidence has a name and no more: the log need not be read for it. Damaged or trimmed
    /// evidence has no words; the log has counted it already.
    fn append(&mut self, facts: &Facts, place: Place, words: &mut String) {
        if !facts.worded {
            if facts.kind.is_span() {
                text::line(&self.symbols.text(facts.name), self.text_bytes_max, words);
            }
            return;
        }
        if self.last.as_ref().is_none_or(|batch| batch.position != place.batch) {
            self.last = self.log.read(place.batch).ok();
        }
        let Some(batch) = &self.last else { return };
        if let Ok(message) = wire::item(&batch.payload.plain, place.offset) {
            // The walk that admitted the request checked every field of it.
            let _checked = text::append(facts.kind, message, self.text_bytes_max, words);
        }
    }
}

fn names(names: impl Iterator<Item = &'static str>) -> Vec<Arc<str>> {
    let names = each_once(names.filter(|name| !name.is_empty()));
    names.into_iter().map(Arc::from).collect()
}
