//! What the bounds may hold together in memory.

use std::fmt;

use super::checked::Settings;
use super::unit::show_bytes;
use crate::export::context_bytes;
use crate::join::{INBOX_MAX, MAIL_SLACK, Mail, PIECE_MAX, mail_max};
use crate::wire::zstd::IDLE_BYTES_MAX;

const EVIDENCE_BYTES: u64 = 96;
const JOURNEY_BYTES: u64 = 256;
const BINDING_BYTES: u64 = 96;
/// The longest text a symbol may have, and its places in the tables.
const SYMBOL_BYTES: u64 = 320;
/// A request's digest and what became of it, in a table that may be half empty, and its turn.
const REPEAT_BYTES: u64 = 192;
/// Evidence that waits for a weak key, and a note that it may come, each in a queue that may be half
/// empty.
const WAITING_BYTES: u64 = 512;
/// What waits in front of a shard.
const INBOX_BYTES: u64 = (INBOX_MAX * PIECE_MAX * size_of::<Mail>()) as u64;
/// A message that waits, in a queue that may be half empty.
const MAIL_BYTES: u64 = 2 * size_of::<Mail>() as u64;

/// A histogram of two digits from 1 µs to 60 s has 20 × 128 counts of 4 bytes; a series has one
/// for the total and for each of network, server, self and proxy.
const SERIES_WINDOW_BYTES: u64 = 5 * 20 * 128 * 4;

/// Edits may make so many times of a request what it was.
const EDIT_GROWTH: u64 = 8;

/// What one bound may hold in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The keys that set it.
    pub name: String,
    /// What it may hold.
    pub bytes: u64,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, show_bytes(self.bytes))
    }
}

impl Settings {
    /// What each bound may hold in memory when it is reached.
    #[must_use]
    pub fn memory(&self) -> Vec<Bound> {
        let (receive, log) = (&self.receive, &self.log);
        let repeats = receive.repeat_window.map_or(0, |_| wide(receive.repeats_max));
        let mut bounds = vec![
            bound("receive.inflight_bytes_max", wide(receive.inflight_bytes_max), 1),
            bound("contexts of zstd", wide(IDLE_BYTES_MAX), 1),
            bound("receive.repeats_max", repeats, REPEAT_BYTES),
            bound("log.tail_bytes", wide(log.tail_bytes), 1),
            bound("log.queue_bytes_max", wide(log.queue_bytes_max), 1),
        ];
        if self.join.enabled {
            bounds.extend(self.joined());
        }
        if !self.edit.is_empty() {
            let name = "receive.inflight_bytes_max, edit";
            bounds.push(bound(name, wide(receive.inflight_bytes_max), EDIT_GROWTH));
        }
        bounds.extend(self.export.iter().map(|destination| {
            let name = format!("export.otlp.{}", destination.name);
            let request = wide(destination.batch_bytes_max);
            let compression = destination.compression;
            let context = context_bytes(compression, destination.compression_level);
            // A request in flight is held as it is, put together and as it is sent, beside the
            // compressor. One more is being filled, and the last batch that was read may be as
            // large as they come.
            let each = request.saturating_mul(3).saturating_add(context);
            let more = request.saturating_add(wide(receive.request_bytes_max));
            let Bound { bytes, .. } = bound(&name, wide(destination.concurrency), each);
            Bound { name, bytes: bytes.saturating_add(more) }
        }));
        bounds
    }

    /// What journeys take, open and closed, and what is measured and found of them.
    fn joined(&self) -> [Bound; 11] {
        let (limit, join) = (&self.limit, &self.join);
        let windows = wide(self.measure.windows).saturating_add(1);
        let series = windows.saturating_mul(SERIES_WINDOW_BYTES);
        // A queue to each other shard may be half empty.
        let slack = join.shards.saturating_mul(MAIL_SLACK) / 2;
        let mail = wide(join.shards.saturating_mul(mail_max(join.shards).saturating_add(slack)));
        // Each shard may be handing one over that is larger.
        let larger = join.shards.saturating_mul(join.journey_evidence_max);
        let closed = join.closed_evidence_max().saturating_add(larger);
        let index = if self.index.enabled { wide(self.index.memory) } else { 0 };
        [
            bound("limit.symbols_max", wide(limit.symbols_max), SYMBOL_BYTES),
            bound("limit.series_max, measure.windows", wide(limit.series_max), series),
            bound("join.shards", wide(join.shards), INBOX_BYTES),
            bound("join.shards, mail", mail, MAIL_BYTES),
            bound("join.evidence_max", wide(join.evidence_max), EVIDENCE_BYTES),
            bound("join.evidence_max, waiting", wide(join.waiting_max()), WAITING_BYTES),
            bound("join.evidence_max, closed", wide(closed), EVIDENCE_BYTES),
            bound("join.journeys_max", wide(join.journeys_max), JOURNEY_BYTES),
            bound("join.bindings_max", join.bindings_max, BINDING_BYTES),
            bound("join.remembered_evidence_max", join.remembered_evidence_max, EVIDENCE_BYTES),
            // While one part is written, the next fills.
            bound("index.memory", index, 2),
        ]
    }
}

/// All bounds together.
pub(super) fn sum(bounds: &[Bound]) -> u64 {
    bounds.iter().fold(0, |sum, bound| sum.saturating_add(bound.bytes))
}

/// One line for each bound, and the sum.
pub(super) fn list(bounds: &[Bound], memory_max: u64) -> String {
    let lines: Vec<_> = bounds.iter().map(|bound| format!("\n  {bound}")).collect();
    let (sum, most) = (show_bytes(sum(bounds)), show_bytes(memory_max));
    format!("{}\n  together {sum}, memory_max {most}", lines.concat())
}

fn bound(name: &str, count: u64, each_bytes: u64) -> Bound {
    Bound { name: name.to_owned(), bytes: count.saturating_mul(each_bytes) }
}

/// A `usize` has at most 64 bits on every machine that Rust knows.
fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
