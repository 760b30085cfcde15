//! Where evidence belongs, and which shard that is.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::WeakKey;
use crate::evidence::{Evidence, JourneyId, Nanos, Place, RequestKey, SocketKey, TraceId};

/// What a journey is gathered around.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Home {
    /// A trace.
    Trace(TraceId),
    /// A request key that no trace has published.
    Request(RequestKey),
    /// A socket pair that nobody has published, in one window of time.
    Sockets(SocketKey, u64),
    /// Evidence without a key, by its place.
    Alone(Place),
}

/// One of the shards that share the journeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which one, from zero.
    pub index: usize,
    /// How many there are.
    pub count: usize,
}

impl Home {
    /// The name of the journey.
    ///
    /// The low half of a weak id is the key itself, so that a journey lives where its key does and
    /// a late binding finds it there.
    #[must_use]
    pub fn id(self) -> JourneyId {
        match self {
            Self::Trace(trace) => trace.into(),
            Self::Request(RequestKey(key)) => weak_id(key.get(), 0, 1),
            Self::Sockets(SocketKey(key), window) => weak_id(key.get(), window, 2),
            Self::Alone(place) => {
                let offset = u64::from(place.offset);
                weak_id(digest(place.batch.0, offset, 3), offset, 4)
            }
        }
    }

    /// The home of socket evidence that nothing is bound to. Windows of fixed length, not
    /// distances: distances would depend on which evidence came first.
    pub(super) fn of_sockets(key: SocketKey, start: Nanos, window_ns: u64) -> Self {
        Self::Sockets(key, start.0 / window_ns.max(1))
    }

    /// The trace it is, if it is one.
    #[must_use]
    pub fn trace(self) -> Option<TraceId> {
        match self {
            Self::Trace(trace) => Some(trace),
            Self::Request(_) | Self::Sockets(..) | Self::Alone(_) => None,
        }
    }
}

impl Shard {
    /// The shard that evidence goes to first: its trace's, else its strongest weak key's.
    #[must_use]
    pub fn route(evidence: &Evidence, count: usize) -> usize {
        if let Some(trace) = evidence.keys.trace {
            return Self::of_journey(trace.into(), count);
        }
        match WeakKey::first(&evidence.keys) {
            Some(key) => Self::of_key(key, count),
            None => Self::of_journey(Home::Alone(evidence.place).id(), count),
        }
    }

    /// The shard that holds a journey.
    #[must_use]
    pub fn of_journey(id: JourneyId, count: usize) -> usize {
        let low = id.0 & u128::from(u64::MAX);
        pick(u64::try_from(low).unwrap_or_default(), count)
    }

    /// The shard that knows what is bound to a key.
    #[must_use]
    pub fn of_key(key: WeakKey, count: usize) -> usize {
        pick(key.digest(), count)
    }
}

/// Spreads by the high bits of a product: ids may be small numbers, and the hash tables inside a
/// shard use other bits.
fn pick(low: u64, count: usize) -> usize {
    let spread = u128::from(low.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let count = u128::try_from(count).unwrap_or(1);
    usize::try_from((spread * count) >> 64).unwrap_or(0)
}

fn weak_id(low: u64, window: u64, sort: u64) -> JourneyId {
    let high = u128::from(digest(low, window, sort));
    JourneyId((high << 64) | u128::from(low))
}

fn digest(first: u64, second: u64, sort: u64) -> u64 {
    let bytes = (u128::from(first) << 64) | u128::from(second);
    xxh3_64_with_seed(&bytes.to_be_bytes(), sort)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    #[test]
    fn a_weak_journey_lives_on_the_shard_of_its_key() {
        for seed in 1..200 {
            let number = NonZeroU64::new(digest(seed, 0, 9)).unwrap();
            let (request, sockets) = (RequestKey(number), SocketKey(number));
            let by_request = Shard::of_journey(Home::Request(request).id(), 7);
            let by_sockets = Shard::of_journey(Home::Sockets(sockets, seed).id(), 7);

            assert_eq!(by_request, Shard::of_key(WeakKey::Request(request), 7));
            assert_eq!(by_sockets, Shard::of_key(WeakKey::Sockets(sockets), 7));
        }
    }

    #[test]
    fn small_trace_ids_spread_over_all_shards() {
        let mut taken = [0_u32; 4];
        for id in 1..=1000 {
            taken[Shard::of_journey(JourneyId(id), 4)] += 1;
        }
        assert!(taken.iter().all(|&count| count > 200), "{taken:?}");
    }

    #[test]
    fn the_same_key_means_other_journeys_as_request_and_as_sockets() {
        let number = NonZeroU64::MIN;
        assert_ne!(
            Home::Request(RequestKey(number)).id(),
            Home::Sockets(SocketKey(number), 0).id()
        );
    }

    #[test]
    fn no_shards_route_like_one() {
        assert_eq!(Shard::of_journey(JourneyId(u128::MAX), 0), 0);
    }
}
