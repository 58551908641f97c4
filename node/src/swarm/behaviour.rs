//! Composes the libp2p protocols a node speaks and builds its swarm.
//!
//! All settings that differ from the library's defaults are here, each with its reason. Gossip is
//! unsigned because envelopes carry their own signatures, and named by content so that one
//! envelope published twice is heard once.

use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use fourword_protocol::limits::{ENVELOPE_BYTES_MAX, PEERS_MAX};
use libp2p::allow_block_list::{self, BlockedPeers};
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::gossipsub::{
    self, IdentityTransform, MaxCountSubscriptionFilter, MessageAuthenticity, MessageId, ValidationMode,
};
use libp2p::identity::Keypair;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::{self, NetworkBehaviour, Swarm};
use libp2p::{PeerId, SwarmBuilder, dcutr, dns, identify, mdns, noise, relay, tcp};

use super::circle::Circle;
use super::door::{Bounds, Door};
use super::gossip::OurTopics;
use super::muxing::Muxing;
use super::{finding, reaching, streams};
use crate::limits::{
    CONNECTIONS_PER_DEVICE_MAX, GOSSIP_BYTES_MAX, GOSSIP_QUEUE_MAX, GUEST_STAY, GUESTS_MAX,
    GUESTS_PER_NETWORK_MAX, IDLE_TIMEOUT, INBOUND_MAX, OUTBOUND_MAX, PENDING_INBOUND_MAX,
    PENDING_OUTBOUND_MAX, PENDING_PER_NETWORK_MAX, QUIC_CONNECTION_BYTES_MAX, QUIC_STREAM_BYTES_MAX,
    STREAMS_INBOUND_MAX, STREAMS_UNNAMED_MAX, TOPICS_MAX, VISITS_MAX,
};

/// Told to every peer; the program's version is nobody's business.
pub(crate) const IDENTIFY_PROTOCOL: &str = "/fourword/1";
pub(crate) const IDENTIFY_AGENT: &str = "fourword";

const _: () = assert!(ENVELOPE_BYTES_MAX < GOSSIP_BYTES_MAX);

type Gossip = gossipsub::Behaviour<IdentityTransform, MaxCountSubscriptionFilter<OurTopics>>;

/// The protocols of one node.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    /// First, so that what they refuse costs nothing more.
    pub(super) limits: connection_limits::Behaviour,
    pub(super) door: Door,
    pub(super) refused: allow_block_list::Behaviour<BlockedPeers>,
    pub(super) identify: identify::Behaviour,
    pub(super) gossip: Circle<Gossip>,
    pub(super) streams: streams::Behaviour,
    pub(super) table: finding::Table,
    pub(super) circuits: relay::client::Behaviour,
    pub(super) punching: dcutr::Behaviour,
    pub(super) near: Toggle<mdns::tokio::Behaviour>,
    pub(super) reaching: reaching::Behaviour,
}

impl Behaviour {
    fn new(keypair: &Keypair, circuits: relay::client::Behaviour, near: bool) -> anyhow::Result<Behaviour> {
        let own = keypair.public().to_peer_id();
        // Listen addresses include loopback, which makes peers dial themselves; the swarm task
        // names those that others can use. Nothing of what peers claim is cached.
        let identify = identify::Config::new(IDENTIFY_PROTOCOL.to_string(), keypair.public())
            .with_agent_version(IDENTIFY_AGENT.to_string())
            .with_hide_listen_addrs(true)
            .with_cache_size(0);
        Ok(Behaviour {
            limits: connection_limits::Behaviour::new(limits()),
            door: Door::new(BOUNDS),
            refused: allow_block_list::Behaviour::default(),
            identify: identify::Behaviour::new(identify),
            gossip: Circle::new(gossip()?),
            streams: streams::Behaviour::default(),
            table: finding::table(own),
            circuits,
            punching: dcutr::Behaviour::new(own),
            near: Toggle::from(near.then(|| see_near(own)).flatten()),
            reaching: reaching::Behaviour::default(),
        })
    }
}

/// Looks around in the local network; where that is impossible, all else works.
fn see_near(own: PeerId) -> Option<mdns::tokio::Behaviour> {
    let near = mdns::tokio::Behaviour::new(mdns::Config::default(), own);
    near.inspect_err(|error| tracing::warn!(%error, "cannot look for nodes in the local network")).ok()
}

/// What strangers may take of the connections.
const BOUNDS: Bounds = Bounds {
    handshakes_per_network: PENDING_PER_NETWORK_MAX,
    guests: GUESTS_MAX,
    guests_per_network: GUESTS_PER_NETWORK_MAX,
    visits: VISITS_MAX,
    stay: GUEST_STAY,
};

fn limits() -> ConnectionLimits {
    ConnectionLimits::default()
        .with_max_pending_incoming(Some(PENDING_INBOUND_MAX))
        .with_max_pending_outgoing(Some(PENDING_OUTBOUND_MAX))
        .with_max_established_incoming(Some(INBOUND_MAX))
        .with_max_established_outgoing(Some(OUTBOUND_MAX))
        .with_max_established(u32::try_from(PEERS_MAX).ok())
        .with_max_established_per_peer(Some(CONNECTIONS_PER_DEVICE_MAX))
}

