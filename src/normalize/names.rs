//! The attributes of one evidence, by meaning.

use super::attribute::{Pair, Scalar, pair, scalar};
use super::observed::Placement;
use super::slot::{Slot, meaning};
use crate::wire::{Fields, Malformed};

/// One value per meaning. Reused from evidence to evidence: clearing resets the ranks alone.
pub(super) struct Names<'a> {
    values: [Scalar<'a>; Slot::COUNT],
    ranks: [u8; Slot::COUNT],
}

impl<'a> Names<'a> {
    pub(super) fn new() -> Self {
        Self { values: [Scalar::Bool(false); Slot::COUNT], ranks: [0; Slot::COUNT] }
    }

    pub(super) fn clear(&mut self) {
        self.ranks = [0; Slot::COUNT];
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
    #[inline]
    pub(super) fn read(&mut self, attribute: &'a [u8]) -> Result<(), Malformed> {
        let Pair { key, value } = pair(attribute)?;
        let Some((slot, rank)) = meaning(key) else { return Ok(()) };
        let Some(known) = self.ranks.get_mut(slot as usize) else { return Ok(()) };
        if *known >= rank {
            return Ok(());
        }
        if let (Some(value), Some(place)) = (scalar(value, 0)?, self.values.get_mut(slot as usize))
        {
            // `-` is what Envoy writes for "absent": it must not hide a name of lower rank.
            if !matches!(value, Scalar::Text("-" | "")) {
                *known = rank;
                *place = value;
            }
        }
        Ok(())
    }

    #[inline]
    fn get(&self, slot: Slot) -> Option<Scalar<'a>> {
        let known = self.ranks.get(slot as usize).is_some_and(|rank| *rank > 0);
        known.then(|| self.values.get(slot as usize).copied()).flatten()
    }

    pub(super) fn has(&self, slot: Slot) -> bool {
        self.ranks.get(slot as usize).is_some_and(|rank| *rank > 0)
    }

    /// The text under a meaning; empty when there is none.
    #[inline]
    pub(super) fn text(&self, slot: Slot) -> &'a str {
        match self.get(slot) {
            Some(Scalar::Text(text)) => text,
            _ => "",
        }
    }

    /// The whole number under a meaning, be it written as a number or as text.
    pub(super) fn number(&self, slot: Slot) -> Option<u64> {
        match self.get(slot)? {
            Scalar::Text(text) => text.trim().parse().ok(),
            Scalar::Int(number) => u64::try_from(number).ok(),
            Scalar::Double(number) if (0.0..1e18).contains(&number) => Some(whole(number)),
            Scalar::Double(_) | Scalar::Bool(_) => None,
        }
    }

    /// The truth under a meaning, be it written as a truth or as text.
    pub(super) fn flag(&self, slot: Slot) -> bool {
        match self.get(slot) {
            Some(Scalar::Bool(flag)) => flag,
            Some(Scalar::Text(text)) => text.eq_ignore_ascii_case("true"),
            _ => false,
        }
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
