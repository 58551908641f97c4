//! Shows what a node holds and what it says of it, for who checks that both are true.
//!
//! For tests and measurements that see all nodes at once; the machine itself decides nothing by it.
//! Claims come from the same lines as the status that people see.

use std::collections::{BTreeMap, BTreeSet};

use crate::acknowledgement::Positions;
use crate::bytes::Writer;
use crate::checkpoint::Vector;
use crate::command::SyncState;
use crate::entity::Entity;
use crate::ids::{DeviceKey, Digest, DocumentKey, EntityId, LogHead, LogId};
use crate::replica::Replica;
use crate::replicator::Replicator;
use crate::schema::Concern;
use crate::schema::chat::MessageId;
use crate::stability::{Awaited, Flag, Tombstones, lapse};
use crate::time::WallTime;

/// What a node holds of one document: each answer is found when it is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Holding<'a> {
    entity: &'a Entity,
    replica: &'a Replica,
    now: WallTime,
}

impl<'a> Holding<'a> {
    /// The entity whose roster counts for it.
    pub fn entity(&self) -> EntityId {
        self.entity.id
    }

    /// The entity it belongs to: that one, or a child of it.
    pub fn place(&self) -> EntityId {
        self.replica.of
    }

    /// Which document it is.
    pub fn document(&self) -> DocumentKey {
        self.replica.key
    }

    /// A digest over the ids of all statements held of the entity.
    pub fn roster(&self) -> Digest {
        self.entity.roster.digest()
    }

    /// The state vector.
    pub fn heads(&self) -> &'a BTreeMap<LogId, LogHead> {
        &self.replica.heads
    }

    /// Whether what it shows is known: it is in memory and not being read anew, or it rests.
    pub fn is_read(&self) -> bool {
        self.entity.readable(self.replica).is_some() || self.replica.rested().is_some()
    }

    /// Whether its content is in memory, or on its way there.
    pub fn is_in_memory(&self) -> bool {
        self.replica.is_in_memory()
    }

    /// Whether it is in memory whatever else is, until somebody else has done something.
    pub fn is_held(&self) -> bool {
        self.replica.is_held()
    }

    /// Which one of its series it is, from 1, and of what.
    pub fn segment(&self) -> (Concern, u32) {
        (self.replica.concern, self.replica.segment)
    }

    /// Bytes of its content as far as it grew; `None` before it was read.
    pub fn content_bytes(&self) -> Option<u64> {
        self.replica.content_bytes()
    }

    /// A digest over the visible content; `None` unless it is read.
    pub fn content(&self) -> Option<Digest> {
        self.entity.content_of(self.replica)
    }

    /// A digest over the bytes as which the document is saved once it was saved and opened again; `None`
    /// unless it is in memory. Equal at all who hold the same, whatever each of them pruned and folded when.
    pub fn saved(&self) -> Option<Digest> {
        let mut copy = self.replica.live()?.document.reopened().ok()?;
        let mut bytes = Writer::new();
        copy.index().encode(&mut bytes);
        bytes.raw(&copy.encode_state().ok()?);
        Some(Digest(*blake3::hash(bytes.as_slice()).as_bytes()))
    }

    /// How much of each log a snapshot stands for.
    pub fn covered(&self) -> Vector {
        self.replica.covered()
    }

    /// How many envelopes came and wait.
    pub fn waiting(&self) -> usize {
        self.replica.waiting.size().0
    }

    /// Whether nothing of our own waits to be sealed.
    pub fn is_sealed(&self) -> bool {
        self.replica.is_sealed()
    }

    /// How far all awaited devices are known to hold it.
    pub fn frontier(&self) -> &'a Positions {
        self.replica.stability.frontier()
    }

    /// What was pruned here, and the envelopes that flagged it: none if a snapshot had it so.
    pub fn pruned(&self) -> BTreeMap<MessageId, Vec<(LogId, u64)>> {
        flagged(self.replica.tombstones().into_iter().flat_map(Tombstones::pruned))
    }

    /// What was deleted and waits to be pruned, and the envelopes that flagged it.
    pub fn deleted(&self) -> BTreeMap<MessageId, Vec<(LogId, u64)>> {
        flagged(self.replica.tombstones().into_iter().flat_map(Tombstones::waiting))
    }

    /// Devices that are known to keep the document no longer.
    pub fn stopped(&self) -> BTreeSet<DeviceKey> {
        let devices = self.entity.roster.reading().devices().map(|(device, _)| device);
        devices.filter(|device| self.replica.stability.has_stopped(device)).collect()
    }

    /// Devices that are held to have lapsed.
    pub fn lapsed(&self) -> BTreeSet<DeviceKey> {
        let (stability, lapse) = (&self.replica.stability, lapse(self.entity));
        let devices = self.entity.roster.reading().devices().map(|(device, _)| device);
        let has_lapsed =
            |device: &DeviceKey| matches!(stability.awaited(device, lapse, self.now), Awaited::Lapsed(_));
        devices.filter(has_lapsed).collect()
    }
}

fn flagged<'a>(of: impl Iterator<Item = (MessageId, &'a [Flag])>) -> BTreeMap<MessageId, Vec<(LogId, u64)>> {
    of.map(|(id, flags)| (id, flags.iter().map(|flag| (flag.log, flag.sequence)).collect())).collect()
}

/// A series of documents that a node does not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unkept {
    /// The entity whose roster counts for it.
    pub entity: EntityId,
    /// The entity or child that it belongs to.
    pub place: EntityId,
    /// What it is about.
    pub concern: Concern,
}

/// What a node says of one document and one other member's device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The entity whose roster counts for the document.
    pub entity: EntityId,
    /// Which document.
    pub document: DocumentKey,
    /// With which device.
    pub device: DeviceKey,
    /// How they stand.
    pub state: SyncState,
}

impl Replicator {
    /// What this node holds of every document that is open.
    pub fn holdings(&self) -> impl Iterator<Item = Holding<'_>> {
        let now = self.now.wall;
        let of = move |entity| move |replica| Holding { entity, replica, now };
        self.entities.values().flat_map(move |entity| entity.documents().map(of(entity)))
    }

    /// The series that this node does not keep.
    pub fn unkept(&self) -> BTreeSet<Unkept> {
        let of = |entity: &Entity| {
            let entity_id = entity.id;
            let stopped = entity.stopped.values();
            let unkept = stopped.map(move |s| Unkept { entity: entity_id, place: s.of, concern: s.concern });
            unkept.collect::<Vec<_>>()
        };
        self.entities.values().flat_map(of).collect()
    }

    /// What this node says of every document and every other member's device: nothing where this
    /// person is not a member.
    pub fn claims(&self) -> Vec<Claim> {
        let mut claims = Vec::new();
        for entity in self.entities.values() {
            self.each_state(entity, |document, device, state| {
                claims.push(Claim { entity: entity.id, document, device, state });
            });
        }
        claims
    }
}
