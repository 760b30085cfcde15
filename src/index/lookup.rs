//! Finds journeys by id: a filter first, then a scan of the column.

use std::sync::Arc;

use tantivy::index::SegmentReader;
use tantivy::query::{
    BitSetDocSet, ConstScorer, EmptyScorer, EnableScoring, Explanation, Query, Scorer, Weight,
};
use tantivy::{BitSet, DocId, Score, TantivyError};

use super::{bloom, plugin};

pub(super) const ID_HIGH: &str = "id_high";
pub(super) const ID_LOW: &str = "id_low";
pub(super) const REQUEST: &str = "request";
pub(super) const START: &str = "start";
pub(super) const EVIDENCE: &str = "evidence";

/// Ids of 128 bits.
pub(super) type Ids = std::collections::HashSet<u128, foldhash::fast::RandomState>;

/// Documents and the ids they have.
type Found = Vec<(DocId, u128)>;

const BLOCK: u32 = 1024;

/// What to look up.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// Journeys by their ids.
    Journeys(Arc<Ids>),
    /// Journeys by the digest of a request id.
    Request(u64),
}

/// The documents of a segment that have one of the ids, in order; deleted ones are among them.
pub(super) fn journeys(reader: &SegmentReader, ids: &Ids) -> tantivy::Result<Found> {
    let filter = plugin::filter(reader);
    let likely: Ids =
        ids.iter().copied().filter(|id| bloom::may_have(&filter, halves(*id).1)).collect();
    if likely.is_empty() {
        return Ok(Vec::new());
    }
    let lows: std::collections::HashSet<u64, foldhash::fast::RandomState> =
        likely.iter().map(|id| halves(*id).1).collect();
    let low_column = reader.fast_fields().u64(ID_LOW)?;
    let high_column = reader.fast_fields().u64(ID_HIGH)?;
    let mut found = Vec::new();
    let mut block = [0_u64; BLOCK as usize];
    let mut from = 0;
    while from < reader.max_doc() {
        let count = BLOCK.min(reader.max_doc() - from);
        let Some(values) = block.get_mut(..count as usize) else { break };
        low_column.values.get_range(u64::from(from), values);
        for (doc, low) in (from..).zip(values.iter()).filter(|(_, low)| lows.contains(low)) {
            let high = high_column.first(doc).unwrap_or_default();
            let id = whole(high, *low);
            if likely.contains(&id) {
                found.push((doc, id));
            }
        }
        from += count;
    }
    Ok(found)
}

/// The high and the low half.
pub(super) fn halves(id: u128) -> (u64, u64) {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = id.to_be_bytes();
    let high = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    (high, u64::from_be_bytes([i, j, k, l, m, n, o, p]))
}

/// Both halves together.
pub(super) fn whole(high: u64, low: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

fn request(reader: &SegmentReader, key: u64) -> tantivy::Result<Vec<DocId>> {
    let mut docs = Vec::new();
    if !bloom::may_have(&plugin::filter(reader), key) {
        return Ok(docs);
    }
    if let Some(column) = reader.fast_fields().column_opt::<u64>(REQUEST)? {
        column.get_docids_for_value_range(key..=key, 0..reader.max_doc(), &mut docs);
    }
    Ok(docs)
}

impl Query for Wanted {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Weight for Wanted {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let found = match self {
            Self::Journeys(ids) => journeys(reader, ids)?.into_iter().map(|(doc, _)| doc).collect(),
            Self::Request(key) => request(reader, *key)?,
        };
        if found.is_empty() {
            return Ok(Box::new(EmptyScorer));
        }
        let mut docs = BitSet::with_max_value(reader.max_doc());
        for doc in found {
            docs.insert(doc);
        }
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(docs), boost)))
    }

    fn explain(&self, _: &SegmentReader, _: DocId) -> tantivy::Result<Explanation> {
        Err(TantivyError::InvalidArgument("nothing is ranked by relevance".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_halves_of_an_id_make_it_whole_again() {
        let id = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210;
        let (high, low) = halves(id);
        assert_eq!(whole(high, low), id);
    }
}
