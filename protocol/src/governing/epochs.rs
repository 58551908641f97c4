//! When this device opens a new epoch, because none fits who is a member now.
//!
//! Who acts opens one in the batch of its act; others who learn of it wait a moment for that one,
//! unless something waits to be written. How often is bounded, or somebody who certifies and revokes
//! its own devices could make everybody open epochs without end; meanwhile nothing is written.

use rand::Rng;

use crate::command::{CommandId, Refusal, RefusalCode};
use crate::epoch::{self, EpochKey};
use crate::governing::not_ours;
use crate::ids::{DocumentKey, EntityId, SealingKey, StatementId};
use crate::limits::SEALS_PER_STATEMENT_MAX;
use crate::outbox::refusal;
use crate::replicator::Replicator;
use crate::roster::{Body, Seal};
use crate::schema::rights::Actor;
use crate::session::Allowance;
use crate::time::{Duration, Instant};
use crate::words::FourWords;

/// How often this device opens an epoch of one entity: a burst, then one for each stretch of time.
/// A burst is an admin who removes a few people; a stretch is what people wait without noticing.
const EPOCHS_BURST: u64 = 8;
const EPOCHS_EVERY: Duration = Duration::from_secs(10);

/// How long somebody else may take to open an epoch: between this and twice this.
const OTHERS_MAY_OPEN: Duration = Duration(500);

/// When an epoch is opened here.
#[derive(Debug, Default)]
pub(crate) struct Rotation {
    /// Set while none fits.
    due: Option<Instant>,
    allowance: Allowance,
}

/// How long an epoch that is missing may be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Haste {
    /// This device has just acted, or somebody on it wants to write.
    Now,
    /// Somebody else may open it first.
    Soon,
}

impl Replicator {
    /// Opens a new epoch where none whose key is held fits who is a member now, as soon as `haste`
    /// and the bound on epochs allow.
    pub(crate) fn rotate_if_needed(&mut self, id: EntityId, haste: Haste) {
        let (now, Some(me)) = (self.now.instant, &self.me) else { return };
        let Some(entity) = self.entities.get_mut(&id) else { return };
        let fits = entity.secret.is_none() || entity.member(me.key()).is_none() || entity.epoch().is_some();
        if fits {
            entity.rotation.due = None;
            return;
        }
        if haste == Haste::Soon && entity.is_sealed() {
            let spread = self.random.next_u64() % OTHERS_MAY_OPEN.0;
            let due = *entity.rotation.due.get_or_insert(now + OTHERS_MAY_OPEN + Duration(spread));
            if due > now {
                return self.out.wake_at(due);
            }
        }
        if !self.open_epoch(id) {
            self.wait_to_rotate(id);
        }
    }

    fn wait_to_rotate(&mut self, id: EntityId) {
        let Some(entity) = self.entities.get_mut(&id) else { return };
        let free = entity.rotation.allowance.free_at(self.now.instant, EPOCHS_BURST, EPOCHS_EVERY);
        let due = free.max(self.now.instant + Duration(1));
        entity.rotation.due = Some(due);
        self.out.wake_at(due);
    }

    /// Opens the epochs whose time has come.
    pub(crate) fn rotate_when_due(&mut self) {
        let now = self.now.instant;
        let waiting = self.entities.values().filter_map(|e| Some((e.id, e.rotation.due?)));
        for (id, due) in waiting.collect::<Vec<_>>() {
            if due <= now {
                self.tend(id);
            } else {
                self.out.wake_at(due);
            }
        }
    }

