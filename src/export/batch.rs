//! Batches of the log, put together to requests.

use bytes::Bytes;
use tokio::time::Instant;

use super::split::{Part, Split};
use crate::evidence::{Position, Signal};
use crate::log::{Batch, Payload};

/// Smaller batches are compressed together, not each for itself: that makes less of them.
const PASSED_BYTES_MIN: usize = 32 << 10;

/// Positions are held too: a request of more and smaller batches is sent early.
const BATCHES_MAX: usize = 4096;

/// A part of a request, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Plain(Bytes),
    /// As a frame of zstd, for a destination that takes them.
    Packed(Bytes),
}

/// What a destination takes of the frames that the log has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frames {
    Pass,
    Unpack,
}

/// One request: batches of one signal in the order of the log, or a part of one that is larger.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) signal: Signal,
    pub(super) pieces: Vec<Piece>,
    /// Of the pieces before compression.
    pub(super) bytes: usize,
    pub(super) items: u64,
    pub(super) positions: Vec<Position>,
    /// When its first batch was taken.
    begun: Instant,
}

/// The requests that are being filled, one of each signal at most.
#[derive(Debug)]
pub(super) struct Filling {
    parcels: Vec<Parcel>,
    bytes_max: usize,
    frames: Frames,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Filled {
    /// What is to be sent, in this order.
    pub(super) ready: Vec<Parcel>,
    /// Requests that have a part of the batch.
    pub(super) parts: usize,
    /// Items of it that no request may hold.
    pub(super) too_large: u64,
}

impl Piece {
    /// What is not compressed yet.
    pub(super) fn plain(&self) -> Option<&Bytes> {
        match self {
            Self::Plain(bytes) => Some(bytes),
            Self::Packed(_) => None,
        }
    }
}

impl Parcel {
    fn begin(signal: Signal, now: Instant) -> Self {
        let (pieces, positions) = (Vec::new(), Vec::new());
        Self { signal, pieces, bytes: 0, items: 0, positions, begun: now }
    }

    /// The first batch of which it has anything.
    pub(super) fn first(&self) -> Position {
        self.positions.first().copied().unwrap_or_default()
    }

    fn add(&mut self, batch: Batch, frames: Frames) {
        self.items += u64::from(batch.head.items);
        self.positions.push(batch.position);
        let Payload { plain, packed } = batch.payload;
        self.bytes += plain.len();
        let passed = packed.filter(|_| frames == Frames::Pass && plain.len() >= PASSED_BYTES_MIN);
        self.pieces.push(passed.map_or(Piece::Plain(plain), Piece::Packed));
    }

    fn is_full(&self, bytes_max: usize) -> bool {
        self.bytes >= bytes_max || self.positions.len() >= BATCHES_MAX
    }
}

impl Filling {
    pub(super) fn new(bytes_max: usize, frames: Frames) -> Self {
        Self { parcels: Vec::new(), bytes_max, frames }
    }

    /// Adds a batch that is not larger than a request may be.
    pub(super) fn add(&mut self, batch: Batch, now: Instant) -> Filled {
        let signal = batch.head.signal;
        let mut filled = Filled { parts: 1, ..Filled::default() };
        let mut parcel = self.take(signal).unwrap_or_else(|| Parcel::begin(signal, now));
        if parcel.bytes + batch.payload.plain.len() > self.bytes_max {
            let next = Parcel::begin(signal, now);
            filled.ready.push(std::mem::replace(&mut parcel, next));
        }
        parcel.add(batch, self.frames);
        if parcel.is_full(self.bytes_max) {
            filled.ready.push(parcel);
        } else {
            self.parcels.push(parcel);
        }
        filled
    }

    /// Adds the parts of a batch that is larger, behind the request that was being filled. They
    /// are not put together with others: so a request never keeps the memory of more than it sends
    /// and one batch.
    pub(super) fn add_parts(&mut self, batch: &Batch, split: Split, now: Instant) -> Filled {
        let signal = batch.head.signal;
        let ready = self.take(signal).into_iter().collect();
        let mut filled = Filled { ready, parts: split.parts.len(), too_large: 0 };
        // The door has counted the items, and what it counted is what the ledger expects.
        let mut left = u64::from(batch.head.items);
        for Part { pieces, bytes, items } in split.parts {
            let items = items.min(left);
            left -= items;
            let positions = vec![batch.position];
            let pieces = pieces.into_iter().map(Piece::Plain).collect();
            filled.ready.push(Parcel { signal, pieces, bytes, items, positions, begun: now });
        }
        filled.too_large = left;
        filled
    }

    fn take(&mut self, signal: Signal) -> Option<Parcel> {
        let at = self.parcels.iter().position(|parcel| parcel.signal == signal)?;
        Some(self.parcels.swap_remove(at))
    }

