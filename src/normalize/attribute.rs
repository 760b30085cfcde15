//! The value of one attribute, as far as facts need it.

use crate::wire::{Fields, Malformed, read_varint};

/// A value that is not a list of pairs, and not opaque bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    /// Checked by who reads it: most are compared with a few bytes, or not read at all.
    Text(&'a [u8]),
    Int(i64),
    Double(f64),
    Bool(bool),
}

/// A `KeyValue`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Pair<'a> {
    pub(super) key: &'a [u8],
    /// An encoded `AnyValue`.
    pub(super) value: &'a [u8],
}

/// An array of arrays is not what any convention writes.
const ARRAY_DEPTH_MAX: usize = 2;

/// A pair as nearly every sender writes it: a short key, then a value, then nothing.
#[inline(always)]
pub(super) fn plain_pair(content: &[u8]) -> Option<Pair<'_>> {
    let [0x0a, length @ ..0x80, rest @ ..] = content else { return None };
    let (key, rest) = rest.split_at_checked(usize::from(*length))?;
    let (length, value) = match rest {
        [0x12, length @ ..0x80, value @ ..] => (usize::from(*length), value),
        [0x12, low, high @ ..0x80, value @ ..] => {
            (usize::from(*low & 0x7f) | usize::from(*high) << 7, value)
        }
        _ => return None,
    };
    (length == value.len()).then_some(Pair { key, value })
}

/// Key and value of a `KeyValue`, whichever comes first; the value is not read yet.
pub(super) fn pair(content: &[u8]) -> Result<Pair<'_>, Malformed> {
    let mut pair = Pair::default();
    for field in Fields::new(content) {
        let field = field?;
        match field.number {
            1 => pair.key = field.bytes()?,
            2 => pair.value = field.bytes()?,
            _ => {}
        }
    }
    Ok(pair)
}

/// The value of an `AnyValue`.
#[inline(always)]
pub(super) fn value(content: &[u8]) -> Result<Option<Scalar<'_>>, Malformed> {
    match content {
        [0x0a, length @ ..0x80, text @ ..] if usize::from(*length) == text.len() => {
            Ok(Some(Scalar::Text(text)))
        }
        [0x18, number @ ..] => match read_varint(number)? {
            (int, length) if length == number.len() => Ok(Some(Scalar::Int(int.cast_signed()))),
            _ => scalar(content, 0),
        },
        _ => scalar(content, 0),
    }
}

/// The value of any `AnyValue`. Of an array, such as a header's values, the first counts.
fn scalar(content: &[u8], depth: usize) -> Result<Option<Scalar<'_>>, Malformed> {
    let mut out = None;
    for field in Fields::new(content) {
        let field = field?;
        out = match field.number {
            1 => Some(Scalar::Text(field.bytes()?)),
            2 => Some(Scalar::Bool(field.number()? != 0)),
            3 => Some(Scalar::Int(field.number()?.cast_signed())),
            4 => Some(Scalar::Double(f64::from_bits(field.number()?))),
            5 if depth < ARRAY_DEPTH_MAX => first(field.bytes()?, depth)?,
            _ => out,
        };
    }
    Ok(out)
}

fn first(array: &[u8], depth: usize) -> Result<Option<Scalar<'_>>, Malformed> {
    match Fields::new(array).next() {
        Some(first) => scalar(first?.bytes()?, depth + 1),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes that are often nearly a pair, or nearly a value.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(0x0a), Just(0x12), Just(0x18), 0_u8..6, 0x7e_u8..0x83];
        prop::collection::vec(byte, 0..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn the_usual_form_of_a_pair_reads_as_any_form(bytes in bytes()) {
            if let Some(plain) = plain_pair(&bytes) {
                prop_assert_eq!(pair(&bytes), Ok(plain));
            }
        }

        #[test]
        fn the_usual_forms_of_a_value_read_as_any_form(bytes in bytes()) {
            prop_assert_eq!(value(&bytes), scalar(&bytes, 0));
        }
    }
}
