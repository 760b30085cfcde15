//! A flow as a log record.

use std::fmt::Write;

use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};

use super::attributes::{Attributes, text};
use super::line::{Endpoint, Flow, Header, Layer7, Line, Lost, Named, Ports};
use super::time;
use crate::evidence::{Nanos, TraceId};

/// Headers that name the request on its answer too.
const REQUEST_HEADERS: [&str; 4] = ["x-request-id", "traceparent", "b3", "x-b3-traceid"];

/// The record of one line, seen by the door at `observed`.
pub(super) fn record(line: Line, observed: Nanos) -> LogRecord {
    let mut record = match line {
        Line::Flow(flow) => flow_record(&flow),
        Line::Lost(lost) => lost_record(&lost),
    };
    record.observed_time_unix_nano = observed.0;
    record
}

fn flow_record(flow: &Flow) -> LogRecord {
    let failed = matches!(flow.verdict.as_deref(), Some("DROPPED" | "ERROR"));
    let severity = if failed { SeverityNumber::Warn } else { SeverityNumber::Info };
    let trace = trace_id(flow).map(|id| id.to_bytes().to_vec());
    LogRecord {
        time_unix_nano: nanos(flow.time.as_deref()),
        event_name: "hopline.flow".to_owned(),
        severity_number: severity.into(),
        severity_text: if failed { "WARN" } else { "INFO" }.to_owned(),
        trace_id: trace.unwrap_or_default(),
        body: Some(text(sentence(flow))),
        attributes: attributes(flow).into_inner(),
        ..LogRecord::default()
    }
}

fn lost_record(lost: &Lost) -> LogRecord {
    let count = lost.num_events_lost.map(|number| number.0);
    let mut attributes = Attributes::default();
    attributes.number("hopline.flow.lost_count", count);
    attributes.text("hopline.flow.lost_source", lost.source.as_deref());
    node(&mut attributes, lost.node_name.as_deref());
    LogRecord {
        time_unix_nano: nanos(lost.time.as_deref()),
        event_name: "hopline.flow.lost".to_owned(),
        severity_number: SeverityNumber::Warn.into(),
        severity_text: "WARN".to_owned(),
        body: Some(text(format!("{} flows lost", count.unwrap_or_default()))),
        attributes: attributes.into_inner(),
        ..LogRecord::default()
    }
}

fn attributes(flow: &Flow) -> Attributes {
    let mut out = Attributes::default();
    let (transport, ports) = transport(flow);
    let ip = flow.ip.as_ref();
    out.text("source.address", ip.and_then(|ip| ip.source.as_deref()));
    out.number("source.port", ports.and_then(|ports| ports.source_port).map(|port| port.0));
    out.text("destination.address", ip.and_then(|ip| ip.destination.as_deref()));
    let port = ports.and_then(|ports| ports.destination_port);
    out.number("destination.port", port.map(|port| port.0));
    out.text("network.transport", transport);
    out.text("hopline.flow.verdict", flow.verdict.as_deref());
    out.text("hopline.flow.drop_reason", flow.drop_reason_desc.as_deref());
    out.text("hopline.flow.type", flow.r#type.as_deref());
    out.flag("hopline.flow.is_reply", flow.is_reply);
    out.text("hopline.flow.direction", flow.traffic_direction.as_deref());
    let flags = ports.and_then(|ports| ports.flags.as_ref()).map(super::line::Flags::text);
    out.text("hopline.flow.tcp_flags", flags.as_deref());
    out.text("hopline.flow.uuid", flow.uuid.as_deref());
    out.text("hopline.flow.summary", flow.summary.as_deref());
    node(&mut out, flow.node_name.as_deref());
    endpoint(&mut out, "source", flow.source.as_ref(), flow.source_service.as_ref());
    endpoint(&mut out, "destination", flow.destination.as_ref(), flow.destination_service.as_ref());
    names(&mut out, "hopline.source.names", flow.source_names.as_deref());
    names(&mut out, "hopline.destination.names", flow.destination_names.as_deref());
    if let Some(layer7) = &flow.l7 {
        layer7_attributes(&mut out, layer7);
    }
    policies(&mut out, "hopline.policy.egress_allowed_by", flow.egress_allowed_by.as_deref());
    policies(&mut out, "hopline.policy.ingress_allowed_by", flow.ingress_allowed_by.as_deref());
    policies(&mut out, "hopline.policy.egress_denied_by", flow.egress_denied_by.as_deref());
    policies(&mut out, "hopline.policy.ingress_denied_by", flow.ingress_denied_by.as_deref());
    out
}

fn transport(flow: &Flow) -> (Option<&'static str>, Option<&Ports>) {
    let Some(l4) = &flow.l4 else { return (None, None) };
    match (&l4.tcp, &l4.udp, &l4.sctp) {
        (Some(ports), _, _) => (Some("tcp"), Some(ports)),
        (_, Some(ports), _) => (Some("udp"), Some(ports)),
        (_, _, Some(ports)) => (Some("sctp"), Some(ports)),
        _ if l4.icmp4.is_some() => (Some("icmp"), None),
        _ if l4.icmp6.is_some() => (Some("icmpv6"), None),
        _ => (None, None),
    }
}

/// Hubble writes `cluster/node` where it knows the cluster.
fn node(out: &mut Attributes, name: Option<&str>) {
    let Some(name) = name else { return };
    let (cluster, node) = name.split_once('/').unwrap_or(("", name));
    out.text("k8s.cluster.name", Some(cluster));
    out.text("k8s.node.name", Some(node));
}

fn endpoint(out: &mut Attributes, side: &str, end: Option<&Endpoint>, service: Option<&Named>) {
    let service = service.and_then(|service| service.name.as_deref());
    out.text(format!("hopline.{side}.service"), service);
    let Some(end) = end else { return };
    let workloads = end.workloads.as_deref().unwrap_or_default();
    let workload = workloads.iter().find_map(|workload| workload.name.as_deref());
    let workload = workload.or_else(|| label(end, &["app.kubernetes.io/name", "app", "k8s-app"]));
    let identity = end.identity.map(|identity| identity.0.to_string());
    out.text(format!("hopline.{side}.namespace"), end.namespace.as_deref());
    out.text(format!("hopline.{side}.pod"), end.pod_name.as_deref());
    out.text(format!("hopline.{side}.workload"), workload);
    out.text(format!("hopline.{side}.identity"), identity.as_deref());
    out.text(format!("hopline.{side}.cluster"), end.cluster_name.as_deref());
    let version = label(end, &["app.kubernetes.io/version", "version"]);
    out.text(format!("hopline.{side}.version"), version);
}

/// The value of the first of `keys` that the endpoint is labelled with.
fn label<'a>(end: &'a Endpoint, keys: &[&str]) -> Option<&'a str> {
    let labels = end.labels.as_deref().unwrap_or_default();
    let value = |key: &str| {
        labels.iter().find_map(|label| {
            let (name, value) = label.split_once('=')?;
            (name.strip_prefix("k8s:").unwrap_or(name) == key).then_some(value)
        })
    };
    keys.iter().find_map(|key| value(key))
}

