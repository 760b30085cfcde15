//! Journeys that closed lately, for late evidence and for questions.

use std::sync::Arc;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::entry::Published;
use super::recall::Recall;
use super::{Home, Journey, Settings};
use crate::evidence::{JourneyId, Nanos};

/// A closed journey, with what it takes to open it again.
#[derive(Debug)]
pub(super) struct Remembered {
    pub(super) journey: Arc<Journey>,
    pub(super) home: Home,
    pub(super) keys: Vec<Published>,
    pub(super) at: Nanos,
}

/// Bounded by evidence. Age is checked here and not by the cache, which would read a clock.
#[derive(Debug)]
pub(super) struct Lately {
    cache: Cache<JourneyId, Arc<Remembered>, foldhash::fast::RandomState>,
    recall: Recall,
    remember: Duration,
}

impl Lately {
    pub(super) fn new(settings: &Settings) -> Self {
        let cache = Cache::builder()
            .max_capacity(settings.remembered_evidence_max)
            // A new journey must get in even where old ones were read more often.
            .eviction_policy(EvictionPolicy::lru())
            .weigher(|_, kept: &Arc<Remembered>| {
                u32::try_from(kept.journey.evidence.len().max(1)).unwrap_or(u32::MAX)
            })
            .build_with_hasher(foldhash::fast::RandomState::default());
        let recall = Recall::new(settings.remember);
        Self { cache, recall, remember: settings.remember }
    }

    pub(super) fn keep(&mut self, kept: Remembered) {
        self.recall.note(kept.journey.id, kept.at);
        self.cache.insert(kept.journey.id, Arc::new(kept));
    }

    pub(super) fn get(&self, id: JourneyId, now: Nanos) -> Option<Arc<Remembered>> {
        if !self.recall.maybe(id) {
            return None;
        }
        self.cache.get(&id).filter(|kept| now.since(kept.at) <= self.remember)
    }

    pub(super) fn forget(&self, id: JourneyId) {
        self.cache.invalidate(&id);
    }
}
