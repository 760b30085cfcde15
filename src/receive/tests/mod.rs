//! Real clients against the real doors.

mod abandoned;
mod auth;
mod contract;
mod cors;
mod fair;
mod grpc;
mod http;
mod malformed;
mod pki;
mod tls;
mod unix;
mod wire;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Mutex;

use axum::body::Body;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::evidence::{Digest, Head};
use crate::redact;
use crate::wire::Malformed;

type Task = JoinHandle<Result<(), Error>>;

/// Both doors, in front of a handle that remembers what it got and answers as it is told.
struct Doors {
    grpc: SocketAddr,
    http: SocketAddr,
    intake: Intake,
    got: Arc<Mutex<Vec<Raw>>>,
    /// The handle takes a permit for each request: without one it waits.
    gate: Arc<Semaphore>,
    stop: CancellationToken,
    tasks: Vec<Task>,
}

impl Doors {
    async fn open(reply: Reply) -> Self {
        Self::with(reply, settings()).await
    }

    async fn with(reply: Reply, settings: Settings) -> Self {
        let front = Gate::new(settings.terms(), None);
        Self::behind(front, move |_| reply.clone(), settings).await
    }

    async fn judged(
        judge: impl Fn(&Raw) -> Reply + Send + Sync + 'static,
        settings: Settings,
    ) -> Self {
        Self::behind(Gate::new(settings.terms(), None), judge, settings).await
    }

    /// Doors at which `auth` is asked for, with a certificate when there is one.
    async fn guarded(auth: Auth, tls: Option<Tls>) -> Self {
        let terms = Terms { auth, ..settings().terms() };
        Self::behind(Gate::new(terms, tls), |_| Reply::Accepted, settings()).await
    }

    async fn behind(
        front: Gate,
        judge: impl Fn(&Raw) -> Reply + Send + Sync + 'static,
        settings: Settings,
    ) -> Self {
        let got = Arc::<Mutex<Vec<Raw>>>::default();
        let gate = Arc::new(Semaphore::new(1_000_000));
        let (to, at) = (Arc::clone(&got), Arc::clone(&gate));
        let handle = move |raw: Raw, _: Turn| {
            let (reply, at) = (judge(&raw), Arc::clone(&at));
            to.lock().unwrap().push(raw);
            let answer = async move {
                at.acquire().await.unwrap().forget();
                reply
            };
            Box::pin(answer) as Pin<Box<dyn Future<Output = Reply> + Send>>
        };
        let intake = Intake::behind(front, Arc::new(handle), settings);
        let stop = CancellationToken::new();
        let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = (grpc.local_addr().unwrap(), http.local_addr().unwrap());
        let tasks = vec![
            tokio::spawn(serve_grpc(grpc, intake.clone(), stop.clone())),
            tokio::spawn(serve_http(http, intake.clone(), stop.clone())),
        ];
        Self { grpc: addresses.0, http: addresses.1, intake, got, gate, stop, tasks }
    }

    fn got(&self) -> Vec<Raw> {
        self.got.lock().unwrap().clone()
    }

    /// The one request that came through.
    fn only(&self) -> Raw {
        let [raw] = &self.got()[..] else { panic!("{} requests", self.got().len()) };
        raw.clone()
    }

    fn tally(&self, source: Source) -> &Tally {
        self.intake.counters().of(source)
    }

    /// Waits until `connections` are open.
    async fn opens(&self, connections: u64) {
        for _ in 0..1000 {
            if self.intake.gate().open() == connections {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{} connections are open", self.intake.gate().open());
    }

    /// Waits until so many connections have ended for this reason.
    async fn turns_away(&self, connections: u64, away: Away) {
        for _ in 0..1000 {
            if self.intake.gate().away(away) == connections {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{} connections ended for {away:?}", self.intake.gate().away(away));
    }

    /// Waits until the handle holds `requests`.
    async fn holds(&self, requests: usize) {
        for _ in 0..1000 {
            if self.got.lock().unwrap().len() >= requests {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the handle never held {requests} requests");
    }
}

/// A client that waits for nothing before it sends: thousands of small requests take a while.
fn client(http2: bool) -> Client<HttpConnector, Body> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).http2_only(http2).build(connector)
}

fn settings() -> Settings {
    Settings {
        request_bytes_max: 1 << 20,
        encoded_bytes_max: 256 << 10,
        inflight_bytes_max: 8 << 20,
        ..Settings::default()
    }
}

/// What the stage behind the doors says of a request.
pub(super) fn cleaned(signal: Signal, bytes: &Bytes) -> Result<(), Malformed> {
    tally(signal, bytes).map(drop)
}

/// What it does to the request.
fn tally(signal: Signal, bytes: &Bytes) -> Result<redact::Tally, Malformed> {
    let settings = redact::Settings {
        enabled: true,
        action: redact::Action::Mask("****".to_owned()),
        keys: vec!["password".to_owned()],
        keep_keys: Vec::new(),
        urls: Vec::new(),
        detectors: redact::Detectors {
            bearer: true,
            jwt: true,
            card: true,
            email: true,
            assignment: true,
        },
        caps: redact::Caps::default(),
        edit: redact::edit::Settings::default(),
    };
    let head = Head {
        signal,
        source: Source::OtlpHttp,
        tenant: Tenant::default(),
        received: Nanos(1),
        items: 0,
        policy: 0,
        digest: Digest::default(),
    };
    redact::Policy::new(&settings).unwrap().clean(head, bytes).map(|(_, tally)| tally)
}

fn refused(refusal: Refusal) -> Reply {
    Reply::Refused { refusal, message: "because".to_owned() }
}

fn partial() -> Reply {
    Reply::Partial { rejected: 3, message: "three were wrong".to_owned() }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn framed_snappy(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.into_inner().unwrap()
}

/// About 100 KB that inflate to 100 MiB.
fn bomb() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..100 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap()
}
