//! Runs a relay's swarm: closes what does not answer, keeps the ledger of offers, and counts.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use libp2p::kad::store::RecordStore;
use libp2p::kad::{self, InboundRequest};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, ping, relay};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::behaviour::{Behaviour, BehaviourEvent};
use super::offers::Offers;
use super::status::Status;
use crate::swarm::addresses::{is_loopback, named};

/// How long the end waits for connections to close.
const GOODBYE: Duration = Duration::from_secs(1);

/// One relay's swarm and what it counts.
pub(super) struct Task {
    swarm: Swarm<Behaviour>,
    /// What is listened on is told to others as where the relay is reached.
    announces: bool,
    told: watch::Sender<Vec<String>>,
    offers: Offers,
    placed: BTreeSet<PeerId>,
    counts: Status,
    started: Instant,
}

impl Task {
    /// The task of a swarm that listens.
    pub(super) fn new(swarm: Swarm<Behaviour>, announces: bool, told: watch::Sender<Vec<String>>) -> Task {
        let (offers, placed, counts) = (Offers::default(), BTreeSet::new(), Status::default());
        Task { swarm, announces, told, offers, placed, counts, started: Instant::now() }
    }

    /// Runs until nobody can ask any more.
    pub(super) async fn run(mut self, mut asked: mpsc::Receiver<oneshot::Sender<Status>>) {
        loop {
            tokio::select! {
                ask = asked.recv() => match ask {
                    // Fails only if the asker has gone.
                    Some(answer) => drop(answer.send(self.status())),
                    None => return self.say_goodbye().await,
                },
                event = self.swarm.select_next_some() => self.on_event(event),
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

    fn status(&self) -> Status {
        let network = self.swarm.network_info();
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Status {
            peer_id: self.swarm.local_peer_id().to_string(),
            addresses: self.told.borrow().clone(),
            uptime_s: self.started.elapsed().as_secs(),
            devices: number(network.num_peers()),
            connections: network.connection_counters().num_established().into(),
            places: number(self.placed.len()),
            offers: number(self.offers.count()),
            offers_refused: self.offers.refused,
            ..self.counts.clone()
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::NewListenAddr { address, .. } => {
                if self.announces && !is_loopback(&address) {
                    self.swarm.add_external_address(address);
                }
                self.tell();
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                if self.announces {
                    self.swarm.remove_external_address(&address);
                }
                self.tell();
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
                for key in self.offers.drop_all(&peer_id) {
                    self.swarm.behaviour_mut().table.store_mut().remove_provider(&key, &peer_id);
                }
                self.placed.remove(&peer_id);
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
        let listening: Vec<Multiaddr> = self.swarm.listeners().cloned().collect();
        let addresses = if external.is_empty() { listening } else { external };
        if self.announces && self.swarm.external_addresses().next().is_none() {
            // Where only this machine can reach it, it serves this machine.
            for address in &addresses {
                self.swarm.add_external_address(address.clone());
            }
        }
        self.told.send_replace(addresses.iter().map(|address| named(address, &own)).collect());
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Ping(ping::Event { connection, result: Err(error), .. })
                if !matches!(error, ping::Failure::Unsupported) =>
            {
                self.swarm.close_connection(connection);
            }
            BehaviourEvent::Table(kad::Event::InboundRequest {
                request: InboundRequest::AddProvider { record: Some(record) },
            }) => {
                let (device, key) = (record.provider, record.key);
                if self.swarm.is_connected(&device) && self.offers.take(device, &key) {
                    // It is reached here. What else it claims is not kept; without any address the
                    // library would not name it.
                    let here = Multiaddr::empty().with(Protocol::P2p(*self.swarm.local_peer_id()));
                    let addresses = vec![here.with(Protocol::P2pCircuit).with(Protocol::P2p(device))];
                    let record = kad::ProviderRecord { key, provider: device, expires: None, addresses };
                    if let Err(error) = self.swarm.behaviour_mut().table.store_mut().add_provider(record) {
                        tracing::debug!(%error, "an offer was not kept");
                    }
                }
            }
            BehaviourEvent::Circuits(event) => self.on_circuit(event),
            BehaviourEvent::Ping(_) | BehaviourEvent::Table(_) | BehaviourEvent::Identify(_) => {}
            BehaviourEvent::Testing(event) => {
                let count =
                    if event.result.is_ok() { &mut self.counts.tests } else { &mut self.counts.tests_failed };
                *count = count.saturating_add(1);
            }
            BehaviourEvent::Limits(never) | BehaviourEvent::Memory(never) | BehaviourEvent::Dials(never) => {
                match never {}
            }
        }
    }

    fn on_circuit(&mut self, event: relay::Event) {
        match event {
            relay::Event::ReservationReqAccepted { src_peer_id, .. } => drop(self.placed.insert(src_peer_id)),
            relay::Event::ReservationClosed { src_peer_id }
            | relay::Event::ReservationTimedOut { src_peer_id } => drop(self.placed.remove(&src_peer_id)),
            relay::Event::ReservationReqDenied { .. } => self.counts.places_refused += 1,
            relay::Event::CircuitReqAccepted { .. } => {
                self.counts.circuits += 1;
                self.counts.circuits_opened += 1;
            }
            relay::Event::CircuitReqDenied { .. } => self.counts.circuits_refused += 1,
            relay::Event::CircuitClosed { .. } => {
                self.counts.circuits = self.counts.circuits.saturating_sub(1);
            }
            // What failed is in the library's log.
            _ => {}
        }
    }
}
