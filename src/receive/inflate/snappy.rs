//! Snappy in its two forms.
//!
//! Senders call both of them "snappy": the Collector's gRPC and older HTTP exporters write frames,
//! newer ones a block.

use snap::raw::{Decoder, decompress_len};

use super::unreadable;
use crate::receive::Denial;

/// How frames begin. A block never does: it would be 895 bytes long, begin with one byte of text
/// and then copy from 1.9 GB before its start.
const FRAMES: &[u8] = b"\xff\x06\x00\x00sNaPpY";

/// Three bytes copy 64 at most.
const RATIO_MAX: usize = 22;

pub(super) fn is_framed(encoded: &[u8]) -> bool {
    encoded.starts_with(FRAMES)
}

/// What a block will be long, as it says at its start.
pub(super) fn told_bytes(encoded: &[u8]) -> Option<usize> {
    decompress_len(encoded).ok()
}

/// Whether a block says that it will be longer than so few bytes can make.
pub(super) fn is_lie(encoded: &[u8], told: usize) -> bool {
    told > encoded.len().saturating_mul(RATIO_MAX)
}

pub(super) fn block(encoded: &[u8], _: usize) -> Result<Vec<u8>, Denial> {
    Decoder::new().decompress_vec(encoded).map_err(|_| unreadable())
}
