//! Spans: servers, clients and a database, 12 to 18 attributes each.

use fastrand::Rng;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use super::shop::{self, number, text};

/// One trace in so many fails at its last call.
const FAILING: usize = 50;

pub(crate) fn request(spans: usize, start: u64, random: &mut Rng) -> ExportTraceServiceRequest {
    let resource_spans = shop::by_pod(spans).map(|(pod, own)| ResourceSpans {
        resource: Some(shop::resource(pod)),
        scope_spans: vec![ScopeSpans {
            scope: Some(shop::scope()),
            spans: own.into_iter().map(|at| span(at, start, random)).collect(),
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    });
    ExportTraceServiceRequest { resource_spans: resource_spans.collect() }
}

fn span(at: usize, start: u64, random: &mut Rng) -> Span {
    let depth = at % shop::DEPTH;
    let is_failed = at / shop::DEPTH % FAILING == FAILING - 1 && depth >= shop::DEPTH - 2;
    let begin = start + depth as u64 * 500_000 + random.u64(0..500_000);
    let took = (shop::DEPTH - depth) as u64 * 2_000_000 + random.u64(0..1_000_000);
    let mut attributes = match depth {
        9 => database(random),
        depth if depth % 2 == 1 => client(is_failed, random),
        _ => server(is_failed, random),
    };
    secrets(&mut attributes, random);
    Span {
        trace_id: shop::trace_id(at),
        span_id: shop::span_id(at),
        parent_span_id: if depth == 0 { Vec::new() } else { shop::span_id(at - 1) },
        flags: 0x101,
        name: name(depth).to_owned(),
        kind: if depth % 2 == 1 { 3 } else { 2 },
        start_time_unix_nano: begin,
        end_time_unix_nano: begin + took,
        attributes,
        events: if is_failed { vec![exception(begin + took)] } else { Vec::new() },
        status: is_failed.then(|| Status { message: "upstream timed out".to_owned(), code: 2 }),
        ..Span::default()
    }
}

fn name(depth: usize) -> &'static str {
    match depth {
        9 => "SELECT orders",
        depth if depth % 2 == 1 => "POST",
        _ => "POST /api/v2/orders/{order_id}/items",
    }
}

fn server(is_failed: bool, random: &mut Rng) -> Vec<KeyValue> {
    vec![
        text("http.request.method", "POST"),
        number("http.response.status_code", if is_failed { 504 } else { 200 }),
        text("http.route", "/api/v2/orders/{order_id}/items"),
        text("url.path", &format!("/api/v2/orders/{}/items", random.u32(..))),
        text("url.scheme", "https"),
        text("server.address", "orders.shop.svc.cluster.local"),
        number("server.port", 8443),
        text("client.address", &format!("10.0.{}.{}", random.u8(..), random.u8(..))),
        text("network.protocol.version", "1.1"),
        text("network.peer.address", &format!("10.0.{}.{}", random.u8(..), random.u8(..))),
        number("network.peer.port", i64::from(random.u16(32_768..))),
        text("user_agent.original", "okhttp/4.12.0"),
        text("thread.name", &format!("http-nio-8443-exec-{}", random.u8(..200))),
        number("thread.id", i64::from(random.u8(..))),
        text("app.tenant", &format!("tenant-{}", random.u16(..500))),
        text("app.request.id", &format!("{:032x}", random.u128(..))),
    ]
}

fn client(is_failed: bool, random: &mut Rng) -> Vec<KeyValue> {
    let host = "inventory.shop.svc.cluster.local";
    let order = random.u32(..);
    vec![
        text("http.request.method", "POST"),
        number("http.response.status_code", if is_failed { 504 } else { 200 }),
        text(
            "url.full",
            &format!("https://{host}:8443/api/v2/orders/{order}/items?page=1&size=50"),
        ),
        text("server.address", host),
        number("server.port", 8443),
        text("network.protocol.version", "1.1"),
        text("network.peer.address", &format!("10.0.{}.{}", random.u8(..), random.u8(..))),
        number("network.peer.port", i64::from(random.u16(32_768..))),
        text("thread.name", &format!("http-nio-8443-exec-{}", random.u8(..200))),
        number("thread.id", i64::from(random.u8(..))),
        text("peer.service", "inventory"),
        text("app.tenant", &format!("tenant-{}", random.u16(..500))),
        text("app.request.id", &format!("{:032x}", random.u128(..))),
    ]
}

fn database(random: &mut Rng) -> Vec<KeyValue> {
    vec![
        text("db.system.name", "postgresql"),
        text("db.namespace", "orders"),
        text("db.operation.name", "SELECT"),
        text("db.collection.name", "orders"),
        text("db.query.text", "SELECT id, state, total FROM orders WHERE id = ? AND tenant = ?"),
        text("server.address", "orders-db.shop.svc.cluster.local"),
        number("server.port", 5432),
        number("db.response.returned_rows", i64::from(random.u8(..))),
        text("network.peer.address", &format!("10.0.{}.{}", random.u8(..), random.u8(..))),
        text("thread.name", &format!("pool-3-thread-{}", random.u8(..50))),
        number("thread.id", i64::from(random.u8(..))),
        text("app.tenant", &format!("tenant-{}", random.u16(..500))),
    ]
}

/// One span in twenty has a secret, by its key or by its value.
fn secrets(attributes: &mut Vec<KeyValue>, random: &mut Rng) {
    let token = || format!("Bearer {}.{:032x}", shop::PLANTED, 0x5eed_u128);
    match random.u8(..60) {
        0 => attributes.push(text("http.request.header.authorization", &token())),
        1 => attributes.push(text("app.note", &format!("retried with {}", token()))),
        2 => {
            let mail = format!("{}.{}@example.com", shop::PLANTED, random.u16(..));
            attributes.push(text("enduser.id", &mail));
        }
        _ => {}
    }
}

fn exception(time: u64) -> Event {
    let at = |line| format!("\tat com.example.shop.Client.call(Client.java:{line})\n");
    let trace: String = (100..112).map(at).collect();
    Event {
        time_unix_nano: time,
        name: "exception".to_owned(),
        attributes: vec![
            text("exception.type", "java.net.SocketTimeoutException"),
            text("exception.message", "Read timed out"),
            text("exception.stacktrace", &trace),
        ],
        ..Event::default()
    }
}
