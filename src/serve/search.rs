//! `GET /api/v1/search`

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};

use super::Shared;
use super::problem::Problem;
use crate::evidence::Nanos;
use crate::index::{Hit, Summary};
use crate::query::{self, Ask};

/// How many journeys a page has when nobody says.
const LIMIT: usize = 50;

/// What is asked.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Params {
    /// The query; empty asks for the newest journeys.
    q: Option<String>,
    /// Only journeys that began at or after this: ns, ms or s since 1970, or `15m` for that long ago.
    from: Option<String>,
    /// Only journeys that began before this.
    to: Option<String>,
    /// At most so many journeys, 1 to 1000.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of journeys.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Page {
    /// Newest first.
    hits: Vec<Summary>,
    /// Ask with this for the next page; absent after the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// Whether a part of the index could not be read: the answer may lack journeys.
    partial: bool,
    /// How long the search took.
    took_us: u64,
}

/// Journeys that a query selects, newest first.
#[utoipa::path(get, path = "/api/v1/search", params(Params),
    responses((status = 200, body = Page), (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn search(
    State(shared): State<Shared>,
    params: Result<Query<Params>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let Query(params) = params.map_err(|rejection| Problem::bad(rejection.body_text()))?;
    let Some(index) = &shared.sources.index else {
        return Err(Problem::unavailable("index.enabled is false: there is nothing to search"));
    };
    let now = super::now();
    let ask = Ask {
        q: params.q.unwrap_or_default(),
        from: time(params.from.as_deref(), now, "from")?.unwrap_or_default(),
        to: time(params.to.as_deref(), now, "to")?.unwrap_or(Nanos(u64::MAX)),
        limit: params.limit.unwrap_or(LIMIT),
        cursor: params.cursor,
    };
    let searcher = index.searcher();
    let turn = shared.searches.acquire_owned().await;
    let answered = tokio::task::spawn_blocking(move || {
        // Whoever asked may be gone; the search goes on, and so does its turn.
        let _turn = turn;
        query::search(&searcher, &ask)
    });
    let answered = answered.await;
    let answer = answered.map_err(|_| Problem::unavailable("the search was given up"))??;
    Ok(Json(Page {
        hits: answer.hits.iter().map(summary).collect(),
        next_cursor: answer.next_cursor,
        partial: answer.partial,
        took_us: u64::try_from(answer.took.as_micros()).unwrap_or(u64::MAX),
    }))
}

/// What was stored with a hit. A list of hits does without the places of the evidence.
fn summary(hit: &Hit) -> Summary {
    let stored = Summary::read(&hit.stored).unwrap_or_else(|| Summary {
        id: hit.id.to_string(),
        start_ns: hit.start.0,
        ..Summary::default()
    });
    Summary { places: Vec::new(), origins: Vec::new(), ..stored }
}

/// Seconds, milliseconds and nanoseconds are told apart by their size; `15m` is that long ago.
fn time(text: Option<&str>, now: Nanos, name: &str) -> Result<Option<Nanos>, Problem> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let wrong =
        || Problem::bad(format!("{name} expects a time since 1970, or `15m` ago, not {text:?}"));
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "" => return Ok(Some(Nanos(since_epoch(number)))),
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let ago = number.saturating_mul(seconds).saturating_mul(1_000_000_000);
    Ok(Some(Nanos(now.0.saturating_sub(ago))))
}

fn since_epoch(number: u64) -> u64 {
    match number {
        0..100_000_000_000 => number.saturating_mul(1_000_000_000),
        100_000_000_000..100_000_000_000_000 => number.saturating_mul(1_000_000),
        _ => number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_seconds_milliseconds_nanoseconds_and_as_ago() {
        let now = Nanos(2_000_000_000_000_000_000);
        let read = |text| time(Some(text), now, "from").unwrap().unwrap().0;
        assert_eq!(read("1790000000"), 1_790_000_000_000_000_000);
        assert_eq!(read("1790000000123"), 1_790_000_000_123_000_000);
        assert_eq!(read("1790000000123456789"), 1_790_000_000_123_456_789);
        assert_eq!(read("15m"), now.0 - 900_000_000_000);
    }

    #[test]
    fn a_time_that_is_none_names_the_parameter() {
        let problem = time(Some("yesterday"), Nanos(0), "from").unwrap_err();
        assert!(problem.detail.starts_with("from expects"), "{}", problem.detail);
    }
}
