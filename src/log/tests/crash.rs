//! What a crash or a bad disk leaves is opened, and the loss is what it has to be.

use super::super::active::Active;
use super::super::frame::{FRAME_BYTES, Format, OPENING_BYTES, Opening};
use super::super::{Corrupt, Cursor};
use super::*;

const OPENING: u64 = OPENING_BYTES as u64;
const FRAME: u64 = FRAME_BYTES as u64;

fn offset(at: Position) -> u64 {
    OPENING + at.0
}

fn corrupt(spans: u64, bytes: u64) -> Corrupt {
    Corrupt { spans, bytes, torn_bytes: 0 }
}

#[test]
fn a_killed_process_keeps_every_acknowledged_batch() {
    for ack in [Ack::Wal, Ack::Memory] {
        let dir = tempfile::tempdir().unwrap();
        let small = settings(dir.path(), ack);
        let log = Log::open(Settings { segment_bytes: 200, ..small }).unwrap();
        append_all(&log, &["one", "two", "three", "four", "five"]);

        let image = crash_image(dir.path());

        let reopened = Log::open(settings(image.path(), ack)).unwrap();
        assert_eq!(read_all(&reopened), ["one", "two", "three", "four", "five"]);
        assert_eq!(reopened.status().corrupt, Corrupt::default());
    }
}

#[test]
fn a_tail_torn_at_any_byte_loses_the_last_batch_alone_and_the_log_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(settings(dir.path(), Ack::Wal)).unwrap();
    let last = append_all(&log, &["one", "two", "the last of them"])[2];
    for cut in offset(last)..offset(log.end()) {
        let image = crash_image(dir.path());
        let segment = segment_files(image.path()).remove(0);
        let file = fs::OpenOptions::new().write(true).open(&segment).unwrap();
        file.set_len(cut).unwrap();

        let torn = Log::open(settings(image.path(), Ack::Memory)).unwrap();

        let torn_bytes = cut - offset(last);
        let expected = Corrupt { torn_bytes, ..Corrupt::default() };
        assert_eq!(torn.status().corrupt, expected, "cut at {cut}");
        assert_eq!(torn.items(Position(0)), [0, 6, 0]);
        append(&torn, "more").unwrap();
        assert_eq!(read_all(&torn), ["one", "two", "more"], "cut at {cut}");
    }
}

#[test]
fn a_crash_while_a_segment_is_created_leaves_nothing_to_clean_up() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(settings(dir.path(), Ack::Wal)).unwrap();
    append(&log, "one").unwrap();
    for length in 0..=OPENING_BYTES {
        let image = crash_image(dir.path());
        let first = fs::read(segment_files(dir.path()).remove(0)).unwrap();
        let next = image.path().join(segment_name(log.end().0));
        fs::write(next, &first[..length.min(OPENING_BYTES - 1)]).unwrap();

        let reopened = Log::open(settings(image.path(), Ack::Memory)).unwrap();
        append(&reopened, "two").unwrap();

        assert_eq!(read_all(&reopened), ["one", "two"], "{length} bytes");
        assert_eq!(reopened.status().corrupt, Corrupt::default());
    }
}

#[test]
fn a_flipped_bit_costs_the_batch_it_is_in_and_every_reader_learns_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(from_disk(dir.path())).unwrap();
    let positions = append_all(&log, &["one", "middle", "three"]);
    let (from, to) = (positions[1], positions[2]);
    log.close();
    for at in offset(from)..offset(to) {
        let image = crash_image(dir.path());
        flip(&segment_files(image.path()).remove(0), at);

        let log = Log::open(from_disk(image.path())).unwrap();
        assert_eq!(log.status().corrupt, corrupt(1, FRAME + 6), "byte {at}");

        for _ in 0..2 {
            let (texts, errors) = drain(&mut log.reader(Position(0)));
            assert_eq!(texts, ["one", "three"], "byte {at}");
            let [Error::Corrupt { at, next, items }] = errors[..] else { panic!("{errors:?}") };
            assert_eq!((at, next, items), (from, to, [0, 6, 0]));
        }
        assert_eq!(log.status().corrupt, corrupt(1, FRAME + 6), "counted once");
        assert_eq!(log.items(Position(0)), [0, 14, 0], "the lost items are among them");
        let copied = fs::read_dir(image.path().join("quarantine")).unwrap().count();
        assert_eq!(copied, 1);
    }
}

#[test]
fn damage_that_happens_while_the_log_is_open_is_met_by_the_reader() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(Settings { segment_bytes: 100, ..from_disk(dir.path()) }).unwrap();
    let positions = append_all(&log, &["one", "two", "three"]);
    let cursor: Cursor = log.cursor("index");
    flip(&segment_files(dir.path()).remove(0), OPENING + FRAME);

    let read = log.read(positions[0]);
    assert!(matches!(read, Err(Error::Corrupt { items: [0, 3, 0], .. })), "{read:?}");
    let (texts, errors) = drain(&mut log.reader(cursor.get()));
    assert_eq!((texts.len(), errors.len()), (2, 1));
    assert_eq!(log.status().corrupt, corrupt(1, FRAME + 3));
}

