//! Receive: the doors through which evidence comes in.
//!
//! In: OTLP over gRPC and HTTP, Hubble flow lines over HTTP and from a file. Out: [`Raw`] requests,
//! always OTLP protobuf, to the [`Handle`] of the later stages, whose [`Reply`] goes back to the
//! sender. Before a body is read, the [`Gate`] says whether its connection may be and whose it is.
//! Holds: at most `inflight_bytes_max` of requests on their way, for all doors together;
//! past that a request is refused as [`Refusal::Busy`] and its sender retries. When it runs short,
//! a connection that has more than its share is refused first.
//!
//! gRPC is framed here and not by tonic's server: tonic reserves memory by a length that nobody
//! sent yet, sets no bound on the window of a zstd frame, inflates before any budget is asked, and
//! answers an oversize message with the retryable `OUT_OF_RANGE`. Both protocols share one bounded
//! way from the wire to bytes.

mod auth;
mod body;
mod budget;
mod cors;
mod counters;
mod deadline;
mod door;
mod flow;
mod follow;
mod gate;
mod grpc;
mod http;
mod identity;
mod inflate;
mod intake;
mod json;
mod listener;
mod memory;
mod status;
mod tls;
mod turn;

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::evidence::{Nanos, Signal, Source, Tenant};
use crate::ledger::Refusal;

pub use auth::{Auth, Denied, Token, Wrong};
pub use cors::{Cors, Origin};
pub use counters::{Counters, Tally};
pub use door::{Deny, Entrance, Open, Speaks};
pub use follow::{can_follow, follow};
pub use gate::{Away, Gate, Terms};
pub use grpc::serve_grpc;
pub use http::serve_http;
pub use identity::Rule;
pub(crate) use inflate::INLINE_BYTES;
pub use intake::Intake;
pub use listener::{Address, Listener};
pub use memory::Memory;
pub use tls::{Files, Look, Tls, Version};
pub use turn::Turn;

/// One request, as a door hands it over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// Which OTLP request the bytes are.
    pub signal: Signal,
    /// The door it came through.
    pub source: Source,
    /// Whose data it is, as the door's credentials say.
    pub tenant: Tenant,
    /// The request: OTLP protobuf, inflated, not yet checked.
    pub bytes: Bytes,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// All of it is in the log, as safe as the ack mode says.
    Accepted,
    /// All but some items are in the log; those are invalid and must not be sent again.
    Partial {
        /// How many items were rejected.
        rejected: u64,
        /// Why, for the developer of the sender.
        message: String,
    },
    /// Nothing of it is in the log.
    Refused {
        /// The reason, which also says whether the sender retries.
        refusal: Refusal,
        /// Why, for the developer of the sender.
        message: String,
    },
}

/// Takes a request: redacts it and appends it to the log. Its turn is dropped when its bytes are
/// checked, and before anything is waited for.
pub type Handle =
    Arc<dyn Fn(Raw, Turn) -> Pin<Box<dyn Future<Output = Reply> + Send>> + Send + Sync + 'static>;

/// The bounds of the doors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of one request after inflation; larger ones are refused for good.
    pub request_bytes_max: usize,
    /// Bytes of one compressed request on the wire; larger ones are refused for good.
    pub encoded_bytes_max: usize,
    /// Bytes of all requests that are being read, inflated or appended.
    ///
    /// At least `request_bytes_max`, `encoded_bytes_max` and zstd's window together, or the largest
    /// request that is allowed never fits.
    pub inflight_bytes_max: usize,
    /// Bytes of one flow line; a longer one is rejected.
    pub line_bytes_max: usize,
    /// Open connections of both protocols together; more are closed at once, and counted.
    pub connections_max: usize,
    /// Open connections of one address, or of one /64 of IPv6.
    pub connections_per_peer_max: usize,
    /// Requests at one time on one HTTP/2 connection.
    pub streams_max: u32,
    /// For the TLS handshake; then from there, or from the end of a request, to the whole head of
    /// the next.
    pub header_timeout: Duration,
    /// From a request's head to the end of its body.
    pub body_timeout: Duration,
    /// How long a body may take before its rate counts.
    pub body_grace: Duration,
    /// Bytes of a body in a second, after the grace; 0 for any rate.
    pub body_rate_min: usize,
    /// After this a connection is asked to end, so that no client stays on one instance for ever.
    pub connection_age_max: Duration,
    /// How long requests in flight may take when a connection or the gateway ends.
    pub drain_timeout: Duration,
    /// How long a refused sender is asked to wait.
    pub retry_after: Duration,
    /// How often a followed file is looked at when nothing is new.
    pub poll_interval: Duration,
    /// Pages that may send OTLP over HTTP.
    pub cors: Cors,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            request_bytes_max: 64 << 20,
            encoded_bytes_max: 16 << 20,
            inflight_bytes_max: 128 << 20,
            line_bytes_max: 256 << 10,
            connections_max: 1024,
            connections_per_peer_max: 256,
            streams_max: 200,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            body_grace: Duration::from_secs(10),
            body_rate_min: 1024,
            connection_age_max: Duration::from_secs(300),
            drain_timeout: Duration::from_secs(5),
            retry_after: Duration::from_secs(1),
            poll_interval: Duration::from_millis(250),
            cors: Cors::default(),
        }
    }
}

