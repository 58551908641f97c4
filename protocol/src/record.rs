//! What must be remembered, and how the machine asks for it again.
//!
//! The machine writes batches and loads pages; how they lie on disk is the store's affair. A
//! record is either an entry of something append-only (statement, envelope) or a small value
//! under a key, of which the last one written holds. One alone takes back: it forgets a document.

use crate::envelope::Envelope;
use crate::ids::{DocumentKey, EntityId, EnvelopeHash, LogHead, LogId, StatementId};

/// Numbers a batch, so that `Durable` can say which one is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BatchId(pub u64);

/// Numbers a load, so that its answer finds its asker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoadId(pub u64);

/// Records that become durable together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Named again by `Event::Durable` or `Event::WriteFailed`.
    pub id: BatchId,
    /// At most `limits::BATCH_RECORDS_MAX`, in the order in which loads give them back.
    pub records: Vec<Record>,
    /// Something waits for it. What nobody waits for, as what peers sent and have, may become durable
    /// somewhat later, together with more of it.
    pub urgent: bool,
}

/// One thing to remember.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A roster statement of an entity, as it is signed.
    Statement {
        /// Whose roster.
        entity: EntityId,
        /// The statement's name; writing one twice keeps one.
        id: StatementId,
        /// At most `limits::STATEMENT_BYTES_MAX`.
        bytes: Vec<u8>,
    },
    /// An envelope of a log, sealed as it travels. Writing one twice keeps one.
    Envelope {
        /// The entity whose document it belongs to.
        entity: EntityId,
        /// The log, and by it the document.
        log: LogId,
        /// Its position in the log, from 1.
        sequence: u64,
        /// Its name.
        hash: EnvelopeHash,
        /// At most `limits::ENVELOPE_BYTES_MAX`.
        bytes: Vec<u8>,
    },
    /// A piece of the state of a document, written before the `Snapshot` that makes it count. Behind
    /// those of the state lie those of its past, with the next places.
    SnapshotPart {
        /// Of which document.
        document: DocumentKey,
        /// Of which snapshot of it; what belongs to one below the greatest that counts does not.
        number: u64,
        /// Its place among the parts, from 0; the last one written at a place holds.
        part: u32,
        /// At most `limits::SNAPSHOT_PART_BYTES_MAX`.
        bytes: Vec<u8>,
    },
    /// The state of a document that stands for the beginnings of its logs: from now on the envelopes
    /// that it covers are forgotten, and so is the snapshot before.
    Snapshot {
        /// The entity whose document it is.
        entity: EntityId,
        /// The document.
        document: DocumentKey,
        /// Greater than that of any snapshot of it before.
        number: u64,
        /// How many parts its state has.
        parts: u32,
        /// How much of each log it covers: at least what the one before did. At most
        /// `limits::FRAME_LOGS_MAX`.
        covers: Vec<(LogId, LogHead)>,
    },
    /// All that was written of a document so far is forgotten: its envelopes, and its snapshot with the
    /// parts. What is written of it from now on counts as if nothing had been before.
    Forget {
        /// Which document.
        document: DocumentKey,
    },
    /// A small value of this device alone; the last one written under a key holds.
    Local {
        /// At most `limits::LOCAL_KEY_BYTES_MAX`.
        key: LocalKey,
        /// `None` forgets the key. At most `limits::LOCAL_VALUE_BYTES_MAX`.
        value: Option<Vec<u8>>,
    },
}

impl Record {
    /// An envelope as it is stored: sealed as it travels.
    pub(crate) fn of(entity: EntityId, envelope: &Envelope) -> Record {
        Record::Envelope {
            entity,
            log: envelope.header.log,
            sequence: envelope.header.sequence,
            hash: envelope.hash(),
            bytes: envelope.bytes().to_vec(),
        }
    }
}

/// Names a small value of this device: what it is, and of what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalKey {
    /// The kind of value, a word such as `identity`.
    pub kind: String,
    /// Which of them; empty where there is one.
    pub of: Vec<u8>,
}

/// What the machine asks of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// All that a node needs before it can serve: every small value, every statement and the head
    /// of every log. Answered by one `Page::Opening`.
    Opening,
    /// Envelopes of one log after a sequence, in order. Answered by `Page::Envelopes`.
    Log {
        /// Whose envelopes.
        log: LogId,
        /// The first one given is the next after this; 0 gives all.
        after: u64,
        /// Stop before the page grows past this, but give at least one.
        bytes_max: usize,
        /// Envelopes of other branches, to be passed over. Of several others at one position the
        /// first written is given.
        except: Vec<EnvelopeHash>,
    },
    /// A part of the snapshot of a document that counts, or of the past behind it. Answered by `Page::SnapshotPart`.
    SnapshotPart {
        /// Of which document.
        document: DocumentKey,
        /// Which one, from 0.
        part: u32,
    },
    /// Envelopes of all logs of a document, of all branches, in the order in which they were written.
    /// Answered by `Page::Envelopes`.
    Document {
        /// Which document.
        document: DocumentKey,
        /// Where the page before ended; 0 begins. Never reused for another document.
        after: u64,
        /// Stop before the page grows past this, but give at least one.
        bytes_max: usize,
    },
}

/// The store's answer to a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// Answers `Query::Opening`.
    Opening {
        /// Every small value, sorted by key.
        locals: Vec<(LocalKey, Vec<u8>)>,
        /// Every statement in the order written.
        statements: Vec<(EntityId, StatementId, Vec<u8>)>,
        /// Every log with its entity and its head, sorted by log. Of a forked log only the length
        /// is of use: the store does not know which branch counts.
        heads: Vec<(EntityId, LogId, LogHead)>,
        /// Every snapshot that counts, sorted by document.
        snapshots: Vec<Snapshot>,
    },
    /// Answers `Query::SnapshotPart`, with nothing where there is none.
    SnapshotPart(Option<Vec<u8>>),
    /// Answers `Query::Log` and `Query::Document`.
    Envelopes {
        /// The envelopes' bytes as they were written.
        envelopes: Vec<Vec<u8>>,
        /// Where to go on (`Query::Document::after`), or `None` at the end.
        next: Option<u64>,
    },
}

/// A snapshot that counts, as `Record::Snapshot` wrote it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Snapshot {
    /// The document.
    pub document: DocumentKey,
    /// The entity whose document it is.
    pub entity: EntityId,
    /// Which one it is.
    pub number: u64,
    /// How many parts it has.
    pub parts: u32,
    /// How much of each log it covers.
    pub covers: Vec<(LogId, LogHead)>,
}

/// Why the store could not do what was asked. Nothing of the batch counts as written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreFailure {
    /// No room is left on the disk.
    #[error("the disk is full")]
    DiskFull,
    /// What was read is damaged; it was set aside, not deleted.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
    /// Any other fault, in words for the person who runs the node.
    #[error("{0}")]
    Failed(String),
}
