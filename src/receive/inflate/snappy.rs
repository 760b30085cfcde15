//! Snappy in its two forms.
//!
//! Senders call both of them "snappy": the Collector's gRPC and older HTTP exporters write frames,
//! newer ones a block.

use bytes::Bytes;
use snap::raw::{Decoder, decompress_len};

use super::{INLINE_BYTES, unreadable};
use crate::ledger::Refusal;
use crate::receive::Denial;
use crate::receive::budget::Hold;
use crate::receive::deadline::Deadline;
use crate::receive::intake::too_large;

/// How frames begin. A block never does: it would be 895 bytes long, begin with one byte of text
/// and then copy from 1.9 GB before its start.
const FRAMES: &[u8] = b"\xff\x06\x00\x00sNaPpY";

/// Three bytes copy 64 at most.
const RATIO_MAX: usize = 22;

pub(super) fn is_framed(encoded: &[u8]) -> bool {
    encoded.starts_with(FRAMES)
}

/// A block, which says at its start how long it will be. That is refused before any memory is
/// taken when it is too much, or more than so few bytes can make.
pub(super) async fn unpack(
    encoded: Bytes,
    limit: usize,
    deadline: Deadline,
    mut hold: Hold,
) -> Result<(Bytes, Hold), Denial> {
    let length = decompress_len(&encoded).map_err(|_| unreadable())?;
    if length > limit {
        return Err(too_large(limit));
    }
    if length > encoded.len().saturating_mul(RATIO_MAX) {
        return Err(unreadable());
    }
    hold.grow(encoded.len() + length)?;
    let made = if length > INLINE_BYTES {
        let lost = |_| Denial::new(Refusal::Busy, "the body could not be inflated now");
        let work = move || deadline.check().and_then(|()| block(&encoded));
        tokio::task::spawn_blocking(work).await.map_err(lost)??
    } else {
        block(&encoded)?
    };
    hold.resize(made.capacity())?;
    Ok((Bytes::from(made), hold))
}

fn block(encoded: &[u8]) -> Result<Vec<u8>, Denial> {
    Decoder::new().decompress_vec(encoded).map_err(|_| unreadable())
}
