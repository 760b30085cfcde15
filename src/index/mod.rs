//! Index: keeps journeys searchable.
//!
//! In: one [`Document`] per journey, and what became of it later: amended, retracted. Out:
//! through a [`Searcher`], the newest journeys that a filter selects, and any journey by its id.
//! Holds one tantivy index per time bucket of arrival under `dir`; whole buckets go when they are
//! older than `keep` or when all together exceed `bytes_max`.

mod analyzer;
mod bloom;
mod brief;
mod bucket;
mod changes;
mod describe;
mod document;
mod keeper;
mod lookup;
mod lower;
mod outline;
mod plugin;
mod schema;
mod searcher;
mod snapshot;
mod summary;
#[cfg(test)]
mod tests;
mod text;
mod writer;

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub use describe::Describer;
pub use document::Document;
pub use keeper::{Current, Keeper};
pub use schema::{Kind, TEXT_CUT, kind};
pub use searcher::{Cursor, Hit, Page, Searcher, Status};
pub use summary::{Entry, HopLine, OriginLine, PlaceLine, Summary};
pub use writer::{Retired, Writer};

/// What the index is run with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the buckets lie.
    pub dir: PathBuf,
    /// How much time of arrival one bucket spans; below a second it is a second.
    pub bucket: Duration,
    /// How long after its end a bucket is kept.
    pub keep: Duration,
    /// How many bytes all buckets may have together.
    pub bytes_max: u64,
    /// What the indexing thread buffers before it writes a segment, and what may wait for it
    /// before a commit comes early. Tantivy needs 15 MB.
    pub memory: usize,
    /// How much of a journey's text is searchable; the rest is cut off and marked.
    pub text_bytes_max: usize,
}

/// Why the index could not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory cannot be read, made or synced.
    #[error("cannot use {path}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A bucket that is not damaged could not be opened.
    #[error("cannot open bucket {bucket}")]
    Open {
        /// Its start, in seconds since the epoch.
        bucket: u64,
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The writer of a bucket has died. What was put since the last commit is not indexed.
    #[error("cannot write to bucket {bucket}")]
    Write {
        /// Its start, in seconds since the epoch.
        bucket: u64,
        /// Why: the error of the thread that failed first.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// It failed earlier; the caller opens it anew and replays from its last commit.
    #[error("the writer of the index died earlier and must be opened anew")]
    Dead,
    /// The summary of a journey is larger than a document may store.
    #[error("a summary of {bytes} bytes exceeds {max}")]
    Stored {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A filter compares a field in a way that its kind does not have.
    #[error("field {name} cannot be compared so")]
    Comparison {
        /// The field.
        name: &'static str,
    },
    /// A filter could not be turned into a search.
    #[error("cannot search")]
    Search {
        /// Why.
        source: Box<dyn StdError + Send + Sync>,
    },
}
