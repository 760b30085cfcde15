//! Where the protobuf is written.

use bytes::Bytes;

use crate::receive::Denial;
use crate::receive::budget::Hold;
use crate::receive::intake::too_large;
use crate::wire::{encoded_len, write_varint};

/// Protobuf that grows at its end, up to a limit, held before it is written.
#[derive(Debug)]
pub(super) struct Sink {
    out: Vec<u8>,
    prefix: Vec<u8>,
    json_bytes: usize,
    /// How far it may grow before more is held.
    ceiling: usize,
    limit: usize,
    hold: Hold,
    denial: Option<Denial>,
}

impl Sink {
    /// Protobuf takes about half the bytes of its JSON, but for long lists of short numbers.
    pub(super) fn new(json_bytes: usize, limit: usize, mut hold: Hold) -> Result<Self, Denial> {
        let ceiling = json_bytes.min(limit);
        hold.grow(json_bytes + ceiling)?;
        let (out, prefix) = (Vec::with_capacity(ceiling / 2), Vec::new());
        Ok(Self { out, prefix, json_bytes, ceiling, limit, hold, denial: None })
    }

    /// Why it stopped growing, if it did.
    pub(super) fn denial(self) -> Option<Denial> {
        self.denial
    }

    pub(super) fn finish(mut self) -> Result<(Bytes, Hold), Denial> {
        self.hold.resize(self.out.capacity())?;
        Ok((Bytes::from(self.out), self.hold))
    }

    /// Before anything is written: whether there may be more.
    pub(super) fn room(&mut self) -> Result<(), &'static str> {
        if self.out.len() <= self.ceiling {
            return Ok(());
        }
        let more = if self.out.len() > self.limit {
            Err(too_large(self.limit))
        } else {
            self.ceiling = (self.ceiling * 2).min(self.limit);
            self.hold.grow(self.json_bytes + self.ceiling)
        };
        more.map_err(|denial| {
            self.denial = Some(denial);
            "the request is too large"
        })
    }

    pub(super) fn tag(&mut self, number: u32, wire_type: u32) {
        write_varint(&mut self.out, u64::from(number << 3 | wire_type));
    }

    pub(super) fn varint(&mut self, value: u64) {
        write_varint(&mut self.out, value);
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Begins a field whose length shows at its end; answers where its content starts.
    pub(super) fn open(&mut self, number: u32) -> usize {
        self.tag(number, 2);
        self.out.push(0);
        self.out.len()
    }

    /// Ends the field whose content starts at `start`.
    ///
    /// Only a content of 128 bytes and more moves, once per level; that is far less than parsing it.
    pub(super) fn close(&mut self, start: usize) -> Result<(), &'static str> {
        self.room()?;
        let length = self.out.len().saturating_sub(start) as u64;
        self.prefix.clear();
        write_varint(&mut self.prefix, length);
        if encoded_len(length) == 1 {
            if let (Some(slot), Some(first)) = (self.out.get_mut(start - 1), self.prefix.first()) {
                *slot = *first;
            }
            return Ok(());
        }
        drop(self.out.splice(start - 1..start, self.prefix.drain(..)));
        Ok(())
    }
}
