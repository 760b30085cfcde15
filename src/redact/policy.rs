//! What is a secret, and what stands in its place.

use bytes::Bytes;

use super::clean::Clean;
use super::cut::Caps;
use super::edit::{self, Edits};
use super::glance::Glance;
use super::keys::KeyRules;
use super::replace::Replacement;
use super::walk::{Tally, Walk, Walked};
use super::{assignment, detect};
use crate::evidence::Head;
use crate::wire::Malformed;

/// What the operator decided.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Off hides nothing. Ids are checked and caps hold all the same.
    pub enabled: bool,
    /// What stands in a secret's place.
    pub action: Action,
    /// Attribute keys whose values are secrets; `*` stands for any run of characters.
    pub keys: Vec<String>,
    /// Attribute keys that are never secrets, whatever `keys` says.
    pub keep_keys: Vec<String>,
    /// Attribute keys whose values are URLs or query strings.
    pub urls: Vec<String>,
    /// What is looked for in every other string.
    pub detectors: Detectors,
    /// What one record may have.
    pub caps: Caps,
    /// What is changed before it is redacted.
    pub edit: edit::Settings,
}

/// What stands in a secret's place.
#[derive(Clone, Debug)]
pub enum Action {
    /// The same text for every secret.
    Mask(String),
    /// A keyed digest: equal secrets stay equal, and cannot be read back without the key.
    Pseudonym([u8; 32]),
}

/// Secrets that are known by their form.
#[derive(Clone, Copy, Debug)]
pub struct Detectors {
    /// `Bearer` followed by a token.
    pub bearer: bool,
    /// JSON web tokens.
    pub jwt: bool,
    /// Payment cards, by their check digit.
    pub card: bool,
    /// E-mail addresses, and user names and passwords within URLs.
    pub email: bool,
    /// `password=…`, `"token": "…"`: a secret key and its value in free text.
    pub assignment: bool,
}

/// The settings cannot be a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The mask would itself be redacted, so that redaction would never come to an end.
    #[error(
        "redact.mask must be 1 to 64 letters, digits or `*_-[].` that no detector takes for a secret"
    )]
    Mask,
    /// A text that should be a rule is none.
    #[error("rule {number} of edit {problem}: {text}")]
    Edit {
        /// Which one, from 1.
        number: usize,
        /// The rule.
        text: String,
        /// What is wrong with it.
        problem: edit::Error,
    },
    /// A rule would write a key that redaction hides.
    #[error("rule {number} of edit writes the key {key}, in which redaction sees a secret")]
    EditKey {
        /// Which one, from 1.
        number: usize,
        /// The key.
        key: String,
    },
}

/// The settings, compiled.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(super) enabled: bool,
    pub(super) keys: KeyRules,
    pub(super) urls: KeyRules,
    pub(super) detectors: Detectors,
    pub(super) replacement: Replacement,
    pub(super) caps: Caps,
    pub(super) edits: Edits,
    version: u32,
}

const MASK_BYTES_MAX: usize = 64;

impl Policy {
    /// Compiles the settings.
    ///
    /// # Errors
    /// When the mask cannot serve as one.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let mut policy = Self {
            enabled: settings.enabled,
            keys: KeyRules::new(&settings.keys, &settings.keep_keys),
            urls: KeyRules::new(&settings.urls, &[]),
            detectors: settings.detectors,
            replacement: Replacement::new(&settings.action),
            caps: settings.caps,
            edits: Edits::default(),
            version: version(settings),
        };
        if let Action::Mask(mask) = &settings.action {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"*_-[].".contains(&byte);
            let fits = (1..=MASK_BYTES_MAX).contains(&mask.len());
            let mut found = Vec::new();
            let seen = Glance::new(mask.as_bytes());
            detect::find(mask.as_bytes(), seen, settings.detectors, &mut found);
            if !mask.bytes().all(plain) || !fits || !found.is_empty() {
                return Err(Error::Mask);
            }
        }
        policy.edits = Edits::new(&settings.edit, &policy)?;
        Ok(policy)
    }

    /// Identifies the settings; stored with every batch.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Edits a request, takes the secrets out of it, and checks on the way that it is one. Spans
    /// without valid ids go as a whole, what is past a cap in part.
    ///
    /// The head's item count and policy version are set from what was found.
    ///
    /// # Errors
    /// When the bytes are not the OTLP request that the head says, or edits would make too much of
    /// them.
    pub fn clean(&self, mut head: Head, bytes: &Bytes) -> Result<(Clean, Tally), Malformed> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(Malformed::Size);
        }
        let Walked { splice, items, tally } = Walk::new(self, bytes).request(head.signal)?;
        head.items = items;
        head.policy = self.version;
        Ok((Clean::new(head, splice.finish(bytes)?), tally))
    }

    /// Whether one look is enough to say that the text is UTF-8 and that its form hides nothing.
    #[inline]
    pub(super) fn is_plain(&self, text: &[u8]) -> bool {
        let seen = Glance::new(text);
        seen.is_ascii() && !seen.is_suspect(self.detectors)
    }

    /// The text without what its form gives away; `None` when there is nothing to hide.
    pub(super) fn redacted(&self, text: &[u8]) -> Option<Vec<u8>> {
        let first = self.pass(text)?;
        // What stands in a secret's place may, with its surroundings, look like another secret.
        let mut text = first;
        for _ in 0..PASSES_MAX {
            match self.pass(&text) {
                Some(next) => text = next,
                None => return Some(text),
            }
        }
        Some(self.replacement.fixed().to_vec())
    }

    fn pass(&self, text: &[u8]) -> Option<Vec<u8>> {
        let seen = Glance::new(text);
        let mut found = Vec::new();
        detect::find(text, seen, self.detectors, &mut found);
        if self.detectors.assignment && seen.may_be_assignment() {
            assignment::find(text, &self.keys, &mut found);
        }
        self.replacement.apply(text, found)
    }
}

const PASSES_MAX: usize = 4;

/// A digest of everything that changes what is hidden or edited. Keys of pseudonyms are no part of
/// it.
fn version(settings: &Settings) -> u32 {
    let action = match &settings.action {
        Action::Mask(mask) => mask.as_str(),
        Action::Pseudonym(_) => "pseudonym",
    };
    let shape = (&settings.keys, &settings.keep_keys, &settings.urls, &settings.detectors);
    let text = format!("{} {action} {shape:?} {:?}", settings.enabled, settings.edit.rules);
    crc32fast::hash(text.as_bytes())
}
