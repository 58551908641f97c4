//! Decides who may connect, so that strangers leave room for others and for fellow members.
//!
//! A behaviour of our own beside the library's limits, which count all alike: a node's and a relay's
//! swarm have it first. A *guest* is whoever is not known to be a fellow member or a relay of ours.
//! Guests share a part of the connections; those from one network share a part of that, since keys
//! cost nothing and addresses do. When all guests' places are taken, the one that has been there
//! longest goes, once it has had its time. Invariant: there are never more guests, and never more
//! handshakes of one network, than `Bounds` say.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::transport::PortUse;
use libp2p::core::{ConnectedPoint, Endpoint};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{
    CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};
use tokio::time::Instant;

/// How many connections of which kind there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Handshakes from one network that are not done.
    pub(crate) handshakes_per_network: usize,
    /// Connections that guests opened.
    pub(crate) guests: usize,
    /// Connections that guests of one network opened.
    pub(crate) guests_per_network: usize,
    /// Connections to guests that we opened, those under way included.
    pub(crate) visits: usize,
    /// How long a guest may stay though others wait for its place.
    pub(crate) stay: Duration,
}

/// What connections of one owner have in common: an IPv4 address, the part of an IPv6 address that
/// providers hand out to one customer, or that they come through a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Network {
    /// One address.
    V4(Ipv4Addr),
    /// The first 48 bits.
    V6([u16; 3]),
    /// Hidden by a relay, or no network at all.
    Hidden,
}

impl Network {
    /// Where an address lies, as the other end of a connection shows it.
    pub(crate) fn of(address: &Multiaddr) -> Network {
        if address.iter().any(|part| matches!(part, Protocol::P2pCircuit)) {
            return Network::Hidden;
        }
        match address.iter().next() {
            Some(Protocol::Ip4(ip)) => Network::V4(ip),
            Some(Protocol::Ip6(ip)) => Network::of_v6(ip),
            _ => Network::Hidden,
        }
    }

    fn of_v6(ip: Ipv6Addr) -> Network {
        if let Some(ip) = ip.to_ipv4_mapped() {
            return Network::V4(ip);
        }
        let [first, second, third, ..] = ip.segments();
        Network::V6([first, second, third])
    }
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// Too many handshakes from its network are not done.
    #[error("too many handshakes from one network")]
    Handshakes,
    /// Too many guests from its network are here.
    #[error("too many guests from one network")]
    Network,
    /// All places for guests are taken by some who have not been here long.
    #[error("no place for another guest")]
    Full,
    /// Nobody here asked for this dial.
    #[error("dialled for somebody else")]
    Unasked,
}

/// One connection with a guest.
#[derive(Clone, Copy, Debug)]
struct Guest {
    peer: PeerId,
    network: Network,
    /// We opened it.
    visit: bool,
    since: Instant,
    /// It was asked to close: its place is free for another.
    leaving: bool,
}

/// Lets in and turns away.
#[derive(Debug)]
pub(crate) struct Door {
    bounds: Bounds,
    known: BTreeSet<PeerId>,
    handshakes: BTreeMap<ConnectionId, Network>,
    dials: BTreeSet<ConnectionId>,
    guests: BTreeMap<ConnectionId, Guest>,
    closing: VecDeque<(PeerId, ConnectionId)>,
    turned_away: u64,
}

impl Door {
    /// A door through which nobody has come.
    pub(crate) fn new(bounds: Bounds) -> Door {
        Door {
            bounds,
            known: BTreeSet::new(),
            handshakes: BTreeMap::new(),
            dials: BTreeSet::new(),
            guests: BTreeMap::new(),
            closing: VecDeque::new(),
            turned_away: 0,
        }
    }

    /// Takes who is no guest from now on. Who is connected already keeps the place it has.
    pub(crate) fn know(&mut self, known: BTreeSet<PeerId>) {
        self.guests.retain(|_, guest| !known.contains(&guest.peer));
        self.known = known;
    }

    /// How many were turned away since the start.
    pub(crate) fn turned_away(&self) -> u64 {
        self.turned_away
    }

