//! SIGKILL in the middle of load: what was acknowledged is there afterwards.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::gateway::Gateway;
use crate::support::otlp::{attribute, send_traces, span, traces};
use crate::support::sink::Sink;
use crate::support::{eventually, http};

const ROUNDS: u64 = 50;
const SENDERS: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_trace_survives_being_killed() {
    let sink = Sink::start().await;
    let export = format!("export.otlp.sink.endpoint={}", sink.endpoint);
    let mut gateway = Gateway::start(&[&export]).await;
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let next = Arc::new(AtomicU64::new(1));

    for round in 0..ROUNDS {
        let endpoint = gateway.grpc();
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| {
                let (next, acknowledged) = (Arc::clone(&next), Arc::clone(&acknowledged));
                tokio::spawn(send_until_it_fails(endpoint.clone(), next, acknowledged))
            })
            .collect();
        // Some rounds die before the first commit of the index, some after several.
        tokio::time::sleep(Duration::from_millis(50 + 400 * (round % 4))).await;
        gateway.kill();
        for sender in senders {
            sender.await.unwrap();
        }
        gateway.restart().await;
    }

    let acknowledged = acknowledged.lock().unwrap().clone();
    assert!(acknowledged.len() > 100, "only {} were acknowledged", acknowledged.len());
    gateway.settled().await;
    let received = eventually("the sink has everything", || async {
        let spans = sink.spans();
        let received: HashSet<_> = spans.iter().map(|it| number(&it.trace_id)).collect();
        acknowledged.iter().all(|id| received.contains(id)).then_some(spans.len())
    })
    .await;
    assert!(
        received > acknowledged.len(),
        "killed in the middle of sending, and nothing came twice"
    );
    for id in &acknowledged {
        let url = gateway.api(&format!("/api/v1/journeys/{id:032x}"));
        let answer = http::get(&url).await.unwrap();
        assert_eq!(answer.status, 200, "{id:032x} was acknowledged and is not there");
    }
    let first = format!("id:{:032x}", acknowledged[0]);
    assert_eq!(gateway.found(&first).await.len(), 1, "replayed journeys are indexed once");
}

#[tokio::test]
async fn an_index_that_is_gone_is_made_again_from_the_log() {
    let mut gateway = Gateway::start(&[]).await;
    for id in 1..=5 {
        let request = traces("kept", vec![span(u128::from(id), id, 0, 2, 1)]);
        send_traces(&gateway.grpc(), request).await.unwrap();
    }
    gateway.settled().await;
    gateway.kill();
    std::fs::remove_dir_all(gateway.data().join("index")).unwrap();

    gateway.restart().await;

    gateway.settled().await;
    let all = gateway.get("/api/v1/search?q=").await;
    assert_eq!(all["hits"].as_array().unwrap().len(), 5, "{all}");
}

/// One request after another, as a sender does; a refusal or a broken connection ends it.
async fn send_until_it_fails(
    endpoint: String,
    next: Arc<AtomicU64>,
    acknowledged: Arc<Mutex<Vec<u128>>>,
) {
    loop {
        let id = next.fetch_add(1, Ordering::Relaxed);
        let trace = u128::from(id) << 64 | 0x5eed;
        let mut root = span(trace, id, 0, 2, 3);
        root.attributes = vec![attribute("http.route", "/kept")];
        if send_traces(&endpoint, traces("kept", vec![root])).await.is_err() {
            return;
        }
        acknowledged.lock().unwrap().push(trace);
        // Each one is asked for at the end.
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

fn number(id: &[u8]) -> u128 {
    u128::from_be_bytes(id.try_into().unwrap())
}
