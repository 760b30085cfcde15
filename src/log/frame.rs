//! The bytes of a segment: its own header, then one header and one payload per batch.
//!
//! All numbers are little-endian. Every header carries what the log had counted before it, so
//! that the items between any two positions are one subtraction away, and those that a damaged
//! span has swallowed are known although they cannot be read.

use bytes::{Buf, BufMut};

use crate::evidence::{Digest, Head, Nanos, Signal, Source, Tenant};

/// Items per signal since the log began, in the order of [`Signal::ALL`].
pub(super) type Totals = [u64; 3];

/// Size of [`Frame`] on disk.
pub(super) const FRAME_BYTES: usize = 72;
/// Size of [`Opening`] on disk.
pub(super) const OPENING_BYTES: usize = 68;
/// A longer payload is not a payload. The doors' caps are far below.
pub(super) const LENGTH_MAX: usize = 1 << 30;
/// The first bytes of a frame. Not UTF-8, so that text never resembles one.
pub(super) const FRAME_MAGIC: [u8; 4] = [0xf7, b'H', b'L', 0xc1];

const SEGMENT_MAGIC: [u8; 8] = *b"\xf7HOPLOG\n";
const VERSION: u32 = 1;

/// What precedes a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) position: u64,
    pub(super) length: u32,
    pub(super) payload_crc: u32,
    pub(super) before: Totals,
    pub(super) head: Head,
}

/// What a segment begins with: where it lies, and the log as it was when it was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    /// Position of the first batch.
    pub(super) base: u64,
    /// Where the batches before it end. What the segment before holds beyond was refused.
    pub(super) previous_end: u64,
    pub(super) before: Totals,
    /// The latest `received` before it.
    pub(super) newest: Nanos,
}

/// What the first bytes of a segment turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opened {
    Known(Opening),
    Newer(u32),
    Damaged,
}

impl Frame {
    /// The position after the payload.
    pub(super) fn next(&self) -> u64 {
        self.position.saturating_add(frame_bytes(u64::from(self.length)))
    }

    /// What the log has counted with this batch.
    pub(super) fn after(&self) -> Totals {
        let mut totals = self.before;
        for (signal, total) in Signal::ALL.into_iter().zip(&mut totals) {
            if signal == self.head.signal {
                *total = total.saturating_add(u64::from(self.head.items));
            }
        }
        totals
    }

    pub(super) fn encode(&self) -> [u8; FRAME_BYTES] {
        let mut bytes = [0; FRAME_BYTES];
        let mut out = bytes.as_mut_slice();
        out.put_slice(&FRAME_MAGIC);
        out.put_u32_le(self.length);
        out.put_u32_le(self.payload_crc);
        out.put_u64_le(self.position);
        out.put_u64_le(self.head.received.0);
        put_totals(&mut out, &self.before);
        out.put_u32_le(self.head.items);
        out.put_u32_le(self.head.tenant.0);
        out.put_u32_le(self.head.policy);
        out.put_u8(self.head.signal.code());
        out.put_u8(self.head.source.code());
        out.put_u16_le(0);
        seal(&mut bytes);
        bytes
    }

    /// `None` unless the bytes are a whole header that was written for this `position`.
    pub(super) fn decode(bytes: &[u8; FRAME_BYTES], position: u64) -> Option<Self> {
        let mut rest = unsealed(bytes)?.strip_prefix(&FRAME_MAGIC)?;
        let length = rest.get_u32_le();
        let payload_crc = rest.get_u32_le();
        let written_for = rest.get_u64_le();
        let received = Nanos(rest.get_u64_le());
        let before = get_totals(&mut rest);
        let items = rest.get_u32_le();
        let tenant = Tenant(rest.get_u32_le());
        let policy = rest.get_u32_le();
        let signal = Signal::from_code(rest.get_u8())?;
        let source = Source::from_code(rest.get_u8())?;
        let digest = Digest::default();
        let head = Head { signal, source, tenant, received, items, policy, digest };
        (written_for == position).then_some(Self { position, length, payload_crc, before, head })
    }
}

