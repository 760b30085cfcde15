//! One evidence as JSON, from its bytes in the log.

use serde_json::{Map, Value};

use crate::evidence::{Kind, SpanId, TraceId};
use crate::wire::{ANY_VALUE_DEPTH_MAX, Fields, Malformed};

/// The message of an evidence, as a reader wants it: names of our own, attributes as one object.
///
/// # Errors
/// When the bytes are not the message that `kind` says.
pub fn render(kind: Kind, message: &[u8]) -> Result<Value, Malformed> {
    match kind {
        Kind::Log | Kind::Access | Kind::Flow => log(message),
        Kind::Exemplar => exemplar(message),
        Kind::Internal | Kind::Server | Kind::Client | Kind::Producer | Kind::Consumer => {
            span(message)
        }
    }
}

fn span(message: &[u8]) -> Result<Value, Malformed> {
    let mut out = Map::new();
    let (mut attributes, mut events, mut links) = (Map::new(), Vec::new(), Vec::new());
    for field in Fields::new(message) {
        let field = field?;
        match field.number {
            1 => put(&mut out, "trace_id", trace(field.bytes()?)),
            2 => put(&mut out, "span_id", span_id(field.bytes()?)),
            4 => put(&mut out, "parent_span_id", span_id(field.bytes()?)),
            5 => put(&mut out, "name", Some(field.text()?)),
            7 => put(&mut out, "start_ns", Some(field.number()?)),
            8 => put(&mut out, "end_ns", Some(field.number()?)),
            9 => attribute(field.bytes()?, &mut attributes, 0)?,
            11 => events.push(event(field.bytes()?)?),
            13 => links.push(link(field.bytes()?)?),
            15 => status(field.bytes()?, &mut out)?,
            _ => {}
        }
    }
    list(&mut out, "events", events);
    list(&mut out, "links", links);
    Ok(with_attributes(out, attributes))
}

fn log(message: &[u8]) -> Result<Value, Malformed> {
    let (mut out, mut attributes) = (Map::new(), Map::new());
    for field in Fields::new(message) {
        let field = field?;
        match field.number {
            1 => put(&mut out, "time_ns", Some(field.number()?)),
            2 => put(&mut out, "severity_number", Some(field.number()?)),
            3 => put(&mut out, "severity", Some(field.text()?)),
            5 => put(&mut out, "body", Some(any(field.bytes()?, 0)?)),
            6 => attribute(field.bytes()?, &mut attributes, 0)?,
            9 => put(&mut out, "trace_id", trace(field.bytes()?)),
            10 => put(&mut out, "span_id", span_id(field.bytes()?)),
            11 => put(&mut out, "observed_time_ns", Some(field.number()?)),
            12 => put(&mut out, "event_name", Some(field.text()?)),
            _ => {}
        }
    }
    Ok(with_attributes(out, attributes))
}

fn exemplar(message: &[u8]) -> Result<Value, Malformed> {
    let (mut out, mut attributes) = (Map::new(), Map::new());
    for field in Fields::new(message) {
        let field = field?;
        match field.number {
            2 => put(&mut out, "time_ns", Some(field.number()?)),
            3 => put(&mut out, "value", Some(f64::from_bits(field.number()?))),
            4 => put(&mut out, "span_id", span_id(field.bytes()?)),
            5 => put(&mut out, "trace_id", trace(field.bytes()?)),
            6 => put(&mut out, "value", Some(field.number()?.cast_signed())),
            7 => attribute(field.bytes()?, &mut attributes, 0)?,
            _ => {}
        }
    }
    Ok(with_attributes(out, attributes))
}

fn event(message: &[u8]) -> Result<Value, Malformed> {
    let (mut out, mut attributes) = (Map::new(), Map::new());
    for field in Fields::new(message) {
        let field = field?;
        match field.number {
            1 => put(&mut out, "time_ns", Some(field.number()?)),
            2 => put(&mut out, "name", Some(field.text()?)),
            3 => attribute(field.bytes()?, &mut attributes, 0)?,
            _ => {}
        }
    }
    Ok(with_attributes(out, attributes))
}

