//! What some doors share of connections: how many there may be, who is let in, what was counted.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::auth::{Auth, Denied, Guard};
use super::identity::Identity;
use super::tls::Tls;
use crate::evidence::Tenant;

/// The part of an IPv6 address that names a network; whoever has one has all addresses in it.
const NETWORK: u128 = !0 << 64;

/// How many connections there may be, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Open connections; more are closed at once, and counted.
    pub connections_max: usize,
    /// Open connections of one address, or of one /64 of IPv6.
    pub connections_per_peer_max: usize,
    /// Requests at one time on one HTTP/2 connection.
    pub streams_max: u32,
    /// For the TLS handshake; then for the first request; then between requests.
    pub header_timeout: Duration,
    /// After this a connection is asked to end.
    pub connection_age_max: Duration,
    /// How long requests in flight may take when a connection or the gateway ends.
    pub drain_timeout: Duration,
    /// Who may come in.
    pub auth: Auth,
}

/// Why a connection ended before its first request. Each is one series of the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Away {
    /// The system could not hand it over; mostly there are no descriptors left.
    NotAccepted,
    /// `connections_max` are open.
    Full,
    /// `connections_per_peer_max` of its address are open.
    PeerFull,
    /// No request came in time.
    Silent,
    /// The TLS handshake did not end in time.
    HandshakeTimeout,
    /// The client left during the handshake.
    HandshakeBroken,
    /// It does not speak TLS.
    NotTls,
    /// It showed no certificate, or a wrong one.
    Certificate,
    /// Client and door have no version or cipher in common, or the client refused the door.
    HandshakeRefused,
}

/// The gate of some doors. Clones share it.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Inner>);

/// A connection's place; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    gate: Gate,
    peer: Option<IpAddr>,
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct Inner {
    terms: Terms,
    guard: Guard,
    tls: Option<Tls>,
    seats: Arc<Semaphore>,
    /// As many entries as there are connections at most.
    peers: Mutex<HashMap<IpAddr, usize>>,
    open: AtomicU64,
    away: [AtomicU64; Away::ALL.len()],
}

impl Away {
    /// All reasons, in the order of the enum.
    pub const ALL: [Self; 9] = [
        Self::NotAccepted,
        Self::Full,
        Self::PeerFull,
        Self::Silent,
        Self::HandshakeTimeout,
        Self::HandshakeBroken,
        Self::NotTls,
        Self::Certificate,
        Self::HandshakeRefused,
    ];

    /// The label in metrics and status.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotAccepted => "not_accepted",
            Self::Full => "full",
            Self::PeerFull => "peer_full",
            Self::Silent => "silent",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::HandshakeBroken => "handshake_broken",
            Self::NotTls => "not_tls",
            Self::Certificate => "certificate",
            Self::HandshakeRefused => "handshake_refused",
        }
    }
}

impl Gate {
    /// Without `tls` the doors speak in the clear.
    #[must_use]
    pub fn new(mut terms: Terms, tls: Option<Tls>) -> Self {
        let seats = terms.connections_max.clamp(1, Semaphore::MAX_PERMITS);
        let guard = Guard::new(std::mem::take(&mut terms.auth));
        Self(Arc::new(Inner {
            terms,
            guard,
            tls,
            seats: Arc::new(Semaphore::new(seats)),
            peers: Mutex::default(),
            open: AtomicU64::new(0),
            away: Default::default(),
        }))
    }

    /// The certificate, if the doors have one.
    #[must_use]
    pub fn tls(&self) -> Option<&Tls> {
        self.0.tls.as_ref()
    }

