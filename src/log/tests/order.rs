//! What is appended is read, in order, once.

use std::os::unix::fs::PermissionsExt;

use super::*;

const LONG: Duration = Duration::from_secs(20);

#[test]
fn batches_are_read_in_the_order_of_their_positions_with_all_that_was_known_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(settings(dir.path(), Ack::Wal)).unwrap();
    let positions = append_all(&log, &["one", "", "three"]);

    let mut reader = log.reader(Position(0));
    let batches: Vec<Batch> = std::iter::from_fn(|| reader.try_next().unwrap()).collect();

    assert_eq!(batches.iter().map(|it| it.position).collect::<Vec<_>>(), positions);
    assert_eq!(batches.iter().map(text).collect::<Vec<_>>(), ["one", "", "three"]);
    assert_eq!(batches[2].head, head(5));
    assert_eq!((batches[0].next, batches[2].next), (positions[1], log.end()));
}

#[test]
fn memory_and_disk_give_the_same_batches_across_tiny_segments() {
    let texts: Vec<String> = (0..40).map(|n| "x".repeat(n)).collect();
    let read = |tail_bytes: usize| {
        let dir = tempfile::tempdir().unwrap();
        let tiny = settings(dir.path(), Ack::Memory);
        let log = Log::open(Settings { segment_bytes: 200, tail_bytes, ..tiny }).unwrap();
        for text in &texts {
            append(&log, text).unwrap();
        }
        assert!(log.status().segments > 10);
        read_all(&log)
    };
    assert_eq!(read(1 << 20), texts);
    assert_eq!(read(0), texts);
}

#[test]
fn a_batch_is_read_by_its_position_and_only_by_that() {
    let dir = tempfile::tempdir().unwrap();
    for tail_bytes in [0, 1200, 1 << 20] {
        let some = settings(dir.path(), Ack::Wal);
        let log = Log::open(Settings { tail_bytes, ..some }).unwrap();
        let at = append(&log, "wanted").unwrap();
        append_all(&log, &["a", "b", "c", "d"]);
        for _ in 0..2 {
            assert_eq!(text(&log.read(at).unwrap()), "wanted");
        }
        for wrong in [Position(at.0 + 1), log.end(), Position(u64::MAX)] {
            assert!(matches!(log.read(wrong), Err(Error::NoBatch { .. })), "{wrong:?}");
        }
    }
}

#[test]
fn concurrent_callers_get_distinct_positions_in_the_order_in_which_each_appended() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(Settings { segment_bytes: 2_000, ..from_disk(dir.path()) }).unwrap();
    let callers: Vec<_> = (0..8)
        .map(|caller| {
            let log = log.clone();
            std::thread::spawn(move || {
                let texts: Vec<String> = (0..25).map(|n| format!("{caller}:{n}")).collect();
                let append = |text: String| (append(&log, &text).unwrap(), text);
                texts.into_iter().map(append).collect::<Vec<_>>()
            })
        })
        .collect();
    let appended = callers.into_iter().map(|caller| caller.join().unwrap());
    let mut all: Vec<(Position, String)> = Vec::new();
    for own in appended {
        assert!(own.is_sorted_by(|a, b| a.0 < b.0));
        all.extend(own);
    }
    all.sort();
    assert!(all.is_sorted_by(|a, b| a.0 < b.0));
    assert_eq!(read_all(&log), all.into_iter().map(|(_, text)| text).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_waiting_reader_gets_the_batch_and_then_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(settings(dir.path(), Ack::Wal)).unwrap();
    let mut reader = log.reader(log.end());
    let following = tokio::spawn(async move {
        let first = reader.next().await.unwrap().map(|batch| text(&batch));
        (first, reader.next().await.unwrap())
    });
    tokio::task::yield_now().await;
    let at = log.append(packed("late")).await.unwrap();
    log.changed_past(at).await;
    log.close();
    let ended = tokio::time::timeout(LONG, following).await.unwrap().unwrap();
    assert_eq!(ended, (Some("late".to_owned()), None));
}

#[test]
fn a_closed_log_has_committed_what_waited_and_takes_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(settings(dir.path(), Ack::Memory)).unwrap();
    append(&log, "one").unwrap();
    log.close();
    log.close();
    assert_eq!(append(&log, "two"), Err(Refusal::Closing));
    assert_eq!(read_all(&log), ["one"]);
}

#[test]
fn a_batch_that_can_never_fit_must_not_be_retried() {
    let dir = tempfile::tempdir().unwrap();
    let small = settings(dir.path(), Ack::Memory);
    let log = Log::open(Settings { queue_bytes_max: 100, bytes_max: 1 << 20, ..small }).unwrap();
    assert_eq!(append(&log, &"x".repeat(101)), Err(Refusal::TooLarge));
    assert!(append(&log, &"x".repeat(100)).is_ok());
}

#[test]
fn items_are_counted_from_any_position_to_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Log::open(Settings { segment_bytes: 150, ..from_disk(dir.path()) }).unwrap();
    let log = open();
    let positions = append_all(&log, &["1", "22", "333", "4444"]);
    let ahead = |log: &Log| positions.iter().map(|at| log.items(*at)[1]).collect::<Vec<_>>();
    assert_eq!(ahead(&log), [10, 9, 7, 4]);
    assert_eq!(log.items(log.end()), [0; 3]);
    log.close();
    let reopened = open();
    assert_eq!(ahead(&reopened), [10, 9, 7, 4]);
    assert_eq!(reopened.items(Position(0)), [0, 10, 0]);
}

#[test]
fn a_second_open_is_refused_until_the_first_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let first = Log::open(settings(dir.path(), Ack::Wal)).unwrap();
    let second = Log::open(settings(dir.path(), Ack::Wal));
    assert!(matches!(second, Err(Error::Locked { .. })), "{second:?}");
    first.close();
    assert!(Log::open(settings(dir.path(), Ack::Wal)).is_ok());
}

#[test]
fn nobody_else_can_read_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("deep/er");
    let log = Log::open(settings(&inner, Ack::Wal)).unwrap();
    append(&log, "one").unwrap();
    let _cursor = log.cursor("index");
    log.close();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    for entry in fs::read_dir(&inner).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}
