//! Settings of a destination that cannot be wrong. `config/default.yaml` says what each is for.

use std::path::PathBuf;
use std::time::Duration;

use super::secret::Secret;
use crate::evidence::Signal;
use crate::export::{Compression, Protocol};

/// `export.otlp.<name>`: where evidence goes on to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// What it is called in counts, and its cursor in the log.
    pub name: String,
    /// How requests travel.
    pub protocol: Protocol,
    /// `http://host:port` or `https://host:port`.
    pub endpoint: String,
    /// Where single signals go instead.
    pub endpoints: Vec<(Signal, String)>,
    /// What it is sent.
    pub signals: Vec<Signal>,
    /// How requests are compressed.
    pub compression: Compression,
    /// From 1, the fastest, to 9.
    pub compression_level: u32,
    /// How long a request may take.
    pub timeout: Duration,
    /// Requests on their way at a time.
    pub concurrency: usize,
    /// The largest request, before compression.
    pub batch_bytes_max: usize,
    /// How long a request that is not full waits.
    pub batch_wait: Duration,
    /// What happens when it is too far behind.
    pub when_full: WhenFull,
    /// How much of the log may wait for it.
    pub backlog_max: u64,
    /// Whom it has to prove itself to be, and how Hopline does.
    pub tls: ClientTls,
    /// The way to it.
    pub proxy: Option<String>,
    /// What the proxy is told.
    pub proxy_auth: Secret,
    /// Sent with each request.
    pub headers: Vec<Header>,
}

/// What happens to what a destination is too far behind to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It stays in the log, until that is full.
    Hold,
    /// The oldest is lost.
    DropOldest,
}

/// The files of a destination over `https://`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// Who may have signed its certificate.
    pub ca_file: Option<PathBuf>,
    /// What is shown to it.
    pub cert_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
    /// The name in its certificate.
    pub server_name: Option<String>,
}

/// What is sent with each request to a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// In lower case.
    pub name: String,
    /// Visible ASCII.
    pub value: Secret,
}
