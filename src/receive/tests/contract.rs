//! What OTLP says a door answers, row by row, in each of the three ways to send.

use ::http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use prost::Message;
use prost::bytes::Bytes as ProstBytes;
use serde_json::{Value, json};

use super::http::{JSON, LOGS, PROTOBUF, post, send};
use super::wire::{EXPORT, framed};
use super::*;

/// Whether a sender may send the same again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    Never,
    Later,
}

/// One row of the table: what becomes of a request, and what each protocol says.
struct Row {
    reply: Reply,
    http: u16,
    grpc: u8,
    again: Again,
}

fn rows() -> Vec<Row> {
    let row = |reply, http, grpc, again| Row { reply, http, grpc, again };
    let refusal = |reason, http, grpc, again| row(refused(reason), http, grpc, again);
    let warning = Reply::Partial { rejected: 0, message: "slow down a little".to_owned() };
    vec![
        row(Reply::Accepted, 200, 0, Again::Never),
        row(partial(), 200, 0, Again::Never),
        row(warning, 200, 0, Again::Never),
        refusal(Refusal::Malformed, 400, 3, Again::Never),
        refusal(Refusal::TooLarge, 413, 8, Again::Never),
        refusal(Refusal::Busy, 503, 14, Again::Later),
        refusal(Refusal::Memory, 503, 14, Again::Later),
        refusal(Refusal::Slow, 503, 14, Again::Later),
        refusal(Refusal::Deadline, 503, 4, Again::Later),
        refusal(Refusal::LogFull, 503, 14, Again::Later),
        refusal(Refusal::LogFailed, 503, 14, Again::Later),
        refusal(Refusal::Closing, 503, 14, Again::Later),
    ]
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: ProstBytes,
}

#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<Partial>,
}

