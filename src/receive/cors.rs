//! Pages of other sites that may send OTLP: a browser asks first, and reads the answer to that.

use std::time::Duration;

use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// Which pages may send OTLP over HTTP, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// None are let in when there is none.
    pub origins: Vec<Origin>,
    /// Headers that a page may send beside those that OTLP needs; `*` is any.
    pub headers: Vec<String>,
    /// How long a browser may remember the answer.
    pub max_age: Duration,
}

/// `https://shop.example.com`, where one `*` is any letters, digits, dots and dashes; or `*` alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

impl Default for Cors {
    fn default() -> Self {
        Self { origins: Vec::new(), headers: Vec::new(), max_age: Duration::from_secs(600) }
    }
}

impl Origin {
    /// `None` for what no browser says where it comes from: an origin has a scheme and a host, and
    /// nothing after the port.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let rest = text.strip_prefix("https://").or(text.strip_prefix("http://"));
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]*".contains(&byte);
        let is_one = |rest: &str| {
            !rest.is_empty() && rest.bytes().all(is_host) && rest.matches('*').count() <= 1
        };
        (text == "*" || rest.is_some_and(is_one)).then_some(Self(text))
    }

    fn is(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        let Some((start, end)) = self.0.split_once('*') else { return self.0 == origin };
        if start.is_empty() && end.is_empty() {
            return true;
        }
        let middle = origin.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
        middle.is_some_and(|middle| !middle.is_empty() && middle.bytes().all(is_part))
    }
}

impl Cors {
    /// `None` when no page may send.
    pub(super) fn layer(&self) -> Option<CorsLayer> {
        if self.origins.is_empty() {
            return None;
        }
        let origins = self.origins.clone();
        let is_allowed = move |origin: &HeaderValue| {
            origin.to_str().is_ok_and(|origin| origins.iter().any(|it| it.is(origin)))
        };
        let named = self.headers.iter().filter_map(|name| HeaderName::try_from(name.as_str()).ok());
        let headers = if self.headers.iter().any(|name| name == "*") {
            AllowHeaders::mirror_request()
        } else {
            AllowHeaders::list(named.chain([CONTENT_TYPE, CONTENT_ENCODING]))
        };
        let layer = CorsLayer::new()
            .allow_origin(AllowOrigin::predicate(move |origin, _| is_allowed(origin)))
            .allow_methods([Method::POST])
            .allow_headers(headers)
            .expose_headers([RETRY_AFTER])
            // A beacon always sends the cookies of a site. The doors read none.
            .allow_credentials(true)
            .max_age(self.max_age);
        Some(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        let good = ["*", "https://a.example", "http://localhost:3000", "https://*.example.com"];
        for text in good {
            assert_eq!(Origin::parse(text), Some(Origin(text.to_owned())));
        }
        for text in
            ["", "example.com", "ftp://a", "https://", "https://a/b", "https://*.*.a", "null"]
        {
            assert_eq!(Origin::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_star_stands_for_names_and_not_for_the_end_of_one() {
        let rows = [
            ("https://*.example.com", "https://a.example.com", true),
            ("https://*.example.com", "https://a.b.example.com", true),
            ("https://*.EXAMPLE.com", "HTTPS://a.example.com", true),
            ("https://*.example.com", "https://example.com", false),
            ("https://*.example.com", "https://.example.com", false),
            ("https://*.example.com", "http://a.example.com", false),
            ("https://*.example.com", "https://a.example.com.evil", false),
            ("https://*.example.com", "https://evil/.example.com", false),
            ("https://*.example.com", "https://evil:1@a.example.com", false),
            ("https://*.example.com", "https://a.example.com:8443", false),
            ("http://localhost:*", "http://localhost:3000", true),
            ("http://localhost:*", "http://localhost", false),
            ("https://a.example", "https://a.example", true),
            ("https://a.example", "https://b.example", false),
            ("*", "null", true),
        ];
        for (pattern, origin, is_one) in rows {
            assert_eq!(Origin::parse(pattern).unwrap().is(origin), is_one, "{pattern} {origin}");
        }
    }
}
