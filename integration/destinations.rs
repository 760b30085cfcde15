//! Destinations that are down, and what they hold up.

use crate::support::gateway::Gateway;
use crate::support::otlp::{send_traces, span, traces};
use crate::support::sink::Sink;
use crate::support::{eventually, http};

#[tokio::test]
async fn a_dead_destination_holds_its_cursor_and_nobody_else() {
    let alive = Sink::start().await;
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = Gateway::start(&[
        &format!("export.otlp.alive.endpoint={}", alive.endpoint),
        &format!("export.otlp.dead.endpoint=http://{dead}"),
        "export.otlp.alive.compression=gzip",
    ])
    .await;

    for id in 1..=20 {
        let request = traces("cart", vec![span(u128::from(id), id, 0, 2, 1)]);
        send_traces(&gateway.grpc(), request).await.unwrap();
    }

    eventually("the one that is alive has everything", || async {
        (alive.spans().len() == 20).then_some(())
    })
    .await;
    let id = format!("{:032x}", 7);
    assert_eq!(gateway.found(&format!("id:{id}")).await.len(), 1);
    let held = eventually("the status tells the two apart", || async {
        let status = gateway.get("/api/v1/status").await;
        let consumers = status["ledger"]["signals"][0]["consumers"].as_array()?.clone();
        let of = |name: &str| consumers.iter().find(|it| it["consumer"] == name).cloned();
        let (dead, alive) = (of("export/dead")?, of("export/alive")?);
        (alive["done"] == 20 && alive["held"] == 0).then_some(dead)
    })
    .await;
    assert_eq!((held["done"].as_u64(), held["held"].as_u64()), (Some(0), Some(20)));

    let late = Sink::start_at(&dead.to_string()).await;
    eventually("the one that was dead has caught up", || async {
        (late.spans().len() == 20).then_some(())
    })
    .await;
    gateway.settled().await;
}

#[tokio::test]
async fn a_full_log_refuses_for_a_while_and_loses_nothing() {
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = Gateway::start(&[
        &format!("export.otlp.dead.endpoint=http://{dead}"),
        "log.bytes_max=4MiB",
        "log.segment_bytes=1MiB",
    ])
    .await;
    let request = || traces("cart", (1..=500).map(|id| span(9, id, 0, 3, 1)).collect());

    let mut admitted = 0;
    let refused = loop {
        match send_traces(&gateway.grpc(), request()).await {
            Ok(()) => admitted += 500,
            Err(status) => break status,
        }
        assert!(admitted < 500_000, "4 MiB never filled up");
    };

    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused:?}");
    let body = prost::Message::encode_to_vec(&request());
    let over_http =
        http::post(&gateway.otlp_http("/v1/traces"), "application/x-protobuf", body).await.unwrap();
    assert_eq!(over_http.status, 503);

    let sink = Sink::start_at(&dead.to_string()).await;
    eventually("the destination has everything that was admitted", || async {
        (sink.spans().len() == admitted).then_some(())
    })
    .await;
    eventually("there is room again", || async {
        send_traces(&gateway.grpc(), request()).await.ok()
    })
    .await;
    gateway.settled().await;
}
