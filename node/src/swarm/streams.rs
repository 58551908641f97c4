//! Opens and accepts the substreams that carry the sync protocol's frames.
//!
//! The swarm task asks for a stream on one named connection and gets it, or what came from the
//! other side, as an event. What the streams carry is the affair of `frames`. A behaviour of our
//! own, because a stream must be bound to the connection it was opened on: when that one closes,
//! its frames may be lost, and the session with it.
//!
//! Invariant: each stream begins with the number of its sender's session, a big-endian u64, and
//! nobody hears of a stream before that was written or read. The library gives up those on which
//! it does not come in time, and bounds how many wait for it.

use std::collections::VecDeque;
use std::io;
use std::iter;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::swarm::handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
    NotifyHandler, Stream, StreamProtocol, SubstreamProtocol, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

use crate::limits::STREAM_OPENING_TIMEOUT;

/// The name under which two nodes agree on the frames' format.
pub(super) const PROTOCOL: StreamProtocol = StreamProtocol::new("/fourword/sync/1");

/// What became of a stream.
#[derive(Debug)]
pub(super) enum Opened {
    /// The other side opened it, to send in the session of this number.
    Inbound(Stream, u64),
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
pub(super) struct Open {
    /// The number of the session it is for.
    session: u64,
}

/// Hands streams between the connections and the swarm task.
#[derive(Default)]
pub(super) struct Behaviour {
    waiting: VecDeque<ToSwarm<Event, Open>>,
}

impl Behaviour {
    /// Opens a stream of a session on this connection; answered by one `Outbound` or `Refused`, or
    /// by the connection's end.
    pub(super) fn open(&mut self, peer: PeerId, connection: ConnectionId, session: u64) {
        let (handler, event) = (NotifyHandler::One(connection), Open { session });
        self.waiting.push_back(ToSwarm::NotifyHandler { peer_id: peer, handler, event });
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

/// Agrees on the protocol and reads the number with which a stream begins.
pub(super) struct ReadNumber;

/// Agrees on the protocol and writes this number, with which the stream begins.
pub(super) struct WriteNumber(u64);

impl UpgradeInfo for ReadNumber {
    type Info = StreamProtocol;
    type InfoIter = iter::Once<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        iter::once(PROTOCOL)
    }
}

impl UpgradeInfo for WriteNumber {
    type Info = StreamProtocol;
    type InfoIter = iter::Once<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        iter::once(PROTOCOL)
    }
}

impl InboundUpgrade<Stream> for ReadNumber {
    type Output = (Stream, u64);
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<(Stream, u64)>>;

    fn upgrade_inbound(self, mut stream: Stream, _: StreamProtocol) -> Self::Future {
        Box::pin(async move {
            let mut number = [0; 8];
            stream.read_exact(&mut number).await?;
            Ok((stream, u64::from_be_bytes(number)))
        })
    }
}

impl OutboundUpgrade<Stream> for WriteNumber {
    type Output = Stream;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Stream>>;

    fn upgrade_outbound(self, mut stream: Stream, _: StreamProtocol) -> Self::Future {
        Box::pin(async move {
            stream.write_all(&self.0.to_be_bytes()).await?;
            stream.flush().await?;
            Ok(stream)
        })
    }
}

/// The end of the behaviour that lives with one connection.
#[derive(Default)]
pub(super) struct Handler {
    /// The numbers of the sessions that asked for a stream: one for each session.
    wanted: VecDeque<u64>,
    opened: VecDeque<Opened>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = Opened;
    type InboundProtocol = ReadNumber;
    type OutboundProtocol = WriteNumber;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadNumber, ()).with_timeout(STREAM_OPENING_TIMEOUT)
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Opened>> {
        if let Some(opened) = self.opened.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(opened));
        }
        if let Some(session) = self.wanted.pop_front() {
            let protocol = SubstreamProtocol::new(WriteNumber(session), ());
            let protocol = protocol.with_timeout(STREAM_OPENING_TIMEOUT);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, Open { session }: Open) {
        self.wanted.push_back(session);
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                let (stream, session) = protocol;
                self.opened.push_back(Opened::Inbound(stream, session));
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
