//! What `hopline search` asks, and how it shows the answer.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use super::show::{clock, plain};
use super::{Error, Target, refusal};

/// Searches that wait for others take their time.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Asks a gateway for the newest journeys that `query` selects; answers the body as it came.
///
/// # Errors
/// When there is no answer, or it says that the query is wrong.
pub async fn search(target: &Target, query: &str, limit: u32) -> Result<Value, Error> {
    let path = format!("/api/v1/search?limit={limit}&q={}", escaped(query));
    let (status, answer) = target.get(&path, TIMEOUT).await?;
    if status.is_success() { Ok(answer) } else { Err(Error::Refused(explained(&answer, query))) }
}

/// What is wrong, with a mark under the query where it went wrong.
fn explained(answer: &Value, query: &str) -> String {
    let mut out = refusal(answer);
    if let Some(at) = answer.get("at").and_then(Value::as_u64) {
        let before = query.char_indices().take_while(|(byte, _)| (*byte as u64) < at).count();
        let _infallible = write!(out, "\n  {query}\n  {}^", " ".repeat(before));
    }
    if let Some(hint) = answer.get("hint").and_then(Value::as_str).filter(|it| !it.is_empty()) {
        let _infallible = write!(out, "\n  {}", plain(hint));
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
        out.push_str(&plain(&line));
        out.push('\n');
    }
    if out.is_empty() {
        out.push_str("no journey found\n");
    }
    out
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
    fn what_a_sender_wrote_does_not_steer_the_terminal() {
        let hit = json!({"entry": {"service": "a\u{1b}[2Jb", "route": "c\u{202e}d\ne"}});
        let shown = table(&json!({ "hits": [hit] }));
        assert!(shown.contains("a\u{fffd}[2Jb"), "{shown}");
        assert!(shown.contains("c\u{fffd}d\u{fffd}e"), "{shown}");
    }

    #[test]
    fn a_refusal_points_at_the_place() {
        let answer = json!({"detail": "no such field", "at": 5, "hint": "did you mean status?"});
        let shown = explained(&answer, "a AND statsu:1");
        assert_eq!(shown, "no such field\n  a AND statsu:1\n       ^\n  did you mean status?");
    }
}
