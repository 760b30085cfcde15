//! What a door answers, in the words of gRPC and of HTTP.
//!
//! The table of OTLP 1.11: what the sender must not repeat is `INVALID_ARGUMENT` or 400, and
//! `RESOURCE_EXHAUSTED` without `RetryInfo` or 413 when it is too large; everything that passes is
//! `UNAVAILABLE` with `RetryInfo` or 503 with `Retry-After`; so is `DEADLINE_EXCEEDED`.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::json;
use tonic::{Code, Status};

use super::{Denial, Denied, Reply};
use crate::evidence::Signal;
use crate::ledger::Refusal;
use crate::wire::write_varint;

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// What is said to a sender of profiles.
pub(super) const NO_PROFILES: &str =
    "profiles are not taken here; traces, logs and metrics are, and the flows of Cilium";

/// Messages go to strangers' logs: they stay short. In gRPC they travel twice among the trailers,
/// once percent-encoded, and some clients read no more than 8 KiB of those.
const MESSAGE_BYTES_MAX: usize = 500;

/// The encoding of an HTTP request, which is also that of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Protobuf,
    Json,
}

impl Form {
    /// `None` for a media type that OTLP does not have. Parameters do not matter.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        match media_type(headers)?.as_str() {
            "application/x-protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        })
    }
}

/// The media type without its parameters, in lower case.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    text.split(';').next().map(|essence| essence.trim().to_ascii_lowercase())
}

/// The answer to an HTTP request.
pub(super) fn http(form: Form, signal: Signal, reply: Reply, retry: Duration) -> Response<Body> {
    match reply {
        Reply::Accepted => answer(form, StatusCode::OK, success(form, signal, 0, "")),
        Reply::Partial { rejected, message } => {
            answer(form, StatusCode::OK, success(form, signal, rejected, &short(&message)))
        }
        Reply::Refused { refusal, message } => {
            let body = failure(form, grpc_code(refusal), &short(&message));
            let mut response = answer(form, http_code(refusal), body);
            if refusal.is_retryable() {
                // Whole seconds, and at least one: zero would ask for a storm.
                let seconds = retry.as_millis().div_ceil(1000).max(1).to_string();
                let seconds =
                    HeaderValue::try_from(seconds).unwrap_or(HeaderValue::from_static("1"));
                response.headers_mut().insert(RETRY_AFTER, seconds);
            }
            response
        }
    }
}

