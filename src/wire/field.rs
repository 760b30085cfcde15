//! A message as the fields it is made of, in the order in which they come.

use super::{Malformed, read_varint};

/// The value of one field, as the wire type says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Integers, booleans, enums.
    Varint(u64),
    /// `fixed64`, `sfixed64`, `double`.
    Fixed64(u64),
    /// `fixed32`, `sfixed32`, `float`.
    Fixed32(u32),
    /// Strings, bytes, messages, packed numbers.
    Bytes(&'a [u8]),
    /// A group, which no OTLP message has: passed over.
    Group,
}

/// One field, and where in the message it lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field<'a> {
    /// The field number.
    pub number: u32,
    /// The value.
    pub value: Value<'a>,
    /// Where the tag begins.
    pub start: usize,
    /// Where the length prefix or the number begins, just after the tag.
    pub body: usize,
    /// Where the field ends.
    pub end: usize,
}

/// Iterates over the fields of one message. Ends after the first malformed one.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

const GROUP_DEPTH_MAX: usize = 100;

impl<'a> Fields<'a> {
    /// The fields of the message in `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    #[inline]
    fn take(&mut self) -> Result<Field<'a>, Malformed> {
        let start = self.at;
        let (number, wire_type) = self.tag()?;
        let body = self.at;
        let value = self.value(number, wire_type, 0)?;
        Ok(Field { number, value, start, body, end: self.at })
    }

    #[inline]
    fn tag(&mut self) -> Result<(u32, u8), Malformed> {
        let tag = u32::try_from(self.varint()?).map_err(|_| Malformed::Tag)?;
        let number = tag >> 3;
        if number == 0 {
            return Err(Malformed::Tag);
        }
        Ok((number, (tag & 7).to_le_bytes()[0]))
    }

    #[inline]
    fn value(&mut self, number: u32, wire_type: u8, depth: usize) -> Result<Value<'a>, Malformed> {
        match wire_type {
            0 => self.varint().map(Value::Varint),
            1 => self.array().map(|bytes| Value::Fixed64(u64::from_le_bytes(bytes))),
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).map_err(|_| Malformed::Truncated)?;
                self.slice(length).map(Value::Bytes)
            }
            3 => self.group(number, depth),
            5 => self.array().map(|bytes| Value::Fixed32(u32::from_le_bytes(bytes))),
            _ => Err(Malformed::Tag),
        }
    }

    /// Passes over a group to its end tag, as prost does with unknown fields.
    #[cold]
    fn group(&mut self, number: u32, depth: usize) -> Result<Value<'a>, Malformed> {
        if depth >= GROUP_DEPTH_MAX {
            return Err(Malformed::Depth);
        }
        loop {
            let (inner, wire_type) = self.tag()?;
            if wire_type == 4 {
                return if inner == number { Ok(Value::Group) } else { Err(Malformed::Tag) };
            }
            self.value(inner, wire_type, depth + 1)?;
        }
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Malformed> {
        let rest = self.bytes.get(self.at..).ok_or(Malformed::Truncated)?;
        let (number, length) = read_varint(rest)?;
        self.at += length;
        Ok(number)
    }

    #[inline]
    fn slice(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(length).ok_or(Malformed::Truncated)?;
        let slice = self.bytes.get(self.at..end).ok_or(Malformed::Truncated)?;
        self.at = end;
        Ok(slice)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.slice(N)?.try_into().map_err(|_| Malformed::Truncated)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let field = self.take();
        if field.is_err() {
            self.at = self.bytes.len();
        }
        Some(field)
    }
}

impl<'a> Field<'a> {
    /// The bytes of a length-delimited field.
    ///
    /// # Errors
    /// When the field has another wire type.
    #[inline]
    pub fn bytes(&self) -> Result<&'a [u8], Malformed> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            Value::Varint(_) | Value::Fixed64(_) | Value::Fixed32(_) | Value::Group => {
                Err(Malformed::WireType(self.number))
            }
        }
    }

    /// The text of a string field.
    ///
    /// # Errors
    /// When the field has another wire type, or is not UTF-8.
    #[inline]
    pub fn text(&self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed::Utf8(self.number))
    }

    /// The number of a varint or fixed field; a double comes as its bits.
    ///
    /// # Errors
    /// When the field has another wire type.
    #[inline]
    pub fn number(&self) -> Result<u64, Malformed> {
        match self.value {
            Value::Varint(number) | Value::Fixed64(number) => Ok(number),
            Value::Fixed32(number) => Ok(u64::from(number)),
            Value::Bytes(_) | Value::Group => Err(Malformed::WireType(self.number)),
        }
    }
}

/// Cuts out the message whose length prefix is at `offset` of a batch's bytes.
///
/// # Errors
/// When the offset does not point at a length prefix that fits.
pub fn item(batch: &[u8], offset: u32) -> Result<&[u8], Malformed> {
    let at = usize::try_from(offset).map_err(|_| Malformed::Size)?;
    let rest = batch.get(at..).ok_or(Malformed::Truncated)?;
    let (length, prefix) = read_varint(rest)?;
    let length = usize::try_from(length).map_err(|_| Malformed::Truncated)?;
    let end = prefix.checked_add(length).ok_or(Malformed::Truncated)?;
    rest.get(prefix..end).ok_or(Malformed::Truncated)
}