#[derive(Clone, PartialEq, Message)]
struct Partial {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

struct Grpc {
    status: u8,
    headers: HeaderMap,
    message: Vec<u8>,
}

async fn grpc(doors: &Doors, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Grpc {
    let client = client(true);
    let request = Request::post(format!("http://{}{path}", doors.grpc));
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let request = request.body(Body::new(Full::new(Bytes::from(body)))).unwrap();
    let (parts, body) = client.request(request).await.unwrap().into_parts();
    assert_eq!(parts.status.as_u16(), 200);
    let body = body.collect().await.unwrap();
    let mut headers = parts.headers;
    headers.extend(body.trailers().cloned().unwrap_or_default());
    let status = headers["grpc-status"].to_str().unwrap().parse().unwrap();
    Grpc { status, headers, message: body.to_bytes().to_vec() }
}

/// What the reply says of items that were rejected.
fn told(reply: &Reply) -> Option<Partial> {
    match reply {
        Reply::Partial { rejected, message } => {
            let rejected = i64::try_from(*rejected).unwrap();
            Some(Partial { rejected, error_message: message.clone() })
        }
        Reply::Accepted | Reply::Refused { .. } => None,
    }
}

#[tokio::test]
async fn protobuf_over_http() {
    for Row { reply, http, grpc, again } in rows() {
        let doors = Doors::open(reply.clone()).await;
        let answer = post(&doors, "/v1/logs", &[("content-type", PROTOBUF)], "any").await;
        assert_eq!((answer.code.as_u16(), answer.header("content-type")), (http, PROTOBUF));
        let retry_after = if again == Again::Later { "1" } else { "" };
        assert_eq!(answer.header("retry-after"), retry_after, "{reply:?}");
        if http == 200 {
            let response = Response::decode(answer.body).unwrap();
            assert_eq!(response.partial_success, told(&reply), "{reply:?}");
        } else {
            let status = Status::decode(answer.body).unwrap();
            assert_eq!((status.code, &*status.message), (grpc.into(), "because"), "{reply:?}");
        }
    }
}

#[tokio::test]
async fn json_over_http() {
    for Row { reply, http, grpc, again } in rows() {
        let doors = Doors::open(reply.clone()).await;
        let types = [("content-type", "Application/JSON; charset=UTF-8")];
        let answer = post(&doors, "/v1/logs", &types, LOGS).await;
        assert_eq!((answer.code.as_u16(), answer.header("content-type")), (http, JSON));
        let retry_after = if again == Again::Later { "1" } else { "" };
        assert_eq!(answer.header("retry-after"), retry_after, "{reply:?}");
        let expected: Value = match told(&reply) {
            _ if http != 200 => json!({ "code": grpc, "message": "because" }),
            None => json!({}),
            Some(Partial { rejected, error_message }) => json!({ "partialSuccess": {
                "rejectedLogRecords": rejected.to_string(), "errorMessage": error_message,
            }}),
        };
        assert_eq!(answer.json(), expected, "{reply:?}");
    }
}

#[tokio::test]
async fn protobuf_over_grpc() {
    for Row { reply, grpc: code, again, .. } in rows() {
        let doors = Doors::open(reply.clone()).await;
        for media_type in ["application/grpc", "Application/gRPC+proto; x=y"] {
            let headers = [("content-type", media_type), ("te", "trailers")];
            let answer = grpc(&doors, EXPORT, &headers, framed(0, 3, b"any")).await;
            assert_eq!(answer.status, code, "{reply:?}");
            if code == 0 {
                let response = Response::decode(&answer.message[5..]).unwrap();
                assert_eq!(response.partial_success, told(&reply), "{reply:?}");
            } else {
                assert_eq!(answer.headers["grpc-message"], "because");
            }
            assert_eq!(has_retry_info(&answer.headers), again == Again::Later, "{reply:?}");
        }
    }
}

/// Whether the details are a status that says when to come again.
fn has_retry_info(headers: &HeaderMap) -> bool {
    let status = tonic::Status::from_header_map(headers).unwrap();
    let details = Status::decode(status.details()).unwrap().details;
    details.iter().any(|any| any.type_url == "type.googleapis.com/google.rpc.RetryInfo")
}

#[tokio::test]
async fn an_empty_request_succeeds_in_each() {
    let doors = Doors::open(refused(Refusal::Malformed)).await;
    for (media_type, body) in [(PROTOBUF, ""), (JSON, "{}"), (JSON, r#"{"resourceLogs":[]}"#)] {
        let answer = post(&doors, "/v1/logs", &[("content-type", media_type)], body).await;
        assert_eq!(answer.code.as_u16(), 200, "{media_type} {body}");
    }
    let types = [("content-type", "application/grpc")];
    assert_eq!(grpc(&doors, EXPORT, &types, framed(0, 0, b"")).await.status, 0);
}

/// Texts that are no id: odd, no hex, of another length; and what is no text.
const NO_IDS: [&str; 10] = [
    r#""0""#,
    r#""abc""#,
    r#""zz""#,
    r#""W47/95gDgQPSabYzgT/GDA==""#,
    r#""0102030405060708090a0b0c0d0e0f1011""#,
    r#""\u00e9\u00e9\u00e9\u00e9""#,
    "5",
    "false",
    r#"["0102030405060708"]"#,
    r#"{"spanId":"0102030405060708"}"#,
];

/// Doors that answer as the gateway does: they clean what comes, and say what was rejected.
async fn cleaning() -> (Doors, Arc<Mutex<Vec<redact::Tally>>>) {
    let tallies = Arc::<Mutex<Vec<_>>>::default();
    let kept = Arc::clone(&tallies);
    let judge = move |raw: &Raw| {
        let Ok(tally) = tally(raw.signal, &raw.bytes) else {
            return refused(Refusal::Malformed);
        };
        kept.lock().unwrap().push(tally);
        match tally.rejected.total() {
            0 => Reply::Accepted,
            rejected => Reply::Partial { rejected, message: tally.rejected.message() },
        }
    };
    (Doors::judged(judge, settings()).await, tallies)
}

#[tokio::test]
async fn what_is_no_id_in_json_costs_its_span_alone() {
    let (doors, _) = cleaning().await;
    let (trace, span) = (r#""0102030405060708090a0b0c0d0e0f10""#, r#""0102030405060708""#);
    for wrong in NO_IDS {
        for (trace_of_first, span_of_first) in [(wrong, span), (trace, wrong)] {
            let first = format!(r#"{{"traceId":{trace_of_first},"spanId":{span_of_first}}}"#);
            let other = format!(r#"{{"traceId":{trace},"spanId":{span}}}"#);
            let spans = format!(r#"[{first},{other}]"#);
            let body = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":{spans}}}]}}]}}"#);
            let answer = post(&doors, "/v1/traces", &[("content-type", JSON)], body).await;
            assert_eq!(answer.code.as_u16(), 200, "{first}: {:?}", answer.body);
            let partial = &answer.json()["partialSuccess"];
            assert_eq!(partial["rejectedSpans"], "1", "{first}");
        }
    }
}

#[tokio::test]
async fn what_is_no_id_in_json_is_taken_out_of_a_record_that_needs_none() {
    let (doors, tallies) = cleaning().await;
    let ids = r#""traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708""#;
    for wrong in NO_IDS {
        let both = format!(r#""traceId":{wrong},"spanId":{wrong}"#);
        let span = format!(r#"{{{ids},"parentSpanId":{wrong},"links":[{{{both}}}]}}"#);
        let point = format!(r#"{{"asInt":1,"exemplars":[{{{both},"asInt":1}}]}}"#);
        let metric = format!(r#"{{"gauge":{{"dataPoints":[{point}]}}}}"#);
        let spans = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#);
        let records =
            format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{{both}}}]}}]}}]}}"#);
        let metrics =
            format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{metric}]}}]}}]}}"#);
        let rows = [("traces", spans, 3), ("logs", records, 2), ("metrics", metrics, 2)];
        for (signal, body, mended) in rows {
            let path = format!("/v1/{signal}");
            let answer = post(&doors, &path, &[("content-type", JSON)], body).await;
            assert_eq!((answer.code.as_u16(), answer.json()), (200, json!({})), "{wrong} {signal}");
            let tally = *tallies.lock().unwrap().last().unwrap();
            let expected = redact::Tally { mended, ..redact::Tally::default() };
            assert_eq!(tally, expected, "{wrong} {signal}");
        }
    }
}

