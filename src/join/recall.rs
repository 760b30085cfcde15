//! Whether a journey may have closed lately, at the price of one look.

use std::time::Duration;

use crate::evidence::{JourneyId, Nanos};

/// Bits of one half: with a quarter of a million journeys in it, one look in sixteen is wrong.
const BITS: usize = 1 << 22;

/// Two sets of bits that take turns: what was noted is known for one period at least, and two at
/// most. It says "maybe" too often and "no" never wrongly, so that nearly no new journey asks the
/// cache, which costs as much as all else that a new journey does.
#[derive(Debug)]
pub(super) struct Recall {
    now: Box<[u64]>,
    before: Box<[u64]>,
    turned: Nanos,
    period: Duration,
}

impl Recall {
    pub(super) fn new(period: Duration) -> Self {
        let empty = || vec![0; BITS / 64].into_boxed_slice();
        Self { now: empty(), before: empty(), turned: Nanos(0), period }
    }

    pub(super) fn note(&mut self, id: JourneyId, now: Nanos) {
        if now.since(self.turned) > self.period {
            std::mem::swap(&mut self.now, &mut self.before);
            self.now.fill(0);
            self.turned = now;
        }
        let (word, bit) = place(id);
        if let Some(word) = self.now.get_mut(word) {
            *word |= bit;
        }
    }

    /// False only for what was not noted within the last period.
    pub(super) fn maybe(&self, id: JourneyId) -> bool {
        let (word, bit) = place(id);
        let has = |half: &[u64]| half.get(word).is_some_and(|word| word & bit != 0);
        has(&self.now) || has(&self.before)
    }
}

/// Ids may be small numbers: the product spreads them.
fn place(id: JourneyId) -> (usize, u64) {
    let folded = (id.0 ^ (id.0 >> 64)) & u128::from(u64::MAX);
    let spread = folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    let at = usize::try_from(spread).unwrap_or(usize::MAX) % BITS;
    (at / 64, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Nanos {
        Nanos(seconds * 1_000_000_000 + 1_790_000_000_000_000_000)
    }

    #[test]
    fn what_was_noted_is_recalled_for_a_period_whenever_the_halves_turn() {
        let mut recall = Recall::new(PERIOD);
        for second in 0..100_u64 {
            recall.note(JourneyId(u128::from(second) << 70), at(second));
            for noted in second.saturating_sub(10)..=second {
                assert!(recall.maybe(JourneyId(u128::from(noted) << 70)), "{noted} at {second}");
            }
        }
    }

    #[test]
    fn what_was_not_noted_is_mostly_not_recalled() {
        let mut recall = Recall::new(PERIOD);
        for id in 0..10_000_u128 {
            recall.note(JourneyId(id), at(0));
        }
        let wrong = (10_000..20_000_u128).filter(|id| recall.maybe(JourneyId(*id))).count();
        assert!(wrong < 200, "{wrong} of 10,000");
    }
}
