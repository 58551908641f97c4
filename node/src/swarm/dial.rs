//! Decides which addresses are dialled, and when they are dialled again.
//!
//! The swarm task asks what is due, dials it, and says what became of it: libp2p itself dials
//! nothing twice. An address is left alone while its device is connected as well as it could be
//! by it. Waits double from `REDIAL_FIRST` to `REDIAL_MISSED` for who was there until lately, to
//! `REDIAL_GIVEN_LAST` for addresses of the settings and to `REDIAL_LAST` for the others, with jitter,
//! so that nodes cut off together do not return in step. Invariant: at most `ADDRESSES_MAX` addresses
//! are kept, and none is dialled twice at once.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::time::Duration;

use libp2p::core::transport::TransportError;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError};
use libp2p::{Multiaddr, PeerId};
use tokio::time::Instant;

use super::relays::is_relayed;
use crate::limits::{
    ADDRESSES_MAX, MISSED_FOR, NEAR_MAX, REDIAL_FIRST, REDIAL_GIVEN_LAST, REDIAL_LAST, REDIAL_MISSED,
};

/// A connection that lived so long was no refusal.
pub(super) const SOUND_AFTER: Duration = Duration::from_secs(10);

/// The addresses worth dialling.
pub(super) struct DialBook {
    own: PeerId,
    entries: BTreeMap<String, Entry>,
    next_order: u64,
}

struct Entry {
    address: Multiaddr,
    /// Named by the address, or met at it.
    peer: Option<PeerId>,
    /// Whoever gave the address waits to hear of the first dial.
    asked: bool,
    why: Why,
    /// It leads through a relay.
    relayed: bool,
    /// The relay and the device at its other end: however the relay is addressed, one circuit at a
    /// time is enough.
    circuit: Option<(PeerId, PeerId)>,
    dialling: Option<ConnectionId>,
    /// A dial of it has led to its device.
    worked: bool,
    /// When the last sound connection to its device ended, by whatever way.
    lost: Option<Instant>,
    wait: Duration,
    due: Instant,
    /// The order in which addresses were given: the oldest makes room.
    order: u64,
}

/// Why an address is dialled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Somebody asked for it, and is told if the first dial fails.
    Asked,
    /// The node was started with it: never forgotten.
    Given,
    /// It was seen in the local network.
    Near,
    /// It may lead to a device of which only the name is known: forgotten if it does not.
    Guessed,
}

/// How far a device is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// Not at all.
    No,
    /// Through relays alone: a direct way is still worth a dial.
    Relayed,
    /// Directly.
    Direct,
}

/// What is told of an address whose device turns out to be connected.
pub(super) const ALREADY: &str = "its device is connected already";

impl Entry {
    /// Waits, and longer the next time.
    fn rest(&mut self, reached: Reached, now: Instant) {
        let missed = self.lost.is_some_and(|lost| now - lost < MISSED_FOR);
        // While there is a way through a relay, only what was a better one before is in a hurry.
        let hurry = reached == Reached::No || self.worked;
        let longest = match self.why {
            _ if missed && hurry => REDIAL_MISSED,
            Why::Given if hurry => REDIAL_GIVEN_LAST,
            _ => REDIAL_LAST,
        };
        self.due = now + jitter(self.wait.min(longest));
        self.wait = (self.wait * 2).min(longest);
    }
}

impl DialBook {
    /// An empty book of the node with this peer id.
    pub(super) fn new(own: PeerId) -> DialBook {
        DialBook { own, entries: BTreeMap::new(), next_order: 0 }
    }

