//! What the network tells of itself, in numbers and addresses: for `doctor`, the metrics and the
//! watchdog.
//!
//! The swarm task notes here what happens and fills a `Report` when one is ordered. Nothing of it
//! decides anything. Invariant: what is kept is bounded by the connections there are, by
//! `RELAYS_MAX` and by `TESTED_MAX`.

use std::collections::BTreeMap;

use libp2p::core::ConnectedPoint;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::relays::is_relayed;
use crate::limits::{RELAYS_MAX, TESTED_MAX};

/// How the network of a node does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "NetworkReport")]
pub struct Report {
    /// Devices connected, relays not counted.
    pub devices: u64,
    /// Connections, those to relays among them, by the way they take.
    pub connections: Vec<Connections>,
    /// The relays that are known.
    pub relays: Vec<Relay>,
    /// Whether the local network is looked over.
    pub near_on: bool,
    /// Nodes seen in the local network since the start.
    pub near_seen: u64,
    /// What relays see of this node.
    pub outside: Outside,
    /// What waits.
    pub queues: Queues,
    /// What happened since the start.
    pub counts: Counts,
}

/// Connections that take the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Connections {
    /// `direct` or `relayed`.
    pub path: String,
    /// `tcp` or `quic`: of a relayed one, that of the connection to the relay.
    pub transport: String,
    /// How many.
    pub count: u64,
}

/// A relay that a node knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Relay {
    /// Its name.
    pub peer_id: String,
    /// Where it is dialled; null if it was only named in somebody's address.
    pub address: Option<String>,
    /// Whether it is connected.
    pub connected: bool,
    /// Whether a place is held there, through which others reach this node.
    pub reserved: bool,
}

/// How a node looks from outside, as far as relays tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outside {
    /// What stands between this node and the relays.
    pub mapping: Mapping,
    /// Under which addresses relays see this node.
    pub observed: Vec<Observed>,
    /// Which of them a relay could dial from outside, and which not.
    pub tested: Vec<Tested>,
}

/// One address under which a relay sees this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Observed {
    /// The relay.
    pub relay: String,
    /// What it sees.
    pub address: String,
}

/// One address that a relay was asked to dial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tested {
    /// The address.
    pub address: String,
    /// Whether it led here.
    pub reachable: bool,
}

/// How the addresses of this node are translated on their way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mapping {
    /// Not known: no relay has told, or one alone, which cannot tell.
    #[default]
    Unknown,
    /// Relays see the very address that this node listens on.
    None,
    /// Another address, but the port that this node listens on.
    PortPreserving,
    /// Another port, the same one towards each relay.
    SamePort,
    /// Another port towards each relay: direct ways cannot be opened from such a network.
    PerPeer,
}

/// What waits in the network's task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "NetworkQueues")]
pub struct Queues {
    /// Events that the machine has not taken.
    pub arrivals: u64,
    /// Gossip that awaits a verdict.
    pub verdicts: u64,
    /// Addresses kept for dialling.
    pub addresses: u64,
    /// Devices refused for now, because they misbehaved.
    pub refused: u64,
}

/// What happened since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Connections opened.
    pub opened: u64,
    /// Connections closed.
    pub closed: u64,
    /// Dials that led nowhere.
    pub dials_failed: u64,
    /// Connections from outside that failed or were refused.
    pub inbound_failed: u64,
    /// Connections closed because they did not answer.
    pub unanswered: u64,
    /// Direct ways opened through translated addresses.
    pub punched: u64,
    /// Tries of that kind that failed.
    pub punches_failed: u64,
    /// Frames queued to devices, by kind.
    pub frames_sent: BTreeMap<String, Traffic>,
    /// Frames taken from devices, by kind.
    pub frames_received: BTreeMap<String, Traffic>,
    /// Gossip published.
    pub published: Traffic,
    /// Gossip heard.
    pub heard: Traffic,
    /// Gossip dropped for want of room.
    pub missed: u64,
    /// Searches begun.
    pub searches: u64,
    /// Frames and streams that no honest node sends.
    pub malformed: u64,
}

/// So many, of so many bytes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Traffic {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Traffic {
    /// Counts one more.
    pub(super) fn add(&mut self, bytes: usize) {
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

/// Counts a frame under its kind.
pub(super) fn add_frame(to: &mut BTreeMap<String, Traffic>, frame: &[u8]) {
    to.entry(fourword_protocol::wire::kind_of(frame).to_owned()).or_default().add(frame.len());
}

/// What the swarm task notes for reports.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) counts: Counts,
    pub(super) near_seen: u64,
    ways: BTreeMap<ConnectionId, Way>,
    observed: BTreeMap<(PeerId, bool), Multiaddr>,
    tested: BTreeMap<Multiaddr, bool>,
}

/// The way of a connection: path and transport.
type Way = (&'static str, &'static str);

impl Notes {
    /// Notes a connection.
    pub(super) fn opened(&mut self, connection: ConnectionId, endpoint: &ConnectedPoint) {
        self.counts.opened = self.counts.opened.saturating_add(1);
        let path = if endpoint.is_relayed() { "relayed" } else { "direct" };
        let address = match endpoint {
            ConnectedPoint::Dialer { address, .. } => address,
            ConnectedPoint::Listener { local_addr, .. } => local_addr,
        };
        self.ways.insert(connection, (path, if is_quic(address) { "quic" } else { "tcp" }));
    }

    /// Notes that a connection is gone.
    pub(super) fn closed(&mut self, connection: ConnectionId) {
        self.counts.closed = self.counts.closed.saturating_add(1);
        self.ways.remove(&connection);
    }

