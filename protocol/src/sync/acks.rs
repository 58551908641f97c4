//! Passes on who holds how much of a document for good, to whoever waits for that.
//!
//! A peer for which something waits says so and shows what it knows; it is sent what it lacks, by
//! numbers, each once in a connection. Both know of the other whether something waits there.
//! Invariant: nothing is sent between two for neither of which anything waits, but that it no longer
//! does, and who keeps the document no longer (`stops`); and what a device said is believed of that
//! device alone.

use std::collections::BTreeSet;

use crate::acknowledgement::Acknowledgement;
use crate::entity::Entity;
use crate::ids::{DeviceKey, DocumentKey, EntityId};
use crate::limits::{FRAME_ACKS_MAX, PAGE_BYTES};
use crate::receiving::is_vain;
use crate::replica::Replica;
use crate::replicator::Replicator;
use crate::session::Shared;
use crate::wire::Frame;

use super::quiet::is_common;
use super::shared;

/// What a peer's acknowledgement came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    New,
    /// New, and the device keeps the document no longer, or again.
    Turned(DeviceKey),
    Known,
    Dropped(&'static str),
    Fault(&'static str),
}

/// What is known of the members' devices: that of others counts for nothing.
pub(super) fn member_acks<'a>(
    entity: &'a Entity,
    replica: &'a Replica,
) -> impl Iterator<Item = &'a Acknowledgement> {
    replica.stability.acks().filter(|ack| entity.member(ack.device).is_some())
}

impl Replicator {
    /// A peer shows acknowledgements, and whether it waits for some.
    pub(super) fn their_acks(
        &mut self,
        from: DeviceKey,
        id: EntityId,
        document: DocumentKey,
        waits: bool,
        acks: &[Vec<u8>],
    ) {
        if acks.len() > FRAME_ACKS_MAX {
            return self.blame(from, "too many acknowledgements");
        }
        let Some(entity) = self.entities.get_mut(&id).filter(|entity| entity.member(from).is_some()) else {
            return self.drop_counted("acknowledgements of a stranger");
        };
        let is_known = |e: &Entity| e.replicas.contains_key(&document) || e.stopped.contains_key(&document);
        if !is_known(entity) && !is_vain(&self.vain, from, self.now) {
            // Who says that it keeps a segment no longer may be the first to name it.
            entity.found_named([document].into_iter());
            self.stop_named(id, &[document]);
            self.note_vain(from);
        }
        let Some(entity) = self.entities.get(&id) else { return };
        if entity.stopped.contains_key(&document) {
            return self.their_acks_of_stopped(from, (id, document), waits, acks);
        }
        if !entity.replicas.contains_key(&document) {
            return self.drop_counted("acknowledgements of what is not known here");
        }
        let Some(shared) = shared(&mut self.sessions, from, id) else { return };
        shared.acks.entry(document).or_default().waits = waits;
        let (mut is_new, mut turned) = (false, BTreeSet::new());
        for bytes in acks {
            match self.take_ack(from, (id, document), bytes) {
                Taken::New => is_new = true,
                Taken::Turned(device) => {
                    turned.insert(device);
                }
                Taken::Known => {}
                Taken::Dropped(why) => self.drop_counted(why),
                Taken::Fault(why) => return self.blame(from, why),
            }
        }
        if is_new || !turned.is_empty() {
            self.note_stop(from, id, document);
            self.touch(id);
        }
        self.tell_acks(from, id, document);
        if !turned.is_empty() {
            self.pass_on_acks(from, (id, document), &turned);
        }
    }

    fn take_ack(&mut self, from: DeviceKey, of: (EntityId, DocumentKey), bytes: &[u8]) -> Taken {
        let Ok(ack) = Acknowledgement::read(bytes) else { return Taken::Fault("malformed acknowledgement") };
        if (ack.entity, ack.document) != of {
            return Taken::Fault("acknowledgement of something else");
        }
        let me = self.me.as_ref().map(|me| me.key());
        let Some(entity) = self.entities.get_mut(&of.0) else { return Taken::Known };
        if entity.member(ack.device).is_none() {
            return Taken::Dropped("acknowledgement of a stranger");
        }
        let (device, number) = (ack.device, ack.number);
        let Some(replica) = entity.replicas.get_mut(&of.1) else { return Taken::Known };
        let said = (number, ack.stops);
        if let Some(shared) = shared(&mut self.sessions, from, of.0) {
            let known = shared.acks.entry(of.1).or_default();
            let later = replica.stability.word_of(&device).filter(|later| *later > said);
            if later.is_some_and(|(_, stops)| stops != ack.stops) {
                known.correct(device);
            } else {
                let known = known.numbers.entry(device).or_insert(0);
                *known = number.max(*known);
            }
        }
        if Some(device) == me && replica.stability.number_of(&device) > Some(number) {
            return Taken::Known;
        }
        if replica.stability.word_of(&device).is_some_and(|known| known >= said) {
            return Taken::Known;
        }
        if is_vain(&self.vain, from, self.now) || !replica.stability.may_take(&device, self.now.instant) {
            return Taken::Dropped("acknowledged too often");
        }
        if !ack.is_signed() {
            return Taken::Fault("acknowledgement signature");
        }
        if Some(device) == me {
            replica.stability.saw_own(&ack);
            return if ack.stops { Taken::New } else { Taken::Known };
        }
        let Replica { stability, heads, .. } = replica;
        let turns = stability.has_stopped(&device) != ack.stops;
        stability.take(ack, |log| heads.contains_key(log), self.now.wall);
        if turns { Taken::Turned(device) } else { Taken::New }
    }

