//! Destinations that are down, and what they hold up.

use crate::support::gateway::Gateway;
use crate::support::otlp::{send_traces, span, traces};
use crate::support::sink::Sink;
use crate::support::{dead_address, eventually, http};

#[tokio::test]
async fn a_dead_destination_holds_its_cursor_and_nobody_else() {
    let alive = Sink::start().await;
    let dead = dead_address();
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
        let (dead, alive) = (account(&gateway, "dead").await?, account(&gateway, "alive").await?);
        (alive["done"] == 20 && alive["held"] == 0).then_some(dead)
    })
    .await;
    assert_eq!((held["done"].as_u64(), held["held"].as_u64()), (Some(0), Some(20)));
    let health = eventually("the status says since when, and how much waits", || async {
        let status = gateway.get("/api/v1/status").await;
        let dead = status["exports"].as_array()?.iter().find(|it| it["name"] == "dead")?.clone();
        (dead["up"] == false && dead["lag_bytes"].as_u64()? > 0).then_some(dead)
    })
    .await;
    assert!(health["retrying_since_ns"].is_u64() && health["last_success_ns"].is_null());
    assert!(health["oldest_unsent_seconds"].as_f64().unwrap() > 0.0, "{health}");

    let late = Sink::start_at(&dead.to_string()).await;
    eventually("the one that was dead has caught up", || async {
        (late.spans().len() == 20).then_some(())
    })
    .await;
    gateway.settled().await;
}

/// The account of a destination for traces.
async fn account(gateway: &Gateway, name: &str) -> Option<serde_json::Value> {
    let status = gateway.get("/api/v1/status").await;
    let consumers = status["ledger"]["signals"][0]["consumers"].as_array()?.clone();
    consumers.into_iter().find(|it| it["consumer"] == format!("export/{name}"))
}

/// Answers OTLP over HTTP, and each request only when it is told to.
async fn slow_sink() -> (String, std::sync::Arc<tokio::sync::Semaphore>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let allowed = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let gate = std::sync::Arc::clone(&allowed);
    let answer = move || {
        let gate = std::sync::Arc::clone(&gate);
        async move { gate.acquire().await.unwrap().forget() }
    };
    let app = axum::Router::new().route("/v1/{signal}", axum::routing::post(answer));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (endpoint, allowed)
}

#[tokio::test]
async fn a_slow_destination_slows_nobody_else() {
    let fast = Sink::start().await;
    let (slow, allowed) = slow_sink().await;
    let gateway = Gateway::start(&[
        &format!("export.otlp.fast.endpoint={}", fast.endpoint),
        "export.otlp.fast.signals=[traces]",
        &format!("export.otlp.slow.endpoint={slow}"),
        "export.otlp.slow.protocol=http",
        "export.otlp.slow.concurrency=1",
        "export.otlp.slow.timeout=5m",
        "export.otlp.slow.batch_wait=0ms",
    ])
    .await;

    for id in 1..=50 {
        let request = traces("cart", vec![span(u128::from(id), id, 0, 2, 1)]);
        send_traces(&gateway.grpc(), request).await.unwrap();
    }

    eventually("the fast one has everything", || async {
        (fast.spans().len() == 50).then_some(())
    })
    .await;
    // The slow one has been asked once, and has not answered: all of it is held, none of it twice.
    let slow = eventually("the slow one's account is at rest", || async {
        account(&gateway, "slow").await.filter(|slow| slow["imbalance"] == 0 && slow["held"] == 50)
    })
    .await;
    assert_eq!(slow["done"], 0);

    allowed.add_permits(1000);
    gateway.settled().await;
}

#[tokio::test]
async fn the_account_balances_while_a_request_waits_for_its_next_attempt() {
    use axum::http::StatusCode;

    // It takes all but the first request, which it puts off for a long time.
    let seen = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = std::sync::Arc::clone(&seen);
    let answer = move || {
        let before = counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let later = (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "300")], "");
        std::future::ready(if before == 0 { Err(later) } else { Ok(()) })
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let app = axum::Router::new().route("/v1/{signal}", axum::routing::post(answer));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut gateway = Gateway::start(&[
        &format!("export.otlp.moody.endpoint={endpoint}"),
        "export.otlp.moody.protocol=http",
        "export.otlp.moody.batch_wait=0ms",
    ])
    .await;
    let send = async |id: u64| {
        let request = traces("cart", vec![span(u128::from(id), id, 0, 2, 1)]);
        send_traces(&gateway.grpc(), request).await.unwrap();
    };

    send(1).await;
    eventually("the first is put off", || async {
        (seen.load(std::sync::atomic::Ordering::SeqCst) > 0).then_some(())
    })
    .await;
    for id in 2..=10 {
        send(id).await;
    }

    let moody = eventually("all others are done", || async {
        account(&gateway, "moody").await.filter(|it| it["done"] == 9 && it["imbalance"] == 0)
    })
    .await;
    assert_eq!((moody["held"].as_u64(), moody["recovered"].as_u64()), (Some(1), Some(0)));

    gateway.kill();
    gateway.restart().await;

    // What was done past the one that waited is sent again, and said to be.
    let settled = gateway.settled().await;
    let moody = account(&gateway, "moody").await.unwrap();
    assert_eq!((&moody["recovered"], &moody["done"]), (&10.into(), &10.into()), "{settled}");
}

#[tokio::test]
async fn a_destination_that_may_drop_never_fills_the_log() {
    let dead = dead_address();
    let gateway = Gateway::start(&[
        &format!("export.otlp.dead.endpoint=http://{dead}"),
        "export.otlp.dead.when_full=drop_oldest",
        "export.otlp.dead.backlog_max=1MiB",
        "log.bytes_max=4MiB",
        "log.compression=none",
        "log.segment_bytes=1MiB",
        "index.enabled=false",
    ])
    .await;
    let request = |trace| traces("cart", (1..=500).map(|id| span(trace, id, 0, 3, 1)).collect());

    let mut admitted = 0;
    for trace in 1..=300 {
        eventually("the doors take it", || async {
            send_traces(&gateway.grpc(), request(trace)).await.ok()
        })
        .await;
        admitted += 500;
    }

    let account = eventually("what is too far behind is lost, and counted", || async {
        let account = account(&gateway, "dead").await?;
        let lost = account["lost"]["backlog"].as_u64()?;
        (lost > 0 && account["imbalance"] == 0).then_some(account)
    })
    .await;
    let lost = account["lost"]["backlog"].as_u64().unwrap();
    assert_eq!(lost + account["held"].as_u64().unwrap(), admitted);
    assert_eq!(lost % 500, 0, "whole batches");
}

#[tokio::test]
async fn a_full_log_refuses_for_a_while_and_loses_nothing() {
    let dead = dead_address();
    let gateway = Gateway::start(&[
        &format!("export.otlp.dead.endpoint=http://{dead}"),
        "log.bytes_max=4MiB",
        "log.compression=none",
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
