//! What was seen of others that no honest device does, and what of our own does not count.
//!
//! `receiving` notes faults that are proved by what the device signed; what nobody has proved is
//! only counted as dropped. They are shown in the status and kept over restarts, merged by device
//! and kind. Invariant: whoever misbehaves may fill the room with its own faults, never displace
//! those of others.

use std::collections::BTreeMap;

use crate::bytes::{Malformed, Reader, Writer};
use crate::command::{
    CommandId, FaultKind, FaultView, Notice, Outcome, PersonView, Refusal, Reply, UnacceptedView,
};
use crate::entity::Entity;
use crate::ids::{DeviceKey, DocumentKey, EntityId, LogId, PersonId};
use crate::limits::{FAULT_DETAIL_BYTES_MAX, FAULTS_MAX};
use crate::outbox::local;
use crate::record::{LocalKey, Record};
use crate::replica::{Edits, Lost, Replica};
use crate::replicator::Replicator;
use crate::schema;
use crate::schema::Put;
use crate::schema::rights::{self, PutRef};
use crate::time::{Duration, Instant, WallTime};
use crate::words::FourWords;

/// The kind of the small values that keep faults.
pub(crate) const FAULT: &str = "fault";

/// The kind of the small values that name what was written anew.
pub(crate) const REWRITTEN: &str = "rewritten";

/// How often a count that grows is written; the first sight of a fault is written at once.
const WRITE_EVERY: Duration = Duration::from_secs(60);

/// The faults of one entity's devices.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    seen: BTreeMap<(DeviceKey, FaultKind), Fault>,
}

/// One kind of fault of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    count: u64,
    last: WallTime,
    document: Option<DocumentKey>,
    detail: String,
    /// When the count was last written, and whether it has grown since.
    written: Instant,
    has_grown: bool,
}

/// A fault that was just seen.
#[derive(Clone, Debug)]
pub(crate) struct Sighting {
    pub(crate) device: DeviceKey,
    pub(crate) kind: FaultKind,
    pub(crate) document: Option<DocumentKey>,
    /// The evidence in words.
    pub(crate) detail: String,
}

impl Fault {
    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u64(self.count).u64(self.last.0).raw(&self.document.map_or([0; 32], |d| d.0));
        writer.text(&self.detail);
        writer.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Fault, Malformed> {
        let mut reader = Reader::new(bytes);
        let (count, last) = (reader.u64()?, WallTime(reader.u64()?));
        let document = Some(DocumentKey(reader.array()?)).filter(|document| document.0 != [0; 32]);
        let detail = reader.text(FAULT_DETAIL_BYTES_MAX)?.to_owned();
        reader.finish()?;
        Ok(Fault { count, last, document, detail, written: Instant::default(), has_grown: false })
    }
}

impl Faults {
    /// Notes a sighting; `owner_of` says whose a device is. Gives what must be written.
    fn note(
        &mut self,
        entity: EntityId,
        sighting: Sighting,
        now: (Instant, WallTime),
        owner_of: impl Fn(&DeviceKey) -> Option<PersonId>,
    ) -> Vec<Record> {
        let key = (sighting.device, sighting.kind);
        if let Some(fault) = self.seen.get_mut(&key) {
            fault.count = fault.count.saturating_add(1);
            fault.last = now.1;
            fault.has_grown = true;
            if fault.written + WRITE_EVERY > now.0 {
                return Vec::new();
            }
            fault.has_grown = false;
            fault.written = now.0;
            return vec![record(entity, key, Some(fault))];
        }
        let mut records = Vec::new();
        if self.seen.len() >= FAULTS_MAX {
            let Some(displaced) = self.displaced_by(owner_of(&sighting.device), owner_of) else {
                return Vec::new();
            };
            self.seen.remove(&displaced);
            records.push(record(entity, displaced, None));
        }
        let mut detail = sighting.detail;
        detail.truncate(detail.floor_char_boundary(FAULT_DETAIL_BYTES_MAX));
        let fault = Fault {
            count: 1,
            last: now.1,
            document: sighting.document,
            detail,
            written: now.0,
            has_grown: false,
        };
        records.push(record(entity, key, Some(&fault)));
        self.seen.insert(key, fault);
        records
    }

