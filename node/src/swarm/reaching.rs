//! Has relays dial this node from outside, to know where it is reached.
//!
//! The swarm task names the addresses to test, each one that a relay of this node has seen; the
//! library does the rest by AutoNAT v2. A behaviour of our own around the library's, because that
//! one tests whatever any peer claims to have seen, for ever. Invariant: at most `TESTED_MAX`
//! addresses are ever tested in one run.

use std::collections::BTreeSet;
use std::task::{Context, Poll};

use libp2p::autonat::v2::client;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NewExternalAddrCandidate, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

use crate::limits::TESTED_MAX;

/// The library's client, which learns of addresses from the swarm task alone.
#[derive(Default)]
pub(super) struct Behaviour {
    client: client::Behaviour,
    named: BTreeSet<Multiaddr>,
}

impl Behaviour {
    /// Has an address tested, once. Beyond the bound nothing is.
    pub(super) fn test(&mut self, address: &Multiaddr) {
        if self.named.len() < TESTED_MAX && self.named.insert(address.clone()) {
            let candidate = NewExternalAddrCandidate { addr: address };
            self.client.on_swarm_event(FromSwarm::NewExternalAddrCandidate(candidate));
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = <client::Behaviour as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = client::Event;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.client.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.client.handle_established_outbound_connection(connection, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if !matches!(event, FromSwarm::NewExternalAddrCandidate(_)) {
            self.client.on_swarm_event(event);
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.client.on_connection_handler_event(peer, connection, event);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.client.poll(context)
    }
}
