//! What is to be measured.

use std::error::Error;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use hopline::evidence::Signal;

use crate::shape::{Compression, Limiter, Pace, Protocol, Shape};

/// All that a command may be told.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Folders of `benches/peers`. Ratios are against the last one.
    pub(crate) peers: Vec<String>,
    pub(crate) cases: Vec<String>,
    pub(crate) signals: Vec<Signal>,
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) outs: Vec<Protocol>,
    pub(crate) compressions: Vec<Compression>,
    pub(crate) limiters: Vec<Limiter>,
    pub(crate) batches: Vec<usize>,
    pub(crate) rounds: u32,
    pub(crate) warm: Duration,
    pub(crate) measured: Duration,
    pub(crate) flight: usize,
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
    /// No case is begun after so long.
    pub(crate) longest: Duration,
    /// The processors of the gateway, as `taskset` takes them, and those of load and sink.
    pub(crate) gateway_cores: String,
    pub(crate) bench_cores: String,
    /// The first of six ports that a run takes.
    pub(crate) port: u16,
    /// Where `load` sends to, and where `sink` listens.
    pub(crate) address: String,
    /// The folder of results.
    pub(crate) results: PathBuf,
}

impl Options {
    /// Words such as `batch=10,1000`. An empty value is the default, as `make` passes them on.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options = Self::default();
        { words }.try_for_each(|word| options.take(&word))?;
        Ok(options)
    }

    /// One such word.
    pub(crate) fn take(&mut self, word: &str) -> Result<(), Box<dyn Error>> {
        let (key, value) = word.split_once('=').ok_or(format!("not key=value: {word}"))?;
        if value.is_empty() { Ok(()) } else { self.set(key, value) }
    }

    /// All loads that were asked for.
    pub(crate) fn shapes(&self) -> Vec<Shape> {
        let Self { flight, connections, pace, .. } = *self;
        let mut shapes = Vec::new();
        for &signal in &self.signals {
            for (&protocol, &out) in pairs(&self.protocols, &self.outs) {
                for (&compression, &limiter) in pairs(&self.compressions, &self.limiters) {
                    shapes.extend(self.batches.iter().map(|&batch| Shape {
                        signal,
                        protocol,
                        out,
                        compression,
                        limiter,
                        batch,
                        flight,
                        connections,
                        pace,
                    }));
                }
            }
        }
        shapes
    }

    /// The same for one of its loads.
    pub(crate) fn only(&self, shape: Shape) -> Self {
        Self {
            signals: vec![shape.signal],
            protocols: vec![shape.protocol],
            outs: vec![shape.out],
            compressions: vec![shape.compression],
            limiters: vec![shape.limiter],
            batches: vec![shape.batch],
            ..self.clone()
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), Box<dyn Error>> {
        match key {
            "peer" => {
                self.peers = list(value)?;
                self.peers.retain(|peer| peer != "hopline");
                self.peers.push("hopline".to_owned());
            }
            "only" => self.peers = list(value)?,
            "case" => self.cases = list(value)?,
            "signal" => self.signals = words(value, &Signal::ALL, Signal::name)?,
            "protocol" => self.protocols = words(value, &Protocol::ALL, Protocol::name)?,
            "out" => self.outs = words(value, &Protocol::ALL, Protocol::name)?,
            "compression" => {
                self.compressions = words(value, &Compression::ALL, Compression::name)?;
            }
            "limiter" => self.limiters = words(value, &Limiter::ALL, Limiter::name)?,
            "batch" => self.batches = list(value)?,
            "rounds" => self.rounds = value.parse()?,
            "warm" => self.warm = Duration::try_from_secs_f64(value.parse()?)?,
            "seconds" => self.measured = Duration::try_from_secs_f64(value.parse()?)?,
            "flight" => self.flight = value.parse::<usize>()?.max(1),
            "connections" => self.connections = value.parse::<usize>()?.max(1),
            "rate" if value == "half" => self.pace = Pace::Half,
            "rate" => self.pace = Pace::Open(value.parse::<u64>()?.max(1)),
            "minutes" => {
                self.longest = Duration::try_from_secs_f64(60.0 * value.parse::<f64>()?)?;
            }
            "gateway_cores" => value.clone_into(&mut self.gateway_cores),
            "bench_cores" => value.clone_into(&mut self.bench_cores),
            "port" => self.port = value.parse::<u16>()?.min(u16::MAX - 5),
            "address" => value.clone_into(&mut self.address),
            "results" => self.results = PathBuf::from(value),
            _ => return Err(format!("no such key: {key}").into()),
        }
        Ok(())
    }
}

impl Default for Options {
    fn default() -> Self {
        let owned = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
        Self {
            peers: owned(&["otelcol", "hopline"]),
            cases: owned(&["passthrough", "edits", "redact", "full", "indexed"]),
            signals: vec![Signal::Traces],
            protocols: vec![Protocol::Grpc],
            outs: vec![Protocol::Grpc],
            compressions: vec![Compression::Zstd],
            limiters: vec![Limiter::On],
            batches: vec![1000],
            rounds: 5,
            warm: Duration::from_secs(4),
            measured: Duration::from_secs(10),
            flight: 16,
            connections: 4,
            pace: Pace::Closed,
            longest: Duration::MAX,
            gateway_cores: "1".to_owned(),
            bench_cores: "0".to_owned(),
            port: 27_310,
            address: "127.0.0.1:27310".to_owned(),
            results: PathBuf::from(".local/peers/results"),
        }
    }
}

/// Each of one list with each of the other.
fn pairs<'a, A, B>(ones: &'a [A], others: &'a [B]) -> impl Iterator<Item = (&'a A, &'a B)> {
    ones.iter().flat_map(move |one| others.iter().map(move |other| (one, other)))
}

fn list<T: FromStr>(value: &str) -> Result<Vec<T>, T::Err> {
    value.split(',').map(|word| word.trim().parse()).collect()
}

/// What each word of a list stands for.
fn words<T: Copy>(value: &str, all: &[T], name: fn(T) -> &'static str) -> Result<Vec<T>, String> {
    let known = |word: &str| {
        let known = all.iter().copied().find(|it| name(*it) == word);
        known.ok_or(format!("no such value: {word}"))
    };
    value.split(',').map(|word| known(word.trim())).collect()
}