fn gossip() -> anyhow::Result<Gossip> {
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(message.topic.as_str().as_bytes()).update(&message.data);
            MessageId::new(hasher.finalize().as_bytes())
        })
        .max_transmit_size(GOSSIP_BYTES_MAX)
        // Subscriptions count as control: at the default, 205 topics silently become none.
        .max_control_message_size(GOSSIP_BYTES_MAX)
        .mesh_n(4)
        .mesh_n_low(2)
        .mesh_n_high(8)
        .mesh_outbound_min(1)
        .heartbeat_interval(Duration::from_millis(500))
        .heartbeat_initial_delay(Duration::from_millis(500))
        // Messages wait for our verdict in this cache: twelve heartbeats are six seconds.
        .history_length(12)
        .prune_backoff(Duration::from_secs(5))
        .flood_publish(true)
        .duplicate_cache_time(Duration::from_secs(60))
        .connection_handler_queue_len(GOSSIP_QUEUE_MAX)
        .build()
        .context("gossip settings")?;
    let filter = MaxCountSubscriptionFilter {
        filter: OurTopics,
        max_subscribed_topics: TOPICS_MAX,
        max_subscriptions_per_request: TOPICS_MAX,
    };
    Gossip::new_with_subscription_filter(MessageAuthenticity::Anonymous, config, filter)
        .map_err(|reason| anyhow::anyhow!("gossip settings: {reason}"))
}

/// A dead path is noticed after eight seconds, so that a relay that was restarted is missed and back
/// within ten, and a quiet one kept open; unread data is bounded.
pub(crate) fn quic(mut config: libp2p::quic::Config) -> libp2p::quic::Config {
    config.max_idle_timeout = 8_000;
    config.keep_alive_interval = Duration::from_millis(2500);
    config.max_connection_data = QUIC_CONNECTION_BYTES_MAX;
    config.max_stream_data = QUIC_STREAM_BYTES_MAX;
    config
}

/// A swarm under this key that does not listen yet.
pub(super) fn build(keypair: Keypair, near: bool) -> anyhow::Result<Swarm<Behaviour>> {
    let configure = |config: swarm::Config| {
        config
            .with_idle_connection_timeout(IDLE_TIMEOUT)
            .with_max_negotiating_inbound_streams(STREAMS_UNNAMED_MAX)
    };
    // Only relays that we dial carry many streams: their circuits.
    let muxing = || Muxing::new(STREAMS_INBOUND_MAX);
    let behaviour = |keypair: &Keypair, circuits: relay::client::Behaviour| {
        Behaviour::new(keypair, circuits, near).map_err(|error| error.into())
    };
    let builder = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, muxing)
        .context("TCP transport")?
        .with_quic_config(quic);
    // Where the system has no resolver, names cannot be dialled, and all else works.
    let swarm = if Path::new("/etc/resolv.conf").exists() || cfg!(not(unix)) {
        let builder = builder.with_dns().map_err(io::Error::other).context("/etc/resolv.conf")?;
        let builder = builder.with_relay_client(noise::Config::new, muxing)?;
        builder.with_behaviour(behaviour)?.with_swarm_config(configure).build()
    } else {
        let (resolvers, options) = (dns::ResolverConfig::default(), dns::ResolverOpts::default());
        let builder = builder.with_dns_config(resolvers, options);
        let builder = builder.with_relay_client(noise::Config::new, muxing)?;
        builder.with_behaviour(behaviour)?.with_swarm_config(configure).build()
    };
    Ok(swarm)
}

#[cfg(test)]
mod tests {
    use libp2p::Multiaddr;
    use libp2p::core::transport::PortUse;
    use libp2p::core::{ConnectedPoint, Endpoint};
    use libp2p::swarm::{ConnectionId, FromSwarm, behaviour::ConnectionEstablished};

    use super::*;

    /// Connects another device, in or out. False if that is refused.
    fn connect(limits: &mut connection_limits::Behaviour, number: usize, outward: bool) -> bool {
        let (connection_id, peer_id) = (ConnectionId::new_unchecked(number), PeerId::random());
        let address: Multiaddr = "/memory/1".parse().unwrap();
        let (taken, endpoint) = if outward {
            let (role_override, port_use) = (Endpoint::Dialer, PortUse::New);
            let taken = limits.handle_established_outbound_connection(
                connection_id,
                peer_id,
                &address,
                role_override,
                port_use,
            );
            (taken.is_ok(), ConnectedPoint::Dialer { address, role_override, port_use })
        } else {
            let (local_addr, send_back_addr) = (address.clone(), address);
            let taken = limits.handle_established_inbound_connection(
                connection_id,
                peer_id,
                &local_addr,
                &send_back_addr,
            );
            (taken.is_ok(), ConnectedPoint::Listener { local_addr, send_back_addr })
        };
        if taken {
            limits.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint: &endpoint,
                failed_addresses: &[],
                other_established: 0,
            }));
        }
        taken
    }

    #[test]
    fn as_many_devices_are_met_as_may_be_and_strangers_leave_room_for_those_dialled() {
        let mut limits = connection_limits::Behaviour::new(limits());
        let numbers = 0..2 * PEERS_MAX;
        let met = numbers.clone().filter(|number| connect(&mut limits, *number, false)).count();
        let dialled = numbers.filter(|number| connect(&mut limits, PEERS_MAX * 2 + number, true)).count();
        assert_eq!((met, dialled), (INBOUND_MAX as usize, OUTBOUND_MAX as usize));
        assert_eq!(met + dialled, PEERS_MAX);
    }
}
