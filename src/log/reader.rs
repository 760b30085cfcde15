//! Those who read: in order, and as fast as they like.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use super::frame::Totals;
use super::frames::{Frames, Step};
use super::shared::{Progress, Shared, difference, gone};
use super::state::{Located, Segment};
use super::{Batch, Error};
use crate::evidence::Position;

/// Reads batch after batch, from memory where it follows closely, else from the disk.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    at: u64,
    /// What the log has counted up to there, where that is known.
    counted: Option<Totals>,
    /// The segment that was read last, when it was read from the disk.
    open: Option<Frames>,
    progress: watch::Receiver<Progress>,
}

/// How far a required consumer is. What lies ahead of it is not trimmed.
#[derive(Clone, Debug)]
pub struct Cursor {
    shared: Arc<Shared>,
    at: Arc<AtomicU64>,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, from: Position) -> Self {
        let progress = shared.progress.subscribe();
        let is_there = from.0 >= shared.state().start();
        let counted = if is_there { shared.totals_at(from.0).ok() } else { None };
        Self { shared, at: from.0, counted, open: None, progress }
    }

    /// Where it goes on.
    #[must_use]
    pub fn position(&self) -> Position {
        Position(self.at)
    }

    /// Items from here to the end of the log, per signal in the order of `Signal::ALL`.
    #[must_use]
    pub fn items_ahead(&self) -> [u64; 3] {
        self.shared.items_from(self.at)
    }

    /// The next batch, `None` at the end of the log.
    ///
    /// # Errors
    ///
    /// After [`Error::Gone`] and [`Error::Corrupt`] the reader stands behind what it could not
    /// read, and the next call goes on there. After [`Error::Io`] it stands where it stood.
    pub fn try_next(&mut self) -> Result<Option<Batch>, Error> {
        let (segment, at) = {
            let state = self.shared.state();
            match state.locate(self.at) {
                Located::At(segment, at) => match state.tail.get(at) {
                    Some(kept) => {
                        let batch = kept.batch.clone();
                        (self.at, self.counted) = (batch.next.0, Some(kept.after));
                        return Ok(Some(batch));
                    }
                    None => (segment, at),
                },
                Located::End { at } => {
                    self.at = at;
                    return Ok(None);
                }
                Located::Gone { start } => {
                    let totals = state.totals_at_start();
                    drop(state);
                    return Err(self.gone(start, totals));
                }
                Located::Missing { to, base } => {
                    drop(state);
                    return Err(self.missing(to, base));
                }
            }
        };
        self.read(segment, at)
    }

    /// The next batch, waiting for it. `None` once the log is closed and read to its end.
    ///
    /// # Errors
    ///
    /// As [`Reader::try_next`].
    pub async fn next(&mut self) -> Result<Option<Batch>, Error> {
        loop {
            if let Some(batch) = self.try_next()? {
                return Ok(Some(batch));
            }
            let at = self.at;
            let more = self.progress.wait_for(|seen| seen.closed || seen.end > at).await;
            if !more.is_ok_and(|seen| seen.end > at) {
                return Ok(None);
            }
        }
    }

    fn read(&mut self, segment: Segment, at: u64) -> Result<Option<Batch>, Error> {
        let mut frames = match self.open.take() {
            Some(frames) if frames.base == segment.base => frames,
            _ => self.shared.frames(&segment, at)?,
        };
        frames.end = segment.end;
        let step = frames.step(at).map_err(|source| self.shared.unreadable(&segment, source))?;
        let result = match step {
            Step::Whole(frame, payload) => {
                (self.at, self.counted) = (frame.next(), Some(frame.after()));
                Ok(Some(Batch::new(&frame, payload)))
            }
            Step::Damaged { .. } => Err(self.damaged(&segment, &frames, at)),
        };
        self.open = Some(frames);
        result
    }

    fn damaged(&mut self, segment: &Segment, frames: &Frames, at: u64) -> Error {
        let trimmed = {
            let state = self.shared.state();
            (at < state.start()).then(|| (state.start(), state.totals_at_start()))
        };
        if let Some((start, totals)) = trimmed {
            // It was written over while it was read.
            return self.gone(start, totals);
        }
        let found = frames.damage_end(at).and_then(|to| {
            let items = self.shared.items_between(at, to)?;
            Ok((to, items))
        });
        match found {
            Ok((to, items)) => {
                self.shared.damage().found(Some(frames), at, to);
                self.skip(at, to, items)
            }
            Err(source) => self.shared.unreadable(segment, source),
        }
    }

    fn missing(&mut self, to: u64, base: u64) -> Error {
        let at = self.at;
        // Without the counts the batches are missing all the same.
        let items = self.shared.items_between(at, base).unwrap_or_default();
        self.shared.damage().found(None, at, to);
        self.skip(at, to, items)
    }

    fn gone(&mut self, start: u64, totals: Totals) -> Error {
        let at = std::mem::replace(&mut self.at, start);
        let counted = self.counted.replace(totals);
        gone(at, start, counted.map(|counted| difference(counted, totals)))
    }

    fn skip(&mut self, at: u64, to: u64, items: Totals) -> Error {
        self.at = to;
        self.counted = self.counted.map(|counted| sum(counted, items));
        Error::Corrupt { at: Position(at), next: Position(to), items }
    }
}

fn sum(mut totals: Totals, items: Totals) -> Totals {
    for (total, items) in totals.iter_mut().zip(items) {
        *total = total.saturating_add(items);
    }
    totals
}

impl Cursor {
    pub(super) fn new(shared: Arc<Shared>, at: Arc<AtomicU64>) -> Self {
        Self { shared, at }
    }

    /// What the consumer still needs begins here.
    #[must_use]
    pub fn get(&self) -> Position {
        Position(self.at.load(Ordering::Acquire))
    }

    /// The consumer needs nothing before `to` any more. It lasts from the next trim on; never
    /// backwards, and never past the end.
    pub fn advance(&self, to: Position) {
        let to = to.0.min(self.shared.progress.borrow().end);
        self.at.fetch_max(to, Ordering::Release);
    }
}
