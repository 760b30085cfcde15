//! Variable-length numbers.

use super::Malformed;

/// Reads a number at the front of `bytes`; answers it and how many bytes it took.
///
/// # Errors
/// When the number does not end, or has more than 64 bits.
#[inline]
pub fn read_varint(bytes: &[u8]) -> Result<(u64, usize), Malformed> {
    let (number, rest) = split_varint(bytes)?;
    Ok((number, bytes.len() - rest.len()))
}

/// A number, and what comes behind it.
type Split<'a> = Result<(u64, &'a [u8]), Malformed>;

/// Reads a number at the front of `bytes`.
#[inline(always)]
pub(super) fn split_varint(bytes: &[u8]) -> Split<'_> {
    // Nearly every tag and length in OTLP is one byte; ports, codes and spans have two.
    match bytes {
        [byte, rest @ ..] if *byte < 0x80 => Ok((u64::from(*byte), rest)),
        [low, high, rest @ ..] if *high < 0x80 => {
            Ok((u64::from(low & 0x7f) | u64::from(*high) << 7, rest))
        }
        _ => split_long(bytes),
    }
}

#[inline(never)]
fn split_long(bytes: &[u8]) -> Split<'_> {
    let (mut number, mut shift, mut rest) = (0, 0, bytes);
    while let [byte, after @ ..] = rest {
        // The tenth byte has room for one bit.
        if shift == 63 && *byte > 1 {
            return Err(Malformed::Overlong);
        }
        number |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Ok((number, after));
        }
        (shift, rest) = (shift + 7, after);
    }
    Err(Malformed::Truncated)
}

/// Appends a number in its shortest form.
#[inline]
pub fn write_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(low_bits(number) | 0x80);
        number >>= 7;
    }
    out.push(low_bits(number));
}

/// How many bytes [`write_varint`] takes for a number.
#[inline]
#[must_use]
pub fn encoded_len(number: u64) -> usize {
    let bits = 64 - (number | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

fn low_bits(number: u64) -> u8 {
    (number & 0x7f) as u8
}
