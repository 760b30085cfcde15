//! The bytes of a segment: its own header, then one header and one payload per batch.
//!
//! All numbers are little-endian. Every header carries what the log had counted before it, so
//! that the items between any two positions are one subtraction away, and those that a damaged
//! span has swallowed are known although they cannot be read.

use bytes::{Buf, BufMut};

use super::pack::Packing;
use crate::evidence::{Digest, Head, Nanos, Signal, Source, Tenant};

/// Items per signal since the log began, in the order of [`Signal::ALL`].
pub(super) type Totals = [u64; 3];

/// Size of a frame's header as this version writes it.
pub(super) const FRAME_BYTES: usize = Version::Three.frame_bytes();
/// Size of an [`Opening`] as this version writes it.
pub(super) const OPENING_BYTES: usize = Version::Three.opening_bytes();
/// A longer payload is not a payload. The doors' caps are far below.
pub(super) const LENGTH_MAX: usize = 1 << 30;
/// What the first bytes of every frame have in common. Not UTF-8, so that text never resembles one.
pub(super) const FRAME_MAGIC: [u8; 3] = [0xf7, b'H', b'L'];

const SEGMENT_MAGIC: [u8; 8] = *b"\xf7HOPLOG\n";
/// What is the same in every version: the magic, the version and a checksum of their own.
const START_BYTES: usize = 16;

/// The layout of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Had neither digests nor marks. It is read, and no more written.
    One,
    /// Had no packed batches. It is read, and no more written.
    Two,
    Three,
}

/// How the frames of one segment are told from everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) version: Version,
    /// A number that nobody outside knows: bytes that came in a payload, or were left by an
    /// earlier use of the file, are no frames of this segment. Zero stands for any.
    pub(super) mark: u64,
}

/// What precedes a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) position: u64,
    /// Of the payload as it is stored.
    pub(super) length: u32,
    pub(super) payload_crc: u32,
    pub(super) packing: Packing,
    pub(super) before: Totals,
    pub(super) head: Head,
    pub(super) format: Format,
}

/// What a segment begins with: where it lies, and the log as it was when it was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    /// Position of the first batch.
    pub(super) base: u64,
    /// Where the batches before it end. What the segment before holds beyond was refused.
    pub(super) previous_end: u64,
    pub(super) before: Totals,
    /// The latest `received` in the segment before it.
    pub(super) newest: Nanos,
    pub(super) format: Format,
}

/// What the first bytes of a segment turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    Known(Opening),
    Newer(u32),
    Damaged,
}

impl Version {
    pub(super) const fn opening_bytes(self) -> usize {
        match self {
            Self::One => 68,
            Self::Two | Self::Three => 76,
        }
    }

    pub(super) const fn frame_bytes(self) -> usize {
        match self {
            Self::One => 72,
            Self::Two | Self::Three => 96,
        }
    }

    fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::One),
            2 => Some(Self::Two),
            3 => Some(Self::Three),
            _ => None,
        }
    }

    const fn number(self) -> u32 {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Three => 3,
        }
    }

    const fn frame_magic(self) -> [u8; 4] {
        let [first, second, third] = FRAME_MAGIC;
        match self {
            Self::One => [first, second, third, 0xc1],
            Self::Two => [first, second, third, 0xc2],
            Self::Three => [first, second, third, 0xc3],
        }
    }
}

impl Format {
    pub(super) fn marked(mark: u64) -> Self {
        Self { version: Version::Three, mark }
    }

    /// Whatever its mark is.
    pub(super) fn any(version: Version) -> Self {
        Self { version, mark: 0 }
    }

    fn takes(self, mark: u64) -> bool {
        self.mark == 0 || self.mark == mark
    }
}

impl Frame {
    /// The position after the payload.
    pub(super) fn next(&self) -> u64 {
        self.payload().saturating_add(u64::from(self.length))
    }

    /// The position of the payload.
    pub(super) fn payload(&self) -> u64 {
        self.position.saturating_add(self.format.version.frame_bytes() as u64)
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
        out.put_slice(&Version::Three.frame_magic());
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
        out.put_u16_le(match self.packing {
            Packing::Plain => 0,
            Packing::Zstd => 1,
        });
        out.put_u128_le(self.head.digest.0);
        out.put_u64_le(self.format.mark);
        seal(&mut bytes);
        bytes
    }

    /// `None` unless the bytes are a whole header that was written for this `position`.
    pub(super) fn decode(bytes: &[u8], position: u64, format: Format) -> Option<Self> {
        let version = format.version;
        if bytes.len() != version.frame_bytes() {
            return None;
        }
        let mut rest = unsealed(bytes)?.strip_prefix(&version.frame_magic())?;
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
        let packing = match (version, rest.get_u16_le()) {
            (Version::One | Version::Two, _) | (_, 0) => Packing::Plain,
            (_, 1) => Packing::Zstd,
            _ => return None,
        };
        let (digest, mark) = match version {
            Version::One => (Digest::default(), 0),
            Version::Two | Version::Three => (Digest(rest.get_u128_le()), rest.get_u64_le()),
        };
        let head = Head { signal, source, tenant, received, items, policy, digest };
        let format_found = Format { version, mark };
        let frame =
            Self { position, length, payload_crc, packing, before, head, format: format_found };
        (written_for == position && format.takes(mark)).then_some(frame)
    }

