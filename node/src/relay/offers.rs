//! Keeps which connected device offers to be found under which keys, and whom to name for a key.
//!
//! The library's table asks it who offers; the relay's task says who does, and who has gone. An
//! offer lives as long as its device is connected and renews it: through this relay nobody else can
//! be reached, and whoever wants to fill the table must hold as many connections. Peer ids cost
//! nothing, so what a device is called decides nothing: networks share the room of a key evenly, and
//! those who offer are named in turn by network, in an order drawn anew for each question. Invariant:
//! no bound of `OFFERS_*` is exceeded, and nobody who is named has gone.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::iter;

use libp2p::kad::store::{Error, RecordStore};
use libp2p::kad::{ProviderRecord, Record, RecordKey};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use rand::seq::SliceRandom;
use tokio::time::Instant;

use crate::limits::{
    NAMED_PER_KEY_MAX, OFFER_FOR, OFFERED_PER_DEVICE_MAX, OFFERS_MAX, OFFERS_PER_KEY_MAX,
    OFFERS_PER_NETWORK_MAX,
};
use crate::swarm::door::Network;

/// Bytes of a key: the hash of a stretched name.
const KEY_BYTES: usize = 32;

type Key = [u8; KEY_BYTES];

/// The offers of all connected devices.
pub(super) struct Offers {
    /// How a device is reached through this relay, but for the device.
    here: Multiaddr,
    /// Who offers under a key, the oldest offer first.
    under: BTreeMap<Key, Vec<Offer>>,
    of: BTreeMap<PeerId, BTreeSet<Key>>,
    in_network: BTreeMap<Network, usize>,
    count: usize,
    /// Offers that were refused for want of room, since the start.
    pub(super) refused: u64,
}

#[derive(Clone, Copy)]
struct Offer {
    device: PeerId,
    network: Network,
    renewed: Instant,
}

impl Offers {
    /// No offers, at the relay with this peer id.
    pub(super) fn new(own: PeerId) -> Offers {
        let here = Multiaddr::empty().with(Protocol::P2p(own)).with(Protocol::P2pCircuit);
        Offers {
            here,
            under: BTreeMap::new(),
            of: BTreeMap::new(),
            in_network: BTreeMap::new(),
            count: 0,
            refused: 0,
        }
    }

    /// Takes or renews the offer of a device that is connected from a network. False if there is no
    /// room for it.
    pub(super) fn take(&mut self, device: PeerId, network: Network, key: &RecordKey, now: Instant) -> bool {
        let Ok(key) = Key::try_from(key.as_ref()) else { return self.refuse() };
        let under = self.under.get_mut(&key);
        if let Some(offer) = under.and_then(|all| all.iter_mut().find(|offer| offer.device == device)) {
            offer.renewed = now;
            return true;
        }
        let has = self.of.get(&device).map_or(0, BTreeSet::len);
        let near = self.in_network.get(&network).copied().unwrap_or(0);
        if has >= OFFERED_PER_DEVICE_MAX || near >= OFFERS_PER_NETWORK_MAX || !self.make_room(&key, network) {
            return self.refuse();
        }
        self.under.entry(key).or_default().push(Offer { device, network, renewed: now });
        self.of.entry(device).or_default().insert(key);
        *self.in_network.entry(network).or_default() += 1;
        self.count += 1;
        true
    }

    fn refuse(&mut self) -> bool {
        self.refused = self.refused.saturating_add(1);
        false
    }

    /// Whether another offer from a network fits under a key. Of a full key, the network that has
    /// the most gives up its latest offer to one that has fewer.
    fn make_room(&mut self, key: &Key, network: Network) -> bool {
        let offers = self.under.get(key).map_or(&[][..], Vec::as_slice);
        if offers.len() < OFFERS_PER_KEY_MAX {
            return self.count < OFFERS_MAX;
        }
        let mut shares: BTreeMap<Network, usize> = BTreeMap::new();
        for offer in offers {
            *shares.entry(offer.network).or_default() += 1;
        }
        let own = shares.get(&network).copied().unwrap_or(0);
        let Some((most, count)) = shares.into_iter().max_by_key(|(_, count)| *count) else { return false };
        let latest = offers.iter().rev().find(|offer| offer.network == most).map(|offer| offer.device);
        match latest.filter(|_| count > own + 1) {
            Some(device) => {
                self.remove(key, &device);
                true
            }
            None => false,
        }
    }

