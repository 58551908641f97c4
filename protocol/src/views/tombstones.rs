//! Shows what was deleted and waits to be forgotten, and for which devices it waits.

use crate::asking::unknown;
use crate::command::{
    Command, CommandId, DocumentTombstones, KeeperView, Keeps, Outcome, Refusal, Reply, TombstoneView,
};
use crate::entity::Entity;
use crate::ids::DeviceKey;
use crate::limits::SHOWN_TOMBSTONES_MAX;
use crate::replica::Replica;
use crate::replicator::Replicator;
use crate::schema;
use crate::stability::{Awaited, Tombstones, lapse};
use crate::words::FourWords;

use super::shown_names;

impl Replicator {
    pub(crate) fn tombstones(&mut self, id: CommandId, words: FourWords) -> Result<(), Refusal> {
        let (entity, place) = self.place(words).ok_or_else(|| unknown(words))?;
        let forget = |r: &&Replica| schema::forgets(&r.concern) && !r.is_blank();
        let documents = entity.replicas.values().filter(|r| r.of == place).filter(forget);
        let documents: Vec<&Replica> = documents.collect();
        if let Some(cold) = documents.iter().find(|replica| replica.tombstones().is_none()) {
            let at = (entity.id, cold.key);
            self.ask_again(id, Command::Tombstones(words), at);
            return Ok(());
        }
        let views = documents.iter().filter_map(|replica| {
            let kind = entity.kind_of(place)?;
            let name = schema::document_id(kind, words, &replica.concern, replica.segment);
            Some(self.document_tombstones(entity, replica, replica.tombstones()?, name))
        });
        let views = views.collect();
        self.out.answer(id, Outcome::Done(Reply::Tombstones(views)));
        Ok(())
    }

    fn document_tombstones(
        &self,
        entity: &Entity,
        replica: &Replica,
        tombstones: &Tombstones,
        id: String,
    ) -> DocumentTombstones {
        let (names, lapse, now) = (shown_names(entity), lapse(entity), self.now.wall);
        let stability = &replica.stability;
        let keeper = |(device, person)| {
            let (keeps, since) = match stability.awaited(&device, lapse, now) {
                _ if stability.has_stopped(&device) => (Keeps::Stopped, None),
                Awaited::No => (Keeps::All, None),
                Awaited::Since(since) => (Keeps::Awaited, Some(since)),
                Awaited::Lapsed(since) => (Keeps::Lapsed, Some(since)),
            };
            KeeperView { person: self.person_view(person, &names), device, keeps, since }
        };
        let devices: Vec<KeeperView> = entity.roster.reading().devices().map(keeper).collect();
        let keys: Vec<DeviceKey> = devices.iter().map(|keeper| keeper.device).collect();
        let shown = tombstones.waiting().take(SHOWN_TOMBSTONES_MAX).map(|(message, flags)| TombstoneView {
            message,
            ack_vector: keys.iter().map(|device| stability.has(device, flags)).collect(),
        });
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        DocumentTombstones {
            id,
            waiting: count(tombstones.count_waiting()),
            pruned: count(tombstones.count_pruned()),
            tombstones: shown.collect(),
            devices,
        }
    }
}
