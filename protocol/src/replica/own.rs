//! The log that this device writes: edits, their sealing, and when the log must not be gone on with.
//!
//! An edit is in the document at once and waits to be sealed; while an envelope is on its way to
//! the disk, what is edited meanwhile goes into the next one. Invariant: a log is left behind for
//! good, and a new incarnation begun, whenever anybody may hold more of it than this replica.

use rand::CryptoRng;

use super::pruning::wrote;
use super::{Content, Replica};
use crate::command::{CommandId, Outcome};
use crate::envelope::{Envelope, Header, TooLarge};
use crate::epoch::EpochKey;
use crate::identity::DeviceSecret;
use crate::ids::{DeviceKey, Incarnation, LogId, StatementId};
use crate::limits::{ENVELOPE_EDITS_MAX, PENDING_EDITS_MAX};
use crate::schema::chat::MessageId;
use crate::schema::{self, About, Put, TEXT};
use crate::stability::Flag;
use crate::update::Shape;
use crate::update::document::{DocumentError, TextEdit};
use crate::update::write::merge;

/// Bytes of merged edits in one envelope: leaves room for the header where nothing packs.
const GROUP_BYTES_MAX: usize = 192 * 1024;

/// How often in one run a peer's word alone ends our log: once is what a restored home needs.
const DOUBTS_MAX: u32 = 8;

/// The log this device writes.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// The log that may be continued, once the first envelope of this run asks for it.
    pub(super) log: Option<LogId>,
    /// Whether the document writes under that log already.
    pub(super) begun: bool,
    /// The epoch of its last envelope, if that was sealed in this run.
    epoch: Option<StatementId>,
}

/// What is to be written in a document.
#[derive(Clone, Debug)]
pub(crate) enum Edits {
    /// Values of root maps.
    Puts(Vec<Put>),
    /// Changes of its text, one after the other.
    Text(Vec<TextEdit>),
    /// What an update of this device wrote in its text, which does not count or never left.
    Anew(Vec<u8>),
}

/// What became of something that was to be written.
#[derive(Debug, Default)]
pub(crate) struct Edited {
    /// The messages and things that changed.
    pub(crate) things: Vec<MessageId>,
    /// Who is to be told at once, as nothing had to be written.
    pub(crate) unsaid: Answers,
}

/// A local edit that is in the document and waits to be sealed.
#[derive(Debug)]
pub(super) struct Pending {
    /// The values that it set; none in a text.
    puts: Vec<Put>,
    update: Vec<u8>,
    pub(super) answers: Answers,
}

impl Pending {
    /// The same once more, when it went with the log that it was made for.
    fn again(self, shape: Shape) -> Queued {
        let edits = match shape {
            Shape::Maps => Edits::Puts(self.puts),
            Shape::Texts => Edits::Anew(self.update),
        };
        Queued { edits, answers: self.answers }
    }
}

/// Writes that wait for the content to be in memory.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) edits: Edits,
    pub(crate) answers: Answers,
}

/// Who is to be told what, once a write is durable.
pub(crate) type Answers = Vec<(CommandId, Outcome)>;

/// An envelope of our own, sealed, and what its edits answer.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) envelope: Envelope,
    /// The envelope begins a new incarnation, which must be remembered with it.
    pub(crate) begins: bool,
    pub(crate) answers: Vec<(CommandId, Outcome)>,
}

impl Replica {
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
            self.folding = None;
            self.reading = None;
            let unsealed = std::mem::take(&mut self.pending).into_iter();
            let shape = schema::shape(&self.concern);
            self.queued.splice(0..0, unsealed.map(|pending| pending.again(shape)));
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

    /// The roster heads that the last envelope of the log we write names.
    pub(crate) fn own_heads(&self) -> &[StatementId] {
        self.own.log.as_ref().map_or(&[], |log| self.heads_before(log))
    }

    /// Whether another edit may be made now.
    pub(crate) fn has_room(&self) -> bool {
        self.pending.len() + self.queued.len() < PENDING_EDITS_MAX
    }

    /// Writes into the document; it is sealed by the next `seal`.
    ///
    /// Waits for the document where it is not in memory.
    pub(crate) fn edit(
        &mut self,
        device: DeviceKey,
        edits: Edits,
        answers: Answers,
        random: &mut impl CryptoRng,
    ) -> Result<Edited, DocumentError> {
        let Content::Live(live) = &mut self.content else {
            self.queued.push(Queued { edits, answers });
            return Ok(Edited::default());
        };
        if !self.own.begun {
            let log = self.own.log.unwrap_or_else(|| {
                let incarnation = Incarnation(random.next_u64());
                LogId { document: self.key, device, incarnation }
            });
            let client = (self.client_of)(&log);
            if !live.claim(client, log) {
                // Another log has this client id: the next edit draws another incarnation.
                return Err(DocumentError::NoLog);
            }
            live.document.begin_log(client)?;
            self.own = Own { log: Some(log), begun: true, epoch: None };
        }
        let (edit, puts) = match edits {
            Edits::Puts(puts) => (live.document.edit(&puts)?, puts),
            Edits::Text(changes) => (live.document.edit_text(TEXT, &changes)?, Vec::new()),
            Edits::Anew(update) => match live.document.write_anew(TEXT, &update, &mut self.moved)? {
                Some(edit) => (edit, Vec::new()),
                None => return Ok(Edited { things: Vec::new(), unsaid: answers }),
            },
        };
        live.grow(edit.update.len());
        let changed = live.take_in(&edit.changes)?;
        let is_late = |put: &&Put| {
            let id = schema::about(&self.concern, put.root, &put.key).and_then(About::content);
            id.is_some_and(|id| live.forgetting.tombstones.is_pruned(id))
        };
        let late =
            puts.iter().filter(is_late).map(|put| wrote(&self.concern, put.root, &put.key, &put.value));
        self.stability.note_late(late.collect());
        self.pending.push(Pending { puts, update: edit.update, answers });
        Ok(Edited { things: changed, unsaid: Vec::new() })
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
        let head = self.head(&log);
        let header = Header { log, sequence: head.sequence + 1, previous: head.hash, heads, epoch: epoch.0 };
        let envelope = Envelope::seal(header, &content, epoch.1, device, random)?;
        // Not before: edits that cannot be sealed must be refused to who made them.
        let group: Vec<Pending> = self.pending.drain(..count).collect();
        self.heads.set(log, envelope.head());
        self.is_begun = true;
        if let Content::Live(live) = &mut self.content {
            live.advance(&envelope);
            let by = Flag { log, sequence: envelope.header.sequence };
            for put in group.iter().flat_map(|pending| &pending.puts) {
                if let Some(about) = schema::about(&self.concern, put.root, &put.key) {
                    live.forgetting.wrote(about, by, true);
                }
            }
        }
        self.sealing = true;
        self.own.epoch = Some(epoch.0);
        let answers = group.into_iter().flat_map(|p| p.answers).collect();
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

    /// Whether an envelope of our own is on its way to the disk.
    pub(crate) fn is_sealing(&self) -> bool {
        self.sealing
    }

    /// Whether everything written here is on its way to the disk or there.
    pub(crate) fn is_sealed(&self) -> bool {
        self.pending.is_empty() && self.queued.is_empty()
    }
}
