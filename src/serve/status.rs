//! `GET /api/v1/status`

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::problem::Problem;
use super::{Found, Shared, Sources, Wanted};
use crate::evidence::Signal;
use crate::export;
use crate::ledger::{Account, Ledger};

/// The state of the gateway.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Status {
    version: &'static str,
    /// What an OK to a sender means: `wal` or `memory`.
    ack: &'static str,
    ledger: LedgerPart,
    log: LogPart,
    join: JoinPart,
    index: Option<IndexPart>,
    exports: Vec<ExportPart>,
    symbols: Use,
    hop_series: Use,
    /// What may be held in memory, by name.
    memory_bounds: BTreeMap<String, u64>,
}

/// Received = refused + admitted; per consumer
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

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct LogPart {
    start: u64,
    end: u64,
    bytes: u64,
    bytes_max: u64,
    segments: usize,
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
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ExportPart {
    name: String,
    endpoint: String,
    up: bool,
    last_error: Option<String>,
    sent_items: u64,
    sent_bytes: u64,
    retries: u64,
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
    let found = (shared.sources.ask)(Wanted::Nothing).await;
    let sources = shared.sources;
    let made = tokio::task::spawn_blocking(move || gather(&sources, &found)).await;
    made.map(Json).map_err(|_| Problem::unavailable("the status could not be read"))
}

fn gather(sources: &Sources, found: &Found) -> Status {
    let hops = super::with_hops(&sources.hops, |hops| hops.status());
    Status {
        version: env!("CARGO_PKG_VERSION"),
        ack: sources.log.status().ack.name(),
        ledger: ledger(&sources.ledger),
        log: log(&sources.log.status()),
        join: JoinPart {
            open_journeys: found.held.journeys,
            evidence: found.held.evidence,
            waiting: found.held.waiting,
            bindings: found.held.bindings,
        },
        index: sources.index.as_ref().map(index),
        exports: sources.exports.iter().map(export).collect(),
        symbols: Use {
            used: sources.symbols.len(),
            max: sources.symbols.capacity(),
            overflowed: sources.symbols.overflowed(),
        },
        hop_series: Use { used: hops.series, max: hops.series_max, overflowed: hops.folded },
        memory_bounds: sources.bounds.iter().cloned().collect(),
    }
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

fn log(status: &crate::log::Status) -> LogPart {
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
    }
}

fn export(export: &super::Export) -> ExportPart {
    let summary = export.health.summary();
    ExportPart {
        name: export.name.clone(),
        endpoint: export.endpoint.clone(),
        up: summary.state == export::State::Up,
        last_error: summary.last_error,
        sent_items: summary.items,
        sent_bytes: summary.bytes,
        retries: summary.retries,
    }
}
