//! What is to be measured.

use std::error::Error;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use hopline::evidence::Signal;
use serde::Serialize;

/// How requests are compressed, on both sides of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

/// How the load comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Grpc,
    Http,
}

/// One load: what is sent and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shape {
    pub(crate) signal: Signal,
    pub(crate) protocol: Protocol,
    pub(crate) compression: Compression,
    /// Items in one request.
    pub(crate) batch: usize,
    /// Requests on their way at a time.
    pub(crate) flight: usize,
    pub(crate) connections: usize,
    /// Items a second, come what may. `None`: as fast as they are answered.
    pub(crate) rate: Option<u64>,
}

/// A shape as results and file names write it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize)]
pub(crate) struct Label {
    pub(crate) signal: String,
    pub(crate) protocol: String,
    pub(crate) compression: String,
    pub(crate) batch: usize,
    pub(crate) load: String,
}

/// All that a command may be told.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Folders of `benches/peers`. Ratios are against the last one.
    pub(crate) peers: Vec<String>,
    pub(crate) cases: Vec<String>,
    pub(crate) signals: Vec<Signal>,
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) compressions: Vec<Compression>,
    pub(crate) batches: Vec<usize>,
    pub(crate) rounds: u32,
    pub(crate) warm: Duration,
    pub(crate) measured: Duration,
    pub(crate) flight: usize,
    pub(crate) connections: usize,
    pub(crate) rate: Option<u64>,
    /// The processors of the gateway, as `taskset` takes them, and those of load and sink.
    pub(crate) gateway_cores: String,
    pub(crate) bench_cores: String,
    /// The first of six ports that a run takes.
    pub(crate) port: u16,
    /// Where `load` sends to, and where `sink` listens.
    pub(crate) address: String,
}

impl Options {
    /// Words such as `batch=10,1000`. An empty value is the default, as `make` passes them on.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options = Self::default();
        for word in words {
            let (key, value) = word.split_once('=').ok_or(format!("not key=value: {word}"))?;
            if !value.is_empty() {
                options.set(key, value)?;
            }
        }
        Ok(options)
    }

    /// All loads that were asked for.
    pub(crate) fn shapes(&self) -> Vec<Shape> {
        let mut shapes = Vec::new();
        for &signal in &self.signals {
            for &protocol in &self.protocols {
                for &compression in &self.compressions {
                    let shape = |&batch| self.shape(signal, protocol, compression, batch);
                    shapes.extend(self.batches.iter().map(shape));
                }
            }
        }
        shapes
    }

    fn shape(
        &self,
        signal: Signal,
        protocol: Protocol,
        compression: Compression,
        batch: usize,
    ) -> Shape {
        let Self { flight, connections, rate, .. } = *self;
        Shape { signal, protocol, compression, batch, flight, connections, rate }
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
            "signal" => self.signals = words(value, signal)?,
            "protocol" => self.protocols = words(value, protocol)?,
            "compression" => self.compressions = words(value, compression)?,
            "batch" => self.batches = list(value)?,
            "rounds" => self.rounds = value.parse()?,
            "warm" => self.warm = Duration::try_from_secs_f64(value.parse()?)?,
            "seconds" => self.measured = Duration::try_from_secs_f64(value.parse()?)?,
            "flight" => self.flight = value.parse::<usize>()?.max(1),
            "connections" => self.connections = value.parse::<usize>()?.max(1),
            "rate" => self.rate = Some(value.parse::<u64>()?.max(1)),
            "gateway_cores" => value.clone_into(&mut self.gateway_cores),
            "bench_cores" => value.clone_into(&mut self.bench_cores),
            "port" => self.port = value.parse::<u16>()?.min(u16::MAX - 5),
            "address" => value.clone_into(&mut self.address),
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
            compressions: vec![Compression::Zstd],
            batches: vec![1000],
            rounds: 5,
            warm: Duration::from_secs(4),
            measured: Duration::from_secs(10),
            flight: 16,
            connections: 4,
            rate: None,
            gateway_cores: "1".to_owned(),
            bench_cores: "0".to_owned(),
            port: 27_310,
            address: "127.0.0.1:27310".to_owned(),
        }
    }
}

impl Compression {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }
}

impl Shape {
    pub(crate) fn label(&self) -> Label {
        let load = match self.rate {
            Some(rate) => format!("{rate} a second"),
            None => format!("{} in flight", self.flight),
        };
        Label {
            signal: self.signal.name().to_owned(),
            protocol: self.protocol.name().to_owned(),
            compression: self.compression.name().to_owned(),
            batch: self.batch,
            load,
        }
    }
}

impl Display for Label {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { signal, protocol, compression, batch, load } = self;
        write!(out, "{signal}, {protocol}, {compression}, batches of {batch}, {load}")
    }
}

fn list<T: FromStr>(value: &str) -> Result<Vec<T>, T::Err> {
    value.split(',').map(|word| word.trim().parse()).collect()
}

/// Gives what a word stands for.
type Known<T> = fn(&str) -> Option<T>;

fn words<T>(value: &str, known: Known<T>) -> Result<Vec<T>, String> {
    let known = |word: &str| known(word).ok_or(format!("no such value: {word}"));
    value.split(',').map(|word| known(word.trim())).collect()
}

fn signal(word: &str) -> Option<Signal> {
    Signal::ALL.into_iter().find(|signal| signal.name() == word)
}

fn protocol(word: &str) -> Option<Protocol> {
    [Protocol::Grpc, Protocol::Http].into_iter().find(|it| it.name() == word)
}

fn compression(word: &str) -> Option<Compression> {
    let all = [Compression::None, Compression::Gzip, Compression::Zstd];
    all.into_iter().find(|it| it.name() == word)
}
