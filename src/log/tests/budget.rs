//! Cursors, the window, and the budget of disk.

use super::super::frame::OPENING_BYTES;
use super::*;

const LATE: Nanos = Nanos(u64::MAX);

fn tiny(dir: &Path) -> Settings {
    Settings { segment_bytes: 100, ..from_disk(dir) }
}

#[test]
fn a_cursor_survives_a_restart_and_never_goes_backwards() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(tiny(dir.path())).unwrap();
    let positions = append_all(&log, &["one", "two", "three"]);
    let cursor = log.cursor("index");
    assert_eq!(cursor.get(), log.start());
    cursor.advance(positions[2]);
    cursor.advance(positions[1]);
    log.close();

    let log = Log::open(tiny(dir.path())).unwrap();
    let cursor = log.cursor("index");
    assert_eq!(cursor.get(), positions[2]);
    cursor.advance(Position(u64::MAX));
    assert_eq!(cursor.get(), log.end());
    assert_eq!(log.cursor("new").get(), log.start());
}

#[test]
fn a_killed_process_has_the_cursors_of_its_last_trim() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(tiny(dir.path())).unwrap();
    let positions = append_all(&log, &["one", "two", "three"]);
    let cursor = log.cursor("index");
    cursor.advance(positions[1]);
    log.trim(Nanos(0));
    cursor.advance(positions[2]);

    let image = crash_image(dir.path());

    let log = Log::open(tiny(image.path())).unwrap();
    assert_eq!(log.cursor("index").get(), positions[1]);
}

#[test]
fn a_trim_never_passes_the_slowest_cursor() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(tiny(dir.path())).unwrap();
    let texts: Vec<String> = (0..20).map(|n| format!("batch {n}")).collect();
    let positions: Vec<Position> = texts.iter().map(|it| append(&log, it).unwrap()).collect();
    let (fast, slow) = (log.cursor("fast"), log.cursor("slow"));
    fast.advance(log.end());
    for (n, position) in positions.iter().enumerate() {
        slow.advance(*position);
        log.trim(LATE);
        assert!(log.start() <= *position);
        assert_eq!(drain(&mut log.reader(*position)).0, texts[n..]);
    }
    assert!(log.start() > positions[15], "but it follows");
    assert!(matches!(log.read(positions[0]), Err(Error::Gone { .. })));
    assert_eq!(segment_files(dir.path()).len(), log.status().segments);
}

#[test]
fn a_cursor_that_cannot_be_saved_lets_nothing_be_trimmed() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(tiny(dir.path())).unwrap();
    append_all(&log, &["one", "two", "three"]);
    log.cursor("index").advance(log.end());
    fs::create_dir(dir.path().join("cursors")).unwrap();
    log.trim(LATE);
    assert_eq!(read_all(&log), ["one", "two", "three"]);

    fs::remove_dir(dir.path().join("cursors")).unwrap();
    log.trim(LATE);
    assert_eq!(read_all(&log), ["three"]);
}

#[test]
fn what_all_have_read_stays_readable_for_its_window() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(tiny(dir.path())).unwrap();
    append_all(&log, &["one", "two", "three"]);
    log.cursor("index").advance(log.end());
    let end_of_window = head(0).received.after(Duration::from_secs(60));
    log.trim(end_of_window);
    assert_eq!(read_all(&log).len(), 3);
    log.trim(Nanos(end_of_window.0 + 1));
    assert_eq!(read_all(&log), ["three"]);
}

#[test]
fn a_reader_without_a_cursor_is_told_what_it_missed() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(tiny(dir.path())).unwrap();
    let mut reader = log.reader(Position(0));
    append_all(&log, &["one", "two", "three"]);
    log.trim(LATE);
    let (texts, errors) = drain(&mut reader);
    assert_eq!(texts, ["three"]);
    let [Error::Gone { at, start, items }] = errors[..] else { panic!("{errors:?}") };
    assert_eq!((at, start, items), (Position(0), log.start(), Some([0, 6, 0])));
}

