//! Whether one document is to be folded, and the checkpoint that this device found on the way.
//!
//! `proposing` drives it. A document that has grown past a bound behind its snapshot *wants* to be
//! folded: then devices acknowledge, and who lacks what was here when that began is awaited. Nothing
//! of this is on disk: after a restart it begins anew. Invariant: a checkpoint is signed by whoever
//! has read its own logs to it, so of two that speak of one vector each knows only its own.

use super::late::Late;
use crate::acknowledgement::Positions;
use crate::checkpoint::{Extent, Signed};
use crate::history::Past;
use crate::limits::{ACK_LOGS_MAX, FOLD_AFTER_BYTES};
use crate::replica::{Beyond, Heads, Vouched};
use crate::session::Allowance;
use crate::time::{Duration, Instant};

/// How often a document is read for folding: a burst, then one for each stretch of time. A member
/// that proposes without end must not keep others reading.
const FOLDS_BURST: u64 = 4;
const FOLDS_EVERY: Duration = Duration::from_secs(60);

/// What is known of checkpoints of one document.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    /// What was held when the document began to want to be folded.
    goal: Option<Positions>,
    /// When this device proposes one, unless it knows of one by then.
    pub(crate) propose_at: Option<Instant>,
    /// What this device found and signed, and not enough others yet.
    pub(crate) open: Option<Open>,
    /// Where reading came to nothing: not tried again.
    pub(crate) failed: Option<Extent>,
    /// What this device told last before the document rested: others had nothing to say to it.
    pub(crate) told: Option<Extent>,
    folds: Allowance,
    /// Counts changes of the goal, so that who has looked need not look again.
    changes: u64,
}

/// A checkpoint that this device found and that waits for others' signatures.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) signed: Signed,
    pub(crate) snapshot: Vouched,
    /// What is kept from before it.
    pub(crate) past: Past,
    /// What of this device's own it holds for void.
    pub(crate) void: Vec<Late>,
}

impl Checkpoints {
    /// Sees whether the document wants to be folded now.
    pub(crate) fn measure(&mut self, beyond: Beyond, fold_after: u64, heads: &Heads) {
        let wants = beyond.envelopes > fold_after || beyond.bytes > FOLD_AFTER_BYTES;
        match &mut self.goal {
            Some(_) if !wants => self.rest(),
            // What counted when it began may count no more.
            Some(goal) if goal.iter().any(|(log, upto)| heads.length(log) < *upto) => {
                goal.iter_mut().for_each(|(log, upto)| *upto = heads.length(log).min(*upto));
                self.changes = self.changes.saturating_add(1);
            }
            None if wants => {
                let logs = heads.iter().take(ACK_LOGS_MAX);
                self.goal = Some(logs.map(|(log, head)| (*log, head.sequence)).collect());
                self.changes = self.changes.saturating_add(1);
            }
            Some(_) | None => {}
        }
    }

    fn rest(&mut self) {
        (self.goal, self.propose_at) = (None, None);
        self.changes = self.changes.saturating_add(1);
    }

    /// Whether the document wants to be folded.
    pub(crate) fn wants(&self) -> bool {
        self.goal.is_some()
    }

    /// What all who are awaited must have acknowledged: nothing where the document wants nothing.
    pub(crate) fn goal(&self) -> Option<&Positions> {
        self.goal.as_ref()
    }

    /// A number that is another after every change of the goal.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Whether the document may be read for folding now.
    pub(crate) fn may_fold(&mut self, now: Instant) -> bool {
        self.folds.take(now, FOLDS_BURST, FOLDS_EVERY)
    }

    /// When it may be.
    pub(crate) fn free_at(&self, now: Instant) -> Instant {
        self.folds.free_at(now, FOLDS_BURST, FOLDS_EVERY)
    }

    /// The document goes to rest: what was found is forgotten, and not proposed again.
    pub(crate) fn let_rest(&mut self) {
        self.told = self.open.take().map(|open| open.signed.checkpoint.extent()).or(self.told.take());
        self.failed = None;
    }

    /// The content was read anew: what was found before may have been found by another roster.
    pub(crate) fn begin_anew(&mut self) {
        (self.open, self.failed, self.told) = (None, None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Vector;
    use crate::ids::{DeviceKey, DocumentKey, EnvelopeHash, Incarnation, LogHead, LogId};

    fn heads(sequence: u64) -> Heads {
        let log =
            LogId { document: DocumentKey([1; 32]), device: DeviceKey([2; 32]), incarnation: Incarnation(3) };
        Vector::from([(log, LogHead { sequence, hash: EnvelopeHash([4; 32]) })]).into()
    }

    fn goal(checkpoints: &Checkpoints) -> Vec<u64> {
        checkpoints.goal().into_iter().flatten().map(|(_, upto)| *upto).collect()
    }

    #[test]
    fn a_document_wants_to_be_folded_past_so_many_envelopes_or_bytes_and_not_before() {
        let wants = |envelopes, bytes| {
            let mut checkpoints = Checkpoints::default();
            checkpoints.measure(Beyond { envelopes, bytes }, 10, &heads(1));
            checkpoints.wants()
        };
        assert_eq!([wants(10, 0), wants(11, 0)], [false, true]);
        assert_eq!([wants(0, FOLD_AFTER_BYTES), wants(0, FOLD_AFTER_BYTES + 1)], [false, true]);
    }

    #[test]
    fn what_must_be_acknowledged_stays_what_it_was_and_shrinks_with_what_counts() {
        let mut checkpoints = Checkpoints::default();
        let grown = Beyond { envelopes: 11, bytes: 0 };
        for (length, expected) in [(20, 20), (30, 20), (15, 15), (40, 15)] {
            checkpoints.measure(grown, 10, &heads(length));
            assert_eq!(goal(&checkpoints), [expected]);
        }
        checkpoints.measure(Beyond::default(), 10, &heads(40));
        assert!(goal(&checkpoints).is_empty());
        checkpoints.measure(grown, 10, &heads(50));
        assert_eq!(goal(&checkpoints), [50], "the next time begins anew");
    }
}
