//! All evidence of one request, in order.

use smallvec::SmallVec;

use super::Home;
use crate::evidence::{Facts, JourneyId, Marks, Place, RequestKey, TraceId};

/// What was gathered of one request. It is the same for every order of arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journey {
    /// Its name.
    pub id: JourneyId,
    /// Its trace, where it has one.
    pub trace: Option<TraceId>,
    /// The request keys that were seen in it, in order.
    pub requests: SmallVec<[RequestKey; 2]>,
    /// The evidence: by start, kind, span, then all other facts and the place.
    pub evidence: Vec<(Facts, Place)>,
    /// How often it was amended since it closed first.
    pub revision: u32,
    /// Why it closed; `None` while it is open.
    pub closed: Option<Closed>,
    /// How much of the evidence fits other journeys too, or too many to be in any of them.
    pub ambiguous: u32,
    /// How much evidence was lost because the journey was full.
    pub truncated: u32,
    /// How much evidence said the same as other evidence and was left out.
    pub duplicates: u32,
    /// How many weak keys were not published because the journey has too many.
    pub unbound: u32,
    /// What came since the revision before.
    pub fresh: Fresh,
}

/// Which evidence of a journey came since its revision before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fresh {
    /// All that is listed, each once.
    All,
    /// What lies at these places, duplicates that are not listed included, in order.
    These(Vec<Place>),
}

/// Why a journey closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Closed {
    /// The root was seen, and then nothing more came.
    Quiet,
    /// No root came in time.
    Rootless,
    /// It was open for as long as a journey may be.
    Longest,
    /// The table was full and it was the oldest.
    Full,
    /// The gateway shuts down.
    Drained,
    /// It had closed before, and late evidence was added.
    Amended,
    /// It has no key, so there was nothing to wait for.
    Alone,
}

impl Journey {
    /// A journey of this evidence alone, in any order.
    #[must_use]
    pub fn new(home: Home, evidence: Vec<(Facts, Place)>) -> Self {
        let mut journey = Self {
            id: home.id(),
            trace: home.trace(),
            requests: SmallVec::new(),
            fresh: Fresh::All,
            evidence,
            revision: 0,
            closed: None,
            ambiguous: 0,
            truncated: 0,
            duplicates: 0,
            unbound: 0,
        };
        journey.arrange();
        journey
    }

    /// What it takes of memory, in evidence.
    #[must_use]
    pub fn weight(&self) -> usize {
        // What is kept beside the evidence takes as much as four, and a place a sixth.
        let places = match &self.fresh {
            Fresh::All => 0,
            Fresh::These(places) => places.len().div_ceil(6),
        };
        self.evidence.len().saturating_add(places).saturating_add(4)
    }

    /// Where what came since the revision before lies.
    pub fn fresh(&self) -> impl Iterator<Item = Place> {
        let (all, these) = match &self.fresh {
            Fresh::All => (&self.evidence[..], &[][..]),
            Fresh::These(places) => (&[][..], &places[..]),
        };
        all.iter().map(|(_, place)| *place).chain(these.iter().copied())
    }

    /// Puts the evidence in order and leaves out what is there twice.
    fn arrange(&mut self) {
        self.evidence.sort_unstable_by(|(left, left_place), (right, right_place)| {
            let by_head =
                (left.start, left.kind, left.span).cmp(&(right.start, right.kind, right.span));
            by_head.then_with(|| (left, left_place).cmp(&(right, right_place)))
        });
        // Words and marks come last in the order of facts: equals but for these are neighbors.
        let mut neighbors = self.evidence.iter().zip(self.evidence.iter().skip(1));
        if neighbors.any(|(earlier, later)| is_repeat(later, earlier)) {
            self.fresh = Fresh::of(self.evidence.iter().map(|(_, place)| *place));
            let before = self.evidence.len();
            self.evidence.dedup_by(merge);
            self.duplicates = count(before - self.evidence.len());
            self.evidence.shrink_to_fit();
        }
        let ambiguous = self.evidence.iter().filter(|(facts, _)| facts.marks.has(Marks::AMBIGUOUS));
        self.ambiguous = count(ambiguous.count());
    }
}

impl Closed {
    /// The name in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Rootless => "rootless",
            Self::Longest => "longest",
            Self::Full => "full",
            Self::Drained => "drained",
            Self::Amended => "amended",
            Self::Alone => "alone",
        }
    }
}

impl Fresh {
    /// What lies at these places.
    pub(super) fn of(places: impl Iterator<Item = Place>) -> Self {
        let mut places: Vec<_> = places.collect();
        places.sort_unstable();
        Self::These(places)
    }
}

/// A span that was sent again lies at two places; log records that say the same are two.
fn is_repeat(later: &(Facts, Place), earlier: &(Facts, Place)) -> bool {
    // Nearly all neighbors differ here already.
    if later.0.start != earlier.0.start || later.0.span != earlier.0.span {
        return false;
    }
    let plain = |facts: &Facts| Facts { worded: false, marks: Marks::default(), ..*facts };
    let is_span = later.0.kind.is_span() && later.0.span.is_some();
    (is_span || later.1 == earlier.1) && plain(&later.0) == plain(&earlier.0)
}

/// Leaves out what repeats the one before. Of two that were not sent alike, the one with words stays.
fn merge(later: &mut (Facts, Place), earlier: &mut (Facts, Place)) -> bool {
    let is_repeat = is_repeat(later, earlier);
    if is_repeat && later.0.worded && !earlier.0.worded {
        *earlier = *later;
    }
    is_repeat
}

pub(super) fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
