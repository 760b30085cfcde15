use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::ledger::Refusal;
use crate::receive::budget::{Budget, Sender};

const LIMITS: Limits = Limits { line_bytes_max: 4096, request_bytes_max: 1 << 20 };

/// As the Cilium documentation prints it, with a policy added.
const DROPPED: &str = r#"{"flow":{"time":"2021-03-01T14:30:00.123456789Z","uuid":"u-1","verdict":"DROPPED",
"drop_reason":133,"ethernet":{"source":"a"},"IP":{"source":"10.0.0.1","destination":"10.0.0.2","ipVersion":"IPv4"},
"l4":{"TCP":{"source_port":40000,"destination_port":8080,"flags":{"SYN":true,"ECE":false}}},
"source":{"ID":2,"identity":1234,"cluster_name":"main","namespace":"shop","labels":["k8s:app=cart","k8s:version=v2"],
"pod_name":"cart-1","workloads":[{"name":"cart","kind":"Deployment"}]},
"destination":{"identity":2,"labels":["reserved:world"]},"Type":"L3_L4","node_name":"main/node-1",
"destination_names":["api.example.com"],"destination_service":{"name":"db","namespace":"shop"},"is_reply":false,
"event_type":{"type":1,"sub_type":133},"traffic_direction":"EGRESS","drop_reason_desc":"POLICY_DENIED",
"trace_context":{"parent":{"trace_id":"0af7651916cd43dd8448eb211c80319c"}},
"egress_denied_by":[{"name":"deny","namespace":"shop","kind":"CiliumNetworkPolicy"},{"name":"wide"}]},
"node_name":"main/node-1","time":"2021-03-01T14:30:01Z"}"#;

const RESPONSE: &str = r#"{"time":"2021-03-01T14:30:00Z","verdict":"FORWARDED","IP":{"source":"10.0.0.2",
"destination":"10.0.0.1"},"l4":{"TCP":{"sourcePort":8080,"destinationPort":40000}},"source":{"podName":"cart-1"},
"nodeName":"node-2","Type":"L7","isReply":true,"l7":{"type":"RESPONSE","latencyNs":"999958359","http":{"code":503,
"method":"GET","url":"http://cart/items","headers":[{"key":"X-Request-Id","value":"r-1"},{"key":"Server","value":"envoy"},
{"key":"X-B3-Traceid","value":"463ac35c9f6413ad"}]}},"Summary":"HTTP/1.1 503 1000ms"}"#;

fn one_line(text: &str) -> String {
    text.replace('\n', "")
}

fn encoded(text: &[u8], observed: Nanos, limits: Limits) -> Result<Lines, Denial> {
    let hold = Budget::new(1 << 20).take(Sender::next(), 0).unwrap();
    encode(text, observed, limits, hold).map(|(lines, _)| lines)
}

fn records(text: &str) -> Vec<LogRecord> {
    let lines = encoded(text.as_bytes(), Nanos(42), LIMITS).unwrap();
    assert_eq!((lines.rejected, lines.message.as_str()), (0, ""));
    decoded(&lines)
}

fn decoded(lines: &Lines) -> Vec<LogRecord> {
    let request = ExportLogsServiceRequest::decode(lines.request.clone()).unwrap();
    let mut scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
    let Some(scope) = scopes.next() else { return Vec::new() };
    assert_eq!(scope.scope.unwrap().name, "hopline.flows");
    scope.log_records
}

/// Attributes as text, sorted by key.
fn attributes(record: &LogRecord) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => format!("{number}i"),
        Value::BoolValue(flag) => flag.to_string(),
        Value::ArrayValue(list) => {
            let texts = list.values.iter().map(|value| match &value.value {
                Some(Value::StringValue(text)) => text.as_str(),
                _ => panic!(),
            });
            texts.collect::<Vec<_>>().join("|")
        }
        _ => panic!(),
    };
    let pairs = record.attributes.iter();
    let mut all: Vec<_> = pairs
        .map(|pair| {
            let value = pair.value.as_ref().unwrap().value.as_ref().unwrap();
            format!("{}={}", pair.key, text(value))
        })
        .collect();
    all.sort();
    all
}

#[test]
fn a_dropped_flow_becomes_a_warning_with_all_that_it_says() {
    let [record] = &records(&one_line(DROPPED))[..] else { panic!() };
    assert_eq!(record.event_name, "hopline.flow");
    assert_eq!(record.time_unix_nano, 1_614_609_000_123_456_789);
    assert_eq!(record.observed_time_unix_nano, 42);
    assert_eq!((record.severity_number, record.severity_text.as_str()), (13, "WARN"));
    assert_eq!(record.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes());
    let Some(Value::StringValue(body)) = &record.body.as_ref().unwrap().value else { panic!() };
    assert_eq!(body, "TCP 10.0.0.1:40000 -> 10.0.0.2:8080 DROPPED POLICY_DENIED");
    let expected = [
        "destination.address=10.0.0.2",
        "destination.port=8080i",
        "hopline.destination.identity=2",
        "hopline.destination.names=api.example.com",
        "hopline.destination.service=db",
        "hopline.flow.direction=EGRESS",
        "hopline.flow.drop_reason=POLICY_DENIED",
        "hopline.flow.is_reply=false",
        "hopline.flow.tcp_flags=SYN",
        "hopline.flow.type=L3_L4",
        "hopline.flow.uuid=u-1",
        "hopline.flow.verdict=DROPPED",
        "hopline.policy.egress_denied_by=shop/deny|wide",
        "hopline.source.cluster=main",
        "hopline.source.identity=1234",
        "hopline.source.namespace=shop",
        "hopline.source.pod=cart-1",
        "hopline.source.version=v2",
        "hopline.source.workload=cart",
        "k8s.cluster.name=main",
        "k8s.node.name=node-1",
        "network.transport=tcp",
        "source.address=10.0.0.1",
        "source.port=40000i",
    ];
    assert_eq!(attributes(record), expected);
}

