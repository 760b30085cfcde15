//! What a pod's proxy saw of one crossing: its spans and its access-log entry.
//!
//! The attributes are those that Envoy 1.40 writes: old names, every value a string.

use std::net::SocketAddrV4;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::cast::Pod;
use super::otlp::{Stand, body, failed, millis, span, text};
use super::story::{Call, NAMESPACE, PORT};
use crate::evidence::Nanos;

/// What visitors' clients call themselves.
const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

/// One crossing from a caller's proxy to a callee.
#[derive(Debug)]
pub(crate) struct Crossing<'a> {
    pub(crate) call: &'static Call,
    /// Whose proxy it is.
    pub(crate) from: &'a Pod,
    /// Of the proxy's server span.
    pub(crate) stand: Stand,
    pub(crate) over: (Nanos, Nanos),
    pub(crate) request_id: String,
    pub(crate) authority: &'a str,
    /// The path, and the query if there is one.
    pub(crate) target: String,
    /// The caller's end of the connection to the proxy, and the proxy's.
    pub(crate) downstream: (SocketAddrV4, SocketAddrV4),
    /// At least one.
    pub(crate) attempts: Vec<Attempt>,
}

/// One attempt of a proxy to have the request answered.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) span: [u8; 8],
    pub(crate) over: (Nanos, Nanos),
    pub(crate) host: SocketAddrV4,
    /// The proxy's end of the connection.
    pub(crate) local: SocketAddrV4,
    pub(crate) end: End,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With an answer.
    Answered(u16),
    /// Without a connection.
    NotConnected,
    /// The proxy stopped waiting for the answer.
    TimedOut,
}

impl Attempt {
    /// Whether the proxy tries again, if it may.
    pub(crate) fn has_failed(&self) -> bool {
        !matches!(self.end, End::Answered(code) if code < 500)
    }

    /// The proxy's end of the connection. There is none to tell if it never opened.
    fn local(&self) -> String {
        match self.end {
            End::NotConnected => "-".to_owned(),
            End::Answered(_) | End::TimedOut => self.local.to_string(),
        }
    }
}

impl End {
    fn flag(self) -> &'static str {
        match self {
            Self::Answered(_) => "",
            Self::NotConnected => "UF",
            Self::TimedOut => "UT",
        }
    }

    fn details(self) -> &'static str {
        match self {
            Self::Answered(_) => "via_upstream",
            Self::NotConnected => "upstream_reset_before_response_started{connection_timeout}",
            Self::TimedOut => "upstream_per_try_timeout",
        }
    }
}

