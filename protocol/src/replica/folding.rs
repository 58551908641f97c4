//! Reads a document from disk as far as a vector and no further, beside the one in memory.
//!
//! `stability` has this done where a checkpoint is proposed: what comes out is compared with what
//! others say, and becomes the snapshot. Which branch of a log counts was settled when the document
//! in memory was read; this follows it. Invariant: the outcome depends on envelopes at or below the
//! vector alone, and on the snapshot that stands for their beginnings, however much more is on disk.

use std::collections::BTreeMap;

use super::live::{Judged, Live, Rules, Void};
use super::{Author, Base, Replica, Vouched};
use crate::checkpoint::{Checkpoint, Reached, Vector};
use crate::envelope::Envelope;
use crate::ids::{Digest, DocumentKey, EntityId, LogId, StatementId};
use crate::limits::WAITING_ENVELOPES_MAX;
use crate::record::LoadId;
use crate::waiting::Want;

/// A document on the way to a vector.
#[derive(Debug)]
pub(crate) struct Folding {
    /// Up to where each log is read.
    upto: Vector,
    /// The page that is being read.
    pub(crate) reading: Option<LoadId>,
    /// The parts of the snapshot that were read, until that was all.
    parts: Vec<Vec<u8>>,
    /// From the snapshot on.
    live: Option<Box<Live>>,
    /// What stands on disk before what it builds on.
    early: Vec<Envelope>,
    failed: bool,
}

/// A document as it is at a vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folded {
    /// The visible content.
    pub(crate) content: Digest,
    /// The vector, with the clocks at it.
    pub(crate) logs: BTreeMap<LogId, Reached>,
    /// The bytes of the snapshot.
    pub(crate) bytes: Vec<u8>,
}

impl Replica {
    /// Begins to read as far as `upto`, which covers the snapshot on disk.
    pub(crate) fn begin_folding(&mut self, upto: Vector) {
        let live = self.base.is_none().then(|| Box::new(Live::new(self.key, &self.concern)));
        let (reading, parts, early) = (None, Vec::new(), Vec::new());
        self.folding = Some(Box::new(Folding { upto, reading, parts, live, early, failed: false }));
    }

    /// Up to where the document is being folded.
    pub(crate) fn folds_to(&self) -> Option<&Vector> {
        self.folding.as_ref().map(|folding| &folding.upto)
    }

    /// The part of the snapshot that is to be read next, before any envelope.
    pub(crate) fn next_part_to_fold(&self) -> Option<u32> {
        let folding = self.folding.as_ref().filter(|folding| folding.live.is_none())?;
        u32::try_from(folding.parts.len()).ok()
    }

    /// Takes a part of the snapshot. False if there is none to begin with, and so no folding.
    pub(crate) fn fold_part(&mut self, part: Option<Vec<u8>>) -> bool {
        let (Some(folding), Some(Base { parts, .. })) = (&mut self.folding, &self.base) else { return false };
        folding.parts.extend(part);
        if folding.parts.len() < usize::try_from(*parts).unwrap_or(usize::MAX) {
            return true;
        }
        let parts = std::mem::take(&mut folding.parts);
        let live = Vouched::read(&parts).ok().and_then(|snapshot| self.open(&snapshot).ok());
        let is_open = live.is_some();
        if let Some(folding) = &mut self.folding {
            folding.live = live.map(Box::new);
        }
        is_open
    }

    /// Whether a stored envelope is to be folded: it lies within the vector, on the branch that
    /// counts.
    pub(crate) fn folds(&self, envelope: &Envelope) -> bool {
        let (Some(folding), Some(live)) = (&self.folding, self.live()) else { return false };
        let header = &envelope.header;
        let upto = folding.upto.get(&header.log).map_or(0, |head| head.sequence);
        header.sequence <= upto && live.branches.at(&header.log, header.sequence) == Some(envelope.hash())
    }

    /// The roster heads that the last envelope of a log names, as far as that was folded.
    pub(crate) fn heads_folded(&self, log: &LogId) -> &[StatementId] {
        let live = self.folding.as_ref().and_then(|folding| folding.live.as_ref());
        live.and_then(|live| live.known.get(log)).map_or(&[], Vec::as_slice)
    }

    /// Takes one stored envelope that is to be folded, by who the roster says wrote it.
    pub(crate) fn fold(&mut self, envelope: Envelope, author: Option<Author<'_>>, is_mine: bool) {
        let rules = Rules {
            concern: &self.concern,
            client_of: self.client_of,
            owners: &self.owners,
            quarantined: &self.quarantined,
            is_mine,
        };
        let Some(folding) = &mut self.folding else { return };
        let Some(live) = &mut folding.live else { return };
        let log = envelope.header.log;
        let is_next = live.branches.length(&log).checked_add(1) == Some(envelope.header.sequence);
        let judged = match author.filter(|_| is_next) {
            Some(author) => live.judge(rules, &envelope, author),
            None => Judged::Waits(Want::Predecessor),
        };
        let judged = match judged {
            // A senior that has it would be known from the document in memory.
            Judged::Contested(other) => live.end(log, Void::TakenClientId(other)),
            judged => judged,
        };
        match judged {
            Judged::Applied(_) | Judged::Rejected(_) => live.advance(&envelope),
            Judged::Waits(_) if folding.early.len() < WAITING_ENVELOPES_MAX => folding.early.push(envelope),
            // What was taken once and is not now was judged by another roster: not now, then.
            Judged::Waits(_) | Judged::Contested(_) | Judged::Poisoned => folding.failed = true,
        }
    }

    /// What could not be taken in the order in which it lies on disk, to be tried again.
    pub(crate) fn take_early(&mut self) -> Vec<Envelope> {
        self.folding.as_mut().map(|folding| std::mem::take(&mut folding.early)).unwrap_or_default()
    }

    /// Ends the reading: the document at the vector, if all of it could be read.
    pub(crate) fn end_folding(&mut self) -> Option<Folded> {
        let Folding { live, upto, early, failed, .. } = *self.folding.take()?;
        let mut live = live.filter(|live| !failed && early.is_empty() && live.branches.heads() == upto)?;
        // All that is flagged within a vector that all awaited have is stable.
        live.prune_flagged(&self.concern).ok()?;
        let logs = live.reached(&upto, self.client_of);
        let bytes = live.write_snapshot(&upto, self.client_of).ok()?;
        Some(Folded { content: live.content_digest(), logs, bytes })
    }
}

impl Folded {
    /// The snapshot with what it is.
    pub(crate) fn into_vouched(self, (entity, document): (EntityId, DocumentKey)) -> Vouched {
        let Folded { content, logs, bytes } = self;
        Vouched { checkpoint: Checkpoint { entity, document, content, logs }, packed: bytes }
    }
}
