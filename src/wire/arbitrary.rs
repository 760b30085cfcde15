//! Arbitrary OTLP requests for the tests of the wire and of what stands on it.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::prelude::*;

/// How the strings of a request come about.
pub(crate) type Texts = BoxedStrategy<String>;

pub(crate) fn any_text() -> Texts {
    prop_oneof![".{0,12}", "[a-z.]{1,20}", Just("url.full".to_owned())].boxed()
}

fn value(texts: &Texts) -> BoxedStrategy<Option<AnyValue>> {
    use any_value::Value;

    let leaf = prop_oneof![
        texts.clone().prop_map(Value::StringValue),
        any::<bool>().prop_map(Value::BoolValue),
        any::<i64>().prop_map(Value::IntValue),
        (-1e9..1e9).prop_map(Value::DoubleValue),
        texts.clone().prop_map(|text| Value::BytesValue(text.into_bytes())),
    ];
    let texts = texts.clone();
    let nested = leaf.prop_recursive(3, 8, 3, move |inner| {
        let some = |value| AnyValue { value: Some(value) };
        let list = vec((texts.clone(), inner.clone()), 0..3).prop_map(move |pairs| {
            let pair =
                |(key, value)| KeyValue { key, value: Some(some(value)), ..KeyValue::default() };
            Value::KvlistValue(KeyValueList { values: pairs.into_iter().map(pair).collect() })
        });
        let array = vec(inner, 0..3).prop_map(move |values| {
            Value::ArrayValue(ArrayValue { values: values.into_iter().map(some).collect() })
        });
        prop_oneof![list, array]
    });
    let present = nested.prop_map(|value| Some(AnyValue { value: Some(value) }));
    prop_oneof![8 => present, 1 => Just(None), 1 => Just(Some(AnyValue { value: None }))].boxed()
}

fn attributes(texts: &Texts) -> BoxedStrategy<Vec<KeyValue>> {
    let pair = (texts.clone(), value(texts));
    vec(pair.prop_map(|(key, value)| KeyValue { key, value, ..KeyValue::default() }), 0..4).boxed()
}

fn id(length: usize) -> BoxedStrategy<Vec<u8>> {
    let (right, zeros) = (vec(any::<u8>(), length), Just(vec![0; length]));
    prop_oneof![12 => right, 1 => zeros, 1 => Just(Vec::new()), 1 => vec(any::<u8>(), 3)].boxed()
}

fn resource(texts: &Texts) -> BoxedStrategy<Option<Resource>> {
    let entity = (texts.clone(), texts.clone(), vec(texts.clone(), 0..2)).prop_map(
        |(schema_url, r#type, id_keys)| EntityRef {
            schema_url,
            r#type,
            description_keys: id_keys.clone(),
            id_keys,
        },
    );
    let some = (attributes(texts), any::<u32>(), vec(entity, 0..2)).prop_map(
        |(attributes, dropped_attributes_count, entity_refs)| {
            Some(Resource { attributes, dropped_attributes_count, entity_refs })
        },
    );
    prop_oneof![4 => some, 1 => Just(None)].boxed()
}

fn scope(texts: &Texts) -> BoxedStrategy<Option<InstrumentationScope>> {
    let some = (texts.clone(), texts.clone(), attributes(texts)).prop_map(
        |(name, version, attributes)| {
            Some(InstrumentationScope { name, version, attributes, dropped_attributes_count: 0 })
        },
    );
    prop_oneof![some, Just(None)].boxed()
}

fn span(texts: &Texts) -> BoxedStrategy<Span> {
    let event = (any::<u64>(), texts.clone(), attributes(texts)).prop_map(
        |(time_unix_nano, name, attributes)| Event {
            time_unix_nano,
            name,
            attributes,
            ..Event::default()
        },
    );
    let link = (id(16), id(8), texts.clone(), attributes(texts)).prop_map(
        |(trace_id, span_id, trace_state, attributes)| Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            ..Link::default()
        },
    );
    let status =
        (texts.clone(), 0..3_i32).prop_map(|(message, code)| Some(Status { message, code }));
    let ids = (id(16), id(8), id(8), texts.clone(), texts.clone());
    let rest = (0..6_i32, any::<u64>(), any::<u64>(), attributes(texts));
    let inner = (vec(event, 0..2), vec(link, 0..2), prop_oneof![status, Just(None)]);
    (ids, rest, inner, any::<u32>())
        .prop_map(|(ids, rest, (events, links, status), flags)| Span {
            trace_id: ids.0,
            span_id: ids.1,
            parent_span_id: ids.2,
            trace_state: ids.3,
            name: ids.4,
            kind: rest.0,
            start_time_unix_nano: rest.1,
            end_time_unix_nano: rest.2,
            attributes: rest.3,
            events,
            links,
            status,
            flags,
            ..Span::default()
        })
        .boxed()
}

