//! Who a client certificate names: a SPIFFE ID, and which of them are let in.
//!
//! The grammar is that of the SPIFFE ID specification, checked once. What is left is plain text in
//! which a prefix that ends with `/` can only be a prefix of whole segments.

use std::str::FromStr;

use x509_parser::extensions::GeneralName;

use super::auth::{Wrong, is_tenant};

const SCHEME: &str = "spiffe://";

/// The longest that the specification lets an implementation refuse.
const BYTES_MAX: usize = 2048;
const DOMAIN_BYTES_MAX: usize = 255;

/// A SPIFFE ID that is one: `spiffe://domain/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity(String);

/// Which identities are of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub(super) tenant: String,
    pub(super) pattern: Pattern,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// This one.
    Exactly(String),
    /// All whose text begins so; it ends with `/`.
    Below(String),
}

impl Identity {
    pub(super) fn parse(text: &str) -> Option<Self> {
        is_identity(text).then(|| Self(text.to_owned()))
    }

    /// The identity in a certificate that the handshake has verified. There must be exactly one
    /// URI among its names: with two, somebody would have to choose. The common name is none.
    pub(super) fn of_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        let names = certificate.subject_alternative_name().ok()??;
        let mut uris = names.value.general_names.iter().filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
        match (uris.next(), uris.next()) {
            (Some(uri), None) => Self::parse(uri),
            _ => None,
        }
    }
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        let Some(base) = text.strip_suffix("/*") else {
            return is_identity(text).then(|| Self::Exactly(text.to_owned()));
        };
        // The domain may stand alone before the star.
        let probe = format!("{base}/x");
        is_identity(&probe).then(|| Self::Below(format!("{base}/")))
    }

    pub(super) fn matches(&self, Identity(id): &Identity) -> bool {
        match self {
            Self::Exactly(own) => own == id,
            Self::Below(prefix) => id.starts_with(prefix),
        }
    }

    /// The more of an identity a pattern says, the more it counts; the whole of one counts most.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Exactly(_) => usize::MAX,
            Self::Below(prefix) => prefix.len(),
        }
    }
}

impl FromStr for Rule {
    type Err = Wrong;

    /// `tenant spiffe://domain/path`, or `tenant spiffe://domain/some/segments/*`.
    fn from_str(text: &str) -> Result<Self, Wrong> {
        let (tenant, pattern) = text.split_once(' ').ok_or(Wrong)?;
        let pattern = Pattern::parse(pattern.trim_start()).ok_or(Wrong)?;
        let tenant = is_tenant(tenant).then(|| tenant.to_owned()).ok_or(Wrong)?;
        Ok(Self { tenant, pattern })
    }
}

/// Lower-case domain without user and port, at least one segment, none empty, `.` or `..`, no
/// escapes, no query.
fn is_identity(text: &str) -> bool {
    let split = text.strip_prefix(SCHEME).and_then(|rest| rest.split_once('/'));
    let Some((domain, path)) = split.filter(|_| text.len() <= BYTES_MAX) else { return false };
    (1..=DOMAIN_BYTES_MAX).contains(&domain.len())
        && domain.bytes().all(|byte| is_plain(byte) && !byte.is_ascii_uppercase())
        && path.split('/').all(is_segment)
}

fn is_segment(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..") && segment.bytes().all(is_plain)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, id: &str) -> bool {
        let rule: Rule = format!("shop {pattern}").parse().unwrap();
        Identity::parse(id).is_some_and(|id| rule.pattern.matches(&id))
    }

    #[test]
    fn an_identity_is_matched_whole_or_by_whole_segments() {
        let exact = "spiffe://a.example/ns/shop/sa/cart";
        let below = "spiffe://a.example/ns/shop/*";
        let rows = [
            (exact, exact, true),
            (exact, "spiffe://a.example/ns/shop/sa/cart2", false),
            (exact, "spiffe://a.example/ns/shop/sa", false),
            (exact, "spiffe://a.example.evil/ns/shop/sa/cart", false),
            (exact, "spiffe://b.example/ns/shop/sa/cart", false),
            (below, exact, true),
            (below, "spiffe://a.example/ns/shop", false),
            (below, "spiffe://a.example/ns/shopper/sa/cart", false),
            (below, "spiffe://a.example.evil/ns/shop/sa/cart", false),
            ("spiffe://a.example/*", exact, true),
            ("spiffe://a.example/*", "spiffe://a.example.evil/ns", false),
            ("spiffe://a.example/*", "spiffe://a.example/", false),
        ];
        for (pattern, id, expected) in rows {
            assert_eq!(matches(pattern, id), expected, "{pattern} {id}");
        }
    }

    #[test]
    fn what_is_no_identity_is_none() {
        for text in [
            "spiffe://a.example",
            "spiffe://a.example/",
            "spiffe:///ns",
            "spiffe://A.example/ns",
            "SPIFFE://a.example/ns",
            "spiffe://a.example:443/ns",
            "spiffe://user@a.example/ns",
            "spiffe://a.example/ns/../sa",
            "spiffe://a.example/ns//sa",
            "spiffe://a.example/ns/",
            "spiffe://a.example/n%73",
            "spiffe://a.example/ns?x=1",
            "spiffe://a.example/ns#x",
            "https://a.example/ns",
            "spiffe://a.example/ns/*",
            "",
        ] {
            assert_eq!(Identity::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_rule_that_is_none_is_refused() {
        for text in [
            "spiffe://a.example/ns",
            "shop",
            "shop spiffe://a.example",
            "shop spiffe://*",
            "shop spiffe:///*",
            "shop spiffe://a.example/n*",
            "shop spiffe://a.example/*/sa",
            "Shop spiffe://a.example/ns",
            "../x spiffe://a.example/ns",
        ] {
            assert_eq!(text.parse::<Rule>(), Err(Wrong), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_outside_the_segments_of_a_prefix_matches_it(id in "spiffe://[a-c./]{0,12}") {
            let prefix = "spiffe://a/b/";
            prop_assert!(!matches("spiffe://a/b/*", &id) || id.starts_with(prefix));
        }

        #[test]
        fn no_bytes_make_reading_a_certificate_panic(bytes: Vec<u8>) {
            prop_assert_eq!(Identity::of_certificate(&bytes), None);
        }
    }
}
