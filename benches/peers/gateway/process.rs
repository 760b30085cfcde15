//! Starting, watching and ending the program.

use std::error::Error;
use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Status;
use super::peer::{Addresses, Peer, fill};
use crate::Fallible;
use crate::shape::Shape;

/// The kernel counts the time of a process in hundredths of a second, on every platform.
const TICKS_A_SECOND: f64 = 100.0;

const START_MAX: Duration = Duration::from_secs(60);
const STOP_MAX: Duration = Duration::from_secs(20);

/// A running gateway. It is killed when this goes out of scope.
pub(crate) struct Gateway {
    process: Child,
    own_log: PathBuf,
    /// Where it says how it is, and the path there.
    status: Option<(String, String)>,
}

impl Gateway {
    /// Starts it on its processors and waits until its door is open.
    pub(crate) fn start(
        peer: &Peer,
        template: &str,
        shape: &Shape,
        addresses: &Addresses,
        cores: &str,
    ) -> Result<Self, Box<dyn Error>> {
        let scratch = peer.scratch(addresses)?;
        let config = scratch.join("config.yaml");
        fs::write(&config, fill(template, shape, addresses, &scratch)?)?;
        let own_log = scratch.join("own.log");
        let command = peer.run.replace("{{config}}", &config.display().to_string());
        // Every step becomes the next one, so the process is the gateway in the end.
        let mut process = Command::new("sh");
        process.args(["-c", &format!("exec taskset -c {cores} {command}")]);
        let threads = threads(cores).to_string();
        let env = |(name, value): &(String, String)| {
            (name.clone(), value.replace("{{threads}}", &threads))
        };
        process.envs(peer.env.iter().map(env));
        let log = File::create(&own_log)?;
        process.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let status = peer.status.clone().map(|path| (addresses.door_other.clone(), path));
        let mut gateway = Self { process: process.spawn()?, own_log, status };
        gateway.wait_for(addresses.door(shape.protocol))?;
        Ok(gateway)
    }

    /// User and system time so far.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        cpu_seconds_of(&self.process.id().to_string())
    }

    /// The most memory that it held at a time, in MiB.
    pub(crate) fn peak_mib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or(0.0) / 1024.0
    }

    /// What it says of itself. `None` for one that does not.
    pub(crate) fn status(&self) -> Fallible<Option<Status>> {
        self.status.as_ref().map(|(address, path)| Status::ask(address, path)).transpose()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// The end of what it wrote about itself.
    pub(crate) fn last_words(&self) -> String {
        last_lines(&self.own_log)
    }

    fn wait_for(&mut self, door: &str) -> Result<(), Box<dyn Error>> {
        let begin = Instant::now();
        while TcpStream::connect(door).is_err() {
            if !self.is_running() || begin.elapsed() > START_MAX {
                return Err(format!("it did not start:\n{}", self.last_words()).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may be gone already, which is what is wanted.
        let _told =
            Command::new("kill").arg(self.process.id().to_string()).stderr(Stdio::null()).status();
        let begin = Instant::now();
        while self.is_running() && begin.elapsed() < STOP_MAX {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ended = self.process.kill().and_then(|()| self.process.wait());
    }
}

/// User and system time of a process; `self` is this one.
pub(crate) fn cpu_seconds_of(process: &str) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name of the program stands in brackets and may hold anything.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|it| it.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_A_SECOND
}

/// How many processors a list such as `1,4-7` names.
pub(crate) fn threads(cores: &str) -> usize {
    let of = |part: &str| match part.split_once('-') {
        Some((from, to)) => Some(to.parse::<usize>().ok()? + 1 - from.parse::<usize>().ok()?),
        None => Some(1),
    };
    cores.split(',').filter_map(of).sum()
}

fn last_lines(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
