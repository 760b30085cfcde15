//! How many facts one shard joins per second, with 100,000 journeys open.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hopline::evidence::{
    Evidence, Facts, Keys, Kind, Nanos, Place, Position, RequestKey, SocketKey, SpanId, Symbols,
    TraceId,
};
use hopline::join::{Out, Settings, Shard, Table, hops};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// One journey begins every 20 µs and closes after 2 s of quiet: 100,000 are open.
const STEP_NS: u64 = 20_000;
const OPEN: u64 = 100_000;
const PER_JOURNEY: u64 = 10;
/// Evidence of one journey comes so many journeys apart.
const APART: u64 = 1_000;

fn settings() -> Settings {
    Settings {
        quiet: Duration::from_secs(2),
        rootless: Duration::from_secs(30),
        longest: Duration::from_secs(60),
        weak_wait: Duration::from_secs(2),
        evidence_max: 6_000_000,
        journeys_max: 600_000,
        journey_evidence_max: 10_000,
        journey_keys_max: 256,
        waiting_max: 400_000,
        bindings_max: 1_000_000,
        key_bindings_max: 256,
        remembered_evidence_max: 400_000,
        remember: Duration::from_secs(600),
        socket_slack: Duration::from_millis(100),
    }
}

/// What each journey is made of beside its spans.
#[derive(Clone, Copy)]
enum Load {
    /// Ten spans.
    Traces,
    /// Eight spans, one of them with a request id and two socket pairs, an access-log entry that
    /// has only the request id, and a flow that has only a socket pair.
    Mixed,
}

/// A stream of evidence in simulated time.
struct Stream {
    table: Table,
    out: Out,
    load: Load,
    journey: u64,
    place: u64,
}

impl Stream {
    fn new(load: Load) -> Self {
        let table = Table::new(settings(), Shard { index: 0, count: 1 });
        Self { table, out: Out::default(), load, journey: 1, place: 0 }
    }

    /// Admits the evidence of one journey's worth, each of another journey, and looks at the clock
    /// as often as a pipeline would.
    fn step(&mut self) {
        let now = Nanos(1_700_000_000_000_000_000 + self.journey * STEP_NS);
        for part in 0..PER_JOURNEY {
            let journey = self.journey.saturating_sub(part * APART);
            if journey > 0 {
                let evidence = self.evidence(journey, part, now);
                self.table.admit(&evidence, now, &mut self.out);
            }
        }
        if self.journey.is_multiple_of(500) {
            self.table.expire(now, &mut self.out);
            black_box(&self.out);
            self.out = Out::default();
        }
        self.journey += 1;
    }

    fn evidence(&mut self, journey: u64, part: u64, now: Nanos) -> Evidence {
        self.place += 1;
        let scattered = journey.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let request = scattered.try_into().ok().map(RequestKey);
        let pair = |side: u64| scattered.rotate_left(7).wrapping_add(side).try_into().ok();
        let sockets = [pair(2).map(SocketKey), pair(4).map(SocketKey)];
        let id = (u128::from(scattered) << 64) | u128::from(journey);
        let traced = Keys { trace: TraceId::from_slice(&id.to_be_bytes()), ..Keys::default() };
        let (kind, keys) = match (self.load, part) {
            (Load::Mixed, 0) => (Kind::Server, Keys { request, sockets, ..traced }),
            (Load::Mixed, 8) => (Kind::Access, Keys { request, ..Keys::default() }),
            (Load::Mixed, 9) => (
                Kind::Flow,
                Keys { sockets: [sockets.first().copied().flatten(), None], ..Keys::default() },
            ),
            (_, part) if part.is_multiple_of(2) => (Kind::Server, traced),
            _ => (Kind::Client, traced),
        };
        let span = |part: u64| SpanId::from_slice(&(journey * 16 + part + 1).to_be_bytes());
        let facts = Facts {
            start: now,
            duration_ns: 1_000_000_000,
            span: span(part),
            parent: part.checked_sub(1).and_then(span),
            kind,
            ..Facts::default()
        };
        let place = Place { batch: Position(self.place / 1000), offset: 8 };
        Evidence { keys, facts, place }
    }

    fn warm(load: Load) -> Self {
        let mut stream = Self::new(load);
        for _ in 0..OPEN * 4 {
            stream.step();
        }
        stream
    }
}

fn join(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("join");
    let steps = 20_000;
    group.throughput(Throughput::Elements(steps * PER_JOURNEY)).sample_size(20);
    for (name, load) in [("traces", Load::Traces), ("mixed", Load::Mixed)] {
        let mut stream = Stream::warm(load);
        report(name, &stream.table);
        group.bench_function(name, |bench| {
            bench.iter(|| {
                for _ in 0..steps {
                    stream.step();
                }
            });
        });
    }
    group.finish();
}

fn read_hops(criterion: &mut Criterion) {
    let mut stream = Stream::new(Load::Traces);
    for _ in 0..20_000 {
        stream.step();
    }
    stream.table.expire(Nanos(u64::MAX), &mut stream.out);
    let (symbols, journeys) = (Symbols::new(10), &stream.out.closed);
    let mut group = criterion.benchmark_group("hops");
    let facts = journeys.iter().map(|journey| journey.evidence.len() as u64).sum();
    group.throughput(Throughput::Elements(facts)).sample_size(20);
    group.bench_function("journeys_of_ten", |bench| {
        bench.iter(|| {
            for journey in journeys {
                black_box(hops(journey, &symbols));
            }
        });
    });
    group.finish();
}

fn report(name: &str, table: &Table) {
    say(&format!("{name}: {:?}", table.held()));
}

#[expect(clippy::print_stdout, reason = "a benchmark reports to its caller")]
fn say(line: &str) {
    println!("{line}");
}

criterion_group!(benches, join, read_hops);
criterion_main!(benches);
