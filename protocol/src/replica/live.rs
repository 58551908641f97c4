//! A document in memory: judges the next envelope of each log and takes in what it writes.
//!
//! `replica` gives it envelopes in an order that each log allows. The verdict is a function of log
//! and roster alone, so every honest replica reaches the same one. A rejected envelope keeps its
//! clocks, so that its log goes on; where they cannot be read, or belong to another log, it ends.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::branches::Branches;
use super::feed::Feed;
use super::mine::Mine;
use crate::command::FaultKind;
use crate::envelope::Envelope;
use crate::epoch::EpochKey;
use crate::ids::{Digest, DocumentKey, EnvelopeHash, LogId, StatementId};
use crate::planted::{self, Planted};
use crate::schema::chat::{Chat, MessageId};
use crate::schema::rights::{self, Actor, Denied, PutRef};
use crate::schema::things::Things;
use crate::schema::{self, About, Concern, Index};
use crate::stability::{Flag, Forgetting};
use crate::update::document::{Changes, Document, DocumentError, Value};
use crate::update::parse::{Content as Written, Fault, ParseError, Parsed, parse};
use crate::update::{Shape, client_id};
use crate::waiting::Want;

/// Gives the CRDT client id of a log. Tests give one whose ids meet.
pub(crate) type ClientOf = fn(&LogId) -> u64;

/// A document in memory.
#[derive(Debug)]
pub(crate) struct Live {
    /// The merged content.
    pub(crate) document: Document,
    /// Of the content as it is, once asked for: every peer that tells how it stands asks.
    digest: OnceCell<Digest>,
    pub(super) concern: Concern,
    /// The order of what it holds.
    index: Index,
    /// What was deleted in it, and what this device wrote to that.
    pub(crate) forgetting: Forgetting,
    /// What changed in it lately.
    pub(crate) feed: Feed,
    /// Which envelopes count, and which others are held.
    pub(crate) branches: Branches,
    /// What this device wrote in vain.
    pub(super) mine: Mine,
    /// What the last envelope changed, kept where somebody watches.
    pub(super) watched: Option<Changes>,
    /// Whose log each client id is.
    clients: BTreeMap<u64, LogId>,
    /// Bytes of the state that it was read from and of all updates since: what it takes at most.
    pub(crate) bytes: u64,
    /// What lies behind the snapshot that it was read from.
    pub(crate) beyond: Beyond,
    /// Logs that ended, and why.
    pub(super) ended: BTreeMap<LogId, Void>,
    /// The roster heads that the last envelope of each log names.
    pub(super) known: BTreeMap<LogId, Vec<StatementId>>,
}

/// How much was read or taken in behind a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Beyond {
    pub(crate) envelopes: u64,
    pub(crate) bytes: u64,
}

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
    Rejected(Void),
    /// It must wait.
    Waits(Want),
    /// This other log writes under the same client id: only that of the senior counts.
    Contested(LogId),
    /// The CRDT library failed in it: the document must be read anew without it.
    Poisoned,
}

/// Why content is void for everybody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Void {
    /// An envelope before it ended the log.
    #[error("its log has ended")]
    Ended,
    /// Sealed under another key, or not packed as agreed.
    #[error("its seal does not open")]
    Seal,
    /// What no software of ours writes.
    #[error("{0}")]
    Malformed(String),
    /// It builds on what does not count, which its author need not have known.
    #[error("it builds on what does not count")]
    Unfounded,
    /// The CRDT library failed in it.
    #[error("the document failed in it")]
    Failed,
    /// It claims to know less than the one before it.
    #[error("it knows less of the roster than the one before it")]
    Backdated,
    /// It writes what is not its author's.
    #[error("{0}")]
    Denied(Denied),
    /// The log of a senior has the same client id.
    #[error("its client id is that of a log of somebody senior")]
    TakenClientId(LogId),
}

