//! How long a sender waits for its answer.

use std::time::Duration;

use axum::http::HeaderMap;
use tokio::time::{Instant, timeout_at};

use super::Denial;
use crate::ledger::Refusal;

/// When the sender of a request stops waiting, if it said so.
///
/// A request is given up at its deadline until it goes on to the log; from there it is finished,
/// since what may be in the log already cannot be taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Deadline(Option<Instant>);

impl Deadline {
    /// What `grpc-timeout` says. What is no timeout is no deadline.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let text = headers.get("grpc-timeout").and_then(|value| value.to_str().ok());
        // One that is past what the clock can say never comes.
        Self(text.and_then(timeout).and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    /// The earlier of this and `other`.
    pub(super) fn or_earlier(self, other: Instant) -> Instant {
        self.0.map_or(other, |own| own.min(other))
    }

    /// Waits for what may take long, no longer than until it is over.
    pub(super) async fn within<T>(self, wait: impl Future<Output = T>) -> Result<T, Denial> {
        let Some(end) = self.0 else { return Ok(wait.await) };
        timeout_at(end, wait).await.map_err(|_| over())
    }

    /// Asked before each piece of work that nobody may wait for any more.
    pub(super) fn check(self) -> Result<(), Denial> {
        if self.0.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(over());
        }
        Ok(())
    }
}

fn over() -> Denial {
    Denial::new(Refusal::Deadline, "the deadline of the request is over")
}

/// At most eight digits and a unit, as gRPC over HTTP/2 writes it.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let is_number = (1..=8).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_digit());
    let count: u64 = digits.parse().ok().filter(|_| is_number)?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_timeout_is_up_to_eight_digits_and_a_unit() {
        let rows = [
            ("2H", Some(7_200_000_000_000)),
            ("3M", Some(180_000_000_000)),
            ("4S", Some(4_000_000_000)),
            ("5m", Some(5_000_000)),
            ("6u", Some(6000)),
            ("7n", Some(7)),
            ("0n", Some(0)),
            ("99999999H", Some(359_999_996_400_000_000_000)),
            ("123456789S", None),
            ("", None),
            ("S", None),
            ("5", None),
            ("5s", None),
            ("-5S", None),
            ("+5S", None),
            ("5 S", None),
            ("5.5S", None),
            ("5€", None),
        ];
        for (text, nanos) in rows {
            assert_eq!(timeout(text).map(|it| it.as_nanos()), nanos, "{text}");
        }
    }

    #[test]
    fn what_is_no_timeout_is_no_deadline() {
        for value in [&b"soon"[..], b"\xff", b"", b"1e3S"] {
            let value = HeaderValue::from_bytes(value).unwrap();
            let headers = HeaderMap::from_iter([("grpc-timeout".parse().unwrap(), value)]);
            assert_eq!(Deadline::of(&headers), Deadline::default());
        }
        assert_eq!(Deadline::default().check(), Ok(()));
    }
}