    /// Adds an address, due at once. Fails with words for a person if it is no address or this
    /// node's own, or if its device is connected, in which case the address is kept all the same.
    pub(super) fn add(
        &mut self,
        text: &str,
        why: Why,
        reached: impl Fn(&PeerId) -> Reached,
        now: Instant,
    ) -> Result<(), String> {
        let address: Multiaddr = text.parse().map_err(|_| "this is not a multiaddr".to_string())?;
        let peer = named_peer(&address);
        if peer == Some(self.own) {
            return Err("this is the node's own address".to_string());
        }
        let is_connected = peer.as_ref().is_some_and(|peer| reached(peer) != Reached::No);
        let asked = why == Why::Asked && !is_connected;
        if let Some(entry) = self.entries.get_mut(text) {
            entry.asked |= asked;
            if matches!(why, Why::Asked | Why::Given) {
                (entry.wait, entry.due) = (REDIAL_FIRST, now);
            }
            if why == Why::Given || entry.why == Why::Guessed {
                entry.why = why;
            }
        } else {
            if why == Why::Near && self.count(Why::Near) >= NEAR_MAX {
                return Err("too many nodes are near".to_string());
            }
            self.make_room();
            let (relayed, circuit, order) = (is_relayed(&address), circuit(&address), self.next_order);
            let (dialling, worked, lost, wait, due) = (None, false, None, REDIAL_FIRST, now);
            let entry = Entry {
                address,
                peer,
                asked,
                why,
                relayed,
                circuit,
                dialling,
                worked,
                lost,
                wait,
                due,
                order,
            };
            self.entries.insert(text.to_string(), entry);
            self.next_order += 1;
        }
        if is_connected { Err(ALREADY.to_string()) } else { Ok(()) }
    }

    fn count(&self, why: Why) -> usize {
        self.entries.values().filter(|entry| entry.why == why).count()
    }

    fn make_room(&mut self) {
        if self.entries.len() < ADDRESSES_MAX {
            return;
        }
        let idle = self.entries.iter().filter(|(_, entry)| entry.dialling.is_none());
        let oldest = idle.filter(|(_, entry)| entry.why != Why::Given);
        if let Some(text) = oldest.min_by_key(|(_, entry)| entry.order).map(|(text, _)| text.clone()) {
            self.entries.remove(&text);
        }
    }

    /// How many addresses are kept.
    pub(super) fn kept(&self) -> usize {
        self.entries.len()
    }

    /// When something will be due; `None` while there is nothing to dial.
    pub(super) fn next_due(&self, reached: impl Fn(&PeerId) -> Reached) -> Option<Instant> {
        self.waiting(&reached).map(|(_, entry)| entry.due).min()
    }

    /// The addresses to dial now, as they were given and as they were read.
    pub(super) fn due(&self, now: Instant, reached: impl Fn(&PeerId) -> Reached) -> Vec<(String, Multiaddr)> {
        let mut circuits = BTreeSet::new();
        let due = self.waiting(&reached).filter(|(_, entry)| entry.due <= now);
        let due = due.filter(|(_, entry)| entry.circuit.is_none_or(|circuit| circuits.insert(circuit)));
        due.map(|(text, entry)| (text.clone(), entry.address.clone())).collect()
    }

    fn waiting(&self, reached: &impl Fn(&PeerId) -> Reached) -> impl Iterator<Item = (&String, &Entry)> {
        let dialled = self.entries.values().filter(|entry| entry.dialling.is_some());
        let circuits: BTreeSet<(PeerId, PeerId)> = dialled.filter_map(|entry| entry.circuit).collect();
        let idle = self.entries.iter().filter(|(_, entry)| entry.dialling.is_none());
        let idle = idle.filter(move |(_, entry)| !entry.circuit.is_some_and(|way| circuits.contains(&way)));
        idle.filter(move |(_, entry)| match entry.peer.as_ref().map_or(Reached::No, reached) {
            Reached::No => true,
            Reached::Relayed => !entry.relayed,
            Reached::Direct => false,
        })
    }

    /// Notes that an address is being dialled.
    pub(super) fn dialling(&mut self, text: &str, connection: ConnectionId) {
        if let Some(entry) = self.entries.get_mut(text) {
            entry.dialling = Some(connection);
        }
    }

    /// Notes that a dial led to this peer; returns the address if whoever gave it waits to hear.
    pub(super) fn connected(&mut self, connection: ConnectionId, peer: PeerId) -> Option<String> {
        let (text, entry) = self.dialled(connection)?;
        entry.dialling = None;
        entry.peer = Some(peer);
        entry.worked = true;
        if entry.why == Why::Guessed {
            entry.why = Why::Asked;
        }
        std::mem::take(&mut entry.asked).then(|| text.clone())
    }

