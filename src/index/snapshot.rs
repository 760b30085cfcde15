//! What readers see: all buckets as of their last commits, replaced as a whole.

use std::sync::Arc;

use tantivy::index::SegmentReader;
use tantivy::{DocAddress, Searcher, SegmentOrdinal};
use tracing::warn;

use super::lookup::{EVIDENCE, Ids, START, journeys};
use crate::evidence::Nanos;

/// One bucket as of one commit.
pub(super) struct View {
    pub(super) start_s: u64,
    pub(super) searcher: Searcher,
    pub(super) bytes: u64,
    segments: Vec<(Nanos, Nanos)>,
}

/// All buckets; a change of many shows at once.
#[derive(Default)]
pub(super) struct Snapshot {
    /// Oldest bucket first.
    pub(super) views: Vec<Arc<View>>,
    /// All segments; that with the newest journey first.
    pub(super) parts: Vec<Part>,
}

/// One segment of one bucket, and the times at which its journeys began.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) view: usize,
    pub(super) segment: SegmentOrdinal,
    pub(super) oldest: Nanos,
    pub(super) newest: Nanos,
}

/// Where one version of a journey is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) id: u128,
    pub(super) evidence: u64,
    pub(super) bucket_s: u64,
    pub(super) view: usize,
    pub(super) address: DocAddress,
}

impl View {
    pub(super) fn new(start_s: u64, searcher: Searcher, bytes: u64) -> tantivy::Result<Self> {
        let bounds = |reader: &SegmentReader| {
            let column = reader.fast_fields().u64(START)?;
            Ok((Nanos(column.min_value()), Nanos(column.max_value())))
        };
        let segments =
            searcher.segment_readers().iter().map(bounds).collect::<tantivy::Result<_>>()?;
        Ok(Self { start_s, searcher, bytes, segments })
    }
}

impl Snapshot {
    pub(super) fn new(views: Vec<Arc<View>>) -> Self {
        let mut parts = Vec::new();
        for (view, shown) in views.iter().enumerate() {
            for (segment, (oldest, newest)) in (0..).zip(&shown.segments) {
                parts.push(Part { view, segment, oldest: *oldest, newest: *newest });
            }
        }
        parts.sort_by_key(|part| std::cmp::Reverse((part.newest, part.view)));
        Self { views, parts }
    }

    /// The bucket and the segment of a part.
    pub(super) fn reader(&self, part: &Part) -> Option<(&View, &SegmentReader)> {
        let view = self.views.get(part.view)?;
        let segment = usize::try_from(part.segment).ok()?;
        Some((view, view.searcher.segment_readers().get(segment)?))
    }

    /// All versions of the journeys, and how many segments could not be read.
    pub(super) fn locate(&self, ids: &Ids) -> (Vec<Copy>, u64) {
        let (mut copies, mut failures) = (Vec::new(), 0);
        for part in &self.parts {
            let Some((view, reader)) = self.reader(part) else { continue };
            if let Err(error) = locate_in(part, view, reader, ids, &mut copies) {
                warn!(bucket = view.start_s, %error, "segment cannot be read");
                failures += 1;
            }
        }
        (copies, failures)
    }
}

fn locate_in(
    part: &Part,
    view: &View,
    reader: &SegmentReader,
    ids: &Ids,
    copies: &mut Vec<Copy>,
) -> tantivy::Result<()> {
    let found = journeys(reader, ids)?;
    if found.is_empty() {
        return Ok(());
    }
    let evidence = reader.fast_fields().u64(EVIDENCE)?;
    let alive = found.into_iter().filter(|(doc, _)| !reader.is_deleted(*doc));
    copies.extend(alive.map(|(doc, id)| Copy {
        id,
        evidence: evidence.first(doc).unwrap_or_default(),
        bucket_s: view.start_s,
        view: part.view,
        address: DocAddress::new(part.segment, doc),
    }));
    Ok(())
}
