//! Bounded interning: names as small numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use dashmap::DashMap;

/// A name, as a number. Equal names have equal symbols as long as the process lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(u32);

/// Who saw it: the placement that a resource names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// `service.name`.
    pub service: Symbol,
    /// `k8s.namespace.name`, else `service.namespace`.
    pub namespace: Symbol,
    /// Deployment, stateful set, or what else owns the pod.
    pub workload: Symbol,
    /// `k8s.pod.name`.
    pub pod: Symbol,
    /// `k8s.node.name`, else `host.name`.
    pub node: Symbol,
    /// Availability zone.
    pub zone: Symbol,
    /// `k8s.cluster.name`.
    pub cluster: Symbol,
    /// `service.version`.
    pub version: Symbol,
}

/// An [`Origin`], as a number: one word in the facts instead of eight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OriginId(u32);

/// The table of names. Bounded: past its capacity every new name is [`Symbol::OTHER`].
#[derive(Debug)]
pub struct Symbols {
    numbers: DashMap<Arc<str>, Symbol, foldhash::fast::RandomState>,
    texts: RwLock<Vec<Arc<str>>>,
    origin_numbers: DashMap<Origin, OriginId, foldhash::fast::RandomState>,
    origins: RwLock<Vec<Origin>>,
    capacity: usize,
    overflowed: AtomicU64,
}

impl Symbol {
    /// No name.
    pub const NONE: Self = Self(0);
    /// A name that came after the table was full.
    pub const OTHER: Self = Self(1);

    /// Whether there is no name.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// This name, or the other where there is none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self.is_none() { other } else { self }
    }
}

impl OriginId {
    /// Nobody said.
    pub const NONE: Self = Self(0);
}

impl Symbols {
    /// How the overflow name reads.
    pub const OTHER_TEXT: &str = "__other__";

    /// A longer name is cut here: the table is bounded in bytes, not only in number.
    pub const BYTES_MAX: usize = 256;

    /// A table for `capacity` names and as many origins.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let symbols = Self {
            numbers: DashMap::default(),
            texts: RwLock::new(vec![Arc::from(""), Arc::from(Self::OTHER_TEXT)]),
            origin_numbers: DashMap::default(),
            origins: RwLock::new(vec![Origin::default()]),
            capacity: capacity.max(2),
            overflowed: AtomicU64::new(0),
        };
        symbols.numbers.insert(Arc::from(""), Symbol::NONE);
        symbols.numbers.insert(Arc::from(Self::OTHER_TEXT), Symbol::OTHER);
        symbols.origin_numbers.insert(Origin::default(), OriginId::NONE);
        symbols
    }

    /// The symbol of a name that there are few of by nature, such as a service's;
    /// [`Symbol::OTHER`], counted, once the table is full.
    pub fn intern(&self, text: &str) -> Symbol {
        self.intern_within(text, self.capacity)
    }

    /// The symbol of a name that anyone can make up, such as a span's. These may fill nine tenths
    /// of the table: the rest is for names of services, pods and nodes.
    pub fn intern_open(&self, text: &str) -> Symbol {
        self.intern_within(text, self.capacity - self.capacity / 10)
    }

    fn intern_within(&self, text: &str, capacity: usize) -> Symbol {
        let text = cut(text);
        if let Some(known) = self.numbers.get(text) {
            return *known;
        }
        let mut texts = self.texts.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have interned it while this one waited for the lock.
        if let Some(known) = self.numbers.get(text) {
            return *known;
        }
        if texts.len() >= capacity {
            self.overflowed.fetch_add(1, Ordering::Relaxed);
            return Symbol::OTHER;
        }
        let Ok(number) = u32::try_from(texts.len()) else { return Symbol::OTHER };
        let text: Arc<str> = Arc::from(text);
        texts.push(Arc::clone(&text));
        self.numbers.insert(text, Symbol(number));
        Symbol(number)
    }

    /// The name of a symbol; empty for [`Symbol::NONE`]. The lock ends with this method.
    #[must_use]
    pub fn text(&self, symbol: Symbol) -> Arc<str> {
        let texts = self.texts.read().unwrap_or_else(PoisonError::into_inner);
        let at = usize::try_from(symbol.0).unwrap_or(usize::MAX);
        texts.get(at).map_or_else(|| Arc::from(""), Arc::clone)
    }

    /// The number of an origin; [`OriginId::NONE`], counted, once the table is full.
    pub fn intern_origin(&self, origin: Origin) -> OriginId {
        if let Some(known) = self.origin_numbers.get(&origin) {
            return *known;
        }
        let mut origins = self.origins.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.origin_numbers.get(&origin) {
            return *known;
        }
        if origins.len() >= self.capacity {
            self.overflowed.fetch_add(1, Ordering::Relaxed);
            return OriginId::NONE;
        }
        let Ok(number) = u32::try_from(origins.len()) else { return OriginId::NONE };
        origins.push(origin);
        self.origin_numbers.insert(origin, OriginId(number));
        OriginId(number)
    }

    /// The origin behind a number. The lock ends with this method.
    #[must_use]
    pub fn origin(&self, id: OriginId) -> Origin {
        let origins = self.origins.read().unwrap_or_else(PoisonError::into_inner);
        let at = usize::try_from(id.0).unwrap_or(usize::MAX);
        origins.get(at).copied().unwrap_or_default()
    }

    /// Names in the table.
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Never: the empty name is always there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many names the table holds at most.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How often a name or an origin came after the table was full.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }
}

/// The name, cut at a character.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(Symbols::BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_symbol() {
        let symbols = Symbols::new(10);
        let cart = symbols.intern("cart");
        assert_eq!(symbols.intern("cart"), cart);
        assert_eq!(&*symbols.text(cart), "cart");
    }

    #[test]
    fn past_the_capacity_every_new_name_is_other() {
        let symbols = Symbols::new(3);
        let first = symbols.intern("first");

        assert_eq!(symbols.intern("second"), Symbol::OTHER);
        assert_eq!(symbols.intern("first"), first);
        assert_eq!(symbols.overflowed(), 1);
    }

    #[test]
    fn names_that_anyone_makes_up_leave_room_for_services() {
        let symbols = Symbols::new(20);
        for number in 0..100 {
            symbols.intern_open(&format!("GET /{number}"));
        }
        assert_eq!(symbols.len(), 18);
        assert_ne!(symbols.intern("cart"), Symbol::OTHER);
    }

    #[test]
    fn a_long_name_is_cut_at_a_character() {
        let symbols = Symbols::new(10);
        let long = symbols.intern(&"ä".repeat(10_000));
        assert_eq!(symbols.text(long).len(), Symbols::BYTES_MAX);
    }

    #[test]
    fn an_origin_comes_back_whole() {
        let symbols = Symbols::new(10);
        let origin = Origin { service: symbols.intern("cart"), ..Origin::default() };
        let id = symbols.intern_origin(origin);
        assert_eq!(symbols.origin(id), origin);
    }
}
