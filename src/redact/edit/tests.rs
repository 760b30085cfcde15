use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use prost::Message;

use super::super::policy::Policy;
use super::super::tests::{clean, head, hostile, settings};
use super::model::{Request, expected};
use super::parse::parse;
use super::{Settings, list};
use crate::evidence::Signal;
use crate::wire::arbitrary::{self, Texts};
use crate::wire::{Malformed, write_varint};

const KEY: [u8; 32] = [9; 32];

fn policy(rules: &[&str]) -> Policy {
    let edit = Settings { rules: rules.iter().map(|&it| it.to_owned()).collect(), key: KEY };
    Policy::new(&super::super::Settings { edit, ..settings() }).unwrap()
}

fn pair(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.to_owned()))
}

fn request(resource: Vec<KeyValue>, span: Vec<KeyValue>) -> ExportTraceServiceRequest {
    let (trace_id, span_id) = (vec![1; 16], vec![1; 8]);
    let span = Span { trace_id, span_id, attributes: span, ..Span::default() };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let resource = Some(Resource { attributes: resource, ..Resource::default() });
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }
}

fn edited(rules: &[&str], request: &ExportTraceServiceRequest) -> ExportTraceServiceRequest {
    let clean = clean(&policy(rules), Signal::Traces, &request.encode_to_vec()).unwrap();
    ExportTraceServiceRequest::decode(clean.bytes().as_ref()).unwrap()
}

/// The attributes of the one span.
fn span(rules: &[&str], resource: Vec<KeyValue>, attributes: Vec<KeyValue>) -> Vec<KeyValue> {
    let out = edited(rules, &request(resource, attributes));
    out.resource_spans[0].scope_spans[0].spans[0].attributes.clone()
}

#[test]
fn values_are_added_set_and_changed() {
    let rules = [
        "add span a = new",
        "add span b = 7",
        "set span c = 1.5",
        "set span d = true",
        "change span e = x",
        "change span f = x",
    ];
    let given = vec![text("a", "old"), text("c", "old"), text("e", "old")];
    let want = vec![
        text("a", "old"),
        pair("c", Value::DoubleValue(1.5)),
        text("e", "x"),
        pair("b", Value::IntValue(7)),
        pair("d", Value::BoolValue(true)),
    ];
    assert_eq!(span(&rules, vec![], given), want);
}

#[test]
fn a_set_value_replaces_the_first_of_its_key_and_removes_the_others() {
    let given = vec![text("a", "1"), text("b", "2"), text("a", "3")];
    assert_eq!(span(&["set span a = x"], vec![], given), [text("a", "x"), text("b", "2")]);
}

#[test]
fn a_rule_sees_what_the_rules_before_it_made() {
    let rules = ["rename span a to b", "copy span b to c", "remove span b", "change span c = x"];
    assert_eq!(span(&rules, vec![], vec![text("a", "1")]), [text("c", "x")]);
}

/// Protobuf lets a key come twice: the last one counts, and what any of them says of the value.
#[test]
fn an_attribute_has_the_last_of_its_keys() {
    let twice = |first: &str| {
        let mut bytes = text(first, "").encode_to_vec();
        bytes.extend_from_slice(&text("b", "hunter2").encode_to_vec());
        let wrap =
            |tag: u8, inner: &[u8]| [&[tag, u8::try_from(inner.len()).unwrap()], inner].concat();
        let span = [wrap(0x0a, &[1; 16]), wrap(0x12, &[1; 8]), wrap(0x4a, &bytes)].concat();
        wrap(0x0a, &wrap(0x12, &wrap(0x12, &span)))
    };
    let edited = |rule: &str, first: &str| {
        let clean = clean(&policy(&[rule]), Signal::Traces, &twice(first)).unwrap();
        let request = ExportTraceServiceRequest::decode(clean.bytes().as_ref()).unwrap();
        request.resource_spans[0].scope_spans[0].spans[0].attributes.clone()
    };
    assert_eq!(edited("remove span a", "a"), [text("b", "hunter2")]);
    assert_eq!(edited("rename span b to c", "a"), [text("c", "hunter2")]);
    assert_eq!(edited("rename span b to c", "password"), [text("c", "****")]);
}

