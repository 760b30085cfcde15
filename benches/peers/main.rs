//! Hopline and its peers in front of the same load and the same sink, turn by turn.
//!
//! `docs/benchmarking.md` says how it measures, and what can go wrong. Commands:
//! `run` measures, `all` measures every row of the tables, `table` writes what was measured into the
//! documents, `sink` and `load` are the two ends alone.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark may panic, prints, and reads the clock"
)]

use std::error::Error;

mod alone;
mod gateway;
mod ids;
mod items;
mod load;
mod options;
mod plan;
mod report;
mod results;
mod round;
mod shape;
mod sink;

use options::Options;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a command fails with: it is shown to whoever typed it, and to nobody else.
type Outcome = Fallible<()>;

/// The same for what has something to give.
type Fallible<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let options = Options::parse(words)?;
    match command.as_str() {
        "run" => round::run(&options),
        "all" => plan::run(&options),
        "table" => report::write(&options.results),
        "sink" => alone::sink(&options),
        "load" => alone::load(&options),
        _ => {
            println!(
                "peers run|all|table|sink|load [key=value ...]; docs/benchmarking.md has the keys"
            );
            Ok(())
        }
    }
}
