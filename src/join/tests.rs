//! The rules of the join, one claim each.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use super::{Closed, Forgotten, Held, Home, Journey, Mail, Out, Settings, Shard, Table};
use crate::evidence::{
    Evidence, Facts, JourneyId, Keys, Kind, Marks, Nanos, Place, Position, RequestKey, SocketKey,
    SpanId, TraceId,
};
use crate::ledger::Reason;

const MS: u64 = 1_000_000;
pub(super) const SECOND: u64 = 1_000 * MS;
/// Some day; windows of sockets begin at its full minutes.
pub(super) const DAY: u64 = 1_700_000_040 * SECOND;

pub(crate) fn settings() -> Settings {
    Settings {
        quiet: Duration::from_secs(2),
        rootless: Duration::from_secs(30),
        longest: Duration::from_secs(60),
        weak_wait: Duration::from_secs(2),
        evidence_max: 100_000,
        journeys_max: 10_000,
        journey_evidence_max: 1_000,
        journey_keys_max: 100,
        waiting_max: 1_000,
        bindings_max: 10_000,
        key_bindings_max: 100,
        remembered_evidence_max: 100_000,
        remember: Duration::from_secs(600),
        socket_slack: Duration::from_millis(100),
    }
}

/// Some shards, the post between them, and all that came out.
pub(super) struct Shards {
    pub(super) tables: Vec<Table>,
    pub(super) now: u64,
    pub(super) out: Out,
}

impl Shards {
    pub(super) fn new(settings: &Settings, count: usize) -> Self {
        let table = |index| Table::new(settings.clone(), Shard { index, count });
        Self { tables: (0..count).map(table).collect(), now: DAY, out: Out::default() }
    }

    pub(super) fn one(settings: &Settings) -> Self {
        Self::new(settings, 1)
    }

    pub(super) fn admit(&mut self, evidence: &Evidence) {
        let shard = Shard::route(evidence, self.tables.len());
        self.tables[shard].admit(evidence, Nanos(self.now), &mut self.out);
        self.deliver();
    }

    /// Admits at this many milliseconds after the start of the day.
    fn at(&mut self, ms: u64, evidence: &Evidence) {
        self.pass_until(DAY + ms * MS);
        self.admit(evidence);
    }

    pub(super) fn expire(&mut self) {
        for at in 0..self.tables.len() {
            self.tables[at].expire(Nanos(self.now), &mut self.out);
        }
        self.deliver();
    }

    /// Time passes, and somebody looks at the clock four times a second.
    pub(super) fn pass_until(&mut self, until: u64) {
        while self.now + 250 * MS < until {
            self.now += 250 * MS;
            self.expire();
        }
        self.now = self.now.max(until);
        self.expire();
    }

    fn pass_seconds(&mut self, seconds: u64) {
        self.pass_until(self.now + seconds * SECOND);
    }

    pub(super) fn drain_round(&mut self) {
        for at in 0..self.tables.len() {
            self.tables[at].drain(Nanos(self.now), &mut self.out);
        }
        self.deliver();
    }

    pub(super) fn drain(&mut self) {
        for _ in 0..3 {
            self.drain_round();
        }
    }

    pub(super) fn held(&self) -> Held {
        self.tables.iter().map(Table::held).fold(Held::default(), |sum, held| Held {
            journeys: sum.journeys + held.journeys,
            evidence: sum.evidence + held.evidence,
            waiting: sum.waiting + held.waiting,
            bindings: sum.bindings + held.bindings,
        })
    }

    /// The last revision of every journey that was not taken back.
    pub(super) fn journeys(&self) -> BTreeMap<JourneyId, Arc<Journey>> {
        let mut last = BTreeMap::new();
        for journey in &self.out.closed {
            last.insert(journey.id, Arc::clone(journey));
        }
        for id in &self.out.retracted {
            last.remove(id);
        }
        last
    }

