//! Drives forgetting: makes acknowledgements, moves frontiers, prunes, folds, and keeps all of it.
//!
//! Looks after every wake, which follows whatever changed, so that what comes together is looked at
//! once. Invariant: where nothing waits, nothing is made, written or sent.

use std::collections::BTreeSet;

use super::Wanted;
use super::kept::ACK;
use super::tombstones::Tombstones;
use crate::acknowledgement::Acknowledgement;
use crate::command::Notice;
use crate::entity::Entity;
use crate::ids::{DeviceKey, DocumentKey, EntityId};
use crate::outbox::{After, local};
use crate::replica::Replica;
use crate::replicator::Replicator;
use crate::schema::chat::MessageId;
use crate::schema::key;
use crate::time::Duration;
use crate::views;

const DAY_MS: u64 = 86_400_000;

/// After how long a device that acknowledges nothing holds nothing back in an entity.
pub(crate) fn lapse(entity: &Entity) -> Duration {
    Duration(u64::from(views::settings(entity).lapse_days).saturating_mul(DAY_MS))
}

impl Replicator {
    /// Looks after all documents in memory, and those at rest in which something waits or of which others
    /// believe that this device does not keep them.
    pub(crate) fn tend_stability(&mut self) {
        let waits = |r: &Replica| (r.rested().is_some() && r.waits()) || r.stability.is_misheard();
        let live = |r: &&Replica| r.live().is_some() || waits(r);
        let all: Vec<(EntityId, DocumentKey)> = self
            .entities
            .iter()
            .flat_map(|(id, entity)| entity.replicas.values().filter(live).map(|r| (*id, r.key)))
            .collect();
        for (id, document) in all {
            self.look_to(id, document);
        }
    }

    /// Does what can be done for a document now: prunes what is stable, acknowledges what waits, has
    /// it folded, and tells who lacks acknowledgements.
    pub(crate) fn look_to(&mut self, id: EntityId, document: DocumentKey) {
        let Some(me) = self.me.as_ref().map(|me| me.key()) else { return };
        self.confirm(id, document);
        let fold_after = self.fold_after;
        let Some(entity) = self.entities.get_mut(&id).filter(|_| self.read_only.is_none()) else { return };
        // What is in memory must be what counts, and what it says must be a member's word.
        if entity.rejudge || entity.member(me).is_none() {
            return;
        }
        self.say_that_it_is_kept(id, document);
        let wall = self.now.wall;
        let Some(entity) = self.entities.get_mut(&id) else { return };
        let is_alone = entity.is_left_alone();
        let replica = entity.replicas.get_mut(&document);
        let is_known = |r: &&mut Replica| r.rested().is_some() || (r.live().is_some() && !r.is_stale());
        let Some(replica) = replica.filter(is_known) else { return };
        replica.measure(fold_after);
        replica.stability.note_alone(is_alone, wall);
        let waits = replica.waits();
        if waits {
            self.look_for_stable(id, document, me);
        } else {
            let lapse = lapse(entity);
            self.replica_mut(id, document).into_iter().for_each(|r| r.stability.rest(lapse, wall));
        }
        self.acknowledge(id, document);
        self.fold_on(id, document);
        self.keep_stability(id, document);
        self.tell_acks_to_all(id, document);
    }

    /// Moves the frontier on and prunes by it, if anything changed or a device lapsed.
    fn look_for_stable(&mut self, id: EntityId, document: DocumentKey, me: DeviceKey) {
        let (now, wall) = (self.now.instant, self.now.wall);
        let Some(entity) = self.entities.get_mut(&id) else { return };
        let lapse = lapse(entity);
        let roster = entity.roster.digest();
        let members: BTreeSet<DeviceKey> =
            entity.roster.reading().devices().map(|(device, _)| device).collect();
        let Some(replica) = entity.replicas.get(&document) else { return };
        let unsettled = match replica.checkpoints.wants() {
            true => entity.unsettled(replica, members.iter().copied()),
            false => BTreeSet::new(),
        };
        let Some(replica) = entity.replicas.get_mut(&document) else { return };
        let Some(changes) = replica.tombstones().map(Tombstones::changes) else { return };
        let waits = (changes, replica.checkpoints.changes());
        let has_changed = replica.stability.has_changed(unsettled, (roster, waits), lapse, wall);
        if has_changed {
            replica.look_for_stable((&me, &members), lapse, wall);
        }
        if let Some(left) = replica.stability.next_lapse(lapse, wall) {
            self.out.wake_at(now + left);
        }
        self.prune(id, document);
    }

