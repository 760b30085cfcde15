//! Short byte strings: keys and names.

const WORD: usize = 8;

/// Whether both are equal.
///
/// For keys and names, of which a span has dozens: `==` is a call into the C library, which costs
/// more than comparing the three words that most of them are.
#[must_use]
#[inline(always)]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (words, rest) = a.as_chunks::<WORD>();
    let (others, other_rest) = b.as_chunks::<WORD>();
    let is_same = |(a, b): (&[u8; WORD], &[u8; WORD])| number(a) == number(b);
    // The last word overlaps the one before it; what is shorter than a word is compared by byte.
    match (a.last_chunk(), b.last_chunk()) {
        (Some(a), Some(b)) => is_same((a, b)) && words.iter().zip(others).all(is_same),
        _ => rest.iter().zip(other_rest).all(|(a, b)| a == b),
    }
}

/// A number that tells most keys apart: from the length and the last eight bytes, in which keys
/// differ more than in their first.
#[must_use]
#[inline(always)]
pub fn digest(key: &[u8]) -> u16 {
    let tail = match key.last_chunk() {
        Some(tail) => number(tail),
        None => key.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)),
    };
    ((tail ^ key.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48) as u16
}

#[inline(always)]
fn number(word: &[u8; WORD]) -> u64 {
    u64::from_le_bytes(*word)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn same_is_equal(a in "[ab]{0,20}", b in "[ab]{0,20}", at in 0..20_usize) {
            prop_assert_eq!(same(a.as_bytes(), b.as_bytes()), a == b);
            let mut changed = a.clone().into_bytes();
            prop_assert!(same(a.as_bytes(), &changed));
            if let Some(byte) = changed.get_mut(at) {
                *byte = b'c';
                prop_assert!(!same(a.as_bytes(), &changed));
            }
        }
    }
}