    /// Notes under which address a relay sees this node.
    pub(super) fn observed(&mut self, relay: PeerId, address: Multiaddr) {
        let key = (relay, is_quic(&address));
        if !is_relayed(&address) && (self.observed.len() < 2 * RELAYS_MAX || self.observed.contains_key(&key))
        {
            self.observed.insert(key, address);
        }
    }

    /// Notes whether a relay could dial an address.
    pub(super) fn tested(&mut self, address: Multiaddr, reachable: bool) {
        if self.tested.len() < TESTED_MAX || self.tested.contains_key(&address) {
            self.tested.insert(address, reachable);
        }
    }

    /// The connections by their way; each way is there, also with none.
    pub(super) fn connections(&self) -> Vec<Connections> {
        let ways = [("direct", "tcp"), ("direct", "quic"), ("relayed", "tcp"), ("relayed", "quic")];
        let count = |way: Way| self.ways.values().filter(|taken| **taken == way).count();
        let line = |way: Way| Connections {
            path: way.0.to_owned(),
            transport: way.1.to_owned(),
            count: u64::try_from(count(way)).unwrap_or(u64::MAX),
        };
        ways.map(line).into()
    }

    /// How this node looks from outside. `own` are the addresses it listens on.
    pub(super) fn outside(&self, own: &[Multiaddr]) -> Outside {
        let observed = self
            .observed
            .iter()
            .map(|((relay, _), address)| Observed { relay: relay.to_string(), address: address.to_string() });
        let tested = self.tested.iter();
        let tested =
            tested.map(|(address, reachable)| Tested { address: address.to_string(), reachable: *reachable });
        let seen: Vec<&Multiaddr> = self.observed.values().collect();
        Outside { mapping: mapping(&seen, own), observed: observed.collect(), tested: tested.collect() }
    }
}

/// What the observed addresses say of the translation between here and the relays.
fn mapping(seen: &[&Multiaddr], own: &[Multiaddr]) -> Mapping {
    let places: Vec<Place> = seen.iter().filter_map(|address| place(address)).collect();
    let own: Vec<Place> = own.iter().filter_map(place).collect();
    if places.is_empty() || own.is_empty() {
        return Mapping::Unknown;
    }
    if places.iter().all(|place| own.contains(place)) {
        return Mapping::None;
    }
    let kept = |(_, quic, port): &Place| own.iter().any(|(_, q, p)| (q, p) == (quic, port));
    if places.iter().all(kept) {
        return Mapping::PortPreserving;
    }
    let of = |quic: bool| places.iter().filter(move |place| place.1 == quic).map(|place| place.2);
    let differs = |quic: bool| of(quic).min() != of(quic).max();
    let agrees = |quic: bool| of(quic).count() > 1 && !differs(quic);
    match (differs(false) || differs(true), agrees(false) || agrees(true)) {
        (true, _) => Mapping::PerPeer,
        (false, true) => Mapping::SamePort,
        (false, false) => Mapping::Unknown,
    }
}

/// Host, whether over QUIC, and port.
type Place = (std::net::IpAddr, bool, u16);

fn place(address: &Multiaddr) -> Option<Place> {
    let mut parts = address.iter();
    let host = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) => Some((host, false, port)),
        Protocol::Udp(port) => Some((host, true, port)),
        _ => None,
    }
}

fn is_quic(address: &Multiaddr) -> bool {
    address.iter().any(|part| matches!(part, Protocol::Udp(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(seen: &[&str], own: &[&str]) -> Mapping {
        let parse =
            |texts: &[&str]| -> Vec<Multiaddr> { texts.iter().map(|text| text.parse().unwrap()).collect() };
        mapping(&parse(seen).iter().collect::<Vec<_>>(), &parse(own))
    }

    #[test]
    fn what_relays_see_tells_how_addresses_are_translated() {
        let own = ["/ip4/10.0.0.5/tcp/4001", "/ip4/10.0.0.5/udp/4002/quic-v1"];
        assert_eq!(judged(&[], &own), Mapping::Unknown);
        assert_eq!(judged(&["/ip4/10.0.0.5/tcp/4001"], &own), Mapping::None);
        let kept = ["/ip4/192.0.2.1/tcp/4001", "/ip4/192.0.2.1/udp/4002/quic-v1"];
        assert_eq!(judged(&kept, &own), Mapping::PortPreserving);
        assert_eq!(judged(&["/ip4/192.0.2.1/tcp/4002"], &own), Mapping::Unknown, "the port of the other one");
        assert_eq!(judged(&["/ip4/192.0.2.1/tcp/50000"], &own), Mapping::Unknown, "one alone cannot tell");
        let same = ["/ip4/192.0.2.1/tcp/50000", "/ip4/192.0.2.1/tcp/50000"];
        assert_eq!(judged(&same, &own), Mapping::SamePort);
        let each = ["/ip4/192.0.2.1/tcp/50000", "/ip4/192.0.2.1/tcp/50001"];
        assert_eq!(judged(&each, &own), Mapping::PerPeer);
    }

    #[test]
    fn what_is_noted_of_the_outside_is_bounded() {
        let mut notes = Notes::default();
        for number in 0..3 * RELAYS_MAX {
            let address: Multiaddr = format!("/ip4/192.0.2.1/tcp/{}", number + 1).parse().unwrap();
            notes.observed(PeerId::random(), address.clone());
            notes.tested(address, true);
        }
        let outside = notes.outside(&[]);
        assert_eq!((outside.observed.len(), outside.tested.len()), (2 * RELAYS_MAX, TESTED_MAX));
    }
}
