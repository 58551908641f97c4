//! Keeps which relays this node knows, and through which of them it can be reached.
//!
//! A relay passes on connections that it cannot read into, and remembers who offers to be found
//! under a key. The swarm task tells what became of connections and listeners, and asks what is due.
//! A relay is no device of anybody: there is never a session with one. Invariant: at most
//! `RELAYS_MAX` relays are known, and at most `RESERVATIONS_MAX` reservations are held or asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};
use tokio::time::Instant;

use super::dial::jitter;
use super::report;
use crate::limits::{REDIAL_LAST, RELAYS_MAX, RESERVATIONS_MAX, RESERVE_FIRST, SURPLUS_AFTER};

/// The relays that a node knows.
#[derive(Default)]
pub(super) struct Relays {
    known: BTreeMap<PeerId, Relay>,
}

struct Relay {
    /// Where it is dialled, with its peer id at the end; `None` if it is another's choice, named in
    /// an address that was dialled.
    address: Option<Multiaddr>,
    /// Direct connections to it, each with the time since when it is, the oldest first: that one
    /// carries the reservation.
    links: Vec<(ConnectionId, Instant)>,
    reservation: Option<ListenerId>,
    /// The place that was asked for was granted.
    is_reserved: bool,
    wait: Duration,
    due: Instant,
}

impl Relay {
    fn is_connected(&self) -> bool {
        !self.links.is_empty()
    }
}

impl Relays {
    /// Takes a relay that the node was started with. Fails with words for a person.
    pub(super) fn add(&mut self, text: &str) -> Result<(), String> {
        let address: Multiaddr = text.parse().map_err(|_| "this is not a multiaddr".to_string())?;
        let Some(Protocol::P2p(peer)) = address.iter().last() else {
            return Err("it must end with /p2p/ and the relay's peer id".to_string());
        };
        if is_relayed(&address) {
            return Err("a relay is not reached through another relay".to_string());
        }
        self.know(peer, Some(address))
    }

    /// The relays that the node was started with.
    pub(super) fn own(&self) -> impl Iterator<Item = PeerId> {
        self.known.iter().filter(|(_, relay)| relay.address.is_some()).map(|(peer, _)| *peer)
    }

    /// Forgets what addresses said of devices, that they are relays. Gives those that are connected.
    pub(super) fn none_of(&mut self, devices: &BTreeSet<PeerId>) -> Vec<PeerId> {
        let wrong = |peer: &PeerId, relay: &mut Relay| relay.address.is_none() && devices.contains(peer);
        let gone = self.known.extract_if(.., |peer, relay| wrong(peer, relay));
        gone.filter(|(_, relay)| relay.is_connected()).map(|(peer, _)| peer).collect()
    }

    /// Takes note of the relay in an address that leads through one, unless that is a device: anybody
    /// can write an address, and with a relay there is never a session.
    pub(super) fn note(&mut self, address: &Multiaddr, is_device: impl Fn(&PeerId) -> bool) {
        let parts: Vec<Protocol<'_>> = address.iter().collect();
        let at = parts.iter().position(|part| matches!(part, Protocol::P2pCircuit));
        if let Some(Protocol::P2p(peer)) = at.and_then(|at| at.checked_sub(1)).and_then(|at| parts.get(at))
            && !is_device(peer)
        {
            // Without room the relay is met as a device that speaks no sync protocol.
            let _ = self.know(*peer, None);
        }
    }

    fn know(&mut self, peer: PeerId, address: Option<Multiaddr>) -> Result<(), String> {
        if let Some(relay) = self.known.get_mut(&peer) {
            relay.address = address.or(relay.address.take());
            return Ok(());
        }
        if self.known.len() >= RELAYS_MAX {
            return Err(format!("no more than {RELAYS_MAX} relays are kept"));
        }
        let (wait, due) = (RESERVE_FIRST, Instant::now());
        let (links, reservation, is_reserved) = (Vec::new(), None, false);
        self.known.insert(peer, Relay { address, links, reservation, is_reserved, wait, due });
        Ok(())
    }

    /// Whether a peer is known as a relay.
    pub(super) fn is_relay(&self, peer: &PeerId) -> bool {
        self.known.contains_key(peer)
    }

    /// Whether a relay is connected.
    pub(super) fn is_connected(&self, peer: &PeerId) -> bool {
        self.known.get(peer).is_some_and(Relay::is_connected)
    }

    /// Whether a peer is a relay that the node was started with.
    pub(super) fn is_ours(&self, peer: &PeerId) -> bool {
        self.known.get(peer).is_some_and(|relay| relay.address.is_some())
    }

