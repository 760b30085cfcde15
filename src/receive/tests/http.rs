use ::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use prost::Message;
use serde_json::{Value, json};

use super::*;

pub(super) const PROTOBUF: &str = "application/x-protobuf";
pub(super) const JSON: &str = "application/json";
pub(super) const LOGS: &str =
    r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityText":"x"}]}]}]}"#;

pub(super) struct Answer {
    pub(super) code: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub(super) async fn send(request: Request<Body>) -> Answer {
    let client = client(false);
    let response = client.request(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { code: parts.status, headers: parts.headers, body }
}

fn request(
    doors: &Doors,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Request<Body> {
    let uri = format!("http://{}{path}", doors.http);
    let request = headers
        .iter()
        .fold(Request::post(uri), |request, (name, value)| request.header(*name, *value));
    request.body(Body::new(Full::new(body.into()))).unwrap()
}

pub(super) async fn post(
    doors: &Doors,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    send(request(doors, path, headers, body)).await
}

#[tokio::test]
async fn protobuf_comes_through_byte_for_byte_on_each_path() {
    let doors = Doors::open(Reply::Accepted).await;
    let paths = [
        ("/v1/traces", Signal::Traces),
        ("/v1/logs", Signal::Logs),
        ("/v1/metrics", Signal::Metrics),
    ];
    for (path, signal) in paths {
        let answer =
            post(&doors, path, &[("content-type", "Application/X-Protobuf; v=1")], "any").await;
        assert_eq!((answer.code, &*answer.body), (StatusCode::OK, &b""[..]));
        assert_eq!(answer.header("content-type"), PROTOBUF);
        let expected = Raw {
            signal,
            source: Source::OtlpHttp,
            tenant: Tenant::default(),
            bytes: Bytes::from("any"),
        };
        assert_eq!(doors.got().last(), Some(&expected));
    }
    let tally = doors.tally(Source::OtlpHttp);
    assert_eq!((tally.requests(), tally.encoded_bytes(), tally.decoded_bytes()), (3, 9, 9));
}

#[tokio::test]
async fn every_encoding_is_inflated() {
    let doors = Doors::open(Reply::Accepted).await;
    let text = b"telemetry ".repeat(1000);
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(&text).unwrap();
    let zlib = zlib.finish().unwrap();
    let bodies = [
        ("gzip", gzip(&text)),
        ("zstd", zstd::encode_all(&*text, 0).unwrap()),
        ("deflate", zlib.clone()),
        ("snappy", snap::raw::Encoder::new().compress_vec(&text).unwrap()),
        ("snappy", framed_snappy(&text)),
        ("X-Snappy-Framed", framed_snappy(&text)),
        ("zlib", zlib.clone()),
        ("identity", text.clone()),
    ];
    for (coding, body) in bodies {
        let headers = [("content-type", PROTOBUF), ("content-encoding", coding)];
        assert_eq!(
            post(&doors, "/v1/traces", &headers, body).await.code,
            StatusCode::OK,
            "{coding}"
        );
        assert_eq!(doors.got().last().unwrap().bytes, text, "{coding}");
    }
}

#[tokio::test]
async fn json_becomes_protobuf_and_is_answered_in_json() {
    let doors = Doors::open(Reply::Accepted).await;
    let answer =
        post(&doors, "/v1/logs", &[("content-type", "application/json; charset=utf-8")], LOGS)
            .await;
    assert_eq!((answer.code, &*answer.body), (StatusCode::OK, &b"{}"[..]));
    assert_eq!(answer.header("content-type"), JSON);
    let raw = doors.only();
    assert_eq!(raw.source, Source::OtlpJson);
    let expected: ExportLogsServiceRequest = serde_json::from_str(LOGS).unwrap();
    assert_eq!(ExportLogsServiceRequest::decode(raw.bytes).unwrap(), expected);
}

#[tokio::test]
async fn an_empty_request_succeeds_and_goes_nowhere() {
    let doors = Doors::open(refused(Refusal::Malformed)).await;
    assert_eq!(
        post(&doors, "/v1/logs", &[("content-type", PROTOBUF)], "").await.code,
        StatusCode::OK
    );
    assert_eq!(
        post(&doors, "/v1/logs", &[("content-type", JSON)], "{}").await.code,
        StatusCode::OK
    );
    assert_eq!(doors.got(), []);
}

#[tokio::test]
async fn a_partial_success_names_the_count_and_the_reason() {
    let doors = Doors::open(partial()).await;
    let answer = post(&doors, "/v1/logs", &[("content-type", PROTOBUF)], "any").await;
    assert_eq!(answer.code, StatusCode::OK);
    let partial = ExportLogsServiceResponse::decode(answer.body).unwrap().partial_success.unwrap();
    assert_eq!(
        (partial.rejected_log_records, partial.error_message.as_str()),
        (3, "three were wrong")
    );

    let answer = post(&doors, "/v1/logs", &[("content-type", JSON)], LOGS).await;
    let partial = json!({"rejectedLogRecords": "3", "errorMessage": "three were wrong"});
    assert_eq!(answer.json(), json!({"partialSuccess": partial}));
}

#[tokio::test]
async fn refusals_have_the_codes_that_otlp_gives_them() {
    let rows = [
        (Refusal::Malformed, 400, 3, ""),
        (Refusal::TooLarge, 413, 8, ""),
        (Refusal::Busy, 503, 14, "1"),
        (Refusal::LogFull, 503, 14, "1"),
        (Refusal::LogFailed, 503, 14, "1"),
        (Refusal::Closing, 503, 14, "1"),
    ];
    for (refusal, code, grpc, retry_after) in rows {
        let doors = Doors::open(refused(refusal)).await;
        let answer = post(&doors, "/v1/logs", &[("content-type", JSON)], LOGS).await;
        assert_eq!(answer.code.as_u16(), code, "{refusal:?}");
        assert_eq!(answer.header("retry-after"), retry_after, "{refusal:?}");
        assert_eq!(answer.json(), json!({"code": grpc, "message": "because"}));
        assert_eq!(doors.tally(Source::OtlpJson).refused(refusal), 1);

        let answer = post(&doors, "/v1/logs", &[("content-type", PROTOBUF)], "any").await;
        assert_eq!((answer.code.as_u16(), answer.header("content-type")), (code, PROTOBUF));
        let expected = [&[8, grpc, 18, 7][..], b"because"].concat();
        assert_eq!(answer.body, expected, "{refusal:?}");
    }
}

#[tokio::test]
async fn what_otlp_does_not_have_is_415_and_405_and_404() {
    let doors = Doors::open(Reply::Accepted).await;
    for headers in [
        &[("content-type", "text/plain")][..],
        &[],
        &[("content-type", PROTOBUF), ("content-encoding", "br")],
        &[("content-type", PROTOBUF), ("content-encoding", "gzip, gzip")],
        &[("content-type", PROTOBUF), ("content-encoding", "gzip"), ("content-encoding", "gzip")],
    ] {
        let answer = post(&doors, "/v1/logs", headers, "any").await;
        assert_eq!(answer.code, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{headers:?}");
        assert_eq!(
            answer.header("accept-encoding"),
            "identity,gzip,zstd,snappy,x-snappy-framed,deflate,zlib"
        );
    }
    let get = Request::get(format!("http://{}/v1/logs", doors.http)).body(Body::empty()).unwrap();
    let answer = send(get).await;
    assert_eq!((answer.code, answer.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
    let answer = post(&doors, "/v1/nothing", &[("content-type", PROTOBUF)], "any").await;
    assert_eq!(answer.code, StatusCode::NOT_FOUND);
    assert_eq!((doors.got().len(), doors.tally(Source::OtlpHttp).unsupported()), (0, 5));
}

#[tokio::test]
async fn bodies_that_are_not_what_they_claim_are_400() {
    let doors = Doors::open(Reply::Accepted).await;
    let broken = [("content-type", PROTOBUF), ("content-encoding", "gzip")];
    assert_eq!(post(&doors, "/v1/logs", &broken, "no gzip").await.code, StatusCode::BAD_REQUEST);
    let answer = post(&doors, "/v1/logs", &[("content-type", JSON)], "{").await;
    assert_eq!((answer.code, answer.json()["code"].as_u64()), (StatusCode::BAD_REQUEST, Some(3)));
    assert_eq!(doors.got(), []);
}

#[tokio::test]
async fn too_large_is_413_before_and_after_inflation() {
    let doors = Doors::open(Reply::Accepted).await;
    let plain = [("content-type", PROTOBUF)];
    let zipped = [("content-type", PROTOBUF), ("content-encoding", "gzip")];
    assert_eq!(post(&doors, "/v1/logs", &plain, vec![1; 1 << 20]).await.code, StatusCode::OK);
    let sizes = [
        post(&doors, "/v1/logs", &plain, vec![1; (1 << 20) + 1]).await,
        post(&doors, "/v1/logs", &zipped, vec![1; (256 << 10) + 1]).await,
        post(&doors, "/v1/logs", &zipped, bomb()).await,
        post(&doors, "/v1/logs", &zipped, gzip(&vec![1; (1 << 20) + 1])).await,
    ];
    for answer in sizes {
        assert_eq!(answer.code, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(answer.header("retry-after"), "");
    }
    assert_eq!(doors.tally(Source::OtlpHttp).refused(Refusal::TooLarge), 4);
    assert_eq!(doors.got().len(), 1);
}

#[tokio::test]
async fn a_chunked_body_is_read_to_its_end_and_counted_against_the_cap() {
    let doors = Doors::open(Reply::Accepted).await;
    let chunked = |chunks: usize| {
        let chunk = || Ok::<_, io::Error>(hyper::body::Frame::data(Bytes::from(vec![7; 64 << 10])));
        let frames = (0..chunks).map(move |_| chunk()).collect::<Vec<_>>();
        let body = StreamBody::new(tokio_stream::iter(frames));
        let uri = format!("http://{}/v1/logs", doors.http);
        Request::post(uri).header("content-type", PROTOBUF).body(Body::new(body)).unwrap()
    };
    assert_eq!(send(chunked(3)).await.code, StatusCode::OK);
    assert_eq!(doors.only().bytes.len(), 192 << 10);
    assert_eq!(send(chunked(17)).await.code, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn past_the_budget_requests_are_503_until_one_is_done() {
    let settings = Settings { inflight_bytes_max: 100 << 10, ..settings() };
    let doors = Doors::with(Reply::Accepted, settings).await;
    doors.gate.forget_permits(1_000_000);
    let plain = [("content-type", PROTOBUF)];
    let first = tokio::spawn(send(request(&doors, "/v1/logs", &plain, vec![1; 90 << 10])));
    doors.holds(1).await;

    let answer = post(&doors, "/v1/logs", &plain, "small").await;
    assert_eq!((answer.code, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    assert_eq!(doors.tally(Source::OtlpHttp).refused(Refusal::Busy), 1);

    doors.gate.add_permits(10);
    assert_eq!(first.await.unwrap().code, StatusCode::OK);
    assert_eq!(post(&doors, "/v1/logs", &plain, "small").await.code, StatusCode::OK);
    assert_eq!(doors.intake.budget_left_bytes(), 100 << 10);
}

#[tokio::test]
async fn flow_lines_become_records_and_bad_ones_a_partial_success() {
    let doors = Doors::open(Reply::Accepted).await;
    let lines = "{\"flow\":{\"verdict\":\"DROPPED\"}}\n{\"verdict\":\"FORWARDED\"}\nnonsense\n";
    let ndjson = [("content-type", "application/x-ndjson"), ("content-encoding", "gzip")];
    let answer = post(&doors, "/v1/flows", &ndjson, gzip(lines.as_bytes())).await;
    let partial =
        json!({"rejectedLogRecords": "1", "errorMessage": "line 3: not the JSON of a flow"});
    assert_eq!((answer.code, answer.json()), (StatusCode::OK, json!({"partialSuccess": partial})));
    let raw = doors.only();
    assert_eq!((raw.signal, raw.source), (Signal::Logs, Source::Flows));
    let request = ExportLogsServiceRequest::decode(raw.bytes).unwrap();
    assert_eq!(request.resource_logs[0].scope_logs[0].log_records.len(), 2);
    assert_eq!(doors.tally(Source::Flows).rejected(), 1);

    let answer =
        post(&doors, "/v1/flows", &[("content-type", JSON)], "{\"verdict\":\"AUDIT\"}").await;
    assert_eq!((answer.code, answer.json()), (StatusCode::OK, json!({})));
    let answer = post(&doors, "/v1/flows", &[("content-type", "text/plain")], lines).await;
    assert_eq!(answer.code, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}
