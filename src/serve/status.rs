//! `GET /api/v1/status`

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::doors::{DoorPart, door};
use super::problem::Problem;
use super::vitals::{ConnectionsPart, InflightPart, MemoryPart, SourcePart};
use super::{ForgottenBindings, Shared, Sources, now, vitals};
use crate::evidence::Signal;
use crate::export;
use crate::join::Held;
use crate::ledger::{Account, Ledger};

/// The state of the gateway.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Status {
    version: &'static str,
    /// What an OK to a sender means: `wal`, `memory` or `e2e`.
    ack: &'static str,
    doors: Vec<DoorPart>,
    started_ns: u64,
    /// The gateway's clock, when it answered.
    now_ns: u64,
    ready: bool,
    sources: Vec<SourcePart>,
    connections: ConnectionsPart,
    inflight: InflightPart,
    memory: MemoryPart,
    ledger: LedgerPart,
    redacted: RedactedPart,
    log: LogPart,
    join: Option<JoinPart>,
    index: Option<IndexPart>,
    exports: Vec<ExportPart>,
    symbols: Use,
    hop_series: Use,
    /// Parts of records that were too long or too many, by kind.
    cut: BTreeMap<&'static str, u64>,
    /// Ids of the wrong length, taken out of records that stay.
    mended_ids: u64,
    /// What may be held in memory, by name.
    memory_bounds: BTreeMap<String, u64>,
}

