use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue,
};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Gauge, Sum};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::evidence::{Digest, Head, Nanos, Signal, Source, Tenant};
use crate::wire::Malformed;
use crate::wire::arbitrary::{self, Texts};

mod caps;
mod ids;

pub(super) fn settings() -> Settings {
    let owned = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
    Settings {
        enabled: true,
        action: Action::Mask("****".to_owned()),
        keys: owned(&["authorization", "cookie", "x-api-key", "password", "token", "*secret*"]),
        keep_keys: Vec::new(),
        urls: owned(&["url.full", "url.query", "http.target"]),
        detectors: Detectors { bearer: true, jwt: true, card: true, email: true, assignment: true },
        caps: Caps::default(),
        edit: edit::Settings::default(),
    }
}

pub(super) fn policy() -> Policy {
    Policy::new(&settings()).unwrap()
}

fn pseudonyms() -> Policy {
    Policy::new(&Settings { action: Action::Pseudonym([7; 32]), ..settings() }).unwrap()
}

pub(super) fn head(signal: Signal) -> Head {
    Head {
        signal,
        source: Source::OtlpGrpc,
        tenant: Tenant::default(),
        received: Nanos(1),
        items: 0,
        policy: 0,
        digest: Digest::default(),
    }
}

pub(super) fn clean(policy: &Policy, signal: Signal, bytes: &[u8]) -> Result<Clean, Malformed> {
    policy.clean(head(signal), &Bytes::copy_from_slice(bytes)).map(|(clean, _)| clean)
}

fn text(policy: &Policy, text: &str) -> String {
    let out = policy.redacted(text.as_bytes());
    String::from_utf8(out.unwrap_or_else(|| text.as_bytes().to_vec())).unwrap()
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn request(attributes: Vec<KeyValue>) -> ExportTraceServiceRequest {
    let (trace_id, span_id) = (vec![1; 16], vec![2; 8]);
    let span = Span { trace_id, span_id, attributes, ..Span::default() };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }
}

fn redacted(attributes: Vec<KeyValue>) -> Vec<KeyValue> {
    let bytes = request(attributes).encode_to_vec();
    let clean = clean(&policy(), Signal::Traces, &bytes).unwrap();
    let request = ExportTraceServiceRequest::decode(clean.bytes().as_ref()).unwrap();
    request.resource_spans[0].scope_spans[0].spans[0].attributes.clone()
}

