//! What one consumer of the log did with what it read.

use super::{BySignal, Reason, signed};
use crate::evidence::Signal;

/// The counts of one consumer.
#[derive(Debug)]
pub struct Account {
    consumer: String,
    /// Admitted before the account was opened.
    before: BySignal,
    recovered: BySignal,
    copied: BySignal,
    done: BySignal,
    passed: BySignal,
    held: BySignal,
    lost: [BySignal; Reason::ALL.len()],
}

/// An account for one signal, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Items admitted since the account was opened.
    pub admitted: u64,
    /// Items that lay unread in the log then.
    pub recovered: u64,
    /// Items that are in several journeys, counted once for each further one.
    pub copied: u64,
    /// Items indexed, or sent and acknowledged.
    pub done: u64,
    /// Items that this consumer has no use for.
    pub passed: u64,
    /// Items in the log, in queues, in open journeys.
    pub held: u64,
    /// Items that went no further, by reason.
    pub lost: Vec<(Reason, u64)>,
}

impl Account {
    /// `before` is what was admitted so far.
    pub(super) fn new(consumer: &str, before: BySignal) -> Self {
        Self {
            consumer: consumer.to_owned(),
            before,
            recovered: BySignal::default(),
            copied: BySignal::default(),
            done: BySignal::default(),
            passed: BySignal::default(),
            held: BySignal::default(),
            lost: Default::default(),
        }
    }

    /// Who the account belongs to.
    #[must_use]
    pub fn consumer(&self) -> &str {
        &self.consumer
    }

    /// `items` lay unread in the log when the account was opened.
    pub fn recovered(&self, signal: Signal, items: u64) {
        self.recovered.add(signal, items);
    }

    /// `items` will be counted once more than they were read: they are in several journeys.
    pub fn copied(&self, signal: Signal, items: u64) {
        self.copied.add(signal, items);
    }

    /// `items` reached their end: indexed, or acknowledged by the destination.
    pub fn done(&self, signal: Signal, items: u64) {
        self.done.add(signal, items);
    }

    /// This consumer has no use for `items`, by design.
    pub fn passed(&self, signal: Signal, items: u64) {
        self.passed.add(signal, items);
    }

    /// `items` go no further.
    pub fn lost(&self, signal: Signal, reason: Reason, items: u64) {
        if let Some(counts) = self.lost.get(reason as usize) {
            counts.add(signal, items);
        }
    }

    /// Items of each signal go no further, in the order of [`Signal::ALL`].
    pub fn lost_all(&self, reason: Reason, items: [u64; 3]) {
        for (signal, items) in Signal::ALL.into_iter().zip(items) {
            self.lost(signal, reason, items);
        }
    }

    /// The consumer counted `items` in its hands and ahead of it in the log.
    pub fn hold(&self, signal: Signal, items: u64) {
        self.held.set(signal, items);
    }

    /// The account, against what the doors admitted since the start.
    #[must_use]
    pub fn standing(&self, signal: Signal, admitted: u64) -> Standing {
        let lost = Reason::ALL.into_iter().zip(&self.lost);
        Standing {
            admitted: admitted.saturating_sub(self.before.get(signal)),
            recovered: self.recovered.get(signal),
            copied: self.copied.get(signal),
            done: self.done.get(signal),
            passed: self.passed.get(signal),
            held: self.held.get(signal),
            lost: lost.map(|(reason, counts)| (reason, counts.get(signal))).collect(),
        }
    }
}

impl Standing {
    /// What came in less what became of it: zero whenever nothing moves.
    #[must_use]
    pub fn imbalance(&self) -> i64 {
        let lost: u64 = self.lost.iter().map(|(_, count)| count).sum();
        let came = signed(self.admitted) + signed(self.recovered) + signed(self.copied);
        came - signed(self.done) - signed(self.passed) - signed(lost) - signed(self.held)
    }
}
