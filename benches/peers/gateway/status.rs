//! What a gateway says of itself, where it says what Hopline's status does.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde::Deserialize;

const PATIENCE: Duration = Duration::from_secs(5);

/// Of `GET /api/v1/status`, what concerns the disk and what is still to be done.
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    sources: Vec<Source>,
    ledger: Ledger,
    log: Log,
    index: Option<Index>,
}

#[derive(Debug, Deserialize)]
struct Source {
    items: u64,
    bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Ledger {
    signals: Vec<Entries>,
}

#[derive(Debug, Deserialize)]
struct Entries {
    consumers: Vec<Consumer>,
}

#[derive(Debug, Deserialize)]
struct Consumer {
    consumer: String,
    done: u64,
    held: u64,
}

#[derive(Debug, Deserialize)]
struct Log {
    end: u64,
}

#[derive(Debug, Deserialize)]
struct Index {
    documents: u64,
    bytes: u64,
}

/// What a gateway has written of what it received.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, Deserialize)]
pub(crate) struct Disk {
    /// Bytes of requests, inflated.
    pub(crate) raw: u64,
    /// Bytes appended to the log.
    pub(crate) log: u64,
    /// Bytes of the index.
    pub(crate) index: u64,
    /// Journeys in it.
    pub(crate) journeys: u64,
    /// The part of `raw` that those journeys were made of.
    pub(crate) indexed_raw: f64,
}

impl Status {
    /// Over HTTP/1.0, whose answer ends with the connection.
    pub(super) fn ask(address: &str, path: &str) -> Result<Self, Box<dyn Error>> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("an answer without a body")?;
        serde_json::from_str(body).map_err(|error| format!("{error} in:\n{head}").into())
    }

    /// Items that somebody has not finished.
    pub(crate) fn held(&self) -> u64 {
        self.consumers().map(|it| it.held).sum()
    }

    /// `before` is the log of the start: it may begin anywhere.
    pub(crate) fn disk(&self, before: &Self) -> Disk {
        let raw: u64 = self.sources.iter().map(|it| it.bytes).sum();
        let items: u64 = self.sources.iter().map(|it| it.items).sum();
        let indexed: u64 =
            self.consumers().filter(|it| it.consumer == "index").map(|it| it.done).sum();
        Disk {
            raw,
            log: self.log.end - before.log.end,
            index: self.index.as_ref().map_or(0, |it| it.bytes),
            journeys: self.index.as_ref().map_or(0, |it| it.documents),
            indexed_raw: raw as f64 * indexed as f64 / items.max(1) as f64,
        }
    }

    fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.ledger.signals.iter().flat_map(|signal| &signal.consumers)
    }
}
