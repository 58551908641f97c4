//! Tells peers which documents this device does not keep, and takes what they say of their own.
//!
//! Who has dropped a document shows every member's device that it meets the acknowledgement that says
//! so, once in a connection; others pass it on, to the device itself too, and at once where a device
//! stops or keeps a document again. Who has a later word of a device than it is shown shows that in
//! turn. Invariant: of a document that is not kept nothing is asked, streamed or compared, but for
//! these few bytes.

use std::collections::BTreeSet;

use crate::acknowledgement::Acknowledgement;
use crate::entity::Entity;
use crate::ids::{DeviceKey, DocumentKey, EntityId};
use crate::receiving::is_vain;
use crate::replica::Replica;
use crate::replicator::Replicator;
use crate::session::Shared;
use crate::wire::Frame;

use super::shared;

impl Entity {
    /// The number by which a device said that it keeps a document no longer, as far as is known here.
    pub(super) fn stop_of(&self, replica: &Replica, device: &DeviceKey) -> Option<u64> {
        let ack = replica.stability.ack_of(device).filter(|ack| ack.stops && ack.device == *device);
        ack.filter(|_| self.member(*device).is_some()).map(|ack| ack.number)
    }
}

impl Replicator {
    /// Tells everybody this device's latest word on a document, which others may believe to be another.
    pub(crate) fn tell_word_to_all(&mut self, id: EntityId, document: DocumentKey) {
        let Some(me) = self.me.as_ref().map(|me| me.key()) else { return };
        for shared in self.sessions.values_mut().filter_map(|session| session.shared.get_mut(&id)) {
            shared.acks.entry(document).or_default().correct(me);
        }
        self.tell_acks_to_all(id, document);
    }

    /// Tells everybody but who said so what devices said last: some keep the document no longer, or again.
    /// Whoever believes otherwise may have heard so from here.
    pub(super) fn pass_on_acks(
        &mut self,
        from: DeviceKey,
        (id, document): (EntityId, DocumentKey),
        of: &BTreeSet<DeviceKey>,
    ) {
        let others = self.sessions.iter_mut().filter(|(device, _)| **device != from);
        for shared in others.filter_map(|(_, session)| session.shared.get_mut(&id)) {
            of.iter().for_each(|device| shared.acks.entry(document).or_default().correct(*device));
        }
        self.tell_acks_to_all(id, document);
    }

    /// Tells a peer that a document is not kept here, if it was not told in this connection.
    pub(super) fn tell_stop(&mut self, to: DeviceKey, id: EntityId, document: DocumentKey) {
        let Some(me) = self.me.as_ref().map(|me| me.key()) else { return };
        let Some(entity) = self.entities.get(&id) else { return };
        let Some(stopped) = entity.stopped.get(&document).filter(|stopped| stopped.is_written) else {
            return;
        };
        if entity.member(me).is_none() || entity.member(to).is_none() {
            return;
        }
        let Some(shared) = shared(&mut self.sessions, to, id) else { return };
        let known = shared.acks.entry(document).or_default();
        known.corrects.clear();
        known.is_unsure = false;
        if known.numbers.get(&me).is_some_and(|told| *told >= stopped.ack.number) && !known.told {
            return;
        }
        known.numbers.insert(me, stopped.ack.number);
        known.told = false;
        let acks = vec![stopped.ack.bytes().to_vec()];
        self.out.send(to, &Frame::Acks { entity: id, document, waits: false, acks });
    }

    /// A peer shows acknowledgements of a document that is not kept here: what it says of itself and of
    /// this device matters, to whom it has to be said what.
    pub(super) fn their_acks_of_stopped(
        &mut self,
        from: DeviceKey,
        (id, document): (EntityId, DocumentKey),
        waits: bool,
        acks: &[Vec<u8>],
    ) {
        let Some(me) = self.me.as_ref().map(|me| me.key()) else { return };
        let stopped = self.entities.get(&id).and_then(|entity| entity.stopped.get(&document));
        let Some(ours) = stopped.map(|stopped| stopped.ack.number) else { return };
        let mut above = None;
        for bytes in acks {
            let Ok(ack) = Acknowledgement::read(bytes) else {
                return self.blame(from, "malformed acknowledgement");
            };
            if (ack.entity, ack.document) != (id, document) {
                return self.blame(from, "acknowledgement of something else");
            }
            let Some(shared) = shared(&mut self.sessions, from, id) else { return };
            let known = shared.acks.entry(document).or_default();
            let is_news = match ack.device {
                device if device == me && ack.number < ours => {
                    known.numbers.insert(me, ack.number);
                    false
                }
                device if device == me => ack.number > ours || !ack.stops,
                device => device == from && known.stopped != ack.stops.then_some(ack.number),
            };
            if !is_news {
                continue;
            }
            if is_vain(&self.vain, from, self.now) {
                self.drop_counted("acknowledged too often");
            } else if !ack.is_signed() {
                return self.blame(from, "acknowledgement signature");
            } else if ack.device == me {
                above = above.max(Some(ack.number));
            } else if let Some(shared) = super::shared(&mut self.sessions, from, id) {
                let known = shared.acks.entry(document).or_default();
                known.stopped = ack.stops.then_some(ack.number);
                // Who begins to keep it does not know who else does.
                known.numbers.remove(&me);
            }
            self.note_vain(from);
        }
        if let Some(shared) = shared(&mut self.sessions, from, id) {
            shared.acks.entry(document).or_default().waits = waits;
        }
        match above {
            Some(number) => self.stop_above(id, document, number),
            None => self.tell_stop(from, id, document),
        }
    }

    /// A peer has stopped keeping a document: nothing of it is given to it or expected from it.
    pub(super) fn note_stop(&mut self, from: DeviceKey, id: EntityId, document: DocumentKey) {
        let replica = self.entities.get(&id).and_then(|entity| entity.replicas.get(&document));
        if !replica.is_some_and(|replica| replica.stability.has_stopped(&from)) {
            return;
        }
        if let Some(shared) = shared(&mut self.sessions, from, id) {
            shared.forget_document(document);
        }
        self.stop_fetching_of(document, from);
    }
}

impl Shared {
    /// Forgets what was asked, shown and streamed of a document.
    pub(crate) fn forget_document(&mut self, document: DocumentKey) {
        self.asked.remove(&document);
        self.asked_gaps.remove(&document);
        self.vectors.remove(&document);
        self.coming.remove(&document);
        self.streams.remove(&document);
        self.branches.retain(|log| log.document != document);
    }
}
