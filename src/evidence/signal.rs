//! Where evidence comes from and where its bytes lie.

use super::Nanos;

/// The three OTLP signals. Every other source is turned into one of them at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// An `ExportTraceServiceRequest`.
    Traces,
    /// An `ExportLogsServiceRequest`; flows and access logs travel as log records.
    Logs,
    /// An `ExportMetricsServiceRequest`.
    Metrics,
}

impl Signal {
    /// All signals, in the order in which status lists them.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Logs, Self::Metrics];

    /// The name in settings, metrics and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
        }
    }

    /// The code in the log's batch header.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Traces => 1,
            Self::Logs => 2,
            Self::Metrics => 3,
        }
    }

    /// `None` for a code that this version does not know.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.code() == code)
    }
}

/// The kind of door a batch came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// OTLP over gRPC.
    OtlpGrpc,
    /// OTLP over HTTP, protobuf.
    OtlpHttp,
    /// OTLP over HTTP, JSON.
    OtlpJson,
    /// Hubble flow lines.
    Flows,
}

impl Source {
    /// All sources, in the order of their codes.
    pub const ALL: [Self; 4] = [Self::OtlpGrpc, Self::OtlpHttp, Self::OtlpJson, Self::Flows];

    /// The name in metrics and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OtlpGrpc => "otlp_grpc",
            Self::OtlpHttp => "otlp_http",
            Self::OtlpJson => "otlp_json",
            Self::Flows => "flows",
        }
    }

    /// The code in the log's batch header.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::OtlpGrpc => 1,
            Self::OtlpHttp => 2,
            Self::OtlpJson => 3,
            Self::Flows => 4,
        }
    }

    /// `None` for a code that this version does not know.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.code() == code)
    }
}

/// Whose data it is. The default is the tenant `default`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(pub u32);

impl Tenant {
    /// The name of the tenant when nobody is asked who they are.
    pub const DEFAULT: &str = "default";

    /// The tenant of a name. It is the same on every machine and after every start, since batches
    /// in the log carry it: the first 32 bits of the name's digest.
    #[must_use]
    pub fn named(name: &str) -> Self {
        if name == Self::DEFAULT {
            return Self::default();
        }
        let digest = blake3::hash(name.as_bytes());
        let [a, b, c, d, ..] = *digest.as_bytes();
        Self(u32::from_le_bytes([a, b, c, d]))
    }
}

/// What a request was, byte for byte, as its sender sent it. Equal for a request that is sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub u128);

/// What is known of a batch beside its bytes. It is stored with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which OTLP request the bytes are.
    pub signal: Signal,
    /// The door.
    pub source: Source,
    /// Whose data it is.
    pub tenant: Tenant,
    /// When the door took it.
    pub received: Nanos,
    /// Spans, log records or data points in the bytes.
    pub items: u32,
    /// Version of the redaction policy that cleaned the bytes.
    pub policy: u32,
    /// Of the request before it was redacted.
    pub digest: Digest,
}

/// A byte position in the log. It only grows, across segments and restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// Where one evidence lies: its batch, and the byte offset of its protobuf message in there.
///
/// The offset is that of the message's length prefix, so [`crate::wire::item`] can cut it out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Position of the batch.
    pub batch: Position,
    /// Offset of the length prefix within the batch's bytes.
    pub offset: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_the_same_number_for_ever() {
        assert_eq!(Tenant::named("default"), Tenant(0));
        assert_eq!(Tenant::named("shop"), Tenant(2_078_091_908));
    }
}
