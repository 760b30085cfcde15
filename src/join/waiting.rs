//! Evidence that waits for a binding.

use std::collections::VecDeque;

use super::WeakKey;
use crate::evidence::{Evidence, Nanos};

/// One evidence, until it is decided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    pub(super) until: Nanos,
    pub(super) key: WeakKey,
    pub(super) evidence: Evidence,
}

/// Each sort of key waits equally long, so queues are in the order of their deadlines.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    requests: VecDeque<Waiter>,
    sockets: VecDeque<Waiter>,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.requests.len() + self.sockets.len()
    }

    pub(super) fn push(&mut self, waiter: Waiter) {
        match waiter.key {
            WeakKey::Request(_) => self.requests.push_back(waiter),
            WeakKey::Sockets(_) => self.sockets.push_back(waiter),
        }
    }

    /// One whose time has come. Requests go first: they may bind the sockets.
    pub(super) fn pop_due(&mut self, now: Nanos) -> Option<Waiter> {
        let due = |waiter: &mut Waiter| waiter.until <= now;
        self.requests.pop_front_if(due).or_else(|| self.sockets.pop_front_if(due))
    }

    pub(super) fn pop_request(&mut self) -> Option<Waiter> {
        self.requests.pop_front()
    }

    pub(super) fn pop_sockets(&mut self) -> Option<Waiter> {
        self.sockets.pop_front()
    }

    /// The one with the least time left.
    pub(super) fn pop_oldest(&mut self) -> Option<Waiter> {
        match (self.requests.front(), self.sockets.front()) {
            (Some(request), Some(sockets)) if sockets.until < request.until => self.pop_sockets(),
            (Some(_), _) => self.pop_request(),
            (None, _) => self.pop_sockets(),
        }
    }
}
