//! The one thread that writes: group after group, each with one write.

use std::io::{self, IoSlice};
use std::sync::Arc;

use super::active::Active;
use super::disk::{self, segment_name, spare_name};
use super::flight::Written;
use super::frame::{FRAME_BYTES, Format, Frame, OPENING_BYTES, Opening, Totals};
use super::handle::Farewell;
use super::pack::Packed;
use super::queue::Pending;
use super::shared::Shared;
use super::state::Segment;
use super::tail::Kept;
use super::{Ack, Batch};
use crate::evidence::Nanos;
use crate::ledger::Refusal;

/// Full segments that memory mode leaves to the next trim to sync. Past it the writer waits for
/// them: it is faster than the disk, and a power cut must not take more positions than
/// [`Shared::open`] leaps over.
const UNSYNCED_MAX: usize = 8;

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) writing: Option<Writing>,
    /// Where the next segment begins at the earliest.
    next_base: u64,
}

/// How far the segment is written. What is published of it may be less.
pub(super) struct Writing {
    pub(super) active: Arc<Active>,
    pub(super) end: u64,
    after: Totals,
    file_bytes: u64,
}

/// Headers and batches of one group, ready to write.
struct Group {
    headers: Vec<[u8; FRAME_BYTES]>,
    kept: Vec<Kept>,
    end: u64,
    after: Totals,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let next_base = shared.first_base;
        Self { shared, writing: None, next_base }
    }

    /// Until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let _farewell = Farewell(Arc::clone(&self.shared));
        while let Some(group) = self.shared.queue.take(self.room()) {
            if group.is_empty() {
                self.tidy();
            } else {
                self.write(group);
            }
        }
        self.seal();
    }

    pub(super) fn write(&mut self, group: Vec<Pending>) {
        match self.store(&group) {
            Ok(mut written) => {
                written.replies.extend(group.into_iter().map(|pending| pending.reply));
                match self.shared.settings.ack {
                    Ack::Wal => self.shared.flight.push(written),
                    Ack::Memory => self.shared.answer([written].into(), Ok(())),
                }
            }
            Err(refusal) => {
                let bytes = group.iter().map(Pending::held_bytes).sum();
                self.shared.queue.done(bytes);
                for pending in group {
                    pending.reply.send(Err(refusal)).ok();
                }
            }
        }
    }

    /// On return the kernel has the batches; or none of them will be seen.
    fn store(&mut self, group: &[Pending]) -> Result<Written, Refusal> {
        self.heed_poison();
        if self.left() == 0 {
            self.seal();
        }
        let need = group.iter().map(Pending::frame_bytes).sum::<u64>();
        let mut writing = match self.writing.take() {
            Some(writing) => writing,
            None => self.create(need)?,
        };
        let grown = writing.offset().saturating_add(need);
        let room = self.shared.make_room(grown.saturating_sub(writing.file_bytes));
        let framed = room.and_then(|()| writing.frames(group).ok_or(Refusal::LogFailed));
        let group = match framed {
            Ok(group) => group,
            Err(refusal) => {
                self.writing = Some(writing);
                return Err(refusal);
            }
        };
        if let Err(error) = writing.write(&group) {
            let refusal = self.refuse("write", &error);
            match self.cut_back(&mut writing) {
                Ok(()) => self.writing = Some(writing),
                Err(_) => self.give_up(&writing, group.end),
            }
            return Err(refusal);
        }
        (writing.end, writing.after) = (group.end, group.after);
        let file_bytes = grown.max(writing.file_bytes);
        self.resize(&mut writing, file_bytes);
        let active = Arc::clone(&writing.active);
        self.writing = Some(writing);
        Ok(Written { active, kept: group.kept, replies: Vec::new() })
    }

    /// What the next group may take: the rest of its segment.
    pub(super) fn room(&self) -> u64 {
        match self.left() {
            0 => self.shared.segment_bytes(),
            left => left,
        }
    }

    /// What the segment may still take. A group of one batch may go past it.
    fn left(&self) -> u64 {
        let written = self.writing.as_ref().map_or(0, |writing| writing.end - writing.active.base);
        self.shared.segment_bytes().saturating_sub(written)
    }

    /// A sync has failed since: nothing that it was to cover may be trusted.
    fn heed_poison(&mut self) {
        let is_active = |writing: &Writing| self.shared.state().is_active(&writing.active);
        if self.writing.as_ref().is_some_and(|writing| !is_active(writing))
            && let Some(writing) = self.writing.take()
        {
            self.give_up(&writing, writing.end);
        }
    }

    /// Ends the segment. Acknowledged with the disk, it is synced before the next one is created,
    /// so that a start has to read the last one alone.
    pub(super) fn seal(&mut self) {
        self.shared.settle();
        self.heed_poison();
        self.tidy();
        let Some(writing) = self.writing.take() else { return };
        self.next_base = writing.end;
        let mut state = self.shared.state();
        state.active = None;
        if self.shared.settings.ack == Ack::Memory {
            state.unsynced.push_back(writing.active);
            let is_behind = state.unsynced.len() > UNSYNCED_MAX;
            drop(state);
            if is_behind {
                self.shared.sync_full();
            }
        }
    }

    /// Gives up the room that the segment has not used. Should the disk refuse, nobody minds what
    /// lies behind the last batch.
    pub(super) fn tidy(&mut self) {
        if let Some(mut writing) = self.writing.take() {
            self.cut_back(&mut writing).ok();
            self.writing = Some(writing);
        }
    }

    /// Removes what lies behind the last good batch.
    fn cut_back(&self, writing: &mut Writing) -> io::Result<()> {
        let good = writing.offset();
        writing.active.file.set_len(good)?;
        self.resize(writing, good);
        Ok(())
    }

    fn resize(&self, writing: &mut Writing, file_bytes: u64) {
        if writing.file_bytes != file_bytes {
            writing.file_bytes = file_bytes;
            self.shared.state().resize_last(file_bytes);
        }
    }

    pub(super) fn create(&self, need: u64) -> Result<Writing, Refusal> {
        let opening = self.opening();
        let spare = self.shared.state().take_spare(Nanos(u64::MAX));
        let opening_bytes = OPENING_BYTES as u64;
        if spare.is_none() {
            self.shared.make_room(need.saturating_add(opening_bytes))?;
        }
        let room = self.shared.settings.bytes_max.saturating_sub(self.shared.state().bytes);
        let bytes = self.shared.segment_bytes().saturating_add(opening_bytes).min(room);
        let created = Active::create(&self.shared.dir, &opening, bytes, spare);
        let created = created.and_then(|active| {
            self.first_lasts(&active)?;
            Ok((active.file.size()?, Arc::new(active)))
        });
        let (file_bytes, active) = created.map_err(|error| {
            if error.kind() != io::ErrorKind::AlreadyExists {
                self.shared.discard(&segment_name(opening.base));
            }
            if let Some(spare) = spare {
                self.shared.discard(&spare_name(spare.base));
            }
            self.refuse("create segment", &error)
        })?;
        let Opening { base, previous_end, before, newest, format } = opening;
        let after = before;
        let segment =
            Segment { base, end: base, previous_end, before, after, newest, file_bytes, format };
        self.shared.state().open_segment(segment, Arc::clone(&active));
        Ok(Writing { active, end: base, after, file_bytes })
    }

    /// The first segment of a process in memory mode lasts before it is used, so that the next
    /// process knows at least from where this one gave positions.
    fn first_lasts(&self, active: &Active) -> io::Result<()> {
        let is_first = self.next_base == self.shared.first_base;
        let must_last = is_first && self.shared.settings.ack == Ack::Memory;
        if must_last { active.sync(&self.shared.dir) } else { Ok(()) }
    }

    fn opening(&self) -> Opening {
        let state = self.shared.state();
        let last = state.segments.back();
        // An empty segment has the name already.
        let after_last = last.map_or(0, |last| last.base.saturating_add(1));
        Opening {
            base: self.next_base.max(after_last),
            previous_end: last.map_or(state.end, |last| last.end),
            before: state.totals(),
            newest: state.newest(),
            format: Format::marked(fastrand::u64(1..)),
        }
    }

    /// Leaves a segment with bytes that nobody may trust. The positions up to `end` are not used
    /// again. One without a good batch is removed: a disk that keeps failing must not pile them up.
    fn give_up(&mut self, writing: &Writing, end: u64) {
        self.shared.settle();
        self.next_base = end;
        let active = &writing.active;
        let published = {
            let mut state = self.shared.state();
            if state.is_active(active) && self.shared.settings.ack == Ack::Memory {
                state.unsynced.push_back(Arc::clone(active));
            }
            state.active = None;
            state.segments.back().map_or(active.base, |last| last.end)
        };
        // Should the bytes stay, the next segment says that they do not count.
        active.file.set_len(active.offset(published)).ok();
        let size = active.file.size();
        let removed = {
            let mut state = self.shared.state();
            if let Ok(size) = size {
                state.resize_last(size);
            }
            published == active.base && state.remove_last()
        };
        if removed {
            self.shared.discard(&segment_name(active.base));
        }
    }

    /// Logs the first failure of a row, not each.
    fn refuse(&self, step: &str, error: &io::Error) -> Refusal {
        let mut state = self.shared.state();
        if !state.failing {
            tracing::error!(%error, step, "log cannot be written, refusing");
        }
        state.failing = true;
        disk::refusal(error)
    }
}

