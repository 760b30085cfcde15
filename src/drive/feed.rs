//! From the log to the shards: batches become evidence.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::runtime::Handle;

use super::Input;
use crate::evidence::{Evidence, Signal};
use crate::join::Shard;
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
    pub(crate) shards: Vec<SyncSender<Input>>,
    pub(crate) holding: Arc<Holding>,
    pub(crate) account: Arc<Account>,
    /// Everything before this is with the shards, or settled.
    pub(crate) fed: Arc<AtomicU64>,
    pub(crate) runtime: Handle,
}

impl Feed {
    /// Feeds until the log is closed and read to its end, then stops the shards.
    pub(crate) fn run(mut self) {
        loop {
            match self.runtime.block_on(self.reader.next()) {
                Ok(Some(batch)) => self.batch(&batch),
                Ok(None) => break,
                Err(Error::Corrupt { at, next: _, items }) => {
                    tracing::error!(position = at.0, "a damaged span of the log is passed over");
                    for (signal, items) in Signal::ALL.into_iter().zip(items) {
                        self.account.lost(signal, Reason::Corrupt, items);
                    }
                }
                Err(Error::Gone { at, start }) => {
                    tracing::error!(
                        position = at.0,
                        start = start.0,
                        "evidence left the log unread"
                    );
                }
                Err(error) => {
                    tracing::error!(%error, "the log cannot be read; trying again");
                    std::thread::park_timeout(PAUSE);
                }
            }
            self.fed.store(self.reader.position().0, Ordering::Release);
        }
        for shard in &self.shards {
            // A shard that is gone has stopped already.
            let _gone = shard.send(Input::Stop);
        }
    }

    fn batch(&mut self, batch: &Batch) {
        let mut parts: Vec<Vec<Evidence>> = vec![Vec::new(); self.shards.len()];
        let mut found = 0_u32;
        let interner = &mut self.interner;
        let observed = normalize::observe(batch.head.signal, &batch.bytes, &mut |observed| {
            let evidence = interner.evidence(observed, batch.position);
            let shard = Shard::route(&evidence, parts.len());
            if let Some(part) = parts.get_mut(shard) {
                part.push(evidence);
                found += 1;
            }
        });
        if let Err(error) = observed {
            // Redaction checked the bytes and the log their checksum: this is a fault of ours.
            tracing::error!(%error, position = batch.position.0, "a batch cannot be read");
        }
        self.account_for(batch, found);
        self.holding.take(batch.position, batch.head.signal, found);
        for (shard, part) in self.shards.iter().zip(parts) {
            if !part.is_empty() && shard.send(Input::Evidence(part)).is_err() {
                tracing::error!("a shard of the join has died; its evidence stays in the log");
            }
        }
    }

    /// Points of metrics are not indexed: their exemplars are, as part of a journey.
    fn account_for(&self, batch: &Batch, found: u32) {
        let (signal, items) = (batch.head.signal, u64::from(batch.head.items));
        if signal == Signal::Metrics {
            self.account.passed(signal, items);
        } else {
            self.account.lost(signal, Reason::Corrupt, items.saturating_sub(u64::from(found)));
        }
    }
}
