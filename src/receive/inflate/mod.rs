//! Compressed bodies, inflated within bounds.

use std::io::{Cursor, Read};

use axum::http::HeaderValue;
use bytes::Bytes;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::budget::Hold;
use super::intake::too_large;
use super::{Denial, Settings};
use crate::ledger::Refusal;

/// RFC 9659: what a decoder of the zstd content coding has to support, and no more.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// More output than this is made away from the async threads: it takes about half a millisecond.
const INLINE_BYTES: usize = 256 << 10;

const STEP_BYTES_MIN: usize = 16 << 10;
const STEP_BYTES_MAX: usize = 4 << 20;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Deflate,
    Zstd,
}

/// A body on its way out of a decoder. It grows by steps, each of them held before it is made.
struct Inflation {
    decoder: Box<dyn Read + Send>,
    encoded_bytes: usize,
    out: Vec<u8>,
    limit: usize,
    hold: Hold,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Paused,
    Finished,
}

impl Coding {
    /// The names that the doors accept, for the header that tells a sender.
    pub(super) const NAMES: HeaderValue = HeaderValue::from_static("identity,gzip,zstd,deflate");

    /// `None` for a coding that the doors do not speak.
    pub(super) fn of(header: Option<&HeaderValue>) -> Option<Self> {
        let Some(header) = header else { return Some(Self::Identity) };
        match header.to_str().ok()?.trim().to_ascii_lowercase().as_str() {
            "" | "identity" | "none" => Some(Self::Identity),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// What of a request in this coding is read: a compressed one is large only once inflated.
    pub(super) fn wire_bytes_max(self, settings: &Settings) -> usize {
        match self {
            Self::Identity => settings.request_bytes_max,
            Self::Gzip | Self::Deflate | Self::Zstd => settings.encoded_bytes_max,
        }
    }
}

/// The inflated body, and the hold for it. A body without a coding passes through.
pub(super) async fn inflate(
    coding: Coding,
    encoded: Bytes,
    limit: usize,
    mut hold: Hold,
) -> Result<(Bytes, Hold), Denial> {
    if coding == Coding::Identity {
        if encoded.len() > limit {
            return Err(too_large(limit));
        }
        hold.resize(encoded.len())?;
        return Ok((encoded, hold));
    }
    let mut inflation = Inflation::new(coding, encoded, limit, hold)?;
    if inflation.run(INLINE_BYTES)? == Progress::Paused {
        let rest = move || inflation.run(usize::MAX).map(|_| inflation);
        let lost = |_| Denial::new(Refusal::Busy, "the body could not be inflated now");
        inflation = tokio::task::spawn_blocking(rest).await.map_err(lost)??;
    }
    inflation.finish()
}

impl Inflation {
    fn new(coding: Coding, encoded: Bytes, limit: usize, hold: Hold) -> Result<Self, Denial> {
        let encoded_bytes = encoded.len();
        let decoder = decoder(coding, encoded).map_err(|_| unreadable())?;
        Ok(Self { decoder, encoded_bytes, out: Vec::new(), limit, hold })
    }

    /// Goes on until `pause` bytes are out or the body ends.
    fn run(&mut self, pause: usize) -> Result<Progress, Denial> {
        while self.out.len() < pause {
            // One byte past the limit tells a body that ends there from one that goes on.
            let most = (self.limit + 1).saturating_sub(self.out.len());
            let step = (self.out.len().max(self.encoded_bytes * 4))
                .clamp(STEP_BYTES_MIN, STEP_BYTES_MAX)
                .min(most);
            self.hold.grow(self.encoded_bytes + self.out.len() + step)?;
            self.out.reserve_exact(step);
            let mut decoder = (&mut self.decoder).take(step as u64);
            let made = decoder.read_to_end(&mut self.out).map_err(|_| unreadable())?;
            if self.out.len() > self.limit {
                return Err(too_large(self.limit));
            }
            if made < step {
                return Ok(Progress::Finished);
            }
        }
        Ok(Progress::Paused)
    }

    fn finish(mut self) -> Result<(Bytes, Hold), Denial> {
        self.hold.resize(self.out.capacity())?;
        Ok((Bytes::from(self.out), self.hold))
    }
}

fn decoder(coding: Coding, encoded: Bytes) -> std::io::Result<Box<dyn Read + Send>> {
    let zlib = is_zlib(&encoded);
    let input = Cursor::new(encoded);
    Ok(match coding {
        Coding::Identity => Box::new(input),
        Coding::Gzip => Box::new(MultiGzDecoder::new(input)),
        Coding::Deflate if zlib => Box::new(ZlibDecoder::new(input)),
        Coding::Deflate => Box::new(DeflateDecoder::new(input)),
        Coding::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(input)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Box::new(decoder)
        }
    })
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