/// Received = refused + repeated + admitted; per consumer
/// admitted + recovered + copied = done + passed + lost + held.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct LedgerPart {
    signals: Vec<SignalPart>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct SignalPart {
    signal: &'static str,
    received: u64,
    admitted: u64,
    /// In the log already: the same request was sent again.
    repeated: u64,
    refused: BTreeMap<&'static str, u64>,
    /// Zero whenever no request is on its way.
    imbalance: i64,
    consumers: Vec<ConsumerPart>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ConsumerPart {
    consumer: String,
    recovered: u64,
    /// In several journeys, counted once for each further one.
    copied: u64,
    done: u64,
    passed: u64,
    held: u64,
    lost: BTreeMap<&'static str, u64>,
    /// Zero whenever nothing moves.
    imbalance: i64,
}

/// What redaction hid and edits changed since the start.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct RedactedPart {
    /// Version of the settings that decide it, as each batch in the log has it.
    policy: String,
    by_key: u64,
    by_url: u64,
    by_form: u64,
    /// Attributes that edits added, changed or removed.
    edited: u64,
    /// Values that edits did not copy because they are too large.
    uncopied: u64,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct LogPart {
    start: u64,
    end: u64,
    bytes: u64,
    bytes_max: u64,
    segments: usize,
    /// When the oldest batch that can be read was received.
    oldest_ns: Option<u64>,
    /// Bytes of batches that wait for the disk.
    queued_bytes: u64,
    queued_bytes_max: u64,
    cursors: Vec<CursorPart>,
    corrupt_spans: u64,
    corrupt_bytes: u64,
    torn_bytes: u64,
    /// Segments given up because the disk failed on them.
    poisoned: u64,
    /// Whether the latest group could not be written.
    failing: bool,
    /// How close it is to refusing: low, soft or hard.
    pressure: &'static str,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct CursorPart {
    name: String,
    position: u64,
    lag_bytes: u64,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct JoinPart {
    open_journeys: usize,
    evidence: usize,
    waiting: usize,
    bindings: usize,
    /// Messages between shards that were lost, by subject.
    lost_mail: BTreeMap<&'static str, u64>,
    /// How many messages of one shard may wait for another.
    mail_max: usize,
    /// Bindings forgotten for want of room, by the bound that was reached.
    forgotten_bindings: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct IndexPart {
    buckets: usize,
    documents: u64,
    bytes: u64,
    oldest_start_ns: Option<u64>,
    newest_start_ns: Option<u64>,
    unreadable_buckets: u64,
    failed_reads: u64,
    texts_cut: u64,
    /// Why the index cannot be written; absent while it can.
    failing: Option<String>,
    /// Whether journeys that worked are kept out of it, because it is far behind.
    shedding: bool,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ExportPart {
    name: String,
    endpoint: String,
    up: bool,
    /// The first failure since it took something; absent while it is up.
    retrying_since_ns: Option<u64>,
    last_error: Option<String>,
    /// What it said of a request that it took all the same.
    last_warning: Option<String>,
    last_success_ns: Option<u64>,
    /// How much of the log it has not taken yet.
    lag_bytes: u64,
    /// How long ago the oldest evidence that is on its way to it was received.
    oldest_unsent_seconds: f64,
    sent_items: u64,
    sent_bytes: u64,
    requests: u64,
    retries: u64,
    warnings: u64,
}

/// How much of a bound is used.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Use {
    used: usize,
    max: usize,
    /// How often it was full.
    overflowed: u64,
}

/// Ledger, ack mode, cursors, bounds.
#[utoipa::path(get, path = "/api/v1/status", responses((status = 200, body = Status)))]
pub(crate) async fn status(State(shared): State<Shared>) -> Result<Json<Status>, Problem> {
    let held = super::held(&shared.sources).await;
    let sources = shared.sources;
    let made = tokio::task::spawn_blocking(move || gather(&sources, held.as_ref())).await;
    made.map(Json).map_err(|_| Problem::unavailable("the status could not be read"))
}

fn gather(sources: &Sources, held: Option<&Held>) -> Status {
    let hops = super::with_hops(&sources.hops, |hops| hops.status());
    let status = sources.log.status();
    Status {
        version: env!("CARGO_PKG_VERSION"),
        ack: sources.ack,
        doors: sources.gates.iter().map(|(name, gate)| door(name, gate)).collect(),
        started_ns: sources.started.0,
        now_ns: now().0,
        ready: sources.ready.load(Ordering::Acquire),
        sources: vitals::sources(sources),
        connections: vitals::connections(sources),
        inflight: vitals::inflight(sources),
        memory: vitals::memory(sources),
        ledger: ledger(&sources.ledger),
        redacted: redacted(sources),
        log: log(&sources.log),
        join: held.map(|held| join(sources, held)),
        index: sources.index.as_ref().map(index),
        exports: sources.exports.load().iter().map(|it| export(it, &status)).collect(),
        symbols: Use {
            used: sources.symbols.len(),
            max: sources.symbols.capacity(),
            overflowed: sources.symbols.overflowed(),
        },
        hop_series: Use { used: hops.series, max: hops.series_max, overflowed: hops.folded },
        cut: sources.redacted.cuts().collect(),
        mended_ids: sources.redacted.mended.load(Ordering::Relaxed),
        memory_bounds: sources.bounds.iter().cloned().collect(),
    }
}

fn join(sources: &Sources, held: &Held) -> JoinPart {
    let Held { journeys: open_journeys, evidence, waiting, bindings, .. } = *held;
    let lost_mail = sources.unjoined.lost_mail.counts().collect();
    let mail_max = sources.unjoined.mail_max;
    let forgotten_bindings = ForgottenBindings::total(&sources.unjoined.forgotten).into();
    JoinPart { open_journeys, evidence, waiting, bindings, lost_mail, mail_max, forgotten_bindings }
}

fn ledger(ledger: &Ledger) -> LedgerPart {
    let accounts = ledger.accounts();
    let signals = Signal::ALL.into_iter().map(|signal| {
        let entrance = ledger.entrance(signal);
        let consumers = accounts.iter().map(|account| consumer(account, signal, entrance.admitted));
        SignalPart {
            signal: signal.name(),
            received: entrance.received,
            admitted: entrance.admitted,
            repeated: entrance.repeated,
            refused: entrance.refused.iter().map(|(why, count)| (why.name(), *count)).collect(),
            imbalance: ledger.imbalance(signal),
            consumers: consumers.collect(),
        }
    });
    LedgerPart { signals: signals.collect() }
}

fn consumer(account: &Account, signal: Signal, admitted: u64) -> ConsumerPart {
    let standing = account.standing(signal, admitted);
    ConsumerPart {
        consumer: account.consumer().to_owned(),
        recovered: standing.recovered,
        copied: standing.copied,
        done: standing.done,
        passed: standing.passed,
        held: standing.held,
        lost: standing.lost.iter().map(|(why, count)| (why.name(), *count)).collect(),
        imbalance: standing.imbalance(),
    }
}

fn redacted(sources: &Sources) -> RedactedPart {
    let redacted = &sources.redacted;
    RedactedPart {
        policy: format!("{:08x}", sources.policy.load().version()),
        by_key: redacted.by_key.load(Ordering::Relaxed),
        by_url: redacted.by_url.load(Ordering::Relaxed),
        by_form: redacted.by_form.load(Ordering::Relaxed),
        edited: redacted.edited.load(Ordering::Relaxed),
        uncopied: redacted.uncopied.load(Ordering::Relaxed),
    }
}

fn log(log: &crate::log::Log) -> LogPart {
    let status = log.status();
    let oldest = log.reader(status.start).try_next().ok().flatten();
    let cursor = |cursor: &crate::log::CursorStatus| CursorPart {
        name: cursor.name.clone(),
        position: cursor.position.0,
        lag_bytes: cursor.lag_bytes,
    };
    LogPart {
        start: status.start.0,
        end: status.end.0,
        bytes: status.bytes,
        bytes_max: status.bytes_max,
        segments: status.segments,
        oldest_ns: oldest.map(|batch| batch.head.received.0),
        queued_bytes: status.queued_bytes,
        queued_bytes_max: status.queued_bytes_max,
        cursors: status.cursors.iter().map(cursor).collect(),
        corrupt_spans: status.corrupt.spans,
        corrupt_bytes: status.corrupt.bytes,
        torn_bytes: status.corrupt.torn_bytes,
        poisoned: status.poisoned,
        failing: status.failing,
        pressure: status.pressure.name(),
    }
}

fn index(index: &crate::index::Current) -> IndexPart {
    let status = index.searcher().status();
    IndexPart {
        buckets: status.buckets,
        documents: status.docs,
        bytes: status.bytes,
        oldest_start_ns: status.oldest.map(|start| start.0),
        newest_start_ns: status.newest.map(|start| start.0),
        unreadable_buckets: status.unreadable,
        failed_reads: status.failed_reads,
        texts_cut: status.texts_cut,
        failing: index.failing(),
        shedding: index.shedding(),
    }
}

fn export(export: &super::Export, log: &crate::log::Status) -> ExportPart {
    let summary = export.health.summary();
    let consumer = export::consumer(&export.name);
    let cursor = log.cursors.iter().find(|cursor| cursor.name == consumer);
    ExportPart {
        name: export.name.clone(),
        endpoint: export.endpoint.clone(),
        up: summary.state == export::State::Up,
        retrying_since_ns: match summary.state {
            export::State::Up => None,
            export::State::Retrying { since } => Some(since.0),
        },
        last_error: summary.last_error,
        last_warning: summary.last_warning,
        last_success_ns: summary.last_success.map(|at| at.0),
        lag_bytes: cursor.map_or(0, |cursor| cursor.lag_bytes),
        oldest_unsent_seconds: summary.oldest.as_secs_f64(),
        sent_items: summary.items,
        sent_bytes: summary.bytes,
        requests: summary.requests,
        retries: summary.retries,
        warnings: summary.warnings,
    }
}