impl Settings {
    /// For the gate of these doors; nobody is asked who they are.
    #[must_use]
    pub fn terms(&self) -> Terms {
        Terms {
            connections_max: self.connections_max,
            connections_per_peer_max: self.connections_per_peer_max,
            streams_max: self.streams_max,
            header_timeout: self.header_timeout,
            connection_age_max: self.connection_age_max,
            drain_timeout: self.drain_timeout,
            auth: Auth::default(),
        }
    }
}

/// A door that cannot open.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The listener has no address any more.
    #[error("cannot use the listener")]
    Listener {
        /// The cause.
        source: io::Error,
    },
    /// A file of TLS cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file of TLS holds something else.
    #[error("{} holds no {what} in PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// The key is of another certificate.
    #[error("{} is not the key of the certificate in {}", key.display(), cert.display())]
    Mismatch {
        /// The file of the certificate.
        cert: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// The certificate or its key is broken, or of a kind that is not spoken.
    #[error("cannot use the certificate in {}", path.display())]
    Tls {
        /// The file of the certificate.
        path: PathBuf,
        /// The cause.
        source: rustls::Error,
    },
    /// A file of flows cannot be followed.
    #[error("cannot follow the file {}", path.display())]
    Follow {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The place for checkpoints cannot be used.
    #[error("cannot keep checkpoints in {dir}")]
    Checkpoint {
        /// The directory.
        dir: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// What the HTTP door makes of OTLP in JSON, without a door around it.
///
/// # Errors
/// When the text is none, in words.
pub fn protobuf_of_json(signal: Signal, text: &[u8]) -> Result<Bytes, String> {
    let whole = loose(text)?;
    json::transcode(signal, text, LOOSE_BYTES_MAX, whole)
        .map(|(bytes, _)| bytes)
        .map_err(|denial| denial.message)
}

/// What the door for flows makes of lines, without a door around it. Lines that are none are left
/// out.
///
/// # Errors
/// When there are too many of them, in words.
pub fn protobuf_of_flows(text: &[u8], observed: Nanos) -> Result<Bytes, String> {
    let limits = flow::Limits::of(&Settings::default());
    flow::encode(text, observed, limits, loose(text)?)
        .map(|(lines, _)| lines.request)
        .map_err(|denial| denial.message)
}

const LOOSE_BYTES_MAX: usize = 64 << 20;

fn loose(text: &[u8]) -> Result<budget::Hold, String> {
    let budget = budget::Budget::new(4 * LOOSE_BYTES_MAX);
    budget.take(budget::Sender::next(), text.len()).map_err(|denial| denial.message)
}

/// Why a request went no further than the door.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Denial {
    refusal: Refusal,
    message: String,
}

impl Denial {
    fn new(refusal: Refusal, message: impl Into<String>) -> Self {
        Self { refusal, message: message.into() }
    }
}

impl From<Denial> for Reply {
    fn from(Denial { refusal, message }: Denial) -> Self {
        Self::Refused { refusal, message }
    }
}

/// When a door took something: the doors are an edge.
#[expect(clippy::disallowed_methods, reason = "the doors are the edge that reads the clock")]
fn now() -> Nanos {
    Nanos::from(SystemTime::now())
}

#[cfg(test)]
mod tests;
