//! Gives a peer our snapshot where it lacks what that covers, and takes one from a peer.
//!
//! The checkpoint is told first, then the parts as they lie on disk, each when the receiver asks for
//! it; what lies beyond is asked for after that like anything else. Invariant: one snapshot at a time
//! is taken, within bounds; it counts once enough people vouch for it and it is what they signed, and
//! what they do not vouch for yet is only shown.

use std::collections::BTreeSet;

use crate::checkpoint::{Signed, Vector, covers, union};
use crate::entity::Entity;
use crate::history::{Past, Watch};
use crate::ids::{DeviceKey, Digest, DocumentKey, EntityId, LogId};
use crate::limits::{SNAPSHOT_PART_BYTES_MAX, SNAPSHOT_PARTS_MAX};
use crate::record::{LoadId, Query};
use crate::replica::{Heads, Replica, Unconfirmed, Vouched};
use crate::replicator::{Load, Replicator};
use crate::schema::key;
use crate::session::{Paging, Stream};
use crate::stability::is_confirmed;
use crate::time::{Duration, Instant};
use crate::wire::Frame;

use super::shared;

/// For how long a snapshot of which no part comes keeps others from being taken.
const STALLED_AFTER: Duration = Duration::from_secs(60);

/// How often a peer's snapshot of one document is taken: a burst, then one for each stretch of time.
const TAKEN_BURST: u64 = 4;
const TAKEN_EVERY: Duration = Duration::from_secs(600);

/// A part of a snapshot as it came.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) name: Digest,
    pub(super) part: u32,
    pub(super) of: u32,
    pub(super) bytes: Vec<u8>,
}

/// A snapshot of which parts are still to come.
#[derive(Debug)]
pub(crate) struct Arriving {
    pub(crate) from: DeviceKey,
    /// What it is of, and the number of its parts.
    what: (EntityId, DocumentKey, u32),
    /// Its checkpoint, as it was shown before the first part.
    signed: Signed,
    parts: Vec<Vec<u8>>,
    /// When the last one came.
    at: Instant,
}

impl Arriving {
    /// Whether it is of this document.
    pub(crate) fn is_of(&self, id: EntityId, document: DocumentKey) -> bool {
        (self.what.0, self.what.1) == (id, document)
    }

    /// Bytes held of it.
    pub(crate) fn bytes(&self) -> usize {
        self.parts.iter().map(Vec::len).sum()
    }
}

impl Replicator {
    // -- giving -------------------------------------------------------------------------------

    /// Loads a part of our snapshot for a peer.
    pub(super) fn next_part(&mut self, to: DeviceKey, entity: EntityId, document: DocumentKey, part: u32) {
        let Some(shared) = shared(&mut self.sessions, to, entity) else { return };
        let load = self.out.load(Query::SnapshotPart { document, part });
        shared.streams.entry(document).or_default().page = Paging::LoadingPart(load, part);
        self.loads.insert(load, Load::Page(to, entity, document));
        self.use_document(entity, document);
    }

    /// A part was loaded: it is sent, and the next one when the receiver asks.
    pub(super) fn part_loaded(
        &mut self,
        load: LoadId,
        (to, entity, document): (DeviceKey, EntityId, DocumentKey),
        bytes: Option<Vec<u8>>,
    ) {
        let known = self.entities.get(&entity).filter(|e| e.member(to).is_some());
        let base = known.and_then(|entity| entity.replicas.get(&document)?.base.as_ref());
        let signed = base.and_then(|base| Some((base.signed()?.name, base.parts)));
        let Some(shared) = shared(&mut self.sessions, to, entity) else { return };
        let Some(stream) = shared.streams.get_mut(&document) else { return };
        let Paging::LoadingPart(expected, part) = stream.page else { return };
        if expected != load {
            return;
        }
        if stream.part != Some(part) {
            // By what the peer has shown meanwhile it lacks something else.
            stream.page = Paging::None;
            return self.next_page(to, entity, document);
        }
        let (Some(bytes), Some((name, of))) = (bytes, signed) else {
            *stream = Stream::default();
            return self.drop_counted("unreadable snapshot");
        };
        let next = part.saturating_add(1);
        (stream.part, stream.page) =
            if next < of { (Some(next), Paging::SentPart) } else { (None, Paging::None) };
        if part == 0 {
            // Right before it: a checkpoint that is told in between would be the one that it is held for.
            self.tell_base(to, entity, document);
        }
        self.out.send(to, &Frame::SnapshotPart { entity, document, name, part, of, bytes });
    }

