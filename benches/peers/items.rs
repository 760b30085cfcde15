//! Goes through the items of a request without decoding it.

use hopline::evidence::Signal;
use hopline::wire::{Fields, Malformed, Value};

use crate::ids;

/// Resources, scopes, spans or log records.
const RECORDS: &[&[u32]] = &[&[1], &[2], &[2]];
/// Resources, scopes, metrics, the five kinds of data, points.
const POINTS: &[&[u32]] = &[&[1], &[2], &[2], &[5, 7, 9, 10, 11], &[1]];

/// One item's number, and whether its trace is the one that belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) number: u64,
    pub(crate) is_whole: bool,
}

/// Calls `see` with the bytes of every span, log record or data point.
pub(crate) fn each<'a>(
    signal: Signal,
    request: &'a [u8],
    see: &mut dyn FnMut(&'a [u8]),
) -> Result<(), Malformed> {
    descend(request, if signal == Signal::Metrics { POINTS } else { RECORDS }, see)
}

/// Which item these bytes are; `None` for one that was not made by the load.
pub(crate) fn read(signal: Signal, item: &[u8]) -> Option<Item> {
    let (trace_field, span_field) = fields(signal);
    let (mut trace, mut span) = (None, None);
    for field in Fields::new(item) {
        let field = field.ok()?;
        match field.value {
            Value::Bytes(bytes) if field.number == span_field => span = bytes.try_into().ok(),
            Value::Bytes(bytes) if field.number == trace_field => trace = Some(bytes),
            Value::Fixed64(time) if signal == Signal::Metrics && field.number == 3 => {
                let number = time.wrapping_sub(ids::POINTS_BEGIN.0);
                return Some(Item { number, is_whole: true });
            }
            _ => {}
        }
        if let (Some(trace), Some(span)) = (trace, span) {
            let number = ids::number(span);
            return Some(Item { number, is_whole: trace == ids::trace(number) });
        }
    }
    None
}

/// The field numbers of the trace id and the span id.
pub(crate) fn fields(signal: Signal) -> (u32, u32) {
    match signal {
        Signal::Traces => (1, 2),
        Signal::Logs => (9, 10),
        Signal::Metrics => (0, 0),
    }
}

fn descend<'a>(
    bytes: &'a [u8],
    path: &[&[u32]],
    see: &mut dyn FnMut(&'a [u8]),
) -> Result<(), Malformed> {
    let Some((here, below)) = path.split_first() else {
        see(bytes);
        return Ok(());
    };
    for field in Fields::new(bytes) {
        let field = field?;
        if let Value::Bytes(inner) = field.value
            && here.contains(&field.number)
        {
            descend(inner, below, see)?;
        }
    }
    Ok(())
}
