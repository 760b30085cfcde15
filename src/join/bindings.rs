//! Which homes have published which weak keys.

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::{Home, Settings};
use crate::evidence::{Evidence, Facts, JourneyId, Keys, Nanos, RequestKey, SocketKey};

/// A key that joins only through a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WeakKey {
    /// Joins whatever its time.
    Request(RequestKey),
    /// Joins where the times overlap.
    Sockets(SocketKey),
}

/// "This weak key belongs to that home, from then to then."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The weak key.
    pub key: WeakKey,
    /// Whose it is.
    pub home: Home,
    /// When it was first in use.
    pub from: Nanos,
    /// When it was last in use.
    pub to: Nanos,
    /// The weak home that this one takes the key over from.
    pub replaces: Option<JourneyId>,
}

/// Where evidence may belong; one more than may be told apart says that there are too many.
pub(super) type Candidates = SmallVec<[Home; CANDIDATES_MAX + 1]>;

/// From when to when.
pub(super) type Interval = (Nanos, Nanos);

/// With more candidates a guess is worse than none.
pub(super) const CANDIDATES_MAX: usize = 3;

/// Bindings that were forgotten before their time, by the bound that was reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// The shard had `bindings_max`: its oldest went.
    pub bindings_full: u64,
    /// The key had `key_bindings_max`: its oldest went.
    pub key_full: u64,
}

/// All bindings of one shard.
#[derive(Debug)]
pub(super) struct Bindings {
    known: HashMap<WeakKey, Known, foldhash::fast::RandomState>,
    /// Oldest first; may still name bindings that are gone.
    order: VecDeque<Made>,
    count: usize,
    max: usize,
    key_max: usize,
    slack: Duration,
    remember: Duration,
}

#[derive(Debug, Default)]
struct Known {
    bound: SmallVec<[Bound; 1]>,
    /// How much evidence may still ask for the key.
    waiting: u32,
    /// Until when.
    until: Nanos,
}

#[derive(Clone, Copy, Debug)]
struct Bound {
    home: Home,
    from: Nanos,
    to: Nanos,
    seen: Nanos,
}

#[derive(Clone, Copy, Debug)]
struct Made {
    seen: Nanos,
    key: WeakKey,
    home: JourneyId,
}

impl WeakKey {
    /// The key that evidence without a trace id is decided by.
    pub(super) fn first(keys: &Keys) -> Option<Self> {
        let [first, second] = keys.sockets;
        keys.request.map(Self::Request).or_else(|| first.or(second).map(Self::Sockets))
    }

    /// The key to ask for where the first one is bound to nothing. Requests have none: what a
    /// request key decides may bind sockets, and would wait for itself.
    pub(super) fn second(keys: &Keys) -> Option<Self> {
        let [first, second] = keys.sockets;
        match keys.request {
            Some(_) => None,
            None => second.filter(|_| first.is_some() && first != second).map(Self::Sockets),
        }
    }

    pub(super) fn digest(self) -> u64 {
        match self {
            Self::Request(RequestKey(key)) | Self::Sockets(SocketKey(key)) => key.get(),
        }
    }
}

impl Bindings {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            known: HashMap::default(),
            order: VecDeque::new(),
            count: 0,
            max: settings.bindings_max,
            key_max: settings.key_bindings_max,
            slack: settings.socket_slack,
            remember: settings.remember,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Adds a binding, or widens it, and tells until when evidence may ask for its key. What there
    /// is no room for any more is added to `forgotten`.
    pub(super) fn bind(
        &mut self,
        binding: &Binding,
        now: Nanos,
        forgotten: &mut Forgotten,
    ) -> Option<Nanos> {
        let id = binding.home.id();
        if let Some(old) = binding.replaces {
            self.unbind(binding.key, old);
        }
        let known = self.known.entry(binding.key).or_default();
        let until = (known.waiting > 0).then_some(known.until);
        let mut latest_first = known.bound.iter_mut().rev();
        if let Some(bound) = latest_first.find(|bound| bound.home == binding.home) {
            bound.from = bound.from.min(binding.from);
            bound.to = bound.to.max(binding.to);
            bound.seen = now;
            return until;
        }
        if known.bound.len() >= self.key_max.max(1) {
            known.bound.remove(0);
            self.count -= 1;
            forgotten.key_full += 1;
        }
        let (home, from, to) = (binding.home, binding.from, binding.to);
        known.bound.push(Bound { home, from, to, seen: now });
        self.count += 1;
        self.order.push_back(Made { seen: now, key: binding.key, home: id });
        while self.order.len() > self.max {
            // What is named there may be gone: then nothing is forgotten.
            if let Some(oldest) = self.order.pop_front()
                && self.unbind(oldest.key, oldest.home)
            {
                forgotten.bindings_full += 1;
            }
        }
        until
    }

