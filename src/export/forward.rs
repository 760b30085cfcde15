//! The loop that fills requests, sends them, and moves the cursor.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet, spawn_blocking};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::batch::{Filled, Filling, Frames, Parcel};
use super::hand::Hand;
use super::pack::takes_frames;
use super::progress::{Open, Progress};
use super::send::{Sender, Settled};
use super::source::{Read, Source};
use super::split::split;
use super::{Destination, Error, Health};
use crate::evidence::Signal;
use crate::ledger::Account;
use crate::log::{Batch, Cursor, Log};

/// How often a destination that may fall behind is asked how far it is.
const FLOOR_INTERVAL: Duration = Duration::from_millis(250);

/// Batches that are read on without looking at anything else.
const READ_MAX: usize = 64;

/// Sends the log on to one destination.
#[derive(Clone, Debug)]
pub struct Forwarder {
    /// Where to send.
    pub destination: Destination,
    /// What to send.
    pub log: Log,
    /// Where to begin. It follows behind all that is delivered, refused for good or given up.
    pub cursor: Cursor,
    /// Where it is counted as done, passed or lost.
    pub account: Arc<Account>,
    /// What is held beside what lies ahead in the log.
    pub hand: Arc<Hand>,
    /// Where it shows how the destination does.
    pub health: Arc<Health>,
}

/// A forwarder at work.
struct Work {
    sender: Arc<Sender>,
    source: Source,
    filling: Filling,
    /// Requests that are full, behind the one that is sent next.
    waiting: VecDeque<Parcel>,
    sending: JoinSet<Settled>,
    progress: Progress,
    has_ended: bool,
}

impl Forwarder {
    /// Forwards the log until it is closed and read to its end, or until `stop`.
    ///
    /// On `stop`, requests in flight get the destination's grace; the rest is not delivered.
    ///
    /// # Errors
    /// When the destination's endpoint cannot be one. What it answers is never an error.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let source = Source {
            reader: self.log.reader(self.cursor.get()),
            account: Arc::clone(&self.account),
            hand: Arc::clone(&self.hand),
        };
        let Destination { batch_bytes_max, compression, level, .. } = self.destination;
        let takes = takes_frames(compression, level);
        let frames = if takes { Frames::Pass } else { Frames::Unpack };
        let filling = Filling::new(batch_bytes_max, frames);
        let sender = Arc::new(Sender::new(self, stop.clone())?);
        let mut work = Work {
            sender,
            source,
            filling,
            waiting: VecDeque::new(),
            sending: JoinSet::new(),
            progress: Progress::default(),
            has_ended: false,
        };
        work.go(&stop).await;
        work.drain(&stop).await;
        Ok(())
    }
}

