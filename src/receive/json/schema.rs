//! The names of OTLP's fields. Their numbers are those of [`crate::wire::role`].

use opentelemetry_proto::tonic::logs::v1::SeverityNumber;
use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use crate::wire::Message;

/// A field of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) repeated: bool,
}

/// The number of an enum's name.
pub(super) type ByName = fn(&str) -> Option<i32>;

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Message(Message),
    Text,
    Id,
    Bytes,
    Bool,
    Int32,
    Int64,
    Uint32,
    Uint64,
    /// `sint32`.
    Zigzag,
    Enum(ByName),
    Fixed32,
    Fixed64,
    Signed64,
    Double,
}

impl Kind {
    pub(super) fn wire_type(self) -> u32 {
        match self {
            Self::Message(_) | Self::Text | Self::Id | Self::Bytes => 2,
            Self::Bool | Self::Int32 | Self::Int64 | Self::Uint32 | Self::Uint64 => 0,
            Self::Zigzag | Self::Enum(_) => 0,
            Self::Fixed32 => 5,
            Self::Fixed64 | Self::Signed64 | Self::Double => 1,
        }
    }

    /// Numbers in lists share one tag.
    pub(super) fn is_packed(self) -> bool {
        self.wire_type() != 2
    }
}

/// The field that `name` means in `message`, in camelCase or snake_case.
pub(super) fn field(message: Message, name: &str) -> Option<Field> {
    if !name.contains('_') {
        return lookup(message, name);
    }
    // The longest name has 24 letters: a long unknown one is not worth a copy.
    (name.len() <= 48).then(|| lookup(message, &camel_case(name))).flatten()
}

fn camel_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut upper = false;
    for letter in name.chars() {
        match letter {
            '_' => {}
            _ if upper => out.push(letter.to_ascii_uppercase()),
            _ => out.push(letter),
        }
        upper = letter == '_';
    }
    out
}

fn one(number: u32, kind: Kind) -> Option<Field> {
    Some(Field { number, kind, repeated: false })
}

fn many(number: u32, kind: Kind) -> Option<Field> {
    Some(Field { number, kind, repeated: true })
}

fn lookup(message: Message, name: &str) -> Option<Field> {
    match message {
        Message::TracesRequest
        | Message::LogsRequest
        | Message::MetricsRequest
        | Message::ResourceSpans
        | Message::ResourceLogs
        | Message::ResourceMetrics
        | Message::ScopeSpans
        | Message::ScopeLogs
        | Message::ScopeMetrics => envelope(message, name),
        Message::Resource | Message::EntityRef | Message::Scope => origin(message, name),
        Message::Span | Message::Event | Message::Link | Message::Status => span(message, name),
        Message::LogRecord => log_record(name),
        Message::Metric => metric(name),
        Message::Gauge
        | Message::Sum
        | Message::Histogram
        | Message::ExponentialHistogram
        | Message::Summary => points(message, name),
        Message::NumberPoint | Message::Exemplar => number(message, name),
        Message::HistogramPoint => histogram(name),
        Message::ExponentialPoint | Message::Buckets => exponential(message, name),
        Message::SummaryPoint | Message::Quantile => summary(message, name),
        Message::KeyValue | Message::AnyValue | Message::Array | Message::List => {
            value(message, name)
        }
    }
}

