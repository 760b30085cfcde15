//! One gateway after the other in front of the same load, in rounds.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::Outcome;
use crate::gateway::{Addresses, Gateway, Peer, cpu_seconds_of, threads};
use crate::load::{self, Bodies, Tally};
use crate::options::{Options, Shape};
use crate::report;
use crate::results::{self, Measured};
use crate::sink::Sink;

/// Both sides are asked this often.
const STEP: Duration = Duration::from_millis(250);
/// A gateway that used less of a processor than this in a step had nothing to do.
const IDLE: f64 = 0.1;
/// At rest is who was idle for so long: longer than any window that evidence waits in.
const REST: Duration = Duration::from_secs(3);
/// Who has not sent everything on waits for something, perhaps in vain.
const REST_MAX: Duration = Duration::from_secs(12);
const DRAIN_MAX: Duration = Duration::from_secs(120);
const STRAIGHT: Duration = Duration::from_secs(3);

/// What stays the same from round to round.
struct Bench<'a> {
    options: &'a Options,
    addresses: Addresses,
    shape: Shape,
    bodies: Arc<Bodies>,
    sink: Sink,
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
    let peers: Vec<Peer> =
        options.peers.iter().map(|folder| Peer::read(folder)).collect::<Result<_, _>>()?;
    peers.iter().try_for_each(set_up)?;
    let addresses = Addresses::from(options.port);
    let Addresses { sink_grpc, sink_http, sink_control, .. } = &addresses;
    let sink = Sink::start(options.signals[0], [sink_grpc, sink_http, sink_control])?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let file = results::create(now.as_secs())?;
    for shape in options.shapes() {
        pin(&format!("{},{}", options.bench_cores, options.gateway_cores))?;
        let duration = options.warm + options.measured;
        let bodies = Arc::new(Bodies::new(shape, now, duration));
        pin(&options.bench_cores)?;
        let addresses = addresses.clone();
        let bench = Bench { options, addresses, shape, bodies, sink: sink.clone() };
        bench.announce();
        for case in &options.cases {
            bench.rounds(&peers, case, &file)?;
        }
    }
    println!("results are in {}", file.display());
    Ok(())
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
        let items = self.shape.batch;
        println!("\n{}", self.shape.label());
        println!("requests of {plain} B, {sent} B as sent, {} B an item", plain / items);
        self.sink.reset(self.shape.signal);
        let tally = Arc::new(Tally::new());
        let (own, shape, supply) = (Arc::clone(&tally), self.shape, self.bodies.endless());
        let address = self.addresses.sink(shape.protocol).to_owned();
        let shape = Shape { rate: None, ..shape };
        let load = std::thread::spawn(move || load::drive(shape, &address, supply, &own));
        let (begin, cpu) = (Instant::now(), cpu_seconds_of("self"));
        std::thread::sleep(STRAIGHT);
        let counts = self.sink.counts();
        let per_second = (counts.items + counts.again) as f64 / begin.elapsed().as_secs_f64();
        let busy = (cpu_seconds_of("self") - cpu) / begin.elapsed().as_secs_f64();
        tally.stop();
        load.join().unwrap();
        println!(
            "straight into the sink: {per_second:.0} items/s, {:.2} core-us an item for both ends",
            busy * 1e6 / per_second
        );
    }

    fn rounds(&self, peers: &[Peer], case: &str, file: &Path) -> Outcome {
        println!("\n{case}");
        let mut all = Vec::new();
        for round in 0..self.options.rounds {
            // Who comes first changes, as whatever comes second may find the machine warmer.
            let mut order: Vec<_> = peers.iter().collect();
            let turn = round as usize % order.len();
            order.rotate_left(turn);
            for peer in order {
                let Some(template) = peer.template(case) else { continue };
                match self.measure(peer, &template, (case, round)) {
                    Ok(measured) => {
                        println!("{}", report::line(&measured));
                        results::append(file, &measured)?;
                        all.push(measured);
                    }
                    Err(error) => println!("{:>14}: {error}", peer.folder),
                }
            }
        }
        for rounds in results::grouped(all).values().flat_map(|cases| cases.values()) {
            report::ratios(rounds).iter().for_each(|line| println!("{line}"));
        }
        Ok(())
    }

    fn measure(
        &self,
        peer: &Peer,
        template: &str,
        (case, round): (&str, u32),
    ) -> Result<Measured, Box<dyn Error>> {
        let (shape, options) = (self.shape, self.options);
        let cores = &options.gateway_cores;
        let mut gateway = Gateway::start(peer, template, &shape, &self.addresses, cores)?;
        self.sink.reset(shape.signal);
        std::thread::sleep(2 * STEP);

        let tally = Arc::new(Tally::new());
        let address = self.addresses.door(shape.protocol).to_owned();
        let begin = self.moment(&gateway);
        let (own, supply) = (Arc::clone(&tally), self.bodies.supply());
        let load = std::thread::spawn(move || load::drive(shape, &address, supply, &own));
        self.wait(options.warm, &mut gateway, &tally)?;
        tally.forget_latencies();
        let from = self.moment(&gateway);
        self.wait(options.measured, &mut gateway, &tally)?;
        let to = self.moment(&gateway);
        let latency = |quantile| tally.latency(quantile);
        let (latency_p50_ms, latency_p99_ms) = (latency(0.5), latency(0.99));
        tally.stop();
        load.join().map_err(|_| "the load broke")?;
        let last = self.rest(&mut gateway, &tally)?;

        let read = std::sync::atomic::Ordering::Relaxed;
        let counts = self.sink.counts();
        let seconds = (to.at - from.at).as_secs_f64();
        let between = (to.delivered - from.delivered).max(1) as f64;
        Ok(Measured {
            case: case.to_owned(),
            label: shape.label(),
            peer: peer.folder.clone(),
            round,
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
        })
    }

    fn moment(&self, gateway: &Gateway) -> Moment {
        Moment {
            at: Instant::now(),
            gateway: gateway.cpu_seconds(),
            bench: cpu_seconds_of("self"),
            delivered: self.sink.counts().items,
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
