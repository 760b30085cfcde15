//! What a folder of `benches/peers` says of a peer.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use hopline::evidence::Signal;

use crate::shape::{Compression, Limiter, Protocol, Shape};

/// One gateway that can be measured. `benches/peers/<folder>/peer` has a line `key: value` for each:
/// `name`, `run` (a command line), and as often as needed `setup` (a command that installs it) and
/// `env` (`NAME=value`); `status` is the path of Hopline's status. `<case>.yaml` beside it is its configuration for a case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    pub(crate) folder: String,
    pub(crate) name: String,
    pub(crate) run: String,
    pub(crate) setup: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) status: Option<String>,
}

/// Where the gateway listens, and where it sends to.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    pub(crate) door_grpc: String,
    pub(crate) door_http: String,
    pub(crate) door_other: String,
    pub(crate) sink_grpc: String,
    pub(crate) sink_http: String,
    pub(crate) sink_control: String,
}

impl Addresses {
    /// Six ports of this machine.
    pub(crate) fn from(port: u16) -> Self {
        let at = |offset: u16| format!("127.0.0.1:{}", port + offset);
        Self {
            sink_grpc: at(0),
            sink_http: at(1),
            sink_control: at(2),
            door_grpc: at(3),
            door_http: at(4),
            door_other: at(5),
        }
    }

    pub(crate) fn door(&self, protocol: Protocol) -> &str {
        match protocol {
            Protocol::Grpc => &self.door_grpc,
            Protocol::Http => &self.door_http,
        }
    }

    pub(crate) fn sink(&self, protocol: Protocol) -> &str {
        match protocol {
            Protocol::Grpc => &self.sink_grpc,
            Protocol::Http => &self.sink_http,
        }
    }
}

impl Peer {
    pub(crate) fn read(folder: &str) -> Result<Self, Box<dyn Error>> {
        let path = Path::new("benches/peers").join(folder).join("peer");
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("no peer {folder}: {}: {error}", path.display()))?;
        let mut peer = Self { folder: folder.to_owned(), ..Self::default() };
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            let (key, value) = line.split_once(": ").ok_or(format!("not key: value: {line}"))?;
            match key {
                "name" => value.clone_into(&mut peer.name),
                "status" => peer.status = Some(value.to_owned()),
                "run" => value.clone_into(&mut peer.run),
                "setup" => peer.setup.push(value.to_owned()),
                "env" => {
                    let (name, value) = value.split_once('=').ok_or("env wants NAME=value")?;
                    peer.env.push((name.to_owned(), value.to_owned()));
                }
                _ => return Err(format!("{}: no such key: {key}", path.display()).into()),
            }
        }
        Ok(peer)
    }

    /// `None` when the peer does not know the case.
    pub(crate) fn template(&self, case: &str) -> Option<String> {
        let file = format!("{case}.yaml");
        fs::read_to_string(Path::new("benches/peers").join(&self.folder).join(file)).ok()
    }

    /// Its folder for one round, empty. Runs at other ports have others.
    pub(crate) fn scratch(&self, addresses: &Addresses) -> std::io::Result<PathBuf> {
        let (_, port) = addresses.sink_grpc.rsplit_once(':').unwrap_or_default();
        let folders = std::env::current_dir()?.join(".local/peers/run");
        let folder = folders.join(port).join(&self.folder);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(&folder)?,
        }
        Ok(folder)
    }
}

/// Puts what is known only now where `{{name}}` stands.
pub(crate) fn fill(
    text: &str,
    shape: &Shape,
    addresses: &Addresses,
    scratch: &Path,
) -> Result<String, Box<dyn Error>> {
    let scratch = scratch.display().to_string();
    // The head of a list of processors.
    let limiter = if shape.limiter == Limiter::On { "memory_limiter, " } else { "" };
    let values = [
        ("door_grpc", &*addresses.door_grpc),
        ("door_http", &addresses.door_http),
        ("door_other", &addresses.door_other),
        ("sink", addresses.sink(shape.out)),
        ("out", shape.out.name()),
        ("limiter", limiter),
        ("level", level(shape.signal)),
        ("compression", shape.compression.name()),
        ("log_compression", log_compression(shape.compression)),
        ("scratch", &scratch),
    ];
    let fill = |text: String, (name, value): &(&str, &str)| {
        text.replace(&format!("{{{{{name}}}}}"), value)
    };
    let filled = values.iter().fold(text.to_owned(), fill);
    match filled.find("{{") {
        Some(at) => Err(format!("an unknown placeholder at byte {at} of:\n{filled}").into()),
        None => Ok(filled),
    }
}

/// How whoever keeps no evidence would keep the log: a destination without zstd has no use for frames.
fn log_compression(compression: Compression) -> &'static str {
    if compression == Compression::Zstd { "zstd" } else { "none" }
}

/// What one item is called in rules.
fn level(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "span",
        Signal::Logs => "log",
        Signal::Metrics => "point",
    }
}
