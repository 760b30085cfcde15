//! The forwarder with a real log behind it and a real server before it.

mod answers;
mod bounds;
mod requests;
pub(super) mod sink;
mod split;
mod tls;
mod way;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

use self::sink::{Sink, spans};
use super::*;
use crate::evidence::{Digest, Head, Position, Source, Tenant};
use crate::ledger::{Account, Ledger, Reason};
use crate::log::{self, Ack, Cursor, Log};
use crate::redact::Clean;

/// A forwarder at work.
struct Run {
    log: Log,
    cursor: Cursor,
    account: Arc<Account>,
    hand: Arc<Hand>,
    health: Arc<Health>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
    dir: TempDir,
}

impl Run {
    fn start(destination: Destination) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), destination)
    }

    fn start_in(dir: TempDir, destination: Destination) -> Self {
        let settings = log::Settings {
            dir: dir.path().to_owned(),
            segment_bytes: 16 << 20,
            bytes_max: 1 << 30,
            keep: Duration::from_secs(60),
            ack: Ack::Memory,
            packs: true,
            tail_bytes: 1 << 20,
            queue_bytes_max: 64 << 20,
        };
        let log = Log::open(settings).unwrap();
        let cursor = log.cursor(&destination.name);
        let account = Ledger::new().open("forward");
        let (hand, health) = (Arc::new(Hand::new(cursor.get())), Arc::new(Health::new()));
        let stop = CancellationToken::new();
        let forwarder = Forwarder {
            destination,
            log: log.clone(),
            cursor: cursor.clone(),
            account: Arc::clone(&account),
            hand: Arc::clone(&hand),
            health: Arc::clone(&health),
        };
        let task = tokio::spawn(forwarder.run(stop.clone()));
        Self { log, cursor, account, hand, health, stop, task, dir }
    }

    /// Appends batches with one item each.
    async fn feed(&self, batches: impl IntoIterator<Item = (Signal, Vec<u8>)>) {
        for (signal, bytes) in batches {
            self.append(signal, 1, bytes).await;
        }
    }

    /// One batch with one span for each name.
    async fn feed_spans(&self, names: impl IntoIterator<Item = String>) {
        self.feed(names.into_iter().map(|name| (Signal::Traces, spans(&name)))).await;
    }

    async fn append(&self, signal: Signal, items: u32, bytes: Vec<u8>) -> Position {
        let head = Head {
            signal,
            source: Source::OtlpGrpc,
            tenant: Tenant(0),
            received: Nanos(1),
            items,
            policy: 0,
            digest: Digest::default(),
        };
        let clean = Clean::for_test(head, Bytes::from(bytes));
        self.log.append(self.log.pack(&clean)).await.unwrap()
    }

    /// Closes the log and waits until all of it is settled.
    async fn finish(self) -> Finished {
        let Self { log, cursor, account, health, hand, task, .. } = self;
        let closing = log.clone();
        spawn_blocking(move || closing.close()).await.unwrap();
        tokio::time::timeout(Duration::from_secs(20), task).await.unwrap().unwrap().unwrap();
        let is_delivered = cursor.get() == log.end();
        Finished { account, hand, health: health.summary(), is_delivered }
    }

    /// Tells the gateway's end, and waits for the forwarder's.
    async fn halt(self) -> (Finished, Position) {
        self.stop.cancel();
        let cursor = self.cursor.clone();
        (self.finish().await, cursor.get())
    }

    /// What came less what became of it, as the ledger has it.
    fn imbalance(&self, signal: Signal, admitted: u64) -> i64 {
        let at = Signal::ALL.into_iter().position(|it| it == signal).unwrap();
        let ahead = self.log.items(self.hand.read_to())[at];
        self.account.hold(signal, ahead + self.hand.items(signal));
        self.account.standing(signal, admitted).imbalance()
    }
}

struct Finished {
    account: Arc<Account>,
    hand: Arc<Hand>,
    health: Summary,
    /// Whether the cursor is at the end of the log.
    is_delivered: bool,
}

impl Finished {
    fn done(&self, signal: Signal) -> u64 {
        self.account.standing(signal, 0).done
    }

    fn lost(&self, signal: Signal, reason: Reason) -> u64 {
        lost(&self.account, signal, reason)
    }

    fn rejected(&self, signal: Signal) -> u64 {
        self.lost(signal, Reason::Rejected)
    }
}

fn lost(account: &Account, signal: Signal, reason: Reason) -> u64 {
    let lost = account.standing(signal, 0).lost;
    lost.into_iter().find(|(of, _)| *of == reason).unwrap().1
}

fn destination(sink: &Sink) -> Destination {
    Destination {
        batch_wait: Duration::from_millis(20),
        backoff_min: Duration::from_millis(5),
        backoff_max: Duration::from_millis(20),
        grace: Duration::from_millis(300),
        ..Destination::new("sink", format!("http://{}", sink.address))
    }
}

/// The same over both protocols.
fn both(destination: &Destination) -> [Destination; 2] {
    [Protocol::Grpc, Protocol::Http].map(|protocol| Destination { protocol, ..destination.clone() })
}

fn names(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|at| format!("name-{at:04}")).collect()
}

/// Waits until something holds, and fails when it never does.
async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}
