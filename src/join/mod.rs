//! Join: gathers the evidence of one request into a journey, and reads its hops.
//!
//! In: evidence in any order, and the mail of other shards. Out: one [`Journey`] per request when
//! its window closes, again when late evidence amends it, and [`Mail`] for other shards.
//! Holds: at most `evidence_max` evidence in `journeys_max` open journeys, `waiting_max` evidence
//! that waits for a binding, `bindings_max` bindings and `remembered_evidence_max` evidence of
//! journeys that closed lately. Every bound is one of [`Settings`], per shard, and says there what
//! happens when it is reached.
//!
//! Evidence with a trace id goes home at once: to the shard of its trace. The home publishes which
//! weaker keys it has seen. Evidence without a trace id waits at the shard of its request key or
//! socket pair until whoever could publish has done so, and is then sent to the home that did. So
//! neither the order of arrival nor the number of shards decides where evidence ends.

mod bindings;
mod decide;
mod entry;
mod home;
mod hops;
mod journey;
mod lately;
mod mail;
mod open;
mod slab;
mod table;
mod waiting;
mod wheel;

#[cfg(test)]
mod properties;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;
use std::time::Duration;

pub use bindings::{Binding, Forgotten, WeakKey};
pub use home::{Home, Shard};
pub use hops::{Hop, Sides, hops};
pub use journey::{Closed, Fresh, Journey};
pub use mail::{INBOX_MAX, MAIL_SLACK, Mail, PIECE_MAX, Subject, mail_max};
pub use table::Table;

use crate::evidence::{JourneyId, Kind, Place};
use crate::ledger::Reason;

/// What one shard may hold and how long it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A journey whose root was seen closes this long after its last evidence.
    pub quiet: Duration,
    /// A journey without a root closes this long after its first evidence.
    pub rootless: Duration,
    /// No journey stays open longer than this.
    pub longest: Duration,
    /// Evidence with a request key waits this long for a binding. Evidence with nothing but
    /// sockets waits twice as long: what binds sockets may itself wait for its request key.
    pub weak_wait: Duration,
    /// Evidence in open journeys; one more closes the oldest journey early.
    pub evidence_max: usize,
    /// Open journeys; one more closes the oldest early.
    pub journeys_max: usize,
    /// Evidence in one journey; more is lost, and counted in the journey.
    pub journey_evidence_max: usize,
    /// Weak keys that one journey publishes; more are counted in the journey.
    pub journey_keys_max: usize,
    /// Evidence that waits for a binding; one more decides the one that waits longest.
    pub waiting_max: usize,
    /// Bindings; one more forgets the oldest.
    pub bindings_max: usize,
    /// Bindings of one key: a connection that is kept alive carries many requests. One more
    /// forgets the key's oldest.
    pub key_bindings_max: usize,
    /// Evidence of journeys that closed lately; more forgets the oldest.
    pub remembered_evidence_max: u64,
    /// How long bindings and closed journeys are remembered.
    pub remember: Duration,
    /// How far apart evidence and a binding's interval may lie and still belong together.
    pub socket_slack: Duration,
}

/// What one call gives to the rest of the path. The caller empties it.
#[derive(Debug, Default)]
pub struct Out {
    /// Journeys that closed, or closed again with more evidence.
    pub closed: Vec<Arc<Journey>>,
    /// What other shards have to hear, each with the shard's index.
    pub mail: Vec<(usize, Mail)>,
    /// Evidence that went no further.
    pub lost: Vec<(Place, Kind, Reason)>,
    /// Closed journeys that are no more: all their evidence moved to the journeys it belongs to.
    /// To be applied after `closed`.
    pub retracted: Vec<JourneyId>,
    /// Evidence that is counted once more than it was admitted: it fits several journeys, or moved
    /// out of one that had closed.
    pub copied: Vec<(Place, Kind)>,
    /// Bindings that there was no room for any more.
    pub forgotten: Forgotten,
}

/// What a shard holds. All of it is zero after a complete drain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Open journeys.
    pub journeys: usize,
    /// Evidence in open journeys.
    pub evidence: usize,
    /// Evidence that waits for a binding.
    pub waiting: usize,
    /// Bindings.
    pub bindings: usize,
}
