//! Batches of the log, put together to requests.

use bytes::Bytes;
use tokio::time::Instant;

use super::Outgoing;
use crate::evidence::{Position, Signal};

/// Positions are held too: a request of more and smaller batches is sent early.
const BATCHES_MAX: usize = 4096;

/// One request: batches of one signal, in the order of the log.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) signal: Signal,
    pub(super) parts: Vec<Bytes>,
    pub(super) bytes: usize,
    pub(super) items: u64,
    pub(super) positions: Vec<Position>,
    /// When its first batch was taken.
    pub(super) begun: Instant,
}

/// The requests that are being filled, one of each signal at most.
#[derive(Debug)]
pub(super) struct Filling {
    parcels: Vec<Parcel>,
    bytes_max: usize,
}

impl Parcel {
    fn begin(batch: &Outgoing, now: Instant) -> Self {
        let signal = batch.head.signal;
        let (parts, positions) = (Vec::new(), Vec::new());
        Self { signal, parts, bytes: 0, items: 0, positions, begun: now }
    }

    fn add(&mut self, batch: Outgoing) {
        self.bytes += batch.bytes.len();
        self.items += u64::from(batch.head.items);
        self.positions.push(batch.position);
        self.parts.push(batch.bytes);
    }

    fn is_full(&self, bytes_max: usize) -> bool {
        self.bytes >= bytes_max || self.positions.len() >= BATCHES_MAX
    }
}

impl Filling {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { parcels: Vec::new(), bytes_max }
    }

    /// Adds a batch; answers the request that is to be sent before it, or with it.
    pub(super) fn add(&mut self, batch: Outgoing, now: Instant) -> Option<Parcel> {
        let signal = batch.head.signal;
        let at = self.parcels.iter().position(|parcel| parcel.signal == signal);
        let mut parcel = match at {
            Some(at) => self.parcels.swap_remove(at),
            None => Parcel::begin(&batch, now),
        };
        if !parcel.parts.is_empty() && parcel.bytes + batch.bytes.len() > self.bytes_max {
            let mut next = Parcel::begin(&batch, now);
            next.add(batch);
            self.parcels.push(next);
            return Some(parcel);
        }
        parcel.add(batch);
        if parcel.is_full(self.bytes_max) {
            return Some(parcel);
        }
        self.parcels.push(parcel);
        None
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

    fn batch(signal: Signal, position: u64, bytes: &'static [u8]) -> Outgoing {
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
        Outgoing { position, next, head, bytes: Bytes::from_static(bytes) }
    }

    #[tokio::test]
    async fn batches_of_one_signal_are_put_together_up_to_the_cap() {
        let now = Instant::now();
        let mut filling = Filling::new(6);
        assert!(filling.add(batch(Signal::Traces, 1, b"abc"), now).is_none());
        assert!(filling.add(batch(Signal::Logs, 2, b"xyz"), now).is_none());
        assert!(filling.add(batch(Signal::Traces, 3, b"de"), now).is_none());

        let parcel = filling.add(batch(Signal::Traces, 4, b"fg"), now).unwrap();

        assert_eq!((parcel.signal, parcel.bytes, parcel.items), (Signal::Traces, 5, 2));
        assert_eq!(parcel.positions, [Position(1), Position(3)]);
        assert_eq!(parcel.parts, [&b"abc"[..], b"de"]);
        let full = filling.add(batch(Signal::Logs, 5, b"uvw"), now).unwrap();
        assert_eq!((full.signal, full.bytes), (Signal::Logs, 6));
    }

    #[tokio::test]
    async fn a_batch_larger_than_the_cap_is_sent_alone() {
        let mut filling = Filling::new(2);
        let parcel = filling.add(batch(Signal::Logs, 1, b"abcdef"), Instant::now()).unwrap();
        assert_eq!((parcel.bytes, filling.oldest()), (6, None));
    }
}
