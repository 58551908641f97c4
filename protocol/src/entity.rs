//! One entity at one node: its roster, the keys this device holds, and its documents.
//!
//! `receiving` and `sync` bring statements and envelopes here; what is decided goes back as
//! values. Invariant: an envelope is judged only after its author, signature, position, roster
//! heads and key were looked up, in that order, and none of them is taken on trust.

use std::collections::{BTreeMap, BTreeSet};

use crate::children::Child;
use crate::command::{CommandId, Kind};
use crate::envelope::Envelope;
use crate::epoch::{self, EntitySecret, EpochKey};
use crate::evidence::Faults;
use crate::governing::{Asking, Rotation};
use crate::identity::DeviceSecret;
use crate::ids::{DeviceKey, Digest, DocumentKey, EntityId, LogId, StatementId, Topic};
use crate::keeping::Stopped;
use crate::planted::{self, Planted};
use crate::replica::{Author, Judged, Live, Replica, Rested, Stands, Stored};
use crate::roster::{Body, Role, Roster, Statement};
use crate::schema::rights::Actor;
use crate::schema::{self, Concern};
use crate::segments::Foreign;
use crate::session::Allowance;
use crate::waiting::Want;
use crate::wire::{DocumentState, State};

/// Epochs whose topics are listened to: what members who lag behind still write under.
const TOPIC_EPOCHS_MAX: usize = 4;

/// One entity at one node.
#[derive(Debug)]
pub(crate) struct Entity {
    pub(crate) id: EntityId,
    pub(crate) kind: Kind,
    pub(crate) roster: Roster,
    /// Known once a seal for this device was opened.
    pub(crate) secret: Option<EntitySecret>,
    /// Every epoch key sealed to this device, by its epoch statement.
    pub(crate) keys: BTreeMap<StatementId, EpochKey>,
    pub(crate) replicas: BTreeMap<DocumentKey, Replica>,
    /// The documents that this device does not keep; none of them has a replica.
    pub(crate) stopped: BTreeMap<DocumentKey, Stopped>,
    pub(crate) foreign: Foreign,
    /// The entities that have this one's roster and keys for their own.
    pub(crate) children: BTreeMap<EntityId, Child>,
    /// Topics listened to, and whose concern they carry.
    pub(crate) topics: BTreeMap<Topic, DocumentKey>,
    /// Statements that are not on disk yet and must not be sent.
    pub(crate) unwritten: BTreeSet<StatementId>,
    /// Hashes of seals that did not open. Each costs a key agreement, so none is tried twice.
    closed_seals: BTreeSet<[u8; 32]>,
    /// A statement came that may change what was judged already.
    pub(crate) rejudge: bool,
    /// What ends or lowers somebody and was looked at; see `governing::held`.
    pub(crate) cutting: BTreeSet<StatementId>,
    /// When this device opens an epoch, if none fits.
    pub(crate) rotation: Rotation,
    /// Whom this device asks for keys that it lacks.
    pub(crate) asking: Asking,
    /// What was seen of its devices that should not be.
    pub(crate) faults: Faults,
    /// How often branches of a device's logs are kept: one that makes more and more of them must
    /// not make this node read its documents anew without end.
    pub(crate) branchings: BTreeMap<DeviceKey, Allowance>,
    /// Which documents stood equal with a device when it was last connected in this run.
    pub(crate) parted_equal: BTreeMap<DeviceKey, BTreeSet<DocumentKey>>,
    /// How many envelopes one peer may have kept of branches that the roster may mean.
    pub(crate) gatherings: BTreeMap<DeviceKey, Allowance>,
}

/// What became of an envelope that came from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// It was judged and its log goes on; it must be stored.
    Taken(Box<(Envelope, Judged)>),
    /// Held already.
    Known,
    /// It waits for something; a peer may have it.
    Waits(Want),
    /// Its author's device is not known here.
    Stranger,
    /// Its author had no right to write it; another statement may still give it.
    Void,
    /// No honest node makes or passes on such a thing.
    Hostile(&'static str),
    /// It stands on another branch of its log than what counts here.
    Forked(Forked),
}

