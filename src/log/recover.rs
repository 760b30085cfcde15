//! Opening what an earlier run left, however it ended.
//!
//! Acknowledged with the disk, a segment is created only after the one before it was synced, so a
//! crash can have torn the last one alone: it is read whole. Of the others the openings are read;
//! damage in them is met and counted by their readers.
//!
//! Every step can be interrupted and made again. On return everything that is left lasts.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;

use super::Error;
use super::damage::Damage;
use super::disk::{Dir, read_up_to, segment_name, spare_name};
use super::frame::{Format, OPENING_BYTES, Opened, Opening, Version};
use super::frames::{Frames, Step};
use super::state::Segment;
use super::storage::{Open, Stored};

/// A segment whose opening may be damaged.
struct Found {
    segment: Segment,
    known: Known,
}

/// An opening as it was written, or as the batches tell it.
struct Told {
    opening: Opening,
    known: Known,
}

/// What is known of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Its opening.
    All,
    /// Its first batch, and so what was counted before it.
    Counts,
    /// A later batch: what was before that is not known.
    Nothing,
}

/// The segments of the directory, in order, each connected to the next. What all cursors have
/// `passed` may be missing: it was trimmed, though not all of it yet.
pub(super) fn recover(
    dir: &Dir,
    passed: u64,
    damage: &mut Damage,
) -> Result<VecDeque<Segment>, Error> {
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
            let missing = connect(dir, previous, &mut found).map_err(io)?;
            if let Some(missing) = missing.filter(|missing| missing.end > passed) {
                damage.found(None, missing.start, missing.end);
            }
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
    let read = dir.open(&segment_name(base), Open::Write).and_then(|file| {
        // What a killed process wrote and did not sync is about to become readable. And what it
        // could not sync must not: that may be in memory still, and never on disk.
        file.sync_data()?;
        file.forget()?;
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
        Opened::Known(opening) if opening.base == base => {
            (Some(Told { opening, known: Known::All }), false)
        }
        Opened::Known(_) => (guessed(dir, base, file_bytes)?, true),
        Opened::Damaged | Opened::Newer(_) => (guessed(dir, base, file_bytes)?, false),
    };
    let Some(Told { opening, known }) = found else {
        let format = Format::any(Version::Three);
        let end = end(base, file_bytes, format);
        if !is_reused && !is_empty(file.as_ref(), file_bytes)? {
            damage.found(Some(&Frames::open(dir, base, end, format)?), base, end);
        }
        dir.remove(&segment_name(base))?;
        return Ok(None);
    };
    let Opening { previous_end, before, newest, format, .. } = opening;
    let end = end(base, file_bytes, format);
    let after = before;
    let segment = Segment { base, end, previous_end, before, after, newest, file_bytes, format };
    Ok(Some(Found { segment, known }))
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

/// What the first batch tells of the opening.
fn guessed(dir: &Dir, base: u64, file_bytes: u64) -> io::Result<Option<Told>> {
    for version in [Version::Three, Version::Two, Version::One] {
        let format = Format::any(version);
        let frames = Frames::open(dir, base, end(base, file_bytes, format), format)?;
        let first = match frames.frame(base)? {
            Some(first) => Some(first),
            None => frames.frame(frames.next_frame(base)?)?,
        };
        if let Some(first) = first {
            let (before, newest, format) = (first.before, first.head.received, first.format);
            let opening = Opening { base, previous_end: base, before, newest, format };
            let is_first = first.position == base;
            let known = if is_first { Known::Counts } else { Known::Nothing };
            return Ok(Some(Told { opening, known }));
        }
    }
    Ok(None)
}

/// Ends a segment where its successor says that it ended: what lies beyond was refused, or was
/// never used. Answers what is missing between the two.
fn connect(dir: &Dir, previous: &mut Segment, found: &mut Found) -> io::Result<Option<Range<u64>>> {
    let next = &mut found.segment;
    let (base, room, format) = (previous.base, previous.end.min(next.base), previous.format);
    let frames = || Frames::open(dir, base, room, format);
    previous.newest = next.newest;
    if found.known != Known::All {
        // Its opening would have told where the one before it ends.
        let counted = frames()?.counted_to(previous.before, next.before)?;
        if counted.totals == next.before {
            next.previous_end = counted.end;
        } else if counted.is_over {
            previous.end = counted.end;
            cut(dir, previous)?;
        }
    }
    let ends = next.previous_end.min(next.base).max(previous.base);
    let is_missing = previous.end < ends;
    previous.after = if is_missing || found.known == Known::Nothing {
        // The readers of what is missing have to be told how many items it had.
        frames()?.totals_at(previous.end.min(ends), previous.before)?
    } else {
        next.before
    };
    if found.known == Known::Nothing {
        (next.before, next.after) = (previous.after, previous.after);
    }
    if previous.end > ends {
        previous.end = ends;
        cut(dir, previous)?;
    }
    Ok(is_missing.then_some(previous.end..ends))
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
