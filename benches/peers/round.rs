//! One gateway after the other in front of the same load, in rounds.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::Outcome;
use crate::gateway::{Addresses, Gateway, Peer, Status, cpu_seconds_of, threads};
use crate::load::{self, Bodies, Tally};
use crate::options::Options;
use crate::report;
use crate::results::{self, Measured};
use crate::shape::{Pace, Shape};
use crate::sink::Sink;

/// Both sides are asked this often.
const STEP: Duration = Duration::from_millis(250);
/// A gateway that used less of a processor than this in a step had nothing to do.
const IDLE: f64 = 0.1;
/// At rest is who was idle for so long: longer than any window that evidence waits in, but for those
/// of a gateway that says itself whether it is done.
const REST: Duration = Duration::from_secs(3);
/// Who is idle is asked this often whether it is done.
const ASK: Duration = Duration::from_secs(1);
/// Who has not sent everything on waits for something, perhaps in vain.
const REST_MAX: Duration = Duration::from_secs(12);
const DRAIN_MAX: Duration = Duration::from_secs(120);
const STRAIGHT: Duration = Duration::from_secs(3);
/// The least time in which a ceiling is measured, and before it.
const CEILING: Duration = Duration::from_secs(3);

/// What all loads of a run share.
pub(crate) struct Stage {
    peers: Vec<Peer>,
    addresses: Addresses,
    sink: Sink,
    file: PathBuf,
    begin: Instant,
}

/// One load, and what stays the same from round to round.
struct Bench<'a> {
    stage: &'a Stage,
    options: &'a Options,
    shape: Shape,
    bodies: Arc<Bodies>,
}

/// What one gateway is to do in one round.
#[derive(Clone, Copy)]
struct Trial<'a> {
    case: &'a str,
    at: u64,
    round: u32,
    pace: Pace,
    warm: Duration,
    measured: Duration,
}

/// The state of things at one moment.
#[derive(Clone, Copy)]
struct Moment {
    at: Instant,
    gateway: f64,
    bench: f64,
    delivered: u64,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let stage = Stage::open(options)?;
    stage.run(options)?;
    stage.close();
    Ok(())
}

impl Stage {
    /// Installs the peers, and begins a file of results.
    pub(crate) fn open(options: &Options) -> Result<Self, Box<dyn Error>> {
        let peers: Vec<Peer> =
            options.peers.iter().map(|folder| Peer::read(folder)).collect::<Result<_, _>>()?;
        peers.iter().try_for_each(set_up)?;
        let addresses = Addresses::from(options.port);
        let Addresses { sink_grpc, sink_http, sink_control, .. } = &addresses;
        let sink = Sink::start(options.signals[0], [sink_grpc, sink_http, sink_control])?;
        let file = results::create(&options.results, since_1970()?.as_secs())?;
        Ok(Self { peers, addresses, sink, file, begin: Instant::now() })
    }

    /// Measures the peers, cases and loads of `options`, until its time is over.
    pub(crate) fn run(&self, options: &Options) -> Outcome {
        for shape in options.shapes() {
            if self.is_over(options) {
                break;
            }
            pin(&format!("{},{}", options.bench_cores, options.gateway_cores))?;
            let duration = options.warm + options.measured;
            let bodies = Arc::new(Bodies::new(shape, since_1970()?, duration));
            pin(&options.bench_cores)?;
            let bench = Bench { stage: self, options, shape, bodies };
            bench.announce();
            for case in options.cases.iter().take_while(|_| !self.is_over(options)) {
                bench.rounds(case)?;
            }
        }
        Ok(())
    }

    pub(crate) fn is_over(&self, options: &Options) -> bool {
        self.begin.elapsed() > options.longest
    }

    pub(crate) fn close(&self) {
        println!("results are in {}", self.file.display());
    }
}

fn since_1970() -> Result<Duration, Box<dyn Error>> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}

fn set_up(peer: &Peer) -> Outcome {
    for command in &peer.setup {
        let status = Command::new("sh").args(["-c", command]).status()?;
        if !status.success() {
            return Err(format!("{}: {command}: {status}", peer.folder).into());
        }
    }
    Ok(())
}

/// Binds all threads of this process; those that they start inherit it.
fn pin(cores: &str) -> Outcome {
    let own = std::process::id().to_string();
    let status = Command::new("taskset").args(["-a", "-c", "-p", cores, &own]).output()?.status;
    if status.success() { Ok(()) } else { Err(format!("taskset {cores}: {status}").into()) }
}

