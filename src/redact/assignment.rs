//! A secret key and its value in free text: `password=…`, `"token": "…"`, `Authorization: …`.

use std::ops::Range;

use memchr::memchr3_iter;

use super::keys::KeyRules;

/// A key longer than this is a sentence.
const KEY_BYTES_MAX: usize = 64;

/// Appends the range of the value behind every secret key in `text`.
pub(super) fn find(text: &[u8], keys: &KeyRules, found: &mut Vec<Range<usize>>) {
    // The full-width sign is what an input method, or someone who tests filters, writes.
    // A sign within a value that was found opens no value of its own: each byte is part of one.
    let mut after = 0;
    for at in memchr3_iter(b'=', b':', b'\xef', text) {
        if at < after {
            continue;
        }
        let Some(width) = sign_width(text.get(at..).unwrap_or_default()) else { continue };
        let Some(key) = key_before(text.get(..at).unwrap_or_default()) else { continue };
        if !keys.matches(key) {
            continue;
        }
        let from = at + width;
        let value = value_after(text.get(from..).unwrap_or_default());
        if !value.is_empty() {
            after = from + value.end;
            found.push(from + value.start..after);
        }
    }
}

fn sign_width(rest: &[u8]) -> Option<usize> {
    match rest {
        [b'=' | b':', ..] => Some(1),
        [0xef, 0xbc, 0x9d | 0x9a, ..] => Some(3),
        _ => None,
    }
}

/// The word that ends `before`, quotes and spaces between it and the sign left out.
fn key_before(before: &[u8]) -> Option<&[u8]> {
    let end = before.iter().rposition(|byte| !b"\"' \\".contains(byte))? + 1;
    let before = before.get(..end)?;
    let length = before.iter().rev().take(KEY_BYTES_MAX + 1).take_while(|it| is_key(**it)).count();
    let key = before.get(end - length..)?;
    (1..=KEY_BYTES_MAX).contains(&length).then_some(key)
}

fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)
}

/// The value at the front of `rest`: to the closing quote, or to the end of the word. A scheme
/// such as `Bearer` and the word after it are one value.
fn value_after(rest: &[u8]) -> Range<usize> {
    let gap = rest.iter().take_while(|byte| b" \t\\".contains(byte)).count();
    let quote = rest.get(gap).copied().filter(|byte| *byte == b'"' || *byte == b'\'');
    let start = gap + usize::from(quote.is_some());
    let value = rest.get(start..).unwrap_or_default();
    let length = match quote {
        Some(quote) => value.iter().position(|byte| *byte == quote).unwrap_or(value.len()),
        None => bare(value),
    };
    // An escaped closing quote leaves its backslash outside the secret.
    let escaped = value.get(..length).is_some_and(|it| it.ends_with(b"\\"));
    start..start + length - usize::from(escaped)
}

fn bare(value: &[u8]) -> usize {
    let word = |rest: &[u8]| rest.iter().take_while(|byte| is_value(**byte)).count();
    let first = word(value);
    let scheme = value.get(..first).unwrap_or_default();
    if !SCHEMES.iter().any(|it| scheme.eq_ignore_ascii_case(it)) {
        return first;
    }
    let rest = value.get(first..).unwrap_or_default();
    let gap = rest.iter().take_while(|byte| **byte == b' ').count();
    match word(rest.get(gap..).unwrap_or_default()) {
        0 => first,
        second => first + gap + second,
    }
}

const SCHEMES: [&[u8]; 6] = [b"bearer", b"basic", b"digest", b"negotiate", b"token", b"apikey"];

fn is_value(byte: u8) -> bool {
    !byte.is_ascii_whitespace() && !b"&,;\"'<>)]}".contains(&byte)
}
