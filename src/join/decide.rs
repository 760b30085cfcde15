//! What becomes of evidence that has no trace id.

use super::bindings::{CANDIDATES_MAX, Candidates, Interval, interval};
use super::open::Taken;
use super::waiting::Waiter;
use super::{Binding, Closed, Home, Journey, Mail, Out, Shard, Table, WeakKey};
use crate::evidence::{Evidence, Facts, Keys, Marks, Nanos};

/// A binding moves earlier evidence out of so many windows of its sockets, counted from its start.
const WINDOWS_MAX: u64 = 4;

impl Table {
    /// Takes evidence in that came to the right shard.
    pub(super) fn take(&mut self, evidence: &Evidence, out: &mut Out) {
        if let Some(trace) = evidence.keys.trace {
            self.settle(Home::Trace(trace), evidence, out);
        } else if let Some(key) = WeakKey::first(&evidence.keys) {
            self.wait(key, evidence, out);
        } else {
            let alone = vec![(evidence.facts, evidence.place)];
            let mut journey = Journey::new(Home::Alone(evidence.place), alone);
            journey.closed = Some(Closed::Alone);
            out.closed.push(journey.into());
        }
    }

    pub(super) fn handle(&mut self, mail: Mail, out: &mut Out) {
        match mail {
            Mail::Admit(evidence) => self.take(&evidence, out),
            Mail::Bind(binding) => self.bind(&binding, out),
            Mail::Forward { evidence, home } => self.arrive(home, &evidence, out),
            Mail::Ask(evidence) => {
                let key = WeakKey::second(&evidence.keys);
                let time = interval(&evidence.facts);
                let homes = key.map(|key| self.bindings.candidates(key, time));
                self.deliver(homes.unwrap_or_default(), &evidence, out);
            }
            Mail::Expect { key, from, to, until } => self.expect(key, (from, to), until, out),
            Mail::Await { home, until } => {
                let at = self.open.find(home.id());
                if let Some(entry) = at.and_then(|at| self.open.entry(at)) {
                    entry.touch(until);
                }
            }
        }
    }

    /// The wait is over: sends the evidence where it belongs by what is known now.
    pub(super) fn decide(&mut self, waiter: &Waiter, out: &mut Out) {
        let Waiter { key, evidence, .. } = waiter;
        self.bindings.settled(*key);
        let homes = self.bindings.candidates(*key, interval(&evidence.facts));
        match WeakKey::second(&evidence.keys) {
            Some(second) if homes.is_empty() => {
                let shard = Shard::of_key(second, self.shard.count);
                self.send(shard, Mail::Ask(*evidence), out);
            }
            _ => self.deliver(homes, evidence, out),
        }
    }

    fn wait(&mut self, key: WeakKey, evidence: &Evidence, out: &mut Out) {
        let until = match key {
            WeakKey::Request(_) => self.now.after(self.settings.weak_wait),
            WeakKey::Sockets(_) => {
                self.now.after(self.settings.weak_wait).after(self.settings.weak_wait)
            }
        };
        let (from, to) = interval(&evidence.facts);
        self.promise(key, (from, to), until, out);
        if let Some(second) = WeakKey::second(&evidence.keys) {
            let shard = Shard::of_key(second, self.shard.count);
            self.send(shard, Mail::Expect { key: second, from, to, until }, out);
        }
        self.bindings.expect(key, until);
        self.waiting.push(Waiter { until, key, evidence: *evidence });
        while self.waiting.len() > self.settings.waiting_max {
            let Some(oldest) = self.waiting.pop_oldest() else { break };
            self.decide(&oldest, out);
        }
    }

    fn expect(&mut self, key: WeakKey, time: Interval, until: Nanos, out: &mut Out) {
        self.promise(key, time, until, out);
        self.bindings.expect(key, until);
        self.expected.push_back((until, key));
        if self.expected.len() > self.settings.waiting_max
            && let Some((_, oldest)) = self.expected.pop_front()
        {
            self.bindings.settled(oldest);
        }
    }

    /// Tells the homes of a key that evidence may still come. Too many will not get it.
    fn promise(&mut self, key: WeakKey, time: Interval, until: Nanos, out: &mut Out) {
        for home in self.bindings.few(key, time) {
            self.send_home(home, Mail::Await { home, until }, out);
        }
    }

