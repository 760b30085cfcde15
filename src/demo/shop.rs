//! The shop: tells everything that would be seen of one request. It waits for nothing and reads
//! no clock.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::cast::{Cast, Pod, Witness, virtual_address};
use super::draw::Draw;
use super::flow::{Packet, Verdict};
use super::meter::Served;
use super::otlp::{Stand, failed, number, span, text};
use super::proxy::{Attempt, Crossing, End};
use super::story::{self, AUTHORITY, Call, Fault, GATEWAY, SCENES, Scene};
use super::work::Service;
use crate::evidence::Nanos;

/// Tells one request after the other.
#[derive(Debug)]
pub(crate) struct Shop {
    start: Nanos,
    cast: Cast,
    draw: Draw,
}

/// All that is seen of one request.
#[derive(Debug, Default)]
pub(crate) struct Visit {
    /// In no particular order.
    pub(crate) seen: Vec<Seen>,
    /// The fault that took hold of it.
    pub(crate) fault: Option<Fault>,
}

/// One evidence, when it is complete.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) at: Nanos,
    /// Who saw it; for a flow, whose packet it was.
    pub(crate) by: Witness,
    pub(crate) what: What,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    Span(Box<Span>),
    Log(Box<LogRecord>),
    Flow(String),
    Served(Served),
}

/// One request on its way through the shop.
pub(crate) struct Walk<'a> {
    cast: &'a Cast,
    pub(crate) draw: &'a mut Draw,
    pub(crate) scene: &'static Scene,
    /// The fault that lasts.
    pub(crate) fault: Option<Fault>,
    pub(crate) trace: [u8; 16],
    request_id: String,
    pub(crate) item: String,
    pub(crate) visit: Visit,
}

/// The way into a pod's proxy.
struct Way<'a> {
    call: &'static Call,
    from: &'a Pod,
    parent: Option<[u8; 8]>,
    downstream: (SocketAddrV4, SocketAddrV4),
}

/// What the caller gets.
#[derive(Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) end: Nanos,
}

impl Shop {
    pub(crate) fn new(seed: u64, start: Nanos) -> Self {
        Self { start, cast: Cast::new(), draw: Draw::new(seed) }
    }

    pub(crate) fn cast(&self) -> &Cast {
        &self.cast
    }

    /// One visitor makes one request at `at`.
    pub(crate) fn visit(&mut self, at: Nanos) -> Visit {
        let time_of_day = daytime(at);
        let weights = SCENES.iter().map(|it| it.weights.get(time_of_day).copied().unwrap_or(1));
        let place = self.draw.weighted(weights);
        let scene = SCENES.get(place).expect("the draw is below the length");
        self.tell(scene, at)
    }

    /// One visitor plays this scene at `at`.
    pub(crate) fn tell(&mut self, scene: &'static Scene, at: Nanos) -> Visit {
        let mut walk = Walk {
            cast: &self.cast,
            scene,
            fault: story::fault_at(at.since(self.start)),
            trace: self.draw.trace_id(),
            request_id: self.draw.uuid(),
            item: format!("P-{}", self.draw.between(1_000, 1_200)),
            visit: Visit::default(),
            draw: &mut self.draw,
        };
        walk.enter(at);
        walk.visit
    }
}

