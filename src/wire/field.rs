//! A message as the fields it is made of, in the order in which they come.

use super::varint::split_varint;
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
///
/// Every step is inlined into the loop round it, and what is rare takes and gives its state by
/// value: so the state of the walk stays in registers, and what the loop does not ask of a field
/// is not computed.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
    /// Of the whole message.
    length: usize,
}

const GROUP_DEPTH_MAX: usize = 100;

impl<'a> Fields<'a> {
    /// The fields of the message in `bytes`.
    #[must_use]
    #[inline(always)]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, length: bytes.len() }
    }

    /// Whether no field is left.
    #[must_use]
    #[inline(always)]
    pub fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// The content of the next field, if its tag is this one byte and its length is one too: what
    /// a list repeats is read with one look at two bytes. `None` leaves the field to the iterator.
    #[inline(always)]
    pub fn next_short(&mut self, tag: u8) -> Option<&'a [u8]> {
        let [first, length @ ..0x80, rest @ ..] = self.rest else { return None };
        let (content, rest) = rest.split_at_checked(usize::from(*length))?;
        if *first != tag {
            return None;
        }
        self.rest = rest;
        Some(content)
    }

    #[inline(always)]
    fn take(&mut self) -> Result<Field<'a>, Malformed> {
        let start = self.at();
        let (number, wire_type) = self.tag()?;
        let body = self.at();
        let value = match wire_type {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.slice(length)?)
            }
            3 => {
                self.rest = after_group(self.rest, number, 0)?;
                Value::Group
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(Malformed::Tag),
        };
        Ok(Field { number, value, start, body, end: self.at() })
    }

    #[inline(always)]
    fn at(&self) -> usize {
        self.length - self.rest.len()
    }

    #[inline(always)]
    fn tag(&mut self) -> Result<(u32, u8), Malformed> {
        let tag = u32::try_from(self.varint()?).map_err(|_| Malformed::Tag)?;
        let number = tag >> 3;
        if number == 0 {
            return Err(Malformed::Tag);
        }
        Ok((number, (tag & 7).to_le_bytes()[0]))
    }

    #[inline(always)]
    fn varint(&mut self) -> Result<u64, Malformed> {
        let (number, rest) = split_varint(self.rest)?;
        self.rest = rest;
        Ok(number)
    }

    #[inline(always)]
    fn slice(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(length).map_err(|_| Malformed::Truncated)?;
        let (slice, rest) = self.rest.split_at_checked(length).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(slice)
    }

    #[inline(always)]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(*array)
    }
}

/// Passes over a group to its end tag, as prost does with unknown fields.
#[cold]
fn after_group(rest: &[u8], number: u32, depth: usize) -> Result<&[u8], Malformed> {
    if depth >= GROUP_DEPTH_MAX {
        return Err(Malformed::Depth);
    }
    let mut fields = Fields::new(rest);
    loop {
        let (inner, wire_type) = fields.tag()?;
        match wire_type {
            0 => _ = fields.varint()?,
            1 => _ = fields.slice(8)?,
            2 => {
                let length = fields.varint()?;
                fields.slice(length)?;
            }
            3 => fields.rest = after_group(fields.rest, inner, depth + 1)?,
            4 if inner == number => return Ok(fields.rest),
            5 => _ = fields.slice(4)?,
            _ => return Err(Malformed::Tag),
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.take();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> Field<'a> {
    /// The bytes of a length-delimited field.
    ///
    /// # Errors
    /// When the field has another wire type.
    #[inline(always)]
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
    #[inline(always)]
    pub fn text(&self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed::Utf8(self.number))
    }

    /// The bytes of a string field, known to be UTF-8.
    ///
    /// Costs less than [`Field::text`] where no `str` is asked for: most strings are ASCII, which
    /// is told many bytes at a time, while a `str` is checked byte by byte where it is not aligned.
    ///
    /// # Errors
    /// When the field has another wire type, or is not UTF-8.
    #[inline(always)]
    pub fn utf8(&self) -> Result<&'a [u8], Malformed> {
        let bytes = self.bytes()?;
        if bytes.is_ascii() || std::str::from_utf8(bytes).is_ok() {
            Ok(bytes)
        } else {
            Err(Malformed::Utf8(self.number))
        }
    }

    /// The number of a varint or fixed field; a double comes as its bits.
    ///
    /// # Errors
    /// When the field has another wire type.
    #[inline(always)]
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
