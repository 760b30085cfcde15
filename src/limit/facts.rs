//! Names become symbols, within the table's budget; paths become routes.

use std::borrow::Cow;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::route::template;
use crate::evidence::{
    Evidence, Facts, Keys, Marks, Origin, OriginId, Place, Position, RequestKey, SocketPair,
    Symbol, Symbols,
};
use crate::normalize::{Observed, Placement};
use crate::wire::{digest, same};

/// How many names one thread remembers before it forgets all of them at once.
const REMEMBERED_MAX: usize = 8192;
/// A request repeats a few names over and over.
const FRONT: usize = 256;

/// Makes facts of observations. One per thread: it remembers the symbols of recent names, so that
/// the shared table is asked once per name and not once per evidence.
#[derive(Debug)]
pub struct Interner {
    symbols: Arc<Symbols>,
    /// In front of the names stands a table that is only looked at, never searched: by a name's
    /// digest, where it lies among the names. So the digest may be a cheap one.
    front: Vec<u16>,
    names: Vec<Recent>,
    by_hash: HashTable<u16>,
    hasher: RandomState,
    /// Evidence of one resource comes in a row: which one, and its origin.
    resource: Option<(ResourceAt, OriginId)>,
    /// The same of evidence that says more than its resource, and across batches.
    last: Option<Last>,
}

/// A resource: its batch, and where in it the resource begins.
type ResourceAt = (Position, u32);

/// A name and its symbol.
#[derive(Debug)]
struct Recent {
    text: Box<str>,
    symbol: Symbol,
    /// Whether the symbol has this very text.
    is_whole: bool,
}

/// A placement that outlives its batch, to tell whether the next one is the same.
#[derive(Debug)]
struct Last {
    names: [Box<str>; 8],
    origin: OriginId,
}

impl Interner {
    /// Interns into `symbols`.
    #[must_use]
    pub fn new(symbols: Arc<Symbols>) -> Self {
        Self {
            symbols,
            front: vec![0; FRONT],
            names: Vec::new(),
            by_hash: HashTable::new(),
            hasher: RandomState::default(),
            resource: None,
            last: None,
        }
    }

    /// The facts of an observation in the batch at `batch`.
    pub fn evidence(&mut self, observed: &Observed<'_>, batch: Position) -> Evidence {
        let route = if observed.route.is_empty() && !observed.path.is_empty() {
            self.open(&template(observed.path))
        } else {
            self.open(observed.route)
        };
        let (name, is_whole) = self.name(observed.name);
        let facts = Facts {
            start: observed.start,
            duration_ns: observed.duration_ns,
            span: observed.span,
            parent: observed.parent,
            origin: self.origin(observed, batch),
            name,
            route,
            peer: self.open(observed.peer),
            detail: self.open(observed.detail),
            upstream_us: observed.upstream_us,
            status: observed.status,
            kind: observed.kind,
            method: observed.method,
            outcome: observed.outcome,
            worded: observed.worded || (observed.kind.is_span() && !is_whole),
            marks: Marks::default(),
        };
        let place = Place { batch, offset: observed.offset };
        Evidence { keys: keys(observed), facts, place }
    }

    fn origin(&mut self, observed: &Observed<'_>, batch: Position) -> OriginId {
        let Some(resource) = observed.resource else { return self.placed(&observed.placement) };
        match self.resource {
            Some((known, origin)) if known == (batch, resource) => origin,
            _ => {
                let origin = self.placed(&observed.placement);
                self.resource = Some(((batch, resource), origin));
                origin
            }
        }
    }

    fn placed(&mut self, placement: &Placement<'_>) -> OriginId {
        let names = texts(placement);
        if let Some(last) = &self.last
            && last
                .names
                .iter()
                .zip(names)
                .all(|(known, name)| same(known.as_bytes(), name.as_bytes()))
        {
            return last.origin;
        }
        let [service, namespace, workload, pod, node, zone, cluster, version] =
            names.map(|name| self.symbol(name, Symbols::intern));
        let origin = Origin { service, namespace, workload, pod, node, zone, cluster, version };
        let id = self.symbols.intern_origin(origin);
        self.last = Some(Last { names: names.map(Box::from), origin: id });
        id
    }

