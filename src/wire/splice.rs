//! Changes a request without decoding it: untouched ranges are copied, changed ones rewritten.

use std::ops::Range;

use bytes::Bytes;

use super::{Malformed, encoded_len, write_varint};

/// Collects the edits of one walk through a request, then writes the edited request.
///
/// The walk goes forward. It [enters](Splice::enter) and [leaves](Splice::leave) the messages on
/// its way, so that an edit deep down can mend the length prefixes of everything round it.
/// Lengths are written in their shortest form. Without an edit the result is the input itself.
#[derive(Debug, Default)]
pub struct Splice {
    open: Vec<Frame>,
    patches: Vec<Patch>,
    text: Vec<u8>,
    edits: u64,
    /// By how much the whole grows.
    growth: isize,
}

/// A message that the walk is in.
#[derive(Debug)]
struct Frame {
    /// The length prefix, in the input.
    prefix: Range<usize>,
    /// The length as the input has it.
    length: usize,
    /// What the edits inside added to the length, less what they removed.
    growth: isize,
    /// Index of this frame's patch; `None` until something inside is edited.
    patch: Option<usize>,
}

/// A range of the input and what stands there instead.
#[derive(Debug)]
struct Patch {
    at: Range<usize>,
    with: With,
}

#[derive(Debug)]
enum With {
    /// A length prefix, known once its message is left.
    Length(usize),
    /// A range of the collected text.
    Text(Range<usize>),
}

impl Splice {
    /// Ready for a walk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many edits the walk made.
    #[must_use]
    pub fn edits(&self) -> u64 {
        self.edits
    }

    /// The walk goes into a message: where its length prefix begins, and where its content lies.
    pub fn enter(&mut self, prefix: usize, content: Range<usize>) {
        let length = content.len();
        self.open.push(Frame { prefix: prefix..content.start, length, growth: 0, patch: None });
    }

    /// The walk leaves the message that it entered last.
    pub fn leave(&mut self) {
        let Some(frame) = self.open.pop() else { return };
        let Some(patch) = frame.patch.and_then(|at| self.patches.get_mut(at)) else { return };
        let length = frame.length.saturating_add_signed(frame.growth);
        patch.with = With::Length(length);
        let grown = difference(encoded_len(length as u64), frame.prefix.len());
        self.grow(frame.growth + grown);
    }

    /// Puts `content` in the place of a length-delimited field's content.
    ///
    /// `prefix` is where the field's length prefix begins, `old` where its content lies.
    pub fn replace(&mut self, prefix: usize, old: Range<usize>, content: &[u8]) {
        let start = self.text.len();
        write_varint(&mut self.text, content.len() as u64);
        self.text.extend_from_slice(content);
        self.patch(prefix..old.end, start);
    }

    /// Takes a range out: a whole field, with its tag.
    pub fn remove(&mut self, range: Range<usize>) {
        let start = self.text.len();
        self.patch(range, start);
    }

    /// Puts whole fields in at a boundary between two fields.
    pub fn insert(&mut self, at: usize, fields: &[u8]) {
        let start = self.text.len();
        self.text.extend_from_slice(fields);
        self.patch(at..at, start);
    }

    /// The input with all edits; the input itself when there are none.
    ///
    /// # Errors
    /// When the result would be too large for places to address.
    pub fn finish(self, input: &Bytes) -> Result<Bytes, Malformed> {
        if self.patches.is_empty() {
            return Ok(input.clone());
        }
        let mut out = Vec::with_capacity(input.len().saturating_add_signed(self.growth));
        self.write(input, 0..input.len(), &mut out);
        if u32::try_from(out.len()).is_err() {
            return Err(Malformed::Size);
        }
        Ok(Bytes::from(out))
    }

    /// Appends a range of the input with all edits, none of which lies outside of it.
    pub fn write(&self, input: &[u8], range: Range<usize>, out: &mut Vec<u8>) {
        let mut copied = range.start;
        for patch in &self.patches {
            out.extend_from_slice(input.get(copied..patch.at.start).unwrap_or_default());
            match &patch.with {
                With::Length(length) => write_varint(out, *length as u64),
                With::Text(text) => {
                    out.extend_from_slice(self.text.get(text.clone()).unwrap_or_default());
                }
            }
            copied = patch.at.end;
        }
        out.extend_from_slice(input.get(copied..range.end).unwrap_or_default());
    }

    /// Everything from `start` of the collected text stands in for `at`.
    fn patch(&mut self, at: Range<usize>, start: usize) {
        self.reserve_lengths();
        let text = start..self.text.len();
        self.grow(difference(text.len(), at.len()));
        self.patches.push(Patch { at, with: With::Text(text) });
        self.edits += 1;
    }

    /// What the walk is in grows; its lengths are mended on the way out.
    fn grow(&mut self, by: isize) {
        match self.open.last_mut() {
            Some(frame) => frame.growth += by,
            None => self.growth += by,
        }
    }

    /// The prefixes of the open messages lie before this edit and after the last one, outermost
    /// first: reserving them now keeps the patches in the order of the input.
    fn reserve_lengths(&mut self) {
        // Once a frame has its patch, so have all frames outside it.
        let first =
            self.open.iter().rposition(|frame| frame.patch.is_some()).map_or(0, |at| at + 1);
        for frame in self.open.iter_mut().skip(first) {
            frame.patch = Some(self.patches.len());
            self.patches.push(Patch { at: frame.prefix.clone(), with: With::Length(frame.length) });
        }
    }
}

/// Both are lengths within a request, far below the limits of `isize`.
fn difference(new: usize, old: usize) -> isize {
    new.cast_signed().wrapping_sub(old.cast_signed())
}
