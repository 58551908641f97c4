//! Who is given which epoch keys: newcomers when they are let in, and whoever asks for what it
//! lacks.
//!
//! A key follows the roster: it is sealed to members' devices alone. Where an entity's history is
//! closed, a newcomer is owed what was opened after it was let in, and a new epoch is opened before
//! it. A device that lacks a key asks one member at a time; what one person can make this device
//! sign by asking is bounded for good, since every seal is a statement that everybody keeps.

use std::collections::BTreeSet;

use crate::command::Kind;
use crate::entity::Entity;
use crate::ids::{DeviceKey, EntityId, SealingKey, StatementId};
use crate::limits::{KEYS_PUSHED_MAX, LACKING_EPOCHS_MAX, SEALS_FOR_ONE_PERSON_MAX, SEALS_REPEATED_MAX};
use crate::outbox::After;
use crate::replica::Replica;
use crate::replicator::Replicator;
use crate::roster::Body;
use crate::schema::{Concern, core};
use crate::time::{Duration, Instant};
use crate::wire::Frame;

/// How long an answer may take before another device is asked, at first and at most; it doubles
/// whenever all were asked.
const ASK_FIRST: Duration = Duration::from_secs(2);
const ASK_MAX: Duration = Duration::from_secs(60);

/// How often a device may ask: a burst, then one for each stretch of time.
const ASKED_BURST: u64 = 8;
const ASKED_EVERY: Duration = Duration::from_secs(1);

/// Whom this device asks for the keys it lacks.
#[derive(Debug, Default)]
pub(crate) struct Asking {
    /// What was lacking when last looked at.
    lacking: BTreeSet<StatementId>,
    /// Who was asked last.
    asked: Option<DeviceKey>,
    /// When somebody may be asked again.
    next: Instant,
    pause: Duration,
    /// How many asks there were: each names other epochs, should there be too many for one.
    turn: usize,
}

impl Entity {
    /// Whether newcomers are given the older keys; `None` while the document that says so is not
    /// in memory.
    pub(crate) fn history_is_open(&self) -> Option<bool> {
        match self.document(self.id, &Concern::Core) {
            Some(core) => core.live().map(|live| core::settings(&live.document).newcomers_read_history),
            None => (self.kind == Kind::Home || self.secret.is_none()).then_some(true),
        }
    }

    /// Whether a member's device is owed the key of an epoch.
    fn owes(&self, device: &DeviceKey, epoch: &StatementId, history_is_open: bool) -> bool {
        let membership = self.roster.reading().member_of(device).map(|(_, membership)| membership);
        membership.is_some_and(|began| history_is_open || self.roster.opened_for(epoch, &began))
    }

    /// The epochs whose keys this device is owed and does not have: what waiting envelopes need
    /// first, then the greatest.
    fn lacking(&self, me: &DeviceKey) -> Vec<StatementId> {
        let open = self.history_is_open().unwrap_or(true);
        let epochs = self.roster.epochs().into_iter().filter(|epoch| !self.keys.contains_key(epoch));
        let mut lacking: Vec<StatementId> = epochs.filter(|epoch| self.owes(me, epoch, open)).collect();
        let waited: BTreeSet<StatementId> =
            self.replicas.values().flat_map(|replica| replica.waiting.epochs()).collect();
        lacking.sort_by_key(|epoch| !waited.contains(epoch));
        lacking
    }
}

impl Replicator {
    // -- letting in ---------------------------------------------------------------------------

    /// Whether somebody can be let in now: where history is closed, the settings must be in memory
    /// and it must be time for another epoch. Has the settings read if they are not.
    pub(crate) fn can_let_in(&mut self, id: EntityId) -> bool {
        let open = self.entities.get(&id).map(Entity::history_is_open);
        if open == Some(None) {
            self.load_documents(id);
        }
        matches!(open, Some(Some(_)))
    }

