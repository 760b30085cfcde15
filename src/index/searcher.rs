//! Answers from the index, newest journey first.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tantivy::query::{EnableScoring, Weight};
use tantivy::schema::Value;
use tantivy::{DocAddress, DocSet, Searcher as Reader, SegmentReader, TERMINATED, TantivyDocument};
use tracing::warn;

use super::Error;
use super::lookup::{EVIDENCE, ID_HIGH, ID_LOW, Ids, START, whole};
use super::lower::lower;
use super::schema::Fields;
use super::snapshot::{Copy, Part, Snapshot};
use crate::evidence::{Comparison, Filter, JourneyId, Literal, Nanos};

/// How many journeys one page has at most.
const PAGE_MAX: usize = 1000;
/// How many journeys of one request id are looked up.
const REQUEST_MAX: usize = 100;

/// Reads what was committed. Clones are cheap and see the same.
#[derive(Clone)]
pub struct Searcher {
    shared: Arc<Shared>,
}

/// One journey of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Which journey.
    pub id: JourneyId,
    /// When it began.
    pub start: Nanos,
    /// How much evidence it was made from.
    pub evidence: u32,
    /// The summary that was stored with it.
    pub stored: Vec<u8>,
}

/// Where a page ended. The order by start, then id, is total, so the next one has no gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Start of the last journey.
    pub start: Nanos,
    /// Its id.
    pub id: JourneyId,
}

/// The journeys of one answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Newest first; equal starts by id, descending.
    pub hits: Vec<Hit>,
    /// Where to go on; `None` after the last journey.
    pub next: Option<Cursor>,
    /// Whether some segment could not be read, so that journeys may be missing.
    pub partial: bool,
}

/// What the index holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Time buckets.
    pub buckets: usize,
    /// Journeys.
    pub docs: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// When the oldest journey began, at the latest.
    pub oldest: Option<Nanos>,
    /// When the newest journey began, at the earliest.
    pub newest: Option<Nanos>,
    /// Damaged buckets that were moved aside.
    pub unreadable: u64,
    /// Segments that a search or lookup could not read.
    pub failed_reads: u64,
    /// Journeys whose text was cut.
    pub texts_cut: u64,
    /// Values that were cut or left out.
    pub values_cut: u64,
}

/// What the writer changes and the searchers read.
pub(super) struct Shared {
    pub(super) fields: Fields,
    pub(super) unreadable: u64,
    pub(super) texts_cut: AtomicU64,
    pub(super) values_cut: AtomicU64,
    failed_reads: AtomicU64,
    snapshot: RwLock<Arc<Snapshot>>,
}

/// The newest matches so far.
struct Top<'a> {
    capacity: usize,
    range: &'a Range<Nanos>,
    after: Option<Key>,
    found: BTreeMap<Key, (usize, DocAddress)>,
}

/// Orders newest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key(Reverse<Nanos>, Reverse<u128>);

impl Shared {
    pub(super) fn new(fields: Fields, unreadable: u64) -> Self {
        Self {
            fields,
            unreadable,
            texts_cut: AtomicU64::new(0),
            values_cut: AtomicU64::new(0),
            failed_reads: AtomicU64::new(0),
            snapshot: RwLock::default(),
        }
    }

    /// What readers see now.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces what readers see.
    pub(super) fn publish(&self, snapshot: Snapshot) {
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }

    /// All versions of the journeys.
    pub(super) fn locate(&self, snapshot: &Snapshot, ids: &Ids) -> Vec<Copy> {
        let (copies, failures) = snapshot.locate(ids);
        self.failed_reads.fetch_add(failures, Ordering::Relaxed);
        copies
    }
}

impl Searcher {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The newest journeys that began within the range and fit the filter, after a cursor.
    pub fn search(
        &self,
        filter: &Filter,
        range: &Range<Nanos>,
        limit: usize,
        after: Option<Cursor>,
    ) -> Result<Page, Error> {
        let snapshot = self.shared.snapshot();
        let fields = &self.shared.fields;
        let weight = lower(fields, filter)?
            .weight(EnableScoring::disabled_from_schema(&fields.schema))
            .map_err(|source| Error::Search { source: Box::new(source) })?;
        let limit = limit.clamp(1, PAGE_MAX);
        // One more than asked for tells whether there is a next page.
        let mut top = Top::new(limit + 1, range, after);
        let mut page = Page::default();
        for part in &snapshot.parts {
            if !top.wants(part.newest) {
                // The parts that follow are older still.
                break;
            }
            let Some((view, reader)) = snapshot.reader(part) else { continue };
            if let Err(error) = top.collect(part, reader, weight.as_ref()) {
                warn!(bucket = view.start_s, %error, "segment cannot be read");
                self.shared.failed_reads.fetch_add(1, Ordering::Relaxed);
                page.partial = true;
            }
        }
        let more = top.found.len() > limit;
        for (view, address) in top.found.into_values().take(limit) {
            match snapshot.views.get(view).and_then(|view| hit(&view.searcher, address).ok()) {
                Some(hit) => page.hits.push(hit),
                None => page.partial = true,
            }
        }
        let last = page.hits.last().filter(|_| more);
        page.next = last.map(|hit| Cursor { start: hit.start, id: hit.id });
        Ok(page)
    }

    /// The journey with this id.
    #[must_use]
    pub fn get(&self, id: JourneyId) -> Option<Hit> {
        self.exists(&[id]).into_iter().map(|(_, hit)| hit).next()
    }

