//! Opening what an earlier run left, however it ended.
//!
//! Acknowledged with the disk, a segment is created only after the one before it was synced, so a
//! crash can have torn the last one alone: it is read whole. Of the others the openings are read;
//! damage in them is met and counted by their readers.
//!
//! Every step can be interrupted and made again. On return everything that is left lasts.

use std::collections::VecDeque;
use std::io;

use super::Error;
use super::damage::Damage;
use super::disk::{Dir, read_up_to, segment_name, spare_name};
use super::frame::{Format, OPENING_BYTES, Opened, Opening, Version};
use super::frames::{Frames, Step};
use super::state::Segment;
use super::storage::{Open, Stored};

/// A segment whose opening may be missing.
struct Found {
    segment: Segment,
    /// Whether it is known what was counted before it.
    is_counted: bool,
}

/// The segments of the directory, in order, each connected to the next.
pub(super) fn recover(dir: &Dir, damage: &mut Damage) -> Result<VecDeque<Segment>, Error> {
    let bases = dir.segments().map_err(Error::io(dir.path()))?;
    let mut openings = Vec::new();
    for base in bases {
        // All of them before anything is changed: a newer log is left as it is.
        openings.push((base, opening(dir, base)?));
    }
    let mut segments: VecDeque<Segment> = VecDeque::new();
    for (base, opened) in openings {
        let io = Error::io(dir.path_of(&segment_name(base)));
        let Some(mut found) = segment(dir, base, opened, damage).map_err(io)? else { continue };
        if let Some(previous) = segments.back_mut() {
            let io = Error::io(dir.path_of(&segment_name(previous.base)));
            connect(dir, previous, &mut found, damage).map_err(io)?;
        }
        segments.push_back(found.segment);
    }
    if let Some(last) = segments.back_mut() {
        let io = Error::io(dir.path_of(&segment_name(last.base)));
        finish(dir, last, damage).map_err(io)?;
    }
    for spare in dir.spares().map_err(Error::io(dir.path()))? {
        // Trimmed evidence does not outlive a restart.
        dir.remove(&spare_name(spare)).map_err(Error::io(dir.path_of(&spare_name(spare))))?;
    }
    // What a killed process created and did not sync is about to become readable.
    dir.sync().map_err(Error::io(dir.path()))?;
    Ok(segments)
}

fn opening(dir: &Dir, base: u64) -> Result<Opened, Error> {
    let mut bytes = [0; OPENING_BYTES];
    let read = dir.open(&segment_name(base), Open::Read).and_then(|file| {
        let read = read_up_to(file.as_ref(), &mut bytes, 0)?;
        Ok(Opening::decode(bytes.get(..read).unwrap_or_default()))
    });
    let path = || dir.path_of(&segment_name(base));
    match read {
        Ok(Opened::Newer(version)) => Err(Error::Newer { path: path(), version }),
        Ok(opened) => Ok(opened),
        Err(source) => Err(Error::Io { path: path(), source }),
    }
}

/// A segment as its file has it. Its first batch stands in for a damaged opening; without any
/// there is nothing to keep, and the file goes.
fn segment(dir: &Dir, base: u64, opened: Opened, damage: &mut Damage) -> io::Result<Option<Found>> {
    let file = dir.open(&segment_name(base), Open::Write)?;
    let file_bytes = file.size()?;
    // An opening that was written for another base: the file was about to be used again.
    let (found, is_reused) = match opened {
        Opened::Known(opening) if opening.base == base => (Some((opening, true)), false),
        Opened::Known(_) => (guessed(dir, base, file_bytes)?, true),
        Opened::Damaged | Opened::Newer(_) => (guessed(dir, base, file_bytes)?, false),
    };
    let Some((opening, is_counted)) = found else {
        let format = Format::any(Version::Two);
        let end = end(base, file_bytes, format);
        if !is_reused && !is_empty(file.as_ref(), file_bytes)? {
            damage.found(Some(&Frames::open(dir, base, end, format)?), base, end);
        }
        dir.remove(&segment_name(base))?;
        return Ok(None);
    };
    file.sync_data()?;
    let Opening { previous_end, before, newest, format, .. } = opening;
    let end = end(base, file_bytes, format);
    let after = before;
    let segment = Segment { base, end, previous_end, before, after, newest, file_bytes, format };
    Ok(Some(Found { segment, is_counted }))
}

