//! Frames of zstd at one go, with contexts that are used again: making one costs more than a small
//! frame does.

use std::io;
use std::sync::{Mutex, PoisonError};

use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, DParameter, ResetDirective, compress_bound, get_error_name,
    get_frame_content_size,
};

/// The fastest level that finds repetitions as well as any; also what an export has by default.
pub(crate) const LEVEL: u32 = 1;

/// How hard it is tried to make few bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// As an export does it when nobody says otherwise.
    Usual,
    /// A third of the work less, and two fifths more bytes.
    Least,
}

/// RFC 9659: what a decoder of the zstd content coding has to support, and no more.
const WINDOW_LOG_MAX: u32 = 23;

/// What a decoder holds beside what it has made: the window, as far as it was written.
pub(crate) const WINDOW_BYTES_MAX: usize = 1 << WINDOW_LOG_MAX;

static DECODERS: Idle<DCtx<'static>> = Idle::new(IDLE_MAX);
static ENCODERS: Idle<CCtx<'static>> = Idle::new(IDLE_MAX);

/// Contexts of one kind that wait.
const IDLE_MAX: usize = 4;

/// One that is larger is not kept: a large window gives it back.
const DECODER_BYTES_MAX: usize = 1 << 20;
const ENCODER_BYTES_MAX: usize = 2 << 20;

/// What all that wait may hold. One at work is its thread's, as is the thread's stack.
pub(crate) const IDLE_BYTES_MAX: usize = IDLE_MAX * (DECODER_BYTES_MAX + ENCODER_BYTES_MAX);

/// Contexts that wait for their next use, so many at most.
#[derive(Debug)]
pub(crate) struct Idle<T> {
    contexts: Mutex<Vec<T>>,
    max: usize,
}

/// The bytes as one frame, which says how long they are.
///
/// # Errors
///
/// Without memory.
pub(crate) fn deflate(plain: &[u8], effort: Effort) -> io::Result<Vec<u8>> {
    let mut context = match ENCODERS.take() {
        Some(idle) => idle,
        None => encoder(LEVEL)?,
    };
    for parameter in effort.parameters() {
        context.set_parameter(parameter).map_err(failed)?;
    }
    // What is not written to costs nothing, and what is too much goes back.
    let mut frame = Vec::with_capacity(compress_bound(plain.len()));
    context.compress2(&mut frame, plain).map_err(failed)?;
    if context.sizeof() <= ENCODER_BYTES_MAX {
        ENCODERS.keep(context);
    }
    frame.shrink_to_fit();
    Ok(frame)
}

/// What the first frame will be long, if it says so.
pub(crate) fn told_bytes(frame: &[u8]) -> Option<usize> {
    let told = get_frame_content_size(frame).ok()??;
    Some(usize::try_from(told).unwrap_or(usize::MAX))
}

/// Inflates frames that told their length: that needs no window beside what it makes.
///
/// # Errors
///
/// When they are not together of this length.
pub(crate) fn inflate(frames: &[u8], length: usize) -> io::Result<Vec<u8>> {
    let mut context = decoder()?;
    let mut plain = Vec::with_capacity(length);
    let made = context.decompress(&mut plain, frames).map_err(failed)?;
    keep(context);
    if made == length { Ok(plain) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// A context for frames that are inflated step by step.
pub(crate) fn decoder() -> io::Result<DCtx<'static>> {
    if let Some(idle) = DECODERS.take() {
        return Ok(idle);
    }
    let mut context = DCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
    context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(failed)?;
    Ok(context)
}

/// For the next body, when there is room. One that failed is never kept.
pub(crate) fn keep(mut context: DCtx<'static>) {
    let is_ready = context.reset(ResetDirective::SessionOnly).is_ok();
    if is_ready && context.sizeof() <= DECODER_BYTES_MAX {
        DECODERS.keep(context);
    }
}

pub(crate) fn failed(code: usize) -> io::Error {
    io::Error::other(get_error_name(code))
}

impl Effort {
    /// Over those of the level. What makes it less: repetitions are looked for near by, in a table
    /// that a processor has at hand, and not from every byte on.
    fn parameters(self) -> [CParameter; 3] {
        let [window, table, stride] = match self {
            // As the level has it.
            Self::Usual => [0, 0, 0],
            Self::Least => [17, 13, 2],
        };
        [
            CParameter::WindowLog(window),
            CParameter::HashLog(table),
            CParameter::TargetLength(stride),
        ]
    }
}

/// A new context of this level.
pub(crate) fn encoder(level: u32) -> io::Result<CCtx<'static>> {
    let mut context = CCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
    context.set_parameter(CParameter::CompressionLevel(level.cast_signed())).map_err(failed)?;
    Ok(context)
}

impl<T> Idle<T> {
    pub(crate) const fn new(max: usize) -> Self {
        Self { contexts: Mutex::new(Vec::new()), max }
    }

    pub(crate) fn take(&self) -> Option<T> {
        self.contexts.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// One more than there is room for is let go.
    pub(crate) fn keep(&self, context: T) {
        let mut contexts = self.contexts.lock().unwrap_or_else(PoisonError::into_inner);
        if contexts.len() < self.max {
            contexts.push(context);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_deflated_is_told_its_length_and_comes_back() {
        for length in [0_usize, 1, 5000, 3 << 20] {
            let plain: Vec<u8> =
                (0..length).map(|at| fastrand::u8(0..20) ^ (at >> 9).to_le_bytes()[0]).collect();
            for effort in [Effort::Usual, Effort::Least] {
                let frame = deflate(&plain, effort).unwrap();
                assert_eq!(told_bytes(&frame), Some(length));
                assert_eq!(inflate(&frame, length).unwrap(), plain);
            }
        }
    }

    #[test]
    fn a_frame_of_another_length_or_cut_off_is_refused() {
        let frame = deflate(&[7; 5000], Effort::Usual).unwrap();
        assert!(inflate(&frame, 4999).is_err());
        assert!(inflate(&frame, 5001).is_err());
        assert!(inflate(&frame[..frame.len() - 1], 5000).is_err());
    }

    #[test]
    fn a_context_that_waits_holds_no_more_than_is_said() {
        let plain: Vec<u8> = (0..32 << 20).map(|_| fastrand::u8(0..20)).collect();
        let mut context = encoder(LEVEL).unwrap();
        let mut frame = Vec::with_capacity(compress_bound(plain.len()));
        context.compress2(&mut frame, &plain).unwrap();
        assert!(context.sizeof() <= ENCODER_BYTES_MAX, "{}", context.sizeof());
    }
}
