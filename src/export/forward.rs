//! The loop that fills requests, sends them, and tells how far it got.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use super::batch::{Filling, Parcel};
use super::client::{Client, frame};
use super::progress::Progress;
use super::retry::Backoff;
use super::{Compression, Destination, Error, Health, Outgoing, now};
use crate::evidence::{Position, Signal};
use crate::ledger::{Account, Reason};

/// Sends the log on to one destination.
#[derive(Clone, Debug)]
pub struct Forwarder {
    /// Where to send.
    pub destination: Destination,
    /// Where it is counted as done or lost. What is held is counted by whoever reads the log.
    pub account: Arc<Account>,
    /// Where it shows how the destination does.
    pub health: Arc<Health>,
}

/// What became of a request.
#[derive(Debug)]
enum Settled {
    /// Delivered, or refused for good.
    Yes(Vec<Position>),
    /// The gateway stops: it is for the next start.
    No,
}

impl Forwarder {
    /// Forwards `batches`, which come in the order of the log, until they end or `stop`.
    ///
    /// `delivered` learns the position before which everything is delivered or refused for good.
    /// On `stop`, requests in flight get the destination's grace; the rest is not delivered.
    ///
    /// # Errors
    /// When the destination's endpoint cannot be one. What it answers is never an error.
    pub async fn run(
        self,
        mut batches: mpsc::Receiver<Outgoing>,
        delivered: impl Fn(Position),
        stop: CancellationToken,
    ) -> Result<(), Error> {
        let sender = Arc::new(Sender::new(self, stop.clone())?);
        let settings = &sender.forwarder.destination;
        let mut filling = Filling::new(settings.batch_bytes_max);
        let mut sending = JoinSet::new();
        let mut progress = Progress::default();
        loop {
            // Nothing is read that could not be sent: this is what bounds the memory.
            let room = sending.len() < settings.concurrency.max(1);
            let due = filling.oldest().map(|begun| begun + settings.batch_wait);
            let parcel = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(settled) = sending.join_next() => {
                    settle(settled, &mut progress, &delivered);
                    continue;
                }
                () = sleep_until(due), if room && due.is_some() => filling.take_oldest(),
                batch = batches.recv(), if room => match batch {
                    Some(batch) => {
                        progress.take(batch.position, batch.next);
                        filling.add(batch, Instant::now())
                    }
                    None => match filling.take_oldest() {
                        Some(parcel) => Some(parcel),
                        None => break,
                    },
                },
            };
            if let Some(parcel) = parcel {
                sending.spawn(Arc::clone(&sender).send(parcel));
            }
        }
        let drain = async {
            while let Some(settled) = sending.join_next().await {
                settle(settled, &mut progress, &delivered);
            }
        };
        let late = async {
            stop.cancelled().await;
            tokio::time::sleep(settings.grace).await;
        };
        tokio::select! {
            () = drain => {}
            () = late => tracing::info!(destination = settings.name, "requests left for later"),
        }
        Ok(())
    }
}

/// What the requests in flight share.
struct Sender {
    forwarder: Forwarder,
    client: Client,
    stop: CancellationToken,
}

impl Sender {
    fn new(forwarder: Forwarder, stop: CancellationToken) -> Result<Self, Error> {
        let client = Client::new(&forwarder.destination)?;
        Ok(Self { forwarder, client, stop })
    }

    /// Sends until the destination decides, or the gateway stops.
    async fn send(self: Arc<Self>, parcel: Parcel) -> Settled {
        let Parcel { signal, parts, items, positions, .. } = parcel;
        let destination = &self.forwarder.destination;
        let framed = match framed(destination, parts).await {
            Ok(framed) => framed,
            Err(message) => {
                self.refused(signal, items, &message);
                return Settled::Yes(positions);
            }
        };
        let mut backoff = Backoff::new(destination.backoff_min, destination.backoff_max);
        loop {
            let asked = match self.client.export(signal, framed.clone()).await {
                Answer::Accepted { rejected, message } => {
                    self.accepted(signal, items, rejected.min(items), &message);
                    self.forwarder.health.sent(items - rejected.min(items), framed.len());
                    return Settled::Yes(positions);
                }
                Answer::Refused { message, .. } => {
                    self.refused(signal, items, &message);
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
                () = tokio::time::sleep(backoff.wait(asked)) => {}
            }
        }
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

    fn accepted(&self, signal: Signal, items: u64, rejected: u64, message: &str) {
        self.forwarder.account.done(signal, items - rejected);
        if rejected > 0 {
            self.refused(signal, rejected, message);
        }
    }

    fn refused(&self, signal: Signal, items: u64, message: &str) {
        let Forwarder { destination, account, health } = &self.forwarder;
        account.lost(signal, Reason::Rejected, items);
        health.refused(message);
        if health.may_log(Instant::now()) {
            // The destination's words may repeat what it was sent: they stay out of the log.
            let (name, signal) = (&destination.name, signal.name());
            tracing::warn!(destination = name, signal, items, "destination rejected items");
        }
    }
}

/// Compressing takes milliseconds: it leaves the async threads.
async fn framed(destination: &Destination, parts: Vec<Bytes>) -> Result<Bytes, String> {
    let compression = destination.compression;
    if compression == Compression::None {
        return frame(compression, &parts).map_err(|error| error.to_string());
    }
    let framed = tokio::task::spawn_blocking(move || frame(compression, &parts)).await;
    framed.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

fn settle(
    settled: Result<Settled, JoinError>,
    progress: &mut Progress,
    delivered: &impl Fn(Position),
) {
    match settled {
        Ok(Settled::Yes(positions)) => progress.settle(&positions),
        Ok(Settled::No) => {}
        // Its positions stay open, so the next start sends them again.
        Err(error) => tracing::error!(%error, "a request ended without an answer"),
    }
    if let Some(position) = progress.news() {
        delivered(position);
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
