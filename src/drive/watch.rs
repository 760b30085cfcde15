//! Keeps the accounts of the log's consumers up to date, and the log in bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Exporters, now};
use crate::evidence::{Position, Signal};
use crate::ledger::{Account, Holding};
use crate::log::{Cursor, Log};

/// How often cursors are saved, the log is trimmed and what is held is counted.
const TICK: Duration = Duration::from_millis(250);

/// A consumer of the log whose account is kept up to date.
#[derive(Clone)]
pub(crate) struct Watched {
    pub(crate) account: Arc<Account>,
    pub(crate) cursor: Cursor,
    /// The join holds what is neither in the log ahead of it nor settled.
    pub(crate) join: Option<Inside>,
}

/// Where the join is.
#[derive(Clone)]
pub(crate) struct Inside {
    pub(crate) fed: Arc<AtomicU64>,
    pub(crate) holding: Arc<Holding>,
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
    join: Watched,
    exporters: Arc<Exporters>,
    stop: CancellationToken,
) {
    while stop.run_until_cancelled(tokio::time::sleep(TICK)).await.is_some() {
        let (log, join, watched) = (log.clone(), join.clone(), exporters.watched());
        let ticked = tokio::task::spawn_blocking(move || {
            log.trim(now());
            watched.iter().chain([&join]).for_each(|consumer| consumer.count(&log));
        });
        if ticked.await.is_err() {
            tracing::error!("the log could not be trimmed for a fault");
        }
    }
}

impl Watched {
    fn count(&self, log: &Log) {
        let from = match &self.join {
            Some(inside) => Position(inside.fed.load(Ordering::Acquire)),
            None => self.cursor.get(),
        };
        for (signal, unread) in Signal::ALL.into_iter().zip(log.items(from)) {
            // Exemplars are held for the journeys they belong to, and are no items of their own.
            let join = self.join.as_ref().filter(|_| signal != Signal::Metrics);
            let inside = join.map_or(0, |inside| inside.holding.items(signal));
            self.account.hold(signal, unread + inside);
        }
    }
}