/// An envelope on another branch of its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Forked {
    /// It may count, or is the first evidence: it is to be kept, if the pace allows.
    Kept {
        /// Whose signature and right to write were checked.
        envelope: Box<Envelope>,
        /// It may lead to the head that the roster names, which is not here.
        is_awaited: bool,
    },
    /// What counts stays, and what is held proves that already. The branches part at this position.
    Beaten(LogId, u64),
    /// The branches part somewhere before it.
    Apart(LogId),
}

impl Entity {
    /// An entity of which only the roster is known.
    pub(crate) fn new(id: EntityId, kind: Kind, roster: Roster) -> Entity {
        Entity {
            id,
            kind,
            roster,
            secret: None,
            keys: BTreeMap::new(),
            replicas: BTreeMap::new(),
            stopped: BTreeMap::new(),
            foreign: Foreign::default(),
            children: BTreeMap::new(),
            topics: BTreeMap::new(),
            unwritten: BTreeSet::new(),
            closed_seals: BTreeSet::new(),
            rejudge: false,
            cutting: BTreeSet::new(),
            rotation: Rotation::default(),
            asking: Asking::default(),
            faults: Faults::default(),
            branchings: BTreeMap::new(),
            parted_equal: BTreeMap::new(),
            gatherings: BTreeMap::new(),
        }
    }

    /// Notes new statements: those that end or lower somebody call for judging anew, so that the
    /// order of arrival never decides what counts. What does not count changes nothing.
    pub(crate) fn note_statements(&mut self, ids: &[StatementId]) {
        let ignored = &self.roster.reading().ignored;
        let counting = ids.iter().filter(|id| !ignored.contains_key(id));
        // Who is senior can change with any new membership.
        self.rejudge |= self.replicas.values().any(Replica::is_contested);
        self.rejudge |= counting.filter_map(|id| self.roster.statement(id)).any(|statement| {
            matches!(
                statement.body(),
                Body::Remove { .. }
                    | Body::SetRole { .. }
                    | Body::Revoke { .. }
                    | Body::Leave { .. }
                    | Body::Held { .. }
                    | Body::CloseInvite { .. }
            )
        });
    }

    // -- keys ---------------------------------------------------------------------------------

    /// Opens every seal made for this device that was not opened before.
    /// Once the entity's secret is known, its documents exist. True if a key is new.
    pub(crate) fn open_seals(&mut self, device: &DeviceSecret) -> bool {
        let before = self.keys.len();
        let secret_commitment = self.roster.genesis().secret_commitment;
        for (epoch, seal) in self.roster.seals_for(&device.key()) {
            let Some(commitment) = self.commitment(&epoch).filter(|_| !self.keys.contains_key(&epoch)) else {
                continue;
            };
            let hash = *blake3::keyed_hash(&epoch.0, &seal.sealed).as_bytes();
            if self.closed_seals.contains(&hash) {
                continue;
            }
            match epoch::open(self.id, commitment, secret_commitment, &seal.sealed, device) {
                Some((key, secret)) => {
                    self.keys.insert(epoch, key);
                    self.secret.get_or_insert(secret);
                }
                None => drop(self.closed_seals.insert(hash)),
            }
        }
        self.found_documents();
        self.keys.len() > before
    }

    /// Makes the replicas of the documents that this entity and its children have by their kind, and
    /// that this device keeps.
    pub(crate) fn found_documents(&mut self) {
        let Some(own) = &self.secret else { return };
        let children = self.children.values().map(|child| (child.id, child.kind, own.of_child(child.id)));
        for (id, kind, secret) in children.chain([(self.id, self.kind, own.clone())]) {
            for concern in schema::concerns(kind) {
                let key = schema::document_key(secret.bytes(), concern, 1);
                if self.stopped.contains_key(&key) {
                    continue;
                }
                self.replicas.entry(key).or_insert_with(|| Replica::new(id, key, *concern, 1));
            }
        }
    }

