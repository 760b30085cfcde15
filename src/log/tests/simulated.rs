//! Faults by name, on a simulated disk.

use super::super::pressure::Pressure;
use super::super::storage::Space;
use super::super::{Corrupt, disk};
use super::machine::{DIR, Machine, tight};
use super::simfs::{Crash, Op, SimFs};
use super::*;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

fn wal() -> Machine {
    Machine::new(&tight(Ack::Wal))
}

fn segment(base: u64) -> String {
    format!("{DIR}/{}", segment_name(base))
}

#[test]
fn a_power_cut_right_after_the_answer_takes_nothing() {
    for seed in 0..50 {
        let mut machine = wal();
        machine.append_all(&["one", "two"]);
        machine.crash(Crash::Power(seed));
        assert_eq!(machine.read_all(), ["one", "two"]);
        assert_eq!(machine.shared.damage().corrupt, Corrupt::default());
        machine.append("three").unwrap();
        machine.crash(Crash::PowerAll);
        assert_eq!(machine.read_all(), ["one", "two", "three"]);
    }
}

#[test]
fn a_directory_that_a_killed_process_left_unsynced_lasts_after_the_next_start() {
    for steps in 1..10 {
        let disk = SimFs::new();
        disk.end_after(steps);
        drop(Machine::start(&disk, &tight(Ack::Wal)));
        disk.crash(Crash::Kill);
        let mut machine = Machine::start(&disk, &tight(Ack::Wal)).unwrap();
        machine.append("one").unwrap();
        machine.crash(Crash::PowerAll);
        assert_eq!(machine.read_all(), ["one"], "killed at {steps}");
    }
}

#[test]
fn a_sync_that_failed_once_is_not_believed_when_it_succeeds() {
    let mut machine = wal();
    machine.append("one").unwrap();
    machine.disk.fail(Op::Sync, EIO);
    assert_eq!(machine.append("two"), Err(Refusal::LogFailed));
    assert!(machine.shared.state().failing);
    machine.append("three").unwrap();
    assert_eq!(machine.read_all(), ["one", "three"]);
    assert_eq!(machine.shared.state().poisoned, 1);
    machine.crash(Crash::PowerAll);
    assert_eq!(machine.read_all(), ["one", "three"]);
}

#[test]
fn what_is_written_while_a_sync_fails_is_refused_with_it() {
    let mut machine = wal();
    machine.append("one").unwrap();
    let mut first = machine.write(&["two".to_owned()], Nanos(1));
    machine.disk.fail(Op::Sync, EIO);
    machine.shared.settle();
    let mut second = machine.write(&["three".to_owned()], Nanos(1));
    assert_eq!(first.remove(0).try_recv().unwrap(), Err(Refusal::LogFailed));
    machine.shared.settle();
    second.remove(0).try_recv().unwrap().unwrap();
    assert_eq!(machine.read_all(), ["one", "three"]);
}

#[test]
fn an_entry_that_cannot_be_synced_is_not_acknowledged() {
    let mut machine = wal();
    machine.disk.fail(Op::SyncDir, EIO);
    assert_eq!(machine.append("one"), Err(Refusal::LogFailed));
    machine.append("two").unwrap();
    machine.crash(Crash::PowerAll);
    assert_eq!(machine.read_all(), ["two"]);
}

#[test]
fn a_disk_that_is_full_refuses_and_takes_again_when_there_is_room() {
    let mut machine = wal();
    machine.append("one").unwrap();
    machine.disk.set_room(50);
    let long = "x".repeat(800);
    assert_eq!(machine.append(&long), Err(Refusal::LogFull));
    assert_eq!(machine.append(&long), Err(Refusal::LogFull));
    machine.disk.heal();
    machine.append("two").unwrap();
    assert_eq!(machine.read_all(), ["one", "two"]);
    machine.crash(Crash::Power(3));
    assert_eq!(machine.read_all(), ["one", "two"]);
    assert_eq!(machine.shared.damage().corrupt, Corrupt::default());
}

#[test]
fn cursors_are_saved_on_a_full_disk() {
    let mut machine = wal();
    let cursor = machine.cursor("export");
    machine.shared.trim(Nanos(1));
    machine.append_all(&["one", "two"]);
    cursor.advance(machine.end());
    machine.disk.set_room(0);
    assert!(machine.shared.save_cursors());
    machine.crash(Crash::PowerAll);
    assert_eq!(machine.cursor("export").get(), machine.end());
}