    /// The snapshot of a document is damaged: what it covers is asked for again like anything that
    /// is not here, and nothing is written behind it meanwhile.
    pub(crate) fn lose_snapshot(&mut self, id: EntityId, document: DocumentKey) {
        self.drop_counted("unreadable snapshot");
        if let Some(replica) = self.entities.get_mut(&id).and_then(|e| e.replicas.get_mut(&document)) {
            replica.lose_base();
        }
        self.read_on(id, document, 0);
    }

    // -- taking -------------------------------------------------------------------------------

    /// A part of a peer's snapshot came.
    pub(super) fn their_part(
        &mut self,
        from: DeviceKey,
        (id, document): (EntityId, DocumentKey),
        piece: Piece,
    ) {
        let now = self.now.instant;
        let of = usize::try_from(piece.of).unwrap_or(usize::MAX);
        if piece.bytes.len() > SNAPSHOT_PART_BYTES_MAX || of > SNAPSHOT_PARTS_MAX || piece.part >= piece.of {
            return self.blame(from, "oversized snapshot");
        }
        if self.entities.get(&id).is_none_or(|entity| entity.member(from).is_none()) {
            return self.drop_counted("snapshot of a stranger");
        }
        if piece.part == 0 && !self.begins_to_arrive(from, (id, document), &piece) {
            return;
        }
        let place = usize::try_from(piece.part).unwrap_or(usize::MAX);
        let arriving = self.arriving.as_mut().filter(|arriving| {
            (arriving.from, arriving.what) == (from, (id, document, piece.of))
                && (arriving.signed.name, arriving.parts.len()) == (piece.name, place)
        });
        let Some(arriving) = arriving else { return self.drop_counted("part out of turn") };
        arriving.parts.push(piece.bytes);
        arriving.at = now;
        if arriving.parts.len() < of {
            self.fetch(id, document, from);
            return self.out.send(from, &Frame::Next { entity: id, document });
        }
        let Some(Arriving { parts, signed, .. }) = self.arriving.take() else { return };
        // While its parts came, another may have brought what it holds.
        if !self.wants(id, &signed) {
            return self.leave_snapshot(from, (id, document));
        }
        self.take_snapshot(from, (id, document), &parts, signed);
    }

    /// A snapshot is not taken. Where that is because the document is yet to be read from disk, its
    /// sender is asked once more when that is done.
    fn leave_snapshot(&mut self, from: DeviceKey, (id, document): (EntityId, DocumentKey)) {
        let replica = self.entities.get(&id).and_then(|entity| entity.replicas.get(&document));
        if replica.is_some_and(|replica| replica.live().is_none() || replica.is_stale()) {
            if let Some(shared) = shared(&mut self.sessions, from, id) {
                shared.asked.remove(&document);
            }
            self.drop_counted("snapshot before its document was read");
            return self.call(id, document);
        }
        self.drop_counted("snapshot that is not wanted");
    }

    /// The first part of a peer's snapshot came. False if it is not taken now.
    fn begins_to_arrive(
        &mut self,
        from: DeviceKey,
        (id, document): (EntityId, DocumentKey),
        piece: &Piece,
    ) -> bool {
        let now = self.now.instant;
        let shared_with = shared(&mut self.sessions, from, id);
        let shown = shared_with.and_then(|shared| shared.acks.get(&document)?.shown.clone());
        let shown = shown.filter(|signed| signed.name == piece.name && self.read_only.is_none());
        let Some(signed) = shown.filter(|signed| self.wants(id, signed)) else {
            self.leave_snapshot(from, (id, document));
            return false;
        };
        let Some(shared) = shared(&mut self.sessions, from, id) else { return false };
        let known = shared.acks.entry(document).or_default();
        let other = self.arriving.as_ref().filter(|arriving| arriving.from != from);
        if other.is_some_and(|other| other.at + STALLED_AFTER > now)
            || !known.snapshots.take(now, TAKEN_BURST, TAKEN_EVERY)
        {
            self.drop_counted("one snapshot too many");
            return false;
        }
        let what = (id, document, piece.of);
        self.arriving = Some(Arriving { from, what, signed, parts: Vec::new(), at: now });
        true
    }

