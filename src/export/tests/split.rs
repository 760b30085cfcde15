//! Batches that are cut, judged by what a decoder makes of the parts.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, Gauge, Histogram, Metric, Sum, Summary,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use prost::Message;

use crate::evidence::Signal;
use crate::export::split::{Split, split};
use crate::wire::arbitrary;

/// The tags and lengths of six envelopes, should each take the most that is set aside for it.
const OVERHEAD_BYTES: usize = 48;

/// A request for each record, with all that is around it.
type Singles<T> = fn(T) -> Vec<T>;

fn spans(request: ExportTraceServiceRequest) -> Vec<ExportTraceServiceRequest> {
    let mut singles = Vec::new();
    for mut resource in request.resource_spans {
        for mut scope in std::mem::take(&mut resource.scope_spans) {
            for span in std::mem::take(&mut scope.spans) {
                let scope_spans = vec![ScopeSpans { spans: vec![span], ..scope.clone() }];
                let resource_spans = vec![ResourceSpans { scope_spans, ..resource.clone() }];
                singles.push(ExportTraceServiceRequest { resource_spans });
            }
        }
    }
    singles
}

fn logs(request: ExportLogsServiceRequest) -> Vec<ExportLogsServiceRequest> {
    let mut singles = Vec::new();
    for mut resource in request.resource_logs {
        for mut scope in std::mem::take(&mut resource.scope_logs) {
            for record in std::mem::take(&mut scope.log_records) {
                let (mut resource, mut scope) = (resource.clone(), scope.clone());
                scope.log_records = vec![record];
                resource.scope_logs = vec![scope];
                singles.push(ExportLogsServiceRequest { resource_logs: vec![resource] });
            }
        }
    }
    singles
}

fn points(request: ExportMetricsServiceRequest) -> Vec<ExportMetricsServiceRequest> {
    let mut singles = Vec::new();
    for mut resource in request.resource_metrics {
        for mut scope in std::mem::take(&mut resource.scope_metrics) {
            for metric in std::mem::take(&mut scope.metrics).into_iter().flat_map(single_points) {
                let (mut resource, mut scope) = (resource.clone(), scope.clone());
                scope.metrics = vec![metric];
                resource.scope_metrics = vec![scope];
                singles.push(ExportMetricsServiceRequest { resource_metrics: vec![resource] });
            }
        }
    }
    singles
}

fn single_points(mut metric: Metric) -> Vec<Metric> {
    fn each<P>(points: Vec<P>, data: impl Fn(Vec<P>) -> Data) -> Vec<Data> {
        points.into_iter().map(|point| data(vec![point])).collect()
    }
    let data = match metric.data.take() {
        None => Vec::new(),
        Some(Data::Gauge(it)) => {
            each(it.data_points, |data_points| Data::Gauge(Gauge { data_points }))
        }
        Some(Data::Sum(it)) => {
            each(it.data_points, |data_points| Data::Sum(Sum { data_points, ..it }))
        }
        Some(Data::Histogram(it)) => {
            each(it.data_points, |data_points| Data::Histogram(Histogram { data_points, ..it }))
        }
        Some(Data::ExponentialHistogram(it)) => each(it.data_points, |data_points| {
            Data::ExponentialHistogram(ExponentialHistogram { data_points, ..it })
        }),
        Some(Data::Summary(it)) => {
            each(it.data_points, |data_points| Data::Summary(Summary { data_points }))
        }
    };
    data.into_iter().map(|data| Metric { data: Some(data), ..metric.clone() }).collect()
}

fn cut(signal: Signal, request: &impl Message, bytes_max: usize) -> Split {
    split(signal, &Bytes::from(request.encode_to_vec()), bytes_max).unwrap()
}

/// Each record is in one part or too large, none is elsewhere or twice, and no part is too large.
fn holds<T: Message + Default + Clone>(
    signal: Signal,
    request: T,
    bytes_max: usize,
    singles: Singles<T>,
) {
    let Split { parts, too_large } = cut(signal, &request, bytes_max);
    let mut kept = Vec::new();
    for part in &parts {
        let bytes = part.pieces.concat();
        assert_eq!(bytes.len(), part.bytes);
        assert!(part.bytes <= bytes_max, "{} of {bytes_max}", part.bytes);
        let inside = singles(T::decode(&*bytes).unwrap());
        assert_eq!(inside.len() as u64, part.items);
        kept.extend(inside.into_iter().map(|single| single.encode_to_vec()));
    }
    let whole: Vec<_> = singles(request).into_iter().map(|it| it.encode_to_vec()).collect();
    assert_eq!(whole.len() as u64, kept.len() as u64 + too_large);
    let mut rest = kept.iter().peekable();
    for record in &whole {
        if rest.next_if_eq(&record).is_none() {
            assert!(record.len() + OVERHEAD_BYTES > bytes_max / 2, "{} bytes", record.len());
        }
    }
    assert_eq!(rest.next(), None);
}

proptest! {
    #[test]
    fn the_parts_are_the_whole(
        traces in arbitrary::traces(&arbitrary::any_text()),
        records in arbitrary::logs(&arbitrary::any_text()),
        metrics in arbitrary::metrics(&arbitrary::any_text()),
        bytes_max in prop_oneof![1..400_usize, 400..4000_usize],
    ) {
        holds(Signal::Traces, traces, bytes_max, spans);
        holds(Signal::Logs, records, bytes_max, logs);
        holds(Signal::Metrics, metrics, bytes_max, points);
    }

    #[test]
    fn no_bytes_are_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..60),
        bytes_max in 0..50_usize,
    ) {
        for signal in Signal::ALL {
            drop(split(signal, &Bytes::from(bytes.clone()), bytes_max));
        }
    }
}

fn request(resource_bytes: usize, spans: usize) -> ExportTraceServiceRequest {
    let name = "n".repeat(100);
    let span = Span { name, ..Span::default() };
    let scope_spans = vec![ScopeSpans { spans: vec![span; spans], ..ScopeSpans::default() }];
    let resource = Some(Resource::default());
    let schema_url = "s".repeat(resource_bytes);
    let resource_spans = vec![ResourceSpans { resource, scope_spans, schema_url }];
    ExportTraceServiceRequest { resource_spans }
}

#[test]
fn parts_are_as_full_as_they_can_be() {
    let cut = cut(Signal::Traces, &request(10, 1000), 10_000);

    let sizes: Vec<_> = cut.parts.iter().map(|part| part.bytes).collect();
    let (last, full) = sizes.split_last().unwrap();
    assert!(full.iter().all(|bytes| *bytes > 9_850), "{full:?} {last}");
}

#[test]
fn records_are_the_memory_of_the_batch() {
    let batch = Bytes::from(request(10, 1000).encode_to_vec());

    let cut = split(Signal::Traces, &batch, 10_000).unwrap();

    let memory = batch.as_ptr_range();
    let made = cut.parts.iter().flat_map(|part| &part.pieces);
    let made = made.filter(|piece| !memory.contains(&piece.as_ptr()));
    let made: usize = made.map(Bytes::len).sum();
    assert!(made <= 16 * cut.parts.len(), "{made} bytes in {} parts", cut.parts.len());
}

#[test]
fn an_envelope_that_leaves_no_room_is_not_sent_a_thousand_times() {
    let cut = cut(Signal::Traces, &request(6_000, 1000), 10_000);

    assert_eq!((cut.parts.len(), cut.too_large), (0, 1000));
}
