use proptest::prelude::*;

use super::{Hop, Sides, hops};
use crate::evidence::{
    Facts, Kind, Method, Nanos, Outcome, Place, Position, SpanId, Symbol, Symbols, TraceId,
};
use crate::join::{Home, Journey};

const MS: u64 = 1_000_000;

/// The names that a test speaks of, and the evidence it lays out.
struct World {
    symbols: Symbols,
    evidence: Vec<(Facts, Place)>,
}

impl World {
    fn new() -> Self {
        Self { symbols: Symbols::new(1000), evidence: Vec::new() }
    }

    fn name(&self, text: &str) -> Symbol {
        self.symbols.intern(text)
    }

    /// A span of a service, on a node of the same name, in milliseconds.
    fn facts(&self, service: &str, kind: Kind, from: u64, to: u64) -> Facts {
        let origin = crate::evidence::Origin {
            service: self.name(service),
            node: self.name(service),
            version: self.name(&format!("{service} v1")),
            ..Default::default()
        };
        Facts {
            start: Nanos(from * MS),
            duration_ns: (to - from) * MS,
            origin: self.symbols.intern_origin(origin),
            kind,
            ..Facts::default()
        }
    }

    fn add(&mut self, facts: Facts) {
        let place = Place { batch: Position(self.evidence.len() as u64), offset: 0 };
        self.evidence.push((facts, place));
    }

    fn hops(&self) -> Vec<Hop> {
        hops(&journey(self.evidence.clone()), &self.symbols)
    }

    fn only(&self) -> Hop {
        let hops = self.hops();
        assert_eq!(hops.len(), 1, "{hops:#?}");
        hops[0].clone()
    }
}

fn journey(evidence: Vec<(Facts, Place)>) -> Journey {
    Journey::new(Home::Trace(TraceId::from_slice(&[1; 16]).unwrap()), evidence)
}

fn id(number: u8) -> Option<SpanId> {
    SpanId::from_slice(&[number; 8])
}

/// The shop calls the cart, whose clock is an hour ahead.
fn call(world: &mut World) {
    let hour = 3_600_000;
    let client = world.facts("shop", Kind::Client, 0, 100);
    let server = world.facts("cart", Kind::Server, hour, hour + 70);
    world.add(Facts { span: id(1), route: world.name("/cart"), ..client });
    world.add(Facts { span: id(2), parent: id(1), status: 200, ..server });
}

#[test]
fn a_client_span_and_the_server_span_below_it_are_one_hop() {
    let mut world = World::new();
    call(&mut world);

    let hop = world.only();
    assert_eq!((hop.caller, hop.callee), (world.name("shop"), world.name("cart")));
    assert_eq!((hop.version, hop.route), (world.name("cart v1"), world.name("/cart")));
    assert_eq!((hop.caller_span, hop.callee_span), (id(1), id(2)));
    assert_eq!((hop.sides, hop.status, hop.evidence), (Sides::Both, 200, 2));
}

#[test]
fn the_network_part_is_what_the_caller_waited_beyond_the_callee() {
    let mut world = World::new();
    call(&mut world);

    let hop = world.only();
    assert_eq!((hop.start, hop.total_ns), (Nanos(0), 100 * MS));
    assert_eq!((hop.network_ns, hop.server_ns), (Some(30 * MS), Some(70 * MS)));
}

#[test]
fn a_callee_that_outlasts_its_caller_leaves_no_network_part() {
    let mut world = World::new();
    let (client, server) =
        (world.facts("shop", Kind::Client, 0, 10), world.facts("cart", Kind::Server, 0, 70));
    world.add(Facts { span: id(1), ..client });
    world.add(Facts { span: id(2), parent: id(1), ..server });

    assert_eq!(world.only().network_ns, Some(0));
}

#[test]
fn both_sides_of_a_call_may_share_one_span_id() {
    let mut world = World::new();
    let (client, server) =
        (world.facts("shop", Kind::Client, 0, 10), world.facts("cart", Kind::Server, 2, 8));
    world.add(Facts { span: id(1), ..client });
    world.add(Facts { span: id(1), ..server });

    assert_eq!((world.only().sides, world.only().network_ns), (Sides::Both, Some(4 * MS)));
}

