//! Whose turn it is: few large requests are inflated and cleaned at a time.
//!
//! More at a time would not be faster than there are processors. But each is in memory several
//! times meanwhile, and each thread that works on one keeps memory of its own.

use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Denial;
use super::deadline::Deadline;
use super::inflate::{Coding, INLINE_BYTES};

/// More than this, compressed, may make so much that it is inflated away from the async threads.
const ENCODED_BYTES: usize = 16 << 10;

/// The turns of one gateway: as many as it has processors.
#[derive(Clone, Debug)]
pub(super) struct Turns(Arc<Semaphore>);

/// A large request's turn, which lasts until this and its clones are dropped. A small one needs
/// none.
#[derive(Clone, Debug, Default)]
pub struct Turn(Option<Arc<OwnedSemaphorePermit>>);

impl Turns {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(available_parallelism().map_or(1, NonZero::get))))
    }

    /// Waits until a body may be worked on.
    pub(super) async fn take(
        &self,
        coding: Coding,
        encoded: &[u8],
        deadline: Deadline,
    ) -> Result<Turn, Denial> {
        let is_small = match coding.told_bytes(encoded) {
            Some(told) => told <= INLINE_BYTES,
            None => encoded.len() <= ENCODED_BYTES,
        };
        if is_small {
            return Ok(Turn::default());
        }
        // Nobody closes it.
        let permit = deadline.within(Arc::clone(&self.0).acquire_owned()).await?.ok();
        Ok(Turn(permit.map(Arc::new)))
    }
}

impl PartialEq for Turn {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_ref().map(Arc::as_ptr) == other.0.as_ref().map(Arc::as_ptr)
    }
}

impl Eq for Turn {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn large_requests_take_turns_and_small_ones_need_none() {
        let turns = Turns(Arc::new(Semaphore::new(2)));
        let take = |coding, bytes| {
            let (turns, body) = (turns.clone(), vec![0; bytes]);
            async move { turns.take(coding, &body, Deadline::default()).await.unwrap() }
        };
        let first = take(Coding::Gzip, ENCODED_BYTES + 1).await;
        let second = take(Coding::Identity, INLINE_BYTES + 1).await;
        assert_ne!(first, second);
        assert_eq!(take(Coding::Gzip, ENCODED_BYTES).await, Turn::default());
        assert_eq!(take(Coding::Identity, INLINE_BYTES).await, Turn::default());
        let told = zstd::bulk::compress(&vec![7; INLINE_BYTES], 1).unwrap();
        let small = turns.take(Coding::Zstd, &told, Deadline::default()).await;
        assert_eq!(small.unwrap(), Turn::default());

        let soon = Duration::from_millis(1);
        let mut third = std::pin::pin!(take(Coding::Gzip, ENCODED_BYTES + 1));
        let waits = timeout(soon, third.as_mut()).await.is_err();
        let again = second.clone();
        drop(second);
        let still_waits = timeout(soon, third.as_mut()).await.is_err();
        drop(again);

        assert!(waits && still_waits);
        assert_ne!(third.await, Turn::default());
    }
}
