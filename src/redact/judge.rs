//! What the keys of one request say of their values.

use std::collections::HashMap;

use super::policy::Policy;
use crate::wire::{digest, same};

/// What a key says of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Judgement {
    /// Nothing: look at the value's form.
    Form,
    /// It is a URL.
    Url,
    /// It is a query string.
    Query,
    /// It is a secret.
    Secret,
}

/// A key that the request has shown before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged<'a> {
    key: &'a [u8],
    pub(super) of_value: Judgement,
    /// Whether the key itself is valid, not too long, and hides nothing.
    is_plain: bool,
}

impl Judged<'_> {
    /// Whether neither the key nor its value has to be looked at for the key's sake.
    #[inline]
    pub(super) fn says_nothing(self) -> bool {
        self.is_plain && self.of_value == Judgement::Form
    }
}

/// A request repeats a few keys over and over: each is judged once.
///
/// In front stands a table that is only looked at, never searched, so its digest may be a cheap
/// one: keys made to collide cost a look into the map behind it, which has a keyed hash.
pub(super) struct Judge<'a> {
    policy: &'a Policy,
    front: Vec<Judged<'a>>,
    all: HashMap<&'a [u8], Judged<'a>, foldhash::fast::RandomState>,
}

/// A small request would pay more for a large table than it could save.
const FRONT_MIN: usize = 64;
const FRONT_MAX: usize = 1024;
const BYTES_A_PLACE: usize = 256;

impl<'a> Judge<'a> {
    /// For a request of so many bytes.
    pub(super) fn new(policy: &'a Policy, bytes: usize) -> Self {
        let places = (bytes / BYTES_A_PLACE).next_power_of_two().clamp(FRONT_MIN, FRONT_MAX);
        Self { policy, front: vec![judge(policy, &[]); places], all: HashMap::default() }
    }

    #[inline]
    pub(super) fn judged(&mut self, key: &'a [u8]) -> Judged<'a> {
        let at = usize::from(digest(key)) & (self.front.len() - 1);
        match self.front.get(at) {
            Some(judged) if same(judged.key, key) => *judged,
            _ => self.search(key, at),
        }
    }

    #[cold]
    fn search(&mut self, key: &'a [u8], at: usize) -> Judged<'a> {
        let judged = *self.all.entry(key).or_insert_with(|| judge(self.policy, key));
        if let Some(place) = self.front.get_mut(at) {
            *place = judged;
        }
        judged
    }
}

fn judge<'a>(policy: &Policy, key: &'a [u8]) -> Judged<'a> {
    let fits = key.len() <= policy.caps.key_bytes_max;
    Judged { key, of_value: says(policy, key), is_plain: fits && policy.is_plain(key) }
}

/// What a key says of its value.
pub(super) fn says(policy: &Policy, key: &[u8]) -> Judgement {
    if policy.keys.matches(key) {
        Judgement::Secret
    } else if !policy.urls.matches(key) {
        Judgement::Form
    } else if key.ends_with(b"query") {
        Judgement::Query
    } else {
        Judgement::Url
    }
}
