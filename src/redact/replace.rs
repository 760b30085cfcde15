//! What stands in a secret's place.

use std::ops::Range;

use super::policy::Action;

/// Makes the text that replaces a secret.
#[derive(Clone, Debug)]
pub(super) struct Replacement {
    mask: Vec<u8>,
    key: Option<[u8; 32]>,
}

/// Opens a pseudonym. Letters only follow, so that no detector takes it for a card or an address.
const TOKEN: &[u8] = b"hp_";
const TOKEN_LETTERS: usize = 32;
/// How long a pseudonym is.
pub(super) const TOKEN_BYTES: usize = TOKEN.len() + TOKEN_LETTERS;
const FALLBACK: &[u8] = b"****";

impl Replacement {
    pub(super) fn new(action: &Action) -> Self {
        match action {
            Action::Mask(mask) => Self { mask: mask.as_bytes().to_vec(), key: None },
            Action::Pseudonym(key) => Self { mask: FALLBACK.to_vec(), key: Some(*key) },
        }
    }

    /// The text for what cannot be named one by one.
    pub(super) fn fixed(&self) -> &[u8] {
        &self.mask
    }

    /// Whether the text already stands for a secret.
    pub(super) fn is_replacement(&self, text: &[u8]) -> bool {
        text == self.mask || (self.key.is_some() && is_token(text))
    }

    /// Appends what stands for `secret`.
    pub(super) fn write(&self, secret: &[u8], out: &mut Vec<u8>) {
        match &self.key {
            _ if self.is_replacement(secret) => out.extend_from_slice(secret),
            None => out.extend_from_slice(&self.mask),
            Some(key) => out.extend_from_slice(&token(key, secret)),
        }
    }

    /// The text with all `found` ranges replaced; `None` when that changes nothing.
    pub(super) fn apply(&self, text: &[u8], mut found: Vec<Range<usize>>) -> Option<Vec<u8>> {
        for range in &mut found {
            // A mask may hold what ends a value: `]` does.
            let rest = text.get(range.start..).unwrap_or_default();
            if rest.starts_with(&self.mask) {
                range.end = range.end.max(range.start + self.mask.len());
            }
        }
        found.retain(|range| text.get(range.clone()).is_some_and(|it| !self.is_replacement(it)));
        if found.is_empty() {
            return None;
        }
        found.sort_unstable_by_key(|range| (range.start, range.end));
        let mut out = Vec::with_capacity(text.len());
        let mut copied = 0;
        let mut rest = found.into_iter().peekable();
        while let Some(mut range) = rest.next() {
            // Overlapping finds are one secret.
            while let Some(next) = rest.next_if(|next| next.start < range.end) {
                range.end = range.end.max(next.end);
            }
            out.extend_from_slice(text.get(copied..range.start).unwrap_or_default());
            self.write(text.get(range.clone()).unwrap_or_default(), &mut out);
            copied = range.end;
        }
        out.extend_from_slice(text.get(copied..).unwrap_or_default());
        (out != text).then_some(out)
    }
}

/// The pseudonym of a secret: the same for the same secret under the same key.
pub(super) fn token(key: &[u8; 32], secret: &[u8]) -> [u8; TOKEN_BYTES] {
    let digest = blake3::keyed_hash(key, secret);
    let letters =
        digest.as_bytes().iter().flat_map(|byte| [b'a' + (byte >> 4), b'a' + (byte & 15)]);
    let mut token = [0; TOKEN_BYTES];
    token.iter_mut().zip(TOKEN.iter().copied().chain(letters)).for_each(|(to, from)| *to = from);
    token
}

/// Whether the text has the exact form of a pseudonym.
pub(super) fn is_token(text: &[u8]) -> bool {
    text.strip_prefix(TOKEN).is_some_and(|letters| {
        letters.len() == TOKEN_LETTERS && letters.iter().all(|byte| (b'a'..=b'p').contains(byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_secrets_have_equal_pseudonyms_under_one_key_only() {
        let write = |key: u8, secret: &[u8]| {
            let mut out = Vec::new();
            Replacement::new(&Action::Pseudonym([key; 32])).write(secret, &mut out);
            out
        };
        assert_eq!(write(1, b"ann@example.com"), write(1, b"ann@example.com"));
        assert_ne!(write(1, b"ann@example.com"), write(2, b"ann@example.com"));
        assert_ne!(write(1, b"ann@example.com"), write(1, b"bob@example.com"));
    }

    #[test]
    fn overlapping_finds_are_one_secret() {
        let replacement = Replacement::new(&Action::Mask("#".to_owned()));
        let out = replacement.apply(b"ab0123cd", vec![2..5, 3..6]);
        assert_eq!(out.as_deref(), Some(b"ab#cd".as_slice()));
    }
}
