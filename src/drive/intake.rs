//! From a door to the log: redact, append, answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::spawn_blocking;

use super::now;
use crate::evidence::{Digest, Head};
use crate::ledger::{Ledger, Refusal};
use crate::log::Log;
use crate::receive::{Handle, Raw, Reply};
use crate::redact::{Clean, Policy, Tally};
use crate::serve::Redacted;
use crate::wire::Malformed;

/// More than this takes longer than half a millisecond, and leaves the async threads.
const INLINE_BYTES: usize = 256 << 10;

/// Spans, log records or points in one request. An empty span has two bytes, and costs a hundred
/// later on.
const ITEMS_MAX: u64 = 250_000;

/// What intake works with.
struct Intake {
    policy: Arc<Policy>,
    log: Log,
    ledger: Arc<Ledger>,
    redacted: Arc<Redacted>,
    /// When a refusal was logged last.
    warned: AtomicU64,
}

/// What the doors hand their requests to.
pub(crate) fn intake(
    policy: Policy,
    log: Log,
    ledger: Arc<Ledger>,
    redacted: Arc<Redacted>,
) -> Handle {
    let intake = Arc::new(Intake {
        policy: Arc::new(policy),
        log,
        ledger,
        redacted,
        warned: AtomicU64::new(0),
    });
    Arc::new(move |raw| {
        let intake = Arc::clone(&intake);
        Box::pin(async move { intake.admit(raw).await })
    })
}

impl Intake {
    async fn admit(&self, raw: Raw) -> Reply {
        let signal = raw.signal;
        let (clean, tally) = match self.clean(raw).await {
            Ok(cleaned) => cleaned,
            Err(malformed) => {
                let message = malformed.to_string();
                return Reply::Refused { refusal: Refusal::Malformed, message };
            }
        };
        let items = u64::from(clean.head().items);
        if items == 0 {
            return Reply::Accepted;
        }
        self.ledger.received(signal, items);
        if items > ITEMS_MAX {
            self.ledger.refused(signal, Refusal::TooLarge, items);
            let message = format!("the request has {items} items; at most {ITEMS_MAX} are taken");
            return Reply::Refused { refusal: Refusal::TooLarge, message };
        }
        match self.log.append(clean).await {
            Ok(_) => {
                self.ledger.admitted(signal, items);
                self.count(tally);
                Reply::Accepted
            }
            Err(refusal) => {
                self.ledger.refused(signal, refusal, items);
                self.warn(refusal);
                Reply::Refused { refusal, message: why(refusal).to_owned() }
            }
        }
    }

    async fn clean(&self, raw: Raw) -> Result<(Clean, Tally), Malformed> {
        let head = Head {
            signal: raw.signal,
            source: raw.source,
            tenant: raw.tenant,
            received: now(),
            items: 0,
            policy: 0,
            digest: Digest::default(),
        };
        if raw.bytes.len() <= INLINE_BYTES {
            return self.policy.clean(head, &raw.bytes);
        }
        let policy = Arc::clone(&self.policy);
        let cleaned = spawn_blocking(move || policy.clean(head, &raw.bytes)).await;
        cleaned.expect("cleaning neither panics nor is it cancelled")
    }

    /// Once a minute: a full log refuses every request.
    fn warn(&self, refusal: Refusal) {
        const INTERVAL_NS: u64 = 60_000_000_000;
        let now = now().0;
        let last = self.warned.load(Ordering::Relaxed);
        let is_due = now.saturating_sub(last) >= INTERVAL_NS;
        let wins = || self.warned.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed);
        if is_due && wins().is_ok() {
            tracing::warn!(reason = refusal.name(), why = why(refusal), "requests are refused");
        }
    }

    fn count(&self, tally: Tally) {
        self.redacted.by_key.fetch_add(tally.by_key, Ordering::Relaxed);
        self.redacted.by_url.fetch_add(tally.by_url, Ordering::Relaxed);
        self.redacted.by_form.fetch_add(tally.by_form, Ordering::Relaxed);
    }
}

fn why(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Malformed => "the request is malformed",
        Refusal::TooLarge => "the request is larger than the log takes",
        Refusal::Busy => "the log's queue is full",
        Refusal::Memory => "the gateway has hardly any memory left",
        Refusal::Slow => "the body comes too slowly",
        Refusal::Deadline => "the deadline is over",
        Refusal::LogFull => {
            "the log is full: a destination or the index is behind, or the disk is full"
        }
        Refusal::LogFailed => "the log cannot be written",
        Refusal::Closing => "the gateway is shutting down",
    }
}
