//! `POST /api/v1/reload`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::Shared;
use super::problem::Problem;

/// What reading the settings again has changed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Reloaded {
    /// The keys whose values are new, and in effect.
    changed: Vec<String>,
}

/// Reads the settings again, as SIGHUP does. Settings that are refused change nothing.
#[utoipa::path(post, path = "/api/v1/reload", responses(
    (status = 200, body = Reloaded),
    (status = 422, description = "The settings are refused; nothing has changed.", body = Problem),
))]
pub(crate) async fn reload(State(shared): State<Shared>) -> Result<Json<Reloaded>, Problem> {
    match (shared.sources.reload)().await {
        Ok(changed) => Ok(Json(Reloaded { changed })),
        Err(why) => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why)),
    }
}
