//! Plays the story in real time: begins requests when they are due, sends evidence once it has
//! happened.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::time::{Instant, timeout};

use super::batch::{self, BACKLOG_MAX, Backlog};
use super::cast::Witness;
use super::draw::Draw;
use super::meter::Meter;
use super::send::{Sender, Service};
use super::shop::{Shop, What};
use super::story::{self, Fault};
use super::{Error, Options, Summary};
use crate::evidence::Nanos;

/// Above this the machine that plays becomes the story.
const RATE_MAX: f64 = 10_000.0;
/// How often evidence is sent.
const TICK: Duration = Duration::from_millis(200);
/// How often metrics are sent.
const REPORT: Duration = Duration::from_secs(5);
/// How long sending what is left may take.
const GRACE: Duration = Duration::from_secs(5);
/// Items in one request at most, as the SDKs have it.
const BATCH_MAX: usize = 512;

/// See [`super::run`].
pub(crate) async fn run(
    options: Options,
    stop: impl Future<Output = ()> + Send,
) -> Result<Summary, Error> {
    if !(options.rate > 0.0 && options.rate <= RATE_MAX) {
        return Err(Error::Rate { max: RATE_MAX, got: options.rate });
    }
    let sender = Sender::connect(&options).await?;
    let mut player = Player::new(&options, sender, BACKLOG_MAX);
    let stopped = AtomicBool::new(false);
    {
        let mut play = pin!(player.play(&stopped));
        tokio::select! {
            () = &mut play => {}
            () = stop => {
                stopped.store(true, Ordering::Relaxed);
                // What is on its way may arrive.
                let _in_time = timeout(GRACE, play).await;
            }
        }
    }
    // Past the grace, what is on its way and what is still held is lost, and counted so.
    let _in_time = timeout(GRACE, player.finish()).await;
    Ok(player.summary())
}

struct Player {
    start: Nanos,
    began: Instant,
    /// When the last request may begin.
    until: Option<Nanos>,
    rate: f64,
    /// Apart from the shop's own draws, so that a skipped request shifts no arrival.
    arrivals: Draw,
    next_request: Nanos,
    next_report: Nanos,
    shop: Shop,
    meter: Meter,
    backlog: Backlog,
    sender: Sender,
    summary: Summary,
}

/// What is due, sorted by how it is sent.
#[derive(Default)]
struct Due {
    spans: Vec<(Witness, Span)>,
    logs: Vec<(Witness, LogRecord)>,
    flows: Vec<String>,
}

impl Player {
    fn new(options: &Options, sender: Sender, capacity: usize) -> Self {
        let start = options.start;
        Self {
            start,
            began: Instant::now(),
            until: options.duration.map(|duration| start.after(duration)),
            rate: options.rate,
            arrivals: Draw::new(options.seed ^ 1),
            next_request: start,
            next_report: start.after(REPORT),
            shop: Shop::new(options.seed, start),
            meter: Meter::new(options.seed ^ 2, start),
            backlog: Backlog::new(capacity),
            sender,
            summary: Summary::default(),
        }
    }

    /// Until it is stopped, or the time is over and all of it has happened and was sent.
    async fn play(&mut self, stopped: &AtomicBool) {
        loop {
            let now = self.start.after(self.began.elapsed());
            self.invite(now);
            self.deliver(now).await;
            if now >= self.next_report {
                self.report(now).await;
            }
            let over = self.until.is_some_and(|until| now >= until) && self.backlog.len() == 0;
            if over || stopped.load(Ordering::Relaxed) {
                return;
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Sends all that is held, even what would only have been complete a little later.
    async fn finish(&mut self) {
        self.deliver(Nanos(u64::MAX)).await;
        self.report(self.start.after(self.began.elapsed())).await;
    }

    fn summary(self) -> Summary {
        let lost = self.summary.lost + self.backlog.len() as u64;
        Summary { lost, ..self.summary }
    }

    /// Begins the requests that are due.
    fn invite(&mut self, now: Nanos) {
        let end = self.until.map_or(now, |until| now.min(until));
        while self.next_request < end {
            if self.backlog.is_full() {
                self.summary.skipped += 1;
            } else {
                let visit = self.shop.visit(self.next_request);
                self.summary.requests += 1;
                if let Some(fault) = visit.fault {
                    *self.summary.faults.entry(fault).or_default() += 1;
                }
                self.backlog.add(visit.seen);
            }
            self.next_request = self.next_request.after(self.arrivals.arrival(self.rate));
        }
    }

    async fn deliver(&mut self, now: Nanos) {
        loop {
            let mut due = self.due(now);
            if due.len() == 0 {
                return;
            }
            // Lost until it is taken: this may be stopped at any `await`.
            self.summary.lost += due.len();
            self.send(&mut due).await;
        }
    }

    /// At most one batch of everything that has happened by now.
    fn due(&mut self, now: Nanos) -> Due {
        let mut due = Due::default();
        while due.has_room() {
            let Some(seen) = self.backlog.next(now) else { break };
            match seen.what {
                What::Span(span) => due.spans.push((seen.by, *span)),
                What::Log(record) => due.logs.push((seen.by, *record)),
                What::Flow(line) if self.sender.wants_flows() => due.flows.push(line),
                What::Flow(_) => {}
                What::Served(served) => self.meter.count(seen.at, seen.by, served),
            }
        }
        due
    }

    async fn send(&mut self, due: &mut Due) {
        let Self { sender, shop, summary, .. } = self;
        let (spans, logs) = (std::mem::take(&mut due.spans), std::mem::take(&mut due.logs));
        if !spans.is_empty() {
            let count = spans.len() as u64;
            let request = batch::traces(shop.cast(), spans);
            let taken = sender.export(Service::Traces, &request, count).await;
            summary.spans += taken;
            summary.lost -= taken;
        }
        if !logs.is_empty() {
            let count = logs.len() as u64;
            let request = batch::logs(shop.cast(), logs);
            let taken = sender.export(Service::Logs, &request, count).await;
            summary.logs += taken;
            summary.lost -= taken;
        }
        if !due.flows.is_empty() {
            let taken = sender.post(&due.flows).await;
            summary.flows += taken;
            summary.lost -= taken;
        }
    }

    async fn report(&mut self, now: Nanos) {
        self.next_report = now.after(REPORT);
        let fault = story::fault_at(now.since(self.start));
        let (resource_metrics, points) = self.meter.report(now, self.shop.cast(), fault);
        self.summary.lost += points;
        let request = ExportMetricsServiceRequest { resource_metrics };
        let taken = self.sender.export(Service::Metrics, &request, points).await;
        self.summary.points += taken;
        self.summary.lost -= taken;
        let Summary { requests, spans, logs, lost, .. } = self.summary;
        tracing::info!(requests, spans, logs, lost, fault = fault.map(Fault::name), "playing");
    }
}

impl Due {
    fn len(&self) -> u64 {
        (self.spans.len() + self.logs.len() + self.flows.len()) as u64
    }

    fn has_room(&self) -> bool {
        let longest = self.spans.len().max(self.logs.len()).max(self.flows.len());
        longest < BATCH_MAX
    }
}

#[cfg(test)]
mod tests;
