//! Socket addresses as sources write them.

use std::net::{IpAddr, SocketAddr};

use super::names::Names;
use super::slot::Slot;
use crate::evidence::{Protocol, SocketPair};

/// Both ends from four attributes: two addresses, two ports.
pub(super) fn apart(names: &Names<'_>, near: [Slot; 2], far: [Slot; 2]) -> Option<SocketPair> {
    let end = |[address, port]: [Slot; 2]| {
        let port = u16::try_from(names.number(port)?).ok()?;
        Some((ip(names.text(address))?, port))
    };
    Some(SocketPair { protocol: protocol(names), near: end(near)?, far: end(far)? })
}

/// Both ends from two attributes, each `address:port`.
pub(super) fn joined(names: &Names<'_>, near: Slot, far: Slot) -> Option<SocketPair> {
    let end = |slot| {
        let end: SocketAddr = names.text(slot).parse().ok()?;
        Some((end.ip(), end.port()))
    };
    Some(SocketPair { protocol: protocol(names), near: end(near)?, far: end(far)? })
}

fn ip(text: &str) -> Option<IpAddr> {
    text.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn protocol(names: &Names<'_>) -> Protocol {
    match names.text(Slot::Transport) {
        "udp" | "ip_udp" | "UDP" => Protocol::Udp,
        _ => Protocol::Tcp,
    }
}
