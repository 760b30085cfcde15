//! Why settings are refused. No text holds a secret.

use std::io;
use std::path::PathBuf;

use super::memory::{Bound, list};
use super::source::Origin;

/// An error and what caused it, on one line.
#[must_use]
pub fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// Why settings are refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is far larger than settings are.
    #[error("{} is larger than {bytes_max} bytes, which no settings are", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// The cap.
        bytes_max: u64,
    },
    /// A file is not YAML, or not a table of settings.
    #[error("{origin} is not a table of settings in YAML")]
    Parse {
        /// Where the text came from.
        origin: Origin,
        /// What the parser said, if that holds no value.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A text nests deeper, or becomes more through its aliases, than any settings.
    #[error("{origin} nests deeper, or repeats more by aliases, than settings do")]
    Overgrown {
        /// Where the text came from.
        origin: Origin,
    },
    /// There is no such key.
    #[error("there is no key {key} ({origin}){}", did_you_mean(hint.as_ref()))]
    Unknown {
        /// The key, as it was given.
        key: String,
        /// Where it came from.
        origin: Origin,
        /// The key that was probably meant.
        hint: Option<String>,
    },
    /// One file gives one key in two ways.
    #[error("{key} is given twice ({origin})")]
    Twice {
        /// The key.
        key: String,
        /// The file.
        origin: Origin,
    },
    /// A value was given where keys are expected.
    #[error("{key} is a group of keys and has no value of its own ({origin})")]
    Group {
        /// The group.
        key: String,
        /// Where it came from.
        origin: Origin,
    },
    /// Keys were given below a key that has a value.
    #[error("{key} has a value and no keys below it ({origin})")]
    NoGroup {
        /// The key that has a value.
        key: String,
        /// Where the other came from.
        origin: Origin,
    },
    /// A key that must be given was not.
    #[error("{key} is missing")]
    Missing {
        /// The key.
        key: String,
    },
    /// A running gateway was given another value for what it was built with.
    #[error("{keys} cannot change while the gateway runs; start it anew")]
    Fixed {
        /// The keys.
        keys: String,
    },
    /// A value of the wrong type, or out of range.
    #[error("{key} must be {expected}, not {got} ({origin})")]
    Value {
        /// The key.
        key: String,
        /// The type and range.
        expected: String,
        /// The value, or a mask.
        got: String,
        /// Where it came from.
        origin: Origin,
    },
    /// A text of a list of rules is no rule.
    #[error("{key}: rule {number} {problem}: {rule} ({origin})")]
    Rule {
        /// The key of the list.
        key: String,
        /// Which one, from 1.
        number: usize,
        /// The text.
        rule: String,
        /// Where it stops being a rule.
        problem: String,
        /// Where it came from.
        origin: Origin,
    },
    /// Two values do not go together.
    #[error("{key} {problem}")]
    Conflict {
        /// The key to change first.
        key: String,
        /// What does not go with what, and why.
        problem: String,
    },
    /// `${env:NAME}` names a variable that is not set, and gives nothing instead.
    #[error("{key} needs the environment variable {name}, which is not set ({origin})")]
    Unset {
        /// The key whose value names it.
        key: String,
        /// The variable.
        name: String,
        /// Where the value came from.
        origin: Origin,
    },
    /// `${` is followed by something else than `env:NAME}`.
    #[error("{key} holds a ${{ that is not ${{env:NAME}}; write $$ for a dollar sign ({origin})")]
    Placeholder {
        /// The key.
        key: String,
        /// Where the value came from.
        origin: Origin,
    },
    /// An environment variable is not UTF-8.
    #[error("the environment variable {name} is not UTF-8")]
    NotText {
        /// The variable.
        name: String,
    },
    /// A `--set` without `=`. Its text may be a secret and is not repeated.
    #[error("--set number {number} is not of the form key=value")]
    Set {
        /// Which one, from 1.
        number: usize,
    },
    /// All bounds together are more than the gateway may hold.
    #[error("the memory bounds add up to more than memory_max:{}", list(bounds, *memory_max))]
    Memory {
        /// What each may hold.
        bounds: Vec<Bound>,
        /// What all may hold.
        memory_max: u64,
    },
}

fn did_you_mean(hint: Option<&String>) -> String {
    hint.map(|hint| format!(", did you mean {hint}?")).unwrap_or_default()
}
