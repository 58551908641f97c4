//! Reads a document from disk as far as a vector and no further, beside the one in memory.
//!
//! `stability` has this done where a checkpoint is proposed: what comes out is compared with what
//! others say, and becomes the snapshot. Which branch of a log counts was settled when the document
//! in memory was read; this follows it. Invariant: the outcome depends on envelopes at or below the
//! vector alone, however much more is on disk.

use std::collections::BTreeMap;

use super::live::{Judged, Live, Rules};
use super::{Author, Replica};
use crate::checkpoint::Reached;
use crate::envelope::Envelope;
use crate::ids::{Digest, LogHead, LogId};
use crate::limits::WAITING_ENVELOPES_MAX;
use crate::waiting::Want;

/// A document on the way to a vector.
#[derive(Debug)]
pub(crate) struct Folding {
    live: Box<Live>,
    /// Up to where each log is read.
    upto: BTreeMap<LogId, LogHead>,
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

impl Folding {
    /// Begins to read as far as `upto`, from nothing or from the snapshot that stands on disk.
    pub(crate) fn new(live: Live, upto: BTreeMap<LogId, LogHead>) -> Folding {
        Folding { live: Box::new(live), upto, early: Vec::new(), failed: false }
    }
}

impl Replica {
    /// Whether a stored envelope is to be folded: it lies within the vector, on the branch that
    /// counts.
    pub(crate) fn folds(&self, envelope: &Envelope) -> bool {
        let (Some(folding), Some(live)) = (&self.folding, self.live()) else { return false };
        let header = &envelope.header;
        let upto = folding.upto.get(&header.log).map_or(0, |head| head.sequence);
        header.sequence <= upto && live.branches.at(&header.log, header.sequence) == Some(envelope.hash())
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
        let log = envelope.header.log;
        let is_next = folding.live.branches.length(&log).checked_add(1) == Some(envelope.header.sequence);
        let judged = match author.filter(|_| is_next) {
            Some(author) => folding.live.judge(rules, &envelope, author),
            None => Judged::Waits(Want::Predecessor),
        };
        match judged {
            Judged::Applied(_) | Judged::Rejected(_) => folding.live.advance(&envelope),
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
        let Folding { mut live, upto, early, failed } = *self.folding.take()?;
        if failed || !early.is_empty() || live.branches.heads() != upto {
            return None;
        }
        // All that is flagged within a vector that all awaited have is stable.
        live.prune_flagged(&self.concern).ok()?;
        let logs = live.reached(&upto, self.client_of);
        let bytes = live.write_snapshot(&upto, self.client_of).ok()?;
        Some(Folded { content: live.content_digest(), logs, bytes })
    }
}
