//! Log: every admitted batch, appended once and read by many.
//!
//! In: [`Clean`](crate::redact::Clean) batches. Out: the same batches in the order of their
//! positions, to any number of readers; acknowledged as safely as [`Ack`] says.
//! Holds: at most `bytes_max` on disk and `tail_bytes` plus `queue_bytes_max` in memory. A full
//! log first drops the segments that every cursor has passed, then refuses.
//!
//! The directory has segments `<base position>.seg`, trimmed ones `<former base>.spare` that wait to
//! be written over, the file `cursors`, a `reserve` of disk for it, the file `lock`, and
//! `quarantine/` with copies of damaged bytes, at most `segment_bytes`.
//!
//! What holds after a crash rests on four orders. A batch is published after it is synced, with
//! the entry of its segment; a segment is created after the one before it is synced; a segment is
//! unlinked or renamed after the cursors that passed it are synced; and it is written over after
//! its new name is synced. The first two hold in `wal` mode alone: `memory` syncs with each trim,
//! and a power cut may take what came since, from anywhere in it. Positions are never given twice
//! to two visible batches.

mod active;
mod cursors;
mod damage;
mod disk;
mod flight;
mod frame;
mod frames;
mod handle;
mod pack;
mod pressure;
mod queue;
mod reader;
mod recent;
mod recover;
mod shared;
mod state;
mod storage;
mod tail;
mod trim;
mod writer;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub use crate::wire::zstd::Effort;
pub use handle::Log;
pub use pack::{Packed, Payload};
pub use pressure::Pressure;
pub use reader::{Cursor, Reader};

use crate::evidence::{Head, Position};

/// What the log runs with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it lives. Created with mode 0700 when absent.
    pub dir: PathBuf,
    /// A segment that has reached this size is followed by a new one. A quarter of `bytes_max`
    /// caps it, so that there is always a segment to drop.
    pub segment_bytes: u64,
    /// Budget of disk for the segments.
    pub bytes_max: u64,
    /// How long batches that every cursor has passed stay readable, budget permitting.
    pub keep: Duration,
    /// When an append is acknowledged.
    pub ack: Ack,
    /// Batches kept in memory: three quarters for the latest, one for those looked up.
    pub tail_bytes: usize,
    /// Whether batches are packed.
    pub packs: bool,
    /// Batches that wait for the disk. More are refused as busy.
    pub queue_bytes_max: usize,
}

/// When an append is acknowledged. Never downgraded: a log that cannot do it refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ack {
    /// Once the disk has it: group-committed with fdatasync.
    Wal,
    /// Once the kernel has it: a killed process loses nothing, a power cut about a second.
    Memory,
}

impl Ack {
    /// The name in settings and status.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Wal => "wal",
            Self::Memory => "memory",
        }
    }
}

/// One batch as it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Where it lies.
    pub position: Position,
    /// Where a reader goes on after it.
    pub next: Position,
    /// What is known of it beside its bytes.
    pub head: Head,
    /// Its bytes.
    pub payload: Payload,
}

/// How the log is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The oldest readable position.
    pub start: Position,
    /// The end of what is readable.
    pub end: Position,
    /// Size of all segments.
    pub bytes: u64,
    /// The most that `bytes` may become.
    pub bytes_max: u64,
    /// Segments on disk.
    pub segments: usize,
    /// Bytes of batches that wait for the disk.
    pub queued_bytes: u64,
    /// The most that `queued_bytes` may become.
    pub queued_bytes_max: u64,
    /// When an append is acknowledged.
    pub ack: Ack,
    /// The required consumers, by name.
    pub cursors: Vec<CursorStatus>,
    /// What was damaged, since the start of the process.
    pub corrupt: Corrupt,
    /// Segments given up since the start because the disk failed on them.
    pub poisoned: u64,
    /// Whether the latest group could not be written.
    pub failing: bool,
    /// How close it is to refusing.
    pub pressure: Pressure,
}

/// How far one required consumer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorStatus {
    /// Who reads.
    pub name: String,
    /// What it still needs begins here.
    pub position: Position,
    /// How much of the log lies ahead of it.
    pub lag_bytes: u64,
}

/// Damage found in the segments and skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Corrupt {
    /// Spans of bytes without a readable batch.
    pub spans: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes cut off the end of the log at the start: a batch that a crash left unfinished.
    pub torn_bytes: u64,
}

/// Why the log cannot be opened, or a batch not read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has it open.
    #[error("the log at {dir} is in use by another process")]
    Locked {
        /// The log's directory.
        dir: PathBuf,
    },
    /// A later Hopline wrote it. Nothing was touched.
    #[error("{path} has format version {version}, which this version cannot read")]
    Newer {
        /// The segment.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// The disk failed.
    #[error("cannot use {path}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The batch was trimmed, and those up to `start`. A reader goes on there.
    #[error("position {} is before the start of the log, {}", at.0, start.0)]
    Gone {
        /// The position asked for.
        at: Position,
        /// The oldest readable position.
        start: Position,
        /// Items that a reader has missed, per signal in the order of `Signal::ALL`, where it is
        /// known how many there were.
        items: Option<[u64; 3]>,
    },
    /// No batch begins at this position.
    #[error("no batch begins at position {}", at.0)]
    NoBatch {
        /// The position asked for.
        at: Position,
    },
    /// The bytes are damaged. A reader goes on at `next`.
    #[error("the log is damaged from position {} to {}", at.0, next.0)]
    Corrupt {
        /// Where the damage begins.
        at: Position,
        /// Where it ends.
        next: Position,
        /// Items lost in between, per signal in the order of `Signal::ALL`.
        items: [u64; 3],
    },
}

impl Error {
    fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::Io { path, source }
    }
}
