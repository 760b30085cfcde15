//! How a request ended, from whatever its source says of that.

use super::names::Names;
use super::slot::Slot;
use crate::evidence::Outcome;

/// Response flags under which no whole answer came back, although the status may look well.
const BROKEN: [&str; 8] = ["UPE", "UC", "UR", "UF", "UT", "DPE", "LR", "SI"];

/// From an HTTP status code; zero says nothing.
pub(super) fn of_status(status: u16) -> Outcome {
    match status {
        0 => Outcome::Unknown,
        400..500 => Outcome::ClientError,
        500.. => Outcome::ServerError,
        _ => Outcome::Success,
    }
}

/// From a gRPC status, as a number or as a name.
pub(super) fn of_grpc(names: &Names<'_>) -> Outcome {
    if !names.has(Slot::GrpcStatus) {
        return Outcome::Unknown;
    }
    let code = names.number(Slot::GrpcStatus);
    let name = names.text(Slot::GrpcStatus);
    match (code, name) {
        (Some(0), _) | (None, "OK") => Outcome::Success,
        (Some(2 | 4 | 8 | 12 | 13 | 14 | 15), _) => Outcome::ServerError,
        (Some(_), _) => Outcome::ClientError,
        (None, "") => Outcome::Unknown,
        (
            None,
            "UNKNOWN" | "DEADLINE_EXCEEDED" | "RESOURCE_EXHAUSTED" | "UNIMPLEMENTED" | "INTERNAL"
            | "UNAVAILABLE" | "DATA_LOSS",
        ) => Outcome::ServerError,
        (None, _) => Outcome::ClientError,
    }
}

/// Of a span: `failed` is its own status. Without an answer, a failed attempt was dropped.
pub(super) fn of_span(names: &Names<'_>, status: u16, failed: bool) -> Outcome {
    let answer = of_status(status).max(of_grpc(names));
    let error = names.flag(Slot::Error) || is_broken(names.text(Slot::ResponseFlags));
    match answer {
        Outcome::Unknown if error && names.has(Slot::ResponseFlags) => Outcome::Dropped,
        Outcome::Unknown | Outcome::Success if error || failed => Outcome::ServerError,
        Outcome::Unknown => Outcome::Success,
        known => known,
    }
}

/// Of a proxy's access-log entry.
pub(super) fn of_access(names: &Names<'_>, status: u16) -> Outcome {
    let flags = names.text(Slot::ResponseFlags);
    match of_status(status) {
        Outcome::Unknown if !flags.is_empty() => Outcome::Dropped,
        Outcome::Success if is_broken(flags) => Outcome::ServerError,
        known => known.max(of_grpc(names)),
    }
}

/// Of a flow: only a drop says how it ended.
pub(super) fn of_verdict(verdict: &str) -> Outcome {
    match verdict {
        "DROPPED" | "ERROR" => Outcome::Dropped,
        "FORWARDED" | "REDIRECTED" | "TRANSLATED" => Outcome::Success,
        _ => Outcome::Unknown,
    }
}

fn is_broken(flags: &str) -> bool {
    !flags.is_empty() && flags.split(',').any(|flag| BROKEN.contains(&flag))
}
