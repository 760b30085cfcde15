//! What open journeys cost in memory: counted by the allocator, map, timers and all.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::time::Duration;

use cap::Cap;
use hopline::evidence::{Evidence, Facts, Keys, Kind, Nanos, Place, Position, SpanId, TraceId};
use hopline::join::{Out, Settings, Shard, Table};
use mimalloc::MiMalloc;

/// Counts what is allocated, over the allocator that the program has.
#[global_allocator]
static ALLOCATOR: Cap<MiMalloc> = Cap::new(MiMalloc, usize::MAX);

const JOURNEYS: u64 = 100_000;
const PER_JOURNEY: u64 = 10;

fn main() {
    let minute = Duration::from_secs(60);
    let settings = Settings {
        quiet: minute,
        rootless: minute,
        longest: minute,
        weak_wait: Duration::from_secs(2),
        evidence_max: 6_000_000,
        journeys_max: 600_000,
        journey_evidence_max: 10_000,
        journey_keys_max: 64,
        waiting_max: 400_000,
        bindings_max: 1_000_000,
        key_bindings_max: 64,
        remembered_evidence_max: 0,
        remember: minute,
        socket_slack: Duration::from_millis(100),
    };
    let mut table = Table::new(settings, Shard { index: 0, count: 1 });
    let mut out = Out::default();
    let before = ALLOCATOR.allocated();
    for part in 0..PER_JOURNEY {
        for journey in 1..=JOURNEYS {
            table.admit(&evidence(journey, part), Nanos(1_790_000_000_000_000_000), &mut out);
        }
    }
    let held = table.held();
    let each = (ALLOCATOR.allocated() - before) / held.evidence.max(1);
    println!("{} evidence in {} journeys: {each} B each", held.evidence, held.journeys);
}

fn evidence(journey: u64, part: u64) -> Evidence {
    let id = u128::from(journey.wrapping_mul(0x9E37_79B9_7F4A_7C15)) << 64 | u128::from(journey);
    let span = |part: u64| SpanId::from_slice(&(journey * 16 + part + 1).to_be_bytes());
    let facts = Facts {
        start: Nanos(1_790_000_000_000_000_000 + part),
        span: span(part),
        parent: part.checked_sub(1).and_then(span),
        kind: Kind::Server,
        ..Facts::default()
    };
    let keys = Keys { trace: TraceId::from_slice(&id.to_be_bytes()), ..Keys::default() };
    let place = Place { batch: Position(journey), offset: 8 };
    Evidence { keys, facts, place }
}