fn names(out: &mut Attributes, key: &str, names: Option<&[String]>) {
    out.list(key, names.unwrap_or_default().iter().cloned());
}

/// A policy is named within its namespace.
fn policies(out: &mut Attributes, key: &str, policies: Option<&[Named]>) {
    let names = policies.unwrap_or_default().iter().filter_map(|policy| {
        let name = policy.name.as_deref()?;
        let namespace = policy.namespace.as_deref().filter(|namespace| !namespace.is_empty());
        Some(namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}")))
    });
    out.list(key, names);
}

fn layer7_attributes(out: &mut Attributes, layer7: &Layer7) {
    out.number("hopline.flow.latency_ns", layer7.latency_ns.map(|latency| latency.0));
    let answer = layer7.r#type.as_deref() == Some("RESPONSE");
    if let Some(dns) = &layer7.dns {
        out.text("dns.question.name", dns.query.as_deref());
        // An absent code is NOERROR, but only an answer has one.
        let absent = answer.then_some(0);
        out.number("hopline.dns.rcode", dns.rcode.map(|code| code.0).or(absent));
    }
    let Some(http) = &layer7.http else { return };
    out.text("http.request.method", http.method.as_deref());
    out.text("url.full", http.url.as_deref());
    let code = http.code.map(|code| code.0).filter(|code| *code > 0);
    out.number("http.response.status_code", code);
    for Header { key, value } in http.headers.as_deref().unwrap_or_default() {
        let key = key.to_ascii_lowercase();
        let of_request = !answer || REQUEST_HEADERS.contains(&key.as_str());
        let side = if of_request { "request" } else { "response" };
        out.text(format!("http.{side}.header.{key}"), Some(value));
    }
}

/// Hubble reads W3C alone; the headers may carry B3.
fn trace_id(flow: &Flow) -> Option<TraceId> {
    let context = flow.trace_context.as_ref().and_then(|context| context.parent.as_ref());
    let context = context.and_then(|parent| parent.trace_id.as_deref());
    context.and_then(TraceId::from_hex).or_else(|| {
        let http = flow.l7.as_ref()?.http.as_ref()?;
        http.headers.as_deref()?.iter().find_map(|Header { key, value }| {
            match key.to_ascii_lowercase().as_str() {
                "traceparent" => TraceId::from_hex(value.split('-').nth(1)?),
                "x-b3-traceid" => TraceId::from_hex(value),
                "b3" => TraceId::from_hex(value.split('-').next()?),
                _ => None,
            }
        })
    })
}

/// Hubble's own words, or the same facts in one line.
fn sentence(flow: &Flow) -> String {
    if let Some(summary) = flow.summary.as_deref().filter(|summary| !summary.is_empty()) {
        return summary.to_owned();
    }
    let (transport, ports) = transport(flow);
    let ip = flow.ip.as_ref();
    let mut out = transport.unwrap_or("flow").to_ascii_uppercase();
    let ends = [
        (ip.and_then(|ip| ip.source.as_deref()), ports.and_then(|ports| ports.source_port)),
        (
            ip.and_then(|ip| ip.destination.as_deref()),
            ports.and_then(|ports| ports.destination_port),
        ),
    ];
    for ((address, port), before) in ends.into_iter().zip([" ", " -> "]) {
        out.push_str(before);
        out.push_str(address.unwrap_or("?"));
        if let Some(port) = port {
            // Writing to a string cannot fail.
            let _ = write!(out, ":{}", port.0);
        }
    }
    for word in [&flow.verdict, &flow.drop_reason_desc].into_iter().flatten() {
        out.push(' ');
        out.push_str(word);
    }
    out
}

fn nanos(text: Option<&str>) -> u64 {
    text.and_then(time::parse).unwrap_or_default().0
}
