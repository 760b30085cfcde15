//! A gateway under test: a program of its own, pinned to its processors.
//!
//! In: a folder of `benches/peers` and a case. Out: what the kernel says that it used.

mod peer;
mod process;

pub(crate) use peer::{Addresses, Peer};
pub(crate) use process::{Gateway, cpu_seconds_of, threads};
