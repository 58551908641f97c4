//! Has documents folded: proposes checkpoints, signs those of others, and writes the snapshot.
//!
//! Whoever wants to fold reads its own logs as far as the frontier, signs what it finds and tells it,
//! with the roster heads by which it judged. Whoever hears of that reads its own logs to the same vector
//! by the roster at those heads and signs what *it* finds; nobody signs another's word. What devices of
//! two people found to be the same becomes the snapshot, and the envelopes that it covers are forgotten.
//! Invariant: nothing is folded that this device has not read and judged itself, nothing that somebody
//! awaited may not have, and nothing as if a removal or demotion that this device knows were not.

use std::collections::BTreeSet;

use rand::Rng;

use super::checkpoints::Open;
use super::kept::COUNTERSIGNED;
use super::late::Late;
use super::tending::lapse;
use crate::checkpoint::{self, Extent, Signatures, Signed, Vector, beyond, covers};
use crate::entity::Entity;
use crate::history::{Past, Watch};
use crate::ids::{DeviceKey, DocumentKey, EntityId, LogHead, StatementId};
use crate::limits::FRAME_LOGS_MAX;
use crate::outbox::local;
use crate::reading::LOAD_BYTES;
use crate::record::{LoadId, Page, Query, Record, StoreFailure};
use crate::replica::{Base, Replica, Vouched};
use crate::replicator::{Load, Replicator};
use crate::session::Stream;
use crate::time::{Duration, WallTime};

/// Within which time who may propose does: whoever draws the shortest spares the others.
const PROPOSE_WITHIN: Duration = Duration::from_secs(5);

/// When it is looked again whether another document may be read beside the one in memory.
const READ_AGAIN: Duration = Duration(100);

/// How many people must have found the same, where there are as many.
const WITNESSES: usize = 2;

/// Whether enough people vouch for a checkpoint: two, or the only one of whom a device could have
/// found it. One of them is a member who may write; another may have left since.
pub(crate) fn is_confirmed(
    entity: &Entity,
    signatures: &Signatures,
    could: impl Fn(&DeviceKey) -> bool,
) -> bool {
    let able = entity.roster.reading().devices().filter(|(device, _)| could(device));
    let able: BTreeSet<_> = able.map(|(_, person)| person).collect();
    signatures.keys().any(|device| entity.may_write(*device))
        && witnesses(entity, signatures) >= able.len().clamp(1, WITNESSES)
}

/// How many people signed who are or were in.
fn witnesses(entity: &Entity, signatures: &Signatures) -> usize {
    let people = signatures.keys().filter_map(|device| entity.roster.person_of(device));
    people.collect::<BTreeSet<_>>().len()
}

impl Replicator {
    /// Does what can be done now to have a document in memory folded.
    pub(super) fn fold_on(&mut self, id: EntityId, document: DocumentKey) {
        let (now, wall) = (self.now.instant, self.now.wall);
        let Some(replica) = self.replica_mut(id, document) else { return };
        let is_open = replica.checkpoints.open.is_some();
        if replica.folding.is_some() {
            return;
        }
        let proposed = self.best_proposed(id, document);
        if is_open && proposed.is_none() {
            return self.write_confirmed(id, document);
        }
        let Some((vector, heads)) = proposed.or_else(|| self.own_proposal(id, document)) else { return };
        if !self.may_read_beside() {
            return;
        }
        let Some(replica) = self.replica_mut(id, document) else { return };
        if !replica.checkpoints.may_fold(now) {
            let at = replica.checkpoints.free_at(now);
            return self.out.wake_at(at);
        }
        replica.checkpoints.propose_at = None;
        replica.begin_folding(vector, Some(heads), Watch::Past(Past::default(), wall));
        self.fold_next(id, document, 0);
    }

