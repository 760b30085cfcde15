//! From the log to the shards: batches become evidence.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{Inlet, Input};
use crate::evidence::{Evidence, Signal};
use crate::join::{PIECE_MAX, Shard};
use crate::ledger::{Account, Holding, Reason};
use crate::limit::Interner;
use crate::log::{Batch, Error, Reader};
use crate::normalize;

/// How long a disk that cannot be read is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// Reads the log from where the join's evidence is unsettled.
pub(crate) struct Feed {
    pub(crate) reader: Reader,
    pub(crate) interner: Interner,
    pub(crate) shards: Vec<Inlet>,
    pub(crate) holding: Arc<Holding>,
    pub(crate) account: Arc<Account>,
    /// Everything before this is with the shards, or settled.
    pub(crate) fed: Arc<AtomicU64>,
    pub(crate) runtime: Handle,
    /// The gateway stops.
    pub(crate) halt: CancellationToken,
}

impl Feed {
    /// Feeds until the gateway stops. What is unread then is read at the next start.
    pub(crate) fn run(mut self) {
        let (runtime, halt) = (self.runtime.clone(), self.halt.clone());
        while let Some(read) = runtime.block_on(halt.run_until_cancelled(self.reader.next())) {
            match read {
                Ok(Some(batch)) => self.batch(&batch),
                Ok(None) => return,
                Err(Error::Corrupt { at, next: _, items }) => {
                    tracing::error!(position = at.0, "a damaged span of the log is passed over");
                    self.account.lost_all(Reason::Corrupt, items);
                }
                Err(Error::Gone { at, start, items }) => {
                    tracing::error!(
                        position = at.0,
                        start = start.0,
                        "evidence left the log unread"
                    );
                    self.account.lost_all(Reason::Unread, items.unwrap_or_default());
                }
                Err(error) => {
                    tracing::error!(%error, "the log cannot be read; trying again");
                    std::thread::park_timeout(PAUSE);
                }
            }
            self.fed.store(self.reader.position().0, Ordering::Release);
        }
    }

    fn batch(&mut self, batch: &Batch) {
        let (signal, items) = (batch.head.signal, batch.head.items);
        // Taken before anything is sent: what is held must never be settled first.
        let taken = if signal == Signal::Metrics {
            self.account.passed(signal, u64::from(items));
            exemplars(batch)
        } else {
            items
        };
        self.holding.take(batch.position, signal, taken);
        let found = self.send(batch, taken);
        // Redaction checked the bytes and the log their checksum: all of it was read.
        for _ in found..taken {
            if let Some(signal) = self.holding.settle(batch.position) {
                self.account.lost(signal, Reason::Corrupt, 1);
            }
        }
    }

    /// Sends the evidence of a batch to the shards, piece by piece; answers how much there was.
    fn send(&mut self, batch: &Batch, expected: u32) -> u32 {
        let shards = &self.shards;
        let room = usize::try_from(expected).unwrap_or(PIECE_MAX).div_ceil(shards.len().max(1));
        let mut parts: Vec<Vec<Evidence>> = vec![Vec::new(); shards.len()];
        let mut found = 0_u32;
        let interner = &mut self.interner;
        let observed =
            normalize::observe(batch.head.signal, &batch.payload.plain, &mut |observed| {
                let evidence = interner.evidence(observed, batch.position);
                let at = Shard::route(&evidence, shards.len());
                if let (Some(part), Some(shard)) = (parts.get_mut(at), shards.get(at)) {
                    if part.capacity() == 0 {
                        part.reserve_exact(room.min(PIECE_MAX));
                    }
                    part.push(evidence);
                    found += 1;
                    if part.len() >= PIECE_MAX {
                        pass(shard, std::mem::take(part));
                    }
                }
            });
        if let Err(error) = observed {
            tracing::error!(%error, position = batch.position.0, "a batch cannot be read");
        }
        for (shard, part) in shards.iter().zip(parts) {
            pass(shard, part);
        }
        found
    }
}

/// A shard that is gone has left its evidence in the log; whoever watches threads stops the gateway.
fn pass(shard: &Inlet, part: Vec<Evidence>) {
    if !part.is_empty() {
        let _gone = shard.evidence.send(Input::Evidence(part));
    }
}

/// Exemplars are held, though their points have passed.
fn exemplars(batch: &Batch) -> u32 {
    let mut found = 0;
    // What cannot be read is reported when it is sent.
    let _read = normalize::observe(batch.head.signal, &batch.payload.plain, &mut |_| found += 1);
    found
}
