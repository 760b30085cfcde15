//! A batch that is larger than a request may be, cut into parts that are not.
//!
//! OTLP nests records in scopes in resources. A part is the envelope of its records, written anew
//! with the right lengths, around as many of them as fit. Only tags and lengths are made: all else
//! is the batch's own memory, and an envelope that is in many parts is there only once.

use std::ops::Range;

use bytes::Bytes;

use crate::evidence::Signal;
use crate::wire::{Fields, Malformed, Message, Role, encoded_len, role, write_varint};

/// What a batch was cut into.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) parts: Vec<Part>,
    /// Records that are too large with their envelope, alone.
    pub(super) too_large: u64,
}

/// One request, or what is inside one envelope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) pieces: Vec<Bytes>,
    pub(super) bytes: usize,
    pub(super) items: u64,
}

/// Cuts `batch`, so that no part is larger than `bytes_max`.
///
/// # Errors
/// When the batch is not OTLP, which nothing is that came through a door.
pub(super) fn split(signal: Signal, batch: &Bytes, bytes_max: usize) -> Result<Split, Malformed> {
    let message = match signal {
        Signal::Traces => Message::TracesRequest,
        Signal::Logs => Message::LogsRequest,
        Signal::Metrics => Message::MetricsRequest,
    };
    let mut cutter = Cutter { batch, room_min: bytes_max / 2, too_large: 0 };
    let parts = cutter.cut(message, 0..batch.len(), bytes_max)?;
    Ok(Split { parts, too_large: cutter.too_large })
}

struct Cutter<'a> {
    batch: &'a Bytes,
    /// Envelopes may take the rest of a request, and no more: what repeats one a thousand times
    /// would otherwise send a thousand times what came in.
    room_min: usize,
    too_large: u64,
}

/// A part that is being filled: ranges of the batch.
struct Open {
    ranges: Vec<Range<usize>>,
    bytes: usize,
    items: u64,
}

/// A message that is cut.
struct Envelope {
    /// Its fields that hold no records. Every part has them.
    ranges: Vec<Range<usize>>,
    bytes: usize,
}

impl<'a> Cutter<'a> {
    /// Parts of the message that lies in `body`, each with its envelope.
    fn cut(
        &mut self,
        message: Message,
        body: Range<usize>,
        bytes_max: usize,
    ) -> Result<Vec<Part>, Malformed> {
        let envelope = self.envelope(message, &body)?;
        let mut parts = Vec::new();
        let mut open = envelope.open();
        for field in Fields::new(self.slice(&body)) {
            let field = field?;
            let Some(child) = child(message, field.number) else { continue };
            let content = field.bytes()?;
            let whole = body.start + field.start..body.start + field.end;
            if envelope.bytes + whole.len() <= bytes_max {
                if open.bytes + whole.len() > bytes_max {
                    parts.extend(self.close(&envelope, &mut open));
                }
                open.items += records(child, content)?;
                open.push(whole);
                continue;
            }
            parts.extend(self.close(&envelope, &mut open));
            let tag = whole.start..body.start + field.body;
            let overhead = envelope.bytes + tag.len() + encoded_len(bytes_max as u64);
            let room = bytes_max.saturating_sub(overhead);
            if is_record(child) || room < self.room_min {
                self.too_large += records(child, content)?;
                continue;
            }
            let inner = self.cut(child, whole.end - content.len()..whole.end, room)?;
            parts.extend(inner.into_iter().map(|part| self.wrap(&envelope, &tag, part)));
        }
        parts.extend(self.close(&envelope, &mut open));
        Ok(parts)
    }

    fn envelope(&self, message: Message, body: &Range<usize>) -> Result<Envelope, Malformed> {
        let mut open = Open { ranges: Vec::new(), bytes: 0, items: 0 };
        for field in Fields::new(self.slice(body)) {
            let field = field?;
            if child(message, field.number).is_none() {
                open.push(body.start + field.start..body.start + field.end);
            }
        }
        Ok(Envelope { ranges: open.ranges, bytes: open.bytes })
    }

    /// The part that was being filled, if it has any records.
    fn close(&self, envelope: &Envelope, open: &mut Open) -> Option<Part> {
        let full = std::mem::replace(open, envelope.open());
        let pieces = full.ranges.into_iter().map(|range| self.batch.slice(range)).collect();
        (full.items > 0).then_some(Part { pieces, bytes: full.bytes, items: full.items })
    }

    /// `part` as the field with `tag` of a message with this envelope.
    fn wrap(&self, envelope: &Envelope, tag: &Range<usize>, part: Part) -> Part {
        let mut head = self.slice(tag).to_vec();
        write_varint(&mut head, part.bytes as u64);
        let bytes = envelope.bytes + head.len() + part.bytes;
        let mut pieces: Vec<_> =
            envelope.ranges.iter().map(|range| self.batch.slice(range.clone())).collect();
        pieces.push(Bytes::from(head));
        pieces.extend(part.pieces);
        Part { pieces, bytes, items: part.items }
    }

    fn slice(&self, range: &Range<usize>) -> &'a [u8] {
        let batch: &'a Bytes = self.batch;
        batch.get(range.clone()).unwrap_or_default()
    }
}

impl Envelope {
    fn open(&self) -> Open {
        Open { ranges: self.ranges.clone(), bytes: self.bytes, items: 0 }
    }
}

impl Open {
    fn push(&mut self, range: Range<usize>) {
        self.bytes += range.len();
        match self.ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.ranges.push(range),
        }
    }
}

/// The message in this field, if it is a record or holds some.
fn child(message: Message, number: u32) -> Option<Message> {
    match role(message, number) {
        Role::Into(inner) if is_record(inner) || holds_records(inner) => Some(inner),
        _ => None,
    }
}

fn is_record(message: Message) -> bool {
    matches!(
        message,
        Message::Span
            | Message::LogRecord
            | Message::NumberPoint
            | Message::HistogramPoint
            | Message::ExponentialPoint
            | Message::SummaryPoint
    )
}

fn holds_records(message: Message) -> bool {
    matches!(
        message,
        Message::ResourceSpans
            | Message::ResourceLogs
            | Message::ResourceMetrics
            | Message::ScopeSpans
            | Message::ScopeLogs
            | Message::ScopeMetrics
            | Message::Metric
            | Message::Gauge
            | Message::Sum
            | Message::Histogram
            | Message::ExponentialHistogram
            | Message::Summary
    )
}

/// Records in a message, itself among them. OTLP nests them six deep at most.
fn records(message: Message, content: &[u8]) -> Result<u64, Malformed> {
    if is_record(message) {
        return Ok(1);
    }
    let mut count = 0;
    for field in Fields::new(content) {
        let field = field?;
        if let Some(child) = child(message, field.number) {
            count += records(child, field.bytes()?)?;
        }
    }
    Ok(count)
}
