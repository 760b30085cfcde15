//! What the rules make of a list, put in its place while the walk goes by.

use std::ops::Range;

use super::super::fields::check;
use super::super::judge::{Judgement, says};
use super::super::policy::Policy;
use super::super::walk::Walk;
use super::keys::{KeyId, Keys};
use super::list::{Around, Entry, Fate, Kept, List};
use super::program::Edits;
use super::rule::{Level, PerLevel};
use super::value::Value;
use crate::wire::{Field, Fields, Malformed, Message, Role, role, write_varint};

/// Attributes of one list that rules may name. Keys are unique, so that only a list that repeats
/// them has more, and it is refused.
const NAMED_MAX: usize = 1024;

/// What edits may write: so many times the bytes of the request, and a mebibyte. Rules add a few
/// short attributes to records that are longer than all of them. Beyond it the request is refused,
/// before it takes more memory than the settings count with.
const GROWTH_MAX: usize = 8;
const WRITTEN_BYTES_MIN: usize = 1 << 20;

/// The edits of one walk.
pub(in super::super) struct Editing<'a> {
    edits: &'a Edits,
    /// Of the messages that the walk is in.
    lists: PerLevel<List<'a>>,
    slots: Vec<Option<Kept<'a>>>,
    /// One attribute while it is written.
    scratch: Vec<u8>,
    /// All that was added to a list.
    added: Vec<u8>,
    written: usize,
}

impl<'a> Editing<'a> {
    pub(in super::super) fn new(edits: &'a Edits) -> Self {
        let (lists, slots) = (PerLevel::default(), vec![None; edits.slots]);
        Self { edits, lists, slots, scratch: Vec::new(), added: Vec::new(), written: 0 }
    }

    fn write(&mut self, bytes: usize, request: usize) -> Result<(), Malformed> {
        self.written += bytes;
        let most = request.saturating_mul(GROWTH_MAX).saturating_add(WRITTEN_BYTES_MIN);
        if self.written > most { Err(Malformed::Overgrown) } else { Ok(()) }
    }
}

impl<'a> Walk<'a> {
    /// Runs the rules before the walk goes into a message; answers whose attributes it holds, if a
    /// rule concerns them.
    #[inline(always)]
    pub(in super::super) fn plan(
        &mut self,
        message: Message,
        content: &Range<usize>,
    ) -> Result<Option<Level>, Malformed> {
        if self.editing.edits.is_empty() { Ok(None) } else { self.plan_for(message, content) }
    }

    fn plan_for(
        &mut self,
        message: Message,
        content: &Range<usize>,
    ) -> Result<Option<Level>, Malformed> {
        let outer = match message {
            Message::ResourceSpans | Message::ResourceLogs | Message::ResourceMetrics => {
                Some((Level::Resource, Message::Resource))
            }
            Message::ScopeSpans | Message::ScopeLogs | Message::ScopeMetrics => {
                Some((Level::Scope, Message::Scope))
            }
            _ => None,
        };
        if let Some((level, inner)) = outer {
            if self.editing.edits.touches(level) {
                self.plan_within(level, inner, content)?;
            }
            return Ok(None);
        }
        let Some(level) = Level::of(message).filter(|level| self.editing.edits.touches(*level))
        else {
            return Ok(None);
        };
        // Those of a resource and a scope were planned before the walk went into what holds them.
        if !matches!(level, Level::Resource | Level::Scope) {
            let mut list = std::mem::take(self.editing.lists.of_mut(level));
            list.clear();
            self.gather(level, message, content, &mut list)?;
            self.run(level, list);
        }
        Ok(Some(level))
    }

    /// Plans for the resource or the scope of what lies beside it, which may come first in the
    /// bytes. In parts it is one, and where it is missing it is made for what is added to it.
    fn plan_within(
        &mut self,
        level: Level,
        inner: Message,
        content: &Range<usize>,
    ) -> Result<(), Malformed> {
        let mut list = std::mem::take(self.editing.lists.of_mut(level));
        list.clear();
        for field in self.fields(content) {
            let field = field?;
            if field.number == INNER {
                let end = content.start + field.end;
                let part = end - field.bytes()?.len()..end;
                self.gather(level, inner, &part, &mut list)?;
            }
        }
        let is_missing = list.end == usize::MAX;
        self.run(level, list);
        if is_missing {
            let attributes = self.added(level, inner)?;
            if !attributes.is_empty() {
                let mut field = vec![INNER_TAG];
                write_varint(&mut field, attributes.len() as u64);
                field.extend_from_slice(&attributes);
                self.splice.insert(content.start, &field);
            }
            self.editing.added = attributes;
        }
        Ok(())
    }

