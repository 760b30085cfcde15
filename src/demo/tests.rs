//! The story as told: every trace is well-formed, every fault leaves its evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use proptest::prelude::*;

use super::batch::{self, Backlog};
use super::cast::{Cast, Layer, Pod};
use super::meter::Meter;
use super::shop::{Seen, Shop, Visit, What};
use super::story::{Fault, SCENES, SECRETS, Scene};
use crate::evidence::Nanos;

static CAST: LazyLock<Cast> = LazyLock::new(Cast::new);

const START: Nanos = Nanos(1_790_000_000_000_000_000);
/// How far into the cycle each fault lasts, and a time when none does.
const CALM: u64 = 5;
const CARD: u64 = 15;
const POLICY: u64 = 45;
const SATURATED: u64 = 75;

fn after(seconds: u64) -> Nanos {
    START.after(Duration::from_secs(seconds))
}

fn scene(route: &str) -> &'static Scene {
    SCENES.iter().find(|scene| scene.call.route == route).unwrap()
}

/// The first of many visits that this says is right.
fn find(route: &str, seconds: u64, right: impl Fn(&Visit) -> bool) -> Visit {
    let mut shop = Shop::new(1, START);
    let mut visits = (0..500).map(|_| shop.tell(scene(route), after(seconds)));
    visits.find(right).expect("one of 500 visits is right")
}

/// A span and who told it.
type Told<'a> = (&'a Span, &'static Pod, Layer);

fn spans(visit: &Visit) -> Vec<Told<'_>> {
    let told = visit.seen.iter().filter_map(|seen| match &seen.what {
        What::Span(span) => Some((&**span, &CAST.pods()[seen.by.pod], seen.by.layer)),
        _ => None,
    });
    told.collect()
}

fn logs(visit: &Visit) -> Vec<&LogRecord> {
    let told = visit.seen.iter().filter_map(|seen| match &seen.what {
        What::Log(record) => Some(&**record),
        _ => None,
    });
    told.collect()
}

fn flows(visit: &Visit) -> Vec<serde_json::Value> {
    let told = visit.seen.iter().filter_map(|seen| match &seen.what {
        What::Flow(line) => Some(serde_json::from_str(line).unwrap()),
        _ => None,
    });
    told.collect()
}

fn value<'a>(attributes: &'a [KeyValue], key: &str) -> &'a str {
    let found = attributes.iter().find(|pair| pair.key == key);
    match found.and_then(|pair| pair.value.as_ref()).and_then(|it| it.value.as_ref()) {
        Some(Value::StringValue(text)) => text,
        _ => "",
    }
}

fn said(record: &LogRecord) -> &str {
    match record.body.as_ref().and_then(|body| body.value.as_ref()) {
        Some(Value::StringValue(text)) => text,
        _ => "",
    }
}

/// The access-log entry of the crossing to a service.
fn entry<'a>(visit: &'a Visit, service: &str) -> &'a [KeyValue] {
    let to = format!("outbound|8080||{service}.shop.svc.cluster.local");
    let found = logs(visit).into_iter().find(|it| value(&it.attributes, "upstream_cluster") == to);
    found.map(|record| record.attributes.as_slice()).unwrap_or_default()
}

fn code_of_root(visit: &Visit) -> String {
    let spans = spans(visit);
    let root = spans.iter().find(|(span, ..)| span.parent_span_id.is_empty()).unwrap();
    value(&root.0.attributes, "http.status_code").to_owned()
}

