//! Errors as `application/problem+json` (RFC 9457).

use axum::Json;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::query;
use crate::receive::Denied;

/// Why there is no answer, for a program and for a person.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Problem {
    /// The status again, for who only keeps the body.
    pub(crate) status: u16,
    /// What is wrong, in general.
    pub(crate) title: String,
    /// What is wrong here.
    pub(crate) detail: String,
    /// The byte of the query at which it went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<usize>,
    /// What to write instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("error").to_owned();
        Self { status: status.as_u16(), title, detail: detail.into(), at: None, hint: None }
    }

    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn missing(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        (status, kind, Json(self)).into_response()
    }
}

impl From<query::Failure> for Problem {
    fn from(failure: query::Failure) -> Self {
        match failure {
            query::Failure::Query(error) => Self {
                at: Some(error.at),
                hint: error.hint.clone(),
                ..Self::bad(error.to_string())
            },
            query::Failure::Index(error) => {
                tracing::error!(%error, "a search failed");
                Self::unavailable("the index cannot answer")
            }
            other => Self::bad(other.to_string()),
        }
    }
}

/// The answer to a request that is not let in.
pub(super) fn denied(_: &HeaderMap, denied: Denied) -> Response {
    if denied == Denied::NoTenant {
        return Problem::new(StatusCode::FORBIDDEN, denied.message()).into_response();
    }
    let problem = Problem::new(StatusCode::UNAUTHORIZED, denied.message());
    ([(header::WWW_AUTHENTICATE, "Bearer")], problem).into_response()
}

pub(crate) async fn unknown_path(uri: Uri) -> Problem {
    Problem::missing(format!("there is nothing at {}; / lists what there is", uri.path()))
}

pub(crate) async fn wrong_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path is asked in another way; / lists what there is",
    )
}
