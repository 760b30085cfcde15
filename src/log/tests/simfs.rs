//! A disk whose plug can be pulled.
//!
//! What was written and what lasts are kept apart. Bytes last by sectors of 512, any of which may
//! have been written back without a sync; entries of a directory last in the order in which they
//! were made. A sync that fails forgets what it was to write, so that the next one succeeds and
//! means nothing: that is what file systems do.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use super::super::storage::{Open, Space, Storage, Stored};

const SECTOR: usize = 512;

/// Clones are the same disk.
#[derive(Clone, Debug)]
pub(super) struct SimFs(Arc<Plugged>);

#[derive(Debug)]
struct Plugged {
    sim: Mutex<Sim>,
    changed: Condvar,
}

/// What is done to a disk and may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Open,
    Read,
    Write,
    Sync,
    SyncDir,
    SetLen,
    Allocate,
    Rename,
    Remove,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crash {
    /// Killed: the kernel has all that was written.
    Kill,
    /// The power goes, and of what was not synced nothing lasts.
    PowerAll,
    /// The power goes, and some of what was not synced lasts, from anywhere.
    Power(u64),
}

#[derive(Debug)]
struct Sim {
    files: BTreeMap<u64, File>,
    dirs: BTreeMap<PathBuf, Dir>,
    next: u64,
    /// Handles of an earlier process are no good.
    process: u64,
    /// Steps taken, and the one at which the process ends.
    steps: u64,
    ends_at: u64,
    faults: Vec<(Op, i32)>,
    /// Bytes that may still be allocated.
    room: u64,
    is_read_only: bool,
    /// At most so many bytes are read or written at once.
    at_once: usize,
    /// Syncs wait.
    is_held: bool,
    waiting: usize,
    space: Space,
    random: fastrand::Rng,
}

#[derive(Debug, Default)]
struct File {
    now: Vec<u8>,
    lasting: Vec<u8>,
    /// Sectors that differ.
    dirty: BTreeSet<usize>,
    is_locked: bool,
}

#[derive(Debug, Default)]
struct Dir {
    now: BTreeMap<String, u64>,
    lasting: BTreeMap<String, u64>,
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Add(String, u64),
    Remove(String),
    Rename(String, String),
}

#[derive(Debug)]
struct Handle {
    disk: SimFs,
    file: u64,
    process: u64,
}

/// The entry of a directory inside a directory.
const IS_DIR: u64 = 0;

impl SimFs {
    pub(super) fn new() -> Self {
        let sim = Sim {
            files: BTreeMap::new(),
            dirs: BTreeMap::from([(PathBuf::from("/"), Dir::default())]),
            next: IS_DIR + 1,
            process: 0,
            steps: 0,
            ends_at: u64::MAX,
            faults: Vec::new(),
            room: u64::MAX,
            is_read_only: false,
            at_once: usize::MAX,
            is_held: false,
            waiting: 0,
            space: Space { free: 1 << 40, total: 1 << 40 },
            random: fastrand::Rng::with_seed(0),
        };
        Self(Arc::new(Plugged { sim: Mutex::new(sim), changed: Condvar::new() }))
    }

    /// The next such operation fails once, with this error of the system.
    pub(super) fn fail(&self, op: Op, errno: i32) {
        self.lock().faults.push((op, errno));
    }

    pub(super) fn set_room(&self, bytes: u64) {
        self.lock().room = bytes;
    }

    pub(super) fn set_read_only(&self, is_read_only: bool) {
        self.lock().is_read_only = is_read_only;
    }

    pub(super) fn set_at_once(&self, bytes: usize) {
        self.lock().at_once = bytes;
    }

    pub(super) fn set_space(&self, space: Space) {
        self.lock().space = space;
    }

    /// No fault is left.
    pub(super) fn heal(&self) {
        let mut sim = self.lock();
        sim.faults.clear();
        (sim.room, sim.at_once, sim.is_read_only) = (u64::MAX, usize::MAX, false);
    }