    fn dialled(&mut self, connection: ConnectionId) -> Option<(&String, &mut Entry)> {
        self.entries.iter_mut().find(|(_, entry)| entry.dialling == Some(connection))
    }

    /// Notes that a dial led nowhere; returns the address if whoever gave it waits to hear.
    pub(super) fn failed(
        &mut self,
        connection: ConnectionId,
        reached: impl Fn(&PeerId) -> Reached,
        now: Instant,
    ) -> Option<String> {
        let (text, entry) = self.dialled(connection)?;
        entry.dialling = None;
        entry.rest(entry.peer.as_ref().map_or(Reached::No, reached), now);
        let told = std::mem::take(&mut entry.asked).then(|| text.clone());
        if entry.why == Why::Guessed {
            let text = text.clone();
            self.entries.remove(&text);
        }
        told
    }

    /// Has everything dialled soon that leads through relays: one of them is back.
    pub(super) fn relays_are_back(&mut self, now: Instant) {
        for entry in self.entries.values_mut().filter(|entry| entry.relayed) {
            (entry.wait, entry.due) = (REDIAL_FIRST, now);
        }
    }

    /// Has everything dialled soon: this node is in another network, or back in one.
    pub(super) fn network_changed(&mut self, now: Instant) {
        for entry in self.entries.values_mut() {
            (entry.wait, entry.due) = (REDIAL_FIRST, now);
        }
    }

    /// Forgets an address that was seen in the local network and is seen no more.
    pub(super) fn gone(&mut self, text: &str) {
        self.entries.retain(|key, entry| key != text || entry.why != Why::Near || entry.dialling.is_some());
    }

    /// Notes that the last connection to a peer is gone after `lived`: its addresses are due soon,
    /// unless it hangs up again and again.
    pub(super) fn disconnected(&mut self, peer: PeerId, lived: Duration, now: Instant) {
        for entry in self.entries.values_mut().filter(|entry| entry.peer == Some(peer)) {
            if lived >= SOUND_AFTER {
                (entry.wait, entry.lost) = (REDIAL_FIRST, Some(now));
            }
            entry.rest(Reached::No, now);
        }
    }

    /// Forgets the addresses of a peer that is not wanted any more, but for those the node was
    /// started with.
    pub(super) fn forget(&mut self, peer: PeerId) {
        self.entries.retain(|_, entry| entry.why == Why::Given || entry.peer != Some(peer));
    }
}

/// The relay and the peer behind it, if an address names both.
fn circuit(address: &Multiaddr) -> Option<(PeerId, PeerId)> {
    let parts: Vec<Protocol<'_>> = address.iter().collect();
    match parts.as_slice() {
        [.., Protocol::P2p(relay), Protocol::P2pCircuit, Protocol::P2p(peer)] => Some((*relay, *peer)),
        _ => None,
    }
}

/// The peer that must answer at an address, if it names one.
fn named_peer(address: &Multiaddr) -> Option<PeerId> {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => Some(peer),
        _ => None,
    }
}

/// How the library is asked to dial an address, whatever else is being dialled.
pub(super) fn dial_options(address: Multiaddr) -> DialOpts {
    match named_peer(&address) {
        Some(peer) => {
            DialOpts::peer_id(peer).condition(PeerCondition::Always).addresses(vec![address]).build()
        }
        None => DialOpts::unknown_peer_id().address(address).build(),
    }
}

/// Why a dial failed, in words for a person.
pub(super) fn reason(error: &DialError) -> String {
    match error {
        DialError::LocalPeerId { .. } => "this is the node's own address".to_string(),
        DialError::NoAddresses => "there is no address to dial".to_string(),
        DialError::DialPeerConditionFalse(_) | DialError::Aborted => "the attempt was given up".to_string(),
        DialError::WrongPeerId { .. } => "another device answers there".to_string(),
        DialError::Denied { .. } => "this node has too many connections or refuses the device".to_string(),
        DialError::Transport(failures) => match failures.first() {
            Some((_, TransportError::MultiaddrNotSupported(_))) => {
                "this node has no transport for such an address".to_string()
            }
            Some((_, TransportError::Other(error))) => innermost(error),
            None => "nobody answers".to_string(),
        },
    }
}

