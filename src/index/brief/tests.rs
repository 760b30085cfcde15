use proptest::prelude::*;

use super::*;
use crate::evidence::{Facts, Nanos, Origin, OriginId, Place, Position, SpanId, Symbols, TraceId};
use crate::index::{Entry, HopLine, OriginLine, PlaceLine, Summary};
use crate::join::{Home, Hop, Journey};
use crate::wire::write_varint;

const START: u64 = 1_790_000_000_000_000_000;
const ROOM: usize = 64 << 10;

/// A shop calls a bank, which fails, and a proxy saw it too.
struct Sample {
    symbols: Symbols,
    shop: OriginId,
    bank: OriginId,
}

impl Sample {
    fn new() -> Self {
        let symbols = Symbols::new(10_000);
        let name = |text| symbols.intern(text);
        let shop = Origin { service: name("shop"), pod: name("shop-1"), ..Origin::default() };
        let bank = Origin { service: name("bank"), version: name("2.1"), ..Origin::default() };
        let (shop, bank) = (symbols.intern_origin(shop), symbols.intern_origin(bank));
        Self { symbols, shop, bank }
    }

    fn facts(&self) -> [(Facts, Place); 3] {
        let span = |number: u64| SpanId::from_slice(&number.to_be_bytes());
        let root = Facts {
            start: Nanos(START),
            duration_ns: 9_000,
            span: span(1),
            origin: self.shop,
            route: self.symbols.intern("/pay"),
            status: 502,
            kind: Kind::Server,
            method: Method::Post,
            outcome: Outcome::ServerError,
            ..Facts::default()
        };
        let called = Facts {
            start: Nanos(START + 1_000),
            parent: span(1),
            span: span(2),
            origin: self.bank,
            marks: Marks::LATE.with(Marks::BOUND),
            ..root
        };
        let seen = Facts { kind: Kind::Access, span: span(3), origin: OriginId::NONE, ..called };
        let place = |batch, offset| Place { batch: Position(batch), offset };
        [(root, place(70_000, 12)), (called, place(70_000, 900)), (seen, place(60_000, 4))]
    }

    fn journey(&self) -> Journey {
        let trace = TraceId::from_hex("463ac35c9f6413ad").unwrap();
        let mut journey = Journey::new(Home::Trace(trace), self.facts().to_vec());
        (journey.revision, journey.truncated) = (2, 7);
        journey.closed = Some(Closed::Amended);
        journey
    }

    fn hop(&self) -> Hop {
        let name = |text| self.symbols.intern(text);
        Hop {
            caller: name("shop"),
            callee: name("bank"),
            route: name("/pay"),
            method: Method::Post,
            version: name("2.1"),
            detail: name("UC"),
            outcome: Outcome::Dropped,
            status: 503,
            start: Nanos(START - 5),
            total_ns: 8_000,
            network_ns: Some(3),
            server_ns: None,
            self_ns: Some(0),
            proxy_ns: None,
            sides: Sides::Proxy,
            caller_span: None,
            callee_span: None,
            evidence: 2,
        }
    }

    fn stored(&self, hops: &[Hop], bytes_max: usize) -> Vec<u8> {
        Brief::default().of(&self.journey(), hops, &self.symbols, bytes_max)
    }
}

fn line(pairs: &[(&str, &str)]) -> OriginLine {
    OriginLine(pairs.iter().map(|(key, name)| ((*key).to_owned(), (*name).to_owned())).collect())
}

fn expected() -> Summary {
    let owned = str::to_owned;
    let hop = HopLine {
        caller: owned("shop"),
        callee: owned("bank"),
        method: owned("POST"),
        route: owned("/pay"),
        version: owned("2.1"),
        outcome: owned("dropped"),
        status: 503,
        detail: owned("UC"),
        start_ns: START - 5,
        total_ns: 8_000,
        network_ns: Some(3),
        server_ns: None,
        self_ns: Some(0),
        proxy_ns: None,
        sides: owned("proxy"),
    };
    let place =
        |batch, offset, kind, origin, marks| PlaceLine { batch, offset, kind, origin, marks };
    Summary {
        id: owned("0000000000000000463ac35c9f6413ad"),
        trace_id: Some(owned("0000000000000000463ac35c9f6413ad")),
        start_ns: START,
        duration_ns: 9_000,
        outcome: owned("server_error"),
        failed: true,
        entry: Entry {
            service: owned("shop"),
            route: owned("/pay"),
            method: owned("POST"),
            status: 502,
        },
        services: vec![owned("bank"), owned("shop")],
        evidence: [(owned("server"), 2), (owned("access"), 1)].into(),
        ambiguous: 0,
        truncated: 7,
        revision: 2,
        closed: owned("amended"),
        hops: vec![hop],
        hops_omitted: 0,
        origins: vec![
            line(&[("service", "shop"), ("pod", "shop-1")]),
            line(&[("service", "bank"), ("version", "2.1")]),
            line(&[]),
        ],
        places: vec![
            place(70_000, 12, 1, 0, 0),
            place(70_000, 900, 1, 1, 6),
            place(60_000, 4, 6, 2, 6),
        ],
        places_omitted: 0,
    }
}

