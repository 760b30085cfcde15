//! What stands behind a key.

use std::ops::Range;

use super::super::replace::{TOKEN_BYTES, is_token, token};
use super::rule::{Literal, encoded_text};
use crate::wire::{Fields, Value as Wire};

/// A value, before it is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// That of an attribute of the request, whose content lies here.
    Given(Range<usize>),
    /// An `AnyValue` from the settings.
    Made(&'a [u8]),
    /// The `AnyValue` of a pseudonym.
    Token([u8; TOKEN_BYTES + 2]),
}

/// A value as conditions and pseudonyms see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    Absent,
    Text(&'a [u8]),
    Blob(&'a [u8]),
    Flag(bool),
    Number(i64),
    Float(f64),
    /// A list of values or pairs.
    List,
}

impl Value<'_> {
    pub(super) fn scalar<'b>(&'b self, request: &'b [u8]) -> Scalar<'b> {
        match self {
            Self::Given(range) => Scalar::of_pair(request.get(range.clone()).unwrap_or_default()),
            Self::Made(value) => Scalar::Absent.or_that_of(value),
            Self::Token(value) => Scalar::Absent.or_that_of(value),
        }
    }

    /// How long the `AnyValue` is.
    pub(super) fn length(&self, request: &[u8]) -> usize {
        match self {
            Self::Given(range) => {
                let pair = request.get(range.clone()).unwrap_or_default();
                values(pair).map(<[u8]>::len).sum()
            }
            Self::Made(value) => value.len(),
            Self::Token(value) => value.len(),
        }
    }
}

impl<'a> Scalar<'a> {
    /// The value of a `KeyValue`. As everywhere in protobuf, what comes last counts.
    fn of_pair(pair: &'a [u8]) -> Self {
        values(pair).fold(Self::Absent, Self::or_that_of)
    }

    fn or_that_of(self, any: &'a [u8]) -> Self {
        Fields::new(any).map_while(Result::ok).fold(self, |before, field| {
            match (field.number, field.value) {
                (1, Wire::Bytes(text)) => Self::Text(text),
                (2, Wire::Varint(flag)) => Self::Flag(flag != 0),
                (3, Wire::Varint(number)) => Self::Number(number.cast_signed()),
                (4, Wire::Fixed64(bits)) => Self::Float(f64::from_bits(bits)),
                (5 | 6, Wire::Bytes(_)) | (8, Wire::Varint(_)) => Self::List,
                (7, Wire::Bytes(blob)) => Self::Blob(blob),
                _ => before,
            }
        })
    }

    /// Whether it is the value in the settings, of the same type.
    pub(super) fn equals(self, literal: &Literal) -> bool {
        match (self, literal) {
            (Self::Text(a), Literal::Text(b)) => a == b.as_bytes(),
            (Self::Flag(a), Literal::Flag(b)) => a == *b,
            (Self::Number(a), Literal::Number(b)) => a == *b,
            (Self::Float(a), Literal::Float(b)) => a == *b,
            _ => false,
        }
    }
}

/// Makes pseudonyms of values.
#[derive(Clone, Debug, Default)]
pub(super) struct Pseudonyms {
    key: [u8; 32],
    mask: Vec<u8>,
    masked: Vec<u8>,
}

impl Pseudonyms {
    pub(super) fn new(key: [u8; 32], mask: &[u8]) -> Self {
        Self { key, mask: mask.to_vec(), masked: encoded_text(mask) }
    }

    /// What stands for the value; `None` when it stays.
    ///
    /// A number has the pseudonym of its digits: it may be a text elsewhere.
    pub(super) fn of<'a>(&'a self, value: Scalar<'_>) -> Option<Value<'a>> {
        match value {
            Scalar::Absent | Scalar::Text([]) | Scalar::Blob([]) => None,
            Scalar::Text(text) if text == self.mask || is_token(text) => None,
            Scalar::Text(bytes) | Scalar::Blob(bytes) => Some(self.token(bytes)),
            Scalar::Number(number) => Some(self.token(number.to_string().as_bytes())),
            Scalar::Flag(_) | Scalar::Float(_) | Scalar::List => Some(Value::Made(&self.masked)),
        }
    }

    fn token(&self, secret: &[u8]) -> Value<'static> {
        let token = token(&self.key, secret);
        let mut value = [0; TOKEN_BYTES + 2];
        let parts = [0x0a, LENGTH].into_iter().chain(token);
        value.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        Value::Token(value)
    }
}

/// A pseudonym's length as a varint, which takes one byte.
const LENGTH: u8 = TOKEN_BYTES.to_le_bytes()[0];

/// The `AnyValue`s of a `KeyValue`: one, unless someone plays with protobuf.
fn values(pair: &[u8]) -> impl Iterator<Item = &[u8]> {
    let fields = Fields::new(pair).map_while(Result::ok).filter(|field| field.number == 2);
    fields.filter_map(|field| field.bytes().ok())
}