#[test]
fn a_write_that_fails_is_refused_and_the_next_is_written_in_its_place() {
    let mut machine = wal();
    let first = machine.append("one").unwrap();
    machine.disk.fail(Op::Write, EIO);
    assert_eq!(machine.append("two"), Err(Refusal::LogFailed));
    let third = machine.append("three").unwrap();
    assert_eq!(machine.read_all(), ["one", "three"]);
    assert!(third > first);
    machine.crash(Crash::PowerAll);
    assert_eq!(machine.read_all(), ["one", "three"]);
}

#[test]
fn a_read_that_fails_is_read_again() {
    let mut machine = wal();
    machine.append_all(&["one", "two"]);
    let mut reader = Reader::new(Arc::clone(&machine.shared), Position(0));
    machine.disk.fail(Op::Read, EIO);
    assert!(matches!(reader.try_next(), Err(Error::Io { .. })));
    assert_eq!(drain(&mut reader).0, ["one", "two"]);
    assert_eq!(machine.shared.damage().corrupt, Corrupt::default());
}

#[test]
fn a_start_that_cannot_read_fails_and_the_next_one_finds_all() {
    let mut machine = wal();
    machine.append_all(&["one", "two"]);
    machine.disk.crash(Crash::Kill);
    machine.disk.fail(Op::Read, EIO);
    let failed = Machine::start(&machine.disk, &tight(Ack::Wal));
    assert!(matches!(failed, Err(Error::Io { .. })));
    machine.crash(Crash::Kill);
    assert_eq!(machine.read_all(), ["one", "two"]);
}

#[test]
fn a_directory_that_became_read_only_refuses_is_read_and_never_downgrades() {
    let mut machine = wal();
    machine.append("one").unwrap();
    machine.disk.set_read_only(true);
    assert_eq!(machine.append("two"), Err(Refusal::LogFailed));
    machine.shared.trim(Nanos(1));
    assert_eq!(machine.read_all(), ["one"]);
    assert_eq!(machine.shared.settings.ack, Ack::Wal);
    machine.disk.set_read_only(false);
    machine.append("three").unwrap();
    machine.crash(Crash::PowerAll);
    assert_eq!(machine.read_all(), ["one", "three"]);
}

#[test]
fn a_disk_that_syncs_slowly_fills_the_queue_and_no_more() {
    let disk = SimFs::new();
    let settings = Settings { queue_bytes_max: 300, ..tight(Ack::Wal) };
    let log = Log::open_on(settings, Arc::new(disk.clone())).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    disk.hold_syncs();
    let append = |text: &str| {
        let (log, text) = (log.clone(), text.to_owned());
        runtime.spawn(async move { log.append(packed(&text)).await })
    };
    let mut first = append(&"1".repeat(200));
    disk.wait_for_sync();
    assert_eq!(runtime.block_on(append(&"2".repeat(200))).unwrap(), Err(Refusal::Busy));
    assert_eq!(log.end(), Position(0), "nothing is acknowledged meanwhile");
    disk.release_syncs();
    runtime.block_on(&mut first).unwrap().unwrap();
    runtime.block_on(append(&"3".repeat(200))).unwrap().unwrap();
    assert_eq!(read_all(&log), ["1".repeat(200), "3".repeat(200)]);
}

#[test]
fn while_a_sync_lasts_the_next_group_is_written() {
    let disk = SimFs::new();
    let log = Log::open_on(tight(Ack::Wal), Arc::new(disk.clone())).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    disk.hold_syncs();
    let append = |text: &'static str| {
        let log = log.clone();
        runtime.spawn(async move { log.append(packed(text)).await })
    };
    let first = append("one");
    disk.wait_for_sync();
    let steps = disk.steps();
    let second = append("two");
    while disk.steps() == steps {
        std::thread::yield_now();
    }
    disk.release_syncs();
    runtime.block_on(first).unwrap().unwrap();
    runtime.block_on(second).unwrap().unwrap();
    assert_eq!(read_all(&log), ["one", "two"]);
}