impl Crossing<'_> {
    /// What the proxy answers.
    pub(crate) fn code(&self) -> u16 {
        match self.last().end {
            End::Answered(code) => code,
            End::NotConnected => 503,
            End::TimedOut => 504,
        }
    }

    /// The server span, and one client span for each attempt.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let clients = self.attempts.iter().enumerate();
        let clients = clients.map(|(tried, attempt)| self.client(tried, attempt));
        std::iter::once(self.server()).chain(clients).collect()
    }

    /// The access-log entry. Its time is when the request began; it has no severity.
    pub(crate) fn log(&self) -> LogRecord {
        let line = format!(
            "\"{} {} HTTP/1.1\" {} {} {}",
            self.call.method,
            self.target,
            self.code(),
            self.flags(),
            self.last().end.details()
        );
        LogRecord {
            time_unix_nano: self.over.0.0,
            body: Some(body(line)),
            attributes: self.entry(),
            trace_id: self.stand.trace.to_vec(),
            span_id: self.stand.span.to_vec(),
            ..LogRecord::default()
        }
    }

    fn last(&self) -> &Attempt {
        self.attempts.last().expect("a crossing has at least one attempt")
    }

    /// The flags of the last attempt, after the one that says that no retry is left.
    fn flags(&self) -> String {
        let last = self.last();
        let exhausted = self.attempts.len() > 1 && last.has_failed();
        let flags = [if exhausted { "URX" } else { "" }, last.end.flag()];
        let flags: Vec<_> = flags.into_iter().filter(|flag| !flag.is_empty()).collect();
        if flags.is_empty() { "-".to_owned() } else { flags.join(",") }
    }

    fn cluster(&self) -> String {
        format!("outbound|{PORT}||{}.{NAMESPACE}.svc.cluster.local", self.call.to.name)
    }

    fn entry(&self) -> Vec<KeyValue> {
        let last = self.last();
        let served = match last.end {
            End::Answered(_) => millis(last.over.1.since(last.over.0)),
            End::NotConnected | End::TimedOut => "-".to_owned(),
        };
        vec![
            text("method", self.call.method),
            text("path", self.target.as_str()),
            text("protocol", "HTTP/1.1"),
            text("authority", self.authority),
            text("response_code", self.code().to_string()),
            text("response_flags", self.flags()),
            text("response_code_details", last.end.details()),
            text("duration", millis(self.over.1.since(self.over.0))),
            text("upstream_service_time", served),
            text("upstream_host", last.host.to_string()),
            text("upstream_cluster", self.cluster()),
            text("upstream_local_address", last.local()),
            text("upstream_request_attempt_count", self.attempts.len().to_string()),
            text("downstream_remote_address", self.downstream.0.to_string()),
            text("downstream_local_address", self.downstream.1.to_string()),
            text("request_id", self.request_id.as_str()),
            text("route_name", format!("{}:{}", self.call.to.name, self.call.route)),
            text("user_agent", USER_AGENT),
        ]
    }

    fn server(&self) -> Span {
        let mut server = span(self.stand, "ingress".to_owned(), SpanKind::Server, self.over);
        server.attributes = self.common(&self.code().to_string(), &self.flags());
        server.attributes.push(text("user_agent", USER_AGENT));
        server.attributes.push(text("peer.address", self.downstream.0.to_string()));
        server.attributes.push(text("downstream_cluster", "-"));
        if self.code() >= 500 {
            server.attributes.push(text("error", "true"));
            server.status = failed("");
        }
        server
    }

    /// An attempt without an answer has the code 0 and no error status, whatever went wrong.
    fn client(&self, tried: usize, attempt: &Attempt) -> Span {
        let stand =
            Stand { trace: self.stand.trace, span: attempt.span, parent: Some(self.stand.span) };
        let name = format!("router {} egress", self.cluster());
        let mut client = span(stand, name, SpanKind::Client, attempt.over);
        let flag = attempt.end.flag();
        let code = match attempt.end {
            End::Answered(code) => code,
            End::NotConnected | End::TimedOut => 0,
        };
        client.attributes =
            self.common(&code.to_string(), if flag.is_empty() { "-" } else { flag });
        client.attributes.push(text("upstream_address", attempt.host.to_string()));
        client.attributes.push(text("peer.address", attempt.host.to_string()));
        if tried > 0 {
            client.attributes.push(text("retry.count", tried.to_string()));
        }
        if attempt.has_failed() {
            client.attributes.push(text("error", "true"));
        }
        if code >= 500 {
            client.status = failed("");
        }
        client
    }

    fn common(&self, code: &str, flags: &str) -> Vec<KeyValue> {
        vec![
            text("component", "proxy"),
            text("node_id", format!("sidecar~{}~{}", self.from.address, self.from.name)),
            text("zone", self.from.node.zone),
            text("guid:x-request-id", self.request_id.as_str()),
            text("http.method", self.call.method),
            text("http.url", format!("http://{}{}", self.authority, self.target)),
            text("http.protocol", "HTTP/1.1"),
            text("http.status_code", code),
            text("response_flags", flags),
            text("request_size", "0"),
            text("response_size", "1184"),
            text("upstream_cluster", self.cluster()),
            text("upstream_cluster.name", self.cluster()),
            text("istio.canonical_service", self.from.service.name),
            text("istio.canonical_revision", self.from.version),
            text("istio.namespace", NAMESPACE),
        ]
    }
}
