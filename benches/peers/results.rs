//! What was measured, one line of JSON each.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::gateway::Disk;
use crate::shape::Label;

/// Who is measured against the others.
pub(crate) const OURS: &str = "hopline";

/// One peer in one round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) case: String,
    #[serde(flatten)]
    pub(crate) label: Label,
    pub(crate) peer: String,
    /// When the first round of its row began, in seconds since 1970: the same for all of them.
    #[serde(default)]
    pub(crate) at: u64,
    pub(crate) round: u32,
    /// Items a second that were sent, in an open loop.
    #[serde(default)]
    pub(crate) rate: Option<u64>,
    /// Core-microseconds an item, from the first request until the gateway was at rest again.
    pub(crate) micros: f64,
    /// The same within the measured interval only: work that was put off is not in it.
    pub(crate) micros_interval: f64,
    /// Processors that the gateway had.
    #[serde(default = "one")]
    pub(crate) cores: usize,
    /// Items that reached the sink in a second of the interval.
    pub(crate) per_second: f64,
    pub(crate) peak_mib: f64,
    pub(crate) offered: u64,
    pub(crate) accepted: u64,
    pub(crate) delivered: u64,
    /// Delivered more than once.
    pub(crate) again: u64,
    pub(crate) foreign: u64,
    /// Requests with a secret in them, of one in sixteen.
    pub(crate) leaking: u64,
    /// Answers "retry later".
    pub(crate) refused: u64,
    /// Requests without an answer or refused for good.
    pub(crate) failed: u64,
    /// Seconds from the end of the load until the gateway was at rest.
    pub(crate) drain: f64,
    /// Of its processors, in the interval: below 1 the gateway was not what limited.
    pub(crate) gateway_busy: f64,
    /// Of one processor, load and sink together.
    pub(crate) bench_busy: f64,
    pub(crate) latency_p50_ms: f64,
    pub(crate) latency_p99_ms: f64,
    /// Seconds measured; shorter than asked for when the load ran out.
    pub(crate) seconds: f64,
    /// Seconds asked for.
    #[serde(default)]
    pub(crate) planned: f64,
    #[serde(default)]
    pub(crate) disk: Option<Disk>,
}

/// Several rounds of one peer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

/// The rounds of each peer.
type Peers = BTreeMap<String, Vec<Measured>>;

/// One line of a table: a peer and ours, in the same rounds of one case under one load.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) label: Label,
    pub(crate) case: String,
    pub(crate) at: u64,
    /// `None` when ours was measured alone.
    pub(crate) rival: Option<String>,
    pub(crate) theirs: Vec<Measured>,
    pub(crate) ours: Vec<Measured>,
}

impl Measured {
    /// Items in a second: what reached the sink, but no more than it can keep up. A gateway that puts
    /// work off is fast for as long as it does.
    pub(crate) fn lasting(&self) -> f64 {
        self.per_second.min(self.cores as f64 * 1e6 / self.micros)
    }
}

impl Row {
    /// How much dearer an item is to the peer than to ours, each round by itself: what disturbed the
    /// machine in a round disturbed both.
    pub(crate) fn ratio(&self) -> Option<Spread> {
        let same = |theirs: &Measured| self.ours.iter().find(|own| own.round == theirs.round);
        let ratios = self.theirs.iter().filter_map(|it| Some(it.micros / same(it)?.micros));
        Spread::of(ratios.collect())
    }

    /// Rounds of the side that has fewer.
    pub(crate) fn rounds(&self) -> usize {
        let theirs = self.rival.as_ref().map_or(usize::MAX, |_| self.theirs.len());
        theirs.min(self.ours.len())
    }
}

fn one() -> usize {
    1
}

/// A new file for one run.
pub(crate) fn create(folder: &Path, seconds: u64) -> std::io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    Ok(folder.join(format!("{seconds}.jsonl")))
}

pub(crate) fn append(path: &Path, measured: &Measured) -> std::io::Result<()> {
    let mut line = serde_json::to_string(measured)?;
    line.push('\n');
    OpenOptions::new().create(true).append(true).open(path)?.write_all(line.as_bytes())
}

/// Of each row, only what was measured last. Ours alone is a row where nobody is beside it.
pub(crate) fn newest(folder: &Path) -> std::io::Result<Vec<Row>> {
    let mut all = Vec::new();
    for file in fs::read_dir(folder)? {
        all.extend(read(&file?.path())?);
    }
    let mut newest = BTreeMap::new();
    for row in rows(all) {
        newest.insert((row.label.clone(), row.case.clone(), row.rival.clone()), row);
    }
    let mut rows: Vec<Row> = Vec::new();
    // `None` comes before every name, so look back from the end.
    for row in newest.into_values().rev() {
        let is_there = |it: &Row| (&it.label, &it.case) == (&row.label, &row.case);
        if row.rival.is_some() || !rows.iter().any(is_there) {
            rows.push(row);
        }
    }
    rows.reverse();
    Ok(rows)
}

/// In the order in which they were measured.
pub(crate) fn rows(all: Vec<Measured>) -> Vec<Row> {
    let mut groups: BTreeMap<_, Peers> = BTreeMap::new();
    for measured in all {
        let key = (measured.at, measured.label.clone(), measured.case.clone());
        let peers = groups.entry(key).or_default();
        peers.entry(measured.peer.clone()).or_default().push(measured);
    }
    let mut rows = Vec::new();
    for ((at, label, case), mut peers) in groups {
        let ours = peers.remove(OURS).unwrap_or_default();
        let row = Row { label, case, at, rival: None, theirs: Vec::new(), ours };
        if peers.is_empty() {
            rows.push(row);
            continue;
        }
        rows.extend(peers.into_iter().map(|(rival, theirs)| Row {
            rival: Some(rival),
            theirs,
            ..row.clone()
        }));
    }
    rows
}

/// Lines that do not say when they were measured have it in the name of their file.
fn read(file: &Path) -> std::io::Result<Vec<Measured>> {
    let named = file.file_stem().and_then(|name| name.to_str()?.parse().ok()).unwrap_or(0);
    let text = fs::read_to_string(file)?;
    let line = |line| {
        let measured: Measured = serde_json::from_str(line)?;
        let at = if measured.at == 0 { named } else { measured.at };
        Ok(Measured { at, ..measured })
    };
    text.lines().map(line).collect()
}

/// Of what `value` makes of each round.
pub(crate) fn spread(rounds: &[Measured], value: impl Fn(&Measured) -> f64) -> Option<Spread> {
    Spread::of(rounds.iter().map(value).collect())
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        let half = values.len() / 2;
        // Of an even number the two in the middle count half each: neither side is favored.
        let median = f64::midpoint(values[half], values[last - half]);
        Some(Self { median, least: values[0], most: values[last] })
    }
}
