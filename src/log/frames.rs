//! One segment, read: step by step, and past damage.

use std::io;
use std::sync::Arc;

use memchr::memmem;

use super::Batch;
use super::disk::{Dir, read_up_to, segment_name};
use super::frame::{FRAME_BYTES, FRAME_MAGIC, Format, Frame, LENGTH_MAX, Totals};
use super::pack::Payload;
use super::storage::{Open, Stored};
use crate::evidence::Position;

/// How much is searched at a time for the next frame.
const CHUNK_BYTES: usize = 64 << 10;

/// The readable part of a segment: positions from `base` to `end`.
#[derive(Debug)]
pub(super) struct Frames {
    file: Arc<dyn Stored>,
    pub(super) base: u64,
    pub(super) end: u64,
    pub(super) format: Format,
}

/// Where the log had counted no more than something.
pub(super) struct Counted {
    pub(super) end: u64,
    pub(super) totals: Totals,
    /// Whether there are batches behind that counted more.
    pub(super) is_over: bool,
}

/// What lies at a position.
pub(super) enum Step {
    Whole(Frame, Payload),
    /// No batch; the next may be at `to`.
    Damaged {
        to: u64,
    },
}

impl Frames {
    pub(super) fn open(dir: &Dir, base: u64, end: u64, format: Format) -> io::Result<Self> {
        Ok(Self { file: dir.open(&segment_name(base), Open::Read)?, base, end, format })
    }

    pub(super) fn step(&self, at: u64) -> io::Result<Step> {
        let Some(frame) = self.frame(at)? else {
            return Ok(Step::Damaged { to: self.next_frame(at)? });
        };
        let to = frame.next().min(self.end);
        Ok(self
            .payload(&frame)?
            .map_or(Step::Damaged { to }, |payload| Step::Whole(frame, payload)))
    }

    /// Where the damage that begins at `at` ends: at a whole batch, or with the segment.
    pub(super) fn damage_end(&self, at: u64) -> io::Result<u64> {
        let mut to = at;
        while to < self.end {
            match self.step(to)? {
                Step::Whole(..) => break,
                Step::Damaged { to: next } => to = next,
            }
        }
        Ok(to)
    }

    /// `None` where no intact header lies. Its payload may still be damaged, or cut off.
    pub(super) fn frame(&self, at: u64) -> io::Result<Option<Frame>> {
        let mut header = [0; FRAME_BYTES];
        Ok(Frame::decode(self.header(at, &mut header)?, at, self.format))
    }

    /// Bytes of a batch that begins at `at` and is not whole; zero where none began.
    pub(super) fn torn_bytes(&self, at: u64) -> io::Result<u64> {
        let mut header = [0; FRAME_BYTES];
        let left = self.end.saturating_sub(at);
        Ok(Frame::torn_bytes(self.header(at, &mut header)?, at, self.format, left))
    }

