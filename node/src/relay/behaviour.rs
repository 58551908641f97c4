//! Composes the libp2p protocols of a relay and builds its swarm.
//!
//! Circuits carry whole first syncs and stay as long as two nodes talk, so they are cut only far
//! beyond that; what is bounded is how many there are, in all and for each network and device, and
//! how fast they are asked for.

use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::Context;
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::identity::Keypair;
use libp2p::kad::{self, Mode, StoreInserts};
use libp2p::swarm::{self, NetworkBehaviour, Swarm};
use libp2p::{
    Multiaddr, PeerId, SwarmBuilder, autonat, identify, memory_connection_limits, noise, relay, tcp,
};

use super::offers::Offers;
use super::shares::Shares;
use super::testing;
use crate::limits::{
    CIRCUIT_BYTES_MAX, CIRCUIT_TIME_MAX, CIRCUITS_MAX, CIRCUITS_PER_DEVICE_MAX, CONNECTIONS_PER_DEVICE_MAX,
    IDLE_TIMEOUT, PLACES_MAX, RELAY_CONNECTIONS_MAX, RELAY_CONNECTIONS_PER_NETWORK_MAX, RELAY_DIALS_MAX,
    RELAY_MEMORY_BYTES_MAX, RELAY_PENDING_MAX, RELAY_PENDING_PER_NETWORK_MAX, RELAY_STREAMS_MAX,
    STREAMS_UNNAMED_MAX,
};
use crate::swarm::door::{Bounds, Door, Network};
use crate::swarm::muxing::Muxing;
use crate::swarm::{IDENTIFY_AGENT, IDENTIFY_PROTOCOL, finding};

/// The protocols of a relay.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    /// First, so that what they refuse costs nothing more.
    pub(super) limits: connection_limits::Behaviour,
    pub(super) door: Door,
    pub(super) memory: memory_connection_limits::Behaviour,
    pub(super) identify: identify::Behaviour,
    pub(super) table: kad::Behaviour<Offers>,
    pub(super) circuits: relay::Behaviour,
    /// Dials devices that ask where they are reached, as far as `dials` lets it.
    pub(super) testing: autonat::v2::server::Behaviour,
    pub(super) dials: testing::Behaviour,
}

impl Behaviour {
    fn new(keypair: &Keypair, shares: &Shares) -> Behaviour {
        let own = keypair.public().to_peer_id();
        let identify = identify::Config::new(IDENTIFY_PROTOCOL.to_string(), keypair.public())
            .with_agent_version(IDENTIFY_AGENT.to_string())
            .with_hide_listen_addrs(true)
            .with_cache_size(0);
        let limits = ConnectionLimits::default()
            .with_max_pending_incoming(Some(RELAY_PENDING_MAX))
            .with_max_pending_outgoing(Some(RELAY_DIALS_MAX))
            .with_max_established(Some(RELAY_CONNECTIONS_MAX))
            .with_max_established_per_peer(Some(CONNECTIONS_PER_DEVICE_MAX));
        Behaviour {
            limits: connection_limits::Behaviour::new(limits),
            door: Door::new(bounds()),
            memory: memory_connection_limits::Behaviour::with_max_bytes(RELAY_MEMORY_BYTES_MAX),
            identify: identify::Behaviour::new(identify),
            table: table(own),
            circuits: relay::Behaviour::new(own, circuits(shares)),
            testing: autonat::v2::server::Behaviour::default(),
            dials: testing::Behaviour::default(),
        }
    }
}

/// All are guests here, and who came first stays.
fn bounds() -> Bounds {
    Bounds {
        handshakes_per_network: RELAY_PENDING_PER_NETWORK_MAX,
        guests: usize::try_from(RELAY_CONNECTIONS_MAX).unwrap_or(usize::MAX),
        guests_per_network: RELAY_CONNECTIONS_PER_NETWORK_MAX,
        visits: usize::try_from(RELAY_DIALS_MAX).unwrap_or(usize::MAX),
        stay: Duration::MAX,
    }
}

/// The table in which members search. What they offer goes through our own ledger.
fn table(own: PeerId) -> kad::Behaviour<Offers> {
    let mut settings = finding::settings();
    settings.set_record_filtering(StoreInserts::FilterBoth);
    let mut table = kad::Behaviour::with_config(own, Offers::new(own), settings);
    table.set_mode(Some(Mode::Server));
    table
}

fn circuits(shares: &Shares) -> relay::Config {
    let nothing = relay::Config {
        max_reservations: PLACES_MAX,
        max_circuits: CIRCUITS_MAX,
        // The library lets one more than this pass.
        max_circuits_per_peer: CIRCUITS_PER_DEVICE_MAX.saturating_sub(1),
        max_circuit_bytes: CIRCUIT_BYTES_MAX,
        max_circuit_duration: CIRCUIT_TIME_MAX,
        reservation_rate_limiters: Vec::new(),
        circuit_src_rate_limiters: Vec::new(),
        ..relay::Config::default()
    };
    // A household or an office behind one address restarts all at once, so addresses may ask for
    // more than one device could.
    let mut config = nothing
        .reservation_rate_per_peer(NonZeroU32::MIN.saturating_add(29), Duration::from_secs(10))
        .reservation_rate_per_ip(NonZeroU32::MIN.saturating_add(299), Duration::from_secs(1))
        .circuit_src_per_peer(NonZeroU32::MIN.saturating_add(255), Duration::from_secs(1))
        .circuit_src_per_ip(NonZeroU32::MIN.saturating_add(1023), Duration::from_millis(100));
    // Last, so that it counts only what the others let pass.
    let shares = shares.clone();
    config
        .circuit_src_rate_limiters
        .push(Box::new(move |peer, address: &Multiaddr, _| shares.take(peer, Network::of(address))));
    config
}

/// A relay's swarm that does not listen yet.
pub(super) fn build(keypair: Keypair, shares: &Shares) -> anyhow::Result<Swarm<Behaviour>> {
    let configure = |config: swarm::Config| {
        config
            .with_idle_connection_timeout(IDLE_TIMEOUT)
            .with_max_negotiating_inbound_streams(STREAMS_UNNAMED_MAX)
    };
    let muxing = || Muxing::new(RELAY_STREAMS_MAX);
    let builder = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, muxing)
        .context("TCP transport")?
        .with_quic_config(crate::swarm::quic);
    Ok(builder
        .with_behaviour(|keypair: &Keypair| Behaviour::new(keypair, shares))?
        .with_swarm_config(configure)
        .build())
}
