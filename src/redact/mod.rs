//! Redact: secrets end here.
//!
//! In: an admitted request, which the rules of `edit` change first. Out: [`Clean`], the only form that later stages accept.
//! Holds the policy, and nothing of what passes. A string that cannot be judged is masked whole.

mod assignment;
mod clean;
mod detect;
pub mod edit;
mod glance;
mod judge;
mod keys;
mod policy;
mod replace;
mod url;
mod walk;

pub use clean::Clean;
pub use policy::{Action, Detectors, Error, Policy, Settings};
pub use walk::Tally;

#[cfg(test)]
mod tests;