    fn only(&self) -> Arc<Journey> {
        let journeys = self.journeys();
        assert_eq!(journeys.len(), 1, "{journeys:#?}");
        Arc::clone(journeys.values().next().unwrap())
    }

    fn deliver(&mut self) {
        while let Some((shard, mail)) = self.out.mail.pop() {
            self.tables[shard].receive(mail, Nanos(self.now), &mut self.out);
        }
    }
}

pub(super) fn trace(id: u8) -> TraceId {
    TraceId::from_slice(&[id; 16]).unwrap()
}

pub(super) fn request(id: u8) -> RequestKey {
    RequestKey::new(&format!("request {id}")).unwrap()
}

pub(super) fn sockets(id: u8) -> SocketKey {
    SocketKey(NonZeroU64::new(0x1234_5678_9abc_def1 * u64::from(id)).unwrap())
}

/// Evidence without keys that began at this millisecond of the day.
fn evidence(place: u64, kind: Kind, start_ms: u64) -> Evidence {
    let facts =
        Facts { start: Nanos(DAY + start_ms * MS), duration_ns: 10 * MS, kind, ..Facts::default() };
    let place = Place { batch: Position(place), offset: 3 };
    Evidence { keys: Keys::default(), facts, place }
}

/// A root span with this id.
fn span(place: u64, trace_id: u8) -> Evidence {
    let mut span = evidence(place, Kind::Server, 0);
    span.keys.trace = Some(trace(trace_id));
    span.facts.span = SpanId::from_slice(&(place + 1).to_be_bytes());
    span
}

fn child(place: u64, trace_id: u8) -> Evidence {
    let mut child = span(place, trace_id);
    child.facts.parent = SpanId::from_slice(&[9; 8]);
    child
}

fn access(place: u64, request_id: u8) -> Evidence {
    let mut access = evidence(place, Kind::Access, 0);
    access.keys.request = Some(request(request_id));
    access
}

fn flow(place: u64, sockets_id: u8, start_ms: u64) -> Evidence {
    let mut flow = evidence(place, Kind::Flow, start_ms);
    flow.keys.sockets = [Some(sockets(sockets_id)), None];
    flow
}

trait With: Sized {
    fn with_request(self, id: u8) -> Self;
    fn with_sockets(self, id: u8) -> Self;
}

impl With for Evidence {
    fn with_request(mut self, id: u8) -> Self {
        self.keys.request = Some(request(id));
        self
    }

    fn with_sockets(mut self, id: u8) -> Self {
        self.keys.sockets[0] = Some(sockets(id));
        self
    }
}

fn places(journey: &Journey) -> Vec<u64> {
    let mut places: Vec<_> = journey.evidence.iter().map(|(_, place)| place.batch.0).collect();
    places.sort_unstable();
    places
}

fn marks(journey: &Journey, place: u64) -> Marks {
    let has = journey.evidence.iter().find(|(_, it)| it.batch.0 == place);
    has.unwrap().0.marks
}

#[test]
fn a_journey_with_its_root_closes_when_it_is_quiet() {
    let mut shards = Shards::one(&settings());
    shards.at(0, &span(0, 1));
    shards.at(1500, &child(1, 1));
    shards.pass_until(DAY + 3400 * MS);
    assert_eq!(shards.out.closed, []);

    shards.pass_until(DAY + 3600 * MS);
    assert_eq!(shards.only().closed, Some(Closed::Quiet));
    assert_eq!(places(&shards.only()), [0, 1]);
}

#[test]
fn a_journey_without_a_root_closes_later() {
    let mut shards = Shards::one(&settings());
    shards.at(0, &child(0, 1));
    shards.pass_until(DAY + 29_900 * MS);
    assert_eq!(shards.out.closed, []);

    shards.pass_until(DAY + 30_100 * MS);
    assert_eq!(shards.only().closed, Some(Closed::Rootless));
}

