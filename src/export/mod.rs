//! Export: sends the log on to one destination, OTLP over gRPC or over HTTP.
//!
//! In: the log, read in order. Out: requests of one signal each; the cursor moves behind what is
//! delivered, refused for good or given up. Holds: at most `concurrency` requests in flight and as
//! much as one more that is being filled, or one batch of the log if that is larger. A destination
//! that is down stops the reading: it holds its own cursor and no more memory.
//!
//! An OTLP request is nothing but a repeated field, so requests are merged by putting their bytes
//! one after the other, and cut by writing their envelopes anew. Bodies are made here and not by a
//! codec: a request is compressed once and not once per attempt, and one that is not compressed is
//! sent from the log's memory.

mod answer;
mod batch;
mod body;
mod client;
mod connect;
mod forward;
mod hand;
mod health;
mod pack;
mod progress;
mod retry;
mod send;
mod source;
mod split;
mod tls;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use http::{HeaderName, HeaderValue};

use crate::evidence::{Nanos, Signal};

pub use forward::Forwarder;
pub use hand::Hand;
pub use health::{Health, State, Summary};
pub use pack::{context_bytes, takes_frames};

/// What a destination is called in the ledger, and its cursor in the log.
#[must_use]
pub fn consumer(name: &str) -> String {
    format!("export/{name}")
}

/// How requests travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over gRPC.
    #[default]
    Grpc,
    /// OTLP over HTTP, as protobuf.
    Http,
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

/// How a connection over `https://` is made. There is no way not to check a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Who may have signed the destination's certificate, instead of those the system trusts.
    pub ca_file: Option<PathBuf>,
    /// What is shown when the destination asks for a certificate.
    pub identity: Option<Identity>,
    /// The name in the destination's certificate, if it is not the endpoint's.
    pub server_name: Option<String>,
}

/// A certificate and its key, both as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and those between it and the root.
    pub cert_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
}

/// A proxy on the way to the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// `http://host:port`.
    pub endpoint: String,
    /// What it is told of who asks. The destination never sees it.
    pub authorization: Option<HeaderValue>,
}

/// Where to send, and within which bounds.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Names it in status, metrics and the ledger.
    pub name: String,
    /// How requests travel.
    pub protocol: Protocol,
    /// `http://host:port` or `https://host:port`; over HTTP a path may follow.
    pub endpoint: String,
    /// Over HTTP, where a signal goes if not to `endpoint`. They are used as they are.
    pub endpoints: Vec<(Signal, String)>,
    /// What it is sent. The rest is passed.
    pub signals: Vec<Signal>,
    /// How requests are compressed.
    pub compression: Compression,
    /// From 1, the fastest, to 9.
    pub level: u32,
    /// From the sending of a request to its whole answer.
    pub timeout: Duration,
    /// Requests in flight at one time.
    pub concurrency: usize,
    /// Bytes of one request before compression. A batch that is larger is cut.
    pub batch_bytes_max: usize,
    /// How long a request waits to be filled.
    pub batch_wait: Duration,
    /// The wait after the first failure; it doubles with each one.
    pub backoff_min: Duration,
    /// The longest wait between two attempts.
    pub backoff_max: Duration,
    /// How far it may be behind before its oldest evidence is given up; `None` is for ever.
    pub backlog_max: Option<u64>,
    /// How long requests in flight may take when the gateway stops.
    pub grace: Duration,
    /// Sent with every request, for authentication.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// For `https://`.
    pub tls: Tls,
    /// The only one that is used: the environment is not asked.
    pub proxy: Option<Proxy>,
}

impl Protocol {
    /// The name in settings and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }
}

impl Proxy {
    /// A proxy that is told a user and a password, `user:password`, unless that is empty.
    #[must_use]
    pub fn new(endpoint: String, user_and_password: &str) -> Self {
        let told = (!user_and_password.is_empty()).then(|| connect::basic(user_and_password));
        let authorization = told.and_then(|told| HeaderValue::try_from(told).ok());
        let authorization = authorization.map(|mut value| {
            value.set_sensitive(true);
            value
        });
        Self { endpoint, authorization }
    }
}

impl Destination {
    /// A destination with the usual bounds.
    #[must_use]
    pub fn new(name: impl Into<String>, endpoint: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            protocol: Protocol::default(),
            endpoint: endpoint.into(),
            endpoints: Vec::new(),
            signals: Signal::ALL.to_vec(),
            compression: Compression::default(),
            level: 1,
            timeout: Duration::from_secs(10),
            concurrency: 4,
            batch_bytes_max: 4 << 20,
            batch_wait: Duration::from_millis(200),
            backoff_min: Duration::from_millis(500),
            backoff_max: Duration::from_secs(30),
            backlog_max: None,
            grace: Duration::from_secs(5),
            headers: Vec::new(),
            tls: Tls::default(),
            proxy: None,
        }
    }

    /// Whether it could be connected to, as far as its settings and the files that they name go.
    ///
    /// # Errors
    /// When its endpoint or proxy cannot be one, or a file cannot be used.
    pub fn check(&self) -> Result<(), Error> {
        client::Client::new(self)?;
        let mut endpoints = self.endpoints.iter().map(|(_, endpoint)| endpoint);
        let is_secure = |endpoint: &String| endpoint.starts_with("https://");
        if is_secure(&self.endpoint) || endpoints.any(is_secure) {
            let trust = tls::Trust::new(self.tls.clone(), self.protocol);
            let wrong = |source| Error::Tls { name: self.name.clone(), source };
            trust.config().map_err(wrong)?;
        }
        Ok(())
    }
}

/// A destination that cannot be one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of its certificates.
    #[error("destination {name}")]
    Tls {
        /// Which destination.
        name: String,
        /// Which file, and why.
        source: io::Error,
    },
    /// The endpoint is no `http://host:port`, or has a path where there can be none.
    #[error("destination {name}: the endpoint is none for the protocol {protocol}")]
    Endpoint {
        /// Which destination.
        name: String,
        /// Which protocol.
        protocol: &'static str,
    },
    /// The proxy is no `http://host:port`.
    #[error("destination {name}: the proxy is not http://host:port")]
    Proxy {
        /// Which destination.
        name: String,
    },
}

/// Dates are asked for and given: sending is an edge.
#[expect(clippy::disallowed_methods, reason = "sending is an edge that reads the clock")]
fn clock() -> SystemTime {
    SystemTime::now()
}

/// Since when a destination is down.
fn now() -> Nanos {
    Nanos::from(clock())
}

#[cfg(test)]
mod tests;
