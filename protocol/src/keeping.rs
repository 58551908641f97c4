//! Documents that this device does not keep: how it stops, what is left then, and how it begins again.
//!
//! A device drops a whole series, such as all segments of a chat. What is left of each document is this
//! device's own acknowledgement that says so: with it nobody waits for the device, and it alone says at
//! the next start that the document is not kept. All else leaves memory and disk. `sparing` sees to it
//! that somebody else has everything, `sync::stops` tells others. Invariants: a document is kept or has
//! stopped, never both; its log of before is never gone on with, for whatever is written later begins
//! another.

mod sparing;

use std::collections::BTreeSet;

use crate::acknowledgement::{Acknowledgement, Positions};
use crate::asking::unknown;
use crate::command::{Command, CommandId, Kind, Outcome, Refusal, RefusalCode, Reply};
use crate::entity::Entity;
use crate::evidence::REWRITTEN;
use crate::identity::DeviceSecret;
use crate::ids::{DocumentKey, EntityId};
use crate::limits::{BATCH_RECORDS_MAX, SEGMENTS_MAX, STATE_DOCUMENTS_MAX};
use crate::opening::LOG;
use crate::outbox::{After, local, refusal};
use crate::record::{LocalKey, Record};
use crate::replica::Replica;
use crate::replicator::Replicator;
use crate::schema::Concern;
use crate::segments::FULL;
use crate::session::Allowance;
use crate::stability::ACK;
use crate::time::Duration;
use crate::words::FourWords;

pub(crate) use sparing::Leaving;

/// How often this device says again that it does not keep a document: two homes of one device that say
/// otherwise must not keep each other busy.
const SAID_AGAIN_EVERY: Duration = Duration::from_secs(10);

/// A document that this device does not keep.
#[derive(Debug)]
pub(crate) struct Stopped {
    /// The entity or child that it belongs to.
    pub(crate) of: EntityId,
    pub(crate) concern: Concern,
    /// Which one of its series, and the first of that.
    pub(crate) segment: u32,
    pub(crate) first: DocumentKey,
    /// This device's word that it keeps the document no longer.
    pub(crate) ack: Acknowledgement,
    /// That word is on disk, and may be told.
    pub(crate) is_written: bool,
    /// How often the content was read from disk in this run, so that no later reading passes for one of
    /// these.
    readings: u64,
    /// How often that word is said again above one that others know.
    pace: Allowance,
}

/// Whose series of documents, and about what.
pub(crate) type Series = (EntityId, Concern);

impl Entity {
    /// All documents of a series that are kept here, in order.
    pub(crate) fn kept(&self, (of, concern): Series) -> Vec<&Replica> {
        let mut kept: Vec<&Replica> =
            self.replicas.values().filter(|r| r.of == of && r.concern == concern).collect();
        kept.sort_by_key(|replica| replica.segment);
        kept
    }

    /// Whether this device does not keep a series.
    pub(crate) fn has_dropped(&self, (of, concern): Series) -> bool {
        self.stopped.values().any(|stopped| stopped.of == of && stopped.concern == concern)
    }

    /// The name of the first document of a series, whether it is kept or not.
    pub(crate) fn first_of(&self, (of, concern): Series) -> Option<DocumentKey> {
        let kept = self.replicas.values().filter(|r| r.of == of && r.concern == concern).map(|r| r.first);
        let stopped = self.stopped.values().filter(|s| s.of == of && s.concern == concern).map(|s| s.first);
        kept.chain(stopped).next()
    }

    /// Signs this device's word on a document.
    fn say(&self, document: DocumentKey, number: u64, stops: bool, device: &DeviceSecret) -> Acknowledgement {
        let of = (self.id, document);
        Acknowledgement::sign(of, number, stops, self.roster.heads_over(&[]), Positions::new(), device)
    }

    /// Stops keeping a document; gives what must be written, that which must not be torn apart first.
    fn stop(&mut self, document: DocumentKey, device: &DeviceSecret) -> (Vec<Record>, Vec<Record>) {
        let Some(replica) = self.replicas.remove(&document) else { return Default::default() };
        let ack = self.say(document, replica.stability.next_number(&device.key()), true, device);
        let mut needed = vec![record(&ack), Record::Forget { document }];
        needed.extend([LOG, FULL, REWRITTEN].map(|kind| local(kind, &document.0, None)));
        needed.extend(replica.stability.forgetting(document));
        let mut others = replica.stability.forgetting_acks(document, &device.key());
        others.extend(replica.wants.forgetting(document));
        let Replica { of, concern, segment, first, readings, .. } = replica;
        let stopped = Stopped {
            of,
            concern,
            segment,
            first,
            ack,
            is_written: false,
            readings,
            pace: Allowance::default(),
        };
        self.stopped.insert(document, stopped);
        (needed, others)
    }

