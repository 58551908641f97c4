//! State vectors in frames: cut for sending, and put together again within bounds.
//!
//! `documents` decides with them. What is remembered of a peer's vector is bounded by what is held
//! here: of logs that are not, as many as are wanted at once. Invariant: a vector of which a frame
//! was lost, doubled or came out of turn is passed over, since what it does not name would be given
//! again, and what it seems to lack would be told as missing.

use std::collections::BTreeMap;

use crate::ids::{DeviceKey, EntityId, Incarnation, LogHead, LogId};
use crate::limits::{DOCUMENT_LOGS_MAX, FRAME_LOGS_MAX, WANTED_LOGS_MAX};
use crate::replica::Replica;
use crate::wire::{Frame, Vector};

/// A peer's state vector of one document, as far as its frames have come.
#[derive(Debug, Default)]
pub(crate) struct Coming {
    pages: u32,
    logs: usize,
    heads: BTreeMap<LogId, LogHead>,
    /// How many of the heads are of logs that are not held here.
    foreign: usize,
}

/// Why a frame of a vector was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Untaken {
    /// It is not the next one.
    OutOfTurn,
    /// No document has so many logs.
    TooLong,
}

impl Coming {
    /// Takes the next frame. `held` says which logs are held here.
    pub(super) fn take(&mut self, vector: Vector, held: impl Fn(&LogId) -> bool) -> Result<(), Untaken> {
        if vector.page == 0 {
            *self = Coming::default();
        }
        if vector.page != self.pages {
            return Err(Untaken::OutOfTurn);
        }
        self.pages = self.pages.saturating_add(1);
        self.logs = self.logs.saturating_add(vector.logs.len());
        if vector.logs.len() > FRAME_LOGS_MAX || self.logs > DOCUMENT_LOGS_MAX {
            return Err(Untaken::TooLong);
        }
        for (device, incarnation, head) in vector.logs {
            let log = LogId { document: vector.document, device, incarnation };
            if held(&log) {
                self.heads.insert(log, head);
            } else if self.foreign < WANTED_LOGS_MAX && self.heads.insert(log, head).is_none() {
                self.foreign += 1;
            }
        }
        Ok(())
    }

    /// The heads that were kept.
    pub(super) fn heads(self) -> BTreeMap<LogId, LogHead> {
        self.heads
    }
}

/// Cuts the state vector of a document into frames: at least one.
pub(super) fn vector_frames(entity: EntityId, replica: &Replica) -> Vec<Frame> {
    let heads = replica.heads.iter().map(|(log, head)| (log.device, log.incarnation, *head));
    cut(heads.take(DOCUMENT_LOGS_MAX).collect())
        .map(|(page, logs, last)| Frame::Vector(Vector { entity, document: replica.key, page, logs, last }))
        .collect()
}

type Logs = Vec<(DeviceKey, Incarnation, LogHead)>;

/// Numbers the parts that fit one frame each, and marks the last.
fn cut(logs: Logs) -> impl Iterator<Item = (u32, Logs, bool)> {
    let mut rest = logs;
    let mut parts = Vec::new();
    while rest.len() > FRAME_LOGS_MAX {
        let behind = rest.split_off(FRAME_LOGS_MAX);
        parts.push(std::mem::replace(&mut rest, behind));
    }
    parts.push(rest);
    let count = parts.len();
    (0..).zip(parts).enumerate().map(move |(at, (page, logs))| (page, logs, at + 1 == count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{DocumentKey, EnvelopeHash};

    const DOCUMENT: DocumentKey = DocumentKey([2; 32]);

    fn logs(count: usize) -> Logs {
        let head = LogHead { sequence: 1, hash: EnvelopeHash([3; 32]) };
        (0..count as u64).map(|n| (DeviceKey([1; 32]), Incarnation(n), head)).collect()
    }

    fn frames(count: usize) -> Vec<Vector> {
        let entity = EntityId([9; 32]);
        let frame = |(page, logs, last)| Vector { entity, document: DOCUMENT, page, logs, last };
        cut(logs(count)).map(frame).collect()
    }

    /// What is kept of these frames where all logs are held, or none.
    fn kept(frames: &[Vector], held: bool) -> Result<usize, Untaken> {
        let mut coming = Coming::default();
        for frame in frames {
            coming.take(frame.clone(), |_| held)?;
        }
        Ok(coming.heads().len())
    }

    #[test]
    fn a_vector_of_many_logs_is_cut_into_full_frames_and_put_together_again() {
        for (count, sizes) in [
            (0, vec![0]),
            (FRAME_LOGS_MAX, vec![FRAME_LOGS_MAX]),
            (FRAME_LOGS_MAX + 1, vec![FRAME_LOGS_MAX, 1]),
        ] {
            let frames = frames(count);
            assert_eq!(frames.iter().map(|frame| frame.logs.len()).collect::<Vec<_>>(), sizes);
            assert_eq!(frames.iter().filter(|frame| frame.last).count(), 1);
            assert!(frames.last().is_some_and(|frame| frame.last));
            assert_eq!(kept(&frames, true), Ok(count));
        }
    }

    #[test]
    fn as_many_logs_are_taken_as_a_document_may_have_and_not_one_more() {
        assert_eq!(kept(&frames(DOCUMENT_LOGS_MAX), true), Ok(DOCUMENT_LOGS_MAX));
        assert_eq!(kept(&frames(DOCUMENT_LOGS_MAX + 1), true), Err(Untaken::TooLong));
        let mut long = frames(1);
        long[0].logs = logs(FRAME_LOGS_MAX + 1);
        assert_eq!(kept(&long, true), Err(Untaken::TooLong));
    }

    #[test]
    fn of_logs_that_are_not_held_as_many_are_kept_as_may_be_wanted() {
        assert_eq!(kept(&frames(WANTED_LOGS_MAX), false), Ok(WANTED_LOGS_MAX));
        assert_eq!(kept(&frames(WANTED_LOGS_MAX + 1), false), Ok(WANTED_LOGS_MAX));
    }

    #[test]
    fn a_frame_that_is_missing_doubled_or_out_of_turn_spoils_the_vector_and_the_first_begins_anew() {
        let frames = frames(3 * FRAME_LOGS_MAX);
        let [a, b, c] = [&frames[0], &frames[1], &frames[2]].map(Clone::clone);
        let kept = |order: &[&Vector]| kept(&order.iter().map(|f| (*f).clone()).collect::<Vec<_>>(), true);
        assert_eq!(kept(&[&a, &c]), Err(Untaken::OutOfTurn));
        assert_eq!(kept(&[&b, &c]), Err(Untaken::OutOfTurn));
        assert_eq!(kept(&[&a, &b, &b]), Err(Untaken::OutOfTurn));
        assert_eq!(kept(&[&a, &b, &a, &b, &c]), Ok(3 * FRAME_LOGS_MAX));
    }
}
