//! Attribute keys that give a secret away.

use std::collections::HashSet;

use memchr::memmem;
use smallvec::SmallVec;

/// Patterns for keys, in a spelling without `-` and `_` where case does not count:
/// `access-token`, `access_token` and `accessToken` are one key.
#[derive(Clone, Debug)]
pub(super) struct KeyRules {
    exact: HashSet<Vec<u8>, foldhash::fast::RandomState>,
    wild: Vec<Wild>,
    keep: HashSet<Vec<u8>, foldhash::fast::RandomState>,
}

/// A pattern with `*`.
#[derive(Clone, Debug)]
enum Wild {
    /// `*word*`
    Contains(Vec<u8>),
    /// `*word`
    EndsWith(Vec<u8>),
    /// Any other.
    Other(Vec<u8>),
}

impl KeyRules {
    pub(super) fn new(patterns: &[String], keep: &[String]) -> Self {
        let spelled = |text: &String| spell(text.as_bytes()).to_vec();
        let (wild, exact): (Vec<_>, Vec<_>) =
            patterns.iter().map(spelled).partition(|key| key.contains(&b'*'));
        let exact = exact.into_iter().collect();
        let wild = wild.into_iter().map(Wild::new).collect();
        Self { exact, wild, keep: keep.iter().map(spelled).collect() }
    }

    /// Whether the key, or its last segment, is one of the patterns:
    /// `password` is also `db.password`, and `http.request.header.password`.
    pub(super) fn matches(&self, key: &[u8]) -> bool {
        let key = spell(key);
        let key = key.as_slice();
        if self.keep.contains(key) {
            return false;
        }
        let last = key.rsplit(|byte| *byte == b'.').next().unwrap_or(key);
        self.exact.contains(key)
            || self.exact.contains(last)
            || self.wild.iter().any(|wild| wild.matches(key, last))
    }
}

impl Wild {
    fn new(pattern: Vec<u8>) -> Self {
        match pattern.as_slice() {
            [b'*', word @ .., b'*'] if !word.contains(&b'*') => Self::Contains(word.to_vec()),
            [b'*', word @ ..] if !word.contains(&b'*') => Self::EndsWith(word.to_vec()),
            _ => Self::Other(pattern),
        }
    }

    /// The last segment ends the key: only a pattern that names a beginning asks for it apart.
    fn matches(&self, key: &[u8], last: &[u8]) -> bool {
        match self {
            Self::Contains(word) => memmem::find(key, word).is_some(),
            Self::EndsWith(word) => key.ends_with(word),
            Self::Other(pattern) => is_like(key, pattern) || is_like(last, pattern),
        }
    }
}

fn spell(key: &[u8]) -> SmallVec<[u8; 64]> {
    let spelled = key.iter().filter(|byte| !matches!(byte, b'-' | b'_'));
    spelled.map(u8::to_ascii_lowercase).collect()
}

/// Whether `text` fits a pattern in which `*` stands for any run of bytes.
///
/// Greedy with one point to come back to: linear in practice, quadratic at worst, never more.
fn is_like(text: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut want) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(want) {
            Some(b'*') => {
                back = Some((at, want + 1));
                want += 1;
            }
            Some(byte) if text.get(at) == Some(byte) => {
                at += 1;
                want += 1;
            }
            _ => match back {
                Some((from, after)) => {
                    back = Some((from + 1, after));
                    at = from + 1;
                    want = after;
                }
                None => return false,
            },
        }
    }
    pattern.get(want..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(patterns: &[&str], keep: &[&str]) -> KeyRules {
        let owned = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        KeyRules::new(&owned(patterns), &owned(keep))
    }

    #[test]
    fn a_key_matches_in_any_spelling_and_as_a_last_segment() {
        let rules = rules(&["x-api-key"], &[]);
        for key in ["X-API-Key", "x_api_key", "xApiKey", "http.request.header.x-api-key"] {
            assert!(rules.matches(key.as_bytes()), "{key}");
        }
        assert!(!rules.matches(b"x-api-key-id"));
    }

    #[test]
    fn a_star_stands_for_any_run() {
        let rules = rules(&["*password*", "*_token"], &[]);
        assert!(rules.matches(b"user_password_hash"));
        assert!(rules.matches(b"csrf-token"));
        assert!(!rules.matches(b"token_count"));
    }

    #[test]
    fn a_kept_key_is_no_secret() {
        let rules = rules(&["*token*"], &["token.count"]);
        assert!(!rules.matches(b"token.count"));
    }
}
