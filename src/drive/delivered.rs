//! How far all destinations have what is in the log, for the ack mode that promises it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::evidence::Position;

/// What every destination has.
pub(crate) struct Delivered {
    reached: Mutex<BTreeMap<String, Position>>,
    lowest: watch::Sender<Position>,
}

impl Delivered {
    pub(crate) fn new() -> Self {
        Self { reached: Mutex::default(), lowest: watch::Sender::new(Position::default()) }
    }

    /// A destination has everything before `to`.
    pub(crate) fn reach(&self, destination: &str, to: Position) {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        match reached.get_mut(destination) {
            Some(at) => *at = to.max(*at),
            None => drop(reached.insert(destination.to_owned(), to)),
        }
        self.tell(&reached);
    }

    /// Only these destinations are waited for.
    pub(crate) fn keep<'a>(&self, destinations: impl Iterator<Item = &'a str>) {
        let kept: Vec<_> = destinations.collect();
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        reached.retain(|name, _| kept.contains(&name.as_str()));
        self.tell(&reached);
    }

    /// Waits until every destination has the batch at `position`. Without a destination, for ever.
    pub(crate) async fn wait(&self, position: Position) {
        let mut lowest = self.lowest.subscribe();
        // The sender lives as long as this does.
        lowest.wait_for(|lowest| *lowest > position).await.ok();
    }

    fn tell(&self, reached: &BTreeMap<String, Position>) {
        let lowest = reached.values().min().copied().unwrap_or_default();
        self.lowest.send_if_modified(|told| std::mem::replace(told, lowest) != lowest);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn is_delivered(delivered: &Delivered, position: u64) -> bool {
        let waited = delivered.wait(Position(position));
        tokio::time::timeout(Duration::ZERO, waited).await.is_ok()
    }

    #[tokio::test]
    async fn a_batch_is_delivered_when_the_slowest_is_past_it() {
        let delivered = Delivered::new();
        delivered.reach("a", Position(200));
        delivered.reach("b", Position(100));

        assert!(is_delivered(&delivered, 99).await);
        assert!(!is_delivered(&delivered, 100).await);
    }

    #[tokio::test]
    async fn a_destination_that_is_gone_is_not_waited_for() {
        let delivered = Delivered::new();
        delivered.reach("a", Position(200));
        delivered.reach("b", Position(0));
        delivered.keep(["a"].into_iter());

        assert!(is_delivered(&delivered, 100).await);
    }

    #[tokio::test]
    async fn without_destinations_nothing_is_delivered() {
        assert!(!is_delivered(&Delivered::new(), 0).await);
    }
}
