//! Measure: how long each hop took, and how often it ended how.
//!
//! In: one [`Crossing`] per hop of a closed journey. Out: a [`Series`] per label set over the
//! last windows, and Prometheus text since the start.
//! Holds: at most `series_max` label sets, and one series per outcome for all others, each with
//! a histogram per part and window; [`Hops::bytes_max`] is the sum.

mod crossing;
mod exposition;
mod hops;
pub mod prometheus;
mod series;
#[cfg(test)]
mod tests;
mod timings;

pub use crossing::{Crossing, Labels, Part};
pub use hops::{Hops, Settings, Status};
pub use series::Series;
pub use timings::Summary;