fn link(message: &[u8]) -> Result<Value, Malformed> {
    let (mut out, mut attributes) = (Map::new(), Map::new());
    for field in Fields::new(message) {
        let field = field?;
        match field.number {
            1 => put(&mut out, "trace_id", trace(field.bytes()?)),
            2 => put(&mut out, "span_id", span_id(field.bytes()?)),
            4 => attribute(field.bytes()?, &mut attributes, 0)?,
            _ => {}
        }
    }
    Ok(with_attributes(out, attributes))
}

fn status(message: &[u8], out: &mut Map<String, Value>) -> Result<(), Malformed> {
    for field in Fields::new(message) {
        let field = field?;
        match field.number {
            2 => put(out, "status_message", Some(field.text()?)),
            3 => {
                let name = match field.number()? {
                    1 => "ok",
                    2 => "error",
                    _ => "unset",
                };
                put(out, "status", Some(name));
            }
            _ => {}
        }
    }
    Ok(())
}

fn attribute(message: &[u8], out: &mut Map<String, Value>, depth: usize) -> Result<(), Malformed> {
    let (mut key, mut value) = ("", Value::Null);
    for field in Fields::new(message) {
        let field = field?;
        match field.number {
            1 => key = field.text()?,
            2 => value = any(field.bytes()?, depth)?,
            _ => {}
        }
    }
    out.insert(key.to_owned(), value);
    Ok(())
}

fn any(message: &[u8], depth: usize) -> Result<Value, Malformed> {
    if depth > ANY_VALUE_DEPTH_MAX {
        return Err(Malformed::Depth);
    }
    let mut out = Value::Null;
    for field in Fields::new(message) {
        let field = field?;
        out = match field.number {
            1 => Value::from(field.text()?),
            2 => Value::from(field.number()? != 0),
            3 => Value::from(field.number()?.cast_signed()),
            4 => Value::from(f64::from_bits(field.number()?)),
            5 => array(field.bytes()?, depth + 1)?,
            6 => pairs(field.bytes()?, depth + 1)?,
            7 => Value::from(hex(field.bytes()?)),
            _ => out,
        };
    }
    Ok(out)
}

fn array(message: &[u8], depth: usize) -> Result<Value, Malformed> {
    let mut out = Vec::new();
    for field in Fields::new(message) {
        out.push(any(field?.bytes()?, depth)?);
    }
    Ok(Value::Array(out))
}

fn pairs(message: &[u8], depth: usize) -> Result<Value, Malformed> {
    let mut out = Map::new();
    for field in Fields::new(message) {
        attribute(field?.bytes()?, &mut out, depth)?;
    }
    Ok(Value::Object(out))
}

fn put<T: Into<Value>>(out: &mut Map<String, Value>, key: &str, value: Option<T>) {
    if let Some(value) = value {
        out.insert(key.to_owned(), value.into());
    }
}

fn list(out: &mut Map<String, Value>, key: &str, values: Vec<Value>) {
    if !values.is_empty() {
        out.insert(key.to_owned(), Value::Array(values));
    }
}

fn with_attributes(mut out: Map<String, Value>, attributes: Map<String, Value>) -> Value {
    if !attributes.is_empty() {
        out.insert("attributes".to_owned(), Value::Object(attributes));
    }
    Value::Object(out)
}

fn trace(bytes: &[u8]) -> Option<String> {
    TraceId::from_slice(bytes).map(|id| id.to_string())
}

fn span_id(bytes: &[u8]) -> Option<String> {
    SpanId::from_slice(bytes).map(|id| id.to_string())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, KeyValueList};
    use opentelemetry_proto::tonic::logs::v1::LogRecord;
    use prost::Message;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_log_record_shows_its_body_and_nested_attributes() {
        let text = |text: &str| AnyValue { value: Some(Any::StringValue(text.to_owned())) };
        let pair = |key: &str, value| KeyValue {
            key: key.to_owned(),
            value: Some(value),
            ..KeyValue::default()
        };
        let list = KeyValueList { values: vec![pair("b", text("c"))] };
        let record = LogRecord {
            time_unix_nano: 7,
            severity_text: "WARN".to_owned(),
            body: Some(text("card declined")),
            attributes: vec![pair("a", AnyValue { value: Some(Any::KvlistValue(list)) })],
            ..LogRecord::default()
        };

        let shown = render(Kind::Log, &record.encode_to_vec()).unwrap();

        let want = json!({
            "time_ns": 7, "severity": "WARN", "body": "card declined",
            "attributes": {"a": {"b": "c"}},
        });
        assert_eq!(shown, want);
    }
}
