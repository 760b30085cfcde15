//! The destinations, each with an exporter that reads the log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::RwLock;
use tokio_util::sync::CancellationToken;

use super::Delivered;
use super::tasks::{Crew, Lane, Tokens};
use super::watch::{Inside, Watched, recover};
use crate::evidence::Signal;
use crate::export::{Forwarder, Hand, Health, consumer, takes_frames};
use crate::ledger::Ledger;
use crate::log::{Cursor, Effort, Log};
use crate::serve::Export;
use crate::settings::Destination;

/// All destinations that are sent to. They can be replaced while the rest goes on.
pub(crate) struct Exporters {
    pub(crate) log: Log,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) delivered: Arc<Delivered>,
    pub(crate) tokens: Tokens,
    /// Doors that take all they can get would leave exporters behind, and what these then read
    /// would come from the disk.
    pub(crate) lane: Lane,
    /// Requests are on their way into the log while it is read-locked.
    pub(crate) admitting: Arc<RwLock<()>>,
    /// What the API shows of them.
    pub(crate) shown: Arc<ArcSwap<Vec<Export>>>,
    pub(crate) running: Mutex<Vec<Running>>,
}

/// A destination that is sent to.
pub(crate) struct Running {
    destination: Destination,
    shown: Export,
    cursor: Cursor,
    hand: Arc<Hand>,
    watched: Watched,
    /// Child of the gateway's own.
    stop: CancellationToken,
    crew: Crew,
}

impl Exporters {
    /// Sends to what `wanted` names, and to nothing else. What is there already and unchanged is
    /// left alone; one that changed goes on where it was.
    pub(crate) async fn apply(&self, wanted: &[Destination]) {
        // Without anybody who is sent the very frames, the disk alone has use for them.
        let takes = |it: &Destination| takes_frames(it.compression, it.compression_level);
        let is_sent = wanted.iter().any(takes);
        self.log.set_effort(if is_sent { Effort::Usual } else { Effort::Least });
        let stays = |running: &Running| wanted.contains(&running.destination);
        let (kept, ended): (Vec<_>, Vec<_>) = self.running().drain(..).partition(stays);
        self.running().extend(kept);
        for running in ended {
            let name = running.destination.name.clone();
            let unsent = running.end(&self.log).await;
            let is_gone = !wanted.iter().any(|it| it.name == name);
            if is_gone && unsent > 0 {
                tracing::warn!(destination = name, unsent, "destination taken out of the settings");
            }
        }
        for destination in wanted {
            let is_running = self.running().iter().any(|it| it.destination == *destination);
            if !is_running {
                // What is in the log is counted as admitted, or recovered, and never as both.
                let quiet = self.admitting.write().await;
                let started = self.start(destination);
                drop(quiet);
                self.running().push(started);
            }
        }
        self.running().sort_by(|a, b| a.destination.name.cmp(&b.destination.name));
        self.delivered.expect(self.running().iter().map(|it| Arc::clone(&it.hand)).collect());
        let shown = self.running().iter().map(|it| it.shown.clone()).collect();
        self.shown.store(Arc::new(shown));
    }

    /// Forgets the accounts and cursors of destinations that `wanted` does not name.
    pub(crate) fn forget_all_but(&self, wanted: &[Destination], join: Option<&str>) {
        let names: Vec<_> = wanted.iter().map(|it| consumer(&it.name)).collect();
        let names: Vec<_> = names.iter().map(String::as_str).chain(join).collect();
        self.log.keep_cursors(&names);
        self.ledger.keep(&names);
    }

    /// Those whose accounts are to be kept up to date.
    pub(crate) fn watched(&self) -> Vec<Watched> {
        self.running().iter().map(|running| running.watched.clone()).collect()
    }

    /// Waits for the last of them, which has been told to end.
    pub(crate) async fn ended(&self) {
        let all: Vec<_> = self.running().drain(..).collect();
        for mut running in all {
            running.crew.ended().await;
        }
    }

    fn start(&self, destination: &Destination) -> Running {
        let name = consumer(&destination.name);
        let cursor = self.log.cursor(&name);
        let account = self.ledger.find(&name).unwrap_or_else(|| {
            let account = self.ledger.open(&name);
            recover(&self.log, cursor.get(), &account);
            account
        });
        let (health, hand) = (Arc::new(Health::new()), Arc::new(Hand::new(cursor.get())));
        let forwarder = Forwarder {
            destination: destination.for_export(),
            log: self.log.clone(),
            cursor: cursor.clone(),
            account: Arc::clone(&account),
            hand: Arc::clone(&hand),
            health: Arc::clone(&health),
        };
        let (stop, mut crew) = (self.tokens.stop.child_token(), self.lane.crew());
        crew.watch("an exporter", forwarder.run(stop.clone()));
        let endpoint = destination.endpoint.clone();
        let shown = Export { name: destination.name.clone(), endpoint, health };
        let watched = Watched { account, inside: Inside::Export(Arc::clone(&hand)) };
        Running { destination: destination.clone(), shown, cursor, hand, watched, stop, crew }
    }

    fn running(&self) -> MutexGuard<'_, Vec<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// Lets requests in flight end; the rest stays in the log, and answers how much that is.
    async fn end(mut self, log: &Log) -> u64 {
        self.stop.cancel();
        self.crew.ended().await;
        let (from, read) = (log.items(self.cursor.get()), log.items(self.hand.read_to()));
        for ((signal, from), read) in Signal::ALL.into_iter().zip(from).zip(read) {
            // Delivered behind one that was not: whoever goes on here delivers it once more.
            let again = (from - read).saturating_sub(self.hand.items(signal));
            self.watched.account.recovered(signal, again);
        }
        from.iter().sum()
    }
}
