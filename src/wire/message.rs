//! The shape of OTLP: which field of which message is what.

use crate::evidence::Signal;

/// How deep an `AnyValue` may nest; the limit of the OpenTelemetry specification.
pub const ANY_VALUE_DEPTH_MAX: usize = 64;

/// The messages of OTLP that hold strings, directly or further down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// `ExportTraceServiceRequest`.
    TracesRequest,
    /// `ExportLogsServiceRequest`.
    LogsRequest,
    /// `ExportMetricsServiceRequest`.
    MetricsRequest,
    /// `ResourceSpans`.
    ResourceSpans,
    /// `ResourceLogs`.
    ResourceLogs,
    /// `ResourceMetrics`.
    ResourceMetrics,
    /// `Resource`.
    Resource,
    /// `EntityRef`.
    EntityRef,
    /// `ScopeSpans`.
    ScopeSpans,
    /// `ScopeLogs`.
    ScopeLogs,
    /// `ScopeMetrics`.
    ScopeMetrics,
    /// `InstrumentationScope`.
    Scope,
    /// `Span`.
    Span,
    /// `Span.Event`.
    Event,
    /// `Span.Link`.
    Link,
    /// `Status`.
    Status,
    /// `LogRecord`.
    LogRecord,
    /// `Metric`.
    Metric,
    /// `Gauge`.
    Gauge,
    /// `Sum`.
    Sum,
    /// `Histogram`.
    Histogram,
    /// `ExponentialHistogram`.
    ExponentialHistogram,
    /// `Summary`.
    Summary,
    /// `NumberDataPoint`.
    NumberPoint,
    /// `HistogramDataPoint`.
    HistogramPoint,
    /// `ExponentialHistogramDataPoint`.
    ExponentialPoint,
    /// `ExponentialHistogramDataPoint.Buckets`.
    Buckets,
    /// `SummaryDataPoint`.
    SummaryPoint,
    /// `SummaryDataPoint.ValueAtQuantile`.
    Quantile,
    /// `Exemplar`.
    Exemplar,
    /// `KeyValue`.
    KeyValue,
    /// `AnyValue`.
    AnyValue,
    /// `ArrayValue`.
    Array,
    /// `KeyValueList`.
    List,
}

/// What a field is to a walker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A message to go into.
    Into(Message),
    /// A string.
    Text,
    /// Bytes that may hold anything: the `bytes_value` of an `AnyValue`.
    Blob,
    /// Bytes that are an id.
    Id,
    /// A varint.
    Varint,
    /// Eight bytes.
    Fixed64,
    /// Four bytes.
    Fixed32,
    /// Repeated varints, packed or one by one.
    Varints,
    /// Repeated eight-byte numbers, packed or one by one.
    Fixed64s,
    /// A field that this version does not know. It is passed on as it is.
    Unknown,
}

impl Message {
    /// Every message, in the order of the declaration.
    pub(crate) const ALL: [Self; 34] = [
        Self::TracesRequest,
        Self::LogsRequest,
        Self::MetricsRequest,
        Self::ResourceSpans,
        Self::ResourceLogs,
        Self::ResourceMetrics,
        Self::Resource,
        Self::EntityRef,
        Self::ScopeSpans,
        Self::ScopeLogs,
        Self::ScopeMetrics,
        Self::Scope,
        Self::Span,
        Self::Event,
        Self::Link,
        Self::Status,
        Self::LogRecord,
        Self::Metric,
        Self::Gauge,
        Self::Sum,
        Self::Histogram,
        Self::ExponentialHistogram,
        Self::Summary,
        Self::NumberPoint,
        Self::HistogramPoint,
        Self::ExponentialPoint,
        Self::Buckets,
        Self::SummaryPoint,
        Self::Quantile,
        Self::Exemplar,
        Self::KeyValue,
        Self::AnyValue,
        Self::Array,
        Self::List,
    ];

    /// The outermost message of a signal.
    #[must_use]
    pub fn request(signal: Signal) -> Self {
        match signal {
            Signal::Traces => Self::TracesRequest,
            Signal::Logs => Self::LogsRequest,
            Signal::Metrics => Self::MetricsRequest,
        }
    }
}

/// What field `number` of `message` is. The table of opentelemetry-proto 1.11.
#[must_use]
#[inline(always)]
pub fn role(message: Message, number: u32) -> Role {
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    let row = ROLES.get(message as usize);
    row.and_then(|row| row.get(number)).copied().unwrap_or(Role::Unknown)
}

