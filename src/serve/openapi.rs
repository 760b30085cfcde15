//! `GET /api/v1/openapi.json`: the API as it is in the code.

use axum::Json;
use utoipa::OpenApi;

use super::{hops, journeys, metrics, problem, reload, search, status};

#[derive(OpenApi)]
#[openapi(
    info(title = "Hopline", description = "Journeys, hops and the state of the gateway."),
    paths(
        search::search,
        journeys::journey,
        hops::hops,
        status::status,
        reload::reload,
        metrics::metrics
    ),
    components(schemas(problem::Problem))
)]
struct Api;

pub(crate) async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(Api::openapi())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_the_api_is_described() {
        let api = Api::openapi();
        let paths: Vec<_> = api.paths.paths.keys().map(String::as_str).collect();
        let want = [
            "/api/v1/hops",
            "/api/v1/journeys/{id}",
            "/api/v1/reload",
            "/api/v1/search",
            "/api/v1/status",
            "/metrics",
        ];
        assert_eq!(paths, want);
    }
}
