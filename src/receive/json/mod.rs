//! OTLP JSON, written as protobuf while it is read.
//!
//! Nothing is built in between: 64 MiB of `{},{},…` would otherwise be gigabytes of spans. As
//! lenient as the Collector: keys in either case, numbers as text, enums by name, unknown fields
//! passed over. An id that is none, whatever stands there instead of a text, is passed on as one, for
//! its record alone to be rejected.
//!
//! serde_json would stop at 128 nested brackets, which are 32 nested values: an `AnyValue` takes up
//! to four. So its own bound is off, and what nests is counted here: only values nest without end
//! in OTLP, to [`ANY_VALUE_DEPTH_MAX`], and what is unknown is passed over without recursion.

mod scalar;
mod schema;
mod sink;

use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use self::scalar::{Scalar, write_invalid_id};
use self::schema::{Field, Kind, field};
use self::sink::Sink;
use super::Denial;
use super::budget::Hold;
use crate::evidence::Signal;
use crate::ledger::Refusal;
use crate::wire::{ANY_VALUE_DEPTH_MAX, Message};

/// The request in `text` as protobuf of at most `limit` bytes, and the hold for it.
pub(super) fn transcode(
    signal: Signal,
    text: &[u8],
    limit: usize,
    hold: Hold,
) -> Result<(Bytes, Hold), Denial> {
    let mut sink = Sink::new(text.len(), limit, hold)?;
    let mut json = serde_json::Deserializer::from_slice(text);
    json.disable_recursion_limit();
    let request = Body { message: Message::request(signal), depth: 0, sink: &mut sink };
    match request.deserialize(&mut json).and_then(|()| json.end()) {
        Ok(()) => sink.finish(),
        Err(error) => {
            let malformed = || Denial::new(Refusal::Malformed, error.to_string());
            Err(sink.denial().unwrap_or_else(malformed))
        }
    }
}

/// The fields of one message, inside of `depth` values.
struct Body<'s> {
    message: Message,
    depth: usize,
    sink: &'s mut Sink,
}

/// The name of a field, looked up where it stands.
struct Name(Message);

/// What stands behind the name.
struct Content<'s> {
    field: Field,
    place: Place,
    depth: usize,
    sink: &'s mut Sink,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Behind the name.
    Whole,
    /// In a list.
    Element,
    /// In a list of numbers, which share one tag.
    Packed,
}

impl<'de> DeserializeSeed<'de> for Body<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Body<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(known) = map.next_key_seed(Name(self.message))? {
            match known {
                Some(field) => map.next_value_seed(Content {
                    field,
                    place: Place::Whole,
                    depth: self.depth,
                    sink: &mut *self.sink,
                })?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<Field>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<Field>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(field(self.0, name))
    }
}

impl Content<'_> {
    fn scalar<E: Error>(self, scalar: Scalar<'_>) -> Result<(), E> {
        let list = self.field.repeated && self.place == Place::Whole;
        if list {
            return Err(E::custom("a list was expected"));
        }
        let tag = (self.place != Place::Packed).then_some(self.field.number);
        scalar.write(self.field.kind, tag, self.sink).map_err(E::custom)
    }

    /// In place of the id was an object or a list, passed over without recursion.
    fn no_id<E: Error>(self) -> Result<(), E> {
        write_invalid_id(self.field.number, self.sink).map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Content<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Content<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value of the field's type")
    }

    /// JSON protobuf: null is absence.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.scalar(Scalar::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.scalar(Scalar::Unsigned(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.scalar(Scalar::Signed(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.scalar(Scalar::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.scalar(Scalar::Text(value))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let list = self.field.repeated && self.place == Place::Whole;
        let message = match self.field.kind {
            Kind::Message(message) => message,
            Kind::Id => {
                IgnoredAny.visit_map(map)?;
                return self.no_id();
            }
            _ => return Err(A::Error::custom("an object was not expected")),
        };
        if list {
            return Err(A::Error::custom("a list was expected"));
        }
        let depth = self.depth + usize::from(message == Message::AnyValue);
        if depth > ANY_VALUE_DEPTH_MAX {
            return Err(A::Error::custom("values are nested too deep"));
        }
        let start = self.sink.open(self.field.number);
        Body { message, depth, sink: &mut *self.sink }.visit_map(map)?;
        self.sink.close(start).map_err(A::Error::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if matches!(self.field.kind, Kind::Id) {
            IgnoredAny.visit_seq(list)?;
            return self.no_id();
        }
        let Self { field, place, depth, sink } = self;
        if !field.repeated || place != Place::Whole {
            return Err(A::Error::custom("a list was not expected"));
        }
        let packed = field.kind.is_packed().then(|| sink.open(field.number));
        let place = if packed.is_some() { Place::Packed } else { Place::Element };
        while list.next_element_seed(Content { field, place, depth, sink: &mut *sink })?.is_some() {
        }
        match packed {
            Some(start) => sink.close(start).map_err(A::Error::custom),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