    /// States what makes a device a member's (an admission, or a certificate of one's own) and
    /// seals the keys it is owed, all in one batch. Where history is closed, a newcomer is let in
    /// behind a new epoch. `None` if nothing was stated: the caller may not, or not yet.
    pub(crate) fn let_in(
        &mut self,
        id: EntityId,
        body: Body,
        (device, to): (DeviceKey, SealingKey),
        after: Vec<After>,
    ) -> Option<StatementId> {
        let open = self.entities.get(&id)?.history_is_open()?;
        let newcomer = matches!(body, Body::Add { .. } | Body::AcceptInvite { .. });
        self.out.gather();
        let begun = open || !newcomer || self.open_epoch(id);
        let stated = begun.then(|| self.state(id, body, after)).flatten();
        if stated.is_some() {
            self.push_keys(id, (device, to), open);
        }
        self.out.release();
        self.tend(id);
        stated
    }

    /// Seals the keys that a device is owed, the one written under first: whoever has a key but
    /// none to write under opens an epoch. More than `KEYS_PUSHED_MAX` it asks for.
    fn push_keys(&mut self, id: EntityId, to: (DeviceKey, SealingKey), open: bool) {
        let Some(entity) = self.entities.get(&id) else { return };
        let current = entity.epoch().map(|(epoch, _)| epoch);
        let known = entity.roster.epochs().into_iter().filter(|epoch| entity.keys.contains_key(epoch));
        let mut owed: Vec<StatementId> = known.filter(|epoch| entity.owes(&to.0, epoch, open)).collect();
        owed.sort_by_key(|epoch| Some(*epoch) != current);
        owed.truncate(KEYS_PUSHED_MAX);
        for epoch in owed {
            if let Some(body) = self.seal_of(id, epoch, to) {
                self.state(id, body, Vec::new());
            }
        }
    }

    // -- asked for keys -----------------------------------------------------------------------

    /// A device says which keys it lacks: those it is owed and that are held here are sealed to it.
    pub(crate) fn asked_for_keys(&mut self, from: DeviceKey, id: EntityId, epochs: &[StatementId]) {
        if epochs.len() > LACKING_EPOCHS_MAX {
            return self.blame(from, "asks for too many keys");
        }
        if self.entities.get(&id).is_none_or(|entity| entity.member(from).is_none()) {
            return self.drop_counted("keys asked for by a stranger");
        }
        let now = self.now.instant;
        let Some(session) = self.sessions.get_mut(&from) else { return };
        if !session.key_asks.take(now, ASKED_BURST, ASKED_EVERY) {
            return self.drop_counted("keys asked for too often");
        }
        self.give_keys(from, id, epochs);
    }

    /// A member's device knocks that nobody sealed a key to: it is given the one written under, and
    /// asks for the others.
    pub(crate) fn give_first_key(&mut self, to: DeviceKey, id: EntityId) {
        let Some(entity) = self.entities.get(&id) else { return };
        if let Some((epoch, _)) = entity.epoch()
            && entity.roster.seals_for(&to).is_empty()
        {
            self.give_keys(to, id, &[epoch]);
        }
    }

    fn give_keys(&mut self, to: DeviceKey, id: EntityId, epochs: &[StatementId]) {
        let (Some(me), Some(entity)) = (self.me.as_ref().map(|me| me.key()), self.entities.get(&id)) else {
            return;
        };
        let Some(open) = entity.history_is_open() else { return self.load_documents(id) };
        let (Some(person), Some(sealing)) = (entity.member(to), entity.roster.sealing_key(&to)) else {
            return;
        };
        let to_device = entity.roster.sealed_by(&me, |device| *device == to);
        let of_person = |device: &DeviceKey| entity.roster.person_of(device) == Some(person.person);
        let to_person: usize = entity.roster.sealed_by(&me, of_person).values().sum();
        let room = SEALS_FOR_ONE_PERSON_MAX.saturating_sub(to_person);
        let epochs: BTreeSet<StatementId> = epochs.iter().copied().collect();
        let due = epochs.into_iter().filter(|epoch| {
            let before = to_device.get(epoch).copied().unwrap_or(0);
            before < SEALS_REPEATED_MAX && entity.owes(&to, epoch, open)
        });
        let due: Vec<StatementId> = due.filter(|epoch| entity.keys.contains_key(epoch)).take(room).collect();
        if due.is_empty() {
            return;
        }
        self.out.gather();
        for epoch in due {
            if let Some(body) = self.seal_of(id, epoch, (to, sealing)) {
                self.state(id, body, Vec::new());
            }
        }
        // Who does not hold the secret yet shares nothing, and is not sent what is new.
        if crate::sync::shared(&mut self.sessions, to, id).is_none() {
            self.out.write(Vec::new(), vec![After::Welcome(id, to)]);
        }
        self.out.release();
    }

