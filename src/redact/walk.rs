//! One walk through a request: every string is judged, every field checked.

use std::ops::Range;

use super::cut::{Count, Cut, Cuts, Dropped, MARK_VALUE};
use super::edit::{Editing, Level};
use super::fields::{check, holds_list};
use super::ids::{Id, Rejected, SpanIds};
use super::judge::{Judge, Judgement};
use super::policy::Policy;
use crate::evidence::Signal;
use crate::wire::{
    ANY_VALUE_DEPTH_MAX, Field, Fields, Malformed, Message, Role, Splice, Value, role,
};

/// What was hidden in one request, cut off and taken out of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Values that went because of their key.
    pub by_key: u64,
    /// URLs that lost the values of their parameters.
    pub by_url: u64,
    /// Strings that lost what a detector found.
    pub by_form: u64,
    /// What was too long or too many.
    pub cut: Cuts,
    /// Ids of the wrong length that were taken out of records that stay.
    pub mended: u64,
    /// Spans without valid ids. They are not among the items.
    pub rejected: Rejected,
    /// Attributes that the rules of `edit` added, changed or removed.
    pub edited: u64,
    /// Values that a rule of `edit` did not copy because they are too large.
    pub uncopied: u64,
}

/// Whether a pair is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Kept,
    Dropped,
}

/// A walk in progress.
pub(super) struct Walk<'a> {
    pub(super) policy: &'a Policy,
    pub(super) bytes: &'a [u8],
    pub(super) splice: Splice,
    items: u32,
    pub(super) tally: Tally,
    /// Whether the walk is inside a value that will go as a whole.
    pub(super) hiding: bool,
    /// How long a text may be where the walk is.
    pub(super) bytes_max: usize,
    /// Of the span that the walk is in.
    ids: SpanIds,
    judge: Judge<'a>,
    pub(super) editing: Editing<'a>,
}

/// What a walk came home with.
pub(super) struct Walked {
    pub(super) splice: Splice,
    pub(super) items: u32,
    pub(super) tally: Tally,
}

impl<'a> Walk<'a> {
    pub(super) fn new(policy: &'a Policy, bytes: &'a [u8]) -> Self {
        let (splice, tally) = (Splice::new(), Tally::default());
        let (hiding, bytes_max) = (!policy.enabled, policy.caps.value_bytes_max);
        let (ids, judge) = (SpanIds::default(), Judge::new(policy, bytes.len()));
        let editing = Editing::new(&policy.edits);
        Self { policy, bytes, splice, items: 0, tally, hiding, bytes_max, ids, judge, editing }
    }

    pub(super) fn request(mut self, signal: Signal) -> Result<Walked, Malformed> {
        self.message(Message::request(signal), 0..self.bytes.len(), 0)?;
        Ok(Walked { splice: self.splice, items: self.items, tally: self.tally })
    }

    fn message(
        &mut self,
        message: Message,
        content: Range<usize>,
        depth: usize,
    ) -> Result<(), Malformed> {
        let (mut count, mut dropped) = (Count::default(), Dropped::default());
        let edits = self.plan(message, &content)?;
        for field in self.fields(&content) {
            let field = field?;
            let role = role(message, field.number);
            // What nearly all fields of a record are, and nearly all of them are plain.
            if role == Role::Into(Message::KeyValue)
                && edits.is_none()
                && count.attributes < self.policy.caps.attributes_max
                && self.is_plain(field.bytes()?)
            {
                count.attributes += 1;
                continue;
            }
            if let Role::Into(inner) = role
                && let Some(cut) = count.is_full(inner, &self.policy.caps)
            {
                self.cut_out(&field, content.start, cut);
                dropped.add(cut);
                continue;
            }
            match role {
                Role::Into(Message::KeyValue) => {
                    match self.attribute(edits, &field, content.start, depth)? {
                        Fate::Kept => count.attributes += 1,
                        Fate::Dropped => dropped.add(Cut::Key),
                    }
                }
                Role::Into(Message::AnyValue) => {
                    self.within(self.policy.caps.body_bytes_max, |walk| {
                        walk.any_value(&field, content.start, Judgement::Form, depth)
                    })?;
                }
                Role::Into(Message::Span) => self.span(&field, content.start, depth)?,
                Role::Into(inner) => {
                    self.count(inner, &mut count);
                    let inside = self.enter(&field, content.start)?;
                    self.message(inner, inside, depth)?;
                    self.splice.leave();
                }
                Role::Text => self.text(&field, content.start, Judgement::Form)?,
                Role::Id => self.id(message, &field, content.start)?,
                other => check(&field, other)?,
            }
        }
        if dropped != Dropped::default() {
            let fields = dropped.fields(message, self.slice(&content));
            self.splice.insert(content.end, &fields);
        }
        edits.map_or(Ok(()), |level| self.append(level, message, &content))
    }

