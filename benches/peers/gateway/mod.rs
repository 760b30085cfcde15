//! A gateway under test: a program of its own, pinned to its processors.
//!
//! In: a folder of `benches/peers` and a case. Out: what the kernel says that it used, and, where it
//! has a status, what it says that it wrote.

mod peer;
mod process;
mod status;

pub(crate) use peer::{Addresses, Peer};
pub(crate) use process::{Gateway, cpu_seconds_of, threads};
pub(crate) use status::{Disk, Status};
