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
mod target;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

pub use search::{search, table};
pub use show::json;
pub use status::{Looked, Verdict, status};
pub(crate) use target::Connector;
pub use target::Target;

pub(super) use findings::{Finding, Level, findings};
#[cfg(test)]
pub(super) use rates::ExportRate;
pub(super) use rates::{PerSecond, Rates};
pub(super) use snapshot::Snapshot;
pub(super) use status::look;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is none.
    #[error("{url} is not an address")]
    Address {
        /// What was given.
        url: String,
        /// Why.
        source: http::Error,
    },
    /// A file that was given cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is in a file is not fit for a header.
    #[error("{} holds no token", path.display())]
    Token {
        /// The file.
        path: PathBuf,
    },
    /// The client cannot speak TLS.
    #[error("no certificate authority is known: {0}")]
    Trust(String),
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

/// What a gateway says is wrong.
fn refusal(answer: &Value) -> String {
    let detail = answer.get("detail").and_then(Value::as_str);
    show::plain(detail.unwrap_or("the gateway refuses and does not say why"))
}
