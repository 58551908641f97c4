//! Runs a relay's swarm: closes what does not answer, keeps the ledger of offers, and counts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt;
use libp2p::kad::{self, InboundRequest};
use libp2p::swarm::{Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, relay};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::behaviour::{Behaviour, BehaviourEvent};
use super::circuits::Circuits;
use super::offers::Offers;
use super::shares::Shares;
use super::status::Status;
use crate::swarm::addresses::{is_loopback, named};
use crate::swarm::door::Network;

/// How often offers are looked over that were not renewed.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// How long the end waits for connections to close.
const GOODBYE: Duration = Duration::from_secs(1);

/// One relay's swarm and what it counts.
pub(super) struct Task {
    swarm: Swarm<Behaviour>,
    /// What is listened on is told to others as where the relay is reached.
    announces: bool,
    told: watch::Sender<Vec<String>>,
    /// From where each device is connected: by its first connection.
    networks: BTreeMap<PeerId, Network>,
    shares: Shares,
    placed: BTreeSet<PeerId>,
    circuits: Circuits,
    counts: Status,
    started: Instant,
}

impl Task {
    /// The task of a swarm that listens.
    pub(super) fn new(
        swarm: Swarm<Behaviour>,
        shares: Shares,
        announces: bool,
        told: watch::Sender<Vec<String>>,
    ) -> Task {
        let (networks, placed, counts) = (BTreeMap::new(), BTreeSet::new(), Status::default());
        let (circuits, started) = (Circuits::default(), Instant::now());
        Task { swarm, announces, told, networks, shares, placed, circuits, counts, started }
    }