#[test]
fn a_full_log_refuses_and_takes_again_when_the_cursor_has_moved() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(Settings { bytes_max: 4_000, ..tiny(dir.path()) }).unwrap();
    let cursor = log.cursor("export");
    let mut appended = Vec::new();
    let refused = loop {
        match append(&log, "batch") {
            Ok(position) => appended.push(position),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refused, Refusal::LogFull);
    assert!(log.status().bytes <= 4_000);
    assert_eq!(read_all(&log).len(), appended.len(), "the oldest are all there");

    cursor.advance(appended[4]);
    append(&log, "again").unwrap();
    assert!(log.start() <= appended[4]);
    cursor.advance(log.end());
    for _ in 0..100 {
        append(&log, "and again").unwrap();
        cursor.advance(log.end());
        assert!(log.status().bytes <= 4_000);
    }
    let on_disk: u64 =
        segment_files(dir.path()).iter().map(|file| file.metadata().unwrap().len()).sum();
    assert_eq!(on_disk, log.status().bytes);
}

#[test]
fn a_budget_smaller_than_a_segment_still_moves() {
    let dir = tempfile::tempdir().unwrap();
    let small = settings(dir.path(), Ack::Memory);
    let log = Log::open(Settings { bytes_max: 2_000, ..small }).unwrap();
    let cursor = log.cursor("export");
    for _ in 0..100 {
        append(&log, &"x".repeat(400)).unwrap();
        cursor.advance(log.end());
    }
}

#[test]
fn a_consumer_that_is_not_configured_any_more_holds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(tiny(dir.path())).unwrap();
    let _removed = log.cursor("removed");
    append_all(&log, &["one", "two", "three"]);
    log.close();

    let log = Log::open(tiny(dir.path())).unwrap();
    log.cursor("index").advance(log.end());
    log.trim(LATE);
    assert_eq!(log.start(), Position(0), "until it is known to be gone");
    log.keep_cursors(&["index"]);
    log.trim(LATE);
    assert_eq!(read_all(&log), ["three"]);
}

#[test]
fn cursors_that_are_damaged_or_behind_begin_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(tiny(dir.path())).unwrap();
    append_all(&log, &["one", "two", "three", "four", "five"]);
    let cursor = log.cursor("index");
    log.trim(Nanos(0));
    let behind = fs::read(dir.path().join("cursors")).unwrap();
    cursor.advance(log.end());
    log.trim(LATE);
    log.close();
    assert!(log.start() > Position(0));
    for cursors in [behind, b"noise".to_vec(), Vec::new()] {
        fs::write(dir.path().join("cursors"), cursors).unwrap();
        let log = Log::open(tiny(dir.path())).unwrap();
        assert_eq!(log.cursor("index").get(), log.start());
        log.close();
    }
}

#[test]
fn positions_that_a_power_cut_took_are_not_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(tiny(dir.path())).unwrap();
    let positions = append_all(&log, &["one", "two"]);
    log.cursor("index").advance(log.end());
    let end = log.end();
    log.close();
    let segment = segment_files(dir.path()).remove(0);
    let file = fs::OpenOptions::new().write(true).open(segment).unwrap();
    file.set_len(OPENING_BYTES as u64 + positions[1].0).unwrap();

    let log = Log::open(tiny(dir.path())).unwrap();
    let cursor = log.cursor("index");
    assert_eq!((cursor.get(), log.end()), (end, end));
    assert!(append(&log, "three").unwrap() >= end);
    assert_eq!(drain(&mut log.reader(cursor.get())).0, ["three"]);
    assert_eq!(read_all(&log), ["one", "three"]);
}

#[test]
fn an_emptied_log_goes_on_where_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(tiny(dir.path())).unwrap();
    append_all(&log, &["one", "two", "three"]);
    log.cursor("index").advance(log.end());
    let end = log.end();
    log.close();
    for file in segment_files(dir.path()) {
        fs::remove_file(file).unwrap();
    }
    let log = Log::open(tiny(dir.path())).unwrap();
    assert!(append(&log, "four").unwrap() >= end);
}
