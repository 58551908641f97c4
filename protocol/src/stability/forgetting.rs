//! What one document in memory is to forget, and which writes of this device go with it.
//!
//! Kept beside the content by `replica::live` and made anew with it. Invariant: of each message on
//! which this device set something the last of its envelopes is known, and of what it set on what
//! is gone what that was, so that its person can be told what came too late.

use std::collections::BTreeMap;

use super::late::Late;
use super::tombstones::{Flag, Tombstones};
use crate::acknowledgement::Positions;
use crate::limits::LATE_WRITES_MAX;
use crate::schema::chat::MessageId;
use crate::schema::{About, Part};

/// What one document in memory is to forget.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forgetting {
    pub(crate) tombstones: Tombstones,
    /// The last envelope of this device by which it edited a message or set something on it.
    mine: BTreeMap<MessageId, Flag>,
    /// What this device set on what had been pruned before that was taken in: at most
    /// `limits::LATE_WRITES_MAX`, the newest.
    late: Vec<Late>,
}

impl Forgetting {
    /// Notes that an envelope that counts wrote a key about this.
    pub(crate) fn wrote(&mut self, about: About, by: Flag, is_mine: bool) {
        match about.part {
            Part::Deleted => self.tombstones.note(about.id, by),
            Part::Set if is_mine => drop(self.mine.insert(about.id, by)),
            Part::Set | Part::Made => {}
        }
    }

    /// Notes what this device set on what had been pruned.
    pub(crate) fn came_late(&mut self, late: Late) {
        if self.late.len() >= LATE_WRITES_MAX {
            self.late.remove(0);
        }
        self.late.push(late);
    }

    /// What has been noted so since this was last asked.
    pub(crate) fn take_late(&mut self) -> Vec<Late> {
        std::mem::take(&mut self.late)
    }

    /// Whether this device set something on a message which not everybody had when it was pruned.
    pub(crate) fn is_late(&self, id: MessageId, frontier: &Positions) -> bool {
        self.mine.get(&id).is_some_and(|flag| !flag.is_within(frontier))
    }
}