    fn shake(&mut self, connection: ConnectionId, network: Network) -> Result<(), Refused> {
        let same = self.handshakes.values().filter(|other| **other == network).count();
        if same >= self.bounds.handshakes_per_network {
            return Err(Refused::Handshakes);
        }
        self.handshakes.insert(connection, network);
        Ok(())
    }

    /// Finds a place for a guest; whoever has had its time makes room.
    fn admit(&mut self, network: Network, visit: bool, now: Instant) -> Result<(), Refused> {
        let staying = |guest: &&Guest| guest.visit == visit && !guest.leaving;
        let here = self.guests.values().filter(staying);
        let near = here.clone().filter(|guest| !visit && guest.network == network).count();
        let all = here.count();
        let (crowded, full) = (
            near >= self.bounds.guests_per_network,
            all >= if visit { self.bounds.visits } else { self.bounds.guests },
        );
        if !crowded && !full {
            return Ok(());
        }
        let done = self.guests.iter_mut().filter(|(_, guest)| guest.visit == visit && !guest.leaving);
        let done = done.filter(|(_, guest)| !crowded || guest.network == network);
        let oldest = done.min_by_key(|(_, guest)| guest.since);
        match oldest.filter(|(_, guest)| now - guest.since >= self.bounds.stay) {
            Some((connection, guest)) => {
                guest.leaving = true;
                self.closing.push_back((guest.peer, *connection));
                Ok(())
            }
            None => Err(if crowded { Refused::Network } else { Refused::Full }),
        }
    }

    fn denied(&mut self, why: Refused) -> ConnectionDenied {
        self.turned_away = self.turned_away.saturating_add(1);
        tracing::debug!(%why, total = self.turned_away, "turned away");
        ConnectionDenied::new(why)
    }

    fn entered(&mut self, connection: ConnectionId, peer: PeerId, at: &ConnectedPoint) {
        if !self.known.contains(&peer) {
            let (network, visit) = (Network::of(at.get_remote_address()), at.is_dialer());
            let guest = Guest { peer, network, visit, since: Instant::now(), leaving: false };
            self.guests.insert(connection, guest);
        }
    }
}

impl NetworkBehaviour for Door {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.shake(connection, Network::of(remote)).map_err(|why| self.denied(why))
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<dummy::ConnectionHandler, ConnectionDenied> {
        self.handshakes.remove(&connection);
        if !self.known.contains(&peer) {
            let admitted = self.admit(Network::of(remote), false, Instant::now());
            admitted.map_err(|why| self.denied(why))?;
        }
        Ok(dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        // Whatever is dialled on purpose is dialled at an address. The table's queries dial whom they
        // were told of, at addresses that they were told: anybody, anywhere.
        if addresses.is_empty() {
            return Err(self.denied(Refused::Unasked));
        }
        if peer.is_none_or(|peer| !self.known.contains(&peer)) {
            if self.dials.len() >= self.bounds.visits {
                return Err(self.denied(Refused::Full));
            }
            self.dials.insert(connection);
        }
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        remote: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<dummy::ConnectionHandler, ConnectionDenied> {
        self.dials.remove(&connection);
        if !self.known.contains(&peer) {
            let admitted = self.admit(Network::of(remote), true, Instant::now());
            admitted.map_err(|why| self.denied(why))?;
        }
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(new) => {
                self.entered(new.connection_id, new.peer_id, new.endpoint);
            }
            FromSwarm::ConnectionClosed(closed) => drop(self.guests.remove(&closed.connection_id)),
            FromSwarm::ListenFailure(failed) => drop(self.handshakes.remove(&failed.connection_id)),
            FromSwarm::DialFailure(failed) => drop(self.dials.remove(&failed.connection_id)),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: Infallible) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, Infallible>> {
        // Whoever adds to the queue is the swarm's own task, which polls again afterwards.
        self.closing.pop_front().map_or(Poll::Pending, |(peer_id, connection)| {
            Poll::Ready(ToSwarm::CloseConnection { peer_id, connection: CloseConnection::One(connection) })
        })
    }
}

#[cfg(test)]
mod tests;
