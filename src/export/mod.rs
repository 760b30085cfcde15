//! Export: sends the log on to one destination, OTLP over gRPC.
//!
//! In: batches of the log, in order. Out: requests of one signal each, and how far all before is
//! delivered or refused for good. Holds: at most `concurrency` requests in flight and one request
//! of each signal that is being filled; a destination that is down stops the reading, so it holds
//! its own cursor and no more memory.
//!
//! An OTLP request is nothing but a repeated field, so requests are merged by putting their bytes
//! one after the other. Requests are framed here and not by a codec: a request is compressed once
//! and not once per attempt, and at the level that costs least.

mod answer;
mod batch;
mod client;
mod forward;
mod health;
mod progress;
mod retry;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use crate::evidence::{Head, Nanos, Position};

pub use forward::Forwarder;
pub use health::{Health, State, Summary};

/// One batch of the log on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Where it lies in the log.
    pub position: Position,
    /// Where the batch after it lies.
    pub next: Position,
    /// What is known of it beside its bytes.
    pub head: Head,
    /// The OTLP request.
    pub bytes: Bytes,
}

/// How requests are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    None,
    /// For destinations that know nothing better.
    Gzip,
    /// Several times faster than gzip.
    #[default]
    Zstd,
}

/// Where to send, and within which bounds.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Names it in status, metrics and the ledger.
    pub name: String,
    /// `http://host:port`.
    pub endpoint: String,
    /// How requests are compressed.
    pub compression: Compression,
    /// From the sending of a request to its whole answer.
    pub timeout: Duration,
    /// Requests in flight at one time.
    pub concurrency: usize,
    /// Bytes of one request before compression. A batch that is larger alone is sent alone.
    pub batch_bytes_max: usize,
    /// How long a request waits to be filled.
    pub batch_wait: Duration,
    /// The wait after the first failure; it doubles with each one.
    pub backoff_min: Duration,
    /// The longest wait between two attempts.
    pub backoff_max: Duration,
    /// How long requests in flight may take when the gateway stops.
    pub grace: Duration,
    /// Sent with every request, for authentication.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Destination {
    /// A destination with the usual bounds.
    #[must_use]
    pub fn new(name: impl Into<String>, endpoint: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            endpoint: endpoint.into(),
            compression: Compression::default(),
            timeout: Duration::from_secs(10),
            concurrency: 4,
            batch_bytes_max: 4 << 20,
            batch_wait: Duration::from_millis(200),
            backoff_min: Duration::from_millis(500),
            backoff_max: Duration::from_secs(30),
            grace: Duration::from_secs(5),
            headers: Vec::new(),
        }
    }
}

/// A destination that cannot be one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The endpoint is no `http://host:port`.
    #[error("destination {name}: the endpoint is not http://host:port")]
    Endpoint {
        /// Which destination.
        name: String,
        /// The cause.
        source: Option<tonic::transport::Error>,
    },
}

/// Since when a destination is down: sending is an edge.
#[expect(clippy::disallowed_methods, reason = "sending is an edge that reads the clock")]
fn now() -> Nanos {
    Nanos::from(SystemTime::now())
}

#[cfg(test)]
mod tests;
