//! Which segments surely do not hold an id: one small filter per segment.
//!
//! An id is a column, not a term, so to look it up means to scan. The filter spares the scan of
//! every segment that cannot hold it, at 10 bits per id and about one false alarm in a hundred.

const BITS_PER_KEY: usize = 10;
const PROBES: u64 = 7;
/// Smallest filter: eight bytes, so that it is never empty.
const BYTES_MIN: usize = 8;

/// The bits of a filter that has all of `keys`.
pub(super) fn build(keys: &[u64]) -> Vec<u8> {
    let bytes = keys.len().saturating_mul(BITS_PER_KEY).div_ceil(8).max(BYTES_MIN);
    let mut bits = vec![0_u8; bytes];
    for key in keys {
        for (at, mask) in probes(*key, bytes) {
            if let Some(byte) = bits.get_mut(at) {
                *byte |= mask;
            }
        }
    }
    bits
}

/// Whether the key may be among those that the filter was built from. No bits: it may.
pub(super) fn may_have(bits: &[u8], key: u64) -> bool {
    probes(key, bits.len()).all(|(at, mask)| bits.get(at).is_none_or(|byte| byte & mask != 0))
}

/// Double hashing: one mix of the key gives where to begin and how far to step.
fn probes(key: u64, bytes: usize) -> impl Iterator<Item = (usize, u8)> {
    let bits = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(8).max(1);
    let mixed = xxhash_rust::xxh3::xxh3_64(&key.to_le_bytes());
    let step = mixed.rotate_left(32) | 1;
    (0..PROBES).map(move |probe| {
        let bit = mixed.wrapping_add(step.wrapping_mul(probe)) % bits;
        (usize::try_from(bit / 8).unwrap_or(usize::MAX), 1 << (bit % 8))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_key_is_found_again(keys in prop::collection::vec(any::<u64>(), 0..200)) {
            let bits = build(&keys);
            prop_assert!(keys.iter().all(|key| may_have(&bits, *key)));
        }
    }

    #[test]
    fn few_other_keys_are_a_false_alarm() {
        let bits = build(&(0..10_000).collect::<Vec<_>>());
        let alarms = (10_000..20_000).filter(|key| may_have(&bits, *key)).count();
        assert!(alarms < 200, "{alarms} of 10000");
    }
}
