//! Top: a running gateway on a terminal, drawn anew with every look at its status.
//!
//! In: statuses, keys. Out: a screen. Holds the last two statuses and the last rates of each row.
//! `state` and `draw` compute; `screen` is the edge that has the terminal, and gives it back however
//! this ends.

mod draw;
mod history;
mod panels;
mod screen;
mod state;

use std::io;
use std::time::Duration;

pub use screen::run;

use draw::draw;
use state::{Key, State};

const INTERVAL_MIN: Duration = Duration::from_millis(250);
const INTERVAL_MAX: Duration = Duration::from_secs(60);

/// Why there is nothing to see.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Standard output goes elsewhere.
    #[error("standard output is no terminal; `hopline status` says the same once, as text")]
    NoTerminal,
    /// The terminal cannot be used.
    #[error("the terminal cannot be used")]
    Terminal(#[from] io::Error),
}

/// How often to look, as it is written on the command line: `500ms`, `2s`.
///
/// # Errors
/// When it is no time, or too short or too long a one.
pub fn interval(text: &str) -> Result<Duration, String> {
    let milliseconds = text.strip_suffix("ms").map(|number| (number, 1));
    let seconds = text.strip_suffix('s').map(|number| (number, 1000));
    let minutes = text.strip_suffix('m').map(|number| (number, 60_000));
    let read = milliseconds.or(seconds).or(minutes).and_then(|(number, unit)| {
        let number: u64 = number.parse().ok()?;
        number.checked_mul(unit).map(Duration::from_millis)
    });
    let bounds = INTERVAL_MIN..=INTERVAL_MAX;
    read.filter(|interval| bounds.contains(interval))
        .ok_or_else(|| "expected a time from 250ms to 60s, such as 2s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_within_the_bounds_is_read() {
        let read = ["250ms", "1s", "1m"].map(|text| interval(text).unwrap().as_millis());
        assert_eq!(read, [250, 1000, 60_000]);
    }

    #[test]
    fn what_is_no_time_or_out_of_bounds_is_refused() {
        for text in ["", "1", "s", "249ms", "61s", "-1s", "99999999999999999999s", "1 s"] {
            assert!(interval(text).is_err(), "{text}");
        }
    }
}
