//! From the join to the end: hops, measures, index; then the evidence is settled.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::shed::Shed;
use super::{Room, UNCOMMITTED_MAX, now};
use crate::evidence::{JourneyId, Kind, Nanos, Place, Position, Signal, Symbols};
use crate::index::Keeper;
use crate::join::{Journey, hops};
use crate::ledger::{Account, Holding, Reason};
use crate::log::{Cursor, Log};
use crate::measure::{Crossing, Hops};

/// How long an index that cannot be written is left alone.
const PAUSE: Duration = Duration::from_secs(1);
/// How often whole buckets of the index are looked at.
const RETIRE: Duration = Duration::from_secs(10);

/// What comes out of the join.
pub(crate) enum Finished {
    /// A journey closed, or closed again with more evidence.
    Journey(Arc<Journey>),
    /// A journey that had closed is no more.
    Retracted(JourneyId),
    /// Evidence went no further.
    Lost(Place, Reason),
    /// Evidence will come once more than it was read: it is in several journeys, or moved out of
    /// one that had closed.
    Copied(Place, Kind),
}

/// The end of the path.
pub(crate) struct Finish {
    pub(crate) inbox: Receiver<Finished>,
    pub(crate) symbols: Arc<Symbols>,
    pub(crate) measures: Arc<Mutex<Hops>>,
    /// `None` when journeys are not indexed.
    pub(crate) keeper: Option<Keeper>,
    pub(crate) commit: Duration,
    pub(crate) holding: Arc<Holding>,
    /// What the shards took for their journeys.
    pub(crate) room: Arc<Room>,
    /// The gateway stops while the index fails: nothing more is tried.
    pub(crate) is_leaving: bool,
    pub(crate) account: Arc<Account>,
    pub(crate) log: Log,
    pub(crate) cursor: Cursor,
    pub(crate) shed: Shed,
    pub(crate) fed: Arc<AtomicU64>,
    /// Evidence before this may have been indexed before a crash.
    pub(crate) replay_end: Position,
    /// The gateway stops.
    pub(crate) halt: CancellationToken,
}