#[test]
fn a_full_budget_refuses_loses_nothing_and_takes_again() {
    let mut machine = wal();
    let cursor = machine.cursor("export");
    let mut kept = Vec::new();
    let refused = loop {
        let text = format!("{}", kept.len()).repeat(100);
        match machine.append(&text) {
            Ok(_) => kept.push(text),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refused, Refusal::LogFull);
    assert_eq!(machine.read_all(), kept);
    assert_eq!(machine.bytes_on_disk(), machine.shared.state().bytes);
    assert!(machine.bytes_on_disk() <= 8_000);
    cursor.advance(machine.end());
    machine.append("again").unwrap();
}

#[test]
fn pressure_grows_with_what_is_unread_and_falls_when_it_is_read() {
    let mut machine = wal();
    let cursor = machine.cursor("export");
    let mut seen = vec![machine.shared.judged()];
    while machine.append(&"x".repeat(300)).is_ok() {
        let judged = machine.shared.judged();
        if seen.last() != Some(&judged) {
            seen.push(judged);
        }
    }
    assert_eq!(seen, [Pressure::Low, Pressure::Soft, Pressure::Hard]);
    cursor.advance(machine.end());
    assert_eq!(machine.shared.judged(), Pressure::Low);
}

#[test]
fn a_disk_about_to_be_full_refuses_before_it_is_and_gives_back_what_was_read() {
    let settings = Settings { keep: Duration::from_secs(3600), ..tight(Ack::Wal) };
    let mut machine = Machine::new(&settings);
    let cursor = machine.cursor("export");
    machine.append_all(&["one".repeat(200).as_str(), "two".repeat(200).as_str(), "three"]);
    cursor.advance(machine.end());
    machine.disk.set_space(Space { free: 100, total: 1 << 20 });
    machine.shared.trim(Nanos(2_000));
    assert_eq!(machine.shared.judged(), Pressure::Hard);
    assert_eq!(machine.read_all(), ["three"], "the window is given up");
    assert_eq!(machine.append(&"x".repeat(900)), Err(Refusal::LogFull));
    machine.disk.set_space(Space { free: 1 << 20, total: 1 << 20 });
    machine.shared.trim(Nanos(2_000));
    machine.append(&"x".repeat(900)).unwrap();
}

#[test]
fn a_clock_that_jumps_neither_trims_unread_evidence_nor_keeps_read_evidence_for_ever() {
    const DAY: u64 = 86_400_000_000_000;
    let today = 20_000 * DAY;
    for jumped in [today + DAY, today - DAY, DAY, u64::MAX] {
        let settings = Settings { keep: Duration::from_secs(3600), ..tight(Ack::Wal) };
        let mut machine = Machine::new(&settings);
        let cursor = machine.cursor("export");
        let write = |machine: &mut Machine, text: &str, received| {
            drop(machine.write(&[text.repeat(700)], Nanos(received)));
            machine.shared.settle();
        };
        write(&mut machine, "1", today);
        write(&mut machine, "2", jumped);
        machine.shared.trim(Nanos(jumped));
        machine.crash(Crash::Kill);
        write(&mut machine, "3", today);
        write(&mut machine, "4", today);
        machine.shared.trim(Nanos(today + 3 * DAY));
        let unread = ["1", "2", "3", "4"].map(|text| text.repeat(700));
        assert_eq!(machine.read_all(), unread, "unread stays, clock at {jumped}");

        cursor_to_end(&machine, &cursor);
        machine.shared.trim(Nanos(today + 3 * DAY));
        assert_eq!(machine.read_all(), unread[3..], "read goes, clock at {jumped}");
    }
}

fn cursor_to_end(machine: &Machine, _of_the_killed: &super::super::Cursor) {
    machine.cursor("export").advance(machine.end());
}

#[test]
fn a_trimmed_segment_is_written_over_and_shows_nothing_of_before() {
    let mut machine = wal();
    let cursor = machine.cursor("export");
    let old: Vec<Position> =
        (0..6).map(|n| machine.append(&format!("{n}").repeat(300)).unwrap()).collect();
    cursor.advance(machine.end());
    machine.shared.trim(Nanos(10_000));
    assert!(!machine.shared.state().spares.is_empty());
    let files = machine.disk.sizes(DIR).len();
    let mut reader = Reader::new(Arc::clone(&machine.shared), machine.end());
    let new: Vec<String> = (0..4).map(|n| format!("new {n}").repeat(40)).collect();
    for text in &new {
        machine.append(text).unwrap();
    }
    assert_eq!(machine.disk.sizes(DIR).len(), files, "no file was created");
    assert_eq!(drain(&mut reader).0, new);
    for how in [Crash::PowerAll, Crash::Power(1), Crash::Kill] {
        machine.crash(how);
        let found = machine.read_all();
        assert!(found.ends_with(&new), "{found:?}");
        assert_eq!(machine.shared.damage().corrupt, Corrupt::default());
    }
    assert!(matches!(machine.shared.read(old[0].0), Err(Error::Gone { .. })));
}

#[test]
fn a_reader_of_a_segment_that_is_written_over_learns_that_it_is_gone() {
    let mut machine = wal();
    let cursor = machine.cursor("export");
    machine.append_all(&["a".repeat(300).as_str(), "b".repeat(300).as_str()]);
    let mut reader = Reader::new(Arc::clone(&machine.shared), Position(0));
    assert_eq!(text(&reader.try_next().unwrap().unwrap()), "a".repeat(300));
    machine.append_all(&["c".repeat(700).as_str(), "d"]);
    cursor.advance(machine.end());
    machine.shared.trim(Nanos(10_000));
    machine.append_all(&["e".repeat(700).as_str(), "f".repeat(700).as_str()]);
    let (texts, errors) = drain(&mut reader);
    let lost = 300 + 700;
    assert!(
        matches!(errors[..], [Error::Gone { items: Some([0, items, 0]), .. }] if items == lost),
        "{errors:?}"
    );
    assert_eq!(texts.len(), 3);
    assert_eq!(machine.shared.damage().corrupt, Corrupt::default());
}

#[test]
fn trimmed_evidence_does_not_stay_on_disk() {
    let mut machine = wal();
    let cursor = machine.cursor("export");
    for _ in 0..6 {
        machine.append(&"secret".repeat(50)).unwrap();
    }
    cursor.advance(machine.end());
    machine.shared.trim(Nanos(2_000));
    assert!(!machine.shared.state().spares.is_empty());
    machine.append("later").unwrap();
    let minute = 60_000_000_000;
    machine.shared.trim(Nanos(minute));
    machine.shared.trim(Nanos(3 * minute));
    assert_eq!(machine.shared.queue.take(0).map(|group| group.len()), Some(0), "asked to tidy up");
    machine.writer.tidy();
    assert!(machine.shared.state().spares.is_empty());
    assert_eq!(machine.bytes_on_disk(), machine.shared.state().bytes);
    assert!(machine.bytes_on_disk() < 1_500, "{}", machine.bytes_on_disk());
}

#[test]
fn bytes_that_look_like_a_batch_inside_a_batch_are_none() {
    use super::super::frame::{Format, Frame};
    use super::super::pack::Packing;
    for mark in [0, 1, 0x5eed] {
        let mut machine = wal();
        machine.append("one").unwrap();
        let at = machine.end();
        let inner = Position(at.0 + 96 + 8);
        let planted = Frame {
            position: inner.0,
            length: 6,
            payload_crc: crc32fast::hash(b"forged"),
            packing: Packing::Plain,
            before: [0, 3, 0],
            head: head(6),
            format: Format::marked(mark),
        };
        let mut payload = vec![b'-'; 8];
        payload.extend(planted.encode());
        payload.extend(b"forged");
        let clean = Clean::for_test(head(1), Bytes::from(payload));
        let (reply, _answer) = tokio::sync::oneshot::channel();
        let packed = Packed::new(&clean, None);
        machine.writer.write(vec![super::super::queue::Pending { packed, reply }]);
        machine.shared.settle();
        machine.append("three").unwrap();
        let offset = usize::try_from(76 + at.0 + 40).unwrap();
        machine.disk.edit(&segment(0), |bytes| bytes[offset] ^= 1);
        machine.crash(Crash::Kill);
        let (texts, errors) = machine.drain(Position(0));
        assert_eq!(texts, ["one", "three"]);
        assert!(matches!(errors[..], [Error::Corrupt { items: [0, 1, 0], .. }]), "{errors:?}");
    }
}

#[test]
fn positions_that_a_power_cut_took_in_memory_mode_are_not_given_again() {
    let mut machine = Machine::new(&tight(Ack::Memory));
    let first = machine.append_all(&["one", "two"]);
    machine.crash(Crash::PowerAll);
    assert_eq!(machine.read_all(), Vec::<String>::new());
    let again = machine.append("three").unwrap();
    assert!(again > first[1]);
    assert_eq!(machine.read_all(), ["three"]);
}

#[test]
fn in_memory_mode_a_full_segment_is_not_synced_before_the_next_is_begun() {
    let disk = SimFs::new();
    let log = Log::open_on(tight(Ack::Memory), Arc::new(disk.clone())).unwrap();
    let texts: Vec<String> = (0..6).map(|n| format!("{n}").repeat(400)).collect();
    append(&log, &texts[0]).unwrap();
    disk.hold_syncs();
    for text in &texts[1..] {
        append(&log, text).unwrap();
    }
    assert!(log.status().segments > 2);
    assert_eq!(read_all(&log), texts);
    disk.release_syncs();
    log.trim(Nanos(0));
    drop(log);
    disk.crash(Crash::PowerAll);
    let log = Log::open_on(tight(Ack::Memory), Arc::new(disk)).unwrap();
    assert_eq!(read_all(&log), texts);
}

#[test]
fn the_newest_requests_are_known_by_their_digests_after_a_restart() {
    let mut machine = wal();
    let texts: Vec<String> = (0..12).map(|n| format!("{n}").repeat(200)).collect();
    let digest = |text: &str| Digest(u128::from(crc32fast::hash(text.as_bytes())) + 1);
    let mut expected = Vec::new();
    for (n, text) in (0..).zip(&texts) {
        let mut answer = machine.write(std::slice::from_ref(text), Nanos(1_000 + n));
        machine.shared.settle();
        let position = answer.remove(0).try_recv().unwrap().unwrap();
        expected.insert(0, (digest(text), position));
    }
    machine.crash(Crash::Kill);
    let recent = |since, at_most| -> Vec<_> {
        let found = machine.shared.recent(Nanos(since), at_most);
        found.into_iter().map(|(head, at)| (head.digest, at)).collect()
    };
    assert_eq!(recent(0, 100), expected);
    assert_eq!(recent(0, 5), expected[..5]);
    assert_eq!(recent(1_009, 100), expected[..3]);
    assert_eq!(recent(0, 0), []);
    assert_eq!(recent(2_000, 100), []);
}

#[test]
fn cursors_that_are_lost_or_zero_or_behind_or_ahead_or_damaged_miss_nothing() {
    let mut machine = wal();
    let cursor = machine.cursor("index");
    machine.append_all(&["one", "two", "three"]);
    cursor.advance(Position(machine.end().0));
    machine.close();
    let path = format!("{DIR}/cursors");
    let crc = |text: &str| format!("{text}crc32 {:08x}\n", crc32fast::hash(text.as_bytes()));
    let all = ["one", "two", "three"].map(str::to_owned).to_vec();
    let cases = [
        (String::new(), all.clone()),
        ("\0".repeat(64), all.clone()),
        (crc("hopline cursors 1\n0 index\n"), all.clone()),
        (crc("hopline cursors 1\n99 index\n"), all[1..].to_vec()),
        (crc("hopline cursors 1\n1000000 index\n"), Vec::new()),
        (crc("hopline cursors 1\n0 index\n").replace('0', "1"), all.clone()),
    ];
    for (content, ahead) in cases {
        machine.disk.edit(&path, |bytes| *bytes = content.clone().into_bytes());
        machine.crash(Crash::Kill);
        let cursor = machine.cursor("index");
        assert_eq!(machine.drain(cursor.get()).0, ahead, "{content:?}");
        assert_eq!(machine.read_all(), all, "{content:?}");
    }
}

#[test]
fn a_refusal_says_whether_the_disk_is_full_or_fails() {
    let errno = |errno| disk::refusal(&std::io::Error::from_raw_os_error(errno));
    assert_eq!([ENOSPC, 122, 27].map(errno), [Refusal::LogFull; 3]);
    assert_eq!([EIO, 30, 13].map(errno), [Refusal::LogFailed; 3]);
}
