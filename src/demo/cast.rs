//! The cast: the pods that play, and how each presents itself.

use std::net::{Ipv4Addr, SocketAddrV4};

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::otlp::text;
use super::story::{
    CART, CATALOG, CLUSTER, Fault, NAMESPACE, NODE_2, NODE_3, Node, PAYMENT, PORT, SERVICES,
    SHIPPING, Service,
};

/// One pod of a service. Every pod has a proxy that handles what it sends.
#[derive(Debug)]
pub(crate) struct Pod {
    /// Its place in the cast.
    pub(crate) place: usize,
    pub(crate) service: &'static Service,
    pub(crate) version: &'static str,
    pub(crate) node: &'static Node,
    pub(crate) name: String,
    pub(crate) address: Ipv4Addr,
}

/// Which process of a pod speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layer {
    Application,
    Proxy,
}

/// Who saw an evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Witness {
    /// The pod's place in the cast.
    pub(crate) pod: usize,
    pub(crate) layer: Layer,
}

/// All pods.
#[derive(Debug)]
pub(crate) struct Cast {
    pods: Vec<Pod>,
}

impl Cast {
    /// Every seat of the story with a pod in it.
    pub(crate) fn new() -> Self {
        let seats = SERVICES.iter().flat_map(|service| {
            service.seats.iter().zip(1_u8..).map(|(seat, number)| (*service, seat, number))
        });
        let pods = seats.enumerate().map(|(place, (service, seat, number))| Pod {
            place,
            service,
            version: seat.version,
            node: seat.node,
            name: format!("{}-{}-{number}", service.name, seat.version.replace('.', "-")),
            address: Ipv4Addr::new(10, 42, seat.node.subnet, service.host * 8 + number),
        });
        Self { pods: pods.collect() }
    }

    pub(crate) fn pods(&self) -> &[Pod] {
        &self.pods
    }

    /// The pods of one service.
    pub(crate) fn of(&self, service: &Service) -> Vec<&Pod> {
        self.pods.iter().filter(|pod| pod.service.name == service.name).collect()
    }

    /// How a witness presents itself.
    pub(crate) fn resource(&self, witness: Witness) -> Resource {
        let attributes = self.pods.get(witness.pod).map(|pod| pod.attributes(witness.layer));
        Resource { attributes: attributes.unwrap_or_default(), ..Resource::default() }
    }
}

impl Pod {
    pub(crate) fn application(&self) -> Witness {
        Witness { pod: self.place, layer: Layer::Application }
    }

    pub(crate) fn proxy(&self) -> Witness {
        Witness { pod: self.place, layer: Layer::Proxy }
    }

    /// Where it listens.
    pub(crate) fn listens(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.address, PORT)
    }

    fn attributes(&self, layer: Layer) -> Vec<KeyValue> {
        let (sdk, language) = match layer {
            Layer::Application => ("opentelemetry", self.service.language),
            Layer::Proxy => ("envoy", "cpp"),
        };
        vec![
            text("service.name", self.service.name),
            text("service.namespace", NAMESPACE),
            text("service.version", self.version),
            text("service.instance.id", self.name.as_str()),
            text("telemetry.sdk.name", sdk),
            text("telemetry.sdk.language", language),
            text("k8s.cluster.name", CLUSTER),
            text("k8s.namespace.name", NAMESPACE),
            text("k8s.deployment.name", self.service.name),
            text("k8s.pod.name", self.name.as_str()),
            text("k8s.pod.ip", self.address.to_string()),
            text("k8s.node.name", self.node.name),
            text("cloud.availability_zone", self.node.zone),
        ]
    }
}

impl Fault {
    /// Whether what one pod sends to another is dropped.
    pub(crate) fn drops(self, from: &Pod, to: &Pod) -> bool {
        self == Self::NetworkPolicy
            && from.service.name == CART.name
            && from.node.name == NODE_3.name
            && to.service.name == CATALOG.name
    }

    /// Whether a pod has no worker free.
    pub(crate) fn strains(self, pod: &Pod) -> bool {
        self == Self::Saturation
            && pod.service.name == SHIPPING.name
            && pod.node.name == NODE_2.name
    }

    /// Whether a pod may wait for its card processor in vain.
    pub(crate) fn stalls(self, pod: &Pod) -> bool {
        self == Self::CardProcessor && pod.service.name == PAYMENT.name && pod.version == "1.5.0"
    }
}

/// The address that a service is called at, whoever answers.
pub(crate) fn virtual_address(service: &Service) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 96, 0, service.host), PORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_pods_share_a_name_or_an_address() {
        let cast = Cast::new();
        let mut names: Vec<_> = cast.pods().iter().map(|pod| pod.name.as_str()).collect();
        let mut addresses: Vec<_> = cast.pods().iter().map(|pod| pod.address).collect();
        names.sort_unstable();
        names.dedup();
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!((names.len(), addresses.len()), (cast.pods().len(), cast.pods().len()));
    }
}