    /// The checkpoint to be folded to among those that peers showed: a confirmed one before all others,
    /// then the furthest, if that is better than what was found here already.
    fn best_proposed(&self, id: EntityId, document: DocumentKey) -> Option<Extent> {
        let entity = self.entities.get(&id)?;
        let replica = entity.replicas.get(&document)?;
        let (base, is_settled) = (replica.covered(), entity.is_settled(replica, self.now.wall));
        let rank = |signed: &Signed| {
            let vector = signed.checkpoint.vector();
            let furthest = beyond(&vector, &base);
            (is_confirmed(entity, &signed.signatures, |_| true), furthest, signed.checkpoint.extent())
        };
        let shown = self.sessions.iter().filter(|(device, _)| entity.member(**device).is_some());
        let shown = shown.filter_map(|(_, s)| s.shared.get(&id)?.acks.get(&document)?.shown.as_ref());
        let fits = |signed: &&Signed| {
            let extent = signed.checkpoint.extent();
            let is_stable = |(log, head): (_, &LogHead)| {
                head.sequence <= replica.stability.frontier().get(log).copied().unwrap_or(0)
            };
            let is_confirmed = is_confirmed(entity, &signed.signatures, |_| true);
            replica.may_fold_to(&extent)
                && entity.knows_extent(&extent)
                && (is_confirmed || (is_settled && extent.0.iter().all(is_stable)))
        };
        let best = shown.filter(fits).map(rank).max()?;
        let open = replica.checkpoints.open.as_ref().map(|open| &open.signed);
        // What was found there is found: it is not read again.
        let is_better = open.is_none_or(|open| best > rank(open) && best.2 != open.checkpoint.extent());
        is_better.then_some(best.2)
    }

    /// How far this device has the document folded by itself, once it is time: as far as all awaited have
    /// it, if that is most of what lies behind the snapshot.
    fn own_proposal(&mut self, id: EntityId, document: DocumentKey) -> Option<Extent> {
        let within = self.random.next_u64() % PROPOSE_WITHIN.0;
        let now = self.now.instant;
        let entity = self.entities.get(&id)?;
        let replica = entity.replicas.get(&document).filter(|replica| replica.checkpoints.wants())?;
        let vector = replica.stable_vector();
        let heads = entity.roster.heads_over(&entity.cutting_short(&vector));
        let extent = (vector, heads);
        let is_settled = entity.is_settled(replica, self.now.wall);
        let is_new = replica.checkpoints.told.as_ref() != Some(&extent);
        let may_fold = is_new
            && is_settled
            && replica.may_fold_to(&extent)
            && entity.knows_extent(&extent)
            && entity.may_fold_alone(replica, self.now.wall);
        let replica = self.replica_mut(id, document)?;
        let grown = beyond(&extent.0, &replica.covered());
        let all = replica.live().map_or(0, |live| live.beyond.envelopes);
        if grown.saturating_mul(2) <= all || !may_fold {
            replica.checkpoints.propose_at = None;
            return None;
        }
        let at = *replica.checkpoints.propose_at.get_or_insert(now + Duration(within));
        if at > now {
            self.out.wake_at(at);
            return None;
        }
        Some(extent)
    }

    // -- reading ------------------------------------------------------------------------------

    /// Whether a document may be read beside the one in memory now. One at a time is, over all entities:
    /// what is read takes as much memory again. Else it is tried again soon.
    pub(crate) fn may_read_beside(&mut self) -> bool {
        let mut replicas = self.entities.values().flat_map(|entity| entity.replicas.values());
        let is_free = replicas.all(|replica| replica.folding.is_none());
        if !is_free {
            self.out.wake_at(self.now.instant + READ_AGAIN);
        }
        is_free
    }

    /// Reads on in a document that is being read beside the one in memory.
    pub(crate) fn fold_next(&mut self, id: EntityId, document: DocumentKey, after: u64) {
        let Some(replica) = self.entities.get_mut(&id).and_then(|e| e.replicas.get_mut(&document)) else {
            return;
        };
        let load = self.out.load(match replica.next_part_to_fold() {
            Some(part) => Query::SnapshotPart { document, part },
            None => Query::Document { document, after, bytes_max: LOAD_BYTES },
        });
        if let Some(folding) = &mut replica.folding {
            folding.reading = Some(load);
            self.loads.insert(load, Load::Folding(id, document));
        }
    }

