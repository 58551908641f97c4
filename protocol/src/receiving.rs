//! Takes statements and envelopes from peers, stores what counts, and acts on what follows.
//!
//! Everything that came in one frame is written as one batch. Statements are durable before they
//! are passed on; envelopes need not be, since whoever sent them has them.

use std::collections::{BTreeMap, BTreeSet};

use crate::command::{CommandId, Kind, Notice, Outcome, RefusalCode};
use crate::entity::{Entity, Received};
use crate::envelope::{Envelope, ReadError, TooLarge};
use crate::governing::Haste;
use crate::ids::{DeviceKey, DocumentKey, EntityId, StatementId};
use crate::opening::{LOG, found};
use crate::outbox::{After, local, refusal};
use crate::planted::{self, Planted};
use crate::record::Record;
use crate::replica::{Answers, Edits, Judged, Replica};
use crate::replicator::Replicator;
use crate::roster::{Body, Inserted, Signer, Statement};
use crate::schema::thing::ThingId;
use crate::schema::{self, Concern, Put, TEXT};
use crate::session::{Allowance, Session, Shared};
use crate::time::{Duration, Now};
use crate::waiting::Want;
use crate::wire::Frame;

/// How much a device may send that costs a check of a signature and brings nothing: a burst, then
/// one for each stretch of time. Honest peers may send what we cannot use yet, or never can.
const VAIN_BURST: u64 = 4096;
const VAIN_EVERY: Duration = Duration(10);

impl Replicator {
    // -- statements ---------------------------------------------------------------------------

