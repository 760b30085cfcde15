//! Disks that fail, by files that really do.

use std::fs::OpenOptions;
use std::io::Write;

use tokio::sync::oneshot;

use super::super::Corrupt;
use super::super::active::Active;
use super::super::frame::FRAME_BYTES;
use super::super::queue::Pending;
use super::super::writer::Writer;
use super::*;

/// A writer without its thread, so that its file can be exchanged for one that fails.
fn writer(dir: &Path, ack: Ack) -> Writer {
    let shared = Shared::open(settings(dir, ack), Arc::new(System)).unwrap();
    Writer::new(Arc::new(shared))
}

fn commit(writer: &mut Writer, text: &str) -> Result<Position, Refusal> {
    let (reply, mut answer) = oneshot::channel();
    writer.write(vec![Pending { packed: packed(text), reply }]);
    writer.shared.settle();
    answer.try_recv().unwrap()
}

/// The real thing that fails: `/dev/full` has no room, `/dev/null` cannot be synced.
fn exchange(writer: &mut Writer, device: &str) {
    let device = OpenOptions::new().read(true).write(true).open(device).unwrap();
    let mut writing = writer.writing.take().unwrap_or_else(|| writer.create(0).unwrap());
    // Nothing of the room of the real file is left.
    writer.shared.state().resize_last(writing.active.offset(writing.end));
    let active = Arc::new(Active::of(Arc::new(device), &writing.active));
    writer.shared.state().active = Some(Arc::clone(&active));
    writing.active = active;
    writer.writing = Some(writing);
}

#[test]
fn a_full_disk_refuses_the_group_and_the_next_one_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), Ack::Wal);
    commit(&mut writer, "one").unwrap();
    exchange(&mut writer, "/dev/full");
    assert_eq!(commit(&mut writer, "two"), Err(Refusal::LogFull));
    commit(&mut writer, "three").unwrap();
    assert_eq!(payloads(&writer.shared, Position(0)), ["one", "three"]);
}

#[test]
fn a_failing_sync_refuses_the_group_and_gives_its_segment_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), Ack::Wal);
    let first = commit(&mut writer, "one").unwrap();
    exchange(&mut writer, "/dev/null");
    assert_eq!(commit(&mut writer, "two"), Err(Refusal::LogFailed));
    assert_eq!(payloads(&writer.shared, first), ["one"]);
    assert!(writer.shared.state().failing);

    let third = commit(&mut writer, "three").unwrap();
    let frame = FRAME_BYTES as u64 + 3;
    assert_eq!(third, Position(2 * frame), "the refused position is not given again");
    assert_eq!(payloads(&writer.shared, Position(0)), ["one", "three"]);
    let state = writer.shared.state();
    assert_eq!((state.poisoned, state.failing), (1, false));
}

#[test]
fn what_a_refused_group_left_behind_does_not_count_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = writer(dir.path(), Ack::Wal);
    commit(&mut first, "one").unwrap();
    let file = segment_files(dir.path()).remove(0);
    exchange(&mut first, "/dev/null");
    commit(&mut first, "two").unwrap_err();
    let mut file = OpenOptions::new().append(true).open(file).unwrap();
    file.write_all(b"what could not be cut off").unwrap();
    commit(&mut first, "three").unwrap();
    drop(first);

    let second = writer(dir.path(), Ack::Wal);
    assert_eq!(payloads(&second.shared, Position(0)), ["one", "three"]);
    assert_eq!(second.shared.damage().corrupt, Corrupt::default());
}

#[test]
fn a_disk_that_keeps_failing_leaves_no_pile_of_segments() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), Ack::Wal);
    for _ in 0..5 {
        exchange(&mut writer, "/dev/null");
        commit(&mut writer, "one").unwrap_err();
    }
    assert_eq!(segment_files(dir.path()).len(), 1);
}

#[test]
fn a_directory_that_is_gone_refuses_until_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let (here, away) = (dir.path().join("log"), dir.path().join("away"));
    let mut writer = writer(&here, Ack::Wal);
    fs::rename(&here, &away).unwrap();
    assert_eq!(commit(&mut writer, "one"), Err(Refusal::LogFailed));
    fs::rename(&away, &here).unwrap();
    assert_eq!(commit(&mut writer, "two"), Ok(Position(0)));
}

#[test]
fn in_memory_mode_a_failing_background_sync_takes_nothing_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), Ack::Memory);
    commit(&mut writer, "one").unwrap();
    exchange(&mut writer, "/dev/null");
    writer.shared.trim(Nanos(0));
    assert_eq!(writer.shared.state().poisoned, 1);
    commit(&mut writer, "two").unwrap();
    assert_eq!(payloads(&writer.shared, Position(0)), ["one", "two"]);
    assert_eq!(segment_files(dir.path()).len(), 2);
}

/// A file system of 256 KiB. Needs root.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(dir.path());
        assert!(mount.status().unwrap().success());
        Self(dir)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        std::process::Command::new("umount").arg(self.0.path()).status().ok();
    }
}

#[test]
#[ignore = "mounts a small file system, which needs root"]
fn a_disk_that_is_full_to_the_last_block_is_freed_by_the_cursors_alone() {
    let disk = SmallDisk::mount();
    let dir = disk.0.path().join("log");
    let log = Log::open(Settings { segment_bytes: 20_000, ..from_disk(&dir) }).unwrap();
    let cursor = log.cursor("export");
    log.trim(Nanos(0));
    let batch = "x".repeat(5_000);
    let mut appended = 0;
    while append(&log, &batch) != Err(Refusal::LogFull) {
        appended += 1;
    }
    fs::write(disk.0.path().join("filler"), vec![1; 256 << 10]).unwrap_err();
    assert_eq!(append(&log, &batch), Err(Refusal::LogFull));
    assert_eq!(read_all(&log).len(), appended);

    cursor.advance(log.end());
    log.trim(Nanos(u64::MAX));
    append(&log, &batch).unwrap();
    assert_eq!(drain(&mut log.reader(cursor.get())).0, [batch]);
    assert_eq!(log.status().corrupt, Corrupt::default());
}