impl Void {
    /// What this proves of the author, if it proves anything: a role may have ended meanwhile.
    pub(crate) fn fault(&self) -> Option<FaultKind> {
        match self {
            Void::Seal | Void::Malformed(_) => Some(FaultKind::Malformed),
            Void::Backdated => Some(FaultKind::Backdated),
            Void::TakenClientId(_) => Some(FaultKind::TakenClientId),
            Void::Denied(Denied::NotOwner) => Some(FaultKind::NoRight),
            Void::Denied(Denied::ReadOnly | Denied::NeedsRole(_))
            | Void::Ended
            | Void::Unfounded
            | Void::Failed => None,
            Void::Denied(_) => Some(FaultKind::Malformed),
        }
    }
}

/// By what envelopes of one document are judged besides themselves and their author.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) concern: &'a Concern,
    pub(crate) client_of: ClientOf,
    /// Client ids that several logs have, and the log of the senior author.
    pub(crate) owners: &'a BTreeMap<u64, LogId>,
    /// Envelopes in which the CRDT library failed.
    pub(crate) quarantined: &'a BTreeSet<EnvelopeHash>,
    /// This device wrote the envelope.
    pub(crate) is_mine: bool,
}

impl Live {
    pub(super) fn new(key: DocumentKey, concern: &Concern) -> Live {
        Live {
            document: Document::new(&key.to_string(), schema::roots(concern), schema::shape(concern)),
            digest: OnceCell::new(),
            concern: *concern,
            index: Index::new(concern),
            forgetting: Forgetting::default(),
            feed: Feed::default(),
            branches: Branches::default(),
            mine: Mine::default(),
            watched: None,
            clients: BTreeMap::new(),
            bytes: 0,
            beyond: Beyond::default(),
            ended: BTreeMap::new(),
            known: BTreeMap::new(),
        }
    }

    /// Keeps from now on what each envelope changes, for who watches.
    pub(super) fn watched(mut self) -> Live {
        self.watched = Some(Changes::default());
        self
    }

    /// A hash of the visible content. What is flagged as deleted is not part of it, pruned or not, and of the
    /// flags nothing but who deleted what.
    pub(crate) fn content_digest(&self) -> Digest {
        let counted = |root: &str, key: &str| schema::counted(&self.concern, &self.index, root, key);
        *self.digest.get_or_init(|| self.document.content_digest_of(counted))
    }