impl Work {
    async fn go(&mut self, stop: &CancellationToken) {
        let mut floor = tokio::time::interval(FLOOR_INTERVAL);
        loop {
            let Destination { concurrency, batch_wait, backlog_max, .. } = *self.destination();
            let room = self.sending.len() < concurrency.max(1);
            if room && let Some(parcel) = self.next_parcel() {
                self.sending.spawn(Arc::clone(&self.sender).send(parcel));
                continue;
            }
            if self.has_ended && self.sending.is_empty() {
                return;
            }
            let due = self.filling.oldest().map(|begun| begun + batch_wait);
            // Nothing is read that could not be sent: this is what bounds the memory.
            let hungry = room && !self.has_ended && !self.is_full();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(settled) = self.sending.join_next() => self.settle(settled),
                _ = floor.tick(), if backlog_max.is_some() => self.sender.raise_floor(),
                () = sleep_until(due), if room && due.is_some() => {
                    self.waiting.extend(self.filling.take_oldest());
                }
                read = self.source.next(), if hungry => self.read_on(read).await,
            }
        }
    }

    /// Requests in flight may end; on `stop` they have little time to.
    async fn drain(&mut self, stop: &CancellationToken) {
        let grace = self.destination().grace;
        let late = async {
            stop.cancelled().await;
            tokio::time::sleep(grace).await;
        };
        tokio::pin!(late);
        loop {
            tokio::select! {
                settled = self.sending.join_next() => match settled {
                    Some(settled) => self.settle(settled),
                    None => return,
                },
                () = &mut late => {
                    let name = &self.destination().name;
                    tracing::info!(destination = name, "requests left for later");
                    return;
                }
            }
        }
    }

    /// What is sent next. What is being filled does not wait for what cannot be read.
    fn next_parcel(&mut self) -> Option<Parcel> {
        if self.waiting.is_empty() && (self.has_ended || self.is_full()) {
            self.waiting.extend(self.filling.take_oldest());
        }
        self.waiting.pop_front()
    }

    /// Whether as much is held as may be: each request in flight, and one that is being filled.
    fn is_full(&self) -> bool {
        let Destination { concurrency, batch_bytes_max, .. } = *self.destination();
        self.progress.bytes() >= batch_bytes_max.saturating_mul(concurrency.saturating_add(1))
    }

    /// Takes what was read, and what comes right behind it.
    async fn read_on(&mut self, read: Read) {
        self.take(read).await;
        for _ in 1..READ_MAX {
            if !self.waiting.is_empty() || self.is_full() {
                break;
            }
            let Some(read) = self.source.try_next() else { break };
            self.take(read).await;
        }
        self.tell();
    }

    async fn take(&mut self, read: Read) {
        let batch = match read {
            Read::Batch(batch) => batch,
            Read::Damaged(next) => return self.progress.pass(next),
            Read::End => return self.has_ended = true,
        };
        let (signal, items) = (batch.head.signal, u64::from(batch.head.items));
        if !self.destination().signals.contains(&signal) {
            self.pass(signal, items);
            self.progress.pass(batch.next);
        } else if self.sender.is_given_up(batch.position) {
            self.sender.give_up(signal, items);
            self.progress.pass(batch.next);
        } else {
            self.fill(batch).await;
        }
    }

    fn pass(&self, signal: Signal, items: u64) {
        let Forwarder { account, hand, .. } = &self.sender.forwarder;
        account.passed(signal, items);
        hand.settle(signal, items);
    }

    async fn fill(&mut self, batch: Batch) {
        let (signal, position, next) = (batch.head.signal, batch.position, batch.next);
        let (bytes, received) = (batch.payload.plain.len(), batch.head.received);
        let bytes_max = self.destination().batch_bytes_max;
        let now = Instant::now();
        let filled = if bytes <= bytes_max {
            self.filling.add(batch, now)
        } else {
            let whole = batch.payload.plain.clone();
            let split = spawn_blocking(move || split(signal, &whole, bytes_max)).await;
            // What is no OTLP cannot be cut, and has no parts. No door lets it in.
            let split = split.ok().and_then(Result::ok).unwrap_or_default();
            self.filling.add_parts(&batch, split, now)
        };
        let Filled { ready, parts, too_large } = filled;
        if too_large > 0 {
            self.sender.too_large(signal, too_large);
        }
        self.progress.take(position, next, Open { parts, bytes, received });
        self.waiting.extend(ready);
    }

    fn settle(&mut self, settled: Result<Settled, JoinError>) {
        match settled {
            Ok(Settled::Yes(positions)) => self.progress.settle(&positions),
            Ok(Settled::No) => {}
            // Its positions stay open, so the next start sends them again.
            Err(error) => tracing::error!(%error, "a request ended without an answer"),
        }
        self.tell();
    }

    fn tell(&mut self) {
        let Forwarder { cursor, hand, health, .. } = &self.sender.forwarder;
        if let Some(position) = self.progress.news() {
            cursor.advance(position);
            hand.settled_to(position);
        }
        health.waiting_since(self.progress.oldest());
    }

    fn destination(&self) -> &Destination {
        &self.sender.forwarder.destination
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
