//! Takes statements and envelopes from peers, stores what counts, and acts on what follows.
//!
//! Everything that came in one frame is written as one batch. Statements are durable before they
//! are passed on; envelopes need not be, since whoever sent them has them.

use std::collections::BTreeSet;

use crate::command::{Notice, RefusalCode};
use crate::entity::{Entity, Received};
use crate::envelope::{Envelope, ReadError};
use crate::epoch;
use crate::ids::{DeviceKey, DocumentKey, EntityId, StatementId};
use crate::opening::{LOG, found};
use crate::outbox::{After, local, refusal};
use crate::record::{LoadId, Page, Query, Record, StoreFailure};
use crate::replica::{Answer, Judged, Queued, Replica};
use crate::replicator::{Load, Replicator};
use crate::roster::{Body, Inserted, Seal, Signer};
use crate::schema::Put;
use crate::schema::chat::MessageId;
use crate::waiting::Want;
use crate::wire::Frame;

/// Bytes of stored envelopes read at a time when a document is loaded.
const LOAD_BYTES: usize = 1024 * 1024;

impl Replicator {
    // -- statements ---------------------------------------------------------------------------

    /// Takes statements of a shared entity, or of one that is being joined.
    pub(crate) fn take_statements(&mut self, from: DeviceKey, id: EntityId, statements: &[Vec<u8>]) {
        let Some(session) = self.sessions.get(&from) else { return };
        let shares = session.shared.contains_key(&id);
        let joining = self.joins.contains_key(&id) && session.knocked.contains(&id);
        if !joining && !shares {
            return self.drop_counted("statements of a stranger");
        }
        if joining && !self.entities.contains_key(&id) {
            // Whoever lets us in gives parents first, so the genesis before all.
            let first = statements.get(..1).unwrap_or_default();
            let Some(entity) = found(id, first) else { return self.blame(from, "no genesis") };
            self.entities.insert(id, entity);
        }
        let Some(entity) = self.entities.get_mut(&id) else { return };
        let (mut new, mut rejected) = (Vec::new(), false);
        for bytes in statements {
            match entity.roster.insert(bytes) {
                Inserted::New(ids) => new.extend(ids),
                Inserted::Rejected(rejection) => rejected |= rejection.blames_sender(),
                Inserted::Known | Inserted::Waiting { .. } => {}
            }
            if rejected {
                // Each costs a signature check: what follows must come again from somebody else.
                break;
            }
        }
        entity.note_statements(&new);
        let mut records = self.statement_records(id, &new);
        if joining {
            // The genesis is known from the founding of the entity and not new above.
            records.extend(self.genesis_record(id));
        }
        if !records.is_empty() {
            self.write_statements(id, records, new, Some(from));
        }
        if rejected {
            self.blame(from, "invalid statement");
        }
        if joining {
            let bytes = statements.iter().map(Vec::len).sum();
            self.ask_for_the_rest(from, id, bytes);
        }
    }

    fn genesis_record(&self, id: EntityId) -> Option<Record> {
        let bytes = self.entities.get(&id)?.roster.bytes(&StatementId(id.0))?.to_vec();
        Some(Record::Statement { entity: id, id: StatementId(id.0), bytes })
    }

    fn statement_records(&self, entity: EntityId, ids: &[StatementId]) -> Vec<Record> {
        let roster = self.entities.get(&entity).map(|e| &e.roster);
        let bytes = ids.iter().filter_map(|id| Some((*id, roster?.bytes(id)?.to_vec())));
        bytes.map(|(id, bytes)| Record::Statement { entity, id, bytes }).collect()
    }

    fn write_statements(
        &mut self,
        entity: EntityId,
        records: Vec<Record>,
        statements: Vec<StatementId>,
        except: Option<DeviceKey>,
    ) {
        if let Some(known) = self.entities.get_mut(&entity) {
            known.unwritten.extend(&statements);
        }
        self.out.write(records, vec![After::Spread { entity, statements, except }]);
        self.tend(entity);
        self.touch(entity);
    }

    /// Signs a statement as this device, takes it in and writes it. Gives its id.
    pub(crate) fn state(&mut self, entity: EntityId, body: Body, after: Vec<After>) -> Option<StatementId> {
        let me = self.me.as_ref()?;
        let known = self.entities.get_mut(&entity)?;
        let statement = known.roster.draft(Signer::Device(&me.device), body).ok()?;
        let id = statement.id();
        if !matches!(known.roster.add(statement), Inserted::New(_)) {
            return None;
        }
        known.unwritten.insert(id);
        known.note_statements(&[id]);
        let records = self.statement_records(entity, &[id]);
        let spread = After::Spread { entity, statements: vec![id], except: None };
        self.out.write(records, [vec![spread], after].concat());
        self.touch(entity);
        Some(id)
    }

