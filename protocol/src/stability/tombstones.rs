//! What was deleted in one document in memory: who flagged it where, and what waits to be pruned.
//!
//! `replica::live` notes flags as it takes envelopes in, `stability` asks which of them everybody
//! has. A flag stays for ever, its content until the flag is stable. Invariant: this follows from
//! the envelopes that count alone, so a document that is read anew with other envelopes in it, a
//! flag made void among them, has forgotten nothing and holds back nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::acknowledgement::Positions;
use crate::ids::LogId;
use crate::schema::chat::MessageId;

/// The envelope that set a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Flag {
    pub(crate) log: LogId,
    pub(crate) sequence: u64,
}

impl Flag {
    /// Whether who holds logs so far has it.
    pub(crate) fn is_within(&self, positions: &Positions) -> bool {
        positions.get(&self.log).is_some_and(|held| *held >= self.sequence)
    }
}

/// The tombstones of one document.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tombstones {
    flags: BTreeMap<MessageId, Vec<Flag>>,
    waiting: BTreeSet<MessageId>,
    /// Counts changes, so that who has looked need not look again.
    changes: u64,
}

impl Tombstones {
    /// Notes that an envelope flagged this. Who else deleted what a snapshot flags matters to nobody.
    pub(crate) fn note(&mut self, id: MessageId, by: Flag) {
        if self.flags.get(&id).is_some_and(Vec::is_empty) {
            return;
        }
        let flags = self.flags.entry(id).or_insert_with(|| {
            self.waiting.insert(id);
            Vec::new()
        });
        // Of one log the first counts: whoever has a later one has it too.
        if !flags.iter().any(|flag| flag.log == by.log && flag.sequence <= by.sequence) {
            flags.push(by);
            self.changes = self.changes.saturating_add(1);
        }
    }

    /// Notes what a snapshot flags: it was pruned before that was made.
    pub(crate) fn settle(&mut self, id: MessageId) {
        self.flags.entry(id).or_default();
        self.waiting.remove(&id);
    }

    /// Whether the content of a message was pruned, so that what comes for it must be too.
    pub(crate) fn is_pruned(&self, id: MessageId) -> bool {
        self.flags.contains_key(&id) && !self.waiting.contains(&id)
    }

    /// What waits for its flag to be stable, with all flags of it.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (MessageId, &[Flag])> {
        self.waiting.iter().filter_map(|id| Some((*id, self.flags.get(id)?.as_slice())))
    }

    /// How many wait.
    pub(crate) fn count_waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many were pruned.
    pub(crate) fn count_pruned(&self) -> usize {
        self.flags.len().saturating_sub(self.waiting.len())
    }

    /// All that was pruned.
    pub(crate) fn pruned(&self) -> impl Iterator<Item = (MessageId, &[Flag])> {
        let pruned = self.flags.iter().filter(|(id, _)| !self.waiting.contains(id));
        pruned.map(|(id, flags)| (*id, flags.as_slice()))
    }

    /// What waits and of which any flag lies within these positions.
    pub(crate) fn stable(&self, frontier: &Positions) -> BTreeSet<MessageId> {
        let stable = self.waiting().filter(|(_, flags)| flags.iter().any(|flag| flag.is_within(frontier)));
        stable.map(|(id, _)| id).collect()
    }

    /// Notes that the content of these is being removed.
    pub(crate) fn prune(&mut self, ids: &BTreeSet<MessageId>) {
        self.waiting.retain(|id| !ids.contains(id));
        self.changes = self.changes.saturating_add(1);
    }

    /// A number that is another after every change.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{DeviceKey, DocumentKey, Incarnation};

    fn flag(device: u8, sequence: u64) -> Flag {
        let (document, device) = (DocumentKey([1; 32]), DeviceKey([device; 32]));
        Flag { log: LogId { document, device, incarnation: Incarnation(0) }, sequence }
    }

    #[test]
    fn one_flag_that_everybody_has_makes_a_tombstone_stable_and_the_flag_stays() {
        let id = MessageId { owner: [7; 16], random: [8; 8] };
        let mut tombstones = Tombstones::default();
        tombstones.note(id, flag(1, 5));
        tombstones.note(id, flag(2, 9));
        tombstones.note(id, flag(1, 6));
        assert_eq!(tombstones.waiting().map(|(id, flags)| (id, flags.len())).collect::<Vec<_>>(), [(id, 2)]);
        let upto = |sequence| Positions::from([(flag(2, 0).log, sequence)]);
        assert!(tombstones.stable(&upto(8)).is_empty() && !tombstones.is_pruned(id));
        let stable = tombstones.stable(&upto(9));
        assert_eq!(stable, BTreeSet::from([id]));
        tombstones.prune(&stable);
        assert!(tombstones.is_pruned(id));
        assert_eq!((tombstones.count_waiting(), tombstones.count_pruned()), (0, 1));
        tombstones.note(id, flag(3, 1));
        assert!(tombstones.is_pruned(id), "a flag that comes later brings nothing back");
    }

    #[test]
    fn what_a_snapshot_flags_stays_as_it_is_whoever_deletes_it_too() {
        let id = MessageId { owner: [7; 16], random: [8; 8] };
        let mut tombstones = Tombstones::default();
        tombstones.settle(id);
        tombstones.note(id, flag(1, 5));
        assert!(tombstones.is_pruned(id) && tombstones.count_waiting() == 0);
        assert!(tombstones.pruned().all(|(_, flags)| flags.is_empty()));
    }
}
