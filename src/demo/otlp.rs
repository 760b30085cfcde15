//! Short ways to write OTLP messages.

use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use crate::evidence::Nanos;

/// The parent was in another process: has-is-remote and is-remote, and sampled.
const FLAGS_REMOTE: u32 = 0x301;
/// The parent was in this process, and sampled.
const FLAGS_LOCAL: u32 = 0x101;

/// Where a span stands in its trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stand {
    pub(crate) trace: [u8; 16],
    pub(crate) span: [u8; 8],
    pub(crate) parent: Option<[u8; 8]>,
}

pub(crate) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    pair(key, Value::StringValue(value.into()))
}

pub(crate) fn number(key: &str, value: impl Into<i64>) -> KeyValue {
    pair(key, Value::IntValue(value.into()))
}

/// A list of one text, which is how the conventions write a header.
pub(crate) fn header(key: &str, value: &str) -> KeyValue {
    pair(key, Value::ArrayValue(ArrayValue { values: vec![body(value)] }))
}

pub(crate) fn body(text: impl Into<String>) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.into())) }
}

/// A span without attributes.
pub(crate) fn span(stand: Stand, name: String, kind: SpanKind, over: (Nanos, Nanos)) -> Span {
    let remote = matches!(kind, SpanKind::Server | SpanKind::Consumer) && stand.parent.is_some();
    Span {
        trace_id: stand.trace.to_vec(),
        span_id: stand.span.to_vec(),
        parent_span_id: stand.parent.map(|id| id.to_vec()).unwrap_or_default(),
        flags: if remote { FLAGS_REMOTE } else { FLAGS_LOCAL },
        name,
        kind: kind.into(),
        start_time_unix_nano: over.0.0,
        end_time_unix_nano: over.1.0,
        ..Span::default()
    }
}

pub(crate) fn failed(message: &str) -> Option<Status> {
    Some(Status { message: message.to_owned(), code: StatusCode::Error.into() })
}

/// Whole milliseconds, as proxies write durations.
pub(crate) fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}
