//! A filter as text: one text for each filter, that is read back as the same filter.

use std::fmt::{self, Display, Formatter, Write};
use std::ops::Bound;

use super::parser::is_keyword;
use super::value::{UNITS, id};
use crate::evidence::{Comparison, Filter, JourneyId, Literal};
use crate::index::{Kind, kind};

/// Shows a filter in its canonical form.
#[derive(Clone, Copy, Debug)]
pub struct Canonical<'a>(pub &'a Filter);

impl Display for Canonical<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Filter::And(parts) if parts.len() > 1 => join(out, parts, " "),
            Filter::Or(parts) if parts.len() > 1 => join(out, parts, " OR "),
            other => inner(out, other),
        }
    }
}

/// In parentheses where it would otherwise fall apart.
fn inner(out: &mut Formatter<'_>, filter: &Filter) -> fmt::Result {
    match filter {
        Filter::All => out.write_char('*'),
        // An empty conjunction holds for every journey, an empty disjunction for none.
        Filter::And(parts) if parts.is_empty() => out.write_char('*'),
        Filter::Or(parts) if parts.is_empty() => out.write_str("NOT *"),
        Filter::And(parts) | Filter::Or(parts) if parts.len() == 1 => {
            parts.iter().try_for_each(|only| inner(out, only))
        }
        Filter::And(_) | Filter::Or(_) => write!(out, "({})", Canonical(filter)),
        Filter::Not(part) => {
            out.write_str("NOT ")?;
            inner(out, part)
        }
        Filter::Word(word) if is_plain(word) => out.write_str(word),
        Filter::Word(word) => quoted(out, word),
        Filter::Phrase(words) => quoted(out, &words.join(" ")),
        Filter::Prefix(word) => {
            quoted(out, word)?;
            out.write_char('*')
        }
        Filter::Field { name, is } => {
            write!(out, "{name}:")?;
            comparison(out, name, is)
        }
    }
}

fn join(out: &mut Formatter<'_>, parts: &[Filter], between: &str) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            out.write_str(between)?;
        }
        inner(out, part)?;
    }
    Ok(())
}

fn comparison(out: &mut Formatter<'_>, name: &str, is: &Comparison) -> fmt::Result {
    match is {
        Comparison::Exists => out.write_char('*'),
        Comparison::StartsWith(text) => {
            quoted(out, text)?;
            out.write_char('*')
        }
        Comparison::Equal(Literal::Text(text)) => quoted(out, text),
        Comparison::Equal(Literal::Number(number)) => amount(out, name, *number),
        Comparison::Equal(Literal::Id(id)) => write!(out, "{}", JourneyId(*id)),
        Comparison::Equal(Literal::Flag(flag)) => write!(out, "{flag}"),
        Comparison::Within(from, to) => within(out, name, *from, *to),
    }
}

fn within(out: &mut Formatter<'_>, name: &str, from: Bound<u64>, to: Bound<u64>) -> fmt::Result {
    let (sign, number) = match (from, to) {
        (Bound::Unbounded, Bound::Unbounded) => return out.write_str("[* TO *]"),
        (Bound::Included(from), Bound::Unbounded) => (">=", from),
        (Bound::Excluded(from), Bound::Unbounded) => (">", from),
        (Bound::Unbounded, Bound::Included(to)) => ("<=", to),
        (Bound::Unbounded, Bound::Excluded(to)) => ("<", to),
        (from, to) => {
            // Between two ends the language has included ones only.
            let from = match from {
                Bound::Excluded(from) => from.saturating_add(1),
                Bound::Included(from) => from,
                Bound::Unbounded => 0,
            };
            let to = match to {
                Bound::Excluded(to) => to.saturating_sub(1),
                Bound::Included(to) => to,
                Bound::Unbounded => u64::MAX,
            };
            out.write_char('[')?;
            amount(out, name, from)?;
            out.write_str(" TO ")?;
            amount(out, name, to)?;
            return out.write_char(']');
        }
    };
    out.write_str(sign)?;
    amount(out, name, number)
}

/// A duration in the longest unit that needs no fraction.
fn amount(out: &mut Formatter<'_>, name: &str, number: u64) -> fmt::Result {
    if kind(name) != Some(Kind::Duration) {
        return write!(out, "{number}");
    }
    let fits = |(_, nanos): &(&str, u64)| number.is_multiple_of(*nanos) && number != 0;
    let (unit, nanos) = UNITS.into_iter().find(fits).unwrap_or(("ns", 1));
    write!(out, "{}{unit}", number / nanos)
}

fn quoted(out: &mut Formatter<'_>, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.write_char('\\')?;
        }
        out.write_char(c)?;
    }
    out.write_char('"')
}

/// Whether a word means itself without quotes.
fn is_plain(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    word.chars().all(plain) && !is_keyword(word) && id(word).is_none()
}