#[test]
fn a_root_that_comes_late_shortens_the_wait() {
    let mut shards = Shards::one(&settings());
    shards.at(0, &child(0, 1));
    shards.at(10_000, &span(1, 1));
    shards.pass_until(DAY + 12_100 * MS);

    assert_eq!(shards.only().closed, Some(Closed::Quiet));
}

#[test]
fn a_journey_that_never_rests_closes_at_the_longest() {
    let mut shards = Shards::one(&settings());
    for second in 0..=61 {
        shards.at(second * 1000, &span(second, 1));
    }
    assert_eq!(shards.out.closed[0].closed, Some(Closed::Longest));
}

#[test]
fn evidence_without_a_key_is_a_journey_of_one_at_once() {
    let mut shards = Shards::one(&settings());
    shards.admit(&evidence(7, Kind::Log, 0));

    assert_eq!(shards.only().closed, Some(Closed::Alone));
    assert_eq!(shards.held(), Held::default());
}

#[test]
fn a_request_key_joins_by_the_binding_of_a_trace() {
    let mut shards = Shards::one(&settings());
    shards.at(0, &access(0, 1));
    shards.at(500, &span(1, 1).with_request(1));
    shards.pass_seconds(10);

    let journey = shards.only();
    assert_eq!((places(&journey), journey.revision), (vec![0, 1], 0));
    assert_eq!(journey.trace, Some(trace(1)));
    assert_eq!(journey.requests.as_slice(), [request(1)]);
    assert_eq!(marks(&journey, 0), Marks::BOUND);
}

#[test]
fn a_journey_stays_open_for_evidence_that_waits_for_it() {
    let mut shards = Shards::one(&settings());
    shards.at(0, &span(0, 1).with_request(1));
    shards.at(1900, &access(1, 1));
    shards.pass_seconds(10);

    assert_eq!((shards.only().revision, shards.out.closed.len()), (0, 1));
}

#[test]
fn an_access_log_binds_its_sockets_to_the_trace_of_its_request() {
    let mut shards = Shards::one(&settings());
    shards.at(0, &flow(0, 1, 0));
    shards.at(100, &access(1, 1).with_sockets(1));
    shards.at(200, &span(2, 1).with_request(1));
    shards.pass_seconds(20);

    assert_eq!(places(&shards.only()), [0, 1, 2]);
}

#[test]
fn two_candidates_both_get_the_evidence_marked_ambiguous() {
    let mut shards = Shards::one(&settings());
    shards.admit(&span(0, 1).with_request(1));
    shards.admit(&span(1, 2).with_request(1));
    shards.admit(&access(2, 1));
    shards.pass_seconds(10);

    let journeys = shards.journeys();
    assert_eq!(journeys.len(), 2);
    for journey in journeys.values() {
        assert_eq!((marks(journey, 2), journey.ambiguous), (Marks::AMBIGUOUS, 1));
    }
    assert_eq!(shards.out.copied.len(), 1);
}

#[test]
fn four_candidates_are_too_many_to_guess() {
    let mut shards = Shards::one(&settings());
    for id in 0..4 {
        shards.admit(&span(u64::from(id), id + 1).with_request(1));
    }
    shards.admit(&access(4, 1));
    shards.pass_seconds(10);

    let own = &shards.journeys()[&Home::Request(request(1)).id()];
    assert_eq!((places(own), marks(own, 4)), (vec![4], Marks::AMBIGUOUS));
}

#[test]
fn what_nothing_is_bound_to_shares_the_journey_of_its_request_key() {
    let mut shards = Shards::one(&settings());
    shards.at(0, &access(0, 1));
    shards.at(700, &access(1, 1));
    shards.pass_seconds(10);

    let journey = shards.only();
    assert_eq!((places(&journey), journey.trace), (vec![0, 1], None));
    assert_eq!(marks(&journey, 0), Marks::default());
}