    /// Syncs wait until they are released.
    pub(super) fn hold_syncs(&self) {
        self.lock().is_held = true;
    }

    pub(super) fn release_syncs(&self) {
        self.lock().is_held = false;
        self.0.changed.notify_all();
    }

    /// Waits until a sync waits.
    pub(super) fn wait_for_sync(&self) {
        let sim = self.0.changed.wait_while(self.lock(), |sim| sim.waiting == 0).unwrap();
        drop(sim);
    }

    /// Steps taken so far: all but reads.
    pub(super) fn steps(&self) -> u64 {
        self.lock().steps
    }

    /// After so many more steps nothing that the process does has any effect.
    pub(super) fn end_after(&self, steps: u64) {
        let mut sim = self.lock();
        sim.ends_at = sim.steps + steps;
    }

    pub(super) fn has_ended(&self) -> bool {
        let sim = self.lock();
        sim.steps >= sim.ends_at
    }

    /// Ends the process, and makes what lasts what there is.
    pub(super) fn crash(&self, how: Crash) {
        let mut sim = self.lock();
        sim.process += 1;
        sim.ends_at = u64::MAX;
        sim.faults.clear();
        if let Crash::Power(seed) = how {
            sim.random = fastrand::Rng::with_seed(seed);
        }
        let sim = &mut *sim;
        for file in sim.files.values_mut() {
            file.crash(how, &mut sim.random);
        }
        for dir in sim.dirs.values_mut() {
            dir.crash(how, &mut sim.random);
        }
        sim.forget_unreachable();
    }

    /// The sizes of the files of a directory.
    pub(super) fn sizes(&self, dir: &str) -> BTreeMap<String, u64> {
        let sim = self.lock();
        let dir = &sim.dirs[Path::new(dir)];
        let sized = dir
            .now
            .iter()
            .filter_map(|(name, id)| Some((name.clone(), sim.files.get(id)?.now.len() as u64)));
        sized.collect()
    }

    /// Changes a file behind everybody's back.
    pub(super) fn edit(&self, path: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut sim = self.lock();
        let id = sim.find(Path::new(path)).unwrap();
        let file = sim.files.get_mut(&id).unwrap();
        edit(&mut file.now);
        file.lasting = file.now.clone();
    }

    fn lock(&self) -> MutexGuard<'_, Sim> {
        self.0.sim.lock().unwrap()
    }

    /// Waits while syncs are held.
    fn sync(&self) -> MutexGuard<'_, Sim> {
        let mut sim = self.lock();
        if sim.is_held {
            sim.waiting += 1;
            self.0.changed.notify_all();
            sim = self.0.changed.wait_while(sim, |sim| sim.is_held).unwrap();
            sim.waiting -= 1;
        }
        sim
    }
}

impl Sim {
    /// Takes a step that changes something, unless it fails or the process is no more.
    fn step(&mut self, op: Op) -> io::Result<()> {
        if self.steps >= self.ends_at {
            return Err(io::Error::other("the process has ended"));
        }
        self.steps += 1;
        if self.steps == self.ends_at {
            return Err(io::Error::other("the process has ended"));
        }
        self.fault(op)?;
        if self.is_read_only && !matches!(op, Op::Sync | Op::SyncDir) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        Ok(())
    }

    fn fault(&mut self, op: Op) -> io::Result<()> {
        match self.faults.iter().position(|(fails, _)| *fails == op) {
            Some(at) => Err(io::Error::from_raw_os_error(self.faults.remove(at).1)),
            None => Ok(()),
        }
    }

