//! Keeps which connected device offers to be found under which keys, within bounds.
//!
//! The relay's task asks before an offer goes into the table and takes out what this gives back.
//! An offer lives as long as its device is connected: through this relay nobody else can be
//! reached, and whoever wants to fill the table must hold as many connections.

use std::collections::{BTreeMap, BTreeSet};

use libp2p::PeerId;
use libp2p::kad::RecordKey;

use crate::limits::{OFFERED_PER_DEVICE_MAX, OFFERS_MAX};

/// The offers of all connected devices.
#[derive(Default)]
pub(super) struct Offers {
    of: BTreeMap<PeerId, BTreeSet<Vec<u8>>>,
    count: usize,
    /// Offers that were refused for want of room, since the start.
    pub(super) refused: u64,
}

impl Offers {
    /// Whether a device may offer to be found under a key; if so, that is noted.
    pub(super) fn take(&mut self, device: PeerId, key: &RecordKey) -> bool {
        let has = self.of.get(&device).map_or(0, BTreeSet::len);
        if self.of.get(&device).is_some_and(|keys| keys.contains(key.as_ref())) {
            return true;
        }
        let room = has < OFFERED_PER_DEVICE_MAX && self.count < OFFERS_MAX && key.as_ref().len() == 32;
        if !room {
            self.refused = self.refused.saturating_add(1);
            return false;
        }
        self.count += 1;
        self.of.entry(device).or_default().insert(key.to_vec())
    }

    /// Forgets what a device offers, which is gone. Gives the keys.
    pub(super) fn drop_all(&mut self, device: &PeerId) -> Vec<RecordKey> {
        let keys = self.of.remove(device).unwrap_or_default();
        self.count -= keys.len();
        keys.into_iter().map(RecordKey::from).collect()
    }

    /// How many offers there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> RecordKey {
        RecordKey::new(blake3::hash(&number.to_be_bytes()).as_bytes())
    }

    #[test]
    fn a_device_offers_as_much_as_it_may_and_its_place_is_free_when_it_is_gone() {
        let (mut offers, device) = (Offers::default(), PeerId::random());
        for number in 0..OFFERED_PER_DEVICE_MAX {
            assert!(offers.take(device, &key(number)) && offers.take(device, &key(number)));
        }
        assert!(!offers.take(device, &key(OFFERED_PER_DEVICE_MAX)));
        assert!(offers.take(PeerId::random(), &key(OFFERED_PER_DEVICE_MAX)), "others have their own share");
        assert_eq!((offers.count(), offers.refused), (OFFERED_PER_DEVICE_MAX + 1, 1));
        assert_eq!(offers.drop_all(&device).len(), OFFERED_PER_DEVICE_MAX);
        assert!(offers.take(device, &key(0)));
        assert_eq!(offers.count(), 2);
    }

    #[test]
    fn all_devices_together_offer_as_much_as_there_is_room_for() {
        let mut offers = Offers::default();
        let devices: Vec<PeerId> =
            (0..OFFERS_MAX.div_ceil(OFFERED_PER_DEVICE_MAX)).map(|_| PeerId::random()).collect();
        for number in 0..OFFERS_MAX {
            assert!(offers.take(devices[number / OFFERED_PER_DEVICE_MAX], &key(number)));
        }
        assert!(!offers.take(PeerId::random(), &key(OFFERS_MAX)));
        assert!(!offers.take(PeerId::random(), &RecordKey::new(&[1, 2, 3])), "no key of ours");
    }
}
