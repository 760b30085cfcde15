use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, span};
use proptest::prelude::*;

use super::*;
use crate::receive::budget::{Budget, Sender};
use crate::receive::tests::cleaned;

const LIMIT: usize = 1 << 20;

/// The three examples of opentelemetry-proto 1.11, shortened.
const TRACE: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name",
    "value":{"stringValue":"my.service"}}]},"scopeSpans":[{"scope":{"name":"my.library","version":
    "1.0.0","attributes":[{"key":"my.scope.attribute","value":{"stringValue":"some scope attribute"}}]},
    "spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174",
    "parentSpanId":"EEE19B7EC3C1B173","name":"I'm a server span","startTimeUnixNano":
    "1544712660000000000","endTimeUnixNano":"1544712661000000000","kind":2,
    "attributes":[{"key":"my.span.attr","value":{"stringValue":"some value"}}]}]}]}]}"#;
const METRICS: &str = r#"{"resourceMetrics":[{"scopeMetrics":[{"scope":{"name":"my.library"},
    "metrics":[{"name":"my.counter","unit":"1","description":"I am a Counter","sum":{
    "aggregationTemporality":1,"isMonotonic":true,"dataPoints":[{"asDouble":5,"startTimeUnixNano":
    "1544712660300000000","timeUnixNano":"1544712660300000000"}]}},
    {"name":"my.gauge","gauge":{"dataPoints":[{"asInt":"-10","timeUnixNano":"1544712660300000000"}]}},
    {"name":"my.histogram","histogram":{"aggregationTemporality":1,"dataPoints":[{"count":"2","sum":2,
    "bucketCounts":["1","1"],"explicitBounds":[1],"min":0,"max":2,"startTimeUnixNano":
    "1544712660300000000","timeUnixNano":"1544712660300000000"}]}},
    {"name":"my.exponential","exponentialHistogram":{"aggregationTemporality":1,"dataPoints":[{
    "timeUnixNano":"1544712660300000000","count":"3","sum":10,"scale":-2,"zeroCount":"1",
    "positive":{"offset":1,"bucketCounts":["0","2"]},"negative":{"offset":-1,"bucketCounts":["1"]},"min":0,"max":5,"zeroThreshold":0}]}},
    {"name":"my.summary","summary":{"dataPoints":[{"count":"2","sum":3.5,"timeUnixNano":"7",
    "quantileValues":[{"quantile":0.5,"value":1.5}]}]}}]}]}]}"#;
const LOGS: &str = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":
    {"stringValue":"my.service"}}]},"scopeLogs":[{"scope":{"name":"my.library"},"logRecords":[{
    "timeUnixNano":"1544712660300000000","observedTimeUnixNano":"1544712660300000000",
    "severityNumber":10,"severityText":"Information","traceId":"5b8efff798038103d269b633813fc60c",
    "spanId":"eee19b7ec3c1b174","body":{"stringValue":"Example log record"},"attributes":[
    {"key":"boolean.attribute","value":{"boolValue":true}},{"key":"int.attribute","value":
    {"intValue":"10"}},{"key":"double.attribute","value":{"doubleValue":637.704}},
    {"key":"array.attribute","value":{"arrayValue":{"values":[{"stringValue":"many"},
    {"stringValue":"values"}]}}},{"key":"map.attribute","value":{"kvlistValue":{"values":[
    {"key":"some.map.key","value":{"stringValue":"some value"}}]}}},{"key":"bytes","value":
    {"bytesValue":"aGk="}}]}]}]}]}"#;

fn written(signal: Signal, text: &[u8], limit: usize) -> Result<Bytes, Denial> {
    let hold = Budget::new(8 << 20).take(Sender::next(), text.len()).unwrap();
    transcode(signal, text, limit, hold).map(|(bytes, _)| bytes)
}

fn read<T: prost::Message + Default>(signal: Signal, text: &str) -> T {
    T::decode(written(signal, text.as_bytes(), LIMIT).unwrap()).unwrap()
}

fn logs(record: &str) -> LogRecord {
    let text = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{record}]}}]}}]}}"#);
    let request: ExportLogsServiceRequest = read(Signal::Logs, &text);
    request.resource_logs[0].scope_logs[0].log_records[0].clone()
}

fn refusal(text: &str) -> Refusal {
    written(Signal::Logs, text.as_bytes(), LIMIT).unwrap_err().refusal
}

