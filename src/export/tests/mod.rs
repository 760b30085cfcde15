//! The forwarder against a real server.

mod sink;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use prost::Message as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use self::sink::{Sink, logs, metrics, spans};
use super::*;
use crate::evidence::{Digest, Signal, Source, Tenant};
use crate::ledger::{Account, Ledger, Reason};

type Task = JoinHandle<Result<(), Error>>;

/// A forwarder at work.
struct Run {
    batches: mpsc::Sender<Outgoing>,
    account: Arc<Account>,
    health: Arc<Health>,
    delivered: Arc<Mutex<Vec<Position>>>,
    stop: CancellationToken,
    task: Task,
}

impl Run {
    fn start(destination: Destination) -> Self {
        let account = Ledger::new().open("forward");
        let health = Arc::new(Health::new());
        let delivered = Arc::<Mutex<Vec<Position>>>::default();
        let stop = CancellationToken::new();
        let (batches, receiver) = mpsc::channel(4);
        let (account2, health2) = (Arc::clone(&account), Arc::clone(&health));
        let forwarder = Forwarder { destination, account: account2, health: health2 };
        let tell = Arc::clone(&delivered);
        let tell = move |position| tell.lock().unwrap().push(position);
        let task = tokio::spawn(forwarder.run(receiver, tell, stop.clone()));
        Self { batches, account, health, delivered, stop, task }
    }

    /// Batches with one item each, at positions 0, 10, 20, …
    async fn feed(&self, batches: impl IntoIterator<Item = (Signal, Vec<u8>)>) {
        for (at, (signal, bytes)) in batches.into_iter().enumerate() {
            self.batches.send(outgoing(at as u64, signal, bytes)).await.unwrap();
        }
    }

    /// Ends the input and waits until all of it is settled.
    async fn finish(self) -> Finished {
        drop(self.batches);
        tokio::time::timeout(Duration::from_secs(10), self.task).await.unwrap().unwrap().unwrap();
        let delivered = self.delivered.lock().unwrap().clone();
        Finished { account: self.account, health: self.health.summary(), delivered }
    }
}

struct Finished {
    account: Arc<Account>,
    health: Summary,
    delivered: Vec<Position>,
}

impl Finished {
    fn done(&self, signal: Signal) -> u64 {
        self.account.standing(signal, 0).done
    }

    fn rejected(&self, signal: Signal) -> u64 {
        let lost = self.account.standing(signal, 0).lost;
        lost.into_iter().find(|(reason, _)| *reason == Reason::Rejected).unwrap().1
    }
}

fn outgoing(at: u64, signal: Signal, bytes: Vec<u8>) -> Outgoing {
    let (source, tenant) = (Source::OtlpGrpc, Tenant(0));
    let head = Head {
        signal,
        source,
        tenant,
        received: Nanos(0),
        items: 1,
        policy: 0,
        digest: Digest::default(),
    };
    let (position, next) = (Position(at * 10), Position(at * 10 + 10));
    Outgoing { position, next, head, bytes: Bytes::from(bytes) }
}

fn destination(sink: &Sink) -> Destination {
    Destination {
        batch_wait: Duration::from_millis(20),
        backoff_min: Duration::from_millis(5),
        backoff_max: Duration::from_millis(20),
        grace: Duration::from_millis(300),
        ..Destination::new("sink", format!("http://{}", sink.address))
    }
}

fn names(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|at| format!("name-{at}")).collect()
}

#[tokio::test]
async fn batches_arrive_merged_in_order_and_whole() {
    let sink = Sink::open().await;
    let run = Run::start(Destination { concurrency: 1, ..destination(&sink) });
    run.feed(names(0..50).iter().map(|name| (Signal::Traces, spans(name)))).await;

    let finished = run.finish().await;

    assert_eq!(sink.names(), names(0..50));
    assert!(sink.requests() < 50, "{} requests", sink.requests());
    assert_eq!((finished.done(Signal::Traces), finished.rejected(Signal::Traces)), (50, 0));
    assert_eq!(finished.delivered.last(), Some(&Position(500)));
    assert_eq!((finished.health.state, finished.health.items), (State::Up, 50));
}