    fn dir(&mut self, path: &Path) -> io::Result<&mut Dir> {
        self.dirs.get_mut(path).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn parent(&mut self, path: &Path) -> io::Result<(&mut Dir, String)> {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        Ok((self.dir(path.parent().unwrap())?, name))
    }

    fn find(&mut self, path: &Path) -> io::Result<u64> {
        let (dir, name) = self.parent(path)?;
        let id = dir.now.get(&name).copied().filter(|id| *id != IS_DIR);
        id.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Directories whose entry did not last, and what was in them.
    fn forget_unreachable(&mut self) {
        loop {
            let lost = self.dirs.keys().find(|path| {
                let Some(parent) = path.parent() else { return false };
                let name = path.file_name().unwrap().to_str().unwrap();
                !self.dirs.get(parent).is_some_and(|parent| parent.now.contains_key(name))
            });
            let Some(lost) = lost.cloned() else { return };
            self.dirs.remove(&lost);
        }
    }

    /// The room of a file that is gone, or smaller.
    fn give_back(&mut self, bytes: usize) {
        self.room = self.room.saturating_add(bytes as u64);
    }

    /// Room for a file that grows to `size`: as much as there is.
    fn grow(&mut self, id: u64, size: usize) -> usize {
        let has = self.files[&id].now.len();
        let grows = (size.saturating_sub(has) as u64).min(self.room);
        if size > has && self.room != u64::MAX {
            self.room -= grows;
        }
        if size > has { has + usize::try_from(grows).unwrap() } else { size }
    }
}

impl File {
    fn touch(&mut self, from: usize, to: usize) {
        self.dirty.extend(from / SECTOR..to.div_ceil(SECTOR));
    }

    fn sync(&mut self) {
        self.lasting.resize(self.now.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            let from = (sector * SECTOR).min(self.now.len());
            let to = (from + SECTOR).min(self.now.len());
            self.lasting[from..to].copy_from_slice(&self.now[from..to]);
        }
    }

    /// Clean sectors are read from the disk again.
    fn forget(&mut self) {
        for from in (0..self.now.len()).step_by(SECTOR) {
            if self.dirty.contains(&(from / SECTOR)) {
                continue;
            }
            let to = (from + SECTOR).min(self.now.len());
            for at in from..to {
                self.now[at] = self.lasting.get(at).copied().unwrap_or(0);
            }
        }
    }

    fn crash(&mut self, how: Crash, random: &mut fastrand::Rng) {
        self.is_locked = false;
        let keep = |random: &mut fastrand::Rng| match how {
            Crash::Kill => true,
            Crash::PowerAll => false,
            Crash::Power(_) => random.bool(),
        };
        if how == Crash::Kill {
            // The kernel has it still, and the power may go yet.
            return;
        }
        let size = if keep(random) { self.now.len() } else { self.lasting.len() };
        let mut image = self.lasting.clone();
        image.resize(size.max(self.now.len()), 0);
        for sector in std::mem::take(&mut self.dirty) {
            let from = (sector * SECTOR).min(self.now.len());
            let to = (from + SECTOR).min(self.now.len());
            if keep(random) {
                image[from..to].copy_from_slice(&self.now[from..to]);
            }
        }
        image.truncate(size);
        self.now = image.clone();
        self.lasting = image;
    }
}

impl Dir {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.now);
        self.changes.push(change);
    }

    fn crash(&mut self, how: Crash, random: &mut fastrand::Rng) {
        let kept = match how {
            Crash::Kill => return,
            Crash::PowerAll => 0,
            Crash::Power(_) => random.usize(..=self.changes.len()),
        };
        for change in self.changes.drain(..).take(kept) {
            change.apply(&mut self.lasting);
        }
        self.changes.clear();
        self.now = self.lasting.clone();
    }
}

impl Change {
    fn apply(&self, entries: &mut BTreeMap<String, u64>) {
        match self {
            Self::Add(name, id) => drop(entries.insert(name.clone(), *id)),
            Self::Remove(name) => drop(entries.remove(name)),
            Self::Rename(from, to) => {
                if let Some(id) = entries.remove(from) {
                    entries.insert(to.clone(), id);
                }
            }
        }
    }
}

