//! Redact: secrets end here.
//!
//! In: an admitted request, which the rules of `edit` change first. Out: [`Clean`], the only form that later stages accept.
//! Holds the policy, and nothing of what passes. A string that cannot be judged is masked whole.
//!
//! The one walk that sees every field also checks the ids and keeps each record within its caps: a
//! wrong id costs one span and not its request, what is too long or too many is cut and counted.

mod assignment;
mod clean;
mod cut;
mod detect;
pub mod edit;
mod fields;
mod glance;
mod ids;
mod judge;
mod keys;
mod policy;
mod replace;
mod text;
mod url;
mod walk;

pub use clean::Clean;
pub use cut::{Caps, Cut, Cuts};
pub use ids::Rejected;
pub use policy::{Action, Detectors, Error, Policy, Settings};
pub use walk::Tally;

#[cfg(test)]
mod tests;
