//! Load: sends requests to a gateway, all of them different.
//!
//! In: a shape. Out: a tally. Closed loop: so many requests are on their way, the next begins when
//! one is answered. Open loop: requests begin when they are due, however late the answers come, and
//! their latency counts from when they were due.

mod bodies;
mod client;
mod logs;
mod metrics;
pub(crate) mod shop;
mod template;
mod traces;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

pub(crate) use bodies::{Bodies, Supply};
use client::{Answer, Client};

use crate::shape::{Pace, Shape};

/// Before a refused request is sent again.
const RETRY_AFTER: Duration = Duration::from_millis(20);
/// Whoever waits looks so often whether the load is over.
const STOP_AFTER: Duration = Duration::from_millis(100);
/// The largest latency that is told apart.
const LATENCY_MICROS_MAX: u64 = 120_000_000;

/// What was sent, and what became of it.
pub(crate) struct Tally {
    /// Items of requests that were begun.
    pub(crate) offered: AtomicU64,
    /// Items of requests that were answered with "done".
    pub(crate) accepted: AtomicU64,
    /// Requests answered with "retry later", each attempt.
    pub(crate) refused: AtomicU64,
    /// Attempts without an answer, or refused for good.
    pub(crate) failed: AtomicU64,
    /// The bodies ran out.
    pub(crate) is_over: AtomicBool,
    stop: AtomicBool,
    /// Microseconds until a request was accepted.
    latencies: Mutex<Histogram<u64>>,
    /// The next tick of an open loop.
    tick: AtomicU64,
}

/// What the workers of one load share.
struct Work {
    shape: Shape,
    address: String,
    supply: Supply,
    tally: Arc<Tally>,
    begin: Instant,
}

impl Tally {
    pub(crate) fn new() -> Self {
        let latencies = Histogram::new_with_bounds(1, LATENCY_MICROS_MAX, 2).unwrap();
        Self {
            offered: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            latencies: Mutex::new(latencies),
            tick: AtomicU64::new(0),
        }
    }

    /// No further request is begun; those on their way end.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// What came before does not count.
    pub(crate) fn forget_latencies(&self) {
        self.latencies.lock().unwrap().reset();
    }

    /// In milliseconds.
    pub(crate) fn latency(&self, quantile: f64) -> f64 {
        self.latencies.lock().unwrap().value_at_quantile(quantile) as f64 / 1e3
    }
}

/// Sends until the tally says stop or the bodies run out. Blocks: give it a thread.
pub(crate) fn drive(shape: Shape, address: &str, supply: Supply, tally: &Arc<Tally>) {
    let address = address.to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (tally, begin) = (Arc::clone(tally), Instant::now());
        let work = Arc::new(Work { shape, address, supply, tally, begin });
        let mut connections: Vec<Client> = Vec::new();
        for _ in 0..shape.connections {
            connections.extend(Client::connect(shape.protocol, &work.address).await);
        }
        let mut workers = JoinSet::new();
        for number in 0..shape.flight {
            let shared = connections.get(number % shape.connections).and_then(Client::share);
            workers.spawn(worker(Arc::clone(&work), shared));
        }
        workers.join_all().await;
    });
    tally.is_over.store(true, Ordering::Relaxed);
}

async fn worker(work: Arc<Work>, mut client: Option<Client>) {
    while !work.tally.stop.load(Ordering::Relaxed) {
        let due = work.due();
        if !work.is_due(due).await {
            return;
        }
        let Some(body) = work.supply.next() else { return };
        let items = work.shape.batch as u64;
        work.tally.offered.fetch_add(items, Ordering::Relaxed);
        if work.deliver(&mut client, &body).await {
            work.tally.accepted.fetch_add(items, Ordering::Relaxed);
            let took = u64::try_from(due.elapsed().as_micros()).unwrap();
            work.tally.latencies.lock().unwrap().saturating_record(took);
        }
    }
}

impl Work {
    /// When the next request is due: now, in a closed loop.
    fn due(&self) -> Instant {
        let Pace::Open(rate) = self.shape.pace else { return Instant::now() };
        let tick = self.tally.tick.fetch_add(1, Ordering::Relaxed);
        let micros = tick * self.shape.batch as u64 * 1_000_000 / rate;
        self.begin + Duration::from_micros(micros)
    }

    /// Waits for it; `false` when the load ends before. At a low rate that may be long.
    async fn is_due(&self, due: Instant) -> bool {
        while Instant::now() < due {
            if self.tally.stop.load(Ordering::Relaxed) {
                return false;
            }
            sleep_until(due.min(Instant::now() + STOP_AFTER)).await;
        }
        true
    }

    /// Sends until it is accepted; gives up at the end.
    async fn deliver(&self, client: &mut Option<Client>, body: &Bytes) -> bool {
        loop {
            if client.is_none() {
                *client = Client::connect(self.shape.protocol, &self.address).await;
            }
            let answer = match client {
                Some(client) => client.send(&self.shape, &self.address, body.clone()).await,
                None => Answer::Failed,
            };
            match answer {
                Answer::Accepted => return true,
                Answer::Refused => self.tally.refused.fetch_add(1, Ordering::Relaxed),
                Answer::Failed => {
                    *client = None;
                    self.tally.failed.fetch_add(1, Ordering::Relaxed)
                }
            };
            if self.tally.stop.load(Ordering::Relaxed) {
                return false;
            }
            sleep(RETRY_AFTER).await;
        }
    }
}
