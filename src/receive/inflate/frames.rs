//! Frames of zstd, as many as a body has.

use std::io;

use ::zstd::zstd_safe::{DCtx, InBuffer, OutBuffer, find_frame_compressed_size};
use bytes::Bytes;

use super::{INLINE_BYTES, unreadable};
use crate::receive::Denial;
use crate::wire::zstd;

/// A body of any number of frames, inflated step by step.
pub(super) struct Frames {
    context: DCtx<'static>,
    encoded: Bytes,
    at: usize,
    /// Whether a frame has begun and not ended.
    is_inside: bool,
}

/// A body of more frames is not walked through to learn what it will be long. Hopline sends one for
/// each batch of its log.
const TOLD_FRAMES_MAX: usize = 64;

/// What a body will be long, if each of its frames says so. A large one is not walked through to
/// learn it.
pub(super) fn told_bytes(encoded: &[u8]) -> Option<usize> {
    if encoded.len() > INLINE_BYTES {
        return None;
    }
    let (mut rest, mut told) = (encoded, 0_usize);
    for _ in 0..TOLD_FRAMES_MAX {
        told = told.checked_add(zstd::told_bytes(rest)?)?;
        rest = rest.get(find_frame_compressed_size(rest).ok()?..)?;
        if rest.is_empty() {
            return Some(told);
        }
    }
    None
}

/// Inflates a body that told its length, at one go.
pub(super) fn whole(encoded: &[u8], length: usize) -> Result<Vec<u8>, Denial> {
    zstd::inflate(encoded, length).map_err(|_| unreadable())
}

impl Frames {
    pub(super) fn new(encoded: Bytes) -> io::Result<Self> {
        Ok(Self { context: zstd::decoder()?, encoded, at: 0, is_inside: false })
    }

    /// Makes `step` bytes more, or what is left; answers whether anything may follow.
    pub(super) fn fill(&mut self, out: &mut Vec<u8>, step: usize) -> io::Result<bool> {
        let full = out.len() + step;
        while out.len() < full {
            if self.at == self.encoded.len() && !self.is_inside {
                return Ok(false);
            }
            let (came_from, had) = (self.at, out.len());
            let mut input = InBuffer { src: &self.encoded, pos: self.at };
            let mut output = OutBuffer::around_pos(out, had);
            let left = self.context.decompress_stream(&mut output, &mut input);
            self.is_inside = left.map_err(zstd::failed)? > 0;
            self.at = input.pos;
            if self.is_inside && self.at == came_from && out.len() == had {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(true)
    }

    pub(super) fn end(self) {
        zstd::keep(self.context);
    }
}
