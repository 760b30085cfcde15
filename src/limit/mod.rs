//! Limit: keeps the number of distinct names and label sets within a budget.
//!
//! In: raw paths, label sets. Out: low-cardinality routes ([`template`]) and dense slots
//! ([`Budget`]), of which there are never more than the budget allows.
//! Holds: at most `capacity` label sets per budget; what comes past it is folded, and counted.

mod budget;
mod route;

pub use budget::{Budget, Slot};
pub use route::{ROUTE_BYTES_MAX, template};
