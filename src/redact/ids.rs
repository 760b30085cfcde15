//! Ids: a span without right ones is rejected, any other record goes on without its wrong ones.

use crate::wire::Message;

const TRACE_ID_BYTES: usize = 16;
const SPAN_ID_BYTES: usize = 8;

/// The two kinds of ids in OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Id {
    Trace,
    Span,
}

impl Id {
    /// Of which kind the id in field `number` of `message` is.
    pub(super) fn of(message: Message, number: u32) -> Self {
        match (message, number) {
            (Message::Span | Message::Link, 1)
            | (Message::LogRecord, 9)
            | (Message::Exemplar, 5) => Self::Trace,
            _ => Self::Span,
        }
    }

    /// Whether an id that need not be there is one, or is there only in name. All zeros are a way
    /// to say that there is none, which every receiver takes.
    pub(super) fn fits(self, id: &[u8]) -> bool {
        id.is_empty() || id.len() == self.length()
    }

    fn is_valid(self, id: &[u8]) -> bool {
        id.len() == self.length() && id.iter().any(|byte| *byte != 0)
    }

    fn length(self) -> usize {
        match self {
            Self::Trace => TRACE_ID_BYTES,
            Self::Span => SPAN_ID_BYTES,
        }
    }
}

/// The ids that a span must have, as far as the walk has seen it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SpanIds {
    trace: Seen,
    span: Seen,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Seen {
    #[default]
    Nothing,
    Valid,
    /// Stays, whatever follows: a strict receiver looks at every one.
    Invalid,
}

impl SpanIds {
    /// Field 1 or 2 of the span.
    pub(super) fn see(&mut self, kind: Id, id: &[u8]) {
        let seen = match kind {
            Id::Trace => &mut self.trace,
            Id::Span => &mut self.span,
        };
        *seen = match seen {
            Seen::Nothing | Seen::Valid if kind.is_valid(id) => Seen::Valid,
            Seen::Nothing | Seen::Valid | Seen::Invalid => Seen::Invalid,
        };
    }

    /// The first of the two that the span does not have.
    pub(super) fn missing(self) -> Option<Id> {
        match (self.trace, self.span) {
            (Seen::Valid, Seen::Valid) => None,
            (Seen::Valid, _) => Some(Id::Span),
            _ => Some(Id::Trace),
        }
    }
}

/// The spans that were taken out of one request, by the id that was invalid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// Spans without a valid trace id.
    pub trace_id: u64,
    /// Spans with a valid trace id, but without a valid span id.
    pub span_id: u64,
    /// Which span of the request was the first of them, counted from 1.
    pub first: u64,
}

impl Rejected {
    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.trace_id + self.span_id
    }

    /// For the developer of the sender: which, and why.
    #[must_use]
    pub fn message(&self) -> String {
        let Self { trace_id, span_id, first } = self;
        let trace = "trace_id must be 16 bytes that are not all zero";
        let span = "span_id must be 8 bytes that are not all zero";
        let why = match (trace_id, span_id) {
            (_, 0) => trace.to_owned(),
            (0, _) => span.to_owned(),
            _ => format!("{trace} ({trace_id}), {span} ({span_id})"),
        };
        let total = self.total();
        let spans = if total == 1 { "span" } else { "spans" };
        format!("{total} {spans} rejected: {why}; the first is number {first} of the request")
    }

    /// One more, after `before` spans of the same request.
    pub(super) fn add(&mut self, missing: Id, before: u64) {
        if self.total() == 0 {
            self.first = before + 1;
        }
        match missing {
            Id::Trace => self.trace_id += 1,
            Id::Span => self.span_id += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_says_how_many_which_and_why() {
        let mut rejected = Rejected::default();
        rejected.add(Id::Trace, 2);
        let one = "1 span rejected: trace_id must be 16 bytes that are not all zero; \
                   the first is number 3 of the request";
        assert_eq!(rejected.message(), one);

        rejected.add(Id::Span, 9);
        let two = "2 spans rejected: trace_id must be 16 bytes that are not all zero (1), \
                   span_id must be 8 bytes that are not all zero (1); \
                   the first is number 3 of the request";
        assert_eq!(rejected.message(), two);
    }

    #[test]
    fn an_id_that_is_given_twice_must_be_valid_twice() {
        let mut ids = SpanIds::default();
        ids.see(Id::Span, &[1; 8]);
        ids.see(Id::Trace, &[1; 3]);
        ids.see(Id::Trace, &[1; 16]);
        assert_eq!(ids.missing(), Some(Id::Trace));
    }
}