    // -- asking for keys ----------------------------------------------------------------------

    /// Asks a member for the keys that this device is owed and lacks: one device at a time, each
    /// new lack soon, the same one ever more slowly.
    pub(crate) fn ask_for_keys(&mut self, id: EntityId) {
        let (now, Some(me)) = (self.now.instant, self.me.as_ref().map(|me| me.key())) else { return };
        let Some(entity) = self.entities.get_mut(&id).filter(|e| e.member(me).is_some()) else { return };
        let mut lacking = entity.lacking(&me);
        let names: BTreeSet<StatementId> = lacking.iter().copied().collect();
        if names != entity.asking.lacking {
            entity.asking.lacking = names;
            entity.asking.pause = ASK_FIRST;
            entity.asking.next = entity.asking.next.min(now + ASK_FIRST);
        }
        if lacking.is_empty() {
            return;
        }
        if entity.asking.next > now {
            return self.out.wake_at(entity.asking.next);
        }
        let connected = self.sessions.keys().filter(|device| entity.member(**device).is_some());
        let connected: Vec<DeviceKey> = connected.copied().collect();
        let after = connected.iter().find(|device| Some(**device) > entity.asking.asked);
        let Some(to) = after.or(connected.first()).copied() else { return };
        let asking = &mut entity.asking;
        if Some(to) <= asking.asked {
            asking.pause = Duration((asking.pause.0 * 2).min(ASK_MAX.0));
        }
        let pages = lacking.len().div_ceil(LACKING_EPOCHS_MAX);
        lacking.rotate_left((asking.turn % pages) * LACKING_EPOCHS_MAX);
        lacking.truncate(LACKING_EPOCHS_MAX);
        asking.turn = asking.turn.wrapping_add(1);
        asking.asked = Some(to);
        asking.next = now + asking.pause;
        self.out.wake_at(asking.next);
        self.out.send(to, &Frame::Lacking { entity: id, epochs: lacking });
    }

    /// Asks on, where something was found lacking and it is time again.
    pub(crate) fn ask_for_all_keys(&mut self) {
        let lacking = self.entities.values().filter(|entity| !entity.asking.lacking.is_empty());
        for (id, next) in lacking.map(|entity| (entity.id, entity.asking.next)).collect::<Vec<_>>() {
            if next > self.now.instant {
                self.out.wake_at(next);
            } else {
                self.ask_for_keys(id);
            }
        }
    }

    /// A device connected that may have what is lacking: it need not wait for its turn.
    pub(crate) fn ask_anew(&mut self) {
        let now = self.now.instant;
        for entity in self.entities.values_mut() {
            entity.asking.next = entity.asking.next.min(now + ASK_FIRST);
            entity.asking.pause = ASK_FIRST;
        }
        self.ask_for_all_keys();
    }

    /// Where history is closed, our log of a document begins anew with each epoch: else newcomers
    /// could not read what follows in it.
    pub(crate) fn part_logs(&mut self, id: EntityId, document: crate::ids::DocumentKey) {
        let Some(entity) = self.entities.get_mut(&id) else { return };
        if entity.history_is_open() != Some(false) {
            return;
        }
        let epoch = entity.epoch().map(|(epoch, _)| epoch);
        let replica: Option<&mut Replica> = entity.replicas.get_mut(&document);
        if let (Some(epoch), Some(replica)) = (epoch, replica) {
            replica.begin_log_under(epoch);
        }
    }
}