/// One past the highest field number that OTLP uses.
const NUMBERS: usize = 17;

/// What [`shape`] says, as a table: a look into it costs less than its branches, and no branch
/// that is foretold wrong.
static ROLES: [[Role; NUMBERS]; Message::ALL.len()] = {
    let mut table = [[Role::Unknown; NUMBERS]; Message::ALL.len()];
    let mut messages = Message::ALL.as_slice();
    let mut rows = table.as_mut_slice();
    while let ([message, others @ ..], [row, below @ ..]) = (messages, rows) {
        let mut number = 0;
        let mut cells = row.as_mut_slice();
        while let [cell, after @ ..] = cells {
            *cell = shape(*message, number);
            number += 1;
            cells = after;
        }
        (messages, rows) = (others, below);
    }
    table
};

const fn shape(message: Message, number: u32) -> Role {
    match message {
        Message::TracesRequest
        | Message::LogsRequest
        | Message::MetricsRequest
        | Message::ResourceSpans
        | Message::ResourceLogs
        | Message::ResourceMetrics
        | Message::Resource
        | Message::EntityRef
        | Message::ScopeSpans
        | Message::ScopeLogs
        | Message::ScopeMetrics
        | Message::Scope => envelope(message, number),
        Message::Span | Message::Event | Message::Link | Message::Status => span(message, number),
        Message::LogRecord => log_record(number),
        Message::KeyValue | Message::AnyValue | Message::Array | Message::List => {
            value(message, number)
        }
        Message::Metric
        | Message::Gauge
        | Message::Sum
        | Message::Histogram
        | Message::ExponentialHistogram
        | Message::Summary => metric(message, number),
        Message::NumberPoint
        | Message::HistogramPoint
        | Message::ExponentialPoint
        | Message::Buckets
        | Message::SummaryPoint
        | Message::Quantile
        | Message::Exemplar => point(message, number),
    }
}

const fn envelope(message: Message, number: u32) -> Role {
    match (message, number) {
        (Message::TracesRequest, 1) => Role::Into(Message::ResourceSpans),
        (Message::LogsRequest, 1) => Role::Into(Message::ResourceLogs),
        (Message::MetricsRequest, 1) => Role::Into(Message::ResourceMetrics),
        (Message::ResourceSpans | Message::ResourceLogs | Message::ResourceMetrics, 1) => {
            Role::Into(Message::Resource)
        }
        (Message::ResourceSpans, 2) => Role::Into(Message::ScopeSpans),
        (Message::ResourceLogs, 2) => Role::Into(Message::ScopeLogs),
        (Message::ResourceMetrics, 2) => Role::Into(Message::ScopeMetrics),
        (Message::ScopeSpans | Message::ScopeLogs | Message::ScopeMetrics, 1) => {
            Role::Into(Message::Scope)
        }
        (Message::ScopeSpans, 2) => Role::Into(Message::Span),
        (Message::ScopeLogs, 2) => Role::Into(Message::LogRecord),
        (Message::ScopeMetrics, 2) => Role::Into(Message::Metric),
        (
            Message::ResourceSpans
            | Message::ResourceLogs
            | Message::ResourceMetrics
            | Message::ScopeSpans
            | Message::ScopeLogs
            | Message::ScopeMetrics,
            3,
        ) => Role::Text,
        (Message::Resource, 1) => Role::Into(Message::KeyValue),
        (Message::Resource, 2) => Role::Varint,
        (Message::Resource, 3) => Role::Into(Message::EntityRef),
        (Message::EntityRef, 1..=4) => Role::Text,
        (Message::Scope, 1 | 2) => Role::Text,
        (Message::Scope, 3) => Role::Into(Message::KeyValue),
        (Message::Scope, 4) => Role::Varint,
        _ => Role::Unknown,
    }
}

const fn span(message: Message, number: u32) -> Role {
    match (message, number) {
        (Message::Span, 1 | 2 | 4) | (Message::Link, 1 | 2) => Role::Id,
        (Message::Span, 3 | 5) | (Message::Link, 3) => Role::Text,
        (Message::Span, 6 | 10 | 12 | 14) => Role::Varint,
        (Message::Span, 7 | 8) | (Message::Event, 1) => Role::Fixed64,
        (Message::Span, 9) | (Message::Event, 3) | (Message::Link, 4) => {
            Role::Into(Message::KeyValue)
        }
        (Message::Span, 11) => Role::Into(Message::Event),
        (Message::Span, 13) => Role::Into(Message::Link),
        (Message::Span, 15) => Role::Into(Message::Status),
        (Message::Span, 16) | (Message::Link, 6) => Role::Fixed32,
        (Message::Event, 2) | (Message::Status, 2) => Role::Text,
        (Message::Event, 4) | (Message::Link, 5) | (Message::Status, 3) => Role::Varint,
        _ => Role::Unknown,
    }
}

