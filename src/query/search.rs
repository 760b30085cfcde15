//! One question, one page of answers.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::{Error, cursor, parse};
use crate::evidence::{JourneyId, Nanos};
use crate::index::{self, Hit, Searcher};

/// How many journeys one page may have.
const LIMIT_MAX: usize = 1000;

/// A question.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The query.
    pub q: String,
    /// Journeys that began then or later.
    pub from: Nanos,
    /// Journeys that began before then.
    pub to: Nanos,
    /// How many.
    pub limit: usize,
    /// Where the last page of the same query ended.
    pub cursor: Option<String>,
}

/// A page of journeys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Newest first.
    pub hits: Vec<Hit>,
    /// Where the next page begins; `None` after the last.
    pub next_cursor: Option<String>,
    /// Whether a part of the index could not be read.
    pub partial: bool,
    /// How long it took.
    pub took: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The query means nothing.
    #[error("the query cannot be read")]
    Query(#[from] Error),
    /// The cursor is broken, or of another query.
    #[error("the cursor is not one of this query")]
    Cursor,
    /// The time range is empty.
    #[error("the time range ends before it begins")]
    Range,
    /// More, or fewer, journeys than a page has.
    #[error("limit expects 1 to {LIMIT_MAX}, got {got}")]
    Limit {
        /// What was asked for.
        got: usize,
    },
    /// The index failed.
    #[error("the index cannot answer")]
    Index(#[from] index::Error),
}

/// A journey that got evidence after it was forgotten has several documents: the one that was made
/// from the most evidence stands for it.
fn fullest(mut hits: Vec<Hit>) -> Vec<Hit> {
    let mut most: HashMap<JourneyId, u32> = HashMap::new();
    for hit in &hits {
        let known = most.entry(hit.id).or_default();
        *known = hit.evidence.max(*known);
    }
    // Of two with as much evidence the newer one, which comes first, stays.
    hits.retain(|hit| most.get(&hit.id) == Some(&hit.evidence) && most.remove(&hit.id).is_some());
    hits
}

/// Answers from the index.
pub fn search(searcher: &Searcher, ask: &Ask) -> Result<Answer, Failure> {
    #[expect(clippy::disallowed_methods, reason = "an answer says how long it took")]
    let began = Instant::now();
    if !(1..=LIMIT_MAX).contains(&ask.limit) {
        return Err(Failure::Limit { got: ask.limit });
    }
    if ask.from > ask.to {
        return Err(Failure::Range);
    }
    let filter = parse(&ask.q)?;
    let after = match &ask.cursor {
        Some(text) => Some(cursor::read(text, &filter).ok_or(Failure::Cursor)?),
        None => None,
    };
    let page = searcher.search(&filter, &(ask.from..ask.to), ask.limit, after)?;
    Ok(Answer {
        hits: fullest(page.hits),
        next_cursor: page.next.map(|next| cursor::write(next, &filter)),
        partial: page.partial,
        took: began.elapsed(),
    })
}
