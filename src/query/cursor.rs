//! Where a page ended, as text that means something to its own query alone.

use xxhash_rust::xxh3::xxh3_64;

use super::Canonical;
use crate::evidence::{Filter, JourneyId, Nanos};
use crate::index::Cursor;

/// Start, id and the query's digest, in hex.
pub(super) fn write(cursor: Cursor, filter: &Filter) -> String {
    format!("{:016x}{}{:016x}", cursor.start.0, cursor.id, digest(filter))
}

/// `None` for what is no cursor of this query.
pub(super) fn read(text: &str, filter: &Filter) -> Option<Cursor> {
    let (start, rest) = text.split_at_checked(16)?;
    let (id, query) = rest.split_at_checked(32)?;
    (query == format!("{:016x}", digest(filter))).then_some(())?;
    let hex = start.bytes().all(|byte| byte.is_ascii_hexdigit());
    let start = hex.then(|| u64::from_str_radix(start, 16).ok()).flatten()?;
    Some(Cursor { start: Nanos(start), id: JourneyId::from_hex(id)? })
}

/// The canonical form: a client may write the same query in another way.
fn digest(filter: &Filter) -> u64 {
    xxh3_64(Canonical(filter).to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURSOR: Cursor = Cursor { start: Nanos(u64::MAX), id: JourneyId(7) };

    #[test]
    fn a_cursor_comes_back() {
        assert_eq!(read(&write(CURSOR, &Filter::All), &Filter::All), Some(CURSOR));
    }

    #[test]
    fn a_cursor_of_another_query_or_a_broken_one_is_none() {
        let text = write(CURSOR, &Filter::All);
        assert_eq!(read(&text, &Filter::Word("a".to_owned())), None);
        assert_eq!(read(&text.replacen('f', "+", 1), &Filter::All), None);
        assert_eq!(read("é", &Filter::All), None);
    }
}