#[test]
fn a_socket_pair_joins_only_where_the_times_overlap() {
    let mut shards = Shards::one(&settings());
    shards.admit(&span(0, 1).with_sockets(1));
    shards.admit(&flow(1, 1, 105));
    shards.admit(&flow(2, 1, 5000));
    shards.pass_seconds(10);

    let traced = &shards.journeys()[&JourneyId::from(trace(1))];
    assert_eq!(places(traced), [0, 1]);
}

#[test]
fn flows_of_one_pair_close_in_time_share_a_journey() {
    let mut shards = Shards::one(&settings());
    shards.admit(&flow(0, 1, 0));
    shards.admit(&flow(1, 1, 4000));
    shards.admit(&flow(2, 1, 300_000));
    shards.pass_seconds(10);

    let places: Vec<_> = shards.journeys().values().map(|it| places(it)).collect();
    assert!(places.contains(&vec![0, 1]) && places.contains(&vec![2]), "{places:?}");
}

#[test]
fn a_flow_does_not_claim_its_connection() {
    let mut shards = Shards::one(&settings());
    let mut long = flow(0, 1, 0);
    long.facts.duration_ns = 50 * SECOND;
    shards.admit(&span(1, 1).with_sockets(1));
    shards.admit(&long);
    shards.pass_seconds(6);
    shards.admit(&flow(2, 1, 20_000));
    shards.pass_seconds(10);

    assert_eq!(places(&shards.journeys()[&JourneyId::from(trace(1))]), [0, 1]);
}

#[test]
fn the_second_socket_pair_is_asked_where_the_first_is_bound_to_nothing() {
    for count in 1..4 {
        let mut shards = Shards::new(&settings(), count);
        let mut translated = flow(0, 1, 0);
        translated.keys.sockets[1] = Some(sockets(2));
        shards.admit(&translated);
        shards.admit(&span(1, 1).with_sockets(2));
        shards.pass_seconds(20);

        assert_eq!((places(&shards.only()), shards.only().revision), (vec![0, 1], 0));
    }
}

#[test]
fn a_late_binding_moves_an_open_weak_journey() {
    let mut shards = Shards::one(&settings());
    shards.at(0, &access(0, 1));
    shards.at(2500, &span(1, 1).with_request(1));
    shards.pass_seconds(10);

    assert_eq!(places(&shards.only()), [0, 1]);
    assert_eq!((shards.out.closed.len(), shards.out.retracted.len()), (1, 0));
}

#[test]
fn a_late_binding_takes_a_closed_weak_journey_back() {
    for count in 1..4 {
        let mut shards = Shards::new(&settings(), count);
        shards.at(0, &access(0, 1).with_sockets(1));
        shards.at(0, &flow(1, 1, 0));
        shards.at(20_000, &span(2, 1).with_request(1));
        shards.pass_seconds(20);

        assert_eq!(shards.out.retracted, [Home::Request(request(1)).id()]);
        assert_eq!(places(&shards.only()), [0, 1, 2]);
        assert_eq!(shards.out.copied.len(), 2);
    }
}

#[test]
fn evidence_on_its_way_to_a_journey_that_moved_follows_it() {
    let mut shards = Shards::one(&settings());
    shards.admit(&span(0, 1).with_request(1));
    let (evidence, home) = (flow(1, 1, 0), Home::Request(request(1)));
    let Shards { tables, now, out } = &mut shards;
    tables[0].receive(Mail::Forward { evidence, home }, Nanos(*now), out);
    shards.pass_seconds(10);

    assert_eq!((places(&shards.only()), shards.only().trace), (vec![0, 1], Some(trace(1))));
}

#[test]
fn evidence_at_the_wrong_shard_is_mailed_to_the_right_one() {
    let mut shards = Shards::new(&settings(), 2);
    let right = Shard::route(&span(0, 1), 2);
    let mut out = Out::default();
    shards.tables[1 - right].admit(&span(0, 1), Nanos(DAY), &mut out);

    assert_eq!(out.mail, [(right, Mail::Admit(span(0, 1)))]);
}

