//! What holds for all evidence, in any order, on any number of shards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;

use super::tests::{DAY, SECOND, Shards, request, settings, sockets, trace};
use super::{Held, Journey, Settings};
use crate::evidence::{
    Evidence, Facts, JourneyId, Keys, Kind, Marks, Nanos, Outcome, Place, Position, SpanId,
};

const MS: u64 = 1_000_000;

fn kinds() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![
        Kind::Internal,
        Kind::Server,
        Kind::Client,
        Kind::Log,
        Kind::Access,
        Kind::Flow,
        Kind::Exemplar,
    ])
}

fn keys() -> impl Strategy<Value = Keys> {
    let trace_id = prop::option::weighted(0.4, (1_u8..4).prop_map(trace));
    let request_id = prop::option::weighted(0.4, (1_u8..4).prop_map(request));
    let pair = || prop::option::weighted(0.5, (1_u8..4).prop_map(sockets));
    (trace_id, request_id, pair(), pair()).prop_map(|(trace, request, first, second)| Keys {
        trace,
        request,
        sockets: [first, second],
    })
}

fn facts() -> impl Strategy<Value = Facts> {
    let ids = (prop::option::of(1_u8..9), prop::option::of(1_u8..9));
    let times = (0_u64..6_000, prop_oneof![Just(0), 0_u64..1_500, Just(u64::MAX / MS)]);
    (ids, times, kinds()).prop_map(|((span, parent), (start, duration), kind)| Facts {
        start: Nanos(DAY + start * MS),
        duration_ns: duration * MS,
        span: span.and_then(|id| SpanId::from_slice(&[id; 8])),
        parent: parent.and_then(|id| SpanId::from_slice(&[id; 8])),
        kind,
        outcome: Outcome::Success,
        ..Facts::default()
    })
}

fn all_evidence(max: usize) -> impl Strategy<Value = Vec<Evidence>> {
    prop::collection::vec((keys(), facts()), 1..max).prop_map(|all| {
        let numbered = (0_u64..).zip(all);
        numbered.map(|(place, (keys, facts))| Evidence { keys, facts, place: at(place) }).collect()
    })
}

fn at(place: u64) -> Place {
    Place { batch: Position(place), offset: 1 }
}

/// Admits in this order with these pauses, then lets everything close by itself.
fn run(evidence: &[Evidence], pauses_ms: &[u64], count: usize) -> Shards {
    let mut shards = Shards::new(&settings(), count);
    for (evidence, pause) in evidence.iter().zip(pauses_ms) {
        shards.now += pause * MS;
        // Half of the time nobody looks at the clock.
        if pause % 2 == 0 {
            shards.expire();
        }
        shards.admit(evidence);
    }
    shards.pass_until(shards.now + 70 * SECOND);
    shards
}

fn contents(shards: &Shards) -> BTreeMap<JourneyId, Journey> {
    let plain = |journey: &Arc<Journey>| Journey::clone(journey);
    shards.journeys().iter().map(|(id, journey)| (*id, plain(journey))).collect()
}

/// Every place that came out of a closed journey's last revision, with how often.
fn places_out(shards: &Shards) -> BTreeMap<Place, usize> {
    let mut places = BTreeMap::new();
    for journey in shards.journeys().values() {
        for (_, place) in &journey.evidence {
            *places.entry(*place).or_default() += 1;
        }
    }
    places
}

/// Duplicates are left out by design; without spans there are none.
fn without_repeats(mut evidence: Vec<Evidence>) -> Vec<Evidence> {
    for (number, it) in (1_u64..).zip(&mut evidence) {
        it.facts.span = it.facts.span.and_then(|_| SpanId::from_slice(&number.to_be_bytes()));
    }
    evidence
}

