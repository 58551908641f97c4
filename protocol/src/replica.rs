//! One document at one node: its logs' heads, its content, what waits, and our own log.
//!
//! `entity` hands it envelopes whose author, signature and key it has looked up; the verdict is a
//! function of log and roster alone, so every honest replica reaches the same one. A rejected
//! envelope keeps its clocks, so that its log goes on. Invariant: the heads name exactly the
//! envelopes that were applied or rejected here, in the order of their logs.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use rand::CryptoRng;

use crate::command::{CommandId, Outcome};
use crate::envelope::{Envelope, Header, TooLarge};
use crate::epoch::EpochKey;
use crate::identity::DeviceSecret;
use crate::ids::{
    DeviceKey, Digest, DocumentKey, EntityId, EnvelopeHash, Incarnation, LogHead, LogId, StatementId,
};
use crate::limits::{ENVELOPE_EDITS_MAX, PENDING_EDITS_MAX};
use crate::record::LoadId;
use crate::schema::chat::{self, ChatIndex, MessageId};
use crate::schema::rights::{self, Actor, PutRef};
use crate::schema::{self, Concern, Put};
use crate::update::document::{Changes, Document, DocumentError, Value};
use crate::update::parse::{Content as Written, Fault, Parsed, parse};
use crate::update::write::merge;
use crate::update::{Shape, client_id};
use crate::waiting::{Waiting, Want};

/// Bytes of merged edits in one envelope: leaves room for the header where nothing packs.
const GROUP_BYTES_MAX: usize = 192 * 1024;

/// How often in one run a peer's word alone ends our log: once is what a restored home needs.
const DOUBTS_MAX: u32 = 8;

/// One document at one node.
#[derive(Debug)]
pub(crate) struct Replica {
    /// The entity it belongs to: the one whose roster counts, or a child of it.
    pub(crate) of: EntityId,
    /// Its opaque name.
    pub(crate) key: DocumentKey,
    /// What it holds.
    pub(crate) concern: Concern,
    /// Which one of its series.
    pub(crate) segment: u32,
    /// The state vector.
    pub(crate) heads: BTreeMap<LogId, LogHead>,
    /// What came too early.
    pub(crate) waiting: Waiting,
    /// The content, if it is in memory.
    pub(crate) content: Content,
    /// The page of the content that is being read.
    pub(crate) reading: Option<LoadId>,
    own: Own,
    pending: Vec<Pending>,
    /// Writes that came while the content was not in memory.
    queued: Vec<Queued>,
    sealing: bool,
    doubts: u32,
    /// Envelopes in which the CRDT library failed: their content is void here for good.
    quarantined: BTreeSet<EnvelopeHash>,
}

/// Whether the content is in memory.
#[derive(Debug)]
pub(crate) enum Content {
    /// On disk only.
    Cold,
    /// Being read from disk, up to these heads.
    Loading(Box<Live>, BTreeMap<LogId, LogHead>),
    /// In memory.
    Live(Box<Live>),
}

/// A document in memory.
#[derive(Debug)]
pub(crate) struct Live {
    /// The merged content.
    pub(crate) document: Document,
    /// Of the content as it is, once asked for: every peer that tells how it stands asks.
    digest: OnceCell<Digest>,
    /// The order of its messages, if it is a chat.
    pub(crate) chat: ChatIndex,
    /// Logs that ended because not even a clock range could be read.
    ended: BTreeSet<LogId>,
    /// The roster heads that the last envelope of each log names.
    known: BTreeMap<LogId, Vec<StatementId>>,
}

/// The log this device writes.
#[derive(Debug, Default)]
struct Own {
    /// The log that may be continued, once the first envelope of this run asks for it.
    log: Option<LogId>,
    /// Whether the document writes under that log already.
    begun: bool,
    /// The epoch of its last envelope, if that was sealed in this run.
    epoch: Option<StatementId>,
}

/// A local edit that is in the document and waits to be sealed.
#[derive(Debug)]
struct Pending {
    puts: Vec<Put>,
    update: Vec<u8>,
    answer: Answer,
}

/// Writes that wait for the content to be in memory.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) puts: Vec<Put>,
    pub(crate) answer: Answer,
}

