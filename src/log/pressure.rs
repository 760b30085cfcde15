//! How close the log is to refusing, so that others may give way before the doors do.

use super::storage::Space;

/// How close the log is to refusing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pressure {
    /// Nothing to do.
    Low,
    /// Seven tenths of the budget are held by unread evidence, or the disk has little room left:
    /// what can wait should wait.
    Soft,
    /// The budget is all but held by unread evidence, or the disk is about to be full: the log
    /// refuses, or is about to.
    Hard,
}

impl Pressure {
    /// The name in status.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Soft => "soft",
            Self::Hard => "hard",
        }
    }
}

const HELD_SOFT: u64 = 70;
const HELD_HARD: u64 = 95;
const FREE_SOFT: u64 = 10;
const FREE_HARD: u64 = 5;

/// `held` of `bytes_max` cannot be dropped. A share of the disk alone would worry about half a
/// terabyte of a large one, so that a share of what the log may take is enough as well.
pub(super) fn judge(held: u64, bytes_max: u64, space: Option<Space>) -> Pressure {
    let is_over = |share: u64| held >= percent(bytes_max, share);
    let is_short = |share: u64| {
        space.is_some_and(|space| {
            space.free < percent(space.total, share).min(percent(bytes_max, 2 * share))
        })
    };
    if is_over(HELD_HARD) || is_short(FREE_HARD) {
        Pressure::Hard
    } else if is_over(HELD_SOFT) || is_short(FREE_SOFT) {
        Pressure::Soft
    } else {
        Pressure::Low
    }
}

fn percent(of: u64, share: u64) -> u64 {
    (of / 100).saturating_mul(share).saturating_add(of % 100 * share / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMY: Option<Space> = Some(Space { free: 1 << 40, total: 1 << 40 });

    #[test]
    fn unread_evidence_presses_from_seven_tenths_of_the_budget_on() {
        let judged = [0, 69, 70, 94, 95, 100].map(|held| judge(held, 100, ROOMY));
        let (low, soft, hard) = (Pressure::Low, Pressure::Soft, Pressure::Hard);
        assert_eq!(judged, [low, low, soft, soft, hard, hard]);
    }

    #[test]
    fn a_disk_presses_when_little_is_left_of_it_for_the_log() {
        let judged = |free| judge(0, 1_000, Some(Space { free, total: 1_000 }));
        let (low, soft, hard) = (Pressure::Low, Pressure::Soft, Pressure::Hard);
        assert_eq!([100, 99, 50, 49, 0].map(judged), [low, soft, soft, hard, hard]);
    }

    #[test]
    fn a_large_disk_presses_only_when_the_log_could_fill_it() {
        let judged = |free| judge(0, 1_000, Some(Space { free, total: 1 << 40 }));
        assert_eq!([200, 199, 99].map(judged), [Pressure::Low, Pressure::Soft, Pressure::Hard]);
    }

    #[test]
    fn a_disk_that_cannot_be_asked_does_not_press() {
        assert_eq!(judge(0, 100, None), Pressure::Low);
    }
}