#[test]
fn a_root_is_a_hop_that_only_the_callee_saw() {
    let mut world = World::new();
    let server = world.facts("shop", Kind::Server, 0, 10);
    world.add(Facts { span: id(1), ..server });

    let hop = world.only();
    assert_eq!(
        (hop.sides, hop.caller, hop.callee),
        (Sides::Callee, Symbol::NONE, world.name("shop"))
    );
}

#[test]
fn a_client_span_alone_calls_whom_it_names() {
    let mut world = World::new();
    let client = world.facts("shop", Kind::Client, 0, 10);
    world.add(Facts { span: id(1), peer: world.name("redis"), ..client });

    let hop = world.only();
    assert_eq!((hop.sides, hop.callee, hop.server_ns), (Sides::Caller, world.name("redis"), None));
}

#[test]
fn a_message_is_not_waited_for() {
    let mut world = World::new();
    let (producer, consumer) =
        (world.facts("shop", Kind::Producer, 0, 1), world.facts("mail", Kind::Consumer, 500, 600));
    world.add(Facts { span: id(1), ..producer });
    world.add(Facts { span: id(2), parent: id(1), ..consumer });

    let hop = world.only();
    assert_eq!((hop.sides, hop.total_ns, hop.network_ns), (Sides::Both, 100 * MS, None));
}

#[test]
fn each_attempt_below_one_client_span_is_a_hop() {
    let mut world = World::new();
    call(&mut world);
    let second = world.facts("cart", Kind::Server, 50, 60);
    world.add(Facts { span: id(3), parent: id(1), ..second });

    let hops = world.hops();
    assert_eq!(hops.len(), 2);
    assert!(hops.iter().all(|hop| hop.sides == Sides::Both && hop.network_ns.is_none()));
    assert_eq!(hops[0].total_ns + hops[1].total_ns, 80 * MS);
}

#[test]
fn the_side_that_saw_it_end_worst_tells_how() {
    let mut world = World::new();
    let (client, server) =
        (world.facts("shop", Kind::Client, 0, 10), world.facts("cart", Kind::Server, 2, 8));
    let (outcome, detail) = (Outcome::Dropped, world.name("timeout"));
    world.add(Facts { span: id(1), outcome, detail, ..client });
    let outcome = Outcome::Success;
    world.add(Facts { span: id(2), parent: id(1), outcome, status: 200, ..server });

    let hop = world.only();
    assert_eq!((hop.outcome, hop.status, hop.detail), (Outcome::Dropped, 0, detail));
}

#[test]
fn self_time_leaves_out_the_union_of_the_children() {
    let mut world = World::new();
    let server = world.facts("cart", Kind::Server, 0, 100);
    world.add(Facts { span: id(1), ..server });
    // Two overlap, one hangs over the end: 10 to 40 and 90 to 100.
    for (number, from, to) in [(2, 10, 30), (3, 20, 40), (4, 90, 150)] {
        let child = world.facts("cart", Kind::Client, from, to);
        world.add(Facts { span: id(number), parent: id(1), ..child });
    }

    let server = world.hops().into_iter().find(|hop| hop.sides == Sides::Callee).unwrap();
    assert_eq!(server.self_ns, Some(60 * MS));
}

#[test]
fn self_time_counts_no_grandchildren() {
    let mut world = World::new();
    for (number, parent, kind, to) in
        [(1, 9, Kind::Server, 100), (2, 1, Kind::Internal, 10), (3, 2, Kind::Internal, 90)]
    {
        let facts = world.facts("cart", kind, 0, to);
        world.add(Facts { span: id(number), parent: id(parent), ..facts });
    }
    assert_eq!(world.only().self_ns, Some(90 * MS));
}

#[test]
fn self_time_is_unknown_below_another_clock() {
    let mut world = World::new();
    let (server, below) =
        (world.facts("shop", Kind::Server, 0, 100), world.facts("cart", Kind::Server, 10, 20));
    world.add(Facts { span: id(1), ..server });
    world.add(Facts { span: id(2), parent: id(1), ..below });

    let hops = world.hops();
    assert_eq!((hops[0].self_ns, hops[1].self_ns), (None, Some(10 * MS)));
    assert_eq!((hops[1].sides, hops[1].caller), (Sides::Callee, world.name("shop")));
}