    /// Keeps a document again, of which nothing is here; gives this device's word, which must be written.
    fn keep(&mut self, document: DocumentKey, device: &DeviceSecret) -> Option<Acknowledgement> {
        let stopped = self.stopped.remove(&document)?;
        let ack = self.say(document, stopped.ack.number.saturating_add(1), false, device);
        let mut replica = Replica::new(stopped.of, document, stopped.concern, stopped.segment);
        (replica.first, replica.readings) = (stopped.first, stopped.readings);
        replica.stability.begin(ack.clone());
        self.replicas.insert(document, replica);
        Some(ack)
    }

    /// Stops keeping those of these documents that are later segments of series that are not kept, so
    /// that nobody waits for this device there either.
    fn stop_named(&mut self, named: &[DocumentKey], device: &DeviceSecret) -> Vec<Acknowledgement> {
        let is_unknown = |d: &&DocumentKey| !self.replicas.contains_key(d) && !self.stopped.contains_key(d);
        let unknown: BTreeSet<DocumentKey> = named.iter().filter(is_unknown).copied().collect();
        let goes_on = |s: &&Stopped| s.segment == 1 && s.concern.goes_on() && !unknown.is_empty();
        let series = self.stopped.values().filter(goes_on).map(|s| (s.of, s.concern, s.first));
        let mut said = Vec::new();
        for series in series.collect::<Vec<_>>() {
            for segment in 2..=SEGMENTS_MAX {
                let Some(document) = self.segment_key(series, segment).filter(|key| unknown.contains(key))
                else {
                    continue;
                };
                if self.replicas.len() + self.stopped.len() >= STATE_DOCUMENTS_MAX {
                    return said;
                }
                let ack = self.say(document, 1, true, device);
                said.push(ack.clone());
                self.note_stopped(document, series, segment, ack);
            }
        }
        said
    }

    fn note_stopped(
        &mut self,
        document: DocumentKey,
        (of, concern, first): (EntityId, Concern, DocumentKey),
        segment: u32,
        ack: Acknowledgement,
    ) {
        let pace = Allowance::default();
        let stopped = Stopped { of, concern, segment, first, ack, is_written: false, readings: 0, pace };
        self.stopped.insert(document, stopped);
    }

    /// Takes back from an earlier run that a document is not kept. False if it is not known yet which
    /// one it is.
    fn restore_stopped(&mut self, ack: &Acknowledgement) -> bool {
        let document = ack.document;
        let of_kind = self.replicas.remove(&document).map(|r| ((r.of, r.concern, r.first), r.segment));
        let Some((series, segment)) = of_kind.or_else(|| self.segment_of(document)) else { return false };
        self.note_stopped(document, series, segment, ack.clone());
        if let Some(stopped) = self.stopped.get_mut(&document) {
            stopped.is_written = true;
        }
        true
    }

    /// Which segment a document is of a series that is not kept.
    fn segment_of(&self, document: DocumentKey) -> Option<((EntityId, Concern, DocumentKey), u32)> {
        let first = self.stopped.values().filter(|s| s.segment == 1 && s.concern.goes_on());
        let series = first.map(|s| (s.of, s.concern, s.first));
        let mut places = series.flat_map(|series| (2..=SEGMENTS_MAX).map(move |segment| (series, segment)));
        places.find(|(series, segment)| self.segment_key(*series, *segment) == Some(document))
    }
}

impl Replicator {
    // -- what people ask ----------------------------------------------------------------------

    /// Has this device stop keeping a series, as soon as somebody says to have all of it.
    pub(crate) fn drop_series(
        &mut self,
        id: CommandId,
        words: FourWords,
        concern: Concern,
    ) -> Result<(), Refusal> {
        let (entity, place) = self.place(words).ok_or_else(|| unknown(words))?;
        let (entity_id, kept) = (entity.id, entity.kept((place, concern)));
        if entity.has_dropped((place, concern)) {
            return Err(not_kept(words, &concern));
        }
        if kept.is_empty() || !concern.is_series() || entity.kind == Kind::Home {
            return Err(no_series(words, &concern));
        }
        if self.actor(entity_id).is_none() {
            let message = format!("you are not a member of {words} any more");
            return Err(refusal(RefusalCode::NotAllowed, message, ""));
        }
        self.leave_series(id, words, (entity_id, (place, concern)))
    }