impl Storage for SimFs {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn Stored>> {
        let mut sim = self.lock();
        let file = match (sim.find(path), how) {
            (Ok(_), Open::New) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Ok(id), Open::Anew) => {
                sim.step(Op::Open)?;
                let file = sim.files.get_mut(&id).unwrap();
                let size = std::mem::take(&mut file.now).len();
                file.dirty.clear();
                sim.give_back(size);
                id
            }
            (Ok(id), _) => {
                sim.fault(Op::Open)?;
                id
            }
            (Err(error), Open::Read | Open::Write) => return Err(error),
            (Err(_), _) => {
                sim.step(Op::Open)?;
                let id = sim.next;
                let (dir, name) = sim.parent(path)?;
                dir.change(Change::Add(name, id));
                sim.next += 1;
                sim.files.insert(id, File::default());
                id
            }
        };
        Ok(Arc::new(Handle { disk: self.clone(), file, process: sim.process }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut sim = self.lock();
        sim.find(from)?;
        sim.step(Op::Rename)?;
        if let Ok(replaced) = sim.find(to) {
            let size = sim.files[&replaced].now.len();
            sim.give_back(size);
        }
        let (_, to) = sim.parent(to)?;
        let (dir, from) = sim.parent(from)?;
        dir.change(Change::Rename(from, to));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut sim = self.lock();
        let id = sim.find(path)?;
        sim.step(Op::Remove)?;
        let size = sim.files[&id].now.len();
        sim.give_back(size);
        let (dir, name) = sim.parent(path)?;
        dir.change(Change::Remove(name));
        Ok(())
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.lock().dirs.contains_key(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut sim = self.lock();
        sim.step(Op::Open)?;
        let (parent, name) = sim.parent(path)?;
        parent.change(Change::Add(name, IS_DIR));
        sim.dirs.insert(path.to_owned(), Dir::default());
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut sim = self.sync();
        let stepped = sim.step(Op::SyncDir);
        let dir = sim.dir(path)?;
        if stepped.is_ok() {
            dir.lasting = dir.now.clone();
            dir.changes.clear();
        }
        stepped
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        Ok(self.lock().dir(path)?.now.keys().cloned().collect())
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        Ok(self.lock().space)
    }
}

impl Handle {
    /// The disk, if the process that opened the file still lives.
    fn sim<'a>(&self, sim: MutexGuard<'a, Sim>) -> io::Result<MutexGuard<'a, Sim>> {
        let lives = sim.process == self.process;
        if lives { Ok(sim) } else { Err(io::Error::other("of an earlier process")) }
    }

