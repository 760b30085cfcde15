//! What no well-behaved client sends.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

pub(super) const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// The HTTP code, and the gRPC status with its message.
pub(super) async fn call(
    doors: &Doors,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> (u16, String) {
    let client = client(true);
    let request = ::http::Request::post(format!("http://{}{path}", doors.grpc));
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let request = request.body(Body::new(Full::new(Bytes::from(body)))).unwrap();
    let response = client.request(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let status = parts.headers.get("grpc-status").or(trailers.get("grpc-status"));
    let status = status.map_or("", |status| status.to_str().unwrap());
    (parts.status.as_u16(), status.to_owned())
}

pub(super) fn framed(flag: u8, length: u32, message: &[u8]) -> Vec<u8> {
    [&[flag][..], &length.to_be_bytes(), message].concat()
}

/// What the server says until it closes the connection.
pub(super) async fn until_closed(address: SocketAddr, sent: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent).await.unwrap();
    let mut said = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut said));
    drop(read.await.expect("the connection stays open"));
    said
}

#[tokio::test]
async fn frames_that_are_not_one_message_are_invalid() {
    let doors = Doors::open(Reply::Accepted).await;
    let grpc = ("content-type", "application/grpc");
    let gzip = ("grpc-encoding", "gzip");
    let bodies = [
        (framed(0, 3, b"abc"), &[grpc][..], "0"),
        (Vec::new(), &[grpc], "3"),
        (vec![0, 0, 0], &[grpc], "3"),
        (framed(0, u32::MAX, b"abc"), &[grpc], "3"),
        (framed(0, 2, b"abc"), &[grpc], "3"),
        (framed(1, 3, b"abc"), &[grpc], "3"),
        (framed(2, 3, b"abc"), &[grpc], "3"),
        (framed(1, 3, b"abc"), &[grpc, gzip], "3"),
        (framed(0, 3, b"abc"), &[grpc, gzip], "0"),
        (framed(0, 3, b"abc"), &[grpc, ("grpc-encoding", "br")], "12"),
    ];
    for (body, headers, status) in bodies {
        let answer = call(&doors, EXPORT, headers, body.clone()).await;
        assert_eq!(answer, (200, status.to_owned()), "{body:?} {headers:?}");
    }
    assert_eq!(doors.got().len(), 2);
}

#[tokio::test]
async fn a_bomb_is_refused_for_good() {
    let doors = Doors::open(Reply::Accepted).await;
    let headers = [("content-type", "application/grpc+proto"), ("grpc-encoding", "gzip")];
    let bomb = bomb();
    let body = framed(1, u32::try_from(bomb.len()).unwrap(), &bomb);
    assert_eq!(call(&doors, EXPORT, &headers, body).await, (200, "8".to_owned()));
    assert_eq!(doors.intake.budget_left_bytes(), 8 << 20);
}

#[tokio::test]
async fn other_methods_and_other_types_are_not_served() {
    let doors = Doors::open(Reply::Accepted).await;
    let grpc = [("content-type", "application/grpc")];
    let web = [("content-type", "application/grpc-web")];
    assert_eq!(call(&doors, "/other.Service/Export", &grpc, Vec::new()).await.1, "12");
    assert_eq!(call(&doors, EXPORT, &web, framed(0, 0, b"")).await.0, 415);
    assert_eq!(doors.tally(Source::OtlpGrpc).unsupported(), 1);
}

#[tokio::test]
async fn silent_and_dribbling_connections_are_closed() {
    let header_timeout = Duration::from_millis(200);
    let doors = Doors::with(Reply::Accepted, Settings { header_timeout, ..settings() }).await;
    for address in [doors.grpc, doors.http] {
        until_closed(address, b"").await;
        until_closed(address, b"PRI * HT").await;
    }
    until_closed(doors.http, b"POST /v1/logs HTTP/1.1\r\nhost: x\r\nx-a: ").await;
    doors.opens(0).await;
}

#[tokio::test]
async fn a_body_that_does_not_end_gives_its_budget_back() {
    let body_timeout = Duration::from_millis(200);
    let doors = Doors::with(Reply::Accepted, Settings { body_timeout, ..settings() }).await;
    let head = "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n";
    let sent = format!("{head}connection: close\r\ncontent-length: 10\r\n\r\nabc");
    let said = until_closed(doors.http, sent.as_bytes()).await;
    assert!(said.starts_with(b"HTTP/1.1 503"), "{}", String::from_utf8_lossy(&said));
    assert_eq!(doors.intake.budget_left_bytes(), 8 << 20);
}

