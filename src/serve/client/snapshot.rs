//! The status of a gateway at one moment, as its clients read it.
//!
//! Only what they show. A gateway of another version may say more.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::show::plain;
use crate::export::consumer;

/// Counts by reason.
pub(crate) type Reasons = BTreeMap<String, u64>;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) version: String,
    pub(crate) ack: String,
    pub(crate) started_ns: u64,
    /// The gateway's clock: the only one that is asked.
    pub(crate) now_ns: u64,
    pub(crate) ready: bool,
    pub(crate) sources: Vec<Source>,
    pub(crate) connections: Connections,
    pub(crate) inflight: Inflight,
    pub(crate) memory: Memory,
    pub(crate) ledger: Ledger,
    pub(crate) log: Log,
    pub(crate) join: Option<Join>,
    pub(crate) index: Option<Index>,
    pub(crate) exports: Vec<Export>,
    pub(crate) symbols: Use,
    pub(crate) hop_series: Use,
    pub(crate) memory_bounds: BTreeMap<String, u64>,
    /// Only where callers have to say who they are.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) doors: Vec<Door>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Source {
    pub(crate) source: String,
    pub(crate) requests: u64,
    pub(crate) items: u64,
    pub(crate) bytes: u64,
    pub(crate) rejected: u64,
    pub(crate) refused: Reasons,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Connections {
    pub(crate) open: u64,
    pub(crate) turned_away: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Inflight {
    pub(crate) bytes: u64,
    pub(crate) bytes_max: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Memory {
    pub(crate) resident_bytes: u64,
    pub(crate) max_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Ledger {
    pub(crate) signals: Vec<Signal>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Signal {
    pub(crate) signal: String,
    pub(crate) received: u64,
    pub(crate) admitted: u64,
    pub(crate) repeated: u64,
    pub(crate) refused: Reasons,
    pub(crate) imbalance: i64,
    pub(crate) consumers: Vec<Consumer>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Consumer {
    pub(crate) consumer: String,
    pub(crate) recovered: u64,
    pub(crate) done: u64,
    pub(crate) passed: u64,
    pub(crate) held: u64,
    pub(crate) lost: Reasons,
    pub(crate) imbalance: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Log {
    pub(crate) bytes: u64,
    pub(crate) bytes_max: u64,
    pub(crate) segments: u64,
    pub(crate) oldest_ns: Option<u64>,
    pub(crate) queued_bytes: u64,
    pub(crate) queued_bytes_max: u64,
    pub(crate) cursors: Vec<Cursor>,
    pub(crate) corrupt_spans: u64,
    pub(crate) torn_bytes: u64,
    pub(crate) poisoned: u64,
    pub(crate) failing: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Cursor {
    pub(crate) name: String,
    pub(crate) lag_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Join {
    pub(crate) open_journeys: u64,
    pub(crate) evidence: u64,
    pub(crate) waiting: u64,
    pub(crate) bindings: u64,
    /// By subject.
    pub(crate) lost_mail: Reasons,
    pub(crate) mail_max: u64,
    pub(crate) forgotten_bindings: Reasons,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Index {
    pub(crate) buckets: u64,
    pub(crate) documents: u64,
    pub(crate) bytes: u64,
    pub(crate) unreadable_buckets: u64,
    pub(crate) failing: Option<String>,
    pub(crate) shedding: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Export {
    pub(crate) name: String,
    pub(crate) endpoint: String,
    pub(crate) up: bool,
    pub(crate) retrying_since_ns: Option<u64>,
    pub(crate) last_error: Option<String>,
    pub(crate) sent_items: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) retries: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Use {
    pub(crate) used: u64,
    pub(crate) max: u64,
    pub(crate) overflowed: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Door {
    pub(crate) door: String,
    pub(crate) denied: Reasons,
    pub(crate) tenants: Vec<Tenant>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Tenant {
    pub(crate) name: String,
    pub(crate) requests: u64,
}

/// All reasons together.
pub(crate) fn total(reasons: &Reasons) -> u64 {
    reasons.values().fold(0, |sum, count| sum.saturating_add(*count))
}

impl Snapshot {
    /// Every text in it is made harmless here, and nowhere else.
    pub(crate) fn read(answer: &Value) -> Result<Self, serde_json::Error> {
        Self::deserialize(harmless(answer))
    }

    /// How much of the log a destination has not taken yet.
    pub(crate) fn lag_bytes(&self, export: &Export) -> u64 {
        let consumer = consumer(&export.name);
        let cursor = self.log.cursors.iter().find(|cursor| cursor.name == consumer);
        cursor.map_or(0, |cursor| cursor.lag_bytes)
    }

    pub(crate) fn bounds_bytes(&self) -> u64 {
        self.memory_bounds.values().fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }
}

fn harmless(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(plain(text)),
        Value::Array(values) => values.iter().map(harmless).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| (plain(key), harmless(value))).collect()
        }
        other => other.clone(),
    }
}

/// Nothing, when it is not as expected: it must not hide the rest.
fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Door>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::example::answer;
    use super::*;

    #[test]
    fn every_text_is_harmless_names_included() {
        let mut answer = answer();
        answer["version"] = json!("1\u{1b}[31m");
        answer["memory_bounds"] = json!({"a\u{202e}b": 1});

        let snapshot = Snapshot::read(&answer).unwrap();

        assert_eq!(snapshot.version, "1\u{fffd}[31m");
        assert_eq!(snapshot.memory_bounds.keys().next().unwrap(), "a\u{fffd}b");
    }

    #[test]
    fn doors_are_read_when_they_say_who_came_and_left_out_otherwise() {
        let mut answer = answer();
        let tenants = json!([{"name": "shop", "number": 1, "requests": 7}]);
        answer["doors"] = json!([{"door": "grpc", "denied": {"no_token": 3}, "tenants": tenants}]);
        assert_eq!(Snapshot::read(&answer).unwrap().doors[0].tenants[0].requests, 7);
        answer["doors"] = json!({"connections": 3});
        assert_eq!(Snapshot::read(&answer).unwrap().doors, []);
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut answer = answer();
        answer.as_object_mut().unwrap().remove("started_ns");
        let error = Snapshot::read(&answer).unwrap_err();
        assert_eq!(error.to_string(), "missing field `started_ns`");
    }
}