    /// Connections that are open now.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.0.open.load(Ordering::Relaxed)
    }

    /// Connections that ended before their first request, for one reason.
    #[must_use]
    pub fn away(&self, away: Away) -> u64 {
        self.0.away.get(away as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Requests that were not let in, for one reason.
    #[must_use]
    pub fn denied(&self, denied: Denied) -> u64 {
        self.0.guard.denied(denied)
    }

    /// Each tenant of the settings, and how many requests were its.
    #[must_use]
    pub fn tenants(&self) -> Vec<(String, Tenant, u64)> {
        let known = self.0.guard.known();
        known.iter().map(|known| (known.name.clone(), known.tenant, known.requests())).collect()
    }

    /// From the next request on these may come in, on open connections too.
    pub fn renew(&self, auth: Auth) {
        self.0.guard.renew(auth);
    }

    pub(super) fn terms(&self) -> &Terms {
        &self.0.terms
    }

    pub(super) fn admit(
        &self,
        shown: Option<&Identity>,
        headers: &HeaderMap,
    ) -> Result<Tenant, Denied> {
        self.0.guard.admit(shown, headers)
    }

    pub(super) fn turn_away(&self, away: Away) {
        if let Some(count) = self.0.away.get(away as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A place for a connection from `peer`, which a Unix socket has not.
    pub(super) fn seat(&self, peer: Option<IpAddr>) -> Result<Seat, Away> {
        let permit = Arc::clone(&self.0.seats).try_acquire_owned().map_err(|_| Away::Full)?;
        let peer = peer.map(network);
        if let Some(peer) = peer {
            let mut peers = self.0.peers.lock().unwrap_or_else(PoisonError::into_inner);
            let open = peers.entry(peer).or_default();
            if *open >= self.0.terms.connections_per_peer_max.max(1) {
                return Err(Away::PeerFull);
            }
            *open += 1;
        }
        self.0.open.fetch_add(1, Ordering::Relaxed);
        Ok(Seat { gate: self.clone(), peer, _permit: permit })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let inner = &self.gate.0;
        inner.open.fetch_sub(1, Ordering::Relaxed);
        let Some(peer) = self.peer else { return };
        let mut peers = inner.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut open) = peers.entry(peer) {
            *open.get_mut() -= 1;
            if *open.get() == 0 {
                open.remove();
            }
        }
    }
}

fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Settings;
    use super::*;

    fn gate(connections_max: usize, connections_per_peer_max: usize) -> Gate {
        let terms = Settings::default().terms();
        Gate::new(Terms { connections_max, connections_per_peer_max, ..terms }, None)
    }

    fn sit(gate: &Gate, peer: &str) -> Result<Seat, Away> {
        gate.seat(Some(peer.parse().unwrap()))
    }

    #[test]
    fn one_peer_leaves_room_for_the_others() {
        let gate = gate(3, 2);
        let held = [sit(&gate, "10.0.0.1").unwrap(), sit(&gate, "10.0.0.1").unwrap()];

        assert_eq!(sit(&gate, "10.0.0.1").unwrap_err(), Away::PeerFull);
        let other = sit(&gate, "10.0.0.2").unwrap();
        assert_eq!(sit(&gate, "10.0.0.3").unwrap_err(), Away::Full);
        assert_eq!(gate.open(), 3);

        drop((held, other));
        assert_eq!(gate.open(), 0);
        assert!(gate.0.peers.lock().unwrap().is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer_and_a_mapped_address_is_ipv4() {
        let gate = gate(10, 1);
        let _held = [sit(&gate, "2001:db8::1").unwrap(), sit(&gate, "::ffff:10.0.0.1").unwrap()];

        assert_eq!(sit(&gate, "2001:db8::2").unwrap_err(), Away::PeerFull);
        assert_eq!(sit(&gate, "10.0.0.1").unwrap_err(), Away::PeerFull);
        assert!(sit(&gate, "2001:db8:0:1::1").is_ok());
    }

    proptest! {
        #[test]
        fn the_bounds_hold_for_every_order(steps: Vec<(bool, u8)>) {
            let gate = gate(8, 3);
            let mut held: Vec<(u8, Seat)> = Vec::new();
            for (comes, number) in steps {
                let peer = number % 5;
                if comes {
                    let own = held.iter().filter(|(other, _)| *other == peer).count();
                    let expected = match () {
                        () if held.len() == 8 => Err(Away::Full),
                        () if own == 3 => Err(Away::PeerFull),
                        () => Ok(()),
                    };
                    let seat = gate.seat(Some([10, 0, 0, peer].into()));
                    prop_assert_eq!(seat.as_ref().map(drop).map_err(|away| *away), expected);
                    held.extend(seat.ok().map(|seat| (peer, seat)));
                } else if !held.is_empty() {
                    held.swap_remove(usize::from(number) % held.len());
                }
                prop_assert_eq!(gate.open(), held.len() as u64);
            }
            held.clear();
            prop_assert!(gate.0.peers.lock().unwrap().is_empty());
        }
    }
}
