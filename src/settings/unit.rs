//! Sizes and times as people write them.

pub(super) const KIB: u64 = 1 << 10;
pub(super) const MIB: u64 = 1 << 20;
pub(super) const GIB: u64 = 1 << 30;
pub(super) const TIB: u64 = 1 << 40;

/// Times are counted in milliseconds.
pub(super) const MS: u64 = 1;
pub(super) const SECOND: u64 = 1000 * MS;
pub(super) const MINUTE: u64 = 60 * SECOND;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: u64 = 24 * HOUR;

/// Largest first, so that the first that fits is the one to write in.
const SIZES: [(&str, u64); 5] = [("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB), ("B", 1)];
const DECIMAL_SIZES: [(&str, u64); 4] =
    [("kB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000)];
const TIMES: [(&str, u64); 5] = [("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", MS)];

/// The bytes that `64MiB`, `64 MB` or `4096` stand for.
pub(super) fn read_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    if unit.is_empty() {
        return Some(number);
    }
    let known = SIZES.iter().chain(&DECIMAL_SIZES);
    let (_, factor) = known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.checked_mul(*factor)
}

/// The milliseconds that `500ms`, `2s` or `7d` stand for. A number alone could be anything.
pub(super) fn read_millis(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let (_, factor) = TIMES.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}

/// A size in its largest unit, to a tenth: `64MiB`, `91.5MiB`.
pub(super) fn show_bytes(bytes: u64) -> String {
    let largest = SIZES.iter().find(|(_, factor)| bytes >= *factor);
    let (name, factor) = largest.copied().unwrap_or(("B", 1));
    let (whole, rest) = (bytes / factor, bytes % factor);
    if rest == 0 {
        return format!("{whole}{name}");
    }
    // The rest is below 1 TiB, so ten times it fits.
    format!("{whole}.{}{name}", rest * 10 / factor)
}

/// A time in the largest unit that holds it exactly: `90s`, `2m`.
pub(super) fn show_millis(millis: u64) -> String {
    let exact = TIMES.iter().find(|(_, factor)| millis != 0 && millis.is_multiple_of(*factor));
    let (name, factor) = exact.copied().unwrap_or(("ms", MS));
    format!("{}{name}", millis / factor)
}

/// A whole number and the unit after it, which may be apart.
fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        let texts = ["4096", "64KiB", "64 mib", "1MB", "0B"];

        let read = texts.map(read_bytes);

        assert_eq!(read, [Some(4096), Some(65536), Some(64 << 20), Some(1_000_000), Some(0)]);
    }

    #[test]
    fn what_is_no_size_is_refused() {
        let texts = ["", "MiB", "-1", "1.5GiB", "1XB", "99999999999TiB", "18446744073709551616"];

        assert_eq!(texts.map(read_bytes), [None; 7]);
    }

    #[test]
    fn times_are_read_by_their_unit() {
        let texts = ["500ms", "2s", "15m", "6h", "7d", "0ms"];

        let read = texts.map(|text| read_millis(text).unwrap());

        assert_eq!(read, [500, 2000, 900_000, 21_600_000, 604_800_000, 0]);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let texts = ["", "5", "s", "-1s", "1.5s", "1M", "1 second", "99999999999999999d"];

        assert_eq!(texts.map(read_millis), [None; 8]);
    }

    #[test]
    fn an_odd_size_is_shown_to_a_tenth() {
        assert_eq!(show_bytes(96_000_000), "91.5MiB");
    }

    proptest! {
        #[test]
        fn a_shown_time_reads_back(millis in 0..=u64::MAX) {
            prop_assert_eq!(read_millis(&show_millis(millis)), Some(millis));
        }

        #[test]
        fn a_shown_size_reads_back_when_it_is_whole(number in 0..1024u64, unit in 0..SIZES.len()) {
            let bytes = number * SIZES[unit].1;
            prop_assert_eq!(read_bytes(&show_bytes(bytes)), Some(bytes));
        }

        #[test]
        fn no_text_is_a_size_and_a_time(text in ".*") {
            prop_assert!(read_bytes(&text).is_none() || read_millis(&text).is_none());
        }
    }
}