    fn remove(&mut self, key: &Key, device: &PeerId) {
        let Some(offers) = self.under.get_mut(key) else { return };
        let Some(at) = offers.iter().position(|offer| offer.device == *device) else { return };
        let network = offers.remove(at).network;
        if offers.is_empty() {
            self.under.remove(key);
        }
        self.count -= 1;
        if let Some(count) = self.in_network.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.in_network.remove(&network);
            }
        }
        if let Some(keys) = self.of.get_mut(device) {
            keys.remove(key);
            if keys.is_empty() {
                self.of.remove(device);
            }
        }
    }

    /// Forgets what a device offers, which is gone.
    pub(super) fn drop_all(&mut self, device: &PeerId) {
        for key in self.of.get(device).cloned().unwrap_or_default() {
            self.remove(&key, device);
        }
    }

    /// Forgets what was not renewed.
    pub(super) fn forget_old(&mut self, now: Instant) {
        let is_old = |offer: &&Offer| now - offer.renewed > OFFER_FOR;
        let all = self.under.iter().flat_map(|(key, offers)| iter::repeat(key).zip(offers));
        let old: Vec<(Key, PeerId)> =
            all.filter(|(_, offer)| is_old(offer)).map(|(key, offer)| (*key, offer.device)).collect();
        for (key, device) in old {
            self.remove(&key, &device);
        }
    }

    /// How many offers there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whom to name for a key: one of each network, then a second one, the oldest offers first.
    fn named(&self, key: &RecordKey) -> Vec<PeerId> {
        let key = Key::try_from(key.as_ref()).ok();
        let offers = key.and_then(|key| self.under.get(&key)).map_or(&[][..], Vec::as_slice);
        let mut networks: BTreeMap<Network, Vec<PeerId>> = BTreeMap::new();
        for offer in offers {
            networks.entry(offer.network).or_default().push(offer.device);
        }
        let mut networks: Vec<Vec<PeerId>> = networks.into_values().collect();
        networks.shuffle(&mut rand::rng());
        let rounds = 0..OFFERS_PER_KEY_MAX;
        let in_turn = rounds.flat_map(|round| networks.iter().filter_map(move |all| all.get(round).copied()));
        in_turn.take(NAMED_PER_KEY_MAX).collect()
    }
}

/// The table keeps no values here, and takes no offers by itself: `take` does.
impl RecordStore for Offers {
    type RecordsIter<'a> = iter::Empty<Cow<'a, Record>>;
    type ProvidedIter<'a> = iter::Empty<Cow<'a, ProviderRecord>>;

    fn get(&self, _: &RecordKey) -> Option<Cow<'_, Record>> {
        None
    }

    fn put(&mut self, _: Record) -> Result<(), Error> {
        Err(Error::MaxRecords)
    }

    fn remove(&mut self, _: &RecordKey) {}

    fn records(&self) -> Self::RecordsIter<'_> {
        iter::empty()
    }

    fn add_provider(&mut self, _: ProviderRecord) -> Result<(), Error> {
        Err(Error::MaxProvidedKeys)
    }

    /// Each is reached here. What else it claims is not kept; without any address the library would
    /// not name it.
    fn providers(&self, key: &RecordKey) -> Vec<ProviderRecord> {
        let record = |device: PeerId| ProviderRecord {
            key: key.clone(),
            provider: device,
            expires: None,
            addresses: vec![self.here.clone().with(Protocol::P2p(device))],
        };
        self.named(key).into_iter().map(record).collect()
    }

    fn provided(&self) -> Self::ProvidedIter<'_> {
        iter::empty()
    }

    fn remove_provider(&mut self, _: &RecordKey, _: &PeerId) {}
}

#[cfg(test)]
mod tests;
