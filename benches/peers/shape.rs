//! One load: what is sent, how, and how fast.

use std::fmt::Display;

use hopline::evidence::Signal;
use serde::{Deserialize, Serialize};

/// How requests are compressed, on both sides of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

/// How requests travel, on one side of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Grpc,
    Http,
}

/// Whether a peer whose memory limiter is optional has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limiter {
    On,
    Off,
}

/// When a request begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// When one is answered.
    Closed,
    /// When it is due: so many items a second, come what may.
    Open(u64),
    /// The same, at half of what the slowest gateway takes, which is measured first.
    Half,
}

/// One load: what is sent and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shape {
    pub(crate) signal: Signal,
    /// How the load comes in.
    pub(crate) protocol: Protocol,
    /// How it goes out to the sink.
    pub(crate) out: Protocol,
    pub(crate) compression: Compression,
    pub(crate) limiter: Limiter,
    /// Items in one request.
    pub(crate) batch: usize,
    /// Requests on their way at a time.
    pub(crate) flight: usize,
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
}

/// A shape as results write it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Label {
    pub(crate) signal: String,
    pub(crate) protocol: String,
    #[serde(default = "grpc")]
    pub(crate) out: String,
    pub(crate) compression: String,
    #[serde(default = "on")]
    pub(crate) limiter: String,
    pub(crate) batch: usize,
    pub(crate) load: String,
}

/// The load of [`Pace::Half`], as results write it.
pub(crate) const HALF: &str = "half load";

impl Compression {
    pub(crate) const ALL: [Self; 3] = [Self::None, Self::Gzip, Self::Zstd];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

impl Protocol {
    pub(crate) const ALL: [Self; 2] = [Self::Grpc, Self::Http];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }
}

impl Limiter {
    pub(crate) const ALL: [Self; 2] = [Self::On, Self::Off];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

impl Shape {
    pub(crate) fn label(&self) -> Label {
        let load = match self.pace {
            Pace::Closed => format!("{} in flight", self.flight),
            Pace::Open(rate) => format!("{rate} a second"),
            Pace::Half => HALF.to_owned(),
        };
        Label {
            signal: self.signal.name().to_owned(),
            protocol: self.protocol.name().to_owned(),
            out: self.out.name().to_owned(),
            compression: self.compression.name().to_owned(),
            limiter: self.limiter.name().to_owned(),
            batch: self.batch,
            load,
        }
    }
}

impl Display for Label {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { signal, protocol, compression, batch, load, .. } = self;
        write!(out, "{signal}, {protocol}")?;
        if self.out != *protocol {
            write!(out, " to {}", self.out)?;
        }
        write!(out, ", {compression}, batches of {batch}, {load}")?;
        if self.limiter == Limiter::Off.name() {
            write!(out, ", no memory limiter")?;
        }
        Ok(())
    }
}

/// What results did not say at first: everything went out over gRPC.
fn grpc() -> String {
    Protocol::Grpc.name().to_owned()
}

/// What results did not say at first: every peer had its limiter.
fn on() -> String {
    Limiter::On.name().to_owned()
}
