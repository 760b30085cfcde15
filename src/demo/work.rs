//! The services' part of a request: they work, call others, fail, and tell what they did.

use std::time::Duration;

use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use super::cast::Pod;
use super::draw::scaled;
use super::meter::Served;
use super::otlp::{Stand, body, failed, header, number, span, text};
use super::shop::{Answer, Walk, What};
use super::story::{self, Call};
use crate::evidence::Nanos;

/// One request at one service.
pub(crate) struct Service<'a> {
    pub(crate) call: &'static Call,
    pub(crate) pod: &'a Pod,
    pub(crate) stand: Stand,
    pub(crate) start: Nanos,
}

/// Why a service cannot answer well.
enum Trouble {
    /// A service that it called.
    Called(&'static Call, u16),
    /// The card processor.
    Card,
}

impl<'a> Walk<'a> {
    /// A service works on a request.
    pub(crate) fn serve(
        &mut self,
        call: &'static Call,
        pod: &'a Pod,
        parent: [u8; 8],
        at: Nanos,
    ) -> Answer {
        let service = Service { call, pod, stand: self.stand(Some(parent)), start: at };
        let work = self.draw.latency(call.work);
        let mut now = at.after(scaled(work, 0.4));
        if let Some(fault) = self.fault.filter(|fault| fault.strains(pod)) {
            self.visit.fault = Some(fault);
            now = self.queue(&service, now);
        }
        let mut trouble = None;
        for next in call.then {
            let answer = self.ask(next, &service, now);
            now = answer.end;
            if answer.code >= 500 {
                trouble = Some(Trouble::Called(next, answer.code));
                break;
            }
        }
        now = now.after(scaled(work, 0.6));
        if let Some(fault) = self.fault.filter(|fault| fault.stalls(pod))
            && self.draw.chance(story::CARD_SHARE)
        {
            self.visit.fault = Some(fault);
            now = at.after(self.draw.latency(story::CARD_WAIT));
            trouble = Some(Trouble::Card);
        }
        self.answer(&service, now, trouble.as_ref())
    }

    /// The request waits for a worker.
    fn queue(&mut self, service: &Service<'_>, at: Nanos) -> Nanos {
        let wait = self.draw.within(story::QUEUE_WAIT);
        let said = format!(
            "All 16 workers are busy; the request waited {} ms for one of them.",
            wait.as_millis()
        );
        self.says(service, at.after(wait), SeverityNumber::Warn, said);
        at.after(wait)
    }

    /// A service answers, and tells its span and its log.
    fn answer(&mut self, service: &Service<'_>, end: Nanos, trouble: Option<&Trouble>) -> Answer {
        let Service { call, pod, stand, start } = *service;
        let code = if trouble.is_some() { 503 } else { 200 };
        let name = format!("{} {}", call.method, call.route);
        let mut server = span(stand, name, SpanKind::Server, (start, end));
        server.attributes = vec![
            text("http.request.method", call.method),
            text("http.route", call.route),
            text("url.path", call.path(&self.item)),
            text("url.scheme", "http"),
            text("network.protocol.version", "1.1"),
            number("http.response.status_code", code),
        ];
        self.plant(call, &mut server);
        if let Some(trouble) = trouble {
            server.attributes.push(text("error.type", "503"));
            server.status = trouble.status();
            server.events.extend(trouble.exception(end));
        }
        let (severity, said) = match trouble {
            None => (SeverityNumber::Info, call.sentence(&self.item)),
            Some(trouble) => (SeverityNumber::Error, trouble.sentence(&self.item)),
        };
        self.says(service, end, severity, said);
        self.saw(end, pod.application(), What::Span(Box::new(server)));
        let Stand { trace, span, .. } = stand;
        let (method, route, took) = (call.method, call.route, end.since(start));
        let served = Served { method, route, code, took, trace, span };
        self.saw(end, pod.application(), What::Served(served));
        Answer { code, end }
    }

    /// What the visitor's client should not have sent, or the service should not have told.
    fn plant(&self, call: &'static Call, server: &mut Span) {
        if !self.is_entry(call) {
            return;
        }
        if let Some(query) = self.scene.query.strip_prefix('?') {
            server.attributes.push(text("url.query", query));
        }
        if !self.scene.authorization.is_empty() {
            let value = format!("Bearer {}", self.scene.authorization);
            server.attributes.push(header("http.request.header.authorization", &value));
        }
    }

    fn says(&mut self, service: &Service<'_>, at: Nanos, severity: SeverityNumber, said: String) {
        let record = LogRecord {
            time_unix_nano: at.0,
            observed_time_unix_nano: at.after(Duration::from_micros(200)).0,
            severity_number: severity.into(),
            severity_text: severity.as_str_name().trim_start_matches("SEVERITY_NUMBER_").to_owned(),
            body: Some(body(said)),
            attributes: vec![text("http.route", service.call.route)],
            flags: 1,
            trace_id: self.trace.to_vec(),
            span_id: service.stand.span.to_vec(),
            ..LogRecord::default()
        };
        self.saw(at, service.pod.application(), What::Log(Box::new(record)));
    }
}

impl Trouble {
    fn status(&self) -> Option<Status> {
        match self {
            Self::Called(..) => failed(""),
            Self::Card => failed("card processor timeout"),
        }
    }

    fn sentence(&self, item: &str) -> String {
        match self {
            Self::Called(call, code) => {
                let Call { to, method, route, .. } = call;
                format!(
                    "Gave up on product {item}: {} answered {code} to {method} {route}.",
                    to.name
                )
            }
            Self::Card => format!(
                "The card processor did not answer in time; card 4111 1111 1111 1111 was not \
                 charged for product {item}."
            ),
        }
    }

    fn exception(&self, at: Nanos) -> Option<Event> {
        match self {
            Self::Called(..) => None,
            Self::Card => Some(Event {
                time_unix_nano: at.0,
                name: "exception".to_owned(),
                attributes: vec![
                    text("exception.type", "shop.payment.CardProcessorTimeout"),
                    text("exception.message", "card processor timeout"),
                    text(
                        "exception.stacktrace",
                        "shop.payment.CardProcessorTimeout: card processor timeout\n\
                         \tat shop.payment.Processor.charge(Processor.java:118)\n\
                         \tat shop.payment.Charges.post(Charges.java:41)",
                    ),
                ],
                ..Event::default()
            }),
        }
    }
}
