//! The open journeys of a shard and their evidence.

use std::hash::BuildHasher;

use hashbrown::HashTable;

use super::entry::{Entry, NONE};
use super::journey::Fresh;
use super::slab::Slab;
use super::wheel::Wheel;
use super::{Closed, Home, Journey, Settings, WeakKey};
use crate::evidence::{Facts, JourneyId, Nanos, Place, Position};

/// Entries and evidence lie in slabs and name each other by address, so that a journey of ten
/// costs ten nodes and an entry, and neither a vector nor a heap object of its own.
#[derive(Debug)]
pub(super) struct Open {
    settings: Settings,
    index: HashTable<u32>,
    hasher: foldhash::fast::RandomState,
    entries: Slab<Entry>,
    nodes: Slab<Node>,
    wheel: Wheel,
    oldest: u32,
    newest: u32,
    /// What the wheel brought up; kept for its memory.
    up: Vec<(u32, u64)>,
}

/// One evidence in the list of its journey, latest first. The place is taken apart because its
/// padding would cost eight bytes.
#[derive(Clone, Copy, Debug)]
struct Node {
    facts: Facts,
    batch: Position,
    offset: u32,
    next: u32,
}

/// Evidence on its way out of a journey.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) facts: Facts,
    pub(super) place: Place,
    /// Whether it was part of the revision before.
    pub(super) was_emitted: bool,
}

/// Whether a journey took the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    Held,
    Full,
}

impl Node {
    fn place(&self) -> Place {
        Place { batch: self.batch, offset: self.offset }
    }
}

