//! Variable-length numbers.

use super::Malformed;

/// Reads a number at the front of `bytes`; answers it and how many bytes it took.
///
/// # Errors
/// When the number does not end, or has more than 64 bits.
#[inline]
pub fn read_varint(bytes: &[u8]) -> Result<(u64, usize), Malformed> {
    // Nearly every tag and length in OTLP is one byte.
    match bytes.first() {
        Some(&byte) if byte < 0x80 => Ok((u64::from(byte), 1)),
        Some(_) => read_long(bytes),
        None => Err(Malformed::Truncated),
    }
}

fn read_long(bytes: &[u8]) -> Result<(u64, usize), Malformed> {
    let mut number = 0_u64;
    for (at, &byte) in bytes.iter().take(10).enumerate() {
        // The tenth byte has room for one bit.
        if at == 9 && byte > 1 {
            return Err(Malformed::Overlong);
        }
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Ok((number, at + 1));
        }
    }
    Err(if bytes.len() < 10 { Malformed::Truncated } else { Malformed::Overlong })
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