#[test]
fn a_journey_that_closes_again_is_no_longer_taken_back() {
    let mut shards = Shards::one(&settings());
    shards.at(0, &flow(0, 1, 0));
    shards.at(10_000, &span(1, 1).with_sockets(1));
    assert_eq!(shards.out.retracted.len(), 1);
    shards.at(11_000, &flow(2, 1, 9000));
    shards.pass_seconds(20);

    assert_eq!(shards.out.retracted, []);
    assert_eq!(shards.journeys().len(), 2);
}

#[test]
fn the_sockets_of_a_moved_journey_move_with_it() {
    let mut shards = Shards::one(&settings());
    shards.at(0, &access(0, 1).with_sockets(1));
    shards.at(20_000, &span(1, 1).with_request(1));
    shards.at(30_000, &flow(2, 1, 0));
    shards.pass_seconds(20);

    assert_eq!(marks(&shards.only(), 2), Marks::BOUND.with(Marks::LATE));
}

#[test]
fn a_late_binding_takes_only_the_flows_of_its_time() {
    let mut shards = Shards::one(&settings());
    shards.at(0, &flow(0, 1, 0));
    shards.at(0, &flow(1, 1, 9000));
    shards.at(20_000, &span(2, 1).with_sockets(1));
    shards.pass_seconds(20);

    let journeys = shards.journeys();
    assert_eq!(places(&journeys[&JourneyId::from(trace(1))]), [0, 2]);
    let rest = journeys.values().find(|journey| journey.trace.is_none()).unwrap();
    assert_eq!((places(rest), rest.revision, rest.closed), (vec![1], 1, Some(Closed::Amended)));
    assert_eq!(shards.out.retracted, []);
}

#[test]
fn a_burst_of_late_evidence_makes_one_amendment() {
    let mut shards = Shards::one(&settings());
    shards.at(0, &span(0, 1));
    shards.at(60_000, &child(1, 1));
    shards.at(60_500, &child(2, 1));
    shards.pass_seconds(10);

    let journey = shards.only();
    assert_eq!((shards.out.closed.len(), journey.revision), (2, 1));
    assert_eq!(journey.closed, Some(Closed::Amended));
    assert_eq!((places(&journey), journey.fresh().count()), (vec![0, 1, 2], 2));
    assert_eq!((marks(&journey, 0), marks(&journey, 2)), (Marks::default(), Marks::LATE));
}

#[test]
fn what_is_no_longer_remembered_is_not_amended() {
    let mut shards = Shards::one(&settings());
    shards.at(0, &span(0, 1));
    shards.at(700_000, &span(1, 1));
    shards.pass_seconds(10);

    assert_eq!((places(&shards.only()), shards.only().revision), (vec![1], 0));
}

#[test]
fn a_forgotten_binding_binds_nothing() {
    let mut shards = Shards::one(&settings());
    shards.at(0, &span(0, 1).with_request(1));
    shards.at(700_000, &access(1, 1));
    shards.pass_seconds(10);

    assert_eq!(shards.journeys().len(), 2);
    assert_eq!(shards.held().bindings, 0);
}

#[test]
fn the_oldest_journey_closes_early_when_there_are_too_many() {
    let mut shards = Shards::one(&Settings { journeys_max: 2, ..settings() });
    for id in 1..=3 {
        shards.admit(&span(id, u8::try_from(id).unwrap()));
    }
    assert_eq!((shards.only().trace, shards.only().closed), (Some(trace(1)), Some(Closed::Full)));
}

#[test]
fn the_oldest_journey_closes_early_when_there_is_too_much_evidence() {
    let mut shards = Shards::one(&Settings { evidence_max: 3, ..settings() });
    shards.admit(&span(0, 1));
    shards.admit(&span(1, 2));
    shards.admit(&child(2, 2));
    shards.admit(&child(3, 2));

    assert_eq!((shards.only().trace, shards.only().closed), (Some(trace(1)), Some(Closed::Full)));
}

