//! The destinations, each with a reader of the log, an exporter and the queue between them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::{RwLock, mpsc};
use tokio_util::sync::CancellationToken;

use super::tasks::{Crew, Tokens};
use super::watch::{Watched, recover};
use super::{Delivered, FORWARD_MAX, forward};
use crate::export::{Forwarder, Health};
use crate::ledger::Ledger;
use crate::log::Log;
use crate::serve::Export;
use crate::settings::Destination;

/// All destinations that are sent to. They can be replaced while the rest goes on.
pub(crate) struct Exporters {
    pub(crate) log: Log,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) delivered: Arc<Delivered>,
    pub(crate) tokens: Tokens,
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
    watched: Watched,
    /// Child of the gateway's own.
    stop: CancellationToken,
    halt: CancellationToken,
    crew: Crew,
}

impl Exporters {
    /// Sends to what `wanted` names, and to nothing else. What is there already and unchanged is
    /// left alone; one that changed goes on where it was.
    pub(crate) async fn apply(&self, wanted: &[Destination]) {
        let stays = |running: &Running| wanted.contains(&running.destination);
        let (kept, ended): (Vec<_>, Vec<_>) = self.running().drain(..).partition(stays);
        self.running().extend(kept);
        for running in ended {
            let (name, cursor) = (running.destination.name.clone(), running.watched.cursor.clone());
            running.end().await;
            let is_gone = !wanted.iter().any(|it| it.name == name);
            let unsent: u64 = self.log.items(cursor.get()).iter().sum();
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
        let shown = self.running().iter().map(|it| it.shown.clone()).collect();
        self.shown.store(Arc::new(shown));
    }

    /// Forgets the accounts, cursors and promises of destinations that `wanted` does not name.
    pub(crate) fn forget_all_but(&self, wanted: &[Destination], join: &str) {
        let names: Vec<_> = wanted.iter().map(account_name).collect();
        let names: Vec<_> = names.iter().map(String::as_str).chain([join]).collect();
        self.log.keep_cursors(&names);
        self.ledger.keep(&names);
        self.delivered.keep(wanted.iter().map(|it| it.name.as_str()));
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
        let name = account_name(destination);
        let cursor = self.log.cursor(&name);
        let account = self.ledger.find(&name).unwrap_or_else(|| {
            let account = self.ledger.open(&name);
            recover(&self.log, cursor.get(), &account);
            account
        });
        let health = Arc::new(Health::new());
        let (sender, receiver) = mpsc::channel(FORWARD_MAX);
        let (stop, halt) = (self.tokens.stop.child_token(), self.tokens.halt.child_token());
        let mut crew = Crew::default();
        let reader = self.log.reader(cursor.get());
        crew.spawn(forward(reader, Arc::clone(&account), sender, halt.clone()));
        let forwarder = Forwarder {
            destination: destination.for_export(),
            account: Arc::clone(&account),
            health: Arc::clone(&health),
        };
        let (at, delivered) = (cursor.clone(), Arc::clone(&self.delivered));
        let reached = destination.name.clone();
        delivered.reach(&reached, cursor.get());
        let moved = move |to| {
            at.advance(to);
            delivered.reach(&reached, to);
        };
        crew.watch("an exporter", forwarder.run(receiver, moved, stop.clone()));
        let endpoint = destination.endpoint.clone();
        let shown = Export { name: destination.name.clone(), endpoint, health };
        let watched = Watched { account, cursor, join: None };
        Running { destination: destination.clone(), shown, watched, stop, halt, crew }
    }

    fn running(&self) -> MutexGuard<'_, Vec<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// Lets requests in flight end; the rest stays in the log.
    async fn end(mut self) {
        self.stop.cancel();
        self.halt.cancel();
        self.crew.ended().await;
    }
}

fn account_name(destination: &Destination) -> String {
    format!("export/{}", destination.name)
}
