//! Whatever is done in whatever order, whatever fails, and whenever the plug is pulled: what was
//! acknowledged is there, and nothing else. `PROPTEST_CASES` makes it look longer.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::machine::{Answer, Machine, tight};
use super::simfs::{Crash, Op, SimFs};
use super::*;

#[derive(Clone, Debug)]
pub(super) enum Act {
    /// A group of batches of these lengths.
    Write(Vec<usize>),
    /// The disk syncs what was written.
    Settle,
    /// A cursor passes so many batches.
    Advance(usize, usize),
    Trim,
    /// The clock is set: forth and back.
    Clock(u64),
    /// The writer gives up the room it has not used.
    Tidy,
    Close,
    Crash(Crash),
    /// The process ends in the middle of the acts that follow, and so does the next start.
    CrashAfter(u64, u64, Crash),
    /// The next such operation fails.
    Fail(Op, i32),
    /// So much room is left on the disk.
    Room(u64),
    /// Reads and writes do so many bytes at once.
    AtOnce(usize),
    Heal,
}

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const CURSORS: [&str; 2] = ["export", "index"];

fn crash() -> impl Strategy<Value = Crash> {
    prop_oneof![
        2 => Just(Crash::Kill),
        1 => Just(Crash::PowerAll),
        4 => any::<u64>().prop_map(Crash::Power),
    ]
}

fn fault() -> impl Strategy<Value = (Op, i32)> {
    let op = prop::sample::select(vec![
        Op::Open,
        Op::Read,
        Op::Write,
        Op::Sync,
        Op::SyncDir,
        Op::SetLen,
        Op::Allocate,
        Op::Rename,
        Op::Remove,
    ]);
    (op, prop::sample::select(vec![EIO, ENOSPC]))
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => prop::collection::vec(0..500_usize, 1..4).prop_map(Act::Write),
        6 => Just(Act::Settle),
        4 => (0..2_usize, 0..6_usize).prop_map(|(which, count)| Act::Advance(which, count)),
        3 => Just(Act::Trim),
        1 => (0..100_u64).prop_map(Act::Clock),
        1 => Just(Act::Tidy),
        1 => Just(Act::Close),
        2 => crash().prop_map(Act::Crash),
        2 => (1..40_u64, 1..30_u64, crash()).prop_map(|(a, b, how)| Act::CrashAfter(a, b, how)),
        2 => fault().prop_map(|(op, errno)| Act::Fail(op, errno)),
        1 => (0..3_000_u64).prop_map(Act::Room),
        1 => (1..300_usize).prop_map(Act::AtOnce),
        1 => Just(Act::Heal),
    ]
}

/// The log beside what is known of it.
struct Rig {
    machine: Machine,
    /// Answers that have not come, by the batch.
    waiting: Vec<(String, Answer)>,
    /// What readers see, in order.
    visible: Vec<(Position, String)>,
    /// Every position that was ever acknowledged.
    given: BTreeMap<Position, String>,
    /// Up to here a power cut takes nothing.
    lasts: Position,
    cursors: [Position; 2],
    /// Where a crash finds them at the earliest.
    saved: [Position; 2],
    written: usize,
    now: u64,
    /// The power went: what it took is missing from then on.
    lost_some: bool,
    /// Some operation failed.
    has_failed: bool,
    /// How a start goes that was to be interrupted.
    interrupts: Option<(u64, Crash)>,
    how: Crash,
}

impl Rig {
    fn new(ack: Ack) -> Self {
        let machine = Machine::new(&tight(ack));
        let mut rig = Self {
            machine,
            waiting: Vec::new(),
            visible: Vec::new(),
            given: BTreeMap::new(),
            lasts: Position(0),
            cursors: [Position(0); 2],
            saved: [Position(0); 2],
            written: 0,
            now: 1_000_000,
            lost_some: false,
            has_failed: false,
            interrupts: None,
            how: Crash::Kill,
        };
        rig.open_cursors();
        rig
    }

    fn disk(&self) -> &SimFs {
        &self.machine.disk
    }