    /// Sends a peer what it lacks of a document: all if something waits here or there, else who keeps it
    /// no longer. Who does not keep it is told only what it has to correct.
    pub(super) fn tell_acks(&mut self, to: DeviceKey, id: EntityId, document: DocumentKey) {
        let Some(me) = self.me.as_ref().map(|me| me.key()) else { return };
        let Some(entity) = self.entities.get(&id) else { return };
        let Some(replica) = entity.replicas.get(&document) else { return self.tell_stop(to, id, document) };
        if entity.member(me).is_none() || entity.member(to).is_none() {
            return;
        }
        let shared = shared(&mut self.sessions, to, id);
        let Some(shared) = shared.filter(|shared| is_common(replica, shared)) else { return };
        let keeps = !replica.stability.has_stopped(&to);
        let known = shared.acks.entry(document).or_default();
        let waits = if keeps { replica.waits() } else { known.told };
        let is_unsure = std::mem::take(&mut known.is_unsure);
        let must_tell = keeps && (known.told != waits || is_unsure);
        known.told = waits;
        let corrects = std::mem::take(&mut known.corrects);
        let is_wanted = waits || known.waits;
        let wanted = member_acks(entity, replica).filter(|ack| match keeps {
            true => is_wanted || ack.stops || corrects.contains(&ack.device),
            // It says so if it keeps the document again, and hears nothing of others.
            false => ack.device == to || (ack.device == me && (is_unsure || corrects.contains(&me))),
        });
        let (mut acks, mut bytes, mut sent) = (Vec::new(), 0, false);
        for ack in wanted {
            if known.numbers.get(&ack.device).is_some_and(|known| *known >= ack.number) {
                continue;
            }
            known.numbers.insert(ack.device, ack.number);
            bytes += ack.bytes().len();
            acks.push(ack.bytes().to_vec());
            if bytes > PAGE_BYTES || acks.len() >= FRAME_ACKS_MAX {
                let acks = std::mem::take(&mut acks);
                self.out.send(to, &Frame::Acks { entity: id, document, waits, acks });
                (bytes, sent) = (0, true);
            }
        }
        if !acks.is_empty() || (must_tell && !sent) {
            self.out.send(to, &Frame::Acks { entity: id, document, waits, acks });
        }
        if keeps {
            self.tell_checkpoint(to, id, document, false);
        }
    }

    /// Sends everybody what they lack of a document.
    pub(crate) fn tell_acks_to_all(&mut self, id: EntityId, document: DocumentKey) {
        let sharing = self.sessions.iter().filter(|(_, session)| session.shared.contains_key(&id));
        for device in sharing.map(|(device, _)| *device).collect::<Vec<_>>() {
            self.tell_acks(device, id, document);
        }
    }

    /// Sends a peer what it lacks of all documents.
    pub(super) fn tell_all_acks(&mut self, to: DeviceKey) {
        let shared = self.sessions.get(&to).into_iter().flat_map(|session| &session.shared);
        let documents: Vec<(EntityId, DocumentKey)> = shared
            .filter_map(|(id, shared)| Some((self.entities.get(id)?, shared)))
            .flat_map(|(entity, shared)| {
                let is_unsure = |r: &&Replica| shared.acks.get(&r.key).is_some_and(|known| known.is_unsure);
                let has_any = |r: &&Replica| !r.is_blank() || r.stability.acks().next().is_some();
                let told = entity.documents().filter(move |r| has_any(r) || is_unsure(r));
                told.map(|replica| (entity.id, replica.key))
            })
            .collect();
        let shared = self.sessions.get(&to).into_iter().flat_map(|session| session.shared.keys());
        let entities = shared.filter_map(|id| self.entities.get(id));
        let stopped: Vec<(EntityId, DocumentKey)> = entities
            .flat_map(|entity| entity.dropped().map(|(document, _)| (entity.id, *document)))
            .collect();
        for (id, document) in documents.into_iter().chain(stopped) {
            self.tell_acks(to, id, document);
        }
    }

    /// Forgets what a peer was sent, where that may have been lost on the way.
    pub(super) fn forget_told_acks(&mut self, device: DeviceKey) {
        let Some(session) = self.sessions.get_mut(&device) else { return };
        session.shared.values_mut().for_each(Shared::forget_told_acks);
    }
}
