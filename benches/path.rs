//! The whole path of a span without sockets and disks, and where its time goes.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark may panic, prints, and reads the clock"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hopline::evidence::{Evidence, Nanos, Position, Signal, Symbols};
use hopline::join::{Out, Settings, Shard, Table, hops};
use hopline::limit::Interner;
use hopline::measure::{Crossing, Hops};
use hopline::normalize;
use hopline::redact::Policy;
use prost::Message as _;

#[path = "support/policy.rs"]
mod policy;
#[path = "support/requests.rs"]
mod requests;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SPANS: usize = 1000;
/// Until the first journeys close, the path does less than it does later.
const WARM: u64 = 100;
const MEASURED: u64 = 300;

const STAGES: [&str; 7] =
    ["redact", "normalize, limit", "join: admit", "join: expire", "hops", "measure", "free"];

fn main() {
    let mut path = Path::new();
    for seed in 0..WARM {
        path.batch(&request(seed), seed);
    }
    (path.spent, path.crossed) = (Default::default(), 0);
    for seed in WARM..WARM + MEASURED {
        path.batch(&request(seed), seed);
    }
    report(&path);
}

/// Made outside the measured time, as no two batches may have the same ids.
fn request(seed: u64) -> Bytes {
    Bytes::from(requests::traces(SPANS, seed).encode_to_vec())
}

/// One shard, with all that stands before and behind it.
struct Path {
    policy: Policy,
    symbols: Arc<Symbols>,
    interner: Interner,
    table: Table,
    measures: Hops,
    out: Out,
    evidence: Vec<Evidence>,
    /// Time in each stage.
    spent: [Duration; STAGES.len()],
    crossed: usize,
}

impl Path {
    fn new() -> Self {
        let symbols = Arc::new(Symbols::new(100_000));
        Self {
            policy: policy::policy(),
            interner: Interner::new(Arc::clone(&symbols)),
            symbols,
            table: Table::new(bounds(), Shard { index: 0, count: 1 }),
            measures: Hops::new(hopline::measure::Settings::default()),
            out: Out::default(),
            evidence: Vec::new(),
            spent: Default::default(),
            crossed: 0,
        }
    }

    fn batch(&mut self, bytes: &Bytes, seed: u64) {
        let now = Nanos(requests::START_NS + seed * requests::STEP_NS);
        let mut clock = Instant::now();
        let mut lap = |stage: usize| {
            self.spent[stage] += clock.elapsed();
            clock = Instant::now();
        };

        let (clean, _) = self.policy.clean(policy::head(), bytes).unwrap();
        lap(0);

        self.evidence.clear();
        normalize::observe(Signal::Traces, clean.bytes(), &mut |observed| {
            self.evidence.push(self.interner.evidence(observed, Position(seed)));
        })
        .unwrap();
        lap(1);

        for evidence in &self.evidence {
            self.table.admit(evidence, now, &mut self.out);
        }
        lap(2);
        self.table.expire(now, &mut self.out);
        lap(3);

        let hops: Vec<_> =
            self.out.closed.iter().flat_map(|journey| hops(journey, &self.symbols)).collect();
        lap(4);

        for hop in &hops {
            self.measures.record(&Crossing::from(hop), now);
        }
        lap(5);
        self.crossed += hops.len();
        drop(hops);
        self.out = Out::default();
        lap(6);
    }
}

fn bounds() -> Settings {
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

fn report(path: &Path) {
    let spans = MEASURED as f64 * SPANS as f64;
    let each = |spent: Duration| spent.as_secs_f64() * 1e6 / spans;
    println!("{MEASURED} batches of {SPANS} spans, {} crossings", path.crossed);
    for (stage, spent) in STAGES.iter().zip(path.spent) {
        println!("{stage:>18}: {:.3} us a span", each(spent));
    }
    let all = path.spent.iter().sum();
    println!(
        "{:>18}: {:.3} us a span, {:.0} spans per CPU-second",
        "all",
        each(all),
        1e6 / each(all)
    );
}