    fn apply(&mut self, act: &Act) {
        match act {
            Act::Write(lengths) => self.write(lengths),
            Act::Settle => self.machine.shared.settle(),
            Act::Advance(which, count) => self.advance(*which, *count),
            Act::Trim => self.trim(),
            Act::Clock(to) => self.now = to * 20_000,
            Act::Tidy => self.machine.writer.tidy(),
            Act::Close => {
                self.machine.close();
                self.hear();
                self.restart(Crash::Kill);
            }
            Act::Crash(how) => self.restart(*how),
            Act::CrashAfter(steps, then, how) => {
                self.disk().end_after(*steps);
                (self.interrupts, self.how) = (Some((*then, *how)), *how);
            }
            Act::Fail(op, errno) => {
                self.disk().fail(*op, *errno);
                self.has_failed = true;
            }
            Act::Room(bytes) => self.disk().set_room(*bytes),
            Act::AtOnce(bytes) => self.disk().set_at_once(*bytes),
            Act::Heal => self.disk().heal(),
        }
        if self.disk().has_ended() {
            self.hear();
            self.restart(self.how);
        }
        self.hear();
    }

    fn write(&mut self, lengths: &[usize]) {
        let mut texts = Vec::new();
        for length in lengths {
            self.written += 1;
            texts.push(format!("{}:{}", self.written, "x".repeat(*length)));
        }
        self.now += 10;
        let answers = self.machine.write(&texts, Nanos(self.now));
        self.waiting.extend(texts.into_iter().zip(answers));
    }

    fn advance(&mut self, which: usize, count: usize) {
        let passed = |at: Position| self.visible.iter().filter(|(it, _)| *it < at).count();
        let next = self.visible.get(passed(self.cursors[which]) + count);
        let to = next.map_or(self.machine.end(), |(position, _)| *position);
        let cursor = self.machine.cursor(CURSORS[which]);
        cursor.advance(to);
        self.cursors[which] = cursor.get();
    }

    fn trim(&mut self) {
        let poisoned = self.machine.shared.state().poisoned;
        let all = self.machine.end();
        self.machine.shared.trim(Nanos(self.now));
        if self.machine.shared.state().poisoned == poisoned && !self.disk().has_ended() {
            // Poisoned before, what was written then may be lost.
            if poisoned == 0 {
                self.lasts = self.lasts.max(all);
            }
        }
        if self.machine.shared.cursors.floor() == self.cursors[0].min(self.cursors[1]).0 {
            self.saved = self.saved.map(|at| at.max(self.cursors[0].min(self.cursors[1])));
        }
    }

