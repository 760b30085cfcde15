//! The settings as they were given: each key, its value and where it came from.
//!
//! The default file is also the schema. A key that it does not hold does not exist, apart from
//! the keys of a destination, whose names are the user's.

use std::collections::{BTreeMap, BTreeSet};

use super::error::Error;
use super::leaf::Leaf;
use super::secret::MASKED;
use super::source::{Given, Origin, Sources, parse};

const DEFAULT: &str = include_str!("../../config/default.yaml");

pub(super) const DESTINATIONS: &str = "export.otlp";
pub(super) const DESTINATION_DEFAULTS: &str = "export.defaults";
pub(super) const HEADERS: &str = "headers";
/// Keys of a destination that have no default.
pub(super) const ENDPOINTS: [&str; 4] =
    ["endpoint", "traces_endpoint", "logs_endpoint", "metrics_endpoint"];

const NAME_BYTES_MAX: usize = 64;

/// How alike two keys are, from 0 to 1, for one to be taken for a slip of the other.
const ALIKE: f64 = 0.7;

/// What was given for one key, and by whom.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) leaf: Leaf,
    pub(super) origin: Origin,
}

/// The settings as they were given.
#[derive(Clone, Debug, Default)]
pub(super) struct Raw {
    entries: BTreeMap<String, Entry>,
    /// The names under `export.otlp`.
    destinations: BTreeSet<String>,
}

/// What a key stands for.
enum Place {
    Key,
    Group,
    Unknown,
}

impl Raw {
    /// The defaults, and all that was given over them.
    pub(super) fn gather(sources: &Sources) -> Result<Self, Error> {
        let mut raw = Self::default();
        for (key, leaf) in parse(DEFAULT, &Origin::Default)? {
            // `otlp: {}` is a group without keys.
            if key != DESTINATIONS {
                raw.entries.insert(key, Entry { leaf, origin: Origin::Default });
            }
        }
        for given in sources.given()? {
            raw.put(given)?;
        }
        Ok(raw)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(key, entry)| (key.as_str(), entry))
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    pub(super) fn destinations(&self) -> impl Iterator<Item = &str> {
        self.destinations.iter().map(String::as_str)
    }

    /// The keys whose values are not those of `before`, or that only one of the two has.
    pub(super) fn changed_since(&self, before: &Self) -> Vec<String> {
        let keys: BTreeSet<_> = self.entries.keys().chain(before.entries.keys()).collect();
        let leaf = |raw: &Self, key: &str| raw.get(key).map(|entry| entry.leaf.clone());
        keys.into_iter().filter(|key| leaf(self, key) != leaf(before, key)).cloned().collect()
    }

    /// Puts an entry in unchecked.
    #[cfg(test)]
    pub(super) fn insert(&mut self, key: &str, entry: Entry) {
        self.entries.insert(key.to_owned(), entry);
    }

    /// Takes an entry out.
    #[cfg(test)]
    pub(super) fn remove(&mut self, key: &str) {
        self.entries.remove(key);
    }

    fn put(&mut self, given: Given) -> Result<(), Error> {
        let Given { key, leaf, origin } = given;
        match self.place(&key) {
            Place::Unknown => return Err(self.unknown(key, origin)),
            Place::Group if leaf != Leaf::Nothing => return Err(Error::Group { key, origin }),
            Place::Key | Place::Group => {}
        }
        if let Some((name, _)) = destination(&key) {
            check_name(name, &origin)?;
            self.destinations.insert(name.to_owned());
        }
        if let Place::Key = self.place(&key) {
            self.entries.insert(key, Entry { leaf, origin });
        }
        Ok(())
    }

    fn place(&self, key: &str) -> Place {
        let known = match destination(key) {
            None | Some((_, "")) => key.to_owned(),
            Some((_, rest)) if ENDPOINTS.contains(&rest) => return Place::Key,
            Some((_, HEADERS)) => return Place::Group,
            Some((_, rest)) if header(rest).is_some() => return Place::Key,
            Some((_, rest)) => format!("{DESTINATION_DEFAULTS}.{rest}"),
        };
        let is_group = |group: &str| self.entries.keys().any(|key| is_below(key, group));
        if self.entries.contains_key(&known) {
            Place::Key
        } else if known == DESTINATIONS || is_below(&known, DESTINATIONS) || is_group(&known) {
            Place::Group
        } else {
            Place::Unknown
        }
    }