#[test]
fn the_examples_of_the_specification_mean_what_serde_says() {
    let traces: ExportTraceServiceRequest = serde_json::from_str(TRACE).unwrap();
    assert_eq!(read::<ExportTraceServiceRequest>(Signal::Traces, TRACE), traces);
    let logs: ExportLogsServiceRequest = serde_json::from_str(LOGS).unwrap();
    assert_eq!(read::<ExportLogsServiceRequest>(Signal::Logs, LOGS), logs);
    let metrics: ExportMetricsServiceRequest = serde_json::from_str(METRICS).unwrap();
    assert_eq!(read::<ExportMetricsServiceRequest>(Signal::Metrics, METRICS), metrics);
}

#[test]
fn snake_case_keys_mean_the_same_as_camel_case_ones() {
    let snake = LOGS.replace("resourceLogs", "resource_logs").replace("logRecords", "log_records");
    let snake = snake.replace("timeUnixNano", "time_unix_nano").replace("intValue", "int_value");
    let expected: ExportLogsServiceRequest = read(Signal::Logs, LOGS);
    assert_eq!(read::<ExportLogsServiceRequest>(Signal::Logs, &snake), expected);
}

#[test]
fn numbers_may_be_text_and_text_may_be_numbers() {
    let record = logs(
        r#"{"timeUnixNano":7,"observedTimeUnixNano":"8","flags":"1","droppedAttributesCount":2e0}"#,
    );
    assert_eq!((record.time_unix_nano, record.observed_time_unix_nano), (7, 8));
    assert_eq!((record.flags, record.dropped_attributes_count), (1, 2));
    let body = |text: &str| logs(&format!(r#"{{"body":{text}}}"#)).body.unwrap().value.unwrap();
    assert_eq!(body(r#"{"intValue":-5}"#), Value::IntValue(-5));
    assert_eq!(body(r#"{"intValue":"-9223372036854775808"}"#), Value::IntValue(i64::MIN));
    assert_eq!(body(r#"{"doubleValue":"-Infinity"}"#), Value::DoubleValue(f64::NEG_INFINITY));
    assert_eq!(body(r#"{"doubleValue":3}"#), Value::DoubleValue(3.0));
}

#[test]
fn enums_may_be_names() {
    assert_eq!(logs(r#"{"severityNumber":"SEVERITY_NUMBER_ERROR"}"#).severity_number, 17);
    assert_eq!(logs(r#"{"severityNumber":"9"}"#).severity_number, 9);
}

#[test]
fn bytes_are_base64_of_either_alphabet_with_or_without_padding() {
    let body = |text: &str| {
        let record = logs(&format!(r#"{{"body":{{"bytesValue":"{text}"}}}}"#));
        let Some(Value::BytesValue(bytes)) = record.body.unwrap().value else { panic!() };
        bytes
    };
    assert_eq!(body("+/8="), [0xfb, 0xff]);
    assert_eq!(body("-_8"), [0xfb, 0xff]);
    assert_eq!(body("aGVsbG8h"), b"hello!");
    assert_eq!(body(""), b"");
}

#[test]
fn unknown_fields_and_nulls_are_passed_over() {
    let record = logs(
        r#"{"new_field":{"a":[1,{"b":null}]},"body":null,"attributes":null,"severityText":"x"}"#,
    );
    assert_eq!(record, LogRecord { severity_text: "x".to_owned(), ..LogRecord::default() });
}

#[test]
fn an_empty_value_stays_a_value() {
    assert_eq!(logs(r#"{"body":{}}"#).body, Some(AnyValue { value: None }));
    assert_eq!(written(Signal::Logs, b"{}", LIMIT).unwrap(), Bytes::new());
}

#[test]
fn what_does_not_fit_its_field_is_malformed() {
    let record =
        |text: &str| format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{text}]}}]}}]}}"#);
    let wrong = [
        r#"{"severityNumber":"LOUD"}"#,
        r#"{"timeUnixNano":-1}"#,
        r#"{"flags":4294967296}"#,
        r#"{"attributes":{}}"#,
        r#"{"body":[]}"#,
        r#"{"body":{"bytesValue":"a"}}"#,
        r#"{"body":{"boolValue":"true"}}"#,
        r#"{"severityText":1}"#,
        r#""text""#,
    ];
    for text in wrong {
        assert_eq!(refusal(&record(text)), Refusal::Malformed, "{text}");
    }
    for text in ["", "[]", "{", "{}{}", "null", "\u{feff}{}"] {
        assert_eq!(refusal(text), Refusal::Malformed, "{text}");
    }
}

#[test]
fn an_id_that_is_none_is_passed_on_as_none_and_refuses_no_request() {
    let id = |text: &str| logs(&format!(r#"{{"traceId":"{text}"}}"#)).trace_id;
    assert_eq!(id("5B8efff798038103d269b633813fc60c").len(), 16);
    assert_eq!(id("aBcD"), [0xab, 0xcd]);
    assert_eq!(id("0123456789abcdefABCDEF"), b"\x01\x23\x45\x67\x89\xab\xcd\xef\xab\xcd\xef");
    assert_eq!(id(""), b"");
    for text in ["abc", "xyz", "zz", "W47/+YA4EDPSabYzgT/GDA==", "\u{e9}\u{e9}", "@@", "``"] {
        assert_eq!(id(text), [0], "{text}");
    }
}

#[test]
fn what_is_no_text_in_place_of_an_id_is_passed_on_as_no_id() {
    let others = [
        "5",
        "-5",
        "0.5",
        "true",
        "[]",
        "[1,2]",
        "[\"0102030405060708\"]",
        "{}",
        "{\"traceId\":\"0102030405060708\"}",
    ];
    for other in others {
        let record = logs(&format!(r#"{{"traceId":{other},"spanId":"aBcD","severityText":"x"}}"#));
        assert_eq!((record.trace_id, record.span_id), (vec![0], vec![0xab, 0xcd]), "{other}");
        assert_eq!(record.severity_text, "x", "{other}");
    }
    let record = logs(r#"{"traceId":null,"spanId":"aBcD"}"#);
    assert_eq!((record.trace_id, record.span_id), (vec![], vec![0xab, 0xcd]));
}

#[test]
fn what_stands_in_place_of_an_id_may_nest_as_it_likes() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let (open, close) = (open.repeat(100_000), close.repeat(100_000));
        assert_eq!(logs(&format!(r#"{{"traceId":{open}0{close}}}"#)).trace_id, [0]);
        let endless =
            format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"traceId":{open}"#);
        assert_eq!(refusal(&endless), Refusal::Malformed);
    }
}

#[test]
fn ids_that_are_none_count_against_the_limit_and_the_budget() {
    let ids = r#""traceId":[],"#.repeat(10_000);
    let text =
        format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{{ids}"flags":1}}]}}]}}]}}"#);
    let denial = written(Signal::Logs, text.as_bytes(), 4000).unwrap_err();
    assert_eq!(denial.refusal, Refusal::TooLarge);
    assert!(written(Signal::Logs, text.as_bytes(), 40_000).is_ok());
}

/// `depth` values in each other, by lists of pairs, which take the most brackets, or by arrays.
fn nested(depth: usize, (open, close): (&str, &str)) -> String {
    let (head, tail) = (open.repeat(depth - 1), close.repeat(depth - 1));
    format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{head}{{"intValue":1}}{tail}}}]}}]}}]}}"#
    )
}

