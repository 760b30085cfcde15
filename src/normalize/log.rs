//! Log records: application logs, proxies' access logs, flow records.

use super::names::Names;
use super::observed::Observed;
use super::slot::Slot;
use super::span::{place, request};
use super::{address, outcome};
use crate::evidence::{Kind, Nanos, Outcome, SpanId, TraceId};
use crate::wire::{Fields, Malformed};

/// From this severity on, a log record tells of a failure.
const SEVERITY_ERROR: u64 = 17;

/// What a `LogRecord` says. `out` holds what its resource says.
pub(super) fn read<'a>(
    record: &'a [u8],
    names: &mut Names<'a>,
    out: &mut Observed<'a>,
) -> Result<(), Malformed> {
    names.clear();
    let (mut observed_at, mut severity) = (0, 0);
    for field in Fields::new(record) {
        let field = field?;
        match field.number {
            1 => out.start = Nanos(field.number()?),
            2 => severity = field.number()?,
            6 => names.read(field.bytes()?)?,
            9 => out.trace = TraceId::from_slice(field.bytes()?),
            10 => out.span = SpanId::from_slice(field.bytes()?),
            11 => observed_at = field.number()?,
            12 => out.name = field.text()?,
            _ => {}
        }
    }
    if out.start == Nanos(0) {
        out.start = Nanos(observed_at);
    }
    out.trace = out.trace.or_else(|| trace(names.text(Slot::Trace)));
    // Its body.
    out.worded = true;
    place(out, names);
    request(out, names);
    if names.has(Slot::Verdict) || names.has(Slot::FlowStart) {
        flow(out, names);
    } else if is_access(names) {
        access(out, names);
    } else {
        out.kind = Kind::Log;
        out.detail = names.text(Slot::ErrorType);
        let failed = severity >= SEVERITY_ERROR;
        out.outcome = if failed { Outcome::ServerError } else { Outcome::Unknown };
    }
    Ok(())
}

/// Envoy's access logger writes the keys that its operator chose: any one of these tells it.
fn is_access(names: &Names<'_>) -> bool {
    names.has(Slot::ResponseFlags)
        || names.has(Slot::ResponseDetails)
        || (names.has(Slot::Status)
            && (names.has(Slot::UpstreamRemote) || names.has(Slot::Duration)))
}

fn access<'a>(out: &mut Observed<'a>, names: &Names<'a>) {
    out.kind = Kind::Access;
    out.peer = names.text(Slot::Peer);
    out.outcome = outcome::of_access(names, out.status);
    out.detail = names.text(Slot::ResponseFlags);
    if out.detail.is_empty() && out.outcome != Outcome::Success {
        out.detail = names.text(Slot::ResponseDetails);
    }
    let ms = names.number(Slot::Duration).unwrap_or(0);
    out.duration_ns = ms.saturating_mul(1_000_000);
    let upstream_us = names.number(Slot::UpstreamTime).unwrap_or(0).saturating_mul(1000);
    out.upstream_us = u32::try_from(upstream_us).unwrap_or(u32::MAX);
    out.sockets = [
        address::joined(names, Slot::DownstreamRemote, Slot::DownstreamLocal),
        address::joined(names, Slot::UpstreamLocal, Slot::UpstreamRemote),
    ];
}

fn flow<'a>(out: &mut Observed<'a>, names: &Names<'a>) {
    out.kind = Kind::Flow;
    out.outcome =
        outcome::of_verdict(names.text(Slot::Verdict)).max(outcome::of_status(out.status));
    out.detail = names.text(Slot::DropReason);
    out.peer = names.text(Slot::DestinationService);
    if out.placement.service.is_empty() {
        (out.placement.service, out.resource) = (names.text(Slot::SourceService), None);
    }
    // The Collector's NetFlow receiver swaps the record's own times; these are not swapped.
    if let Some(start) = names.number(Slot::FlowStart) {
        let end = names.number(Slot::FlowEnd).unwrap_or(start);
        (out.start, out.duration_ns) = (Nanos(start), end.saturating_sub(start));
    }
    let near = [Slot::SourceAddress, Slot::SourcePort];
    let far = [Slot::DestinationAddress, Slot::DestinationPort];
    out.sockets = [address::apart(names, near, far), None];
}

/// A trace id as an attribute: plain hex, or within a `traceparent`.
fn trace(text: &str) -> Option<TraceId> {
    match text.splitn(5, '-').collect::<smallvec::SmallVec<[&str; 5]>>().as_slice() {
        [_version, trace, _span, _flags] => TraceId::from_hex(trace),
        [plain] => TraceId::from_hex(plain),
        _ => None,
    }
}