/// Who is to be told what, once a write is durable.
pub(crate) type Answer = Option<(CommandId, Outcome)>;

/// Who wrote an envelope, as the roster says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Author<'a> {
    /// Whose rights count.
    pub(crate) actor: Actor,
    /// The key of the envelope's epoch.
    pub(crate) key: &'a EpochKey,
    /// The envelope claims to know less of the roster than the one before it in its log.
    pub(crate) backdated: bool,
}

/// What became of an envelope at the end of its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// It is in the document, and these messages changed.
    Applied(Vec<MessageId>),
    /// Its content is void for everybody; its clocks are kept.
    Rejected(String),
    /// It must wait.
    Waits(Want),
    /// The CRDT library failed in it: the document must be read anew without it.
    Poisoned,
}

/// An envelope of our own, sealed, and what its edits answer.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) envelope: Envelope,
    /// The envelope begins a new incarnation, which must be remembered with it.
    pub(crate) begins: bool,
    pub(crate) answers: Vec<(CommandId, Outcome)>,
}

impl Replica {
    /// A document of which nothing is known yet.
    pub(crate) fn new(of: EntityId, key: DocumentKey, concern: Concern, segment: u32) -> Replica {
        Replica {
            of,
            key,
            concern,
            segment,
            heads: BTreeMap::new(),
            waiting: Waiting::default(),
            content: Content::Cold,
            reading: None,
            own: Own::default(),
            pending: Vec::new(),
            queued: Vec::new(),
            sealing: false,
            doubts: 0,
            quarantined: BTreeSet::new(),
        }
    }

    /// Allows our log of an earlier run to be continued, after a clean stop only.
    pub(crate) fn continue_log(&mut self, log: LogId) {
        self.own = Own { log: Some(log), begun: false, epoch: None };
    }

    /// Ends our log: a peer holds more of it than we do, or a write of it failed.
    ///
    /// What is written from now on begins a new incarnation. So must what waits to be sealed: it
    /// was made in the old log's name and no other log could carry it. It is made anew when the
    /// document, now without it, was read from disk; the caller has that done.
    pub(crate) fn retire_log(&mut self) {
        self.own = Own::default();
        if !self.pending.is_empty() {
            self.content = Content::Cold;
            self.reading = None;
            let unsealed = std::mem::take(&mut self.pending).into_iter();
            self.queued.splice(0..0, unsealed.map(|p| Queued { puts: p.puts, answer: p.answer }));
        }
    }

    /// Ends our log on a peer's word that it goes further than we know, unless peers gave their
    /// word too often: one that lies must not make us begin logs without end. An envelope in hand
    /// ends it in any case.
    pub(crate) fn doubt_log(&mut self, log: &LogId) {
        if self.writes(log) && self.doubts < DOUBTS_MAX {
            self.doubts += 1;
            self.retire_log();
        }
    }

    /// Ends our log unless it is written under this epoch, so that whoever is given no older key
    /// can read all of the next one. What waits to be sealed goes into the log it was made for.
    pub(crate) fn begin_log_under(&mut self, epoch: StatementId) {
        if self.own.epoch != Some(epoch) && self.is_sealed() {
            self.retire_log();
        }
    }

    /// Whether there is a log that we write, or would continue.
    pub(crate) fn has_log(&self) -> bool {
        self.own.log.is_some()
    }

    /// Whether this is the log we write, or would continue.
    pub(crate) fn writes(&self, log: &LogId) -> bool {
        self.own.log.as_ref() == Some(log)
    }

    /// The document, if it is in memory.
    pub(crate) fn live(&self) -> Option<&Live> {
        match &self.content {
            Content::Live(live) => Some(live),
            Content::Cold | Content::Loading(..) => None,
        }
    }

    /// Where the log stands here; the head of a log that is not known is all zero.
    pub(crate) fn head(&self, log: &LogId) -> LogHead {
        self.heads.get(log).copied().unwrap_or(LogHead { sequence: 0, hash: EnvelopeHash([0; 32]) })
    }