    /// Bytes of the keys and values that flag things as deleted.
    pub(crate) fn flag_bytes(&self) -> u64 {
        let flags = |root| {
            let deletes = move |key: &str| schema::about(&self.concern, root, key).and_then(About::deleted);
            self.document.iter(root).filter(move |(key, _)| deletes(key).is_some())
        };
        let length = |value: &Value| value.as_bytes().map_or(0, <[u8]>::len);
        let size = |(key, value): (&Arc<str>, &Value)| key.len().saturating_add(length(value));
        let bytes = schema::roots(&self.concern).iter().flat_map(|root| flags(root)).map(size);
        bytes.fold(0, |sum, bytes| sum.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX)))
    }

    /// What people see of it, if it is a chat.
    pub(crate) fn chat(&self) -> Option<Chat<'_>> {
        self.chat_over(&self.document)
    }

    /// The same as if the document held these records.
    pub(crate) fn chat_over<'a>(&'a self, maps: &'a dyn schema::Maps) -> Option<Chat<'a>> {
        match &self.index {
            Index::Chat(index) => Some(Chat::new(maps, index)),
            Index::Plain | Index::Things(..) => None,
        }
    }

    /// What people see of it, if it holds things.
    pub(crate) fn things(&self) -> Option<Things<'_>> {
        self.things_over(&self.document)
    }

    /// The same as if the document held these records.
    pub(crate) fn things_over<'a>(&'a self, maps: &'a dyn schema::Maps) -> Option<Things<'a>> {
        match &self.index {
            Index::Things(_, index) => Things::new(&self.concern, maps, index),
            Index::Plain | Index::Chat(_) => None,
        }
    }

    /// What was pruned: nobody is shown it any more.
    pub(crate) fn gone(&self) -> BTreeSet<MessageId> {
        self.forgetting.tombstones.pruned().map(|(id, _)| id).collect()
    }

    /// Whether a log may write under a client id: no other does.
    pub(super) fn claim(&mut self, client: u64, log: LogId) -> bool {
        *self.clients.entry(client).or_insert(log) == log
    }

    /// Whether a log writes under a client id.
    pub(super) fn owns(&self, client: u64, log: &LogId) -> bool {
        self.clients.get(&client) == Some(log)
    }

    /// Opens, parses and judges the next envelope of a log, and applies it or keeps its clocks.
    pub(super) fn judge(&mut self, rules: Rules<'_>, envelope: &Envelope, author: Author<'_>) -> Judged {
        let log = envelope.header.log;
        if self.ended.contains_key(&log) {
            return Judged::Rejected(Void::Ended);
        }
        let client = (rules.client_of)(&log);
        if let Some(owner) = rules.owners.get(&client).filter(|owner| **owner != log) {
            return self.end(log, Void::TakenClientId(*owner));
        }
        if let Some(other) = self.clients.get(&client).filter(|other| **other != log) {
            return Judged::Contested(*other);
        }
        let Ok(content) = envelope.open(author.key) else { return self.end(log, Void::Seal) };
        let parsed = parse(&content, &self.document.expect(client));
        if let Err(ParseError { fault: Fault::Early(block), .. }) = parsed {
            return Judged::Waits(Want::Origin(block));
        }
        self.clients.insert(client, log);
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(error) => {
                let void = match error.fault {
                    Fault::Void => Void::Unfounded,
                    _ => Void::Malformed(error.to_string()),
                };
                return match error.range {
                    Some(range) => self.void(log, client, range, void),
                    None => self.end(log, void),
                };
            }
        };
        let void = if rules.quarantined.contains(&envelope.hash()) {
            Some(Void::Failed)
        } else if author.backdated {
            Some(Void::Backdated)
        } else {
            denied(rules.concern, &parsed, &author.actor).map(Void::Denied)
        };
        if let Some(void) = void
            && !(self.watched.is_some() && planted::is(Planted::FoldOverVoid))
        {
            let hides = schema::shape(rules.concern) == Shape::Texts && void != Void::Failed;
            return match hides && !parsed.clocks.is_empty() {
                true => self.hide(log, client, &content, void),
                false => self.void(log, client, parsed.clocks, void),
            };
        }
        let Ok(changes) = self.document.apply(&parsed) else { return Judged::Poisoned };
        self.grow(content.len());
        let by = Flag { log, sequence: envelope.header.sequence };
        for write in &parsed.writes {
            if let Some(about) = schema::about(&self.concern, write.place.root, &write.place.key) {
                self.forgetting.wrote(about, by, rules.is_mine);
            }
        }
        if rules.is_mine {
            self.note_late(&changes);
        }
        let judged = self.take_in(&changes).map_or(Judged::Poisoned, Judged::Applied);
        if let Some(watched) = &mut self.watched {
            *watched = changes;
        }
        judged
    }

    /// Takes changes into the order of messages and drops at once what came for a message that was
    /// pruned; gives the messages they concern.
    pub(super) fn take_in(&mut self, changes: &Changes) -> Result<Vec<MessageId>, DocumentError> {
        let messages = self.note(changes);
        let late = changes.keys.iter().filter(|change| change.after.is_some()).filter(|change| {
            let about = schema::about(&self.concern, change.root, &change.key);
            about.is_some_and(|about| self.forgetting.tombstones.is_pruned(about.id))
        });
        let late: Vec<(&'static str, Arc<str>)> =
            late.map(|change| (change.root, Arc::clone(&change.key))).collect();
        self.drop_content(&late)?;
        Ok(messages)
    }

    /// Removes the content under keys, here alone. Of a flag it stays who deleted what.
    pub(super) fn drop_content(
        &mut self,
        keys: &[(&'static str, Arc<str>)],
    ) -> Result<Vec<MessageId>, DocumentError> {
        let mut dropped = Changes::default();
        for (root, key) in keys {
            let is_flag = schema::about(&self.concern, root, key).and_then(About::deleted).is_some();
            dropped.keys.extend(match is_flag {
                true => self.document.bare(root, key)?,
                false => self.document.prune(root, key)?,
            });
        }
        Ok(self.note(&dropped))
    }

    /// Notes that so many bytes of an update were taken in.
    pub(super) fn grow(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Notes that an envelope was judged for good: it is the head of its log now.
    pub(super) fn advance(&mut self, envelope: &Envelope) {
        self.known.insert(envelope.header.log, envelope.header.heads.clone());
        self.branches.push(envelope.header.log, envelope.hash());
        let bytes = u64::try_from(envelope.bytes().len()).unwrap_or(u64::MAX);
        self.beyond.envelopes = self.beyond.envelopes.saturating_add(1);
        self.beyond.bytes = self.beyond.bytes.saturating_add(bytes);
    }

    /// Lets the clocks of a rejected envelope pass, so that its log goes on.
    fn void(&mut self, log: LogId, client: u64, clocks: Range<u32>, void: Void) -> Judged {
        match self.document.reject(client, clocks) {
            Ok(()) => Judged::Rejected(void),
            Err(DocumentError::Poisoned) => Judged::Poisoned,
            Err(_) => self.end(log, void),
        }
    }

    /// The same of a text, in which what does not count keeps its place.
    fn hide(&mut self, log: LogId, client: u64, update: &[u8], void: Void) -> Judged {
        match self.document.hide(client, update) {
            Ok(()) => Judged::Rejected(void),
            Err(DocumentError::Poisoned) => Judged::Poisoned,
            Err(_) => self.end(log, void),
        }
    }

    /// Ends a log: nothing that follows in it counts.
    pub(super) fn end(&mut self, log: LogId, void: Void) -> Judged {
        self.ended.insert(log, void.clone());
        Judged::Rejected(void)
    }

    /// Whether a log ended because a senior has its client id.
    pub(super) fn lost_its_client(&self, log: &LogId) -> bool {
        matches!(self.ended.get(log), Some(Void::TakenClientId(_)))
    }

    /// Whether the log with this client id is forked.
    pub(super) fn is_forked(&self, client: u64) -> bool {
        self.clients.get(&client).is_some_and(|log| self.branches.is_forked(log))
    }

    /// Takes changes into the order of messages; gives the messages they concern.
    pub(super) fn note(&mut self, changes: &Changes) -> Vec<MessageId> {
        self.digest = OnceCell::new();
        let mut touched = BTreeSet::new();
        for change in &changes.keys {
            let value = match &change.after {
                Some(Value::Bytes(bytes)) => Some(&**bytes),
                Some(Value::Fields(_)) | None => None,
            };
            self.index.note(change.root, &change.key, value);
            touched.extend(schema::about(&self.concern, change.root, &change.key).map(|about| about.id));
        }
        self.feed.note(touched.iter().copied());
        touched.into_iter().collect()
    }
}

/// The CRDT client id of a log.
pub(crate) fn client(log: &LogId) -> u64 {
    client_id(&log.device, &log.document, log.incarnation)
}

/// Why an update must not count, if it must not.
fn denied(concern: &Concern, parsed: &Parsed<'_>, actor: &Actor) -> Option<Denied> {
    if schema::shape(concern) == Shape::Texts {
        // All of a text is everybody's, and what is deleted names no place.
        return rights::judge_writer(actor).err();
    }
    let judge = |write: &crate::update::parse::Write<'_>| {
        let value = match write.content {
            Written::Bytes(bytes) if write.place.field.is_none() => Some(bytes),
            _ => None,
        };
        let put = PutRef { root: write.place.root, key: &write.place.key, value };
        rights::judge(concern, &put, actor).err()
    };
    parsed.writes.iter().find_map(judge)
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
