//! The keys that the rules of one level name.

use super::super::judge::Judgement;
use crate::wire::{digest, same, write_varint};

/// A key's place among the keys of its level.
pub(super) type KeyId = usize;

/// Found by length first, then by a digest: most keys of a request end at the length.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    keys: Vec<Key>,
    /// Bit n is set when a key has n bytes, n taken modulo 64.
    lengths: u64,
    /// The first key of each digest.
    heads: Vec<Option<KeyId>>,
}

#[derive(Clone, Debug)]
struct Key {
    text: Vec<u8>,
    /// The key as the field of a `KeyValue`.
    field: Vec<u8>,
    says: Judgement,
    /// The next key of the same digest.
    next: Option<KeyId>,
}

const HEADS: usize = 256;

impl Default for Keys {
    fn default() -> Self {
        Self { keys: Vec::new(), lengths: 0, heads: vec![None; HEADS] }
    }
}

impl Keys {
    /// The key's place; it is made when the key is new. `says` is what the key says of its value.
    pub(super) fn intern(&mut self, text: &str, says: Judgement) -> KeyId {
        let text = text.as_bytes();
        if let Some(known) = self.find(text) {
            return known;
        }
        let mut field = vec![KEY_TAG];
        write_varint(&mut field, text.len() as u64);
        field.extend_from_slice(text);
        let id = self.keys.len();
        let head = self.heads.get_mut(head(text));
        let next = head.and_then(|head| head.replace(id));
        self.lengths |= length(text);
        self.keys.push(Key { text: text.to_vec(), field, says, next });
        id
    }

    #[inline]
    pub(super) fn find(&self, text: &[u8]) -> Option<KeyId> {
        if self.lengths & length(text) == 0 {
            return None;
        }
        let mut at = self.heads.get(head(text)).copied().flatten();
        while let Some(id) = at {
            let key = self.keys.get(id)?;
            if same(&key.text, text) {
                return Some(id);
            }
            at = key.next;
        }
        None
    }

    /// The key as the field of a `KeyValue`.
    pub(super) fn field(&self, id: KeyId) -> &[u8] {
        self.keys.get(id).map(|key| key.field.as_slice()).unwrap_or_default()
    }

    /// What the key says of its value.
    pub(super) fn says(&self, id: KeyId) -> Judgement {
        self.keys.get(id).map_or(Judgement::Secret, |key| key.says)
    }
}

/// Field 1, length-delimited: the `key` of a `KeyValue`.
const KEY_TAG: u8 = 0x0a;

#[inline(always)]
fn length(text: &[u8]) -> u64 {
    1 << (text.len() % 64)
}

#[inline(always)]
fn head(text: &[u8]) -> usize {
    usize::from(digest(text)) % HEADS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_many_keys_is_found_and_no_other() {
        let mut keys = Keys::default();
        let ids: Vec<_> =
            (0..1000).map(|at| keys.intern(&format!("key.{at}"), Judgement::Form)).collect();
        assert_eq!(keys.intern("key.7", Judgement::Form), ids[7]);
        for (at, id) in ids.iter().enumerate() {
            assert_eq!(keys.find(format!("key.{at}").as_bytes()), Some(*id));
            assert_eq!(keys.find(format!("kex.{at}").as_bytes()), None);
        }
    }
}