impl Open {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            settings: settings.clone(),
            index: HashTable::new(),
            hasher: foldhash::fast::RandomState::default(),
            entries: Slab::new(),
            nodes: Slab::new(),
            wheel: Wheel::new(),
            oldest: NONE,
            newest: NONE,
            up: Vec::new(),
        }
    }

    pub(super) fn journeys(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn evidence(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    pub(super) fn find(&self, id: JourneyId) -> Option<u32> {
        let same = |&at: &u32| self.entries.get(at).is_some_and(|entry| entry.home.id() == id);
        self.index.find(self.hasher.hash_one(id), same).copied()
    }

    pub(super) fn entry(&mut self, at: u32) -> Option<&mut Entry> {
        self.entries.get_mut(at)
    }

    /// Opens a journey that is not open.
    pub(super) fn open(&mut self, home: Home, now: Nanos) -> Option<u32> {
        let mut entry = Entry::new(home, now);
        entry.older = self.newest;
        // No journey is due earlier than this. One that turns out to wait for its root is armed
        // again; armed for the root at first, every journey would leave a stale timer behind.
        entry.armed = self.wheel.tick(now.after(self.settings.quiet.min(self.settings.longest)));
        let armed = entry.armed;
        let at = self.entries.insert(entry)?;
        self.wheel.arm(at, armed);
        match self.entries.get_mut(self.newest) {
            Some(newest) => newest.newer = at,
            None => self.oldest = at,
        }
        self.newest = at;
        let (entries, hasher) = (&self.entries, &self.hasher);
        let hash = |&at: &u32| entries.get(at).map_or(0, |it| hasher.hash_one(it.home.id()));
        self.index.insert_unique(hash(&at), at, hash);
        Some(at)
    }

    /// Adds evidence to an open journey.
    pub(super) fn add(&mut self, at: u32, facts: &Facts, place: Place, now: Nanos) -> Added {
        let Some(entry) = self.entries.get_mut(at) else { return Added::Full };
        let max = self.settings.journey_evidence_max;
        if usize::try_from(entry.count).is_ok_and(|count| count >= max) {
            entry.truncated = entry.truncated.saturating_add(1);
            return Added::Full;
        }
        let node =
            Node { facts: *facts, batch: place.batch, offset: place.offset, next: entry.head };
        let Some(address) = self.nodes.insert(node) else { return Added::Full };
        entry.head = address;
        entry.count += 1;
        entry.touch(now);
        // Waiting on is free, the wheel finds out. Only the root makes a journey due earlier.
        if entry.meets(facts) {
            let tick = self.wheel.tick(entry.due(&self.settings).0);
            if tick < entry.armed {
                entry.armed = tick;
                self.wheel.arm(at, tick);
            }
        }
        Added::Held
    }

    /// The journeys whose time has come, and why.
    pub(super) fn due(&mut self, now: Nanos) -> Vec<(u32, Closed)> {
        let mut due = Vec::new();
        self.wheel.turn(now, &mut self.up);
        for (at, tick) in self.up.drain(..) {
            let Some(entry) = self.entries.get_mut(at) else { continue };
            if entry.armed != tick {
                continue;
            }
            let (when, why) = entry.due(&self.settings);
            if when <= now {
                // Nothing brings it up twice: it is closed by who called.
                entry.armed = 0;
                due.push((at, why));
            } else {
                entry.armed = self.wheel.tick(when);
                self.wheel.arm(at, entry.armed);
            }
        }
        due
    }

    /// The journey as it is now.
    pub(super) fn journey(&self, at: u32) -> Option<Journey> {
        let entry = self.entries.get(at)?;
        let mut evidence = Vec::with_capacity(usize::try_from(entry.count).ok()?);
        let mut address = entry.head;
        for _ in 0..entry.count {
            let node = self.nodes.get(address)?;
            evidence.push((node.facts, node.place()));
            address = node.next;
        }
        Some(gathered(entry, evidence))
    }

    /// Takes out the evidence that leaves, and keeps the rest.
    pub(super) fn take(&mut self, at: u32, leaves: impl Fn(&Facts) -> bool) -> Vec<Taken> {
        let mut taken = Vec::new();
        let Some(entry) = self.entries.get_mut(at) else { return taken };
        let (mut address, count) = (entry.head, entry.count);
        let fresh = count - entry.emitted;
        let mut last_kept = NONE;
        (entry.head, entry.count, entry.emitted) = (NONE, 0, 0);
        for position in 0..count {
            let Some(&node) = self.nodes.get(address) else { break };
            let was_emitted = position >= fresh;
            if leaves(&node.facts) {
                self.nodes.remove(address);
                taken.push(Taken { facts: node.facts, place: node.place(), was_emitted });
            } else {
                entry.count += 1;
                entry.emitted += u32::from(was_emitted);
                match self.nodes.get_mut(last_kept) {
                    Some(last) => last.next = address,
                    None => entry.head = address,
                }
                last_kept = address;
            }
            address = node.next;
        }
        taken
    }

    /// Takes the journey out of the table, with all its evidence.
    pub(super) fn close(&mut self, at: u32) -> Option<(Journey, Entry)> {
        let entry = self.unlink(at)?;
        let mut evidence = Vec::with_capacity(usize::try_from(entry.count).ok()?);
        let mut address = entry.head;
        for _ in 0..entry.count {
            let node = self.nodes.get(address)?;
            evidence.push((node.facts, node.place()));
            let next = node.next;
            self.nodes.remove(address);
            address = next;
        }
        Some((gathered(&entry, evidence), entry))
    }

    fn unlink(&mut self, at: u32) -> Option<Entry> {
        let entry = self.entries.get_mut(at)?;
        let empty = Entry::new(entry.home, Nanos(0));
        let entry = std::mem::replace(entry, empty);
        let id = entry.home.id();
        if let Ok(found) = self.index.find_entry(self.hasher.hash_one(id), |&it| it == at) {
            found.remove();
        }
        match self.entries.get_mut(entry.older) {
            Some(older) => older.newer = entry.newer,
            None => self.oldest = entry.newer,
        }
        match self.entries.get_mut(entry.newer) {
            Some(newer) => newer.older = entry.older,
            None => self.newest = entry.older,
        }
        self.entries.remove(at);
        Some(entry)
    }

    /// What is allocated for open journeys and their evidence.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let keys = |at: u32| self.entries.get(at).map_or(0, |entry| entry.keys.capacity());
        let keys: usize = (0..u32::MAX).take(self.entries.len()).map(keys).sum();
        self.entries.bytes()
            + self.nodes.bytes()
            + self.wheel.bytes()
            + self.index.allocation_size()
            + keys * size_of::<super::entry::Published>()
    }
}

/// The journey of an entry and of its evidence, latest first.
fn gathered(entry: &Entry, mut evidence: Vec<(Facts, Place)>) -> Journey {
    let fresh = usize::try_from(entry.count - entry.emitted).ok();
    let fresh = fresh.filter(|_| entry.emitted > 0).and_then(|fresh| evidence.get(..fresh));
    let fresh = fresh.map(|fresh| Fresh::of(fresh.iter().map(|(_, place)| *place)));
    // Oldest first is nearly in order already, which spares the sort most of its moves.
    evidence.reverse();
    let mut journey = Journey::new(entry.home, evidence);
    if let Some(fresh) = fresh {
        journey.fresh = fresh;
    }
    journey.requests.extend(entry.keys.iter().filter_map(|known| match known.key {
        WeakKey::Request(key) => Some(key),
        WeakKey::Sockets(_) => None,
    }));
    if let Home::Request(key) = entry.home {
        journey.requests.push(key);
    }
    journey.requests.sort_unstable();
    journey.revision = entry.revision;
    journey.truncated = entry.truncated;
    journey.duplicates = journey.duplicates.saturating_add(entry.duplicates);
    journey.unbound = entry.unbound;
    journey
}
