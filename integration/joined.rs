//! Evidence of every sort ends in one journey.

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::otlp::{attribute, logs, now, send_logs, send_traces, span, text, traces};
use crate::support::{eventually, http};

const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;

#[tokio::test]
async fn spans_logs_access_logs_and_flows_of_one_request_are_one_journey() {
    let gateway = Gateway::start(&["join.weak_wait=10s"]).await;
    let mut client = span(TRACE, 1, 0, 3, 40);
    client.attributes = vec![
        attribute("http.request.method", "POST"),
        attribute("http.request.header.x-request-id", "6f1c"),
    ];
    let mut server = span(TRACE, 2, 1, 2, 30);
    server.attributes = vec![attribute("http.route", "/pay/{card}")];
    let line = LogRecord {
        time_unix_nano: now(),
        body: text("the card was declined"),
        trace_id: TRACE.to_be_bytes().to_vec(),
        span_id: 2_u64.to_be_bytes().to_vec(),
        ..LogRecord::default()
    };

    // The weakest first: the flow waits for the proxy's sockets, the proxy for its request id.
    let url = gateway.otlp_http("/v1/flows");
    let posted = http::post(&url, "application/json", flow().to_string().into_bytes()).await;
    assert_eq!(posted.unwrap().status, 200);
    send_logs(&gateway.grpc(), logs("envoy", vec![access()])).await.unwrap();
    send_traces(&gateway.grpc(), traces("pay", vec![server])).await.unwrap();
    send_logs(&gateway.grpc(), logs("pay", vec![line])).await.unwrap();
    send_traces(&gateway.grpc(), traces("shop", vec![client])).await.unwrap();

    let journey = eventually("all five are in one journey", || async {
        let answer = http::get(&gateway.api(&format!("/api/v1/journeys/{TRACE:032x}"))).await?;
        let journey = (answer.status == 200).then(|| answer.json())?;
        (journey["evidence_list"].as_array()?.len() == 5).then_some(journey)
    })
    .await;
    let evidence = &journey["evidence"];
    let want = json!({"access": 1, "client": 1, "flow": 1, "log": 1, "server": 1});
    assert_eq!(*evidence, want);
    let bound = journey["evidence_list"].as_array().unwrap().iter();
    let bound: Vec<_> = bound.filter(|it| it["bound"] == true).map(|it| &it["kind"]).collect();
    assert_eq!(bound.len(), 2, "{bound:?}");
    let hop = &journey["hops"][0];
    assert_eq!((&hop["caller"], &hop["callee"]), (&json!("shop"), &json!("pay")));
    assert_eq!(hop["network_ns"], 10_000_000);

    gateway.settled().await;
    let by_request = gateway.get("/api/v1/journeys/6F1C").await;
    assert_eq!(by_request["id"], format!("{TRACE:032x}"));
    let hits = gateway.found("declined").await;
    assert_eq!(hits.len(), 1, "the weak journeys are gone: {hits:?}");
    let all = gateway.get("/api/v1/search?q=").await;
    assert_eq!(all["hits"].as_array().unwrap().len(), 1, "{all}");
}

/// A proxy without tracing: a request id and its two connections, no trace id.
fn access() -> LogRecord {
    LogRecord {
        time_unix_nano: now(),
        attributes: vec![
            attribute("response_code", "402"),
            attribute("response_flags", "-"),
            attribute("duration", "35"),
            attribute("request_id", "6F1C"),
            attribute("upstream_local_address", "10.0.0.1:40000"),
            attribute("upstream_remote_address", "10.0.0.2:8080"),
        ],
        ..LogRecord::default()
    }
}

/// The connection between proxy and server, as Hubble saw it.
fn flow() -> Value {
    let time = rfc3339(now());
    json!({"flow": {
        "time": time,
        "verdict": "FORWARDED",
        "IP": {"source": "10.0.0.1", "destination": "10.0.0.2", "ipVersion": "IPv4"},
        "l4": {"TCP": {"source_port": 40000, "destination_port": 8080, "flags": {"SYN": true}}},
        "source": {"namespace": "shop", "pod_name": "shop-1"},
        "destination": {"namespace": "shop", "pod_name": "pay-1"},
        "Type": "L3_L4",
        "node_name": "n1",
    }})
}

