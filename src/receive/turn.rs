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
use super::inflate::INLINE_BYTES;

/// More than this, compressed, may make so much that it is inflated away from the async threads.
const ENCODED_BYTES: usize = 16 << 10;

/// The turns of one gateway: as many as it has processors.
#[derive(Clone, Debug)]
pub(super) struct Turns(Arc<Semaphore>);

/// A large request's turn, which lasts until this is dropped. A small one needs none.
#[derive(Debug, Default)]
pub struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(available_parallelism().map_or(1, NonZero::get))))
    }

    /// Waits until a body of so many bytes may be worked on, which told what it will be long or not.
    pub(super) async fn take(
        &self,
        encoded_bytes: usize,
        told: Option<usize>,
        deadline: Deadline,
    ) -> Result<Turn, Denial> {
        let is_small = match told {
            Some(told) => told <= INLINE_BYTES,
            None => encoded_bytes <= ENCODED_BYTES,
        };
        if is_small {
            return Ok(Turn::default());
        }
        // Nobody closes it.
        let permit = deadline.within(Arc::clone(&self.0).acquire_owned()).await?.ok();
        Ok(Turn { _permit: permit })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn large_requests_take_turns_and_small_ones_need_none() {
        let turns = Turns(Arc::new(Semaphore::new(2)));
        let take = |bytes, told| turns.take(bytes, told, Deadline::default());
        let small = (take(ENCODED_BYTES, None), take(INLINE_BYTES, Some(INLINE_BYTES)));
        let _small = (small.0.await.unwrap(), small.1.await.unwrap());
        assert_eq!(turns.0.available_permits(), 2);

        let _first = take(ENCODED_BYTES + 1, None).await.unwrap();
        let second = take(1, Some(INLINE_BYTES + 1)).await.unwrap();
        let mut third = std::pin::pin!(take(ENCODED_BYTES + 1, None));
        let waits = timeout(Duration::from_millis(1), third.as_mut()).await.is_err();
        drop(second);

        assert!(waits);
        let _third = third.await.unwrap();
        assert_eq!(turns.0.available_permits(), 0);
    }
}
