//! One list of attributes, as the rules see it: those that a rule names, and nothing else.

use std::ops::Range;

use super::super::judge::Judgement;
use super::keys::{KeyId, Keys};
use super::program::{Edits, Operation, Program, Source, Step};
use super::rule::{How, Test};
use super::value::Value;

/// What a rule copies has at most so many bytes, which names, ids and addresses do: a resource's one
/// large value must not become thousands, one in each span.
pub(super) const COPIED_BYTES_MAX: usize = 1024;

/// The attributes of one list that the rules name.
#[derive(Clone, Debug, Default)]
pub(super) struct List<'a> {
    /// Those of the request first, in its order.
    entries: Vec<Entry<'a>>,
    /// The entry that the walk comes to next.
    next: usize,
    /// Where the list ends, and what was added to it is put.
    pub(super) end: usize,
}

/// An attribute, and what becomes of it.
#[derive(Clone, Debug)]
pub(super) struct Entry<'a> {
    pub(super) key: KeyId,
    /// Where it begins in the request; `None` for what a rule added.
    pub(super) start: Option<usize>,
    pub(super) value: Value<'a>,
    /// What all the keys that the value has had say of it.
    pub(super) judged: Judgement,
    pub(super) fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Kept,
    /// It has another key, and may have another value.
    Renamed,
    /// It has another value, and may have another key.
    Rewritten,
    Removed,
}

/// An attribute of an outer level, kept for the rules of inner ones.
#[derive(Clone, Debug)]
pub(super) struct Kept<'a> {
    value: Value<'a>,
    judged: Judgement,
}

/// What lies round the list while the rules run.
pub(super) struct Around<'r, 'a> {
    pub(super) edits: &'a Edits,
    pub(super) request: &'a [u8],
    pub(super) slots: &'r mut Vec<Option<Kept<'a>>>,
    /// Values that were too large to be copied.
    pub(super) uncopied: &'r mut u64,
}

impl<'a> List<'a> {
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        (self.next, self.end) = (0, usize::MAX);
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Takes an attribute of the request in: its key, what its keys say, and where it lies.
    pub(super) fn push(&mut self, key: KeyId, judged: Judgement, start: usize, pair: Range<usize>) {
        let (value, fate) = (Value::Given(pair), Fate::Kept);
        self.entries.push(Entry { key, start: Some(start), value, judged, fate });
    }

    /// The entry at this place of the request, if it is the next one.
    #[inline(always)]
    pub(super) fn take(&mut self, start: usize) -> Option<Entry<'a>> {
        let entry = self.entries.get(self.next)?;
        if entry.start != Some(start) {
            return None;
        }
        self.next += 1;
        (entry.fate != Fate::Kept).then(|| entry.clone())
    }

    /// What was added, and not yet taken.
    pub(super) fn added(&mut self) -> impl Iterator<Item = &Entry<'a>> {
        let from = std::mem::replace(&mut self.next, usize::MAX);
        let rest = self.entries.get(from..).unwrap_or_default();
        rest.iter().filter(|entry| entry.start.is_none() && entry.fate != Fate::Removed)
    }

    /// Does what the rules say.
    pub(super) fn run(&mut self, program: &'a Program, around: &mut Around<'_, 'a>) {
        let keys = &program.keys;
        for Step { operation, condition } in &program.steps {
            let holds = |(source, test): &(Source, Test)| self.holds(*source, test, around);
            if !condition.as_ref().is_none_or(holds) {
                continue;
            }
            match operation {
                Operation::Write { how, key, value } => self.write(*how, *key, value, keys),
                Operation::Remove(key) => self.remove(*key),
                Operation::Rename { from, to } => self.rename(*from, *to, keys),
                Operation::Copy { from, to } => self.copy(*from, *to, keys, around),
                Operation::Pseudonymise(key) => self.pseudonymise(*key, around),
                Operation::Keep { key, slot } => {
                    let kept = self.kept(*key);
                    if let Some(place) = around.slots.get_mut(*slot) {
                        *place = kept;
                    }
                }
            }
        }
    }

    fn holds(&self, source: Source, test: &Test, around: &Around<'_, 'a>) -> bool {
        let value = match source {
            Source::Here(key) => self.first(key).map(|entry| &entry.value),
            Source::Kept(slot) => slot_of(around, slot).map(|kept| &kept.value),
        };
        match test {
            Test::Present => value.is_some(),
            Test::Missing => value.is_none(),
            Test::Equals(literal) => {
                value.is_some_and(|value| value.scalar(around.request).equals(literal))
            }
        }
    }

    fn write(&mut self, how: How, key: KeyId, value: &'a [u8], keys: &Keys) {
        let is_due = match how {
            How::Set => true,
            How::Add => self.first(key).is_none(),
            How::Change => self.first(key).is_some(),
        };
        if is_due {
            self.set(key, Value::Made(value), keys.says(key));
        }
    }

    /// The first of them takes the value and the rest goes; where there is none, one is added.
    fn set(&mut self, key: KeyId, value: Value<'a>, judged: Judgement) {
        let mut same = self.all_mut(key);
        let Some(first) = same.next() else {
            drop(same);
            let fate = Fate::Rewritten;
            self.entries.push(Entry { key, start: None, value, judged, fate });
            return;
        };
        (first.value, first.judged, first.fate) = (value, judged, Fate::Rewritten);
        same.for_each(|entry| entry.fate = Fate::Removed);
    }

    fn remove(&mut self, key: KeyId) {
        self.all_mut(key).for_each(|entry| entry.fate = Fate::Removed);
    }

    /// What had the new key makes way.
    fn rename(&mut self, from: KeyId, to: KeyId, keys: &Keys) {
        if self.first(from).is_none() {
            return;
        }
        self.remove(to);
        for entry in self.all_mut(from) {
            entry.key = to;
            entry.judged = entry.judged.max(keys.says(to));
            if entry.fate == Fate::Kept {
                entry.fate = Fate::Renamed;
            }
        }
    }

    fn copy(&mut self, from: Source, to: KeyId, keys: &Keys, around: &mut Around<'_, 'a>) {
        let kept = match from {
            Source::Here(key) => self.kept(key),
            Source::Kept(slot) => slot_of(around, slot).cloned(),
        };
        let Some(Kept { value, judged }) = kept else { return };
        if value.length(around.request) > COPIED_BYTES_MAX {
            *around.uncopied += 1;
            return;
        }
        self.set(to, value, judged.max(keys.says(to)));
    }

    fn pseudonymise(&mut self, key: KeyId, around: &Around<'_, 'a>) {
        for entry in self.all_mut(key) {
            let made = around.edits.pseudonyms.of(entry.value.scalar(around.request));
            if let Some(value) = made {
                (entry.value, entry.fate) = (value, Fate::Rewritten);
            }
        }
    }

    fn kept(&self, key: KeyId) -> Option<Kept<'a>> {
        let first = self.first(key)?;
        Some(Kept { value: first.value.clone(), judged: first.judged })
    }

    fn first(&self, key: KeyId) -> Option<&Entry<'a>> {
        self.entries.iter().find(|entry| entry.key == key && entry.fate != Fate::Removed)
    }

    fn all_mut(&mut self, key: KeyId) -> impl Iterator<Item = &mut Entry<'a>> {
        let entries = self.entries.iter_mut();
        entries.filter(move |entry| entry.key == key && entry.fate != Fate::Removed)
    }
}

fn slot_of<'r, 'a>(around: &'r Around<'_, 'a>, slot: usize) -> Option<&'r Kept<'a>> {
    around.slots.get(slot).and_then(Option::as_ref)
}
