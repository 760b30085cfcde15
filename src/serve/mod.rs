//! Serve: the door for people and their tools.
//!
//! In: HTTP requests. Out: journeys found by words, fields and ids; hops; the state of the
//! gateway; metrics. Holds nothing but what it was given to ask. Searches run off the async
//! threads, at most [`SEARCHES_MAX`] at a time; more wait.

pub mod client;
mod doors;
mod hops;
mod journeys;
mod metrics;
mod openapi;
mod problem;
mod reload;
mod search;
mod status;
pub mod top;
mod vitals;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::evidence::{JourneyId, Nanos, RequestKey, Symbols};
use crate::export::Health;
use crate::index;
use crate::join::{Forgotten, Held, Journey, Subject};
use crate::ledger::Ledger;
use crate::log::Log;
use crate::measure;
use crate::receive;
use crate::receive::{Counters, Deny, Entrance, Gate, Listener, Open, Speaks};
use crate::redact::{Cut, Policy};

/// How many searches run at a time.
pub const SEARCHES_MAX: usize = 4;

/// Asks the join for journeys that are open, or closed lately.
pub type Ask = Arc<dyn Fn(Wanted) -> Pin<Box<dyn Future<Output = Found> + Send>> + Send + Sync>;

/// Asks the doors what they hold, and may hold.
pub type Inflight = Arc<dyn Fn() -> (u64, u64) + Send + Sync>;

/// Reads the settings again.
pub type Reload = Arc<
    dyn Fn() -> Pin<Box<dyn Future<Output = Result<Vec<String>, String>> + Send>> + Send + Sync,
>;

/// Which journey is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// By its name.
    Journey(JourneyId),
    /// By a request id that was seen in it.
    Request(RequestKey),
    /// None: only what the join holds.
    Nothing,
}

/// What the join answers.
#[derive(Debug, Default)]
pub struct Found {
    /// The journey, if it is there.
    pub journey: Option<Arc<Journey>>,
    /// What all shards hold together.
    pub held: Held,
    /// Whether every shard answered.
    pub complete: bool,
}

/// Everything that the answers are made from.
pub struct Sources {
    /// What an OK to a sender means.
    pub ack: &'static str,
    /// When the gateway started.
    pub started: Nanos,
    /// Bytes of requests on their way into the log, and the most there may be.
    pub inflight: Inflight,
    /// The evidence.
    pub log: Log,
    /// The counts.
    pub ledger: Arc<Ledger>,
    /// The names.
    pub symbols: Arc<Symbols>,
    /// The histograms.
    pub hops: Arc<Mutex<measure::Hops>>,
    /// The journeys; `None` when they are not indexed.
    pub index: Option<index::Current>,
    /// The open journeys; `None` when nothing is joined.
    pub ask: Option<Ask>,
    /// The doors.
    pub doors: Arc<Counters>,
    /// Who comes in at the doors and at the API, by the name of what is behind.
    pub gates: Vec<(&'static str, Gate)>,
    /// The destinations.
    pub exports: Arc<ArcSwap<Vec<Export>>>,
    /// Reads the settings again; answers what it did, or why it did nothing.
    pub reload: Reload,
    /// Bounds on memory, by name.
    pub bounds: Vec<(String, u64)>,
    /// What redacts now.
    pub policy: Arc<ArcSwap<Policy>>,
    /// What the join had no room for.
    pub unjoined: Unjoined,
    /// What redaction hid.
    pub redacted: Arc<Redacted>,
    /// Whether the gateway takes requests.
    pub ready: AtomicBool,
}

/// One destination.
#[derive(Clone)]
pub struct Export {
    /// Its name in the settings.
    pub name: String,
    /// Where it is.
    pub endpoint: String,
    /// How it is doing.
    pub health: Arc<Health>,
}

/// What redaction hid, cut off and mended, and edits changed, since the start.
#[derive(Debug, Default)]
pub struct Redacted {
    /// Values that went because of their key.
    pub by_key: std::sync::atomic::AtomicU64,
    /// URLs that lost the values of their parameters.
    pub by_url: std::sync::atomic::AtomicU64,
    /// Strings that lost what a detector found.
    pub by_form: std::sync::atomic::AtomicU64,
    /// What was too long or too many, in the order of the kinds.
    pub cut: [std::sync::atomic::AtomicU64; Cut::ALL.len()],
    /// Ids of the wrong length that were taken out.
    pub mended: std::sync::atomic::AtomicU64,
    /// Attributes that edits added, changed or removed.
    pub edited: std::sync::atomic::AtomicU64,
    /// Values that edits did not copy because they are too large.
    pub uncopied: std::sync::atomic::AtomicU64,
}

impl Redacted {
    /// How much was cut off, by kind.
    fn cuts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = Cut::ALL.into_iter().zip(&self.cut);
        counts.map(|(kind, count)| (kind.name(), count.load(Ordering::Relaxed)))
    }
}

