//! One OTLP call: a request out, a judged answer back.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TE, TRANSFER_ENCODING, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Collected, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout_at};

use super::answer::{Answer, grpc, http as over_http};
use super::body::Packed;
use super::connect::Connector;
use super::{Compression, Destination, Error, Protocol, clock};
use crate::evidence::Signal;

/// The cap of OTLP on what a server may answer.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// A connection that nothing was sent on for this long is asked whether it lives, or closed.
const IDLE: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
const AGENT: &str = concat!("hopline/", env!("CARGO_PKG_VERSION"));

/// The connections to a destination; clones share them. They are made with the first call, and
/// again after they broke.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: legacy::Client<Connector, Packed>,
    protocol: Protocol,
    headers: HeaderMap,
    uris: Vec<(Signal, Uri)>,
    timeout: Duration,
}

/// The whole body of an answer, or why there is none.
type Body = Result<Collected<Bytes>, Unread>;

enum Unread {
    TooLarge,
    Broken(String),
}

impl Client {
    pub(super) fn new(destination: &Destination) -> Result<Self, Error> {
        let http = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(destination.concurrency)
            .http2_only(destination.protocol == Protocol::Grpc)
            .http2_keep_alive_interval(IDLE)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            .http2_keep_alive_while_idle(true)
            .build(Connector::new(destination)?);
        let uri = |signal| Ok((signal, uri(destination, signal)?));
        Ok(Self {
            http,
            protocol: destination.protocol,
            headers: headers(destination),
            uris: Signal::ALL.into_iter().map(uri).collect::<Result<_, Error>>()?,
            timeout: destination.timeout,
        })
    }

    /// Sends a request and judges the answer.
    pub(super) async fn export(&self, signal: Signal, packed: Packed) -> Answer {
        let Some((_, uri)) = self.uris.iter().find(|(of, _)| *of == signal) else {
            return Answer::retry("there is no address for this signal");
        };
        let mut request = Request::new(packed);
        *request.method_mut() = http::Method::POST;
        uri.clone_into(request.uri_mut());
        self.headers.clone_into(request.headers_mut());
        let deadline = Instant::now() + self.timeout;
        let response = match timeout_at(deadline, self.http.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Answer::retry(reason(&error)),
            Err(_) => return Answer::retry("no answer in time"),
        };
        self.judge(response, deadline).await
    }

    async fn judge(&self, response: Response<Incoming>, deadline: Instant) -> Answer {
        let (head, body) = response.into_parts();
        let body = read(body, deadline).await;
        match (self.protocol, body) {
            (Protocol::Http, body) => {
                let body = body.ok().map(Collected::to_bytes);
                over_http::judge(head.status, &head.headers, body.as_deref(), clock())
            }
            (Protocol::Grpc, Ok(body)) => {
                let trailers = body.trailers().cloned();
                grpc::judge(head.status, &head.headers, trailers.as_ref(), &body.to_bytes())
            }
            // OTLP: an answer that is too large must not be answered by sending again.
            (Protocol::Grpc, Err(Unread::TooLarge)) => {
                Answer::Refused { message: "answer too large".to_owned() }
            }
            // Whether a gRPC server took it stands behind the body.
            (Protocol::Grpc, Err(Unread::Broken(message))) => Answer::retry(message),
        }
    }
}

async fn read(body: Incoming, deadline: Instant) -> Body {
    match timeout_at(deadline, Limited::new(body, ANSWER_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Unread::TooLarge),
        Ok(Err(error)) => Err(Unread::Broken(reason(&*error))),
        Err(_) => Err(Unread::Broken("no whole answer in time".to_owned())),
    }
}

/// Where requests of a signal go.
fn uri(destination: &Destination, signal: Signal) -> Result<Uri, Error> {
    let Destination { name, protocol, endpoint, endpoints, .. } = destination;
    let own = endpoints.iter().find(|(of, _)| *of == signal).map(|(_, endpoint)| endpoint);
    let wrong = || Error::Endpoint { name: name.clone(), protocol: protocol.name() };
    let base: Uri = own.unwrap_or(endpoint).parse().map_err(|_| wrong())?;
    let known = matches!(base.scheme_str(), Some("http" | "https")) && base.query().is_none();
    let text = match (protocol, own) {
        _ if !known => return Err(wrong()),
        (Protocol::Http, Some(own)) => own.clone(),
        (Protocol::Http, None) => {
            format!("{}/v1/{}", endpoint.trim_end_matches('/'), signal.name())
        }
        (Protocol::Grpc, None) if base.path() == "/" => {
            format!("{}{}", endpoint.trim_end_matches('/'), method(signal))
        }
        (Protocol::Grpc, _) => return Err(wrong()),
    };
    text.parse().map_err(|_| wrong())
}

fn method(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    }
}

fn headers(destination: &Destination) -> HeaderMap {
    let mut headers = HeaderMap::new();
    // The destination's own headers come first: none of them may break the protocol's.
    for (name, value) in &destination.headers {
        headers.append(name.clone(), value.clone());
    }
    for name in [CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION] {
        headers.remove(name);
    }
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let encoding = match destination.compression {
        Compression::None => "identity",
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
    };
    let encoding = HeaderValue::from_static(encoding);
    if destination.protocol == Protocol::Http {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        if destination.compression != Compression::None {
            headers.insert(CONTENT_ENCODING, encoding);
        }
        return headers;
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert("grpc-encoding", encoding);
    headers.insert("grpc-accept-encoding", HeaderValue::from_static("identity"));
    // At most eight digits, so the longest is a day.
    let millis = destination.timeout.as_millis().clamp(1, 86_400_000);
    if let Ok(timeout) = HeaderValue::try_from(format!("{millis}m")) {
        headers.insert("grpc-timeout", timeout);
    }
    headers
}

/// The innermost cause: "client error" alone helps nobody.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
