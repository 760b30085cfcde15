//! From a door to the log: redact, append, answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::RwLock;
use tokio::task::spawn_blocking;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::delivered::Delivered;
use super::now;
use super::repeats::{Claim, Kept, Repeats};
use crate::evidence::{Digest, Head, Signal, Tenant};
use crate::ledger::{Ledger, Refusal};
use crate::log::{Log, Packed};
use crate::receive::{Handle, INLINE_BYTES, Raw, Reply, Turn};
use crate::redact::{Cut, Policy, Rejected, Tally};
use crate::serve::Redacted;
use crate::wire::Malformed;

/// The digest of more takes long enough to leave the async threads.
const DIGEST_BYTES: usize = 2 << 20;

/// What stands between the doors and the log.
pub(crate) struct Intake {
    /// Replaced as a whole when the settings are read again.
    pub(crate) policy: Arc<ArcSwap<Policy>>,
    pub(crate) log: Log,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) redacted: Arc<Redacted>,
    /// Spans, log records or points in one request.
    pub(crate) items_max: u64,
    /// Read-locked from before a request is in the log until it is counted there.
    pub(crate) admitting: Arc<RwLock<()>>,
    /// `None` when each request is taken for a new one.
    pub(crate) repeats: Option<Repeats>,
    /// `None` when the log's word is enough for an OK.
    pub(crate) end_to_end: Option<EndToEnd>,
    /// When a refusal was logged last.
    pub(crate) warned: AtomicU64,
}

/// An OK waits for the destinations.
pub(crate) struct EndToEnd {
    pub(crate) delivered: Arc<Delivered>,
    pub(crate) timeout: Duration,
}

impl Intake {
    /// What the doors hand their requests to.
    pub(crate) fn handle(self) -> Handle {
        let intake = Arc::new(self);
        Arc::new(move |raw, turn| {
            let intake = Arc::clone(&intake);
            Box::pin(async move { intake.admit(raw, turn).await })
        })
    }

    async fn admit(&self, raw: Raw, mut turn: Turn) -> Reply {
        let (signal, source, digest) = (raw.signal, raw.source, digest_of(&raw).await);
        let pending = match &self.repeats {
            None => None,
            Some(repeats) => match claim(repeats, digest, &mut turn).await {
                Claim::First(pending) => Some(pending),
                Claim::Again(kept) => {
                    let all = kept.items + kept.rejected.total();
                    self.ledger.received(signal, all);
                    self.ledger.came_from(source, all);
                    self.ledger.refused(signal, Refusal::Invalid, kept.rejected.total());
                    self.ledger.repeated(signal, kept.items);
                    return self.settled(kept).await;
                }
            },
        };
        match self.keep(raw, turn, digest).await {
            Err(reply) => reply,
            Ok(kept) => {
                if let Some(pending) = pending {
                    pending.keep(kept, now());
                }
                self.settled(kept).await
            }
        }
    }

    /// Cleans a request and appends it; or says why not.
    async fn keep(&self, raw: Raw, turn: Turn, digest: Digest) -> Result<Kept, Reply> {
        let signal = raw.signal;
        let cleaned = self.clean(raw, digest).await;
        drop(turn);
        let (packed, tally) =
            cleaned.map_err(|malformed| refused(Refusal::Malformed, malformed.to_string()))?;
        let (items, rejected) = (u64::from(packed.head().items), tally.rejected);
        let all = items + rejected.total();
        self.ledger.received(signal, all);
        self.ledger.came_from(packed.head().source, all);
        if all > self.items_max {
            self.ledger.refused(signal, Refusal::TooLarge, all);
            let max = self.items_max;
            let message = format!("the request has {all} items; at most {max} are taken");
            return Err(refused(Refusal::TooLarge, message));
        }
        self.ledger.refused(signal, Refusal::Invalid, rejected.total());
        if items == 0 {
            return Err(reply(&rejected));
        }
        let admitting = self.admitting.read().await;
        let appended = self.log.append(packed).await;
        if appended.is_ok() {
            self.ledger.admitted(signal, items);
        }
        drop(admitting);
        match appended {
            Ok(position) => {
                self.count(tally);
                Ok(Kept { position, items, rejected })
            }
            Err(refusal) => {
                self.ledger.refused(signal, refusal, items);
                self.warn(refusal);
                Err(refused(refusal, why(refusal).to_owned()))
            }
        }
    }