    /// Collects the attributes that a rule names.
    fn gather(
        &self,
        level: Level,
        message: Message,
        content: &Range<usize>,
        list: &mut List<'a>,
    ) -> Result<(), Malformed> {
        let keys = &self.editing.edits.program(level).keys;
        let number = u32::from(attributes_tag(message) >> 3);
        for field in self.fields(content) {
            let field = field?;
            if field.number != number {
                continue;
            }
            let pair = field.bytes()?;
            let Some((key, judged)) = named(keys, self.policy, pair) else { continue };
            if list.len() >= NAMED_MAX {
                return Err(Malformed::Overgrown);
            }
            let end = content.start + field.end;
            list.push(key, judged, content.start + field.start, end - pair.len()..end);
        }
        list.end = content.end;
        Ok(())
    }

    fn run(&mut self, level: Level, mut list: List<'a>) {
        let edits = self.editing.edits;
        let mut around = Around {
            edits,
            request: self.bytes,
            slots: &mut self.editing.slots,
            uncopied: &mut self.tally.uncopied,
        };
        list.run(edits.program(level), &mut around);
        *self.editing.lists.of_mut(level) = list;
    }

    /// Puts what the rules made of an attribute in its place; answers whether they changed it.
    #[inline]
    pub(in super::super) fn edited(
        &mut self,
        level: Level,
        field: &Field<'a>,
        base: usize,
    ) -> Result<bool, Malformed> {
        match self.editing.lists.of_mut(level).take(base + field.start) {
            None => Ok(false),
            Some(entry) => self.edit(level, field, base, &entry).map(|()| true),
        }
    }

    fn edit(
        &mut self,
        level: Level,
        field: &Field<'a>,
        base: usize,
        entry: &Entry<'a>,
    ) -> Result<(), Malformed> {
        self.tally.edited += 1;
        if entry.fate != Fate::Renamed {
            self.pass_over(field, base)?;
        }
        if entry.fate == Fate::Removed {
            self.splice.remove(base + field.start..base + field.end);
            return Ok(());
        }
        let pair = self.pair(level, entry)?;
        let end = base + field.end;
        self.splice.replace(base + field.body, end - field.bytes()?.len()..end, &pair);
        self.editing.scratch = pair;
        Ok(())
    }

    /// Puts what was added to a list at its end.
    pub(in super::super) fn append(
        &mut self,
        level: Level,
        message: Message,
        content: &Range<usize>,
    ) -> Result<(), Malformed> {
        if self.editing.lists.of(level).end != content.end {
            return Ok(());
        }
        let attributes = self.added(level, message)?;
        if !attributes.is_empty() {
            self.splice.insert(content.end, &attributes);
        }
        self.editing.added = attributes;
        Ok(())
    }

    /// What was added to a list, as fields of the message.
    fn added(&mut self, level: Level, message: Message) -> Result<Vec<u8>, Malformed> {
        let mut attributes = std::mem::take(&mut self.editing.added);
        attributes.clear();
        let mut list = std::mem::take(self.editing.lists.of_mut(level));
        for entry in list.added() {
            let pair = self.pair(level, entry)?;
            attributes.push(attributes_tag(message));
            write_varint(&mut attributes, pair.len() as u64);
            attributes.extend_from_slice(&pair);
            self.editing.scratch = pair;
            self.tally.edited += 1;
        }
        *self.editing.lists.of_mut(level) = list;
        Ok(attributes)
    }

    /// The content of an attribute: its key, and its value without secrets.
    fn pair(&mut self, level: Level, entry: &Entry<'a>) -> Result<Vec<u8>, Malformed> {
        let mut out = std::mem::take(&mut self.editing.scratch);
        out.clear();
        out.extend_from_slice(self.editing.edits.program(level).keys.field(entry.key));
        match &entry.value {
            Value::Given(range) => {
                let whole = entry.fate == Fate::Renamed;
                self.given(range, entry.judged, whole, &mut out)?;
            }
            Value::Made(value) => value_field(value, &mut out),
            Value::Token(value) => value_field(value, &mut out),
        }
        self.editing.write(out.len(), self.bytes.len())?;
        Ok(out)
    }

    /// Appends what is left of an attribute of the request, without its key. What was renamed keeps
    /// fields that this version does not know; of what is copied only the value goes along.
    fn given(
        &mut self,
        range: &Range<usize>,
        judged: Judgement,
        whole: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let pair = self.bytes.get(range.clone()).unwrap_or_default();
        if judged == Judgement::Form
            && let Some(Simple { value, .. }) = simple(pair)
            && self.is_plain(pair)
        {
            out.extend_from_slice(value);
            return Ok(());
        }
        let outside = std::mem::take(&mut self.splice);
        let cleaned = self.cleaned(range, judged, whole);
        let splice = std::mem::replace(&mut self.splice, outside);
        cleaned?;
        splice.write(self.bytes, range.clone(), out);
        Ok(())
    }

