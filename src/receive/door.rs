//! The loop that takes connections, for all protocols, and what a connection passes on its way to
//! a route: its place, the TLS handshake, and for each request the question whose it is.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response};
use hyper::Method;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::Error as TlsError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::auth::Denied;
use super::budget::Sender;
use super::gate::{Away, Gate, Seat, Terms};
use super::identity::Identity;
use super::listener::{Listener, Stream};
use super::tls::Tls;
use super::{Error, Intake, status};
use crate::evidence::Tenant;

const HEADERS_BYTES_MAX: u32 = 16 << 10;
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a connection may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/2 alone, as gRPC does.
    Http2,
    /// HTTP/1.1 and HTTP/2.
    Both,
}

/// How a door says no to a request with these headers.
pub type Deny = fn(&HeaderMap, Denied) -> Response<Body>;

/// Which requests anyone may send.
pub type Open = fn(&Request<Incoming>) -> bool;

/// A request with its tenant, or the answer to one that is not let in.
type Admitted = Result<Request<Incoming>, Box<Response<Body>>>;

/// One door of OTLP: the intake behind it, and the order to close it.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) intake: Intake,
    pub(super) stop: CancellationToken,
}

/// The way from a listener to a router, past the gate.
#[derive(Clone)]
pub struct Entrance {
    /// Who may come in.
    pub gate: Gate,
    /// What connections may speak.
    pub speaks: Speaks,
    /// Which requests anyone may send.
    pub open: Open,
    /// The answer to those who may not.
    pub deny: Deny,
    /// Where requests go, with a [`Tenant`] among their extensions.
    pub router: Router,
    /// The order to close.
    pub stop: CancellationToken,
}

/// Takes connections of OTLP until `stop`, then lets those that are open finish their requests.
pub(super) async fn serve(
    listener: Listener,
    router: Router,
    speaks: Speaks,
    door: Door,
) -> Result<(), Error> {
    let deny: Deny = match speaks {
        Speaks::Http2 => status::grpc_denied,
        Speaks::Both => status::http_denied,
    };
    let gate = door.intake.gate().clone();
    let open = is_preflight;
    Entrance { gate, speaks, open, deny, router, stop: door.stop }.serve(listener).await
}

/// A browser asks without credentials whether a page may send. No route takes anything by it.
fn is_preflight(request: &Request<Incoming>) -> bool {
    request.method() == Method::OPTIONS
}

/// Whose request it is.
pub(super) fn tenant<T>(request: &Request<T>) -> Tenant {
    request.extensions().get().copied().unwrap_or_default()
}

