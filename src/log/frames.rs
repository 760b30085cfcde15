//! One segment, read: step by step, and past damage.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;
use memchr::memmem;

use super::Batch;
use super::disk;
use super::frame::{FRAME_BYTES, FRAME_MAGIC, Frame, LENGTH_MAX, OPENING_BYTES, Totals};
use crate::evidence::Position;

/// How much is searched at a time for the next frame.
const CHUNK_BYTES: usize = 64 << 10;

/// The readable part of a segment: positions from `base` to `end`.
#[derive(Debug)]
pub(super) struct Frames {
    file: File,
    pub(super) base: u64,
    pub(super) end: u64,
}

/// What lies at a position.
pub(super) enum Step {
    Whole(Frame, Bytes),
    /// No batch; the next may be at `to`.
    Damaged {
        to: u64,
    },
}

impl Frames {
    pub(super) fn open(dir: &Path, base: u64, end: u64) -> io::Result<Self> {
        Ok(Self { file: File::open(disk::segment_path(dir, base))?, base, end })
    }

    pub(super) fn step(&self, at: u64) -> io::Result<Step> {
        let Some(frame) = self.frame(at)? else {
            return Ok(Step::Damaged { to: self.next_frame(at)? });
        };
        let to = frame.next().min(self.end);
        Ok(self.payload(&frame)?.map_or(Step::Damaged { to }, |bytes| Step::Whole(frame, bytes)))
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
        let fits = at.checked_add(FRAME_BYTES as u64).is_some_and(|end| end <= self.end);
        if !fits || !self.read(at, &mut header)? {
            return Ok(None);
        }
        Ok(Frame::decode(&header, at))
    }

    /// `None` where the bytes are not those that were written.
    pub(super) fn payload(&self, frame: &Frame) -> io::Result<Option<Bytes>> {
        let length = usize::try_from(frame.length).unwrap_or(usize::MAX);
        if frame.next() > self.end || length > LENGTH_MAX {
            return Ok(None);
        }
        let mut bytes = vec![0; length];
        let at = frame.position.saturating_add(FRAME_BYTES as u64);
        let intact = self.read(at, &mut bytes)? && crc32fast::hash(&bytes) == frame.payload_crc;
        Ok(intact.then(|| Bytes::from(bytes)))
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
        while from.saturating_add(FRAME_BYTES as u64) <= self.end {
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
        let offset = at.saturating_sub(self.base).saturating_add(OPENING_BYTES as u64);
        match self.file.read_exact_at(bytes, offset) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Batch {
    pub(super) fn new(frame: &Frame, bytes: Bytes) -> Self {
        let (position, next) = (Position(frame.position), Position(frame.next()));
        Self { position, next, head: frame.head, bytes }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::log::tests::head;

    #[test]
    fn the_next_frame_is_found_wherever_the_chunks_of_the_search_part_it() {
        let dir = tempfile::tempdir().unwrap();
        let chunk = CHUNK_BYTES as u64;
        for position in chunk - 80..chunk + 8 {
            let (before, head) = ([0; 3], head(1));
            let frame = Frame { position, length: 0, payload_crc: 0, before, head };
            let mut bytes =
                vec![FRAME_MAGIC[0]; OPENING_BYTES + usize::try_from(position).unwrap()];
            bytes.extend(frame.encode());
            fs::write(disk::segment_path(dir.path(), 0), bytes).unwrap();

            let frames = Frames::open(dir.path(), 0, frame.next()).unwrap();

            assert_eq!(frames.next_frame(0).unwrap(), position);
            assert_eq!(frames.damage_end(0).unwrap(), position);
        }
    }
}
