//! Has gossip go on among fellow members alone.
//!
//! The library tells every peer at once which topics a node takes part in, and takes whatever a peer
//! says of its own: anybody who connects would learn who shares a group with whom, could listen to
//! what is sealed there, and fill memory with topics. So each connection has a gate, and with a peer
//! that is not known to be a fellow member nothing is written and nothing is read; what it sends
//! waits unread. The swarm task says who is in the circle. Invariant: no byte of gossip passes
//! between this node and a peer before that peer is in the circle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::handler::ConnectionEvent;
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
    NotifyHandler, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

/// A protocol whose connections with those outside stand still.
pub(super) struct Circle<B> {
    /// The protocol itself.
    pub(super) inner: B,
    members: BTreeSet<PeerId>,
    /// Connections with those outside.
    shut: BTreeMap<ConnectionId, PeerId>,
    opening: VecDeque<(PeerId, ConnectionId)>,
}

impl<B: NetworkBehaviour> Circle<B> {
    /// A circle with nobody in it.
    pub(super) fn new(inner: B) -> Circle<B> {
        Circle { inner, members: BTreeSet::new(), shut: BTreeMap::new(), opening: VecDeque::new() }
    }

    /// Takes who is in the circle from now on. Whoever no longer is stays until it is disconnected.
    pub(super) fn gather(&mut self, members: BTreeSet<PeerId>) {
        let opened = self.shut.extract_if(.., |_, peer| members.contains(peer));
        self.opening.extend(opened.map(|(connection, peer)| (peer, connection)));
        self.members = members;
    }

    fn gate(&mut self, connection: ConnectionId, peer: PeerId, inner: THandler<B>) -> Gate<THandler<B>> {
        let open = self.members.contains(&peer);
        if !open {
            self.shut.insert(connection, peer);
        }
        Gate { inner, open }
    }
}

impl<B: NetworkBehaviour> NetworkBehaviour for Circle<B> {
    type ConnectionHandler = Gate<THandler<B>>;
    type ToSwarm = B::ToSwarm;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.inner.handle_pending_inbound_connection(connection, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<Gate<THandler<B>>, ConnectionDenied> {
        let inner = self.inner.handle_established_inbound_connection(connection, peer, local, remote)?;
        Ok(self.gate(connection, peer, inner))
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.inner.handle_pending_outbound_connection(connection, peer, addresses, role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        remote: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<Gate<THandler<B>>, ConnectionDenied> {
        let inner =
            self.inner.handle_established_outbound_connection(connection, peer, remote, role, port)?;
        Ok(self.gate(connection, peer, inner))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(closed) => drop(self.shut.remove(&closed.connection_id)),
            FromSwarm::ListenFailure(failed) => drop(self.shut.remove(&failed.connection_id)),
            FromSwarm::DialFailure(failed) => drop(self.shut.remove(&failed.connection_id)),
            _ => {}
        }
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<B>,
    ) {
        self.inner.on_connection_handler_event(peer, connection, event);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<B::ToSwarm, ToGate<THandlerInEvent<B>>>> {
        // Whoever adds to the queue is the swarm's own task, which polls again afterwards.
        if let Some((peer_id, connection)) = self.opening.pop_front() {
            let handler = NotifyHandler::One(connection);
            return Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler, event: ToGate::Open });
        }
        self.inner.poll(context).map(|event| event.map_in(ToGate::Inner))
    }
}

/// What is told to the gate of a connection.
#[derive(Debug)]
pub(super) enum ToGate<E> {
    /// Its peer is in the circle.
    Open,
    /// It is for what is behind the gate.
    Inner(E),
}

/// The end of a protocol that lives with one connection, and moves only while the gate is open.
pub(super) struct Gate<H> {
    inner: H,
    open: bool,
}

impl<H: ConnectionHandler> ConnectionHandler for Gate<H> {
    type FromBehaviour = ToGate<H::FromBehaviour>;
    type ToBehaviour = H::ToBehaviour;
    type InboundProtocol = H::InboundProtocol;
    type OutboundProtocol = H::OutboundProtocol;
    type InboundOpenInfo = H::InboundOpenInfo;
    type OutboundOpenInfo = H::OutboundOpenInfo;

    fn listen_protocol(&self) -> SubstreamProtocol<H::InboundProtocol, H::InboundOpenInfo> {
        self.inner.listen_protocol()
    }

    fn connection_keep_alive(&self) -> bool {
        self.open && self.inner.connection_keep_alive()
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<H::OutboundProtocol, H::OutboundOpenInfo, H::ToBehaviour>> {
        // Opened by an event, after which it is polled again.
        if self.open { self.inner.poll(context) } else { Poll::Pending }
    }

    fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<Option<H::ToBehaviour>> {
        self.inner.poll_close(context)
    }

    fn on_behaviour_event(&mut self, event: ToGate<H::FromBehaviour>) {
        match event {
            ToGate::Open => self.open = true,
            ToGate::Inner(event) => self.inner.on_behaviour_event(event),
        }
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<
            '_,
            H::InboundProtocol,
            H::OutboundProtocol,
            H::InboundOpenInfo,
            H::OutboundOpenInfo,
        >,
    ) {
        self.inner.on_connection_event(event);
    }
}
