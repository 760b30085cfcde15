//! When the index is so far behind that the doors would soon have to refuse, it is the index that
//! gives way first: journeys that worked are joined and measured, and not indexed.

/// Of the log's bytes, those that the index has not finished: from here on it gives way,
const BEGIN: f64 = 0.50;
/// and until here.
const END: f64 = 0.375;

/// Whether journeys are kept out of the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shed {
    /// None is.
    #[default]
    No,
    /// Those that worked are.
    Successful,
}

impl Shed {
    /// Looks again: the index has not finished `behind_bytes` of a log of at most `log_bytes_max`.
    pub(crate) fn look(self, behind_bytes: u64, log_bytes_max: u64) -> Self {
        let behind = fraction(behind_bytes, log_bytes_max);
        let from = if self == Self::No { BEGIN } else { END };
        if behind >= from { Self::Successful } else { Self::No }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a fraction needs few digits")]
fn fraction(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(shed: Shed, behind: u64) -> Shed {
        shed.look(behind, 100)
    }

    #[test]
    fn the_index_gives_way_when_half_the_log_waits_for_it() {
        assert_eq!(looked(Shed::No, 49), Shed::No);
        assert_eq!(looked(Shed::No, 50), Shed::Successful);
    }

    #[test]
    fn it_goes_on_giving_way_until_it_has_caught_up_some() {
        assert_eq!(looked(Shed::Successful, 38), Shed::Successful);
        assert_eq!(looked(Shed::Successful, 37), Shed::No);
    }
}