#[test]
fn what_a_form_gives_away_is_masked_and_the_rest_stays() {
    let card = "paid with 4111 1111 1111 1111, thanks";
    let jwt = "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl end";
    let cases = [
        ("mail to ann@example.com now", "mail to **** now"),
        (card, "paid with ****, thanks"),
        (jwt, "token **** end"),
        ("Authorization: Bearer abcdef123456", "Authorization: ****"),
        ("sent bEaReR abcdef123456.", "sent bEaReR ****"),
        ("login password=hunter2&user=ann", "login password=****&user=ann"),
        (r#"{"token": "a b c", "n": 1}"#, r#"{"token": "****", "n": 1}"#),
        (r#"{\"token\":\"abc\",\"n\":1}"#, r#"{\"token\":\"****\",\"n\":1}"#),
        ("postgres://ann:hunter2@db:5432/shop", "postgres://****@db:5432/shop"),
    ];
    for (given, want) in cases {
        assert_eq!(text(&policy(), given), want);
    }
}

#[test]
fn what_only_looks_like_a_secret_stays() {
    let cases = [
        "4111 1111 1111 1112 is no card",
        "order 1712345678901234567 at 12:30:45",
        "trace 4bf92f3577b34da6a3ce929d0e0e4736",
        "id 550e8400-e29b-41d4-a716-446655440000",
        "bearer of bad news",
        "user @home said hi",
        "ratio a=b, time: 12",
        "eyJ is three letters",
    ];
    for given in cases {
        assert_eq!(text(&policy(), given), given);
    }
}

#[test]
fn a_secret_key_hides_a_value_of_any_kind() {
    let out = redacted(vec![
        attribute("http.request.header.authorization", Value::StringValue("Basic abc".to_owned())),
        attribute("password", Value::IntValue(1234)),
        attribute("answer", Value::IntValue(42)),
    ]);
    let hidden = Value::StringValue("****".to_owned());
    assert_eq!(out[0].value.as_ref().unwrap().value, Some(hidden.clone()));
    assert_eq!(out[1].value.as_ref().unwrap().value, Some(hidden));
    assert_eq!(out[2].value.as_ref().unwrap().value, Some(Value::IntValue(42)));
}

/// Protobuf lets a key come after its value and more than once, and the last one counts.
#[test]
fn a_secret_key_is_found_wherever_it_stands() {
    let value = AnyValue { value: Some(Value::StringValue("hunter2".to_owned())) }.encode_to_vec();
    let mut pair = vec![0x0a, 2, b'o', b'k', 0x12, u8::try_from(value.len()).unwrap()];
    pair.extend_from_slice(&value);
    pair.extend_from_slice(&[0x0a, 8]);
    pair.extend_from_slice(b"password");
    let wrap = |tag: u8, inner: &[u8]| [&[tag, u8::try_from(inner.len()).unwrap()], inner].concat();
    let span = [wrap(0x0a, &[1; 16]), wrap(0x12, &[2; 8]), wrap(0x4a, &pair)].concat();
    let bytes = wrap(0x0a, &wrap(0x12, &wrap(0x12, &span)));

    let clean = clean(&policy(), Signal::Traces, &bytes).unwrap();

    let request = ExportTraceServiceRequest::decode(clean.bytes().as_ref()).unwrap();
    let attribute = &request.resource_spans[0].scope_spans[0].spans[0].attributes[0];
    assert_eq!(attribute.key, "password");
    assert_eq!(
        attribute.value.as_ref().unwrap().value,
        Some(Value::StringValue("****".to_owned()))
    );
}

#[test]
fn a_request_without_secrets_is_the_same_memory() {
    let bytes = Bytes::from(request(vec![attribute("a", Value::BoolValue(true))]).encode_to_vec());
    let (clean, _) = policy().clean(head(Signal::Traces), &bytes).unwrap();
    assert_eq!(clean.bytes().as_ptr(), bytes.as_ptr());
    assert_eq!(clean.head().items, 1);
}

#[test]
fn a_mask_may_hold_what_ends_a_value() {
    let mask = Action::Mask("[gone]".to_owned());
    let policy = Policy::new(&Settings { action: mask, ..settings() }).unwrap();

    assert_eq!(text(&policy, "login password=hunter2 ok"), "login password=[gone] ok");
}

#[test]
fn a_mask_that_would_be_redacted_is_refused() {
    let action = Action::Mask("4111-1111-1111-1111".to_owned());
    let refused = Policy::new(&Settings { action, ..settings() });
    assert_eq!(refused.unwrap_err(), Error::Mask);
}

/// Strings in which secrets of every form occur, and what can stand round them.
pub(super) fn hostile() -> Texts {
    let piece = prop_oneof![
        Just("ann@example.com"),
        Just("4111 1111 1111 1111"),
        Just("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"),
        Just("Bearer abcdef123456"),
        Just("bearer "),
        Just("password"),
        Just("token"),
        Just("="),
        Just(": "),
        Just("\""),
        Just("'"),
        Just("\\"),
        Just("@"),
        Just("://"),
        Just("?q=1&token=x"),
        Just("****"),
        Just("hp_"),
        Just("é"),
        Just(" "),
        Just("-"),
        Just("12345"),
        Just("."),
        Just("authorization"),
        Just("url.full"),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat()).boxed()
}

/// A secret that every detector must find when it stands alone, surrounded by plain words.
fn planted() -> Texts {
    Just("see ann.planted@example.com or 4111111111111111 now".to_owned()).boxed()
}

fn holds_secret(bytes: &[u8]) -> bool {
    [b"ann.planted".as_slice(), b"4111111111111111"]
        .iter()
        .any(|secret| memchr::memmem::find(bytes, secret).is_some())
}

mod properties {
    use super::*;

    fn is_idempotent(policy: &Policy, signal: Signal, bytes: &[u8]) -> Result<(), TestCaseError> {
        let once = clean(policy, signal, bytes).unwrap();
        let twice = clean(policy, signal, once.bytes()).unwrap();
        prop_assert_eq!(once.bytes(), twice.bytes());
        Ok(())
    }

    fn is_still_prost<M: Message + Default>(
        signal: Signal,
        message: &M,
    ) -> Result<(), TestCaseError> {
        let clean = clean(&policy(), signal, &message.encode_to_vec()).unwrap();
        prop_assert!(M::decode(clean.bytes().as_ref()).is_ok());
        Ok(())
    }

    proptest! {
        #[test]
        fn redaction_is_idempotent(traces in arbitrary::traces(&hostile()), logs in arbitrary::logs(&hostile())) {
            for policy in [policy(), pseudonyms()] {
                is_idempotent(&policy, Signal::Traces, &traces.encode_to_vec())?;
                is_idempotent(&policy, Signal::Logs, &logs.encode_to_vec())?;
            }
        }

        #[test]
        fn no_string_of_any_signal_escapes(
            traces in arbitrary::traces(&planted()),
            logs in arbitrary::logs(&planted()),
            metrics in arbitrary::metrics(&planted()),
        ) {
            for policy in [policy(), pseudonyms()] {
                for (signal, bytes) in [
                    (Signal::Traces, traces.encode_to_vec()),
                    (Signal::Logs, logs.encode_to_vec()),
                    (Signal::Metrics, metrics.encode_to_vec()),
                ] {
                    prop_assert!(!holds_secret(clean(&policy, signal, &bytes).unwrap().bytes()));
                }
            }
        }

        #[test]
        fn what_comes_out_is_still_otlp(
            traces in arbitrary::traces(&hostile()),
            logs in arbitrary::logs(&hostile()),
            metrics in arbitrary::metrics(&hostile()),
        ) {
            is_still_prost(Signal::Traces, &traces)?;
            is_still_prost(Signal::Logs, &logs)?;
            is_still_prost(Signal::Metrics, &metrics)?;
        }

        #[test]
        fn what_prost_takes_passes_and_what_it_refuses_does_not(
            traces in arbitrary::traces(&arbitrary::any_text()),
            metrics in arbitrary::metrics(&arbitrary::any_text()),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            for (signal, mut bytes) in [(Signal::Traces, traces.encode_to_vec()), (Signal::Metrics, metrics.encode_to_vec())] {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
                let ours = clean(&policy(), signal, &bytes).is_ok();
                let prost = match signal {
                    Signal::Traces => ExportTraceServiceRequest::decode(bytes.as_slice()).is_ok(),
                    Signal::Logs => ExportLogsServiceRequest::decode(bytes.as_slice()).is_ok(),
                    Signal::Metrics => ExportMetricsServiceRequest::decode(bytes.as_slice()).is_ok(),
                };
                prop_assert_eq!(ours, prost);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for signal in Signal::ALL {
                let ours = clean(&policy(), signal, &bytes).is_ok();
                let prost = match signal {
                    Signal::Traces => ExportTraceServiceRequest::decode(bytes.as_slice()).is_ok(),
                    Signal::Logs => ExportLogsServiceRequest::decode(bytes.as_slice()).is_ok(),
                    Signal::Metrics => ExportMetricsServiceRequest::decode(bytes.as_slice()).is_ok(),
                };
                prop_assert_eq!(ours, prost);
            }
        }
    }
}

/// Each of these was quadratic once: a text of a few hundred kilobytes took seconds.
#[test]
fn hostile_repetition_is_redacted_in_one_pass() {
    let policy = policy();
    for piece in ["@", " bearer", "token=", "a@", "eyJ", "4 ", "://@", "\"token\":"] {
        let text = piece.repeat((256 << 10) / piece.len());
        let out = policy.redacted(text.as_bytes());
        assert!(out.is_none_or(|out| out.len() <= text.len() * 4), "{piece}");
    }
}
