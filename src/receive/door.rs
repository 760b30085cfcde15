//! The loop that takes connections, for both protocols.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::budget::Sender;
use super::{Error, Intake, Settings};

const HEADERS_BYTES_MAX: u32 = 16 << 10;
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a connection may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// HTTP/2 alone, as gRPC does.
    Http2,
    /// HTTP/1.1 and HTTP/2.
    Both,
}

/// One door: the intake behind it, and the order to close it.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) intake: Intake,
    pub(super) stop: CancellationToken,
}

/// Takes connections until `stop`, then lets those that are open finish their requests.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    speaks: Speaks,
    door: Door,
) -> Result<(), Error> {
    let address = listener.local_addr().map_err(|source| Error::Listener { source })?;
    tracing::info!(%address, ?speaks, "door open");
    let builder = Arc::new(builder(speaks, door.intake.settings()));
    let tracker = TaskTracker::new();
    loop {
        let stream = tokio::select! {
            () = door.stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Descriptors run out and clients vanish: neither may end the door.
                    tracing::warn!(%address, %error, "connection not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let counters = Arc::clone(door.intake.counters());
        let Ok(permit) = door.intake.connections().try_acquire_owned() else {
            counters.turned_away();
            continue;
        };
        counters.opened();
        let connection = connection(stream, Arc::clone(&builder), router.clone(), door.clone());
        tracker.spawn(async move {
            connection.await;
            counters.closed();
            drop(permit);
        });
    }
    drop(listener);
    tracker.close();
    tracker.wait().await;
    tracing::info!(%address, "door closed");
    Ok(())
}

/// Serves one connection. It ends by itself, when it stays silent, when it is old, or on `stop`.
async fn connection(
    stream: TcpStream,
    builder: Arc<Builder<TokioExecutor>>,
    router: Router,
    door: Door,
) {
    let settings = door.intake.settings();
    // Acknowledgements are small: waiting to fill a packet only delays them.
    drop(stream.set_nodelay(true));
    let spoke = Arc::new(AtomicBool::new(false));
    let silent = silence(settings.header_timeout, Arc::clone(&spoke));
    let sender = Sender::next();
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        spoke.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(sender);
        router.clone().call(request)
    });
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = serving.as_mut() => return,
        () = silent => return,
        () = tokio::time::sleep(jittered(settings.connection_age_max)) => {}
        () = door.stop.cancelled() => {}
    }
    serving.as_mut().graceful_shutdown();
    // Whatever the client does now, the connection ends.
    drop(tokio::time::timeout(settings.drain_timeout, serving).await);
}

/// Ends when no request came in time. hyper's own timer starts with the first byte of a request,
/// so a client that says nothing, or half a preface, would stay.
async fn silence(timeout: Duration, spoke: Arc<AtomicBool>) {
    tokio::time::sleep(timeout).await;
    if spoke.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

fn builder(speaks: Speaks, settings: &Settings) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    if speaks == Speaks::Http2 {
        builder = builder.http2_only();
    }
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_buf_size(64 << 10);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.streams_max)
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
