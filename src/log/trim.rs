//! What keeps the log within its bounds: of disk, of time, and of what is not synced yet.

use std::io;
use std::sync::PoisonError;
use std::time::Duration;

use super::Ack;
use super::disk::{segment_name, spare_name};
use super::pressure::{Pressure, judge};
use super::shared::Shared;
use super::state::{Segment, Spare};
use crate::evidence::Nanos;
use crate::ledger::Refusal;

/// Trimmed segments kept to be written over: as many as a fast disk fills between two trims.
const SPARES_MAX: usize = 4;
/// Segments' worth of room that a trim makes ahead of the writer, so that it finds spares.
const AHEAD: u64 = 2;
/// Trimmed evidence is on disk no longer than this, neither in a spare nor behind the batches of
/// a segment that was one. What fills a segment more slowly gains nothing by it.
const STALE_MAX: Duration = Duration::from_secs(30);

impl Shared {
    /// Drops what all cursors have passed and the window or the budget does not keep.
    pub(super) fn trim(&self, now: Nanos) {
        self.save_cursors();
        self.remove_leftovers();
        self.measure();
        let is_short = self.judged() == Pressure::Hard;
        let (oldest, ahead) = (now.before(self.settings.keep), AHEAD * self.segment_bytes());
        let budget = if is_short { 0 } else { self.settings.bytes_max.saturating_sub(ahead) };
        self.retire(now, oldest, budget);
        self.drop_spares(if is_short { Nanos(u64::MAX) } else { now.before(STALE_MAX) }, 0);
        self.tidy(now);
        self.sync_written();
        if is_short {
            self.measure();
        }
    }

    /// Refuses what the budget or the disk has no room for, after dropping what nobody needs.
    pub(super) fn make_room(&self, need: u64) -> Result<(), Refusal> {
        if need == 0 {
            return Ok(());
        }
        let budget = self.settings.bytes_max.saturating_sub(need);
        let fits = || self.state().bytes <= budget;
        if !fits() {
            self.drop_spares(Nanos(u64::MAX), budget);
        }
        if !fits() {
            self.drop_passed(budget);
        }
        if !fits() && self.save_cursors() {
            self.drop_passed(budget);
        }
        if fits() && !self.disk_is_short() { Ok(()) } else { Err(Refusal::LogFull) }
    }

    /// Syncs what memory mode has acknowledged.
    pub(super) fn sync_written(&self) {
        if self.settings.ack == Ack::Wal {
            return;
        }
        self.sync_full();
        let active = self.state().active.clone();
        if let Some(active) = active
            && let Err(error) = active.sync(&self.dir)
        {
            self.poison(&active, &error);
        }
    }

    /// Syncs the segments that are full.
    pub(super) fn sync_full(&self) {
        loop {
            let Some(active) = self.state().unsynced.pop_front() else { return };
            if let Err(error) = active.sync(&self.dir) {
                self.poison(&active, &error);
            }
        }
    }

    pub(super) fn save_cursors(&self) -> bool {
        let saved = self.cursors.save();
        if let Err(error) = &saved {
            tracing::error!(%error, "cursors not saved, nothing is trimmed");
        }
        saved.is_ok()
    }

    /// Asks the file system how much room there is.
    pub(super) fn measure(&self) {
        let space = self.dir.space().ok();
        *self.space.lock().unwrap_or_else(PoisonError::into_inner) = space;
    }

    /// How close the log is to refusing.
    pub(super) fn judged(&self) -> Pressure {
        let floor = self.cursors.positions().into_values().min().unwrap_or(u64::MAX);
        let held = self.state().bytes_held(floor);
        let space = *self.space.lock().unwrap_or_else(PoisonError::into_inner);
        judge(held, self.settings.bytes_max, space)
    }

    fn disk_is_short(&self) -> bool {
        let space = *self.space.lock().unwrap_or_else(PoisonError::into_inner);
        judge(0, self.settings.bytes_max, space) == Pressure::Hard
    }

    /// Takes passed segments out of the log; some stay as spares, once their new names last: the
    /// old name must never show what is written over it.
    fn retire(&self, now: Nanos, oldest: Nanos, budget: u64) {
        let floor = self.cursors.floor();
        let dropped = {
            let mut state = self.state();
            let spares: u64 = state.spares.iter().map(|spare| spare.bytes).sum();
            state.drop_passed(floor, oldest, budget.saturating_add(spares))
        };
        let mut spares = Vec::new();
        for segment in &dropped {
            let wanted = self.wants_spare(segment, spares.len());
            if wanted
                && self.dir.rename(&segment_name(segment.base), &spare_name(segment.base)).is_ok()
            {
                spares.push(Spare { base: segment.base, bytes: segment.file_bytes, since: now });
            } else {
                self.remove(&segment_name(segment.base), segment.file_bytes);
            }
        }
        let lasts = spares.is_empty() || self.dir.sync().is_ok();
        for spare in spares {
            if lasts {
                self.state().add_spare(spare);
            } else {
                self.remove(&spare_name(spare.base), spare.bytes);
            }
        }
        self.forget(&dropped);
    }

    fn wants_spare(&self, segment: &Segment, also: usize) -> bool {
        let state = self.state();
        let room = self.settings.bytes_max.saturating_sub(state.bytes);
        let each = segment.file_bytes.saturating_mul(also as u64 + 1);
        let is_full = segment.file_bytes >= self.segment_bytes();
        is_full && state.spares.len() + also < SPARES_MAX && each <= room
    }

    /// Removes passed segments, the oldest first, down to `budget`.
    pub(super) fn drop_passed(&self, budget: u64) {
        let floor = self.cursors.floor();
        let dropped = self.state().drop_passed(floor, Nanos(0), budget);
        for segment in &dropped {
            self.remove(&segment_name(segment.base), segment.file_bytes);
        }
        self.forget(&dropped);
    }

    /// Removes the spares that have been some since `before`, down to `budget`.
    fn drop_spares(&self, before: Nanos, budget: u64) {
        loop {
            let spare = {
                let mut state = self.state();
                if state.bytes <= budget { None } else { state.take_spare(before) }
            };
            let Some(spare) = spare else { return };
            self.remove(&spare_name(spare.base), spare.bytes);
        }
    }

    /// A segment that fills slowly gives up its room.
    fn tidy(&self, now: Nanos) {
        if self.state().is_untidy(now, STALE_MAX) {
            self.queue.tidy();
        }
    }

    /// Removes a file that is none of the segments.
    pub(super) fn discard(&self, name: &str) {
        if let Ok(bytes) = self.dir.size(name) {
            self.remove(name, bytes);
        }
    }

    /// What cannot be removed takes its room still, and is tried again.
    fn remove(&self, name: &str, bytes: u64) {
        match self.dir.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let path = self.dir.path_of(name);
                tracing::warn!(%error, path = %path.display(), "segment not removed");
                self.state().add_leftover(name, bytes);
            }
            _ => {}
        }
    }

    fn remove_leftovers(&self) {
        let leftovers = self.state().take_leftovers();
        for (name, bytes) in leftovers {
            self.remove(&name, bytes);
        }
    }

    fn forget(&self, dropped: &[Segment]) {
        if !dropped.is_empty() {
            let start = self.state().start();
            self.damage().forget_before(start);
        }
    }
}