/// The message of the error behind all wrappings, bounded by what a screen shows.
fn innermost(error: &std::io::Error) -> String {
    let mut message = error.to_string();
    let mut inner: Option<&dyn Error> = error.get_ref().map(|inner| inner as &dyn Error);
    while let Some(error) = inner {
        message = error.to_string();
        inner = error.source();
    }
    message.chars().take(200).collect()
}

/// Between half of the wait and all of it.
pub(super) fn jitter(wait: Duration) -> Duration {
    wait.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: fn(&PeerId) -> Reached = |_| Reached::No;

    fn only(peer: PeerId, how: Reached) -> impl Fn(&PeerId) -> Reached {
        move |other| if *other == peer { how } else { Reached::No }
    }

    fn address(peer: PeerId) -> String {
        format!("/ip4/127.0.0.1/tcp/4001/p2p/{peer}")
    }

    fn connection(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    #[test]
    fn waits_double_up_to_the_longest_and_jitter_below_it() {
        let mut book = DialBook::new(PeerId::random());
        let mut now = Instant::now();
        let text = address(PeerId::random());
        book.add(&text, Why::Asked, NOBODY, now).unwrap();
        let mut longest = REDIAL_FIRST;
        for attempt in 0..12 {
            assert_eq!(book.due(now, NOBODY).len(), 1);
            book.dialling(&text, connection(attempt));
            assert!(book.due(now, NOBODY).is_empty(), "an address is dialled once at a time");
            let told = book.failed(connection(attempt), NOBODY, now);
            assert_eq!(told, (attempt == 0).then(|| text.clone()), "only the first failure is told");
            let next = book.next_due(NOBODY).unwrap();
            assert!(next >= now + longest / 2 && next <= now + longest);
            (now, longest) = (next, (longest * 2).min(REDIAL_LAST));
        }
        assert_eq!(longest, REDIAL_LAST);
    }

    #[test]
    fn an_address_rests_while_its_device_is_connected_and_is_due_soon_after() {
        let (mut book, now) = (DialBook::new(PeerId::random()), Instant::now());
        let peer = PeerId::random();
        book.add("/ip4/127.0.0.1/tcp/4001", Why::Asked, NOBODY, now).unwrap();
        book.dialling("/ip4/127.0.0.1/tcp/4001", connection(1));
        book.connected(connection(1), peer);
        assert_eq!(book.next_due(only(peer, Reached::Direct)), None);
        let named = address(peer);
        assert!(
            book.add(&named, Why::Asked, only(peer, Reached::Direct), now).is_err(),
            "nothing is left to dial"
        );
        book.disconnected(peer, SOUND_AFTER, now);
        assert!(book.next_due(NOBODY).unwrap() <= now + REDIAL_FIRST);
        book.forget(peer);
        assert_eq!(book.next_due(NOBODY), None);
    }

    #[test]
    fn an_address_the_node_was_started_with_is_never_forgotten() {
        let (mut book, now, peer) = (DialBook::new(PeerId::random()), Instant::now(), PeerId::random());
        book.add(&address(peer), Why::Given, NOBODY, now).unwrap();
        for port in 0..=ADDRESSES_MAX {
            book.add(&format!("/ip4/10.0.0.1/tcp/{port}"), Why::Asked, NOBODY, now).unwrap();
        }
        book.forget(peer);
        assert!(book.due(now, NOBODY).iter().any(|(text, _)| *text == address(peer)));
    }

    #[test]
    fn an_address_the_node_was_started_with_is_dialled_again_within_seconds_however_long_it_was_silent() {
        let (mut book, mut now) = (DialBook::new(PeerId::random()), Instant::now());
        let text = address(PeerId::random());
        book.add(&text, Why::Given, NOBODY, now).unwrap();
        for attempt in 0..20 {
            book.dialling(&text, connection(attempt));
            book.failed(connection(attempt), NOBODY, now);
            let next = book.next_due(NOBODY).unwrap();
            assert!(next <= now + REDIAL_GIVEN_LAST);
            now = next;
        }
    }

    #[test]
    fn a_device_that_hangs_up_at_once_is_dialled_less_and_less() {
        let (mut book, peer) = (DialBook::new(PeerId::random()), PeerId::random());
        let mut now = Instant::now();
        let text = address(peer);
        book.add(&text, Why::Asked, NOBODY, now).unwrap();
        for attempt in 0..12 {
            book.dialling(&text, connection(attempt));
            book.connected(connection(attempt), peer);
            book.disconnected(peer, Duration::from_millis(10), now);
            now = book.next_due(NOBODY).unwrap();
        }
        book.disconnected(peer, Duration::from_millis(10), now);
        assert!(book.next_due(NOBODY).unwrap() >= now + REDIAL_LAST / 2);
    }

    /// The greatest wait of an address whose dials all fail, beginning now.
    fn longest_wait(
        book: &mut DialBook,
        text: &str,
        reached: &impl Fn(&PeerId) -> Reached,
        mut now: Instant,
    ) -> Duration {
        let mut longest = Duration::ZERO;
        for attempt in 100..150 {
            book.dialling(text, connection(attempt));
            book.failed(connection(attempt), reached, now);
            let next = book.entries[text].due;
            (longest, now) = (longest.max(next - now), next);
        }
        longest
    }

    #[test]
    fn who_was_connected_not_long_ago_is_dialled_every_two_seconds_and_later_more_rarely() {
        let (mut book, now, peer) = (DialBook::new(PeerId::random()), Instant::now(), PeerId::random());
        let text = address(peer);
        book.add(&text, Why::Asked, NOBODY, now).unwrap();
        assert!(longest_wait(&mut book, &text, &NOBODY, now) > REDIAL_MISSED, "it never was");
        book.disconnected(peer, SOUND_AFTER, now);
        let longest = longest_wait(&mut book, &text, &NOBODY, now);
        assert!(longest > REDIAL_FIRST && longest <= REDIAL_MISSED, "{longest:?}");
        assert!(longest_wait(&mut book, &text, &NOBODY, now + MISSED_FOR) > REDIAL_MISSED);
    }

    #[test]
    fn beside_a_relay_only_an_address_that_once_worked_is_in_a_hurry() {
        let (mut book, now, peer) = (DialBook::new(PeerId::random()), Instant::now(), PeerId::random());
        let (near, never) = (address(peer), format!("/ip4/192.0.2.9/tcp/9/p2p/{peer}"));
        for text in [&near, &never] {
            book.add(text, Why::Asked, NOBODY, now).unwrap();
        }
        book.dialling(&near, connection(1));
        book.connected(connection(1), peer);
        book.disconnected(peer, SOUND_AFTER, now);
        let relayed = only(peer, Reached::Relayed);
        assert!(longest_wait(&mut book, &near, &relayed, now) <= REDIAL_MISSED);
        assert!(longest_wait(&mut book, &never, &relayed, now) > REDIAL_MISSED);
    }

    #[test]
    fn in_another_network_everything_is_due_at_once() {
        let (mut book, now) = (DialBook::new(PeerId::random()), Instant::now());
        let text = address(PeerId::random());
        book.add(&text, Why::Asked, NOBODY, now).unwrap();
        longest_wait(&mut book, &text, &NOBODY, now);
        assert!(book.due(now, NOBODY).is_empty());
        book.network_changed(now);
        assert_eq!(book.due(now, NOBODY).len(), 1);
    }

    #[test]
    fn the_oldest_address_makes_room() {
        let (mut book, now) = (DialBook::new(PeerId::random()), Instant::now());
        let texts: Vec<String> =
            (0..=ADDRESSES_MAX).map(|port| format!("/ip4/10.0.0.1/tcp/{port}")).collect();
        for text in &texts {
            book.add(text, Why::Asked, NOBODY, now).unwrap();
        }
        let kept: Vec<String> = book.due(now, NOBODY).into_iter().map(|(text, ..)| text).collect();
        assert_eq!(kept.len(), ADDRESSES_MAX);
        assert!(!kept.contains(&texts[0]));
    }

    #[test]
    fn a_direct_way_is_still_tried_while_a_device_is_reached_through_a_relay() {
        let (mut book, now, peer) = (DialBook::new(PeerId::random()), Instant::now(), PeerId::random());
        let direct = address(peer);
        let relayed = format!("/ip4/192.0.2.1/tcp/1/p2p/{}/p2p-circuit/p2p/{peer}", PeerId::random());
        for text in [&direct, &relayed] {
            book.add(text, Why::Asked, NOBODY, now).unwrap();
        }
        let due = |how| book.due(now, only(peer, how)).into_iter().map(|(text, _)| text).collect::<Vec<_>>();
        assert_eq!(due(Reached::No).len(), 2);
        assert_eq!(due(Reached::Relayed), [direct]);
        assert!(due(Reached::Direct).is_empty());
    }

    #[test]
    fn a_device_behind_a_relay_of_many_addresses_is_dialled_through_one_at_a_time() {
        let (mut book, now, peer) = (DialBook::new(PeerId::random()), Instant::now(), PeerId::random());
        let (relay, other) = (PeerId::random(), PeerId::random());
        let through = |relay, port| format!("/ip4/192.0.2.1/tcp/{port}/p2p/{relay}/p2p-circuit/p2p/{peer}");
        for text in [through(relay, 1), through(relay, 2), through(other, 3)] {
            book.add(&text, Why::Asked, NOBODY, now).unwrap();
        }
        let due = book.due(now, NOBODY);
        assert_eq!(due.len(), 2, "one through each relay");
        for (number, (text, _)) in due.iter().enumerate() {
            book.dialling(text, connection(number));
        }
        assert_eq!(book.next_due(NOBODY), None, "nothing is due while both are dialled");
        for number in 0..2 {
            book.failed(connection(number), NOBODY, now);
        }
        assert_eq!(book.due(now, NOBODY).len(), 1, "the other address has its turn");
    }

    #[test]
    fn a_guess_that_leads_nowhere_is_forgotten_and_one_that_does_is_kept() {
        let (mut book, now) = (DialBook::new(PeerId::random()), Instant::now());
        let texts = [1, 2].map(|port| format!("/ip4/192.0.2.1/tcp/{port}"));
        for (number, text) in texts.iter().enumerate() {
            book.add(text, Why::Guessed, NOBODY, now).unwrap();
            book.dialling(text, connection(number));
        }
        assert_eq!(book.failed(connection(0), NOBODY, now), None);
        book.connected(connection(1), PeerId::random());
        assert_eq!(book.due(now, NOBODY).len(), 1);
        assert_eq!(book.due(now, NOBODY)[0].0, texts[1]);
    }

    #[test]
    fn as_many_nodes_are_dialled_as_may_be_near_and_those_gone_make_room() {
        let (mut book, now) = (DialBook::new(PeerId::random()), Instant::now());
        let near = |port: usize| format!("/ip4/192.0.2.1/tcp/{port}");
        for port in 0..NEAR_MAX {
            book.add(&near(port), Why::Near, NOBODY, now).unwrap();
        }
        assert!(book.add(&near(NEAR_MAX), Why::Near, NOBODY, now).is_err());
        book.gone(&near(0));
        book.add(&near(NEAR_MAX), Why::Near, NOBODY, now).unwrap();
    }

    #[test]
    fn what_is_no_address_or_our_own_is_refused_with_a_reason() {
        let own = PeerId::random();
        let mut book = DialBook::new(own);
        assert!(book.add("nonsense", Why::Asked, NOBODY, Instant::now()).is_err());
        assert!(book.add(&address(own), Why::Asked, NOBODY, Instant::now()).is_err());
    }
}