    /// A page of a document that is being folded was read.
    pub(crate) fn folding_loaded(
        &mut self,
        load: LoadId,
        (id, document): (EntityId, DocumentKey),
        page: Result<Page, StoreFailure>,
    ) {
        let Some(me) = self.me.as_ref().map(|me| me.key()) else { return };
        let Some(entity) = self.entities.get_mut(&id) else { return };
        let Some(replica) = entity.replicas.get_mut(&document) else { return };
        if replica.folding.as_ref().is_none_or(|folding| folding.reading != Some(load)) {
            // The document was begun anew since, and what was read of it with that.
            return;
        }
        match page {
            Ok(Page::SnapshotPart(part)) => match replica.fold_part(part) {
                true => self.fold_next(id, document, 0),
                false => self.give_up_folding(id, document),
            },
            Ok(Page::Envelopes { envelopes, next }) => {
                entity.fold(document, &envelopes, me);
                match next {
                    Some(after) => self.fold_next(id, document, after),
                    None => self.end_folding(id, document, me),
                }
            }
            Ok(_) | Err(_) => self.give_up_folding(id, document),
        }
    }

    fn give_up_folding(&mut self, id: EntityId, document: DocumentKey) {
        self.drop_counted("unreadable page to be folded");
        let Some(replica) = self.replica_mut(id, document) else { return };
        if replica.is_giving_way() {
            replica.fail_folding();
            self.gave_way(id, document);
        } else if replica.is_watched() {
            replica.folding = None;
            self.recalled(id, document, None);
        } else {
            replica.folding = None;
        }
        self.recall(id, document);
    }

    /// What is to be kept of the past was read, as far as it could be: a peer's snapshot may take the
    /// place of what is here.
    fn gave_way(&mut self, id: EntityId, document: DocumentKey) {
        let Some(replica) = self.replica_mut(id, document) else { return };
        let unconfirmed = replica.unconfirmed.as_ref();
        if unconfirmed.is_some_and(|unconfirmed| !replica.is_covered_by(&unconfirmed.signed)) {
            return self.join_folded(id, document);
        }
        let past = replica.end_taking();
        if let Some(unconfirmed) = &mut replica.unconfirmed {
            unconfirmed.past = Some(past.unwrap_or_default());
        }
        self.confirm(id, document);
    }

    /// What others folded without this device, and what it folded without them, is found to be one snapshot.
    /// Whoever puts the same two together finds the same.
    fn join_folded(&mut self, id: EntityId, document: DocumentKey) {
        let Some(entity) = self.entities.get_mut(&id) else { return };
        let Some(replica) = entity.replicas.get(&document) else { return };
        let cut = replica.reaches_joined().map(|vector| entity.cutting_short(&vector)).unwrap_or_default();
        let heads = entity.roster.heads_over(&cut);
        let Some(replica) = entity.replicas.get_mut(&document) else { return };
        let joined = replica.end_joining(heads).map(|joined| joined.into_vouched((id, document)));
        match joined.filter(|(snapshot, _)| snapshot.fits()) {
            Some(found) => self.open_checkpoint((id, document), found, Vec::new()),
            None => self.drop_counted("snapshot that does not fit what is here"),
        }
    }

    /// All was read: whoever it was read for has it, and the next who waits has it read.
    fn end_folding(&mut self, id: EntityId, document: DocumentKey, me: DeviceKey) {
        let Some(entity) = self.entities.get_mut(&id) else { return };
        entity.fold_early(document, me);
        let Some(replica) = entity.replicas.get_mut(&document) else { return };
        if replica.is_giving_way() {
            self.gave_way(id, document);
        } else if replica.is_watched() {
            let watch = replica.end_watching();
            self.recalled(id, document, watch);
        } else {
            self.folded(id, document);
        }
        self.recall(id, document);
    }

    /// What was found is signed and told, or not tried again.
    fn folded(&mut self, id: EntityId, document: DocumentKey) {
        let Some(entity) = self.entities.get_mut(&id) else { return };
        let Some(replica) = entity.replicas.get_mut(&document) else { return };
        let (extent, void) = (replica.folds_to(), replica.void_folded(&entity.keys));
        let folded = replica.end_folding().map(|folded| folded.into_vouched((id, document)));
        if let Some(found) = folded.filter(|(snapshot, _)| snapshot.fits()) {
            return self.open_checkpoint((id, document), found, void);
        }
        replica.checkpoints.failed = extent;
        self.drop_counted("folding that came to nothing");
    }