impl Bench<'_> {
    /// What is sent, and how fast load and sink are without a gateway between them.
    fn announce(&self) {
        let (plain, sent) = self.bodies.bytes();
        let (items, stage) = (self.shape.batch, self.stage);
        println!("\n{}", self.shape.label());
        println!("requests of {plain} B, {sent} B as sent, {} B an item", plain / items);
        stage.sink.reset(self.shape.signal);
        let tally = Arc::new(Tally::new());
        let (own, shape, supply) = (Arc::clone(&tally), self.shape, self.bodies.endless());
        let address = stage.addresses.sink(shape.protocol).to_owned();
        let shape = Shape { pace: Pace::Closed, ..shape };
        let load = std::thread::spawn(move || load::drive(shape, &address, supply, &own));
        let (begin, cpu) = (Instant::now(), cpu_seconds_of("self"));
        std::thread::sleep(STRAIGHT);
        let counts = stage.sink.counts();
        let per_second = (counts.items + counts.again) as f64 / begin.elapsed().as_secs_f64();
        let busy = (cpu_seconds_of("self") - cpu) / begin.elapsed().as_secs_f64();
        tally.stop();
        load.join().unwrap();
        println!(
            "straight into the sink: {per_second:.0} items/s, {:.2} core-us an item for both ends",
            busy * 1e6 / per_second
        );
    }

    fn rounds(&self, case: &str) -> Outcome {
        println!("\n{case}");
        let asked = |peer: &&Peer| self.options.peers.contains(&peer.folder);
        let known = |peer: &Peer| Some((peer.clone(), peer.template(case)?));
        let mut order: Vec<_> = self.stage.peers.iter().filter(asked).filter_map(known).collect();
        let (at, mut all) = (since_1970()?.as_secs(), Vec::new());
        let Options { warm, measured, .. } = *self.options;
        for round in 0..self.options.rounds {
            let trial = Trial { case, at, round, pace: self.shape.pace, warm, measured };
            let Some(trial) = self.paced(&order, trial) else { continue };
            for (peer, template) in &order {
                let Some(measured) = self.attempt(peer, template, trial) else { continue };
                println!("{}", report::line(&measured));
                results::append(&self.stage.file, &measured)?;
                all.push(measured);
            }
            // Who comes first changes, as whatever comes second may find the machine warmer.
            order.rotate_left(1);
        }
        results::rows(all).iter().filter_map(report::ratio).for_each(|line| println!("{line}"));
        Ok(())
    }

    /// The trial with its rate; where that depends on the gateways, their ceilings are measured.
    fn paced<'a>(&self, order: &[(Peer, String)], trial: Trial<'a>) -> Option<Trial<'a>> {
        if trial.pace != Pace::Half {
            return Some(trial);
        }
        // Whoever gathers the spans of a trace sends nothing on at first.
        let warm = trial.warm.max(CEILING);
        let measured = CEILING.max(trial.measured / 2);
        let short = Trial { pace: Pace::Closed, warm, measured, ..trial };
        let mut least = f64::MAX;
        for (peer, template) in order {
            let one = self.attempt(peer, template, short)?;
            // Whoever gathers may have sent nothing on in the interval, but did in the end.
            let whole = (warm + measured).as_secs_f64() + one.drain;
            let per_second = one.per_second.max(one.delivered as f64 / whole);
            let ceiling = Measured { per_second, ..one }.lasting();
            println!("{:>14}: {ceiling:.0} items/s in a closed loop", peer.folder);
            least = least.min(ceiling);
        }
        let rate = ((least / 2.0) as u64).max(1);
        println!("{:>14}: {rate} items/s", "half load");
        Some(Trial { pace: Pace::Open(rate), ..trial })
    }

    /// `None` when it failed, which is told.
    fn attempt(&self, peer: &Peer, template: &str, trial: Trial<'_>) -> Option<Measured> {
        match self.measure(peer, template, trial) {
            Ok(measured) => Some(measured),
            Err(error) => {
                println!("{:>14}: {error}", peer.folder);
                None
            }
        }
    }

    fn measure(
        &self,
        peer: &Peer,
        template: &str,
        trial: Trial<'_>,
    ) -> Result<Measured, Box<dyn Error>> {
        let (stage, cores) = (self.stage, &self.options.gateway_cores);
        let shape = Shape { pace: trial.pace, ..self.shape };
        let mut gateway = Gateway::start(peer, template, &shape, &stage.addresses, cores)?;
        stage.sink.reset(shape.signal);
        std::thread::sleep(2 * STEP);
        let fresh = gateway.status()?;

        let tally = Arc::new(Tally::new());
        let address = stage.addresses.door(shape.protocol).to_owned();
        let begin = self.moment(&gateway);
        let (own, supply) = (Arc::clone(&tally), self.bodies.supply());
        let load = std::thread::spawn(move || load::drive(shape, &address, supply, &own));
        self.wait(trial.warm, &mut gateway, &tally)?;
        tally.forget_latencies();
        let from = self.moment(&gateway);
        self.wait(trial.measured, &mut gateway, &tally)?;
        let to = self.moment(&gateway);
        let latency = |quantile| tally.latency(quantile);
        let (latency_p50_ms, latency_p99_ms) = (latency(0.5), latency(0.99));
        tally.stop();
        load.join().map_err(|_| "the load broke")?;
        let last = self.rest(&mut gateway, &tally)?;
        let disk = |end: Status| Some(end.disk(fresh.as_ref()?));
        let disk = gateway.status()?.and_then(disk);

        let read = std::sync::atomic::Ordering::Relaxed;
        let counts = stage.sink.counts();
        let seconds = (to.at - from.at).as_secs_f64();
        let between = (to.delivered - from.delivered).max(1) as f64;
        Ok(Measured {
            case: trial.case.to_owned(),
            label: self.shape.label(),
            peer: peer.folder.clone(),
            at: trial.at,
            round: trial.round,
            rate: if let Pace::Open(rate) = trial.pace { Some(rate) } else { None },
            micros: (last.gateway - begin.gateway) * 1e6 / counts.items.max(1) as f64,
            micros_interval: (to.gateway - from.gateway) * 1e6 / between,
            cores: threads(cores),
            per_second: between / seconds,
            peak_mib: gateway.peak_mib(),
            offered: tally.offered.load(read),
            accepted: tally.accepted.load(read),
            delivered: counts.items,
            again: counts.again,
            foreign: counts.foreign,
            leaking: counts.leaking,
            refused: tally.refused.load(read),
            failed: tally.failed.load(read),
            drain: (last.at - to.at).as_secs_f64(),
            gateway_busy: (to.gateway - from.gateway) / seconds,
            bench_busy: (to.bench - from.bench) / seconds,
            latency_p50_ms,
            latency_p99_ms,
            seconds,
            planned: trial.measured.as_secs_f64(),
            disk,
        })
    }

    fn moment(&self, gateway: &Gateway) -> Moment {
        Moment {
            at: Instant::now(),
            gateway: gateway.cpu_seconds(),
            bench: cpu_seconds_of("self"),
            delivered: self.stage.sink.counts().items,
        }
    }

    /// Until then, or until the load is over.
    fn wait(&self, duration: Duration, gateway: &mut Gateway, tally: &Tally) -> Outcome {
        let begin = Instant::now();
        while begin.elapsed() < duration && !tally.is_over() {
            std::thread::sleep(Duration::from_millis(20));
            if !gateway.is_running() {
                return Err(format!("it ended:\n{}", gateway.last_words()).into());
            }
        }
        Ok(())
    }

    /// The moment when the gateway had done all that it was given.
    fn rest(&self, gateway: &mut Gateway, tally: &Tally) -> Result<Moment, Box<dyn Error>> {
        let accepted = tally.accepted.load(std::sync::atomic::Ordering::Relaxed);
        let begin = Instant::now();
        let mut busy = self.moment(gateway);
        let mut before = busy;
        loop {
            std::thread::sleep(STEP);
            let now = self.moment(gateway);
            let used = (now.gateway - before.gateway) / (now.at - before.at).as_secs_f64();
            if used > IDLE || now.delivered > before.delivered {
                busy = now;
            } else if now.at - busy.at > ASK && is_holding(gateway)? {
                // It waits for more evidence, and has the work of it yet to do.
                busy = now;
            }
            before = now;
            let idle = now.at - busy.at;
            let is_done = idle > REST && now.delivered >= accepted;
            if is_done || idle > REST_MAX || begin.elapsed() > DRAIN_MAX {
                return Ok(busy);
            }
            if !gateway.is_running() {
                return Err(format!("it ended:\n{}", gateway.last_words()).into());
            }
        }
    }
}

/// Whether it says that somebody has not finished. Who says nothing is not asked.
fn is_holding(gateway: &Gateway) -> Result<bool, Box<dyn Error>> {
    Ok(gateway.status()?.is_some_and(|status| status.held() > 0))
}
