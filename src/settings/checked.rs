//! Settings that cannot be wrong. `config/default.yaml` says what each is for.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::destination::Destination;
use super::secret::Secret;
use crate::receive::{Address, Auth, Cors, Version};
use crate::redact::Caps;

/// All settings, checked one by one and together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the log, the index and the pseudonym key live.
    pub data_dir: PathBuf,
    /// What all bounds may hold together in memory.
    pub memory_max: u64,
    /// The doors.
    pub receive: Receive,
    /// Rules that change attributes, in order.
    pub edit: Vec<String>,
    /// Secrets.
    pub redact: Redact,
    /// Budgets of names.
    pub limit: Limit,
    /// The log.
    pub log: Log,
    /// The join.
    pub join: Join,
    /// The measures.
    pub measure: Measure,
    /// The index.
    pub index: Index,
    /// The destinations, in the order of their names.
    pub export: Vec<Destination>,
    /// The door for people.
    pub serve: Serve,
    /// What Hopline says about itself.
    pub telemetry: Telemetry,
    /// The end.
    pub shutdown: Shutdown,
}

/// `receive`: the doors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receive {
    /// `receive.otlp.grpc.listen`, `None` when off.
    pub grpc: Option<Address>,
    /// `receive.otlp.http.listen`, `None` when off.
    pub http: Option<Address>,
    /// When the doors may listen beyond this machine.
    pub allow_remote: Remote,
    /// The doors' certificate.
    pub tls: Tls,
    /// Who may send.
    pub auth: Auth,
    /// The largest request, decompressed.
    pub request_bytes_max: usize,
    /// The largest request on the wire.
    pub encoded_bytes_max: usize,
    /// Spans, log records or points in one request.
    pub request_items_max: u64,
    /// What all requests in progress may hold together.
    pub inflight_bytes_max: usize,
    /// Open connections of both doors together.
    pub connections_max: usize,
    /// Open connections of one address.
    pub connections_per_peer_max: usize,
    /// Requests at a time on one HTTP/2 connection.
    pub streams_max: u32,
    /// How long a request is known by its bytes; `None` when none is.
    pub repeat_window: Option<Duration>,
    /// Requests known at a time.
    pub repeats_max: usize,
    /// How long a client may take to shake hands, and to send a head.
    pub header_timeout: Duration,
    /// When a connection is asked to end.
    pub connection_age_max: Duration,
    /// How long a client may take to send a body.
    pub body_timeout: Duration,
    /// What must come of a body in a second.
    pub body_rate_min: usize,
    /// `receive.otlp.http.cors`: pages of a browser that may send.
    pub cors: Cors,
    /// `receive.flows.follow`: files of flows to read as they grow.
    pub follow: Vec<PathBuf>,
}

/// When a door may listen beyond this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remote {
    /// When it is encrypted and asks who is there.
    Secured,
    /// Always.
    Insecurely,
}

/// `tls`: the certificate of a door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The chain; `None` when the door is not encrypted.
    pub cert_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
    /// Who signs the certificates that clients must show.
    pub client_ca_file: Option<PathBuf>,
    /// The oldest version.
    pub min_version: Version,
}

/// `redact`: secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redact {
    /// Whether anything is redacted at all.
    pub enabled: bool,
    /// What stands in a secret's place.
    pub action: Action,
    /// The mask.
    pub mask: String,
    /// The key of the pseudonyms; empty means that one is made and kept.
    pub key: Secret,
    /// Patterns of attributes whose value is a secret.
    pub keys: Vec<String>,
    /// Patterns of attributes that stay.
    pub keep_keys: Vec<String>,
    /// Attributes that hold a URL.
    pub urls: Vec<String>,
    /// Secrets known by their form.
    pub detectors: Detectors,
}

/// What stands in a secret's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Always the same mask.
    Mask,
    /// A keyed hash: equal secrets stay equal.
    Pseudonym,
}

/// `redact.detectors`: secrets known by their form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detectors {
    /// Credentials after a scheme.
    pub bearer: bool,
    /// JSON web tokens.
    pub jwt: bool,
    /// Payment card numbers.
    pub card: bool,
    /// E-mail addresses, and user names and passwords in URLs.
    pub email: bool,
    /// A secret key and its value in text.
    pub assignment: bool,
}

