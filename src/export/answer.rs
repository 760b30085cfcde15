//! What a destination's answer means.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tonic::{Code, Status};

use crate::wire::{Fields, Malformed};

const PREFIX_BYTES: usize = 5;

/// An answer that asks for more than this is not believed.
const RETRY_MAX: Duration = Duration::from_secs(300);

/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// All but `rejected` items are taken.
    Accepted { rejected: u64, message: String },
    /// It must not be sent again.
    Refused { code: Code, message: String },
    /// It was not decided on.
    Retry { after: Option<Duration>, message: String },
}

/// Judges a whole answer. The status stands in the trailers, or in the headers of an answer
/// without a body.
pub(super) fn judge(
    code: StatusCode,
    headers: &HeaderMap,
    trailers: Option<&HeaderMap>,
    body: &[u8],
) -> Answer {
    let status = trailers.and_then(Status::from_header_map);
    let Some(status) = status.or_else(|| Status::from_header_map(headers)) else {
        if code == StatusCode::PAYLOAD_TOO_LARGE {
            // A proxy on the way will never let it through, and would hold up all that follow.
            let message = "too large for a proxy, HTTP 413".to_owned();
            return Answer::Refused { code: Code::ResourceExhausted, message };
        }
        // Something on the way answered, and not an OTLP server: nobody refused the request.
        return Answer::Retry { after: None, message: format!("no gRPC answer, HTTP {code}") };
    };
    if status.code() == Code::Ok {
        // An unreadable success is a success: sending again would only make duplicates.
        let (rejected, message) = partial_success(body).unwrap_or_default();
        return Answer::Accepted { rejected, message };
    }
    let after = retry_info(status.details()).ok().flatten();
    let message = format!("{:?}: {}", status.code(), status.message());
    if is_retryable(status.code(), after) {
        Answer::Retry { after: after.filter(|after| !after.is_zero()), message }
    } else {
        Answer::Refused { code: status.code(), message }
    }
}

/// The list of OTLP. `RESOURCE_EXHAUSTED` means "too large" unless it says when to come back.
fn is_retryable(code: Code, after: Option<Duration>) -> bool {
    match code {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::ResourceExhausted => after.is_some(),
        Code::Ok
        | Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Unimplemented
        | Code::Internal
        | Code::Unauthenticated => false,
    }
}

/// `Export*ServiceResponse.partial_success`: the three signals number their fields alike.
fn partial_success(body: &[u8]) -> Option<(u64, String)> {
    let (prefix, message) = body.split_at_checked(PREFIX_BYTES)?;
    if prefix.first() != Some(&0) {
        return None;
    }
    let (mut rejected, mut text) = (0, String::new());
    for field in Fields::new(message) {
        let field = field.ok()?;
        if field.number != 1 {
            continue;
        }
        for field in Fields::new(field.bytes().ok()?) {
            let field = field.ok()?;
            match field.number {
                // A negative count is no count.
                1 => rejected = i64::try_from(field.number().ok()?).map_or(0, i64::unsigned_abs),
                2 => field.text().ok()?.clone_into(&mut text),
                _ => {}
            }
        }
    }
    Some((rejected, text))
}

/// The delay of a `google.rpc.RetryInfo` among the details of a `google.rpc.Status`.
fn retry_info(details: &[u8]) -> Result<Option<Duration>, Malformed> {
    for field in Fields::new(details) {
        let field = field?;
        if field.number != 3 {
            continue;
        }
        let (mut name, mut value) = ("", &[][..]);
        for field in Fields::new(field.bytes()?) {
            let field = field?;
            match field.number {
                1 => name = field.text()?,
                2 => value = field.bytes()?,
                _ => {}
            }
        }
        if name.ends_with("/google.rpc.RetryInfo") {
            return delay(value).map(Some);
        }
    }
    Ok(None)
}

/// `RetryInfo { Duration retry_delay = 1 }`.
fn delay(info: &[u8]) -> Result<Duration, Malformed> {
    let mut delay = Duration::ZERO;
    for field in Fields::new(info) {
        let field = field?;
        if field.number != 1 {
            continue;
        }
        for field in Fields::new(field.bytes()?) {
            let field = field?;
            let number = field.number()?;
            delay = delay.saturating_add(match field.number {
                1 => Duration::from_secs(number.min(RETRY_MAX.as_secs())),
                2 => Duration::from_nanos(number.min(1_000_000_000)),
                _ => Duration::ZERO,
            });
        }
    }
    Ok(delay.min(RETRY_MAX))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    /// `Status { details: [Any { RetryInfo { 2.5 s } }] }`.
    fn details() -> Vec<u8> {
        let info = b"\x0a\x08\x08\x02\x10\x80\xca\xb5\xee\x01";
        let name = b"type.googleapis.com/google.rpc.RetryInfo";
        let any = [&[10, 40][..], name, &[18, 10], info].concat();
        [&[8, 14, 26, u8::try_from(any.len()).unwrap()][..], &any].concat()
    }

    fn answered(status: &Status) -> Answer {
        let mut headers = HeaderMap::new();
        status.add_header(&mut headers).unwrap();
        judge(StatusCode::OK, &HeaderMap::new(), Some(&headers), b"")
    }

    fn accepted(body: &[u8]) -> Answer {
        let mut headers = HeaderMap::new();
        Status::ok("").add_header(&mut headers).unwrap();
        judge(StatusCode::OK, &headers, None, body)
    }

    #[test]
    fn only_the_codes_on_the_list_are_retried() {
        let retried: Vec<_> = (0..17)
            .map(Code::from_i32)
            .filter(|code| matches!(answered(&Status::new(*code, "")), Answer::Retry { .. }))
            .map(i32::from)
            .collect();
        assert_eq!(retried, [1, 4, 10, 11, 14, 15]);
    }

    #[test]
    fn resource_exhausted_is_retried_when_it_says_when() {
        let details = Bytes::from(details());
        let status = Status::with_details(Code::ResourceExhausted, "slow", details);
        let after = Some(Duration::from_millis(2500));
        let message = "ResourceExhausted: slow".to_owned();
        assert_eq!(answered(&status), Answer::Retry { after, message });
    }

    #[test]
    fn an_answer_without_a_status_refuses_nothing() {
        let answer = judge(StatusCode::NOT_FOUND, &HeaderMap::new(), None, b"<html>");
        let message = "no gRPC answer, HTTP 404 Not Found".to_owned();
        assert_eq!(answer, Answer::Retry { after: None, message });
    }

    #[test]
    fn what_is_too_large_for_a_proxy_is_refused_for_good() {
        let answer = judge(StatusCode::PAYLOAD_TOO_LARGE, &HeaderMap::new(), None, b"");
        assert!(matches!(answer, Answer::Refused { code: Code::ResourceExhausted, .. }));
    }

    #[test]
    fn an_unreadable_success_is_a_success() {
        let all = Answer::Accepted { rejected: 0, message: String::new() };
        for body in [&b""[..], b"\0\0", b"\x01\0\0\0\x01z", b"\0\0\0\0\x02\x0a\xff"] {
            assert_eq!(accepted(body), all, "{body:?}");
        }
        let some = Answer::Accepted { rejected: 3, message: "x".to_owned() };
        assert_eq!(accepted(b"\0\0\0\0\x07\x0a\x05\x08\x03\x12\x01x"), some);
    }

    proptest! {
        #[test]
        fn no_answer_is_a_panic(body in prop::collection::vec(any::<u8>(), 0..60)) {
            drop(accepted(&body));
            let _ = retry_info(&body);
        }
    }
}
