//! The table of series, from crossings to answers.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::proptest;

use super::*;
use crate::evidence::{Method, Nanos, Outcome, Symbol, Symbols};

const WINDOW: Duration = Duration::from_secs(60);
/// Five full windows are kept, so all that begin here are.
const START: Nanos = Nanos(1_800_000_000_000_000_000);

fn tiny(series_max: usize) -> Settings {
    Settings { series_max, window: WINDOW, windows: 2, idle: 10 * WINDOW }
}

fn crossing(callee: Symbol) -> Crossing {
    Crossing {
        caller: Symbol::NONE,
        callee,
        route: Symbol::NONE,
        method: Method::Get,
        version: Symbol::NONE,
        outcome: Outcome::Success,
        total_ns: 20_000_000,
        network_ns: None,
        server_ns: None,
        self_ns: None,
        proxy_ns: None,
    }
}

fn names(count: usize) -> (Symbols, Vec<Symbol>) {
    let symbols = Symbols::new(count + 2);
    let names = (0..count).map(|it| symbols.intern(&format!("service-{it}"))).collect();
    (symbols, names)
}

fn counts(hops: &Hops, span: Duration, now: Nanos) -> Vec<u64> {
    hops.snapshot(span, now).iter().map(|series| series.count).collect()
}

fn minutes(count: u32) -> Nanos {
    START.after(WINDOW * count)
}

#[test]
fn past_the_budget_only_the_outcome_is_told_apart() {
    let (_, names) = names(3);
    let mut hops = Hops::new(tiny(1));
    hops.record(&crossing(names[0]), START);
    hops.record(&crossing(names[1]), START);
    hops.record(&crossing(names[2]), START);
    hops.record(&Crossing { outcome: Outcome::Dropped, ..crossing(names[1]) }, START);

    let answer = hops.snapshot(WINDOW, START);
    let labels: Vec<(Labels, u64)> = answer.iter().map(|it| (it.labels, it.count)).collect();

    assert_eq!(
        labels,
        [
            (Labels::overflow(Outcome::Success), 2),
            (Labels::of(&crossing(names[0])), 1),
            (Labels::overflow(Outcome::Dropped), 1),
        ]
    );
    assert_eq!((hops.status().series, hops.status().folded), (1, 3));
}

#[test]
fn a_crossing_without_names_takes_no_slot_of_its_own() {
    let mut hops = Hops::new(tiny(5));
    let (other, method) = (Symbol::OTHER, Method::Other);
    let nameless = crossing(other);
    let nameless = Crossing { caller: other, route: other, version: other, method, ..nameless };
    hops.record(&nameless, START);

    assert_eq!((hops.status().series, hops.status().folded), (0, 1));
    assert_eq!(counts(&hops, WINDOW, START), [1]);
}

#[test]
fn each_part_has_its_own_times() {
    let mut hops = Hops::new(tiny(1));
    let network_ns = Some(3_000_000);
    hops.record(&Crossing { network_ns, ..crossing(Symbol::NONE) }, START);
    hops.record(&crossing(Symbol::NONE), START);

    let answer = hops.snapshot(WINDOW, START);
    let of = |part| answer[0].part(part).map(|it| (it.count, it.max_ns));

    assert_eq!(of(Part::Total), Some((2, 20_000_000)));
    assert_eq!(of(Part::Network), Some((1, 3_000_000)));
    assert_eq!(of(Part::Server), None);
}

#[test]
fn an_answer_adds_up_the_windows_of_its_span() {
    let mut hops = Hops::new(tiny(1));
    for minute in [0, 1, 1, 2, 2, 2] {
        hops.record(&crossing(Symbol::NONE), minutes(minute));
    }

    assert_eq!(counts(&hops, Duration::ZERO, minutes(2)), [3]);
    assert_eq!(counts(&hops, WINDOW, minutes(2)), [5]);
    assert_eq!(counts(&hops, 9 * WINDOW, minutes(2)), [6]);
}

#[test]
fn a_window_past_the_number_to_keep_is_gone() {
    let mut hops = Hops::new(tiny(1));
    hops.record(&crossing(Symbol::NONE), minutes(0));
    hops.rotate(minutes(2));
    assert_eq!(counts(&hops, 9 * WINDOW, minutes(2)), [1]);

    hops.rotate(minutes(3));
    assert_eq!(counts(&hops, 9 * WINDOW, minutes(3)), Vec::<u64>::new());
    assert_eq!(hops.full.len(), 0);
}