#[tokio::test]
async fn late_evidence_amends_the_journey_that_it_belongs_to() {
    let gateway = Gateway::start(&[]).await;
    let root = span(TRACE, 1, 0, 2, 5);
    send_traces(&gateway.grpc(), traces("shop", vec![root])).await.unwrap();
    gateway.found(&format!("id:{TRACE:032x}")).await;

    let mut late = span(TRACE, 2, 1, 3, 2);
    late.name = "latecomer".to_owned();
    send_traces(&gateway.grpc(), traces("shop", vec![late])).await.unwrap();

    let hits = gateway.found("latecomer").await;
    assert_eq!(hits[0]["id"], format!("{TRACE:032x}"));
    assert_eq!(hits[0]["revision"], 1);
    gateway.settled().await;
    let all = gateway.get("/api/v1/search?q=").await;
    assert_eq!(all["hits"].as_array().unwrap().len(), 1, "{all}");
}

#[tokio::test]
async fn bindings_that_find_no_room_are_counted_by_the_bound_that_was_reached() {
    let gateway = Gateway::start(&["join.shards=1", "join.bindings_max=70"]).await;
    let one = |number: u64| span(u128::from(number), number, 0, 2, 1);
    let by_request = (1..=100).map(|number| {
        let id = format!("request-{number}");
        Span { attributes: vec![attribute("http.request.header.x-request-id", &id)], ..one(number) }
    });
    send_traces(&gateway.grpc(), traces("shop", by_request.collect())).await.unwrap();

    let forgotten = async || gateway.settled().await["join"]["forgotten_bindings"].clone();
    assert_eq!(forgotten().await, json!({"bindings_full": 30, "key_full": 0}));
    let metrics = http::get(&gateway.api("/metrics")).await.unwrap();
    let metrics = metrics.text;
    let name = "hopline_join_forgotten_bindings_total";
    assert!(metrics.contains(&format!("{name}{{reason=\"bindings_full\"}} 30\n")), "{metrics}");
    assert!(metrics.contains(&format!("{name}{{reason=\"key_full\"}} 0\n")), "{metrics}");
    // The next are of one connection, which has room for 64: 36 find none, and all of the first go.
    let by_connection = (101..=200_u128).map(|number| {
        let mut access = access();
        access.trace_id = number.to_be_bytes().to_vec();
        access.attributes.retain(|it| it.key != "request_id");
        access
    });
    send_logs(&gateway.grpc(), logs("envoy", by_connection.collect())).await.unwrap();
    assert_eq!(forgotten().await, json!({"bindings_full": 100, "key_full": 36}));
}

/// A time of this century, in UTC.
fn rfc3339(ns: u64) -> String {
    let output = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{}", ns / 1_000_000_000), "+%Y-%m-%dT%H:%M:%SZ"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_sidecar_without_a_join_leaves_it_to_the_gateway_behind() {
    let gateway = Gateway::start(&[]).await;
    let off = "join: {enabled: false}\nindex: {enabled: false}\n";
    let export = format!("export.otlp.gateway.endpoint={}", gateway.grpc());
    let mut sidecar = Gateway::start_with_file(off, &[&export]).await;
    let mut root = span(0xd, 1, 0, 2, 1);
    root.name = "login password=hunter2".to_owned();

    send_traces(&sidecar.grpc(), traces("cart", vec![root, span(0xd, 2, 1, 3, 1)])).await.unwrap();

    let found = gateway.found(&format!("id:{:032x}", 0xd)).await;
    assert_eq!(found[0]["evidence"]["server"], 1, "{found:?}");
    assert_eq!(found[0]["evidence"]["client"], 1, "{found:?}");
    assert!(!gateway.found("login").await[0].to_string().contains("hunter2"));
    let status = sidecar.settled().await;
    assert_eq!(status["join"], Value::Null);
    let asked = http::get(&sidecar.api(&format!("/api/v1/journeys/{:032x}", 0xd))).await.unwrap();
    assert_eq!(asked.status, 503);
    assert!(asked.text.contains("join.enabled is false"), "{}", asked.text);

    // What the log still has is joined when someone wants it after all.
    sidecar.kill();
    sidecar.write_file("");
    sidecar.restart().await;
    sidecar.found(&format!("id:{:032x}", 0xd)).await;
    sidecar.settled().await;
}
