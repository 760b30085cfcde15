//! Limit: keeps the number of distinct names and label sets within a budget.
//!
//! In: observations, raw paths, label sets. Out: evidence whose names are symbols ([`Interner`]),
//! low-cardinality routes ([`template`]) and dense slots ([`Budget`]), of which there are never
//! more than the budget allows.
//! Holds: at most `capacity` label sets per budget; what comes past it is folded, and counted.

mod budget;
mod facts;
mod route;

pub use budget::{Budget, Slot};
pub use facts::Interner;
pub use route::{ROUTE_BYTES_MAX, template};