    fn attribute(
        &mut self,
        edits: Option<Level>,
        field: &Field<'a>,
        base: usize,
        depth: usize,
    ) -> Result<Fate, Malformed> {
        match edits {
            Some(level) if self.edited(level, field, base)? => Ok(Fate::Kept),
            _ => self.key_value(field, base, depth),
        }
    }

    /// A span without valid ids belongs nowhere, and a strict receiver would refuse the whole
    /// request for it: it is taken out, with all that was done to it.
    fn span(&mut self, field: &Field<'a>, base: usize, depth: usize) -> Result<(), Malformed> {
        let (mark, tally) = (self.splice.mark(), self.tally);
        self.ids = SpanIds::default();
        let inside = self.enter(field, base)?;
        self.message(Message::Span, inside, depth)?;
        let Some(missing) = self.ids.missing() else {
            self.splice.leave();
            self.items += 1;
            return Ok(());
        };
        self.splice.roll_back(mark);
        self.splice.remove(base + field.start..base + field.end);
        self.tally = tally;
        let before = u64::from(self.items) + tally.rejected.total();
        self.tally.rejected.add(missing, before);
        Ok(())
    }

    /// A record stays without an id that is none.
    fn id(&mut self, message: Message, field: &Field<'a>, base: usize) -> Result<(), Malformed> {
        let (kind, id) = (Id::of(message, field.number), field.bytes()?);
        if message == Message::Span && field.number <= 2 {
            self.ids.see(kind, id);
        } else if !kind.fits(id) {
            self.splice.remove(base + field.start..base + field.end);
            self.tally.mended += 1;
        }
        Ok(())
    }

    /// The key may come after its value, or twice: a value is a secret if any key says so.
    pub(super) fn key_value(
        &mut self,
        field: &Field<'a>,
        base: usize,
        depth: usize,
    ) -> Result<Fate, Malformed> {
        if self.is_plain(field.bytes()?) {
            return Ok(Fate::Kept);
        }
        let key_bytes_max = self.policy.caps.key_bytes_max;
        let content = self.enter(field, base)?;
        let mut judgement = Judgement::Form;
        for inner in self.fields(&content) {
            let inner = inner?;
            if inner.number == 1 {
                let key = inner.bytes()?;
                if key.len() > key_bytes_max {
                    self.splice.leave();
                    self.cut_out(field, base, Cut::Key);
                    return Ok(Fate::Dropped);
                }
                judgement = judgement.max(self.judge(key));
            }
        }
        for inner in self.fields(&content) {
            let inner = inner?;
            match role(Message::KeyValue, inner.number) {
                Role::Text => self.within(key_bytes_max, |walk| {
                    walk.text(&inner, content.start, Judgement::Form)
                })?,
                Role::Into(_) if judgement == Judgement::Secret => {
                    self.secret(&inner, content.start, depth)?;
                }
                Role::Into(_) => self.any_value(&inner, content.start, judgement, depth)?,
                other => check(&inner, other)?,
            }
        }
        self.splice.leave();
        Ok(Fate::Kept)
    }

    pub(super) fn any_value(
        &mut self,
        field: &Field<'a>,
        base: usize,
        judgement: Judgement,
        depth: usize,
    ) -> Result<(), Malformed> {
        if depth >= ANY_VALUE_DEPTH_MAX && holds_list(field.bytes()?)? {
            self.put(field, base, MARK_VALUE)?;
            self.tally.cut.add(Cut::Depth);
            return Ok(());
        }
        let content = self.enter(field, base)?;
        for inner in self.fields(&content) {
            let inner = inner?;
            match role(Message::AnyValue, inner.number) {
                Role::Text => self.text(&inner, content.start, judgement)?,
                Role::Blob => self.replace(&inner, content.start, judgement)?,
                Role::Into(list) => {
                    let inside = self.enter(&inner, content.start)?;
                    self.list(list, &inside, judgement, depth + 1)?;
                    self.splice.leave();
                }
                other => check(&inner, other)?,
            }
        }
        self.splice.leave();
        Ok(())
    }