    /// How each relay does.
    pub(super) fn report(&self) -> Vec<report::Relay> {
        let line = |(peer, relay): (&PeerId, &Relay)| report::Relay {
            peer_id: peer.to_string(),
            address: relay.address.as_ref().map(ToString::to_string),
            connected: relay.is_connected(),
            reserved: relay.is_reserved,
        };
        self.known.iter().map(line).collect()
    }

    /// Notes a connection. Gives where the relay is dialled if it is one of this node's and was not
    /// connected before.
    pub(super) fn connected(
        &mut self,
        peer: &PeerId,
        connection: ConnectionId,
        now: Instant,
    ) -> Option<Multiaddr> {
        let relay = self.known.get_mut(peer)?;
        relay.links.push((connection, now));
        if relay.links.len() > 1 {
            return None;
        }
        (relay.wait, relay.due) = (RESERVE_FIRST, now);
        relay.address.clone()
    }

    /// Notes that a connection is gone.
    pub(super) fn disconnected(&mut self, peer: &PeerId, connection: ConnectionId) {
        if let Some(relay) = self.known.get_mut(peer) {
            relay.links.retain(|(link, _)| *link != connection);
        }
    }

    /// The connections to close because an older one to the same relay serves.
    pub(super) fn surplus(&self, now: Instant) -> impl Iterator<Item = ConnectionId> {
        let younger = self.known.values().flat_map(|relay| relay.links.iter().skip(1));
        younger.filter(move |(_, since)| now - *since >= SURPLUS_AFTER).map(|(connection, _)| *connection)
    }

    // -- reservations -------------------------------------------------------------------------

    /// The connected relays at which a place is to be asked for now, and the addresses to listen on.
    pub(super) fn to_reserve(&self, now: Instant) -> Vec<(PeerId, Multiaddr)> {
        let held = self.known.values().filter(|relay| relay.reservation.is_some()).count();
        let free = self.known.iter().filter(|(_, relay)| relay.is_connected() && relay.reservation.is_none());
        let due = free.filter(|(_, relay)| relay.due <= now);
        let own =
            due.filter_map(|(peer, relay)| Some((*peer, relay.address.clone()?.with(Protocol::P2pCircuit))));
        own.take(RESERVATIONS_MAX.saturating_sub(held)).collect()
    }

    /// Notes that a place was asked for; `None` if even that failed.
    pub(super) fn reserving(&mut self, peer: PeerId, listener: Option<ListenerId>, now: Instant) {
        let Some(relay) = self.known.get_mut(&peer) else { return };
        (relay.reservation, relay.is_reserved) = (listener, false);
        relay.due = now + jitter(relay.wait);
        relay.wait = (relay.wait * 2).min(REDIAL_LAST);
    }

    /// Notes that a relay has granted a place: the next loss is mended soon again.
    pub(super) fn reserved(&mut self, peer: &PeerId) {
        if let Some(relay) = self.known.get_mut(peer) {
            (relay.wait, relay.is_reserved) = (RESERVE_FIRST, true);
        }
    }

    /// Notes that a listener is gone. True if it was a reservation.
    pub(super) fn closed(&mut self, listener: ListenerId) -> bool {
        let relay = self.known.values_mut().find(|relay| relay.reservation == Some(listener));
        relay.is_some_and(|relay| {
            relay.is_reserved = false;
            relay.reservation.take().is_some()
        })
    }

    /// When a place is to be asked for, if one is missing.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let held = self.known.values().filter(|relay| relay.reservation.is_some()).count();
        let open = self
            .known
            .values()
            .filter(|relay| relay.is_connected() && relay.reservation.is_none() && relay.address.is_some());
        open.map(|relay| relay.due).min().filter(|_| held < RESERVATIONS_MAX)
    }

    // -- ways ---------------------------------------------------------------------------------

    /// The addresses under which a peer can be tried through this node's relays.
    pub(super) fn ways_to(&self, peer: PeerId) -> Vec<Multiaddr> {
        let own = self.known.values().filter(|relay| relay.is_connected());
        let own = own.filter_map(|relay| relay.address.clone());
        own.map(|address| address.with(Protocol::P2pCircuit).with(Protocol::P2p(peer))).collect()
    }
}