    /// Sends evidence to the homes it fits, or to a home of its own where none or too many do.
    fn deliver(&mut self, homes: Candidates, evidence: &Evidence, out: &mut Out) {
        let (homes, marks) = match homes.len() {
            0 => (Candidates::from_iter(self.own(evidence)), Marks::default()),
            1 => (homes, Marks::BOUND),
            2..=CANDIDATES_MAX => (homes, Marks::AMBIGUOUS),
            _ => (Candidates::from_iter(self.own(evidence)), Marks::AMBIGUOUS),
        };
        let mut evidence = *evidence;
        evidence.facts.marks = evidence.facts.marks.with(marks);
        for (copies, home) in homes.into_iter().enumerate() {
            self.send_home(home, Mail::Forward { evidence, home }, out);
            if copies > 0 {
                out.copied.push((evidence.place, evidence.facts.kind));
            }
        }
    }

    fn send_home(&mut self, home: Home, mail: Mail, out: &mut Out) {
        self.send(Shard::of_journey(home.id(), self.shard.count), mail, out);
    }

    fn own(&self, evidence: &Evidence) -> Option<Home> {
        WeakKey::first(&evidence.keys).map(|key| match key {
            WeakKey::Request(key) => Home::Request(key),
            WeakKey::Sockets(key) => Home::of_sockets(key, evidence.facts.start, self.window_ns()),
        })
    }

    fn window_ns(&self) -> u64 {
        u64::try_from(self.settings.longest.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Evidence for a request key's own journey may have been on its way while a trace took the
    /// key over; it follows.
    fn arrive(&mut self, home: Home, evidence: &Evidence, out: &mut Out) {
        let homes = match home {
            Home::Request(key) => {
                self.bindings.few(WeakKey::Request(key), interval(&evidence.facts))
            }
            Home::Trace(_) | Home::Sockets(..) | Home::Alone(_) => Candidates::new(),
        };
        if homes.is_empty() {
            self.settle(home, evidence, out);
        } else {
            self.deliver(homes, evidence, out);
        }
    }

    fn bind(&mut self, binding: &Binding, out: &mut Out) {
        if let Some(until) = self.bindings.bind(binding, self.now, &mut out.forgotten) {
            let home = binding.home;
            self.send_home(home, Mail::Await { home, until }, out);
        }
        match binding.key {
            WeakKey::Request(key) => self.rehome(Home::Request(key), binding, out),
            WeakKey::Sockets(key) => {
                let window_ns = self.window_ns().max(1);
                let slack = self.settings.socket_slack;
                let from = binding.from.before(slack).before(self.settings.longest).0 / window_ns;
                let to = binding.to.after(slack).0 / window_ns;
                for window in from..=to.min(from.saturating_add(WINDOWS_MAX - 1)) {
                    self.rehome(Home::Sockets(key, window), binding, out);
                }
            }
        }
    }

    /// A weak journey that was not bound in time gives its evidence to the home that binds it now.
    fn rehome(&mut self, own: Home, binding: &Binding, out: &mut Out) {
        let id = own.id();
        let at = self.open.find(id).or_else(|| {
            let kept = self.lately.get(id, self.now)?;
            let leaves = |facts: &Facts| !self.bindings.moved(binding, facts).is_empty();
            let any = kept.journey.evidence.iter().any(|(facts, _)| leaves(facts));
            if any { self.reopen(id, out) } else { None }
        });
        let Some(at) = at else { return };
        let bindings = &self.bindings;
        for taken in self.open.take(at, |facts| !bindings.moved(binding, facts).is_empty()) {
            let Taken { facts, place, was_emitted } = taken;
            let homes = self.bindings.moved(binding, &facts);
            self.deliver(homes, &Evidence { keys: Keys::default(), facts, place }, out);
            if was_emitted {
                out.copied.push((place, facts.kind));
            }
        }
        if self.open.entry(at).is_some_and(|entry| entry.count == 0) {
            self.dissolve(at, binding.key, out);
        }
    }

    /// Takes an empty journey away. The keys it published go to whoever has its evidence now.
    fn dissolve(&mut self, at: u32, key: WeakKey, out: &mut Out) {
        let Some((_, entry)) = self.open.close(at) else { return };
        let id = entry.home.id();
        if entry.revision > 0 {
            out.retracted.push(id);
        }
        let homes = self.bindings.few(key, interval(&Facts::default()));
        for published in entry.keys {
            for &home in &homes {
                let (key, from, to) = (published.key, published.from, published.to);
                let binding = Binding { key, home, from, to, replaces: Some(id) };
                self.send(Shard::of_key(key, self.shard.count), Mail::Bind(binding), out);
            }
        }
    }
}