    /// Signs what was found and tells it; it waits for others who find the same.
    fn open_checkpoint(
        &mut self,
        (id, document): (EntityId, DocumentKey),
        (snapshot, past): (Vouched, Past),
        void: Vec<Late>,
    ) {
        let (Some(me), Some(entity)) = (&self.me, self.entities.get_mut(&id)) else { return };
        let Some(replica) = entity.replicas.get_mut(&document) else { return };
        let mut signed = Signed::new(snapshot.checkpoint.clone());
        signed.signatures.insert(me.key(), checkpoint::sign(&signed.name, &me.device));
        let shown = self.sessions.values().filter_map(|s| s.shared.get(&id)?.acks.get(&document));
        for shown in shown.filter_map(|known| known.shown.as_ref()) {
            if shown.name == signed.name {
                signed.join(&shown.signatures);
            }
        }
        replica.checkpoints.open = Some(Open { signed, snapshot, past, void });
        self.use_document(id, document);
        self.tell_checkpoint_to_all(id, document);
        self.look_to(id, document);
    }

    // -- writing ------------------------------------------------------------------------------

    /// Makes what was found here the snapshot, if enough others found the same. Where others keep the
    /// document no longer one alone has no witness.
    fn write_confirmed(&mut self, id: EntityId, document: DocumentKey) {
        let wall = self.now.wall;
        let Some(entity) = self.entities.get_mut(&id) else { return };
        let Some(replica) = entity.replicas.get(&document) else { return };
        let may_alone = entity.may_fold_alone(replica, wall);
        let Some(Replica { checkpoints, .. }) = entity.replicas.get_mut(&document) else { return };
        let Some(open) = checkpoints.open.take() else { return };
        let signatures = &open.signed.signatures;
        let is_seen = may_alone || witnesses(entity, signatures) >= WITNESSES;
        if is_seen && is_confirmed(entity, signatures, |_| true) {
            // By the roster as it is known now it may count: what is folded is settled by another.
            if let Some(replica) = entity.replicas.get_mut(&document) {
                replica.stability.note_late(open.void);
            }
            self.write_snapshot(id, (&open.snapshot, &open.past), open.signed);
        } else if let Some(replica) = entity.replicas.get_mut(&document) {
            replica.checkpoints.open = Some(open);
        }
    }

    /// Writes a confirmed snapshot: from now on it stands for what it covers, and the document is
    /// read anew from it. Who took it from a peer vouches for it like who found it.
    pub(crate) fn write_snapshot(
        &mut self,
        id: EntityId,
        (snapshot, past): (&Vouched, &Past),
        mut signed: Signed,
    ) {
        let document = snapshot.checkpoint.document;
        let (Some(me), Some(entity)) = (&self.me, self.entities.get_mut(&id)) else { return };
        let Some(replica) = entity.replicas.get_mut(&document) else { return };
        let own = checkpoint::sign(&signed.name, &me.device);
        signed.join(&Signatures::from([(me.key(), own)]));
        let parts = snapshot.parts();
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let mut base = Base::new(replica.snapshots.saturating_add(1), count, &signed);
        base.weigh(&parts);
        let number = base.number;
        for (part, bytes) in (0..).zip(parts.into_iter().chain(past.write())) {
            self.out.write(vec![Record::SnapshotPart { document, number, part, bytes }], Vec::new());
        }
        let covers = base.covers.iter().map(|(log, head)| (*log, *head)).collect();
        let counts = Record::Snapshot { entity: id, document, number, parts: count, covers };
        let signatures = local(COUNTERSIGNED, &document.0, Some(base.write_signatures()));
        self.out.write(vec![counts, signatures], Vec::new());
        let void = replica.void_within(&entity.keys, &base.covers);
        replica.stability.note_late(void);
        self.out.write(replica.stability.take_records(document), Vec::new());
        replica.rebase(base);
        for session in self.sessions.values_mut() {
            // What it covers can be read no more, so that streams begin anew once it was read.
            let streams = session.shared.get_mut(&id).and_then(|shared| shared.streams.get_mut(&document));
            streams.into_iter().for_each(|stream| *stream = Stream::default());
        }
        self.tell_checkpoint_to_all(id, document);
        self.touch(id);
        self.judge_anew(id);
    }
}

