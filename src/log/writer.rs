//! The one thread that writes: group after group, each with one write and one sync.

use std::fs::{self, File};
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
use std::sync::Arc;

use super::disk;
use super::frame::{FRAME_BYTES, Frame, OPENING_BYTES, Opening};
use super::queue::Pending;
use super::shared::Shared;
use super::state::Segment;
use super::tail::Kept;
use super::{Ack, Batch};
use crate::ledger::Refusal;

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) active: Option<Active>,
    /// Where the next segment begins at the earliest.
    next_base: u64,
}

/// The segment being written.
pub(super) struct Active {
    pub(super) file: Arc<File>,
    base: u64,
    end: u64,
}

/// Headers and batches of one group, ready to write.
struct Group {
    headers: Vec<[u8; FRAME_BYTES]>,
    kept: Vec<Kept>,
    end: u64,
}

/// Callers must not wait for a writer that is no more, whatever ended it.
struct Farewell(Arc<Shared>);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.queue.abandon();
    }
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let next_base = shared.state().end;
        Self { shared, active: None, next_base }
    }

    /// Until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let _farewell = Farewell(Arc::clone(&self.shared));
        while let Some(group) = self.shared.queue.take(self.room()) {
            self.commit(group);
        }
    }

    pub(super) fn commit(&mut self, group: Vec<Pending>) {
        let bytes = group.iter().map(|pending| pending.clean.bytes().len()).sum();
        let stored = self.store(&group);
        self.shared.queue.done(bytes);
        match stored {
            Ok(kept) => {
                let positions: Vec<_> = kept.iter().map(|kept| kept.batch.position).collect();
                self.publish(kept);
                for (pending, position) in group.into_iter().zip(positions) {
                    // A caller that went away has its batch in the log all the same.
                    pending.reply.send(Ok(position)).ok();
                }
            }
            Err(refusal) => {
                for pending in group {
                    pending.reply.send(Err(refusal)).ok();
                }
            }
        }
    }

    fn publish(&self, kept: Vec<Kept>) {
        let end = {
            let mut state = self.shared.state();
            state.publish(kept);
            state.failing = false;
            state.end
        };
        self.shared.progress.send_modify(|progress| progress.end = end);
    }

    /// On return the batches are as safe as the ack mode says; or none of them will be seen.
    fn store(&mut self, group: &[Pending]) -> Result<Vec<Kept>, Refusal> {
        let need = group.iter().map(Pending::frame_bytes).sum::<u64>();
        self.shared.make_room(need.saturating_add(OPENING_BYTES as u64))?;
        self.heed_poison();
        if self.left() == 0 {
            self.seal();
        }
        let mut active = match self.active.take() {
            Some(active) => active,
            None => self.create().map_err(|error| self.refuse("create segment", &error))?,
        };
        let Some(group) = self.frames(&active, group) else {
            self.active = Some(active);
            return Err(Refusal::LogFailed);
        };
        if let Err(error) = active.write(&group) {
            let refusal = self.refuse("write", &error);
            match active.cut_back() {
                Ok(()) => self.active = Some(active),
                Err(_) => self.give_up(&active, group.end),
            }
            return Err(refusal);
        }
        if self.shared.settings.ack == Ack::Wal
            && let Err(error) = active.file.sync_data()
        {
            self.shared.poison(&error);
            // Should the bytes stay, the next segment says that they do not count.
            active.cut_back().ok();
            self.give_up(&active, group.end);
            return Err(Refusal::LogFailed);
        }
        active.end = group.end;
        self.next_base = group.end;
        self.active = Some(active);
        Ok(group.kept)
    }

    /// What the next group may take: the rest of its segment.
    fn room(&self) -> u64 {
        match self.left() {
            0 => self.segment_bytes(),
            left => left,
        }
    }

    /// What the active segment may still take. A group of one batch may go past it.
    fn left(&self) -> u64 {
        let written = self.active.as_ref().map_or(0, |active| active.end - active.base);
        self.segment_bytes().saturating_sub(written)
    }

    fn segment_bytes(&self) -> u64 {
        let settings = &self.shared.settings;
        settings.segment_bytes.min(settings.bytes_max / 4).max(1)
    }

    /// The background sync of the active segment may have failed.
    fn heed_poison(&mut self) {
        if self.shared.state().active.is_none() {
            self.active = None;
        }
    }

    /// Ends the active segment. All but the last are synced, so that a start reads the last alone.
    fn seal(&mut self) {
        let Some(active) = self.active.take() else { return };
        if self.shared.settings.ack == Ack::Memory
            && let Err(error) = active.file.sync_data()
        {
            self.shared.poison(&error);
        }
    }

    pub(super) fn create(&self) -> io::Result<Active> {
        let (opening, last_base) = {
            let state = self.shared.state();
            let last = state.segments.back();
            let last_base = last.map(|last| last.base);
            let previous_end = last.map_or(self.next_base, |last| last.end);
            let (before, newest) = (state.totals(), state.newest());
            (Opening { base: self.next_base, previous_end, before, newest }, last_base)
        };
        // An empty segment has the name already.
        let base = last_base.map_or(0, |last| last.saturating_add(1)).max(opening.base);
        let opening = Opening { base, ..opening };
        let file = Arc::new(disk::create_segment(&self.shared.settings.dir, &opening)?);
        let Opening { previous_end, before, newest, .. } = opening;
        let file_bytes = OPENING_BYTES as u64;
        let segment =
            Segment { base, end: base, previous_end, before, after: before, newest, file_bytes };
        self.shared.state().open_segment(segment, Arc::clone(&file));
        Ok(Active { file, base, end: base })
    }

    /// `None` where the positions end.
    fn frames(&self, active: &Active, group: &[Pending]) -> Option<Group> {
        let mut before = self.shared.state().totals();
        let mut position = active.end;
        let mut headers = Vec::with_capacity(group.len());
        let mut kept = Vec::with_capacity(group.len());
        for pending in group {
            let bytes = pending.clean.bytes().clone();
            let length = u32::try_from(bytes.len()).ok()?;
            let (payload_crc, head) = (pending.payload_crc, *pending.clean.head());
            let frame = Frame { position, length, payload_crc, before, head };
            position.checked_add(pending.frame_bytes())?;
            headers.push(frame.encode());
            let after = frame.after();
            kept.push(Kept { batch: Batch::new(&frame, bytes), before, after });
            (position, before) = (frame.next(), after);
        }
        Some(Group { headers, kept, end: position })
    }

    /// Leaves a segment with bytes that nobody may trust. The positions are not used again. One
    /// without a good batch is removed: a disk that keeps failing must not pile them up.
    fn give_up(&mut self, active: &Active, end: u64) {
        self.next_base = end;
        let size = active.file.metadata().map(|metadata| metadata.len());
        let removed = {
            let mut state = self.shared.state();
            state.active = None;
            if let Ok(size) = size {
                state.resize_last(size);
            }
            active.end == active.base && state.remove_last()
        };
        if removed {
            // One that stays is found empty by the next start.
            fs::remove_file(disk::segment_path(&self.shared.settings.dir, active.base)).ok();
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

impl Active {
    /// One vectored write, without copying a payload.
    fn write(&self, group: &Group) -> io::Result<()> {
        let mut file = self.file.as_ref();
        file.seek(SeekFrom::Start(self.offset()))?;
        let mut slices = Vec::with_capacity(2 * group.kept.len());
        for (header, kept) in group.headers.iter().zip(&group.kept) {
            slices.push(IoSlice::new(header));
            slices.push(IoSlice::new(&kept.batch.bytes));
        }
        let mut rest = slices.as_mut_slice();
        while !rest.is_empty() {
            match file.write_vectored(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Removes what a failed group has left behind the last good batch.
    pub(super) fn cut_back(&self) -> io::Result<()> {
        self.file.set_len(self.offset())
    }

    fn offset(&self) -> u64 {
        (self.end - self.base).saturating_add(OPENING_BYTES as u64)
    }
}