const fn log_record(number: u32) -> Role {
    match number {
        1 | 11 => Role::Fixed64,
        2 | 7 => Role::Varint,
        3 | 12 => Role::Text,
        5 => Role::Into(Message::AnyValue),
        6 => Role::Into(Message::KeyValue),
        8 => Role::Fixed32,
        9 | 10 => Role::Id,
        _ => Role::Unknown,
    }
}

const fn value(message: Message, number: u32) -> Role {
    match (message, number) {
        (Message::KeyValue, 1) | (Message::AnyValue, 1) => Role::Text,
        (Message::KeyValue, 2) | (Message::Array, 1) => Role::Into(Message::AnyValue),
        (Message::List, 1) => Role::Into(Message::KeyValue),
        (Message::AnyValue, 2 | 3 | 8) | (Message::KeyValue, 3) => Role::Varint,
        (Message::AnyValue, 4) => Role::Fixed64,
        (Message::AnyValue, 5) => Role::Into(Message::Array),
        (Message::AnyValue, 6) => Role::Into(Message::List),
        (Message::AnyValue, 7) => Role::Blob,
        _ => Role::Unknown,
    }
}

const fn metric(message: Message, number: u32) -> Role {
    match (message, number) {
        (Message::Metric, 1..=3) => Role::Text,
        (Message::Metric, 5) => Role::Into(Message::Gauge),
        (Message::Metric, 7) => Role::Into(Message::Sum),
        (Message::Metric, 9) => Role::Into(Message::Histogram),
        (Message::Metric, 10) => Role::Into(Message::ExponentialHistogram),
        (Message::Metric, 11) => Role::Into(Message::Summary),
        (Message::Metric, 12) => Role::Into(Message::KeyValue),
        (Message::Gauge | Message::Sum, 1) => Role::Into(Message::NumberPoint),
        (Message::Histogram, 1) => Role::Into(Message::HistogramPoint),
        (Message::ExponentialHistogram, 1) => Role::Into(Message::ExponentialPoint),
        (Message::Summary, 1) => Role::Into(Message::SummaryPoint),
        (Message::Sum, 2 | 3) | (Message::Histogram | Message::ExponentialHistogram, 2) => {
            Role::Varint
        }
        _ => Role::Unknown,
    }
}

const fn point(message: Message, number: u32) -> Role {
    match (message, number) {
        (Message::NumberPoint, 7)
        | (Message::HistogramPoint, 9)
        | (Message::ExponentialPoint, 1)
        | (Message::SummaryPoint, 7)
        | (Message::Exemplar, 7) => Role::Into(Message::KeyValue),
        (Message::NumberPoint, 5)
        | (Message::HistogramPoint, 8)
        | (Message::ExponentialPoint, 11) => Role::Into(Message::Exemplar),
        (Message::NumberPoint, 2 | 3 | 4 | 6)
        | (Message::HistogramPoint, 2..=5 | 11 | 12)
        | (Message::ExponentialPoint, 2..=5 | 7 | 12..=14)
        | (Message::SummaryPoint, 2..=5)
        | (Message::Quantile, 1 | 2)
        | (Message::Exemplar, 2 | 3 | 6) => Role::Fixed64,
        (Message::HistogramPoint, 6 | 7) => Role::Fixed64s,
        (Message::NumberPoint, 8)
        | (Message::HistogramPoint, 10)
        | (Message::ExponentialPoint, 6 | 10)
        | (Message::SummaryPoint, 8)
        | (Message::Buckets, 1) => Role::Varint,
        (Message::ExponentialPoint, 8 | 9) => Role::Into(Message::Buckets),
        (Message::Buckets, 2) => Role::Varints,
        (Message::SummaryPoint, 6) => Role::Into(Message::Quantile),
        (Message::Exemplar, 4 | 5) => Role::Id,
        _ => Role::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_the_branches_say() {
        for (at, message) in Message::ALL.into_iter().enumerate() {
            assert_eq!(message as usize, at);
            for number in 0..100 {
                assert_eq!(role(message, number), shape(message, number), "{message:?} {number}");
            }
        }
    }
}
