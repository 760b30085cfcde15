//! What waiting for the disk costs: the same callers append to a log that acknowledges with the
//! disk (`wal`) and to one that acknowledges with the kernel (`memory`), turn by turn.
//!
//! A consumer follows, and the log is trimmed as the gateway trims it, so that what is measured is
//! how a log that has been running for a while behaves. The directory is on the disk of the build
//! directory, or where `HOPLINE_BENCH_DIR` says.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a benchmark may panic, prints, and reads the clock"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hopline::evidence::Nanos;
use hopline::log::{Ack, Log, Settings};
use hopline::redact::Clean;
use prost::Message as _;

#[path = "support/policy.rs"]
mod policy;
#[path = "support/requests.rs"]
mod requests;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(1500);
/// As the gateway does.
const TICK: Duration = Duration::from_millis(250);

fn main() {
    let dir = std::env::var_os("HOPLINE_BENCH_DIR").map_or_else(|| "target".into(), PathBuf::from);
    for spans in [1000, 100] {
        let clean = clean(spans);
        for callers in [8, 64] {
            compare(&dir, &clean, spans, callers);
        }
    }
}

fn clean(spans: usize) -> Clean {
    let bytes = Bytes::from(requests::traces(spans, 1).encode_to_vec());
    policy::policy().clean(policy::head(), &bytes).unwrap().0
}

fn compare(dir: &Path, clean: &Clean, spans: usize, callers: usize) {
    let bytes = clean.bytes().len();
    println!("{callers} callers, batches of {spans} spans ({} KB)", bytes / 1000);
    let logs = [Ack::Wal, Ack::Memory].map(|ack| Running::start(dir, ack));
    let rounds: Vec<[f64; 2]> =
        (0..ROUNDS).map(|_| [0, 1].map(|which| logs[which].round(clean, callers))).collect();
    for (which, name) in ["wal", "memory"].into_iter().enumerate() {
        let rate = median(rounds.iter().map(|round| round[which]));
        println!("  {name:6} {:7.1} MB/s {rate:8.0} batches/s", rate * bytes as f64 / 1e6);
    }
    let ratios: Vec<f64> = rounds.iter().map(|round| round[0] / round[1]).collect();
    println!("  ratio wal / memory {:.2}, rounds {ratios:.2?}", median(ratios.iter().copied()));
}

/// A log with a consumer that has read all, trimmed in the background.
struct Running {
    _dir: tempfile::TempDir,
    log: Log,
    stop: Arc<AtomicBool>,
    trimmer: Option<thread::JoinHandle<()>>,
}

impl Running {
    fn start(dir: &Path, ack: Ack) -> Self {
        let dir = tempfile::tempdir_in(dir).unwrap();
        let log = Log::open(Settings {
            dir: dir.path().join("log"),
            segment_bytes: 64 << 20,
            bytes_max: 1 << 30,
            keep: Duration::ZERO,
            ack,
            packs: true,
            tail_bytes: 32 << 20,
            queue_bytes_max: 64 << 20,
        })
        .unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (followed, stopped) = (log.clone(), Arc::clone(&stop));
        let trimmer = thread::spawn(move || {
            let cursor = followed.cursor("export");
            while !stopped.load(Ordering::Relaxed) {
                thread::park_timeout(TICK);
                cursor.advance(followed.end());
                followed.trim(Nanos(u64::MAX));
            }
        });
        Self { _dir: dir, log, stop, trimmer: Some(trimmer) }
    }

    /// Batches acknowledged in a second.
    fn round(&self, clean: &Clean, callers: usize) -> f64 {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
        let done = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let (log, clean, done) = (self.log.clone(), clean.clone(), Arc::clone(&done));
                runtime.spawn(async move {
                    while start.elapsed() < ROUND {
                        // A full queue or log is asked again, as senders do.
                        match log.append(log.pack(&clean)).await {
                            Ok(_) => drop(done.fetch_add(1, Ordering::Relaxed)),
                            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            runtime.block_on(task).unwrap();
        }
        done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(trimmer) = self.trimmer.take() {
            trimmer.thread().unpark();
            trimmer.join().unwrap();
        }
        self.log.close();
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
