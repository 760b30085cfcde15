//! Frames of zstd, with contexts that are used again.

use std::io;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use zstd::zstd_safe::{
    DCtx, DParameter, InBuffer, OutBuffer, ResetDirective, find_frame_compressed_size,
    get_error_name, get_frame_content_size,
};

use super::{INLINE_BYTES, unreadable};
use crate::receive::Denial;

/// RFC 9659: what a decoder of the zstd content coding has to support, and no more.
const WINDOW_LOG_MAX: u32 = 23;

/// What a decoder holds beside what it has made: the window, as far as it was written.
pub(crate) const WINDOW_BYTES_MAX: usize = 1 << WINDOW_LOG_MAX;

/// To make a context costs more than to inflate a small body with it: a few wait for the next one.
static IDLE: Mutex<Vec<DCtx<'static>>> = Mutex::new(Vec::new());

const IDLE_MAX: usize = 4;

/// One with a large window gives it back.
const CONTEXT_BYTES_MAX: usize = 1 << 20;

/// What those that wait may hold.
pub(crate) const IDLE_BYTES_MAX: usize = IDLE_MAX * CONTEXT_BYTES_MAX;

/// A body of any number of frames, inflated step by step.
pub(super) struct Frames {
    context: DCtx<'static>,
    encoded: Bytes,
    at: usize,
    /// Whether a frame has begun and not ended.
    is_inside: bool,
}

/// What a body of one frame will be long, if its head says so. A large one is not walked through to
/// learn it.
pub(super) fn told_bytes(encoded: &[u8]) -> Option<usize> {
    let told = get_frame_content_size(encoded).ok()??;
    let is_one =
        encoded.len() <= INLINE_BYTES && find_frame_compressed_size(encoded).ok()? == encoded.len();
    is_one.then(|| usize::try_from(told).unwrap_or(usize::MAX))
}

/// Inflates a body that told its length, at one go: it needs no window beside what it makes.
pub(super) fn whole(encoded: &[u8], length: usize) -> Result<Vec<u8>, Denial> {
    let mut made = Vec::with_capacity(length);
    let mut context = context().map_err(|_| unreadable())?;
    let written = context.decompress(&mut made, encoded).map_err(|_| unreadable())?;
    keep(context);
    if written == length { Ok(made) } else { Err(unreadable()) }
}

impl Frames {
    pub(super) fn new(encoded: Bytes) -> io::Result<Self> {
        Ok(Self { context: context()?, encoded, at: 0, is_inside: false })
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
            self.is_inside = left.map_err(failed)? > 0;
            self.at = input.pos;
            if self.is_inside && self.at == came_from && out.len() == had {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(true)
    }

    pub(super) fn end(self) {
        keep(self.context);
    }
}

fn context() -> io::Result<DCtx<'static>> {
    if let Some(idle) = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop() {
        return Ok(idle);
    }
    let mut context = DCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
    context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(failed)?;
    Ok(context)
}

/// For the next body, when there is room. One that failed is never kept.
fn keep(mut context: DCtx<'static>) {
    let is_ready =
        context.reset(ResetDirective::SessionOnly).is_ok() && context.sizeof() <= CONTEXT_BYTES_MAX;
    let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    if is_ready && idle.len() < IDLE_MAX {
        idle.push(context);
    }
}

fn failed(code: usize) -> io::Error {
    io::Error::other(get_error_name(code))
}