#[test]
fn a_full_journey_counts_what_it_loses() {
    let mut shards = Shards::one(&Settings { journey_evidence_max: 2, ..settings() });
    for place in 0..5 {
        shards.admit(&span(place, 1));
    }
    shards.drain();

    assert_eq!((shards.only().evidence.len(), shards.only().truncated), (2, 3));
    let place = Place { batch: Position(2), offset: 3 };
    assert_eq!(shards.out.lost[0], (place, Kind::Server, Reason::JourneyFull));
}

#[test]
fn a_journey_counts_the_keys_that_it_does_not_publish() {
    let mut shards = Shards::one(&Settings { journey_keys_max: 1, ..settings() });
    shards.admit(&span(0, 1).with_request(1));
    shards.admit(&child(1, 1).with_request(2));
    shards.drain_round();
    assert_eq!(shards.held().bindings, 1);

    shards.drain();
    assert_eq!(shards.only().unbound, 1);
}

#[test]
fn too_much_waiting_evidence_decides_the_oldest_early() {
    let mut shards = Shards::one(&Settings { waiting_max: 2, ..settings() });
    for id in 1..=3 {
        shards.admit(&access(u64::from(id), id));
    }
    assert_eq!((shards.held().waiting, shards.held().journeys), (2, 1));
    assert_eq!(shards.tables[0].find_request(request(1)), Some(Home::Request(request(1)).id()));
}

#[test]
fn one_binding_too_many_forgets_the_oldest() {
    let mut shards = Shards::one(&Settings { bindings_max: 2, ..settings() });
    for id in 1..=3 {
        shards.admit(&span(u64::from(id), id).with_request(id));
    }
    let find = |id| shards.tables[0].find_request(request(id));
    assert_eq!((find(1), find(3)), (None, Some(trace(3).into())));
    assert_eq!(shards.out.forgotten, Forgotten { bindings_full: 1, key_full: 0 });
}

#[test]
fn bindings_are_counted_as_forgotten_only_when_a_bound_was_reached() {
    let mut shards = Shards::one(&Settings { bindings_max: 2, ..settings() });
    shards.admit(&span(1, 1).with_request(1));
    // Seen again, in the same journey; then forgotten because it is old.
    shards.admit(&child(2, 1).with_request(1));
    shards.pass_seconds(1_000);
    shards.admit(&span(3, 2).with_request(2));
    shards.admit(&span(4, 3).with_request(3));
    shards.drain();
    assert_eq!((shards.held().bindings, shards.out.forgotten), (0, Forgotten::default()));
}

/// A binding that its key had no room for is still named in the order of all.
#[test]
fn a_binding_is_forgotten_once_and_for_one_reason() {
    let bounds = Settings { bindings_max: 2, key_bindings_max: 1, ..settings() };
    let mut shards = Shards::one(&bounds);
    for id in 1..=3 {
        shards.admit(&span(u64::from(id), id).with_sockets(1));
    }
    assert_eq!(shards.held().bindings, 1);
    assert_eq!(shards.out.forgotten, Forgotten { bindings_full: 0, key_full: 2 });
}

#[test]
fn a_connection_keeps_its_latest_bindings() {
    let mut shards = Shards::one(&Settings { key_bindings_max: 1, ..settings() });
    shards.admit(&span(0, 1).with_sockets(1));
    shards.admit(&span(1, 2).with_sockets(1));
    shards.admit(&flow(2, 1, 0));
    shards.pass_seconds(10);

    assert_eq!(places(&shards.journeys()[&JourneyId::from(trace(2))]), [1, 2]);
    assert_eq!(shards.out.forgotten, Forgotten { bindings_full: 0, key_full: 1 });
}

#[test]
fn a_span_that_was_sent_twice_is_there_once() {
    let mut shards = Shards::one(&settings());
    let mut again = span(0, 1);
    again.place.batch = Position(5);
    shards.admit(&again);
    shards.admit(&span(0, 1));
    shards.drain();

    let journey = shards.only();
    assert_eq!((places(&journey), journey.duplicates, journey.fresh().count()), (vec![0], 1, 2));
    assert_eq!((journey.weight(), journey.evidence.capacity()), (1 + 4 + 1, 1));
}

