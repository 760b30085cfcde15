//! A line of Hubble's JSON: names in snake_case or camelCase, 64-bit numbers as text.
//!
//! Any field may be absent, or null: exporters mask them.

use std::fmt;

use serde::de::{Error, IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer};

/// What one line says.
#[derive(Debug)]
pub(super) enum Line {
    Flow(Box<Flow>),
    Lost(Lost),
}

/// The line's outside. Older exporters write the bare flow.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Envelope {
    flow: Option<Box<Flow>>,
    #[serde(alias = "lostEvents")]
    lost_events: Option<Lost>,
    #[serde(alias = "agentEvent", alias = "debug_event", alias = "debugEvent")]
    #[serde(alias = "nodeStatus", alias = "node_status")]
    agent_event: Option<IgnoredAny>,
    #[serde(alias = "nodeName")]
    node_name: Option<String>,
    time: Option<String>,
}

/// `flow.Flow`, as far as it is evidence.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Flow {
    pub(super) time: Option<String>,
    pub(super) uuid: Option<String>,
    pub(super) verdict: Option<String>,
    #[serde(alias = "dropReasonDesc")]
    pub(super) drop_reason_desc: Option<String>,
    #[serde(alias = "IP", alias = "Ip")]
    pub(super) ip: Option<Addresses>,
    pub(super) l4: Option<Transport>,
    pub(super) source: Option<Endpoint>,
    pub(super) destination: Option<Endpoint>,
    #[serde(alias = "Type")]
    pub(super) r#type: Option<String>,
    #[serde(alias = "nodeName")]
    pub(super) node_name: Option<String>,
    #[serde(alias = "sourceNames")]
    pub(super) source_names: Option<Vec<String>>,
    #[serde(alias = "destinationNames")]
    pub(super) destination_names: Option<Vec<String>>,
    #[serde(alias = "sourceService")]
    pub(super) source_service: Option<Named>,
    #[serde(alias = "destinationService")]
    pub(super) destination_service: Option<Named>,
    pub(super) l7: Option<Layer7>,
    #[serde(alias = "isReply")]
    pub(super) is_reply: Option<bool>,
    #[serde(alias = "trafficDirection")]
    pub(super) traffic_direction: Option<String>,
    #[serde(alias = "traceContext")]
    pub(super) trace_context: Option<TraceContext>,
    #[serde(alias = "egressAllowedBy")]
    pub(super) egress_allowed_by: Option<Vec<Named>>,
    #[serde(alias = "ingressAllowedBy")]
    pub(super) ingress_allowed_by: Option<Vec<Named>>,
    #[serde(alias = "egressDeniedBy")]
    pub(super) egress_denied_by: Option<Vec<Named>>,
    #[serde(alias = "ingressDeniedBy")]
    pub(super) ingress_denied_by: Option<Vec<Named>>,
    #[serde(alias = "Summary")]
    pub(super) summary: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Addresses {
    pub(super) source: Option<String>,
    pub(super) destination: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Transport {
    #[serde(rename = "TCP")]
    pub(super) tcp: Option<Ports>,
    #[serde(rename = "UDP")]
    pub(super) udp: Option<Ports>,
    #[serde(rename = "SCTP")]
    pub(super) sctp: Option<Ports>,
    #[serde(rename = "ICMPv4")]
    pub(super) icmp4: Option<IgnoredAny>,
    #[serde(rename = "ICMPv6")]
    pub(super) icmp6: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ports {
    #[serde(alias = "sourcePort")]
    pub(super) source_port: Option<Number>,
    #[serde(alias = "destinationPort")]
    pub(super) destination_port: Option<Number>,
    pub(super) flags: Option<Flags>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "UPPERCASE")]
pub(super) struct Flags {
    syn: Option<bool>,
    ack: Option<bool>,
    fin: Option<bool>,
    rst: Option<bool>,
    psh: Option<bool>,
    urg: Option<bool>,
    ece: Option<bool>,
    cwr: Option<bool>,
    ns: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Endpoint {
    pub(super) identity: Option<Number>,
    #[serde(alias = "clusterName")]
    pub(super) cluster_name: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) labels: Option<Vec<String>>,
    #[serde(alias = "podName")]
    pub(super) pod_name: Option<String>,
    pub(super) workloads: Option<Vec<Named>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Named {
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Layer7 {
    pub(super) r#type: Option<String>,
    #[serde(alias = "latencyNs")]
    pub(super) latency_ns: Option<Number>,
    pub(super) dns: Option<Dns>,
    pub(super) http: Option<Http>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Dns {
    pub(super) query: Option<String>,
    pub(super) rcode: Option<Number>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Http {
    pub(super) code: Option<Number>,
    pub(super) method: Option<String>,
    pub(super) url: Option<String>,
    pub(super) headers: Option<Vec<Header>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Header {
    pub(super) key: String,
    pub(super) value: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TraceContext {
    pub(super) parent: Option<TraceParent>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TraceParent {
    #[serde(alias = "traceId")]
    pub(super) trace_id: Option<String>,
}

/// Flows that the network saw and could not report.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Lost {
    pub(super) source: Option<String>,
    #[serde(alias = "numEventsLost")]
    pub(super) num_events_lost: Option<Number>,
    #[serde(skip)]
    pub(super) time: Option<String>,
    #[serde(skip)]
    pub(super) node_name: Option<String>,
}

/// A count, as a number or as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number(pub(super) u64);

impl Line {
    pub(super) fn parse(line: &[u8]) -> Result<Self, &'static str> {
        let wrong = |_| "not the JSON of a flow";
        let envelope: Envelope = serde_json::from_slice(line).map_err(wrong)?;
        let Envelope { flow, lost_events, agent_event, node_name, time } = envelope;
        if let Some(lost) = lost_events {
            return Ok(Self::Lost(Lost { time, node_name, ..lost }));
        }
        if let Some(mut flow) = flow {
            flow.node_name = flow.node_name.or(node_name);
            flow.time = flow.time.or(time);
            return Self::checked(flow);
        }
        if agent_event.is_some() {
            return Err("an event of the agent and not a flow");
        }
        Self::checked(serde_json::from_slice(line).map_err(wrong)?)
    }

    /// An object of which nothing is known is no flow.
    fn checked(flow: Box<Flow>) -> Result<Self, &'static str> {
        let known = flow.verdict.is_some() || flow.ip.is_some() || flow.l7.is_some();
        if known { Ok(Self::Flow(flow)) } else { Err("neither verdict, address nor L7 of a flow") }
    }
}

impl Flags {
    /// The flags that are set, as tcpdump orders and Hubble names them.
    pub(super) fn text(&self) -> String {
        let flags = [
            ("SYN", self.syn),
            ("ACK", self.ack),
            ("FIN", self.fin),
            ("RST", self.rst),
            ("PSH", self.psh),
            ("URG", self.urg),
            ("ECE", self.ece),
            ("CWR", self.cwr),
            ("NS", self.ns),
        ];
        let set = flags.into_iter().filter(|(_, set)| *set == Some(true)).map(|(name, _)| name);
        set.collect::<Vec<_>>().join(",")
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Lenient;

        impl Visitor<'_> for Lenient {
            type Value = Number;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a count")
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
                Ok(Number(value))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map(Number).map_err(E::custom)
            }
        }

        json.deserialize_any(Lenient)
    }
}
