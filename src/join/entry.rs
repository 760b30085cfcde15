//! One open journey, without its evidence.

use super::{Closed, Home, Settings, WeakKey};
use crate::evidence::{Facts, Nanos};

/// What is known of an open journey. Its evidence is a list in the table.
///
/// Each evidence of a large table misses the cache here: aligned, it misses one pair of lines.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Entry {
    pub(super) home: Home,
    /// When it was opened.
    first: Nanos,
    /// When its last evidence came, or will have come at the latest.
    last: Nanos,
    /// The tick at which the wheel brings it up.
    pub(super) armed: u64,
    /// The weak keys it has published.
    pub(super) keys: Vec<Published>,
    /// Its latest evidence.
    pub(super) head: u32,
    /// How much evidence it has.
    pub(super) count: u32,
    /// How much of that was part of the revision before.
    pub(super) emitted: u32,
    pub(super) revision: u32,
    pub(super) truncated: u32,
    pub(super) duplicates: u32,
    pub(super) unbound: u32,
    /// The journey that was opened before this one.
    pub(super) older: u32,
    /// The journey that was opened after this one.
    pub(super) newer: u32,
    root: Root,
}

/// A weak key that a journey has published, with the times it published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) key: WeakKey,
    pub(super) from: Nanos,
    pub(super) to: Nanos,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Root {
    Missing,
    Seen,
}

/// No address.
pub(super) const NONE: u32 = u32::MAX;

impl Entry {
    pub(super) fn new(home: Home, now: Nanos) -> Self {
        // A weak journey has no root to wait for: its evidence has waited already.
        let root = if home.trace().is_some() { Root::Missing } else { Root::Seen };
        Self {
            home,
            first: now,
            last: now,
            armed: 0,
            keys: Vec::new(),
            head: NONE,
            count: 0,
            emitted: 0,
            revision: 0,
            truncated: 0,
            duplicates: 0,
            unbound: 0,
            older: NONE,
            newer: NONE,
            root,
        }
    }

    /// Something came, or is promised until then.
    pub(super) fn touch(&mut self, at: Nanos) {
        self.last = self.last.max(at);
    }

    /// Looks whether this is the root that it waited for.
    pub(super) fn meets(&mut self, facts: &Facts) -> bool {
        let is_root = facts.kind.is_span() && facts.parent.is_none();
        let meets = is_root && self.root == Root::Missing;
        if meets {
            self.root = Root::Seen;
        }
        meets
    }

    /// It was open before: what it waited for then, it does not wait for again.
    pub(super) fn reopen(&mut self, revision: u32) {
        self.revision = revision;
        self.emitted = self.count;
        self.root = Root::Seen;
    }

    /// When it closes if nothing more comes, and why.
    pub(super) fn due(&self, settings: &Settings) -> (Nanos, Closed) {
        let (due, why) = match self.root {
            Root::Seen => (self.last.after(settings.quiet), Closed::Quiet),
            Root::Missing => (self.first.after(settings.rootless), Closed::Rootless),
        };
        let longest = self.first.after(settings.longest);
        if longest < due { (longest, Closed::Longest) } else { (due, why) }
    }

    /// Notes that the journey has this key at this time. `Some` is what others have to hear.
    pub(super) fn publish(&mut self, new: Published, keys_max: usize) -> Option<Published> {
        if let Some(known) = self.keys.iter_mut().find(|known| known.key == new.key) {
            let wider = (new.from < known.from || new.to > known.to)
                && matches!(new.key, WeakKey::Sockets(_));
            known.from = known.from.min(new.from);
            known.to = known.to.max(new.to);
            return wider.then_some(*known);
        }
        if self.keys.len() >= keys_max {
            self.unbound = self.unbound.saturating_add(1);
            return None;
        }
        if self.keys.capacity() == 0 {
            self.keys.reserve_exact(3);
        }
        self.keys.push(new);
        Some(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_one_pair_of_cache_lines() {
        assert_eq!(size_of::<Entry>(), 128);
    }
}
