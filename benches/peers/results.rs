//! What was measured, one line of JSON each.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::options::Label;

pub(crate) const FOLDER: &str = ".local/peers/results";

/// One peer in one round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) case: String,
    #[serde(flatten)]
    pub(crate) label: Label,
    pub(crate) peer: String,
    pub(crate) round: u32,
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
}

/// Several rounds of one peer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

/// The rounds of one case, by peer.
pub(crate) type Rounds = BTreeMap<String, Vec<Measured>>;

/// The cases of one load, by name.
pub(crate) type Cases = BTreeMap<String, Rounds>;

pub(crate) type Loads = BTreeMap<Label, Cases>;

impl Measured {
    /// Items in a second: what reached the sink, but no more than it can keep up. A gateway that puts
    /// work off is fast for as long as it does.
    pub(crate) fn lasting(&self) -> f64 {
        self.per_second.min(self.cores as f64 * 1e6 / self.micros)
    }
}

fn one() -> usize {
    1
}

/// A new file for one run.
pub(crate) fn create(seconds: u64) -> std::io::Result<PathBuf> {
    fs::create_dir_all(FOLDER)?;
    Ok(Path::new(FOLDER).join(format!("{seconds}.jsonl")))
}

pub(crate) fn append(path: &Path, measured: &Measured) -> std::io::Result<()> {
    let mut line = serde_json::to_string(measured)?;
    line.push('\n');
    OpenOptions::new().create(true).append(true).open(path)?.write_all(line.as_bytes())
}

/// Of each case under each load, only the newest run that has it.
pub(crate) fn newest() -> std::io::Result<Loads> {
    let mut files: Vec<_> = fs::read_dir(FOLDER)?.filter_map(|it| Some(it.ok()?.path())).collect();
    files.sort();
    let mut newest = Loads::new();
    for file in files {
        for (label, cases) in grouped(read(&file)?) {
            newest.entry(label).or_default().extend(cases);
        }
    }
    Ok(newest)
}

pub(crate) fn grouped(all: Vec<Measured>) -> Loads {
    let mut groups = Loads::new();
    for measured in all {
        let cases = groups.entry(measured.label.clone()).or_default();
        let rounds = cases.entry(measured.case.clone()).or_default();
        rounds.entry(measured.peer.clone()).or_default().push(measured);
    }
    groups
}

pub(crate) fn read(file: &Path) -> std::io::Result<Vec<Measured>> {
    let text = fs::read_to_string(file)?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Of what `value` makes of each round.
pub(crate) fn spread(rounds: &[Measured], value: impl Fn(&Measured) -> f64) -> Spread {
    Spread::of(rounds.iter().map(value).collect())
}

/// How much dearer an item is to `peer` than to `ours`, each round by itself: what disturbed the
/// machine in a round disturbed both.
pub(crate) fn ratio(peer: &[Measured], ours: &[Measured]) -> Option<Spread> {
    let same = |theirs: &Measured| ours.iter().find(|own| own.round == theirs.round);
    let ratios = peer.iter().filter_map(|theirs| Some(theirs.micros / same(theirs)?.micros));
    let ratios: Vec<_> = ratios.collect();
    (!ratios.is_empty()).then(|| Spread::of(ratios))
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let (last, half) = (values.len() - 1, values.len() / 2);
        // Of an even number the two in the middle count half each: neither side is favored.
        let median = f64::midpoint(values[half], values[last - half]);
        Self { median, least: values[0], most: values[last] }
    }
}