    fn resize(&self, op: Op, size: u64) -> io::Result<()> {
        let mut sim = self.sim(self.disk.lock())?;
        sim.step(op)?;
        let size = usize::try_from(size).unwrap();
        if sim.grow(self.file, size) < size {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = sim.files.get_mut(&self.file).unwrap();
        let old = file.now.len();
        file.now.resize(size, 0);
        file.touch(old.min(size), old.max(size));
        file.dirty.retain(|sector| sector * SECTOR < size);
        sim.give_back(old.saturating_sub(size));
        Ok(())
    }
}

impl Stored for Handle {
    fn size(&self) -> io::Result<u64> {
        Ok(self.sim(self.disk.lock())?.files[&self.file].now.len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut sim = self.sim(self.disk.lock())?;
        sim.fault(Op::Read)?;
        let (at_once, file) = (sim.at_once, &sim.files[&self.file].now);
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(file.len());
        let count = bytes.len().min(file.len() - from).min(at_once);
        bytes[..count].copy_from_slice(&file[from..from + count]);
        Ok(count)
    }

    fn write_vectored_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let mut sim = self.sim(self.disk.lock())?;
        let mut bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let lives = sim.steps < sim.ends_at;
        let stepped = sim.step(Op::Write);
        if stepped.is_err() {
            // The process ends in the middle of it.
            let ends_here = lives && sim.steps == sim.ends_at;
            bytes.truncate(if ends_here { bytes.len() / 2 } else { 0 });
        }
        bytes.truncate(sim.at_once);
        let from = usize::try_from(offset).unwrap();
        let to = sim.grow(self.file, from + bytes.len());
        let written = to.saturating_sub(from).min(bytes.len());
        if written == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = sim.files.get_mut(&self.file).unwrap();
        if from + written > file.now.len() {
            file.now.resize(from + written, 0);
        }
        file.now[from..from + written].copy_from_slice(&bytes[..written]);
        file.touch(from, from + written);
        stepped.map(|()| written)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut sim = self.sim(self.disk.sync())?;
        let stepped = sim.step(Op::Sync);
        let has_ended = sim.steps >= sim.ends_at;
        let file = sim.files.get_mut(&self.file).unwrap();
        match &stepped {
            Ok(()) => file.sync(),
            // What it was to write counts as written.
            Err(_) if !has_ended => file.dirty.clear(),
            Err(_) => {}
        }
        stepped
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.resize(Op::SetLen, len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let size = self.size()?;
        self.resize(Op::Allocate, len.max(size))
    }

    fn forget(&self) -> io::Result<()> {
        let mut sim = self.sim(self.disk.lock())?;
        sim.files.get_mut(&self.file).unwrap().forget();
        Ok(())
    }

    fn try_lock(&self) -> io::Result<()> {
        let mut sim = self.sim(self.disk.lock())?;
        let file = sim.files.get_mut(&self.file).unwrap();
        let was_locked = std::mem::replace(&mut file.is_locked, true);
        if was_locked { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    }

    fn unlock(&self) -> io::Result<()> {
        let mut sim = self.sim(self.disk.lock())?;
        sim.files.get_mut(&self.file).unwrap().is_locked = false;
        Ok(())
    }
}

#[test]
fn what_was_not_synced_is_gone_with_the_power_and_there_after_a_kill() {
    for (how, left) in [(Crash::Kill, "synced and not"), (Crash::PowerAll, "synced")] {
        let disk = SimFs::new();
        let file = disk.open(Path::new("/file"), Open::New).unwrap();
        file.write_vectored_at(&[IoSlice::new(b"synced")], 0).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        file.write_vectored_at(&[IoSlice::new(b" and not")], 6).unwrap();
        disk.crash(how);
        assert_eq!(disk.lock().files.values().next().unwrap().now, left.as_bytes());
    }
}

#[test]
fn a_file_without_a_lasting_entry_is_gone_with_the_power() {
    let disk = SimFs::new();
    let file = disk.open(Path::new("/file"), Open::New).unwrap();
    file.sync_data().unwrap();
    disk.crash(Crash::PowerAll);
    assert_eq!(disk.list(Path::new("/")).unwrap(), Vec::<String>::new());
}

#[test]
fn a_sync_that_failed_makes_the_next_one_mean_nothing() {
    let disk = SimFs::new();
    let file = disk.open(Path::new("/file"), Open::New).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    file.write_vectored_at(&[IoSlice::new(b"lost")], 0).unwrap();
    disk.fail(Op::Sync, 5);
    file.sync_data().unwrap_err();
    file.sync_data().unwrap();
    let mut read = [0; 4];
    assert_eq!(file.read_at(&mut read, 0).unwrap(), 4);
    assert_eq!(&read, b"lost");
    disk.crash(Crash::PowerAll);
    assert_ne!(disk.lock().files.values().next().unwrap().now, b"lost");
}

#[test]
fn any_sectors_of_an_unsynced_write_may_be_what_lasts() {
    let mut seen = BTreeSet::new();
    for seed in 0..200 {
        let disk = SimFs::new();
        let file = disk.open(Path::new("/file"), Open::New).unwrap();
        file.allocate(3 * SECTOR as u64).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        file.write_vectored_at(&[IoSlice::new(&[1; 3 * SECTOR])], 0).unwrap();
        disk.crash(Crash::Power(seed));
        let sim = disk.lock();
        let now = &sim.files.values().next().unwrap().now;
        seen.insert(now.chunks(SECTOR).map(|sector| sector[0]).collect::<Vec<_>>());
    }
    assert_eq!(seen.len(), 8);
}
