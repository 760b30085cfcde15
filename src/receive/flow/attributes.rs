//! Attributes, left out where the source says nothing.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};

/// The attributes of one record.
#[derive(Debug, Default)]
pub(super) struct Attributes(Vec<KeyValue>);

impl Attributes {
    /// Empty text is what protobuf's JSON means by absent.
    pub(super) fn text(&mut self, key: impl Into<String>, text: Option<&str>) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.push(key, Value::StringValue(text.to_owned()));
        }
    }

    pub(super) fn number(&mut self, key: &str, number: Option<u64>) {
        if let Some(number) = number.and_then(|number| i64::try_from(number).ok()) {
            self.push(key, Value::IntValue(number));
        }
    }

    pub(super) fn flag(&mut self, key: &str, flag: Option<bool>) {
        if let Some(flag) = flag {
            self.push(key, Value::BoolValue(flag));
        }
    }

    pub(super) fn list(&mut self, key: impl Into<String>, texts: impl Iterator<Item = String>) {
        let values = texts.filter(|text| !text.is_empty()).map(text).collect::<Vec<_>>();
        if !values.is_empty() {
            self.push(key, Value::ArrayValue(ArrayValue { values }));
        }
    }

    pub(super) fn into_inner(self) -> Vec<KeyValue> {
        self.0
    }

    fn push(&mut self, key: impl Into<String>, value: Value) {
        let value = Some(AnyValue { value: Some(value) });
        self.0.push(KeyValue { key: key.into(), value, ..KeyValue::default() });
    }
}

pub(super) fn text(text: String) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text)) }
}
