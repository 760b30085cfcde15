//! Keeps the index written, also across its own failures.

use std::sync::{Arc, PoisonError, RwLock};

use super::{Describer, Error, Searcher, Settings, Writer};
use crate::evidence::{JourneyId, Nanos, Position, Symbols};
use crate::join::{Hop, Journey, hops};

/// Writes journeys, and remembers those that are not committed yet: when the index fails, it is
/// opened anew and they are written again.
pub struct Keeper {
    settings: Settings,
    describer: Describer,
    symbols: Arc<Symbols>,
    writer: Option<Writer>,
    current: Current,
    waiting: Vec<Waiting>,
    /// Of the journeys that wait, in evidence.
    weight: usize,
    /// What the last commit said of the log.
    complete_to: Position,
}

/// An index that nothing was added to need not follow the log more closely than this.
const STRIDE_BYTES: u64 = 16 << 20;

/// What a commit will make lasting.
enum Waiting {
    Journey(Arc<Journey>),
    Retracted(JourneyId),
}

/// The searcher of the index as it is now. Clones share it.
#[derive(Clone)]
pub struct Current(Arc<RwLock<State>>);

struct State {
    searcher: Searcher,
    failing: Option<String>,
    shedding: bool,
}

impl Current {
    /// Searches what was committed last. The lock ends with this method.
    #[must_use]
    pub fn searcher(&self) -> Searcher {
        self.0.read().unwrap_or_else(PoisonError::into_inner).searcher.clone()
    }

    /// Why the index cannot be written; `None` while it can.
    #[must_use]
    pub fn failing(&self) -> Option<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).failing.clone()
    }

    /// Whether journeys that worked are kept out of it, because it is far behind.
    #[must_use]
    pub fn shedding(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).shedding
    }

    fn set(&self, searcher: Option<Searcher>, failing: Option<String>) {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        state.failing = failing;
        if let Some(searcher) = searcher {
            state.searcher = searcher;
        }
    }
}

impl Keeper {
    /// Opens the index, or makes it.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub fn open(
        settings: Settings,
        describer: Describer,
        symbols: Arc<Symbols>,
        now: Nanos,
    ) -> Result<Self, Error> {
        let (writer, searcher) = Writer::open(settings.clone(), now)?;
        let current =
            Current(Arc::new(RwLock::new(State { searcher, failing: None, shedding: false })));
        // Nothing, for an index that is new: all of the log is to be read.
        let complete_to = Position(writer.payload().parse().unwrap_or(0));
        let (writer, waiting) = (Some(writer), Vec::new());
        Ok(Self { settings, describer, symbols, writer, current, waiting, weight: 0, complete_to })
    }

    /// All evidence before this is in the index, or will never be.
    #[must_use]
    pub fn complete_to(&self) -> Position {
        self.complete_to
    }

    /// What searches it.
    #[must_use]
    pub fn current(&self) -> Current {
        self.current.clone()
    }

    /// Whether it is far behind, and journeys that worked are kept out of it.
    pub fn shed(&self, shedding: bool) {
        let mut state = self.current.0.write().unwrap_or_else(PoisonError::into_inner);
        state.shedding = shedding;
    }

    /// Journeys and retractions that are not committed.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What they take of memory, in evidence.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// Writes a journey. `replayed`: all of it may have been written before a crash. Answers
    /// whether it can be kept: a document that no index takes must not hold up the others.
    pub fn keep(
        &mut self,
        journey: &Arc<Journey>,
        hops: &[Hop],
        replayed: bool,
        now: Nanos,
    ) -> bool {
        if let Some(writer) = &mut self.writer {
            let document = self.describer.document(journey, hops);
            let kept = match (journey.revision, replayed) {
                (_, true) => writer.put_replayed(&document, now),
                (0, false) => writer.put(&document, now),
                (_, false) => writer.replace(&document, now),
            };
            if let Err(Error::Stored { .. }) = kept {
                return false;
            }
            self.note(kept.err());
        }
        self.weight = self.weight.saturating_add(journey.weight());
        self.waiting.push(Waiting::Journey(Arc::clone(journey)));
        true
    }

    /// Takes a journey out again.
    pub fn retract(&mut self, id: JourneyId) {
        if let Some(writer) = &mut self.writer {
            let retracted = writer.retract(id);
            self.note(retracted.err());
        }
        self.waiting.push(Waiting::Retracted(id));
    }

    /// Makes everything since the last commit searchable and lasting, and answers the journeys
    /// among it: their evidence is settled. All evidence before `begun` is in them or was settled
    /// earlier. `None` when the index fails; it is tried again.
    pub fn commit(&mut self, now: Nanos, begun: Position) -> Option<Vec<Arc<Journey>>> {
        if self.writer.is_none() {
            self.reopen(now);
        }
        let writer = self.writer.as_mut()?;
        let is_far = begun.0.saturating_sub(self.complete_to.0) >= STRIDE_BYTES;
        if self.waiting.is_empty() && !is_far {
            return Some(Vec::new());
        }
        let committed = writer.commit(now, &begun.0.to_string());
        if committed.is_err() {
            self.note(committed.err());
            return None;
        }
        self.complete_to = begun;
        self.weight = 0;
        let journeys = self.waiting.drain(..).filter_map(|waiting| match waiting {
            Waiting::Journey(journey) => Some(journey),
            Waiting::Retracted(_) => None,
        });
        Some(journeys.collect())
    }

    /// Lets go of whole buckets by age and size; answers how many journeys went.
    pub fn retire(&mut self, now: Nanos) -> u64 {
        let Some(writer) = &mut self.writer else { return 0 };
        match writer.retire(now) {
            Ok(retired) => retired.docs,
            Err(error) => {
                self.note(Some(error));
                0
            }
        }
    }

    /// An index that failed is given up; the next commit opens it anew.
    fn note(&mut self, error: Option<Error>) {
        let Some(error) = error else { return };
        if self.writer.take().is_some() {
            tracing::error!(error = %cause(&error), "the index failed and will be opened anew");
        }
        self.current.set(None, Some(cause(&error)));
    }

    fn reopen(&mut self, now: Nanos) {
        let (mut writer, searcher) = match Writer::open(self.settings.clone(), now) {
            Ok(opened) => opened,
            Err(error) => return self.current.set(None, Some(cause(&error))),
        };
        for waiting in &self.waiting {
            let kept = match waiting {
                Waiting::Journey(journey) => {
                    let hops = hops(journey, &self.symbols);
                    writer.put_replayed(&self.describer.document(journey, &hops), now)
                }
                Waiting::Retracted(id) => writer.retract(*id),
            };
            if let Err(error) = kept {
                return self.current.set(None, Some(cause(&error)));
            }
        }
        tracing::info!(journeys = self.waiting.len(), "the index is open again");
        self.writer = Some(writer);
        self.current.set(Some(searcher), None);
    }
}

/// The error and what lies behind it.
fn cause(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
