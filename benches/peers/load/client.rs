//! One connection of the load, and one request on it.

use std::time::Duration;

use bytes::Bytes;
use hopline::evidence::Signal;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, TE};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;

use crate::shape::{Compression, Protocol, Shape};

/// A gateway that answers nothing for so long will not do so any more.
const PATIENCE: Duration = Duration::from_secs(30);

/// The windows of one stream and of the connection: they must not be what limits.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted,
    /// To be sent again, as OTLP says.
    Refused,
    /// Refused for good, or the connection broke.
    Failed,
}

/// Clones over HTTP/2 share the connection.
pub(crate) enum Client {
    Grpc(http2::SendRequest<Full<Bytes>>),
    Http(http1::SendRequest<Full<Bytes>>),
}

impl Client {
    pub(crate) async fn connect(protocol: Protocol, address: &str) -> Option<Self> {
        let stream = TcpStream::connect(address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let io = TokioIo::new(stream);
        match protocol {
            Protocol::Grpc => {
                let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .initial_stream_window_size(STREAM_WINDOW)
                    .initial_connection_window_size(CONNECTION_WINDOW)
                    .handshake(io)
                    .await
                    .ok()?;
                tokio::spawn(connection);
                Some(Self::Grpc(sender))
            }
            Protocol::Http => {
                let (sender, connection) = http1::handshake(io).await.ok()?;
                tokio::spawn(connection);
                Some(Self::Http(sender))
            }
        }
    }

    /// For another worker; over HTTP/1.1 there is nothing to share.
    pub(crate) fn share(&self) -> Option<Self> {
        match self {
            Self::Grpc(sender) => Some(Self::Grpc(sender.clone())),
            Self::Http(_) => None,
        }
    }

    pub(crate) async fn send(&mut self, shape: &Shape, address: &str, body: Bytes) -> Answer {
        let request = request(shape, address, body);
        let answer = tokio::time::timeout(PATIENCE, self.call(request)).await;
        answer.ok().flatten().unwrap_or(Answer::Failed)
    }

    async fn call(&mut self, request: Request<Full<Bytes>>) -> Option<Answer> {
        match self {
            Self::Grpc(sender) => {
                sender.ready().await.ok()?;
                grpc(sender.send_request(request).await.ok()?).await
            }
            Self::Http(sender) => {
                sender.ready().await.ok()?;
                let response = sender.send_request(request).await.ok()?;
                let status = response.status().as_u16();
                response.into_body().collect().await.ok()?;
                Some(match status {
                    200 => Answer::Accepted,
                    429 | 502..=504 => Answer::Refused,
                    _ => Answer::Failed,
                })
            }
        }
    }
}

async fn grpc(response: Response<Incoming>) -> Option<Answer> {
    let (head, body) = response.into_parts();
    let body = body.collect().await.ok()?;
    let code = |headers: &HeaderMap| headers.get("grpc-status")?.to_str().ok()?.parse().ok();
    let code: u8 = code(&head.headers).or_else(|| code(body.trailers()?))?;
    Some(match code {
        0 => Answer::Accepted,
        // RESOURCE_EXHAUSTED too: the load must go on.
        1 | 4 | 8 | 10 | 11 | 14 | 15 => Answer::Refused,
        _ => Answer::Failed,
    })
}

fn request(shape: &Shape, address: &str, body: Bytes) -> Request<Full<Bytes>> {
    let encoding = shape.compression.name();
    let is_plain = shape.compression == Compression::None;
    let request = match shape.protocol {
        Protocol::Grpc => Request::post(format!("http://{address}{}", method(shape.signal)))
            .header(CONTENT_TYPE, "application/grpc")
            .header(TE, "trailers")
            .header("grpc-encoding", if is_plain { "identity" } else { encoding }),
        Protocol::Http => {
            let request = Request::post(format!("/v1/{}", shape.signal.name()))
                .header(HOST, address)
                .header(CONTENT_TYPE, "application/x-protobuf");
            if is_plain { request } else { request.header(CONTENT_ENCODING, encoding) }
        }
    };
    request.body(Full::new(body)).unwrap()
}

/// The gRPC method that takes a signal.
fn method(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    }
}
