//! Keeps where this node can be reached, for people and for peers.
//!
//! The swarm task reports the library's listen addresses; people get all of them, peers only those
//! they can use. Loopback is announced to peers only where nothing else is listened on: told to
//! another machine it would make that one dial itself.

use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use tokio::sync::watch;

use super::Listening;
use super::relays::is_relayed;

/// The addresses of one node.
pub(super) struct Addresses {
    own: PeerId,
    /// Listeners that have not told an address yet.
    silent: Vec<ListenerId>,
    known: Vec<Multiaddr>,
    told: watch::Sender<Listening>,
}

impl Addresses {
    /// Begins with listeners that have told no address yet.
    pub(super) fn new(own: PeerId, listeners: Vec<ListenerId>, told: watch::Sender<Listening>) -> Addresses {
        let addresses = Addresses { own, silent: listeners, known: Vec::new(), told };
        addresses.tell();
        addresses
    }

    /// Notes an address of a listener.
    pub(super) fn add(&mut self, listener: ListenerId, address: Multiaddr) {
        self.silent.retain(|silent| *silent != listener);
        if !self.known.contains(&address) {
            self.known.push(address);
        }
        self.tell();
    }

    /// Notes that an address is listened on no more.
    pub(super) fn remove(&mut self, address: &Multiaddr) {
        self.known.retain(|known| known != address);
        self.tell();
    }

    /// The addresses to announce to peers.
    pub(super) fn announced(&self) -> Vec<Multiaddr> {
        // What leads through a relay is announced by whoever reserved it.
        let own = || self.known.iter().filter(|address| !is_relayed(address));
        let reachable: Vec<Multiaddr> = own().filter(|address| !is_loopback(address)).cloned().collect();
        if reachable.is_empty() { own().cloned().collect() } else { reachable }
    }

    /// Whether every listener has told an address.
    pub(super) fn is_ready(&self) -> bool {
        self.silent.is_empty()
    }

    /// All addresses that are listened on, but not at relays.
    pub(super) fn all(&self) -> Vec<Multiaddr> {
        self.known.iter().filter(|address| !is_relayed(address)).cloned().collect()
    }

    fn tell(&self) {
        let (near, far): (Vec<&Multiaddr>, Vec<&Multiaddr>) =
            self.known.iter().partition(|address| is_loopback(address));
        let addresses = far.into_iter().chain(near);
        let addresses = addresses.map(|address| named(address, &self.own)).collect();
        self.told.send_replace(Listening { addresses, ready: self.is_ready() });
    }
}

/// An address with the peer id of whoever is met there at its end.
pub(crate) fn named(address: &Multiaddr, peer: &PeerId) -> String {
    match address.iter().last() {
        Some(Protocol::P2p(at_end)) if at_end == *peer => address.to_string(),
        _ => format!("{address}/p2p/{peer}"),
    }
}

/// Whether an address leads to this very machine.
pub(crate) fn is_loopback(address: &Multiaddr) -> bool {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => ip.is_loopback(),
        Some(Protocol::Ip6(ip)) => ip.is_loopback(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn loopback_comes_last_and_is_announced_only_when_alone() {
        let (own, listener) = (PeerId::random(), ListenerId::next());
        let (told, seen) = watch::channel(Listening::default());
        let mut addresses = Addresses::new(own, vec![listener], told);
        assert!(!seen.borrow().ready);

        let (near, far) = (address("/ip4/127.0.0.1/tcp/1"), address("/ip4/10.0.0.1/tcp/1"));
        addresses.add(listener, near.clone());
        assert_eq!(addresses.announced(), vec![near.clone()]);
        addresses.add(listener, far.clone());
        assert_eq!(addresses.announced(), vec![far.clone()]);
        let expected = vec![format!("{far}/p2p/{own}"), format!("{near}/p2p/{own}")];
        assert_eq!(*seen.borrow(), Listening { addresses: expected, ready: true });

        addresses.remove(&far);
        assert_eq!(addresses.announced(), [near]);
    }
}