impl Writing {
    /// `None` where the positions end.
    fn frames(&self, group: &[Pending]) -> Option<Group> {
        let mut before = self.after;
        let mut position = self.end;
        let mut headers = Vec::with_capacity(group.len());
        let mut kept = Vec::with_capacity(group.len());
        let format = self.active.format;
        for pending in group {
            let Packed { head, payload, crc: payload_crc } = pending.packed.clone();
            let length = u32::try_from(payload.stored().len()).ok()?;
            let packing = payload.packing();
            let frame = Frame { position, length, payload_crc, packing, before, head, format };
            position.checked_add(pending.frame_bytes())?;
            headers.push(frame.encode());
            let after = frame.after();
            kept.push(Kept { batch: Batch::new(&frame, payload), before, after });
            (position, before) = (frame.next(), after);
        }
        Some(Group { headers, kept, end: position, after: before })
    }

    fn write(&self, group: &Group) -> io::Result<()> {
        let mut slices = Vec::with_capacity(2 * group.kept.len());
        for (header, kept) in group.headers.iter().zip(&group.kept) {
            slices.push(IoSlice::new(header));
            slices.push(IoSlice::new(kept.batch.payload.stored()));
        }
        disk::write_all(self.active.file.as_ref(), &mut slices, self.offset())
    }

    fn offset(&self) -> u64 {
        self.active.offset(self.end)
    }
}
