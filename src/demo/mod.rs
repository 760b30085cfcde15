//! Demo: plays a small shop into an OTLP endpoint, so that a newcomer has something to look at.
//!
//! In: [`Options`], above all a seed. Out: the evidence that six services, their proxies and their
//! network would send of the same requests, faults included; a [`Summary`] of it in the end.
//! Holds: at most [`BACKLOG_MAX`] evidence that has not happened yet or could not be sent yet.
//! Past that it begins no request and counts those it skipped.
//!
//! The story is data (`story`), telling it is pure (`shop`), and only `play` and `send` wait.

mod batch;
mod cast;
mod draw;
mod flow;
mod meter;
mod otlp;
mod play;
mod proxy;
mod send;
mod shop;
mod story;
mod work;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use crate::evidence::Nanos;
use crate::serve::client;

pub use batch::BACKLOG_MAX;
pub use story::{Fault, SECRETS};

/// What to play, where to and for how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// An OTLP/gRPC endpoint, as `http://host:port` or `https://host:port`.
    pub endpoint: String,
    /// Requests per second.
    pub rate: f64,
    /// How long; without it until it is stopped.
    pub duration: Option<Duration>,
    /// The same seed tells the same story.
    pub seed: u64,
    /// The base URL of an HTTP door that takes Hubble's flow lines; without it there are no flows.
    pub flows: Option<String>,
    /// A file that holds the token, for doors that ask for one.
    pub token_file: Option<PathBuf>,
    /// The authorities to trust in place of the system's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// When the story begins; the time of everything in it counts from here.
    pub start: Nanos,
}

/// What was played.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Requests that visitors made.
    pub requests: u64,
    /// Requests that were not begun, because too much was waiting to be sent.
    pub skipped: u64,
    /// Spans that the endpoint took.
    pub spans: u64,
    /// Log records that the endpoint took, access-log entries included.
    pub logs: u64,
    /// Metric points that the endpoint took.
    pub points: u64,
    /// Flow lines that the endpoint took.
    pub flows: u64,
    /// Evidence of any kind that the endpoint did not take.
    pub lost: u64,
    /// Requests that a fault took hold of, by fault.
    pub faults: BTreeMap<Fault, u64>,
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, skipped, spans, logs, points, flows, lost, faults } = self;
        writeln!(out, "{requests} requests ({skipped} skipped)")?;
        writeln!(out, "{spans} spans, {logs} log records, {points} metric points, {flows} flows")?;
        write!(out, "{lost} not taken; faults:")?;
        for (fault, count) in faults {
            write!(out, " {} {count}", fault.name())?;
        }
        Ok(())
    }
}

/// Why nothing could be played.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The rate is no rate.
    #[error("rate must be above 0 and at most {max} requests per second, got {got}")]
    Rate {
        /// The highest rate.
        max: f64,
        /// What was asked for.
        got: f64,
    },
    /// The endpoint is no URL, or nobody listens there.
    #[error("cannot connect to {endpoint}")]
    Connect {
        /// The endpoint.
        endpoint: String,
        /// What came in between.
        source: tonic::transport::Error,
    },
    /// The token, or the authorities.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// The base URL for flows is no URL.
    #[error("cannot post flows to {url}")]
    Flows {
        /// The URL.
        url: String,
        /// What is wrong with it.
        source: http::uri::InvalidUri,
    },
}

/// Plays the shop until its time is over or `stop` is ready, and sends what is left.
///
/// # Errors
/// When the options are wrong or nobody listens at the endpoint. A refusal later is not an error:
/// it is tried again a few times and then counted as lost.
pub async fn run(
    options: Options,
    stop: impl Future<Output = ()> + Send,
) -> Result<Summary, Error> {
    play::run(options, stop).await
}
