//! What has been told and not been sent: held until it has happened, then sent in batches.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

use super::cast::{Cast, Layer, Witness};
use super::shop::Seen;
use crate::evidence::Nanos;

/// How much evidence is held at most, before the next request adds its own.
pub const BACKLOG_MAX: usize = 50_000;

/// Evidence by the time at which it is complete.
#[derive(Debug)]
pub(crate) struct Backlog {
    capacity: usize,
    added: u64,
    held: BTreeMap<(Nanos, u64), Seen>,
}

impl Backlog {
    /// It is full once it holds `capacity`; what one request adds then still fits.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, added: 0, held: BTreeMap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.held.len() >= self.capacity
    }

    pub(crate) fn add(&mut self, seen: Vec<Seen>) {
        for it in seen {
            self.held.insert((it.at, self.added), it);
            self.added += 1;
        }
    }

    /// Takes the oldest that is complete by `now`.
    pub(crate) fn next(&mut self, now: Nanos) -> Option<Seen> {
        let first = self.held.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

/// One request with these spans, by who saw them.
pub(crate) fn traces(cast: &Cast, spans: Vec<(Witness, Span)>) -> ExportTraceServiceRequest {
    let resource_spans = by_witness(spans).into_iter().map(|(by, spans)| ResourceSpans {
        resource: Some(cast.resource(by)),
        scope_spans: vec![ScopeSpans {
            scope: Some(scope(match by.layer {
                Layer::Application => "shop",
                Layer::Proxy => "envoy",
            })),
            spans,
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    });
    ExportTraceServiceRequest { resource_spans: resource_spans.collect() }
}

/// One request with these records, by who wrote them. A proxy's access log has no scope.
pub(crate) fn logs(cast: &Cast, records: Vec<(Witness, LogRecord)>) -> ExportLogsServiceRequest {
    let resource_logs = by_witness(records).into_iter().map(|(by, log_records)| ResourceLogs {
        resource: Some(cast.resource(by)),
        scope_logs: vec![ScopeLogs {
            scope: (by.layer == Layer::Application).then(|| scope("shop")),
            log_records,
            ..ScopeLogs::default()
        }],
        ..ResourceLogs::default()
    });
    ExportLogsServiceRequest { resource_logs: resource_logs.collect() }
}

fn by_witness<T>(items: Vec<(Witness, T)>) -> BTreeMap<Witness, Vec<T>> {
    let mut grouped = BTreeMap::<_, Vec<T>>::new();
    for (by, item) in items {
        grouped.entry(by).or_default().push(item);
    }
    grouped
}

fn scope(name: &str) -> InstrumentationScope {
    InstrumentationScope { name: name.to_owned(), ..InstrumentationScope::default() }
}
