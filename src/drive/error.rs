//! Why the gateway is not running.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::export;
use crate::index;
use crate::log;
use crate::receive;
use crate::redact;

/// The gateway cannot start, or did not stop in time.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address is taken, or not ours.
    #[error(transparent)]
    Listen(#[from] super::ListenError),
    /// A certificate.
    #[error("cannot open the doors")]
    Doors(#[from] receive::Error),
    /// A destination.
    #[error(transparent)]
    Export(#[from] export::Error),
    /// A file that only a check refuses.
    #[error("a start would go on without this file, and try it again")]
    TriedAgain(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The key of the pseudonyms.
    #[error("cannot make or read the key of the pseudonyms in {0}")]
    Key(PathBuf, #[source] io::Error),
    /// The redaction policy.
    #[error(transparent)]
    Redact(#[from] redact::Error),
    /// The log.
    #[error("cannot open the log")]
    Log(#[from] log::Error),
    /// The index.
    #[error("cannot open the index")]
    Index(#[from] index::Error),
    /// A thread.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// A signal.
    #[error("cannot wait for a signal")]
    Signal(#[source] io::Error),
    /// A thread died of a fault of ours. Nothing is lost: the log has it.
    #[error("a thread has died")]
    Died,
    /// Threads were still working at the deadline. Nothing is lost: the log has it.
    #[error("did not stop within {0:?}")]
    Deadline(Duration),
}