    /// Spans are often named after the path that they serve: `GET /users/17`. Answers whether the
    /// symbol is the very name.
    fn name(&mut self, name: &str) -> (Symbol, bool) {
        self.look_up(name, |symbols, name| {
            let path = name.find('/').and_then(|at| name.split_at_checked(at));
            match path.map(|(verb, path)| (verb, template(path))) {
                Some((verb, Cow::Owned(route))) => symbols.intern_open(&format!("{verb}{route}")),
                _ => symbols.intern_open(name),
            }
        })
    }

    fn open(&mut self, text: &str) -> Symbol {
        self.symbol(text, Symbols::intern_open)
    }

    #[inline]
    fn symbol(&mut self, text: &str, intern: fn(&Symbols, &str) -> Symbol) -> Symbol {
        self.look_up(text, intern).0
    }

    /// The symbol that `intern` made of this text, remembered under the text itself; and whether
    /// the symbol has this text.
    #[inline]
    fn look_up(&mut self, text: &str, intern: fn(&Symbols, &str) -> Symbol) -> (Symbol, bool) {
        if text.is_empty() {
            return (Symbol::NONE, true);
        }
        let place = usize::from(digest(text.as_bytes())) % FRONT;
        let known = self.front.get(place).and_then(|at| self.names.get(usize::from(*at)));
        match known {
            Some(known) if same(known.text.as_bytes(), text.as_bytes()) => {
                (known.symbol, known.is_whole)
            }
            _ => self.search(text, place, intern),
        }
    }

    #[inline(never)]
    fn search(
        &mut self,
        text: &str,
        place: usize,
        intern: fn(&Symbols, &str) -> Symbol,
    ) -> (Symbol, bool) {
        let hash = self.hasher.hash_one(text);
        let is_it = |at: &u16| {
            let known = self.names.get(usize::from(*at));
            known.is_some_and(|known| same(known.text.as_bytes(), text.as_bytes()))
        };
        let found = self.by_hash.find(hash, is_it).copied();
        let at = found.or_else(|| self.remember(text, hash, intern));
        // One that is too long to be remembered was cut.
        let Some(at) = at else { return (intern(&self.symbols, text), false) };
        if let Some(front) = self.front.get_mut(place) {
            *front = at;
        }
        let known = self.names.get(usize::from(at));
        known.map_or((Symbol::NONE, false), |known| (known.symbol, known.is_whole))
    }

    /// Where the name lies from now on; nowhere if it is too long.
    fn remember(
        &mut self,
        text: &str,
        hash: u64,
        intern: fn(&Symbols, &str) -> Symbol,
    ) -> Option<u16> {
        // What is cut in the table would take more room here than there.
        if text.len() > Symbols::BYTES_MAX {
            return None;
        }
        if self.names.len() >= REMEMBERED_MAX {
            self.names.clear();
            self.by_hash.clear();
        }
        let at = u16::try_from(self.names.len()).ok()?;
        let symbol = intern(&self.symbols, text);
        let is_whole = *self.symbols.text(symbol) == *text;
        self.names.push(Recent { text: Box::from(text), symbol, is_whole });
        let (names, hasher) = (&self.names, &self.hasher);
        let hash_of =
            |at: &u16| names.get(usize::from(*at)).map_or(0, |known| hasher.hash_one(&*known.text));
        self.by_hash.insert_unique(hash, at, hash_of);
        Some(at)
    }
}

fn keys(observed: &Observed<'_>) -> Keys {
    Keys {
        trace: observed.trace,
        request: RequestKey::new(observed.request_id),
        sockets: observed.sockets.map(|pair| pair.as_ref().and_then(SocketPair::key)),
    }
}