fn envelope(message: Message, name: &str) -> Option<Field> {
    match (message, name) {
        (Message::TracesRequest, "resourceSpans") => many(1, Kind::Message(Message::ResourceSpans)),
        (Message::LogsRequest, "resourceLogs") => many(1, Kind::Message(Message::ResourceLogs)),
        (Message::MetricsRequest, "resourceMetrics") => {
            many(1, Kind::Message(Message::ResourceMetrics))
        }
        (Message::ResourceSpans, "scopeSpans") => many(2, Kind::Message(Message::ScopeSpans)),
        (Message::ResourceLogs, "scopeLogs") => many(2, Kind::Message(Message::ScopeLogs)),
        (Message::ResourceMetrics, "scopeMetrics") => many(2, Kind::Message(Message::ScopeMetrics)),
        (Message::ScopeSpans, "spans") => many(2, Kind::Message(Message::Span)),
        (Message::ScopeLogs, "logRecords") => many(2, Kind::Message(Message::LogRecord)),
        (Message::ScopeMetrics, "metrics") => many(2, Kind::Message(Message::Metric)),
        (Message::TracesRequest | Message::LogsRequest | Message::MetricsRequest, _) => None,
        (Message::ScopeSpans | Message::ScopeLogs | Message::ScopeMetrics, "scope") => {
            one(1, Kind::Message(Message::Scope))
        }
        (Message::ResourceSpans | Message::ResourceLogs | Message::ResourceMetrics, "resource") => {
            one(1, Kind::Message(Message::Resource))
        }
        (_, "schemaUrl") => one(3, Kind::Text),
        _ => None,
    }
}

fn origin(message: Message, name: &str) -> Option<Field> {
    match (message, name) {
        (Message::Resource, "attributes") => many(1, Kind::Message(Message::KeyValue)),
        (Message::Resource, "droppedAttributesCount") => one(2, Kind::Uint32),
        (Message::Resource, "entityRefs") => many(3, Kind::Message(Message::EntityRef)),
        (Message::EntityRef, "schemaUrl") => one(1, Kind::Text),
        (Message::EntityRef, "type") => one(2, Kind::Text),
        (Message::EntityRef, "idKeys") => many(3, Kind::Text),
        (Message::EntityRef, "descriptionKeys") => many(4, Kind::Text),
        (Message::Scope, "name") => one(1, Kind::Text),
        (Message::Scope, "version") => one(2, Kind::Text),
        (Message::Scope, "attributes") => many(3, Kind::Message(Message::KeyValue)),
        (Message::Scope, "droppedAttributesCount") => one(4, Kind::Uint32),
        _ => None,
    }
}

fn span(message: Message, name: &str) -> Option<Field> {
    match (message, name) {
        (Message::Span | Message::Link, "traceId") => one(1, Kind::Id),
        (Message::Span | Message::Link, "spanId") => one(2, Kind::Id),
        (Message::Span | Message::Link, "traceState") => one(3, Kind::Text),
        (Message::Span, "parentSpanId") => one(4, Kind::Id),
        (Message::Span, "name") => one(5, Kind::Text),
        (Message::Span, "kind") => one(6, Kind::Enum(span_kind)),
        (Message::Span, "startTimeUnixNano") => one(7, Kind::Fixed64),
        (Message::Span, "endTimeUnixNano") => one(8, Kind::Fixed64),
        (Message::Span, "attributes") => many(9, Kind::Message(Message::KeyValue)),
        (Message::Span, "droppedAttributesCount") => one(10, Kind::Uint32),
        (Message::Span, "events") => many(11, Kind::Message(Message::Event)),
        (Message::Span, "droppedEventsCount") => one(12, Kind::Uint32),
        (Message::Span, "links") => many(13, Kind::Message(Message::Link)),
        (Message::Span, "droppedLinksCount") => one(14, Kind::Uint32),
        (Message::Span, "status") => one(15, Kind::Message(Message::Status)),
        (Message::Span, "flags") => one(16, Kind::Fixed32),
        (Message::Event, "timeUnixNano") => one(1, Kind::Fixed64),
        (Message::Event, "name") => one(2, Kind::Text),
        (Message::Event, "attributes") => many(3, Kind::Message(Message::KeyValue)),
        (Message::Event, "droppedAttributesCount") => one(4, Kind::Uint32),
        (Message::Link, "attributes") => many(4, Kind::Message(Message::KeyValue)),
        (Message::Link, "droppedAttributesCount") => one(5, Kind::Uint32),
        (Message::Link, "flags") => one(6, Kind::Fixed32),
        (Message::Status, "message") => one(2, Kind::Text),
        (Message::Status, "code") => one(3, Kind::Enum(status_code)),
        _ => None,
    }
}

