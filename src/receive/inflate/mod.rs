//! Compressed bodies, inflated within bounds.

mod frames;
mod snappy;

use std::io::{Cursor, Read};

use axum::http::header::AsHeaderName;
use axum::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use snap::read::FrameDecoder;
use tokio::task::{JoinError, spawn_blocking};

use self::snappy::is_framed;
use super::budget::Hold;
use super::deadline::Deadline;
use super::intake::too_large;
use super::{Denial, Settings};
use crate::ledger::Refusal;
use crate::wire::zstd::WINDOW_BYTES_MAX;

/// More output than this is made away from the async threads: it takes about a millisecond. To go
/// away sooner would cost more: many threads would compute at a time, each with memory of its own.
pub(crate) const INLINE_BYTES: usize = 1 << 20;

const STEP_BYTES_MIN: usize = 16 << 10;
const STEP_BYTES_MAX: usize = 4 << 20;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Deflate,
    Zstd,
    /// A block or frames: what it is shows at its start.
    Snappy,
    /// Frames only.
    SnappyFramed,
}

/// A body on its way out of a decoder. It grows by steps, each of them held before it is made.
struct Inflation {
    decoder: Decoder,
    encoded_bytes: usize,
    window_bytes_max: usize,
    out: Vec<u8>,
    limit: usize,
    deadline: Deadline,
    hold: Hold,
}

enum Decoder {
    Reader(Box<dyn Read + Send>),
    Zstd(frames::Frames),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Paused,
    Finished,
}

impl Coding {
    /// The names that the doors accept, for the header that tells a sender.
    pub(super) const NAMES: HeaderValue =
        HeaderValue::from_static("identity,gzip,zstd,snappy,x-snappy-framed,deflate,zlib");

    /// What header `name` says. `None` for a coding that the doors do not speak, and for several.
    pub(super) fn of(headers: &HeaderMap, name: impl AsHeaderName) -> Option<Self> {
        let mut values = headers.get_all(name).into_iter();
        let first = values.next().map_or(Some(Self::Identity), Self::named);
        first.filter(|_| values.next().is_none())
    }

    fn named(value: &HeaderValue) -> Option<Self> {
        match value.to_str().ok()?.trim().to_ascii_lowercase().as_str() {
            "" | "identity" | "none" => Some(Self::Identity),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" | "zlib" => Some(Self::Deflate),
            "zstd" => Some(Self::Zstd),
            "snappy" => Some(Self::Snappy),
            "x-snappy-framed" => Some(Self::SnappyFramed),
            _ => None,
        }
    }

    /// What of a request in this coding is read: a compressed one is large only once inflated.
    pub(super) fn wire_bytes_max(self, settings: &Settings) -> usize {
        match self {
            Self::Identity => settings.request_bytes_max,
            Self::Gzip | Self::Deflate | Self::Zstd | Self::Snappy | Self::SnappyFramed => {
                settings.encoded_bytes_max
            }
        }
    }

    /// What a body will be long, if it says so.
    pub(super) fn told_bytes(self, encoded: &[u8]) -> Option<usize> {
        match self {
            Self::Identity => Some(encoded.len()),
            Self::Zstd => frames::told_bytes(encoded),
            Self::Snappy if !is_framed(encoded) => snappy::told_bytes(encoded),
            Self::Gzip | Self::Deflate | Self::Snappy | Self::SnappyFramed => None,
        }
    }

    /// What makes a body that says how long it will be.
    fn maker(self) -> Option<Make> {
        match self {
            Self::Zstd => Some(frames::whole),
            Self::Snappy => Some(snappy::block),
            Self::Identity | Self::Gzip | Self::Deflate | Self::SnappyFramed => None,
        }
    }

    fn window_bytes_max(self) -> usize {
        if self == Self::Zstd { WINDOW_BYTES_MAX } else { 0 }
    }
}