    /// A digest of the state vector: equal digests mean the same envelopes.
    pub(crate) fn vector_digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        for (log, head) in &self.heads {
            hasher.update(&log.device.0).update(&log.incarnation.0.to_be_bytes());
            hasher.update(&head.sequence.to_be_bytes()).update(&head.hash.0);
        }
        Digest(*hasher.finalize().as_bytes())
    }

    /// The roster heads that the last envelope of a log names; none before the first.
    pub(crate) fn heads_before(&self, log: &LogId) -> &[StatementId] {
        let (Content::Live(live) | Content::Loading(live, _)) = &self.content else { return &[] };
        live.known.get(log).map_or(&[], Vec::as_slice)
    }

    /// The roster heads that the last envelope of the log we write names.
    pub(crate) fn own_heads(&self) -> &[StatementId] {
        self.own.log.as_ref().map_or(&[], |log| self.heads_before(log))
    }

    // -- loading ------------------------------------------------------------------------------

    /// Begins to read the content from disk. False if it is there or under way.
    pub(crate) fn begin_loading(&mut self) -> bool {
        if !matches!(self.content, Content::Cold) {
            return false;
        }
        self.content = Content::Loading(Box::new(Live::new(self.key, &self.concern)), BTreeMap::new());
        true
    }

    /// Takes one stored envelope, in the order in which they were written.
    ///
    /// Its signature was checked before it was stored. An envelope that does not continue its log
    /// is passed over: it is a fork's other branch, or what follows a damaged one.
    pub(crate) fn restore(&mut self, envelope: &Envelope, author: Author<'_>) {
        let Content::Loading(live, heads) = &mut self.content else { return };
        let log = envelope.header.log;
        let (sequence, previous) =
            heads.get(&log).map_or((0, EnvelopeHash([0; 32])), |h| (h.sequence, h.hash));
        if envelope.header.sequence != sequence + 1 || envelope.header.previous != previous {
            return;
        }
        match live.judge(&self.concern, envelope, author, &self.quarantined) {
            Judged::Applied(_) | Judged::Rejected(_) => {
                live.known.insert(log, envelope.header.heads.clone());
                heads.insert(log, envelope.head());
            }
            Judged::Waits(_) | Judged::Poisoned => {}
        }
    }

    /// Ends the reading: what was read is what is held. Gives the writes that waited for it.
    pub(crate) fn end_loading(&mut self) -> Vec<Queued> {
        self.reading = None;
        if let Content::Loading(live, heads) = std::mem::replace(&mut self.content, Content::Cold) {
            // Less than was held before means damage: the rest comes from peers, and our own log
            // must not be continued behind what they may hold of it.
            if self.own.log.is_some_and(|log| heads.get(&log) != self.heads.get(&log)) {
                self.retire_log();
            }
            self.heads = heads;
            self.content = Content::Live(live);
        }
        std::mem::take(&mut self.queued)
    }

    /// Has the content read anew, so that all of it is judged by the roster as it is now.
    /// Only where nothing of ours waits to be sealed.
    pub(crate) fn judge_anew(&mut self) {
        if !matches!(self.content, Content::Cold) {
            self.content = Content::Cold;
            self.reading = None;
            self.own.begun = false;
        }
    }

    /// Forgets the content in memory, and writes of ours that are not durable with it: what is on
    /// disk is what counts. Gives who waits for those writes.
    pub(crate) fn forget(&mut self) -> Vec<CommandId> {
        self.content = Content::Cold;
        self.reading = None;
        self.retire_log();
        self.sealing = false;
        let pending = std::mem::take(&mut self.pending).into_iter().map(|p| p.answer);
        let queued = std::mem::take(&mut self.queued).into_iter().map(|q| q.answer);
        pending.chain(queued).flatten().map(|(command, _)| command).collect()
    }

    // -- receiving ----------------------------------------------------------------------------

    /// Judges the next envelope of a log and takes it in, unless it must wait.
    ///
    /// The caller has checked signature, position and author.
    pub(crate) fn take(&mut self, envelope: &Envelope, author: Author<'_>) -> Judged {
        let Content::Live(live) = &mut self.content else { return Judged::Waits(Want::Document) };
        let judged = live.judge(&self.concern, envelope, author, &self.quarantined);
        match judged {
            Judged::Applied(_) | Judged::Rejected(_) => {
                live.known.insert(envelope.header.log, envelope.header.heads.clone());
                self.heads.insert(envelope.header.log, envelope.head());
            }
            Judged::Poisoned => {
                self.quarantined.insert(envelope.hash());
            }
            Judged::Waits(_) => {}
        }
        judged
    }

    // -- writing ------------------------------------------------------------------------------

    /// Whether another edit may be made now.
    pub(crate) fn has_room(&self) -> bool {
        self.pending.len() + self.queued.len() < PENDING_EDITS_MAX
    }

    /// Puts values into the document; they are sealed by the next `seal`.
    ///
    /// Waits for the document where it is not in memory. Gives the messages that changed.
    pub(crate) fn edit(
        &mut self,
        device: DeviceKey,
        puts: Vec<Put>,
        answer: Answer,
        random: &mut impl CryptoRng,
    ) -> Result<Vec<MessageId>, DocumentError> {
        let Content::Live(live) = &mut self.content else {
            self.queued.push(Queued { puts, answer });
            return Ok(Vec::new());
        };
        let log = *self.own.log.get_or_insert_with(|| {
            let incarnation = Incarnation(random.next_u64());
            LogId { document: self.key, device, incarnation }
        });
        if !self.own.begun {
            live.document.begin_log(client(&log))?;
            self.own.begun = true;
        }
        let edit = live.document.edit(&puts)?;
        let changed = live.note(&edit.changes);
        self.pending.push(Pending { puts, update: edit.update, answer });
        Ok(changed)
    }

    /// Seals what is pending into one envelope, unless one is on its way to the disk.
    pub(crate) fn seal(
        &mut self,
        device: &DeviceSecret,
        heads: Vec<StatementId>,
        epoch: (StatementId, &EpochKey),
        random: &mut impl CryptoRng,
    ) -> Result<Option<Sealed>, TooLarge> {
        let Some(log) = self.own.log else { return Ok(None) };
        if self.sealing || self.pending.is_empty() {
            return Ok(None);
        }
        let count = self.group();
        let updates: Vec<Vec<u8>> = self.pending.iter().take(count).map(|p| p.update.clone()).collect();
        let (count, content) = merge(&updates).map_err(|_| TooLarge)?;
        let group: Vec<Pending> = self.pending.drain(..count).collect();
        let head = self.head(&log);
        let header = Header { log, sequence: head.sequence + 1, previous: head.hash, heads, epoch: epoch.0 };
        let envelope = Envelope::seal(header, &content, epoch.1, device, random)?;
        self.heads.insert(log, envelope.head());
        if let Content::Live(live) = &mut self.content {
            live.known.insert(log, envelope.header.heads.clone());
        }
        self.sealing = true;
        self.own.epoch = Some(epoch.0);
        let answers = group.into_iter().filter_map(|p| p.answer).collect();
        Ok(Some(Sealed { begins: head.sequence == 0, envelope, answers }))
    }

    /// How many pending edits fit one envelope: at least one.
    fn group(&self) -> usize {
        let mut bytes = 0;
        let fits = self.pending.iter().take(ENVELOPE_EDITS_MAX).take_while(|p| {
            bytes += p.update.len();
            bytes <= GROUP_BYTES_MAX
        });
        fits.count().max(1)
    }

    /// Our envelope on its way to the disk has arrived, or never will.
    pub(crate) fn sealed(&mut self) {
        self.sealing = false;
    }

    /// Whether everything written here is on its way to the disk or there.
    pub(crate) fn is_sealed(&self) -> bool {
        self.pending.is_empty() && self.queued.is_empty()
    }
}