#[test]
fn a_bare_flow_in_camel_case_is_read_too_and_b3_joins_it() {
    let [record] = &records(&one_line(RESPONSE))[..] else { panic!() };
    assert_eq!(record.severity_number, 9);
    assert_eq!(record.trace_id, 0x463a_c35c_9f64_13ad_u128.to_be_bytes());
    let expected = [
        "destination.address=10.0.0.1",
        "destination.port=40000i",
        "hopline.flow.is_reply=true",
        "hopline.flow.latency_ns=999958359i",
        "hopline.flow.summary=HTTP/1.1 503 1000ms",
        "hopline.flow.type=L7",
        "hopline.flow.verdict=FORWARDED",
        "hopline.source.pod=cart-1",
        "http.request.header.x-b3-traceid=463ac35c9f6413ad",
        "http.request.header.x-request-id=r-1",
        "http.request.method=GET",
        "http.response.header.server=envoy",
        "http.response.status_code=503i",
        "k8s.node.name=node-2",
        "network.transport=tcp",
        "source.address=10.0.0.2",
        "source.port=8080i",
        "url.full=http://cart/items",
    ];
    assert_eq!(attributes(record), expected);
}

#[test]
fn an_absent_dns_code_is_no_error_on_an_answer_and_nothing_on_a_question() {
    let line = |kind: &str| {
        format!(
            r#"{{"verdict":"FORWARDED","l7":{{"type":"{kind}","dns":{{"query":"cart.local."}}}}}}"#
        )
    };
    let text = format!("{}\n{}", line("REQUEST"), line("RESPONSE"));
    let [question, answer] = &records(&text)[..] else { panic!() };
    assert!(!attributes(question).contains(&"hopline.dns.rcode=0i".to_owned()));
    assert!(attributes(answer).contains(&"hopline.dns.rcode=0i".to_owned()));
    assert!(attributes(question).contains(&"dns.question.name=cart.local.".to_owned()));
}

#[test]
fn a_traceparent_header_joins_a_flow_without_context() {
    let line = r#"{"verdict":"FORWARDED","l7":{"type":"REQUEST","http":{"headers":[
        {"key":"Traceparent","value":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}]}}}"#;
    let [record] = &records(&one_line(line))[..] else { panic!() };
    assert_eq!(record.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes());
}

#[test]
fn lost_events_become_a_record_with_their_count() {
    let line = r#"{"lost_events":{"source":"HUBBLE_RING_BUFFER","num_events_lost":"17"},
        "node_name":"node-1","time":"2021-03-01T14:30:00Z"}"#;
    let [record] = &records(&one_line(line))[..] else { panic!() };
    assert_eq!(record.event_name, "hopline.flow.lost");
    assert_eq!(record.time_unix_nano, 1_614_609_000_000_000_000);
    let expected = [
        "hopline.flow.lost_count=17i",
        "hopline.flow.lost_source=HUBBLE_RING_BUFFER",
        "k8s.node.name=node-1",
    ];
    assert_eq!(attributes(record), expected);
}

#[test]
fn a_bad_line_is_rejected_and_the_others_go_on() {
    let long = format!(r#"{{"verdict":"{}"}}"#, "A".repeat(5000));
    let bad = ["{", "{}", r#"{"agent_event":{"type":"POLICY_UPDATED"}}"#, "[1]", &long, "\u{0}"];
    let text = format!("{}\n\r\n{}\n{}\n", bad[0], one_line(DROPPED), bad[1..].join("\n"));
    let lines = encoded(text.as_bytes(), Nanos(0), LIMITS).unwrap();
    assert_eq!(decoded(&lines).len(), 1);
    assert_eq!((lines.rejected, lines.message.as_str()), (6, "line 1: not the JSON of a flow"));
}

#[test]
fn lines_that_grow_past_the_limit_are_too_large() {
    let text = "{\"verdict\":\"DROPPED\"}\n".repeat(100);
    let limits = Limits { line_bytes_max: 100, request_bytes_max: 2000 };
    assert_eq!(encoded(text.as_bytes(), Nanos(0), limits).unwrap_err().refusal, Refusal::TooLarge);
}

#[test]
fn records_that_outgrow_the_budget_are_busy() {
    let text = "{\"verdict\":\"DROPPED\"}\n".repeat(1000);
    let hold = Budget::new(50 << 10).take(Sender::next(), text.len()).unwrap();
    let denial = encode(text.as_bytes(), Nanos(0), LIMITS, hold).unwrap_err();
    assert_eq!(denial.refusal, Refusal::Busy);
}

proptest! {
    #[test]
    fn no_line_is_a_panic_and_every_line_is_counted(text in "[ -~é]{0,80}", cut in 0..1800_usize) {
        let flow = one_line(DROPPED);
        let cut = flow.get(..cut).unwrap_or(&flow);
        let lines = encoded(format!("{text}\n{cut}").as_bytes(), Nanos(0), LIMITS).unwrap();
        let given = [text.trim(), cut].into_iter().filter(|line| !line.is_empty()).count();
        prop_assert_eq!(decoded(&lines).len() as u64 + lines.rejected, given as u64);
    }
}
