//! Remembers by which of this machine's addresses each connection goes.
//!
//! The swarm task closes those of an address that is gone: nothing would tell of their end for half
//! a minute, and a device that moves to another network is to be back at once. Invariant: only
//! direct connections are kept; one through a relay ends with the one to the relay.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use libp2p::Multiaddr;
use libp2p::core::ConnectedPoint;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::ConnectionId;

/// Any port: no packet goes there.
const SOME_PORT: u16 = 9;

/// The own address of each direct connection.
#[derive(Default)]
pub(super) struct Routes {
    by: BTreeMap<ConnectionId, IpAddr>,
}

impl Routes {
    /// Notes a connection that was just made.
    pub(super) fn connected(&mut self, connection: ConnectionId, endpoint: &ConnectedPoint) {
        if endpoint.is_relayed() {
            return;
        }
        if let Some(own) = own_address_towards(remote_of(endpoint.get_remote_address())) {
            self.by.insert(connection, own);
        }
    }

    /// Notes that a connection is gone.
    pub(super) fn disconnected(&mut self, connection: ConnectionId) {
        self.by.remove(&connection);
    }

    /// The connections that go by an address of this machine.
    pub(super) fn over(&self, address: &Multiaddr) -> Vec<ConnectionId> {
        let Some(own) = ip_of(address) else { return Vec::new() };
        self.by.iter().filter(|(_, by)| **by == own).map(|(connection, _)| *connection).collect()
    }
}

fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    }
}

/// Where a connection leads. What is dialled by name is taken to be far away, where packets go that
/// have no nearer way.
fn remote_of(address: &Multiaddr) -> IpAddr {
    const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    ip_of(address).unwrap_or(FAR)
}

/// The address from which this machine sends to another one, as its routes say now.
fn own_address_towards(remote: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match remote {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Connecting a datagram socket sends nothing: it only asks for the way.
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((remote, SOME_PORT)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use libp2p::core::Endpoint;
    use libp2p::core::transport::PortUse;

    use super::*;

    fn dialled(address: &str) -> ConnectedPoint {
        let (role_override, port_use) = (Endpoint::Dialer, PortUse::Reuse);
        ConnectedPoint::Dialer { address: address.parse().unwrap(), role_override, port_use }
    }

    #[test]
    fn the_connections_of_an_address_that_is_gone_are_found_and_no_others() {
        let mut routes = Routes::default();
        let [first, second, relayed] = [1, 2, 3].map(ConnectionId::new_unchecked);
        routes.connected(first, &dialled("/ip4/127.0.0.1/tcp/1"));
        routes.connected(second, &dialled("/ip4/127.0.0.1/udp/1/quic-v1"));
        let relay = "12D3KooWLbW6BZeCeWEfsPk2RRV6eyTJfDYmWfgkChHyhRnTcCkE";
        routes.connected(relayed, &dialled(&format!("/ip4/127.0.0.1/tcp/1/p2p/{relay}/p2p-circuit")));
        let gone = |address: &str, routes: &Routes| routes.over(&address.parse().unwrap());
        assert_eq!(gone("/ip4/127.0.0.1/tcp/4001", &routes), [first, second]);
        assert!(gone("/ip4/10.0.0.1/tcp/4001", &routes).is_empty());
        routes.disconnected(first);
        assert_eq!(gone("/ip4/127.0.0.1/tcp/4001", &routes), [second]);
    }
}
