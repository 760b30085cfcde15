//! What the gateway says of its doors and of its own process, in the status and in the metrics.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Sources;
use crate::evidence::Source;
use crate::ledger::Refusal;
use crate::measure::prometheus::{Kind, Page, Value};

const PROCESS: &str = "/proc/self/status";

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

/// Connections to the doors for OTLP.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ConnectionsPart {
    open: u64,
    /// Closed at once because `receive.connections_max` were open, since the start.
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
    ConnectionsPart {
        open: sources.doors.connections_open(),
        turned_away: sources.doors.connections_turned_away(),
    }
}

pub(super) fn inflight(sources: &Sources) -> InflightPart {
    let (bytes, bytes_max) = (sources.inflight)();
    InflightPart { bytes, bytes_max }
}

pub(super) fn memory(sources: &Sources) -> MemoryPart {
    MemoryPart { resident_bytes: resident_bytes(), max_bytes: sources.memory_max }
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
    page.sample(name, &[], resident_bytes());
    let name = "hopline_memory_max_bytes";
    page.family(name, Kind::Gauge, "What it may hold.");
    page.sample(name, &[], sources.memory_max);
}

/// What came in at each kind of door beside its requests.
pub(super) fn write_doors(sources: &Sources, page: &mut Page<'_>) {
    let name = "hopline_door_items_total";
    page.family(name, Kind::Counter, "Spans, log records and points, by the door they came to.");
    for source in Source::ALL {
        page.sample(name, &[("source", source.name())], sources.ledger.items_from(source));
    }
    let name = "hopline_door_turned_away_total";
    page.family(name, Kind::Counter, "Connections closed at once: as many as may be were open.");
    page.sample(name, &[], sources.doors.connections_turned_away());
    let (bytes, bytes_max) = (sources.inflight)();
    let name = "hopline_door_inflight_bytes";
    page.family(name, Kind::Gauge, "Bytes of requests on their way into the log.");
    page.sample(name, &[], bytes);
    let name = "hopline_door_inflight_bytes_max";
    page.family(name, Kind::Gauge, "The most of them before requests are refused as busy.");
    page.sample(name, &[], bytes_max);
}

fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string(PROCESS).unwrap_or_default();
    anonymous_bytes(&text).unwrap_or(0)
}

/// The pages of files are left out: those of the index are there because there is room, and go
/// when there is none.
fn anonymous_bytes(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_of_files_do_not_count_as_held() {
        let text = "VmRSS:\t    5000 kB\nRssAnon:\t    1234 kB\nRssFile:\t    3766 kB\n";
        assert_eq!(anonymous_bytes(text), Some(1234 * 1024));
    }

    #[test]
    fn what_the_system_does_not_say_is_unknown() {
        for text in ["", "RssAnon:", "RssAnon: many kB", "RssAnon: 99999999999999999999 kB"] {
            assert_eq!(anonymous_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn this_process_holds_some_memory() {
        assert!(resident_bytes() > 100_000);
    }
}
