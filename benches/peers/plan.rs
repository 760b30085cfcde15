//! Every row of the tables, the most telling first.
//!
//! A row that is newer than Hopline's binary is not measured again: what was cut short goes on where
//! it ended.

use std::fs;
use std::time::UNIX_EPOCH;

use crate::options::Options;
use crate::results::{self, Row};
use crate::round::Stage;
use crate::{Fallible, Outcome};

/// As one would give them to `run`. The last lines are the first to be missing when time is short.
const ROWS: &[&str] = &[
    "case=passthrough,full,redact,edits,durable,indexed compression=zstd",
    "case=passthrough,full,redact,edits,durable,indexed compression=none",
    "case=passthrough,full,redact,edits,durable,indexed compression=gzip",
    "case=passthrough,full batch=100,10,512,8192",
    "case=passthrough,full out=http",
    "case=passthrough,full protocol=http",
    "case=passthrough,full,redact,edits signal=logs",
    "case=passthrough,full,redact,edits signal=metrics",
    "case=passthrough,full rate=half",
    "case=passthrough,full limiter=off",
    "case=passthrough peer=otelcol-queue",
];

/// Measures what is missing. What `options` say of rounds, times, ports and processors holds for all.
pub(crate) fn run(options: &Options) -> Outcome {
    let mut stage = Options { peers: vec!["otelcol".to_owned()], ..options.clone() };
    stage.peers.extend(["otelcol-queue".to_owned(), "hopline".to_owned()]);
    let stage = Stage::open(&stage)?;
    let built = built()?;
    let missing = missing(options, built)?;
    println!("{} rows to measure", count(&missing));
    for load in &missing {
        stage.run(load)?;
    }
    let left = count(&self::missing(options, built)?);
    println!("\n{left} rows are left{}", if left > 0 { ": the same command goes on" } else { "" });
    stage.close();
    Ok(())
}

/// Loads that have a row to be measured, with the cases of those.
fn missing(options: &Options, built: u64) -> Fallible<Vec<Options>> {
    let rows = results::newest(&options.results)?;
    let mut missing = Vec::new();
    for line in ROWS {
        let mut load = options.clone();
        line.split(' ').try_for_each(|word| load.take(word))?;
        for shape in load.shapes() {
            let mut one = load.only(shape);
            let label = shape.label();
            one.cases.retain(|case| {
                let is_it = |row: &Row| {
                    (&row.label, &row.case) == (&label, case) && is_done(row, &load, built)
                };
                !rows.iter().any(is_it)
            });
            missing.extend(Some(one).filter(|one| !one.cases.is_empty()));
        }
    }
    Ok(missing)
}

/// Whether the row has the peer, the rounds and the time that are asked for, and of this Hopline.
fn is_done(row: &Row, load: &Options, built: u64) -> bool {
    let seconds = load.measured.as_secs_f64();
    let is_long = row.ours.iter().chain(&row.theirs).all(|it| it.planned >= seconds);
    let has_peer = row.rival.as_ref().is_some_and(|rival| load.peers.contains(rival));
    has_peer && is_long && row.at >= built && row.rounds() >= load.rounds as usize
}

fn count(loads: &[Options]) -> usize {
    loads.iter().map(|load| load.cases.len()).sum()
}

/// When the binary that is measured was made, in seconds since 1970.
fn built() -> Fallible<u64> {
    let named = std::env::var("HOPLINE").ok().filter(|path| !path.is_empty());
    let path = named.unwrap_or("target/release/hopline".to_owned());
    let made = fs::metadata(&path).and_then(|it| it.modified());
    let made = made.map_err(|error| format!("{path}: {error}"))?;
    Ok(made.duration_since(UNIX_EPOCH)?.as_secs())
}
