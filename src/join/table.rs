//! One shard of the join.

use std::collections::VecDeque;
use std::sync::Arc;

use super::bindings::{Bindings, interval, publishable};
use super::entry::Published;
use super::lately::{Lately, Remembered};
use super::open::{Added, Open};
use super::waiting::Waiting;
use super::{Binding, Closed, Held, Home, Journey, Mail, Out, Settings, Shard, WeakKey};
use crate::evidence::{Evidence, JourneyId, Keys, Marks, Nanos, RequestKey};
use crate::ledger::Reason;

/// One shard of the join: single writer, no lock, no clock, no I/O.
#[derive(Debug)]
pub struct Table {
    pub(super) settings: Settings,
    pub(super) shard: Shard,
    /// The latest time anybody said. Time never runs back in here.
    pub(super) now: Nanos,
    pub(super) open: Open,
    pub(super) lately: Lately,
    pub(super) bindings: Bindings,
    pub(super) waiting: Waiting,
    /// Evidence that waits elsewhere and may ask here.
    pub(super) expected: VecDeque<(Nanos, WeakKey)>,
    /// Mail to this shard from itself; empty between calls.
    inbox: VecDeque<Mail>,
    stage: Stage,
}

/// How far the table has shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Running,
    /// Request keys are decided with what is known.
    Requests,
    /// Sockets too: the request keys of all shards have bound theirs.
    Sockets,
    /// Journeys close.
    Journeys,
}

impl Table {
    /// An empty shard.
    #[must_use]
    pub fn new(mut settings: Settings, shard: Shard) -> Self {
        // A journey that filled the whole table would close itself with each evidence.
        settings.evidence_max = settings.evidence_max.max(1);
        let most = settings.evidence_max;
        settings.journey_evidence_max = settings.journey_evidence_max.clamp(1, most);
        Self {
            shard,
            now: Nanos(0),
            open: Open::new(&settings),
            lately: Lately::new(&settings),
            bindings: Bindings::new(&settings),
            waiting: Waiting::default(),
            expected: VecDeque::new(),
            inbox: VecDeque::new(),
            stage: Stage::Running,
            settings,
        }
    }

    /// Takes evidence in. What [`Shard::route`] would send elsewhere is mailed there.
    pub fn admit(&mut self, evidence: &Evidence, now: Nanos, out: &mut Out) {
        self.now = self.now.max(now);
        let shard = Shard::route(evidence, self.shard.count);
        if shard == self.shard.index {
            self.take(evidence, out);
            self.work_off(out);
        } else {
            out.mail.push((shard, Mail::Admit(*evidence)));
        }
    }

    /// Takes mail of another shard in.
    pub fn receive(&mut self, mail: Mail, now: Nanos, out: &mut Out) {
        self.now = self.now.max(now);
        self.handle(mail, out);
        self.work_off(out);
    }

    /// Does what is due: decides waiting evidence, closes journeys, forgets bindings.
    pub fn expire(&mut self, now: Nanos, out: &mut Out) {
        self.now = self.now.max(now);
        while let Some(waiter) = self.waiting.pop_due(self.now) {
            self.decide(&waiter, out);
        }
        while let Some((_, key)) = self.expected.pop_front_if(|(until, _)| *until <= self.now) {
            self.bindings.settled(key);
        }
        self.work_off(out);
        for (at, why) in self.open.due(self.now) {
            self.close(at, why, out);
        }
        self.bindings.expire(self.now);
        self.lately.expire(self.now);
    }

    /// One round of shutting down. Call it on every shard, carry the mail until there is none, and
    /// begin again until no shard holds anything: three rounds. One round decides request keys,
    /// the next one sockets, the third closes what is open.
    pub fn drain(&mut self, now: Nanos, out: &mut Out) {
        self.now = self.now.max(now);
        self.stage = match self.stage {
            Stage::Running => Stage::Requests,
            Stage::Requests => Stage::Sockets,
            Stage::Sockets | Stage::Journeys => Stage::Journeys,
        };
        while let Some(waiter) = self.waiting.pop_request() {
            self.decide(&waiter, out);
        }
        if self.stage >= Stage::Sockets {
            while let Some(waiter) = self.waiting.pop_sockets() {
                self.decide(&waiter, out);
            }
        }
        self.work_off(out);
        if self.stage >= Stage::Journeys {
            while let Some(at) = self.open.oldest() {
                self.close(at, Closed::Drained, out);
            }
            while let Some((_, key)) = self.expected.pop_front() {
                self.bindings.settled(key);
            }
            self.bindings.clear();
        }
    }

    /// A journey that is open or closed lately. Evidence without a key is not kept for this:
    /// nothing can be added to it.
    #[must_use]
    pub fn find(&self, id: JourneyId) -> Option<Arc<Journey>> {
        let open = self.open.find(id).and_then(|at| self.open.journey(at)).map(Arc::new);
        open.or_else(|| Some(Arc::clone(&self.lately.get(id, self.now)?.journey)))
    }