    /// Opens a new epoch for all members' devices. False if it is not yet time for another.
    pub(crate) fn open_epoch(&mut self, id: EntityId) -> bool {
        let now = self.now.instant;
        let Some(entity) = self.entities.get_mut(&id) else { return false };
        let Some(secret) = entity.secret.clone() else { return false };
        if !entity.rotation.allowance.take(now, EPOCHS_BURST, EPOCHS_EVERY) {
            return false;
        }
        entity.rotation.due = None;
        let key = EpochKey::generate(&mut self.random);
        let mut seals = Vec::new();
        for (device, _) in entity.roster.reading().devices() {
            let to = entity.roster.sealing_key(&device);
            if let Some(sealed) = to.and_then(|to| epoch::seal(id, &key, &secret, to, &mut self.random)) {
                seals.push(Seal { device, sealed });
            }
        }
        let rest = seals.split_off(seals.len().min(SEALS_PER_STATEMENT_MAX));
        let counter = entity.roster.next_counter();
        let body = Body::Epoch { counter, commitment: key.commitment(), seals };
        let Some(epoch) = self.state(id, body, Vec::new()) else { return false };
        for seals in rest.chunks(SEALS_PER_STATEMENT_MAX) {
            self.state(id, Body::SealKey { epoch, seals: seals.to_vec() }, Vec::new());
        }
        if let Some(entity) = self.entities.get_mut(&id) {
            entity.keys.insert(epoch, key);
        }
        true
    }

    /// Seals an epoch's key, if it is held here, to one device; gives the statement's body.
    pub(super) fn seal_of(
        &mut self,
        id: EntityId,
        epoch: StatementId,
        (device, to): (crate::ids::DeviceKey, SealingKey),
    ) -> Option<Body> {
        let entity = self.entities.get(&id)?;
        let (key, secret) = (entity.keys.get(&epoch)?, entity.secret.as_ref()?);
        let sealed = epoch::seal(id, key, secret, to, &mut self.random)?;
        Some(Body::SealKey { epoch, seals: vec![Seal { device, sealed }] })
    }

    /// This person, where it is a member and a key to write under is held or can be made now.
    pub(crate) fn ready_to_write(&mut self, id: EntityId, words: FourWords) -> Result<Actor, Refusal> {
        self.rotate_if_needed(id, Haste::Now);
        // What was written without haste waited for the same key.
        self.seal_all(id);
        let me = self.me.as_ref().map(|me| me.key());
        let member = me.and_then(|me| self.entities.get(&id)?.member(me));
        let actor = member.ok_or_else(|| self.not_in(id, words))?;
        let Some(entity) = self.entities.get(&id).filter(|entity| entity.epoch().is_none()) else {
            return Ok(actor);
        };
        let wait = entity.rotation.due.map_or(0, |due| due.0.saturating_sub(self.now.instant.0));
        let hint = format!("its devices changed very often; try again in {} s", wait.div_ceil(1000));
        Err(refusal(RefusalCode::Pending, format!("{words} waits for a new key"), hint))
    }

    /// Seals what waited for an epoch to write under.
    pub(crate) fn seal_all(&mut self, id: EntityId) {
        let Some(entity) = self.entities.get(&id) else { return };
        let unsealed = entity.replicas.values().filter(|replica| !replica.is_sealed());
        for document in unsealed.map(|replica| replica.key).collect::<Vec<DocumentKey>>() {
            self.seal(id, document);
        }
    }

    /// Gives up what was written here and cannot be sealed any more: this device may not write.
    pub(crate) fn give_up_unsealed(&mut self, id: EntityId) {
        let Some(me) = self.me.as_ref().map(|me| me.key()) else { return };
        let Some(entity) = self.entities.get_mut(&id) else { return };
        if !entity.is_barred(me) || entity.is_sealed() {
            return;
        }
        let askers = entity.forget_unwritten();
        self.refuse_barred(id, askers);
    }

    /// Answers who asked for something to be written where this device may not write.
    pub(crate) fn refuse_barred(&mut self, id: EntityId, askers: Vec<CommandId>) {
        // A home has no words that people know.
        let refused = self.names.entity(id).map_or_else(not_ours, |words| self.not_in(id, words));
        for asker in askers {
            self.out.refuse(asker, refused.clone());
        }
    }
}