#[test]
fn a_window_that_nobody_turned_is_not_answered_for_later_ones() {
    let mut hops = Hops::new(tiny(1));
    hops.record(&crossing(Symbol::NONE), minutes(0));
    assert_eq!(counts(&hops, 9 * WINDOW, minutes(3)), Vec::<u64>::new());
}

#[test]
fn a_clock_that_steps_back_begins_anew_and_counts_on() {
    let mut hops = Hops::new(tiny(1));
    hops.record(&crossing(Symbol::NONE), minutes(50));
    hops.record(&crossing(Symbol::NONE), minutes(0));
    hops.record(&crossing(Symbol::NONE), minutes(1));

    assert_eq!(counts(&hops, 9 * WINDOW, minutes(1)), [2]);
    assert_eq!(hops.status().recorded, 3);
}

#[test]
fn a_rate_counts_from_the_first_crossing() {
    let mut hops = Hops::new(tiny(1));
    let first = START.after(Duration::from_secs(40));
    for second in 0..20 {
        hops.record(&crossing(Symbol::NONE), first.after(Duration::from_secs(second)));
    }

    let answer = hops.snapshot(5 * WINDOW, first.after(Duration::from_secs(40)));

    assert!((answer[0].rate_per_second - 0.5).abs() < 1e-9, "{}", answer[0].rate_per_second);
}

#[test]
fn an_idle_series_makes_room_and_takes_its_count_along() {
    let (_, names) = names(2);
    let mut hops = Hops::new(tiny(1));
    hops.record(&crossing(names[0]), minutes(0));
    hops.record(&crossing(names[0]), minutes(0));
    hops.record(&crossing(names[1]), minutes(10));

    let status = hops.status();
    assert_eq!((status.series, status.released, status.folded), (1, 2, 0));
    assert_eq!(hops.snapshot(WINDOW, minutes(10))[0].labels, Labels::of(&crossing(names[1])));
    assert_eq!(hops.cells().map(|cell| cell.count()).sum::<u64>(), 1);
}

#[test]
fn a_released_series_is_still_answered_from_the_windows_that_saw_it() {
    let (_, names) = names(2);
    let mut hops = Hops::new(Settings { idle: WINDOW, ..tiny(1) });
    hops.record(&crossing(names[0]), minutes(0));
    hops.record(&crossing(names[1]), minutes(1));

    let answer = hops.snapshot(9 * WINDOW, minutes(1));
    let labels: HashSet<Labels> = answer.iter().map(|it| it.labels).collect();

    assert_eq!(labels, names.iter().map(|name| Labels::of(&crossing(*name))).collect());
}

#[test]
fn times_past_an_end_are_counted() {
    let mut hops = Hops::new(tiny(1));
    let long = Crossing { total_ns: u64::MAX, self_ns: Some(0), ..crossing(Symbol::NONE) };
    hops.record(&long, START);

    assert_eq!((hops.status().short, hops.status().long), (1, 1));
}

#[test]
fn the_default_bound_is_below_170_mib_and_grows_with_each_setting() {
    let default = Hops::bytes_max(&Settings::default());
    assert!(default < 170 << 20, "{default}");
    assert!(default > 500 * 6 * 5 * 2560 * 4, "{default}");
    assert_eq!(
        Hops::bytes_max(&Settings { series_max: usize::MAX, ..Settings::default() }),
        usize::MAX
    );
}

#[test]
fn the_text_is_cumulative_and_whole() {
    let symbols = Symbols::new(10);
    let mut hops = Hops::new(tiny(1));
    let shop = Crossing {
        caller: symbols.intern("web"),
        route: symbols.intern("/cart/{id}"),
        version: symbols.intern("1.2"),
        server_ns: Some(4_000_000),
        ..crossing(symbols.intern("cart"))
    };
    hops.record(&shop, minutes(0));
    hops.record(&Crossing { total_ns: 1_000_000, ..shop }, minutes(9));
    hops.record(&Crossing { total_ns: 90_000_000_000, ..shop }, minutes(9));
    let past = Crossing { outcome: Outcome::ServerError, network_ns: Some(1), ..shop };
    hops.record(&past, minutes(9));

    let mut text = String::new();
    hops.write_prometheus(&symbols, &mut text);

    assert_eq!(text, include_str!("golden.prom"));
}

