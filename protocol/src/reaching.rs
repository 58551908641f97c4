//! Finds a way to the devices of fellow members, and lets this node be found by whoever has the words.
//!
//! Three things lead to a device: addresses at which it was met, a key under which it is found, and
//! what the driver tries once it knows the device's name. The key of an entity is where its four
//! words are looked up; a person's devices find each other where the person's words are. Nothing
//! found is believed: a connection proves the device, the roster says who it is.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;

use crate::bytes::{Malformed, Reader, Writer};
use crate::command::Kind;
use crate::effect::Effect;
use crate::entity::Entity;
use crate::ids::{DeviceKey, Digest, EntityId};
use crate::limits::{
    ADDRESS_BYTES_MAX, FELLOWS_MAX, FOUND_DEVICES_MAX, MET_ADDRESSES_MAX, MET_DEVICES_MAX, OFFERED_KEYS_MAX,
};
use crate::outbox::local;
use crate::record::Record;
use crate::replicator::Replicator;
use crate::time::{Duration, Instant};
use crate::words::FourWords;

/// The kind of the small values that keep where a fellow member's device was met.
pub(crate) const MET: &str = "met";

/// The waits between two searches for members who are not connected: the first one, which doubles
/// up to the last one, each with a random part of the first on top.
const SEARCH_FIRST: Duration = Duration::from_secs(15);
const SEARCH_LAST: Duration = Duration::from_secs(300);

/// How long a search waits at first, so that what happens at once is searched for once.
const SEARCH_SOON: Duration = Duration(1_000);

/// How often a device may say anew where it is reached, which costs a write and some dials: a burst,
/// then one for each stretch of time. Networks change less often.
const TELLS_BURST: u64 = 8;
const TELLS_EVERY: Duration = Duration::from_secs(60);

/// Whom this node looks for, and where.
#[derive(Debug, Default)]
pub(crate) struct Reaching {
    /// The keys under which this node offers to be found. At most `OFFERED_KEYS_MAX`.
    offered: BTreeSet<Digest>,
    met: Met,
    /// The devices that the driver was told to keep room for. At most `FELLOWS_MAX`.
    fellows: BTreeSet<DeviceKey>,
    /// When the next search is due; `None` while nobody is missed.
    search_at: Option<Instant>,
    pause: Duration,
}

impl Replicator {
    // -- being found --------------------------------------------------------------------------

    /// Offers this node under the keys of the entities that it is in, and under no others.
    pub(crate) fn offer(&mut self) {
        if !self.opening.done {
            return;
        }
        let wanted: BTreeSet<Digest> = self.keys().map(|(key, _)| key).take(OFFERED_KEYS_MAX).collect();
        if wanted == self.reaching.offered {
            return;
        }
        for key in self.reaching.offered.difference(&wanted) {
            self.out.push(Effect::Withdraw(*key));
        }
        for key in wanted.difference(&self.reaching.offered) {
            self.out.push(Effect::Offer(*key));
        }
        self.reaching.offered = wanted;
        self.search_soon();
    }

    /// Where the entities that this device is a member of are looked up, and those with their rosters.
    fn keys(&self) -> impl Iterator<Item = (Digest, &Entity)> {
        let me = self.me.as_ref();
        let inside = self
            .entities
            .values()
            .filter(move |e| e.secret.is_some() && me.is_some_and(|me| e.member(me.key()).is_some()));
        let places = inside.flat_map(|e| e.places().map(move |place| (e, place)));
        places.filter_map(move |(e, place)| {
            let words = match e.kind {
                Kind::Home => self.names.person(me?.person()),
                _ => self.names.entity(place),
            };
            Some((self.names.lookup(words?)?, e))
        })
    }

    // -- searching ----------------------------------------------------------------------------

    /// Somebody may be missed, or may be found by now: searches soon, and often at first.
    pub(crate) fn search_soon(&mut self) {
        if !self.opening.done {
            return;
        }
        let soon = self.now.instant + SEARCH_SOON;
        self.reaching.pause = SEARCH_FIRST;
        let at = self.reaching.search_at.map_or(soon, |at| at.min(soon));
        self.reaching.search_at = Some(at);
        self.out.wake_at(at);
    }

