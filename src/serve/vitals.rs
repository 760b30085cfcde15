//! What the gateway says of its doors and of its own process, in the status and in the metrics.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Sources;
use crate::evidence::Source;
use crate::ledger::Refusal;
use crate::measure::prometheus::{Kind, Page, Value};
use crate::receive::{Away, Gate};

/// One kind of door, since the start.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct SourcePart {
    source: &'static str,
    requests: u64,
    /// Spans, log records and points that could be counted.
    items: u64,
    /// Bytes of requests on the wire.
    wire_bytes: u64,
    /// Bytes of requests, inflated.
    bytes: u64,
    /// Items rejected within accepted requests.
    rejected: u64,
    /// Requests of a type or encoding that the door does not speak.
    unsupported: u64,
    /// Requests that were sent back, by reason.
    refused: BTreeMap<&'static str, u64>,
}

/// Connections to the doors and to the API.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ConnectionsPart {
    open: u64,
    /// Ended before a request, since the start; `doors` has the reasons.
    turned_away: u64,
}

/// Requests on their way into the log.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct InflightPart {
    bytes: u64,
    bytes_max: u64,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct MemoryPart {
    /// What the process holds, without the pages of files; 0 where the system does not say.
    resident_bytes: u64,
    max_bytes: u64,
    /// Whether the doors send everything back for it.
    refuses: bool,
}

pub(super) fn sources(sources: &Sources) -> Vec<SourcePart> {
    let part = |source: Source| {
        let tally = sources.doors.of(source);
        SourcePart {
            source: source.name(),
            requests: tally.requests(),
            items: sources.ledger.items_from(source),
            wire_bytes: tally.encoded_bytes(),
            bytes: tally.decoded_bytes(),
            rejected: tally.rejected(),
            unsupported: tally.unsupported(),
            refused: Refusal::ALL.map(|it| (it.name(), tally.refused(it))).into(),
        }
    };
    Source::ALL.map(part).into()
}

pub(super) fn connections(sources: &Sources) -> ConnectionsPart {
    let gates = || sources.gates.iter().map(|(_, gate)| gate);
    let away = |gate: &Gate| Away::ALL.map(|away| gate.away(away)).iter().sum::<u64>();
    ConnectionsPart { open: gates().map(Gate::open).sum(), turned_away: gates().map(away).sum() }
}

pub(super) fn inflight(sources: &Sources) -> InflightPart {
    let (bytes, bytes_max) = (sources.inflight)();
    InflightPart { bytes, bytes_max }
}

pub(super) fn memory(sources: &Sources) -> MemoryPart {
    let memory = sources.doors.memory();
    MemoryPart {
        resident_bytes: memory.resident_bytes(),
        max_bytes: memory.max_bytes(),
        refuses: memory.refuses(),
    }
}

/// Who this is, since when, and what the process holds.
pub(super) fn write(sources: &Sources, page: &mut Page<'_>) {
    let name = "hopline_info";
    page.family(name, Kind::Gauge, "Always 1: the version, and what an OK to a sender means.");
    page.sample(name, &[("version", env!("CARGO_PKG_VERSION")), ("ack", sources.ack)], 1_u64);
    let name = "hopline_start_time_seconds";
    page.family(name, Kind::Gauge, "When the gateway started, in seconds since 1970.");
    page.sample(name, &[], Value::Nanos(sources.started.0.into()));
    let name = "hopline_memory_resident_bytes";
    page.family(name, Kind::Gauge, "What the process holds, without the pages of files.");
    page.sample(name, &[], sources.doors.memory().resident_bytes());
    let name = "hopline_memory_max_bytes";
    page.family(name, Kind::Gauge, "What it may hold.");
    page.sample(name, &[], sources.doors.memory().max_bytes());
    let name = "hopline_memory_refuses";
    page.family(name, Kind::Gauge, "Whether the doors send everything back for it.");
    page.sample(name, &[], u64::from(sources.doors.memory().refuses()));
}

/// What came in at each kind of door beside its requests.
pub(super) fn write_doors(sources: &Sources, page: &mut Page<'_>) {
    let name = "hopline_door_items_total";
    page.family(name, Kind::Counter, "Spans, log records and points, by the door they came to.");
    for source in Source::ALL {
        page.sample(name, &[("source", source.name())], sources.ledger.items_from(source));
    }
    let (bytes, bytes_max) = (sources.inflight)();
    let name = "hopline_door_inflight_bytes";
    page.family(name, Kind::Gauge, "Bytes of requests on their way into the log.");
    page.sample(name, &[], bytes);
    let name = "hopline_door_inflight_bytes_max";
    page.family(name, Kind::Gauge, "The most of them before requests are refused as busy.");
    page.sample(name, &[], bytes_max);
}