/// A request that no OTLP encoding fits: the answer is plain text, as the Collector's is.
pub(super) fn unsupported(message: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(message.into());
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// A signal that Hopline does not take: `UNIMPLEMENTED`, which the Collector says as 404.
pub(super) fn profiles(form: Form) -> Response<Body> {
    answer(form, StatusCode::NOT_FOUND, failure(form, Code::Unimplemented, NO_PROFILES))
}

/// A request that is no POST.
pub(super) fn wrong_method() -> Response<Body> {
    let mut response = Response::new(Body::from("only POST is allowed here"));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

/// The gRPC status of a refused request.
pub(super) fn grpc(denial: &Denial, retry: Duration) -> Status {
    let code = grpc_code(denial.refusal);
    let message = short(&denial.message);
    if !denial.refusal.is_retryable() {
        return Status::new(code, message);
    }
    let details = with_retry_info(code, &message, retry);
    Status::with_details(code, message, details.into())
}

/// The answer to a gRPC request that is not let in.
pub(super) fn grpc_denied(_: &HeaderMap, denied: Denied) -> Response<Body> {
    Status::new(denied_code(denied), denied.message()).into_http()
}

/// The answer to an HTTP request that is not let in; plain text when its encoding is unknown.
pub(super) fn http_denied(headers: &HeaderMap, denied: Denied) -> Response<Body> {
    let (code, message) = (denied_code(denied), denied.message());
    let (body, kind) = match Form::of(headers) {
        Some(form) => (failure(form, code, message), form.content_type()),
        None => (message.into(), HeaderValue::from_static("text/plain")),
    };
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, kind);
    *response.status_mut() = match denied {
        Denied::NoTenant => StatusCode::FORBIDDEN,
        Denied::NoCredential | Denied::WrongCredential => {
            let bearer = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
            StatusCode::UNAUTHORIZED
        }
    };
    response
}

fn denied_code(denied: Denied) -> Code {
    match denied {
        Denied::NoCredential | Denied::WrongCredential => Code::Unauthenticated,
        Denied::NoTenant => Code::PermissionDenied,
    }
}

/// `Export*ServiceResponse`: the three signals number their fields alike.
pub(super) fn response(rejected: u64, message: &str) -> Vec<u8> {
    let mut partial = Vec::new();
    if rejected > 0 {
        write_tag(&mut partial, 1, 0);
        write_varint(&mut partial, rejected);
    }
    if !message.is_empty() {
        write_bytes(&mut partial, 2, short(message).as_bytes());
    }
    let mut out = Vec::new();
    if !partial.is_empty() {
        write_bytes(&mut out, 1, &partial);
    }
    out
}

fn http_code(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::Malformed | Refusal::Invalid => StatusCode::BAD_REQUEST,
        Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::Busy
        | Refusal::Memory
        | Refusal::Slow
        | Refusal::Deadline
        | Refusal::LogFull
        | Refusal::LogFailed
        | Refusal::Closing
        | Refusal::Undelivered => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn grpc_code(refusal: Refusal) -> Code {
    match refusal {
        Refusal::Malformed | Refusal::Invalid => Code::InvalidArgument,
        Refusal::TooLarge => Code::ResourceExhausted,
        Refusal::Deadline => Code::DeadlineExceeded,
        Refusal::Busy
        | Refusal::Memory
        | Refusal::Slow
        | Refusal::LogFull
        | Refusal::LogFailed
        | Refusal::Closing
        | Refusal::Undelivered => Code::Unavailable,
    }
}

fn answer(form: Form, code: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, form.content_type());
    response
}

fn success(form: Form, signal: Signal, rejected: u64, message: &str) -> Vec<u8> {
    if form == Form::Protobuf {
        return response(rejected, message);
    }
    if rejected == 0 && message.is_empty() {
        return b"{}".to_vec();
    }
    let name = match signal {
        Signal::Traces => "rejectedSpans",
        Signal::Logs => "rejectedLogRecords",
        Signal::Metrics => "rejectedDataPoints",
    };
    // JSON protobuf writes 64-bit numbers as strings.
    let partial = json!({ name: rejected.to_string(), "errorMessage": message });
    json!({ "partialSuccess": partial }).to_string().into_bytes()
}

/// `google.rpc.Status`.
fn failure(form: Form, code: Code, message: &str) -> Vec<u8> {
    match form {
        Form::Json => {
            json!({ "code": i32::from(code), "message": message }).to_string().into_bytes()
        }
        Form::Protobuf => status(code, message),
    }
}

fn status(code: Code, message: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_tag(&mut out, 1, 0);
    write_varint(&mut out, u64::from(i32::from(code).unsigned_abs()));
    write_bytes(&mut out, 2, message.as_bytes());
    out
}

/// `google.rpc.Status` with a `google.rpc.RetryInfo` among its details.
fn with_retry_info(code: Code, message: &str, retry: Duration) -> Vec<u8> {
    let mut delay = Vec::new();
    write_tag(&mut delay, 1, 0);
    write_varint(&mut delay, retry.as_secs());
    write_tag(&mut delay, 2, 0);
    write_varint(&mut delay, u64::from(retry.subsec_nanos()));
    let mut info = Vec::new();
    write_bytes(&mut info, 1, &delay);
    let mut any = Vec::new();
    write_bytes(&mut any, 1, RETRY_INFO.as_bytes());
    write_bytes(&mut any, 2, &info);
    let mut out = status(code, message);
    write_bytes(&mut out, 3, &any);
    out
}

fn write_tag(out: &mut Vec<u8>, number: u64, wire_type: u64) {
    write_varint(out, number << 3 | wire_type);
}

fn write_bytes(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    write_tag(out, number, 2);
    write_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn short(message: &str) -> String {
    let end = message.floor_char_boundary(MESSAGE_BYTES_MAX);
    message.get(..end).unwrap_or_default().to_owned()
}
