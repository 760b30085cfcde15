//! Redact: secrets end here.
//!
//! In: an admitted request. Out: [`Clean`], the only form that later stages accept.

mod clean;

pub use clean::Clean;
