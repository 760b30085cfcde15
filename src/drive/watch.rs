//! Keeps the accounts of the log's consumers up to date, and the log in bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Exporters, now};
use crate::evidence::{Position, Signal};
use crate::export::Hand;
use crate::ledger::{Account, Holding};
use crate::log::Log;

/// How often cursors are saved, the log is trimmed and what is held is counted.
const TICK: Duration = Duration::from_millis(250);

/// A consumer of the log whose account is kept up to date.
#[derive(Clone)]
pub(crate) struct Watched {
    pub(crate) account: Arc<Account>,
    pub(crate) inside: Inside,
}

/// How far a consumer has read, and what it holds of that beside what lies ahead in the log.
#[derive(Clone)]
pub(crate) enum Inside {
    /// The join.
    Join { fed: Arc<AtomicU64>, holding: Arc<Holding> },
    /// An exporter.
    Export(Arc<Hand>),
}

/// What lies unread in the log at the start.
pub(crate) fn recover(log: &Log, from: Position, account: &Account) {
    for (signal, items) in Signal::ALL.into_iter().zip(log.items(from)) {
        account.recovered(signal, items);
    }
}

/// Saves cursors, trims the log and counts what is held, until `stop`.
pub(crate) async fn tick(
    log: Log,
    join: Option<Watched>,
    exporters: Arc<Exporters>,
    stop: CancellationToken,
) {
    while stop.run_until_cancelled(tokio::time::sleep(TICK)).await.is_some() {
        let (log, join, watched) = (log.clone(), join.clone(), exporters.watched());
        let ticked = tokio::task::spawn_blocking(move || {
            log.trim(now());
            watched.iter().chain(&join).for_each(|consumer| consumer.count(&log));
        });
        if ticked.await.is_err() {
            tracing::error!("the log could not be trimmed for a fault");
        }
    }
}

impl Watched {
    fn count(&self, log: &Log) {
        let from = self.inside.read_to();
        for (signal, unread) in Signal::ALL.into_iter().zip(log.items(from)) {
            self.account.hold(signal, unread + self.inside.items(signal));
        }
    }
}

impl Inside {
    fn read_to(&self) -> Position {
        match self {
            Self::Join { fed, .. } => Position(fed.load(Ordering::Acquire)),
            Self::Export(hand) => hand.read_to(),
        }
    }

    fn items(&self, signal: Signal) -> u64 {
        match self {
            // Exemplars are held for the journeys they belong to, and are no items of their own.
            Self::Join { .. } if signal == Signal::Metrics => 0,
            Self::Join { holding, .. } => holding.items(signal),
            Self::Export(hand) => hand.items(signal),
        }
    }
}
