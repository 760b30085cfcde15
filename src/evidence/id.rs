//! Identifiers that come from outside, checked once.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};

/// A W3C trace id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(NonZeroU128);

/// A span id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(NonZeroU64);

/// Names one journey: the trace id where there is one, else a digest of the weak key or place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JourneyId(pub u128);

impl TraceId {
    /// `None` for a wrong length, and for all zeros, which OTLP calls invalid.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let id = u128::from_be_bytes(bytes.try_into().ok()?);
        NonZeroU128::new(id).map(Self)
    }

    /// Reads 32 hex digits, or the 16 of a 64-bit B3 id, in either case.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let long = text.len() == 32 || text.len() == 16;
        (long && is_hex(text)).then_some(())?;
        NonZeroU128::new(u128::from_str_radix(text, 16).ok()?).map(Self)
    }

    /// The id as OTLP writes it.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.get().to_be_bytes()
    }
}

impl SpanId {
    /// `None` for a wrong length, and for all zeros, which OTLP calls invalid.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let id = u64::from_be_bytes(bytes.try_into().ok()?);
        NonZeroU64::new(id).map(Self)
    }

    /// Reads 16 hex digits in either case.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        (text.len() == 16 && is_hex(text)).then_some(())?;
        NonZeroU64::new(u64::from_str_radix(text, 16).ok()?).map(Self)
    }

    /// The id as OTLP writes it.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.get().to_be_bytes()
    }
}

impl JourneyId {
    /// Reads 32 hex digits in either case.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        (text.len() == 32 && is_hex(text)).then_some(())?;
        u128::from_str_radix(text, 16).ok().map(Self)
    }
}

impl From<TraceId> for JourneyId {
    fn from(id: TraceId) -> Self {
        Self(id.0.get())
    }
}

/// `from_str_radix` alone would also take a sign.
fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl fmt::Display for TraceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", self.0)
    }
}

impl fmt::Display for JourneyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl fmt::Debug for JourneyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_id_of_zeros_is_no_trace_id() {
        assert_eq!(TraceId::from_slice(&[0; 16]), None);
        assert_eq!(TraceId::from_hex("00000000000000000000000000000000"), None);
    }

    #[test]
    fn a_sign_is_not_a_hex_digit() {
        assert_eq!(SpanId::from_hex("+123456789abcdef"), None);
    }

    #[test]
    fn a_short_b3_id_is_padded_on_the_left() {
        let id = TraceId::from_hex("463ac35c9f6413ad").map(|id| id.to_string());
        assert_eq!(id.as_deref(), Some("0000000000000000463ac35c9f6413ad"));
    }
}
