//! When the index is so far behind that the doors would soon have to refuse, it is the index that
//! gives way first: journeys that worked are joined and measured, and not indexed.

use crate::evidence::Position;

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
    /// Looks again: `cursor` is where the index stands in a log that ends at `end`.
    pub(crate) fn look(self, cursor: Position, end: Position, log_bytes_max: u64) -> Self {
        let behind = fraction(end.0.saturating_sub(cursor.0), log_bytes_max);
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
        shed.look(Position(1000), Position(1000 + behind), 100)
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
