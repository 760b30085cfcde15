//! What the services measure of themselves: request durations with exemplars, and gauges.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, exemplar, metric, number_data_point,
};

use super::cast::{Cast, Pod, Witness};
use super::draw::Draw;
use super::otlp::{number, text};
use super::story::{Fault, GATEWAY};
use crate::evidence::Nanos;

/// The bounds that the conventions advise, in seconds.
const BOUNDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// How many requests a pod can work on at once.
const WORKERS: u32 = 16;

/// One request that a service answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Served {
    pub(crate) method: &'static str,
    pub(crate) route: &'static str,
    pub(crate) code: u16,
    pub(crate) took: Duration,
    pub(crate) trace: [u8; 16],
    pub(crate) span: [u8; 8],
}

/// Counts since the start. It holds one series per pod, route and code, of which the story has
/// few.
#[derive(Debug)]
pub(crate) struct Meter {
    start: Nanos,
    draw: Draw,
    series: BTreeMap<Key, Series>,
}

/// What a series counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    by: Witness,
    method: &'static str,
    route: &'static str,
    code: u16,
}

#[derive(Debug, Default)]
struct Series {
    sum: Duration,
    buckets: [Bucket; BOUNDS.len() + 1],
}

#[derive(Debug, Default)]
struct Bucket {
    count: u64,
    /// The last request in it since the last report.
    exemplar: Option<Exemplar>,
}

impl Meter {
    pub(crate) fn new(seed: u64, start: Nanos) -> Self {
        Self { start, draw: Draw::new(seed), series: BTreeMap::new() }
    }

    /// Counts a request that was answered at `at`.
    pub(crate) fn count(&mut self, at: Nanos, by: Witness, served: Served) {
        let key = Key { by, method: served.method, route: served.route, code: served.code };
        let series = self.series.entry(key).or_default();
        series.sum += served.took;
        let seconds = served.took.as_secs_f64();
        let place = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        if let Some(bucket) = series.buckets.get_mut(place) {
            bucket.count += 1;
            bucket.exemplar = Some(Exemplar {
                time_unix_nano: at.0,
                span_id: served.span.to_vec(),
                trace_id: served.trace.to_vec(),
                value: Some(exemplar::Value::AsDouble(seconds)),
                ..Exemplar::default()
            });
        }
    }

    /// What all services would report now, and how many points that is.
    pub(crate) fn report(
        &mut self,
        now: Nanos,
        cast: &Cast,
        fault: Option<Fault>,
    ) -> (Vec<ResourceMetrics>, u64) {
        let mut points = 0;
        let mut reports = Vec::new();
        for pod in cast.pods().iter().filter(|pod| pod.service.name != GATEWAY.name) {
            let metrics = self.of(pod, now, fault);
            points += metrics.iter().map(size).sum::<u64>();
            reports.push(ResourceMetrics {
                resource: Some(cast.resource(pod.application())),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(InstrumentationScope {
                        name: "shop".to_owned(),
                        ..InstrumentationScope::default()
                    }),
                    metrics,
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            });
        }
        (reports, points)
    }

    fn of(&mut self, pod: &Pod, now: Nanos, fault: Option<Fault>) -> Vec<Metric> {
        let strained = fault.is_some_and(|fault| fault.strains(pod));
        let busy = if strained { WORKERS } else { self.draw.between(1, 6) };
        let load = if strained { 0.97 } else { 0.10 + 0.25 * self.draw.share() };
        let memory = 180_000_000 + self.draw.between(0, 24_000_000);
        let gauge = |name: &str, unit: &str, value| Metric {
            name: name.to_owned(),
            unit: unit.to_owned(),
            data: Some(metric::Data::Gauge(Gauge {
                data_points: vec![NumberDataPoint {
                    start_time_unix_nano: self.start.0,
                    time_unix_nano: now.0,
                    value: Some(value),
                    ..NumberDataPoint::default()
                }],
            })),
            ..Metric::default()
        };
        let gauges = [
            gauge("process.memory.usage", "By", number_data_point::Value::AsInt(memory.into())),
            gauge("process.cpu.utilization", "1", number_data_point::Value::AsDouble(load)),
            gauge("shop.workers.busy", "{worker}", number_data_point::Value::AsInt(busy.into())),
        ];
        gauges.into_iter().chain(self.durations(pod, now)).collect()
    }

    fn durations(&mut self, pod: &Pod, now: Nanos) -> Option<Metric> {
        let start = self.start;
        let own = self.series.iter_mut().filter(|(key, _)| key.by == pod.application());
        let points: Vec<_> = own.map(|(key, series)| series.point(key, start, now)).collect();
        (!points.is_empty()).then(|| Metric {
            name: "http.server.request.duration".to_owned(),
            unit: "s".to_owned(),
            data: Some(metric::Data::Histogram(Histogram {
                data_points: points,
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
            })),
            ..Metric::default()
        })
    }
}

impl Series {
    /// The counts so far; the exemplars are told once.
    fn point(&mut self, key: &Key, start: Nanos, now: Nanos) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: vec![
                text("http.request.method", key.method),
                text("http.route", key.route),
                number("http.response.status_code", key.code),
            ],
            start_time_unix_nano: start.0,
            time_unix_nano: now.0,
            count: self.buckets.iter().map(|bucket| bucket.count).sum(),
            sum: Some(self.sum.as_secs_f64()),
            bucket_counts: self.buckets.iter().map(|bucket| bucket.count).collect(),
            explicit_bounds: BOUNDS.to_vec(),
            exemplars: self.buckets.iter_mut().filter_map(|it| it.exemplar.take()).collect(),
            ..HistogramDataPoint::default()
        }
    }
}

/// How many points a metric has.
fn size(metric: &Metric) -> u64 {
    let points = match &metric.data {
        Some(metric::Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(metric::Data::Gauge(gauge)) => gauge.data_points.len(),
        _ => 0,
    };
    points as u64
}
