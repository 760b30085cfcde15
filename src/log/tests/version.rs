//! What earlier versions wrote is read. How they wrote it is kept here.

use bytes::BufMut;

use super::super::Corrupt;
use super::*;

/// The sizes of version 1.
const OPENING: usize = 68;
const FRAME: u64 = 72;

fn seal(bytes: &mut Vec<u8>, from: usize) {
    let crc = crc32fast::hash(&bytes[from..]);
    bytes.put_u32_le(crc);
}

fn put_totals(bytes: &mut Vec<u8>, logs: u64) {
    for total in [0, logs, 0] {
        bytes.put_u64_le(total);
    }
}

/// How an earlier version wrote.
struct Old {
    version: u8,
    /// What told the frames of one segment from others, in its opening and in each of them.
    mark: &'static [u8],
    /// Of each batch's request.
    digest: &'static [u8],
}

const ONE: Old = Old { version: 1, mark: &[], digest: &[] };
const TWO: Old = Old { version: 2, mark: &0x5eed_u64.to_le_bytes(), digest: &9_u128.to_le_bytes() };

impl Old {
    /// A segment with batches of log records, as many items as bytes.
    fn segment(&self, base: u64, logs_before: u64, texts: &[&str]) -> Vec<u8> {
        let mut bytes = b"\xf7HOPLOG\n".to_vec();
        bytes.put_u32_le(u32::from(self.version));
        seal(&mut bytes, 0);
        let from = bytes.len();
        bytes.put_u64_le(base);
        bytes.put_u64_le(base);
        put_totals(&mut bytes, logs_before);
        bytes.put_u64_le(1_000);
        bytes.extend(self.mark);
        seal(&mut bytes, from);
        assert_eq!(bytes.len(), OPENING + self.mark.len());
        let (opening, mut logs) = (bytes.len(), logs_before);
        for text in texts {
            let (from, length) = (bytes.len(), u32::try_from(text.len()).unwrap());
            bytes.extend([0xf7, b'H', b'L', 0xc0 + self.version]);
            bytes.put_u32_le(length);
            bytes.put_u32_le(crc32fast::hash(text.as_bytes()));
            bytes.put_u64_le(base + (from - opening) as u64);
            bytes.put_u64_le(1_000);
            put_totals(&mut bytes, logs);
            bytes.put_u32_le(length);
            bytes.put_u32_le(7);
            bytes.put_u32_le(3);
            bytes.extend([2, 2, 0, 0]);
            bytes.extend(self.digest);
            bytes.extend(self.mark);
            seal(&mut bytes, from);
            bytes.extend(text.as_bytes());
            logs += u64::from(length);
        }
        bytes
    }
}

/// Two segments of version 1.
fn old_log() -> (tempfile::TempDir, Vec<u64>) {
    let dir = tempfile::tempdir().unwrap();
    let first = ONE.segment(0, 0, &["one", "two"]);
    let second_base = (first.len() - OPENING) as u64;
    let second = ONE.segment(second_base, 6, &["three", "four"]);
    fs::write(dir.path().join(segment_name(0)), first).unwrap();
    fs::write(dir.path().join(segment_name(second_base)), second).unwrap();
    (dir, vec![0, FRAME + 3, second_base, second_base + FRAME + 5])
}

#[test]
fn a_log_of_version_1_is_read_and_goes_on() {
    let (dir, positions) = old_log();
    let log = Log::open(from_disk(dir.path())).unwrap();
    assert_eq!(read_all(&log), ["one", "two", "three", "four"]);
    let with_digest = |digest| Head { digest, ..head(5) };
    let fifth = Clean::for_test(with_digest(Digest(5)), Bytes::from_static(b"fifth"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(log.append(Packed::new(&fifth, None))).unwrap();
    log.close();

    let log = Log::open(from_disk(dir.path())).unwrap();
    assert_eq!(read_all(&log), ["one", "two", "three", "four", "fifth"]);
    assert_eq!(log.items(Position(0)), [0, 20, 0]);
    assert_eq!(log.status().corrupt, Corrupt::default());
    let third = log.read(Position(positions[2])).unwrap();
    assert_eq!((text(&third), third.head), ("three".to_owned(), with_digest(Digest(0))));
    assert_eq!(log.recent(Nanos(0), 10).len(), 1, "the others have no digest");
    assert_eq!(log.recent(Nanos(0), 10)[0].0.digest, Digest(5));
}

#[test]
fn damage_in_version_1_costs_what_is_damaged() {
    let (dir, positions) = old_log();
    flip(&segment_files(dir.path())[0], OPENING as u64 + positions[1] + 20);
    flip(&segment_files(dir.path())[1], 30);
    let log = Log::open(from_disk(dir.path())).unwrap();
    let (texts, errors) = drain(&mut log.reader(Position(0)));
    assert_eq!(texts, ["one", "three", "four"]);
    assert!(matches!(errors[..], [Error::Corrupt { items: [0, 3, 0], .. }]), "{errors:?}");
}

#[test]
fn a_torn_end_of_version_1_is_cut_off() {
    let (dir, positions) = old_log();
    let last = segment_files(dir.path()).remove(1);
    let whole = fs::read(&last).unwrap();
    let from = OPENING + usize::try_from(positions[3] - positions[2]).unwrap();
    for cut in from..whole.len() {
        fs::write(&last, &whole[..cut]).unwrap();
        let log = Log::open(from_disk(dir.path())).unwrap();
        assert_eq!(read_all(&log), ["one", "two", "three"], "cut at {cut}");
        assert_eq!(log.status().corrupt.torn_bytes, (cut - from) as u64, "cut at {cut}");
        log.close();
    }
}

#[test]
fn a_log_of_version_2_is_read_and_goes_on_with_what_is_packed() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(segment_name(0)), TWO.segment(0, 0, &["one", "two"])).unwrap();
    let log = Log::open(from_disk(dir.path())).unwrap();
    let long = "three ".repeat(3000);
    append(&log, &long).unwrap();
    log.close();

    let log = Log::open(from_disk(dir.path())).unwrap();

    assert_eq!(read_all(&log), ["one", "two", &long]);
    assert_eq!(log.items(Position(0)), [0, 18_006, 0]);
    assert_eq!(log.status().corrupt, Corrupt::default());
    assert_eq!(log.read(Position(0)).unwrap().head, Head { digest: Digest(9), ..head(3) });
}

#[test]
fn damage_in_version_2_costs_what_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let segment = TWO.segment(0, 0, &["one", "two", "three"]);
    fs::write(dir.path().join(segment_name(0)), segment).unwrap();
    flip(&segment_files(dir.path())[0], 76 + 99 + 20);
    flip(&segment_files(dir.path())[0], 30);

    let log = Log::open(from_disk(dir.path())).unwrap();

    assert_eq!(read_all(&log), ["one", "three"]);
    assert_eq!(log.items(Position(0)), [0, 11, 0]);
}