    /// The oldest fault of whoever has most of them, if that is more than one above what `person`
    /// has.
    fn displaced_by(
        &self,
        person: Option<PersonId>,
        owner_of: impl Fn(&DeviceKey) -> Option<PersonId>,
    ) -> Option<(DeviceKey, FaultKind)> {
        let mut counts: BTreeMap<Option<PersonId>, usize> = BTreeMap::new();
        for (device, _) in self.seen.keys() {
            *counts.entry(owner_of(device)).or_default() += 1;
        }
        let has = counts.get(&person).copied().unwrap_or(0);
        let most =
            counts.into_iter().filter(|(_, count)| *count > has + 1).max_by_key(|(_, count)| *count)?.0;
        let of_most = self.seen.iter().filter(|((device, _), _)| owner_of(device) == most);
        of_most.min_by_key(|(_, fault)| fault.last).map(|(key, _)| *key)
    }

    /// What has grown since it was written.
    fn grown(&mut self, entity: EntityId) -> Vec<Record> {
        let grown = self.seen.iter_mut().filter(|(_, fault)| fault.has_grown);
        let written = grown.map(|(key, fault)| {
            fault.has_grown = false;
            record(entity, *key, Some(fault))
        });
        written.collect()
    }

    /// Reads one back. What cannot be read is passed over.
    fn restore(&mut self, of: &[u8], value: &[u8]) {
        let Some((device, kind)) = of.split_first_chunk::<32>() else { return };
        let (&[kind], Ok(fault)) = (kind, Fault::decode(value)) else { return };
        if let Some(kind) = kind_of(kind).filter(|_| self.seen.len() < FAULTS_MAX) {
            self.seen.insert((DeviceKey(*device), kind), fault);
        }
    }
}

fn record(entity: EntityId, (device, kind): (DeviceKey, FaultKind), fault: Option<&Fault>) -> Record {
    let of = [&entity.0[..], &device.0, &[code_of(kind)]].concat();
    local(FAULT, &of, fault.map(Fault::encode))
}

fn code_of(kind: FaultKind) -> u8 {
    match kind {
        FaultKind::Fork => 1,
        FaultKind::TakenClientId => 2,
        FaultKind::Backdated => 3,
        FaultKind::NoRight => 4,
        FaultKind::Malformed => 5,
        FaultKind::UnknownVersion => 6,
    }
}

fn kind_of(code: u8) -> Option<FaultKind> {
    Some(match code {
        1 => FaultKind::Fork,
        2 => FaultKind::TakenClientId,
        3 => FaultKind::Backdated,
        4 => FaultKind::NoRight,
        5 => FaultKind::Malformed,
        6 => FaultKind::UnknownVersion,
        _ => return None,
    })
}

impl Replicator {
    // -- faults -------------------------------------------------------------------------------

    /// Notes a fault that a device is proved to have.
    pub(crate) fn note_fault(&mut self, id: EntityId, sighting: Sighting) {
        let now = (self.now.instant, self.now.wall);
        let Some(entity) = self.entities.get_mut(&id) else { return };
        let roster = &entity.roster;
        let records = entity.faults.note(id, sighting, now, |device| roster.person_of(device));
        if !records.is_empty() && self.read_only.is_none() {
            self.out.write(records, Vec::new());
        }
    }

    /// Counts of faults that have grown, as records: for a stop.
    pub(crate) fn grown_faults(&mut self) -> Vec<Record> {
        self.entities.iter_mut().flat_map(|(id, entity)| entity.faults.grown(*id)).collect()
    }

    /// Takes back faults, and what was written anew.
    pub(crate) fn restore_evidence(&mut self, locals: &[(LocalKey, Vec<u8>)]) {
        for (LocalKey { kind, of }, value) in locals {
            if kind == FAULT
                && let Some((entity, of)) = of.split_first_chunk::<32>()
                && let Some(entity) = self.entities.get_mut(&EntityId(*entity))
            {
                entity.faults.restore(of, value);
            }
            if kind == REWRITTEN {
                let replicas = self.entities.values_mut().flat_map(|e| e.replicas.values_mut());
                replicas.filter(|r| of == &r.key.0).for_each(|r| r.restore_rewritten(value));
            }
        }
    }

    pub(crate) fn fault_views(&self) -> Vec<FaultView> {
        let mut views = Vec::new();
        for entity in self.entities.values() {
            let Some(words) = self.names.entity(entity.id) else { continue };
            for ((device, kind), fault) in &entity.faults.seen {
                let person = entity.roster.person_of(device).map(|person| PersonView {
                    person,
                    words: self.names.person(person),
                    name: crate::views::shown_name(entity, person),
                });
                let replica = fault.document.and_then(|document| entity.replicas.get(&document));
                views.push(FaultView {
                    entity: words,
                    person,
                    device: *device,
                    kind: *kind,
                    document: replica.map(|replica| document_id(entity, words, replica)),
                    count: fault.count,
                    last: fault.last,
                    detail: fault.detail.clone(),
                });
            }
        }
        views
    }

