//! Changes a request without decoding it: untouched ranges are copied, changed ones rewritten.

use std::ops::Range;

use bytes::Bytes;

use super::{Malformed, encoded_len, write_varint};

/// Collects the edits of one walk through a request, then writes the edited request.
///
/// The walk goes forward. It [enters](Splice::enter) and [leaves](Splice::leave) the messages on
/// its way, so that an edit deep down can mend the length prefixes of everything round it.
/// Lengths are written in their shortest form. Without an edit the result is the input itself.
#[derive(Debug)]
pub struct Splice {
    open: Vec<Frame>,
    patches: Vec<Patch>,
    text: Vec<u8>,
    edits: u64,
    /// By how much the whole grows.
    growth: isize,
    patches_max: usize,
    /// Whether an edit was left out. No way back makes up for it: [`Splice::finish`] refuses.
    overflowed: bool,
}

/// A patch has forty bytes, and a hostile field that needs one has two: without a bound a request
/// could take twenty times its size. A quarter million spans may have sixteen patches each.
const PATCHES_MAX: usize = 4 << 20;

/// A moment of a walk that it may come back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    open: usize,
    patches: usize,
    /// Where the last patch ends: a removal behind it may have made it longer.
    patched: usize,
    text: usize,
    edits: u64,
    /// Of the message that the walk is in.
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

impl Default for Splice {
    fn default() -> Self {
        Self {
            open: Vec::new(),
            patches: Vec::new(),
            text: Vec::new(),
            edits: 0,
            growth: 0,
            patches_max: PATCHES_MAX,
            overflowed: false,
        }
    }
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

    /// Where the walk is. It may leave nothing that is open now before it [rolls back].
    ///
    /// [rolls back]: Splice::roll_back
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark {
            open: self.open.len(),
            patches: self.patches.len(),
            patched: self.patches.last().map_or(0, |patch| patch.at.end),
            text: self.text.len(),
            edits: self.edits,
            growth: self.open.last().map_or(self.growth, |frame| frame.growth),
        }
    }

    /// Takes all edits since `mark` back, as if the walk had never gone on.
    pub fn roll_back(&mut self, mark: Mark) {
        self.open.truncate(mark.open);
        self.patches.truncate(mark.patches);
        self.text.truncate(mark.text);
        self.edits = mark.edits;
        if let Some(patch) = self.patches.last_mut() {
            patch.at.end = mark.patched;
        }
        // Lengths that were reserved for the first edit since then are free again.
        for frame in &mut self.open {
            frame.patch = frame.patch.filter(|at| *at < mark.patches);
        }
        match self.open.last_mut() {
            Some(frame) => frame.growth = mark.growth,
            None => self.growth = mark.growth,
        }
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
    ///
    /// A removal that begins where the last one ended is one with it: a request may hold millions
    /// of fields to remove.
    pub fn remove(&mut self, range: Range<usize>) {
        if let Some(Patch { at, with: With::Text(text) }) = self.patches.last_mut()
            && text.start == text.end
            && at.end == range.start
        {
            at.end = range.end;
            self.grow(difference(0, range.len()));
            self.edits += 1;
            return;
        }
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
    /// When the result would be too large for places to address, or there were too many edits.
    pub fn finish(self, input: &Bytes) -> Result<Bytes, Malformed> {
        if self.overflowed {
            return Err(Malformed::Edits);
        }
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
        if self.patches.len() >= self.patches_max {
            self.overflowed = true;
            self.text.truncate(start);
            return;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_too_many_is_never_forgotten() {
        let mut splice = Splice::new();
        splice.patches_max = 2;
        let mark = splice.mark();
        for at in [1, 3, 5] {
            splice.replace(at, at + 1..at + 2, b"new");
        }
        splice.roll_back(mark);
        assert_eq!(splice.finish(&Bytes::from_static(b"0123456789")), Err(Malformed::Edits));
    }

    /// A request may hold millions of fields to remove, and a patch has several words.
    #[test]
    fn removals_side_by_side_are_one_and_can_be_rolled_back() {
        let mut splice = Splice::new();
        splice.remove(2..4);
        let mark = splice.mark();
        for at in 4..8 {
            splice.remove(at..at + 1);
        }
        assert_eq!(splice.patches.len(), 1);

        splice.roll_back(mark);
        let out = splice.finish(&Bytes::from_static(b"0123456789")).unwrap();
        assert_eq!(out, "01456789");
    }
}
