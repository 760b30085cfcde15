//! Spans.

use super::names::Names;
use super::observed::Observed;
use super::slot::Slot;
use super::{address, outcome};
use crate::evidence::{Kind, Method, Nanos, SpanId, TraceId};
use crate::wire::{Fields, Malformed};

/// Field 9, a message.
const ATTRIBUTE: u8 = 9 << 3 | 2;

/// What a `Span` says. `out` holds what its resource says.
pub(super) fn read<'a>(
    span: &'a [u8],
    names: &mut Names<'a>,
    out: &mut Observed<'a>,
) -> Result<(), Malformed> {
    names.clear();
    let (mut end, mut failed, mut worded) = (0, false, false);
    let mut fields = Fields::new(span);
    while let Some(field) = fields.next() {
        let field = field?;
        match field.number {
            1 => out.trace = TraceId::from_slice(field.bytes()?),
            2 => out.span = SpanId::from_slice(field.bytes()?),
            4 => out.parent = SpanId::from_slice(field.bytes()?),
            5 => {
                // Twice: the first is a word too.
                worded |= !out.name.is_empty();
                out.name = field.text()?;
            }
            6 => out.kind = kind(field.number()?),
            7 => out.start = Nanos(field.number()?),
            8 => end = field.number()?,
            9 => {
                names.read(field.bytes()?)?;
                // Attributes come in a row.
                while let Some(attribute) = fields.next_short(ATTRIBUTE) {
                    names.read(attribute)?;
                }
            }
            11 => worded = true,
            15 => {
                let status = status(field.bytes()?)?;
                failed = status.is_error;
                worded |= status.worded;
            }
            _ => {}
        }
    }
    out.worded = worded || names.tell_of_error();
    out.duration_ns = end.saturating_sub(out.start.0);
    place(out, names);
    request(out, names);
    out.outcome = outcome::of_span(names, out.status, failed);
    out.detail = first(names, [Slot::ResponseFlags, Slot::ErrorType]);
    // Where the server listens is no peer of the server.
    if matches!(out.kind, Kind::Client | Kind::Producer | Kind::Consumer) {
        out.peer = names.text(Slot::Peer);
    }
    let near = [Slot::LocalAddress, Slot::LocalPort];
    let far = [Slot::PeerAddress, Slot::PeerPort];
    out.sockets = [address::apart(names, near, far), None];
    Ok(())
}

/// What the evidence says of its own placement, over what its resource says.
pub(super) fn place<'a>(out: &mut Observed<'a>, names: &Names<'a>) {
    if names.place() {
        (out.placement, out.resource) = (names.placement(out.placement), None);
    }
}

/// What spans, access logs and L7 flows say alike of a request.
pub(super) fn request<'a>(out: &mut Observed<'a>, names: &Names<'a>) {
    out.method = Method::from_name(names.text(Slot::Method));
    let status = names.number(Slot::Status).and_then(|it| u16::try_from(it).ok());
    out.status = status.unwrap_or(0);
    out.route = first(names, [Slot::Route, Slot::Operation, Slot::RpcService]);
    if out.route.is_empty() {
        out.path = names.text(Slot::Path);
    }
    out.request_id = names.text(Slot::RequestId);
}

/// The first text that there is.
pub(super) fn first<'a, const N: usize>(names: &Names<'a>, slots: [Slot; N]) -> &'a str {
    let mut texts = slots.into_iter().map(|slot| names.text(slot));
    texts.find(|text| !text.is_empty()).unwrap_or("")
}

fn kind(number: u64) -> Kind {
    match number {
        2 => Kind::Server,
        3 => Kind::Client,
        4 => Kind::Producer,
        5 => Kind::Consumer,
        _ => Kind::Internal,
    }
}

/// What a `Status` says.
#[derive(Clone, Copy, Default)]
struct Status {
    is_error: bool,
    worded: bool,
}

fn status(message: &[u8]) -> Result<Status, Malformed> {
    let mut status = Status::default();
    for field in Fields::new(message) {
        let field = field?;
        match field.number {
            2 => status.worded = true,
            3 => status.is_error = field.number()? == 2,
            _ => {}
        }
    }
    Ok(status)
}
