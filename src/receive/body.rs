//! A request's body, read to its end within bounds.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::budget::Hold;
use super::deadline::Deadline;
use super::intake::{CLAIM_BYTES_MAX, too_large};
use super::{Denial, Settings};
use crate::ledger::Refusal;

/// How fast a body has to come. A slow one holds its part of the budget all the time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    start: Instant,
    timeout: Duration,
    grace: Duration,
    bytes_per_second_min: usize,
    deadline: Deadline,
}

impl Pace {
    /// From now on.
    pub(super) fn new(settings: &Settings, deadline: Deadline) -> Self {
        Self {
            start: Instant::now(),
            timeout: settings.body_timeout,
            grace: settings.body_grace,
            bytes_per_second_min: settings.body_rate_min,
            deadline,
        }
    }

    /// When the next bytes must have come, after `received`.
    fn due(&self, received: usize) -> Instant {
        let earned = received as u64 * 1000 / (self.bytes_per_second_min as u64).max(1);
        let at_rate = self.grace.saturating_add(Duration::from_millis(earned));
        let patience =
            if self.bytes_per_second_min == 0 { self.timeout } else { self.timeout.min(at_rate) };
        self.deadline.or_earlier(self.start + patience)
    }

    /// What to say when they have not.
    fn missed(&self) -> Denial {
        let slow = Denial::new(Refusal::Slow, "the body comes too slowly");
        self.deadline.check().err().unwrap_or(slow)
    }
}

/// What the first bytes of a body say of its length, if they say anything.
type Claim = fn(&[u8]) -> Option<usize>;

/// The whole body: at most `limit` bytes, at the pace that is asked for.
///
/// Memory is reserved by what has come, or by what was claimed as far as claims count, and each
/// step is held first. `claim` reads what the first bytes say of the whole.
pub(super) async fn collect(
    mut body: Body,
    limit: usize,
    pace: Pace,
    claim: Claim,
    hold: &mut Hold,
) -> Result<Bytes, Denial> {
    let mut whole = Vec::new();
    let said = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
    loop {
        let next = timeout_at(pace.due(whole.len()), body.frame()).await;
        let Some(frame) = next.map_err(|_| pace.missed())? else { break };
        let broken = |_| Denial::new(Refusal::Malformed, "the body broke off");
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        let needed = whole.len() + data.len();
        if needed > limit {
            return Err(too_large(limit));
        }
        if needed > whole.capacity() {
            let first = if whole.is_empty() { &data[..] } else { &whole[..] };
            // Who sends more than was claimed is treated as if nothing had been.
            let claimed = said.or_else(|| claim(first)).filter(|it| needed <= *it);
            let at_once = claimed.unwrap_or(0).min(CLAIM_BYTES_MAX);
            let most = claimed.unwrap_or(limit).min(limit);
            let capacity = needed.max(most.min(at_once.max(whole.capacity() * 2)));
            hold.grow(capacity)?;
            whole.reserve_exact(capacity - whole.len());
        }
        whole.extend_from_slice(&data);
    }
    Ok(Bytes::from(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(rate: usize) -> Pace {
        Pace {
            start: Instant::now(),
            timeout: Duration::from_secs(30),
            grace: Duration::from_secs(10),
            bytes_per_second_min: rate,
            deadline: Deadline::default(),
        }
    }

    fn patience(pace: &Pace, received: usize) -> u64 {
        (pace.due(received) - pace.start).as_secs()
    }

    #[test]
    fn each_kilobyte_earns_a_second_after_the_grace_up_to_the_timeout() {
        let pace = pace(1024);
        assert_eq!([0, 1024, 5 << 10, 1 << 30].map(|it| patience(&pace, it)), [10, 11, 15, 30]);
    }

    #[test]
    fn without_a_rate_only_the_timeout_counts() {
        assert_eq!([0, 1 << 30].map(|it| patience(&pace(0), it)), [30, 30]);
    }
}
