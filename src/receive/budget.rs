//! One budget of bytes for all requests in flight.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Denial;
use crate::ledger::Refusal;

/// Semaphores count in `u32` at a time: a unit of 1 KiB reaches 4 TiB.
const UNIT_BYTES: usize = 1024;

/// What is left to hold.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<Semaphore>);

/// A part of the budget; it goes back when this is dropped.
#[derive(Debug)]
pub(super) struct Hold {
    budget: Arc<Semaphore>,
    permit: OwnedSemaphorePermit,
}

impl Budget {
    pub(super) fn new(bytes_max: usize) -> Self {
        let units = (bytes_max / UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(units)))
    }

    /// Never waits: a queue in front of a full gateway is memory without a bound.
    pub(super) fn take(&self, bytes: usize) -> Result<Hold, Denial> {
        let permit = acquire(&self.0, bytes.div_ceil(UNIT_BYTES))?;
        Ok(Hold { budget: Arc::clone(&self.0), permit })
    }

    pub(super) fn left_bytes(&self) -> usize {
        self.0.available_permits().saturating_mul(UNIT_BYTES)
    }
}

impl Hold {
    /// Holds `bytes` from now on; what is too much goes back.
    pub(super) fn resize(&mut self, bytes: usize) -> Result<(), Denial> {
        let want = bytes.div_ceil(UNIT_BYTES);
        let have = self.permit.num_permits();
        if want > have {
            self.permit.merge(acquire(&self.budget, want - have)?);
        } else {
            drop(self.permit.split(have - want));
        }
        Ok(())
    }

    /// Holds `bytes` at least.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Denial> {
        if bytes.div_ceil(UNIT_BYTES) > self.permit.num_permits() {
            self.resize(bytes)
        } else {
            Ok(())
        }
    }
}

fn acquire(budget: &Arc<Semaphore>, units: usize) -> Result<OwnedSemaphorePermit, Denial> {
    let busy = || Denial::new(Refusal::Busy, "too many bytes are in flight");
    let units = u32::try_from(units).map_err(|_| busy())?;
    Arc::clone(budget).try_acquire_many_owned(units).map_err(|_| busy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_takes_and_gives_back_what_it_is_resized_to() {
        let budget = Budget::new(10 << 10);
        let mut hold = budget.take(2 << 10).unwrap();

        hold.resize(9 << 10).unwrap();
        assert_eq!(budget.left_bytes(), 1 << 10);
        hold.resize(1).unwrap();
        assert_eq!(budget.left_bytes(), 9 << 10);
        drop(hold);
        assert_eq!(budget.left_bytes(), 10 << 10);
    }

    #[test]
    fn past_the_budget_a_hold_is_refused_as_busy_and_keeps_what_it_has() {
        let budget = Budget::new(4 << 10);
        let mut hold = budget.take(3 << 10).unwrap();

        assert_eq!(hold.resize(5 << 10).unwrap_err().refusal, Refusal::Busy);
        assert_eq!(budget.take(2 << 10).unwrap_err().refusal, Refusal::Busy);
        assert_eq!(budget.left_bytes(), 1 << 10);
    }
}
