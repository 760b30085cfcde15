//! Flow lines of Hubble, one JSON object a line, as one OTLP logs request.
//!
//! A line that is no flow is rejected and counted; the others go on.

mod attributes;
mod line;
mod record;
mod time;

use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;

use self::line::Line;
use super::budget::Hold;
use super::intake::too_large;
use super::{Denial, Intake, Raw, Reply, Settings};
use crate::evidence::{Nanos, Signal, Source, Tenant};
use crate::wire::{encoded_len, write_varint};

const SCOPE: &str = "hopline.flows";

/// The bounds of one batch of lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) line_bytes_max: usize,
    pub(super) request_bytes_max: usize,
}

/// What became of the lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// An `ExportLogsServiceRequest` of all good lines; empty when there is none.
    pub(super) request: Bytes,
    /// How many lines are no flows.
    pub(super) rejected: u64,
    /// Where the first of them is, and why.
    pub(super) message: String,
    /// Whose they are.
    pub(super) tenant: Tenant,
}

impl Limits {
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            line_bytes_max: settings.line_bytes_max,
            request_bytes_max: settings.request_bytes_max,
        }
    }
}

/// Every line of `text` as a log record, and the hold for them. Empty lines do not count.
pub(super) fn encode(
    text: &[u8],
    observed: Nanos,
    limits: Limits,
    mut hold: Hold,
) -> Result<(Lines, Hold), Denial> {
    let mut lines = Lines::default();
    let mut records = Vec::new();
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        match parse(line, limits.line_bytes_max) {
            Ok(line) => {
                let record = record::record(line, observed);
                prost::encoding::message::encode(2, &record, &mut records);
            }
            Err(reason) => lines.reject(at + 1, reason),
        }
        if records.len() > limits.request_bytes_max {
            return Err(too_large(limits.request_bytes_max));
        }
        hold.grow(text.len() + records.capacity())?;
    }
    if !records.is_empty() {
        hold.grow(text.len() + records.capacity() + records.len())?;
        lines.request = envelope(&records);
    }
    hold.resize(lines.request.len())?;
    Ok((lines, hold))
}

impl Lines {
    pub(super) fn of(self, tenant: Tenant) -> Self {
        Self { tenant, ..self }
    }

    fn reject(&mut self, number: usize, reason: &str) {
        if self.rejected == 0 {
            self.message = format!("line {number}: {reason}");
        }
        self.rejected += 1;
    }

    /// Hands the good lines over; the bad ones show in the reply.
    pub(super) async fn deliver(&self, intake: &Intake, hold: Hold) -> Reply {
        let bytes = self.request.clone();
        let tenant = self.tenant;
        let raw = Raw { signal: Signal::Logs, source: Source::Flows, tenant, bytes };
        let reply = intake.deliver(raw, hold).await;
        if !matches!(reply, Reply::Refused { .. }) {
            intake.counters().of(Source::Flows).add_rejected(self.rejected);
        }
        match reply {
            Reply::Accepted if self.rejected == 0 => Reply::Accepted,
            Reply::Accepted => {
                Reply::Partial { rejected: self.rejected, message: self.message.clone() }
            }
            Reply::Partial { rejected, message } => {
                let message = [self.message.as_str(), &message];
                let message = message.into_iter().find(|text| !text.is_empty());
                let rejected = rejected.saturating_add(self.rejected);
                Reply::Partial { rejected, message: message.unwrap_or_default().to_owned() }
            }
            refused @ Reply::Refused { .. } => refused,
        }
    }
}

fn parse(line: &[u8], bytes_max: usize) -> Result<Line, &'static str> {
    if line.len() > bytes_max {
        return Err("the line is too long");
    }
    Line::parse(line)
}

/// The records, already encoded as the second field of `ScopeLogs`, in one request.
fn envelope(records: &[u8]) -> Bytes {
    let scope = InstrumentationScope { name: SCOPE.to_owned(), ..InstrumentationScope::default() };
    let mut head = Vec::new();
    prost::encoding::message::encode(1, &scope, &mut head);
    let scope_logs = head.len() + records.len();
    let resource_logs = 1 + encoded_len(scope_logs as u64) + scope_logs;
    let mut out = Vec::with_capacity(resource_logs + 16);
    out.push(1 << 3 | 2);
    write_varint(&mut out, resource_logs as u64);
    out.push(2 << 3 | 2);
    write_varint(&mut out, scope_logs as u64);
    out.extend_from_slice(&head);
    out.extend_from_slice(records);
    Bytes::from(out)
}

#[cfg(test)]
mod tests;
