//! What this device held of somebody who was ended or lowered, and says so.
//!
//! A removal, a demotion, a revocation and a leave carry the heads of the logs that their author
//! held; whoever held more says so in a `Held`. It is signed the moment such a statement begins to
//! count here and written in one batch with what made it count, so no crash comes between, and
//! nothing that came later can be passed off as held before. Each knows of that one statement and
//! of its author's seat alone: however many come at once, every one is the first to know of its own.

use std::collections::{BTreeMap, BTreeSet};

use crate::checkpoint::Vector;
use crate::entity::Entity;
use crate::identity::DeviceSecret;
use crate::ids::{DeviceKey, LogHead, LogId, PersonId, StatementId};
use crate::limits::{HELD_STATEMENTS_MAX, VECTOR_LOGS_MAX};
use crate::roster::{Body, Inserted, Signer, Vectors};

impl Entity {
    /// The heads of a person's logs: what a statement that ends or lowers the person spares.
    ///
    /// What does not fit, the shorter logs, is declared held by the same device in the same batch.
    pub(crate) fn vectors_of(&self, person: PersonId) -> Vectors {
        let logs = self.logs_where(|device| self.roster.person_of(device) == Some(person));
        vectors(logs).into_iter().next().unwrap_or_default()
    }

    /// The heads of one device's logs: what its revocation spares.
    pub(crate) fn vectors_of_device(&self, device: DeviceKey) -> Vectors {
        vectors(self.logs_where(|of| *of == device)).into_iter().next().unwrap_or_default()
    }

    fn logs_where(&self, of: impl Fn(&DeviceKey) -> bool) -> BTreeMap<LogId, LogHead> {
        let heads = self.replicas.values().flat_map(|replica| replica.heads.iter());
        heads.filter(|(log, _)| of(&log.device)).map(|(log, head)| (*log, *head)).collect()
    }

    /// Notes all that cuts somebody's logs by now as looked at: what this device held of them was
    /// said when each began to count.
    pub(crate) fn remember_cutting(&mut self) {
        self.cutting = self.roster.cutting();
    }

    /// Says what this device held beyond what each statement spares that began to count since this
    /// was last asked. Gives the statements, which must be written with what made them count.
    pub(crate) fn vouch(&mut self, me: &DeviceSecret) -> Vec<StatementId> {
        let before = std::mem::take(&mut self.cutting);
        self.remember_cutting();
        let began: Vec<StatementId> = self.cutting.difference(&before).copied().collect();
        let mut stated = Vec::new();
        for act in began {
            if self.roster.subject(&act) == self.roster.person_of(&me.key()) {
                continue;
            }
            for vectors in vectors(self.held_beyond(&act)) {
                let body = Body::Held { removal: act, vectors };
                let Ok(held) = self.roster.draft_knowing(Signer::Device(me), body, &act) else { break };
                let id = held.id();
                if matches!(self.roster.add(held), Inserted::New(_)) {
                    stated.push(id);
                }
            }
        }
        stated
    }

    /// The statements that cut logs short of where a vector has them: what lies beyond counts less for who
    /// knows of them than for who does not.
    pub(crate) fn cutting_short(&self, vector: &Vector) -> Vec<StatementId> {
        let cuts = |act: &&StatementId| {
            let of = |(log, _): &(&LogId, &LogHead)| self.roster.cuts_logs_of(act, &log.device);
            let logs = vector.iter().filter(of).map(|(log, head)| (*log, *head)).collect();
            !self.beyond(act, logs).is_empty()
        };
        self.cutting.iter().filter(cuts).copied().collect()
    }

    /// The logs that a statement cuts short of what is held here.
    fn held_beyond(&self, act: &StatementId) -> BTreeMap<LogId, LogHead> {
        self.beyond(act, self.logs_where(|device| self.roster.cuts_logs_of(act, device)))
    }

    /// Of logs that a statement cuts, those that stand further than all that is spared.
    fn beyond(&self, act: &StatementId, mut held: BTreeMap<LogId, LogHead>) -> BTreeMap<LogId, LogHead> {
        let devices: BTreeSet<DeviceKey> = held.keys().map(|log| log.device).collect();
        let spared = self.roster.spared_by(act, &devices);
        held.retain(|log, head| spared.get(log).is_none_or(|spared| spared.sequence < head.sequence));
        held
    }
}

/// Cuts heads into as many vectors as it takes: the longest logs first, then by name. At most
/// `HELD_STATEMENTS_MAX`; the shortest logs find no room.
fn vectors(heads: BTreeMap<LogId, LogHead>) -> Vec<Vectors> {
    let mut heads: Vec<(LogId, LogHead)> = heads.into_iter().collect();
    heads.sort_by_key(|(log, head)| (std::cmp::Reverse(head.sequence), *log));
    let parts = heads.chunks(VECTOR_LOGS_MAX).take(HELD_STATEMENTS_MAX).map(|part| {
        let mut part = part.to_vec();
        part.sort_unstable();
        part
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{DocumentKey, EnvelopeHash, Incarnation};

    /// So many logs, each one longer than the one before.
    fn logs(count: usize) -> BTreeMap<LogId, LogHead> {
        let numbers = 1..=u64::try_from(count).unwrap();
        let log = |number| LogId {
            document: DocumentKey([1; 32]),
            device: DeviceKey([2; 32]),
            incarnation: Incarnation(number),
        };
        numbers
            .map(|number| (log(number), LogHead { sequence: number, hash: EnvelopeHash([3; 32]) }))
            .collect()
    }

    #[test]
    fn logs_are_declared_in_full_vectors_and_of_too_many_the_shortest_is_left_out() {
        let all = HELD_STATEMENTS_MAX * VECTOR_LOGS_MAX;
        for count in [all, all + 1] {
            let stated = vectors(logs(count));
            assert_eq!(stated.len(), HELD_STATEMENTS_MAX);
            assert!(stated.iter().all(|part| part.len() == VECTOR_LOGS_MAX && part.is_sorted()));
            let of: BTreeSet<LogId> = stated.iter().flatten().map(|(log, _)| *log).collect();
            let left_out: Vec<u64> =
                logs(count).keys().filter(|log| !of.contains(log)).map(|log| log.incarnation.0).collect();
            assert_eq!(left_out, (1..=count - all).map(|n| n as u64).collect::<Vec<_>>());
        }
        assert_eq!(vectors(logs(VECTOR_LOGS_MAX + 1)).len(), 2);
        assert!(vectors(BTreeMap::new()).is_empty());
    }
}
