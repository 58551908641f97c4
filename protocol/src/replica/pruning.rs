//! Removes from the content in memory what was deleted and what everybody knows to be deleted.
//!
//! The logs keep it, so a document that is read anew without the flag has it again. Of the flag its
//! key stays. Invariant: no clock moves and nothing is sent; what a reader sees besides the deleted
//! stays the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Content, Live, Replica};
use crate::schema::chat::MessageId;
use crate::schema::key::Owner;
use crate::schema::{self, Concern, Part};
use crate::stability::{Late, LateWhy, Tombstones};
use crate::update::document::{Changes, DocumentError, Value};

/// What became of what was pruned.
#[derive(Debug, Default)]
pub(crate) struct Pruned {
    /// The messages whose content is gone.
    pub(crate) messages: Vec<MessageId>,
    /// What `owner` wrote on this device to them, or to what was pruned before, and not everybody had then.
    pub(crate) late: Vec<Late>,
}

impl Live {
    /// Notes what this device just set on what is pruned: nobody sees that, and its person is to know.
    pub(super) fn note_late(&mut self, changes: &Changes) {
        for change in &changes.keys {
            let about = schema::about(&self.concern, change.root, &change.key);
            let is_set = about.is_some_and(|about| {
                about.part == Part::Set && self.forgetting.tombstones.is_pruned(about.id)
            });
            let value = change.after.as_ref().and_then(Value::as_bytes).filter(|_| is_set);
            if let Some(value) = value {
                self.forgetting.came_late(wrote(&self.concern, change.root, &change.key, value));
            }
        }
    }

    /// Prunes everything that is flagged: for a document that is read no further than all awaited
    /// have it.
    pub(super) fn prune_flagged(&mut self) -> Result<(), DocumentError> {
        let ids: BTreeSet<MessageId> = self.forgetting.tombstones.waiting().map(|(id, _)| id).collect();
        self.forgetting.tombstones.prune(&ids);
        let mut keys = Vec::new();
        for root in schema::roots(&self.concern) {
            let of = |key: &str| {
                let about = schema::about(&self.concern, root, key);
                about.is_some_and(|about| self.forgetting.tombstones.is_pruned(about.id))
            };
            let is_left = |key: &str| !self.document.index().is_bare(root, key);
            let flagged = self.document.iter(root).filter(|(key, _)| of(key) && is_left(key));
            keys.extend(flagged.map(|(key, _)| (*root, Arc::clone(key))));
        }
        self.drop_content(&keys).map(drop)
    }
}

impl Replica {
    /// Prunes what lies within the frontier. `owner` is this device's person.
    pub(crate) fn prune_stable(&mut self, owner: Owner) -> Result<Pruned, DocumentError> {
        let Content::Live(live) = &mut self.content else { return Ok(Pruned::default()) };
        let (mut keys, mut late) = (Vec::new(), live.forgetting.take_late());
        let ids = live.forgetting.tombstones.stable(self.stability.frontier());
        if ids.is_empty() {
            return Ok(Pruned { messages: Vec::new(), late });
        }
        live.forgetting.tombstones.prune(&ids);
        for root in schema::roots(&self.concern) {
            for (key, value) in live.document.iter(root) {
                let about = schema::about(&self.concern, root, key);
                let Some(id) = about.map(|about| about.id).filter(|id| ids.contains(id)) else { continue };
                keys.push((*root, Arc::clone(key)));
                // What several may set can be another's by now: better told in vain than not at all.
                let is_set = about.is_some_and(|about| about.part == Part::Set);
                let writer = schema::writer(&self.concern, root, key);
                let is_own = is_set && writer.is_none_or(|writer| writer == owner);
                if is_own && live.forgetting.is_late(id, self.stability.frontier()) {
                    late.extend(value.as_bytes().map(|value| wrote(&self.concern, root, key, value)));
                }
            }
        }
        live.drop_content(&keys)?;
        Ok(Pruned { messages: ids.into_iter().collect(), late })
    }

    /// How many messages were deleted and wait to be pruned.
    pub(crate) fn count_tombstones(&self) -> usize {
        self.tombstones().map_or(0, Tombstones::count_waiting)
    }

    /// Sees whether the document wants to be folded now, as those do that forget.
    pub(crate) fn measure(&mut self, fold_after: u64) {
        if let (Content::Live(live), true) = (&self.content, schema::forgets(&self.concern)) {
            self.checkpoints.measure(live.beyond, fold_after, &self.heads);
        }
    }

    /// Whether the document waits for what others have to say.
    pub(crate) fn waits(&self) -> bool {
        self.count_tombstones() > 0 || self.checkpoints.wants() || self.unconfirmed.is_some()
    }

    /// How many envelopes of this device do not count, and how many of its writes came too late.
    pub(crate) fn count_not_accepted(&self) -> u64 {
        let late = u64::try_from(self.stability.late().len()).unwrap_or(u64::MAX);
        self.unaccepted.unwrap_or(0).saturating_add(late)
    }
}

/// A write as its person is shown it.
pub(super) fn wrote(concern: &Concern, root: &str, key: &str, value: &[u8]) -> Late {
    let text = schema::text_of(concern, root, key, value);
    Late { root: root.to_owned(), key: key.to_owned(), text, why: LateWhy::Deleted }
}
