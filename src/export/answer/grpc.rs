//! The answer of a gRPC server.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tonic::{Code, Status};

use super::{Answer, RETRY_MAX};
use crate::export::pack::PREFIX_BYTES;
use crate::wire::{Fields, Malformed};

/// Judges a whole answer. The status stands in the trailers, or in the headers of an answer
/// without a body.
pub(in crate::export) fn judge(
    code: StatusCode,
    headers: &HeaderMap,
    trailers: Option<&HeaderMap>,
    body: &[u8],
) -> Answer {
    let status = trailers.and_then(Status::from_header_map);
    let Some(status) = status.or_else(|| Status::from_header_map(headers)) else {
        if code == StatusCode::PAYLOAD_TOO_LARGE {
            // A proxy on the way will never let it through, and would hold up all that follow.
            return Answer::Refused { message: "too large for a proxy, HTTP 413".to_owned() };
        }
        // Something on the way answered, and not an OTLP server: nobody refused the request.
        return Answer::retry(format!("no gRPC answer, HTTP {code}"));
    };
    if status.code() == Code::Ok {
        return Answer::accepted(message(body));
    }
    let after = retry_info(status.details()).ok().flatten();
    let message = format!("{:?}: {}", status.code(), status.message());
    if is_retryable(status.code(), after) {
        Answer::Retry { after: after.filter(|after| !after.is_zero()), message }
    } else {
        Answer::Refused { message }
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

/// The message in a frame. `None` for one that is compressed, which nobody asked for.
fn message(body: &[u8]) -> Option<&[u8]> {
    let (prefix, message) = body.split_at_checked(PREFIX_BYTES)?;
    (prefix.first() == Some(&0)).then_some(message)
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
        assert_eq!(answer, Answer::retry("no gRPC answer, HTTP 404 Not Found"));
    }

    #[test]
    fn what_is_too_large_for_a_proxy_is_refused_for_good() {
        let answer = judge(StatusCode::PAYLOAD_TOO_LARGE, &HeaderMap::new(), None, b"");
        assert!(matches!(answer, Answer::Refused { .. }));
    }

    #[test]
    fn a_frame_that_is_compressed_or_cut_off_is_not_read() {
        for body in [&b""[..], b"\0\0", b"\x01\0\0\0\x01z"] {
            assert_eq!(message(body), None);
        }
        assert_eq!(message(b"\0\0\0\0\x01z"), Some(&b"z"[..]));
    }

    proptest! {
        #[test]
        fn no_details_are_a_panic_or_a_longer_wait_than_is_believed(body in prop::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(retry_info(&body).ok().flatten() <= Some(RETRY_MAX));
        }
    }
}
