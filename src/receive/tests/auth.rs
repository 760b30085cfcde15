//! Every way in, with every kind of credential.

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// Of `sesame`.
const SHOP: &str = "shop sha256:d0c04f4b1951e4aeaaec8223ed2039e542f3aae805a6fa7f6d794e5afff5d272";

type Headers = &'static [(&'static str, &'static str)];

const RIGHT: Headers = &[("authorization", "Bearer sesame")];

/// None, garbage, another scheme, another's name for it, two of which one is right.
const WRONG: [Headers; 5] = [
    &[],
    &[("authorization", "Bearer \u{e9}garbage")],
    &[("authorization", "Basic sesame")],
    &[("x-tenant", "shop"), ("x_tenant", "shop"), ("proxy-authorization", "Bearer sesame")],
    &[("authorization", "Bearer sesame"), ("authorization", "Bearer other")],
];

pub(super) fn shop() -> Auth {
    Auth { tokens: vec![SHOP.parse().unwrap()], identities: Vec::new() }
}

/// Status, gRPC status, content type and body.
struct Said {
    status: u16,
    grpc: Option<String>,
    kind: String,
    body: Bytes,
}

async fn call(request: ::http::request::Builder, body: &'static [u8], http2: bool) -> Said {
    let client = Client::builder(TokioExecutor::new()).http2_only(http2).build_http();
    let request = request.body(Body::new(Full::new(Bytes::from_static(body)))).unwrap();
    let (parts, body) = client.request(request).await.unwrap().into_parts();
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let header = |name: &str| {
        let value = parts.headers.get(name).or(trailers.get(name));
        value.map(|value| value.to_str().unwrap().to_owned())
    };
    let (grpc, kind) = (header("grpc-status"), header("content-type").unwrap_or_default());
    Said { status: parts.status.as_u16(), grpc, kind, body: collected.to_bytes() }
}

fn request(method: &str, url: &str, kind: &str, headers: Headers) -> ::http::request::Builder {
    let request = ::http::Request::builder().method(method).uri(url).header("content-type", kind);
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

#[tokio::test]
async fn every_method_of_grpc_is_closed_to_every_wrong_credential() {
    let doors = Doors::guarded(shop(), None).await;
    let service = |name: &str| format!("/opentelemetry.proto.collector.{name}Service/Export");
    let (traces, logs, metrics) =
        (service("trace.v1.Trace"), service("logs.v1.Logs"), service("metrics.v1.Metrics"));
    let known = [traces.clone(), logs, metrics];
    let odd = [format!("/{traces}"), traces.replace("Export", ""), "/".to_owned()];
    let kind = "application/grpc";
    for path in known.iter().chain(&odd) {
        let url = format!("http://{}{path}", doors.grpc);
        for headers in WRONG {
            let said = call(request("POST", &url, kind, headers), b"\0\0\0\0\x01a", true).await;
            assert_eq!(said.grpc.as_deref(), Some("16"), "{path} {headers:?}");
        }
        let said = call(request("POST", &url, kind, RIGHT), b"\0\0\0\0\x01a", true).await;
        let expected = if known.contains(path) { "0" } else { "12" };
        assert_eq!(said.grpc.as_deref(), Some(expected), "{path}");
    }
    let got: Vec<_> = doors.got().iter().map(|raw| raw.tenant).collect();
    assert_eq!(got, [Tenant::named("shop"); 3]);
}

#[tokio::test]
async fn every_route_of_http_is_closed_to_every_wrong_credential() {
    let doors = Doors::guarded(shop(), None).await;
    let line = br#"{"flow":{"time":"2026-01-01T00:00:00Z","verdict":"DROPPED"}}"#;
    let routes = [
        ("POST", "/v1/traces", "application/x-protobuf", &b"a"[..], 200),
        ("POST", "/v1/logs", "application/x-protobuf", b"a", 200),
        ("POST", "/v1/metrics", "application/json", b"{\"resourceMetrics\":[{}]}", 200),
        ("POST", "/v1/flows", "application/json", line, 200),
        ("GET", "/v1/traces", "application/json", b"", 405),
        ("PUT", "/v1/flows", "application/json", b"", 405),
        ("POST", "/v1/traces", "text/plain", b"a", 415),
        ("POST", "//v1/traces", "application/json", b"a", 404),
        ("POST", "/v1/traces/", "application/json", b"a", 404),
        ("GET", "/healthz", "text/plain", b"", 404),
    ];
    for (method, path, kind, body, expected) in routes {
        let url = format!("http://{}{path}", doors.http);
        for http2 in [false, true] {
            for headers in WRONG {
                let said = call(request(method, &url, kind, headers), body, http2).await;
                assert_eq!(said.status, 401, "{method} {path} {headers:?}");
            }
            let said = call(request(method, &url, kind, RIGHT), body, http2).await;
            assert_eq!(said.status, expected, "{method} {path}");
        }
    }
    let got: Vec<_> = doors.got().iter().map(|raw| raw.tenant).collect();
    assert_eq!(got, [Tenant::named("shop"); 8]);
    let denied = Denied::ALL.map(|denied| doors.intake.gate().denied(denied));
    assert_eq!(denied, [2 * 2 * 10, 3 * 2 * 10, 0]);
    let tenants = doors.intake.gate().tenants();
    assert_eq!(tenants, [("shop".to_owned(), Tenant::named("shop"), 20)]);
}

#[tokio::test]
async fn a_denial_is_said_in_the_encoding_of_the_request() {
    let doors = Doors::guarded(shop(), None).await;
    let url = format!("http://{}/v1/logs", doors.http);
    let say = async |kind| call(request("POST", &url, kind, &[]), b"", false).await;

    let json = say("application/json; charset=utf-8").await;
    let message = "a bearer token or a client certificate is needed";
    let expected = serde_json::json!({ "code": 16, "message": message });
    assert_eq!(json.kind, "application/json");
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&json.body).unwrap(), expected);

    let protobuf = say("application/x-protobuf").await;
    assert_eq!(protobuf.kind, "application/x-protobuf");
    let status = [&[0x08, 16, 0x12, 48][..], message.as_bytes()].concat();
    assert_eq!(protobuf.body, status);

    let other = say("text/html").await;
    assert_eq!((other.kind.as_str(), other.body), ("text/plain", Bytes::from(message)));
}

#[tokio::test]
async fn a_request_that_is_not_let_in_is_answered_before_its_body() {
    let doors = Doors::guarded(shop(), None).await;
    let mut stream = TcpStream::connect(doors.http).await.unwrap();
    let head = "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let head = format!("{head}expect: 100-continue\r\ncontent-length: 1000000\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();

    let mut said = [0; 12];
    stream.read_exact(&mut said).await.unwrap();

    assert_eq!(&said, b"HTTP/1.1 401");
    assert_eq!(doors.intake.budget_left_bytes(), 8 << 20);
    assert_eq!(doors.tally(Source::OtlpJson).requests(), 0);
}
