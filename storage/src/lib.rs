//! What a Fourword node remembers: statements, envelopes and small values, through one trait.
//!
//! The node's driver writes the machine's batches and answers its queries through [`Store`], on
//! one thread made for it. [`DiskStore`] keeps them in a home directory, [`MemoryStore`] in memory
//! for tests and the simulator; one suite (`tests/conformance.rs`) holds for both.
//!
//! On disk the *journal* is the truth: append-only files, flushed before a write returns. The sled
//! *index* only says where in the journal things lie, and is made anew from it at any doubt.
//! Everything rests sealed under the key of the home. Read `disk` first: it joins the parts.

mod catalog;
mod disk;
mod durable;
mod error;
mod index;
mod journal;
mod key_file;
mod keys;
mod lock;
mod mark;
mod memory;
mod page;
pub mod read_model;
mod recover;
mod rewrite;
mod sealing;

use fourword_protocol::limits::{
    BATCH_RECORDS_MAX, ENVELOPE_BYTES_MAX, FRAME_LOGS_MAX, LOCAL_KEY_BYTES_MAX, LOCAL_VALUE_BYTES_MAX,
    SNAPSHOT_PART_BYTES_MAX, STATEMENT_BYTES_MAX,
};
use fourword_protocol::record::{Batch, Page, Query, Record};

pub use disk::{DiskStore, Opened, Settings};
pub use error::{Cause, OpenError, StoreError};
pub use journal::{Medium, RealMedium};
pub use memory::{Fault, MemoryStore};

/// Everything a node must remember. Blocking; called from one thread.
pub trait Store: Send {
    /// Applies all batches, each wholly or not at all; durable on disk when it returns.
    ///
    /// One flush serves all of them. On an error nothing of them counts. An error of the disk also
    /// ends writing: until the store is opened again every further write is refused, for what a
    /// failed flush left behind cannot be known. Reading goes on.
    fn write(&mut self, batches: &[Batch]) -> Result<(), StoreError>;

    /// Answers one query of the machine; what is not known gives an empty page.
    ///
    /// The head of a log is the end of its unbroken run from sequence 1. A log is read in order of
    /// sequence and gives the envelope first written at each; `next` is then the last sequence
    /// given. A document is read in the order written and gives all branches of a fork; `next` is a
    /// position that stays the same over restarts.
    ///
    /// What a snapshot covers is no more: it is not given, and writing it again changes nothing. A
    /// head that lies in it is the one that the snapshot names.
    ///
    /// A document that was forgotten is as one of which nothing was ever written.
    fn read(&self, query: &Query) -> Result<Page, StoreError>;
}

/// Refuses batches with records that no query could give back within the machine's limits.
fn check(batches: &[Batch]) -> Result<(), StoreError> {
    for batch in batches {
        let ill = if batch.records.len() > BATCH_RECORDS_MAX {
            Some(format!("it has more than {BATCH_RECORDS_MAX} records"))
        } else {
            batch.records.iter().find_map(flaw)
        };
        if let Some(ill) = ill {
            return Err(StoreError::refused("write", format!("batch {}", batch.id.0), ill));
        }
    }
    Ok(())
}

fn flaw(record: &Record) -> Option<String> {
    let over = |what: &str, length: usize, max: usize| {
        (length > max).then(|| format!("{what} has {length} bytes; at most {max} are kept"))
    };
    match record {
        Record::Statement { bytes, .. } => over("a statement", bytes.len(), STATEMENT_BYTES_MAX),
        Record::Envelope { sequence: 0, .. } => Some("an envelope has sequence 0; they count from 1".into()),
        Record::Envelope { bytes, .. } => over("an envelope", bytes.len(), ENVELOPE_BYTES_MAX),
        Record::SnapshotPart { bytes, .. } => over("a part", bytes.len(), SNAPSHOT_PART_BYTES_MAX),
        Record::Snapshot { number: 0, .. } => Some("a snapshot has number 0; they count from 1".into()),
        Record::Snapshot { covers, .. } => (covers.len() > FRAME_LOGS_MAX)
            .then(|| format!("a snapshot covers {} logs; at most {FRAME_LOGS_MAX} are kept", covers.len())),
        Record::Forget { .. } => None,
        Record::Local { key, value } => over("a key", key.kind.len() + key.of.len(), LOCAL_KEY_BYTES_MAX)
            .or_else(|| over("a value", value.as_ref().map_or(0, Vec::len), LOCAL_VALUE_BYTES_MAX)),
    }
}