    /// The journeys that a request id belongs to, newest first.
    #[must_use]
    pub fn by_request(&self, key: u64) -> Vec<Hit> {
        let is = Comparison::Equal(Literal::Number(key));
        let filter = Filter::Field { name: "request", is };
        let always = Nanos(0)..Nanos(u64::MAX);
        self.search(&filter, &always, REQUEST_MAX, None).map(|page| page.hits).unwrap_or_default()
    }

    /// Those of the journeys that are indexed, each in the version with the most evidence.
    #[must_use]
    pub fn exists(&self, ids: &[JourneyId]) -> Vec<(JourneyId, Hit)> {
        let snapshot = self.shared.snapshot();
        let wanted = ids.iter().map(|id| id.0).collect();
        let mut best = BTreeMap::new();
        for copy in self.shared.locate(&snapshot, &wanted) {
            let known = best.entry(copy.id).or_insert(copy);
            if known.rank() < copy.rank() {
                *known = copy;
            }
        }
        let hits = best.into_values().filter_map(|copy| {
            let view = snapshot.views.get(copy.view)?;
            Some((JourneyId(copy.id), hit(&view.searcher, copy.address).ok()?))
        });
        hits.collect()
    }

    /// What the index holds now.
    #[must_use]
    pub fn status(&self) -> Status {
        let snapshot = self.shared.snapshot();
        Status {
            buckets: snapshot.views.len(),
            docs: snapshot.views.iter().map(|view| view.searcher.num_docs()).sum(),
            bytes: snapshot.views.iter().map(|view| view.bytes).sum(),
            oldest: snapshot.parts.iter().map(|part| part.oldest).min(),
            newest: snapshot.parts.first().map(|part| part.newest),
            unreadable: self.shared.unreadable,
            failed_reads: self.shared.failed_reads.load(Ordering::Relaxed),
            texts_cut: self.shared.texts_cut.load(Ordering::Relaxed),
            values_cut: self.shared.values_cut.load(Ordering::Relaxed),
        }
    }
}

impl Copy {
    /// More evidence covers less; of equal versions the one that was put last wins.
    pub(super) fn rank(&self) -> (u64, u64) {
        (self.evidence, self.bucket_s)
    }
}

impl<'a> Top<'a> {
    fn new(capacity: usize, range: &'a Range<Nanos>, after: Option<Cursor>) -> Self {
        let after = after.map(|after| Key(Reverse(after.start), Reverse(after.id.0)));
        Self { capacity, range, after, found: BTreeMap::new() }
    }

    /// Whether a journey that began then, or one before it, can still be among the newest.
    fn wants(&self, start: Nanos) -> bool {
        let worst = self.found.last_key_value().filter(|_| self.found.len() >= self.capacity);
        start >= self.range.start && worst.is_none_or(|(worst, _)| start >= worst.0.0)
    }

    /// Whether every journey that began then comes before the range or the cursor.
    fn skips(&self, start: Nanos) -> bool {
        start >= self.range.end || self.after.is_some_and(|after| start > after.0.0)
    }

    /// Takes the matches of one segment, whose documents lie newest first: it begins where the
    /// range does and ends as soon as nothing newer can follow.
    fn collect(
        &mut self,
        part: &Part,
        reader: &SegmentReader,
        weight: &dyn Weight,
    ) -> tantivy::Result<()> {
        let columns = reader.fast_fields();
        let (starts, high, low) =
            (columns.u64(START)?, columns.u64(ID_HIGH)?, columns.u64(ID_LOW)?);
        let start = |doc| Nanos(starts.first(doc).unwrap_or_default());
        let (mut first, mut end) = (0, reader.max_doc());
        while first < end {
            let middle = first + (end - first) / 2;
            if self.skips(start(middle)) { first = middle + 1 } else { end = middle }
        }
        if first == reader.max_doc() || !self.wants(start(first)) {
            return Ok(());
        }
        let mut matches = weight.scorer(reader, 1.0)?;
        let mut doc = matches.doc();
        if doc < first {
            doc = matches.seek(first);
        }
        while doc != TERMINATED {
            let began = start(doc);
            if !self.wants(began) {
                break;
            }
            if !reader.is_deleted(doc) {
                let id =
                    whole(high.first(doc).unwrap_or_default(), low.first(doc).unwrap_or_default());
                let address = DocAddress::new(part.segment, doc);
                self.offer(Key(Reverse(began), Reverse(id)), part.view, address);
            }
            doc = matches.advance();
        }
        Ok(())
    }

    fn offer(&mut self, key: Key, view: usize, address: DocAddress) {
        if self.after.is_some_and(|after| key <= after) {
            return;
        }
        // After a crash two buckets may have the same journey; the newer bucket is right.
        let known = self.found.entry(key).or_insert((view, address));
        if known.0 < view {
            *known = (view, address);
        }
        if self.found.len() > self.capacity {
            self.found.pop_last();
        }
    }
}

fn hit(reader: &Reader, address: DocAddress) -> tantivy::Result<Hit> {
    let columns = reader.segment_reader(address.segment_ord).fast_fields();
    let value = |name: &str| -> tantivy::Result<u64> {
        Ok(columns.u64(name)?.first(address.doc_id).unwrap_or_default())
    };
    let id = whole(value(ID_HIGH)?, value(ID_LOW)?);
    let (start, evidence) = (value(START)?, value(EVIDENCE)?);
    let document: TantivyDocument = reader.doc(address)?;
    let stored =
        document.field_values().find_map(|(_, value)| value.as_bytes().map(<[u8]>::to_vec));
    Ok(Hit {
        id: JourneyId(id),
        start: Nanos(start),
        evidence: u32::try_from(evidence).unwrap_or(u32::MAX),
        stored: stored.unwrap_or_default(),
    })
}
