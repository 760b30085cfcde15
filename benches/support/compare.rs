//! A pairwise comparison that prints a ratio.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark may panic, and prints"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Runs both in turn and prints both medians and their ratio: how much faster `ours` is.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
pub(crate) fn compare(what: &str, items: usize, mut ours: impl FnMut(), mut theirs: impl FnMut()) {
    let round = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        let mut runs = 0_u32;
        while start.elapsed() < Duration::from_millis(100) {
            run();
            runs += 1;
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(runs) / items as f64
    };
    let rounds: Vec<_> = (0..15).map(|_| (round(&mut ours), round(&mut theirs))).collect();
    let ours = median(rounds.iter().map(|it| it.0));
    let theirs = median(rounds.iter().map(|it| it.1));
    let ratio = median(rounds.iter().map(|it| it.1 / it.0));
    println!("ratio {what}: {ours:.0} ns against {theirs:.0} ns an item: {ratio:.1}x");
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    black_box(values[values.len() / 2])
}
