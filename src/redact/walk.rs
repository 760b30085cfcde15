//! One walk through a request: every string is judged, every field checked.

use std::ops::Range;

use super::edit::Editing;
use super::judge::{Judge, Judgement};
use super::policy::Policy;
use super::url::{self, Bare};
use crate::evidence::Signal;
use crate::wire::{
    ANY_VALUE_DEPTH_MAX, Field, Fields, Malformed, Message, Role, Splice, Value, read_varint, role,
    write_varint,
};

/// What was hidden in one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Values that went because of their key.
    pub by_key: u64,
    /// URLs that lost the values of their parameters.
    pub by_url: u64,
    /// Strings that lost what a detector found.
    pub by_form: u64,
    /// Attributes that the rules of `edit` added, changed or removed.
    pub edited: u64,
    /// Values that a rule of `edit` did not copy because they are too large.
    pub uncopied: u64,
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
        let hiding = !policy.enabled;
        let (judge, editing) = (Judge::new(policy), Editing::new(&policy.edits));
        Self { policy, bytes, splice, items: 0, tally, hiding, judge, editing }
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
        let edited = self.plan(message, &content)?;
        for field in self.fields(&content) {
            let field = field?;
            match role(message, field.number) {
                Role::Into(Message::KeyValue) => match edited {
                    Some(level) if self.edited(level, &field, content.start)? => {}
                    _ => self.key_value(&field, content.start, depth)?,
                },
                Role::Into(Message::AnyValue) => {
                    self.any_value(&field, content.start, Judgement::Form, depth)?;
                }
                Role::Into(inner) => {
                    self.count(inner);
                    let inside = self.enter(&field, content.start)?;
                    self.message(inner, inside, depth)?;
                    self.splice.leave();
                }
                Role::Text => self.text(&field, content.start, Judgement::Form)?,
                other => check(&field, other)?,
            }
        }
        edited.map_or(Ok(()), |level| self.append(level, message, &content))
    }

    /// The key may come after its value, or twice: a value is a secret if any key says so.
    pub(super) fn key_value(
        &mut self,
        field: &Field<'a>,
        base: usize,
        depth: usize,
    ) -> Result<(), Malformed> {
        if depth < ANY_VALUE_DEPTH_MAX && self.is_plain(field.bytes()?) {
            return Ok(());
        }
        let content = self.enter(field, base)?;
        let mut judgement = Judgement::Form;
        for inner in self.fields(&content) {
            let inner = inner?;
            if inner.number == 1 {
                judgement = judgement.max(self.judge(inner.bytes()?));
            }
        }
        for inner in self.fields(&content) {
            let inner = inner?;
            match role(Message::KeyValue, inner.number) {
                Role::Text => self.text(&inner, content.start, Judgement::Form)?,
                Role::Into(_) if judgement == Judgement::Secret => {
                    self.secret(&inner, content.start, depth)?;
                }
                Role::Into(_) => self.any_value(&inner, content.start, judgement, depth)?,
                other => check(&inner, other)?,
            }
        }
        self.splice.leave();
        Ok(())
    }

    pub(super) fn any_value(
        &mut self,
        field: &Field<'a>,
        base: usize,
        judgement: Judgement,
        depth: usize,
    ) -> Result<(), Malformed> {
        if depth >= ANY_VALUE_DEPTH_MAX {
            return Err(Malformed::Depth);
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
        for field in self.fields(content) {
            let field = field?;
            match role(list, field.number) {
                Role::Into(Message::KeyValue) => self.key_value(&field, content.start, depth)?,
                Role::Into(_) => self.any_value(&field, content.start, judgement, depth)?,
                other => check(&field, other)?,
            }
        }
        Ok(())
    }

    fn text(
        &mut self,
        field: &Field<'a>,
        base: usize,
        judgement: Judgement,
    ) -> Result<(), Malformed> {
        if judgement == Judgement::Form && self.policy.is_plain(field.bytes()?) {
            return Ok(());
        }
        field.utf8()?;
        self.replace(field, base, judgement)
    }

    /// Replaces what the key or the form gives away in a string or in opaque bytes.
    fn replace(
        &mut self,
        field: &Field<'a>,
        base: usize,
        judgement: Judgement,
    ) -> Result<(), Malformed> {
        let content = field.bytes()?;
        if self.hiding || content.is_empty() {
            return Ok(());
        }
        let bare = if judgement == Judgement::Query { Bare::Query } else { Bare::Path };
        let by_url = match judgement {
            Judgement::Url | Judgement::Query => {
                url::redacted(content, &self.policy.replacement, bare)
            }
            Judgement::Form | Judgement::Secret => None,
        };
        self.tally.by_url += u64::from(by_url.is_some());
        let by_form = self.policy.redacted(by_url.as_deref().unwrap_or(content));
        self.tally.by_form += u64::from(by_form.is_some());
        if let Some(text) = by_form.or(by_url) {
            let end = base + field.end;
            self.splice.replace(base + field.body, end - content.len()..end, &text);
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
        let hiding = std::mem::replace(&mut self.hiding, true);
        let valid = self.any_value(field, base, Judgement::Form, depth);
        self.hiding = hiding;
        valid?;
        self.hide(field, base)
    }

    /// Puts a replacement in the place of a whole `AnyValue`, whatever kind it is of.
    fn hide(&mut self, field: &Field<'a>, base: usize) -> Result<(), Malformed> {
        let content = field.bytes()?;
        if self.hiding || content.is_empty() {
            return Ok(());
        }
        let replacement = &self.policy.replacement;
        let only = Fields::new(content).next().transpose()?.filter(|it| it.end == content.len());
        let text = only.filter(|it| it.number == 1).and_then(|it| it.bytes().ok());
        let mut hidden = Vec::new();
        match text {
            Some(text) if replacement.is_replacement(text) || text.is_empty() => return Ok(()),
            Some(text) => replacement.write(text, &mut hidden),
            // Numbers and lists have too few values to be told apart safely by a digest.
            None => hidden.extend_from_slice(replacement.fixed()),
        }
        let mut value = vec![STRING_VALUE_TAG];
        write_varint(&mut value, hidden.len() as u64);
        value.extend_from_slice(&hidden);
        let end = base + field.end;
        self.splice.replace(base + field.body, end - content.len()..end, &value);
        self.tally.by_key += 1;
        Ok(())
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
            (1, Value::Bytes(text)) => self.policy.is_plain(text),
            (2 | 3, Value::Varint(_)) | (4, Value::Fixed64(_)) => true,
            _ => false,
        };
        plain && self.judge.judged(key).says_nothing()
    }

    fn judge(&mut self, key: &'a [u8]) -> Judgement {
        if self.hiding { Judgement::Form } else { self.judge.judged(key).of_value }
    }

    fn count(&mut self, message: Message) {
        let is_item = matches!(
            message,
            Message::Span
                | Message::LogRecord
                | Message::NumberPoint
                | Message::HistogramPoint
                | Message::ExponentialPoint
                | Message::SummaryPoint
        );
        self.items += u32::from(is_item);
    }

    /// Goes into a message field; answers where its content lies.
    fn enter(&mut self, field: &Field<'a>, base: usize) -> Result<Range<usize>, Malformed> {
        let end = base + field.end;
        let content = end - field.bytes()?.len()..end;
        self.splice.enter(base + field.body, content.clone());
        Ok(content)
    }

    pub(super) fn fields(&self, content: &Range<usize>) -> Fields<'a> {
        Fields::new(self.bytes.get(content.clone()).unwrap_or_default())
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

/// Field 1, length-delimited: the `string_value` of an `AnyValue`.
const STRING_VALUE_TAG: u8 = 0x0a;

/// Whether a field that holds no string has the wire type that its role asks for.
pub(super) fn check(field: &Field<'_>, role: Role) -> Result<(), Malformed> {
    let fits = match (role, field.value) {
        (Role::Unknown, _)
        | (Role::Id | Role::Blob, Value::Bytes(_))
        | (Role::Varint | Role::Varints, Value::Varint(_))
        | (Role::Fixed64 | Role::Fixed64s, Value::Fixed64(_))
        | (Role::Fixed32, Value::Fixed32(_)) => true,
        (Role::Fixed64s, Value::Bytes(packed)) => packed.len().is_multiple_of(8),
        (Role::Varints, Value::Bytes(packed)) => return packed_varints(packed),
        _ => false,
    };
    if fits { Ok(()) } else { Err(Malformed::WireType(field.number)) }
}

fn packed_varints(mut packed: &[u8]) -> Result<(), Malformed> {
    while !packed.is_empty() {
        let (_, length) = read_varint(packed)?;
        packed = packed.get(length..).unwrap_or_default();
    }
    Ok(())
}