fn tiny() -> Settings {
    Settings {
        evidence_max: 6,
        journeys_max: 3,
        journey_evidence_max: 4,
        journey_keys_max: 2,
        waiting_max: 3,
        bindings_max: 4,
        key_bindings_max: 2,
        remembered_evidence_max: 24,
        ..settings()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn neither_order_nor_batches_nor_shards_change_the_journeys(
        evidence in all_evidence(24),
        swaps in prop::collection::vec(any::<Index>(), 24),
        pauses_ms in prop::collection::vec(0_u64..60, 24),
        count in 1_usize..5,
    ) {
        let expected = run(&evidence, &[0; 24], 1);
        let mut shuffled = evidence;
        for (at, swap) in (0..shuffled.len()).zip(&swaps) {
            let other = swap.index(shuffled.len());
            shuffled.swap(at, other);
        }
        let other = run(&shuffled, &pauses_ms, count);

        prop_assert_eq!(contents(&other), contents(&expected));
        prop_assert!(other.out.closed.iter().all(|journey| journey.revision == 0));
        prop_assert_eq!(Held { bindings: 0, ..other.held() }, Held::default());
    }

    #[test]
    fn every_place_comes_out_once_unless_it_is_ambiguous(
        evidence in all_evidence(40).prop_map(without_repeats),
        pauses_ms in prop::collection::vec(0_u64..20_000, 40),
        count in 1_usize..4,
    ) {
        let mut shards = run(&evidence, &pauses_ms, count);
        shards.drain();

        let out = places_out(&shards);
        let admitted: BTreeSet<_> = evidence.iter().map(|evidence| evidence.place).collect();
        prop_assert_eq!(out.keys().copied().collect::<BTreeSet<_>>(), admitted);
        let journeys = shards.journeys();
        let ambiguous = |place: &Place| journeys.values().any(|journey| {
            let mut all = journey.evidence.iter();
            all.any(|(facts, it)| it == place && facts.marks.has(Marks::AMBIGUOUS))
        });
        for (place, count) in &out {
            prop_assert!(*count == 1 || ambiguous(place), "{place:?} came out {count} times");
        }
    }

    #[test]
    fn fresh_evidence_less_copies_is_what_was_admitted(
        evidence in all_evidence(40),
        pauses_ms in prop::collection::vec(0_u64..20_000, 40),
        count in 1_usize..4,
    ) {
        let mut shards = run(&evidence, &pauses_ms, count);
        shards.drain();

        let fresh: usize = shards.out.closed.iter().map(|journey| journey.fresh().count()).sum();
        prop_assert_eq!(fresh + shards.out.lost.len() - shards.out.copied.len(), evidence.len());
    }

    #[test]
    fn tiny_bounds_hold_and_lose_nothing_uncounted(
        evidence in all_evidence(60),
        pauses_ms in prop::collection::vec(0_u64..2_000, 60),
    ) {
        let mut shards = Shards::new(&tiny(), 1);
        for (evidence, pause) in evidence.iter().zip(&pauses_ms) {
            shards.now += pause * MS;
            shards.expire();
            shards.admit(evidence);
            let held = shards.held();
            prop_assert!(held.evidence <= 6 && held.journeys <= 3, "{held:?}");
            prop_assert!(held.waiting <= 3 && held.bindings <= 4, "{held:?}");
        }
        shards.drain();

        prop_assert_eq!(shards.held(), Held::default());
        let fresh: usize = shards.out.closed.iter().map(|journey| journey.fresh().count()).sum();
        prop_assert_eq!(fresh + shards.out.lost.len() - shards.out.copied.len(), evidence.len());
    }

    #[test]
    fn a_drain_leaves_nothing_on_any_number_of_shards(
        evidence in all_evidence(40),
        pauses_ms in prop::collection::vec(0_u64..500, 40),
        count in 1_usize..5,
    ) {
        let mut shards = Shards::new(&settings(), count);
        for (evidence, pause) in evidence.iter().zip(pauses_ms) {
            shards.now += pause * MS;
            shards.admit(evidence);
        }
        shards.drain();

        prop_assert_eq!(shards.held(), Held::default());
    }

    #[test]
    fn traces_alone_are_grouped_as_by_a_plain_map(
        evidence in all_evidence(60).prop_map(without_repeats),
        // No trace rests for longer than closed journeys are remembered.
        pauses_ms in prop::collection::vec(0_u64..9_500, 60),
    ) {
        let mut model: BTreeMap<JourneyId, BTreeSet<Place>> = BTreeMap::new();
        let mut traced = evidence;
        for it in &mut traced {
            let id = it.keys.trace.unwrap_or_else(|| trace(9));
            it.keys = Keys { trace: Some(id), ..Keys::default() };
            model.entry(id.into()).or_default().insert(it.place);
        }
        let mut shards = run(&traced, &pauses_ms, 1);
        shards.drain();

        let places = |journey: &Journey| journey.evidence.iter().map(|(_, place)| *place).collect();
        let joined: BTreeMap<JourneyId, BTreeSet<Place>> =
            contents(&shards).iter().map(|(id, journey)| (*id, places(journey))).collect();
        prop_assert_eq!(joined, model);
    }
}
