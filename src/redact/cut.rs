//! What is too long or too many is cut, and says so.

use super::judge::Judgement;
use crate::wire::{Fields, Message, Value, write_varint};

/// What one record may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Attributes of one resource, scope, span, event, link, log record, point or exemplar.
    pub attributes_max: usize,
    /// Bytes of the key of an attribute.
    pub key_bytes_max: usize,
    /// Bytes of a text, or of an opaque value.
    pub value_bytes_max: usize,
    /// The same within the body of a log record.
    pub body_bytes_max: usize,
    /// Values in one array, pairs in one list of pairs.
    pub elements_max: usize,
    /// Events of one span.
    pub events_max: usize,
    /// Links of one span.
    pub links_max: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            attributes_max: 1024,
            key_bytes_max: 512,
            value_bytes_max: 64 << 10,
            body_bytes_max: 256 << 10,
            elements_max: 4096,
            events_max: 1000,
            links_max: 1000,
        }
    }
}

/// What was cut off. Each kind is one series of the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// An attribute past the cap.
    Attribute,
    /// An attribute with too long a key.
    Key,
    /// The end of a text or an opaque value.
    Value,
    /// An element of an array, or a pair of a list.
    Element,
    /// An event past the cap.
    Event,
    /// A link past the cap.
    Link,
    /// An array or a list that is nested too deep.
    Depth,
}

impl Cut {
    /// All kinds, in the order of the enum.
    pub const ALL: [Self; 7] = [
        Self::Attribute,
        Self::Key,
        Self::Value,
        Self::Element,
        Self::Event,
        Self::Link,
        Self::Depth,
    ];

    /// The label in metrics and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Attribute => "attribute",
            Self::Key => "key",
            Self::Value => "value",
            Self::Element => "element",
            Self::Event => "event",
            Self::Link => "link",
            Self::Depth => "depth",
        }
    }
}

/// How much was cut off, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cuts([u64; Cut::ALL.len()]);

impl Cuts {
    /// Of one kind.
    #[must_use]
    pub fn of(&self, kind: Cut) -> u64 {
        self.0.get(kind as usize).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, kind: Cut) {
        if let Some(count) = self.0.get_mut(kind as usize) {
            *count += 1;
        }
    }
}

/// Ends what was cut. ASCII without a space, a sign or an `@`: it belongs to no secret and opens
/// none.
const MARK: &[u8] = b"...[cut]";

/// An `AnyValue` that holds the mark alone.
pub(super) const MARK_VALUE: &[u8] = b"\x0a\x08...[cut]";

/// The front of `text`, at most `bytes` of it, and the mark. Never ends within a character.
pub(super) fn front(text: &[u8], bytes: usize) -> Vec<u8> {
    let is_inside = |at: usize| text.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    // A character has four bytes at most; opaque bytes may look like the inside of one for ever.
    let back = (0..4).find(|back| !is_inside(bytes.saturating_sub(*back)));
    let end = bytes.saturating_sub(back.unwrap_or(0));
    [text.get(..end).unwrap_or(text), MARK].concat()
}

/// How much of `text` may stay so that it and the mark have at most `bytes_max`.
pub(super) fn room(text: &[u8], bytes_max: usize, judgement: Judgement) -> usize {
    let room = bytes_max.saturating_sub(MARK.len());
    if judgement != Judgement::Url {
        return room;
    }
    // Behind the path the mark would be taken for the value of a parameter.
    let query = text.iter().position(|byte| *byte == b'?' || *byte == b'#');
    query.map_or(room, |at| at.min(room))
}

/// How many a record has of what it may have only so many of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    pub(super) attributes: usize,
    pub(super) events: usize,
    pub(super) links: usize,
}

/// How many of them were dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    pub(super) attributes: u32,
    pub(super) events: u32,
    pub(super) links: u32,
}

impl Count {
    /// Whether there is no room for one more `message`.
    #[inline(always)]
    pub(super) fn is_full(&self, message: Message, caps: &Caps) -> Option<Cut> {
        let (count, max, cut) = match message {
            Message::KeyValue => (self.attributes, caps.attributes_max, Cut::Attribute),
            Message::Event => (self.events, caps.events_max, Cut::Event),
            Message::Link => (self.links, caps.links_max, Cut::Link),
            _ => return None,
        };
        (count >= max).then_some(cut)
    }
}

impl Dropped {
    pub(super) fn add(&mut self, cut: Cut) {
        let count = match cut {
            Cut::Event => &mut self.events,
            Cut::Link => &mut self.links,
            Cut::Attribute | Cut::Key | Cut::Value | Cut::Element | Cut::Depth => {
                &mut self.attributes
            }
        };
        *count = count.saturating_add(1);
    }

    /// The fields that say so, to put in behind the fields of `record`, whose own counts they take
    /// in: of a field that is there twice the last counts. Points and exemplars have none.
    pub(super) fn fields(self, message: Message, record: &[u8]) -> Vec<u8> {
        let attributes = match message {
            Message::Resource => 2,
            Message::Scope | Message::Event => 4,
            Message::Link => 5,
            Message::LogRecord => 7,
            Message::Span => 10,
            _ => return Vec::new(),
        };
        let mut out = Vec::new();
        for (number, dropped) in
            [(attributes, self.attributes), (12, self.events), (14, self.links)]
        {
            if dropped > 0 {
                let count = given(record, number).saturating_add(dropped);
                write_varint(&mut out, u64::from(number) << 3);
                write_varint(&mut out, u64::from(count));
            }
        }
        out
    }
}

/// The count that the sender gave. A longer number counts as its low half, as everywhere in
/// protobuf.
fn given(record: &[u8], number: u32) -> u32 {
    let last = Fields::new(record).flatten().filter(|field| field.number == number).last();
    match last.map(|field| field.value) {
        Some(Value::Varint(count)) => u32::try_from(count & u64::from(u32::MAX)).unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cut_text_is_its_longest_front_that_fits(text in "[aé€😀]{0,12}", bytes in 0..20_usize) {
            let out = String::from_utf8(front(text.as_bytes(), bytes)).unwrap();
            let kept = out.strip_suffix("...[cut]").unwrap();
            let want = (0..=bytes.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
            prop_assert_eq!(Some(kept), text.get(..want.unwrap()));
        }
    }

    #[test]
    fn the_marked_value_is_the_mark() {
        let field = Fields::new(MARK_VALUE).next().unwrap().unwrap();
        assert_eq!((field.number, field.value), (1, Value::Bytes(MARK)));
    }
}
