//! Edit: attributes are added, set, removed, renamed, copied and pseudonymised by rules.
//!
//! In: the attributes of one resource, scope, span, event, link, log record or point, as they lie in
//! the request. Out: what stands in their place. It happens within the walk that redacts, so that
//! what an edit makes is judged as if it had come so. Holds the rules, and one list at a time.

mod apply;
mod keys;
mod list;
mod parse;
mod program;
mod rule;
mod value;

pub(super) use apply::Editing;
pub use parse::{Error, check, needs_key};
pub(super) use program::Edits;
pub(super) use rule::Level;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

/// What the operator wants changed.
#[derive(Clone, Default)]
pub struct Settings {
    /// Rules, in the order in which they are applied.
    pub rules: Vec<String>,
    /// The key of `pseudonymise`.
    pub key: [u8; 32],
}

/// The key is not shown.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("rules", &self.rules).finish_non_exhaustive()
    }
}
