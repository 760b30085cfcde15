//! Batches that are kept as frames of zstd.

use super::super::Corrupt;
use super::super::frame::{FRAME_BYTES, OPENING_BYTES};
use super::super::pack::BYTES_MIN;
use super::*;
use crate::wire::zstd;

fn long() -> String {
    (0..4000).map(|number| format!("{number} ")).collect()
}

#[test]
fn a_batch_takes_its_frame_of_the_disk_and_is_read_whole_from_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let frame = zstd::deflate(long().as_bytes(), Effort::Usual).unwrap();
    let log = Log::open(settings(dir.path(), Ack::Wal)).unwrap();
    let at = append_all(&log, &["one", &long(), "three"]);
    assert_eq!(at[2].0 - at[1].0, (FRAME_BYTES + frame.len()) as u64);
    let from_memory = log.read(at[1]).unwrap();
    log.close();

    let log = Log::open(from_disk(dir.path())).unwrap();

    assert_eq!(read_all(&log), ["one", &long(), "three"]);
    assert_eq!(text(&log.read(at[1]).unwrap()), long());
    let read = log.reader(at[1]).try_next().unwrap().unwrap();
    assert_eq!(read, from_memory);
    assert_eq!(read.payload.packed.as_deref(), Some(&frame[..]));
    let files = segment_files(dir.path());
    assert!(files.iter().all(|file| fs::metadata(file).unwrap().len() < long().len() as u64));
}

#[test]
fn what_does_not_become_smaller_and_what_is_short_is_kept_as_it_is() {
    let noise: Vec<u8> = (0..10_000).map(|_| fastrand::u8(..)).collect();
    for bytes in [noise, vec![7; BYTES_MIN - 1]] {
        let clean = Clean::for_test(head(1), Bytes::from(bytes.clone()));
        let Payload { plain, packed } = Packed::new(&clean, Some(Effort::Usual)).payload;
        assert_eq!((plain, packed), (Bytes::from(bytes), None));
    }
    let whole = Clean::for_test(head(1), Bytes::from(vec![7; BYTES_MIN]));
    assert_eq!(Packed::new(&whole, None).payload.packed, None);
    assert!(Packed::new(&whole, Some(Effort::Usual)).payload.packed.is_some());
}

#[test]
fn less_effort_makes_other_frames_of_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(Settings { packs: true, ..settings(dir.path(), Ack::Wal) }).unwrap();
    // Words that come again: with the least effort, text that is merely text is not made less.
    let words: String = (0..1000).map(|at| format!("a span of order {at}; ")).collect();
    let clean = clean(&words);
    let frames = [Effort::Usual, Effort::Least, Effort::Usual].map(|effort| {
        log.set_effort(effort);
        log.pack(&clean).payload.packed.unwrap()
    });
    assert_eq!(frames[0], frames[2]);
    assert_ne!(frames[0], frames[1]);
    let plain = frames.map(|frame| zstd::inflate(&frame, words.len()).unwrap());
    assert!(plain.iter().all(|plain| plain == words.as_bytes()));
}

#[test]
fn a_frame_that_is_none_is_damage_though_its_checksum_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(from_disk(dir.path())).unwrap();
    let at = append_all(&log, &["one", &long(), "three"]);
    log.close();
    let file = &segment_files(dir.path())[0];
    let mut bytes = fs::read(file).unwrap();
    let header = OPENING_BYTES + usize::try_from(at[1].0 - at[0].0).unwrap();
    let (from, to) = (header + FRAME_BYTES, header + usize::try_from(at[2].0 - at[1].0).unwrap());
    bytes[to - 20..to].fill(0xff);
    let crc = crc32fast::hash(&bytes[from..to]);
    bytes[header + 8..header + 12].copy_from_slice(&crc.to_le_bytes());
    let crc = crc32fast::hash(&bytes[header..from - 4]);
    bytes[from - 4..from].copy_from_slice(&crc.to_le_bytes());
    fs::write(file, bytes).unwrap();

    let log = Log::open(from_disk(dir.path())).unwrap();

    let (texts, errors) = drain(&mut log.reader(log.start()));
    assert_eq!(texts, ["one", "three"]);
    let items = [0, long().len() as u64, 0];
    assert!(matches!(errors[..], [Error::Corrupt { items: it, .. }] if it == items), "{errors:?}");
    assert!(matches!(log.read(at[1]), Err(Error::Corrupt { .. })));
    assert_ne!(log.status().corrupt, Corrupt::default());
}

#[test]
fn a_packed_batch_counts_as_what_it_holds_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let held = packed(&long()).payload.held_bytes();
    let tight = |queue_bytes_max| Settings { queue_bytes_max, ..settings(dir.path(), Ack::Wal) };

    let log = Log::open(tight(held - 1)).unwrap();
    assert_eq!(append(&log, &long()), Err(Refusal::TooLarge));
    log.close();

    let log = Log::open(tight(held)).unwrap();
    assert!(held > long().len() && append(&log, &long()).is_ok());
}

#[test]
fn a_batch_that_fits_in_the_queue_is_not_refused_for_its_frame() {
    let dir = tempfile::tempdir().unwrap();
    let fits = |queue_bytes_max| {
        let settings = Settings { queue_bytes_max, ..settings(dir.path(), Ack::Wal) };
        let log = Log::open(Settings { packs: true, ..settings }).unwrap();
        let packed = log.pack(&clean(&long()));
        let is_packed = packed.payload.packed.is_some();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        (is_packed, runtime.block_on(log.append(packed)).map(drop))
    };
    let held = packed(&long()).payload.held_bytes();

    assert_eq!(fits(held), (true, Ok(())));
    assert_eq!(fits(held - 1), (false, Ok(())));
    assert_eq!(fits(long().len()), (false, Ok(())));
    assert_eq!(fits(long().len() - 1), (false, Err(Refusal::TooLarge)));
}