    /// The epoch to write under: the greatest that nobody but members knows, among those whose
    /// key is held. A member that opens an epoch and gives others no key silences nobody.
    pub(crate) fn epoch(&self) -> Option<(StatementId, &EpochKey)> {
        let epoch = self.roster.epoch_among(|epoch| self.keys.contains_key(epoch))?;
        Some((epoch, self.keys.get(&epoch)?))
    }

    /// The topics that should be listened to now: one for all segments of a series,
    /// and one for all texts of a disk.
    pub(crate) fn topics_wanted(&self) -> BTreeMap<Topic, DocumentKey> {
        let recent = self.roster.epochs();
        let keys = recent.iter().filter_map(|epoch| self.keys.get(epoch)).take(TOPIC_EPOCHS_MAX);
        let begun = self.documents().filter(|replica| !replica.is_blank());
        let documents: BTreeSet<DocumentKey> = begun.map(|replica| self.heard_under(replica)).collect();
        keys.flat_map(|key| documents.iter().map(|document| (key.topic(*document), *document))).collect()
    }

    /// Under whose name a document is listened to: the first of its series, and for texts of files the disk
    /// that they lie on.
    pub(crate) fn heard_under(&self, replica: &Replica) -> DocumentKey {
        let disk = match replica.concern {
            Concern::File(_) => self.document_key((replica.of, Concern::Disk), 1),
            _ => None,
        };
        disk.unwrap_or(replica.first)
    }

    // -- documents ----------------------------------------------------------------------------

    /// The document of this entity or of a child in which new things of a concern are made: of a
    /// series the first that is not full.
    pub(crate) fn document(&self, of: EntityId, concern: &Concern) -> Option<&Replica> {
        let documents = self.replicas.values().filter(|r| r.of == of && r.concern == *concern);
        documents.min_by_key(|replica| (replica.is_full, replica.segment))
    }

    /// How this replica stands, for comparison with a peer.
    pub(crate) fn state(&self) -> State {
        let documents = self.documents().filter(|replica| replica.is_told()).map(|replica| DocumentState {
            document: replica.key,
            vector: replica.heads.digest(),
            content: self.content_of(replica),
        });
        State { entity: self.id, roster: self.roster.digest(), documents: documents.collect() }
    }

    /// A digest of what a document shows, if it can be read.
    pub(crate) fn content_of(&self, replica: &Replica) -> Option<Digest> {
        if replica.is_blank() && replica.live().is_none() {
            return Some(replica.digest_of_nothing());
        }
        let rested = replica.rested().filter(|_| !self.rejudge).map(Rested::content);
        self.readable(replica).map(Live::content_digest).or(rested)
    }