#[test]
fn a_damaged_opening_costs_no_batch() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(Settings { segment_bytes: 100, ..from_disk(dir.path()) }).unwrap();
    append_all(&log, &["one", "two", "three", "four", "five", "six"]);
    log.close();
    let count = segment_files(dir.path()).len();
    assert!(count >= 3);
    for damaged in 0..count {
        let image = crash_image(dir.path());
        flip(&segment_files(image.path())[damaged], 20);
        let log = Log::open(from_disk(image.path())).unwrap();
        assert_eq!(read_all(&log), ["one", "two", "three", "four", "five", "six"]);
        assert_eq!(log.items(Position(0)), [0, 22, 0]);
    }
}

#[test]
fn a_segment_that_is_gone_is_a_loss_of_its_items_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(Settings { segment_bytes: 120, ..from_disk(dir.path()) }).unwrap();
    append_all(&log, &["one", "two", "three", "four", "five", "six"]);
    log.close();
    let files = segment_files(dir.path());
    assert_eq!(files.len(), 3);
    fs::remove_file(&files[1]).unwrap();

    let log = Log::open(from_disk(dir.path())).unwrap();
    let (texts, errors) = drain(&mut log.reader(Position(0)));
    assert_eq!(texts, ["one", "two", "five", "six"]);
    assert!(matches!(errors[..], [Error::Corrupt { items: [0, 9, 0], .. }]), "{errors:?}");
    assert_eq!(log.status().corrupt, corrupt(1, 2 * FRAME + 9));
    assert_eq!(log.items(Position(0)), [0, 22, 0]);
}

#[test]
fn a_log_of_a_later_version_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(Settings { segment_bytes: 120, ..from_disk(dir.path()) }).unwrap();
    append_all(&log, &["one", "two", "three"]);
    log.close();
    let files = segment_files(dir.path());
    let mut newer = fs::read(&files[1]).unwrap();
    newer[8] = 4;
    let crc = crc32fast::hash(&newer[..12]);
    newer[12..16].copy_from_slice(&crc.to_le_bytes());
    fs::write(&files[1], newer).unwrap();
    fs::write(&files[0], b"damaged as well").unwrap();
    let before: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();

    let refused = Log::open(from_disk(dir.path()));

    assert!(matches!(refused, Err(Error::Newer { version: 4, .. })), "{refused:?}");
    let after: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert_eq!(after, before);
}

#[test]
fn the_quarantine_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(from_disk(dir.path())).unwrap();
    let texts: Vec<String> = (0..20).map(|n| format!("{n}").repeat(100)).collect();
    let positions: Vec<Position> = texts.iter().map(|it| append(&log, it).unwrap()).collect();
    log.close();
    for at in positions.iter().step_by(2) {
        flip(&segment_files(dir.path()).remove(0), offset(*at));
    }
    let small = Settings { segment_bytes: 500, ..from_disk(dir.path()) };
    for _ in 0..2 {
        let log = Log::open(small.clone()).unwrap();
        assert_eq!((read_all(&log).len(), log.status().corrupt.spans), (10, 10));
        log.close();
        let copies = fs::read_dir(dir.path().join("quarantine")).unwrap();
        let bytes: u64 = copies.map(|copy| copy.unwrap().metadata().unwrap().len()).sum();
        assert_eq!(bytes, 500);
    }
}

#[test]
fn a_segment_of_noise_is_set_aside_and_the_log_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(from_disk(dir.path())).unwrap();
    append(&log, "one").unwrap();
    log.close();
    let noise = dir.path().join(segment_name(log.end().0 + 5));
    fs::write(&noise, [0xf7; 3000]).unwrap();

    let log = Log::open(from_disk(dir.path())).unwrap();
    append(&log, "two").unwrap();

    assert_eq!(read_all(&log), ["one", "two"]);
    assert_eq!(log.status().corrupt, corrupt(1, 3000 - OPENING));
}

#[test]
fn positions_near_their_end_are_refused_and_not_wrapped() {
    let dir = tempfile::tempdir().unwrap();
    let base = u64::MAX - 220;
    let (before, newest, format) = ([0; 3], Nanos(0), Format::marked(1));
    let opening = Opening { base, previous_end: base, before, newest, format };
    Active::create(&dir_of(dir.path()), &opening, 0, None).unwrap();
    let log = Log::open(from_disk(dir.path())).unwrap();
    append(&log, "one").unwrap();
    append(&log, "two").unwrap();
    assert_eq!(append(&log, "three"), Err(Refusal::LogFailed));
    assert_eq!(append(&log, "four"), Err(Refusal::LogFailed));
    assert_eq!(read_all(&log), ["one", "two"]);
}