    /// How long a batch was that began here and is not whole, as far as that can be told: there
    /// are `bytes` of its header, of `left` to the end of the file. Zero where none began.
    pub(super) fn torn_bytes(bytes: &[u8], position: u64, format: Format, left: u64) -> u64 {
        let field =
            |at: usize| bytes.get(at..)?.first_chunk::<8>().map(|it| u64::from_le_bytes(*it));
        let magic = format.version.frame_magic();
        let begun = magic.starts_with(bytes.get(..4).unwrap_or(bytes)) && !bytes.is_empty();
        let here = field(POSITION_AT).map(|written_for| written_for == position);
        let ours = field(MARK_AT).filter(|_| format.mark != 0).map(|mark| mark == format.mark);
        // An earlier use of the file may have left a header here, and one field may be damaged.
        let told = [Some(begun), here, ours];
        let known = told.iter().flatten().count();
        let right = told.iter().flatten().filter(|is_right| **is_right).count();
        if right == 0 || right + 1 < known {
            return 0;
        }
        let length = bytes.get(4..).and_then(|rest| rest.first_chunk::<4>());
        let length = length.map_or(left, |length| u64::from(u32::from_le_bytes(*length)));
        let whole = length.saturating_add(format.version.frame_bytes() as u64);
        if length <= LENGTH_MAX as u64 { whole.min(left) } else { left }
    }
}

const POSITION_AT: usize = 12;
const MARK_AT: usize = 84;

impl Opening {
    pub(super) fn encode(&self) -> [u8; OPENING_BYTES] {
        let mut bytes = [0; OPENING_BYTES];
        let (start, rest) = bytes.split_at_mut(START_BYTES);
        let mut out = &mut *start;
        out.put_slice(&SEGMENT_MAGIC);
        out.put_u32_le(Version::Three.number());
        seal(start);
        let mut out = &mut *rest;
        out.put_u64_le(self.base);
        out.put_u64_le(self.previous_end);
        put_totals(&mut out, &self.before);
        out.put_u64_le(self.newest.0);
        out.put_u64_le(self.format.mark);
        seal(rest);
        bytes
    }

    /// From the first bytes of the file, as many as there are. Those that are the same in every
    /// version have a checksum of their own: a flipped bit in the version is damage, not a
    /// version from the future.
    pub(super) fn decode(bytes: &[u8]) -> Opened {
        let Some((start, rest)) = bytes.split_at_checked(START_BYTES) else {
            return Opened::Damaged;
        };
        let number = unsealed(start).and_then(|start| start.strip_prefix(&SEGMENT_MAGIC));
        let Some(mut number) = number else { return Opened::Damaged };
        let number = number.get_u32_le();
        let Some(version) = Version::from_number(number) else {
            return if number == 0 { Opened::Damaged } else { Opened::Newer(number) };
        };
        let rest = rest.get(..version.opening_bytes() - START_BYTES).and_then(unsealed);
        let Some(mut rest) = rest else { return Opened::Damaged };
        let base = rest.get_u64_le();
        let previous_end = rest.get_u64_le();
        let before = get_totals(&mut rest);
        let newest = Nanos(rest.get_u64_le());
        let mark = match version {
            Version::One => 0,
            Version::Two | Version::Three => rest.get_u64_le(),
        };
        Opened::Known(Self { base, previous_end, before, newest, format: Format { version, mark } })
    }
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
            digest: Digest(u128::MAX / 3),
        };
        let (before, packing, format) = ([10, 11, 12], Packing::Zstd, Format::marked(13));
        Frame { position: 7, length: 8, payload_crc: 9, packing, before, head, format }
    }

    fn opening() -> Opening {
        let (before, newest) = ([3, 4, 5], Nanos(6));
        Opening { base: 1, previous_end: 2, before, newest, format: Format::marked(7) }
    }

    #[test]
    fn a_frame_comes_back_whole_and_only_at_its_position() {
        let bytes = frame().encode();
        assert_eq!(Frame::decode(&bytes, 7, Format::marked(13)), Some(frame()));
        assert_eq!(Frame::decode(&bytes, 7, Format::any(Version::Three)), Some(frame()));
        assert_eq!(Frame::decode(&bytes, 8, Format::marked(13)), None);
    }

    #[test]
    fn a_frame_adds_its_items_to_its_own_signal() {
        assert_eq!(frame().after(), [10, 16, 12]);
    }

    #[test]
    fn a_frame_of_another_segment_is_none() {
        let bytes = frame().encode();
        assert_eq!(Frame::decode(&bytes, 7, Format::marked(14)), None);
        assert_eq!(Frame::decode(&bytes, 7, Format::any(Version::One)), None);
        assert_eq!(Frame::decode(&bytes[..72], 7, Format::marked(13)), None);
    }

    #[test]
    fn a_header_with_any_bit_flipped_is_none_and_still_known_to_have_begun() {
        for at in 0..FRAME_BYTES {
            let mut bytes = frame().encode();
            bytes[at] ^= 0x40;
            assert_eq!(Frame::decode(&bytes, 7, Format::marked(13)), None, "byte {at}");
            let torn = Frame::torn_bytes(&bytes, 7, Format::marked(13), 1000);
            assert!(torn >= 104, "byte {at}: {torn}");
        }
        assert_eq!(Frame::torn_bytes(&[0; FRAME_BYTES], 0, Format::marked(13), 1000), 0);
        assert_eq!(Frame::torn_bytes(&[0xf7, b'H'], 7, Format::marked(13), 2), 2);
    }

    #[test]
    fn an_opening_comes_back_whole() {
        assert_eq!(Opening::decode(&opening().encode()), Opened::Known(opening()));
    }

    #[test]
    fn a_flipped_bit_in_an_opening_is_damage_and_not_a_newer_version() {
        for at in 0..OPENING_BYTES {
            let mut bytes = opening().encode();
            bytes[at] ^= 0x40;
            assert_eq!(Opening::decode(&bytes), Opened::Damaged, "byte {at}");
            assert_eq!(Opening::decode(&bytes[..at]), Opened::Damaged, "cut at {at}");
        }
    }
}
