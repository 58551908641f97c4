//! The fast path: which topics are listened to, and what becomes of what is heard there.
//!
//! Gossip is a hint and nothing depends on its arrival. A topic is derived from an epoch key, so
//! outsiders cannot find it and it moves when the key does. Our verdict decides what is passed on.

use crate::effect::{Effect, Verdict};
use crate::event::GossipId;
use crate::ids::{DeviceKey, DocumentKey, EntityId, Topic};
use crate::receiving::is_vain;
use crate::replicator::Replicator;

impl Replicator {
    /// Listens to the topics an entity needs now, and to no others of it.
    pub(crate) fn listen(&mut self, id: EntityId) {
        let Some(entity) = self.entities.get_mut(&id) else { return };
        let wanted = entity.topics_wanted();
        for topic in wanted.keys().filter(|t| !entity.topics.contains_key(t)) {
            self.out.push(Effect::Subscribe(*topic));
        }
        for topic in entity.topics.keys().filter(|t| !wanted.contains_key(t)) {
            self.out.push(Effect::Unsubscribe(*topic));
        }
        entity.topics = wanted;
    }

    /// Whether a document of an entity is listened to.
    pub(crate) fn is_heard(&self, id: EntityId, document: DocumentKey) -> bool {
        let Some(entity) = self.entities.get(&id) else { return false };
        let under = entity.replicas.get(&document).map(|replica| entity.heard_under(replica));
        entity.topics.values().any(|heard| Some(*heard) == under)
    }

    /// Judges what came by gossip.
    pub(crate) fn heard(&mut self, gossip: GossipId, topic: Topic, from: DeviceKey, bytes: &[u8]) {
        let known = self.entities.values().find_map(|e| Some((e.id, *e.topics.get(&topic)?)));
        let Some((id, document)) = known else {
            return self.out.push(Effect::Judge(gossip, Verdict::Ignore));
        };
        if self.read_only.is_some() {
            self.drop_counted("envelopes that cannot be saved");
            return self.out.push(Effect::Judge(gossip, Verdict::Ignore));
        }
        if is_vain(&self.vain, from, self.now) {
            self.drop_counted("more in vain than is heard");
            return self.out.push(Effect::Judge(gossip, Verdict::Ignore));
        }
        match self.take_envelope(from, id, document, bytes) {
            Ok(taken) if taken.is_empty() => {
                // Held already, or waiting: then whoever passed it on may have what is missing.
                self.out.push(Effect::Judge(gossip, Verdict::Ignore));
                self.ask_for_gaps(from, id);
            }
            Ok(taken) => {
                self.out.push(Effect::Judge(gossip, Verdict::Accept));
                self.store(id, taken);
            }
            Err(fault) => {
                // Whoever passed it on has judged it too, so it is to blame as much as its author.
                self.out.push(Effect::Judge(gossip, Verdict::Reject));
                self.blame(from, fault);
            }
        }
    }
}