pub(crate) fn traces(texts: &Texts) -> BoxedStrategy<ExportTraceServiceRequest> {
    let scopes = (scope(texts), vec(span(texts), 0..4), texts.clone())
        .prop_map(|(scope, spans, schema_url)| ScopeSpans { scope, spans, schema_url });
    let resources = (resource(texts), vec(scopes, 0..3), texts.clone()).prop_map(
        |(resource, scope_spans, schema_url)| ResourceSpans { resource, scope_spans, schema_url },
    );
    vec(resources, 0..3)
        .prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
        .boxed()
}

pub(crate) fn logs(texts: &Texts) -> BoxedStrategy<ExportLogsServiceRequest> {
    let times = (any::<u64>(), any::<u64>(), 0..25_i32, texts.clone(), texts.clone());
    let rest = (value(texts), attributes(texts), id(16), id(8), any::<u32>());
    let record = (times, rest).prop_map(|(times, rest)| LogRecord {
        time_unix_nano: times.0,
        observed_time_unix_nano: times.1,
        severity_number: times.2,
        severity_text: times.3,
        event_name: times.4,
        body: rest.0,
        attributes: rest.1,
        trace_id: rest.2,
        span_id: rest.3,
        flags: rest.4,
        ..LogRecord::default()
    });
    let scopes = (scope(texts), vec(record, 0..4), texts.clone())
        .prop_map(|(scope, log_records, schema_url)| ScopeLogs { scope, log_records, schema_url });
    let resources = (resource(texts), vec(scopes, 0..3), texts.clone()).prop_map(
        |(resource, scope_logs, schema_url)| ResourceLogs { resource, scope_logs, schema_url },
    );
    vec(resources, 0..3)
        .prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs })
        .boxed()
}

fn exemplars(texts: &Texts) -> BoxedStrategy<Vec<Exemplar>> {
    let one = (attributes(texts), any::<u64>(), id(16), id(8)).prop_map(
        |(filtered_attributes, time_unix_nano, trace_id, span_id)| Exemplar {
            filtered_attributes,
            time_unix_nano,
            trace_id,
            span_id,
            value: None,
        },
    );
    vec(one, 0..2).boxed()
}

fn data(texts: &Texts) -> BoxedStrategy<metric::Data> {
    let number = (attributes(texts), exemplars(texts), any::<i64>()).prop_map(
        |(attributes, exemplars, value)| NumberDataPoint {
            attributes,
            exemplars,
            value: Some(number_data_point::Value::AsInt(value)),
            ..NumberDataPoint::default()
        },
    );
    let histogram = (attributes(texts), exemplars(texts), vec(any::<u64>(), 0..4)).prop_map(
        |(attributes, exemplars, bucket_counts)| HistogramDataPoint {
            attributes,
            exemplars,
            explicit_bounds: bucket_counts.iter().skip(1).map(|_| 1.5).collect(),
            bucket_counts,
            sum: Some(2.5),
            ..HistogramDataPoint::default()
        },
    );
    let exponential = (attributes(texts), exemplars(texts), vec(any::<u64>(), 0..4)).prop_map(
        |(attributes, exemplars, bucket_counts)| ExponentialHistogramDataPoint {
            attributes,
            exemplars,
            scale: -3,
            positive: Some(Buckets { offset: -7, bucket_counts }),
            ..ExponentialHistogramDataPoint::default()
        },
    );
    let summary = attributes(texts).prop_map(|attributes| SummaryDataPoint {
        attributes,
        quantile_values: vec![ValueAtQuantile { quantile: 0.5, value: 1.0 }],
        ..SummaryDataPoint::default()
    });
    let numbers = vec(number, 0..3).boxed();
    prop_oneof![
        numbers.clone().prop_map(|data_points| metric::Data::Gauge(Gauge { data_points })),
        numbers.prop_map(|data_points| metric::Data::Sum(Sum { data_points, ..Sum::default() })),
        vec(histogram, 0..3).prop_map(|data_points| {
            metric::Data::Histogram(Histogram { data_points, ..Histogram::default() })
        }),
        vec(exponential, 0..3).prop_map(|data_points| {
            let histogram = ExponentialHistogram { data_points, ..ExponentialHistogram::default() };
            metric::Data::ExponentialHistogram(histogram)
        }),
        vec(summary, 0..3).prop_map(|data_points| metric::Data::Summary(Summary { data_points })),
    ]
    .boxed()
}

pub(crate) fn metrics(texts: &Texts) -> BoxedStrategy<ExportMetricsServiceRequest> {
    let names = (texts.clone(), texts.clone(), texts.clone());
    let metric = (names, attributes(texts), data(texts)).prop_map(|(names, metadata, data)| {
        Metric { name: names.0, description: names.1, unit: names.2, metadata, data: Some(data) }
    });
    let scopes = (scope(texts), vec(metric, 0..3), texts.clone())
        .prop_map(|(scope, metrics, schema_url)| ScopeMetrics { scope, metrics, schema_url });
    let resources = (resource(texts), vec(scopes, 0..3), texts.clone()).prop_map(
        |(resource, scope_metrics, schema_url)| ResourceMetrics {
            resource,
            scope_metrics,
            schema_url,
        },
    );
    vec(resources, 0..3)
        .prop_map(|resource_metrics| ExportMetricsServiceRequest { resource_metrics })
        .boxed()
}