    /// An array keeps what the key said of it; a list of pairs has keys of its own.
    fn list(
        &mut self,
        list: Message,
        content: &Range<usize>,
        judgement: Judgement,
        depth: usize,
    ) -> Result<(), Malformed> {
        let mut room = self.policy.caps.elements_max;
        for field in self.fields(content) {
            let field = field?;
            match role(list, field.number) {
                Role::Into(_) if room == 0 => self.cut_out(&field, content.start, Cut::Element),
                Role::Into(Message::KeyValue) => {
                    let fate = self.key_value(&field, content.start, depth)?;
                    room -= usize::from(fate == Fate::Kept);
                }
                Role::Into(_) => {
                    self.any_value(&field, content.start, judgement, depth)?;
                    room -= 1;
                }
                other => check(&field, other)?,
            }
        }
        Ok(())
    }

    /// A value that goes as a whole must still be a value: later stages rely on what is passed on.
    pub(super) fn secret(
        &mut self,
        field: &Field<'a>,
        base: usize,
        depth: usize,
    ) -> Result<(), Malformed> {
        let (mark, tally) = (self.splice.mark(), self.tally);
        let hiding = std::mem::replace(&mut self.hiding, true);
        let valid = self.any_value(field, base, Judgement::Form, depth);
        self.hiding = hiding;
        valid?;
        // What was cut off inside goes with the rest.
        self.splice.roll_back(mark);
        self.tally = tally;
        self.hide(field, base)
    }

    /// Takes out a field that is too much.
    #[cold]
    fn cut_out(&mut self, field: &Field<'a>, base: usize, cut: Cut) {
        self.splice.remove(base + field.start..base + field.end);
        self.tally.cut.add(cut);
    }

    /// Goes on where texts may have `bytes_max`.
    fn within(
        &mut self,
        bytes_max: usize,
        go_on: impl FnOnce(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let outside = std::mem::replace(&mut self.bytes_max, bytes_max);
        let valid = go_on(self);
        self.bytes_max = outside;
        valid
    }

    /// Whether an attribute is what nearly all are: one key that says nothing of its value, then
    /// one value that is a number or plain text. Everything else takes the long way.
    #[inline]
    pub(super) fn is_plain(&mut self, attribute: &'a [u8]) -> bool {
        let mut fields = Fields::new(attribute);
        let Some(key) = next_bytes(&mut fields, 1) else { return false };
        let Some(value) = next_bytes(&mut fields, 2) else { return false };
        let mut inner = Fields::new(value);
        let Some(Ok(only)) = inner.next() else { return false };
        if !fields.is_done() || !inner.is_done() {
            return false;
        }
        let plain = match (only.number, only.value) {
            (1, Value::Bytes(text)) => text.len() <= self.bytes_max && self.is_harmless(text),
            (2 | 3, Value::Varint(_)) | (4, Value::Fixed64(_)) => true,
            _ => false,
        };
        plain && self.says_nothing(key)
    }

    /// Whether one look is enough to say that a text is UTF-8 and hides nothing that matters here.
    #[inline(always)]
    pub(super) fn is_harmless(&self, text: &[u8]) -> bool {
        if self.hiding { text.is_ascii() } else { self.policy.is_plain(text) }
    }

    #[inline(always)]
    fn says_nothing(&mut self, key: &'a [u8]) -> bool {
        if self.hiding {
            return key.len() <= self.policy.caps.key_bytes_max && key.is_ascii();
        }
        self.judge.judged(key).says_nothing()
    }

    fn judge(&mut self, key: &'a [u8]) -> Judgement {
        if self.hiding { Judgement::Form } else { self.judge.judged(key).of_value }
    }

    fn count(&mut self, message: Message, count: &mut Count) {
        match message {
            Message::LogRecord
            | Message::NumberPoint
            | Message::HistogramPoint
            | Message::ExponentialPoint
            | Message::SummaryPoint => self.items += 1,
            Message::Event => count.events += 1,
            Message::Link => count.links += 1,
            _ => {}
        }
    }

    /// Goes into a message field; answers where its content lies.
    fn enter(&mut self, field: &Field<'a>, base: usize) -> Result<Range<usize>, Malformed> {
        let end = base + field.end;
        let content = end - field.bytes()?.len()..end;
        self.splice.enter(base + field.body, content.clone());
        Ok(content)
    }

    pub(super) fn fields(&self, content: &Range<usize>) -> Fields<'a> {
        Fields::new(self.slice(content))
    }

    fn slice(&self, content: &Range<usize>) -> &'a [u8] {
        self.bytes.get(content.clone()).unwrap_or_default()
    }
}

/// The bytes of the next field, if it is the one with this number.
#[inline(always)]
fn next_bytes<'a>(fields: &mut Fields<'a>, number: u32) -> Option<&'a [u8]> {
    match fields.next()?.ok()? {
        Field { number: it, value: Value::Bytes(bytes), .. } if it == number => Some(bytes),
        _ => None,
    }
}
