//! Requests of a realistic shape.

#![expect(clippy::indexing_slicing, reason = "a benchmark may panic")]

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

/// Spans of one trace: a chain of five services, each called by the one before it, and a last call
/// to what is not observed.
const DEPTH: usize = 10;
const RESOURCES: usize = 5;
/// Requests with consecutive seeds begin so far apart.
pub(crate) const STEP_NS: u64 = 100_000_000;
pub(crate) const START_NS: u64 = 1_790_000_000_000_000_000;

pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

pub(crate) fn number(key: &str, value: i64) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::IntValue(value)) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// `spans` spans in five resources, twelve attributes each, about 600 bytes a span.
/// Traces have ten spans: each is the child of the one before, server and client in turn.
pub(crate) fn traces(spans: usize, seed: u64) -> ExportTraceServiceRequest {
    let mut random = fastrand::Rng::with_seed(seed);
    let start = START_NS + seed * STEP_NS;
    let ids: Vec<(u128, u64)> = (0..spans).map(|_| (random.u128(..), random.u64(..))).collect();
    let resource_spans = (0..RESOURCES).map(|resource| {
        let own = (0..spans).filter(|at| at % DEPTH / 2 == resource);
        let spans = own.map(|at| span(&ids, at, start, &mut random)).collect();
        ResourceSpans {
            resource: Some(service(resource)),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: "io.opentelemetry.http".to_owned(),
                    ..InstrumentationScope::default()
                }),
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }
    });
    ExportTraceServiceRequest { resource_spans: resource_spans.collect() }
}

fn service(number: usize) -> Resource {
    let attributes = vec![
        text("service.name", &format!("service-{number}")),
        text("service.version", "1.4.2"),
        text("k8s.namespace.name", "shop"),
        text("k8s.pod.name", &format!("service-{number}-7d9c5b6f4-x2x{number}")),
        text("k8s.node.name", &format!("node-{}", number % 3)),
        text("telemetry.sdk.language", "java"),
    ];
    Resource { attributes, ..Resource::default() }
}

fn span(ids: &[(u128, u64)], at: usize, start: u64, random: &mut fastrand::Rng) -> Span {
    let root = at / DEPTH * DEPTH;
    let depth = (at - root) as u64;
    let parent = if at == root { Vec::new() } else { ids[at - 1].1.to_be_bytes().to_vec() };
    let start = start + depth * 500_000 + random.u64(0..500_000);
    let took = (DEPTH as u64 - depth) * 2_000_000 + random.u64(0..1_000_000);
    Span {
        trace_id: ids[root].0.to_be_bytes().to_vec(),
        span_id: ids[at].1.to_be_bytes().to_vec(),
        parent_span_id: parent,
        name: "GET /api/orders/{id}".to_owned(),
        kind: if depth.is_multiple_of(2) { 2 } else { 3 },
        start_time_unix_nano: start,
        end_time_unix_nano: start + took,
        attributes: vec![
            text("http.request.method", "GET"),
            number("http.response.status_code", 200),
            text("http.route", "/api/orders/{id}"),
            text("url.path", &format!("/api/orders/{}", random.u32(..))),
            text("url.scheme", "https"),
            text("server.address", "orders.shop.svc.cluster.local"),
            number("server.port", 8080),
            text("network.peer.address", "10.0.12.34"),
            number("network.peer.port", i64::from(random.u16(32_768..))),
            text("user_agent.original", "okhttp/4.12.0"),
            text("thread.name", "http-nio-8080-exec-7"),
            text("app.tenant", "tenant-4711"),
        ],
        ..Span::default()
    }
}
