//! Client: the other end of the API, for a person at a terminal.
//!
//! In: the gateway's answers. Out: text for `hopline search` and `hopline status`, and what
//! `hopline top` draws from. What a gateway repeats was written by strangers: a `Snapshot` is made
//! harmless as it is read, and the rest as it is shown. Holds one answer at a time.

#[cfg(test)]
pub(super) mod example;
mod findings;
mod page;
mod rates;
mod search;
pub(super) mod show;
mod snapshot;
mod status;

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

pub use search::{search, table};
pub use show::json;
pub use status::{Looked, Verdict, status};

pub(super) use findings::{Finding, Level, findings};
#[cfg(test)]
pub(super) use rates::ExportRate;
pub(super) use rates::{PerSecond, Rates};
pub(super) use snapshot::Snapshot;
pub(super) use status::look;

/// An answer of a thousand journeys has room in this.
const ANSWER_BYTES_MAX: usize = 128 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is none.
    #[error("{url} is not an address")]
    Address {
        /// What was given.
        url: String,
        /// Why.
        source: http::uri::InvalidUri,
    },
    /// Nobody answers.
    #[error("no gateway answers at {api}")]
    Unreachable {
        /// Who was asked.
        api: String,
        /// Why.
        source: hyper_util::client::legacy::Error,
    },
    /// Somebody is there, and says nothing.
    #[error("the gateway at {api} does not answer within {timeout:?}")]
    Slow {
        /// Who was asked.
        api: String,
        /// How long it was waited for.
        timeout: Duration,
    },
    /// The answer broke off, or is not what this version understands.
    #[error("the gateway's answer cannot be read: {0}")]
    Answer(String),
    /// The gateway says what is wrong.
    #[error("{0}")]
    Refused(String),
}

/// What the gateway answers, and whether that is what was asked for.
async fn get(api: &str, path: &str, timeout: Duration) -> Result<(StatusCode, Value), Error> {
    let api = api.trim_end_matches('/');
    let slow = |_| Error::Slow { api: api.to_owned(), timeout };
    tokio::time::timeout(timeout, exchange(api, path)).await.map_err(slow)?
}

async fn exchange(api: &str, path: &str) -> Result<(StatusCode, Value), Error> {
    let url = format!("{api}{path}");
    let uri = url.parse().map_err(|source| Error::Address { url, source })?;
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let asked = client.get(uri).await;
    let response = asked.map_err(|source| Error::Unreachable { api: api.to_owned(), source })?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| Error::Answer(error.to_string()))?.to_bytes();
    let answer = serde_json::from_slice(&body).map_err(|error| Error::Answer(error.to_string()))?;
    Ok((status, answer))
}

/// What a gateway says is wrong.
fn refusal(answer: &Value) -> String {
    let detail = answer.get("detail").and_then(Value::as_str);
    show::plain(detail.unwrap_or("the gateway refuses and does not say why"))
}
