//! The answer of an HTTP server.

use std::time::{Duration, SystemTime};

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};

use super::{Answer, RETRY_MAX};
use crate::wire::Fields;

/// Judges an answer; `None` for a body that was too large, broke off or came too late.
pub(in crate::export) fn judge(
    code: StatusCode,
    headers: &HeaderMap,
    body: Option<&[u8]>,
    now: SystemTime,
) -> Answer {
    // Another type than the request's holds no answer of OTLP, whatever its bytes look like.
    let body = body.filter(|body| body.is_empty() || is_protobuf(headers));
    if code.is_success() {
        return Answer::accepted(body);
    }
    let said = body.and_then(status_message).unwrap_or_default();
    let message = format!("HTTP {code}{}{said}", if said.is_empty() { "" } else { ": " });
    if matches!(code.as_u16(), 429 | 502 | 503 | 504) {
        return Answer::Retry { after: retry_after(headers, now), message };
    }
    if code.is_client_error() || code.is_server_error() {
        return Answer::Refused { message };
    }
    // A redirect is not followed, since the headers are for one server; and it refuses nothing.
    Answer::Retry { after: None, message }
}

fn is_protobuf(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
    // Nothing was said to be accepted but what is sent as it is.
    let encoding = headers.get(CONTENT_ENCODING).map_or(&b"identity"[..], |it| it.as_bytes());
    kind == Some("application/x-protobuf") && encoding == b"identity"
}

/// `google.rpc.Status.message`.
fn status_message(body: &[u8]) -> Option<&str> {
    let mut fields = Fields::new(body).map_while(Result::ok);
    fields.find(|field| field.number == 2)?.text().ok()
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    // Zero is no wait; the own backoff is one.
    (!asked.is_zero()).then_some(asked.min(RETRY_MAX))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

    fn answered(code: u16, headers: &[(&'static str, &str)], body: &[u8]) -> Answer {
        let pairs = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()));
        let code = StatusCode::from_u16(code).unwrap();
        judge(code, &pairs.collect(), Some(body), SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn only_the_codes_on_the_list_are_retried_among_errors() {
        let is_retried = |code: &u16| matches!(answered(*code, &[], b""), Answer::Retry { .. });
        let retried: Vec<u16> = (400..600).filter(is_retried).collect();
        assert_eq!(retried, [429, 502, 503, 504]);
    }

    #[test]
    fn a_time_to_come_back_is_in_seconds_or_a_date() {
        let cases = [
            ("7", Some(7)),
            ("Thu, 01 Jan 1970 00:00:09 GMT", Some(9)),
            ("Thursday, 01-Jan-70 00:00:08 GMT", Some(8)),
            ("86400", Some(300)),
            ("0", None),
            ("Wed, 31 Dec 1969 23:59:59 GMT", None),
            ("soon", None),
            ("-1", None),
        ];
        for (text, expected) in cases {
            let answer = answered(503, &[("retry-after", text)], b"");
            let after = expected.map(Duration::from_secs);
            let message = "HTTP 503 Service Unavailable".to_owned();
            assert_eq!(answer, Answer::Retry { after, message }, "{text}");
        }
    }

    #[test]
    fn a_refusal_repeats_what_the_server_says() {
        let answer = answered(400, &[PROTOBUF], b"\x08\x03\x12\x02no");
        assert_eq!(answer, Answer::Refused { message: "HTTP 400 Bad Request: no".to_owned() });
        let answer = answered(413, &[("content-type", "text/html")], b"\x12\x02no");
        assert_eq!(answer, Answer::Refused { message: "HTTP 413 Payload Too Large".to_owned() });
    }

    #[test]
    fn a_success_of_another_type_is_one_with_a_warning() {
        for headers in
            [&[][..], &[("content-type", "text/plain")], &[PROTOBUF, ("content-encoding", "gzip")]]
        {
            let answer = answered(200, headers, b"\x0a\x02\x08\x03");
            let Answer::Accepted { rejected, message } = answer else { panic!("{answer:?}") };
            assert_eq!((rejected, message.is_empty()), (0, false));
        }
        let charset = ("content-type", "application/x-protobuf; charset=utf-8");
        let answer = answered(202, &[charset], b"\x0a\x02\x08\x03");
        assert_eq!(answer, Answer::Accepted { rejected: 3, message: String::new() });
    }

    #[test]
    fn a_redirect_is_neither_followed_nor_a_refusal() {
        let answer = answered(307, &[("location", "http://elsewhere")], b"");
        assert_eq!(answer, Answer::retry("HTTP 307 Temporary Redirect"));
    }

    proptest! {
        #[test]
        fn no_answer_is_a_panic(
            code in 100..1000_u16,
            after in "[ -~]{0,40}",
            body in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            drop(answered(code, &[PROTOBUF, ("retry-after", &after)], &body));
        }
    }
}