    /// Prunes what lies within the frontier as it is known: what was pruned once is never shown
    /// again, also right after the document was read anew.
    pub(crate) fn prune(&mut self, id: EntityId, document: DocumentKey) {
        let Some(me) = self.me.as_ref() else { return };
        let (owner, wall) = (key::owner(&me.person()), self.now.wall);
        let Some(entity) = self.entities.get_mut(&id) else { return };
        let lapse = lapse(entity);
        let Some(replica) = entity.replicas.get_mut(&document) else { return };
        match replica.prune_stable(owner) {
            Ok(pruned) => {
                let of = replica.of;
                let is_told = replica.stability.note_late(pruned.late);
                if pruned.messages.is_empty() && !is_told {
                    return;
                }
                if !replica.waits() {
                    replica.stability.rest(lapse, wall);
                }
                self.tell_pruned(id, document, of, pruned.messages, is_told);
            }
            Err(_) => self.rebuild(id, document),
        }
    }

    fn tell_pruned(
        &mut self,
        id: EntityId,
        document: DocumentKey,
        of: EntityId,
        messages: Vec<MessageId>,
        was_late: bool,
    ) {
        self.notify_changed(id, document, messages);
        self.sync_changed.insert(of);
        if let Some(words) = self.names.entity(of).filter(|_| was_late) {
            self.out.notify(Notice::AcceptanceChanged(words));
        }
    }

    /// Makes an acknowledgement of ours if something waits that the last one does not reach. It is
    /// told once it is on disk, in a batch after all that it names.
    fn acknowledge(&mut self, id: EntityId, document: DocumentKey) {
        let (now, fold_after) = (self.now.instant, self.fold_after);
        let known = self.sessions.values().filter_map(|s| s.shared.get(&id)?.acks.get(&document));
        let is_asked = known.filter(|known| known.waits).count() > 0;
        let (Some(me), Some(entity)) = (&self.me, self.entities.get(&id)) else { return };
        let Some(replica) = entity.replicas.get(&document) else { return };
        // A peer whose snapshot is another may want to fold somewhat before this device does.
        let is_near = replica.beyond().is_some_and(|beyond| beyond.envelopes > fold_after / 2);
        let all = replica.checkpoints.wants() || (is_asked && is_near);
        let is_wanted = replica.checkpoints.wants() || is_asked;
        if !is_wanted && replica.count_tombstones() == 0 {
            return;
        }
        let own = replica.stability.ack_of(&me.device.key());
        let heads = entity.roster.heads_over(&entity.cutting_short(&replica.heads));
        let is_unsettled = || !entity.unsettled(replica, [me.device.key()].into_iter()).is_empty();
        // Of heads that cannot all be named it names no others the next time.
        let anew = is_wanted && own.is_some_and(|own| own.heads != heads) && is_unsettled();
        let wanted = Wanted { all, anew, heads };
        let Some(replica) = self.entities.get_mut(&id).and_then(|e| e.replicas.get_mut(&document)) else {
            return;
        };
        match replica.acknowledge((id, document), &me.device, wanted, now) {
            Ok(Some(ack)) => self.write_own(id, &ack),
            Ok(None) => {}
            Err(at) => self.out.wake_at(at),
        }
    }

    /// Says again that this device keeps a document, where others know a later word that says it does not.
    fn say_that_it_is_kept(&mut self, id: EntityId, document: DocumentKey) {
        let now = self.now.instant;
        let (Some(me), Some(entity)) = (&self.me, self.entities.get_mut(&id)) else { return };
        let heads = entity.roster.heads_over(&[]);
        let Some(replica) = entity.replicas.get_mut(&document) else { return };
        match replica.stability.say_kept((id, document), &me.device, heads, now) {
            Ok(Some(ack)) => self.write_own(id, &ack),
            Ok(None) => {}
            Err(at) => self.out.wake_at(at),
        }
    }

    /// Writes an acknowledgement of ours, which is told once it is on disk.
    fn write_own(&mut self, id: EntityId, ack: &Acknowledgement) {
        let of = [ack.document.0, ack.device.0].concat();
        let record = local(ACK, &of, Some(ack.bytes().to_vec()));
        self.out.write(vec![record], vec![After::Acknowledged(id, ack.document)]);
    }

    /// Our acknowledgement is on disk: it counts, and may be told.
    pub(crate) fn acknowledged(&mut self, id: EntityId, document: DocumentKey) {
        let wall = self.now.wall;
        let Some(replica) = self.replica_mut(id, document) else { return };
        let Replica { stability, heads, .. } = replica;
        let was_misheard = stability.is_misheard();
        stability.made(|log| heads.contains_key(log), wall);
        if was_misheard {
            self.tell_word_to_all(id, document);
        }
        self.look_to(id, document);
    }

    /// Writes what changed of what is known of who holds a document.
    fn keep_stability(&mut self, id: EntityId, document: DocumentKey) {
        let replica = self.replica_mut(id, document);
        let records = replica.map(|replica| replica.stability.take_records(document)).unwrap_or_default();
        if !records.is_empty() {
            self.out.write(records, Vec::new());
        }
    }

    pub(super) fn replica_mut(&mut self, id: EntityId, document: DocumentKey) -> Option<&mut Replica> {
        self.entities.get_mut(&id)?.replicas.get_mut(&document)
    }
}
