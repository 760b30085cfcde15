//! The small part of an evidence that the join, the hops and the rules compute with.

use super::{Keys, Nanos, OriginId, Place, Signal, SpanId, Symbol};

/// One evidence on its way into the join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What it can be joined on.
    pub keys: Keys,
    /// What is computed with.
    pub facts: Facts,
    /// Where the bytes lie.
    pub place: Place,
}

/// Fixed size, no payload: 64 bytes, held once per evidence while its journey is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Facts {
    /// When it began, by the clock of its source.
    pub start: Nanos,
    /// How long it took; zero for a moment.
    pub duration_ns: u64,
    /// The span it is, or happened in.
    pub span: Option<SpanId>,
    /// The span it was called from. `None` marks a root, for the kinds that have parents.
    pub parent: Option<SpanId>,
    /// Who saw it.
    pub origin: OriginId,
    /// Span name, event name, metric name.
    pub name: Symbol,
    /// The templated route, or the RPC method.
    pub route: Symbol,
    /// The other side, as far as this side can name it.
    pub peer: Symbol,
    /// Why, in the source's own words: response flags, drop reason, error type.
    pub detail: Symbol,
    /// How long the upstream took, as a proxy saw it, in µs; zero when it did not say.
    pub upstream_us: u32,
    /// HTTP status code; zero for none.
    pub status: u16,
    /// What sort of evidence.
    pub kind: Kind,
    /// HTTP method.
    pub method: Method,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether its message has words to be found by that are not its name.
    pub worded: bool,
    /// What the join has to add.
    pub marks: Marks,
}

/// What sort of evidence it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A span that neither leaves nor enters the process.
    #[default]
    Internal,
    /// A span of an incoming request.
    Server,
    /// A span of an outgoing request.
    Client,
    /// A span that hands over a message.
    Producer,
    /// A span that takes a message.
    Consumer,
    /// A log record.
    Log,
    /// A proxy's access-log entry.
    Access,
    /// A network flow record.
    Flow,
    /// A metric point, by its exemplar.
    Exemplar,
}

impl Kind {
    /// The name in answers and queries.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
            Self::Log => "log",
            Self::Access => "access",
            Self::Flow => "flow",
            Self::Exemplar => "exemplar",
        }
    }

    /// The signal that it came in.
    #[must_use]
    pub fn signal(self) -> Signal {
        match self {
            Self::Log | Self::Access | Self::Flow => Signal::Logs,
            Self::Exemplar => Signal::Metrics,
            Self::Internal | Self::Server | Self::Client | Self::Producer | Self::Consumer => {
                Signal::Traces
            }
        }
    }

    /// Whether it is a span of any kind.
    #[must_use]
    pub fn is_span(self) -> bool {
        matches!(
            self,
            Self::Internal | Self::Server | Self::Client | Self::Producer | Self::Consumer
        )
    }
}

/// HTTP method; others than these are one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Not HTTP, or not said.
    #[default]
    None,
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
    /// OPTIONS.
    Options,
    /// CONNECT.
    Connect,
    /// TRACE.
    Trace,
    /// A method that this version does not know.
    Other,
}

impl Method {
    /// Reads the method in either case; an empty text is none.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        if name.is_empty() || name == "-" {
            return Self::None;
        }
        let known = [
            Self::Get,
            Self::Head,
            Self::Post,
            Self::Put,
            Self::Patch,
            Self::Delete,
            Self::Options,
            Self::Connect,
            Self::Trace,
        ];
        known.into_iter().find(|it| it.name().eq_ignore_ascii_case(name)).unwrap_or(Self::Other)
    }

    /// The name in answers and queries; empty for none.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Connect => "CONNECT",
            Self::Trace => "TRACE",
            Self::Other => "_OTHER",
        }
    }
}

/// How it ended: the outcome class of hops and journeys. Ordered from good to bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The source did not say.
    #[default]
    Unknown,
    /// It worked.
    Success,
    /// The caller was at fault, or was not allowed (4xx).
    ClientError,
    /// The callee was at fault (5xx, error status, exception).
    ServerError,
    /// The network or the proxy did not let it through, or nobody answered.
    Dropped,
}

impl Outcome {
    /// The name in labels, answers and queries.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Success => "success",
            Self::ClientError => "client_error",
            Self::ServerError => "server_error",
            Self::Dropped => "dropped",
        }
    }

    /// Whether someone should look at it.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::ServerError | Self::Dropped)
    }
}

/// What the join has to add to the facts of one evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Marks(u8);

impl Marks {
    /// Joined by a weak key that fits more than one journey.
    pub const AMBIGUOUS: Self = Self(1);
    /// Joined by a weak key, through a binding.
    pub const BOUND: Self = Self(2);
    /// Came after its journey was closed.
    pub const LATE: Self = Self(4);

    /// Both sets together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are set.
    #[must_use]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_stay_within_one_cache_line() {
        assert_eq!(size_of::<Facts>(), 64);
    }

    #[test]
    fn a_method_is_read_in_either_case() {
        assert_eq!(Method::from_name("post"), Method::Post);
        assert_eq!(Method::from_name("BREW"), Method::Other);
    }
}