#[test]
fn values_nest_64_deep_and_no_deeper_as_in_protobuf() {
    let lists = (r#"{"kvlistValue":{"values":[{"key":"k","value":"#, "}]}}");
    let arrays = (r#"{"arrayValue":{"values":["#, "]}}");
    for way in [lists, arrays] {
        let bytes = written(Signal::Logs, nested(64, way).as_bytes(), LIMIT).unwrap();
        assert_eq!(cleaned(Signal::Logs, &bytes), Ok(()));
        let denial = written(Signal::Logs, nested(65, way).as_bytes(), LIMIT).unwrap_err();
        assert_eq!(denial.refusal, Refusal::Malformed);
        assert!(denial.message.starts_with("values are nested too deep"), "{}", denial.message);
        assert_eq!(refusal(&nested(20_000, way)), Refusal::Malformed);
    }
}

#[test]
fn what_is_unknown_may_nest_as_it_likes() {
    let unknown = format!(r#"{{"unknown":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(written(Signal::Logs, unknown.as_bytes(), LIMIT), Ok(Bytes::new()));
}

#[test]
fn nesting_without_end_is_malformed() {
    let deep = r#"{"arrayValue":{"values":["#.repeat(50_000);
    let text = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{deep}"#);
    assert_eq!(refusal(&text), Refusal::Malformed);
    let unknown = format!(r#"{{"unknown":{}"#, "[".repeat(100_000));
    assert_eq!(refusal(&unknown), Refusal::Malformed);
}

#[test]
fn a_request_that_grows_past_the_limit_is_too_large() {
    let text = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[
        {{"explicitBounds":[{}1]}}]}}}}]}}]}}]}}"#,
        "0,".repeat(1000)
    );
    let denial = written(Signal::Metrics, text.as_bytes(), 4000).unwrap_err();
    assert_eq!(denial.refusal, Refusal::TooLarge);
    assert!(written(Signal::Metrics, text.as_bytes(), 9000).is_ok());
}

