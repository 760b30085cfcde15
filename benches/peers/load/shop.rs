//! Requests as a gateway sees them: ten pods of five services, traces of ten spans.
//!
//! The ids of the first items are in them. A few attributes hold secrets, and every secret holds the
//! word [`PLANTED`], so that the sink can tell whether any came through.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::ids;

/// Part of every secret.
pub(crate) const PLANTED: &str = "planted";
pub(crate) const PODS: usize = 10;
pub(crate) const DEPTH: usize = 10;

/// Where item `at` of a request comes from: two pods of each service share its traces.
pub(crate) fn pod(at: usize) -> usize {
    let (depth, trace) = (at % DEPTH, at / DEPTH);
    depth / 2 * 2 + trace % 2
}

/// The items of each pod, in their order.
pub(crate) fn by_pod(items: usize) -> impl Iterator<Item = (usize, Vec<usize>)> {
    let of = move |own: usize| (0..items).filter(|&at| pod(at) == own).collect();
    (0..PODS).map(move |own| (own, of(own))).filter(|(_, own): &(_, Vec<_>)| !own.is_empty())
}

pub(crate) fn resource(pod: usize) -> Resource {
    let service = ["gateway", "checkout", "inventory", "payment", "ledger"][pod / 2];
    let attributes = vec![
        text("service.name", service),
        text("service.version", "2026.11.3"),
        text("service.instance.id", &format!("627cc493-f310-47de-96bd-71410b7dec{pod:02}")),
        text("k8s.cluster.name", "eu-central-1-prod"),
        text("k8s.namespace.name", "shop"),
        text("k8s.pod.name", &format!("{service}-7d9c5b6f4-x2x{pod}")),
        text("k8s.node.name", &format!("ip-10-0-12-{pod}.internal")),
        text("cloud.availability_zone", "eu-central-1b"),
        text("telemetry.sdk.name", "opentelemetry"),
        text("telemetry.sdk.language", "java"),
    ];
    Resource { attributes, ..Resource::default() }
}

pub(crate) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "io.opentelemetry.tomcat-10.0".to_owned(),
        version: "2.21.0-alpha".to_owned(),
        ..InstrumentationScope::default()
    }
}

pub(crate) fn trace_id(at: usize) -> Vec<u8> {
    ids::trace(at as u64).to_vec()
}

pub(crate) fn span_id(at: usize) -> Vec<u8> {
    ids::span(at as u64).to_vec()
}

pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

pub(crate) fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}