    /// Statements are on disk: peers who share the entity get them at once.
    pub(crate) fn spread(&mut self, id: EntityId, statements: &[StatementId], except: Option<DeviceKey>) {
        let Some(entity) = self.entities.get_mut(&id) else { return };
        entity.unwritten.retain(|unwritten| !statements.contains(unwritten));
        let bytes = statements.iter().filter_map(|s| entity.roster.bytes(s).map(<[u8]>::to_vec));
        let bytes: Vec<Vec<u8>> = bytes.collect();
        let sharing = self.sessions.iter().filter(|(_, s)| s.shared.contains_key(&id)).map(|(d, _)| *d);
        let to: Vec<DeviceKey> = sharing.filter(|d| Some(*d) != except).collect();
        for device in to {
            self.send_statements(device, id, bytes.clone());
        }
    }

    /// Does what follows from a changed roster: opens seals, listens to topics, learns names,
    /// opens an epoch where none fits, and tries again what waited.
    pub(crate) fn tend(&mut self, id: EntityId) {
        let Some(me) = &self.me else { return };
        let Some(entity) = self.entities.get_mut(&id) else { return };
        let entered = entity.secret.is_none();
        entity.open_seals(&me.device);
        let entered = entered && entity.secret.is_some() && entity.member(me.key()).is_some();
        self.want_names();
        self.rotate_if_needed(id);
        self.listen(id);
        self.retry_all(id);
        self.judge_anew(id);
        self.compare_all(id);
        if entered {
            self.entered(id);
        }
        if let Some(words) = self.names.entity(id) {
            self.out.notify(Notice::MembersChanged(words));
        }
    }

    /// Has the names of members stretched, as many as there is room for. Of nobody else: whoever
    /// is not in cannot make this node stretch.
    pub(crate) fn want_names(&mut self) {
        let entered = self.entities.values().filter(|e| e.secret.is_some());
        for person in entered.flat_map(|e| e.roster.reading().members.keys()) {
            if !self.names.want(person.0, &mut self.out) {
                return;
            }
        }
    }

    /// Reads documents anew: all, if a statement came that may change what was judged already, or
    /// those of which another branch counts than the one in memory.
    pub(crate) fn judge_anew(&mut self, id: EntityId) {
        let is_stale = |entity: &Entity| entity.rejudge || entity.replicas.values().any(Replica::is_stale);
        let Some(entity) = self.entities.get_mut(&id).filter(|e| is_stale(e) && e.is_at_rest()) else {
            return;
        };
        let all = std::mem::take(&mut entity.rejudge);
        for replica in entity.replicas.values_mut() {
            match all {
                true => replica.judge_anew(),
                false if replica.is_stale() => replica.read_anew(),
                false => {}
            }
        }
        self.load_documents(id);
    }

    /// Opens a new epoch where none whose key is held fits who is a member now.
    fn rotate_if_needed(&mut self, id: EntityId) {
        let Some(me) = &self.me else { return };
        let Some(entity) = self.entities.get(&id) else { return };
        let Some(secret) = entity.secret.clone().filter(|_| entity.member(me.key()).is_some()) else {
            return;
        };
        if entity.epoch().is_some() {
            return;
        }
        let key = epoch::EpochKey::generate(&mut self.random);
        let mut seals = Vec::new();
        for (device, _) in entity.roster.reading().devices() {
            let to = entity.roster.sealing_key(&device);
            if let Some(sealed) = to.and_then(|to| epoch::seal(id, &key, &secret, to, &mut self.random)) {
                seals.push(Seal { device, sealed });
            }
        }
        let counter = entity.roster.next_counter();
        let body = Body::Epoch { counter, commitment: key.commitment(), seals };
        if self.state(id, body, Vec::new()).is_some() {
            let Some(me) = &self.me else { return };
            if let Some(entity) = self.entities.get_mut(&id) {
                entity.open_seals(&me.device);
            }
        }
    }

    // -- envelopes ----------------------------------------------------------------------------

    /// Takes one page of a stream.
    pub(crate) fn take_page(
        &mut self,
        from: DeviceKey,
        id: EntityId,
        document: DocumentKey,
        envelopes: &[Vec<u8>],
        more: bool,
    ) {
        let shares = self.sessions.get(&from).is_some_and(|s| s.shared.contains_key(&id));
        if !shares || self.entities.get(&id).is_none_or(|e| e.member(from).is_none()) {
            return self.drop_counted("envelopes of a stranger");
        }
        let mut taken = Vec::new();
        for bytes in envelopes {
            match self.take_envelope(from, id, document, bytes) {
                Ok(new) => taken.extend(new),
                Err(fault) => self.blame(from, fault),
            }
            if !self.sessions.contains_key(&from) {
                break;
            }
        }
        self.store(id, taken);
        if more && self.sessions.contains_key(&from) {
            self.out.send(from, &Frame::Next { entity: id, document });
        }
        self.touch(id);
    }

