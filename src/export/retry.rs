//! How long to wait between attempts.

use std::time::Duration;

/// Doubles with each failure, and never waits the same twice: senders that failed together must
/// not come back together.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    pub(super) fn new(min: Duration, max: Duration) -> Self {
        Self { next: min.min(max), max }
    }

    /// The wait before the next attempt: what the destination asked for, or the own.
    pub(super) fn wait(&mut self, asked: Option<Duration>) -> Duration {
        let own = self.next;
        self.next = (self.next * 2).min(self.max);
        match asked {
            Some(asked) => asked.mul_f64(1.0 + 0.2 * fastrand::f64()),
            None => own.mul_f64(0.5 + 0.5 * fastrand::f64()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_one() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second / 2, second * 4);
        for longest in [500, 1000, 2000, 4000, 4000].map(Duration::from_millis) {
            let wait = backoff.wait(None);
            assert!(longest / 2 <= wait && wait <= longest, "{wait:?} of {longest:?}");
        }
    }

    #[test]
    fn a_wait_that_was_asked_for_is_never_cut_short() {
        let asked = Duration::from_secs(9);
        let wait = Backoff::new(Duration::ZERO, Duration::ZERO).wait(Some(asked));
        assert!(asked <= wait && wait <= asked * 2);
    }
}
