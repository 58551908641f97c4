//! Opens and accepts the substreams that carry the sync protocol's frames.
//!
//! The swarm task asks for a stream on one named connection and gets it, or what came from the
//! other side, as an event. What the streams carry is the affair of `frames`. A behaviour of our
//! own, because a stream must be bound to the connection it was opened on: when that one closes,
//! its frames may be lost, and the session with it.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::ReadyUpgrade;
use libp2p::swarm::handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
    NotifyHandler, Stream, StreamProtocol, SubstreamProtocol, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

/// The name under which two nodes agree on the frames' format.
pub(super) const PROTOCOL: StreamProtocol = StreamProtocol::new("/fourword/sync/1");

/// What became of a stream.
#[derive(Debug)]
pub(super) enum Opened {
    /// The other side opened it, to send.
    Inbound(Stream),
    /// We asked for it, to send.
    Outbound(Stream),
    /// The other side does not speak the protocol, or the connection failed.
    Refused,
}

/// A stream, or the lack of one, on a connection.
#[derive(Debug)]
pub(super) struct Event {
    /// The device at the other end.
    pub(super) peer: PeerId,
    /// The connection the stream is bound to.
    pub(super) connection: ConnectionId,
    /// What became of it.
    pub(super) opened: Opened,
}

/// Asks a connection for a stream.
#[derive(Debug)]
pub(super) struct Open;

/// Hands streams between the connections and the swarm task.
#[derive(Default)]
pub(super) struct Behaviour {
    waiting: VecDeque<ToSwarm<Event, Open>>,
}

impl Behaviour {
    /// Opens a stream on this connection; answered by one `Outbound` or `Refused`, or by the
    /// connection's end.
    pub(super) fn open(&mut self, peer: PeerId, connection: ConnectionId) {
        let handler = NotifyHandler::One(connection);
        self.waiting.push_back(ToSwarm::NotifyHandler { peer_id: peer, handler, event: Open });
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, opened: Opened) {
        self.waiting.push_back(ToSwarm::GenerateEvent(Event { peer, connection, opened }));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Event, Open>> {
        // Whoever adds to the queue is the swarm's own task, which polls again afterwards.
        self.waiting.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// The end of the behaviour that lives with one connection.
#[derive(Default)]
pub(super) struct Handler {
    wanted: usize,
    opened: VecDeque<Opened>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = Opened;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ())
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Opened>> {
        if let Some(opened) = self.opened.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(opened));
        }
        if self.wanted > 0 {
            self.wanted -= 1;
            let protocol = SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ());
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, Open: Open) {
        self.wanted += 1;
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                self.opened.push_back(Opened::Inbound(protocol));
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, .. }) => {
                self.opened.push_back(Opened::Outbound(protocol));
            }
            ConnectionEvent::DialUpgradeError(_) => self.opened.push_back(Opened::Refused),
            // The library may add more; none of them concerns streams of ours.
            _ => {}
        }
    }
}