/// The inflated body, and the hold for it. A body without a coding passes through.
pub(super) async fn inflate(
    coding: Coding,
    encoded: Bytes,
    limit: usize,
    deadline: Deadline,
    mut hold: Hold,
) -> Result<(Bytes, Hold), Denial> {
    deadline.check()?;
    let told = coding.told_bytes(&encoded);
    hold.begin(encoded.len(), told, deadline).await?;
    if coding == Coding::Identity {
        if encoded.len() > limit {
            return Err(too_large(limit));
        }
        hold.resize(encoded.len())?;
        return Ok((encoded, hold));
    }
    if let (Some(length), Some(make)) = (told, coding.maker()) {
        if length > limit {
            return Err(too_large(limit));
        }
        if coding == Coding::Snappy && snappy::is_lie(&encoded, length) {
            return Err(unreadable());
        }
        hold.grow(encoded.len() + length)?;
        let is_long = encoded.len().max(length) > INLINE_BYTES;
        // The hold goes with the work: a sender that goes away ends neither.
        let work = move || {
            deadline.check()?;
            let made = make(&encoded, length)?;
            hold.resize(made.capacity())?;
            Ok((Bytes::from(made), hold))
        };
        return if is_long { spawn_blocking(work).await.map_err(lost)? } else { work() };
    }
    let mut inflation = Inflation::new(coding, encoded, limit, hold)?;
    inflation.deadline = deadline;
    if inflation.run(INLINE_BYTES)? == Progress::Paused {
        let rest = move || inflation.run(usize::MAX).map(|_| inflation);
        inflation = spawn_blocking(rest).await.map_err(lost)??;
    }
    inflation.finish()
}

/// Makes a body of a length that is known.
type Make = fn(&[u8], usize) -> Result<Vec<u8>, Denial>;

fn lost(_: JoinError) -> Denial {
    Denial::new(Refusal::Busy, "the body could not be inflated now")
}

impl Inflation {
    fn new(coding: Coding, encoded: Bytes, limit: usize, hold: Hold) -> Result<Self, Denial> {
        let encoded_bytes = encoded.len();
        let decoder = Decoder::new(coding, encoded).map_err(|_| unreadable())?;
        let (window_bytes_max, deadline) = (coding.window_bytes_max(), Deadline::default());
        let out = Vec::new();
        Ok(Self { decoder, encoded_bytes, window_bytes_max, out, limit, deadline, hold })
    }

    /// Goes on until `pause` bytes are out or the body ends.
    fn run(&mut self, pause: usize) -> Result<Progress, Denial> {
        while self.out.len() < pause {
            // One byte past the limit tells a body that ends there from one that goes on.
            let most = (self.limit + 1).saturating_sub(self.out.len());
            let step = (self.out.len().max(self.encoded_bytes * 4))
                .clamp(STEP_BYTES_MIN, STEP_BYTES_MAX)
                .min(most)
                .min(pause - self.out.len());
            self.deadline.check()?;
            let made = self.out.len() + step;
            self.hold.grow(self.encoded_bytes + made + made.min(self.window_bytes_max))?;
            self.out.reserve_exact(step);
            let may_follow = self.decoder.fill(&mut self.out, step).map_err(|_| unreadable())?;
            if self.out.len() > self.limit {
                return Err(too_large(self.limit));
            }
            if !may_follow {
                return Ok(Progress::Finished);
            }
        }
        Ok(Progress::Paused)
    }

    fn finish(mut self) -> Result<(Bytes, Hold), Denial> {
        if let Decoder::Zstd(frames) = self.decoder {
            frames.end();
        }
        self.hold.resize(self.out.capacity())?;
        Ok((Bytes::from(self.out), self.hold))
    }
}

impl Decoder {
    fn new(coding: Coding, encoded: Bytes) -> std::io::Result<Self> {
        let zlib = is_zlib(&encoded);
        let input = Cursor::new(encoded);
        Ok(Self::Reader(match coding {
            Coding::Zstd => return frames::Frames::new(input.into_inner()).map(Self::Zstd),
            Coding::Gzip => Box::new(MultiGzDecoder::new(input)),
            Coding::Deflate if zlib => Box::new(ZlibDecoder::new(input)),
            Coding::Deflate => Box::new(DeflateDecoder::new(input)),
            Coding::Snappy | Coding::SnappyFramed => Box::new(FrameDecoder::new(input)),
            Coding::Identity => Box::new(input),
        }))
    }

    /// Makes `step` bytes more, or what is left; answers whether anything may follow.
    fn fill(&mut self, out: &mut Vec<u8>, step: usize) -> std::io::Result<bool> {
        match self {
            Self::Reader(reader) => Ok(reader.take(step as u64).read_to_end(out)? == step),
            Self::Zstd(frames) => frames.fill(out, step),
        }
    }
}

/// HTTP's "deflate" means zlib, but some senders leave the zlib header out.
fn is_zlib(encoded: &[u8]) -> bool {
    let Some(&[method, flags]) = encoded.first_chunk() else { return false };
    method & 0x0f == 8 && u16::from_be_bytes([method, flags]).is_multiple_of(31)
}

fn unreadable() -> Denial {
    Denial::new(Refusal::Malformed, "the body is not what its encoding says")
}

#[cfg(test)]
mod tests;
