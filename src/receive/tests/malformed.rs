//! Every field of every message of OTLP, broken in every way that protobuf can be.

use ::http::Request;
use http_body_util::BodyExt;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

use super::http::{PROTOBUF, post};
use super::wire::framed;
use super::*;
use crate::wire::{Message, Role, role, write_varint};

/// One past the highest field number, so that an unknown one is among them.
const NUMBERS: u32 = 18;

/// A message, and the fields that lead to it from a request.
#[derive(Clone)]
struct Place {
    signal: Signal,
    message: Message,
    path: Vec<u32>,
}

/// A request with one field that may be broken.
struct Broken {
    signal: Signal,
    message: Message,
    number: u32,
    bytes: Vec<u8>,
}

fn places() -> Vec<Place> {
    let request = |signal| Place { signal, message: Message::request(signal), path: Vec::new() };
    let mut found: Vec<_> = Signal::ALL.map(request).into();
    let mut at = 0;
    while let Some(Place { signal, message, path }) = found.get(at).cloned() {
        for number in 1..NUMBERS {
            let Role::Into(inner) = role(message, number) else { continue };
            if !found.iter().any(|it| (it.signal, it.message) == (signal, inner)) {
                let path = [&*path, &[number]].concat();
                found.push(Place { signal, message: inner, path });
            }
        }
        at += 1;
    }
    found
}

fn tag(number: u32, wire_type: u32) -> Vec<u8> {
    let mut out = Vec::new();
    write_varint(&mut out, u64::from(number << 3 | wire_type));
    out
}

/// The field in every wire type, and broken in every one.
fn fields(number: u32) -> Vec<Vec<u8>> {
    let with = |wire_type: u32, rest: &[u8]| [&*tag(number, wire_type), rest].concat();
    vec![
        with(0, &[1]),
        with(1, &[1; 8]),
        with(2, &[]),
        with(2, &[1, 0xff]),
        with(2, &[8, 0, 0, 0, 0, 0, 0, 0, 0]),
        with(5, &[1; 4]),
        // A varint of eleven bytes, one of 65 bits, and one that has no end.
        with(0, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        with(0, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]),
        with(0, &[0x80]),
        // Fixed numbers and lengths that go past the end.
        with(1, &[1; 7]),
        with(5, &[1; 3]),
        with(2, &[]).into_iter().chain([5, 1]).collect(),
        with(2, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        // Groups, one that ends and one that does not; an end without a start; no wire type.
        [tag(number, 3), tag(number, 4)].concat(),
        with(3, &[]),
        with(4, &[]),
        with(6, &[0]),
        with(7, &[0]),
        // A tag that breaks off.
        vec![0x80],
        // Field 0.
        vec![0x00, 0x01],
    ]
}

fn nested(path: &[u32], field: Vec<u8>) -> Vec<u8> {
    path.iter().rev().fold(field, |inner, number| {
        let mut out = tag(*number, 2);
        write_varint(&mut out, inner.len() as u64);
        out.extend(inner);
        out
    })
}

/// Whether protobuf's own rules allow the request.
fn is_protobuf(signal: Signal, bytes: &[u8]) -> bool {
    match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(bytes).is_ok(),
        Signal::Logs => ExportLogsServiceRequest::decode(bytes).is_ok(),
        Signal::Metrics => ExportMetricsServiceRequest::decode(bytes).is_ok(),
    }
}

fn requests() -> Vec<Broken> {
    let mut all = Vec::new();
    for Place { signal, message, path } in places() {
        for number in 1..NUMBERS {
            let broken = |field| Broken { signal, message, number, bytes: nested(&path, field) };
            all.extend(fields(number).into_iter().map(broken));
        }
    }
    all
}

fn judge(raw: &Raw) -> Reply {
    match cleaned(raw.signal, &raw.bytes) {
        Ok(()) => Reply::Accepted,
        Err(malformed) => {
            Reply::Refused { refusal: Refusal::Malformed, message: malformed.to_string() }
        }
    }
}

#[test]
fn every_message_is_reached() {
    let reached = places();
    for message in Message::ALL {
        assert!(reached.iter().any(|it| it.message == message), "{message:?}");
    }
}

#[test]
fn every_field_is_taken_or_refused_as_protobuf_says() {
    let (mut taken, mut refused) = (0, 0);
    for Broken { signal, message, number, bytes } in requests() {
        let is_taken = cleaned(signal, &Bytes::from(bytes.clone())).is_ok();
        let judged = is_protobuf(signal, &bytes);
        assert_eq!(is_taken, judged, "{signal:?} {message:?} {number}: {bytes:02x?}");
        (taken, refused) = (taken + u32::from(is_taken), refused + u32::from(!is_taken));
    }
    assert!(taken > 1000 && refused > 1000, "{taken} taken, {refused} refused");
}

/// Every field of every message at both doors, each with some of the ways to break it in turn.
#[tokio::test]
async fn at_the_doors_it_is_400_or_invalid_argument_and_they_stay_open() {
    let doors = Doors::judged(judge, settings()).await;
    let (http, grpc) = (client(false), client(true));
    // No divisor of the number of ways or of fields, so that all of both come.
    for Broken { signal, message, number, bytes } in requests().into_iter().step_by(13) {
        let is_taken = cleaned(signal, &Bytes::from(bytes.clone())).is_ok();
        let (path, service) = match signal {
            Signal::Traces => ("/v1/traces", "trace.v1.TraceService"),
            Signal::Logs => ("/v1/logs", "logs.v1.LogsService"),
            Signal::Metrics => ("/v1/metrics", "metrics.v1.MetricsService"),
        };
        let what = format!("{message:?} {number} {bytes:02x?}");
        let uri = format!("http://{}{path}", doors.http);
        let request = Request::post(uri).header("content-type", PROTOBUF);
        let request = request.body(Body::from(bytes.clone())).unwrap();
        let answer = http.request(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), if is_taken { 200 } else { 400 }, "{what}");
        drop(answer.into_body().collect().await.unwrap());

        let uri = format!("http://{}/opentelemetry.proto.collector.{service}/Export", doors.grpc);
        let request = Request::post(uri).header("content-type", "application/grpc");
        let body = framed(0, u32::try_from(bytes.len()).unwrap(), &bytes);
        let answer = grpc.request(request.body(Body::from(body)).unwrap()).await.unwrap();
        let status = answer.headers().get("grpc-status").cloned();
        let body = answer.into_body().collect().await.unwrap();
        let status = status.or(body.trailers().and_then(|it| it.get("grpc-status").cloned()));
        assert_eq!(status.unwrap(), if is_taken { "0" } else { "3" }, "{what}");
    }
    let good = nested(&[1, 2, 2, 5], tag(1, 2).into_iter().chain([2, b'o', b'k']).collect());
    let answer = post(&doors, "/v1/logs", &[("content-type", PROTOBUF)], good).await;
    assert_eq!(answer.code.as_u16(), 200);
    assert_eq!(doors.intake.budget_left_bytes(), 8 << 20);
}
