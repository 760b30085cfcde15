//! The sink's doors.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use hopline::evidence::Signal;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use super::{Mood, Sink};
use crate::shape::{Compression, Protocol};

/// The windows of one stream and of the connection: they must not be what limits. Frames keep their
/// default size, which is what most backends have.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;

/// The compressed flag and the length.
const PREFIX_BYTES: usize = 5;

type Answer = Response<BoxBody<Bytes, Infallible>>;

pub(super) async fn listen(sink: Sink, listener: TcpListener, protocol: Protocol) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        if *sink.mood.borrow() != Mood::Down {
            tokio::spawn(connection(sink.clone(), stream, protocol));
        }
    }
}

/// Serves the page that tells the sink how to behave, whatever its mood is.
pub(super) async fn control(sink: Sink, listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let sink = sink.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = obey(&sink, request.uri().query().unwrap_or_default());
            async move { Ok::<_, Infallible>(answer) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// Serves one connection until it ends or the sink is down.
async fn connection(sink: Sink, stream: TcpStream, protocol: Protocol) {
    // Without it an answer waits for the next packet.
    let _set = stream.set_nodelay(true);
    let io = TokioIo::new(stream);
    let mut mood = sink.mood.subscribe();
    let service = service_fn(move |request| {
        let sink = sink.clone();
        async move { Ok::<_, Infallible>(answer(&sink, protocol, request).await) }
    });
    let served = async {
        // A connection that breaks is the gateway's business.
        match protocol {
            Protocol::Grpc => {
                let mut server = http2::Builder::new(TokioExecutor::new());
                server.timer(TokioTimer::new());
                server.initial_stream_window_size(STREAM_WINDOW);
                server.initial_connection_window_size(CONNECTION_WINDOW);
                server.serve_connection(io, service).await.ok();
            }
            Protocol::Http => {
                http1::Builder::new().serve_connection(io, service).await.ok();
            }
        }
    };
    tokio::select! {
        () = served => {}
        _ = mood.wait_for(|mood| *mood == Mood::Down) => {}
    }
}

async fn answer(sink: &Sink, protocol: Protocol, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return say(protocol, Verdict::Malformed) };
    let body = body.to_bytes();
    let mood = *sink.mood.borrow();
    match mood {
        Mood::Takes(delay) if !delay.is_zero() => tokio::time::sleep(delay).await,
        Mood::Takes(_) | Mood::Down => {}
        Mood::Refuses => return say(protocol, Verdict::Refused),
    }
    let read = match protocol {
        Protocol::Grpc => unframe(&head.headers, &body),
        Protocol::Http => Some((coding(head.headers.get(CONTENT_ENCODING)), &*body)),
    };
    let (Some(signal), Some((compression, message))) = (signal(head.uri.path()), read) else {
        return say(protocol, Verdict::Malformed);
    };
    sink.requests.fetch_add(1, Ordering::Relaxed);
    sink.counter.lock().unwrap().take(signal, compression, message);
    say(protocol, Verdict::Taken)
}

/// `?mood=takes|refuses|down` and `&delay_ms=`. Answers with what came so far.
fn obey(sink: &Sink, query: &str) -> Answer {
    let value = |key: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| *name == key).map(|(_, value)| value)
    };
    let delay = value("delay_ms").and_then(|millis| millis.parse().ok()).unwrap_or(0);
    match value("mood") {
        Some("takes") => sink.set_mood(Mood::Takes(Duration::from_millis(delay))),
        Some("refuses") => sink.set_mood(Mood::Refuses),
        Some("down") => sink.set_mood(Mood::Down),
        _ => {}
    }
    let text = format!("{:?} {:?}\n", *sink.mood.borrow(), sink.counts());
    Response::new(Full::from(text).boxed())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Taken,
    Refused,
    Malformed,
}

fn say(protocol: Protocol, verdict: Verdict) -> Answer {
    match protocol {
        Protocol::Grpc => {
            let code = match verdict {
                Verdict::Taken => "0",
                Verdict::Refused => "14",
                Verdict::Malformed => "3",
            };
            let status = http::HeaderName::from_static("grpc-status");
            let trailers = HeaderMap::from_iter([(status, HeaderValue::from_static(code))]);
            let message = if verdict == Verdict::Taken { &[0; PREFIX_BYTES][..] } else { &[] };
            let body = Full::from(message).with_trailers(async move { Some(Ok(trailers)) });
            let mut response = Response::new(body.boxed());
            let grpc = HeaderValue::from_static("application/grpc");
            response.headers_mut().insert(CONTENT_TYPE, grpc);
            response
        }
        Protocol::Http => {
            let mut response = Response::new(Full::default().boxed());
            *response.status_mut() = match verdict {
                Verdict::Taken => http::StatusCode::OK,
                Verdict::Refused => http::StatusCode::SERVICE_UNAVAILABLE,
                Verdict::Malformed => http::StatusCode::BAD_REQUEST,
            };
            let protobuf = HeaderValue::from_static("application/x-protobuf");
            response.headers_mut().insert(CONTENT_TYPE, protobuf);
            response
        }
    }
}

/// A message, and how it is compressed.
type Encoded<'a> = (Compression, &'a [u8]);

fn unframe<'a>(headers: &HeaderMap, body: &'a [u8]) -> Option<Encoded<'a>> {
    let (prefix, message) = body.split_at_checked(PREFIX_BYTES)?;
    let coding = if prefix[0] == 0 { None } else { headers.get("grpc-encoding") };
    Some((self::coding(coding), message))
}

fn coding(header: Option<&HeaderValue>) -> Compression {
    match header.map(HeaderValue::as_bytes) {
        Some(b"gzip") => Compression::Gzip,
        Some(b"zstd") => Compression::Zstd,
        _ => Compression::None,
    }
}

/// Which signal a path takes, of either protocol.
fn signal(path: &str) -> Option<Signal> {
    match path {
        "/v1/traces" | "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => {
            Some(Signal::Traces)
        }
        "/v1/logs" | "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => {
            Some(Signal::Logs)
        }
        "/v1/metrics" | "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => {
            Some(Signal::Metrics)
        }
        _ => None,
    }
}
