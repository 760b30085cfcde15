//! The other end of the API: what `hopline search` asks and how it shows the answer.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http::header::AUTHORIZATION;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;

/// An answer of a thousand journeys has room in this.
const ANSWER_BYTES_MAX: usize = 128 << 20;

/// Who is asked.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// `http://host:port` or `https://host:port`.
    pub api: &'a str,
    /// A file that holds the token, for an API that asks for one.
    pub token_file: Option<&'a Path>,
    /// The authorities to trust in place of the system's, in PEM.
    pub ca_file: Option<&'a Path>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is none.
    #[error("{url} is not an address")]
    Address {
        /// What was given.
        url: String,
        /// Why.
        source: http::Error,
    },
    /// A file that was given cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The client cannot speak TLS.
    #[error("no certificate authority is known: {0}")]
    Trust(String),
    /// Nobody answers.
    #[error("no gateway answers at {api}")]
    Unreachable {
        /// Who was asked.
        api: String,
        /// Why.
        source: hyper_util::client::legacy::Error,
    },
    /// The answer broke off, or is no JSON.
    #[error("the gateway's answer cannot be read: {0}")]
    Answer(String),
    /// The gateway says what is wrong.
    #[error("{0}")]
    Refused(String),
}

/// Asks a gateway for the newest journeys that `query` selects; answers the body as it came.
///
/// # Errors
/// When there is no answer, or it says that the query is wrong.
pub async fn search(target: Target<'_>, query: &str, limit: u32) -> Result<Value, Error> {
    let api = target.api.trim_end_matches('/');
    let url = format!("{api}/api/v1/search?limit={limit}&q={}", escaped(query));
    let mut request = Request::get(&url);
    if let Some(path) = target.token_file {
        let token = String::from_utf8_lossy(&read(path)?).trim().to_owned();
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Empty::<Bytes>::new());
    let request = request.map_err(|source| Error::Address { url, source })?;
    let client = Client::builder(TokioExecutor::new()).build(connector(target)?);
    let asked = client.request(request).await;
    let response = asked.map_err(|source| Error::Unreachable { api: api.to_owned(), source })?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| Error::Answer(error.to_string()))?.to_bytes();
    let answer: Value =
        serde_json::from_slice(&body).map_err(|error| Error::Answer(error.to_string()))?;
    if status.is_success() { Ok(answer) } else { Err(Error::Refused(refusal(&answer, query))) }
}

/// Authorities are only looked for when they are needed.
fn connector(target: Target<'_>) -> Result<HttpsConnector<HttpConnector>, Error> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = target.ca_file {
        let pem = read(path)?;
        let found: Vec<_> = CertificateDer::pem_slice_iter(&pem).flatten().collect();
        roots.add_parsable_certificates(found);
    } else if target.api.starts_with("https:") {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err(Error::Trust(format!("{:?}", found.errors)));
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Error::Trust(error.to_string()))?;
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    Ok(HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().build())
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

/// What is wrong, with a mark under the query where it went wrong.
fn refusal(answer: &Value, query: &str) -> String {
    let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut out = text("detail").to_owned();
    if let Some(at) = answer.get("at").and_then(Value::as_u64) {
        let before = query.char_indices().take_while(|(byte, _)| (*byte as u64) < at).count();
        let _infallible = write!(out, "\n  {query}\n  {}^", " ".repeat(before));
    }
    if !text("hint").is_empty() {
        let _infallible = write!(out, "\n  {}", text("hint"));
    }
    out
}

/// One line a journey: when, how it ended, how long, where it came in, its id.
///
/// Control characters are escaped: what a sender wrote must not steer the reader's terminal.
#[must_use]
pub fn table(answer: &Value) -> String {
    let mut out = String::new();
    let hits = answer.get("hits").and_then(Value::as_array);
    for hit in hits.into_iter().flatten() {
        let text = |path: &str| hit.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let number = |path: &str| hit.pointer(path).and_then(Value::as_u64).unwrap_or(0);
        let ms = number("/duration_ns") / 1_000_000;
        let status = match number("/entry/status") {
            0 => "-".to_owned(),
            status => status.to_string(),
        };
        let line = format!(
            "{}  {:12} {status:>3} {ms:>7} ms  {} {} {}  {}",
            clock(number("/start_ns")),
            text("/outcome"),
            text("/entry/service"),
            text("/entry/method"),
            text("/entry/route"),
            text("/id"),
        );
        out.extend(
            line.chars().map(|it| if it.is_control() || is_bidi(it) { '\u{fffd}' } else { it }),
        );
        out.push('\n');
    }
    if out.is_empty() {
        out.push_str("no journey found\n");
    }
    out
}

/// Characters that turn the direction of the text after them.
fn is_bidi(it: char) -> bool {
    matches!(it, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Time of day in UTC, with the date.
fn clock(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let ms = ns / 1_000_000 % 1000;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{ms:03}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

/// Days since 1970 as a date (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_time_is_shown_as_a_date() {
        assert_eq!(clock(1_790_000_000_123_000_000), "2026-09-21T14:13:20.123Z");
        assert_eq!(clock(951_782_400_000_000_000), "2000-02-29T00:00:00.000Z");
    }

    #[test]
    fn what_a_sender_wrote_does_not_steer_the_terminal() {
        let hit = json!({"entry": {"service": "a\u{1b}[2Jb", "route": "c\u{202e}d\ne"}});
        let shown = table(&json!({ "hits": [hit] }));
        assert!(shown.contains("a\u{fffd}[2Jb"), "{shown}");
        assert!(shown.contains("c\u{fffd}d\u{fffd}e"), "{shown}");
    }

    #[test]
    fn a_refusal_points_at_the_place() {
        let answer = json!({"detail": "no such field", "at": 5, "hint": "did you mean status?"});
        let shown = refusal(&answer, "a AND statsu:1");
        assert_eq!(shown, "no such field\n  a AND statsu:1\n       ^\n  did you mean status?");
    }
}
