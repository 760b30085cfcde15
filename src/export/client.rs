//! One OTLP call: a framed request out, a judged answer back.

use std::future::poll_fn;
use std::io::{self, Write};
use std::time::Duration;

use bytes::Bytes;
use flate2::write::GzEncoder;
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tonic::Code;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tower::Service;

use super::answer::{Answer, judge};
use super::{Compression, Destination, Error};
use crate::evidence::Signal;

/// The cap of OTLP on what a server may answer.
const ANSWER_BYTES_MAX: usize = 4 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const PING_INTERVAL: Duration = Duration::from_secs(30);
const USER_AGENT: &str = concat!("hopline/", env!("CARGO_PKG_VERSION"));

/// The compressed flag and the length.
const PREFIX_BYTES: usize = 5;

/// The fastest level of both: on the way out, time is dearer than the last bytes.
const LEVEL: u32 = 1;

/// The connection to a destination; clones share it. It is made with the first call, and again
/// after it broke.
#[derive(Clone, Debug)]
pub(super) struct Client {
    channel: Channel,
    headers: HeaderMap,
    timeout: Duration,
}

impl Client {
    pub(super) fn new(destination: &Destination) -> Result<Self, Error> {
        let name = || destination.name.clone();
        let wrong = |source| Error::Endpoint { name: name(), source: Some(source) };
        let endpoint = Endpoint::from_shared(destination.endpoint.clone()).map_err(wrong)?;
        let uri = endpoint.uri();
        if uri.scheme_str() != Some("http") || uri.host().is_none() || uri.path() != "/" {
            return Err(Error::Endpoint { name: name(), source: None });
        }
        let endpoint = endpoint
            .user_agent(USER_AGENT)
            .map_err(wrong)?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_while_idle(true);
        let timeout = destination.timeout;
        Ok(Self { channel: endpoint.connect_lazy(), headers: headers(destination), timeout })
    }

    /// Sends a framed request and judges the answer.
    pub(super) async fn export(&self, signal: Signal, framed: Bytes) -> Answer {
        tokio::time::timeout(self.timeout, self.call(signal, framed)).await.unwrap_or_else(|_| {
            Answer::Retry { after: None, message: "no answer in time".to_owned() }
        })
    }

    async fn call(&self, signal: Signal, framed: Bytes) -> Answer {
        let mut channel = self.channel.clone();
        let mut request = Request::post(path(signal)).body(Body::new(Full::new(framed)));
        if let Ok(request) = &mut request {
            self.headers.clone_into(request.headers_mut());
        }
        let broken = |message: String| Answer::Retry { after: None, message };
        let Ok(request) = request else { return broken("the request has no form".to_owned()) };
        if let Err(error) = poll_fn(|context| channel.poll_ready(context)).await {
            return broken(reason(&error));
        }
        match channel.call(request).await {
            Ok(response) => read(response).await,
            Err(error) => broken(reason(&error)),
        }
    }
}

/// A request as gRPC frames it.
pub(super) fn frame(compression: Compression, parts: &[Bytes]) -> io::Result<Bytes> {
    let bytes: usize = parts.iter().map(Bytes::len).sum();
    let reserve = if compression == Compression::None { bytes } else { bytes / 4 };
    let mut out = Vec::with_capacity(PREFIX_BYTES + reserve);
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    let out = match compression {
        Compression::None => {
            parts.iter().for_each(|part| out.extend_from_slice(part));
            out
        }
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(out, flate2::Compression::new(LEVEL));
            parts.iter().try_for_each(|part| encoder.write_all(part))?;
            encoder.finish()?
        }
        Compression::Zstd => {
            let mut encoder = zstd::Encoder::new(out, LEVEL.cast_signed())?;
            parts.iter().try_for_each(|part| encoder.write_all(part))?;
            encoder.finish()?
        }
    };
    prefix(compression, out)
}

fn prefix(compression: Compression, mut out: Vec<u8>) -> io::Result<Bytes> {
    let length = out.len().saturating_sub(PREFIX_BYTES);
    let length = u32::try_from(length).map_err(io::Error::other)?;
    let [a, b, c, d] = length.to_be_bytes();
    if let Some(prefix) = out.first_chunk_mut::<PREFIX_BYTES>() {
        *prefix = [u8::from(compression != Compression::None), a, b, c, d];
    }
    Ok(Bytes::from(out))
}

async fn read(response: Response<Body>) -> Answer {
    let (head, body) = response.into_parts();
    match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(body) => {
            let trailers = body.trailers().cloned();
            judge(head.status, &head.headers, trailers.as_ref(), &body.to_bytes())
        }
        // OTLP: an answer that is too large must not be answered by sending again.
        Err(error) if error.is::<LengthLimitError>() => Answer::Refused {
            code: Code::ResourceExhausted,
            message: "answer too large".to_owned(),
        },
        Err(error) => Answer::Retry { after: None, message: reason(&*error) },
    }
}

fn headers(destination: &Destination) -> HeaderMap {
    let mut headers = HeaderMap::new();
    // The destination's own headers come first: none of them may break the protocol's.
    for (name, value) in &destination.headers {
        headers.append(name.clone(), value.clone());
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    let encoding = match destination.compression {
        Compression::None => "identity",
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
    };
    headers.insert("grpc-encoding", HeaderValue::from_static(encoding));
    headers.insert("grpc-accept-encoding", HeaderValue::from_static("identity"));
    // At most eight digits, so the longest is a day.
    let millis = destination.timeout.as_millis().clamp(1, 86_400_000);
    if let Ok(timeout) = HeaderValue::try_from(format!("{millis}m")) {
        headers.insert("grpc-timeout", timeout);
    }
    headers
}

fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    }
}

/// The innermost cause: "transport error" alone helps nobody.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