#[test]
fn hostile_names_forge_no_line() {
    let symbols = Symbols::new(10);
    let mut hops = Hops::new(tiny(1));
    let hostile = symbols.intern("a\",x=\"1\"} 1\nforged_total 1\n\\");
    hops.record(&Crossing { caller: hostile, route: hostile, ..crossing(hostile) }, START);

    let mut text = String::new();
    hops.write_prometheus(&symbols, &mut text);

    let known = |line: &str| line.starts_with("hopline_hop_") || line.starts_with("# ");
    assert_eq!(text.lines().find(|line| !known(line)), None);
    let escaped = r#"callee="a\",x=\"1\"} 1\nforged_total 1\n\\",method="GET""#;
    assert!(text.contains(escaped), "{text}");
}

fn any_crossing(names: Vec<Symbol>) -> impl Strategy<Value = Crossing> {
    let name = move || proptest::sample::select(names.clone());
    let method = prop_oneof![Just(Method::Get), Just(Method::Other)];
    let outcome =
        prop_oneof![Just(Outcome::Success), Just(Outcome::ServerError), Just(Outcome::Unknown)];
    let part = || option::of(any::<u64>());
    ((name(), name(), name()), method, outcome, (any::<u64>(), part(), part())).prop_map(
        |((caller, callee, route), method, outcome, (total_ns, network_ns, self_ns))| Crossing {
            caller,
            route,
            version: callee,
            method,
            outcome,
            total_ns,
            network_ns,
            self_ns,
            ..crossing(callee)
        },
    )
}

fn some_names() -> Vec<Symbol> {
    vec![Symbol::NONE, Symbol::OTHER, Symbols::new(3).intern("cart")]
}

proptest! {
    #[test]
    fn series_stay_within_the_budget_and_totals_stay_exact(
        steps in vec((any_crossing(some_names()), 0u64..200), 0..120),
        series_max in 0usize..4,
    ) {
        let settings = Settings { idle: 2 * WINDOW, ..tiny(series_max) };
        let mut hops = Hops::new(settings);
        let mut now = START;
        for (crossing, wait_s) in &steps {
            now = now.after(Duration::from_secs(*wait_s));
            hops.record(crossing, now);
        }

        let status = hops.status();
        let held: u64 = hops.cells().map(|cell| cell.count()).sum();
        assert_eq!(status.recorded, steps.len() as u64);
        assert_eq!(held + status.released, status.recorded);
        assert!(status.series <= series_max && hops.cells().count() <= series_max + 5);
        assert!(hops.full.len() <= settings.windows);
        assert!(hops.full.iter().all(|window| window.series.len() <= series_max + 5));
    }

    #[test]
    fn outcomes_stay_exact_whatever_is_folded(
        crossings in vec(any_crossing(some_names()), 0..120),
        series_max in 0usize..4,
    ) {
        let mut hops = Hops::new(tiny(series_max));
        let mut expected: HashMap<Outcome, u64> = HashMap::new();
        for crossing in &crossings {
            hops.record(crossing, START);
            *expected.entry(crossing.outcome).or_default() += 1;
        }

        let mut answered: HashMap<Outcome, u64> = HashMap::new();
        for series in hops.snapshot(WINDOW, START) {
            *answered.entry(series.labels.outcome).or_default() += series.count;
        }
        assert_eq!(answered, expected);
    }

    #[test]
    fn no_sample_is_written_twice(crossings in vec(any_crossing(some_names()), 0..60)) {
        let symbols = Symbols::new(3);
        symbols.intern("cart");
        let mut hops = Hops::new(tiny(20));
        for crossing in &crossings {
            hops.record(crossing, START);
        }

        let mut text = String::new();
        hops.write_prometheus(&symbols, &mut text);

        let samples: Vec<&str> =
            text.lines().filter_map(|line| line.rsplit_once(' ')).map(|(it, _)| it).collect();
        let distinct: HashSet<&&str> = samples.iter().collect();
        assert_eq!(distinct.len(), samples.len());
    }
}
