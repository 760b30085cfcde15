//! `GET /api/v1/hops`

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};

use super::Shared;
use super::problem::Problem;
use crate::evidence::Symbols;
use crate::measure::{Hops as Table, Part, Series};

/// The time that is looked back on when nobody says.
const SECONDS: u64 = 300;

/// What is asked.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Params {
    /// How far to look back, in seconds; whole windows of `measure.window`.
    seconds: Option<u64>,
    /// Only hops from or to this service.
    service: Option<String>,
}

/// The hops that were seen lately.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Hops {
    /// Busiest first.
    hops: Vec<HopSeries>,
    /// Series in use.
    series: usize,
    /// The most series there can be; crossings past it are counted in `__other__`.
    series_max: usize,
}

/// One label set.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct HopSeries {
    caller: String,
    callee: String,
    method: String,
    route: String,
    version: String,
    outcome: &'static str,
    /// Crossings.
    count: u64,
    rate_per_second: f64,
    /// By part: `total`, `network`, `server`, `self`, `proxy`.
    parts: BTreeMap<&'static str, PartLine>,
}

/// How long one part took.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct PartLine {
    count: u64,
    p50_ns: u64,
    p90_ns: u64,
    p95_ns: u64,
    p99_ns: u64,
    max_ns: u64,
    mean_ns: u64,
}

/// Latency and outcome of every hop, over the last windows.
#[utoipa::path(get, path = "/api/v1/hops", params(Params),
    responses((status = 200, body = Hops), (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn hops(
    State(shared): State<Shared>,
    params: Result<Query<Params>, QueryRejection>,
) -> Result<Json<Hops>, Problem> {
    let Query(params) = params.map_err(|rejection| Problem::bad(rejection.body_text()))?;
    let span = Duration::from_secs(params.seconds.unwrap_or(SECONDS).max(1));
    let sources = shared.sources;
    let answered = tokio::task::spawn_blocking(move || {
        let ask = |hops: &Table| (hops.snapshot(span, super::now()), hops.status());
        (super::with_hops(&sources.hops, ask), sources.symbols.clone())
    });
    let ((series, status), symbols) =
        answered.await.map_err(|_| Problem::unavailable("the measures could not be read"))?;
    let all = series.iter().map(|series| line(series, &symbols));
    let hops = match params.service {
        Some(name) => all.filter(|hop| hop.caller == name || hop.callee == name).collect(),
        None => all.collect(),
    };
    Ok(Json(Hops { hops, series: status.series, series_max: status.series_max }))
}

fn line(series: &Series, symbols: &Symbols) -> HopSeries {
    let text = |symbol| symbols.text(symbol).to_string();
    let labels = &series.labels;
    let part = |part: Part| {
        let it = series.part(part)?;
        let line = PartLine {
            count: it.count,
            p50_ns: it.p50_ns,
            p90_ns: it.p90_ns,
            p95_ns: it.p95_ns,
            p99_ns: it.p99_ns,
            max_ns: it.max_ns,
            mean_ns: it.mean_ns,
        };
        Some((part.name(), line))
    };
    HopSeries {
        caller: text(labels.caller),
        callee: text(labels.callee),
        method: labels.method.name().to_owned(),
        route: text(labels.route),
        version: text(labels.version),
        outcome: labels.outcome.name(),
        count: series.count,
        rate_per_second: series.rate_per_second,
        parts: Part::ALL.into_iter().filter_map(part).collect(),
    }
}
