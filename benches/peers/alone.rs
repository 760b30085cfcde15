//! The two ends by themselves, for measurements by hand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Outcome;
use crate::load::{self, Bodies, Tally};
use crate::options::Options;
use crate::sink::{Counts, Sink};

const SECOND: Duration = Duration::from_secs(1);

/// Takes gRPC at the address, HTTP and orders at the two ports after it, until it is stopped.
pub(crate) fn sink(options: &Options) -> Outcome {
    let grpc: SocketAddr = options.address.parse()?;
    let [grpc, http, control] =
        [0, 1, 2].map(|next| SocketAddr::new(grpc.ip(), grpc.port() + next).to_string());
    let sink = Sink::start(options.signals[0], [&grpc, &http, &control])?;
    println!("gRPC at {grpc}, HTTP at {http}; http://{control}/?mood=takes|refuses|down");
    let mut before = Counts::default();
    loop {
        std::thread::sleep(SECOND);
        let counts = sink.counts();
        if counts != before {
            println!("{} items/s, {counts:?}", counts.items - before.items);
        }
        before = counts;
    }
}

/// Sends to the address for as long as warming up and measuring would take.
pub(crate) fn load(options: &Options) -> Outcome {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let duration = options.warm + options.measured;
    for shape in options.shapes() {
        let supply = Arc::new(Bodies::new(shape, now, duration)).supply();
        let tally = Arc::new(Tally::new());
        println!("{}", shape.label());
        let (own, address) = (Arc::clone(&tally), options.address.clone());
        let sent = std::thread::spawn(move || load::drive(shape, &address, supply, &own));
        let mut before = 0;
        for _ in 0..duration.as_secs() {
            std::thread::sleep(SECOND);
            let accepted = tally.accepted.load(Ordering::Relaxed);
            let (refused, failed) = (&tally.refused, &tally.failed);
            println!(
                "{} items/s accepted, answers after {:.1} ms (99 of 100: {:.1}), {} refused, {} failed",
                accepted - before,
                tally.latency(0.5),
                tally.latency(0.99),
                refused.load(Ordering::Relaxed),
                failed.load(Ordering::Relaxed),
            );
            before = accepted;
        }
        tally.stop();
        sent.join().map_err(|_| "the load broke")?;
    }
    Ok(())
}
