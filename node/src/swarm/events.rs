//! What the swarm task does about libp2p's events.
//!
//! Split from `task`, whose state it changes. Sessions begin and end here, and here alone, so that
//! `Connected` and `Disconnected` alternate.

use std::sync::Arc;

use fourword_protocol::event::Event;
use fourword_protocol::limits::ENVELOPE_BYTES_MAX;
use libp2p::gossipsub::{self, MessageAcceptance, MessageId};
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{PeerId, ping};
use tokio::time::Instant;

use super::behaviour::BehaviourEvent;
use super::session::Session;
use super::streams::{self, Opened};
use super::task::Task;
use super::{device_of, dial, gossip};

impl Task {
    /// Acts on one event of the swarm.
    pub(super) fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, .. } => {
                self.connected(peer_id, connection_id);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, cause, .. } => {
                tracing::debug!(peer = %peer_id, ?cause, "a connection closed");
                self.disconnected(peer_id, connection_id, num_established == 0);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                self.dial_failed(connection_id, &error);
            }
            SwarmEvent::NewListenAddr { listener_id, address } => {
                self.addresses.add(listener_id, address);
                self.announce();
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.addresses.remove(&address);
                self.announce();
            }
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                tracing::warn!(?addresses, ?reason, "a listener closed");
                addresses.iter().for_each(|address| self.addresses.remove(address));
                self.announce();
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "a listener failed"),
            SwarmEvent::IncomingConnectionError { error, .. } => {
                tracing::debug!(%error, "a connection from outside failed");
            }
            // What remains tells of progress; the enum may grow with the library.
            _ => {}
        }
    }

    fn connected(&mut self, peer: PeerId, connection: ConnectionId) {
        let is_known = self.sessions.contains_key(&peer);
        if let Some(address) = self.book.connected(connection, peer).filter(|_| is_known) {
            self.tell(Event::Unreachable { address, reason: dial::ALREADY.to_string() }, None);
        }
        let Some(device) = device_of(&peer) else {
            return self.punish(peer, "its peer id holds no ed25519 key");
        };
        if let Some(session) = self.sessions.get_mut(&peer) {
            return session.add(connection);
        }
        self.next_session += 1;
        let (own, ground) = (*self.swarm.local_peer_id(), self.ground.clone());
        let session = Session::new(&own, (peer, device), self.next_session, connection, ground);
        self.sessions.insert(peer, session);
        self.tell(Event::Connected(device), None);
    }

    fn disconnected(&mut self, peer: PeerId, connection: ConnectionId, was_last: bool) {
        self.drain_messages();
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        let (device, since) = (session.device, session.since);
        let survives = session.remove(connection);
        if was_last {
            let now = Instant::now();
            self.sessions.remove(&peer);
            self.book.disconnected(peer, now - since, now);
            self.tell(Event::Disconnected(device), None);
        } else if survives {
            self.go_on_writing(peer);
        } else {
            tracing::debug!(device = device.short(), "a connection closed with its stream");
            self.disconnect(peer);
        }
    }

    /// Tells peers where this node can be reached, now that it changed.
    fn announce(&mut self) {
        let wanted = self.addresses.announced();
        for address in self.announced.iter().filter(|address| !wanted.contains(address)) {
            self.swarm.remove_external_address(address);
        }
        for address in wanted.iter().filter(|address| !self.announced.contains(address)) {
            self.swarm.add_external_address(address.clone());
        }
        self.announced = wanted;
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Streams(event) => self.on_stream(event),
            BehaviourEvent::Gossip(event) => self.on_gossip(event),
            BehaviourEvent::Ping(event) => self.on_ping(event),
            BehaviourEvent::Identify(event) => tracing::trace!(?event, "identify"),
            BehaviourEvent::Limits(never) | BehaviourEvent::Refused(never) => match never {},
        }
    }

    fn on_stream(&mut self, event: streams::Event) {
        let streams::Event { peer, connection, opened } = event;
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        match opened {
            Opened::Inbound(stream) => {
                if let Err(reason) = session.inbound(connection, stream) {
                    self.punish(peer, &reason);
                }
            }
            Opened::Outbound(stream) => session.outbound(connection, stream),
            Opened::Refused => {
                tracing::debug!(device = session.device.short(), "does not speak the sync protocol");
                self.disconnect(peer);
            }
        }
    }

    /// The library only measures: a connection that does not answer must be closed here.
    fn on_ping(&mut self, event: ping::Event) {
        match event.result {
            Ok(_) | Err(ping::Failure::Unsupported) => {}
            Err(error) => {
                tracing::debug!(peer = %event.peer, %error, "a connection does not answer");
                self.swarm.close_connection(event.connection);
            }
        }
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                self.heard(propagation_source, message_id, message);
            }
            gossipsub::Event::SlowPeer { peer_id, .. } => self.missed(peer_id),
            gossipsub::Event::Subscribed { .. }
            | gossipsub::Event::Unsubscribed { .. }
            | gossipsub::Event::GossipsubNotSupported { .. } => {}
        }
    }

    fn heard(&mut self, from: PeerId, id: MessageId, message: gossipsub::Message) {
        let length = message.data.len();
        let (Some(topic), Some(device)) = (gossip::topic_of(&message.topic), device_of(&from)) else {
            return self.drop_heard(&id, &from, MessageAcceptance::Ignore);
        };
        if length > ENVELOPE_BYTES_MAX {
            return self.drop_heard(&id, &from, MessageAcceptance::Reject);
        }
        // Without room the message is dropped; a sync brings it later.
        let bytes = u32::try_from(length).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.ground.room).try_acquire_many_owned(bytes).ok();
        let named = room.and_then(|room| {
            self.unjudged.add(id.clone(), from, Instant::now()).map(|gossip| (room, gossip))
        });
        let Some((room, gossip)) = named else {
            self.missed(from);
            return self.drop_heard(&id, &from, MessageAcceptance::Ignore);
        };
        self.tell(Event::Heard { gossip, topic, from: device, bytes: message.data }, Some(room));
    }

    fn drop_heard(&mut self, id: &MessageId, from: &PeerId, acceptance: MessageAcceptance) {
        self.swarm.behaviour_mut().gossip.report_message_validation_result(id, from, acceptance);
    }
}
