//! What measuring costs: one crossing into a table that knows its labels, one answer, and the
//! turn of a window, which happens once a minute.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hopline::evidence::{Method, Nanos, Outcome, Symbols};
use hopline::measure::{Crossing, Hops, Settings};

const START: Nanos = Nanos(1_800_000_000_000_000_000);
const WINDOW: Duration = Duration::from_secs(60);

/// A hop per key, each with the parts that two spans and a proxy tell.
fn crossings(symbols: &Symbols, keys: usize) -> Vec<Crossing> {
    let caller = symbols.intern("web");
    let crossing = |key: usize| {
        let time_ns = 1_000_000 + (key as u64 * 7_919_000) % 80_000_000;
        Crossing {
            caller,
            callee: symbols.intern(&format!("service-{}", key % 50)),
            route: symbols.intern(&format!("/route-{}", key / 50)),
            method: Method::Get,
            version: caller,
            outcome: Outcome::Success,
            total_ns: time_ns,
            network_ns: Some(time_ns / 10),
            server_ns: Some(time_ns / 10 * 8),
            self_ns: Some(time_ns / 10 * 3),
            proxy_ns: Some(time_ns / 10),
        }
    };
    (0..keys).map(crossing).collect()
}

fn filled(crossings: &[Crossing]) -> Hops {
    let settings = Settings { series_max: crossings.len(), ..Settings::default() };
    let mut hops = Hops::new(settings);
    for round in 0..50 {
        for crossing in crossings {
            let total_ns = crossing.total_ns + round * 300_000;
            hops.record(&Crossing { total_ns, ..*crossing }, START);
        }
    }
    hops
}

fn record(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("measure/record");
    group.throughput(Throughput::Elements(1));
    for keys in [100, 10_000] {
        let symbols = Symbols::new(100_000);
        let crossings = crossings(&symbols, keys);
        let mut hops = filled(&crossings);
        // Shuffled, as neighbors in time are not neighbors in memory.
        let mut order = crossings;
        fastrand::Rng::with_seed(7).shuffle(&mut order);
        let mut next = order.iter().cycle();
        group.bench_function(BenchmarkId::from_parameter(keys), |bencher| {
            bencher.iter(|| next.next().map(|it| hops.record(black_box(it), START)));
        });
    }
    group.finish();
}

fn answer(criterion: &mut Criterion) {
    let symbols = Symbols::new(100_000);
    let crossings = crossings(&symbols, 500);
    let mut hops = filled(&crossings);
    for minute in 0..6 {
        for crossing in &crossings {
            hops.record(crossing, START.after(WINDOW * minute));
        }
    }
    let now = START.after(WINDOW * 5);
    let mut group = criterion.benchmark_group("measure/500_series");
    group.sample_size(20);
    group.bench_function("snapshot", |bencher| {
        bencher.iter(|| black_box(hops.snapshot(WINDOW * 5, now)));
    });
    group.bench_function("write_prometheus", |bencher| {
        bencher.iter(|| {
            let mut text = String::new();
            hops.write_prometheus(&symbols, &mut text);
            black_box(text)
        });
    });
    group.bench_function("rotate", |bencher| {
        bencher.iter_batched(
            || filled(&crossings),
            |mut hops| {
                hops.rotate(START.after(WINDOW));
                hops
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, record, answer);
criterion_main!(benches);
