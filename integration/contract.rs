//! What an OK promises: kept once, kept in every destination when that was asked for, and kept
//! while the settings change.

use prost::Message;

use crate::support::gateway::Gateway;
use crate::support::otlp::{send_traces, span, traces};
use crate::support::sink::Sink;
use crate::support::{dead_address, eventually, http};

#[tokio::test]
async fn a_request_that_is_sent_again_is_kept_once() {
    let sink = Sink::start().await;
    let export = format!("export.otlp.sink.endpoint={}", sink.endpoint);
    let mut gateway = Gateway::start(&[&export]).await;
    let request = traces("cart", vec![span(0xa, 1, 0, 2, 1), span(0xa, 2, 1, 3, 1)]);

    for _ in 0..5 {
        send_traces(&gateway.grpc(), request.clone()).await.unwrap();
    }
    let url = gateway.otlp_http("/v1/traces");
    let body = request.encode_to_vec();
    let over_http = http::post(&url, "application/x-protobuf", body).await.unwrap();

    assert_eq!((over_http.status, over_http.text.as_str()), (200, ""));
    let status = gateway.settled().await;
    let signal = &status["ledger"]["signals"][0];
    assert_eq!((&signal["received"], &signal["admitted"]), (&12.into(), &2.into()));
    assert_eq!(signal["repeated"], 10);
    assert_eq!(sink.spans().len(), 2);
    let hops = gateway.get("/api/v1/hops").await;
    assert_eq!(hops["hops"][0]["count"], 1, "{hops}");

    // The log remembers what a killed process does not.
    gateway.kill();
    gateway.restart().await;
    send_traces(&gateway.grpc(), request).await.unwrap();
    assert_eq!(gateway.settled().await["ledger"]["signals"][0]["repeated"], 2);
}

#[tokio::test]
async fn end_to_end_an_ok_waits_for_every_destination() {
    let alive = Sink::start().await;
    let dead = dead_address();
    let gateway = Gateway::start(&[
        "log.ack=e2e",
        "log.e2e_timeout=500ms",
        &format!("export.otlp.alive.endpoint={}", alive.endpoint),
        &format!("export.otlp.dead.endpoint=http://{dead}"),
    ])
    .await;
    assert_eq!(gateway.get("/api/v1/status").await["ack"], "e2e");
    let request = traces("cart", vec![span(0xb, 1, 0, 2, 1)]);

    let refused = send_traces(&gateway.grpc(), request.clone()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused:?}");
    assert_eq!(alive.spans().len(), 1, "the one that is alive has it all the same");

    let late = Sink::start_at(&dead.to_string()).await;
    eventually("an OK when the last destination has it", || async {
        send_traces(&gateway.grpc(), request.clone()).await.ok()
    })
    .await;
    assert_eq!((alive.spans().len(), late.spans().len()), (1, 1));
    gateway.settled().await;
}

#[tokio::test]
async fn settings_change_under_load_and_open_journeys_survive() {
    let (first, second) = (Sink::start().await, Sink::start().await);
    let destination = |name: &str, sink: &Sink| {
        format!("export: {{otlp: {{{name}: {{endpoint: \"{}\"}}}}}}\n", sink.endpoint)
    };
    let file = destination("first", &first);
    let gateway = Gateway::start_with_file(&file, &["join.rootless=60s"]).await;
    let sent = |id: u64, parent| traces("cart", vec![span(0xc, id, parent, 3, 1)]);
    // A child without its root: the journey stays open.
    send_traces(&gateway.grpc(), sent(1, 9)).await.unwrap();
    eventually("the first has it", || async { (first.spans().len() == 1).then_some(()) }).await;
    gateway.write_file("log: {keep: forever}\n");
    let refused = gateway.reload().await;
    assert_eq!(refused.status, 422);
    assert!(refused.text.contains("log.keep must be 1s to 30d, not forever"), "{}", refused.text);
    gateway.write_file(&format!("{}log: {{keep: 2h}}\n", destination("first", &first)));
    let refused = gateway.reload().await;
    assert!(refused.text.contains("log.keep cannot change while"), "{}", refused.text);

    let mask = "redact: {mask: \"[gone]\"}\n";
    gateway.write_file(&format!("{}{mask}", destination("second", &second)));
    let changed = gateway.reload().await;

    assert_eq!(changed.status, 200, "{}", changed.text);
    let keys = ["export.otlp.first.endpoint", "export.otlp.second.endpoint", "redact.mask"];
    assert_eq!(changed.json()["changed"], serde_json::json!(keys));
    send_traces(&gateway.grpc(), sent(2, 9)).await.unwrap();
    let mut root = span(0xc, 9, 0, 2, 1);
    root.name = "login password=hunter2".to_owned();
    send_traces(&gateway.grpc(), traces("cart", vec![root])).await.unwrap();
    let found = gateway.found(&format!("id:{:032x}", 0xc)).await;
    assert_eq!(found[0]["evidence"]["client"], 2, "{found:?}");
    assert_eq!(found[0]["evidence"]["server"], 1, "{found:?}");
    gateway.settled().await;
    let names: Vec<_> = second.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(
        names,
        ["work", "work", "login password=[gone]"],
        "all that is in the log, redacted anew"
    );
}
