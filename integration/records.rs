//! One wrong record harms no other, and what is too long or too many is cut where it is.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use prost::Message;

use crate::support::gateway::Gateway;
use crate::support::http;
use crate::support::otlp::{attribute, logs, send_logs, send_traces, span, text, traces};
use crate::support::sink::Sink;

async fn with_sink(settings: &[&str]) -> (Sink, Gateway) {
    let sink = Sink::start().await;
    let export = format!("export.otlp.sink.endpoint={}", sink.endpoint);
    let settings: Vec<_> = settings.iter().copied().chain([export.as_str()]).collect();
    let gateway = Gateway::start(&settings).await;
    (sink, gateway)
}

async fn export(
    gateway: &Gateway,
    request: ExportTraceServiceRequest,
) -> Option<ExportTracePartialSuccess> {
    let mut client = TraceServiceClient::connect(gateway.grpc()).await.unwrap();
    client.export(request).await.unwrap().into_inner().partial_success
}

/// Spans that say who they are, of which only the second has valid ids.
fn spans() -> Vec<Span> {
    let named = |name: &str, span: Span| Span { name: name.to_owned(), ..span };
    vec![
        named("short", Span { trace_id: vec![7; 3], ..span(0x1, 1, 0, 2, 1) }),
        named("valid", span(0x1, 2, 0, 2, 1)),
        named("zeros", Span { span_id: vec![0; 8], ..span(0x1, 3, 0, 2, 1) }),
    ]
}

const WHY: &str = "2 spans rejected: trace_id must be 16 bytes that are not all zero (1), span_id \
                   must be 8 bytes that are not all zero (1); the first is number 1 of the request";

#[tokio::test]
async fn spans_without_valid_ids_are_rejected_and_the_others_arrive() {
    let (sink, gateway) = with_sink(&[]).await;
    let request = traces("cart", spans());
    let mut left = request.clone();
    left.resource_spans[0].scope_spans[0].spans.retain(|span| span.name == "valid");

    let partial = export(&gateway, request).await;

    let why = ExportTracePartialSuccess { rejected_spans: 2, error_message: WHY.to_owned() };
    assert_eq!(partial, Some(why));
    let status = gateway.settled().await;
    let traces = &status["ledger"]["signals"][0];
    assert_eq!(
        [&traces["received"], &traces["refused"]["invalid"], &traces["admitted"]],
        [3, 2, 1]
    );
    assert_eq!(sink.traces(), [left]);
}

#[tokio::test]
async fn a_request_of_wrong_spans_alone_is_no_error_and_leaves_nothing() {
    let gateway = Gateway::start(&[]).await;
    let span = r#"{"traceId":"00000000000000000000000000000000","spanId":"0102030405060708"}"#;
    let body = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#);

    let url = gateway.otlp_http("/v1/traces");
    let answer = http::post(&url, "application/json", body.into_bytes()).await.unwrap();

    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["partialSuccess"]["rejectedSpans"], "1");
    let status = gateway.settled().await;
    let traces = &status["ledger"]["signals"][0];
    assert_eq!([&traces["received"], &traces["admitted"], &traces["imbalance"]], [1, 0, 0]);
    assert_eq!(status["log"]["end"], status["log"]["start"]);
}

#[tokio::test]
async fn a_log_record_with_a_wrong_id_goes_on_without_it() {
    let (sink, gateway) = with_sink(&[]).await;
    let right = LogRecord { body: text("ocelot"), span_id: vec![2; 8], ..LogRecord::default() };
    let wrong = LogRecord { trace_id: vec![1; 3], ..right.clone() };

    send_logs(&gateway.grpc(), logs("cron", vec![wrong])).await.unwrap();

    let status = gateway.settled().await;
    assert_eq!(status["mended_ids"], 1);
    assert_eq!(sink.logs(), [right]);
}

#[tokio::test]
async fn what_is_past_a_cap_is_cut_marked_and_counted() {
    let caps = ["limit.attributes_max=2", "limit.value_bytes_max=64B", "limit.events_max=1"];
    let (sink, gateway) = with_sink(&caps).await;
    let plain = span(0x1, 1, 0, 2, 1);
    let long = attribute("note", &"x".repeat(65));
    let over = Span {
        attributes: vec![long, attribute("a", "1"), attribute("b", "2"), attribute("c", "3")],
        dropped_attributes_count: 5,
        ..plain.clone()
    };

    send_traces(&gateway.grpc(), traces("cart", vec![over])).await.unwrap();

    let cut = attribute("note", &format!("{}...[cut]", "x".repeat(56)));
    let want =
        Span { attributes: vec![cut, attribute("a", "1")], dropped_attributes_count: 7, ..plain };
    let status = gateway.settled().await;
    assert_eq!(sink.traces(), [traces("cart", vec![want])]);
    assert_eq!([&status["cut"]["attribute"], &status["cut"]["value"]], [2, 1]);
    let metrics = http::get(&gateway.api("/metrics")).await.unwrap().text;
    assert!(metrics.contains("hopline_cut_total{kind=\"attribute\"} 2"), "{metrics}");
}

/// A value in so many arrays.
fn nested(depth: usize) -> AnyValue {
    (0..depth).fold(text("deep").unwrap(), |value, _| array(vec![value]))
}

