//! Normalize: each source's names become one set of names.
//!
//! In: the bytes of a clean OTLP request. Out: one [`Observed`] per span, log record and exemplar,
//! which borrows its names from the bytes. Holds nothing. Old and new semantic conventions,
//! Envoy's own names and flow records all come out alike; an old name never beats a new one.

mod address;
mod attribute;
mod log;
mod metric;
mod names;
mod observed;
mod outcome;
mod slot;
mod span;

pub use observed::{Observed, Placement};

use crate::evidence::Signal;
use crate::wire::{Fields, Malformed};
use names::Names;
pub(crate) use names::tells_of_error;

#[cfg(test)]
mod tests;

/// Reads every evidence of a request, in the order of the bytes.
///
/// # Errors
/// When the bytes are not the request that `signal` says. Evidence before the fault was emitted.
pub fn observe<'a>(
    signal: Signal,
    bytes: &'a [u8],
    emit: &mut impl FnMut(&Observed<'a>),
) -> Result<(), Malformed> {
    let mut own = Names::new();
    let mut resource = Names::new();
    for field in Fields::new(bytes) {
        let field = field?;
        if field.number != 1 {
            continue;
        }
        let content = field.bytes()?;
        let base = field.end - content.len();
        let outer = Observed {
            placement: placement(content, &mut resource)?,
            resource: Some(offset(field.start)?),
            ..Observed::default()
        };
        for scope in Fields::new(content) {
            let scope = scope?;
            if scope.number != 2 {
                continue;
            }
            let items = scope.bytes()?;
            let at = base + scope.end - items.len();
            match signal {
                Signal::Traces => {
                    each(
                        items,
                        at,
                        &outer,
                        &mut |span, out| span::read(span, &mut own, out),
                        emit,
                    )?;
                }
                Signal::Logs => {
                    each(
                        items,
                        at,
                        &outer,
                        &mut |record, out| log::read(record, &mut own, out),
                        emit,
                    )?;
                }
                Signal::Metrics => metric::observe(items, at, &outer, emit)?,
            }
        }
    }
    Ok(())
}

/// Emits every span or record of a scope whose content begins at `base` in the batch.
#[inline]
fn each<'a>(
    scope: &'a [u8],
    base: usize,
    outer: &Observed<'a>,
    read: &mut impl FnMut(&'a [u8], &mut Observed<'a>) -> Result<(), Malformed>,
    emit: &mut impl FnMut(&Observed<'a>),
) -> Result<(), Malformed> {
    for field in Fields::new(scope) {
        let field = field?;
        if field.number == 2 {
            let mut observed = Observed { offset: offset(base + field.body)?, ..*outer };
            read(field.bytes()?, &mut observed)?;
            emit(&observed);
        }
    }
    Ok(())
}

/// The resource may come after what it describes: the Collector writes fields last to first.
fn placement<'a>(content: &'a [u8], names: &mut Names<'a>) -> Result<Placement<'a>, Malformed> {
    names.clear();
    for field in Fields::new(content) {
        let field = field?;
        if field.number == 1 {
            names.read_all(field.bytes()?, 1)?;
        }
    }
    Ok(names.placement(Placement::default()))
}

/// A message's offset in the batch; batches are smaller than 4 GiB, which redaction checked.
fn offset(at: usize) -> Result<u32, Malformed> {
    u32::try_from(at).map_err(|_| Malformed::Size)
}