    /// Takes one envelope through all checks; gives what was judged because of it.
    pub(crate) fn take_envelope(
        &mut self,
        from: DeviceKey,
        id: EntityId,
        on: DocumentKey,
        bytes: &[u8],
    ) -> Result<Vec<(Envelope, Judged)>, &'static str> {
        let envelope = match Envelope::read(bytes) {
            Ok(envelope) => envelope,
            Err(ReadError::UnknownVersion(version)) => {
                self.note_newer(id, on, version);
                return Ok(Vec::new());
            }
            Err(_) => return Err("malformed envelope"),
        };
        let Some(entity) = self.entities.get_mut(&id) else { return Ok(Vec::new()) };
        let document = envelope.header.log.document;
        match entity.receive(envelope) {
            Received::Taken(new) => {
                let mut taken = vec![*new];
                taken.extend(entity.retry(document));
                Ok(taken)
            }
            Received::Known => Ok(Vec::new()),
            Received::Waits(want) => {
                if want == Want::Document {
                    self.load_documents(id);
                }
                Ok(Vec::new())
            }
            Received::Stranger => {
                self.drop_counted("envelope of an unknown device");
                Ok(Vec::new())
            }
            Received::Forked(forked) => {
                self.forked(from, id, document, forked);
                Ok(Vec::new())
            }
            Received::Void => {
                self.drop_counted("envelope without the right to it");
                Ok(Vec::new())
            }
            Received::Hostile(fault) => Err(fault),
        }
    }

    /// Stores envelopes that were judged and tells who listens.
    pub(crate) fn store(&mut self, entity: EntityId, taken: Vec<(Envelope, Judged)>) {
        if taken.is_empty() {
            return;
        }
        let mut changed: BTreeSet<MessageId> = BTreeSet::new();
        let mut records = Vec::new();
        for (envelope, judged) in taken {
            match judged {
                Judged::Applied(messages) => changed.extend(messages),
                Judged::Rejected(void) => self.rejected(entity, &envelope, &void),
                Judged::Waits(_) | Judged::Contested(_) => continue,
                Judged::Poisoned => {
                    self.drop_counted("document rebuilt");
                    self.rebuild(entity, envelope.header.log.document);
                    continue;
                }
            }
            records.push(envelope_record(entity, &envelope));
        }
        self.out.write(records, Vec::new());
        self.notify_chat(entity, changed.into_iter().collect());
        self.touch(entity);
        self.judge_anew(entity);
    }

    pub(crate) fn notify_chat(&mut self, entity: EntityId, messages: Vec<MessageId>) {
        if let Some(words) = self.names.entity(entity).filter(|_| !messages.is_empty()) {
            self.out.notify(Notice::ChatChanged { entity: words, messages });
        }
    }

    /// Tries again what waits in all documents of an entity.
    fn retry_all(&mut self, id: EntityId) {
        let Some(entity) = self.entities.get_mut(&id) else { return };
        let documents: Vec<DocumentKey> = entity.replicas.keys().copied().collect();
        let taken = documents.into_iter().flat_map(|d| entity.retry(d)).collect();
        self.store(id, taken);
    }

    // -- our own envelopes --------------------------------------------------------------------

    /// Seals what is pending in a document, if nothing of it is on its way to the disk.
    pub(crate) fn seal(&mut self, id: EntityId, document: DocumentKey) {
        let Some(me) = &self.me else { return };
        let Some(entity) = self.entities.get_mut(&id) else { return };
        let previous = entity.replicas.get(&document).map_or(&[][..], Replica::own_heads);
        let heads = entity.roster.heads_to_write(&me.key(), previous);
        let Some((epoch, key)) = entity.epoch().map(|(epoch, key)| (epoch, key.clone())) else { return };
        let Some(replica) = entity.replicas.get_mut(&document) else { return };
        let Ok(Some(sealed)) = replica.seal(&me.device, heads, (epoch, &key), &mut self.random) else {
            return;
        };
        let mut records = vec![envelope_record(id, &sealed.envelope)];
        if sealed.begins {
            let incarnation = sealed.envelope.header.log.incarnation.0.to_be_bytes().to_vec();
            records.insert(0, local(LOG, &document.0, Some(incarnation)));
        }
        let answers = sealed.answers.into_iter().map(|(command, outcome)| After::Answer(command, outcome));
        let after = answers.chain([After::Sealed(id, document)]).collect();
        self.out.write(records, after);
        let bytes = sealed.envelope.bytes().to_vec();
        self.out.push(crate::effect::Effect::Publish(key.topic(document), bytes));
        self.touch(id);
    }

    /// Our envelope is on disk: what gathered meanwhile goes into the next one.
    pub(crate) fn sealed(&mut self, id: EntityId, document: DocumentKey) {
        if let Some(replica) = self.entities.get_mut(&id).and_then(|e| e.replicas.get_mut(&document)) {
            replica.sealed();
        }
        self.seal(id, document);
        self.note_rewritten(id, document);
        self.judge_anew(id);
    }

    // -- documents from disk ------------------------------------------------------------------

    /// Has all documents of an entity read into memory.
    pub(crate) fn load_documents(&mut self, id: EntityId) {
        let Some(entity) = self.entities.get_mut(&id) else { return };
        let mut begun = Vec::new();
        for replica in entity.replicas.values_mut() {
            if replica.begin_loading() {
                begun.push(replica.key);
            }
        }
        for document in begun {
            self.read_on(id, document, 0);
        }
    }

    fn read_on(&mut self, id: EntityId, document: DocumentKey, after: u64) {
        let load = self.out.load(Query::Document { document, after, bytes_max: LOAD_BYTES });
        self.loads.insert(load, Load::Content(id, document));
        if let Some(replica) = self.entities.get_mut(&id).and_then(|e| e.replicas.get_mut(&document)) {
            replica.reading = Some(load);
        }
    }

    pub(crate) fn loaded(&mut self, load: LoadId, page: Result<Page, StoreFailure>) {
        match self.loads.remove(&load) {
            Some(Load::Opening) => self.opened(page),
            Some(Load::Content(entity, document)) => self.content_loaded(load, (entity, document), page),
            Some(Load::Page(to, entity, document)) => self.page_loaded(load, (to, entity, document), page),
            None => {}
        }
    }

    fn content_loaded(
        &mut self,
        load: LoadId,
        (id, document): (EntityId, DocumentKey),
        page: Result<Page, StoreFailure>,
    ) {
        let Some(entity) = self.entities.get_mut(&id) else { return };
        if entity.replicas.get(&document).is_none_or(|replica| replica.reading != Some(load)) {
            // The document was begun anew since: this page belongs to a reading that was given up.
            return;
        }
        let next = match page {
            Ok(Page::Envelopes { envelopes, next }) => {
                if let Some(me) = &self.me {
                    entity.restore(document, &envelopes, me.key());
                }
                next
            }
            Ok(Page::Opening { .. }) | Err(_) => {
                self.drop_counted("unreadable document page");
                None
            }
        };
        if let Some(after) = next {
            return self.read_on(id, document, after);
        }
        let Some(entity) = self.entities.get_mut(&id) else { return };
        if entity.end_pass(document) {
            return self.read_on(id, document, 0);
        }
        let queued = entity.replicas.get_mut(&document).map(|r| r.end_loading()).unwrap_or_default();
        self.retry_all(id);
        for Queued { puts, answer } in queued {
            self.put(id, document, puts, answer);
        }
        self.tend_unaccepted(id, document);
        self.judge_anew(id);
        self.touch(id);
        self.stream_to_all(id, document);
        for (command, what) in self.deferred.remove(&document).unwrap_or_default() {
            self.ask(command, what);
        }
    }

    /// Puts values into a document as this device; the answer goes out when they are durable.
    /// Where the document is not in memory they wait for it.
    pub(crate) fn put(&mut self, id: EntityId, document: DocumentKey, puts: Vec<Put>, answer: Answer) {
        let Some(me) = &self.me else { return };
        let asker = answer.as_ref().map(|(command, _)| *command);
        let Some(replica) = self.entities.get_mut(&id).and_then(|e| e.replicas.get_mut(&document)) else {
            return;
        };
        match replica.edit(me.key(), puts, answer, &mut self.random) {
            Ok(changed) => {
                self.load_documents(id);
                self.seal(id, document);
                self.notify_chat(id, changed);
            }
            Err(error) => {
                if let Some(asker) = asker {
                    let hint = "try again; if it stays, please report it";
                    self.out.refuse(asker, refusal(RefusalCode::Internal, error.to_string(), hint));
                }
                self.rebuild(id, document);
            }
        }
    }

    /// Reads a document anew from its log: the CRDT library failed in it.
    fn rebuild(&mut self, id: EntityId, document: DocumentKey) {
        let Some(replica) = self.entities.get_mut(&id).and_then(|e| e.replicas.get_mut(&document)) else {
            return;
        };
        for asker in replica.forget() {
            let hint = "try again";
            self.out.refuse(asker, refusal(RefusalCode::Internal, "the document had to be read anew", hint));
        }
        self.load_documents(id);
    }
}

pub(crate) fn envelope_record(entity: EntityId, envelope: &Envelope) -> Record {
    Record::Envelope {
        entity,
        log: envelope.header.log,
        sequence: envelope.header.sequence,
        hash: envelope.hash(),
        bytes: envelope.bytes().to_vec(),
    }
}
