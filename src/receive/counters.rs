//! What the doors did, for metrics and status.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Memory;
use crate::evidence::Source;
use crate::ledger::Refusal;

/// The counts of all doors. They only grow.
#[derive(Debug, Default)]
pub struct Counters {
    sources: [Tally; Source::ALL.len()],
    memory: Memory,
}

/// The counts of one source.
#[derive(Debug, Default)]
pub struct Tally {
    requests: AtomicU64,
    encoded_bytes: AtomicU64,
    decoded_bytes: AtomicU64,
    rejected: AtomicU64,
    unsupported: AtomicU64,
    refused: [AtomicU64; Refusal::ALL.len()],
}

impl Counters {
    /// The counts of one source.
    #[must_use]
    pub fn of(&self, source: Source) -> &Tally {
        let [grpc, http, json, flows] = &self.sources;
        match source {
            Source::OtlpGrpc => grpc,
            Source::OtlpHttp => http,
            Source::OtlpJson => json,
            Source::Flows => flows,
        }
    }

    /// What the process holds, which may close the doors for a while.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }
}

impl Tally {
    /// Requests, or batches of lines from a file, that reached the door.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Bytes of whole bodies, as they came over the wire.
    #[must_use]
    pub fn encoded_bytes(&self) -> u64 {
        self.encoded_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of OTLP protobuf that were handed over.
    #[must_use]
    pub fn decoded_bytes(&self) -> u64 {
        self.decoded_bytes.load(Ordering::Relaxed)
    }

    /// Items of requests that were accepted in part, and lines that are no flows.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    /// Requests in a media type or an encoding that the door does not speak.
    #[must_use]
    pub fn unsupported(&self) -> u64 {
        self.unsupported.load(Ordering::Relaxed)
    }

    /// Requests that were refused, for one reason.
    #[must_use]
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.refused.get(refusal as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    pub(super) fn add_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_encoded(&self, bytes: usize) {
        self.encoded_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn add_decoded(&self, bytes: usize) {
        self.decoded_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn add_rejected(&self, items: u64) {
        self.rejected.fetch_add(items, Ordering::Relaxed);
    }

    pub(super) fn add_unsupported(&self) {
        self.unsupported.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_refused(&self, refusal: Refusal) {
        if let Some(count) = self.refused.get(refusal as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}
