//! What the swarm task does about libp2p's events.
//!
//! Split from `task`, whose state it changes. Sessions begin and end here, and here alone, so that
//! `Connected` and `Disconnected` alternate.

use std::sync::Arc;

use fourword_protocol::event::Event;
use fourword_protocol::limits::{ENVELOPE_BYTES_MAX, FOUND_DEVICES_MAX};
use libp2p::core::ConnectedPoint;
use libp2p::gossipsub::{self, MessageAcceptance, MessageId};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::{
    ConnectionError, ConnectionId, FromSwarm, NetworkBehaviour, NewExternalAddrCandidate, SwarmEvent,
};
use libp2p::{Multiaddr, PeerId, autonat, identify, kad, mdns, relay};
use tokio::time::Instant;

use super::addresses::is_loopback;
use super::behaviour::BehaviourEvent;
use super::dial::{SOUND_AFTER, Why};
use super::relays::is_relayed;
use super::session::{Session, Unfit};
use super::streams::{self, Opened};
use super::task::Task;
use super::{Path, addresses, device_of, dial, gossip, muxing};
use crate::limits::{NEAR_MAX, NEAR_SEEN_MAX, TOLD_ADDRESSES_MAX};

impl Task {
    /// Acts on one event of the swarm.
    pub(super) fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.notes.opened(connection_id, &endpoint);
                self.routes.connected(connection_id, &endpoint);
                self.connected(peer_id, connection_id, Path::of(&endpoint));
                if let ConnectedPoint::Dialer { address, .. } = endpoint
                    && is_relayed(&address)
                    && let Some(session) = self.sessions.get_mut(&peer_id)
                {
                    session.punching.dialled(address);
                }
                self.tell_paths();
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, cause, .. } => {
                tracing::debug!(peer = %peer_id, ?cause, "a connection closed");
                self.notes.closed(connection_id);
                if let Some(ConnectionError::IO(error)) = &cause
                    && muxing::is_silence(error)
                {
                    self.notes.counts.unanswered += 1;
                }
                self.routes.disconnected(connection_id);
                if cause.is_some() && self.relays.is_relay(&peer_id) {
                    // A relay that died has all its connections die, and not all are told.
                    self.disconnect(peer_id);
                }
                self.disconnected(peer_id, connection_id, num_established == 0);
                self.tell_paths();
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                self.dial_failed(connection_id, &error);
            }
            SwarmEvent::NewListenAddr { listener_id, address } => {
                if !is_relayed(&address) && !is_loopback(&address) {
                    self.book.network_changed(Instant::now());
                }
                self.addresses.add(listener_id, address);
                self.announce();
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                for connection in self.routes.over(&address) {
                    self.swarm.close_connection(connection);
                }
                self.addresses.remove(&address);
                self.announce();
            }
            SwarmEvent::ListenerClosed { listener_id, addresses, reason } => {
                if self.relays.closed(listener_id) {
                    tracing::info!(?addresses, ?reason, "a place at a relay is gone");
                } else {
                    tracing::warn!(?addresses, ?reason, "a listener closed");
                }
                addresses.iter().for_each(|address| self.addresses.remove(address));
                self.announce();
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "a listener failed"),
            SwarmEvent::IncomingConnectionError { error, .. } => {
                tracing::debug!(%error, "a connection from outside failed");
                self.notes.counts.inbound_failed += 1;
            }
            // What remains tells of progress; the enum may grow with the library.
            _ => {}
        }
    }

    fn connected(&mut self, peer: PeerId, connection: ConnectionId, path: Path) {
        if self.relays.is_relay(&peer) {
            self.book.connected(connection, peer);
            return self.relay_connected(peer, connection);
        }
        let is_known = self.sessions.contains_key(&peer);
        if let Some(address) = self.book.connected(connection, peer).filter(|_| is_known) {
            self.tell(Event::Unreachable { address, reason: dial::ALREADY.to_string() }, None);
        }
        let Some(device) = device_of(&peer) else {
            return self.punish(peer, "its peer id holds no ed25519 key");
        };
        if let Some(session) = self.sessions.get_mut(&peer) {
            session.add(connection, path);
            return self.go_on_writing(peer);
        }
        let (own, ground) = (*self.swarm.local_peer_id(), self.ground.clone());
        let session = Session::new(&own, (peer, device), (connection, path), ground);
        self.sessions.insert(peer, session);
        self.tell(Event::Connected(device), None);
    }

    /// A relay of ours is back: it has forgotten everything, and others may be found through it.
    fn relay_connected(&mut self, relay: PeerId, connection: ConnectionId) {
        let now = Instant::now();
        let Some(address) = self.relays.connected(&relay, connection, now) else { return };
        self.swarm.behaviour_mut().table.add_address(&relay, address);
        self.finding.offer_again(&mut self.swarm.behaviour_mut().table);
        self.book.relays_are_back(now);
        self.reserve();
        self.tell(Event::Online, None);
    }

    fn disconnected(&mut self, peer: PeerId, connection: ConnectionId, was_last: bool) {
        if self.relays.is_relay(&peer) {
            self.relays.disconnected(&peer, connection);
            if was_last {
                self.book.disconnected(peer, SOUND_AFTER, Instant::now());
            }
            return;
        }
        self.drain_messages();
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        let (device, since) = (session.device, session.since);
        let survives = session.remove(connection);
        if was_last {
            let now = Instant::now();
            self.sessions.remove(&peer);
            self.parted(&peer);
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
            BehaviourEvent::Identify(event) => self.on_identify(event),
            BehaviourEvent::Table(event) => self.on_table(event),
            BehaviourEvent::Circuits(event) => self.on_circuit(event),
            BehaviourEvent::Punching(event) => {
                tracing::debug!(peer = %event.remote_peer_id, result = ?event.result, "a direct way was tried");
                let counts = &mut self.notes.counts;
                let count =
                    if event.result.is_ok() { &mut counts.punched } else { &mut counts.punches_failed };
                *count += 1;
                let session = self.sessions.get_mut(&event.remote_peer_id);
                if let Some(session) = session.filter(|_| event.result.is_err()) {
                    session.punching.failed(Instant::now());
                }
            }
            BehaviourEvent::Near(event) => self.on_near(event),
            BehaviourEvent::Reaching(event) => self.on_tested(event),
            BehaviourEvent::Limits(never) | BehaviourEvent::Door(never) | BehaviourEvent::Refused(never) => {
                match never {}
            }
        }
    }

    fn on_stream(&mut self, event: streams::Event) {
        let streams::Event { peer, connection, opened } = event;
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        match opened {
            Opened::Inbound(stream, number) => match session.inbound(connection, stream, number) {
                Ok(()) => {}
                Err(Unfit::Over) => {
                    tracing::debug!(device = session.device.short(), "a stream of another session");
                    self.disconnect(peer);
                }
                Err(Unfit::TooMany) => self.punish(peer, "too many streams at once"),
            },
            Opened::Outbound(stream) => session.outbound(connection, stream),
            Opened::Refused => {
                tracing::debug!(device = session.device.short(), "does not speak the sync protocol");
                self.disconnect(peer);
            }
        }
    }

    /// A peer says where it can be reached.
    fn on_identify(&mut self, event: identify::Event) {
        let identify::Event::Received { peer_id, info, .. } = event else { return };
        if self.relays.is_ours(&peer_id) {
            return self.seen_by(peer_id, info.observed_addr);
        }
        let Some(session) = self.sessions.get_mut(&peer_id) else { return };
        // Some begin at a relay whose own address is left out: they lead nowhere from here.
        let whole = |address: &&Multiaddr| !matches!(address.iter().next(), Some(Protocol::P2p(_)));
        let addresses = info.listen_addrs.iter().filter(whole).take(TOLD_ADDRESSES_MAX);
        session.told = addresses.map(|address| addresses::named(address, &peer_id)).collect();
        self.tell_met(&peer_id);
    }

    /// Tells where a device says that it is reached.
    pub(super) fn tell_met(&mut self, peer: &PeerId) {
        let Some(session) = self.sessions.get(peer).filter(|session| !session.told.is_empty()) else {
            return;
        };
        let (device, addresses) = (session.device, session.told.clone());
        self.tell(Event::Met { device, addresses }, None);
    }

    /// A relay of ours says under which address it sees this node, and may be asked to dial it.
    fn seen_by(&mut self, relay: PeerId, address: Multiaddr) {
        let near = |address: &Multiaddr| addresses::is_loopback(address);
        // To others a loopback address is their own, unless all of this network is one machine.
        if !near(&address) || self.announced.iter().all(near) {
            self.swarm.behaviour_mut().reaching.test(&address);
            // The library hears of no candidate that is announced already, and without any it gives
            // the other side no address to punch through to.
            let seen = NewExternalAddrCandidate { addr: &address };
            let punching = &mut self.swarm.behaviour_mut().punching;
            punching.on_swarm_event(FromSwarm::NewExternalAddrCandidate(seen));
        }
        self.notes.observed(relay, address);
    }

    fn on_tested(&mut self, event: autonat::v2::client::Event) {
        let autonat::v2::client::Event { tested_addr, server, result, .. } = event;
        tracing::debug!(%tested_addr, ?result, "a relay tried to reach this node");
        // Whoever else offers to test may say what it likes.
        if self.relays.is_ours(&server) {
            self.notes.tested(tested_addr, result.is_ok());
        }
    }

    fn on_table(&mut self, event: kad::Event) {
        let kad::Event::OutboundQueryProgressed { id, result, step, .. } = event else { return };
        let table = &mut self.swarm.behaviour_mut().table;
        let found = self.finding.progressed(table, id, result, step.last);
        if let Some((key, peers)) = found {
            let devices = peers.iter().filter_map(device_of).take(FOUND_DEVICES_MAX).collect();
            self.tell(Event::Located(key, devices), None);
        }
    }

    fn on_circuit(&mut self, event: relay::client::Event) {
        match event {
            relay::client::Event::ReservationReqAccepted { relay_peer_id, renewal, .. } => {
                tracing::debug!(relay = %relay_peer_id, renewal, "reachable through a relay");
                self.relays.reserved(&relay_peer_id);
            }
            relay::client::Event::OutboundCircuitEstablished { .. }
            | relay::client::Event::InboundCircuitEstablished { .. } => {}
        }
    }

    /// Nodes of the local network come and go.
    fn on_near(&mut self, event: mdns::Event) {
        match event {
            mdns::Event::Discovered(seen) => {
                let near = &mut self.swarm.behaviour_mut().near;
                let known = near.as_ref().map_or(0, |near| near.discovered_nodes().len());
                let Some(taken) = taken_near(known, &seen) else {
                    tracing::warn!(
                        known,
                        "too much is seen in the local network: it is not looked at any more"
                    );
                    *near = Toggle::from(None);
                    return;
                };
                for address in taken {
                    self.notes.near_seen += 1;
                    // Fails if it is connected already, or too many are near.
                    let _ = self.add_address(&address, Why::Near);
                }
            }
            mdns::Event::Expired(gone) => {
                for (peer, address) in gone {
                    self.book.gone(&addresses::named(&address, &peer));
                }
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
        self.notes.counts.heard.add(length);
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
        self.swarm.behaviour_mut().gossip.inner.report_message_validation_result(id, from, acceptance);
    }
}

/// The addresses that are dialled of those newly seen in the local network; `None` if so many are
/// known there that somebody makes them up, and the search is to end.
fn taken_near(known: usize, seen: &[(PeerId, Multiaddr)]) -> Option<Vec<String>> {
    // Through a relay nobody is near, and the address would say who is a relay.
    let direct = seen.iter().filter(|(_, address)| !is_relayed(address)).take(NEAR_MAX);
    let named = || direct.map(|(peer, address)| addresses::named(address, peer)).collect();
    (known <= NEAR_SEEN_MAX).then(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_made_up_nodes_nearby_a_few_are_dialled_and_too_many_end_the_search() {
        let relay = PeerId::random();
        let made_up: Vec<(PeerId, Multiaddr)> = (0..4 * NEAR_SEEN_MAX)
            .map(|number| {
                let circuit = format!("/ip4/192.0.2.1/tcp/{number}/p2p/{relay}/p2p-circuit");
                let direct = format!("/ip4/192.0.2.1/tcp/{number}");
                let address = if number % 2 == 0 { circuit } else { direct };
                (PeerId::random(), address.parse().unwrap())
            })
            .collect();
        let taken = taken_near(NEAR_SEEN_MAX, &made_up).unwrap();
        assert_eq!(taken.len(), NEAR_MAX);
        assert!(taken.iter().all(|address| !address.contains("p2p-circuit")));
        assert_eq!(taken_near(NEAR_SEEN_MAX + 1, &made_up), None);
        assert_eq!(taken_near(0, &made_up[..2]).unwrap(), [addresses::named(&made_up[1].1, &made_up[1].0)]);
    }
}