fn array(values: Vec<AnyValue>) -> AnyValue {
    AnyValue { value: Some(Value::ArrayValue(ArrayValue { values })) }
}

#[tokio::test]
async fn every_kind_of_cut_is_counted_whatever_it_is_cut_from() {
    let caps = ["attributes_max=1", "key_bytes_max=64B", "value_bytes_max=64B", "elements_max=1"];
    let caps = caps.into_iter().chain(["events_max=1", "links_max=1"]);
    let caps: Vec<_> = caps.map(|cap| format!("limit.{cap}")).collect();
    let gateway = Gateway::start(&caps.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let two = || vec![attribute("a", "1"), attribute("b", "2")];
    let over = Span {
        name: "n".repeat(65),
        attributes: vec![attribute(&"k".repeat(65), "1"), attribute("a", "1")],
        events: vec![Event::default(); 3],
        links: vec![Link::default(); 4],
        ..span(0x1, 1, 0, 2, 1)
    };
    let list = array(vec![text("a").unwrap(); 6]);
    let body = |value| LogRecord { body: Some(value), ..LogRecord::default() };
    let exemplars = vec![Exemplar { filtered_attributes: two(), ..Exemplar::default() }];
    let point = NumberDataPoint { attributes: two(), exemplars, ..NumberDataPoint::default() };
    let data = Some(Data::Gauge(Gauge { data_points: vec![point] }));
    let metrics = vec![Metric { data, ..Metric::default() }];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    let requests = [
        ("traces", traces("cart", vec![over]).encode_to_vec()),
        ("logs", logs("cart", vec![body(list), body(nested(66))]).encode_to_vec()),
        ("metrics", ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()),
    ];
    for (signal, request) in requests {
        let url = gateway.otlp_http(&format!("/v1/{signal}"));
        let answer = http::post(&url, "application/x-protobuf", request).await.unwrap();
        assert_eq!(answer.status, 200, "{signal}: {}", answer.text);
    }

    let metrics = http::get(&gateway.api("/metrics")).await.unwrap().text;

    let counts: Vec<_> =
        metrics.lines().filter_map(|line| line.strip_prefix("hopline_cut_total{kind=")).collect();
    let expected = [
        "\"attribute\"} 2",
        "\"key\"} 1",
        "\"value\"} 1",
        "\"element\"} 5",
        "\"event\"} 2",
        "\"link\"} 3",
        "\"depth\"} 1",
    ];
    assert_eq!(counts, expected);
}

/// The same in JSON, where an id is a text that may be no hex, or is no text.
#[tokio::test]
async fn an_id_that_is_none_in_json_costs_its_span_or_goes_by_itself() {
    let (sink, gateway) = with_sink(&[]).await;
    let (trace, span) = (r#""0102030405060708090a0b0c0d0e0f10""#, r#""0102030405060708""#);
    let right =
        format!(r#"{{"name":"right","traceId":{trace},"spanId":{span},"parentSpanId":[]}}"#);
    let odd = format!(r#"{{"traceId":"abc","spanId":{span}}}"#);
    let no_hex = format!(r#"{{"traceId":{trace},"spanId":"zzzzzzzzzzzzzzzz"}}"#);
    let no_text = format!(r#"{{"traceId":5,"spanId":{span}}}"#);
    let spans = format!("[{odd},{right},{no_hex},{no_text}]");
    let traces = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":{spans}}}]}}]}}"#);
    let record = format!(r#"{{"traceId":"no hex","spanId":{span},"severityText":"INFO"}}"#);
    let logs = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{record}]}}]}}]}}"#);

    let post = async |signal: &str, body: String| {
        let url = gateway.otlp_http(&format!("/v1/{signal}"));
        http::post(&url, "application/json", body.into_bytes()).await.unwrap()
    };
    let (traces, logs) = (post("traces", traces).await, post("logs", logs).await);

    let why = WHY.replace("2 spans", "3 spans").replacen("(1)", "(2)", 1);
    let partial = serde_json::json!({ "rejectedSpans": "3", "errorMessage": why });
    assert_eq!((traces.status, &traces.json()["partialSuccess"]), (200, &partial));
    assert_eq!((logs.status, logs.json()), (200, serde_json::json!({})));
    let status = gateway.settled().await;
    assert_eq!(status["mended_ids"], 2);
    let ids: Vec<_> =
        sink.spans().into_iter().map(|span| (span.name, span.parent_span_id)).collect();
    assert_eq!(ids, [("right".to_owned(), Vec::new())]);
    let (record, span) = (&sink.logs()[0], vec![1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!((&record.trace_id, &record.span_id), (&Vec::new(), &span));
}

#[tokio::test]
async fn a_request_of_too_many_items_is_refused_for_good_rejected_ones_included() {
    let gateway = Gateway::start(&["receive.request_items_max=2"]).await;
    let url = gateway.otlp_http("/v1/traces");
    let body = traces("cart", spans()).encode_to_vec();

    let answer = http::post(&url, "application/x-protobuf", body).await.unwrap();

    assert_eq!(answer.status, 413);
    let status = gateway.settled().await;
    assert_eq!(status["ledger"]["signals"][0]["refused"]["too_large"], 3);
}
