//! Batches in memory: the latest, for those who follow, and those looked up, for who looks again.

use std::collections::{BTreeMap, VecDeque};

use super::Batch;
use super::frame::Totals;

/// A batch with the log's counts around it.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) batch: Batch,
    pub(super) before: Totals,
    pub(super) after: Totals,
}

/// The latest batches. The oldest leave when the bytes reach their bound.
#[derive(Debug)]
pub(super) struct Tail {
    kept: VecDeque<Kept>,
    bytes: usize,
    bytes_max: usize,
}

/// Batches by position. The first to come is the first to leave.
#[derive(Debug)]
pub(super) struct Cache {
    batches: BTreeMap<u64, Batch>,
    order: VecDeque<u64>,
    bytes: usize,
    bytes_max: usize,
}

impl Tail {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { kept: VecDeque::new(), bytes: 0, bytes_max }
    }

    pub(super) fn push(&mut self, kept: Kept) {
        self.bytes += held(&kept.batch);
        self.kept.push_back(kept);
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= held(&oldest.batch);
        }
    }

    pub(super) fn get(&self, at: u64) -> Option<&Kept> {
        let found = self.kept.binary_search_by_key(&at, |kept| kept.batch.position.0).ok()?;
        self.kept.get(found)
    }
}

impl Cache {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { batches: BTreeMap::new(), order: VecDeque::new(), bytes: 0, bytes_max }
    }

    pub(super) fn get(&self, at: u64) -> Option<&Batch> {
        self.batches.get(&at)
    }

    pub(super) fn insert(&mut self, batch: &Batch) {
        let at = batch.position.0;
        if held(batch) > self.bytes_max || self.batches.contains_key(&at) {
            return;
        }
        self.bytes += held(batch);
        self.order.push_back(at);
        self.batches.insert(at, batch.clone());
        while self.bytes > self.bytes_max {
            let oldest = self.order.pop_front().and_then(|at| self.batches.remove(&at));
            let Some(oldest) = oldest else { break };
            self.bytes -= held(&oldest);
        }
    }
}

/// An empty batch is not free either.
fn held(batch: &Batch) -> usize {
    batch.payload.held_bytes().saturating_add(size_of::<Kept>())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::evidence::{Digest, Head, Nanos, Position, Signal, Source, Tenant};
    use crate::log::Payload;

    fn batch(at: u64) -> Batch {
        let head = Head {
            signal: Signal::Traces,
            source: Source::OtlpGrpc,
            tenant: Tenant(0),
            received: Nanos(0),
            items: 1,
            policy: 0,
            digest: Digest::default(),
        };
        let (position, next) = (Position(at), Position(at + 1));
        let payload = Payload { plain: Bytes::from(vec![0; 1000]), packed: None };
        Batch { position, next, head, payload }
    }

    #[test]
    fn the_tail_keeps_the_latest_within_its_bytes() {
        let mut tail = Tail::new(2 * held(&batch(0)));
        for at in 0..5 {
            tail.push(Kept { batch: batch(at), before: [0; 3], after: [0; 3] });
        }
        let kept: Vec<u64> = (0..5).filter(|at| tail.get(*at).is_some()).collect();
        assert_eq!(kept, [3, 4]);
    }

    #[test]
    fn the_cache_keeps_the_last_looked_up_within_its_bytes() {
        let mut cache = Cache::new(2 * held(&batch(0)));
        for at in [4, 0, 2, 0] {
            cache.insert(&batch(at));
        }
        let kept: Vec<u64> = (0..5).filter(|at| cache.get(*at).is_some()).collect();
        assert_eq!(kept, [0, 2]);
    }
}