    /// Takes a peer's snapshot of which all parts have come.
    fn take_snapshot(
        &mut self,
        from: DeviceKey,
        (id, document): (EntityId, DocumentKey),
        parts: &[Vec<u8>],
        signed: Signed,
    ) {
        let replica = self.entities.get_mut(&id).and_then(|entity| entity.replicas.get_mut(&document));
        let Some(replica) = replica else { return };
        let snapshot = Vouched::read(parts).ok().filter(|snapshot| snapshot.checkpoint == *signed.checkpoint);
        let opened = snapshot.and_then(|snapshot| Some((replica.open(&snapshot).ok()?, snapshot)));
        let Some((live, snapshot)) = opened else { return self.blame(from, "snapshot of other content") };
        replica.unconfirmed = Some(Box::new(Unconfirmed { snapshot, signed, live, past: None }));
        self.note_growth(id, document);
        self.notify_anew(id, document);
        self.confirm(id, document);
        self.touch(id);
    }

    /// Makes the snapshot that was waiting for more people to vouch for it count, if enough do. What is
    /// kept of the past here is read first.
    pub(crate) fn confirm(&mut self, id: EntityId, document: DocumentKey) {
        let wall = self.now.wall;
        let Some(entity) = self.entities.get_mut(&id).filter(|_| self.read_only.is_none()) else { return };
        let replica = entity.replicas.get_mut(&document);
        let Some(replica) = replica.filter(|r| r.live().is_some() && !r.is_stale()) else { return };
        let Some(mut unconfirmed) = replica.unconfirmed.take() else { return };
        if !self.wants(id, &unconfirmed.signed) {
            return;
        }
        let is_confirmed = self.is_vouched_for(id, &unconfirmed.signed);
        let Some(entity) = self.entities.get_mut(&id) else { return };
        let Some(replica) = entity.replicas.get_mut(&document) else { return };
        if replica.base.is_none() {
            let past = Past::default();
            let (is, name) = (&unconfirmed.live, &unconfirmed.signed.name);
            unconfirmed.past = Some(past.taken(&replica.concern, (None, is), name, wall));
        }
        match &unconfirmed.past {
            Some(past) if is_confirmed => {
                let (past, signed) = (past.clone(), unconfirmed.signed);
                if let Some(me) = &self.me {
                    replica.note_missed(&unconfirmed.live, key::owner(&me.person()));
                }
                self.write_snapshot(id, (&unconfirmed.snapshot, &past), signed);
            }
            None if is_confirmed && replica.folding.is_none() => {
                replica.unconfirmed = Some(unconfirmed);
                if !self.may_read_beside() {
                    return;
                }
                let replica = self.entities.get_mut(&id).and_then(|e| e.replicas.get_mut(&document));
                let Some(replica) = replica else { return };
                let vector = replica.within(&replica.reaches_joined().unwrap_or_default());
                replica.begin_folding(vector, None, Watch::Taking(Past::default(), wall));
                self.fold_next(id, document, 0);
            }
            Some(_) | None => replica.unconfirmed = Some(unconfirmed),
        }
    }
}

impl Replicator {
    /// Whether a snapshot is taken: it holds what is not here. To be joined with one here that it does not
    /// cover, as it was not yet, enough people must vouch for it, and nothing in it may be beyond what counts
    /// of those who left.
    fn wants(&self, id: EntityId, signed: &Signed) -> bool {
        let Some(entity) = self.entities.get(&id) else { return false };
        let Some(replica) = entity.replicas.get(&signed.checkpoint.document) else { return false };
        let may_join = || {
            !entity.has_joined(replica, signed)
                && self.is_vouched_for(id, signed)
                && entity.knows_extent(&signed.checkpoint.extent())
        };
        replica.lacks_snapshot(signed) && (replica.is_covered_by(signed) || may_join())
    }