    /// As much of a header as there is.
    fn header<'a>(&self, at: u64, bytes: &'a mut [u8; FRAME_BYTES]) -> io::Result<&'a [u8]> {
        let left = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX);
        let header = bytes.get_mut(..self.format.version.frame_bytes().min(left));
        let header = header.unwrap_or_default();
        let read = read_up_to(self.file.as_ref(), header, self.offset(at))?;
        Ok(header.get(..read).unwrap_or_default())
    }

    /// `None` where the bytes are not those that were written.
    pub(super) fn payload(&self, frame: &Frame) -> io::Result<Option<Payload>> {
        let length = usize::try_from(frame.length).unwrap_or(usize::MAX);
        if frame.next() > self.end || length > LENGTH_MAX {
            return Ok(None);
        }
        let mut bytes = vec![0; length];
        let intact =
            self.read(frame.payload(), &mut bytes)? && crc32fast::hash(&bytes) == frame.payload_crc;
        Ok(if intact { Payload::stored_as(frame.packing, bytes) } else { None })
    }

    /// What the log had counted at `at`, found by walking there from the segment's begin, where
    /// it had counted `before`. Damage on the way is bridged by the frame after it.
    pub(super) fn totals_at(&self, at: u64, before: Totals) -> io::Result<Totals> {
        if let Some(frame) = self.frame(at)? {
            return Ok(frame.before);
        }
        let mut totals = before;
        let mut walked = self.base;
        while walked < at.min(self.end) {
            match self.frame(walked)? {
                Some(frame) => (totals, walked) = (frame.after(), frame.next()),
                None => walked = self.next_frame(walked)?,
            }
        }
        Ok(totals)
    }

    /// The end of the batches with which the log had counted at most `most`; it had counted
    /// `before` at the segment's begin.
    pub(super) fn counted_to(&self, before: Totals, most: Totals) -> io::Result<Counted> {
        let mut counted = Counted { end: self.base, totals: before, is_over: false };
        let mut walked = self.base;
        while walked < self.end && !counted.is_over {
            let Some(frame) = self.frame(walked)? else {
                walked = self.next_frame(walked)?;
                continue;
            };
            walked = frame.next();
            counted.is_over = frame.after().iter().zip(most).any(|(sum, most)| *sum > most);
            if !counted.is_over {
                (counted.end, counted.totals) = (walked, frame.after());
            }
        }
        Ok(counted)
    }

    /// The bytes of a span as they are, as many as there are.
    pub(super) fn raw(&self, from: u64, to: u64) -> io::Result<Vec<u8>> {
        let length = usize::try_from(to.min(self.end).saturating_sub(from)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length];
        Ok(if self.read(from, &mut bytes)? { bytes } else { Vec::new() })
    }

    /// The first position after `at` with an intact header; the end where there is none.
    pub(super) fn next_frame(&self, at: u64) -> io::Result<u64> {
        let finder = memmem::Finder::new(&FRAME_MAGIC);
        let mut from = at.saturating_add(1);
        let frame_bytes = self.format.version.frame_bytes() as u64;
        while from.saturating_add(frame_bytes) <= self.end {
            let left = usize::try_from(self.end - from).unwrap_or(usize::MAX);
            let mut chunk = vec![0; left.min(CHUNK_BYTES)];
            if !self.read(from, &mut chunk)? {
                break;
            }
            for found in finder.find_iter(&chunk) {
                let candidate = from + found as u64;
                if self.frame(candidate)?.is_some() {
                    return Ok(candidate);
                }
            }
            // The magic may lie across two chunks.
            from += chunk.len().saturating_sub(FRAME_MAGIC.len() - 1).max(1) as u64;
        }
        Ok(self.end)
    }

    /// False where the file ends before the bytes do: to a reader that is damage.
    fn read(&self, at: u64, bytes: &mut [u8]) -> io::Result<bool> {
        Ok(read_up_to(self.file.as_ref(), bytes, self.offset(at))? == bytes.len())
    }

    fn offset(&self, at: u64) -> u64 {
        let opening = self.format.version.opening_bytes() as u64;
        at.saturating_sub(self.base).saturating_add(opening)
    }
}

impl Batch {
    pub(super) fn new(frame: &Frame, payload: Payload) -> Self {
        let (position, next) = (Position(frame.position), Position(frame.next()));
        Self { position, next, head: frame.head, payload }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::log::frame::OPENING_BYTES;
    use crate::log::pack::Packing;
    use crate::log::tests::{dir_of, head};

    #[test]
    fn the_next_frame_is_found_wherever_the_chunks_of_the_search_part_it() {
        let dir = tempfile::tempdir().unwrap();
        let chunk = CHUNK_BYTES as u64;
        for position in chunk - 100..chunk + 8 {
            let (before, head, format) = ([0; 3], head(1), Format::marked(5));
            let (length, payload_crc, packing) = (0, 0, Packing::Plain);
            let frame = Frame { position, length, payload_crc, packing, before, head, format };
            let mut bytes =
                vec![FRAME_MAGIC[0]; OPENING_BYTES + usize::try_from(position).unwrap()];
            bytes.extend(frame.encode());
            fs::write(dir.path().join(segment_name(0)), bytes).unwrap();

            let frames = Frames::open(&dir_of(dir.path()), 0, frame.next(), format).unwrap();

            assert_eq!(frames.next_frame(0).unwrap(), position);
            assert_eq!(frames.damage_end(0).unwrap(), position);
        }
    }
}
