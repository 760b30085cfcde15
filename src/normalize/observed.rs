//! One evidence, under the names that all sources share.

use crate::evidence::{Kind, Method, Nanos, Outcome, SocketPair, SpanId, TraceId};

/// Who saw it. Empty where nobody said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placement<'a> {
    /// Service.
    pub service: &'a str,
    /// Namespace.
    pub namespace: &'a str,
    /// What owns the pod.
    pub workload: &'a str,
    /// Pod.
    pub pod: &'a str,
    /// Node, or host.
    pub node: &'a str,
    /// Availability zone.
    pub zone: &'a str,
    /// Cluster.
    pub cluster: &'a str,
    /// Version of the service.
    pub version: &'a str,
}

/// One evidence. Texts are empty where the source gave none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Observed<'a> {
    /// Offset of the message's length prefix in the batch.
    pub offset: u32,
    /// What sort of evidence.
    pub kind: Kind,
    /// Trace.
    pub trace: Option<TraceId>,
    /// The span it is, or happened in.
    pub span: Option<SpanId>,
    /// The span it was called from.
    pub parent: Option<SpanId>,
    /// When it began.
    pub start: Nanos,
    /// How long it took.
    pub duration_ns: u64,
    /// How long the upstream took, in µs; zero when nobody said.
    pub upstream_us: u32,
    /// Who saw it.
    pub placement: Placement<'a>,
    /// Where the resource begins that the whole placement is of; `None` where it is not, because
    /// the evidence says more of it.
    pub resource: Option<u32>,
    /// Span, event or metric name.
    pub name: &'a str,
    /// A route that the source itself calls one, or an RPC method, or a database operation.
    pub route: &'a str,
    /// A raw path or URL, still to be templated; empty where there is a route.
    pub path: &'a str,
    /// The other side.
    pub peer: &'a str,
    /// Request id.
    pub request_id: &'a str,
    /// Why, in the source's own words.
    pub detail: &'a str,
    /// HTTP method.
    pub method: Method,
    /// HTTP status code; zero for none.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether it has more words to be found by than its name.
    pub worded: bool,
    /// Socket pairs that it crossed.
    pub sockets: [Option<SocketPair>; 2],
}
