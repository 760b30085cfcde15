//! What `hopline status` asks.

use std::time::Duration;

use serde_json::Value;

use super::findings::{Level, findings};
use super::page::page;
use super::snapshot::Snapshot;
use super::{Error, Target, refusal};

const PATH: &str = "/api/v1/status";
const TIMEOUT: Duration = Duration::from_secs(10);

/// Two looks tell what goes on now from what happened once.
const APART: Duration = Duration::from_secs(1);

/// Whether someone has to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody.
    Well,
    /// Yes, and the report begins with what.
    NeedsAPerson,
}

/// A gateway, looked at.
#[derive(Clone, Debug)]
pub struct Looked {
    /// The last answer, as it came.
    pub answer: Value,
    /// One screen for whoever is on call.
    pub report: String,
    /// Whether they have to do something.
    pub verdict: Verdict,
}

/// Looks at a gateway twice, a second apart.
///
/// # Errors
/// When it cannot be asked.
pub async fn status(target: &Target) -> Result<Looked, Error> {
    let (_, before) = look(target).await?;
    tokio::time::sleep(APART).await;
    let (answer, now) = look(target).await?;
    let found = findings(Some(&before), &now);
    let is_wrong = found.iter().any(|finding| finding.level == Level::Act);
    let verdict = if is_wrong { Verdict::NeedsAPerson } else { Verdict::Well };
    Ok(Looked { answer, report: page(&target.api, &before, &now, &found), verdict })
}

/// Looks at a gateway once.
pub(crate) async fn look(target: &Target) -> Result<(Value, Snapshot), Error> {
    let (status, answer) = target.get(PATH, TIMEOUT).await?;
    if !status.is_success() {
        return Err(Error::Refused(refusal(&answer)));
    }
    let snapshot = Snapshot::read(&answer).map_err(|error| Error::Answer(error.to_string()))?;
    Ok((answer, snapshot))
}