    /// A document as it is shown; `None` while it is not in memory, or what is there must be judged
    /// anew and so is nothing to compare by.
    pub(crate) fn readable<'a>(&self, replica: &'a Replica) -> Option<&'a Live> {
        replica.live().filter(|_| !self.rejudge && !replica.is_stale())
    }

    /// Whether nothing is being written or read: the moment to begin documents anew.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.is_sealed() && self.replicas.values().all(|replica| replica.reading.is_none())
    }

    /// Whether content and state vectors speak of the same: no edit of ours waits to be sealed.
    pub(crate) fn is_sealed(&self) -> bool {
        self.replicas.values().all(Replica::is_sealed)
    }

    // -- members ------------------------------------------------------------------------------

    /// The person of an active device, with its role now.
    pub(crate) fn member(&self, device: DeviceKey) -> Option<Actor> {
        let reading = self.roster.reading();
        let (person, _) = reading.member_of(&device)?;
        Some(Actor { person, role: reading.role_of(&person)? })
    }

    /// Whether an active device may write into documents.
    pub(crate) fn may_write(&self, device: DeviceKey) -> bool {
        self.member(device).is_some_and(|actor| actor.role > Role::Viewer)
    }

    /// Whether a device has entered and may not write, or not any more: nothing that it writes will ever be
    /// sealed.
    pub(crate) fn is_barred(&self, device: DeviceKey) -> bool {
        self.secret.is_some() && !self.may_write(device)
    }

    // -- envelopes ----------------------------------------------------------------------------

    /// Takes one envelope from outside through all checks.
    pub(crate) fn receive(&mut self, envelope: Envelope) -> Received {
        let log = envelope.header.log;
        let Some(replica) = self.replicas.get(&log.document) else { return Received::Stranger };
        let head = replica.head(&log);
        let covered = replica.base.as_ref().and_then(|base| base.covers.get(&log));
        if envelope.head() == head || covered.is_some_and(|upto| envelope.header.sequence <= upto.sequence) {
            return Received::Known;
        }
        let behind = envelope.header.sequence <= head.sequence;
        if behind && !replica.is_ahead_of_reading(&envelope) {
            // Where the document is not in memory, an exchange that finds a fork comes again.
            let Some(live) = replica.live() else { return Received::Waits(Want::Document) };
            if live.branches.stands(&envelope.header, envelope.hash()) == Stands::Held {
                if live.branches.at(&log, envelope.header.sequence) == Some(envelope.hash()) {
                    return Received::Known;
                }
                return Received::Forked(Forked::Beaten(log, live.branches.parts_at(&envelope.header)));
            }
        }
        if self.roster.person_of(&log.device).is_none() {
            return Received::Stranger;
        }
        // What waits already was checked then; its signature is no part of its name.
        if let Some((waits, want)) = replica.waiting.at(log, envelope.header.sequence)
            && waits.hash() == envelope.hash()
            && envelope.header.sequence > head.sequence + 1
        {
            return Received::Waits(want);
        }
        if !(envelope.verify() || planted::is(Planted::SkipSignature)) {
            return Received::Hostile("signature");
        }
        if replica.is_ahead_of_reading(&envelope) {
            return self.wait(envelope, Want::Document);
        }
        if behind {
            return self.beside(envelope);
        }
        if envelope.header.sequence > head.sequence + 1 {
            if planted::is(Planted::ApplyOutOfOrder) {
                return self.judge_next(envelope);
            }
            return self.wait(envelope, Want::Predecessor);
        }
        self.judge(envelope)
    }

    /// Judges an envelope at the next place of its log, whose signature holds.
    fn judge(&mut self, envelope: Envelope) -> Received {
        let log = envelope.header.log;
        let Some(replica) = self.replicas.get(&log.document) else { return Received::Stranger };
        if envelope.header.previous != replica.head(&log).hash {
            return self.beside(envelope);
        }
        self.judge_next(envelope)
    }

    /// Judges the envelope that follows the head of its log.
    fn judge_next(&mut self, envelope: Envelope) -> Received {
        let log = envelope.header.log;
        let Some(replica) = self.replicas.get_mut(&log.document) else { return Received::Stranger };
        if replica.writes(&log) {
            // We wrote it in a life that this home does not remember: that log is not ours to go on.
            replica.retire_log();
        }
        let before = replica.heads_before(&log);
        let author = match author(&self.roster, &self.keys, &envelope, before) {
            Ok(Some(author)) => author,
            Ok(None) => return Received::Void,
            Err(want) => return self.wait(envelope, want),
        };
        match replica.take(&envelope, author, |a, b| self.roster.is_senior(a, b)) {
            Judged::Waits(want) => self.wait(envelope, want),
            judged => Received::Taken(Box::new((envelope, judged))),
        }
    }

    /// Looks at an envelope that is not on the branch that counts, whose signature holds.
    ///
    /// It is checked as far as it can be beside that branch: only what could be taken there may
    /// decide between branches, else one that nobody can take would end the log for some.
    fn beside(&self, envelope: Envelope) -> Received {
        let header = &envelope.header;
        let (log, sequence) = (header.log, header.sequence);
        let Some(replica) = self.replicas.get(&log.document) else { return Received::Stranger };
        let Some(live) = replica.live().filter(|_| !replica.is_stale()) else {
            return Received::Waits(Want::Document);
        };
        let stands = live.branches.stands(header, envelope.hash());
        if stands != Stands::Beside {
            return Received::Forked(Forked::Apart(log));
        }
        let author = match author(&self.roster, &self.keys, &envelope, &[]) {
            Ok(Some(author)) => author,
            Ok(None) => return Received::Void,
            Err(want) => return Received::Waits(want),
        };
        if let Some(want) = replica.lacks(&envelope, author) {
            return Received::Waits(want);
        }
        let named = self.roster.named_head(&log).filter(|head| !live.branches.contains(&log, head));
        let is_awaited = named.is_some_and(|head| sequence <= head.sequence);
        let smaller = live.branches.at(&log, sequence).is_some_and(|ours| envelope.hash() < ours);
        let sibling = live.branches.at(&log, sequence - 1) == Some(header.previous);
        let settled = self
            .roster
            .named_head(&log)
            .is_some_and(|head| sequence <= head.sequence && live.branches.contains(&log, &head));
        let first = sibling && !live.branches.has_beside(&log, sequence);
        if is_awaited || first || (sibling && smaller && !settled) {
            return Received::Forked(Forked::Kept { envelope: Box::new(envelope), is_awaited });
        }
        Received::Forked(Forked::Beaten(log, live.branches.parts_at(header)))
    }

    /// Keeps an envelope of another branch. True if that branch counts from now on: the document
    /// must be read anew.
    pub(crate) fn set_aside(&mut self, envelope: &Envelope) -> bool {
        let log = envelope.header.log;
        let named = self.roster.named_head(&log);
        self.replicas.get_mut(&log.document).is_some_and(|replica| replica.set_aside(envelope, named))
    }

    /// Takes stored envelopes into a document that is being loaded.
    pub(crate) fn restore(&mut self, document: DocumentKey, envelopes: &[Vec<u8>], me: DeviceKey) {
        let Some(replica) = self.replicas.get_mut(&document) else { return };
        for envelope in envelopes.iter().filter_map(|bytes| Envelope::read(bytes).ok()) {
            let before = replica.heads_before(&envelope.header.log);
            let author = author(&self.roster, &self.keys, &envelope, before);
            let is_mine = envelope.header.log.device == me;
            replica.restore(Stored { envelope, author, is_mine }, |a, b| self.roster.is_senior(a, b));
        }
    }

    /// Takes stored envelopes into a document that is being folded.
    pub(crate) fn fold(&mut self, document: DocumentKey, envelopes: &[Vec<u8>], me: DeviceKey) {
        if let Some(replica) = self.replicas.get_mut(&document) {
            replica.fold_by(&self.roster);
        }
        for envelope in envelopes.iter().filter_map(|bytes| Envelope::read(bytes).ok()) {
            self.fold_one(document, envelope, me);
        }
    }

    /// Tries again what came before what it builds on, until nothing more can be taken.
    pub(crate) fn fold_early(&mut self, document: DocumentKey, me: DeviceKey) {
        let mut before = usize::MAX;
        loop {
            let early = self.replicas.get_mut(&document).map(Replica::take_early).unwrap_or_default();
            let count = early.len();
            for envelope in early {
                self.fold_one(document, envelope, me);
            }
            if count == 0 || count >= before {
                return;
            }
            before = count;
        }
    }

    fn fold_one(&mut self, document: DocumentKey, envelope: Envelope, me: DeviceKey) {
        let Some(replica) = self.replicas.get_mut(&document).filter(|r| r.folds(&envelope)) else { return };
        let roster = replica.folds_by().unwrap_or(&self.roster);
        let author = author(roster, &self.keys, &envelope, replica.heads_folded(&envelope.header.log));
        let is_mine = envelope.header.log.device == me;
        replica.fold(envelope, author.ok().flatten(), is_mine);
    }

    /// Ends a pass over a document that is being loaded. True if it must be read once more.
    pub(crate) fn end_pass(&mut self, document: DocumentKey) -> bool {
        let replica = self.replicas.get_mut(&document);
        replica.is_some_and(|replica| replica.end_pass(|log| self.roster.named_head(log)))
    }

    /// Forgets what is in memory and not on disk. Gives who waits for it.
    pub(crate) fn forget_unwritten(&mut self) -> Vec<CommandId> {
        self.replicas.values_mut().flat_map(Replica::forget).collect()
    }

    fn wait(&mut self, envelope: Envelope, want: Want) -> Received {
        if let Some(replica) = self.replicas.get_mut(&envelope.header.log.document) {
            let log = envelope.header.log;
            replica.wants.raise(log.device, log, envelope.header.sequence);
            replica.waiting.keep(envelope, want);
        }
        Received::Waits(want)
    }

    /// Tries again what waits in a document: after an envelope, a statement, a key or a load came.
    ///
    /// Gives what was taken, in order. Ends, because each round takes at least one envelope.
    pub(crate) fn retry(&mut self, document: DocumentKey) -> Vec<(Envelope, Judged)> {
        let mut taken = Vec::new();
        loop {
            let before = taken.len();
            let Some(replica) = self.replicas.get(&document).filter(|r| !r.waiting.is_empty()) else {
                return taken;
            };
            let logs = replica.waiting.logs();
            for log in logs {
                while let Some(envelope) = self.next_waiting(log) {
                    match self.judge(envelope) {
                        Received::Taken(new) => taken.push(*new),
                        _ => break,
                    }
                }
            }
            if taken.len() == before {
                return taken;
            }
        }
    }

    /// Takes out the next envelope of a log if what it waited for is there now. Looking is cheap;
    /// judging it again in vain would let a member make every envelope cost a thousand.
    fn next_waiting(&mut self, log: LogId) -> Option<Envelope> {
        let replica = self.replicas.get_mut(&log.document)?;
        let next = replica.head(&log).sequence + 1;
        let (envelope, want) = replica.waiting.at(log, next)?;
        let ready = match want {
            Want::Predecessor => true,
            Want::Roster => self.roster.knows(&envelope.header.heads),
            Want::Key => self.keys.contains_key(&envelope.header.epoch),
            Want::Origin(block) => {
                replica.live().is_some_and(|live| live.document.next_clock(block.client) > block.clock)
            }
            Want::Document => replica.live().is_some() && !replica.is_stale(),
        };
        if ready { replica.waiting.take(log, next) } else { None }
    }

    /// The commitment of an epoch's key, if its statement is here.
    pub(crate) fn commitment(&self, epoch: &StatementId) -> Option<[u8; 32]> {
        match self.roster.statement(epoch).map(Statement::body)? {
            Body::Epoch { commitment, .. } => Some(*commitment),
            _ => None,
        }
    }

    /// Statements that a holder of `known` lacks, as signed, parents first; only what is on disk.
    pub(crate) fn statements_lacking(&self, known: &BTreeSet<StatementId>) -> Vec<Vec<u8>> {
        let lacking = self.roster.missing_from(known).into_iter().filter(|id| !self.unwritten.contains(id));
        lacking.filter_map(|id| self.roster.bytes(&id).map(<[u8]>::to_vec)).collect()
    }
}

/// Who wrote an envelope, with which rights, under which key: `None` if its author had no right to
/// write at all, or what is missing to say so.
fn author<'a>(
    roster: &Roster,
    keys: &'a BTreeMap<StatementId, EpochKey>,
    envelope: &Envelope,
    before: &[StatementId],
) -> Result<Option<Author<'a>>, Want> {
    let header = &envelope.header;
    if !roster.knows(&header.heads) {
        return Err(Want::Roster);
    }
    let place = Some((&header.log, header.sequence));
    let author = roster.author_at(&header.log.device, &header.heads, place);
    let Some((person, role)) = author else { return Ok(None) };
    let key = keys.get(&header.epoch).ok_or(Want::Key)?;
    let backdated = !before.is_empty() && !roster.follows(&header.heads, before);
    Ok(Some(Author { actor: Actor { person, role }, key, backdated }))
}
