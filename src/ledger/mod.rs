//! Ledger: what came in and what became of it.
//!
//! In: counts from every stage. Out: the balance, per signal and per consumer:
//! received = refused + repeated + admitted, and for each consumer
//! admitted + recovered + copied = done + passed + lost(reason) + held.
//! Holds one account per consumer; their names come from the settings, never from data.

mod account;
mod holding;
mod reason;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use account::{Account, Standing};
pub use holding::Holding;
pub use reason::{Reason, Refusal};

use crate::evidence::{Signal, Source};

/// Counts per signal.
#[derive(Debug, Default)]
pub(crate) struct BySignal([AtomicU64; 3]);

/// The counts of the doors, and the accounts of the consumers.
#[derive(Debug, Default)]
pub struct Ledger {
    received: BySignal,
    admitted: BySignal,
    repeated: BySignal,
    refused: [BySignal; Refusal::ALL.len()],
    by_source: [AtomicU64; Source::ALL.len()],
    accounts: Mutex<Vec<Arc<Account>>>,
}

/// The doors' side of the ledger for one signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrance {
    /// Items that reached a door and could be counted.
    pub received: u64,
    /// Items that are in the log.
    pub admitted: u64,
    /// Items that were in the log already: their sender sent the same request again.
    pub repeated: u64,
    /// Items that were sent back, by reason.
    pub refused: Vec<(Refusal, u64)>,
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A door took `items` and is about to admit or refuse them.
    pub fn received(&self, signal: Signal, items: u64) {
        self.received.add(signal, items);
    }

    /// `items` of what was received came to this kind of door.
    pub fn came_from(&self, source: Source, items: u64) {
        if let Some(count) = self.by_source.get(source as usize) {
            count.fetch_add(items, Ordering::Relaxed);
        }
    }

    /// What came to this kind of door and could be counted.
    #[must_use]
    pub fn items_from(&self, source: Source) -> u64 {
        self.by_source.get(source as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// The log has `items`, as safe as its ack mode says.
    pub fn admitted(&self, signal: Signal, items: u64) {
        self.admitted.add(signal, items);
    }

    /// The log has `items` from an earlier request with the same bytes.
    pub fn repeated(&self, signal: Signal, items: u64) {
        self.repeated.add(signal, items);
    }

    /// A door sent `items` back.
    pub fn refused(&self, signal: Signal, reason: Refusal, items: u64) {
        if let Some(counts) = self.refused.get(reason as usize) {
            counts.add(signal, items);
        }
    }

    /// Opens the account of a consumer of the log.
    pub fn open(&self, consumer: &str) -> Arc<Account> {
        let before = BySignal::default();
        for signal in Signal::ALL {
            before.set(signal, self.admitted.get(signal));
        }
        let account = Arc::new(Account::new(consumer, before));
        self.list().push(Arc::clone(&account));
        account
    }

    /// The account of a consumer that has one.
    pub fn find(&self, consumer: &str) -> Option<Arc<Account>> {
        self.list().iter().find(|account| account.consumer() == consumer).cloned()
    }

    /// Forgets the consumers that are not among these.
    pub fn keep(&self, consumers: &[&str]) {
        self.list().retain(|account| consumers.contains(&account.consumer()));
    }

    /// All accounts, in the order in which they were opened.
    #[must_use]
    pub fn accounts(&self) -> Vec<Arc<Account>> {
        self.list().clone()
    }

    /// The doors' side, for one signal.
    #[must_use]
    pub fn entrance(&self, signal: Signal) -> Entrance {
        let refused = Refusal::ALL.into_iter().zip(&self.refused);
        Entrance {
            received: self.received.get(signal),
            admitted: self.admitted.get(signal),
            repeated: self.repeated.get(signal),
            refused: refused.map(|(reason, counts)| (reason, counts.get(signal))).collect(),
        }
    }

    fn list(&self) -> MutexGuard<'_, Vec<Arc<Account>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Received less refused, repeated and admitted: zero whenever no request is on its way.
    #[must_use]
    pub fn imbalance(&self, signal: Signal) -> i64 {
        let entrance = self.entrance(signal);
        let refused: u64 = entrance.refused.iter().map(|(_, count)| count).sum();
        let kept = signed(entrance.admitted) + signed(entrance.repeated);
        signed(entrance.received) - kept - signed(refused)
    }
}

impl BySignal {
    pub(crate) fn add(&self, signal: Signal, items: u64) {
        self.slot(signal).fetch_add(items, Ordering::Relaxed);
    }

    pub(crate) fn get(&self, signal: Signal) -> u64 {
        self.slot(signal).load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, signal: Signal, items: u64) {
        self.slot(signal).store(items, Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, signal: Signal, items: u64) {
        self.slot(signal).fetch_sub(items, Ordering::Relaxed);
    }

    fn slot(&self, signal: Signal) -> &AtomicU64 {
        let [traces, logs, metrics] = &self.0;
        match signal {
            Signal::Traces => traces,
            Signal::Logs => logs,
            Signal::Metrics => metrics,
        }
    }
}

/// Counts stay far below `i64::MAX`; a broken one must not wrap the balance.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_admitted_nor_refused_is_an_imbalance() {
        let ledger = Ledger::new();
        ledger.received(Signal::Logs, 10);
        ledger.admitted(Signal::Logs, 7);
        ledger.refused(Signal::Logs, Refusal::Malformed, 1);

        assert_eq!(ledger.imbalance(Signal::Logs), 2);
    }

    #[test]
    fn an_account_balances_when_all_is_done_lost_passed_or_held() {
        let ledger = Ledger::new();
        ledger.admitted(Signal::Traces, 3);
        let account = ledger.open("index");
        ledger.admitted(Signal::Traces, 10);
        account.recovered(Signal::Traces, 5);
        account.done(Signal::Traces, 11);
        account.lost(Signal::Traces, Reason::Corrupt, 2);
        account.hold(Signal::Traces, 2);

        assert_eq!(account.standing(Signal::Traces, 13).imbalance(), 0);
    }
}