#[tokio::test]
async fn connections_past_the_cap_are_turned_away_and_counted() {
    let doors = Doors::with(Reply::Accepted, Settings { connections_max: 1, ..settings() }).await;
    let first = TcpStream::connect(doors.http).await.unwrap();
    doors.opens(1).await;

    assert_eq!(until_closed(doors.grpc, b"").await, b"");
    assert_eq!(doors.intake.gate().away(Away::Full), 1);

    drop(first);
    doors.opens(0).await;
    let grpc = [("content-type", "application/grpc")];
    assert_eq!(call(&doors, EXPORT, &grpc, framed(0, 1, b"a")).await.1, "0");
}

#[tokio::test]
async fn an_old_connection_is_ended_after_its_request() {
    let connection_age_max = Duration::from_millis(100);
    let doors = Doors::with(Reply::Accepted, Settings { connection_age_max, ..settings() }).await;
    let sent = "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 3\r\n\r\nabc";
    let said = until_closed(doors.http, sent.as_bytes()).await;
    assert!(said.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&said));
}

#[tokio::test]
async fn headers_past_their_cap_end_the_request() {
    let doors = Doors::open(Reply::Accepted).await;
    let long = "a".repeat(20 << 10);
    let client = client(true);
    let request = ::http::Request::post(format!("http://{}{EXPORT}", doors.grpc));
    let request = request.header("content-type", "application/grpc").header("x-long", long);
    let answer = client.request(request.body(Body::empty()).unwrap()).await;
    assert!(answer.map_or(true, |answer| answer.status().as_u16() == 431));
    assert_eq!(doors.got(), []);
}

#[tokio::test]
async fn a_body_slower_than_the_least_rate_is_given_up_and_counted() {
    let (body_grace, body_rate_min) = (Duration::from_millis(50), 1 << 20);
    let settings = Settings { body_grace, body_rate_min, ..settings() };
    let doors = Doors::with(Reply::Accepted, settings).await;
    let head = "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n";
    let sent = format!("{head}connection: close\r\ncontent-length: 1000\r\n\r\nabc");
    let said = until_closed(doors.http, sent.as_bytes()).await;
    let said = String::from_utf8_lossy(&said).to_lowercase();
    assert!(said.starts_with("http/1.1 503") && said.contains("retry-after: 1"), "{said}");
    assert_eq!(doors.tally(Source::OtlpHttp).refused(Refusal::Slow), 1);
    assert_eq!((doors.intake.budget_left_bytes(), doors.got().len()), (8 << 20, 0));
}

#[tokio::test]
async fn a_client_that_goes_in_the_middle_of_a_body_leaves_nothing_behind() {
    let doors = Doors::open(Reply::Accepted).await;
    let head = "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n";
    let mut stream = TcpStream::connect(doors.http).await.unwrap();
    let sent = format!("{head}content-length: 500000\r\n\r\n{}", "x".repeat(100_000));
    stream.write_all(sent.as_bytes()).await.unwrap();
    while doors.intake.budget_left_bytes() == 8 << 20 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(stream);
    doors.opens(0).await;
    assert_eq!((doors.intake.budget_left_bytes(), doors.got().len()), (8 << 20, 0));
}

#[tokio::test]
async fn what_nobody_waits_for_is_given_up_before_it_goes_on() {
    let doors = Doors::open(Reply::Accepted).await;
    let headers = |timeout| [("content-type", "application/grpc"), ("grpc-timeout", timeout)];
    let whole = framed(0, 3, b"abc");
    assert_eq!(call(&doors, EXPORT, &headers("0n"), whole.clone()).await.1, "4");
    assert_eq!(doors.got(), []);
    for no_deadline in ["1H", "soon", "123456789S", "99999999H"] {
        assert_eq!(call(&doors, EXPORT, &headers(no_deadline), whole.clone()).await.1, "0");
    }
    let tally = doors.tally(Source::OtlpGrpc);
    assert_eq!((tally.refused(Refusal::Deadline), tally.decoded_bytes()), (1, 12));
}

#[tokio::test]
async fn a_body_is_not_waited_for_past_the_deadline() {
    let doors = Doors::open(Reply::Accepted).await;
    let client = client(true);
    let request = ::http::Request::post(format!("http://{}{EXPORT}", doors.grpc));
    let request = request.header("content-type", "application/grpc").header("grpc-timeout", "50m");
    let never = http_body_util::StreamBody::new(tokio_stream::pending::<
        Result<hyper::body::Frame<Bytes>, io::Error>,
    >());
    let answer = client.request(request.body(Body::new(never)).unwrap()).await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "4");
    assert_eq!(doors.intake.budget_left_bytes(), 8 << 20);
}
