//! Chance, from a seed.

use std::f64::consts::TAU;
use std::time::Duration;

use super::story::Latency;

/// Draws the same things in the same order from the same seed.
#[derive(Debug)]
pub(crate) struct Draw(fastrand::Rng);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// One of several; there is at least one.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        *from.get(self.0.usize(..from.len())).expect("the draw is below the length")
    }

    /// The place of one of several, by weight; the weights are not all zero.
    pub(crate) fn weighted(&mut self, weights: impl Iterator<Item = u32> + Clone) -> usize {
        let sum: u32 = weights.clone().sum();
        let mut left = self.0.u32(..sum);
        for (at, weight) in weights.enumerate() {
            if left < weight {
                return at;
            }
            left -= weight;
        }
        0
    }

    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.0.f64() < share
    }

    /// A number from `low` up to `high`.
    pub(crate) fn between(&mut self, low: u32, high: u32) -> u32 {
        self.0.u32(low..high)
    }

    /// A share from 0 up to 1.
    pub(crate) fn share(&mut self) -> f64 {
        self.0.f64()
    }

    /// A log-normal latency.
    pub(crate) fn latency(&mut self, of: Latency) -> Duration {
        // Box and Muller; the first share is kept off zero, whose logarithm is endless.
        let (first, second) = (1.0 - self.0.f64(), self.0.f64());
        let normal = (-2.0 * first.ln()).sqrt() * (TAU * second).cos();
        scaled(of.median, (of.sigma * normal).exp())
    }

    /// The wait for the next of arrivals that do not know of each other.
    pub(crate) fn arrival(&mut self, rate: f64) -> Duration {
        let share = 1.0 - self.0.f64();
        scaled(Duration::from_secs(1), -share.ln() / rate)
    }

    /// Even over a range.
    pub(crate) fn within(&mut self, [low, high]: [Duration; 2]) -> Duration {
        low + scaled(high.saturating_sub(low), self.0.f64())
    }

    pub(crate) fn trace_id(&mut self) -> [u8; 16] {
        self.0.u128(1..).to_be_bytes()
    }

    pub(crate) fn span_id(&mut self) -> [u8; 8] {
        self.0.u64(1..).to_be_bytes()
    }

    /// A port of those that clients get.
    pub(crate) fn port(&mut self) -> u16 {
        self.0.u16(32_768..61_000)
    }

    /// A random UUID, as request ids are.
    pub(crate) fn uuid(&mut self) -> String {
        let (high, low) = (self.0.u64(..), self.0.u64(..));
        let (first, second, third) = (high >> 32, (high >> 16) & 0xffff, high & 0xfff);
        let (fourth, fifth) = (0x8000 | (low >> 48) & 0x3fff, low & 0xffff_ffff_ffff);
        format!("{first:08x}-{second:04x}-4{third:03x}-{fourth:04x}-{fifth:012x}")
    }
}

/// A duration times a factor; a factor that gives none gives the duration.
pub(crate) fn scaled(duration: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_all_latencies_are_below_the_median() {
        let mut draw = Draw::new(7);
        let of = Latency { median: Duration::from_millis(20), sigma: 0.5 };
        let below = (0..10_000).filter(|_| draw.latency(of) < of.median).count();
        assert!((4_800..5_200).contains(&below), "{below}");
    }

    #[test]
    fn a_request_id_is_a_random_uuid() {
        let id = Draw::new(1).uuid();
        let parts: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(id.as_bytes()[14], b'4');
        assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
    }

    #[test]
    fn arrivals_come_at_the_rate_that_was_asked_for() {
        let mut draw = Draw::new(3);
        let took: Duration = (0..10_000).map(|_| draw.arrival(50.0)).sum();
        assert!((190..210).contains(&took.as_secs()), "{took:?}");
    }
}
