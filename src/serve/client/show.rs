//! Numbers, times and other people's text, as a terminal shows them.

use std::fmt::Write as _;

use serde_json::Value;

use crate::evidence::Nanos;

const SIZES: [(&str, u64); 4] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
const AGES: [(&str, u64); 4] = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];
const SECOND_NS: u64 = 1_000_000_000;
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The text on one line, and without what would steer the reader's terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|it| if steers(it) { '\u{fffd}' } else { it }).collect()
}

/// JSON on many lines. What would steer a terminal only occurs within strings, and is written as
/// an escape there.
#[must_use]
pub fn json(value: &Value) -> String {
    let mut out = String::new();
    for char in format!("{value:#}\n").chars() {
        if steers(char) && char != '\n' {
            let _infallible = write!(out, "\\u{:04x}", u32::from(char));
        } else {
            out.push(char);
        }
    }
    out
}

/// Control characters, and those that turn the direction of the text around them.
fn steers(it: char) -> bool {
    let turns = matches!(
        it,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    it.is_control() || turns || matches!(it, '\u{2028}' | '\u{2029}')
}

/// A time in UTC, to a millisecond.
pub(crate) fn clock(ns: u64) -> String {
    format!("{}.{:03}Z", Nanos(ns).date_time(), ns / 1_000_000 % 1000)
}

/// A time in UTC, to a second.
pub(crate) fn clock_seconds(ns: u64) -> String {
    format!("{}Z", Nanos(ns).date_time())
}

/// A length of time in its two largest units: `4m 12s`.
pub(crate) fn age(ns: u64) -> String {
    let seconds = ns / SECOND_NS;
    let mut units = AGES.iter().skip_while(|(_, unit)| seconds < *unit);
    let Some((name, unit)) = units.next() else { return "0s".to_owned() };
    let mut out = format!("{}{name}", seconds / unit);
    if let Some((name, smaller)) = units.next().filter(|(_, it)| seconds % unit >= *it) {
        let _infallible = write!(out, " {}{name}", seconds % unit / smaller);
    }
    out
}

/// A size in its largest unit, to a tenth: `64MiB`, `91.5MiB`.
pub(crate) fn size(bytes: u64) -> String {
    match SIZES.iter().find(|(_, unit)| bytes >= *unit) {
        None => format!("{bytes}B"),
        Some((name, unit)) if bytes.is_multiple_of(*unit) => format!("{}{name}", bytes / unit),
        // The rest is below 1 TiB, so ten times it fits.
        Some((name, unit)) => format!("{}.{}{name}", bytes / unit, bytes % unit * 10 / unit),
    }
}

/// A count with its thousands apart: `12,345`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (left, digit) in (0..digits.len()).rev().zip(digits.chars()) {
        out.push(digit);
        if left > 0 && left.is_multiple_of(3) {
            out.push(',');
        }
    }
    out
}

/// A count of things: `1 segment`, `2 segments`.
pub(crate) fn many(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", count(number))
}

/// How much of `whole` a part is; of nothing, nothing.
pub(crate) fn percent(part: u64, whole: u64) -> u64 {
    let percent = u128::from(part) * 100 / u128::from(whole.max(1));
    u64::try_from(percent).unwrap_or(u64::MAX)
}

/// How much of `whole` a part is, as a bar of `width` characters.
pub(crate) fn bar(part: u64, whole: u64, width: usize) -> String {
    let scaled = u128::from(part) * width as u128 / u128::from(whole.max(1));
    let full = usize::try_from(scaled).unwrap_or(width).min(width);
    // What is there at all shows.
    let full = if part > 0 { full.max(1) } else { full };
    "█".repeat(full) + &"░".repeat(width.saturating_sub(full))
}

/// The last `width` values, each as high as it is against the highest.
pub(crate) fn spark(values: impl DoubleEndedIterator<Item = u64>, width: usize) -> String {
    let mut last: Vec<u64> = values.rev().take(width).collect();
    last.reverse();
    let most = last.iter().copied().max().unwrap_or(0);
    let level = |value: u64| {
        let step = percent(value, most).saturating_mul(LEVELS.len() as u64 - 1).div_ceil(100);
        let step = usize::try_from(step).unwrap_or(0);
        LEVELS.get(step).copied().unwrap_or(' ')
    };
    last.into_iter().map(level).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_time_is_shown_as_a_date() {
        assert_eq!(clock(1_790_000_000_123_000_000), "2026-09-21T14:13:20.123Z");
        assert_eq!(clock_seconds(951_782_400_000_000_000), "2000-02-29T00:00:00Z");
    }

    #[test]
    fn a_length_of_time_has_its_two_largest_units() {
        let shown = [0, 59, 60, 252, 3600, 90_061, 172_830].map(|it| age(it * SECOND_NS));
        assert_eq!(shown, ["0s", "59s", "1m", "4m 12s", "1h", "1d 1h", "2d"]);
    }

    #[test]
    fn sizes_and_counts_are_short_enough_to_compare() {
        assert_eq!([0, 1023, 1024, 96_000_000].map(size), ["0B", "1023B", "1KiB", "91.5MiB"]);
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_bar_shows_that_there_is_something_and_never_grows_too_long() {
        assert_eq!(bar(0, 10, 4), "░░░░");
        assert_eq!(bar(1, 1000, 4), "█░░░");
        assert_eq!(bar(30, 10, 4), "████");
    }

    #[test]
    fn a_line_of_values_rises_to_its_highest() {
        assert_eq!(spark([9, 0, 1, 50, 100].into_iter(), 4), "▁▂▅█");
        assert_eq!(spark([0, 0].into_iter(), 4), "▁▁");
    }

    #[test]
    fn what_steers_a_terminal_is_an_escape_in_json() {
        let shown = json(&json!("a\u{9b}31m\u{202e}b"));
        assert_eq!(shown, "\"a\\u009b31m\\u202eb\"\n");
    }

    proptest! {
        #[test]
        fn no_text_steers_the_terminal(text in ".*") {
            prop_assert!(!plain(&text).chars().any(steers));
        }

        #[test]
        fn escaped_json_is_the_same_json(text in ".*") {
            let value = json!({ "text": text });
            prop_assert_eq!(serde_json::from_str::<Value>(&json(&value)).unwrap(), value);
        }

        #[test]
        fn any_number_can_be_shown(part in 0..=u64::MAX, whole in 0..=u64::MAX) {
            prop_assert_eq!(bar(part, whole, 9).chars().count(), 9);
            prop_assert_eq!(count(part).replace(',', ""), part.to_string());
            prop_assert_eq!(spark([part, whole].into_iter(), 9).chars().count(), 2);
            prop_assert!(!clock(part).is_empty() && !age(whole).is_empty() && !size(part).is_empty());
        }
    }
}