impl Live {
    fn new(key: DocumentKey, concern: &Concern) -> Live {
        Live {
            document: Document::new(&key.to_string(), schema::roots(concern), Shape::Maps),
            digest: OnceCell::new(),
            chat: ChatIndex::default(),
            ended: BTreeSet::new(),
            known: BTreeMap::new(),
        }
    }

    /// A hash of the visible content.
    pub(crate) fn content_digest(&self) -> Digest {
        *self.digest.get_or_init(|| self.document.content_digest())
    }

    /// Opens, parses and judges an envelope, and applies it or keeps its clocks.
    fn judge(
        &mut self,
        concern: &Concern,
        envelope: &Envelope,
        author: Author<'_>,
        quarantined: &BTreeSet<EnvelopeHash>,
    ) -> Judged {
        let log = envelope.header.log;
        if self.ended.contains(&log) {
            return Judged::Rejected("its log has ended".into());
        }
        let Ok(content) = envelope.open(author.key) else { return self.end(log, "its seal does not open") };
        let parsed = match parse(&content, &self.document.expect(client(&log))) {
            Ok(parsed) => parsed,
            Err(error) => {
                return match (error.fault, &error.range) {
                    (Fault::Early(block), _) => Judged::Waits(Want::Origin(block)),
                    (_, Some(range)) => self.void(log, range.clone(), &error.to_string()),
                    (_, None) => self.end(log, &error.to_string()),
                };
            }
        };
        if quarantined.contains(&envelope.hash()) {
            return self.void(log, parsed.clocks, "the document failed in it");
        }
        if author.backdated {
            return self.void(log, parsed.clocks, "it knows less of the roster than the one before it");
        }
        if let Some(reason) = denied(concern, &parsed, &author.actor) {
            return self.void(log, parsed.clocks, &reason);
        }
        match self.document.apply(&parsed) {
            Ok(changes) => Judged::Applied(self.note(&changes)),
            Err(_) => Judged::Poisoned,
        }
    }

