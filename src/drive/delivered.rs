//! How far all destinations have what is in the log, for the ack mode that promises it.

use std::sync::{Arc, Mutex, PoisonError};

use crate::evidence::Position;
use crate::export::Hand;

/// The destinations that an OK waits for.
#[derive(Default)]
pub(crate) struct Delivered(Mutex<Vec<Arc<Hand>>>);

impl Delivered {
    /// From now on it is these.
    pub(crate) fn expect(&self, hands: Vec<Arc<Hand>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = hands;
    }

    /// Waits until every destination has the batch at `position`. Without a destination, for ever.
    pub(crate) async fn wait(&self, position: Position) {
        let hands = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if hands.is_empty() {
            std::future::pending::<()>().await;
        }
        for hand in hands {
            hand.settled_past(position).await;
        }
    }
}
