//! RFC 3339, as protobuf's JSON writes times.

use crate::evidence::Nanos;

const SECONDS_A_DAY: i64 = 86_400;

/// `None` for what is no time, or one before 1970 or after 2554.
pub(super) fn parse(text: &str) -> Option<Nanos> {
    let (date, time) = text.trim().split_once(['T', 't', ' '])?;
    let (time, offset) = split_offset(time)?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let seconds = days(date)? * SECONDS_A_DAY + second_of_day(clock)? - offset;
    let seconds = u64::try_from(seconds).ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos(fraction)?).map(Nanos)
}

/// The time without its offset, and the offset in seconds.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let at = time.rfind(['+', '-'])?;
    let (time, offset) = time.split_at_checked(at)?;
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let seconds = number(hours, 2, 23)? * 3600 + number(minutes, 2, 59)? * 60;
    Some((time, if offset.starts_with('-') { -seconds } else { seconds }))
}

/// Days since the epoch, by the proleptic Gregorian calendar.
fn days(date: &str) -> Option<i64> {
    let mut parts = date.splitn(3, '-');
    let year = number(parts.next()?, 4, 9999)?;
    let month = number(parts.next()?, 2, 12)?;
    let day = number(parts.next()?, 2, 31)?;
    if month == 0 || day == 0 || day > days_in(year, month) {
        return None;
    }
    // The year begins in March, so that the leap day is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn second_of_day(clock: &str) -> Option<i64> {
    let mut parts = clock.splitn(3, ':');
    let hour = number(parts.next()?, 2, 23)?;
    let minute = number(parts.next()?, 2, 59)?;
    // A leap second counts as the second after it.
    let second = number(parts.next()?, 2, 60)?;
    Some(hour * 3600 + minute * 60 + second)
}

/// Digits past the ninth are below a nanosecond.
fn nanos(fraction: &str) -> Option<u64> {
    if fraction.is_empty() {
        return Some(0);
    }
    fraction.bytes().all(|digit| digit.is_ascii_digit()).then_some(())?;
    let digits = fraction.get(..9).unwrap_or(fraction);
    let missing = u32::try_from(9 - digits.len()).ok()?;
    digits.parse::<u64>().ok().map(|value| value * 10_u64.pow(missing))
}

fn number(text: &str, digits: usize, most: i64) -> Option<i64> {
    let plain = text.len() == digits && text.bytes().all(|digit| digit.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten().filter(|value| *value <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_to_the_nanosecond() {
        let day = 1_614_609_000_000_000_000;
        assert_eq!(parse("2021-03-01T14:30:00Z"), Some(Nanos(day)));
        assert_eq!(parse("2021-03-01T14:30:00.123456789Z"), Some(Nanos(day + 123_456_789)));
        assert_eq!(parse("2021-03-01T14:30:00.5Z"), Some(Nanos(day + 500_000_000)));
        assert_eq!(parse("2021-03-01T16:30:00+02:00"), Some(Nanos(day)));
        assert_eq!(parse("2021-02-28T23:30:00.1234567891-15:00"), Some(Nanos(day + 123_456_789)));
    }

    #[test]
    fn leap_years_follow_the_calendar() {
        assert_eq!(parse("2000-02-29T00:00:00Z"), Some(Nanos(951_782_400_000_000_000)));
        assert_eq!(parse("2100-02-29T00:00:00Z"), None);
        assert_eq!(parse("1970-01-01T00:00:00Z"), Some(Nanos(0)));
    }

    #[test]
    fn what_is_no_time_is_none() {
        let wrong = ["", "T", "2021-03-01", "2021-13-01T00:00:00Z", "2021-03-01T24:00:00Z"];
        let more = ["2021-03-01T00:00:00", "1969-12-31T23:59:59Z", "2021-03-01T00:00:00.éZ"];
        for text in
            wrong.into_iter().chain(more).chain(["9999-12-31T00:00:00Z", "+021-03-01T00:00:00Z"])
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_a_panic(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