    /// Lets the clocks of a rejected envelope pass, so that its log goes on.
    fn void(&mut self, log: LogId, clocks: Range<u32>, reason: &str) -> Judged {
        match self.document.reject(client(&log), clocks) {
            Ok(()) => Judged::Rejected(reason.to_owned()),
            Err(DocumentError::Poisoned) => Judged::Poisoned,
            Err(_) => self.end(log, reason),
        }
    }

    fn end(&mut self, log: LogId, reason: &str) -> Judged {
        self.ended.insert(log);
        Judged::Rejected(reason.to_owned())
    }

    /// Takes changes into the order of messages; gives the messages they concern.
    fn note(&mut self, changes: &Changes) -> Vec<MessageId> {
        self.digest = OnceCell::new();
        let mut touched = BTreeSet::new();
        for change in &changes.keys {
            let value = match &change.after {
                Some(Value::Bytes(bytes)) => Some(&**bytes),
                Some(Value::Fields(_)) | None => None,
            };
            self.chat.note(change.root, &change.key, value);
            touched.extend(chat::touched(change.root, &change.key));
        }
        touched.into_iter().collect()
    }
}

/// The CRDT client id of a log.
fn client(log: &LogId) -> u64 {
    client_id(&log.device, &log.document, log.incarnation)
}

/// Why an update must not count, if it must not.
fn denied(concern: &Concern, parsed: &Parsed<'_>, actor: &Actor) -> Option<String> {
    let judge = |write: &crate::update::parse::Write<'_>| {
        let value = match write.content {
            Written::Bytes(bytes) if write.place.field.is_none() => Some(bytes),
            _ => None,
        };
        let put = PutRef { root: write.place.root, key: &write.place.key, value };
        rights::judge(concern, &put, actor).err()
    };
    parsed.writes.iter().find_map(judge).map(|denied| denied.to_string())
}

impl schema::Maps for Document {
    fn get(&self, root: &str, key: &str) -> Option<&[u8]> {
        Document::get(self, root, key).map(|bytes| &**bytes)
    }

    fn range<'a>(&'a self, root: &str, prefix: &str) -> Box<dyn Iterator<Item = (&'a str, &'a [u8])> + 'a> {
        let prefix = prefix.to_owned();
        let entries = self.iter_from(root, &prefix).take_while(move |(key, _)| key.starts_with(&prefix));
        Box::new(entries.filter_map(|(key, value)| match value {
            Value::Bytes(bytes) => Some((&**key, &**bytes)),
            Value::Fields(_) => None,
        }))
    }
}
