//! Where the protobuf is written.

use bytes::Bytes;

use crate::wire::{encoded_len, write_varint};

/// Protobuf that grows at its end, up to a limit.
#[derive(Debug)]
pub(super) struct Sink {
    out: Vec<u8>,
    prefix: Vec<u8>,
    limit: usize,
}

impl Sink {
    /// Protobuf takes about half the bytes of its JSON.
    pub(super) fn new(json_bytes: usize, limit: usize) -> Self {
        Self { out: Vec::with_capacity(json_bytes / 2), prefix: Vec::new(), limit }
    }

    pub(super) fn is_full(&self) -> bool {
        self.out.len() > self.limit
    }

    pub(super) fn finish(self) -> Bytes {
        Bytes::from(self.out)
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
        if self.is_full() {
            return Err("the request is too large");
        }
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
