//! Ids that look random and can be counted.
//!
//! Every item of a load has a number. Its id is made of the number by steps that can be gone back, so
//! the sink knows of each id which item it is, and compression finds nothing in it.

use hopline::evidence::Nanos;

/// Spans of one trace.
pub(crate) const TRACE_SPANS: u64 = 10;

/// The time of the first data point: points have no ids, their times number them.
pub(crate) const POINTS_BEGIN: Nanos = Nanos(1_790_000_000_000_000_000);

/// Odd, so that multiplying by them can be undone.
const FIRST: u64 = 0x9e37_79b9_7f4a_7c15;
const SECOND: u64 = 0xbf58_476d_1ce4_e5b9;
const FIRST_INVERSE: u64 = inverse(FIRST);
const SECOND_INVERSE: u64 = inverse(SECOND);

/// The id of item `number`. Never zero, which OTLP calls invalid.
pub(crate) fn span(number: u64) -> [u8; 8] {
    mint(number).to_be_bytes()
}

/// The trace that item `number` belongs to.
pub(crate) fn trace(number: u64) -> [u8; 16] {
    let trace = number / TRACE_SPANS;
    let halves = [mint(trace).to_be_bytes(), mint(trace ^ (1 << 62)).to_be_bytes()];
    halves.concat().try_into().unwrap()
}

/// Which item has this id. An id that was not made here gives some number, most likely a huge one.
pub(crate) fn number(id: [u8; 8]) -> u64 {
    let id = u64::from_be_bytes(id).wrapping_mul(SECOND_INVERSE);
    id.swap_bytes().wrapping_mul(FIRST_INVERSE).wrapping_sub(1)
}

fn mint(number: u64) -> u64 {
    number.wrapping_add(1).wrapping_mul(FIRST).swap_bytes().wrapping_mul(SECOND)
}

/// Newton's method; each step doubles the bits that are right, beginning with three.
const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut step = 0;
    while step < 5 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
}