fn log_record(name: &str) -> Option<Field> {
    match name {
        "timeUnixNano" => one(1, Kind::Fixed64),
        "observedTimeUnixNano" => one(11, Kind::Fixed64),
        "severityNumber" => one(2, Kind::Enum(severity)),
        "severityText" => one(3, Kind::Text),
        "body" => one(5, Kind::Message(Message::AnyValue)),
        "attributes" => many(6, Kind::Message(Message::KeyValue)),
        "droppedAttributesCount" => one(7, Kind::Uint32),
        "flags" => one(8, Kind::Fixed32),
        "traceId" => one(9, Kind::Id),
        "spanId" => one(10, Kind::Id),
        "eventName" => one(12, Kind::Text),
        _ => None,
    }
}

fn metric(name: &str) -> Option<Field> {
    match name {
        "name" => one(1, Kind::Text),
        "description" => one(2, Kind::Text),
        "unit" => one(3, Kind::Text),
        "gauge" => one(5, Kind::Message(Message::Gauge)),
        "sum" => one(7, Kind::Message(Message::Sum)),
        "histogram" => one(9, Kind::Message(Message::Histogram)),
        "exponentialHistogram" => one(10, Kind::Message(Message::ExponentialHistogram)),
        "summary" => one(11, Kind::Message(Message::Summary)),
        "metadata" => many(12, Kind::Message(Message::KeyValue)),
        _ => None,
    }
}

fn points(message: Message, name: &str) -> Option<Field> {
    match (message, name) {
        (Message::Gauge | Message::Sum, "dataPoints") => {
            many(1, Kind::Message(Message::NumberPoint))
        }
        (Message::Histogram, "dataPoints") => many(1, Kind::Message(Message::HistogramPoint)),
        (Message::ExponentialHistogram, "dataPoints") => {
            many(1, Kind::Message(Message::ExponentialPoint))
        }
        (Message::Summary, "dataPoints") => many(1, Kind::Message(Message::SummaryPoint)),
        (
            Message::Sum | Message::Histogram | Message::ExponentialHistogram,
            "aggregationTemporality",
        ) => one(2, Kind::Enum(temporality)),
        (Message::Sum, "isMonotonic") => one(3, Kind::Bool),
        _ => None,
    }
}

fn number(message: Message, name: &str) -> Option<Field> {
    match (message, name) {
        (Message::NumberPoint, "startTimeUnixNano") => one(2, Kind::Fixed64),
        (Message::NumberPoint, "timeUnixNano") => one(3, Kind::Fixed64),
        (Message::NumberPoint, "asDouble") => one(4, Kind::Double),
        (Message::NumberPoint, "exemplars") => many(5, Kind::Message(Message::Exemplar)),
        (Message::NumberPoint, "asInt") => one(6, Kind::Signed64),
        (Message::NumberPoint, "attributes") => many(7, Kind::Message(Message::KeyValue)),
        (Message::NumberPoint, "flags") => one(8, Kind::Uint32),
        (Message::Exemplar, "timeUnixNano") => one(2, Kind::Fixed64),
        (Message::Exemplar, "asDouble") => one(3, Kind::Double),
        (Message::Exemplar, "spanId") => one(4, Kind::Id),
        (Message::Exemplar, "traceId") => one(5, Kind::Id),
        (Message::Exemplar, "asInt") => one(6, Kind::Signed64),
        (Message::Exemplar, "filteredAttributes") => many(7, Kind::Message(Message::KeyValue)),
        _ => None,
    }
}

fn histogram(name: &str) -> Option<Field> {
    match name {
        "startTimeUnixNano" => one(2, Kind::Fixed64),
        "timeUnixNano" => one(3, Kind::Fixed64),
        "count" => one(4, Kind::Fixed64),
        "sum" => one(5, Kind::Double),
        "bucketCounts" => many(6, Kind::Fixed64),
        "explicitBounds" => many(7, Kind::Double),
        "exemplars" => many(8, Kind::Message(Message::Exemplar)),
        "attributes" => many(9, Kind::Message(Message::KeyValue)),
        "flags" => one(10, Kind::Uint32),
        "min" => one(11, Kind::Double),
        "max" => one(12, Kind::Double),
        _ => None,
    }
}