impl Entity {
    /// Of these devices those whose latest acknowledgement of a document was made by a roster that is not
    /// known here, or that did not know all that cuts logs of it short: they may find other things to
    /// count.
    pub(super) fn unsettled(
        &self,
        replica: &Replica,
        devices: impl Iterator<Item = DeviceKey>,
    ) -> BTreeSet<DeviceKey> {
        let acts = self.cutting_short(&replica.heads);
        let is_settled = |device: &DeviceKey| {
            let ack = replica.stability.ack_of(device);
            let knows = |heads: &[StatementId]| acts.is_empty() || self.roster.follows(heads, &acts);
            ack.is_none_or(|ack| self.roster.knows(&ack.heads) && knows(&ack.heads))
        };
        devices.filter(|device| !is_settled(device)).collect()
    }

    /// Whether none of those who are awaited is unsettled. Then what is void within what they have stays
    /// void: whoever could vouch for it has.
    fn is_settled(&self, replica: &Replica, now: WallTime) -> bool {
        let devices = self.roster.reading().devices().map(|(device, _)| device);
        let awaited = devices.filter(|device| replica.stability.counts(device, lapse(self), now));
        self.unsettled(replica, awaited).is_empty()
    }

    /// Whether one person alone is left of several.
    pub(super) fn is_left_alone(&self) -> bool {
        self.roster.reading().members.len() == 1 && self.roster.has_former()
    }

    /// Whether what is folded here waits for nobody who has left: others are in or nobody ever was, or who has
    /// left had time to come back. To who comes back nothing can be given that one person alone has folded.
    fn may_fold_alone(&self, replica: &Replica, now: WallTime) -> bool {
        !self.is_left_alone() || replica.stability.was_alone_for(lapse(self), now)
    }

    /// Whether the roster by which a checkpoint is judged is known here, and leaves out nothing known here
    /// that cuts the logs short: who lags behind may have left out what others vouched for, and nothing else.
    pub(crate) fn knows_extent(&self, (vector, heads): &Extent) -> bool {
        self.roster.knows(heads) && self.roster.follows(heads, &self.cutting_short(vector))
    }
}

impl Replica {
    /// How much of each log the snapshot covers.
    pub(crate) fn covered(&self) -> Vector {
        self.base.as_ref().map(|base| base.covers.clone()).unwrap_or_default()
    }

    /// What all awaited have and is held here, and no less than the snapshot covers.
    fn stable_vector(&self) -> Vector {
        let mut vector = self.covered();
        let Some(live) = self.live() else { return vector };
        for (log, upto) in self.stability.frontier() {
            let sequence = self.heads.length(log).min(*upto);
            let is_further = vector.get(log).is_none_or(|head| head.sequence < sequence);
            if sequence == 0 || !is_further || (vector.len() >= FRAME_LOGS_MAX && !vector.contains_key(log)) {
                continue;
            }
            if let Some(hash) = live.branches.at(log, sequence) {
                vector.insert(*log, LogHead { sequence, hash });
            }
        }
        vector
    }

    /// Whether a checkpoint covers more than the snapshot, all of it is held here, and reading that far
    /// has not come to nothing before.
    fn may_fold_to(&self, extent: &Extent) -> bool {
        let (vector, _) = extent;
        let (base, Some(live)) = (self.covered(), self.live()) else { return false };
        let is_held =
            vector.iter().all(|(log, head)| live.branches.at(log, head.sequence) == Some(head.hash));
        is_held
            && covers(vector, &base)
            && *vector != base
            && self.checkpoints.failed.as_ref() != Some(extent)
    }

    /// Takes a snapshot as what stands for the beginnings of the logs. The content in memory is to be
    /// read anew.
    fn rebase(&mut self, base: Base) {
        self.snapshots = base.number;
        self.base = Some(base);
        self.is_begun = true;
        (self.folding, self.unconfirmed) = (None, None);
        self.checkpoints.begin_anew();
        self.distrust();
    }
}
