//! Metric points, as far as their exemplars name a trace.

use super::observed::Observed;
use super::offset;
use crate::evidence::{Kind, Nanos, SpanId, TraceId};
use crate::wire::{Fields, Malformed, Message, Role, role};

/// Emits every exemplar with a trace id in a `ScopeMetrics` that begins at `base` in the batch.
pub(super) fn observe<'a>(
    scope: &'a [u8],
    base: usize,
    resource: &Observed<'a>,
    emit: &mut impl FnMut(&Observed<'a>),
) -> Result<(), Malformed> {
    for field in Fields::new(scope) {
        let field = field?;
        if field.number == 2 {
            let metric = field.bytes()?;
            let name = name(metric)?;
            let outer = Observed { kind: Kind::Exemplar, name, ..*resource };
            walk(Message::Metric, metric, base + field.end - metric.len(), &outer, emit)?;
        }
    }
    Ok(())
}

/// The name may come after the points.
fn name(metric: &[u8]) -> Result<&str, Malformed> {
    let mut name = "";
    for field in Fields::new(metric) {
        let field = field?;
        if field.number == 1 {
            name = field.text()?;
        }
    }
    Ok(name)
}

/// Goes down to the exemplars: metric, kind of data, point, exemplar. Attributes are passed over.
fn walk<'a>(
    message: Message,
    content: &'a [u8],
    base: usize,
    outer: &Observed<'a>,
    emit: &mut impl FnMut(&Observed<'a>),
) -> Result<(), Malformed> {
    for field in Fields::new(content) {
        let field = field?;
        match role(message, field.number) {
            Role::Into(Message::Exemplar) => {
                let mut observed = read(field.bytes()?, *outer)?;
                observed.offset = offset(base + field.body)?;
                if observed.trace.is_some() {
                    emit(&observed);
                }
            }
            Role::Into(Message::KeyValue | Message::Buckets | Message::Quantile) => {}
            Role::Into(inner) => {
                let inside = field.bytes()?;
                walk(inner, inside, base + field.end - inside.len(), outer, emit)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn read<'a>(exemplar: &[u8], mut out: Observed<'a>) -> Result<Observed<'a>, Malformed> {
    for field in Fields::new(exemplar) {
        let field = field?;
        match field.number {
            2 => out.start = Nanos(field.number()?),
            4 => out.span = SpanId::from_slice(field.bytes()?),
            5 => out.trace = TraceId::from_slice(field.bytes()?),
            _ => {}
        }
    }
    Ok(out)
}
