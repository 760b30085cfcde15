//! The plug is pulled at every step, one after the other.

use super::machine::{Machine, tight};
use super::power::{Act, run};
use super::simfs::Crash;
use super::*;

/// Fills several segments, reads, trims, writes over what was trimmed, and goes on.
fn script() -> Vec<Act> {
    let mut script = Vec::new();
    for _ in 0..3 {
        script.extend([
            Act::Write(vec![100, 300]),
            Act::Write(vec![200]),
            Act::Settle,
            Act::Write(vec![500]),
            Act::Settle,
            Act::Write(vec![0, 10]),
            Act::Settle,
            Act::Advance(0, 4),
            Act::Advance(1, 6),
            Act::Trim,
            Act::Advance(0, 2),
        ]);
    }
    script.extend([Act::Trim, Act::Close, Act::Write(vec![50]), Act::Settle]);
    script
}

/// More than the script takes.
const STEPS: u64 = 150;

fn crashes() -> Vec<Crash> {
    let some = (0..6).map(Crash::Power);
    [Crash::Kill, Crash::PowerAll].into_iter().chain(some).collect()
}

fn at_every_step(ack: Ack) {
    for steps in 1..=STEPS {
        for how in crashes() {
            let mut acts = vec![Act::CrashAfter(steps, u64::MAX / 4, how)];
            acts.extend(script());
            run(ack, &acts);
        }
    }
}

#[test]
fn the_script_takes_fewer_steps_than_are_tried() {
    let mut machine = Machine::new(&tight(Ack::Wal));
    let before = machine.disk.steps();
    assert!(before > 0);
    machine.append("one").unwrap();
    // Create, write, allocate, write the group, sync the file and sync the directory.
    assert_eq!(machine.disk.steps() - before, 6);
    assert!(script().len() as u64 * 4 < STEPS);
}

#[test]
fn the_plug_may_be_pulled_at_every_step_in_wal_mode() {
    at_every_step(Ack::Wal);
}

#[test]
fn the_plug_may_be_pulled_at_every_step_in_memory_mode() {
    at_every_step(Ack::Memory);
}

#[test]
fn a_start_may_be_interrupted_at_every_step_and_the_next_one_finds_all() {
    for ack in [Ack::Wal, Ack::Memory] {
        for steps in 1..=40 {
            for how in crashes() {
                let mut acts = script();
                acts.extend([
                    Act::Write(vec![400, 400]),
                    Act::Settle,
                    Act::Write(vec![400]),
                    Act::CrashAfter(1, steps, how),
                    Act::Settle,
                    Act::Write(vec![1]),
                ]);
                run(ack, &acts);
            }
        }
    }
}
