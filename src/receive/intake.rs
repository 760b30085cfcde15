//! What all doors share: the bounds, the budget, the counts and the way on.

use std::sync::Arc;

use bytes::Bytes;

use super::budget::{Budget, Hold, Sender};
use super::{Counters, Denial, Gate, Handle, Raw, Reply, Settings};
use crate::ledger::Refusal;

/// A request takes this much of the budget before anything is known of its size.
const FLOOR_BYTES: usize = 64 << 10;

/// What a head claims counts up to here; more is taken as it comes, or a few heads without bodies
/// would take the whole budget.
pub(super) const CLAIM_BYTES_MAX: usize = 1 << 20;

/// More than this is parsed away from the async threads: it takes about half a millisecond.
const INLINE_BYTES: usize = 64 << 10;

/// The way from the doors to the later stages. Clones share budget and counts.
#[derive(Clone)]
pub struct Intake {
    handle: Handle,
    settings: Arc<Settings>,
    budget: Budget,
    gate: Gate,
    counters: Arc<Counters>,
}

impl Intake {
    /// The doors of one gateway share one intake. Nobody is asked who they are.
    #[must_use]
    pub fn new(handle: Handle, settings: Settings) -> Self {
        let gate = Gate::new(settings.terms(), None);
        Self::behind(gate, handle, settings)
    }

    /// The same behind a gate.
    #[must_use]
    pub fn behind(gate: Gate, handle: Handle, settings: Settings) -> Self {
        Self {
            handle,
            budget: Budget::new(settings.inflight_bytes_max),
            gate,
            counters: Arc::default(),
            settings: Arc::new(settings),
        }
    }

    /// What the doors did so far.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Bytes of the budget that no request holds.
    #[must_use]
    pub fn budget_left_bytes(&self) -> usize {
        self.budget.left_bytes()
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// A part of the budget for a request whose head claims `length` bytes of at most `limit`.
    pub(super) fn hold(
        &self,
        sender: Sender,
        length: Option<u64>,
        limit: usize,
    ) -> Result<Hold, Denial> {
        let claimed = length.map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX));
        if claimed > limit {
            return Err(too_large(limit));
        }
        if self.counters.memory().refuses() {
            return Err(Denial::new(Refusal::Memory, "the gateway has hardly any memory left"));
        }
        self.budget.take(sender, claimed.clamp(FLOOR_BYTES, CLAIM_BYTES_MAX))
    }

    /// Hands a request over, and waits until it is safe or refused. A sender that does not wait
    /// drops this future but not the work: what gets into the log must be counted, and its part of
    /// the budget is held as long.
    pub(super) async fn deliver(&self, raw: Raw, mut hold: Hold) -> Reply {
        let tally = self.counters.of(raw.source);
        // OTLP: an empty request succeeds.
        if raw.bytes.is_empty() {
            return Reply::Accepted;
        }
        tally.add_decoded(raw.bytes.len());
        let turn = hold.turn();
        let handle = Arc::clone(&self.handle);
        let done = tokio::spawn(async move {
            let reply = handle(raw, turn).await;
            drop(hold);
            reply
        });
        let reply = done.await.unwrap_or_else(|_| Reply::Refused {
            refusal: Refusal::LogFailed,
            message: "the request could not be handled".to_owned(),
        });
        if let Reply::Partial { rejected, .. } = &reply {
            tally.add_rejected(*rejected);
        }
        reply
    }
}

pub(super) fn too_large(limit: usize) -> Denial {
    Denial::new(Refusal::TooLarge, format!("the request is larger than {limit} bytes"))
}

/// Parses `text`, away from the async threads when there is much of it.
pub(super) async fn away<T: Send + 'static>(
    text: Bytes,
    parse: impl FnOnce(&[u8]) -> Result<T, Denial> + Send + 'static,
) -> Result<T, Denial> {
    if text.len() <= INLINE_BYTES {
        return parse(&text);
    }
    let lost = |_| Denial::new(Refusal::Busy, "the body could not be parsed now");
    tokio::task::spawn_blocking(move || parse(&text)).await.map_err(lost)?
}
