//! Where nodes are found by the keys they offer, as at a relay that all can reach.
//!
//! Off until a story turns it on: most stories connect their nodes by hand.

use std::collections::{BTreeMap, BTreeSet};

use fourword_protocol::event::Event;
use fourword_protocol::ids::{DeviceKey, Digest};

use crate::cluster::Cluster;

/// How long a search takes.
const SEARCH_MS: u64 = 20;

/// Who offers to be found under which key.
#[derive(Debug, Default)]
pub(crate) struct Rendezvous {
    open: bool,
    offers: BTreeMap<Digest, BTreeSet<String>>,
    /// Strangers who offer to be found under a key that is not theirs.
    posing: BTreeMap<Digest, Vec<DeviceKey>>,
}

impl Rendezvous {
    pub(crate) fn offer(&mut self, name: &str, key: Digest) {
        self.offers.entry(key).or_default().insert(name.to_owned());
    }

    pub(crate) fn withdraw(&mut self, name: &str, key: Digest) {
        self.offers.entry(key).or_default().remove(name);
    }

    /// Forgets all that a node offered: it is gone.
    pub(crate) fn forget(&mut self, name: &str) {
        for names in self.offers.values_mut() {
            names.remove(name);
        }
    }
}

impl Cluster {
    /// From now on nodes find each other by the keys they offer, and are told so.
    pub fn open_rendezvous(&mut self) {
        self.rendezvous.open = true;
        let names: Vec<String> = self.nodes.keys().filter(|name| self.is_up(name)).cloned().collect();
        for name in names {
            self.happen(&name, Event::Online);
        }
    }

    /// The keys under which a node offers to be found.
    pub fn offered(&self, name: &str) -> BTreeSet<Digest> {
        let offers = self.rendezvous.offers.iter().filter(|(_, names)| names.contains(name));
        offers.map(|(key, _)| *key).collect()
    }

    /// Has devices named that never offered to be found under this key.
    pub fn pose(&mut self, key: Digest, devices: Vec<DeviceKey>) {
        self.rendezvous.posing.insert(key, devices);
    }

    /// Tells a node where another one can be reached.
    pub fn tell_address(&mut self, name: &str, of: &str) {
        self.tell_addresses(name, of, vec![format!("sim:{of}")]);
    }

    /// As `tell_address`, with whatever the other one claims.
    pub fn tell_addresses(&mut self, name: &str, of: &str, addresses: Vec<String>) {
        if let Some(device) = self.device(of) {
            self.happen(name, Event::Met { device, addresses });
        }
    }

    pub(crate) fn find(&mut self, name: &str, key: Digest) {
        let offering = self.rendezvous.offers.get(&key).into_iter().flatten();
        let devices = offering.filter(|other| self.is_up(other)).filter_map(|other| self.device(other));
        let posing = self.rendezvous.posing.get(&key).into_iter().flatten().copied();
        let devices: Vec<DeviceKey> = posing.chain(devices).collect();
        if self.rendezvous.open && !devices.is_empty() {
            self.happen_after(SEARCH_MS, name, Event::Located(key, devices));
        }
    }

    pub(crate) fn reach(&mut self, name: &str, device: DeviceKey) {
        let other = self.nodes.keys().find(|other| self.device(other) == Some(device)).cloned();
        match other.filter(|_| self.rendezvous.open) {
            Some(other) => self.connect(name, &other),
            None => self.node_mut(name).tried.push(device),
        }
    }
}
