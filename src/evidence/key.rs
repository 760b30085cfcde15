//! What evidence is joined on.

use std::net::IpAddr;
use std::num::NonZeroU64;

use xxhash_rust::xxh3::xxh3_64;

use super::TraceId;

/// A request id, as a digest: the text is unbounded and stays in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestKey(pub NonZeroU64);

/// A socket pair, as a digest of both ends in a canonical order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketKey(pub NonZeroU64);

/// The keys of one evidence, strongest first. A proxy stands between two socket pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Keys {
    /// Joins for certain.
    pub trace: Option<TraceId>,
    /// Joins when a binding says which trace it belongs to.
    pub request: Option<RequestKey>,
    /// Joins when a binding's time overlaps.
    pub sockets: [Option<SocketKey>; 2],
}

/// Transport of a socket pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// TCP, and the default where a source does not say.
    Tcp,
    /// UDP.
    Udp,
}

/// Both ends of a connection, in the order in which the source named them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketPair {
    /// Transport of both ends.
    pub protocol: Protocol,
    /// One end.
    pub near: (IpAddr, u16),
    /// The other end.
    pub far: (IpAddr, u16),
}

impl RequestKey {
    /// `None` for an absent request id; UUIDs differ in case between proxies.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text == "-" {
            return None;
        }
        NonZeroU64::new(xxh3_64(text.to_ascii_lowercase().as_bytes())).map(Self)
    }
}

impl SocketPair {
    /// `None` where an end is not a real socket: port 0 is what proxies write for "unknown".
    #[must_use]
    pub fn key(&self) -> Option<SocketKey> {
        if self.near.1 == 0 || self.far.1 == 0 || self.near == self.far {
            return None;
        }
        let (low, high) =
            if self.near < self.far { (self.near, self.far) } else { (self.far, self.near) };
        let mut bytes = [0; 37];
        let (low_bytes, rest) = bytes.split_at_mut(18);
        let (high_bytes, protocol) = rest.split_at_mut(18);
        write_end(low_bytes, low);
        write_end(high_bytes, high);
        protocol.fill(match self.protocol {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        });
        NonZeroU64::new(xxh3_64(&bytes)).map(SocketKey)
    }
}

fn write_end(out: &mut [u8], (address, port): (IpAddr, u16)) {
    let address = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    let (head, tail) = out.split_at_mut(16);
    head.copy_from_slice(&address.octets());
    tail.copy_from_slice(&port.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(near: (&str, u16), far: (&str, u16)) -> SocketPair {
        let end = |(ip, port): (&str, u16)| (ip.parse().unwrap(), port);
        SocketPair { protocol: Protocol::Tcp, near: end(near), far: end(far) }
    }

    #[test]
    fn both_directions_of_a_connection_have_one_key() {
        let there = pair(("10.0.0.1", 40_000), ("10.0.0.2", 8080));
        let back = pair(("10.0.0.2", 8080), ("10.0.0.1", 40_000));
        assert_eq!(there.key(), back.key());
    }

    #[test]
    fn a_mapped_address_is_the_address_it_maps() {
        let plain = pair(("10.0.0.1", 40_000), ("10.0.0.2", 8080));
        let mapped = pair(("::ffff:10.0.0.1", 40_000), ("::ffff:10.0.0.2", 8080));
        assert_eq!(plain.key(), mapped.key());
    }

    #[test]
    fn an_unknown_port_gives_no_key() {
        assert_eq!(pair(("10.0.0.1", 0), ("10.0.0.2", 8080)).key(), None);
    }

    #[test]
    fn a_request_id_is_the_same_in_either_case() {
        assert_eq!(RequestKey::new("AB-12"), RequestKey::new("ab-12"));
        assert_eq!(RequestKey::new("-"), None);
    }
}