    /// Whether enough people vouch for a checkpoint, of those who could have found it.
    fn is_vouched_for(&self, id: EntityId, signed: &Signed) -> bool {
        let found = self.could_find(id, (signed.checkpoint.document, &signed.checkpoint.vector()));
        let entity = self.entities.get(&id);
        entity.is_some_and(|entity| is_confirmed(entity, &signed.signatures, |device| found.contains(device)))
    }

    /// The other members' devices that could have found a checkpoint of a document: all but those that
    /// keep it no longer, or are seen to be newcomers to it. These hold nothing but their own logs; to
    /// whoever holds nothing else of what it covers, also who came later and holds nothing else of that.
    fn could_find(&self, id: EntityId, (document, vector): (DocumentKey, &Vector)) -> BTreeSet<DeviceKey> {
        let (Some(entity), Some(me)) = (self.entities.get(&id), &self.me) else { return BTreeSet::new() };
        let replica = entity.replicas.get(&document);
        let is_own = |log: &LogId, device: &DeviceKey| {
            entity.roster.person_of(&log.device) == entity.roster.person_of(device)
        };
        let lacks = |log: &LogId, device: &DeviceKey| is_own(log, device) || !vector.contains_key(log);
        let is_newcomer =
            replica.is_some_and(|replica| replica.heads.keys().all(|log| lacks(log, &me.key())));
        let begins = |device: &DeviceKey| {
            let shared = self.sessions.get(device).and_then(|session| session.shared.get(&id));
            let Some((shared, theirs)) = shared.and_then(|shared| Some((shared, shared.theirs.as_ref()?)))
            else {
                return false;
            };
            let stands = theirs.of(document);
            let stands_at = |heads: &Heads| stands.is_some_and(|stands| stands.vector == heads.digest());
            // Who stands as we do shows nothing.
            let held: Vec<&LogId> = match replica.filter(|replica| stands_at(&replica.heads)) {
                Some(replica) => replica.heads.keys().collect(),
                None => shared.vectors.get(&document).into_iter().flat_map(|vector| vector.keys()).collect(),
            };
            let is_later =
                is_newcomer && entity.roster.seniority(&me.key()) < entity.roster.seniority(device);
            let brings = |log: &&LogId| is_own(log, device) || (is_later && lacks(log, device));
            stands_at(&Heads::default()) || (!held.is_empty() && held.iter().all(brings))
        };
        let keeps = |device: &DeviceKey| replica.is_none_or(|r| !r.stability.has_stopped(device));
        let devices = entity.roster.reading().devices().map(|(device, _)| device);
        devices.filter(|device| *device != me.key() && keeps(device) && !begins(device)).collect()
    }
}

impl Entity {
    /// Whether a snapshot was joined with the one that is here by the roster as it is now, and others are
    /// yet to find the same: by another roster they find another.
    fn has_joined(&self, replica: &Replica, signed: &Signed) -> bool {
        replica.checkpoints.open.as_ref().is_some_and(|open| {
            let found = &open.signed.checkpoint;
            let vector = found.vector();
            covers(&vector, &signed.checkpoint.vector())
                && found.heads == self.roster.heads_over(&self.cutting_short(&vector))
        })
    }
}

impl Replica {
    /// Whether a snapshot holds what is not here.
    fn lacks_snapshot(&self, signed: &Signed) -> bool {
        let Some(live) = self.live().filter(|_| !self.is_stale()) else { return false };
        let vector = signed.checkpoint.vector();
        let is_held = vector
            .iter()
            .all(|(log, head)| self.heads.length(log) >= head.sequence && live.branches.contains(log, head));
        let is_new = self.unconfirmed.as_ref().is_none_or(|before| before.signed.name != signed.name);
        !is_held && is_new
    }

    /// How far the snapshot reaches that waits to be taken, joined with the one that is here.
    pub(crate) fn reaches_joined(&self) -> Option<Vector> {
        let unconfirmed = self.unconfirmed.as_ref()?;
        Some(union(&unconfirmed.signed.checkpoint.vector(), &self.covered()))
    }

    /// Whether a snapshot covers all that the one does which is here.
    pub(crate) fn is_covered_by(&self, signed: &Signed) -> bool {
        covers(&signed.checkpoint.vector(), &self.covered())
    }
}
