//! How many journeys a core indexes, and how long a question takes.
//!
//! `cargo bench --bench index -- 200000` indexes so many journeys of eight services and 600 bytes
//! of text each, with a commit every 20,000, and then asks.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::error::Error;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, fs};

use hopline::evidence::{JourneyId, Nanos};
use hopline::index::{Document, Searcher, Settings, Writer};
use hopline::query::{Ask, search};

const COMMIT_EVERY: u64 = 20_000;
const ROUNDS: usize = 100;
const IDS: u64 = 1000;
const SERVICES: [&str; 8] =
    ["frontend", "cart", "checkout", "payment", "shipping", "currency", "email", "catalog"];
const WORDS: [&str; 24] = [
    "request",
    "upstream",
    "connect",
    "timeout",
    "card_declined",
    "retry",
    "order",
    "placed",
    "charge",
    "GET",
    "POST",
    "cache",
    "miss",
    "user",
    "session",
    "expired",
    "database",
    "lock",
    "waiting",
    "shipped",
    "invoice",
    "failed",
    "denied",
    "reset",
];

fn main() -> Result<(), Box<dyn Error>> {
    let count = env::args().find_map(|arg| arg.parse().ok()).unwrap_or(200_000);
    let dir = tempfile::tempdir()?;
    let settings = Settings {
        dir: dir.path().to_owned(),
        bucket: Duration::from_secs(3600),
        keep: Duration::from_secs(24 * 3600),
        bytes_max: u64::MAX,
        memory: 50_000_000,
        text_bytes_max: 16 * 1024,
    };
    let documents: Vec<Document> = (0..COMMIT_EVERY).map(journey).collect();
    let source: usize = documents.iter().map(bytes).sum::<usize>() / documents.len();
    let (mut writer, searcher) = Writer::open(settings, Nanos(0))?;

    let (began, cpu) = (Instant::now(), cpu());
    let mut put = 0;
    while put < count {
        for document in &documents {
            // Fresh ids and times: everything else may repeat, as it does in life.
            let id = JourneyId(scatter(put));
            let document = Document { id, start: Nanos(put * 1_000_000), ..document.clone() };
            writer.put(&document, Nanos(0))?;
            put += 1;
        }
        writer.commit(Nanos(0), "")?;
    }
    report(put, source, began.elapsed(), self::cpu() - cpu);
    let status = searcher.status();
    println!("disk: {} bytes a journey", status.bytes / status.docs.max(1));
    ask(&searcher, put)
}

fn report(put: u64, source: usize, wall: Duration, cpu: Duration) {
    let puts = Duration::from_secs(put);
    let (per_wall, per_cpu) = (puts.div_duration_f64(wall), puts.div_duration_f64(cpu));
    let megabytes = f64::from(u32::try_from(source).unwrap_or(u32::MAX)) / 1e6;
    println!("put and commit: {put} journeys of {source} bytes in {wall:.1?}, {cpu:.1?} of CPU");
    println!("  {per_wall:.0} journeys/s, {:.1} MB/s", per_wall * megabytes);
    println!("  {per_cpu:.0} journeys/CPU-s, {:.1} MB/CPU-s", per_cpu * megabytes);
}

fn ask(searcher: &Searcher, put: u64) -> Result<(), Box<dyn Error>> {
    for q in [
        "",
        "svc:payment status:5xx",
        "failed:true -route:/none",
        "dur:>1s svc:cart",
        "card_declined",
        "\"upstream connect\"",
        "dec*",
        "nothinglikethis",
        "detail:*",
        "pod:*",
    ] {
        let mut took = Vec::new();
        for _ in 0..ROUNDS {
            let (from, to) = (Nanos(0), Nanos(u64::MAX));
            let ask = Ask { q: q.to_owned(), from, to, limit: 50, cursor: None };
            took.push(search(searcher, &ask)?.took);
        }
        show(q, took);
    }
    let mut took = Vec::new();
    for round in 0..put.min(IDS) {
        let id = JourneyId(scatter(put / put.min(IDS) * round));
        let began = Instant::now();
        searcher.get(id).ok_or("a journey is missing")?;
        took.push(began.elapsed());
    }
    show("get by id", took);
    Ok(())
}

fn show(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or_default();
    let worst = took.last().copied().unwrap_or_default();
    println!("{what:>28}: p50 {:.2?}, p99 {:.2?}, worst {worst:.2?}", at(50), at(99));
}

fn journey(at: u64) -> Document {
    let mut random = fastrand::Rng::with_seed(at);
    let mut text = String::new();
    while text.len() < 600 {
        let word = random.choice(WORDS).unwrap_or_default();
        let _ = write!(text, "{word} ");
        if random.u8(..) < 16 {
            let _ = write!(text, "{:x} ", random.u32(..));
        }
    }
    let failed = random.u8(..) < 13;
    let one = |text: String| vec![Arc::<str>::from(text)];
    let pods = SERVICES.map(|service| format!("{service}-{}", random.u8(..6)).into());
    Document {
        requests: vec![random.u64(..)],
        duration_ns: random.u64(1_000_000..2_000_000_000),
        failed,
        outcome: if failed { "server_error" } else { "success" },
        statuses: vec![if failed { 503 } else { 200 }],
        evidence: 24,
        services: SERVICES.map(Arc::from).to_vec(),
        namespaces: one("shop".to_owned()),
        workloads: SERVICES.map(Arc::from).to_vec(),
        pods: pods.to_vec(),
        nodes: one(format!("node-{}", random.u8(..20))),
        zones: one(format!("eu-{}", random.u8(..3))),
        clusters: one("prod".to_owned()),
        versions: one(format!("1.{}", random.u8(..9))),
        routes: one(format!("/api/{}/{{id}}", random.u8(..40))),
        methods: one("GET".to_owned()),
        kinds: ["server", "client", "access", "log"].map(Arc::from).to_vec(),
        details: if failed { one("UF".to_owned()) } else { Vec::new() },
        text,
        stored: vec![b'x'; 300],
        ..Document::new(JourneyId(0))
    }
}

/// A different id for each number, as unlike each other as trace ids are.
fn scatter(number: u64) -> u128 {
    let spread = u128::from(number.wrapping_add(1)) * 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    spread ^ spread >> 47
}

fn bytes(document: &Document) -> usize {
    let values = [
        &document.services,
        &document.namespaces,
        &document.workloads,
        &document.pods,
        &document.nodes,
        &document.zones,
        &document.clusters,
        &document.versions,
        &document.routes,
        &document.methods,
        &document.kinds,
        &document.details,
    ];
    let values: usize = values.into_iter().flatten().map(|value| value.len()).sum();
    document.text.len() + document.stored.len() + values + 16 + 8 * 6
}

/// What all threads have used, from Linux's clock ticks; zero elsewhere.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace().skip(11).take(2);
    Duration::from_millis(fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10)
}