/// A Collector between may have dropped its events.
#[test]
fn a_span_that_was_sent_without_its_words_too_is_there_with_them() {
    for first in [0, 1] {
        let mut shards = Shards::one(&settings());
        for place in [first, 1 - first] {
            let mut span = span(place, 1);
            (span.facts.span, span.facts.start) = (SpanId::from_slice(&[9; 8]), Nanos(DAY));
            span.facts.worded = place == 1;
            shards.admit(&span);
        }
        shards.drain();

        let journey = shards.only();
        assert_eq!(
            (places(&journey), journey.duplicates, journey.fresh().count()),
            (vec![1], 1, 2)
        );
    }
}

#[test]
fn log_records_that_say_the_same_are_two() {
    let mut shards = Shards::one(&settings());
    for place in 0..2 {
        let mut log = evidence(place, Kind::Log, 0);
        log.keys.trace = Some(trace(1));
        shards.admit(&log);
    }
    shards.drain();

    assert_eq!((places(&shards.only()), shards.only().duplicates), (vec![0, 1], 0));
}

#[test]
fn an_open_journey_is_found_by_its_id_and_by_its_request() {
    let mut shards = Shards::one(&settings());
    shards.admit(&span(0, 1).with_request(1));

    let table = &shards.tables[0];
    let id = table.find_request(request(1)).unwrap();
    let found = table.find(id).unwrap();
    assert_eq!((found.trace, found.closed, places(&found)), (Some(trace(1)), None, vec![0]));
}

#[test]
fn a_closed_journey_is_found_until_it_is_forgotten() {
    let mut shards = Shards::one(&settings());
    shards.admit(&span(0, 1));
    shards.pass_seconds(10);
    let find = |shards: &Shards| shards.tables[0].find(trace(1).into());
    assert_eq!(find(&shards).unwrap().closed, Some(Closed::Quiet));

    shards.pass_seconds(700);
    assert_eq!(find(&shards), None);
}

#[test]
fn draining_decides_requests_before_sockets_on_any_number_of_shards() {
    for count in 1..5 {
        let mut shards = Shards::new(&settings(), count);
        shards.admit(&flow(0, 1, 0));
        shards.admit(&access(1, 1).with_sockets(1));
        shards.admit(&span(2, 1).with_request(1));
        shards.drain();

        assert_eq!((places(&shards.only()), shards.only().revision), (vec![0, 1, 2], 0));
        assert_eq!(shards.held(), Held::default());
    }
}

#[test]
fn a_clock_that_steps_back_is_ignored() {
    let mut shards = Shards::one(&settings());
    shards.at(10_000, &span(0, 1));
    let mut out = Out::default();
    shards.tables[0].admit(&span(1, 2), Nanos(5), &mut out);
    shards.pass_until(DAY + 11_500 * MS);

    assert_eq!(shards.out.closed, []);
}

#[test]
fn ten_evidence_in_a_journey_cost_less_than_128_bytes_each() {
    let mut table = Table::new(
        Settings { evidence_max: 1 << 24, journeys_max: 1 << 24, ..settings() },
        Shard { index: 0, count: 1 },
    );
    let (journeys, mut out) = (20_000_u32, Out::default());
    for number in 0..journeys * 10 {
        let mut span = child(u64::from(number), 1).with_request(1).with_sockets(2);
        let id = u128::from(number % journeys + 1).to_be_bytes();
        span.keys.trace = TraceId::from_slice(&id);
        table.admit(&span, Nanos(DAY + u64::from(number) * 1000), &mut out);
    }
    let held = table.held();
    assert_eq!((held.evidence, held.journeys), (200_000, 20_000));
    let each = table.open.bytes() / held.evidence;
    println!("{each} bytes per evidence");
    assert!(each <= 128, "{each}");
}
