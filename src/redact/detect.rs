//! Secrets that are known by their form, wherever they stand.
//!
//! A [`Glance`] says which forms a string may have; only these are looked for.

use std::ops::Range;

use memchr::{memchr_iter, memmem};

use super::glance::Glance;
use super::policy::Detectors;

pub(super) const CARD_DIGITS: Range<usize> = 13..20;
const BEARER_TOKEN_MIN: usize = 6;
/// A longer one is not looked back for: every `@` looks, and a text may be all `@`.
const USER_INFO_MAX: usize = 256;

/// Appends the range of every secret in `text`.
pub(super) fn find(text: &[u8], seen: Glance, detectors: Detectors, found: &mut Vec<Range<usize>>) {
    if detectors.email && seen.may_be_address() {
        addresses(text, found);
    }
    if detectors.card && seen.may_be_card() {
        cards(text, found);
    }
    if detectors.jwt && seen.may_be_token() {
        tokens(text, found);
    }
    if detectors.bearer && seen.may_be_bearer() {
        bearers(text, found);
    }
}

/// `name@host.tld`, and the `user:password` of a URL.
fn addresses(text: &[u8], found: &mut Vec<Range<usize>>) {
    for at in memchr_iter(b'@', text) {
        let before = text.get(..at).unwrap_or_default();
        let after = text.get(at + 1..).unwrap_or_default();
        if let Some(start) = user_info(before) {
            found.push(start..at);
            continue;
        }
        let name = before.iter().rev().take_while(|byte| is_name(**byte)).count();
        let host = after.iter().take_while(|byte| is_host(**byte)).count();
        let host_text = after.get(..host).unwrap_or_default();
        if name > 0 && has_top_level(host_text) {
            found.push(at - name..at + 1 + host);
        }
    }
}

/// Where the user name of a URL begins, when `before` ends in one: `scheme://user:password`.
fn user_info(before: &[u8]) -> Option<usize> {
    let plain = |byte: &&u8| !b"/?# \t\r\n\"'<>".contains(byte);
    let length = before.iter().rev().take(USER_INFO_MAX).take_while(plain).count();
    let start = before.len() - length;
    let scheme = before.get(..start).is_some_and(|head| head.ends_with(b"://"));
    (scheme && length > 0).then_some(start)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte) || byte >= 0x80
}

fn is_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-".contains(&byte) || byte >= 0x80
}

/// Whether a dot is followed by two letters or more.
fn has_top_level(host: &[u8]) -> bool {
    host.split(|byte| *byte == b'.')
        .skip(1)
        .any(|label| label.len() >= 2 && label.iter().take(2).all(|it| !it.is_ascii_digit()))
}

/// Runs of digits, single spaces and dashes that pass the check of a payment card.
///
/// Ids have many digits and few long runs: whatever is between here and a byte that no card has is
/// passed over at once, as long as a card has no room before that byte.
fn cards(text: &[u8], found: &mut Vec<Range<usize>>) {
    let mut at = 0;
    while let Some(window) = text.get(at..at + CARD_DIGITS.start) {
        at = match window.iter().rposition(|byte| !is_in_cards(*byte)) {
            Some(other) => at + other + 1,
            None => card(text, at, found),
        };
    }
}

fn is_in_cards(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b' ' || byte == b'-'
}

/// Judges the next run of digits from `at` on; answers where it ends.
fn card(text: &[u8], at: usize, found: &mut Vec<Range<usize>>) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let Some(next) = rest.iter().position(u8::is_ascii_digit) else { return text.len() };
    let run = digit_run(text, at + next);
    let end = run.end;
    if !touches_word(text, &run) && is_card(text.get(run.clone()).unwrap_or_default()) {
        found.push(run);
    }
    end
}

/// From the digit at `at` to the last digit that at most one space or dash separates.
fn digit_run(text: &[u8], at: usize) -> Range<usize> {
    let mut end = at + 1;
    loop {
        let next = text.get(end).copied().unwrap_or(0);
        let after = text.get(end + 1).copied().unwrap_or(0);
        if next.is_ascii_digit() {
            end += 1;
        } else if (next == b' ' || next == b'-') && after.is_ascii_digit() {
            end += 2;
        } else {
            return at..end;
        }
    }
}

/// Part of a longer word, a hash or a decimal number is no card.
fn touches_word(text: &[u8], run: &Range<usize>) -> bool {
    let word = |byte: Option<&u8>| byte.is_some_and(|it| it.is_ascii_alphabetic() || *it == b'_');
    let before = run.start.checked_sub(1).and_then(|at| text.get(at));
    word(before) || before == Some(&b'.') || word(text.get(run.end))
}

/// Right number of digits, a first digit that card networks use, and the Luhn check.
fn is_card(run: &[u8]) -> bool {
    let digits = || run.iter().rev().filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0');
    if !CARD_DIGITS.contains(&digits().count())
        || !run.first().is_some_and(|it| (b'2'..=b'6').contains(it))
    {
        return false;
    }
    let sum: u32 = digits()
        .zip([1, 2].into_iter().cycle())
        .map(|(digit, weight)| {
            let product = u32::from(digit) * weight;
            product / 10 + product % 10
        })
        .sum();
    sum.is_multiple_of(10)
}

/// `eyJ….eyJ….…`
fn tokens(text: &[u8], found: &mut Vec<Range<usize>>) {
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| memmem::find(rest, b"eyJ")) {
        let start = from + at;
        let rest = text.get(start..).unwrap_or_default();
        let length = rest.iter().take_while(|byte| is_base64(**byte) || **byte == b'.').count();
        let token = rest.get(..length).unwrap_or_default();
        let parts = token.split(|byte| *byte == b'.').filter(|part| part.len() >= 4).count();
        if parts >= 2 {
            found.push(start..start + length);
        }
        from = start + length.max(3);
    }
}

/// `Bearer` in any case, white space, and a token.
fn bearers(text: &[u8], found: &mut Vec<Range<usize>>) {
    for at in memchr::memchr2_iter(b'b', b'B', text) {
        let rest = text.get(at..).unwrap_or_default();
        let Some((word, rest)) = rest.split_at_checked("bearer".len()) else { return };
        if !word.eq_ignore_ascii_case(b"bearer") {
            continue;
        }
        let gap = rest.iter().take_while(|byte| **byte == b' ' || **byte == b'\t').count();
        if gap == 0 {
            continue;
        }
        let token = rest.get(gap..).unwrap_or_default();
        let length = token.iter().take_while(|byte| is_base64(**byte) || **byte == b'.').count();
        if length >= BEARER_TOKEN_MIN {
            let start = at + word.len() + gap;
            found.push(start..start + length);
        }
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=_-~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Byte by byte, without passing anything over.
    fn all_cards(text: &[u8]) -> Vec<Range<usize>> {
        let (mut at, mut found) = (0, Vec::new());
        while at < text.len() {
            at = card(text, at, &mut found);
        }
        found
    }

    proptest! {
        #[test]
        fn no_card_is_passed_over(
            before in "[0-9a-f -]{0,40}",
            card in "(4111 1111 1111 1111|5500-0000-0000-0004|[2-6][0-9]{12,18})?",
            after in "[0-9a-f -]{0,40}",
        ) {
            let text = format!("{before}{card}{after}");
            let mut found = Vec::new();
            cards(text.as_bytes(), &mut found);
            prop_assert_eq!(found, all_cards(text.as_bytes()));
        }
    }
}
