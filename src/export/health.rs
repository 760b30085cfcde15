//! How a destination does, for status and metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::evidence::Nanos;

/// What a destination says comes from outside: it stays short and on one line.
const ERROR_CHARS_MAX: usize = 300;
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Whether a destination takes what it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// The last answer decided on a request, or nothing was sent yet.
    #[default]
    Up,
    /// Requests wait for the next attempt.
    Retrying {
        /// The first failure since the last decision.
        since: Nanos,
    },
}

/// How a destination does. Written by its forwarder, read by everyone.
#[derive(Debug, Default)]
pub struct Health {
    now: Mutex<Now>,
    /// When the oldest evidence that is on its way was received; zero without any.
    oldest: AtomicU64,
    items: AtomicU64,
    bytes: AtomicU64,
    requests: AtomicU64,
    retries: AtomicU64,
    warnings: AtomicU64,
}

#[derive(Debug, Default)]
struct Now {
    state: State,
    last_error: Option<String>,
    last_warning: Option<String>,
    last_success: Option<Nanos>,
    trouble: Quiet,
    behind: Quiet,
    /// Items given up that the log does not tell of yet.
    given_up: u64,
}

/// Trouble that is logged once a minute.
#[derive(Debug, Default)]
struct Quiet(Option<Instant>);

/// A destination at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Whether it takes what it is sent.
    pub state: State,
    /// Why the last request that was not taken was not.
    pub last_error: Option<String>,
    /// Items that it took.
    pub items: u64,
    /// What it said of the last request that it took, but not without a word.
    pub last_warning: Option<String>,
    /// When it took a request last.
    pub last_success: Option<Nanos>,
    /// How long ago the oldest evidence that is on its way was received; zero without any.
    pub oldest: Duration,
    /// Bytes of the requests that it took, as they went over the wire.
    pub bytes: u64,
    /// Requests that it decided on.
    pub requests: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Requests that it took with a warning, or with an answer that cannot be read.
    pub warnings: u64,
}

impl Health {
    /// Up, with nothing sent.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The destination now.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let now = self.lock();
        Summary {
            state: now.state,
            last_error: now.last_error.clone(),
            last_warning: now.last_warning.clone(),
            items: self.items.load(Ordering::Relaxed),
            last_success: now.last_success,
            oldest: match self.oldest.load(Ordering::Relaxed) {
                0 => Duration::ZERO,
                received => super::now().since(Nanos(received)),
            },
            bytes: self.bytes.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            warnings: self.warnings.load(Ordering::Relaxed),
        }
    }

    pub(super) fn sent(&self, items: u64, bytes: usize, at: Nanos) {
        self.items.fetch_add(items, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.lock().last_success = Some(at);
        self.decided();
    }

    /// A request was taken, and something was said to it.
    pub(super) fn warned(&self, message: &str) {
        self.warnings.fetch_add(1, Ordering::Relaxed);
        self.lock().last_warning = Some(short(message));
    }

    /// When the oldest evidence that is on its way was received.
    pub(super) fn waiting_since(&self, oldest: Option<Nanos>) {
        self.oldest.store(oldest.unwrap_or_default().0, Ordering::Relaxed);
    }

    /// Counts `items` that were given up; answers all since the last time that is to be logged.
    pub(super) fn given_up(&self, items: u64, at: Instant) -> Option<u64> {
        let mut now = self.lock();
        now.given_up += items;
        now.behind.may_log(at).then(|| std::mem::take(&mut now.given_up))
    }

    /// Some or all of a request was refused for good.
    pub(super) fn refused(&self, message: &str) {
        self.lock().last_error = Some(short(message));
    }

    pub(super) fn decided(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.lock().state = State::Up;
    }

    pub(super) fn retrying(&self, message: &str, at: Nanos) {
        self.retries.fetch_add(1, Ordering::Relaxed);
        let mut now = self.lock();
        if now.state == State::Up {
            now.state = State::Retrying { since: at };
        }
        now.last_error = Some(short(message));
    }

    /// Whether trouble may be logged again: a destination that refuses all would flood the log.
    pub(super) fn may_log(&self, at: Instant) -> bool {
        self.lock().trouble.may_log(at)
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Quiet {
    fn may_log(&mut self, at: Instant) -> bool {
        let is_due = self.0.is_none_or(|logged| at.duration_since(logged) >= LOG_INTERVAL);
        if is_due {
            self.0 = Some(at);
        }
        is_due
    }
}

fn short(message: &str) -> String {
    let plain = message.chars().map(|char| if char.is_control() { ' ' } else { char });
    plain.take(ERROR_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn trouble_is_logged_once_a_minute() {
        let (health, begin) = (Health::new(), Instant::now());
        let logged = [0, 1, 59, 60, 61, 119, 120].map(Duration::from_secs);
        let logged = logged.map(|after| health.may_log(begin + after));
        assert_eq!(logged, [true, false, false, true, false, false, true]);
    }

    #[tokio::test]
    async fn what_is_given_up_within_a_minute_is_logged_together() {
        let (health, begin) = (Health::new(), Instant::now());
        let told = [0, 1, 59, 60].map(Duration::from_secs);
        let told = told.map(|after| health.given_up(10, begin + after));
        assert_eq!(told, [Some(10), None, None, Some(30)]);
    }

    #[test]
    fn the_first_failure_says_since_when() {
        let health = Health::new();
        health.retrying("down\n\u{1b}[31m", Nanos(5));
        health.retrying("still down", Nanos(9));
        assert_eq!(health.summary().state, State::Retrying { since: Nanos(5) });
        health.sent(1, 1, Nanos(11));
        assert_eq!(health.summary().state, State::Up);
        assert_eq!(short("down\n\u{1b}[31m"), "down  [31m");
    }
}
