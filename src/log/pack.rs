//! How a batch is kept: as it came, or as a frame of zstd.

use bytes::Bytes;

use super::frame::LENGTH_MAX;
use crate::evidence::Head;
use crate::redact::Clean;
use crate::wire::zstd::{self, Effort};

/// A smaller batch is kept as it is: what its frame costs is a fifth of all that is done for it, and
/// it would be made anew for a request.
pub(super) const BYTES_MIN: usize = 16 << 10;

/// How the bytes of a batch lie on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Packing {
    /// As they came.
    #[default]
    Plain,
    /// As one frame of zstd.
    Zstd,
}

/// A batch, ready to be kept.
#[derive(Clone, Debug)]
pub struct Packed {
    pub(super) head: Head,
    pub(super) payload: Payload,
    pub(super) crc: u32,
}

/// The bytes of a batch, in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The OTLP request, redacted.
    pub plain: Bytes,
    /// The same as one frame of zstd, where the log keeps it so.
    pub packed: Option<Bytes>,
}

impl Packed {
    /// Packs a batch where an effort is asked for, and pays. Takes about a millisecond for each MiB.
    #[must_use]
    pub fn new(clean: &Clean, effort: Option<Effort>) -> Self {
        let plain = clean.bytes().clone();
        let packed = effort.and_then(|effort| smaller(&plain, effort));
        let payload = Payload { plain, packed };
        Self { head: *clean.head(), crc: crc32fast::hash(payload.stored()), payload }
    }

    /// What is known of it beside its bytes.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }
}

impl Payload {
    /// From what the disk has. `None` when that is no such frame.
    pub(super) fn stored_as(packing: Packing, stored: Vec<u8>) -> Option<Self> {
        match packing {
            Packing::Plain => Some(Self { plain: stored.into(), packed: None }),
            Packing::Zstd => {
                let length = zstd::told_bytes(&stored).filter(|told| *told <= LENGTH_MAX)?;
                let plain = zstd::inflate(&stored, length).ok()?;
                Some(Self { plain: plain.into(), packed: Some(stored.into()) })
            }
        }
    }

    pub(super) fn packing(&self) -> Packing {
        if self.packed.is_some() { Packing::Zstd } else { Packing::Plain }
    }

    /// What the disk has of it.
    pub(super) fn stored(&self) -> &Bytes {
        self.packed.as_ref().unwrap_or(&self.plain)
    }

    /// What it takes in memory.
    pub(super) fn held_bytes(&self) -> usize {
        self.packed.as_ref().map_or(0, Bytes::len).saturating_add(self.plain.len())
    }
}

/// The batch as a frame, when that is a good deal smaller. Without memory it is kept as it is.
fn smaller(plain: &[u8], effort: Effort) -> Option<Bytes> {
    if plain.len() < BYTES_MIN {
        return None;
    }
    let frame = zstd::deflate(plain, effort).ok()?;
    (frame.len() < plain.len() / 8 * 7).then(|| frame.into())
}
