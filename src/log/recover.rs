//! Opening what an earlier run left, however it ended.
//!
//! A segment is created only after the one before it was synced, so a crash can have torn the
//! last one alone: it is read whole. Of the others the openings are read; damage in them is met
//! and counted by their readers.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use super::damage::Damage;
use super::disk;
use super::frame::{OPENING_BYTES, Opened, Opening};
use super::frames::{Frames, Step};
use super::state::Segment;
use super::{Error, Settings};

/// The segments of the directory, in order, each connected to the next.
pub(super) fn recover(
    settings: &Settings,
    damage: &mut Damage,
) -> Result<VecDeque<Segment>, Error> {
    let dir = settings.dir.as_path();
    let bases = disk::segments(dir).map_err(Error::io(dir))?;
    let mut openings = Vec::new();
    for base in bases {
        // All of them before anything is changed: a newer log is left as it is.
        openings.push((base, opening(dir, base)?));
    }
    let mut segments: VecDeque<Segment> = VecDeque::new();
    for (base, opening) in openings {
        let path = disk::segment_path(dir, base);
        let Some(segment) = segment(dir, base, opening, damage).map_err(Error::io(&path))? else {
            continue;
        };
        if let Some(previous) = segments.back_mut() {
            connect(dir, previous, &segment, damage).map_err(Error::io(&path))?;
        }
        segments.push_back(segment);
    }
    if let Some(last) = segments.back_mut() {
        let path = disk::segment_path(dir, last.base);
        finish(dir, last, damage).map_err(Error::io(path))?;
    }
    Ok(segments)
}

/// `None` where the opening is damaged.
fn opening(dir: &Path, base: u64) -> Result<Option<Opening>, Error> {
    let path = disk::segment_path(dir, base);
    let mut bytes = [0; OPENING_BYTES];
    let read = File::open(&path).and_then(|mut file| file.read_exact(&mut bytes));
    match read {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(source) => return Err(Error::Io { path, source }),
    }
    match Opening::decode(&bytes) {
        Opened::Known(opening) if opening.base == base => Ok(Some(opening)),
        Opened::Newer(version) => Err(Error::Newer { path, version }),
        Opened::Known(_) | Opened::Damaged => Ok(None),
    }
}

/// A segment as its file has it. Its first batch stands in for a damaged opening; without any
/// there is nothing to keep, and the file goes.
fn segment(
    dir: &Path,
    base: u64,
    opening: Option<Opening>,
    damage: &mut Damage,
) -> io::Result<Option<Segment>> {
    let file_bytes = fs::metadata(disk::segment_path(dir, base))?.len();
    let end = base.saturating_add(file_bytes.saturating_sub(OPENING_BYTES as u64));
    let frames = Frames::open(dir, base, end)?;
    let opening = match opening {
        Some(opening) => Some(opening),
        None => guessed(&frames)?,
    };
    let Some(opening) = opening else {
        if end > base {
            damage.found(Some(&frames), base, end);
        }
        fs::remove_file(disk::segment_path(dir, base))?;
        return Ok(None);
    };
    let Opening { previous_end, before, newest, .. } = opening;
    Ok(Some(Segment { base, end, previous_end, before, after: before, newest, file_bytes }))
}

fn guessed(frames: &Frames) -> io::Result<Option<Opening>> {
    let base = frames.base;
    let first = match frames.frame(base)? {
        Some(first) => Some(first),
        None => frames.frame(frames.next_frame(base)?)?,
    };
    Ok(first.map(|first| {
        let (before, newest) = (first.before, first.head.received);
        Opening { base, previous_end: base, before, newest }
    }))
}

/// Ends a segment where its successor says that it ended: what lies beyond was refused.
fn connect(
    dir: &Path,
    previous: &mut Segment,
    next: &Segment,
    damage: &mut Damage,
) -> io::Result<()> {
    let ends = next.previous_end.min(next.base).max(previous.base);
    previous.newest = next.newest;
    previous.after = next.before;
    if previous.end < ends {
        // Batches are missing. Their readers have to be told how many items those had.
        let frames = Frames::open(dir, previous.base, previous.end)?;
        previous.after = frames.totals_at(previous.end, previous.before)?;
        damage.found(None, previous.end, ends);
    }
    previous.end = previous.end.min(ends);
    Ok(())
}

/// Reads the last segment whole, cuts off a torn end, and makes what is left last.
fn finish(dir: &Path, last: &mut Segment, damage: &mut Damage) -> io::Result<()> {
    let frames = Frames::open(dir, last.base, last.end)?;
    let mut good = last.base;
    let mut at = last.base;
    while at < last.end {
        match frames.step(at)? {
            Step::Whole(frame, _) => {
                if good < at {
                    damage.found(Some(&frames), good, at);
                }
                last.after = frame.after();
                last.newest = last.newest.max(frame.head.received);
                at = frame.next();
                good = at;
            }
            Step::Damaged { to } => at = to,
        }
    }
    let file = OpenOptions::new().write(true).open(disk::segment_path(dir, last.base))?;
    if good < last.end {
        damage.torn(&frames, good, last.end);
        last.file_bytes = good.saturating_sub(last.base).saturating_add(OPENING_BYTES as u64);
        file.set_len(last.file_bytes)?;
        last.end = good;
    }
    // What a killed process wrote and did not sync is about to become readable.
    file.sync_all()
}
