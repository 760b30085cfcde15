//! Journeys that closed lately, for late evidence and for questions.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashTable;

use super::entry::{NONE, Published};
use super::slab::Slab;
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

/// Bounded by evidence and by age: the oldest goes first. Its owner is its only reader and writer,
/// so a list through a slab does, with neither a lock nor a clock.
#[derive(Debug)]
pub(super) struct Lately {
    index: HashTable<u32>,
    hasher: foldhash::fast::RandomState,
    places: Slab<Listed>,
    oldest: u32,
    newest: u32,
    evidence: u64,
    evidence_max: u64,
    remember: Duration,
}

#[derive(Debug)]
struct Listed {
    /// `None` where the place is free.
    kept: Option<Remembered>,
    older: u32,
    newer: u32,
}

impl Remembered {
    /// In evidence.
    fn weight(&self) -> u64 {
        u64::try_from(self.journey.weight()).unwrap_or(u64::MAX)
    }
}

impl Listed {
    fn id(&self) -> Option<JourneyId> {
        // Not the journey's own: that would be a look at memory gone cold.
        self.kept.as_ref().map(|kept| kept.home.id())
    }
}

impl Lately {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            index: HashTable::new(),
            hasher: foldhash::fast::RandomState::default(),
            places: Slab::new(),
            oldest: NONE,
            newest: NONE,
            evidence: 0,
            evidence_max: settings.remembered_evidence_max,
            remember: settings.remember,
        }
    }

    /// Remembers a journey as the newest, and forgets the oldest that there is no room for.
    pub(super) fn keep(&mut self, kept: Remembered) {
        let (id, weight) = (kept.home.id(), kept.weight());
        // One that is too old to be found may still lie here under the same name.
        let _older = self.take(id);
        self.evidence = self.evidence.saturating_add(weight);
        let listed = Listed { kept: Some(kept), older: self.newest, newer: NONE };
        let Some(at) = self.places.insert(listed) else { return };
        match self.places.get_mut(self.newest) {
            Some(newest) => newest.newer = at,
            None => self.oldest = at,
        }
        self.newest = at;
        let (places, hasher) = (&self.places, &self.hasher);
        let listed = |at: u32| places.get(at).and_then(Listed::id);
        let hash = |&at: &u32| listed(at).map_or(0, |id| hasher.hash_one(id));
        self.index.insert_unique(hasher.hash_one(id), at, hash);
        while self.evidence > self.evidence_max {
            if self.take_at(self.oldest).is_none() {
                break;
            }
        }
    }

    pub(super) fn get(&self, id: JourneyId, now: Nanos) -> Option<&Remembered> {
        let kept = self.places.get(self.find(id)?)?.kept.as_ref()?;
        (now.since(kept.at) <= self.remember).then_some(kept)
    }

    /// Forgets a journey.
    pub(super) fn take(&mut self, id: JourneyId) -> Option<Remembered> {
        self.take_at(self.find(id)?)
    }

    /// Forgets what closed longer ago than it is remembered.
    pub(super) fn expire(&mut self, now: Nanos) {
        while let Some(Listed { kept: Some(kept), .. }) = self.places.get(self.oldest)
            && now.since(kept.at) > self.remember
        {
            self.take_at(self.oldest);
        }
    }

    fn find(&self, id: JourneyId) -> Option<u32> {
        let same = |&at: &u32| self.places.get(at).and_then(Listed::id) == Some(id);
        self.index.find(self.hasher.hash_one(id), same).copied()
    }

    fn take_at(&mut self, at: u32) -> Option<Remembered> {
        let listed = self.places.get_mut(at)?;
        let kept = listed.kept.take()?;
        let (older, newer) = (listed.older, listed.newer);
        match self.places.get_mut(older) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
        match self.places.get_mut(newer) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
        self.places.remove(at);
        self.evidence = self.evidence.saturating_sub(kept.weight());
        let hash = self.hasher.hash_one(kept.home.id());
        if let Ok(found) = self.index.find_entry(hash, |&it| it == at) {
            found.remove();
        }
        Some(kept)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::settings;
    use super::*;
    use crate::evidence::{Facts, Place, TraceId};

    fn lately(evidence_max: u64, remember_s: u64) -> Lately {
        let remember = Duration::from_secs(remember_s);
        let evidence = Settings { remembered_evidence_max: evidence_max, ..settings() };
        Lately::new(&Settings { remember, ..evidence })
    }

    fn id(number: u8) -> JourneyId {
        JourneyId(u128::from(number) + 1)
    }

    fn closed(number: u8, evidence: u32, second: u64) -> Remembered {
        let trace = TraceId::from_slice(&id(number).0.to_be_bytes()).unwrap();
        let places = (0..evidence).map(|offset| Place { offset, ..Place::default() });
        let evidence = places.map(|place| (Facts::default(), place)).collect();
        let (home, keys) = (Home::Trace(trace), Vec::new());
        let mut journey = Journey::new(home, Vec::new());
        journey.evidence = evidence;
        Remembered { journey: Arc::new(journey), home, keys, at: seconds(second) }
    }

    fn seconds(second: u64) -> Nanos {
        Nanos(second * 1_000_000_000)
    }

    #[test]
    fn the_oldest_makes_room_and_one_that_closed_again_is_new() {
        // Room for three journeys of one evidence.
        let mut lately = lately(3 * (1 + 4), 60);
        for number in [0, 1, 2, 0, 3] {
            lately.keep(closed(number, 1, 0));
        }
        let found = [0, 1, 2, 3].map(|number| lately.get(id(number), seconds(0)).is_some());
        assert_eq!(found, [true, false, true, true]);
    }

    #[test]
    fn a_journey_larger_than_all_room_is_not_remembered() {
        let mut lately = lately(3 + 4, 60);
        lately.keep(closed(0, 4, 0));
        assert!(lately.get(id(0), seconds(0)).is_none());
        assert_eq!((lately.evidence, lately.places.len()), (0, 0));
    }

    proptest! {
        /// Each step waits, then keeps, takes, or expires; the model is a list, oldest first.
        #[test]
        fn it_is_a_list_of_the_latest(
            steps in prop::collection::vec((0_u64..4, 0_u8..6, 0_u32..4, 0_u8..4), 0..80),
            evidence_max in 0_u64..30,
            remember_s in 0_u64..12,
        ) {
            let (mut lately, mut model) = (lately(evidence_max, remember_s), Vec::new());
            let mut now = 0;
            for (wait, number, evidence, what) in steps {
                now += wait;
                match what {
                    0 => {
                        lately.expire(seconds(now));
                        model.retain(|&(_, _, at)| now - at <= remember_s);
                    }
                    1 => {
                        lately.take(id(number));
                        model.retain(|&(known, _, _)| known != number);
                    }
                    _ => {
                        lately.keep(closed(number, evidence, now));
                        model.retain(|&(known, _, _)| known != number);
                        model.push((number, u64::from(evidence) + 4, now));
                    }
                }
                while model.iter().map(|(_, weight, _)| weight).sum::<u64>() > evidence_max {
                    model.remove(0);
                }
                for number in 0..6 {
                    let want = model.iter().find(|(known, _, _)| *known == number);
                    let want = want.map(|(_, _, at)| *at).filter(|at| now - at <= remember_s);
                    let got = lately.get(id(number), seconds(now)).map(|kept| kept.at);
                    prop_assert_eq!(got, want.map(seconds));
                }
                prop_assert_eq!((lately.places.len(), lately.index.len()), (model.len(), model.len()));
            }
        }
    }
}
