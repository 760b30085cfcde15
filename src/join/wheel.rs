//! A hashed timing wheel: what to look at when.

use crate::evidence::Nanos;

/// Addresses by the tick at which they are to be looked at.
///
/// It never forgets or moves an address: whoever armed it remembers the tick and ignores the
/// address when it comes up at any other.
#[derive(Debug)]
pub(super) struct Wheel {
    slots: Vec<Vec<u32>>,
    /// The first tick that has not been turned past.
    next: u64,
}

/// About 65 ms: well below every window, and a shift instead of a division.
const TICK_BITS: u32 = 26;
/// Just over a minute; what is due later comes up early and is armed again.
const SLOTS: u64 = 1024;

impl Wheel {
    pub(super) fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| Vec::new()).collect(), next: 0 }
    }

    /// The tick at which something that is due then would come up: never before it is due, except
    /// past the horizon.
    pub(super) fn tick(&self, due: Nanos) -> u64 {
        ((due.0 >> TICK_BITS) + 1).clamp(self.next, self.next + SLOTS - 1)
    }

    pub(super) fn arm(&mut self, address: u32, tick: u64) {
        if let Some(slot) = self.slots.get_mut(slot_of(tick)) {
            slot.push(address);
        }
    }

    /// Moves what came up until `now` into `up`, each with its tick.
    pub(super) fn turn(&mut self, now: Nanos, up: &mut Vec<(u32, u64)>) {
        let end = (now.0 >> TICK_BITS) + 1;
        // After one full turn every slot is empty, however far the clock jumped.
        for tick in self.next..end.min(self.next + SLOTS) {
            if let Some(slot) = self.slots.get_mut(slot_of(tick)) {
                up.extend(slot.drain(..).map(|address| (address, tick)));
                // A burst must not hold its memory for ever.
                slot.shrink_to(64);
            }
        }
        self.next = self.next.max(end);
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let items: usize = self.slots.iter().map(Vec::capacity).sum();
        items * size_of::<u32>() + self.slots.capacity() * size_of::<Vec<u32>>()
    }
}

fn slot_of(tick: u64) -> usize {
    usize::try_from(tick % SLOTS).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn turn(wheel: &mut Wheel, now: u64) -> Vec<u32> {
        let mut up = Vec::new();
        wheel.turn(Nanos(now), &mut up);
        up.into_iter().map(|(address, _)| address).collect()
    }

    #[test]
    fn a_leap_of_the_clock_brings_up_everything_once() {
        let mut wheel = Wheel::new();
        for address in 0..100 {
            let tick = wheel.tick(Nanos(u64::from(address) * 1_000_000_000));
            wheel.arm(address, tick);
        }

        assert_eq!(turn(&mut wheel, u64::MAX).len(), 100);
        assert!(turn(&mut wheel, u64::MAX).is_empty());
    }

    proptest! {
        #[test]
        fn nothing_within_the_horizon_comes_up_early_or_more_than_a_tick_late(
            due in 0_u64..60_000_000_000,
            steps in prop::collection::vec(1_u64..3_000_000_000, 1..80),
        ) {
            let mut wheel = Wheel::new();
            let tick = wheel.tick(Nanos(due));
            wheel.arm(7, tick);
            let mut now = 0;
            for step in steps {
                now += step;
                let is_up = !turn(&mut wheel, now).is_empty();
                if is_up {
                    prop_assert!(now >= due);
                    return Ok(());
                }
                prop_assert!(now < due + (1 << TICK_BITS));
            }
        }
    }
}