fn end(base: u64, file_bytes: u64, format: Format) -> u64 {
    base.saturating_add(file_bytes.saturating_sub(format.version.opening_bytes() as u64))
}

/// Whether nothing was ever written past an opening: a crash came while the file was created.
fn is_empty(file: &dyn Stored, file_bytes: u64) -> io::Result<bool> {
    const CHUNK_BYTES: usize = 64 << 10;
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut at = OPENING_BYTES as u64;
    while at < file_bytes {
        let read = read_up_to(file, &mut chunk, at)?;
        if read == 0 || chunk.iter().take(read).any(|byte| *byte != 0) {
            return Ok(read == 0);
        }
        at = at.saturating_add(read as u64);
    }
    Ok(true)
}

/// What the first batch tells of the opening, and whether nothing is missing before it.
fn guessed(dir: &Dir, base: u64, file_bytes: u64) -> io::Result<Option<(Opening, bool)>> {
    for version in [Version::Two, Version::One] {
        let format = Format::any(version);
        let frames = Frames::open(dir, base, end(base, file_bytes, format), format)?;
        let first = match frames.frame(base)? {
            Some(first) => Some(first),
            None => frames.frame(frames.next_frame(base)?)?,
        };
        if let Some(first) = first {
            let (before, newest, format) = (first.before, first.head.received, first.format);
            let opening = Opening { base, previous_end: base, before, newest, format };
            return Ok(Some((opening, first.position == base)));
        }
    }
    Ok(None)
}

/// Ends a segment where its successor says that it ended: what lies beyond was refused, or was
/// never used.
fn connect(
    dir: &Dir,
    previous: &mut Segment,
    found: &mut Found,
    damage: &mut Damage,
) -> io::Result<()> {
    let next = &mut found.segment;
    let ends = next.previous_end.min(next.base).max(previous.base);
    previous.newest = next.newest;
    let is_missing = previous.end < ends;
    if is_missing || !found.is_counted {
        // The readers of what is missing have to be told how many items it had.
        let end = previous.end.min(ends);
        let frames = Frames::open(dir, previous.base, end, previous.format)?;
        previous.after = frames.totals_at(end, previous.before)?;
    } else {
        previous.after = next.before;
    }
    if !found.is_counted {
        (next.before, next.after) = (previous.after, previous.after);
    }
    if is_missing {
        damage.found(None, previous.end, ends);
    }
    if previous.end > ends {
        previous.end = ends;
        cut(dir, previous)?;
    }
    Ok(())
}

/// Reads the last segment whole and cuts off what is no batch: a torn one, or room never used.
fn finish(dir: &Dir, last: &mut Segment, damage: &mut Damage) -> io::Result<()> {
    let frames = Frames::open(dir, last.base, last.end, last.format)?;
    let mut good = last.base;
    let mut at = last.base;
    while at < last.end {
        match frames.step(at)? {
            Step::Whole(frame, _) => {
                if good < at {
                    damage.found(Some(&frames), good, at);
                }
                last.after = frame.after();
                last.receive(good == last.base, frame.head.received);
                at = frame.next();
                good = at;
            }
            Step::Damaged { to } => at = to,
        }
    }
    let torn = frames.torn_bytes(good)?;
    if torn > 0 {
        damage.torn(&frames, good, good.saturating_add(torn));
    }
    if good < last.end {
        last.end = good;
        cut(dir, last)?;
    }
    Ok(())
}

/// Ends the file with its last batch.
fn cut(dir: &Dir, segment: &mut Segment) -> io::Result<()> {
    let file = dir.open(&segment_name(segment.base), Open::Write)?;
    segment.file_bytes = segment.offset(segment.end);
    file.set_len(segment.file_bytes)?;
    file.sync_data()
}
