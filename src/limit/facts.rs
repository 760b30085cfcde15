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
use crate::wire::same;

/// How many names one thread remembers before it forgets all of them at once.
const REMEMBERED_MAX: usize = 8192;

/// Makes facts of observations. One per thread: it remembers the symbols of recent names, so that
/// the shared table is asked once per name and not once per evidence.
#[derive(Debug)]
pub struct Interner {
    symbols: Arc<Symbols>,
    recent: HashTable<Recent>,
    hasher: RandomState,
    /// Evidence of one resource comes in a row.
    last: Option<Last>,
}

/// A name and its symbol.
#[derive(Debug)]
struct Recent {
    text: Box<str>,
    symbol: Symbol,
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
        let (recent, hasher) = (HashTable::new(), RandomState::default());
        Self { symbols, recent, hasher, last: None }
    }

    /// The facts of an observation in the batch at `batch`.
    pub fn evidence(&mut self, observed: &Observed<'_>, batch: Position) -> Evidence {
        let route = if observed.route.is_empty() && !observed.path.is_empty() {
            self.open(&template(observed.path))
        } else {
            self.open(observed.route)
        };
        let facts = Facts {
            start: observed.start,
            duration_ns: observed.duration_ns,
            span: observed.span,
            parent: observed.parent,
            origin: self.origin(&observed.placement),
            name: self.name(observed.name),
            route,
            peer: self.open(observed.peer),
            detail: self.open(observed.detail),
            upstream_us: observed.upstream_us,
            status: observed.status,
            kind: observed.kind,
            method: observed.method,
            outcome: observed.outcome,
            marks: Marks::default(),
        };
        let place = Place { batch, offset: observed.offset };
        Evidence { keys: keys(observed), facts, place }
    }

    fn origin(&mut self, placement: &Placement<'_>) -> OriginId {
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

    /// Spans are often named after the path that they serve: `GET /users/17`.
    fn name(&mut self, name: &str) -> Symbol {
        self.symbol(name, |symbols, name| {
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

    /// The symbol that `intern` made of this text, remembered under the text itself.
    #[inline]
    fn symbol(&mut self, text: &str, intern: fn(&Symbols, &str) -> Symbol) -> Symbol {
        if text.is_empty() {
            return Symbol::NONE;
        }
        let hash = self.hasher.hash_one(text);
        let known = self.recent.find(hash, |known| same(known.text.as_bytes(), text.as_bytes()));
        match known {
            Some(known) => known.symbol,
            None => self.remember(text, hash, intern),
        }
    }

    #[cold]
    fn remember(&mut self, text: &str, hash: u64, intern: fn(&Symbols, &str) -> Symbol) -> Symbol {
        let symbol = intern(&self.symbols, text);
        // What is cut in the table would take more room here than there.
        if text.len() > Symbols::BYTES_MAX {
            return symbol;
        }
        if self.recent.len() >= REMEMBERED_MAX {
            self.recent.clear();
        }
        let hasher = &self.hasher;
        let recent = Recent { text: Box::from(text), symbol };
        self.recent.insert_unique(hash, recent, |known| hasher.hash_one(&*known.text));
        symbol
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
    fn more_names_than_are_remembered_keep_their_symbols() {
        let mut interner = interner(REMEMBERED_MAX * 3);
        let first = interner.open("name");
        for number in 0..REMEMBERED_MAX + 10 {
            interner.open(&number.to_string());
        }
        assert_eq!(interner.open("name"), first);
        assert!(interner.recent.len() <= REMEMBERED_MAX);
    }
}
