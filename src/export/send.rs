//! One request, sent until the destination decides on it.

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use super::batch::{Parcel, Piece};
use super::body::Packed;
use super::client::Client;
use super::pack::Packers;
use super::retry::Backoff;
use super::{Error, Forwarder, now};
use crate::evidence::{Position, Signal};
use crate::ledger::Reason;

/// What the requests in flight share.
pub(super) struct Sender {
    pub(super) forwarder: Forwarder,
    client: Client,
    packers: Packers,
    /// As much is compressed at a time as there are processors: more would be no faster, and each
    /// thread keeps memory of its own.
    packing: Semaphore,
    /// What lies before it is given up.
    floor: watch::Sender<Position>,
    stop: CancellationToken,
}

/// What became of a request.
#[derive(Debug)]
pub(super) enum Settled {
    /// Delivered, refused for good, or given up.
    Yes(Vec<Position>),
    /// The gateway stops: it is for the next start.
    No,
}

impl Sender {
    pub(super) fn new(forwarder: Forwarder, stop: CancellationToken) -> Result<Self, Error> {
        let client = Client::new(&forwarder.destination)?;
        let packers = Packers::new(&forwarder.destination);
        let packing = Semaphore::new(available_parallelism().map_or(1, NonZero::get));
        let floor = watch::Sender::new(Position::default());
        Ok(Self { forwarder, client, packers, packing, floor, stop })
    }

    /// Sends until the destination decides, the request is given up, or the gateway stops.
    pub(super) async fn send(self: Arc<Self>, parcel: Parcel) -> Settled {
        let (signal, items, first) = (parcel.signal, parcel.items, parcel.first());
        let Parcel { pieces, positions, .. } = parcel;
        if self.is_given_up(first) {
            self.give_up(signal, items);
            return Settled::Yes(positions);
        }
        let packed = match Arc::clone(&self).pack(pieces).await {
            Ok(packed) => packed,
            Err(error) => {
                self.refused(signal, Reason::Rejected, items, &error.to_string());
                return Settled::Yes(positions);
            }
        };
        let destination = &self.forwarder.destination;
        let mut backoff = Backoff::new(destination.backoff_min, destination.backoff_max);
        let mut floor = self.floor.subscribe();
        loop {
            let asked = match self.client.export(signal, packed.clone()).await {
                Answer::Accepted { rejected, message } => {
                    let taken = items - rejected.min(items);
                    self.accepted(signal, taken, items - taken, &message);
                    self.forwarder.health.sent(taken, packed.len(), now());
                    return Settled::Yes(positions);
                }
                Answer::Refused { message } => {
                    self.refused(signal, Reason::Rejected, items, &message);
                    self.forwarder.health.decided();
                    return Settled::Yes(positions);
                }
                Answer::Retry { after, message } => {
                    self.retrying(&message);
                    after
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => return Settled::No,
                _ = floor.wait_for(|floor| first < *floor) => {
                    self.give_up(signal, items);
                    return Settled::Yes(positions);
                }
                () = tokio::time::sleep(backoff.wait(asked)) => {}
            }
        }
    }

    /// Whether a batch at `position` lies further back than the destination may be behind.
    pub(super) fn is_given_up(&self, position: Position) -> bool {
        let Forwarder { destination, log, .. } = &self.forwarder;
        destination.backlog_max.is_some_and(|max| position < log.back(max))
    }

    /// Tells the requests that are being retried how far back they may lie by now.
    pub(super) fn raise_floor(&self) {
        let Forwarder { destination, log, .. } = &self.forwarder;
        if let Some(max) = destination.backlog_max {
            self.floor.send_replace(log.back(max));
        }
    }

    /// `items` lie further back than the destination may be behind.
    pub(super) fn give_up(&self, signal: Signal, items: u64) {
        self.lost(signal, Reason::Backlog, items);
        let Forwarder { destination, health, .. } = &self.forwarder;
        if let Some(items) = health.given_up(items, Instant::now()) {
            let name = &destination.name;
            tracing::warn!(destination = name, items, "too far behind, the oldest items are lost");
        }
    }

    /// `items` have no place in any request.
    pub(super) fn too_large(&self, signal: Signal, items: u64) {
        let max = self.forwarder.destination.batch_bytes_max;
        self.refused(signal, Reason::TooLarge, items, &format!("an item larger than {max} bytes"));
    }

    /// Compressing much takes milliseconds: it leaves the async threads.
    async fn pack(self: Arc<Self>, pieces: Vec<Piece>) -> io::Result<Packed> {
        if !self.packers.is_slow(&pieces) {
            return self.packers.pack(&pieces);
        }
        // Nobody closes it.
        let _turn = self.packing.acquire().await.ok();
        let sender = Arc::clone(&self);
        tokio::task::spawn_blocking(move || sender.packers.pack(&pieces)).await?
    }

    fn retrying(&self, message: &str) {
        let Forwarder { destination, health, .. } = &self.forwarder;
        health.retrying(message, now());
        if health.may_log(Instant::now()) {
            // Its words may repeat what it was sent: the status has them, the log has not.
            tracing::warn!(
                destination = destination.name,
                "destination takes nothing, trying again"
            );
        }
    }

    fn accepted(&self, signal: Signal, taken: u64, rejected: u64, message: &str) {
        let Forwarder { account, hand, health, .. } = &self.forwarder;
        account.done(signal, taken);
        hand.settle(signal, taken);
        if rejected > 0 {
            self.refused(signal, Reason::Rejected, rejected, message);
        } else if !message.is_empty() {
            health.warned(message);
        }
    }

    fn refused(&self, signal: Signal, reason: Reason, items: u64, message: &str) {
        self.lost(signal, reason, items);
        let Forwarder { destination, health, .. } = &self.forwarder;
        health.refused(message);
        if health.may_log(Instant::now()) {
            // The destination's words may repeat what it was sent: they stay out of the log.
            let (name, signal, reason) = (&destination.name, signal.name(), reason.name());
            tracing::warn!(destination = name, signal, reason, items, "items go no further");
        }
    }

    fn lost(&self, signal: Signal, reason: Reason, items: u64) {
        self.forwarder.account.lost(signal, reason, items);
        self.forwarder.hand.settle(signal, items);
    }
}
