//! Limit: cardinality kept within a budget.

mod facts;
mod route;

pub use facts::Interner;