    /// The answer for what is in the log, when it may be given.
    async fn settled(&self, kept: Kept) -> Reply {
        if let Some(EndToEnd { delivered, timeout }) = &self.end_to_end {
            let waited = tokio::time::timeout(*timeout, delivered.wait(kept.position)).await;
            if waited.is_err() {
                self.warn(Refusal::Undelivered);
                return refused(Refusal::Undelivered, why(Refusal::Undelivered).to_owned());
            }
        }
        reply(&kept.rejected)
    }

    /// What is in a request without its secrets, ready for the log.
    async fn clean(&self, raw: Raw, digest: Digest) -> Result<(Packed, Tally), Malformed> {
        let is_small = raw.bytes.len() <= INLINE_BYTES;
        let head = Head {
            signal: raw.signal,
            source: raw.source,
            tenant: raw.tenant,
            received: now(),
            items: 0,
            policy: 0,
            digest,
        };
        let log = self.log.clone();
        let clean = move |policy: &Policy| {
            let (clean, tally) = policy.clean(head, &raw.bytes)?;
            Ok((log.pack(&clean), tally))
        };
        // What is small goes on where it was inflated, at once: so few are in memory twice.
        if is_small {
            return clean(&self.policy.load());
        }
        let policy = self.policy.load_full();
        let cleaned = spawn_blocking(move || clean(&policy)).await;
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
        self.redacted.mended.fetch_add(tally.mended, Ordering::Relaxed);
        for (kind, count) in Cut::ALL.into_iter().zip(&self.redacted.cut) {
            count.fetch_add(tally.cut.of(kind), Ordering::Relaxed);
        }
        self.redacted.edited.fetch_add(tally.edited, Ordering::Relaxed);
        self.redacted.uncopied.fetch_add(tally.uncopied, Ordering::Relaxed);
    }
}

/// What is not rejected is in the log.
fn reply(rejected: &Rejected) -> Reply {
    match rejected.total() {
        0 => Reply::Accepted,
        total => Reply::Partial { rejected: total, message: rejected.message() },
    }
}

fn refused(refusal: Refusal, message: String) -> Reply {
    Reply::Refused { refusal, message }
}

/// Who has to wait for another request gives its turn away: the other one may need it.
async fn claim(repeats: &Repeats, digest: Digest, turn: &mut Turn) -> Claim {
    let mut claim = std::pin::pin!(repeats.claim(digest, now()));
    tokio::select! {
        biased;
        claim = &mut claim => return claim,
        () = std::future::ready(()) => *turn = Turn::default(),
    }
    claim.await
}

async fn digest_of(raw: &Raw) -> Digest {
    let (bytes, tenant, signal) = (raw.bytes.clone(), raw.tenant, raw.signal);
    if bytes.len() <= DIGEST_BYTES {
        return digest(&bytes, tenant, signal);
    }
    let digested = spawn_blocking(move || digest(&bytes, tenant, signal)).await;
    digested.expect("a digest neither panics nor is it cancelled")
}

/// Equal for equal bytes of one signal from one tenant.
fn digest(bytes: &[u8], tenant: Tenant, signal: Signal) -> Digest {
    let seed = u64::from(tenant.0) << 8 | u64::from(signal.code());
    Digest(xxh3_128_with_seed(bytes, seed))
}

fn why(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Malformed => "the request is malformed",
        Refusal::Invalid => "the items lack valid ids",
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
        Refusal::Undelivered => {
            "it is kept, but not with every destination yet; it is kept once when it is sent again"
        }
    }
}