    /// Below a key that has a value there are no keys, and what looks like one may be a piece of a
    /// secret that YAML took apart.
    fn unknown(&self, key: String, origin: Origin) -> Error {
        match self.entries.keys().find(|known| is_below(&key, known)) {
            Some(known) => Error::NoGroup { key: known.clone(), origin },
            None => Error::Unknown { hint: self.hint(&key), key, origin },
        }
    }

    /// The known key that was probably meant: the same end in another group, or a slip of a few
    /// letters.
    fn hint(&self, key: &str) -> Option<String> {
        let mut known: Vec<String> = self.entries.keys().cloned().collect();
        if let Some((name, _)) = destination(key) {
            let below = format!("{DESTINATION_DEFAULTS}.");
            let keys = self.entries.keys().filter_map(|key| key.strip_prefix(&below));
            let keys = keys.chain(ENDPOINTS).chain([HEADERS]);
            known = keys.map(|key| format!("{DESTINATIONS}.{name}.{key}")).collect();
        }
        if let Some(moved) = known.iter().find(|known| is_end(known, key)) {
            return Some(moved.clone());
        }
        let likeness = |known: &String| strsim::normalized_damerau_levenshtein(known, key);
        let alike = known.into_iter().map(|known| (likeness(&known), known));
        let best = alike.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
        (best.0 >= ALIKE).then_some(best.1)
    }
}

/// The value as it may be shown.
pub(super) fn shown(key: &str, leaf: &Leaf) -> String {
    let nothing = [Leaf::Nothing, Leaf::Text(String::new()), Leaf::List(Vec::new())];
    let is_empty = nothing.contains(leaf);
    if !is_empty && is_secret(key, leaf) { MASKED.to_owned() } else { leaf.to_string() }
}

/// A destination's name and the key below it, which is empty for the destination itself.
fn destination(key: &str) -> Option<(&str, &str)> {
    let below = key.strip_prefix(DESTINATIONS)?.strip_prefix('.')?;
    Some(below.split_once('.').unwrap_or((below, "")))
}

/// The header's name, if a destination's key is one of its headers.
pub(super) fn header(rest: &str) -> Option<&str> {
    rest.strip_prefix(HEADERS)?.strip_prefix('.').filter(|name| !name.is_empty())
}

/// A password in an endpoint or in a proxy's address is refused, and not shown while it is. What
/// should be a token's digest may be the token.
fn is_secret(key: &str, leaf: &Leaf) -> bool {
    let default = key.strip_prefix(DESTINATION_DEFAULTS).and_then(|key| key.strip_prefix('.'));
    let rest = destination(key).map_or("", |(_, rest)| rest);
    let rest = default.unwrap_or(rest);
    let is_address = ENDPOINTS.contains(&rest) || rest == "proxy";
    let holds_password = || leaf.to_string().contains('@');
    let is_token = ["receive.auth.tokens", "serve.auth.tokens"].contains(&key);
    key == "redact.key"
        || is_token
        || rest == "proxy_auth"
        || header(rest).is_some()
        || (is_address && holds_password())
}

/// The name becomes a file name, a label and part of an environment variable.
fn check_name(name: &str, origin: &Origin) -> Result<(), Error> {
    let is_letter = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_letter) {
        return Ok(());
    }
    Err(Error::Value {
        key: format!("a name under {DESTINATIONS}"),
        expected: format!("1 to {NAME_BYTES_MAX} of a-z, 0-9, - and _"),
        got: format!("{name:?}"),
        origin: origin.clone(),
    })
}

fn is_below(key: &str, group: &str) -> bool {
    key.strip_prefix(group).is_some_and(|rest| rest.starts_with('.'))
}

fn is_end(known: &str, key: &str) -> bool {
    known.strip_suffix(key).is_some_and(|before| before.ends_with('.'))
}