    // -- what of our own does not count -------------------------------------------------------

    /// Shows what this person wrote here that does not count.
    pub(crate) fn unaccepted(&mut self, id: CommandId, words: FourWords) -> Result<(), Refusal> {
        let entity = self.by_words(words).ok_or_else(|| crate::asking::unknown(words))?;
        // One in which nothing of that kind was found when it was last read need not be read again.
        let is_unknown = |r: &&Replica| r.live().is_none() && !r.is_blank() && r.rested().is_none();
        if let Some(cold) = entity.replicas.values().find(is_unknown) {
            let at = (entity.id, cold.key);
            self.ask_again(id, crate::command::Command::Unaccepted(words), at);
            return Ok(());
        }
        let mut views = Vec::new();
        for replica in entity.replicas.values() {
            let document = document_id(entity, words, replica);
            for value in replica.unaccepted_values(&entity.keys) {
                views.push(UnacceptedView {
                    document: document.clone(),
                    root: value.root.to_owned(),
                    text: schema::text_of(&replica.concern, value.root, &value.key, &value.value),
                    key: value.key,
                    reason: value.why.to_string(),
                });
            }
            views.extend(replica.stability.late().iter().map(|late| UnacceptedView {
                document: document.clone(),
                root: late.root.clone(),
                key: late.key.clone(),
                text: late.text.clone(),
                reason: late.why.to_string(),
            }));
        }
        self.out.answer(id, Outcome::Done(Reply::Unaccepted(views)));
        Ok(())
    }

    /// A document was read: what of ours stood on a branch that lost is written anew, and whoever
    /// listens is told if something of ours counts no more, or again.
    pub(crate) fn tend_unaccepted(&mut self, id: EntityId, document: DocumentKey) {
        self.write_anew(id, document);
        self.note_rewritten(id, document);
        let words = self.names.entity(id);
        let replica = self.entities.get_mut(&id).and_then(|e| e.replicas.get_mut(&document));
        let has_changed = replica.is_some_and(|replica| replica.count_unaccepted() | replica.settle_missed());
        if let Some(words) = words.filter(|_| has_changed) {
            self.out.notify(Notice::AcceptanceChanged(words));
        }
    }

    /// Writes anew what waited for a right that this device has again.
    pub(crate) fn write_lost(&mut self, id: EntityId) {
        let Some(entity) = self.entities.get(&id) else { return };
        let lost = entity.replicas.values().filter(|replica| replica.has_lost());
        let readable = lost.filter(|replica| entity.readable(replica).is_some());
        for document in readable.map(|replica| replica.key).collect::<Vec<_>>() {
            self.tend_unaccepted(id, document);
        }
    }

    fn write_anew(&mut self, id: EntityId, document: DocumentKey) {
        let Some(me) = self.me.as_ref().map(|me| me.key()) else { return };
        let Some(entity) = self.entities.get_mut(&id) else { return };
        // Who may not write now may again one day: nothing is taken as written anew before.
        let Some(actor) = entity.member(me).filter(|_| entity.may_write(me) && entity.epoch().is_some())
        else {
            return;
        };
        let Some(replica) = entity.replicas.get_mut(&document) else { return };
        let Lost { edits, more } = replica.take_lost(&entity.keys, actor.owner());
        let concern = replica.concern;
        if more {
            replica.distrust();
        }
        let may = |put: &Put| rights::judge(&concern, &PutRef::from(put), &actor).is_ok();
        for edits in edits {
            if !matches!(&edits, Edits::Puts(puts) if !puts.iter().all(may)) {
                self.edit(id, document, edits, Vec::new());
            }
        }
    }

    /// Remembers what was written anew, once all of it is on disk.
    pub(crate) fn note_rewritten(&mut self, id: EntityId, document: DocumentKey) {
        let replica = self.entities.get_mut(&id).and_then(|e| e.replicas.get_mut(&document));
        if let Some(value) = replica.and_then(Replica::take_rewritten) {
            self.out.keep(REWRITTEN, &document.0, Some(value), Vec::new());
        }
    }
}

fn document_id(entity: &Entity, words: FourWords, replica: &Replica) -> String {
    schema::document_id(entity.kind, words, &replica.concern, replica.segment)
}