/// `limit`: budgets of names and of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What one record may have: `attributes_max` to `links_max`.
    pub record: Caps,
    /// Different texts known at a time.
    pub symbols_max: usize,
    /// Series measured at a time.
    pub series_max: usize,
}

/// `log`: the queue, the buffer and the recovery. It lives in `data_dir`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// When a sender hears that its evidence is kept.
    pub ack: Ack,
    /// How long a sender waits for the destinations.
    pub e2e_timeout: Duration,
    /// Whether batches are compressed.
    pub compress: bool,
    /// The size of one file.
    pub segment_bytes: u64,
    /// What the log may take of the disk.
    pub bytes_max: u64,
    /// How long evidence that all have read stays.
    pub keep: Duration,
    /// The newest batches, kept in memory.
    pub tail_bytes: usize,
    /// Batches waiting for the disk.
    pub queue_bytes_max: usize,
}

/// When a sender hears that its evidence is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// When the disk has it.
    Wal,
    /// When memory has it.
    Memory,
    /// When every destination has it.
    EndToEnd,
}

impl Ack {
    /// The name in settings, status and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Wal => "wal",
            Self::Memory => "memory",
            Self::EndToEnd => "e2e",
        }
    }
}

/// `join`. The bounds are those of all shards together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Join {
    /// Whether evidence is joined and measured at all.
    pub enabled: bool,
    /// Threads that join.
    pub shards: usize,
    /// After the last evidence, once the root was seen.
    pub quiet: Duration,
    /// After the first evidence, without a root.
    pub rootless: Duration,
    /// After the first evidence, whatever comes.
    pub longest: Duration,
    /// How long evidence without a trace id waits.
    pub weak_wait: Duration,
    /// Evidence in all open journeys.
    pub evidence_max: usize,
    /// Open journeys.
    pub journeys_max: usize,
    /// Evidence in one journey.
    pub journey_evidence_max: usize,
    /// Weak keys whose trace is known.
    pub bindings_max: u64,
    /// How long a closed journey can be amended.
    pub remember: Duration,
    /// Evidence of closed journeys that can be amended.
    pub remembered_evidence_max: u64,
    /// How far two clocks may differ.
    pub socket_slack: Duration,
}

impl Join {
    /// Evidence that waits for a weak key.
    #[must_use]
    pub fn waiting_max(&self) -> usize {
        self.evidence_max / 8
    }

    /// Evidence of journeys that closed and are not finished. The largest has room.
    #[must_use]
    pub fn closed_evidence_max(&self) -> usize {
        (self.evidence_max / 4).max(2 * self.journey_evidence_max)
    }
}

/// `measure`: histograms per hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// How long one window is.
    pub window: Duration,
    /// Full windows kept.
    pub windows: usize,
    /// When an unused series makes room.
    pub idle: Duration,
}

/// `index`. It lives in `data_dir`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Index {
    /// Whether journeys can be searched.
    pub enabled: bool,
    /// The time that one part covers.
    pub bucket: Duration,
    /// How long journeys stay.
    pub keep: Duration,
    /// What the index may take of the disk.
    pub bytes_max: u64,
    /// What the writer may hold.
    pub memory: usize,
    /// How often what was written becomes searchable.
    pub commit: Duration,
    /// The text of one journey that is searched.
    pub text_bytes_max: usize,
}

/// `serve`: the door for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serve {
    /// Where it listens.
    pub listen: SocketAddr,
    /// When it may listen beyond this machine.
    pub allow_remote: Remote,
    /// Its certificate.
    pub tls: Tls,
    /// Who may ask.
    pub auth: Auth,
}

/// `telemetry`: what Hopline says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// `telemetry.log.level`.
    pub level: tracing::Level,
    /// `telemetry.log.format`.
    pub format: Format,
}

/// How Hopline writes its own log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lines for people.
    Human,
    /// JSON for machines.
    Json,
}

/// `shutdown`: the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// How long open work may take to end.
    pub deadline: Duration,
}