impl Entrance {
    /// Takes connections until `stop`, then lets those that are open finish their requests.
    ///
    /// # Errors
    /// When the listener has no address any more.
    pub async fn serve(self, listener: Listener) -> Result<(), Error> {
        let address = listener.address().map_err(|source| Error::Listener { source })?;
        let tls = self.gate.tls().is_some();
        tracing::info!(%address, speaks = ?self.speaks, tls, "door open");
        let builder = Arc::new(builder(self.speaks, self.gate.terms()));
        let tracker = TaskTracker::new();
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Descriptors run out and clients vanish: neither may end the door.
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%address, %error, "connections cannot be accepted");
                    }
                    self.gate.turn_away(Away::NotAccepted);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            failing = false;
            match self.gate.seat(peer) {
                Ok(seat) => {
                    tracker.spawn(self.clone().enter(stream, seat, Arc::clone(&builder)));
                }
                Err(away) => self.gate.turn_away(away),
            }
        }
        drop(listener);
        tracker.close();
        tracker.wait().await;
        tracing::info!(%address, "door closed");
        Ok(())
    }

    /// One connection, from its first byte to its last.
    async fn enter(self, stream: Stream, seat: Seat, builder: Arc<Builder<TokioExecutor>>) {
        match (stream, self.gate.tls()) {
            (Stream::Unix(stream), _) => self.speak(stream, None, builder).await,
            (Stream::Tcp(stream), None) => {
                undelayed(&stream);
                self.speak(stream, None, builder).await;
            }
            (Stream::Tcp(stream), Some(tls)) => {
                undelayed(&stream);
                let shaken = tokio::select! {
                    shaken = shake(tls, self.speaks, stream, self.gate.terms()) => shaken,
                    () = self.stop.cancelled() => return,
                };
                match shaken {
                    Ok((stream, shown)) => self.speak(stream, shown, builder).await,
                    Err(away) => self.gate.turn_away(away),
                }
            }
        }
        drop(seat);
    }

    /// It ends by itself, when it stays silent, when it is old, or on `stop`.
    async fn speak(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        shown: Option<Identity>,
        builder: Arc<Builder<TokioExecutor>>,
    ) {
        let (gate, stop) = (self.gate.clone(), self.stop.clone());
        let terms = gate.terms();
        let spoke = Arc::new(AtomicBool::new(false));
        let silent = silence(terms.header_timeout, Arc::clone(&spoke));
        let sender = Sender::next();
        let service = service_fn(move |mut request: Request<Incoming>| {
            spoke.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(sender);
            let admitted = self.admit(shown.as_ref(), request);
            let mut router = self.router.clone();
            async move {
                match admitted {
                    Ok(request) => router.call(request).await,
                    Err(denial) => Ok(*denial),
                }
            }
        });
        let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            _ = serving.as_mut() => return,
            () = silent => return gate.turn_away(Away::Silent),
            () = tokio::time::sleep(jittered(terms.connection_age_max)) => {}
            () = stop.cancelled() => {}
        }
        serving.as_mut().graceful_shutdown();
        // Whatever the client does now, the connection ends.
        drop(tokio::time::timeout(terms.drain_timeout, serving).await);
    }

    /// The body is not read yet, and no route is chosen: what is not let in is let in nowhere.
    fn admit(&self, shown: Option<&Identity>, mut request: Request<Incoming>) -> Admitted {
        if (self.open)(&request) {
            return Ok(request);
        }
        match self.gate.admit(shown, request.headers()) {
            Ok(tenant) => {
                request.extensions_mut().insert(tenant);
                Ok(request)
            }
            Err(denied) => Err(Box::new((self.deny)(request.headers(), denied))),
        }
    }
}

/// The encrypted stream, and what the client's certificate names.
async fn shake(
    tls: &Tls,
    speaks: Speaks,
    stream: TcpStream,
    terms: &Terms,
) -> Result<(TlsStream<TcpStream>, Option<Identity>), Away> {
    let shaking = tls.acceptor(speaks).accept(stream);
    let shaken = tokio::time::timeout(terms.header_timeout, shaking).await;
    let stream = shaken.map_err(|_| Away::HandshakeTimeout)?.map_err(|error| reason(&error))?;
    let (_, session) = stream.get_ref();
    let shown = session.peer_certificates().and_then(|chain| chain.first());
    let shown = shown.and_then(|certificate| Identity::of_certificate(certificate));
    Ok((stream, shown))
}

fn reason(error: &std::io::Error) -> Away {
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        None => Away::HandshakeBroken,
        Some(TlsError::InvalidCertificate(_) | TlsError::NoCertificatesPresented) => {
            Away::Certificate
        }
        Some(TlsError::InvalidMessage(_)) => Away::NotTls,
        Some(_) => Away::HandshakeRefused,
    }
}

/// Acknowledgements are small: waiting to fill a packet only delays them.
fn undelayed(stream: &TcpStream) {
    drop(stream.set_nodelay(true));
}

/// Ends when no request came in time. hyper's own timer starts with the first byte of a request,
/// so a client that says nothing, or half a preface, would stay.
async fn silence(timeout: Duration, spoke: Arc<AtomicBool>) {
    tokio::time::sleep(timeout).await;
    if spoke.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

fn builder(speaks: Speaks, terms: &Terms) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    if speaks == Speaks::Http2 {
        builder = builder.http2_only();
    }
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(terms.header_timeout)
        .max_buf_size(64 << 10);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(terms.streams_max)
        .max_header_list_size(HEADERS_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// A tenth more or less, so that connections that began together do not end together.
fn jittered(age: Duration) -> Duration {
    age.mul_f64(0.9 + 0.2 * fastrand::f64())
}