    /// The journey of a request key. Ask the shard of the key.
    #[must_use]
    pub fn find_request(&self, key: RequestKey) -> Option<JourneyId> {
        let bound = self.bindings.any(WeakKey::Request(key)).map(Home::id);
        let own = Home::Request(key).id();
        bound.or_else(|| self.find(own).map(|_| own))
    }

    /// What the shard holds now.
    #[must_use]
    pub fn held(&self) -> Held {
        Held {
            journeys: self.open.journeys(),
            evidence: self.open.evidence(),
            waiting: self.waiting.len(),
            bindings: self.bindings.len(),
        }
    }

    pub(super) fn send(&mut self, shard: usize, mail: Mail, out: &mut Out) {
        if shard == self.shard.index {
            self.inbox.push_back(mail);
        } else {
            out.mail.push((shard, mail));
        }
    }

    /// Adds evidence to the journey it belongs to, and publishes the weaker keys it brings.
    pub(super) fn settle(&mut self, home: Home, evidence: &Evidence, out: &mut Out) {
        self.make_room(1, 0, out);
        let at = self.open.find(home.id()).or_else(|| self.start(home, out));
        let Some((at, entry)) = at.and_then(|at| Some((at, self.open.entry(at)?))) else {
            return lose(evidence, out);
        };
        let mut facts = evidence.facts;
        if entry.revision > 0 {
            facts.marks = facts.marks.with(Marks::LATE);
        }
        match self.open.add(at, &facts, evidence.place, self.now) {
            Added::Held => self.publish(at, home, evidence, out),
            Added::Full => lose(evidence, out),
        }
    }

    /// Opens a closed journey again, which its next closing amends.
    pub(super) fn reopen(&mut self, id: JourneyId, out: &mut Out) -> Option<u32> {
        let Remembered { journey, home, keys, at: _ } = self.lately.take(id)?;
        self.make_room(journey.evidence.len() + 1, 1, out);
        let at = self.open.open(home, self.now)?;
        for (facts, place) in &journey.evidence {
            self.open.add(at, facts, *place, self.now);
        }
        let entry = self.open.entry(at)?;
        entry.reopen(journey.revision.saturating_add(1));
        entry.truncated = journey.truncated;
        entry.duplicates = journey.duplicates;
        entry.unbound = journey.unbound;
        entry.keys = keys;
        Some(at)
    }

    fn start(&mut self, home: Home, out: &mut Out) -> Option<u32> {
        let id = home.id();
        if let Some(kept) = self.lately.get(id, self.now) {
            let room = kept.journey.evidence.len() < self.settings.journey_evidence_max;
            return if room { self.reopen(id, out) } else { None };
        }
        self.make_room(0, 1, out);
        self.open.open(home, self.now)
    }

    /// Closes the oldest journeys until there is room for so much more.
    fn make_room(&mut self, evidence: usize, journeys: usize, out: &mut Out) {
        while self.open.evidence() + evidence > self.settings.evidence_max
            || self.open.journeys() + journeys > self.settings.journeys_max
        {
            let Some(oldest) = self.open.oldest() else { break };
            self.close(oldest, Closed::Full, out);
        }
    }

    fn publish(&mut self, at: u32, home: Home, evidence: &Evidence, out: &mut Out) {
        let Keys { trace: _, request, sockets } = &evidence.keys;
        if request.is_none() && *sockets == [None; 2] {
            return;
        }
        let (from, to) = interval(&evidence.facts);
        for key in publishable(evidence) {
            let Some(entry) = self.open.entry(at) else { return };
            let keys_max = self.settings.journey_keys_max;
            if let Some(new) = entry.publish(Published { key, from, to }, keys_max) {
                let Published { key, from, to } = new;
                let binding = Binding { key, home, from, to, replaces: None };
                let shard = Shard::of_key(key, self.shard.count);
                self.send(shard, Mail::Bind(binding), out);
            }
        }
    }

    fn close(&mut self, at: u32, why: Closed, out: &mut Out) {
        let Some((mut journey, entry)) = self.open.close(at) else { return };
        journey.closed = Some(if entry.revision > 0 { Closed::Amended } else { why });
        let journey = Arc::new(journey);
        let (home, keys, at) = (entry.home, entry.keys, self.now);
        self.lately.keep(Remembered { journey: Arc::clone(&journey), home, keys, at });
        // Whoever applies `out` puts this journey in the place of the one that was taken back.
        out.retracted.retain(|id| *id != journey.id);
        out.closed.push(journey);
    }

    fn work_off(&mut self, out: &mut Out) {
        while let Some(mail) = self.inbox.pop_front() {
            self.handle(mail, out);
        }
    }
}

fn lose(evidence: &Evidence, out: &mut Out) {
    out.lost.push((evidence.place, evidence.facts.kind, Reason::JourneyFull));
}
