//! Reads a value as the kind of its field wants it.

use super::Error;
use super::field::Field;
use crate::evidence::{Comparison, JourneyId, Literal, RequestKey, TraceId};
use crate::index::Kind;

/// Units of duration and their nanoseconds, longest first.
pub(super) const UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// One value, not a range.
pub(super) fn literal(field: Field, text: &str, at: usize) -> Result<Literal, Error> {
    if text.is_empty() {
        let hint = format!("write {}:* for any value", field.name);
        return Err(Error::new(at, "the value is empty").hint(hint));
    }
    match field.kind {
        Kind::Text => Ok(Literal::Text(text.to_owned())),
        Kind::Number | Kind::Duration => number(field, text, at).map(Literal::Number),
        Kind::Flag if text.eq_ignore_ascii_case("true") => Ok(Literal::Flag(true)),
        Kind::Flag if text.eq_ignore_ascii_case("false") => Ok(Literal::Flag(false)),
        Kind::Flag => Err(expected(field, "true or false", text, at)),
        Kind::Id => {
            id(text).map(Literal::Id).ok_or_else(|| expected(field, "32 hex digits", text, at))
        }
        Kind::Request if RequestKey::new(text).is_some() => Ok(Literal::Text(text.to_owned())),
        Kind::Request => Err(expected(field, "a request id", text, at)),
    }
}

/// A number of a field that has an order.
pub(super) fn number(field: Field, text: &str, at: usize) -> Result<u64, Error> {
    match field.kind {
        Kind::Number => digits(text).ok_or_else(|| expected(field, "a number", text, at)),
        Kind::Duration => duration(text).ok_or_else(|| {
            expected(field, "a duration", text, at)
                .hint("write it with a unit, such as 1.5s or 250ms")
        }),
        Kind::Text | Kind::Flag | Kind::Id | Kind::Request => {
            let message = format!("{} has no order", field.name);
            Err(Error::new(at, message).hint("compare it with : or !="))
        }
    }
}

/// `5xx`: the whole class of a status code.
pub(super) fn class(field: Field, text: &str) -> Option<(u64, u64)> {
    let digit = text.to_ascii_lowercase().strip_suffix("xx").and_then(digits)?;
    let first = digit.checked_mul(100)?;
    (field.name == "status" && (1..=5).contains(&digit)).then_some((first, first + 99))
}

/// A value that ends in a star.
pub(super) fn starts_with(field: Field, text: &str, at: usize) -> Result<Comparison, Error> {
    if text.is_empty() {
        return Ok(Comparison::Exists);
    }
    if field.kind == Kind::Text {
        return Ok(Comparison::StartsWith(text.to_owned()));
    }
    let error = Error::new(at, format!("{} can only be compared whole", field.name));
    Err(if field.name == "status" { error.hint("write status:5xx or a range") } else { error })
}

/// 32 hex digits, the 16 of a short trace id, or a UUID.
pub(super) fn id(text: &str) -> Option<u128> {
    let dashes: Vec<usize> = text.match_indices('-').map(|(at, _)| at).collect();
    if text.len() == 36 && dashes == [8, 13, 18, 23] {
        return JourneyId::from_hex(&text.replace('-', "")).map(|id| id.0);
    }
    let short = (text.len() == 16).then(|| TraceId::from_hex(text)).flatten();
    short.map(|id| JourneyId::from(id).0).or_else(|| JourneyId::from_hex(text).map(|id| id.0))
}

/// `u64::from_str` alone would also take a sign.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Exact to the nanosecond: no fraction goes through a float.
fn duration(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let (amount, unit) = text.split_at_checked(split)?;
    let unit = if unit == "µs" { "us" } else { unit };
    let (_, nanos) = UNITS.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(unit))?;
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, "0"));
    if fraction.len() > 9 {
        return None;
    }
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let (whole, fraction) = (digits_of(whole)?, digits_of(fraction)?);
    let total =
        u128::from(whole) * u128::from(nanos) + u128::from(fraction) * u128::from(nanos) / scale;
    u64::try_from(total).ok()
}

fn digits_of(text: &str) -> Option<u64> {
    (!text.is_empty()).then(|| digits(text)).flatten()
}

fn expected(field: Field, what: &str, got: &str, at: usize) -> Error {
    Error::new(at, format!("{} expects {what}, got {got:?}", field.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_exactly_in_every_unit() {
        let read = ["1.5s", "250ms", "80us", "80µs", "7ns", "2m", "1h", "0.1s"].map(duration);
        let nanos = [
            1_500_000_000,
            250_000_000,
            80_000,
            80_000,
            7,
            120_000_000_000,
            3_600_000_000_000,
            100_000_000,
        ];
        assert_eq!(read, nanos.map(Some));
    }

    #[test]
    fn what_is_no_duration_is_none() {
        for text in ["5", "s", ".5s", "1.s", "1.2.3s", "-1s", "1d", "99999999999h", "1.0000000001s"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn an_id_is_read_with_dashes_and_short() {
        let long = id("0af76519-16cd-43dd-8448-eb211c80319c");
        assert_eq!(long, id("0AF7651916CD43DD8448EB211C80319C"));
        assert_eq!(id("00000000000000ff"), Some(255));
        assert_eq!(id("0af7-6519"), None);
    }
}