/// A position in a log, in words.
pub(crate) fn place_in_words(log: &LogId, sequence: u64) -> String {
    format!("log {:016x} at {sequence}", log.incarnation.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTITY: EntityId = EntityId([1; 32]);

    fn device(person: u8, number: u8) -> DeviceKey {
        let mut key = [person; 32];
        key[31] = number;
        DeviceKey(key)
    }

    /// A device's first byte says whose it is.
    fn owner(device: &DeviceKey) -> Option<PersonId> {
        Some(PersonId([device.0[0]; 32]))
    }

    fn seen(device: DeviceKey, kind: FaultKind) -> Sighting {
        Sighting { device, kind, document: Some(DocumentKey([3; 32])), detail: "words".into() }
    }

    fn note(faults: &mut Faults, device: DeviceKey, kind: FaultKind, at: u64) -> Vec<Record> {
        faults.note(ENTITY, seen(device, kind), (Instant(at), WallTime(at)), owner)
    }

    #[test]
    fn nobody_displaces_the_evidence_against_others() {
        let mut faults = Faults::default();
        note(&mut faults, device(9, 0), FaultKind::Fork, 1);
        for number in 0..200 {
            note(&mut faults, device(7, number), FaultKind::Malformed, 2 + u64::from(number));
        }
        assert_eq!(faults.seen.len(), FAULTS_MAX);
        assert!(faults.seen.contains_key(&(device(9, 0), FaultKind::Fork)));
        let records = note(&mut faults, device(8, 0), FaultKind::Backdated, 500);
        assert_eq!((faults.seen.len(), records.len()), (FAULTS_MAX, 2), "one forgotten, one written");
        assert!(faults.seen.contains_key(&(device(8, 0), FaultKind::Backdated)));
        assert!(
            !faults.seen.contains_key(&(device(7, 0), FaultKind::Malformed)),
            "the oldest of who has most"
        );
    }

    #[test]
    fn a_fault_is_written_when_first_seen_and_its_count_now_and_then() {
        let mut faults = Faults::default();
        let written: Vec<usize> = (0..180)
            .map(|second| note(&mut faults, device(7, 0), FaultKind::Fork, second * 1000).len())
            .collect();
        assert_eq!(written.iter().sum::<usize>(), 3);
        assert_eq!(faults.grown(ENTITY).len(), 1);
        assert_eq!(faults.grown(ENTITY).len(), 0);
    }

    #[test]
    fn a_detail_is_cut_to_whole_letters_within_the_limit_and_reads_back() {
        let whole = "a".repeat(FAULT_DETAIL_BYTES_MAX);
        // The letter that is cut in two by the limit goes.
        let split = format!("{}é", "a".repeat(FAULT_DETAIL_BYTES_MAX - 1));
        let cut = &split[..FAULT_DETAIL_BYTES_MAX - 1];
        for (given, kept) in [(&whole, &whole[..]), (&format!("{whole}b"), &whole), (&split, cut)] {
            let sighting = Sighting { detail: given.clone(), ..seen(device(7, 0), FaultKind::Fork) };
            let records = Faults::default().note(ENTITY, sighting, (Instant(1), WallTime(1)), owner);
            let [Record::Local { value: Some(value), .. }] = &records[..] else { panic!("a value") };
            assert_eq!(Fault::decode(value).unwrap().detail, kept);
        }
        let fault = Fault { detail: format!("{whole}b"), ..stored_fault() };
        assert_eq!(Fault::decode(&fault.encode()), Err(Malformed));
    }

    fn stored_fault() -> Fault {
        let (last, written) = (WallTime(1), Instant(1));
        Fault { count: 1, last, document: None, detail: String::new(), written, has_grown: false }
    }

    #[test]
    fn faults_are_read_back_as_they_were_written() {
        let mut faults = Faults::default();
        let mut restored = Faults::default();
        let kinds = (1..=6).filter_map(kind_of);
        for (kind, at) in kinds.zip(1..) {
            for record in note(&mut faults, device(7, 0), kind, at) {
                let Record::Local { key, value: Some(value) } = record else { panic!("a value") };
                restored.restore(&key.of[32..], &value);
            }
        }
        let shown = |faults: &Faults| -> Vec<_> {
            faults.seen.iter().map(|(key, f)| (*key, f.count, f.last, f.document, f.detail.clone())).collect()
        };
        assert_eq!(shown(&restored).len(), 6);
        assert_eq!(shown(&restored), shown(&faults));
        restored.restore(&[1; 40], b"nonsense");
        assert_eq!(restored.seen.len(), 6);
    }
}
