//! A request's body, read to its end within bounds.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt;

use super::Denial;
use super::budget::Hold;
use super::intake::too_large;
use crate::ledger::Refusal;

/// The whole body: at most `limit` bytes, within `timeout`.
///
/// Memory is reserved by what has come, never by what was claimed, and each step is held first.
pub(super) async fn collect(
    body: Body,
    limit: usize,
    timeout: Duration,
    hold: &mut Hold,
) -> Result<Bytes, Denial> {
    tokio::time::timeout(timeout, read(body, limit, hold))
        .await
        .unwrap_or_else(|_| Err(Denial::new(Refusal::Busy, "the body did not arrive in time")))
}

async fn read(mut body: Body, limit: usize, hold: &mut Hold) -> Result<Bytes, Denial> {
    let mut whole = Vec::new();
    let claimed = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
    let most = claimed.map_or(limit, |claimed| claimed.min(limit));
    while let Some(frame) = body.frame().await {
        let broken = |_| Denial::new(Refusal::Malformed, "the body broke off");
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        let needed = whole.len() + data.len();
        if needed > limit {
            return Err(too_large(limit));
        }
        if needed > whole.capacity() {
            let capacity = needed.max(most.min(whole.capacity() * 2));
            hold.grow(capacity)?;
            whole.reserve_exact(capacity - whole.len());
        }
        whole.extend_from_slice(&data);
    }
    Ok(Bytes::from(whole))
}
