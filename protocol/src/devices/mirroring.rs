//! Makes every entity follow the home: what is this person's device there is one everywhere.
//!
//! Each device does so for itself whenever it tends an entity. The home's roster alone is the
//! truth. Invariant: nothing is stated twice. A device is certified only where it never had a
//! place, and revoked only where that ends it, so several devices at work at once, or two that
//! disagree, come to an end.

use crate::identity::DeviceCard;
use crate::ids::{DeviceKey, EntityId, StatementId};
use crate::limits::DEVICES_MAX;
use crate::replicator::Replicator;
use crate::roster::Body;

impl Replicator {
    /// Certifies and revokes in one entity what the home did. True if anything was stated.
    pub(crate) fn mirror(&mut self, id: EntityId) -> bool {
        let Some(me) = self.me.as_ref().filter(|me| me.home != id) else { return false };
        let Some(entity) = self.entities.get(&id).filter(|e| e.secret.is_some()) else { return false };
        let own = |key| entity.member(key).is_some_and(|actor| actor.person == me.person());
        let Some(membership) = entity.roster.membership_of(&me.key()).filter(|_| own(me.key())) else {
            return false;
        };
        let devices = self.home_devices();
        // Whoever was revoked at home tells nobody any more which devices there are.
        if !devices.iter().any(|seat| seat.active && seat.card.key == me.key()) {
            return false;
        }
        let placed = entity.roster.devices_of(&membership);
        let revoked = self.revoked_at_home();
        let ended: Vec<DeviceKey> = revoked.into_iter().filter(|key| own(*key)).collect();
        let active = devices.into_iter().filter(|seat| seat.active).map(|seat| seat.card);
        let unplaced = |card: &DeviceCard| placed.iter().all(|other| other.card.key != card.key);
        let lacking: Vec<DeviceCard> = active.filter(|card| !own(card.key) && unplaced(card)).collect();
        let mut stated = false;
        for key in ended {
            stated |= self.end_device(id, key).is_some();
        }
        for card in lacking.iter().take(DEVICES_MAX) {
            stated |= self.certify(id, card);
        }
        stated
    }

    /// The home changed: all entities follow, and this device looks where else it belongs.
    pub(crate) fn follow_home(&mut self) {
        let home = self.me.as_ref().map(|me| me.home);
        let others: Vec<EntityId> = self.entities.keys().copied().filter(|id| Some(*id) != home).collect();
        for id in others {
            if self.mirror(id) {
                self.tend(id);
            }
        }
        self.devices.home_changed = true;
    }

    /// Says in the home that a key which has no place there is none of this person's devices.
    pub(super) fn note_ended(&mut self, home: EntityId, key: DeviceKey) -> bool {
        let Some(person) = self.me.as_ref().map(|me| me.person()) else { return false };
        let body = Body::Revoke { person, key, vectors: Vec::new() };
        self.state(home, body, Vec::new()).is_some() && self.revoked_at_home().contains(&key)
    }

    /// Certifies a device of this person and seals it the keys. False if it does not count.
    pub(super) fn certify(&mut self, id: EntityId, card: &DeviceCard) -> bool {
        let body = Body::Certify { device: card.clone() };
        self.can_let_in(id)
            && self.let_in(id, body, (card.key, card.sealing), Vec::new()).is_some()
            && self.entities.get(&id).is_some_and(|e| e.member(card.key).is_some())
    }

    /// Revokes a device of this person, as this device or with the root key; nothing is stated
    /// where neither would end it.
    pub(super) fn end_device(&mut self, id: EntityId, key: DeviceKey) -> Option<StatementId> {
        let (me, entity) = (self.me.as_ref()?, self.entities.get(&id)?);
        let root = me.root.as_ref().map(|root| DeviceKey(root.public().0));
        let by_device = entity.roster.may_revoke_own(&me.key(), &key);
        let by_root = || root.is_some_and(|root| entity.roster.may_revoke_own(&root, &key));
        if !by_device && !by_root() {
            return None;
        }
        let person = me.person();
        let vectors = entity.vectors_of_device(key);
        let body = Body::Revoke { person, key, vectors };
        if by_device { self.state(id, body, Vec::new()) } else { self.state_as_root(id, body, Vec::new()) }
    }
}
