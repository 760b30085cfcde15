//! A request once encoded, and where in it the ids lie.

use hopline::evidence::Signal;
use hopline::wire::{Fields, Value};

use crate::ids;
use crate::items;

/// Encoded with the ids of the first items. A body is a copy with the ids of others.
pub(crate) struct Template {
    bytes: Vec<u8>,
    patches: Vec<Patch>,
}

/// What stands at `at` is made of the number of an item.
struct Patch {
    at: usize,
    what: What,
    number: u64,
}

#[derive(Clone, Copy)]
enum What {
    Trace,
    Span,
    /// Of a data point.
    Time,
}

impl Template {
    pub(crate) fn new(signal: Signal, bytes: Vec<u8>) -> Self {
        let mut patches = Vec::new();
        let begin = bytes.as_ptr().addr();
        items::each(signal, &bytes, &mut |item| {
            find(signal, item, item.as_ptr().addr() - begin, &mut patches);
        })
        .unwrap();
        Self { bytes, patches }
    }

    /// Appends the request whose first item is number `base`, a multiple of the spans of a trace.
    pub(crate) fn write(&self, base: u64, out: &mut Vec<u8>) {
        let from = out.len();
        out.extend_from_slice(&self.bytes);
        for Patch { at, what, number } in &self.patches {
            let (at, number) = (from + at, base + number);
            match what {
                What::Trace => out[at..at + 16].copy_from_slice(&ids::trace(number)),
                What::Span => out[at..at + 8].copy_from_slice(&ids::span(number)),
                What::Time => {
                    let time = ids::POINTS_BEGIN.0 + number;
                    out[at..at + 8].copy_from_slice(&time.to_le_bytes());
                }
            }
        }
    }
}

fn find(signal: Signal, item: &[u8], offset: usize, patches: &mut Vec<Patch>) {
    let own = items::read(signal, item).unwrap().number;
    let (trace, span) = items::fields(signal);
    for field in Fields::new(item) {
        let field = field.unwrap();
        let patch = match field.value {
            Value::Bytes(_) if field.number == trace => {
                Patch { at: offset + field.end - 16, what: What::Trace, number: own }
            }
            Value::Bytes(bytes) if is_span(signal, field.number, span) && bytes.len() == 8 => {
                let number = ids::number(bytes.try_into().unwrap());
                Patch { at: offset + field.end - 8, what: What::Span, number }
            }
            Value::Fixed64(_) if signal == Signal::Metrics && field.number == 3 => {
                Patch { at: offset + field.body, what: What::Time, number: own }
            }
            _ => continue,
        };
        patches.push(patch);
    }
}

/// A span also names its parent.
fn is_span(signal: Signal, number: u32, span: u32) -> bool {
    number == span || (signal == Signal::Traces && number == 4)
}
