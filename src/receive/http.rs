//! OTLP over HTTP, and flow lines.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use axum::http::{HeaderMap, Response};
use axum::routing::{MethodRouter, post};
use bytes::Bytes;
use http_body::Body as _;
use tokio_util::sync::CancellationToken;

use super::body::{Pace, collect};
use super::budget::{Hold, Sender};
use super::deadline::Deadline;
use super::door::{Door, Speaks, serve, tenant};
use super::flow::{self, Lines};
use super::inflate::{Coding, inflate};
use super::intake::away;
use super::listener::Listener;
use super::status::{self, Form, media_type};
use super::{Denial, Error, Intake, Raw, Reply, json, now};
use crate::evidence::{Signal, Source};
use crate::ledger::Refusal;

const UNSUPPORTED: &str = "this media type or content encoding is not supported: OTLP comes as \
    application/x-protobuf or application/json, flows as application/json or \
    application/x-ndjson, encoded as identity, gzip, zstd, snappy, x-snappy-framed, deflate or zlib";

/// Serves OTLP over HTTP and flow lines until `stop`, then lets requests in flight end.
///
/// # Errors
/// When the listener cannot be used.
pub async fn serve_http(
    listener: impl Into<Listener>,
    intake: Intake,
    stop: CancellationToken,
) -> Result<(), Error> {
    let door = Door { intake, stop };
    let mut otlp = Router::new()
        .route("/v1/traces", on(Signal::Traces))
        .route("/v1/logs", on(Signal::Logs))
        .route("/v1/metrics", on(Signal::Metrics))
        .route("/v1development/profiles", post(profiles).fallback(wrong_method));
    if let Some(cors) = door.intake.settings().cors.layer() {
        otlp = otlp.layer(cors);
    }
    // Flows come from no page, whatever site it is of.
    let router =
        otlp.route("/v1/flows", post(flows).fallback(wrong_method)).with_state(door.clone());
    serve(listener.into(), router, Speaks::Both, door).await
}

fn on(signal: Signal) -> MethodRouter<Door> {
    let export = move |State(door): State<Door>, request: Request| async move {
        export(&door, signal, request).await
    };
    post(export).fallback(wrong_method)
}

async fn wrong_method() -> Response<Body> {
    status::wrong_method()
}

async fn profiles(State(door): State<Door>, request: Request) -> Response<Body> {
    let form = Form::of(request.headers());
    let tally = door.intake.counters().of(source(form));
    tally.add_request();
    tally.add_unsupported();
    status::profiles(form.unwrap_or(Form::Json))
}

fn source(form: Option<Form>) -> Source {
    match form {
        Some(Form::Json) => Source::OtlpJson,
        Some(Form::Protobuf) | None => Source::OtlpHttp,
    }
}

async fn export(door: &Door, signal: Signal, request: Request) -> Response<Body> {
    let form = Form::of(request.headers());
    let source = source(form);
    door.intake.counters().of(source).add_request();
    let (Some(form), Some(coding)) = (form, coding(request.headers())) else {
        return unsupported(door, source);
    };
    let reply = match take(door, signal, source, coding, request).await {
        Ok((raw, hold)) => door.intake.deliver(raw, hold).await,
        Err(denial) => denial.into(),
    };
    answer(door, source, form, signal, reply)
}

async fn flows(State(door): State<Door>, request: Request) -> Response<Body> {
    let tally = door.intake.counters().of(Source::Flows);
    tally.add_request();
    let (true, Some(coding)) = (is_lines(request.headers()), coding(request.headers())) else {
        return unsupported(&door, Source::Flows);
    };
    let tenant = tenant(&request);
    let reply = match take_lines(&door, coding, request).await {
        Ok((lines, hold)) => lines.of(tenant).deliver(&door.intake, hold).await,
        Err(denial) => denial.into(),
    };
    answer(&door, Source::Flows, Form::Json, Signal::Logs, reply)
}

/// A request as protobuf, and the part of the budget that it holds.
async fn take(
    door: &Door,
    signal: Signal,
    source: Source,
    coding: Coding,
    request: Request,
) -> Result<(Raw, Hold), Denial> {
    let tenant = tenant(&request);
    let (bytes, hold) = body(door, source, coding, request).await?;
    if source != Source::OtlpJson {
        return Ok((Raw { signal, source, tenant, bytes }, hold));
    }
    let limit = door.intake.settings().request_bytes_max;
    let (bytes, hold) = away(bytes, move |text| json::transcode(signal, text, limit, hold)).await?;
    Ok((Raw { signal, source, tenant, bytes }, hold))
}

async fn take_lines(
    door: &Door,
    coding: Coding,
    request: Request,
) -> Result<(Lines, Hold), Denial> {
    let (bytes, hold) = body(door, Source::Flows, coding, request).await?;
    let limits = flow::Limits::of(door.intake.settings());
    away(bytes, move |text| flow::encode(text, now(), limits, hold)).await
}

/// The body, inflated.
async fn body(
    door: &Door,
    source: Source,
    coding: Coding,
    request: Request,
) -> Result<(Bytes, Hold), Denial> {
    if door.stop.is_cancelled() {
        return Err(Denial::new(Refusal::Closing, "the gateway is closing"));
    }
    let settings = door.intake.settings();
    let sender = Sender::of(request.extensions());
    let body = request.into_body();
    let limit = coding.wire_bytes_max(settings);
    let mut hold = door.intake.hold(sender, body.size_hint().exact(), limit)?;
    // HTTP has no header for a deadline.
    let deadline = Deadline::default();
    let encoded = collect(body, limit, Pace::new(settings, deadline), |_| None, &mut hold).await?;
    door.intake.counters().of(source).add_encoded(encoded.len());
    inflate(coding, encoded, settings.request_bytes_max, deadline, hold).await
}

fn answer(door: &Door, source: Source, form: Form, signal: Signal, reply: Reply) -> Response<Body> {
    if let Reply::Refused { refusal, .. } = &reply {
        door.intake.counters().of(source).add_refused(*refusal);
    }
    status::http(form, signal, reply, door.intake.settings().retry_after)
}

fn unsupported(door: &Door, source: Source) -> Response<Body> {
    door.intake.counters().of(source).add_unsupported();
    let mut response = status::unsupported(UNSUPPORTED);
    response.headers_mut().insert(ACCEPT_ENCODING, Coding::NAMES);
    response
}

fn coding(headers: &HeaderMap) -> Option<Coding> {
    Coding::of(headers, CONTENT_ENCODING)
}

/// Types that a page of another site cannot send without asking: a browser must not be a source.
fn is_lines(headers: &HeaderMap) -> bool {
    let types = ["application/json", "application/x-ndjson", "application/jsonl"];
    media_type(headers).is_some_and(|media_type| types.contains(&media_type.as_str()))
}
