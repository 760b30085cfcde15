//! Which attribute keys mean what.

use std::num::NonZeroU8;
use std::sync::LazyLock;

use crate::wire::{digest, same};

/// A meaning that several keys can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Service,
    Namespace,
    Workload,
    Pod,
    Node,
    Zone,
    Cluster,
    Version,
    Method,
    Status,
    GrpcStatus,
    Route,
    RpcService,
    Operation,
    Path,
    Peer,
    RequestId,
    PeerAddress,
    PeerPort,
    LocalAddress,
    LocalPort,
    SourceAddress,
    SourcePort,
    DestinationAddress,
    DestinationPort,
    Transport,
    DownstreamRemote,
    DownstreamLocal,
    UpstreamLocal,
    UpstreamRemote,
    ResponseFlags,
    ResponseDetails,
    ErrorType,
    Error,
    Verdict,
    DropReason,
    Duration,
    UpstreamTime,
    FlowStart,
    FlowEnd,
    Trace,
    SourceService,
    DestinationService,
}

impl Slot {
    pub(super) const COUNT: usize = Self::DestinationService as usize + 1;

    /// The slots that a placement is made of, which come first.
    pub(super) const PLACING: u64 = (Self::Version.bit() << 1) - 1;

    #[inline(always)]
    pub(super) const fn bit(self) -> u64 {
        1 << self as u64
    }
}

/// A key, its meaning, its rank: of two keys with one meaning the higher rank counts.
type Entry = (&'static str, Slot, u8);

#[rustfmt::skip]
const KEYS: &[Entry] = &[
    ("service.name", Slot::Service, 3),
    ("istio.canonical_service", Slot::Service, 2),
    ("cluster_name", Slot::Service, 1),
    ("k8s.namespace.name", Slot::Namespace, 3),
    ("service.namespace", Slot::Namespace, 2),
    ("istio.namespace", Slot::Namespace, 1),
    ("k8s.deployment.name", Slot::Workload, 3),
    ("k8s.statefulset.name", Slot::Workload, 3),
    ("k8s.daemonset.name", Slot::Workload, 3),
    ("k8s.cronjob.name", Slot::Workload, 3),
    ("k8s.job.name", Slot::Workload, 2),
    ("k8s.replicaset.name", Slot::Workload, 1),
    ("k8s.pod.name", Slot::Pod, 3),
    ("k8s.node.name", Slot::Node, 3),
    ("host.name", Slot::Node, 2),
    ("node_name", Slot::Node, 1),
    ("cloud.availability_zone", Slot::Zone, 3),
    ("topology.kubernetes.io/zone", Slot::Zone, 2),
    ("zone_name", Slot::Zone, 1),
    ("zone", Slot::Zone, 1),
    ("k8s.cluster.name", Slot::Cluster, 3),
    ("istio.cluster_id", Slot::Cluster, 2),
    ("service.version", Slot::Version, 3),
    ("istio.canonical_revision", Slot::Version, 2),
    ("k8s.pod.label.version", Slot::Version, 1),
    ("k8s.pod.labels.version", Slot::Version, 1),

    ("http.request.method", Slot::Method, 3),
    ("http.method", Slot::Method, 2),
    (":method", Slot::Method, 1),
    ("method", Slot::Method, 1),
    ("http.response.status_code", Slot::Status, 3),
    ("http.status_code", Slot::Status, 2),
    ("response_code", Slot::Status, 1),
    ("rpc.response.status_code", Slot::GrpcStatus, 4),
    ("rpc.status_code", Slot::GrpcStatus, 4),
    ("rpc.grpc.status_code", Slot::GrpcStatus, 3),
    ("grpc.status_code", Slot::GrpcStatus, 2),
    ("grpc_status", Slot::GrpcStatus, 1),
    ("http.route", Slot::Route, 4),
    ("url.template", Slot::Route, 3),
    ("rpc.method", Slot::Route, 2),
    ("db.query.summary", Slot::Route, 2),
    ("db.operation.name", Slot::Operation, 3),
    ("db.operation", Slot::Operation, 2),
    ("messaging.operation.name", Slot::Operation, 2),
    ("messaging.destination.name", Slot::Operation, 1),
    ("rpc.service", Slot::RpcService, 1),
    ("url.path", Slot::Path, 4),
    ("http.target", Slot::Path, 3),
    ("url.full", Slot::Path, 2),
    ("http.url", Slot::Path, 2),
    ("x-envoy-origin-path", Slot::Path, 2),
    ("path", Slot::Path, 1),
    ("service.peer.name", Slot::Peer, 7),
    ("peer.service", Slot::Peer, 6),
    ("upstream_cluster.name", Slot::Peer, 5),
    ("upstream_cluster", Slot::Peer, 4),
    ("server.address", Slot::Peer, 3),
    ("net.peer.name", Slot::Peer, 2),
    ("db.system.name", Slot::Peer, 1),
    ("db.system", Slot::Peer, 1),
    ("messaging.system", Slot::Peer, 1),
    ("http.request.header.x-request-id", Slot::RequestId, 5),
    ("http.request.header.x_request_id", Slot::RequestId, 5),
    ("guid:x-request-id", Slot::RequestId, 4),
    ("x-request-id", Slot::RequestId, 3),
    ("x_request_id", Slot::RequestId, 3),
    ("X-Request-Id", Slot::RequestId, 3),
    ("X-Request-ID", Slot::RequestId, 3),
    ("request_id", Slot::RequestId, 2),
    ("request.id", Slot::RequestId, 2),
    ("requestId", Slot::RequestId, 2),
    ("http.request.id", Slot::RequestId, 2),
    ("http.request_id", Slot::RequestId, 2),
    ("http.response.header.x-request-id", Slot::RequestId, 1),

    ("network.peer.address", Slot::PeerAddress, 3),
    ("net.sock.peer.addr", Slot::PeerAddress, 2),
    ("net.peer.ip", Slot::PeerAddress, 1),
    ("network.peer.port", Slot::PeerPort, 3),
    ("net.sock.peer.port", Slot::PeerPort, 2),
    ("net.peer.port", Slot::PeerPort, 1),
    ("network.local.address", Slot::LocalAddress, 3),
    ("net.sock.host.addr", Slot::LocalAddress, 2),
    ("net.host.ip", Slot::LocalAddress, 1),
    ("network.local.port", Slot::LocalPort, 3),
    ("net.sock.host.port", Slot::LocalPort, 2),
    ("net.host.port", Slot::LocalPort, 1),
    ("source.address", Slot::SourceAddress, 1),
    ("source.port", Slot::SourcePort, 1),
    ("destination.address", Slot::DestinationAddress, 1),
    ("destination.port", Slot::DestinationPort, 1),
    ("network.transport", Slot::Transport, 2),
    ("net.transport", Slot::Transport, 1),
    ("downstream_direct_remote_address", Slot::DownstreamRemote, 2),
    ("downstream_remote_address", Slot::DownstreamRemote, 1),
    ("downstream_local_address", Slot::DownstreamLocal, 1),
    ("upstream_local_address", Slot::UpstreamLocal, 1),
    ("upstream_remote_address", Slot::UpstreamRemote, 2),
    ("upstream_host", Slot::UpstreamRemote, 1),

    ("response_flags", Slot::ResponseFlags, 1),
    ("response_code_details", Slot::ResponseDetails, 1),
    ("error.type", Slot::ErrorType, 3),
    ("exception.type", Slot::ErrorType, 2),
    ("error.reason", Slot::ErrorType, 1),
    ("error", Slot::Error, 1),
    ("hopline.flow.verdict", Slot::Verdict, 1),
    ("hopline.flow.drop_reason", Slot::DropReason, 1),
    ("duration", Slot::Duration, 2),
    ("request_duration", Slot::Duration, 1),
    ("upstream_service_time", Slot::UpstreamTime, 2),
    ("x-envoy-upstream-service-time", Slot::UpstreamTime, 1),
    ("flow.start", Slot::FlowStart, 2),
    ("network.flow.start", Slot::FlowStart, 1),
    ("flow.end", Slot::FlowEnd, 2),
    ("network.flow.end", Slot::FlowEnd, 1),
    ("trace_id", Slot::Trace, 3),
    ("traceId", Slot::Trace, 2),
    ("trace.id", Slot::Trace, 2),
    ("traceparent", Slot::Trace, 1),
    ("http.request.header.traceparent", Slot::Trace, 1),
    ("http.request.header.x-b3-traceid", Slot::Trace, 1),
    ("hopline.source.service", Slot::SourceService, 3),
    ("hopline.source.workload", Slot::SourceService, 2),
    ("hopline.source.pod", Slot::SourceService, 1),
    ("hopline.destination.service", Slot::DestinationService, 3),
    ("hopline.destination.workload", Slot::DestinationService, 2),
    ("hopline.destination.pod", Slot::DestinationService, 1),
];

const BUCKETS: usize = 4096;

/// Keys by digest. Most keys of most requests mean nothing: they end at an empty bucket, of which
/// there are so many that hardly two keys share one. Keys are numbered from one.
pub(super) struct Meanings {
    /// The first key in a bucket.
    first: [Option<NonZeroU8>; BUCKETS],
    /// By a key's number less one, the next key in its bucket.
    next: [Option<NonZeroU8>; KEYS.len()],
}

static MEANINGS: LazyLock<Meanings> = LazyLock::new(Meanings::new);

/// What all keys mean.
pub(super) fn meanings() -> &'static Meanings {
    &MEANINGS
}

