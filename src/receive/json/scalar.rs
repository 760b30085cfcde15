//! A JSON scalar as the field that it stands for.

use super::schema::Kind;
use super::sink::Sink;

/// What JSON has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scalar<'a> {
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'a str),
}

/// The whole numbers up to which every `f64` is exact.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// One byte long, which no id is: the record that has it is rejected further on, or loses it, and
/// not the whole request here.
const INVALID_ID: &[u8] = &[0];

/// Writes an id that is none, in place of an object or a list.
pub(super) fn write_invalid_id(number: u32, sink: &mut Sink) -> Result<(), &'static str> {
    sink.room()?;
    sink.tag(number, Kind::Id.wire_type());
    invalid_id(sink);
    Ok(())
}

fn invalid_id(sink: &mut Sink) {
    sink.varint(INVALID_ID.len() as u64);
    sink.raw(INVALID_ID);
}

impl Scalar<'_> {
    /// Writes the field with its tag, or the bare value where `tag` is `None`.
    pub(super) fn write(
        self,
        kind: Kind,
        tag: Option<u32>,
        sink: &mut Sink,
    ) -> Result<(), &'static str> {
        sink.room()?;
        if let Some(number) = tag {
            sink.tag(number, kind.wire_type());
        }
        match kind {
            Kind::Text => self.text(sink)?,
            Kind::Id => self.hex(sink),
            Kind::Bytes => self.base64(sink)?,
            Kind::Bool => {
                let Scalar::Bool(value) = self else { return Err("true or false was expected") };
                sink.varint(value.into());
            }
            Kind::Int32 => sink.varint(i64::from(self.signed_small()?).cast_unsigned()),
            Kind::Int64 => sink.varint(self.signed()?.cast_unsigned()),
            Kind::Uint32 => sink.varint(self.small()?.into()),
            Kind::Uint64 => sink.varint(self.unsigned()?),
            Kind::Zigzag => {
                let value = self.signed_small()?;
                sink.varint(((value << 1) ^ (value >> 31)).cast_unsigned().into());
            }
            Kind::Fixed32 => sink.raw(&self.small()?.to_le_bytes()),
            Kind::Fixed64 => sink.raw(&self.unsigned()?.to_le_bytes()),
            Kind::Signed64 => sink.raw(&self.signed()?.to_le_bytes()),
            Kind::Double => sink.raw(&self.double()?.to_le_bytes()),
            Kind::Enum(named) => {
                let name = if let Scalar::Text(name) = self { named(name) } else { None };
                let value = name.map_or_else(|| self.signed_small(), Ok)?;
                sink.varint(i64::from(value).cast_unsigned());
            }
            Kind::Message(_) => return Err("an object was expected"),
        }
        Ok(())
    }

    fn text(self, sink: &mut Sink) -> Result<(), &'static str> {
        let Scalar::Text(text) = self else { return Err("a string was expected") };
        sink.varint(text.len() as u64);
        sink.raw(text.as_bytes());
        Ok(())
    }

    fn hex(self, sink: &mut Sink) {
        let Scalar::Text(text) = self else { return invalid_id(sink) };
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let is_hex = rest.is_empty() && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !is_hex {
            return invalid_id(sink);
        }
        sink.varint(pairs.len() as u64);
        for [high, low] in pairs {
            sink.raw(&[hex_digit(*high) << 4 | hex_digit(*low)]);
        }
    }

    /// Both alphabets, with or without padding, as JSON protobuf demands of a reader.
    fn base64(self, sink: &mut Sink) -> Result<(), &'static str> {
        let wrong = "base64 was expected";
        let Scalar::Text(text) = self else { return Err(wrong) };
        let digits = text.trim_end_matches('=').as_bytes();
        if digits.len() % 4 == 1 {
            return Err(wrong);
        }
        sink.varint((digits.len() * 3 / 4) as u64);
        for group in digits.chunks(4) {
            let mut bits = 0_u32;
            for at in 0..4 {
                let digit = group.get(at).map_or(Some(0), |digit| base64_digit(*digit));
                bits = bits << 6 | digit.ok_or(wrong)?;
            }
            let [_, bytes @ ..] = bits.to_be_bytes();
            sink.raw(bytes.get(..group.len() * 3 / 4).unwrap_or_default());
        }
        Ok(())
    }

    fn signed(self) -> Result<i64, &'static str> {
        match self {
            Scalar::Signed(value) => Ok(value),
            Scalar::Unsigned(value) => i64::try_from(value).map_err(|_| "the number is too large"),
            Scalar::Text(text) => text.parse().map_err(|_| "a whole number was expected"),
            Scalar::Float(value) => whole(value),
            Scalar::Bool(_) => Err("a number was expected"),
        }
    }

    fn signed_small(self) -> Result<i32, &'static str> {
        i32::try_from(self.signed()?).map_err(|_| "the number is too large")
    }

    fn unsigned(self) -> Result<u64, &'static str> {
        match self {
            Scalar::Unsigned(value) => Ok(value),
            Scalar::Signed(value) => u64::try_from(value).map_err(|_| "the number is negative"),
            Scalar::Text(text) => text.parse().map_err(|_| "a whole number was expected"),
            Scalar::Float(value) => {
                u64::try_from(whole(value)?).map_err(|_| "the number is negative")
            }
            Scalar::Bool(_) => Err("a number was expected"),
        }
    }

    fn small(self) -> Result<u32, &'static str> {
        u32::try_from(self.unsigned()?).map_err(|_| "the number is too large")
    }

    #[expect(clippy::cast_precision_loss, reason = "JSON numbers are doubles to most writers")]
    fn double(self) -> Result<f64, &'static str> {
        match self {
            Scalar::Float(value) => Ok(value),
            Scalar::Signed(value) => Ok(value as f64),
            Scalar::Unsigned(value) => Ok(value as f64),
            // Rust reads "NaN", "Infinity" and "-Infinity" as JSON protobuf writes them.
            Scalar::Text(text) => text.parse().map_err(|_| "a number was expected"),
            Scalar::Bool(_) => Err("a number was expected"),
        }
    }
}

/// `1e3` is a whole number too.
#[expect(clippy::cast_possible_truncation, reason = "the range was checked the line before")]
fn whole(value: f64) -> Result<i64, &'static str> {
    let exact = value.fract() == 0.0 && value.abs() <= EXACT_MAX;
    if exact { Ok(value as i64) } else { Err("a whole number was expected") }
}

/// Of a digit that is one.
fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20).wrapping_sub(b'a').wrapping_add(10),
    }
}

fn base64_digit(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some(value.into())
}
