//! Refuses to dial anything but the way back to a device that is connected.
//!
//! A device may ask a relay to dial it, to learn whether it is reached from outside. It names the
//! address itself: without this guard it could have the relay knock at doors of the relay's own
//! network and report which are open. Invariant: a relay dials a host only while the device that
//! asks is connected from that very host.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

/// Guards what a relay dials.
#[derive(Default)]
pub(super) struct Behaviour {
    /// From where each device is connected: one entry for each connection.
    hosts: BTreeMap<(PeerId, ConnectionId), IpAddr>,
}

/// The address is not one from which the device is connected.
#[derive(Debug, thiserror::Error)]
#[error("a relay dials devices only where they come from")]
struct Elsewhere;

impl Behaviour {
    fn comes_from(&self, device: PeerId, address: &Multiaddr) -> bool {
        let relayed = address.iter().any(|part| matches!(part, Protocol::P2pCircuit));
        let first = (device, ConnectionId::new_unchecked(0));
        let last = (device, ConnectionId::new_unchecked(usize::MAX));
        let mut hosts = self.hosts.range(first..=last);
        !relayed && host(address).is_some_and(|wanted| hosts.any(|(_, host)| *host == wanted))
    }
}

fn host(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = std::convert::Infallible;

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        let allowed = peer.is_some_and(|peer| addresses.iter().all(|address| self.comes_from(peer, address)));
        if allowed { Ok(Vec::new()) } else { Err(ConnectionDenied::new(Elsewhere)) }
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(made) if made.endpoint.is_listener() => {
                if let Some(host) = host(made.endpoint.get_remote_address()) {
                    self.hosts.insert((made.peer_id, made.connection_id), host);
                }
            }
            FromSwarm::ConnectionClosed(closed) => {
                self.hosts.remove(&(closed.peer_id, closed.connection_id));
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use libp2p::core::ConnectedPoint;
    use libp2p::swarm::behaviour::ConnectionEstablished;

    use super::*;

    fn dials(guard: &mut Behaviour, peer: Option<PeerId>, address: &str) -> bool {
        let (id, addresses) = (ConnectionId::new_unchecked(99), [address.parse().unwrap()]);
        guard.handle_pending_outbound_connection(id, peer, &addresses, Endpoint::Dialer).is_ok()
    }

    #[test]
    fn a_relay_dials_a_device_where_it_comes_from_and_nowhere_else() {
        let (mut guard, device, other) = (Behaviour::default(), PeerId::random(), PeerId::random());
        let endpoint = ConnectedPoint::Listener {
            local_addr: "/ip4/10.0.0.1/tcp/4001".parse().unwrap(),
            send_back_addr: "/ip4/192.0.2.7/tcp/50000".parse().unwrap(),
        };
        guard.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
            peer_id: device,
            connection_id: ConnectionId::new_unchecked(1),
            endpoint: &endpoint,
            failed_addresses: &[],
            other_established: 0,
        }));
        assert!(dials(&mut guard, Some(device), "/ip4/192.0.2.7/tcp/4001"));
        assert!(dials(&mut guard, Some(device), "/ip4/192.0.2.7/udp/4001/quic-v1"));
        for elsewhere in [
            "/ip4/10.0.0.1/tcp/22",
            "/ip4/127.0.0.1/tcp/80",
            "/dns4/localhost/tcp/80",
            &format!("/ip4/192.0.2.7/tcp/4001/p2p/{other}/p2p-circuit"),
        ] {
            assert!(!dials(&mut guard, Some(device), elsewhere), "{elsewhere}");
        }
        assert!(!dials(&mut guard, Some(other), "/ip4/192.0.2.7/tcp/4001"), "somebody else");
        assert!(!dials(&mut guard, None, "/ip4/192.0.2.7/tcp/4001"), "nobody");
    }
}