#[test]
fn a_copy_sees_the_outer_level_as_it_was_when_its_turn_came() {
    let rules = ["copy resource pod to span pod", "remove resource pod"];
    let out = edited(&rules, &request(vec![text("pod", "p")], vec![]));
    assert_eq!(out.resource_spans[0].resource, Some(Resource::default()));
    assert_eq!(out.resource_spans[0].scope_spans[0].spans[0].attributes, [text("pod", "p")]);
}

#[test]
fn a_rule_applies_where_its_condition_holds() {
    let rules = [
        "set span a = x where span kind = 7",
        "set span b = x where resource service.name = shop",
        "set span c = x where missing is missing",
        "set span d = x where kind is missing",
    ];
    let given = vec![pair("kind", Value::StringValue("7".to_owned()))];
    let out = span(&rules, vec![text("service.name", "shop")], given);
    assert_eq!(out, [text("kind", "7"), text("b", "x"), text("c", "x")]);
}

#[test]
fn a_resource_that_is_missing_is_made_for_what_is_added_to_it() {
    let mut bare = request(vec![], vec![]);
    bare.resource_spans[0].resource = None;
    let out = edited(&["add resource zone = a", "remove scope x"], &bare);
    let attributes = vec![text("zone", "a")];
    let resource = Some(Resource { attributes, ..Resource::default() });
    assert_eq!(out.resource_spans[0].resource, resource);
    assert_eq!(out.resource_spans[0].scope_spans[0].scope, None);
}

#[test]
fn a_secret_does_not_escape_by_being_renamed_or_copied() {
    let rules = ["rename span password to note", "copy resource token to span hint"];
    let out = span(&rules, vec![text("token", "hunter3")], vec![text("password", "hunter2")]);
    assert_eq!(out, [text("note", "****"), text("hint", "****")]);
}

#[test]
fn what_gets_a_secret_key_is_a_secret() {
    let rules = ["rename span a to password", "copy span b to token"];
    let out = span(&rules, vec![], vec![text("a", "1"), text("b", "2")]);
    assert_eq!(out, [text("password", "****"), text("b", "2"), text("token", "****")]);
}

#[test]
fn a_value_from_the_settings_is_not_redacted() {
    let out = span(&["set span token = none"], vec![], vec![text("token", "hunter2")]);
    assert_eq!(out, [text("token", "none")]);
}

#[test]
fn equal_values_have_equal_pseudonyms_whatever_their_type() {
    let given = vec![
        text("a", "17"),
        pair("b", Value::IntValue(17)),
        text("c", "18"),
        pair("d", Value::BoolValue(true)),
    ];
    let rules = ["a", "b", "c", "d"].map(|key| format!("pseudonymise span {key}"));
    let out = span(&rules.each_ref().map(String::as_str), vec![], given);
    let value = |at: usize| out[at].value.clone().unwrap().value.unwrap();
    let Value::StringValue(first) = value(0) else { panic!("{:?}", value(0)) };
    assert!(first.starts_with("hp_") && first.len() == 35, "{first}");
    assert_eq!(value(1), value(0));
    assert_ne!(value(2), value(0));
    assert_eq!(value(3), Value::StringValue("****".to_owned()));
}

#[test]
fn rules_for_other_attributes_leave_the_request_in_its_memory() {
    let rules = ["remove span x", "change span y = 1", "rename log a to b", "remove resource z"];
    let bytes = Bytes::from(request(vec![text("r", "1")], vec![text("a", "1")]).encode_to_vec());
    let (clean, tally) = policy(&rules).clean(head(Signal::Traces), &bytes).unwrap();
    assert_eq!(clean.bytes().as_ptr(), bytes.as_ptr());
    assert_eq!(tally.edited, 0);
}

#[test]
fn a_large_value_is_not_copied_and_counted() {
    let large = "x".repeat(list::COPIED_BYTES_MAX);
    let bytes = Bytes::from(request(vec![text("a", &large)], vec![]).encode_to_vec());
    let policy = policy(&["copy resource a to span a"]);
    let (clean, tally) = policy.clean(head(Signal::Traces), &bytes).unwrap();
    assert_eq!(clean.bytes(), &bytes);
    assert_eq!((tally.uncopied, tally.edited), (1, 0));
}

#[test]
fn a_list_that_repeats_an_edited_key_too_often_is_refused() {
    let rules = ["remove span a"];
    let repeated = |count| request(vec![], vec![text("a", "1"); count]).encode_to_vec();
    assert!(clean(&policy(&rules), Signal::Traces, &repeated(1024)).is_ok());
    let refused = clean(&policy(&rules), Signal::Traces, &repeated(1025)).unwrap_err();
    assert_eq!(refused, Malformed::Overgrown);
    assert!(clean(&policy(&[]), Signal::Traces, &repeated(1025)).is_ok());
}