impl Meanings {
    fn new() -> Self {
        let mut meanings = Self { first: [None; BUCKETS], next: [None; KEYS.len()] };
        for ((number, (key, ..)), next) in (1..=u8::MAX).zip(KEYS).zip(&mut meanings.next) {
            if let Some(first) = meanings.first.get_mut(bucket_of(key.as_bytes())) {
                *next = std::mem::replace(first, NonZeroU8::new(number));
            }
        }
        meanings
    }

    /// The first key that it may be; `None` where it means nothing.
    #[inline(always)]
    pub(super) fn first(&self, key: &[u8]) -> Option<NonZeroU8> {
        self.first.get(bucket_of(key)).copied().flatten()
    }

    /// What a key means, if anything, from the first key on that it may be.
    #[inline]
    pub(super) fn of(&self, key: &[u8], first: NonZeroU8) -> Option<(Slot, u8)> {
        let mut at = usize::from(first.get()) - 1;
        loop {
            let (known, slot, rank) = KEYS.get(at)?;
            if same(known.as_bytes(), key) {
                return Some((*slot, *rank));
            }
            at = usize::from(self.next.get(at).copied().flatten()?.get()) - 1;
        }
    }
}

#[inline(always)]
fn bucket_of(key: &[u8]) -> usize {
    usize::from(digest(key)) % BUCKETS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(key: &str) -> Option<(Slot, u8)> {
        let first = meanings().first(key.as_bytes())?;
        meanings().of(key.as_bytes(), first)
    }

    #[test]
    fn every_key_has_the_meaning_that_the_table_says() {
        for (key, slot, rank) in KEYS {
            assert_eq!(meaning(key), Some((*slot, *rank)), "{key}");
        }
    }

    #[test]
    fn a_key_that_is_not_in_the_table_means_nothing() {
        assert_eq!(meaning("service.nam"), None);
        assert_eq!(meaning(""), None);
    }
}
