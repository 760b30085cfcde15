//! Data points: counters, gauges and histograms of ten pods.

use fastrand::Rng;
use hopline::evidence::Nanos;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
    Sum,
};

use super::shop::{self, number, text};
use crate::ids;

const CUMULATIVE: i32 = 2;
const BOUNDS: [f64; 8] = [5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0];

pub(crate) fn request(points: usize, random: &mut Rng) -> ExportMetricsServiceRequest {
    let resource_metrics = shop::by_pod(points).map(|(pod, own)| ResourceMetrics {
        resource: Some(shop::resource(pod)),
        scope_metrics: vec![ScopeMetrics {
            scope: Some(shop::scope()),
            metrics: own.chunks(4).map(|own| metric(own, random)).collect(),
            ..ScopeMetrics::default()
        }],
        ..ResourceMetrics::default()
    });
    ExportMetricsServiceRequest { resource_metrics: resource_metrics.collect() }
}

fn metric(own: &[usize], random: &mut Rng) -> Metric {
    let numbers = |random: &mut Rng| own.iter().map(|&at| point(at, random)).collect();
    let (name, unit, data) = match random.u8(..3) {
        0 => {
            let data_points = numbers(random);
            let sum = Sum { data_points, aggregation_temporality: CUMULATIVE, is_monotonic: true };
            ("http.server.requests", "{request}", Data::Sum(sum))
        }
        1 => ("jvm.memory.used", "By", Data::Gauge(Gauge { data_points: numbers(random) })),
        _ => {
            let data_points = own.iter().map(|&at| histogram(at, random)).collect();
            let histogram = Histogram { data_points, aggregation_temporality: CUMULATIVE };
            ("http.server.request.duration", "ms", Data::Histogram(histogram))
        }
    };
    Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        description: "As its semantic convention says.".to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn point(at: usize, random: &mut Rng) -> NumberDataPoint {
    NumberDataPoint {
        attributes: labels(random),
        start_time_unix_nano: ids::POINTS_BEGIN.0 - 1,
        time_unix_nano: time(at).0,
        value: Some(Value::AsInt(i64::from(random.u32(..)))),
        ..NumberDataPoint::default()
    }
}

fn histogram(at: usize, random: &mut Rng) -> HistogramDataPoint {
    let bucket_counts: Vec<_> = (0..=BOUNDS.len()).map(|_| random.u64(..1000)).collect();
    HistogramDataPoint {
        attributes: labels(random),
        start_time_unix_nano: ids::POINTS_BEGIN.0 - 1,
        time_unix_nano: time(at).0,
        count: bucket_counts.iter().sum(),
        sum: Some(random.f64() * 1e6),
        bucket_counts,
        explicit_bounds: BOUNDS.to_vec(),
        ..HistogramDataPoint::default()
    }
}

fn time(at: usize) -> Nanos {
    Nanos(ids::POINTS_BEGIN.0 + at as u64)
}

fn labels(random: &mut Rng) -> Vec<KeyValue> {
    vec![
        text("http.request.method", ["GET", "POST", "PUT"][usize::from(random.u8(..3))]),
        text("http.route", "/api/v2/orders/{order_id}/items"),
        number("http.response.status_code", [200, 404, 504][usize::from(random.u8(..3))]),
        text("app.tenant", &format!("tenant-{}", random.u16(..500))),
    ]
}
