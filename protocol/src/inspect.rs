//! Shows what a node holds and what it says of it, for who checks that both are true.
//!
//! For tests and measurements that see all nodes at once; the machine itself decides nothing by it.
//! Claims come from the same lines as the status that people see.

use std::collections::{BTreeMap, BTreeSet};

use crate::acknowledgement::Positions;
use crate::checkpoint::Vector;
use crate::command::SyncState;
use crate::entity::Entity;
use crate::ids::{DeviceKey, Digest, DocumentKey, EntityId, LogHead, LogId};
use crate::replica::Replica;
use crate::replicator::Replicator;
use crate::schema::chat::MessageId;
use crate::stability::{Awaited, lapse};

/// What a node holds of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The entity whose roster counts for it.
    pub entity: EntityId,
    /// Which document.
    pub document: DocumentKey,
    /// Over the ids of all statements held of the entity.
    pub roster: Digest,
    /// The state vector.
    pub heads: BTreeMap<LogId, LogHead>,
    /// Over the visible content; `None` while it is not in memory or being read anew.
    pub content: Option<Digest>,
    /// How much of each log a snapshot stands for.
    pub covered: Vector,
    /// How many envelopes came and wait.
    pub waiting: usize,
    /// Whether nothing of our own waits to be sealed.
    pub is_sealed: bool,
    /// How far all awaited devices are known to hold it.
    pub frontier: Positions,
    /// What was pruned here, and the envelopes that flagged it.
    pub pruned: BTreeMap<MessageId, Vec<(LogId, u64)>>,
    /// Devices that are held to have lapsed.
    pub lapsed: BTreeSet<DeviceKey>,
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
    pub fn holdings(&self) -> Vec<Holding> {
        let entities = self.entities.values();
        let replicas = entities.flat_map(|entity| entity.documents().map(move |r| (entity, r)));
        let holding = |(entity, replica): (&Entity, &Replica)| Holding {
            entity: entity.id,
            document: replica.key,
            roster: entity.roster.digest(),
            heads: (*replica.heads).clone(),
            content: entity.content_of(replica),
            covered: replica.covered(),
            waiting: replica.waiting.size().0,
            is_sealed: replica.is_sealed(),
            frontier: replica.stability.frontier().clone(),
            pruned: pruned(replica),
            lapsed: self.lapsed(entity, replica),
        };
        replicas.map(holding).collect()
    }

    fn lapsed(&self, entity: &Entity, replica: &Replica) -> BTreeSet<DeviceKey> {
        let (lapse, now) = (lapse(entity), self.now.wall);
        let devices = entity.roster.reading().devices().map(|(device, _)| device);
        let has_lapsed =
            |device: &DeviceKey| matches!(replica.stability.awaited(device, lapse, now), Awaited::Lapsed(_));
        devices.filter(has_lapsed).collect()
    }

    /// What this node says of every document and every other member's device: nothing where this
    /// person is not a member.
    pub fn claims(&self) -> Vec<Claim> {
        let mut claims = Vec::new();
        for entity in self.entities.values() {
            for standing in self.standings(entity) {
                let (entity, document) = (entity.id, standing.document);
                let claim = |line: &crate::views::Line| Claim {
                    entity,
                    document,
                    device: line.device,
                    state: line.state,
                };
                claims.extend(standing.lines.iter().map(claim));
            }
        }
        claims
    }
}

fn pruned(replica: &Replica) -> BTreeMap<MessageId, Vec<(LogId, u64)>> {
    let pruned = replica.live().into_iter().flat_map(|live| live.forgetting.tombstones.pruned());
    pruned.map(|(id, flags)| (id, flags.iter().map(|flag| (flag.log, flag.sequence)).collect())).collect()
}
