//! Requests for the gateway, and a client that sends them.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tonic::Status;

pub(crate) fn text(value: &str) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) })
}

pub(crate) fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: text(value), ..KeyValue::default() }
}

fn resource(service: &str) -> Option<Resource> {
    let attributes = vec![attribute("service.name", service)];
    Some(Resource { attributes, ..Resource::default() })
}

pub(crate) fn traces(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource = resource(service);
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }
}

pub(crate) fn logs(service: &str, log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource = resource(service);
    let resource_logs = vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }
}

/// A span of kind `kind` (2 server, 3 client) that lasts `ms` milliseconds from now.
pub(crate) fn span(trace: u128, id: u64, parent: u64, kind: i32, ms: u64) -> Span {
    let start = now();
    let parent_span_id = if parent == 0 { Vec::new() } else { parent.to_be_bytes().to_vec() };
    Span {
        trace_id: trace.to_be_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id,
        kind,
        name: "work".to_owned(),
        start_time_unix_nano: start,
        end_time_unix_nano: start + ms * 1_000_000,
        ..Span::default()
    }
}

pub(crate) fn now() -> u64 {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    u64::try_from(now.as_nanos()).unwrap()
}

pub(crate) async fn send_traces(
    endpoint: &str,
    request: ExportTraceServiceRequest,
) -> Result<(), Status> {
    let client = TraceServiceClient::connect(endpoint.to_owned()).await;
    let mut client = client.map_err(|error| Status::unavailable(error.to_string()))?;
    client.export(request).await.map(drop)
}

pub(crate) async fn send_logs(
    endpoint: &str,
    request: ExportLogsServiceRequest,
) -> Result<(), Status> {
    let client = LogsServiceClient::connect(endpoint.to_owned()).await;
    let mut client = client.map_err(|error| Status::unavailable(error.to_string()))?;
    client.export(request).await.map(drop)
}