impl Finish {
    /// Finishes journeys until the last shard has stopped; commits what there is then.
    pub(crate) fn run(mut self) {
        let (mut committed, mut retired) = (now(), now());
        loop {
            let received = self.inbox.recv_timeout(self.commit);
            let now = now();
            match received {
                Ok(finished) => self.take(finished, now),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if now.since(committed) >= self.commit || now < committed {
                self.settle(now);
                self.look();
                committed = now;
            }
            if now.since(retired) >= RETIRE || now < retired {
                self.retire(now);
                retired = now;
            }
        }
        self.settle(now());
    }

    fn take(&mut self, finished: Finished, now: Nanos) {
        match finished {
            Finished::Journey(journey) => self.journey(&journey, now),
            Finished::Retracted(id) => {
                if let Some(keeper) = &mut self.keeper {
                    keeper.retract(id);
                }
            }
            Finished::Lost(place, reason) => {
                if let Some(signal) = self.holding.settle(place.batch).filter(is_item) {
                    self.account.lost(signal, reason, 1);
                }
            }
            Finished::Copied(place, kind) => {
                let signal = kind.signal();
                self.holding.take_again(place.batch, signal);
                if is_item(&signal) {
                    self.account.copied(signal, 1);
                }
            }
        }
        while self.is_full() && !self.is_leaving && !self.settle(now) {
            // What is not committed at the end is read from the log at the next start.
            self.is_leaving = self.halt.is_cancelled();
            if !self.is_leaving {
                std::thread::park_timeout(PAUSE);
            }
        }
    }

    /// Whether so much waits for a commit that nothing more may.
    fn is_full(&self) -> bool {
        self.keeper.as_ref().is_some_and(|keeper| {
            keeper.waiting() >= UNCOMMITTED_MAX || keeper.weight() > self.room.committed_at()
        })
    }

    fn journey(&mut self, journey: &Arc<Journey>, now: Nanos) {
        let hops = hops(journey, &self.symbols);
        // A journey is measured once: when it is amended, its hops have been counted.
        if journey.revision == 0 {
            let mut measures = self.measures.lock().unwrap_or_else(PoisonError::into_inner);
            for hop in &hops {
                measures.record(&Crossing::from(hop), now);
            }
        }
        let mut places = journey.evidence.iter().map(|(_, place)| place);
        let replayed = places.all(|place| place.batch < self.replay_end);
        match &mut self.keeper {
            None => {
                self.done(journey);
                self.room.give(journey.weight());
            }
            Some(keeper) => {
                let worked = !hops.iter().any(|hop| hop.outcome.is_failure());
                if self.shed == Shed::Successful && worked {
                    self.lost(journey, Reason::Shed);
                } else if !keeper.keep(journey, &hops, replayed, now) {
                    tracing::error!(journey = %journey.id, "a journey cannot be indexed");
                    self.lost(journey, Reason::IndexFailed);
                }
            }
        }
    }

    /// Commits, settles what the commit made lasting, and moves the cursor. Answers whether the
    /// commit succeeded.
    fn settle(&mut self, now: Nanos) -> bool {
        // Read before the lowest: a batch that is fed in between is held by then.
        let fed = Position(self.fed.load(Ordering::Acquire));
        if let Some(keeper) = &mut self.keeper {
            let begun = self.holding.lowest().unwrap_or(fed).min(fed);
            let Some(journeys) = keeper.commit(now, begun) else { return false };
            for journey in &journeys {
                self.done(journey);
            }
            // At one go: whoever waits for room would be woken for every journey.
            self.room.give(journeys.iter().map(|journey| journey.weight()).sum());
        }
        self.cursor.advance(self.holding.lowest().unwrap_or(fed).min(fed));
        true
    }

    fn done(&self, journey: &Journey) {
        for (signal, items) in self.settled(journey) {
            self.account.done(signal, items);
        }
    }

    fn lost(&self, journey: &Journey, reason: Reason) {
        self.room.give(journey.weight());
        for (signal, items) in self.settled(journey) {
            self.account.lost(signal, reason, items);
        }
    }

    /// Settles what is new in this revision; the rest was settled with an earlier one.
    fn settled(&self, journey: &Journey) -> impl Iterator<Item = (Signal, u64)> + use<> {
        let settled = self.holding.settle_all(journey.fresh().map(|place| place.batch));
        Signal::ALL.into_iter().zip(settled).filter(|(signal, _)| is_item(signal))
    }

    fn look(&mut self) {
        let before = self.shed;
        self.shed = before.look(self.log.bytes_from(self.cursor.get()), self.log.bytes_max());
        if self.shed != before {
            if let Some(keeper) = &self.keeper {
                keeper.shed(self.shed == Shed::Successful);
            }
            tracing::warn!(shed = ?self.shed, "which journeys are kept out of an index far behind");
        }
    }

    fn retire(&mut self, now: Nanos) {
        self.measures.lock().unwrap_or_else(PoisonError::into_inner).rotate(now);
        if let Some(keeper) = &mut self.keeper {
            let journeys = keeper.retire(now);
            if journeys > 0 {
                tracing::info!(journeys, "journeys past their retention left the index");
            }
        }
    }
}

/// Exemplars belong to points, and those have passed by.
fn is_item(signal: &Signal) -> bool {
    *signal != Signal::Metrics
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::evidence::Facts;
    use crate::index::Describer;
    use crate::join::Home;
    use crate::ledger::Ledger;
    use crate::settings::{Sources, load};

    /// A journey that weighs thirty.
    fn journey(number: u64) -> Arc<Journey> {
        let place = |offset| Place { batch: Position(number), offset };
        let evidence = (0..26).map(|offset| (Facts::default(), place(offset))).collect();
        Arc::new(Journey::new(Home::Alone(place(0)), evidence))
    }

    fn finish(dir: &std::path::Path, room: &Arc<Room>) -> Finish {
        let sets = vec![format!("data_dir={}", dir.display())];
        let settings = load(&Sources { sets, ..Sources::default() }).unwrap();
        let log = Log::open(settings.for_log()).unwrap();
        let symbols = Arc::new(Symbols::new(1000));
        let describer = Describer::new(Arc::clone(&symbols), log.clone(), 1000);
        let index = settings.for_index();
        let keeper = Keeper::open(index, describer, Arc::clone(&symbols), now()).unwrap();
        // What is taken is told directly.
        let (_, inbox) = channel();
        Finish {
            inbox,
            symbols,
            measures: Arc::new(Mutex::new(Hops::new(settings.for_measure()))),
            keeper: Some(keeper),
            commit: settings.index.commit,
            holding: Arc::default(),
            room: Arc::clone(room),
            is_leaving: false,
            account: Ledger::new().open("index"),
            cursor: log.cursor("index"),
            log,
            shed: Shed::default(),
            fed: Arc::default(),
            replay_end: Position::default(),
            halt: CancellationToken::new(),
        }
    }

    #[test]
    fn what_is_on_its_way_commits_nothing_and_half_the_room_does() {
        let (dir, room) = (tempfile::tempdir().unwrap(), Arc::new(Room::new(1200)));
        let mut finish = finish(dir.path(), &room);
        let waiting = |finish: &Finish| finish.keeper.as_ref().unwrap().waiting();
        let journeys: Vec<_> = (0..40).map(journey).collect();
        assert!(journeys.iter().all(|journey| room.take(journey, &finish.halt)));

        for journey in &journeys[..20] {
            finish.take(Finished::Journey(Arc::clone(journey)), now());
        }
        assert_eq!((waiting(&finish), room.used_for_test()), (20, 1200));

        finish.take(Finished::Journey(Arc::clone(&journeys[20])), now());
        assert_eq!((waiting(&finish), room.used_for_test()), (0, 1200 - 21 * 30));
    }
}