/// What the shards of the join had no room for.
#[derive(Clone, Debug, Default)]
pub struct Unjoined {
    /// What they never heard of each other.
    pub lost_mail: Arc<LostMail>,
    /// How many messages may wait at one for the others.
    pub mail_max: usize,
    /// What each of them forgot.
    pub forgotten: Vec<Arc<ForgottenBindings>>,
}

/// Messages between the shards of the join that were lost, by what they were for.
#[derive(Debug, Default)]
pub struct LostMail([std::sync::atomic::AtomicU64; Subject::ALL.len()]);

impl LostMail {
    /// One more.
    pub fn add(&self, subject: Subject) {
        if let Some(count) = self.0.get(subject as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many there were, in the order of the subjects.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = Subject::ALL.into_iter().zip(&self.0);
        counts.map(|(subject, count)| (subject.name(), count.load(Ordering::Relaxed)))
    }
}

/// Bindings that one shard of the join forgot for want of room, by the bound that was reached.
#[derive(Debug, Default)]
pub struct ForgottenBindings {
    bindings_full: std::sync::atomic::AtomicU64,
    key_full: std::sync::atomic::AtomicU64,
}

impl ForgottenBindings {
    /// These too.
    pub fn add(&self, more: Forgotten) {
        self.bindings_full.fetch_add(more.bindings_full, Ordering::Relaxed);
        self.key_full.fetch_add(more.key_full, Ordering::Relaxed);
    }

    /// How many all of `shards` forgot.
    fn total(shards: &[Arc<Self>]) -> [(&'static str, u64); 2] {
        let sum = |count: fn(&Self) -> &std::sync::atomic::AtomicU64| {
            shards.iter().map(|shard| count(shard).load(Ordering::Relaxed)).sum()
        };
        let (bindings_full, key_full) = (sum(|it| &it.bindings_full), sum(|it| &it.key_full));
        [("bindings_full", bindings_full), ("key_full", key_full)]
    }
}

/// What every handler shares.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) sources: Arc<Sources>,
    pub(crate) searches: Arc<Semaphore>,
}

/// What a supervisor asks for, which has no credential.
const OPEN: &[&str] = &["/healthz", "/readyz"];

/// Answers those whom `gate` lets in, until `stop`.
///
/// # Errors
/// When the listener cannot be used.
pub async fn serve(
    listener: Listener,
    gate: Gate,
    sources: Arc<Sources>,
    stop: CancellationToken,
) -> Result<(), receive::Error> {
    let shared = Shared { sources, searches: Arc::new(Semaphore::new(SEARCHES_MAX)) };
    let (router, deny): (_, Deny) = (router(shared), problem::denied);
    let open: Open = |request| OPEN.contains(&request.uri().path());
    Entrance { gate, speaks: Speaks::Both, open, deny, router, stop }.serve(listener).await
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics::metrics))
        .route("/api/v1/search", get(search::search))
        .route("/api/v1/journeys/{id}", get(journeys::journey))
        .route("/api/v1/hops", get(hops::hops))
        .route("/api/v1/status", get(status::status))
        .route("/api/v1/reload", post(reload::reload))
        .route("/api/v1/openapi.json", get(openapi::openapi))
        .fallback(problem::unknown_path)
        .method_not_allowed_fallback(problem::wrong_method)
        .with_state(shared)
}

/// What the join holds, if there is one.
async fn held(sources: &Sources) -> Option<Held> {
    match &sources.ask {
        Some(ask) => Some(ask(Wanted::Nothing).await.held),
        None => None,
    }
}

/// Asks the histograms. A thread that died while it held them left them whole enough to read.
fn with_hops<T>(hops: &Mutex<measure::Hops>, ask: impl FnOnce(&measure::Hops) -> T) -> T {
    ask(&hops.lock().unwrap_or_else(PoisonError::into_inner))
}

/// For someone who opens the address in a browser.
async fn home() -> impl IntoResponse {
    "hopline\n\n\
     /api/v1/search?q=word&limit=50   journeys, newest first\n\
     /api/v1/journeys/{id}            one journey, by trace id or request id\n\
     /api/v1/hops                     latency and outcome of every hop\n\
     /api/v1/status                   ledger, cursors, bounds\n\
     /api/v1/reload                   POST: reads the settings again\n\
     /api/v1/openapi.json             the API in full\n\
     /metrics /healthz /readyz\n"
}

async fn ready(State(shared): State<Shared>) -> impl IntoResponse {
    if shared.sources.ready.load(Ordering::Acquire) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

#[expect(clippy::disallowed_methods, reason = "the API's edge: `15m` is relative to now")]
pub(crate) fn now() -> Nanos {
    Nanos::from(std::time::SystemTime::now())
}