    /// Searches for members who are not connected, and for whom somebody wants to join.
    pub(crate) fn search(&mut self) {
        let Some(at) = self.reaching.search_at else { return };
        let now = self.now.instant;
        if at > now {
            return self.out.wake_at(at);
        }
        let wanted: Vec<FourWords> = self.words_to_join().collect();
        for words in &wanted {
            self.names.want_lookup_first(*words, &mut self.out);
        }
        // A child has its parent's members, so one key of each roster finds them.
        let keys: BTreeMap<EntityId, (Digest, &Entity)> =
            self.keys().map(|(key, entity)| (entity.id, (key, entity))).collect();
        let missed =
            keys.into_values().filter(|(_, entity)| self.misses_somebody(entity)).map(|(key, _)| key);
        let keys: BTreeSet<Digest> = missed.chain(self.keys_to_join()).collect();
        if keys.is_empty() && wanted.is_empty() {
            self.reaching.search_at = None;
            return;
        }
        for key in keys {
            self.out.push(Effect::Find(key));
        }
        let next = now + self.reaching.pause + Duration(self.random.next_u64() % SEARCH_FIRST.0);
        self.reaching.pause = Duration((self.reaching.pause.0 * 2).min(SEARCH_LAST.0));
        self.reaching.search_at = Some(next);
        self.out.wake_at(next);
    }

    fn misses_somebody(&self, entity: &Entity) -> bool {
        let me = self.me.as_ref().map(|me| me.key());
        let devices = entity.roster.reading().members.values().flat_map(|member| &member.devices);
        devices.into_iter().any(|device| Some(*device) != me && !self.sessions.contains_key(device))
    }

    /// Where the words are looked up of what this node wants to join, its own home included.
    fn keys_to_join(&self) -> impl Iterator<Item = Digest> {
        self.words_to_join().filter_map(|words| self.names.lookup(words))
    }

    /// Whether this node wants to join something that it may have to search for.
    pub(crate) fn wants_in(&self) -> bool {
        self.words_to_join().next().is_some()
    }

    fn words_to_join(&self) -> impl Iterator<Item = FourWords> {
        let joined =
            self.joins.iter().filter_map(|(id, join)| join.words().or_else(|| self.names.entity(*id)));
        let home = self.me.as_ref().filter(|_| self.devices.seeks_home);
        let home = home.and_then(|me| self.names.person(me.person()));
        joined.chain(self.seeks.keys().copied()).chain(home)
    }

    /// Devices offer to be found under a key: those that are missed or asked for are tried.
    pub(crate) fn located(&mut self, key: Digest, devices: &[DeviceKey]) {
        let wants_in = self.keys_to_join().any(|wanted| wanted == key);
        let me = self.me.as_ref().map(|me| me.key());
        let offering = devices.iter().take(FOUND_DEVICES_MAX).copied();
        let absent = offering.filter(|device| Some(*device) != me && !self.sessions.contains_key(device));
        // Anybody can offer anything: of those found under our own keys only members are tried.
        let tried: BTreeSet<DeviceKey> =
            absent.filter(|device| wants_in || self.is_fellow(*device)).collect();
        for device in tried {
            self.out.push(Effect::Reach(device));
        }
    }

    /// Has room kept for the devices of fellow members, now that somebody came or went.
    pub(crate) fn tell_fellows(&mut self) {
        if !self.opening.done {
            return;
        }
        let me = self.me.as_ref().map(|me| me.key());
        let inside = self.entities.values().filter(|entity| entity.secret.is_some());
        let members = inside.flat_map(|entity| entity.roster.reading().members.values());
        let devices = members.flat_map(|member| member.devices.iter().copied());
        let fellows = as_many_as_may_be(devices.filter(|device| Some(*device) != me));
        if fellows != self.reaching.fellows {
            self.reaching.fellows.clone_from(&fellows);
            self.out.push(Effect::Fellows(fellows));
        }
    }

    /// Whether a device is of a member of anything that this device is in.
    pub(crate) fn is_fellow(&self, device: DeviceKey) -> bool {
        self.entities.values().any(|entity| entity.secret.is_some() && entity.member(device).is_some())
    }

    // -- where devices were met ---------------------------------------------------------------

    /// A connected device says where it can be reached: kept for a fellow member's.
    pub(crate) fn met(&mut self, device: DeviceKey, addresses: Vec<String>) {
        let now = self.now.instant;
        let session = self.sessions.get_mut(&device);
        if !session.is_some_and(|session| session.meetings.take(now, TELLS_BURST, TELLS_EVERY)) {
            return self.drop_counted("address told too often");
        }
        if !self.is_fellow(device) {
            return;
        }
        let fit = addresses.into_iter().filter(|address| address.len() <= ADDRESS_BYTES_MAX);
        let addresses: Vec<String> = fit.take(MET_ADDRESSES_MAX).collect();
        let mut met = std::mem::take(&mut self.reaching.met);
        let records = met.keep(device, &addresses, |device| self.is_fellow(device));
        self.reaching.met = met;
        if !records.is_empty() {
            self.out.write(records, Vec::new());
            // Reached through a relay by now, it may be reached directly at one of them.
            self.dial(addresses);
        }
    }