    /// Takes statements of a shared entity, or of one that is being joined.
    pub(crate) fn take_statements(&mut self, from: DeviceKey, id: EntityId, statements: &[Vec<u8>]) {
        let Some(session) = self.sessions.get(&from) else { return };
        let shares = session.shared.contains_key(&id);
        let joining = self.joins.contains_key(&id) && session.knocked.contains(&id);
        let returning = self.is_returning(from, id);
        if !joining && !shares && !returning {
            return self.drop_counted("statements of a stranger");
        }
        let begins = joining && !self.entities.contains_key(&id);
        if begins {
            // Whoever lets us in gives parents first, so the genesis before all.
            let first = statements.get(..1).unwrap_or_default();
            let Some(entity) = found(id, first) else { return self.blame(from, "no genesis") };
            if entity.kind == Kind::Home && self.me.as_ref().is_none_or(|me| me.home != id) {
                return self.drop_counted("somebody else's home");
            }
            self.entities.insert(id, entity);
        }
        let (mut new, mut rejected) = (Vec::new(), false);
        for bytes in statements {
            let Some(entity) = self.entities.get_mut(&id).filter(|_| !is_vain(&self.vain, from, self.now))
            else {
                self.drop_counted("more in vain than is heard");
                break;
            };
            match entity.roster.insert(bytes) {
                Inserted::New(ids) => new.extend(ids),
                Inserted::Rejected(rejection) if rejection.blames_sender() => rejected = true,
                Inserted::Rejected(_) | Inserted::Waiting { .. } => self.note_vain(from),
                Inserted::Known => {}
            }
            if rejected {
                // Each costs a signature check: what follows must come again from somebody else.
                break;
            }
        }
        let Some(entity) = self.entities.get_mut(&id) else { return };
        new.extend(self.me.as_ref().map(|me| entity.vouch(&me.device)).unwrap_or_default());
        entity.note_statements(&new);
        let mut records = self.statement_records(id, &new);
        if joining
            && !rejected
            && let Some(session) = self.sessions.get_mut(&from)
        {
            session.lets_in.insert(id);
        }
        if begins {
            // The genesis is known from the founding of the entity and not new above.
            records.extend(self.genesis_record(id));
        }
        if !records.is_empty() {
            self.write_statements(id, records, new, Some(from));
        }
        if rejected {
            self.blame(from, "invalid statement");
        }
        if returning {
            self.let_in_returned(from, id);
        }
        let bytes = statements.iter().map(Vec::len).sum();
        if joining {
            self.ask_for_the_rest(from, id, bytes);
        } else {
            self.ask_for_more_statements(from, id, bytes);
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
        let signer = Signer::Device(&self.me.as_ref()?.device);
        let statement = self.entities.get(&entity)?.roster.draft(signer, body).ok()?;
        self.take_own(entity, statement, after)
    }

    /// Signs a statement with the root key, while it is here, takes it in and writes it.
    pub(crate) fn state_as_root(
        &mut self,
        entity: EntityId,
        body: Body,
        after: Vec<After>,
    ) -> Option<StatementId> {
        let signer = Signer::Root(self.me.as_ref()?.root.as_ref()?);
        let statement = self.entities.get(&entity)?.roster.draft(signer, body).ok()?;
        self.take_own(entity, statement, after)
    }

    fn take_own(&mut self, entity: EntityId, statement: Statement, after: Vec<After>) -> Option<StatementId> {
        let (me, known) = (self.me.as_ref()?, self.entities.get_mut(&entity)?);
        let id = statement.id();
        if !matches!(known.roster.add(statement), Inserted::New(_)) {
            return None;
        }
        let statements = [vec![id], known.vouch(&me.device)].concat();
        known.unwritten.extend(&statements);
        known.note_statements(&statements);
        let records = self.statement_records(entity, &statements);
        let spread = After::Spread { entity, statements, except: None };
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
        // Who lets us in does not share the secret with us yet.
        let joining = self.joins.contains_key(&id);
        let hears = |s: &Session| s.shared.contains_key(&id) || (joining && s.lets_in.contains(&id));
        let hearing = self.sessions.iter().filter(|(_, session)| hears(session)).map(|(d, _)| *d);
        let to: Vec<DeviceKey> = hearing.filter(|d| Some(*d) != except).collect();
        for device in to {
            self.send_statements(device, id, bytes.clone());
        }
    }

    /// Does what follows from a changed roster: opens seals, listens to topics, learns names,
    /// opens an epoch where none fits, and tries again what waited.
    pub(crate) fn tend(&mut self, id: EntityId) {
        self.certify_self(id);
        let Some(me) = &self.me else { return };
        let home = me.home == id;
        let Some(entity) = self.entities.get_mut(&id) else { return };
        // Who comes back after it left or was removed holds the secret already.
        let outside = entity.secret.is_none() || self.joins.contains_key(&id);
        entity.open_seals(&me.device);
        let entered = outside && entity.secret.is_some() && entity.member(me.key()).is_some();
        self.want_names();
        self.mirror(id);
        self.rotate_if_needed(id, Haste::Soon);
        self.give_up_unsealed(id);
        self.seal_all(id);
        self.listen(id);
        self.retry_all(id);
        self.judge_anew(id);
        self.write_lost(id);
        self.compare_all(id);
        self.tidy_requests(id);
        self.ask_for_keys(id);
        self.offer();
        self.tell_fellows();
        if entered {
            self.entered(id);
        }
        if home {
            self.out.notify(Notice::DevicesChanged);
            self.follow_home();
        }
        if let Some(words) = self.names.entity(id) {
            self.out.notify(Notice::MembersChanged(words));
        }
    }

    /// Has the names of members stretched, as many as there is room for. Of nobody else: whoever
    /// is not in cannot make this node stretch.
    pub(crate) fn want_names(&mut self) {
        let entered = self.entities.values().filter(|e| e.secret.is_some());
        // Where the entities themselves are looked up: one for each, and needed to answer joiners.
        let public = entered.clone().filter(|e| e.kind != Kind::Home).flat_map(Entity::places);
        let own = self.me.as_ref().and_then(|me| self.names.person(me.person()));
        for words in public.filter_map(|place| self.names.entity(place)).chain(own).collect::<Vec<_>>() {
            self.names.want_lookup(words, &mut self.out);
        }
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
        // What was void may count now, and is asked for once more.
        for session in self.sessions.values_mut().filter(|_| all) {
            session.shared.get_mut(&id).into_iter().for_each(Shared::ask_documents_anew);
        }
        for replica in entity.replicas.values_mut() {
            match all {
                true => replica.judge_anew(),
                false if replica.is_stale() => replica.read_anew(),
                false => {}
            }
        }
        self.call_unread(id);
        self.load_documents(id);
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
        if self.read_only.is_some() {
            // What cannot be saved would be forgotten, asked for and sent again without end.
            return self.drop_counted("envelopes that cannot be saved");
        }
        if self.entities.get(&id).is_some_and(|entity| entity.stopped.contains_key(&document)) {
            // They were on their way; whoever sends them is told, and no more are asked for.
            return self.drop_counted("envelopes of what is not kept");
        }
        let mut taken = Vec::new();
        for bytes in envelopes {
            if is_vain(&self.vain, from, self.now) {
                self.drop_counted("more in vain than is heard");
                break;
            }
            match self.take_envelope(from, id, document, bytes) {
                Ok(new) => taken.extend(new),
                Err(fault) => self.blame(from, fault),
            }
            if !self.sessions.contains_key(&from) {
                break;
            }
        }
        let has_news = !taken.is_empty();
        self.store(id, taken);
        if self.goes_on((id, document), from, has_news, more) && self.sessions.contains_key(&from) {
            self.out.send(from, &Frame::Next { entity: id, document });
        }
        if !more {
            // A page before this one may have been lost.
            self.ask_for_gaps(from, id);
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
                    self.call(id, document);
                    self.load_documents(id);
                } else {
                    self.note_vain(from);
                }
                Ok(Vec::new())
            }
            Received::Stranger => {
                self.drop_counted("envelope of an unknown device");
                Ok(Vec::new())
            }
            Received::Forked(forked) => {
                self.note_vain(from);
                self.drop_counted("forked log");
                self.forked(from, id, document, forked);
                Ok(Vec::new())
            }
            Received::Void => {
                self.note_vain(from);
                self.drop_counted("envelope without the right to it");
                Ok(Vec::new())
            }
            Received::Hostile(fault) => Err(fault),
        }
    }

    /// Notes that what a device sent cost a check of a signature and brought nothing for now.
    pub(crate) fn note_vain(&mut self, from: DeviceKey) {
        self.vain.entry(from).or_default().take(self.now.instant, VAIN_BURST, VAIN_EVERY);
    }

    /// Stores envelopes that were judged and tells who listens.
    pub(crate) fn store(&mut self, entity: EntityId, taken: Vec<(Envelope, Judged)>) {
        if taken.is_empty() {
            return;
        }
        let mut changed: BTreeMap<DocumentKey, BTreeSet<ThingId>> = BTreeMap::new();
        let mut records = Vec::new();
        for (envelope, judged) in taken {
            match judged {
                Judged::Applied(messages) => {
                    changed.entry(envelope.header.log.document).or_default().extend(messages);
                }
                Judged::Rejected(void) => self.rejected(entity, &envelope, &void),
                Judged::Waits(_) | Judged::Contested(_) => continue,
                Judged::Poisoned => {
                    self.drop_counted("document rebuilt");
                    self.rebuild(entity, envelope.header.log.document);
                    continue;
                }
            }
            records.push(Record::of(entity, &envelope));
        }
        self.out.write(records, Vec::new());
        if changed.keys().any(|document| !self.is_heard(entity, *document)) {
            self.listen(entity);
        }
        for (document, messages) in changed {
            self.use_document(entity, document);
            self.note_growth(entity, document);
            self.notify_changed(entity, document, messages.into_iter().collect());
            self.core_changed(entity, document);
        }
        self.touch(entity);
        self.judge_anew(entity);
    }

    /// Tells whoever listens which messages or other things of a document changed.
    pub(crate) fn notify_changed(&mut self, id: EntityId, document: DocumentKey, things: Vec<ThingId>) {
        let replica = self.entities.get(&id).and_then(|e| e.replicas.get(&document));
        if replica.is_none_or(|replica| !things.is_empty() || replica.concern != Concern::Chat) {
            self.notify(id, document, things);
        }
    }

    /// Tells whoever listens that anything in a document may be another.
    pub(crate) fn notify_anew(&mut self, id: EntityId, document: DocumentKey) {
        self.notify(id, document, Vec::new());
    }

    fn notify(&mut self, id: EntityId, document: DocumentKey, things: Vec<ThingId>) {
        let replica = self.entities.get(&id).and_then(|e| e.replicas.get(&document));
        let Some((replica, live)) = replica.and_then(|replica| Some((replica, replica.live()?))) else {
            return;
        };
        if replica.concern == Concern::Home {
            return self.out.notify(Notice::HomeChanged);
        }
        let Some(entity) = self.names.entity(replica.of) else { return };
        match replica.concern {
            Concern::Chat => self.out.notify(Notice::ChatChanged { entity, messages: things }),
            Concern::Core => self.out.notify(Notice::EntityChanged(entity)),
            Concern::File(file) => {
                let length = live.document.text_length(TEXT);
                self.out.notify(Notice::TextChanged { entity, file, length });
            }
            concern if schema::layout(&concern).is_some() => {
                self.out.notify(Notice::ThingsChanged { entity, concern, things });
            }
            _ => {}
        }
    }

    /// Tries again what waits in all documents of an entity.
    pub(crate) fn retry_all(&mut self, id: EntityId) {
        let Some(entity) = self.entities.get(&id) else { return };
        let documents: Vec<DocumentKey> = entity.replicas.keys().copied().collect();
        for document in documents {
            // One batch for each, as what waits in all of them together may be more than one takes.
            let taken = self.entities.get_mut(&id).map(|e| e.retry(document)).unwrap_or_default();
            self.store(id, taken);
        }
    }

    // -- our own envelopes --------------------------------------------------------------------

    /// Seals what is pending in a document, if nothing of it is on its way to the disk.
    pub(crate) fn seal(&mut self, id: EntityId, document: DocumentKey) {
        let Some(me) = &self.me else { return };
        let Some(entity) = self.entities.get_mut(&id) else { return };
        let previous = entity.replicas.get(&document).map_or(&[][..], Replica::own_heads);
        let heads = entity.roster.heads_to_write(&me.key(), previous);
        let Some((epoch, key)) = entity.epoch().map(|(epoch, key)| (epoch, key.clone())) else { return };
        let Some(under) = entity.replicas.get(&document).map(|replica| entity.heard_under(replica)) else {
            return;
        };
        let topic = key.topic(under);
        let Some(replica) = entity.replicas.get_mut(&document) else { return };
        let mut sealed = match replica.seal(&me.device, heads, (epoch, &key), &mut self.random) {
            Ok(Some(sealed)) => sealed,
            Ok(None) => return,
            // It is in the content and can never leave this device: so it must not stay there.
            Err(TooLarge) => {
                let message = "this is more than one envelope holds, or was asked together with what is";
                let why = refusal(RefusalCode::TooMuch, message, "do it in smaller parts");
                return self.rebuild_for(id, document, &why);
            }
        };
        let mut records = vec![Record::of(id, &sealed.envelope)];
        if sealed.begins {
            let incarnation = sealed.envelope.header.log.incarnation.0.to_be_bytes().to_vec();
            records.insert(0, local(LOG, &document.0, Some(incarnation)));
        }
        if planted::is(Planted::AckBeforeDurable) {
            sealed.answers.drain(..).for_each(|(command, outcome)| self.out.answer(command, outcome));
        }
        let answers = sealed.answers.into_iter().map(|(command, outcome)| After::Answer(command, outcome));
        let after = answers.chain([After::Sealed(id, document)]).collect();
        self.out.write(records, after);
        let bytes = sealed.envelope.bytes().to_vec();
        if sealed.begins {
            // The first to write in a document is the first to listen to it.
            self.listen(id);
        }
        self.out.push(crate::effect::Effect::Publish(topic, bytes));
        self.use_document(id, document);
        self.note_growth(id, document);
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

    // -- what this device writes -----------------------------------------------------------------

    /// Puts values into a document as this device; the answer goes out when they are durable.
    /// Where the document is not in memory they wait for it.
    pub(crate) fn put(
        &mut self,
        id: EntityId,
        document: DocumentKey,
        puts: Vec<Put>,
        answer: Option<(CommandId, Outcome)>,
    ) {
        self.edit(id, document, Edits::Puts(puts), answer.into_iter().collect());
    }

    /// Writes in a document, under the log of this device; who asked is told once it is durable. Where this
    /// device may not write nothing is begun: what waits to be sealed keeps the entity from being told.
    pub(crate) fn edit(&mut self, id: EntityId, document: DocumentKey, edits: Edits, answers: Answers) {
        self.part_logs(id, document);
        let Some(me) = &self.me else { return };
        let askers: Vec<CommandId> = answers.iter().map(|(command, _)| *command).collect();
        let Some(entity) = self.entities.get_mut(&id) else { return };
        if entity.is_barred(me.key()) {
            return self.refuse_barred(id, askers);
        }
        let Some(replica) = entity.replicas.get_mut(&document) else { return };
        match replica.edit(me.key(), edits, answers, &mut self.random) {
            Ok(edited) => {
                self.load_documents(id);
                self.seal(id, document);
                self.notify_changed(id, document, edited.things);
                for (asker, outcome) in edited.unsaid {
                    self.out.answer(asker, outcome);
                }
            }
            Err(error) => {
                for asker in askers {
                    let hint = "try again; if it stays, please report it";
                    self.out.refuse(asker, refusal(RefusalCode::Internal, error.to_string(), hint));
                }
                self.rebuild(id, document);
            }
        }
    }
}

/// Whether a device has sent so much in vain that it is not heard for a while.
pub(crate) fn is_vain(vain: &BTreeMap<DeviceKey, Allowance>, device: DeviceKey, now: Now) -> bool {
    vain.get(&device).is_some_and(|vain| vain.is_spent(now.instant, VAIN_BURST, VAIN_EVERY))
}
