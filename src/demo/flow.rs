//! What the network saw: the first packet of a connection, as a line of Hubble's JSON.

use serde_json::{Value, json};

use super::cast::Pod;
use super::story::{CLUSTER, NAMESPACE, PORT};
use crate::evidence::Nanos;

/// The first packet of a connection.
#[derive(Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) at: Nanos,
    pub(crate) from: &'a Pod,
    pub(crate) port: u16,
    pub(crate) to: &'a Pod,
    pub(crate) uuid: String,
    pub(crate) verdict: Verdict,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was let through.
    Forwarded,
    /// No network policy allowed it.
    PolicyDenied,
}

impl Packet<'_> {
    /// One line, without its end.
    pub(crate) fn line(&self) -> String {
        let mut flow = json!({
            "time": rfc3339(self.at),
            "uuid": self.uuid,
            "IP": {
                "source": self.from.address.to_string(),
                "destination": self.to.address.to_string(),
                "ipVersion": "IPv4",
            },
            "l4": {"TCP": {
                "source_port": self.port,
                "destination_port": PORT,
                "flags": {"SYN": true},
            }},
            "source": endpoint(self.from),
            "destination": endpoint(self.to),
            "destination_service": {"name": self.to.service.name, "namespace": NAMESPACE},
            "Type": "L3_L4",
            "Summary": "TCP Flags: SYN",
        });
        let (node, verdict) = self.verdict();
        if let (Value::Object(flow), Value::Object(verdict)) = (&mut flow, verdict) {
            flow.extend(verdict);
            flow.insert("node_name".to_owned(), node.clone());
        }
        json!({"flow": flow, "node_name": node, "time": rfc3339(self.at)}).to_string()
    }

    /// The node that says so, and what it says. Without a rule that denied it, no policy has a
    /// name to give.
    fn verdict(&self) -> (Value, Value) {
        let (node, says) = match self.verdict {
            Verdict::Forwarded => (
                self.to.node,
                json!({
                    "verdict": "FORWARDED",
                    "event_type": {"type": 4},
                    "traffic_direction": "INGRESS",
                    "trace_observation_point": "TO_ENDPOINT",
                    "is_reply": false,
                }),
            ),
            Verdict::PolicyDenied => (
                self.from.node,
                json!({
                    "verdict": "DROPPED",
                    "drop_reason": 133,
                    "drop_reason_desc": "POLICY_DENIED",
                    "event_type": {"type": 1, "sub_type": 133},
                    "traffic_direction": "EGRESS",
                }),
            ),
        };
        (Value::from(format!("{CLUSTER}/{}", node.name)), says)
    }
}

fn endpoint(pod: &Pod) -> Value {
    json!({
        "identity": 40_000 + u32::from(pod.service.host),
        "cluster_name": CLUSTER,
        "namespace": NAMESPACE,
        "labels": [
            format!("k8s:app={}", pod.service.name),
            format!("k8s:version={}", pod.version),
            format!("k8s:io.kubernetes.pod.namespace={NAMESPACE}"),
        ],
        "pod_name": pod.name,
        "workloads": [{"name": pod.service.name, "kind": "Deployment"}],
    })
}

/// The time with nine digits after the point, in UTC.
fn rfc3339(at: Nanos) -> String {
    format!("{}.{:09}Z", at.date_time(), at.0 % 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_its_date() {
        assert_eq!(rfc3339(Nanos(0)), "1970-01-01T00:00:00.000000000Z");
        let leap_day = Nanos(1_709_210_096_000_000_789);
        assert_eq!(rfc3339(leap_day), "2024-02-29T12:34:56.000000789Z");
        assert_eq!(rfc3339(Nanos(1_735_689_599_000_000_000)), "2024-12-31T23:59:59.000000000Z");
    }
}