    /// Takes where a device was met in an earlier run; what cannot be read is met anew.
    pub(crate) fn restore_met(&mut self, of: &[u8], value: &[u8]) {
        if let (Ok(device), Ok(addresses)) = (<[u8; 32]>::try_from(of), read(value)) {
            self.reaching.met.0.insert(DeviceKey(device), addresses);
        }
    }

    /// Dials fellow members where they were met: once, as the driver goes on by itself.
    pub(crate) fn dial_met(&mut self) {
        let fellows = self.reaching.met.0.iter().filter(|(device, _)| self.is_fellow(**device));
        let addresses = fellows.flat_map(|(_, addresses)| addresses.clone()).collect();
        self.dial(addresses);
    }

    fn dial(&mut self, addresses: Vec<String>) {
        for address in addresses {
            self.out.push(Effect::Connect(address));
        }
    }
}

/// The devices for whom room is kept: where there are too many, the same ones each time.
fn as_many_as_may_be(devices: impl Iterator<Item = DeviceKey>) -> BTreeSet<DeviceKey> {
    let mut fellows = BTreeSet::new();
    for device in devices {
        fellows.insert(device);
        if fellows.len() > FELLOWS_MAX {
            fellows.pop_last();
        }
    }
    fellows
}

/// Where fellow members' devices were met. At most `MET_DEVICES_MAX`.
#[derive(Debug, Default)]
struct Met(BTreeMap<DeviceKey, Vec<String>>);

impl Met {
    /// Keeps the addresses of a device; gives what is to be written, which is nothing where nothing
    /// changed or there is no room. Whoever is no fellow member any more makes room.
    fn keep(
        &mut self,
        device: DeviceKey,
        addresses: &[String],
        is_fellow: impl Fn(DeviceKey) -> bool,
    ) -> Vec<Record> {
        if addresses.is_empty() || self.0.get(&device).is_some_and(|known| known == addresses) {
            return Vec::new();
        }
        let mut records = Vec::new();
        if !self.0.contains_key(&device) && self.0.len() >= MET_DEVICES_MAX {
            let Some(gone) = self.0.keys().copied().find(|known| !is_fellow(*known)) else { return records };
            self.0.remove(&gone);
            records.push(local(MET, &gone.0, None));
        }
        records.push(local(MET, &device.0, Some(write(addresses))));
        self.0.insert(device, addresses.to_vec());
        records
    }
}

fn write(addresses: &[String]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.list(addresses, |writer, address| {
        writer.text(address);
    });
    writer.into_bytes()
}

fn read(value: &[u8]) -> Result<Vec<String>, Malformed> {
    let mut reader = Reader::new(value);
    let addresses = reader.list(MET_ADDRESSES_MAX, |r| r.text(ADDRESS_BYTES_MAX).map(str::to_owned))?;
    reader.finish()?;
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(number: usize) -> DeviceKey {
        DeviceKey(*blake3::hash(&number.to_be_bytes()).as_bytes())
    }

    #[test]
    fn as_many_fellows_are_remembered_as_may_be_and_who_is_none_any_more_makes_room() {
        let (mut met, here) = (Met::default(), ["/ip4/192.0.2.1/tcp/1".to_owned()]);
        for number in 0..MET_DEVICES_MAX {
            assert_eq!(met.keep(device(number), &here, |_| true).len(), 1);
            assert!(met.keep(device(number), &here, |_| true).is_empty(), "nothing is new");
        }
        let next = device(MET_DEVICES_MAX);
        assert!(met.keep(next, &here, |_| true).is_empty());
        assert_eq!(met.keep(next, &here, |known| known != device(3)).len(), 2);
        assert!(met.0.len() == MET_DEVICES_MAX && !met.0.contains_key(&device(3)));
    }

    #[test]
    fn room_is_kept_for_as_many_fellows_as_may_be_and_for_the_same_ones_in_any_order() {
        let devices: Vec<DeviceKey> = (0..FELLOWS_MAX + 100).map(device).collect();
        let kept = as_many_as_may_be(devices.iter().copied());
        assert_eq!(kept.len(), FELLOWS_MAX);
        assert_eq!(as_many_as_may_be(devices.into_iter().rev()), kept);
    }

    #[test]
    fn what_is_written_of_a_device_is_read_again() {
        let addresses: Vec<String> = (0..MET_ADDRESSES_MAX).map(|number| "x".repeat(number)).collect();
        assert_eq!(read(&write(&addresses)), Ok(addresses));
        assert!(read(&[255]).is_err());
    }
}