fn check(visit: &Visit, at: Nanos) -> Result<(), TestCaseError> {
    let spans = spans(visit);
    let by_id: BTreeMap<_, _> = spans.iter().map(|(span, ..)| (&span.span_id, span)).collect();
    let traces: BTreeSet<_> = spans.iter().map(|(span, ..)| &span.trace_id).collect();
    prop_assert_eq!(by_id.len(), spans.len());
    prop_assert_eq!(traces.len(), 1);
    let roots = spans.iter().filter(|(span, ..)| span.parent_span_id.is_empty());
    prop_assert_eq!(roots.count(), 1);
    for (span, ..) in &spans {
        prop_assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
        prop_assert!(span.start_time_unix_nano >= at.0);
        if span.parent_span_id.is_empty() {
            continue;
        }
        let parent = by_id.get(&span.parent_span_id);
        prop_assert!(parent.is_some(), "{} has no parent", span.name);
        prop_assert!(parent.unwrap().start_time_unix_nano <= span.start_time_unix_nano);
        let server = SpanKind::Server as i32;
        prop_assert_ne!(parent.unwrap().kind == server, span.kind == server);
    }
    for record in logs(visit) {
        prop_assert!(by_id.contains_key(&record.span_id));
        prop_assert!(traces.contains(&record.trace_id));
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_trace_is_a_tree_of_alternating_clients_and_servers(
        seed: u64,
        seconds in 0_u64..200_000,
    ) {
        let mut shop = Shop::new(seed, START);
        let visit = shop.visit(after(seconds));
        check(&visit, after(seconds))?;
    }

    #[test]
    fn the_same_seed_tells_the_same_story(seed: u64, seconds in 0_u64..200) {
        let told = |seed| {
            let mut shop = Shop::new(seed, START);
            [shop.visit(START).seen, shop.visit(after(seconds)).seen]
        };
        prop_assert_eq!(told(seed), told(seed));
        prop_assert_ne!(told(seed), told(seed.wrapping_add(1)));
    }
}

#[test]
fn nothing_fails_while_it_is_calm() {
    let mut shop = Shop::new(3, START);
    for _ in 0..500 {
        let visit = shop.visit(after(CALM));
        assert_eq!((visit.fault, code_of_root(&visit).as_str()), (None, "200"));
    }
}

#[test]
fn a_card_processor_timeout_is_an_exception_of_the_new_version_only() {
    let visit = find("/checkout", CARD, |visit| visit.fault == Some(Fault::CardProcessor));

    let spans = spans(&visit);
    let failed: Vec<_> = spans.iter().filter(|(span, ..)| !span.events.is_empty()).collect();
    assert!(!failed.is_empty());
    for (span, pod, _) in failed {
        assert_eq!((pod.service.name, pod.version), ("payment", "1.5.0"));
        let message = value(&span.events[0].attributes, "exception.message");
        assert_eq!(message, "card processor timeout");
    }
}

#[test]
fn a_second_attempt_can_save_a_checkout() {
    let visit =
        find("/checkout", CARD, |visit| visit.fault.is_some() && code_of_root(visit) == "200");

    let entry = entry(&visit, "payment");
    assert_eq!(value(entry, "upstream_request_attempt_count"), "2");
    assert_eq!(value(entry, "response_flags"), "-");
    let spans = spans(&visit);
    let attempts = spans.iter().filter(|(span, ..)| span.name.contains("payment.shop"));
    assert_eq!(attempts.count(), 2);
}

#[test]
fn a_checkout_fails_with_503_when_payment_refuses_twice() {
    let visit =
        find("/checkout", CARD, |visit| value(entry(visit, "payment"), "response_code") == "503");

    let entry = entry(&visit, "payment");
    assert_eq!(value(entry, "response_flags"), "URX");
    assert_eq!(value(entry, "response_code_details"), "via_upstream");
    assert_eq!(code_of_root(&visit), "503");
}

#[test]
fn a_proxy_answers_504_when_it_stops_waiting_for_payment() {
    let visit =
        find("/checkout", CARD, |visit| value(entry(visit, "payment"), "response_code") == "504");

    let entry = entry(&visit, "payment");
    assert_eq!(value(entry, "response_flags"), "URX,UT");
    assert_eq!(value(entry, "upstream_service_time"), "-");
    assert_eq!(code_of_root(&visit), "503");
}

#[test]
fn a_dropped_packet_leaves_a_flow_and_no_server_span() {
    let visit = find("/cart/items", POLICY, |visit| visit.fault == Some(Fault::NetworkPolicy));

    let spans = spans(&visit);
    assert!(spans.iter().all(|(_, pod, _)| pod.service.name != "catalog"));
    let (attempt, pod, layer) =
        spans.iter().find(|(span, ..)| span.name.contains("catalog.shop")).unwrap();
    assert_eq!((pod.service.name, pod.node.name, *layer), ("cart", "node-3", Layer::Proxy));
    assert_eq!(value(&attempt.attributes, "http.status_code"), "0");
    assert!(attempt.status.is_none());
    assert_eq!(value(entry(&visit, "catalog"), "response_flags"), "UF");
    assert_eq!(value(entry(&visit, "catalog"), "upstream_local_address"), "-");

    let flows = flows(&visit);
    let dropped: Vec<_> = flows.iter().filter(|it| it["flow"]["verdict"] == "DROPPED").collect();
    assert_eq!(dropped.len(), 1);
    assert_eq!(dropped[0]["flow"]["drop_reason_desc"], "POLICY_DENIED");
    assert_eq!(dropped[0]["flow"]["node_name"], "shop-demo/node-3");
    assert_eq!(dropped[0]["flow"]["source"]["pod_name"], pod.name);
}

#[test]
fn a_flow_that_was_let_through_is_the_connection_in_the_access_log() {
    let visit = find("/cart/items", CALM, |_| true);

    let entry = entry(&visit, "catalog");
    let wanted = (value(entry, "upstream_local_address"), value(entry, "upstream_host"));
    let flows = flows(&visit);
    let ends = flows.iter().map(|line| {
        let (ip, tcp) = (&line["flow"]["IP"], &line["flow"]["l4"]["TCP"]);
        let end = |ip: &serde_json::Value, port| format!("{}:{port}", ip.as_str().unwrap());
        (end(&ip["source"], &tcp["source_port"]), end(&ip["destination"], &tcp["destination_port"]))
    });
    let ends: Vec<_> = ends.collect();
    assert!(ends.iter().any(|(near, far)| (near.as_str(), far.as_str()) == wanted), "{ends:?}");
}

#[test]
fn a_saturated_pod_is_slow_and_still_answers() {
    let visit = find("/checkout", SATURATED, |visit| visit.fault == Some(Fault::Saturation));

    let spans = spans(&visit);
    let (slow, pod, _) = spans.iter().find(|(span, ..)| span.name == "POST /quotes").unwrap();
    let took = slow.end_time_unix_nano - slow.start_time_unix_nano;
    assert_eq!((pod.service.name, pod.node.name), ("shipping", "node-2"));
    assert!((2_000_000_000..4_500_000_000).contains(&took), "{took}");
    assert_eq!(code_of_root(&visit), "200");
    assert!(logs(&visit).iter().any(|it| said(it).starts_with("All 16 workers are busy")));
}

#[test]
fn each_fault_takes_hold_of_some_requests_in_a_cycle() {
    let mut shop = Shop::new(9, START);
    let mut counts = BTreeMap::<_, u32>::new();
    for at in 0..450 {
        let visit = shop.visit(START.after(Duration::from_millis(200 * at)));
        if let Some(fault) = visit.fault {
            *counts.entry(fault).or_default() += 1;
        }
    }
    assert!(Fault::ALL.iter().all(|it| counts.get(it).is_some_and(|&it| it >= 3)), "{counts:?}");
}

#[test]
fn every_planted_secret_is_told() {
    let mut shop = Shop::new(5, START);
    let told: String = (0..300).map(|_| format!("{:?}", shop.visit(after(CALM)).seen)).collect();
    for secret in SECRETS {
        assert!(told.contains(secret), "{secret}");
    }
}

#[test]
fn a_proxy_speaks_in_the_scope_of_envoy_and_logs_in_none() {
    let visit = find("/checkout", CALM, |_| true);
    let by_proxy = |seen: &&Seen| seen.by.layer == Layer::Proxy;
    let mut spans = Vec::new();
    let mut logs = Vec::new();
    for seen in visit.seen.iter().filter(by_proxy) {
        match &seen.what {
            What::Span(span) => spans.push((seen.by, (**span).clone())),
            What::Log(record) => logs.push((seen.by, (**record).clone())),
            What::Flow(_) | What::Served(_) => {}
        }
    }

    let (traces, logs) = (batch::traces(&CAST, spans), batch::logs(&CAST, logs));

    for of in &traces.resource_spans {
        assert_eq!(of.scope_spans[0].scope.as_ref().unwrap().name, "envoy");
    }
    for of in &logs.resource_logs {
        assert_eq!(of.scope_logs[0].scope, None);
    }
}

#[test]
fn nothing_leaves_the_backlog_before_it_has_happened() {
    let visit = find("/checkout", SATURATED, |visit| visit.fault.is_some());
    let mut backlog = Backlog::new(100);
    let all = visit.seen.len();
    backlog.add(visit.seen);

    let now = after(SATURATED + 1);
    let mut taken = 0;
    while let Some(seen) = backlog.next(now) {
        assert!(seen.at <= now);
        taken += 1;
    }

    assert!(taken > 0 && backlog.len() == all - taken && backlog.len() > 0);
}

#[test]
fn a_full_backlog_says_so() {
    let mut shop = Shop::new(5, START);
    let mut backlog = Backlog::new(100);
    while backlog.len() < 100 {
        assert!(!backlog.is_full());
        backlog.add(shop.visit(START).seen);
    }
    assert!(backlog.is_full());
}

#[test]
fn every_request_that_a_service_answered_is_counted_once_with_an_exemplar() {
    let mut shop = Shop::new(5, START);
    let mut meter = Meter::new(5, START);
    let mut served = 0;
    for seen in (0..100).flat_map(|_| shop.visit(after(CALM)).seen) {
        if let What::Served(it) = seen.what {
            meter.count(seen.at, seen.by, it);
            served += 1;
        }
    }

    let (reports, points) = meter.report(after(10), &CAST, None);

    let metrics = reports.iter().flat_map(|of| &of.scope_metrics[0].metrics);
    let data: Vec<_> = metrics.filter_map(|metric| metric.data.as_ref()).collect();
    let histograms = data.iter().filter_map(|data| match data {
        Data::Histogram(histogram) => Some(&histogram.data_points),
        _ => None,
    });
    let told: Vec<_> = histograms.flatten().collect();
    assert_eq!(told.iter().map(|point| point.count).sum::<u64>(), served);
    for point in &told {
        assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
        let filled = point.bucket_counts.iter().filter(|count| **count > 0);
        assert_eq!(point.exemplars.len(), filled.count());
    }
    let gauges = 3 * reports.len();
    assert_eq!(points, (gauges + told.len()) as u64);
}