#[test]
fn a_request_that_outgrows_the_budget_is_busy_and_stops_growing() {
    let numbers = "0,".repeat(100_000);
    let text = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[
        {{"explicitBounds":[{numbers}1]}}]}}}}]}}]}}]}}"#
    );
    let hold = Budget::new(500 << 10).take(Sender::next(), text.len()).unwrap();
    let denial = transcode(Signal::Metrics, text.as_bytes(), LIMIT, hold).unwrap_err();
    assert_eq!(denial.refusal, Refusal::Busy);
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        ".{0,200}".prop_map(Value::StringValue),
        any::<bool>().prop_map(Value::BoolValue),
        any::<i64>().prop_map(Value::IntValue),
        // serde_json reads a double of more than 15 digits to its last bit but one.
        any::<i32>().prop_map(|sixtyfourths| Value::DoubleValue(f64::from(sixtyfourths) / 64.0)),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::BytesValue),
    ];
    let leaf = leaf.prop_map(|value| AnyValue { value: Some(value) });
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|values| Value::ArrayValue(ArrayValue { values })),
            prop::collection::vec(("[a-z.]{1,9}", inner), 0..4).prop_map(|pairs| {
                let values = pairs.into_iter().map(pair).collect();
                Value::KvlistValue(KeyValueList { values })
            }),
        ]
        .prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn pair((key, value): (String, AnyValue)) -> KeyValue {
    KeyValue { key, value: Some(value), ..KeyValue::default() }
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let pair = ("[a-z.]{1,9}", any_value()).prop_map(pair);
    prop::collection::vec(pair, 0..4)
}

fn any_span() -> impl Strategy<Value = Span> {
    let head = (any::<[u8; 16]>(), any::<[u8; 8]>(), ".{0,20}", 0..6, any::<u64>(), any::<u32>());
    (head, attributes()).prop_map(|((trace, id, name, kind, time, flags), attributes)| Span {
        trace_id: trace.to_vec(),
        span_id: id.to_vec(),
        name,
        kind,
        start_time_unix_nano: time,
        flags,
        events: vec![span::Event { time_unix_nano: time, ..span::Event::default() }],
        attributes,
        ..Span::default()
    })
}

proptest! {
    #[test]
    fn spans_as_serde_writes_them_come_back_whole(spans in prop::collection::vec(any_span(), 0..4)) {
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
        let request = ExportTraceServiceRequest { resource_spans };
        let text = serde_json::to_string(&request).unwrap();
        prop_assert_eq!(read::<ExportTraceServiceRequest>(Signal::Traces, &text), request);
    }

    #[test]
    fn records_as_serde_writes_them_come_back_whole(body in any_value(), attributes in attributes()) {
        let record = LogRecord { body: Some(body), attributes, ..LogRecord::default() };
        let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
        let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
        let request = ExportLogsServiceRequest { resource_logs };
        let text = serde_json::to_string(&request).unwrap();
        prop_assert_eq!(read::<ExportLogsServiceRequest>(Signal::Logs, &text), request);
    }

    #[test]
    fn no_text_is_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0..1500_usize) {
        drop(written(Signal::Logs, &bytes, LIMIT));
        drop(written(Signal::Logs, LOGS.as_bytes().get(..cut).unwrap_or_default(), LIMIT));
    }
}

#[test]
fn metrics_keep_the_kind_of_their_points() {
    let request: ExportMetricsServiceRequest = read(Signal::Metrics, METRICS);
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    let Some(Data::Gauge(gauge)) = &metrics[1].data else { panic!() };
    assert_eq!(gauge.data_points[0].value, Some(number_data_point::Value::AsInt(-10)));
    let Some(Data::ExponentialHistogram(histogram)) = &metrics[3].data else { panic!() };
    let point = &histogram.data_points[0];
    assert_eq!(
        (point.scale, point.negative.as_ref().map(|buckets| buckets.offset)),
        (-2, Some(-1))
    );
}