fn texts<'a>(placement: &Placement<'a>) -> [&'a str; 8] {
    [
        placement.service,
        placement.namespace,
        placement.workload,
        placement.pod,
        placement.node,
        placement.zone,
        placement.cluster,
        placement.version,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interner(capacity: usize) -> Interner {
        Interner::new(Arc::new(Symbols::new(capacity)))
    }

    fn at(placement: Placement<'static>) -> Observed<'static> {
        Observed { placement, ..Observed::default() }
    }

    #[test]
    fn a_raw_path_becomes_a_route_and_a_named_route_stays() {
        let mut interner = interner(100);
        let raw = Observed { path: "/users/17?a=b", ..Observed::default() };
        let named = Observed { path: "/users/17", route: "/users/:user", ..Observed::default() };

        let raw = interner.evidence(&raw, Position(0)).facts.route;
        let named = interner.evidence(&named, Position(0)).facts.route;

        assert_eq!(&*interner.symbols.text(raw), "/users/{id}");
        assert_eq!(&*interner.symbols.text(named), "/users/:user");
    }

    #[test]
    fn a_span_that_is_named_after_a_path_is_named_after_its_route() {
        let mut interner = interner(100);
        for (name, want) in [("GET /users/17", "GET /users/{id}"), ("pay", "pay"), ("a/b", "a/b")] {
            let observed = Observed { name, ..Observed::default() };
            let symbol = interner.evidence(&observed, Position(0)).facts.name;
            assert_eq!(&*interner.symbols.text(symbol), want);
        }
    }

    #[test]
    fn a_name_that_its_symbol_does_not_have_is_among_the_words_of_the_message() {
        let mut interner = interner(10);
        let long = "x".repeat(Symbols::BYTES_MAX + 1);
        let mut worded = |name: &str, worded| {
            let observed = Observed { name, worded, ..Observed::default() };
            [0, 1].map(|batch| interner.evidence(&observed, Position(batch)).facts.worded)
        };
        assert_eq!(worded("pay", false), [false; 2]);
        assert_eq!(worded("", false), [false; 2]);
        assert_eq!(worded("pay", true), [true; 2]);
        assert_eq!(worded("GET /users/17", false), [true; 2]);
        assert_eq!(worded(&long, false), [true; 2]);
        for number in 0..20 {
            worded(&format!("name {number}"), false);
        }
        assert_eq!(worded("one more than there is room for", false), [true; 2]);
    }

    #[test]
    fn placements_that_differ_have_different_origins() {
        let mut interner = interner(100);
        let cart = at(Placement { service: "cart", ..Placement::default() });
        let pod = at(Placement { service: "cart", pod: "cart-1", ..Placement::default() });
        let [first, second, again] = [&cart, &pod, &cart]
            .map(|observed| interner.evidence(observed, Position(0)).facts.origin);

        assert_ne!(first, second);
        assert_eq!(first, again);
        let origin = interner.symbols.origin(second);
        assert_eq!(&*interner.symbols.text(origin.pod), "cart-1");
    }

    #[test]
    fn a_resource_is_known_by_its_batch_and_its_place_in_it() {
        let mut interner = interner(100);
        let mut origin = |service, resource, batch| {
            let placement = Placement { service, ..Placement::default() };
            let observed = Observed { resource: Some(resource), ..at(placement) };
            let id = interner.evidence(&observed, Position(batch)).facts.origin;
            interner.symbols.text(interner.symbols.origin(id).service).to_string()
        };
        assert_eq!(origin("cart", 0, 1), "cart");
        assert_eq!(origin("pay", 9, 1), "pay");
        assert_eq!(origin("shop", 9, 2), "shop");
    }

    #[test]
    fn more_names_than_are_remembered_keep_their_symbols() {
        let mut interner = interner(REMEMBERED_MAX * 3);
        let first = interner.open("name");
        for number in 0..REMEMBERED_MAX + 10 {
            interner.open(&number.to_string());
        }
        assert_eq!(interner.open("name"), first);
        assert!(interner.names.len() <= REMEMBERED_MAX);
    }
}