    /// The homes of a key at this time: all of them, or one more than are of use.
    pub(super) fn candidates(&self, key: WeakKey, time: Interval) -> Candidates {
        let bound = self.known.get(&key).map(|known| known.bound.as_slice()).unwrap_or_default();
        let fits = |bound: &&Bound| match key {
            WeakKey::Request(_) => true,
            WeakKey::Sockets(_) => touches((bound.from, bound.to), time, self.slack),
        };
        bound.iter().filter(fits).map(|bound| bound.home).take(CANDIDATES_MAX + 1).collect()
    }

    /// Where evidence that was not bound in time goes, now that there is this binding. Nowhere if
    /// the binding does not concern it, or is one too many.
    pub(super) fn moved(&self, binding: &Binding, facts: &Facts) -> Candidates {
        let time = interval(facts);
        let concerned = match binding.key {
            WeakKey::Request(_) => true,
            WeakKey::Sockets(_) => touches((binding.from, binding.to), time, self.slack),
        };
        if concerned { self.few(binding.key, time) } else { Candidates::new() }
    }

    /// The homes of a key at this time, or none if they are too many.
    pub(super) fn few(&self, key: WeakKey, time: Interval) -> Candidates {
        let homes = self.candidates(key, time);
        if homes.len() > CANDIDATES_MAX { Candidates::new() } else { homes }
    }

    /// The first home of a key, at any time.
    pub(super) fn any(&self, key: WeakKey) -> Option<Home> {
        self.known.get(&key)?.bound.iter().map(|bound| bound.home).min_by_key(|home| home.id())
    }

    /// Evidence may ask for the key until then.
    pub(super) fn expect(&mut self, key: WeakKey, until: Nanos) {
        let known = self.known.entry(key).or_default();
        known.waiting += 1;
        known.until = known.until.max(until);
    }

    /// One evidence that might have asked has been decided.
    pub(super) fn settled(&mut self, key: WeakKey) {
        if let Some(known) = self.known.get_mut(&key) {
            known.waiting = known.waiting.saturating_sub(1);
        }
        self.tidy(key);
    }

    /// Forgets what was not seen for as long as it is remembered.
    pub(super) fn expire(&mut self, now: Nanos) {
        let remember = self.remember;
        while let Some(made) = self.order.pop_front_if(|made| now.since(made.seen) > remember) {
            match self.seen(made) {
                // It was seen again since; this is its place in the order now.
                Some(seen) if seen > made.seen => self.order.push_back(Made { seen, ..made }),
                Some(_) => {
                    self.unbind(made.key, made.home);
                }
                None => {}
            }
        }
    }

    /// Forgets every binding.
    pub(super) fn clear(&mut self) {
        self.known.retain(|_, known| {
            known.bound.clear();
            known.waiting > 0
        });
        self.order.clear();
        self.count = 0;
    }

    fn seen(&self, made: Made) -> Option<Nanos> {
        let bound = &self.known.get(&made.key)?.bound;
        bound.iter().find(|bound| bound.home.id() == made.home).map(|bound| bound.seen)
    }

    /// Answers whether there was such a binding.
    fn unbind(&mut self, key: WeakKey, home: JourneyId) -> bool {
        let mut is_there = false;
        if let Some(known) = self.known.get_mut(&key)
            && let Some(at) = known.bound.iter().position(|bound| bound.home.id() == home)
        {
            known.bound.remove(at);
            self.count -= 1;
            is_there = true;
        }
        self.tidy(key);
        is_there
    }

    fn tidy(&mut self, key: WeakKey) {
        let idle = |known: &Known| known.waiting == 0 && known.bound.is_empty();
        if self.known.get(&key).is_some_and(idle) {
            self.known.remove(&key);
        }
    }
}

/// Whether a binding's time and an evidence's time meet, or nearly do.
fn touches(bound: Interval, time: Interval, slack: Duration) -> bool {
    bound.0.before(slack) <= time.1 && time.0 <= bound.1.after(slack)
}

/// From when to when evidence lasted.
pub(super) fn interval(facts: &Facts) -> Interval {
    (facts.start, Nanos(facts.start.0.saturating_add(facts.duration_ns)))
}

/// The keys that evidence binds to the home it was settled in: those weaker than the one that
/// settled it. Sockets bind nothing: a flow that lasts as long as its connection would claim every
/// request on it.
pub(super) fn publishable(evidence: &Evidence) -> impl Iterator<Item = WeakKey> + use<> {
    let Keys { trace, request, sockets } = evidence.keys;
    let requests = request.filter(|_| trace.is_some()).map(WeakKey::Request);
    let strong = trace.is_some() || request.is_some();
    let sockets = sockets.into_iter().flatten().filter(move |_| strong).map(WeakKey::Sockets);
    requests.into_iter().chain(sockets)
}