/// Two bytes a span would else become a hundred.
#[test]
fn a_request_of_empty_spans_does_not_grow_without_bound() {
    let spans = [0x12, 0].repeat(100_000);
    let wrap = |inner: &[u8]| {
        let mut out = Vec::new();
        write_varint(&mut out, inner.len() as u64);
        [&out, inner].concat()
    };
    let scope = [&[0x12], wrap(&spans).as_slice()].concat();
    let bytes = [&[0x0a], wrap(&scope).as_slice()].concat();
    let rule = format!("add span a = {}", "x".repeat(100));
    let refused = clean(&policy(&[&rule]), Signal::Traces, &bytes).unwrap_err();
    assert_eq!(refused, Malformed::Overgrown);
}

#[test]
fn a_key_that_redaction_would_hide_is_not_written() {
    let edit = Settings { rules: vec!["set span ann@example.com = 1".to_owned()], key: KEY };
    let refused = Policy::new(&super::super::Settings { edit, ..settings() }).unwrap_err();
    let want = "rule 1 of edit writes the key ann@example.com, in which redaction sees a secret";
    assert_eq!(refused.to_string(), want);
}

#[test]
fn the_version_of_the_policy_is_that_of_its_rules() {
    let version = |rules: &[&str]| policy(rules).version();
    assert_eq!(version(&["remove span a"]), version(&["remove span a"]));
    assert_ne!(version(&["remove span a"]), version(&["remove span b"]));
    assert_ne!(version(&["remove span a"]), version(&[]));
    let edit = Settings { rules: vec!["remove span a".to_owned()], key: [1; 32] };
    let other_key = Policy::new(&super::super::Settings { edit, ..settings() }).unwrap();
    assert_eq!(other_key.version(), version(&["remove span a"]));
}

/// Few keys, so that rules and attributes meet; and what else a string may be.
fn texts() -> Texts {
    let keys = proptest::sample::select(KEYS.as_slice()).prop_map(str::to_owned);
    prop_oneof![4 => keys, 1 => hostile()].boxed()
}

static KEYS: [&str; 8] =
    ["a", "b", "service.name", "password", "url.full", "url.query", "x.token", "user id"];
const LEVELS: [&str; 7] = ["resource", "scope", "span", "event", "link", "log", "point"];
const VALUES: [&str; 7] = ["a", "\"ann@example.com\"", "7", "-1", "2.5", "true", "\"\""];

/// Texts of which most are rules.
fn rule() -> BoxedStrategy<String> {
    let of = |list: &'static [&'static str]| proptest::sample::select(list);
    let key = || of(&KEYS).prop_map(|key| format!("{key:?}"));
    let attribute = move || (of(&LEVELS), key()).prop_map(|(level, key)| format!("{level} {key}"));
    let action = prop_oneof![
        (of(&["add", "set", "change"]), attribute(), of(&VALUES))
            .prop_map(|(how, attribute, value)| format!("{how} {attribute} = {value}")),
        (of(&["remove", "pseudonymise"]), attribute())
            .prop_map(|(what, attribute)| format!("{what} {attribute}")),
        (attribute(), key()).prop_map(|(attribute, to)| format!("rename {attribute} to {to}")),
        (attribute(), attribute()).prop_map(|(from, to)| format!("copy {from} to {to}")),
    ];
    let test = prop_oneof![
        of(&VALUES).prop_map(|value| format!("= {value}")),
        of(&["is present", "is missing"]).prop_map(str::to_owned),
    ];
    let condition = prop_oneof![
        2 => Just(String::new()),
        1 => (attribute(), test).prop_map(|(of, test)| format!(" where {of} {test}")),
    ];
    (action, condition).prop_map(|(action, condition)| format!("{action}{condition}")).boxed()
}

fn rules() -> BoxedStrategy<Vec<String>> {
    let some = proptest::collection::vec(rule(), 0..24);
    some.prop_map(|rules| rules.into_iter().filter(|it| parse(it).is_ok()).collect()).boxed()
}

