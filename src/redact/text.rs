//! What the walk does with one string: secrets go, then what is too long.

use super::cut::{Cut, front, room};
use super::judge::Judgement;
use super::url::{self, Bare};
use super::walk::Walk;
use crate::wire::{Field, Fields, Malformed, write_varint};

/// A text without what it gave away; nothing when that was nothing.
#[derive(Debug, Default, PartialEq, Eq)]
struct Redacted {
    by_url: Option<Vec<u8>>,
    /// After `by_url`.
    by_form: Option<Vec<u8>>,
}

impl<'a> Walk<'a> {
    pub(super) fn text(
        &mut self,
        field: &Field<'a>,
        base: usize,
        judgement: Judgement,
    ) -> Result<(), Malformed> {
        let text = field.bytes()?;
        let may_pass = judgement == Judgement::Form && text.len() <= self.bytes_max;
        if may_pass && self.is_harmless(text) {
            return Ok(());
        }
        field.utf8()?;
        self.replace(field, base, judgement)
    }

    /// Replaces what the key or the form gives away in a string or in opaque bytes, all of which
    /// is judged before any of it is cut off.
    pub(super) fn replace(
        &mut self,
        field: &Field<'a>,
        base: usize,
        judgement: Judgement,
    ) -> Result<(), Malformed> {
        let content = field.bytes()?;
        if content.is_empty() {
            return Ok(());
        }
        let Redacted { by_url, by_form } = self.redacted(content, judgement);
        self.tally.by_url += u64::from(by_url.is_some());
        self.tally.by_form += u64::from(by_form.is_some());
        let mut text = by_form.or(by_url);
        let whole = text.as_deref().unwrap_or(content);
        if whole.len() > self.bytes_max {
            text = Some(self.shortened(whole, judgement));
            self.tally.cut.add(Cut::Value);
        }
        match text {
            Some(text) => self.put(field, base, &text),
            None => Ok(()),
        }
    }

    /// The text without its secrets, as a URL and by its form.
    fn redacted(&self, text: &[u8], judgement: Judgement) -> Redacted {
        if self.hiding {
            return Redacted::default();
        }
        let bare = if judgement == Judgement::Query { Bare::Query } else { Bare::Path };
        let by_url = match judgement {
            Judgement::Url | Judgement::Query => {
                url::redacted(text, &self.policy.replacement, bare)
            }
            Judgement::Form | Judgement::Secret => None,
        };
        let by_form = self.policy.redacted(by_url.as_deref().unwrap_or(text));
        Redacted { by_url, by_form }
    }

    /// A redacted text that is too long, cut. What stands before the cut may look like a secret
    /// now that its end is gone: then more goes, and at last all of it.
    fn shortened(&self, text: &[u8], judgement: Judgement) -> Vec<u8> {
        let room = room(text, self.bytes_max, judgement);
        let fronts = CUT_BACK_BYTES.into_iter().map(|back| front(text, room.saturating_sub(back)));
        let mut settled = fronts.filter(|out| self.redacted(out, judgement) == Redacted::default());
        settled.next().unwrap_or_else(|| self.policy.replacement.fixed().to_vec())
    }

    /// Puts a replacement in the place of a whole `AnyValue`, whatever kind it is of.
    pub(super) fn hide(&mut self, field: &Field<'a>, base: usize) -> Result<(), Malformed> {
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
        self.tally.by_key += 1;
        self.put(field, base, &value)
    }

    /// Puts other content in the place of a field's.
    pub(super) fn put(
        &mut self,
        field: &Field<'a>,
        base: usize,
        content: &[u8],
    ) -> Result<(), Malformed> {
        let end = base + field.end;
        self.splice.replace(base + field.body, end - field.bytes()?.len()..end, content);
        Ok(())
    }
}

/// How much more of a text goes each time that its end looks like a secret. The last is longer than
/// what a detector looks back for.
const CUT_BACK_BYTES: [usize; 4] = [0, 64, 256, 1024];

/// Field 1, length-delimited: the `string_value` of an `AnyValue`.
const STRING_VALUE_TAG: u8 = 0x0a;
