//! A network that loses every packet for a while: no reset, no refusal, only silence.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::support::gateway::Gateway;
use crate::support::network::Network;
use crate::support::otlp::{send_traces, span, traces};
use crate::support::sink::Sink;
use crate::support::{eventually, skipped};

const NEEDS: &str = "network namespaces, and iproute2, unshare and nsenter";

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_delays_one_destination_and_loses_nothing() {
    let Some(network) = Network::new() else { return skipped(NEEDS) };
    let near = Sink::start().await;
    let far = Sink::start_on(TcpListener::from_std(network.listen()).unwrap());
    let gateway = Gateway::start(&[
        &format!("export.otlp.near.endpoint={}", near.endpoint),
        &format!("export.otlp.far.endpoint={}", far.endpoint),
        "export.otlp.far.timeout=1s",
    ])
    .await;
    let load = Load::start(&gateway.grpc());
    eventually("the far one receives", || async { (!far.spans().is_empty()).then_some(()) }).await;

    network.cut();
    let (before, sent_before) = (far.spans().len(), load.acknowledged().len());
    eventually("requests to the far one end, and are tried again", || async {
        let far = export(&gateway, "far").await;
        (far["retries"].as_u64() >= Some(12)).then_some(())
    })
    .await;

    let cut_off = export(&gateway, "far").await;
    assert_eq!(
        (&cut_off["up"], &cut_off["last_error"]),
        (&false.into(), &"no answer in time".into())
    );
    assert_eq!(far.spans().len(), before, "the link was not cut");
    let meanwhile = load.acknowledged();
    assert!(meanwhile.len() > sent_before, "the doors closed");
    has_all(&near, &meanwhile).await;
    assert_eq!(far.spans().len(), before, "the near one waited for the far one");

    network.mend();
    let sent_apart = load.acknowledged().len();
    eventually("there is load after the partition too", || async {
        (load.acknowledged().len() > sent_apart + 50).then_some(())
    })
    .await;
    let acknowledged = load.stop().await;
    has_all(&near, &acknowledged).await;
    has_all(&far, &acknowledged).await;
    let settled = gateway.settled().await;
    for name in ["near", "far"] {
        let account = account(&settled, name);
        assert_eq!(account["done"], acknowledged.len(), "{name}: {account}");
        assert_eq!(lost(&account), 0, "{name}: {account}");
        assert_eq!(export(&gateway, name).await["up"], true, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_vanished_is_waited_for_no_longer_than_the_timeout() {
    let Some(network) = Network::new() else { return skipped(NEEDS) };
    let listener = TcpListener::from_std(network.listen()).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    // Every request is counted when it came, and answered when that is allowed.
    let (came, allowed) = (Arc::new(AtomicU64::new(0)), Arc::new(Semaphore::new(0)));
    let (counted, gate) = (Arc::clone(&came), Arc::clone(&allowed));
    let answer = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let gate = Arc::clone(&gate);
        async move { gate.acquire().await.unwrap().forget() }
    };
    let app = axum::Router::new().route("/v1/{signal}", axum::routing::post(answer));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let gateway = Gateway::start(&[
        &format!("export.otlp.far.endpoint={endpoint}"),
        "export.otlp.far.protocol=http",
        "export.otlp.far.timeout=2s",
    ])
    .await;
    send_traces(&gateway.grpc(), traces("cart", vec![span(1, 1, 0, 2, 1)])).await.unwrap();
    eventually("the request is in flight", || async {
        (came.load(Ordering::SeqCst) == 1).then_some(())
    })
    .await;

    network.cut();
    allowed.add_permits(1_000);

    let cut_off = eventually("it ends, and its next attempt too", || async {
        let far = export(&gateway, "far").await;
        (far["retries"].as_u64() >= Some(2)).then_some(far)
    })
    .await;
    assert_eq!(
        (&cut_off["up"], &cut_off["last_error"]),
        (&false.into(), &"no answer in time".into())
    );
    assert_eq!(came.load(Ordering::SeqCst), 1, "the link was not cut");
    assert_eq!(account(&gateway.get("/api/v1/status").await, "far")["held"], 1);
    network.mend();
    let settled = gateway.settled().await;
    let far = account(&settled, "far");
    assert_eq!((far["done"].as_u64(), lost(&far)), (Some(1), 0));
    assert!(came.load(Ordering::SeqCst) >= 2, "it was never sent again");
}

/// Senders that send until they are told to stop. A refusal fails the test.
struct Load {
    goes_on: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<Vec<u64>>>,
    senders: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(endpoint: &str) -> Self {
        let goes_on = Arc::new(AtomicBool::new(true));
        let acknowledged = Arc::default();
        let senders = (0..4).map(|sender| {
            let (goes_on, acknowledged) = (Arc::clone(&goes_on), Arc::clone(&acknowledged));
            tokio::spawn(send(endpoint.to_owned(), sender, goes_on, acknowledged))
        });
        let senders = senders.collect();
        Self { goes_on, acknowledged, senders }
    }

    fn acknowledged(&self) -> Vec<u64> {
        self.acknowledged.lock().unwrap().clone()
    }

    async fn stop(self) -> Vec<u64> {
        self.goes_on.store(false, Ordering::Relaxed);
        for sender in self.senders {
            sender.await.expect("no sender was refused");
        }
        self.acknowledged.lock().unwrap().clone()
    }
}

async fn send(
    endpoint: String,
    sender: u64,
    goes_on: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<Vec<u64>>>,
) {
    let ids = (sender << 32 | 1..).take_while(|_| goes_on.load(Ordering::Relaxed));
    for id in ids {
        let request = traces("cart", vec![span(u128::from(id), id, 0, 2, 1)]);
        send_traces(&endpoint, request).await.unwrap();
        acknowledged.lock().unwrap().push(id);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn has_all(sink: &Sink, ids: &[u64]) {
    eventually("the destination has everything that was acknowledged", || async {
        let spans = sink.spans();
        let received: HashSet<_> = spans.iter().map(|it| &*it.span_id).collect();
        ids.iter().all(|id| received.contains(&id.to_be_bytes()[..])).then_some(())
    })
    .await;
}

/// How a destination does.
async fn export(gateway: &Gateway, name: &str) -> Value {
    let status = gateway.get("/api/v1/status").await;
    let exports = status["exports"].as_array().unwrap();
    exports.iter().find(|it| it["name"] == name).unwrap().clone()
}

/// The account of a destination for traces.
fn account(status: &Value, name: &str) -> Value {
    let consumers = status["ledger"]["signals"][0]["consumers"].as_array().unwrap();
    consumers.iter().find(|it| it["consumer"] == format!("export/{name}")).unwrap().clone()
}

fn lost(account: &Value) -> u64 {
    account["lost"].as_object().unwrap().values().map(|items| items.as_u64().unwrap()).sum()
}