fn exponential(message: Message, name: &str) -> Option<Field> {
    match (message, name) {
        (Message::ExponentialPoint, "attributes") => many(1, Kind::Message(Message::KeyValue)),
        (Message::ExponentialPoint, "startTimeUnixNano") => one(2, Kind::Fixed64),
        (Message::ExponentialPoint, "timeUnixNano") => one(3, Kind::Fixed64),
        (Message::ExponentialPoint, "count") => one(4, Kind::Fixed64),
        (Message::ExponentialPoint, "sum") => one(5, Kind::Double),
        (Message::ExponentialPoint, "scale") => one(6, Kind::Zigzag),
        (Message::ExponentialPoint, "zeroCount") => one(7, Kind::Fixed64),
        (Message::ExponentialPoint, "positive") => one(8, Kind::Message(Message::Buckets)),
        (Message::ExponentialPoint, "negative") => one(9, Kind::Message(Message::Buckets)),
        (Message::ExponentialPoint, "flags") => one(10, Kind::Uint32),
        (Message::ExponentialPoint, "exemplars") => many(11, Kind::Message(Message::Exemplar)),
        (Message::ExponentialPoint, "min") => one(12, Kind::Double),
        (Message::ExponentialPoint, "max") => one(13, Kind::Double),
        (Message::ExponentialPoint, "zeroThreshold") => one(14, Kind::Double),
        (Message::Buckets, "offset") => one(1, Kind::Zigzag),
        (Message::Buckets, "bucketCounts") => many(2, Kind::Uint64),
        _ => None,
    }
}

fn summary(message: Message, name: &str) -> Option<Field> {
    match (message, name) {
        (Message::SummaryPoint, "startTimeUnixNano") => one(2, Kind::Fixed64),
        (Message::SummaryPoint, "timeUnixNano") => one(3, Kind::Fixed64),
        (Message::SummaryPoint, "count") => one(4, Kind::Fixed64),
        (Message::SummaryPoint, "sum") => one(5, Kind::Double),
        (Message::SummaryPoint, "quantileValues") => many(6, Kind::Message(Message::Quantile)),
        (Message::SummaryPoint, "attributes") => many(7, Kind::Message(Message::KeyValue)),
        (Message::SummaryPoint, "flags") => one(8, Kind::Uint32),
        (Message::Quantile, "quantile") => one(1, Kind::Double),
        (Message::Quantile, "value") => one(2, Kind::Double),
        _ => None,
    }
}

fn value(message: Message, name: &str) -> Option<Field> {
    match (message, name) {
        (Message::KeyValue, "key") => one(1, Kind::Text),
        (Message::KeyValue, "value") => one(2, Kind::Message(Message::AnyValue)),
        (Message::KeyValue, "keyStrindex") => one(3, Kind::Int32),
        (Message::AnyValue, "stringValue") => one(1, Kind::Text),
        (Message::AnyValue, "boolValue") => one(2, Kind::Bool),
        (Message::AnyValue, "intValue") => one(3, Kind::Int64),
        (Message::AnyValue, "doubleValue") => one(4, Kind::Double),
        (Message::AnyValue, "arrayValue") => one(5, Kind::Message(Message::Array)),
        (Message::AnyValue, "kvlistValue") => one(6, Kind::Message(Message::List)),
        (Message::AnyValue, "bytesValue") => one(7, Kind::Bytes),
        (Message::AnyValue, "stringValueStrindex") => one(8, Kind::Int32),
        (Message::Array, "values") => many(1, Kind::Message(Message::AnyValue)),
        (Message::List, "values") => many(1, Kind::Message(Message::KeyValue)),
        _ => None,
    }
}

fn severity(name: &str) -> Option<i32> {
    SeverityNumber::from_str_name(name).map(i32::from)
}

fn span_kind(name: &str) -> Option<i32> {
    SpanKind::from_str_name(name).map(i32::from)
}

fn status_code(name: &str) -> Option<i32> {
    StatusCode::from_str_name(name).map(i32::from)
}

fn temporality(name: &str) -> Option<i32> {
    AggregationTemporality::from_str_name(name).map(i32::from)
}