    /// Has this device keep a series again that it had dropped.
    pub(crate) fn keep_series(
        &mut self,
        id: CommandId,
        words: FourWords,
        concern: Concern,
    ) -> Result<(), Refusal> {
        let (entity, place) = self.place(words).ok_or_else(|| unknown(words))?;
        let entity_id = entity.id;
        if !entity.has_dropped((place, concern)) {
            return match entity.kept((place, concern)).is_empty() || !concern.is_series() {
                true => Err(no_series(words, &concern)),
                // It is kept, which is what was asked for.
                false => {
                    self.out.answer(id, Outcome::Done(Reply::Ok));
                    Ok(())
                }
            };
        }
        let (Some(me), Some(entity)) = (&self.me, self.entities.get_mut(&entity_id)) else { return Ok(()) };
        let of_series = entity.stopped.iter().filter(|(_, s)| s.of == place && s.concern == concern);
        let documents: Vec<DocumentKey> = of_series.map(|(document, _)| *document).collect();
        let said: Vec<Acknowledgement> =
            documents.iter().filter_map(|document| entity.keep(*document, &me.device)).collect();
        let after = vec![After::said(entity_id, &said), After::Answer(id, Outcome::Done(Reply::Ok))];
        self.out.write(said.iter().map(record).collect(), after);
        // What others hold of it was left out of what was compared with them.
        for session in self.sessions.values_mut() {
            session.shared.get_mut(&entity_id).into_iter().for_each(|shared| shared.theirs = None);
        }
        self.sync_changed.insert(place);
        self.listen(entity_id);
        self.load_documents(entity_id);
        self.touch(entity_id);
        Ok(())
    }

    /// Why a command that reads or writes a document cannot be done here, if this device does not keep
    /// that.
    pub(crate) fn unkept_for(&self, command: &Command) -> Option<Refusal> {
        let (words, concern) = match command {
            Command::Chat(words, _) => (*words, Concern::Chat),
            Command::Board(words, _) => (*words, Concern::Kanban),
            Command::Issue(words, _) => (*words, Concern::Issues),
            Command::Canvas(words, _) => (*words, Concern::Canvas),
            Command::Point(words, presence) => (*words, presence.scene().concern()),
            Command::Unpoint(words, scene) => (*words, scene.concern()),
            Command::Undo(words, concern)
            | Command::Redo(words, concern)
            | Command::History(words, concern, _)
            | Command::Copy { entity: words, concern, .. } => (*words, *concern),
            _ => return None,
        };
        let (entity, place) = self.place(words)?;
        entity.has_dropped((place, concern)).then(|| not_kept(words, &concern))
    }

    // -- stopping -----------------------------------------------------------------------------

    /// Stops keeping a series now: what is here of it is forgotten, and whoever waits for it is told.
    fn stop_series(&mut self, asker: CommandId, (id, (of, concern)): (EntityId, Series)) {
        let (Some(me), Some(entity)) = (&self.me, self.entities.get_mut(&id)) else { return };
        let documents: Vec<DocumentKey> = entity.kept((of, concern)).iter().map(|r| r.key).collect();
        let (mut needed, mut others) = (Vec::new(), Vec::new());
        for document in &documents {
            let (now, later) = entity.stop(*document, &me.device);
            needed.extend(now);
            others.extend(later);
        }
        let said = documents.iter().filter_map(|document| entity.stopped.get(document));
        let said = After::said(id, said.map(|stopped| &stopped.ack));
        self.out.write(needed, vec![said, After::Answer(asker, Outcome::Done(Reply::Ok))]);
        // Should these be lost they say what others had said before: nothing that is not so.
        for part in others.chunks(BATCH_RECORDS_MAX / 2) {
            self.out.write(part.to_vec(), Vec::new());
        }
        for document in documents {
            self.forget_use(id, document);
        }
        self.sync_changed.insert(of);
        self.listen(id);
        self.touch(id);
    }

    /// Forgets what was under way with a document that is kept no longer.
    fn forget_use(&mut self, id: EntityId, document: DocumentKey) {
        self.undoing.forget(&document);
        self.fetching.remove(&document);
        self.arriving.take_if(|arriving| arriving.is_of(id, document));
        for session in self.sessions.values_mut() {
            session.shared.get_mut(&id).into_iter().for_each(|shared| shared.forget_document(document));
        }
        let asked = self.deferred.remove(&document).unwrap_or_default();
        for (command, what) in asked.into_iter().chain(self.histories.take_of(&document)) {
            self.ask(command, what);
        }
    }