/// Whether an address leads through a relay.
pub(super) fn is_relayed(address: &Multiaddr) -> bool {
    address.iter().any(|part| matches!(part, Protocol::P2pCircuit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(number: u8) -> (PeerId, String) {
        let peer = PeerId::random();
        (peer, format!("/ip4/192.0.2.{number}/tcp/4001/p2p/{peer}"))
    }

    fn link(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    #[test]
    fn of_two_connections_to_a_relay_the_older_one_stays() {
        let ((mut relays, peers), now) = (with(2), Instant::now());
        for (number, peer) in [(1, peers[0]), (2, peers[1]), (3, peers[0])] {
            relays.connected(&peer, link(number), now);
        }
        assert_eq!(relays.surplus(now).count(), 0, "the other side may have dialled too");
        let later = now + SURPLUS_AFTER;
        assert_eq!(relays.surplus(later).collect::<Vec<_>>(), [link(3)]);
        relays.disconnected(&peers[0], link(1));
        assert_eq!(relays.surplus(later).count(), 0, "the last one is never surplus");
    }

    fn with(count: u8) -> (Relays, Vec<PeerId>) {
        let mut relays = Relays::default();
        let peers = (1..=count).map(|number| {
            let (peer, address) = relay(number);
            relays.add(&address).unwrap();
            peer
        });
        let peers = peers.collect();
        (relays, peers)
    }

    #[test]
    fn places_are_held_at_two_relays_and_a_third_takes_over() {
        let ((mut relays, peers), now) = (with(3), Instant::now());
        assert!(relays.to_reserve(now).is_empty(), "none is connected");
        for peer in &peers {
            assert!(relays.connected(peer, link(1), now).is_some());
            assert!(relays.connected(peer, link(2), now).is_none(), "a second connection is nothing new");
        }
        let asked = relays.to_reserve(now);
        assert_eq!(asked.len(), RESERVATIONS_MAX);
        let listeners: Vec<ListenerId> = asked.iter().map(|_| ListenerId::next()).collect();
        for ((peer, address), listener) in asked.iter().zip(&listeners) {
            assert!(is_relayed(address));
            relays.reserving(*peer, Some(*listener), now);
            relays.reserved(peer);
        }
        assert!(relays.to_reserve(now).is_empty());
        assert_eq!(relays.next_due(), None);

        assert!(relays.closed(listeners[0]));
        assert!(!relays.closed(listeners[0]));
        relays.disconnected(&asked[0].0, link(1));
        relays.disconnected(&asked[0].0, link(2));
        let others = relays.to_reserve(now);
        assert_eq!(others.len(), 1);
        assert!(!asked.iter().any(|(peer, _)| *peer == others[0].0), "the third one");
    }

    #[test]
    fn a_relay_that_refuses_is_asked_less_and_less() {
        let ((mut relays, peers), mut now) = (with(1), Instant::now());
        relays.connected(&peers[0], link(1), now);
        let mut longest = RESERVE_FIRST;
        for _ in 0..12 {
            assert_eq!(relays.to_reserve(now).len(), 1);
            relays.reserving(peers[0], Some(ListenerId::next()), now);
            let listener = relays.known[&peers[0]].reservation.unwrap();
            relays.closed(listener);
            let due = relays.next_due().unwrap();
            assert!(due >= now + longest / 2 && due <= now + longest);
            assert!(relays.to_reserve(due - Duration::from_millis(1)).is_empty());
            (now, longest) = (due, (longest * 2).min(REDIAL_LAST));
        }
    }

    #[test]
    fn a_peer_is_tried_through_connected_relays_of_ours_alone() {
        let ((mut relays, peers), now) = (with(2), Instant::now());
        let (other, address) = relay(9);
        relays.note(&format!("{address}/p2p-circuit/p2p/{}", PeerId::random()).parse().unwrap(), |_| false);
        assert!(relays.is_relay(&other));
        relays.connected(&other, link(1), now);
        assert!(relays.ways_to(PeerId::random()).is_empty());
        relays.connected(&peers[1], link(2), now);
        let ways = relays.ways_to(PeerId::random());
        assert_eq!(ways.len(), 1);
        assert!(ways[0].to_string().contains(&peers[1].to_string()));
        assert!(relays.to_reserve(now).iter().all(|(peer, _)| *peer == peers[1]));
    }

    #[test]
    fn an_address_does_not_make_a_relay_of_a_device() {
        let (mut relays, (device, address)) = (Relays::default(), relay(1));
        let through = format!("{address}/p2p-circuit/p2p/{}", PeerId::random()).parse().unwrap();
        relays.note(&through, |peer| *peer == device);
        assert!(!relays.is_relay(&device));

        // Said before it was known to be one.
        relays.note(&through, |_| false);
        relays.connected(&device, ConnectionId::new_unchecked(1), Instant::now());
        assert_eq!(relays.none_of(&BTreeSet::from([device])), [device]);
        assert!(!relays.is_relay(&device));
    }

    #[test]
    fn as_many_relays_are_known_as_may_be_and_no_more() {
        let mut relays = Relays::default();
        for number in 0..RELAYS_MAX {
            relays.add(&relay(number as u8).1).unwrap();
        }
        assert!(relays.add(&relay(250).1).is_err());
        assert!(relays.add("/ip4/192.0.2.1/tcp/4001").is_err(), "without a peer id");
        assert!(relays.add("nonsense").is_err());
    }
}
