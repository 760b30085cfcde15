//! `GET /api/v1/journeys/{id}`

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::Value;

use super::problem::Problem;
use super::{Shared, Wanted};
use crate::evidence::{JourneyId, Position, RequestKey, TraceId};
use crate::index::{OriginLine, PlaceLine, Summary};
use crate::join;
use crate::log::{Batch, Log};
use crate::query;
use crate::wire;

/// One journey with its evidence.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Whole {
    #[serde(flatten)]
    summary: Summary,
    /// From all signals, in order of time.
    evidence_list: Vec<Item>,
    /// Evidence that is in the log no more.
    evidence_gone: usize,
}

/// One evidence.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Item {
    /// What sort of evidence.
    kind: &'static str,
    /// Who saw it.
    origin: OriginLine,
    /// It fits other journeys too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ambiguous: bool,
    /// It was joined by a weak key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    bound: bool,
    /// It came after the journey was closed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    late: bool,
    /// What was seen.
    #[schema(value_type = Object)]
    message: Value,
}

/// A journey by its id: a trace id, a journey id or a request id.
#[utoipa::path(get, path = "/api/v1/journeys/{id}",
    params(("id" = String, Path, description = "trace id, journey id or request id")),
    responses((status = 200, body = Whole), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn journey(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<Whole>, Problem> {
    let log = shared.sources.log.clone();
    let summary = find(&shared, &id).await?;
    let whole = tokio::task::spawn_blocking(move || whole(summary, &log)).await;
    whole.map(Json).map_err(|_| Problem::unavailable("the evidence could not be read"))
}

/// First among the open journeys, which know the latest, then in the index.
async fn find(shared: &Shared, id: &str) -> Result<Summary, Problem> {
    let name = TraceId::from_hex(id).map(JourneyId::from).or_else(|| JourneyId::from_hex(id));
    let request = RequestKey::new(id);
    let wanted = [name.map(Wanted::Journey), request.map(Wanted::Request)];
    let Some(ask) = &shared.sources.ask else {
        return Err(Problem::unavailable("join.enabled is false: there are no journeys"));
    };
    let mut complete = true;
    for wanted in wanted.into_iter().flatten() {
        let found = ask(wanted).await;
        if let Some(journey) = found.journey {
            let symbols = &shared.sources.symbols;
            let hops = join::hops(&journey, symbols);
            return Ok(Summary::new(&journey, &hops, symbols));
        }
        complete &= found.complete;
    }
    let missing = || match complete {
        true => Problem::missing(format!("no journey has the id {id}")),
        false => Problem::unavailable("the join is too busy to say; ask again"),
    };
    let searcher = shared.sources.index.as_ref().ok_or_else(missing)?.searcher();
    let turn = Arc::clone(&shared.searches).acquire_owned().await;
    let looked = tokio::task::spawn_blocking(move || {
        // Whoever asked may be gone; the search goes on, and so does its turn.
        let _turn = turn;
        let by_name = name.and_then(|name| searcher.get(name));
        by_name
            .or_else(|| request.and_then(|key| searcher.by_request(key.0.get()).into_iter().next()))
    });
    let hit = looked.await.map_err(|_| Problem::unavailable("the search was given up"))?;
    hit.and_then(|hit| Summary::read(&hit.stored)).ok_or_else(missing)
}

fn whole(summary: Summary, log: &Log) -> Whole {
    let mut last: Option<Batch> = None;
    let mut evidence_list = Vec::with_capacity(summary.places.len());
    for place in &summary.places {
        if last.as_ref().is_none_or(|batch| batch.position.0 != place.batch) {
            last = log.read(Position(place.batch)).ok();
        }
        let item = last.as_ref().and_then(|batch| item(batch, place, &summary.origins));
        evidence_list.extend(item);
    }
    let evidence_gone = summary.places.len() - evidence_list.len();
    Whole { summary: Summary { places: Vec::new(), ..summary }, evidence_list, evidence_gone }
}

fn item(batch: &Batch, place: &PlaceLine, origins: &[OriginLine]) -> Option<Item> {
    let message = wire::item(&batch.payload.plain, place.offset).ok()?;
    Some(Item {
        kind: place.kind().name(),
        origin: origins.get(usize::from(place.origin)).cloned().unwrap_or_default(),
        ambiguous: place.marks & 1 != 0,
        bound: place.marks & 2 != 0,
        late: place.marks & 4 != 0,
        message: query::render(place.kind(), message).ok()?,
    })
}