    // -- what is on disk ----------------------------------------------------------------------

    /// This device's word on documents is on disk: others may hear of it, if it said nothing else since.
    pub(crate) fn said(&mut self, id: EntityId, acks: &[(DocumentKey, u64)]) {
        let wall = self.now.wall;
        for (document, number) in acks {
            let Some(entity) = self.entities.get_mut(&id) else { return };
            if let Some(stopped) = entity.stopped.get_mut(document) {
                stopped.is_written |= stopped.ack.number == *number;
            } else if let Some(Replica { stability, heads, .. }) = entity.replicas.get_mut(document)
                && stability.is_making(*number)
            {
                stability.made(|log| heads.contains_key(log), wall);
            }
            self.tell_word_to_all(id, *document);
        }
        // Whoever holds what is kept again differs from this device by now, and tells how it stands.
        let entity = self.entities.get(&id);
        if entity
            .is_some_and(|entity| acks.iter().any(|(document, _)| entity.replicas.contains_key(document)))
        {
            let sharing = self.sessions.iter().filter(|(_, session)| session.shared.contains_key(&id));
            for device in sharing.map(|(device, _)| *device).collect::<Vec<_>>() {
                self.send_quiet(device, false);
            }
        }
    }

    /// Peers named documents: those that are new and of series that are not kept are not kept either.
    pub(crate) fn stop_named(&mut self, id: EntityId, named: &[DocumentKey]) {
        let (Some(me), Some(entity)) = (&self.me, self.entities.get_mut(&id)) else { return };
        let said = entity.stop_named(named, &me.device);
        if said.is_empty() || self.read_only.is_some() {
            return;
        }
        self.out.write(said.iter().map(record).collect(), vec![After::said(id, &said)]);
    }

    /// Says once more that a document is not kept, above a number that others know of this device: a
    /// copy of its home, or one from before, had said otherwise.
    pub(crate) fn stop_above(&mut self, id: EntityId, document: DocumentKey, number: u64) {
        let now = self.now.instant;
        let (Some(me), Some(entity)) = (&self.me, self.entities.get_mut(&id)) else { return };
        let ack = entity.say(document, number.saturating_add(1), true, &me.device);
        let stopped = entity.stopped.get_mut(&document).filter(|_| self.read_only.is_none());
        let Some(stopped) = stopped else { return };
        if !stopped.pace.take(now, 1, SAID_AGAIN_EVERY) {
            // It is said when others show that number again.
            return;
        }
        let after = vec![After::said(id, [&ack])];
        self.out.write(vec![record(&ack)], after);
        (stopped.ack, stopped.is_written) = (ack, false);
    }

    /// Takes back from an earlier run which documents are not kept, before anything else of them is.
    pub(crate) fn restore_stopped(&mut self, locals: &[(LocalKey, Vec<u8>)]) {
        let Some(me) = self.me.as_ref().map(|me| me.key()) else { return };
        let acks = locals.iter().filter(|(key, _)| key.kind == ACK && key.of.ends_with(&me.0));
        let acks = acks.filter_map(|(_, value)| Acknowledgement::read(value).ok());
        let mut left: Vec<Acknowledgement> = acks.filter(|ack| ack.stops && ack.device == me).collect();
        // Of which series a later segment is follows from its first.
        for _ in 0..2 {
            let entities = &mut self.entities;
            left.retain(|ack| entities.get_mut(&ack.entity).is_some_and(|e| !e.restore_stopped(ack)));
        }
    }
}

impl After {
    /// These acknowledgements of this device are on disk.
    fn said<'a>(entity: EntityId, acks: impl IntoIterator<Item = &'a Acknowledgement>) -> After {
        After::Said { entity, acks: acks.into_iter().map(|ack| (ack.document, ack.number)).collect() }
    }
}

fn record(ack: &Acknowledgement) -> Record {
    local(ACK, &[ack.document.0, ack.device.0].concat(), Some(ack.bytes().to_vec()))
}

/// Says that this device does not keep a series, and what brings that back.
pub(crate) fn not_kept(words: FourWords, concern: &Concern) -> Refusal {
    let name = concern.name();
    let message = format!("this device does not keep the {name} of {words}");
    refusal(RefusalCode::NotFound, message, format!("`fourword document keep {words} {name}` brings it back"))
}

fn no_series(words: FourWords, concern: &Concern) -> Refusal {
    let message = format!("{words} has no {} that a device could drop", concern.name());
    let hint = "a device drops and keeps the chat, kanban, issues or canvas of a group, channel or project";
    refusal(RefusalCode::Usage, message, hint)
}
