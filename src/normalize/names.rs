//! The attributes of one evidence, by meaning.

use std::num::NonZeroU8;

use super::attribute::{Pair, Scalar, pair, plain_pair, value};
use super::observed::Placement;
use super::slot::{Meanings, Slot, meanings};
use crate::wire::{Fields, Malformed};

/// One value per meaning. Reused from evidence to evidence: clearing forgets the ranks alone.
pub(super) struct Names<'a> {
    meanings: &'static Meanings,
    /// A bit per slot that has a value: what is asked of slots without one costs nothing else.
    known: u64,
    values: [Scalar<'a>; Slot::COUNT],
    ranks: [u8; Slot::COUNT],
    tells_of_error: bool,
}

/// Whether the value of such an attribute says what went wrong, in words that one searches for.
#[inline(always)]
pub(crate) fn tells_of_error(key: &[u8]) -> bool {
    key.first() == Some(&b'e') && (key.starts_with(b"error") || key.starts_with(b"exception."))
}

impl<'a> Names<'a> {
    pub(super) fn new() -> Self {
        Self {
            meanings: meanings(),
            known: 0,
            values: [Scalar::Bool(false); Slot::COUNT],
            ranks: [0; Slot::COUNT],
            tells_of_error: false,
        }
    }

    pub(super) fn clear(&mut self) {
        self.known = 0;
        self.tells_of_error = false;
    }

    /// Reads every attribute of a message that holds them in field `number`.
    pub(super) fn read_all(&mut self, content: &'a [u8], number: u32) -> Result<(), Malformed> {
        for field in Fields::new(content) {
            let field = field?;
            if field.number == number {
                self.read(field.bytes()?)?;
            }
        }
        Ok(())
    }

    /// Reads one attribute, if its key means something that is not known better already.
    ///
    /// Inlined as far as to where most end: at a key that means nothing. A pair of the usual form
    /// meets no other on its way there, so that it stays in registers.
    #[inline(always)]
    pub(super) fn read(&mut self, attribute: &'a [u8]) -> Result<(), Malformed> {
        match plain_pair(attribute) {
            Some(pair) => self.read_pair(pair),
            None => self.read_any(attribute),
        }
    }

    #[cold]
    fn read_any(&mut self, attribute: &'a [u8]) -> Result<(), Malformed> {
        self.read_pair(pair(attribute)?)
    }

    #[inline(always)]
    fn read_pair(&mut self, pair: Pair<'a>) -> Result<(), Malformed> {
        self.tells_of_error |= tells_of_error(pair.key);
        match self.meanings.first(pair.key) {
            None => Ok(()),
            Some(first) => self.learn(pair.key, pair.value, first),
        }
    }

    #[inline(never)]
    fn learn(
        &mut self,
        key: &'a [u8],
        content: &'a [u8],
        first: NonZeroU8,
    ) -> Result<(), Malformed> {
        let Some((slot, rank)) = self.meanings.of(key, first) else { return Ok(()) };
        let places = (self.ranks.get_mut(slot as usize), self.values.get_mut(slot as usize));
        let (Some(known), Some(place)) = places else { return Ok(()) };
        if self.known & slot.bit() != 0 && *known >= rank {
            return Ok(());
        }
        // `-` is what Envoy writes for "absent": it must not hide a name of lower rank.
        match value(content)? {
            None | Some(Scalar::Text(b"-" | b"")) => {}
            Some(value) => {
                (*known, *place) = (rank, value);
                self.known |= slot.bit();
            }
        }
        Ok(())
    }

    #[inline]
    fn get(&self, slot: Slot) -> Option<Scalar<'a>> {
        self.has(slot).then(|| self.values.get(slot as usize).copied()).flatten()
    }

    #[inline]
    pub(super) fn has(&self, slot: Slot) -> bool {
        self.known & slot.bit() != 0
    }

    /// The text under a meaning; empty when there is none.
    #[inline]
    pub(super) fn text(&self, slot: Slot) -> &'a str {
        match self.get(slot) {
            // Redaction let no text pass that is not UTF-8.
            Some(Scalar::Text(text)) => std::str::from_utf8(text).unwrap_or_default(),
            _ => "",
        }
    }

    /// The whole number under a meaning, be it written as a number or as text.
    pub(super) fn number(&self, slot: Slot) -> Option<u64> {
        match self.get(slot)? {
            Scalar::Text(_) => self.text(slot).trim().parse().ok(),
            Scalar::Int(number) => u64::try_from(number).ok(),
            Scalar::Double(number) if (0.0..1e18).contains(&number) => Some(whole(number)),
            Scalar::Double(_) | Scalar::Bool(_) => None,
        }
    }

    /// The truth under a meaning, be it written as a truth or as text.
    pub(super) fn flag(&self, slot: Slot) -> bool {
        match self.get(slot) {
            Some(Scalar::Bool(flag)) => flag,
            Some(Scalar::Text(text)) => text.eq_ignore_ascii_case(b"true"),
            _ => false,
        }
    }

    /// Whether an attribute says what went wrong.
    #[inline]
    pub(super) fn tell_of_error(&self) -> bool {
        self.tells_of_error
    }

    /// Whether the attributes say anything of the placement.
    #[inline]
    pub(super) fn place(&self) -> bool {
        self.known & Slot::PLACING != 0
    }

    /// The placement, with `outer` where this evidence does not say otherwise.
    pub(super) fn placement(&self, outer: Placement<'a>) -> Placement<'a> {
        let pick = |slot, outer: &'a str| match self.text(slot) {
            "" => outer,
            own => own,
        };
        Placement {
            service: pick(Slot::Service, outer.service),
            namespace: pick(Slot::Namespace, outer.namespace),
            workload: pick(Slot::Workload, outer.workload),
            pod: pick(Slot::Pod, outer.pod),
            node: pick(Slot::Node, outer.node),
            zone: pick(Slot::Zone, outer.zone),
            cluster: pick(Slot::Cluster, outer.cluster),
            version: pick(Slot::Version, outer.version),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the caller checked the range"
)]
fn whole(number: f64) -> u64 {
    number as u64
}