    /// Takes the answers that have come.
    fn hear(&mut self) {
        for (text, mut answer) in std::mem::take(&mut self.waiting) {
            match answer.try_recv() {
                Ok(Ok(position)) => {
                    let before = self.given.insert(position, text.clone());
                    assert_eq!(before, None, "{position:?} was given twice");
                    assert!(self.visible.last().is_none_or(|(last, _)| *last < position));
                    self.visible.push((position, text));
                    if self.machine.settings.ack == Ack::Wal {
                        self.lasts = self.machine.end();
                    }
                }
                Err(tokio::sync::oneshot::error::TryRecvError::Empty) => {
                    self.waiting.push((text, answer));
                }
                // Refused, or the process ended before it could answer.
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }

    fn restart(&mut self, how: Crash) {
        self.waiting.clear();
        let poisoned = self.machine.shared.state().poisoned > 0;
        self.disk().crash(how);
        let interrupted = self.interrupts.take();
        if let Some((steps, _)) = interrupted {
            self.disk().end_after(steps);
        }
        // What could not be synced is lost by a kill as well.
        let mut kill_only = how == Crash::Kill && !poisoned;
        let started = Machine::start(self.disk(), &self.machine.settings);
        let started = started.or_else(|_| {
            let (_, again) = interrupted.expect("a start fails only when it is interrupted");
            assert!(self.disk().has_ended());
            self.disk().crash(again);
            kill_only &= again == Crash::Kill;
            Machine::start(self.disk(), &self.machine.settings)
        });
        self.machine = started.expect("what was left can be opened");
        if self.disk().has_ended() {
            // The end came where the start was done already, or was of no matter to it.
            self.disk().crash(Crash::Kill);
            self.machine = Machine::start(self.disk(), &self.machine.settings).unwrap();
        }
        self.disk().end_after(u64::MAX / 2);
        self.recovered(kill_only);
    }

    /// Holds what was found against what has to be there.
    fn recovered(&mut self, kill_only: bool) {
        let start = self.machine.start_position();
        let mut reader = Reader::new(Arc::clone(&self.machine.shared), start);
        let (mut found, mut lost, mut counted) = (Vec::new(), 0, 0);
        loop {
            match reader.try_next() {
                Ok(Some(batch)) => {
                    counted += u64::from(batch.head.items);
                    found.push((batch.position, text(&batch)));
                }
                Ok(None) => break,
                Err(Error::Corrupt { items: [_, items, _], .. }) => lost += items,
                Err(error) => panic!("{error}"),
            }
        }
        // What was torn before it was acknowledged is damage as well: nobody can tell the two.
        self.lost_some |= !kill_only;
        let may_lose = self.machine.settings.ack == Ack::Memory && !kill_only;
        assert!(self.lost_some || self.has_failed || lost == 0, "{lost} items are lost");
        assert_eq!(self.machine.shared.items_from(start.0)[1], counted + lost);
        assert!(found.is_sorted_by(|a, b| a.0 < b.0));
        let found: BTreeMap<Position, String> = found.into_iter().collect();
        // A trimmed segment that could not be removed is there again, those behind it are not.
        let first = if self.has_failed { self.cursors[0].min(self.cursors[1]) } else { start };
        self.lost_some |= self.has_failed;
        for (position, text) in &self.visible {
            let is_due = *position >= first && (!may_lose || *position < self.lasts);
            match found.get(position) {
                Some(read) => assert_eq!(read, text),
                None => assert!(!is_due, "{position:?} is lost"),
            }
        }
        for (position, text) in &found {
            let (number, _) = text.split_once(':').unwrap();
            assert!(number.parse::<usize>().unwrap() <= self.written);
            let given = self.given.get(position);
            assert!(given.is_none_or(|given| given == text), "{position:?} was given twice");
            self.given.insert(*position, text.clone());
        }
        self.visible = found.into_iter().collect();
        self.lasts = self.machine.end();
        self.open_cursors();
    }

    fn open_cursors(&mut self) {
        for (which, name) in CURSORS.into_iter().enumerate() {
            let at = self.machine.cursor(name).get();
            assert!(at >= self.saved[which], "{name} went back");
            assert!(at <= self.cursors[which].max(self.machine.start_position()));
            self.cursors[which] = at;
        }
    }

    fn check(&self) {
        let shared = &self.machine.shared;
        let start = self.machine.start_position();
        let slowest = self.cursors[0].min(self.cursors[1]);
        assert!(start <= slowest, "unread evidence was trimmed");
        let ahead = self.visible.iter().filter(|(position, _)| *position >= slowest);
        let (mut texts, mut at_most) = (Vec::new(), 100);
        let mut reader = Reader::new(Arc::clone(shared), slowest);
        let mut lost = false;
        loop {
            match reader.try_next() {
                Ok(Some(batch)) => texts.push(text(&batch)),
                Ok(None) => break,
                // A disk that fails to read is asked again.
                Err(Error::Io { .. }) if at_most > 0 => at_most -= 1,
                Err(Error::Corrupt { .. }) if self.lost_some => lost = true,
                Err(error) => panic!("{error}"),
            }
        }
        if lost {
            assert!(texts.iter().all(|text| self.visible.iter().any(|(_, it)| it == text)));
        } else {
            assert!(texts.iter().eq(ahead.map(|(_, text)| text)), "readers see something else");
        }
        let bytes = shared.state().bytes;
        assert!(bytes <= self.machine.settings.bytes_max, "{bytes}");
    }
}

/// Does all of it, and then pulls the plug once more.
pub(super) fn run(ack: Ack, acts: &[Act]) {
    let mut rig = Rig::new(ack);
    for act in acts {
        rig.apply(act);
        rig.check();
    }
    rig.disk().heal();
    rig.restart(Crash::Power(1));
    rig.check();
    assert_eq!(rig.machine.bytes_on_disk(), rig.machine.shared.state().bytes);
    // It goes on.
    for which in 0..2 {
        rig.apply(&Act::Advance(which, usize::MAX / 2));
    }
    rig.apply(&Act::Trim);
    rig.apply(&Act::Write(vec![1]));
    rig.apply(&Act::Settle);
    assert_eq!(
        rig.visible.last().map(|(_, text)| text.clone()),
        Some(format!("{}:x", rig.written))
    );
    rig.check();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_disk_acknowledged_survives_everything(
        acts in prop::collection::vec(act(), 1..50),
    ) {
        run(Ack::Wal, &acts);
    }

    #[test]
    fn what_the_kernel_acknowledged_survives_all_but_the_power(
        acts in prop::collection::vec(act(), 1..50),
    ) {
        run(Ack::Memory, &acts);
    }
}

#[test]
fn what_a_failed_sync_left_in_memory_is_not_found_by_the_next_start() {
    let fails = [Act::Write(vec![0]), Act::Fail(Op::Sync, EIO), Act::Write(vec![240])];
    let ends = [Act::Settle, Act::Crash(Crash::Kill), Act::Settle];
    run(Ack::Wal, &[fails, ends].concat());
    let closes = [Act::Trim, Act::Write(vec![0]), Act::Fail(Op::Sync, EIO), Act::Close];
    run(Ack::Memory, &closes);
}

#[test]
fn a_trimmed_segment_that_cannot_be_removed_takes_nothing_with_it() {
    let filled = [Act::Write(vec![0]), Act::Close, Act::Write(vec![196, 308])];
    let fails = [Act::Fail(Op::Remove, EIO), Act::Write(vec![0]), Act::Advance(0, 3)];
    run(
        Ack::Memory,
        &[filled, fails]
            .concat()
            .into_iter()
            .chain([Act::Advance(1, 3), Act::Trim])
            .collect::<Vec<_>>(),
    );
}

#[test]
fn what_a_refused_first_segment_left_is_told_from_the_one_behind_it() {
    let fails = [Act::Fail(Op::SyncDir, EIO), Act::Write(vec![151, 353])];
    run(Ack::Wal, &[fails, [Act::Write(vec![236, 4, 0]), Act::Trim]].concat());
    let stays = [
        Act::Trim,
        Act::Fail(Op::SyncDir, EIO),
        Act::Write(vec![352]),
        Act::Fail(Op::SetLen, EIO),
        Act::Write(vec![152]),
        Act::Write(vec![131]),
        Act::Write(vec![109, 0]),
        Act::Crash(Crash::Power(2_480_029_631_880_978_927)),
    ];
    run(Ack::Wal, &stays);
}

#[test]
fn a_removal_that_a_power_cut_undid_does_not_cost_the_budget() {
    let mut acts: Vec<Act> = Vec::new();
    for lengths in [[338, 68], [424, 87], [326, 291], [378, 484], [482, 283]] {
        acts.push(Act::Write(lengths.to_vec()));
    }
    acts.push(Act::Trim);
    for lengths in [[261, 0], [110, 133], [283, 442]] {
        acts.extend([Act::Write(lengths.to_vec()), Act::Advance(0, 1), Act::Advance(1, 1)]);
    }
    acts.push(Act::Close);
    for lengths in [[70, 36], [361, 0], [213, 0], [49, 0], [115, 133]] {
        acts.extend([Act::Advance(0, 2), Act::Write(lengths.to_vec()), Act::Advance(1, 2)]);
    }
    for seed in 0..50 {
        let crash = [Act::Crash(Crash::Power(seed))];
        run(Ack::Memory, &[acts.clone(), crash.to_vec()].concat());
    }
}

#[test]
fn a_refused_segment_that_cannot_be_removed_counts_to_the_budget() {
    let mut acts = vec![Act::Write(vec![325]), Act::Write(vec![472, 393, 436])];
    acts.extend([Act::Fail(Op::Remove, EIO), Act::Write(vec![0, 333, 70])]);
    acts.extend([Act::Fail(Op::Sync, EIO), Act::Write(vec![418])]);
    for lengths in [[279, 176], [449, 39], [467, 165], [363, 0], [500, 500], [500, 500]] {
        acts.push(Act::Write(lengths.to_vec()));
    }
    acts.push(Act::Close);
    run(Ack::Wal, &acts);
}