impl<'a> Walk<'a> {
    /// From the visitor through the gateway.
    fn enter(&mut self, at: Nanos) {
        let from = self.one_of(&GATEWAY);
        let host = u8::try_from(self.draw.between(1, 255)).unwrap_or(1);
        let visitor = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, host), self.draw.port());
        let listens = SocketAddrV4::new(from.address, 8443);
        let downstream = (visitor, listens);
        self.cross(&Way { call: &self.scene.call, from, parent: None, downstream }, at);
    }

    /// A service asks another, through its own proxy.
    pub(crate) fn ask(&mut self, call: &'static Call, caller: &Service<'a>, at: Nanos) -> Answer {
        let pod = caller.pod;
        let stand = self.stand(Some(caller.stand.span));
        let downstream =
            (SocketAddrV4::new(pod.address, self.draw.port()), virtual_address(call.to));
        let way = Way { call, from: pod, parent: Some(stand.span), downstream };
        let answer = self.cross(&way, at.after(Duration::from_micros(60)));
        let end = answer.end.after(Duration::from_micros(60));

        let target = self.target(call);
        let over = (at, end);
        let mut client = span(stand, call.method.to_owned(), SpanKind::Client, over);
        client.attributes = vec![
            text("http.request.method", call.method),
            text("url.full", format!("http://{}:{}{target}", call.to.name, story::PORT)),
            text("server.address", call.to.name),
            number("server.port", story::PORT),
            number("http.response.status_code", answer.code),
        ];
        if answer.code >= 400 {
            client.attributes.push(text("error.type", answer.code.to_string()));
            client.status = failed("");
        }
        self.saw(end, pod.application(), What::Span(Box::new(client)));
        Answer { end, ..answer }
    }

    /// A proxy tries to have a request answered.
    fn cross(&mut self, way: &Way<'a>, at: Nanos) -> Answer {
        let stand = self.stand(way.parent);
        let mut now = at.after(self.draw.latency(story::WIRE));
        let mut attempts = Vec::new();
        for _ in 0..=way.call.retries {
            let attempt = self.attempt(way, stand.span, now);
            now = attempt.over.1;
            let again = attempt.has_failed();
            attempts.push(attempt);
            if !again {
                break;
            }
        }
        let end = now.after(Duration::from_micros(80));
        let crossing = Crossing {
            call: way.call,
            from: way.from,
            stand,
            over: (at, end),
            request_id: self.request_id.clone(),
            authority: if way.parent.is_none() { AUTHORITY } else { way.call.to.name },
            target: self.target(way.call),
            downstream: way.downstream,
            attempts,
        };
        let by = way.from.proxy();
        for span in crossing.spans() {
            self.saw(Nanos(span.end_time_unix_nano), by, What::Span(Box::new(span)));
        }
        self.saw(end, by, What::Log(Box::new(crossing.log())));
        Answer { code: crossing.code(), end }
    }

    fn attempt(&mut self, way: &Way<'a>, parent: [u8; 8], at: Nanos) -> Attempt {
        let callee = self.one_of(way.call.to);
        let local = SocketAddrV4::new(way.from.address, self.draw.port());
        let stand = self.stand(Some(parent));
        let dropped = self.fault.filter(|fault| fault.drops(way.from, callee));
        let verdict = if dropped.is_some() { Verdict::PolicyDenied } else { Verdict::Forwarded };
        let uuid = self.draw.uuid();
        let packet = Packet { at, from: way.from, port: local.port(), to: callee, uuid, verdict };
        self.saw(at, way.from.proxy(), What::Flow(packet.line()));

        let (end, over) = if dropped.is_some() {
            self.visit.fault = dropped;
            (End::NotConnected, (at, at.after(story::CONNECT_TIMEOUT)))
        } else {
            let arrival = at.after(self.draw.latency(story::WIRE));
            let answer = self.serve(way.call, callee, stand.span, arrival);
            let back = answer.end.after(self.draw.latency(story::WIRE));
            let patience = at.after(story::TRY_TIMEOUT);
            if way.call.retries > 0 && back > patience {
                (End::TimedOut, (at, patience))
            } else {
                (End::Answered(answer.code), (at, back))
            }
        };
        Attempt { span: stand.span, over, host: callee.listens(), local, end }
    }

    pub(crate) fn saw(&mut self, at: Nanos, by: Witness, what: What) {
        self.visit.seen.push(Seen { at, by, what });
    }

    pub(crate) fn stand(&mut self, parent: Option<[u8; 8]>) -> Stand {
        Stand { trace: self.trace, span: self.draw.span_id(), parent }
    }

    fn one_of(&mut self, service: &story::Service) -> &'a Pod {
        let cast = self.cast;
        self.draw.pick(&cast.of(service))
    }

    pub(crate) fn is_entry(&self, call: &'static Call) -> bool {
        std::ptr::eq(call, &raw const self.scene.call)
    }

    /// Path and query. Only the visitor's own request has a query.
    fn target(&self, call: &'static Call) -> String {
        let query = if self.is_entry(call) { self.scene.query } else { "" };
        format!("{}{query}", call.path(&self.item))
    }
}

/// Night, day or evening, as places in a scene's weights.
fn daytime(at: Nanos) -> usize {
    match at.0 / 3_600_000_000_000 % 24 {
        0..7 => 0,
        7..18 => 1,
        _ => 2,
    }
}