    fn cleaned(
        &mut self,
        range: &Range<usize>,
        judged: Judgement,
        whole: bool,
    ) -> Result<(), Malformed> {
        for inner in self.fields(range) {
            let inner = inner?;
            let field = range.start + inner.start..range.start + inner.end;
            match role(Message::KeyValue, inner.number) {
                Role::Text => {
                    inner.utf8()?;
                    self.splice.remove(field);
                }
                Role::Into(_) if judged == Judgement::Secret => {
                    self.secret(&inner, range.start, 0)?;
                }
                Role::Into(_) => self.any_value(&inner, range.start, judged, 0)?,
                other => {
                    check(&inner, other)?;
                    if !whole {
                        self.splice.remove(field);
                    }
                }
            }
        }
        Ok(())
    }

    /// What goes must still be OTLP: a request is taken or refused whatever the rules are.
    fn pass_over(&mut self, field: &Field<'a>, base: usize) -> Result<(), Malformed> {
        if self.is_plain(field.bytes()?) {
            return Ok(());
        }
        let outside = std::mem::take(&mut self.splice);
        let hiding = std::mem::replace(&mut self.hiding, true);
        let passed = self.key_value(field, base, 0);
        (self.splice, self.hiding) = (outside, hiding);
        passed.map(drop)
    }
}

/// The field that holds the resource of `ResourceSpans` and the scope of `ScopeSpans`, and of their
/// likes of logs and metrics.
const INNER: u32 = 1;
const INNER_TAG: u8 = 0x0a;

/// The tag of the field that holds the attributes.
fn attributes_tag(message: Message) -> u8 {
    let number = match message {
        Message::Scope | Message::Event => 3,
        Message::Link => 4,
        Message::LogRecord => 6,
        Message::NumberPoint | Message::SummaryPoint => 7,
        Message::Span | Message::HistogramPoint => 9,
        // A resource, and a point of an exponential histogram.
        _ => 1,
    };
    number << 3 | 2
}

/// The key of an attribute, if a rule names it, and what all its keys say: the last one counts, but
/// a value is a secret if any says so.
#[inline(always)]
fn named(keys: &Keys, policy: &Policy, pair: &[u8]) -> Option<(KeyId, Judgement)> {
    match simple(pair) {
        Some(Simple { key, .. }) => keys.find(key).map(|id| (id, keys.says(id))),
        None => named_in_odd(keys, policy, pair),
    }
}

#[inline(never)]
fn named_in_odd(keys: &Keys, policy: &Policy, pair: &[u8]) -> Option<(KeyId, Judgement)> {
    let all = || {
        let fields = Fields::new(pair).map_while(Result::ok).filter(|field| field.number == 1);
        fields.filter_map(|field| field.bytes().ok())
    };
    let id = keys.find(all().last().unwrap_or_default())?;
    let says = |key| keys.find(key).map_or_else(|| says(policy, key), |id| keys.says(id));
    Some((id, all().map(says).max().unwrap_or(Judgement::Secret)))
}

/// An attribute of the form that nearly all have.
struct Simple<'a> {
    key: &'a [u8],
    /// The field of the value, with its tag.
    value: &'a [u8],
}

#[inline(always)]
fn simple(pair: &[u8]) -> Option<Simple<'_>> {
    let [0x0a, length, rest @ ..] = pair else { return None };
    let (key, value) = rest.split_at_checked(usize::from(*length))?;
    let is_whole = match value {
        [0x12, length, rest @ ..] if *length < 0x80 => rest.len() == usize::from(*length),
        [0x12, low, high, rest @ ..] if *high < 0x80 => {
            rest.len() == usize::from(low & 0x7f) | usize::from(*high) << 7
        }
        _ => false,
    };
    (is_whole && *length < 0x80).then_some(Simple { key, value })
}

fn value_field(value: &[u8], out: &mut Vec<u8>) {
    out.push(VALUE_TAG);
    write_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Field 2, length-delimited: the `value` of a `KeyValue`.
const VALUE_TAG: u8 = 0x12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_where_otlp_has_them() {
        for message in [
            Message::Resource,
            Message::Scope,
            Message::Span,
            Message::Event,
            Message::Link,
            Message::LogRecord,
            Message::NumberPoint,
            Message::HistogramPoint,
            Message::ExponentialPoint,
            Message::SummaryPoint,
        ] {
            let number = u32::from(attributes_tag(message) >> 3);
            assert_eq!(role(message, number), Role::Into(Message::KeyValue), "{message:?}");
        }
    }
}