#[test]
fn what_was_written_is_read_again() {
    let sample = Sample::new();
    assert_eq!(read(&sample.stored(&[sample.hop()], ROOM)), Some(expected()));
}

/// Indexes live longer than the program that wrote them.
#[test]
fn what_an_earlier_version_has_stored_can_be_read() {
    const STORED: &str = concat!(
        "01060473686f70042f7061790462616e6b03322e310255430673686f702d31000000000000000046",
        "3ac35c9f6413ad018080cc9fc2f0d6eb18a84603010203f603000702060900020000000001000002",
        "010300010103020405030403f703fbffffffffffffffff01c03e0503000003f0a2040c0100000084",
        "07010106f0b1ffffffffffffff010406020603010000060000000003000000000000040000000000",
        "000000",
    );
    let pairs = STORED.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
    let bytes: Vec<_> = pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    assert_eq!(read(&bytes), Some(expected()));

    let json = serde_json::to_vec(&expected()).unwrap();
    assert_eq!(read(&json), Some(expected()));
}

#[test]
fn a_later_version_may_add_to_the_end() {
    let sample = Sample::new();
    let mut stored = sample.stored(&[sample.hop()], ROOM);
    stored.extend([200, 201, 202]);
    assert_eq!(read(&stored), Some(expected()));
}

#[test]
fn what_is_cut_anywhere_is_no_summary() {
    let sample = Sample::new();
    let stored = sample.stored(&[sample.hop()], ROOM);
    assert!((0..stored.len()).all(|end| read(&stored[..end]).is_none()));
}

/// Each of a thousand services would be a copy of it.
#[test]
fn a_name_that_is_longer_than_any_is_no_summary() {
    let sample = Sample::new();
    let stored = sample.stored(&[], ROOM);
    let long = Symbols::BYTES_MAX + 1;
    let mut changed = vec![FORMAT, stored[1] + 1];
    write_varint(&mut changed, u64::try_from(long).unwrap());
    changed.extend(vec![b'x'; long]);
    changed.extend(&stored[2..]);
    assert_eq!(read(&changed), None);
    assert_eq!(read(&vec![FORMAT; ROOM + 1]), None);
}

#[test]
fn a_summary_with_little_room_says_what_it_leaves_out() {
    let sample = Sample::new();
    let hops: Vec<_> = (0..60)
        .map(|at| Hop { route: sample.symbols.intern(&format!("/{at}")), ..sample.hop() })
        .collect();
    let fits = |bytes_max| {
        let stored = sample.stored(&hops, bytes_max);
        assert!(stored.len() <= bytes_max, "{} > {bytes_max}", stored.len());
        read(&stored).unwrap()
    };

    let less = fits(1_400);
    assert_eq!((less.hops.len(), less.hops_omitted), (30, 30));
    assert_eq!((less.places, less.origins), (expected().places, expected().origins));
    let least = fits(100);
    assert_eq!((least.hops_omitted, least.places_omitted), (60, 0));
    assert_eq!((least.services.len(), least.origins.len()), (2, 0));
}

/// Evidence of more origins than are listed has one that is none of them.
#[test]
fn many_hops_places_and_origins_have_a_bound() {
    let sample = Sample::new();
    let [(root, place), ..] = sample.facts();
    let evidence = (0..1_000_u32).map(|at| {
        let pod = sample.symbols.intern(&format!("pod-{}", at % 100));
        let origin = sample.symbols.intern_origin(Origin { pod, ..Origin::default() });
        let start = Nanos(START + u64::from(at));
        (Facts { origin, start, span: None, ..root }, Place { offset: at, ..place })
    });
    let journey = Journey::new(Home::Alone(place), evidence.collect());
    let hops = vec![sample.hop(); 100];

    let summary = Summary::new(&journey, &hops, &sample.symbols);

    assert_eq!((summary.hops.len(), summary.hops_omitted), (64, 36));
    assert_eq!((summary.places.len(), summary.places_omitted), (512, 488));
    assert_eq!((summary.origins.len(), summary.services.len()), (64, 0));
    let origins: Vec<_> = summary.places.iter().map(|place| usize::from(place.origin)).collect();
    assert_eq!((origins[63], origins[64], origins[99], origins[100]), (63, 64, 64, 0));
    assert_eq!(summary.trace_id, None);
}

#[test]
fn a_journey_without_anything_is_stored_too() {
    let journey = Journey::new(Home::Alone(Place::default()), Vec::new());
    let summary = Summary::new(&journey, &[], &Symbols::new(10));
    assert_eq!((&*summary.closed, &*summary.outcome), ("open", "unknown"));
    assert_eq!(summary.entry, Entry::default());
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _read = read(&bytes);
        let mut stored = vec![FORMAT];
        stored.extend(&bytes);
        let _read = read(&stored);
    }

    #[test]
    fn a_changed_byte_does_no_harm(at in 0_usize..200, byte in any::<u8>()) {
        let sample = Sample::new();
        let mut stored = sample.stored(&[sample.hop()], ROOM);
        let at = at % stored.len();
        stored[at] = byte;
        let _read = read(&stored);
    }
}
