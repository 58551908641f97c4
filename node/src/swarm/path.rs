//! Says by which path each connected device is reached, for people.
//!
//! The swarm task reads it off its connections and tells it whenever it changes; the API shows it
//! beside each device. Invariant: it tells of nothing but connections that are open.

use std::collections::BTreeMap;

use fourword_protocol::ids::DeviceKey;
use libp2p::core::ConnectedPoint;
use libp2p::multiaddr::Protocol;

/// How a device is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// It leads through a relay.
    pub relayed: bool,
    /// What carries it; for one through a relay, on the way to the relay.
    pub transport: Transport,
}

/// What carries a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// QUIC over UDP.
    Quic,
    /// Noise and yamux over TCP.
    Tcp,
}

/// The path to each connected device.
pub type Paths = BTreeMap<DeviceKey, Path>;

impl Path {
    /// The path of a connection.
    pub(super) fn of(endpoint: &ConnectedPoint) -> Path {
        let address = match endpoint {
            ConnectedPoint::Dialer { address, .. } => address,
            ConnectedPoint::Listener { local_addr, .. } => local_addr,
        };
        let is_quic = address.iter().any(|part| matches!(part, Protocol::QuicV1 | Protocol::Quic));
        let transport = if is_quic { Transport::Quic } else { Transport::Tcp };
        Path { relayed: endpoint.is_relayed(), transport }
    }
}

#[cfg(test)]
mod tests {
    use libp2p::core::Endpoint;
    use libp2p::core::transport::PortUse;

    use super::*;

    #[test]
    fn a_path_is_read_off_the_address_whoever_dialled() {
        let relay = "12D3KooWLbW6BZeCeWEfsPk2RRV6eyTJfDYmWfgkChHyhRnTcCkE";
        let expected = [
            ("/ip4/192.0.2.1/tcp/1".to_string(), false, Transport::Tcp),
            ("/ip4/192.0.2.1/udp/1/quic-v1".to_string(), false, Transport::Quic),
            (format!("/ip4/192.0.2.1/tcp/1/p2p/{relay}/p2p-circuit"), true, Transport::Tcp),
            (format!("/ip4/192.0.2.1/udp/1/quic-v1/p2p/{relay}/p2p-circuit"), true, Transport::Quic),
        ];
        for (address, relayed, transport) in expected {
            let address: libp2p::Multiaddr = address.parse().unwrap();
            let far: libp2p::Multiaddr = "/ip4/192.0.2.9/tcp/9".parse().unwrap();
            let inward = ConnectedPoint::Listener { local_addr: address.clone(), send_back_addr: far };
            let (role_override, port_use) = (Endpoint::Dialer, PortUse::Reuse);
            let outward = ConnectedPoint::Dialer { address, role_override, port_use };
            assert_eq!(Path::of(&inward), Path { relayed, transport });
            assert_eq!(Path::of(&outward), Path { relayed, transport });
        }
    }
}