impl Opening {
    pub(super) fn encode(&self) -> [u8; OPENING_BYTES] {
        let mut bytes = [0; OPENING_BYTES];
        let (start, rest) = bytes.split_at_mut(16);
        let mut out = &mut *start;
        out.put_slice(&SEGMENT_MAGIC);
        out.put_u32_le(VERSION);
        seal(start);
        let mut out = &mut *rest;
        out.put_u64_le(self.base);
        out.put_u64_le(self.previous_end);
        put_totals(&mut out, &self.before);
        out.put_u64_le(self.newest.0);
        seal(rest);
        bytes
    }

    /// The first 16 bytes stay as they are in every version, and have a checksum of their own: a
    /// flipped bit in the version is damage, not a version from the future.
    pub(super) fn decode(bytes: &[u8; OPENING_BYTES]) -> Opened {
        let (start, rest) = bytes.split_at(16);
        let version = unsealed(start).and_then(|start| start.strip_prefix(&SEGMENT_MAGIC));
        let Some(mut version) = version else { return Opened::Damaged };
        let version = version.get_u32_le();
        if version > VERSION {
            return Opened::Newer(version);
        }
        let Some(mut rest) = unsealed(rest) else { return Opened::Damaged };
        Opened::Known(Self {
            base: rest.get_u64_le(),
            previous_end: rest.get_u64_le(),
            before: get_totals(&mut rest),
            newest: Nanos(rest.get_u64_le()),
        })
    }
}

/// Bytes in the segment for a payload of this length.
pub(super) fn frame_bytes(length: u64) -> u64 {
    length.saturating_add(FRAME_BYTES as u64)
}

/// Writes the checksum of all bytes but the last four into the last four.
fn seal(bytes: &mut [u8]) {
    if let Some((rest, crc)) = bytes.split_last_chunk_mut::<4>() {
        *crc = crc32fast::hash(rest).to_le_bytes();
    }
}

/// The bytes before the checksum, if it holds.
fn unsealed(bytes: &[u8]) -> Option<&[u8]> {
    let (rest, crc) = bytes.split_last_chunk::<4>()?;
    (crc32fast::hash(rest).to_le_bytes() == *crc).then_some(rest)
}

fn put_totals(out: &mut &mut [u8], totals: &Totals) {
    for total in totals {
        out.put_u64_le(*total);
    }
}

fn get_totals(bytes: &mut &[u8]) -> Totals {
    std::array::from_fn(|_| bytes.get_u64_le())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        let head = Head {
            signal: Signal::Logs,
            source: Source::OtlpHttp,
            tenant: Tenant(3),
            received: Nanos(4),
            items: 5,
            policy: 6,
            digest: Digest::default(),
        };
        Frame { position: 7, length: 8, payload_crc: 9, before: [10, 11, 12], head }
    }

    #[test]
    fn a_frame_comes_back_whole_and_only_at_its_position() {
        let bytes = frame().encode();
        assert_eq!(Frame::decode(&bytes, 7), Some(frame()));
        assert_eq!(Frame::decode(&bytes, 8), None);
    }

    #[test]
    fn a_frame_adds_its_items_to_its_own_signal() {
        assert_eq!(frame().after(), [10, 16, 12]);
    }

    #[test]
    fn an_opening_comes_back_whole() {
        let opening = Opening { base: 1, previous_end: 2, before: [3, 4, 5], newest: Nanos(6) };
        assert_eq!(Opening::decode(&opening.encode()), Opened::Known(opening));
    }

    #[test]
    fn a_flipped_bit_in_an_opening_is_damage_and_not_a_newer_version() {
        let opening = Opening { base: 1, previous_end: 2, before: [3, 4, 5], newest: Nanos(6) };
        for at in 0..OPENING_BYTES {
            let mut bytes = opening.encode();
            bytes[at] ^= 0x40;
            assert_eq!(Opening::decode(&bytes), Opened::Damaged, "byte {at}");
        }
    }
}