#[tokio::test]
async fn no_request_is_larger_than_its_cap() {
    let sink = Sink::open().await;
    let size = spans("name-10").len();
    let run = Run::start(Destination { batch_bytes_max: size * 3, ..destination(&sink) });
    run.feed(names(10..40).iter().map(|name| (Signal::Traces, spans(name)))).await;

    let finished = run.finish().await;

    assert_eq!(finished.done(Signal::Traces), 30);
    let sizes = sink.sizes();
    assert_eq!((sizes.iter().sum::<usize>(), sizes.iter().max()), (30, Some(&3)));
}

#[tokio::test]
async fn every_signal_goes_to_its_own_service() {
    let sink = Sink::open().await;
    let run = Run::start(destination(&sink));
    let batches = [
        (Signal::Traces, spans("span")),
        (Signal::Logs, logs("log")),
        (Signal::Metrics, metrics("metric")),
    ];
    run.feed(batches).await;

    let finished = run.finish().await;

    let mut names = sink.names();
    names.sort();
    assert_eq!(names, ["log", "metric", "span"]);
    assert_eq!(Signal::ALL.map(|signal| finished.done(signal)), [1, 1, 1]);
    assert_eq!(finished.delivered.last(), Some(&Position(30)));
}

#[tokio::test]
async fn gzip_and_zstd_and_headers_arrive() {
    for (compression, encoding) in
        [(Compression::Gzip, "gzip"), (Compression::Zstd, "zstd"), (Compression::None, "identity")]
    {
        let sink = Sink::open().await;
        let header = (HeaderName::from_static("x-key"), HeaderValue::from_static("k"));
        let headers = vec![header];
        let run = Run::start(Destination { compression, headers, ..destination(&sink) });
        let long = "a".repeat(100_000);
        run.feed([(Signal::Traces, spans(&long))]).await;

        let finished = run.finish().await;

        assert_eq!((sink.names(), finished.done(Signal::Traces)), (vec![long], 1));
        let seen = sink.headers();
        assert_eq!(seen.get("grpc-encoding").unwrap(), encoding);
        assert_eq!(seen.get("x-key").unwrap(), "k");
        assert!(seen.get("user-agent").unwrap().to_str().unwrap().starts_with("hopline/"));
        assert_eq!(finished.health.bytes < 10_000, compression != Compression::None);
    }
}

#[tokio::test]
async fn what_is_unavailable_is_sent_again_until_it_is_taken() {
    let sink = Sink::open().await;
    sink.refuse(7, &Status::unavailable("not now"));
    let run = Run::start(destination(&sink));
    run.feed(names(0..20).iter().map(|name| (Signal::Traces, spans(name)))).await;

    let finished = run.finish().await;

    let mut arrived = sink.names();
    arrived.sort();
    let mut expected = names(0..20);
    expected.sort();
    assert_eq!(arrived, expected);
    assert_eq!((finished.done(Signal::Traces), finished.health.retries), (20, 7));
    assert_eq!(finished.health.last_error.as_deref(), Some("Unavailable: not now"));
}

#[tokio::test]
async fn what_is_invalid_is_counted_and_passed() {
    let sink = Sink::open().await;
    sink.refuse(1, &Status::invalid_argument("no"));
    let size = spans("name-0").len();
    let settings = Destination { batch_bytes_max: size, concurrency: 1, ..destination(&sink) };
    let run = Run::start(settings);
    run.feed(names(0..3).iter().map(|name| (Signal::Traces, spans(name)))).await;

    let finished = run.finish().await;

    assert_eq!(sink.names(), names(1..3));
    assert_eq!((finished.done(Signal::Traces), finished.rejected(Signal::Traces)), (2, 1));
    assert_eq!(finished.delivered.last(), Some(&Position(30)));
}

#[tokio::test]
async fn exhausted_without_a_time_to_come_back_is_final() {
    let sink = Sink::open().await;
    sink.refuse(1, &Status::new(Code::ResourceExhausted, "too large"));
    let run = Run::start(destination(&sink));
    run.feed([(Signal::Logs, logs("log"))]).await;

    let finished = run.finish().await;

    assert_eq!((finished.rejected(Signal::Logs), finished.health.retries), (1, 0));
}

