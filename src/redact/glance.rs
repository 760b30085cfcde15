//! One look at each byte of a string: which secrets it cannot hold.
//!
//! Most strings have no byte that a secret of any form must have, and end here.

use super::detect::CARD_DIGITS;
use super::policy::Detectors;

/// What the bytes of a text are, all taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Glance {
    classes: u8,
    /// How many there are, as far as it matters: fewer than a card's may count as none.
    digits: usize,
}

const AT: u8 = 1;
const UPPER_J: u8 = 2;
const SPACE: u8 = 4;
const LETTER_B: u8 = 8;
const SIGN: u8 = 16;
const DIGIT: u8 = 32;
const BEYOND_ASCII: u8 = 64;

/// Bytes that are looked at together.
const LANES: usize = 16;

impl Glance {
    #[inline]
    pub(super) fn new(text: &[u8]) -> Self {
        match text.last_chunk() {
            Some(last) => Self::at_long(text, last),
            None => Self::at_short(text),
        }
    }

    #[inline(always)]
    fn at_short(text: &[u8]) -> Self {
        let class = |byte: &u8| CLASSES.get(usize::from(*byte)).copied().unwrap_or(u8::MAX);
        let classes = text.iter().fold(0, |all, byte| all | class(byte));
        let few = text.len() < CARD_DIGITS.start || classes & DIGIT == 0;
        Self { classes, digits: if few { 0 } else { digits(text) } }
    }

    #[inline(always)]
    fn at_long(text: &[u8], last: &[u8; LANES]) -> Self {
        let mut lanes = Lanes::default();
        let (chunks, rest) = text.as_chunks();
        for chunk in chunks {
            lanes.look(chunk, 0);
        }
        // The last chunk overlaps the one before it.
        let fresh = u8::try_from(LANES - rest.len()).unwrap_or(0);
        lanes.look(last, fresh);
        Self {
            classes: lanes.classes.iter().fold(0, |all, lane| all | lane),
            digits: lanes.digits.iter().map(|lane| usize::from(*lane)).sum(),
        }
    }

    /// Whether every byte is ASCII.
    #[inline]
    pub(super) fn is_ascii(self) -> bool {
        self.classes & BEYOND_ASCII == 0
    }

    /// Whether one of these detectors may find something.
    #[inline]
    pub(super) fn is_suspect(self, detectors: Detectors) -> bool {
        (detectors.email && self.may_be_address())
            || (detectors.card && self.may_be_card())
            || (detectors.jwt && self.may_be_token())
            || (detectors.bearer && self.may_be_bearer())
            || (detectors.assignment && self.may_be_assignment())
    }

    #[inline(always)]
    pub(super) fn may_be_address(self) -> bool {
        self.has(AT)
    }

    #[inline(always)]
    pub(super) fn may_be_card(self) -> bool {
        self.digits >= CARD_DIGITS.start
    }

    #[inline(always)]
    pub(super) fn may_be_token(self) -> bool {
        self.has(UPPER_J)
    }

    #[inline(always)]
    pub(super) fn may_be_bearer(self) -> bool {
        self.has(SPACE | LETTER_B)
    }

    /// The full-width signs are beyond ASCII.
    #[inline(always)]
    pub(super) fn may_be_assignment(self) -> bool {
        self.has(SIGN) || self.has(BEYOND_ASCII)
    }

    #[inline(always)]
    fn has(self, classes: u8) -> bool {
        self.classes & classes == classes
    }
}

/// The columns of a text that is cut into rows of sixteen bytes.
#[derive(Default)]
struct Lanes {
    classes: [u8; LANES],
    digits: [u8; LANES],
}

impl Lanes {
    /// Takes a row in; digits count from the column `fresh` on.
    #[inline(always)]
    fn look(&mut self, chunk: &[u8; LANES], fresh: u8) {
        let lanes = self.classes.iter_mut().zip(&mut self.digits).zip(chunk).zip(COLUMNS);
        for (((classes, digits), byte), column) in lanes {
            *classes |= class(*byte);
            let counts = byte.is_ascii_digit() & (column >= fresh);
            *digits = digits.saturating_add(u8::from(counts));
        }
    }
}

fn digits(text: &[u8]) -> usize {
    text.iter().filter(|byte| byte.is_ascii_digit()).count()
}

const COLUMNS: [u8; LANES] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

static CLASSES: [u8; 256] = {
    let mut table = [0; 256];
    let mut rest = table.as_mut_slice();
    let mut byte = 0_u8;
    while let [first, after @ ..] = rest {
        *first = class(byte);
        byte = byte.wrapping_add(1);
        rest = after;
    }
    table
};

/// A sum without branches, which the compiler turns into vector instructions.
#[inline(always)]
const fn class(byte: u8) -> u8 {
    (byte == b'@') as u8 * AT
        + (byte == b'J') as u8 * UPPER_J
        + (byte == b' ' || byte == b'\t') as u8 * SPACE
        + (byte | 0x20 == b'b') as u8 * LETTER_B
        + (byte == b'=' || byte == b':') as u8 * SIGN
        + byte.is_ascii_digit() as u8 * DIGIT
        + (byte >= 0x80) as u8 * BEYOND_ASCII
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_glance_sees_every_byte(text in "[a-z]{0,40}[0-9@J \t=:bBé]{0,20}[a-z0-9]{0,40}") {
            let bytes = text.as_bytes();
            let seen = Glance::new(bytes);
            let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
            let space = text.contains([' ', '\t']);

            prop_assert_eq!(seen.is_ascii(), text.is_ascii());
            prop_assert_eq!(seen.may_be_address(), text.contains('@'));
            prop_assert_eq!(seen.may_be_card(), digits >= CARD_DIGITS.start);
            prop_assert_eq!(seen.may_be_token(), text.contains('J'));
            prop_assert_eq!(seen.may_be_bearer(), space && text.contains(['b', 'B']));
            let sign = text.contains(['=', ':']) || !text.is_ascii();
            prop_assert_eq!(seen.may_be_assignment(), sign);
        }
    }
}
