//! How far the required consumers are, in memory and in one small file.
//!
//! Trimming goes by what the file says: a crash between the two then finds the cursors past the
//! segments that are gone, never before them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::str;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::{self, Dir};
use crate::ledger::Refusal;

/// The file.
pub(super) const NAME: &str = "cursors";
const RESERVE: &str = "reserve";
const TITLE: &str = "hopline cursors 1";
/// Past this no log has ever grown. Such a cursor would leave no positions to give.
const POSITION_MAX: u64 = u64::MAX / 2;

/// Given up when the disk is full: without a place for the cursors nothing can be trimmed.
const RESERVE_BYTES: usize = 16 << 10;

type Slot = Arc<AtomicU64>;

#[derive(Debug)]
pub(super) struct Cursors {
    dir: Dir,
    slots: Mutex<BTreeMap<String, Slot>>,
    saved: Mutex<BTreeMap<String, u64>>,
    /// One save at a time. Held over I/O, so apart from what readers need.
    saving: Mutex<()>,
}

impl Cursors {
    /// A file that is missing or damaged has no cursors: consumers begin at the log's start and
    /// see twice what they have seen, but miss nothing.
    pub(super) fn load(dir: Dir) -> io::Result<Self> {
        let saved = match dir.read(NAME) {
            Ok(bytes) => read(&bytes).unwrap_or_else(|| damaged(&dir)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        let slots = saved.iter().map(|(name, at)| (name.clone(), Arc::new(AtomicU64::new(*at))));
        let slots = Mutex::new(slots.collect());
        Ok(Self { dir, slots, saved: Mutex::new(saved), saving: Mutex::default() })
    }

    /// The furthest of all, zero without any.
    pub(super) fn furthest(&self) -> u64 {
        self.positions().into_values().max().unwrap_or(0)
    }

    /// What all of them have passed, nothing without any.
    pub(super) fn passed(&self) -> u64 {
        self.positions().into_values().min().unwrap_or(0)
    }

    /// The cursor of this name, no further back than `start`.
    pub(super) fn open(&self, name: &str, start: u64) -> Slot {
        let name = name.replace(char::is_control, "_");
        let mut slots = lock(&self.slots);
        let slot = slots.entry(name).or_insert_with(|| Arc::new(AtomicU64::new(start)));
        slot.fetch_max(start, Ordering::Relaxed);
        Arc::clone(slot)
    }

    /// Forgets the cursors of consumers that are not configured any more.
    pub(super) fn keep(&self, names: &[&str]) {
        lock(&self.slots).retain(|name, _| names.contains(&name.as_str()));
    }

    pub(super) fn positions(&self) -> BTreeMap<String, u64> {
        let slots = lock(&self.slots);
        slots.iter().map(|(name, at)| (name.clone(), at.load(Ordering::Relaxed))).collect()
    }

    /// What every cursor has passed and will still have passed after a crash.
    pub(super) fn floor(&self) -> u64 {
        let slots = lock(&self.slots);
        let saved = lock(&self.saved);
        let at = |name| saved.get(name).copied().unwrap_or(0);
        slots.keys().map(at).min().unwrap_or(u64::MAX)
    }

    /// Makes the cursors last, if they have moved.
    pub(super) fn save(&self) -> io::Result<()> {
        let _one = lock(&self.saving);
        let positions = self.positions();
        if *lock(&self.saved) == positions {
            return Ok(());
        }
        let text = write(&positions);
        if let Err(error) = self.dir.replace(NAME, text.as_bytes()) {
            if disk::refusal(&error) != Refusal::LogFull {
                return Err(error);
            }
            self.dir.remove(RESERVE).ok();
            self.dir.replace(NAME, text.as_bytes())?;
        }
        *lock(&self.saved) = positions;
        self.refill();
        Ok(())
    }

    /// On a full disk this fails, and is tried again with the next save.
    fn refill(&self) {
        let size = self.dir.size(RESERVE).unwrap_or(0);
        if size < RESERVE_BYTES as u64 && self.dir.replace(RESERVE, &[0; RESERVE_BYTES]).is_err() {
            self.dir.remove(&format!("{RESERVE}.tmp")).ok();
        }
    }
}

fn write(positions: &BTreeMap<String, u64>) -> String {
    let mut text = format!("{TITLE}\n");
    for (name, at) in positions {
        writeln!(text, "{at} {name}").ok();
    }
    let crc = crc32fast::hash(text.as_bytes());
    writeln!(text, "crc32 {crc:08x}").ok();
    text
}

/// `None` unless every byte is as it was written.
fn read(bytes: &[u8]) -> Option<BTreeMap<String, u64>> {
    let text = str::from_utf8(bytes).ok()?;
    let (body, crc) = text.strip_suffix('\n')?.rsplit_once("\ncrc32 ")?;
    let lines = body.strip_prefix(TITLE)?.lines().skip(1);
    let mut positions = BTreeMap::new();
    for line in lines {
        let (at, name) = line.split_once(' ')?;
        let at = at.parse().ok().filter(|at| *at <= POSITION_MAX)?;
        positions.insert(name.to_owned(), at);
    }
    let crc = u32::from_str_radix(crc, 16).ok()?;
    let summed = format!("{body}\n");
    (crc32fast::hash(summed.as_bytes()) == crc).then_some(positions)
}

fn damaged(dir: &Dir) -> BTreeMap<String, u64> {
    tracing::warn!(path = %dir.path_of(NAME).display(), "cursors damaged, consumers begin at the log's start");
    BTreeMap::new()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::tests::dir_of;

    fn positions() -> BTreeMap<String, u64> {
        BTreeMap::from([("export/otlp main".to_owned(), 7), ("index".to_owned(), 1 << 40)])
    }

    #[test]
    fn cursors_come_back_as_they_were_written() {
        assert_eq!(read(write(&positions()).as_bytes()), Some(positions()));
        assert_eq!(read(write(&BTreeMap::new()).as_bytes()), Some(BTreeMap::new()));
    }

    #[test]
    fn a_changed_or_missing_byte_makes_the_file_damaged() {
        let good = write(&positions()).into_bytes();
        for at in 0..good.len() {
            let mut flipped = good.clone();
            flipped[at] ^= 1;
            assert_eq!(read(&flipped), None, "byte {at}");
            assert_eq!(read(&good[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn a_position_no_log_can_reach_makes_the_file_damaged() {
        let far = BTreeMap::from([("index".to_owned(), u64::MAX)]);
        assert_eq!(read(write(&far).as_bytes()), None);
    }

    #[test]
    fn the_floor_follows_the_file_and_not_the_memory() {
        let dir = tempfile::tempdir().unwrap();
        let cursors = Cursors::load(dir_of(dir.path())).unwrap();
        assert_eq!(cursors.floor(), u64::MAX);
        cursors.open("index", 5).store(9, Ordering::Relaxed);
        assert_eq!(cursors.floor(), 0);
        cursors.save().unwrap();
        assert_eq!(cursors.floor(), 9);
    }
}