    /// When the request that waits longest was begun.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.parcels.iter().map(|parcel| parcel.begun).min()
    }

    /// Takes out the request that waits longest.
    pub(super) fn take_oldest(&mut self) -> Option<Parcel> {
        let oldest = self.parcels.iter().enumerate().min_by_key(|(_, parcel)| parcel.begun);
        let at = oldest.map(|(at, _)| at)?;
        Some(self.parcels.swap_remove(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{Digest, Head, Nanos, Source, Tenant};
    use crate::export::split::split;
    use crate::export::tests::sink;

    fn batch(signal: Signal, position: u64, bytes: Vec<u8>) -> Batch {
        let (source, tenant) = (Source::OtlpGrpc, Tenant(0));
        let head = Head {
            signal,
            source,
            tenant,
            received: Nanos(0),
            items: 1,
            policy: 0,
            digest: Digest::default(),
        };
        let (position, next) = (Position(position), Position(position + 1));
        Batch { position, next, head, payload: Payload { plain: Bytes::from(bytes), packed: None } }
    }

    #[tokio::test]
    async fn batches_of_one_signal_are_put_together_up_to_the_cap() {
        let now = Instant::now();
        let mut filling = Filling::new(6, Frames::Pass);
        assert!(filling.add(batch(Signal::Traces, 1, b"abc".to_vec()), now).ready.is_empty());
        assert!(filling.add(batch(Signal::Logs, 2, b"xyz".to_vec()), now).ready.is_empty());
        assert!(filling.add(batch(Signal::Traces, 3, b"de".to_vec()), now).ready.is_empty());

        let [parcel] =
            filling.add(batch(Signal::Traces, 4, b"fg".to_vec()), now).ready.try_into().unwrap();

        assert_eq!((parcel.signal, parcel.bytes, parcel.items), (Signal::Traces, 5, 2));
        assert_eq!(parcel.positions, [Position(1), Position(3)]);
        let pieces = [&b"abc"[..], b"de"].map(|text| Piece::Plain(Bytes::from_static(text)));
        assert_eq!(parcel.pieces, pieces);
        let [full] =
            filling.add(batch(Signal::Logs, 5, b"uvw".to_vec()), now).ready.try_into().unwrap();
        assert_eq!((full.signal, full.bytes), (Signal::Logs, 6));
    }

    #[tokio::test]
    async fn a_frame_is_passed_to_whom_it_is_good_enough_unless_it_is_short() {
        let frame = Bytes::from_static(b"frame");
        let filled = |length, frames| {
            let mut batch = batch(Signal::Traces, 1, vec![7; length]);
            batch.payload.packed = Some(frame.clone());
            let [parcel] =
                Filling::new(length, frames).add(batch, Instant::now()).ready.try_into().unwrap();
            assert_eq!(parcel.bytes, length);
            parcel.pieces
        };

        assert_eq!(filled(PASSED_BYTES_MIN, Frames::Pass), [Piece::Packed(frame.clone())]);
        let plain = |length| Piece::Plain(Bytes::from(vec![7; length]));
        let short = PASSED_BYTES_MIN - 1;
        assert_eq!(filled(short, Frames::Pass), [plain(short)]);
        assert_eq!(filled(PASSED_BYTES_MIN, Frames::Unpack), [plain(PASSED_BYTES_MIN)]);
    }

    #[tokio::test]
    async fn the_parts_of_a_large_batch_are_sent_alone_and_in_order() {
        let spans: Vec<_> = (0..5).map(|at| sink::spans(&format!("{at}"))).collect();
        let size = spans[0].len();
        let mut filling = Filling::new(2 * size, Frames::Pass);
        let now = Instant::now();
        filling.add(batch(Signal::Traces, 1, spans[0].clone()), now);
        let mut large = batch(Signal::Traces, 2, spans.concat());
        large.head.items = 5;

        let split = split(Signal::Traces, &large.payload.plain, 2 * size).unwrap();
        let filled = filling.add_parts(&large, split, now);

        let sent: Vec<_> = filled.ready.iter().map(|it| (it.first().0, it.items)).collect();
        assert_eq!(sent, [(1, 1), (2, 2), (2, 2), (2, 1)]);
        assert_eq!((filled.parts, filled.too_large, filling.oldest()), (3, 0, None));
    }

    #[tokio::test]
    async fn what_is_in_no_part_is_too_large() {
        let mut large = batch(Signal::Logs, 1, b"abcdef".to_vec());
        large.head.items = 3;
        let one = Part { items: 2, ..Part::default() };
        let split = Split { parts: vec![one], too_large: 1 };

        let filled = Filling::new(2, Frames::Pass).add_parts(&large, split, Instant::now());

        assert_eq!((filled.ready.len(), filled.parts, filled.too_large), (1, 1, 1));
    }
}