fn is_as_the_model_says<R: Request>(request: &R, rules: &[String]) -> Result<(), TestCaseError> {
    let parsed: Vec<_> = rules.iter().map(|rule| parse(rule).unwrap()).collect();
    let borrowed: Vec<_> = rules.iter().map(String::as_str).collect();
    let clean = clean(&policy(&borrowed), R::SIGNAL, &request.encode_to_vec()).unwrap();
    let ours = R::decode(clean.bytes().as_ref()).unwrap();
    is_same(
        &ours,
        &expected(
            checked::<R>(&request.encode_to_vec()),
            &parsed,
            KEY,
            &super::super::tests::policy(),
        ),
    )
}

/// The request without what has no valid id; nothing else is done to it.
fn checked<R: Request>(bytes: &[u8]) -> R {
    let policy = Policy::new(&super::super::Settings { enabled: false, ..settings() }).unwrap();
    R::decode(clean(&policy, R::SIGNAL, bytes).unwrap().bytes().as_ref()).unwrap()
}

/// Numbers that are none are equal to themselves as bytes only.
fn is_same<R: Request>(ours: &R, want: &R) -> Result<(), TestCaseError> {
    prop_assert!(ours.encode_to_vec() == want.encode_to_vec(), "{:#?}\n{:#?}", ours, want);
    Ok(())
}

/// Bytes may hold more than what they are decoded to, and redaction hides more then. So nothing is
/// secret by its key here.
fn is_as_the_model_says_of<R: Request>(
    bytes: &[u8],
    rules: &[String],
) -> Result<(), TestCaseError> {
    let edit = Settings { rules: rules.to_vec(), key: KEY };
    let blind = super::super::Settings { keys: vec![], urls: vec![], ..settings() };
    let policy = Policy::new(&super::super::Settings { edit, ..blind.clone() }).unwrap();
    let ours = clean(&policy, R::SIGNAL, bytes);
    if R::decode(bytes).is_err() {
        prop_assert!(ours.is_err());
        return Ok(());
    }
    let parsed: Vec<_> = rules.iter().map(|rule| parse(rule).unwrap()).collect();
    let ours = R::decode(ours.unwrap().bytes().as_ref()).unwrap();
    is_same(&ours, &expected(checked::<R>(bytes), &parsed, KEY, &Policy::new(&blind).unwrap()))
}

fn changed(mut bytes: Vec<u8>, at: &prop::sample::Index, byte: u8) -> Vec<u8> {
    if !bytes.is_empty() {
        let at = at.index(bytes.len());
        bytes[at] = byte;
    }
    bytes
}

proptest! {
    #[test]
    fn splicing_equals_decode_edit_redact_encode(
        traces in arbitrary::traces(&texts()),
        logs in arbitrary::logs(&texts()),
        metrics in arbitrary::metrics(&texts()),
        rules in rules(),
    ) {
        is_as_the_model_says(&traces, &rules)?;
        is_as_the_model_says(&logs, &rules)?;
        is_as_the_model_says(&metrics, &rules)?;
    }

    /// Keys that come twice, values in parts, fields out of order and what is not OTLP at all.
    #[test]
    fn odd_bytes_are_edited_as_they_would_be_decoded(
        traces in arbitrary::traces(&texts()),
        logs in arbitrary::logs(&texts()),
        metrics in arbitrary::metrics(&texts()),
        rules in rules(),
        at in any::<prop::sample::Index>(),
        byte in prop_oneof![any::<u8>(), 0..32_u8],
    ) {
        is_as_the_model_says_of::<ExportTraceServiceRequest>(&changed(traces.encode_to_vec(), &at, byte), &rules)?;
        is_as_the_model_says_of::<ExportLogsServiceRequest>(&changed(logs.encode_to_vec(), &at, byte), &rules)?;
        is_as_the_model_says_of::<ExportMetricsServiceRequest>(&changed(metrics.encode_to_vec(), &at, byte), &rules)?;
    }

    /// Requests one behind the other are one, and so are resources within what holds them.
    #[test]
    fn messages_in_parts_are_one(
        first in arbitrary::traces(&texts()),
        second in arbitrary::traces(&texts()),
        rules in rules(),
    ) {
        let mut parts = Vec::new();
        for (first, second) in first.resource_spans.iter().zip(&second.resource_spans) {
            let both = [first.encode_to_vec(), second.encode_to_vec()].concat();
            parts.push(0x0a);
            write_varint(&mut parts, both.len() as u64);
            parts.extend_from_slice(&both);
        }
        is_as_the_model_says_of::<ExportTraceServiceRequest>(&parts, &rules)?;
    }
}
