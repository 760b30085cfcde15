//! A journey in few bytes: what the index stores with its document.
//!
//! In: a journey and its hops. Out: bytes, and from these a summary. Every name is there once, and
//! whatever has it refers to it by a number. A document is buffered, put in order, packed and merged
//! with others, each time whole: the same as JSON took several times the bytes, and was the largest
//! part of what an index costs.

mod read;
#[cfg(test)]
mod tests;
mod write;

pub(super) use read::read;
pub(super) use write::Brief;

use crate::evidence::{Kind, Marks, Method, Outcome};
use crate::join::{Closed, Sides};

/// The first byte. What a later version adds goes to the end, where this one does not look.
const FORMAT: u8 = 1;

// What is stored is the place in these lists: they only grow, at their ends.

const KINDS: [Kind; 9] = [
    Kind::Internal,
    Kind::Server,
    Kind::Client,
    Kind::Producer,
    Kind::Consumer,
    Kind::Log,
    Kind::Access,
    Kind::Flow,
    Kind::Exemplar,
];

const OUTCOMES: [Outcome; 5] = [
    Outcome::Unknown,
    Outcome::Success,
    Outcome::ClientError,
    Outcome::ServerError,
    Outcome::Dropped,
];

const METHODS: [Method; 11] = [
    Method::None,
    Method::Get,
    Method::Head,
    Method::Post,
    Method::Put,
    Method::Patch,
    Method::Delete,
    Method::Options,
    Method::Connect,
    Method::Trace,
    Method::Other,
];

const CLOSED: [Option<Closed>; 8] = [
    None,
    Some(Closed::Quiet),
    Some(Closed::Rootless),
    Some(Closed::Longest),
    Some(Closed::Full),
    Some(Closed::Drained),
    Some(Closed::Amended),
    Some(Closed::Alone),
];

const SIDES: [Sides; 4] = [Sides::Both, Sides::Caller, Sides::Callee, Sides::Proxy];

const MARKS: [Marks; 3] = [Marks::AMBIGUOUS, Marks::BOUND, Marks::LATE];

const PLACEMENT: [&str; 8] =
    ["service", "namespace", "workload", "pod", "node", "zone", "cluster", "version"];

/// The kind that is stored so.
pub(super) fn kind(code: u8) -> Kind {
    KINDS.get(usize::from(code)).copied().unwrap_or_default()
}
