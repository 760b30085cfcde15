use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, metric};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::evidence::{Kind, Method, Outcome};
use crate::wire::{arbitrary, item, write_varint};

fn text(value: &str) -> Value {
    Value::StringValue(value.to_owned())
}

fn pairs(list: &[(&str, &str)]) -> Vec<KeyValue> {
    list.iter().map(|(key, value)| pair(key, text(value))).collect()
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn traces(resource: &[(&str, &str)], span: Span) -> Vec<u8> {
    let resource = Some(Resource { attributes: pairs(resource), ..Resource::default() });
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn logs(record: LogRecord) -> Vec<u8> {
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn access(attributes: &[(&str, &str)]) -> Vec<u8> {
    logs(LogRecord { time_unix_nano: 5, attributes: pairs(attributes), ..LogRecord::default() })
}

fn all(signal: Signal, bytes: &[u8]) -> Vec<Observed<'_>> {
    let mut out = Vec::new();
    observe(signal, bytes, &mut |observed| out.push(*observed)).unwrap();
    out
}

fn one(signal: Signal, bytes: &[u8]) -> Observed<'_> {
    all(signal, bytes)[0]
}

fn server(attributes: Vec<KeyValue>) -> Span {
    Span { kind: 2, attributes, ..Span::default() }
}

#[test]
fn old_and_new_conventions_read_alike() {
    let new = [
        ("http.request.method", "POST"),
        ("http.response.status_code", "503"),
        ("url.path", "/pay"),
        ("http.request.header.x-request-id", "r-1"),
    ];
    let old = [
        ("http.method", "POST"),
        ("http.status_code", "503"),
        ("http.target", "/pay"),
        ("guid:x-request-id", "r-1"),
    ];
    let (new, old) = (traces(&[], server(pairs(&new))), traces(&[], server(pairs(&old))));

    // Lengths differ with the names, so offsets do.
    let same = |observed: Observed<'_>| format!("{:?}", Observed { offset: 0, ..observed });
    assert_eq!(same(one(Signal::Traces, &new)), same(one(Signal::Traces, &old)));
    let read = one(Signal::Traces, &old);
    assert_eq!((read.method, read.outcome), (Method::Post, Outcome::ServerError));
    assert_eq!((read.path, read.request_id), ("/pay", "r-1"));
}

#[test]
fn an_old_name_never_beats_a_new_one_in_either_order() {
    let both = [("http.method", "GET"), ("http.request.method", "PUT")];
    let turned = [both[1], both[0]];
    for attributes in [both, turned] {
        let bytes = traces(&[], server(pairs(&attributes)));
        assert_eq!(one(Signal::Traces, &bytes).method, Method::Put);
    }
}

#[test]
fn a_status_is_read_as_a_number_and_as_text() {
    let number = traces(&[], server(vec![pair("http.response.status_code", Value::IntValue(404))]));
    let text = traces(&[], server(pairs(&[("http.status_code", "404")])));
    assert_eq!(one(Signal::Traces, &number).status, 404);
    assert_eq!(one(Signal::Traces, &text).status, 404);
}

#[test]
fn a_header_is_read_from_the_array_that_the_convention_asks_for() {
    let values = vec![AnyValue { value: Some(text("r-7")) }];
    let header = pair("http.request.header.x-request-id", Value::ArrayValue(ArrayValue { values }));
    let bytes = traces(&[], server(vec![header]));
    assert_eq!(one(Signal::Traces, &bytes).request_id, "r-7");
}

#[test]
fn a_resource_places_its_spans_wherever_it_stands() {
    let resource = [
        ("service.name", "cart"),
        ("k8s.namespace.name", "shop"),
        ("k8s.deployment.name", "cart"),
        ("k8s.pod.name", "cart-1"),
        ("k8s.node.name", "n1"),
        ("cloud.availability_zone", "z1"),
        ("k8s.cluster.name", "c1"),
        ("service.version", "1.2"),
    ];
    let first = traces(&resource, Span::default());
    // The Collector writes the fields of a message last to first.
    let fields: Vec<_> = Fields::new(item(&first, 1).unwrap()).map(|it| it.unwrap()).collect();
    let content = item(&first, 1).unwrap();
    let turned: Vec<u8> =
        fields.iter().rev().flat_map(|it| content[it.start..it.end].to_vec()).collect();
    let mut last = vec![0x0a];
    write_varint(&mut last, turned.len() as u64);
    last.extend_from_slice(&turned);

    let want = Placement {
        service: "cart",
        namespace: "shop",
        workload: "cart",
        pod: "cart-1",
        node: "n1",
        zone: "z1",
        cluster: "c1",
        version: "1.2",
    };
    assert_eq!(one(Signal::Traces, &first).placement, want);
    assert_eq!(one(Signal::Traces, &last).placement, want);
}

#[test]
fn an_offset_leads_back_to_the_message() {
    let span = Span { name: "pay".to_owned(), span_id: vec![1; 8], ..Span::default() };
    let bytes = traces(&[("service.name", "cart")], span.clone());
    let offset = one(Signal::Traces, &bytes).offset;
    assert_eq!(Span::decode(item(&bytes, offset).unwrap()).unwrap(), span);
}

#[test]
fn a_failed_attempt_without_an_answer_was_dropped() {
    let attempt = [("http.status_code", "0"), ("error", "true"), ("response_flags", "UF")];
    let bytes = traces(&[], Span { kind: 3, attributes: pairs(&attempt), ..Span::default() });
    let observed = one(Signal::Traces, &bytes);
    assert_eq!((observed.outcome, observed.detail), (Outcome::Dropped, "UF"));
}

#[test]
fn a_span_with_an_error_status_failed() {
    let status = Some(Status { code: 2, message: String::new() });
    let bytes = traces(&[], Span { status, ..server(Vec::new()) });
    assert_eq!(one(Signal::Traces, &bytes).outcome, Outcome::ServerError);
}

#[test]
fn a_span_has_words_when_more_than_its_name_says_something() {
    let worded = |span: Span| one(Signal::Traces, &traces(&[], span)).worded;
    let named = server(pairs(&[("http.route", "/pay"), ("e", "1"), ("enduser.id", "7")]));
    let code = Status { code: 2, ..Status::default() };
    assert!(!worded(Span { status: Some(code), ..named.clone() }));
    let status = Status { message: "gave up".to_owned(), code: 2 };
    assert!(worded(Span { status: Some(status), ..named.clone() }));
    assert!(worded(Span { events: vec![Event::default()], ..named }));
    assert!(worded(server(pairs(&[("error.type", "timeout")]))));
    assert!(worded(server(pairs(&[("exception.message", "no"), ("http.route", "/pay")]))));
}

/// As Envoy 1.40's OTLP access logger writes it: every value a string, `-` for absent.
#[test]
fn an_access_log_entry_has_both_durations_both_connections_and_its_flags() {
    let bytes = access(&[
        ("response_code", "503"),
        ("response_flags", "URX,UF"),
        ("response_code_details", "upstream_reset_before_response_started{connection_timeout}"),
        ("duration", "251"),
        ("upstream_service_time", "-"),
        ("x-envoy-upstream-service-time", "250"),
        ("upstream_cluster", "outbound|8080|v1|pay.shop.svc.cluster.local"),
        ("upstream_host", "10.0.0.9:8080"),
        ("upstream_local_address", "10.0.0.1:40000"),
        ("downstream_remote_address", "10.0.0.7:51000"),
        ("downstream_local_address", "10.0.0.1:80"),
        ("request_id", "r-9"),
        ("path", "/pay/17"),
    ]);
    let observed = one(Signal::Logs, &bytes);
    assert_eq!(observed.kind, Kind::Access);
    assert_eq!((observed.status, observed.detail), (503, "URX,UF"));
    assert_eq!((observed.duration_ns, observed.upstream_us), (251_000_000, 250_000));
    assert!(observed.sockets.iter().all(Option::is_some));
    assert_eq!((observed.request_id, observed.path), ("r-9", "/pay/17"));
    assert_eq!(observed.peer, "outbound|8080|v1|pay.shop.svc.cluster.local");
}

#[test]
fn a_proxy_that_got_no_answer_dropped_the_request() {
    let bytes = access(&[("response_code", "0"), ("response_flags", "DC")]);
    assert_eq!(one(Signal::Logs, &bytes).outcome, Outcome::Dropped);
}

#[test]
fn a_broken_body_is_a_failure_although_the_status_is_200() {
    let bytes = access(&[("response_code", "200"), ("response_flags", "UPE")]);
    assert_eq!(one(Signal::Logs, &bytes).outcome, Outcome::ServerError);
}

#[test]
fn a_dropped_flow_has_its_reason_and_its_socket_pair() {
    let bytes = access(&[
        ("hopline.flow.verdict", "DROPPED"),
        ("hopline.flow.drop_reason", "POLICY_DENIED"),
        ("source.address", "10.0.0.1"),
        ("source.port", "40000"),
        ("destination.address", "10.0.0.2"),
        ("destination.port", "8080"),
        ("hopline.source.workload", "cart"),
        ("hopline.destination.workload", "catalog"),
    ]);
    let observed = one(Signal::Logs, &bytes);
    assert_eq!((observed.kind, observed.outcome), (Kind::Flow, Outcome::Dropped));
    assert_eq!((observed.detail, observed.peer), ("POLICY_DENIED", "catalog"));
    assert_eq!(observed.placement.service, "cart");
    assert!(observed.sockets[0].is_some());
}

#[test]
fn a_trace_id_in_an_attribute_counts_when_the_record_has_none() {
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    for value in [id.to_owned(), format!("00-{id}-00f067aa0ba902b7-01")] {
        let bytes = access(&[("trace_id", &value)]);
        assert_eq!(one(Signal::Logs, &bytes).trace.unwrap().to_string(), id);
    }
}

fn exemplars(request: &ExportMetricsServiceRequest) -> Vec<Exemplar> {
    let scopes = request.resource_metrics.iter().flat_map(|it| &it.scope_metrics);
    let data = scopes.flat_map(|it| &it.metrics).filter_map(|it| it.data.clone());
    data.flat_map(|data| match data {
        metric::Data::Gauge(it) => it.data_points.into_iter().flat_map(|it| it.exemplars).collect(),
        metric::Data::Sum(it) => it.data_points.into_iter().flat_map(|it| it.exemplars).collect(),
        metric::Data::Histogram(it) => {
            it.data_points.into_iter().flat_map(|it| it.exemplars).collect::<Vec<_>>()
        }
        metric::Data::ExponentialHistogram(it) => {
            it.data_points.into_iter().flat_map(|it| it.exemplars).collect()
        }
        metric::Data::Summary(_) => Vec::new(),
    })
    .collect()
}

proptest! {
    #[test]
    fn every_span_is_observed_with_its_own_ids_and_times(request in arbitrary::traces(&arbitrary::any_text())) {
        let bytes = request.encode_to_vec();
        let scopes = request.resource_spans.iter().flat_map(|it| &it.scope_spans);
        let spans: Vec<_> = scopes.flat_map(|it| &it.spans).collect();
        let observed = all(Signal::Traces, &bytes);
        prop_assert_eq!(observed.len(), spans.len());
        for (observed, span) in observed.iter().zip(spans) {
            prop_assert_eq!(observed.trace, crate::evidence::TraceId::from_slice(&span.trace_id));
            prop_assert_eq!(observed.span, crate::evidence::SpanId::from_slice(&span.span_id));
            prop_assert_eq!(observed.start.0, span.start_time_unix_nano);
            prop_assert_eq!(observed.name, &span.name);
            prop_assert_eq!(&Span::decode(item(&bytes, observed.offset).unwrap()).unwrap(), span);
        }
    }

    #[test]
    fn every_exemplar_with_a_trace_is_observed(request in arbitrary::metrics(&arbitrary::any_text())) {
        let bytes = request.encode_to_vec();
        let observed = all(Signal::Metrics, &bytes);
        for observed in &observed {
            let exemplar = Exemplar::decode(item(&bytes, observed.offset).unwrap()).unwrap();
            prop_assert_eq!(observed.trace, crate::evidence::TraceId::from_slice(&exemplar.trace_id));
        }
        let traced = |it: &&Exemplar| it.trace_id.len() == 16 && it.trace_id != [0; 16];
        prop_assert_eq!(observed.len(), exemplars(&request).iter().filter(traced).count());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for signal in Signal::ALL {
            let mut seen = 0;
            let result = observe(signal, &bytes, &mut |_| seen += 1);
            prop_assert!(result.is_ok() || seen < 300);
        }
    }
}