#[tokio::test]
async fn profiles_are_refused_by_name() {
    let doors = Doors::open(Reply::Accepted).await;
    let path = "/v1development/profiles";
    let answer = post(&doors, path, &[("content-type", PROTOBUF)], "any").await;
    let status = Status::decode(answer.body).unwrap();
    assert_eq!((answer.code.as_u16(), status.code), (404, 12));
    assert!(status.message.contains("profiles are not taken"), "{}", status.message);
    let answer = post(&doors, path, &[("content-type", JSON)], "{}").await;
    assert_eq!((answer.code.as_u16(), answer.json()["code"].as_u64()), (404, Some(12)));

    let path = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export";
    let types = [("content-type", "application/grpc")];
    let answer = grpc(&doors, path, &types, framed(0, 3, b"any")).await;
    assert_eq!(answer.status, 12);
    let message = answer.headers["grpc-message"].to_str().unwrap();
    assert!(message.contains("profiles%20are%20not%20taken"), "{message}");
    assert_eq!(doors.tally(Source::OtlpGrpc).unsupported(), 1);
}

#[tokio::test]
async fn other_methods_are_405_with_the_one_that_is_allowed() {
    let doors = Doors::open(Reply::Accepted).await;
    for path in ["/v1/traces", "/v1/logs", "/v1/metrics", "/v1/flows", "/v1development/profiles"] {
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let uri = format!("http://{}{path}", doors.http);
            let request = Request::builder().method(method.clone()).uri(uri);
            let answer = send(request.body(Body::empty()).unwrap()).await;
            assert_eq!((answer.code.as_u16(), answer.header("allow")), (405, "POST"), "{method}");
        }
    }
}

#[tokio::test]
async fn an_unknown_encoding_names_those_that_are_known() {
    let doors = Doors::open(Reply::Accepted).await;
    let known = "identity,gzip,zstd,snappy,x-snappy-framed,deflate,zlib";
    let headers = [("content-type", PROTOBUF), ("content-encoding", "br")];
    let answer = post(&doors, "/v1/logs", &headers, "any").await;
    assert_eq!((answer.code.as_u16(), answer.header("accept-encoding")), (415, known));
    let headers = [("content-type", "application/grpc"), ("grpc-encoding", "br")];
    let answer = grpc(&doors, EXPORT, &headers, framed(1, 3, b"any")).await;
    assert_eq!(answer.status, 12);
    assert_eq!(answer.headers["grpc-accept-encoding"], known);
}

#[tokio::test]
async fn every_grpc_encoding_is_inflated() {
    let doors = Doors::open(Reply::Accepted).await;
    let text = b"telemetry ".repeat(1000);
    let bodies = [
        ("identity", text.clone()),
        ("gzip", gzip(&text)),
        ("zstd", zstd::encode_all(&*text, 0).unwrap()),
        ("snappy", framed_snappy(&text)),
        ("snappy", snap::raw::Encoder::new().compress_vec(&text).unwrap()),
    ];
    for (coding, body) in bodies {
        let headers = [("content-type", "application/grpc"), ("grpc-encoding", coding)];
        let flag = u8::from(coding != "identity");
        let body = framed(flag, u32::try_from(body.len()).unwrap(), &body);
        assert_eq!(grpc(&doors, EXPORT, &headers, body).await.status, 0, "{coding}");
        assert_eq!(doors.got().last().unwrap().bytes, text, "{coding}");
    }
}

#[tokio::test]
async fn a_fault_behind_the_doors_is_a_refusal_that_passes() {
    let doors = Doors::judged(|_| panic!("a fault"), settings()).await;
    let types = [("content-type", "application/grpc")];
    let answer = post(&doors, "/v1/logs", &[("content-type", PROTOBUF)], "any").await;
    assert_eq!((answer.code.as_u16(), answer.header("retry-after")), (503, "1"));
    assert_eq!(grpc(&doors, EXPORT, &types, framed(0, 3, b"any")).await.status, 14);
    assert_eq!(doors.intake.budget_left_bytes(), 8 << 20);
}

#[tokio::test]
async fn what_is_said_stays_short_however_long_the_reason_is() {
    let message = "é".repeat(5000);
    let reply = Reply::Refused { refusal: Refusal::Busy, message };
    let doors = Doors::open(reply).await;
    let answer = post(&doors, "/v1/logs", &[("content-type", JSON)], LOGS).await;
    assert_eq!(answer.json()["message"].as_str().unwrap().len(), 500);
    let types = [("content-type", "application/grpc")];
    let answer = grpc(&doors, EXPORT, &types, framed(0, 3, b"any")).await;
    let size: usize =
        answer.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    assert!(size < 4096, "{size}");
}
