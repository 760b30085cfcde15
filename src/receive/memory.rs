//! What the process really holds, against what it may.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The doors refuse from this part of the bound on, and take again below the other: they would
/// open and close with every request otherwise.
const REFUSE_PERCENT: u64 = 95;
const TAKE_PERCENT: u64 = 90;

/// Whether the doors take anything. The bounds of all stages are added up at the start; this is
/// for what nobody added up.
#[derive(Debug, Default)]
pub struct Memory {
    resident_bytes: AtomicU64,
    max_bytes: AtomicU64,
    refuses: AtomicBool,
}

impl Memory {
    /// The process holds `resident_bytes` of the `max_bytes` that it may hold. Answers whether
    /// this changes what the doors do.
    pub fn measured(&self, resident_bytes: u64, max_bytes: u64) -> bool {
        self.resident_bytes.store(resident_bytes, Ordering::Relaxed);
        self.max_bytes.store(max_bytes, Ordering::Relaxed);
        let refused = self.refuses();
        let refuses = refuses(refused, resident_bytes, max_bytes);
        self.refuses.store(refuses, Ordering::Relaxed);
        refuses != refused
    }

    /// Whether the doors send everything back.
    #[must_use]
    pub fn refuses(&self) -> bool {
        self.refuses.load(Ordering::Relaxed)
    }

    /// What the process held when it was measured last; 0 where that cannot be measured.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.resident_bytes.load(Ordering::Relaxed)
    }

    /// What it may hold.
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes.load(Ordering::Relaxed)
    }
}

fn refuses(refused: bool, resident_bytes: u64, max_bytes: u64) -> bool {
    let percent = if refused { TAKE_PERCENT } else { REFUSE_PERCENT };
    resident_bytes > max_bytes / 100 * percent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_doors_refuse_above_95_percent_until_below_90() {
        let memory = Memory::default();
        let steps = [(950, false), (951, true), (901, true), (900, false), (950, false)];
        for (resident, refuses) in steps {
            let before = memory.refuses();
            assert_eq!(memory.measured(resident, 1000), before != refuses, "{resident}");
            assert_eq!(memory.refuses(), refuses, "{resident}");
        }
        assert_eq!((memory.resident_bytes(), memory.max_bytes()), (950, 1000));
    }
}