#[test]
fn an_access_log_entry_refines_the_hop_of_its_span() {
    let mut world = World::new();
    call(&mut world);
    let access = world.facts("envoy", Kind::Access, 0, 90);
    let (outcome, detail) = (Outcome::ServerError, world.name("UF"));
    let access = Facts { span: id(2), upstream_us: 80_000, status: 503, outcome, detail, ..access };
    world.add(access);

    let hop = world.only();
    assert_eq!((hop.status, hop.detail, hop.evidence), (503, detail, 3));
    assert_eq!((hop.proxy_ns, hop.sides), (Some(10 * MS), Sides::Both));
}

#[test]
fn an_access_log_entry_without_a_span_is_a_hop_of_the_proxy() {
    let mut world = World::new();
    let access = world.facts("gateway", Kind::Access, 0, 90);
    let (peer, method) = (world.name("cart"), Method::Post);
    world.add(Facts { span: id(7), upstream_us: 80_000, peer, method, ..access });

    let hop = world.only();
    assert_eq!((hop.sides, hop.method), (Sides::Proxy, Method::Post));
    assert_eq!((hop.caller, hop.callee), (world.name("gateway"), world.name("cart")));
    assert_eq!((hop.server_ns, hop.proxy_ns), (Some(80 * MS), Some(10 * MS)));
}

#[test]
fn a_local_reply_has_no_upstream_part() {
    let mut world = World::new();
    let access = world.facts("gateway", Kind::Access, 0, 90);
    world.add(access);

    assert_eq!((world.only().server_ns, world.only().proxy_ns), (None, None));
}

#[test]
fn a_log_record_counts_for_the_hop_of_its_span() {
    let mut world = World::new();
    call(&mut world);
    let log = world.facts("cart", Kind::Log, 5, 5);
    world.add(Facts { span: id(2), ..log });

    assert_eq!(world.only().evidence, 3);
}

#[test]
fn a_span_that_is_its_own_parent_is_a_hop_like_any() {
    let mut world = World::new();
    let server = world.facts("cart", Kind::Server, 0, 10);
    world.add(Facts { span: id(1), parent: id(1), ..server });

    assert_eq!((world.only().sides, world.only().self_ns), (Sides::Callee, Some(10 * MS)));
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let kinds = prop::sample::select(vec![
        Kind::Internal,
        Kind::Server,
        Kind::Client,
        Kind::Producer,
        Kind::Consumer,
        Kind::Log,
        Kind::Access,
    ]);
    let ids = (0_u8..7, 0_u8..7);
    let times = (any::<u64>(), any::<u64>(), any::<u32>());
    (kinds, ids, times, 0_u16..600).prop_map(|(kind, (span, parent), times, status)| Facts {
        start: Nanos(times.0),
        duration_ns: times.1,
        upstream_us: times.2,
        span: id(span),
        parent: id(parent),
        kind,
        status,
        ..Facts::default()
    })
}

proptest! {
    #[test]
    fn hops_do_not_depend_on_the_order_of_the_evidence(
        facts in prop::collection::vec(any_facts(), 1..30).prop_shuffle(),
    ) {
        let symbols = Symbols::new(10);
        let numbered = (0_u64..).zip(facts);
        let mut evidence: Vec<_> = numbered
            .map(|(at, facts)| (facts, Place { batch: Position(at), offset: 0 }))
            .collect();
        let there = hops(&journey(evidence.clone()), &symbols);
        evidence.reverse();

        prop_assert_eq!(hops(&journey(evidence), &symbols), there);
    }

    #[test]
    fn every_incoming_span_is_in_one_hop_and_no_part_outlasts_the_whole(
        facts in prop::collection::vec(any_facts(), 1..30),
    ) {
        let symbols = Symbols::new(10);
        let numbered = (0_u64..).zip(facts);
        let evidence = numbered.map(|(at, facts)| (facts, Place { batch: Position(at), offset: 0 }));
        let journey = journey(evidence.collect());
        let hops = hops(&journey, &symbols);

        let incoming = |kind| matches!(kind, Kind::Server | Kind::Consumer);
        let spans = journey.evidence.iter().filter(|(facts, _)| incoming(facts.kind)).count();
        let seen = |hop: &&Hop| matches!(hop.sides, Sides::Both | Sides::Callee);
        prop_assert_eq!(hops.iter().filter(seen).count(), spans);
        for hop in &hops {
            prop_assert!(hop.self_ns.unwrap_or(0) <= hop.server_ns.unwrap_or(u64::MAX));
            prop_assert!(hop.network_ns.unwrap_or(0) <= hop.total_ns);
        }
    }
}
