//! OTLP over gRPC: three unary methods whose messages stay bytes.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Response};
use axum::routing::{MethodRouter, any};
use bytes::{BufMut, Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::body::{Pace, collect};
use super::budget::{Hold, Sender};
use super::deadline::Deadline;
use super::door::{Door, Speaks, serve, tenant};
use super::inflate::{Coding, inflate};
use super::listener::Listener;
use super::status::{self, media_type};
use super::{Denial, Error, Intake, Raw, Reply};
use crate::evidence::{Signal, Source};
use crate::ledger::Refusal;

/// The compressed flag and the length.
const PREFIX_BYTES: usize = 5;

const PROFILES: &str =
    "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export";

/// Serves OTLP over gRPC until `stop`, then lets requests in flight end.
///
/// # Errors
/// When the listener cannot be used.
pub async fn serve_grpc(
    listener: impl Into<Listener>,
    intake: Intake,
    stop: CancellationToken,
) -> Result<(), Error> {
    let door = Door { intake, stop };
    let router = Router::new()
        .route("/opentelemetry.proto.collector.trace.v1.TraceService/Export", on(Signal::Traces))
        .route("/opentelemetry.proto.collector.logs.v1.LogsService/Export", on(Signal::Logs))
        .route(
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            on(Signal::Metrics),
        )
        .route(PROFILES, any(profiles))
        .fallback(|| async { refuse(Status::unimplemented("no such method")) })
        .with_state(door.clone());
    serve(listener.into(), router, Speaks::Http2, door).await
}

fn on(signal: Signal) -> MethodRouter<Door> {
    any(move |State(door): State<Door>, request: Request| async move {
        export(&door, signal, request).await
    })
}

async fn profiles(State(door): State<Door>) -> Response<Body> {
    let tally = door.intake.counters().of(Source::OtlpGrpc);
    tally.add_request();
    tally.add_unsupported();
    refuse(Status::unimplemented(status::NO_PROFILES))
}

async fn export(door: &Door, signal: Signal, request: Request) -> Response<Body> {
    let tally = door.intake.counters().of(Source::OtlpGrpc);
    tally.add_request();
    if !is_grpc(request.headers()) {
        tally.add_unsupported();
        return status::unsupported("only application/grpc is spoken here");
    }
    let Some(coding) = Coding::of(request.headers(), "grpc-encoding") else {
        tally.add_unsupported();
        let mut response = refuse(Status::unimplemented(
            "the message encoding is not supported; grpc-accept-encoding names those that are",
        ));
        response.headers_mut().insert("grpc-accept-encoding", Coding::NAMES);
        return response;
    };
    let reply = match take(door, signal, coding, request).await {
        Ok((raw, hold)) => door.intake.deliver(raw, hold).await,
        Err(denial) => denial.into(),
    };
    match reply {
        Reply::Accepted => succeed(&[]),
        Reply::Partial { rejected, message } => succeed(&status::response(rejected, &message)),
        Reply::Refused { refusal, message } => {
            tally.add_refused(refusal);
            let denial = Denial { refusal, message };
            refuse(status::grpc(&denial, door.intake.settings().retry_after))
        }
    }
}

/// The message of a request, and the part of the budget that it holds.
async fn take(
    door: &Door,
    signal: Signal,
    coding: Coding,
    request: Request,
) -> Result<(Raw, Hold), Denial> {
    if door.stop.is_cancelled() {
        return Err(Denial::new(Refusal::Closing, "the gateway is closing"));
    }
    let settings = door.intake.settings();
    let tenant = tenant(&request);
    let deadline = Deadline::of(request.headers());
    let sender = Sender::of(request.extensions());
    let body = request.into_body();
    let limit = coding.wire_bytes_max(settings).saturating_add(PREFIX_BYTES);
    let mut hold = door.intake.hold(sender, body.size_hint().exact(), limit)?;
    let pace = Pace::new(settings, deadline);
    let framed = collect(body, limit, pace, claimed, &mut hold).await?;
    door.intake.counters().of(Source::OtlpGrpc).add_encoded(framed.len());
    let (coding, message) = unframe(coding, framed)?;
    let limit = settings.request_bytes_max;
    let (bytes, hold) = inflate(coding, message, limit, deadline, hold).await?;
    deadline.check()?;
    Ok((Raw { signal, source: Source::OtlpGrpc, tenant, bytes }, hold))
}

/// What the first bytes of a body say of the whole.
fn claimed(first: &[u8]) -> Option<usize> {
    let &[_, a, b, c, d] = first.first_chunk::<PREFIX_BYTES>()?;
    usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?.checked_add(PREFIX_BYTES)
}

/// The one message of a unary request, and how it is compressed.
fn unframe(coding: Coding, mut framed: Bytes) -> Result<(Coding, Bytes), Denial> {
    let malformed = |message: &str| Denial::new(Refusal::Malformed, message);
    let Some(&[flag, a, b, c, d]) = framed.first_chunk::<PREFIX_BYTES>() else {
        return Err(malformed("the request has no message"));
    };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    let message = framed.split_off(PREFIX_BYTES);
    if message.len() != length {
        return Err(malformed("the request is not exactly one message"));
    }
    match (flag, coding) {
        (0, _) => Ok((Coding::Identity, message)),
        (1, Coding::Identity) => Err(malformed("a compressed message without grpc-encoding")),
        (1, coding) => Ok((coding, message)),
        _ => Err(malformed("the compressed flag is neither 0 nor 1")),
    }
}

/// `application/grpc`, or the same with its default message format.
fn is_grpc(headers: &HeaderMap) -> bool {
    let media_type = media_type(headers);
    matches!(media_type.as_deref(), Some("application/grpc" | "application/grpc+proto"))
}

fn succeed(message: &[u8]) -> Response<Body> {
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    framed.put_u8(0);
    // Answers are a few hundred bytes.
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    let trailers = HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    )]);
    let body = Full::new(framed.freeze()).with_trailers(async move { Some(Ok(trailers)) });
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn refuse(status: Status) -> Response<Body> {
    status.into_http()
}