    /// Runs until nobody can ask any more.
    pub(super) async fn run(mut self, mut asked: mpsc::Receiver<oneshot::Sender<Status>>) {
        let mut housekeeping = tokio::time::interval(HOUSEKEEPING);
        housekeeping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                ask = asked.recv() => match ask {
                    // Fails only if the asker has gone.
                    Some(answer) => drop(answer.send(self.status())),
                    None => return self.say_goodbye().await,
                },
                event = self.swarm.select_next_some() => self.on_event(event),
                now = housekeeping.tick() => self.offers().forget_old(now),
            }
        }
    }

    /// Closes all connections, so that nobody waits to find out that the relay is gone.
    async fn say_goodbye(mut self) {
        let devices: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for device in devices {
            let _ = self.swarm.disconnect_peer_id(device);
        }
        let closed = async {
            while self.swarm.connected_peers().next().is_some() {
                self.swarm.select_next_some().await;
            }
        };
        if tokio::time::timeout(GOODBYE, closed).await.is_err() {
            tracing::debug!("some connections were cut off");
        }
    }

    fn offers(&mut self) -> &mut Offers {
        self.swarm.behaviour_mut().table.store_mut()
    }

    fn status(&mut self) -> Status {
        let offers = self.offers();
        let (offered, offers_refused) = (offers.count(), offers.refused);
        let network = self.swarm.network_info();
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Status {
            peer_id: self.swarm.local_peer_id().to_string(),
            addresses: self.told.borrow().clone(),
            uptime_s: self.started.elapsed().as_secs(),
            devices: number(network.num_peers()),
            connections: network.connection_counters().num_established().into(),
            places: number(self.placed.len()),
            circuits: self.circuits.count(),
            connections_refused: self.swarm.behaviour().door.turned_away(),
            offers: number(offered),
            offers_refused,
            ..self.counts.clone()
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::NewListenAddr { .. } | SwarmEvent::ExpiredListenAddr { .. } => self.tell(),
            SwarmEvent::ConnectionEstablished { peer_id, endpoint, .. } => {
                let network = Network::of(endpoint.get_remote_address());
                self.networks.entry(peer_id).or_insert(network);
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
                self.offers().drop_all(&peer_id);
                self.shares.drop_all(&peer_id);
                self.networks.remove(&peer_id);
                self.placed.remove(&peer_id);
                self.circuits.gone(&peer_id);
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "a listener failed"),
            // What remains tells of progress; the enum may grow with the library.
            _ => {}
        }
    }

    /// Tells where the relay is reached: as it was told itself, or where it listens.
    fn tell(&mut self) {
        let own = *self.swarm.local_peer_id();
        let external: Vec<Multiaddr> = self.swarm.external_addresses().cloned().collect();
        let addresses = if self.announces {
            let wanted = announced(self.swarm.listeners());
            for address in external.iter().filter(|address| !wanted.contains(address)) {
                self.swarm.remove_external_address(address);
            }
            for address in wanted.iter().filter(|address| !external.contains(address)) {
                self.swarm.add_external_address(address.clone());
            }
            wanted
        } else {
            external
        };
        self.told.send_replace(addresses.iter().map(|address| named(address, &own)).collect());
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Table(kad::Event::InboundRequest {
                request: InboundRequest::AddProvider { record: Some(record) },
            }) => {
                if let Some(network) = self.networks.get(&record.provider).copied() {
                    self.offers().take(record.provider, network, &record.key, Instant::now());
                }
            }
            BehaviourEvent::Circuits(event) => self.on_circuit(event),
            BehaviourEvent::Table(_) | BehaviourEvent::Identify(_) => {}
            BehaviourEvent::Testing(event) => {
                let count =
                    if event.result.is_ok() { &mut self.counts.tests } else { &mut self.counts.tests_failed };
                *count = count.saturating_add(1);
            }
            BehaviourEvent::Limits(never)
            | BehaviourEvent::Door(never)
            | BehaviourEvent::Memory(never)
            | BehaviourEvent::Dials(never) => match never {},
        }
    }

    fn on_circuit(&mut self, event: relay::Event) {
        match event {
            relay::Event::ReservationReqAccepted { src_peer_id, .. } => drop(self.placed.insert(src_peer_id)),
            relay::Event::ReservationClosed { src_peer_id }
            | relay::Event::ReservationTimedOut { src_peer_id } => drop(self.placed.remove(&src_peer_id)),
            relay::Event::ReservationReqDenied { .. } => self.counts.places_refused += 1,
            relay::Event::CircuitReqAccepted { src_peer_id, dst_peer_id } => {
                self.circuits.opened(src_peer_id, dst_peer_id);
                self.counts.circuits_opened += 1;
            }
            relay::Event::CircuitReqDenied { src_peer_id, status, .. } => {
                self.counts.circuits_refused += 1;
                // For want of room it was not counted at all.
                if !matches!(status, relay::StatusCode::ResourceLimitExceeded) {
                    self.shares.give_back(&src_peer_id);
                }
            }
            relay::Event::CircuitClosed { src_peer_id, dst_peer_id, .. } => {
                self.circuits.closed(src_peer_id, dst_peer_id);
                self.shares.give_back(&src_peer_id);
            }
            #[allow(deprecated, reason = "a circuit that never began tells of its end by these alone")]
            relay::Event::CircuitReqOutboundConnectFailed { src_peer_id, .. }
            | relay::Event::CircuitReqAcceptFailed { src_peer_id, .. } => self.shares.give_back(&src_peer_id),
            // What failed is in the library's log.
            _ => {}
        }
    }
}

/// Where others reach a relay that listens here. Where only this machine can, it serves this
/// machine; told to another one, loopback would make that one dial itself.
fn announced<'a>(listening: impl Iterator<Item = &'a Multiaddr>) -> Vec<Multiaddr> {
    let (near, far): (Vec<Multiaddr>, Vec<Multiaddr>) = listening.cloned().partition(is_loopback);
    if far.is_empty() { near } else { far }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_announced_only_while_nothing_else_is_listened_on() {
        let near: Multiaddr = "/ip4/127.0.0.1/tcp/4001".parse().unwrap();
        let far: Multiaddr = "/ip4/192.0.2.1/tcp/4001".parse().unwrap();
        assert_eq!(announced([&near].into_iter()), vec![near.clone()]);
        assert_eq!(announced([&near, &far].into_iter()), vec![far]);
    }
}