#[tokio::test]
async fn a_partial_success_is_done_less_what_was_rejected() {
    let sink = Sink::open().await;
    sink.reject(2);
    let run = Run::start(destination(&sink));
    run.feed(names(0..5).iter().map(|name| (Signal::Traces, spans(name)))).await;

    let finished = run.finish().await;

    let requests = sink.requests() as u64;
    let rejected = finished.rejected(Signal::Traces);
    assert!(rejected > 0 && rejected <= 2 * requests);
    assert_eq!(finished.done(Signal::Traces) + rejected, 5);
    assert_eq!(finished.health.last_error.as_deref(), Some("some were wrong"));
}

#[tokio::test]
async fn a_dead_destination_holds_the_cursor_until_it_lives() {
    let address = sink::free_address().await;
    let dead = Sink::at(address);
    let settings = Destination { batch_bytes_max: 1, concurrency: 2, ..destination(&dead) };
    let run = Run::start(settings);
    // Two in flight and four in the queue: what comes after has to wait in the log.
    run.feed(names(0..6).iter().map(|name| (Signal::Traces, spans(name)))).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let seventh = run.batches.try_send(outgoing(6, Signal::Traces, spans("name-6")));
    assert!(seventh.is_err());
    assert!(matches!(run.health.summary().state, State::Retrying { .. }));
    assert_eq!(*run.delivered.lock().unwrap(), []);

    dead.listen().await;
    let finished = run.finish().await;

    let mut arrived = dead.names();
    arrived.sort();
    assert_eq!(arrived, names(0..6));
    assert_eq!(finished.delivered.last(), Some(&Position(60)));
    assert_eq!(finished.health.state, State::Up);
}

#[tokio::test]
async fn stopping_leaves_what_is_not_decided_for_the_next_start() {
    let sink = Sink::open().await;
    sink.refuse(usize::MAX, &Status::unavailable("never"));
    let run = Run::start(destination(&sink));
    run.feed([(Signal::Traces, spans("span"))]).await;
    while run.health.summary().retries == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    run.stop.cancel();
    let finished = run.finish().await;

    assert_eq!((finished.done(Signal::Traces), finished.rejected(Signal::Traces)), (0, 0));
    assert_eq!(finished.delivered, []);
}

#[tokio::test]
async fn stopping_gives_a_request_in_flight_its_grace() {
    let sink = Sink::open().await;
    sink.delay(Duration::from_millis(150));
    let run = Run::start(destination(&sink));
    run.feed([(Signal::Traces, spans("span"))]).await;
    sink.waits().await;

    run.stop.cancel();
    let finished = run.finish().await;

    assert_eq!((finished.done(Signal::Traces), finished.delivered), (1, vec![Position(10)]));
}

#[tokio::test]
async fn an_answer_that_never_comes_is_asked_for_again() {
    let sink = Sink::open().await;
    sink.delay(Duration::from_secs(3600));
    let timeout = Duration::from_millis(50);
    let run = Run::start(Destination { timeout, ..destination(&sink) });
    run.feed([(Signal::Traces, spans("span"))]).await;
    while run.health.summary().retries == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    sink.delay(Duration::ZERO);

    assert_eq!(run.finish().await.done(Signal::Traces), 1);
}

#[tokio::test]
async fn an_endpoint_that_is_none_is_an_error() {
    for endpoint in ["", "localhost:4317", "https://localhost:4317", "http://host/path", "http://"]
    {
        let run = Run::start(Destination::new("wrong", endpoint));
        let error = run.task.await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "destination wrong: the endpoint is not http://host:port");
    }
}

#[test]
fn requests_put_one_after_the_other_are_one_request() {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    let joined = [spans("a"), spans("b")].concat();
    let decoded = ExportTraceServiceRequest::decode(&*joined).unwrap();
    assert_eq!(sink::span_names(&decoded), ["a", "b"]);
}
