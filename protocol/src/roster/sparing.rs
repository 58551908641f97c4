//! Which statements end or lower somebody, whose logs they cut, and how far they spare them.
//!
//! `governing` asks after every change of the roster, and says what this device held. Every answer
//! is a function of the set of statements alone.

use std::collections::BTreeSet;

use super::Role;
use super::fact::Act;
use super::reading::{Cut, reach};
use super::set::Roster;
use super::table::StatementIx;
use crate::ids::{DeviceKey, PersonId, StatementId};

impl Roster {
    /// Every statement that ended a membership, revoked a device or lowered a role, and counts.
    pub fn cutting(&self) -> BTreeSet<StatementId> {
        let judgement = &self.reading().judgement;
        let mut acts: BTreeSet<StatementIx> = BTreeSet::new();
        for (_, ends) in judgement.ends.iter() {
            acts.extend(ends);
        }
        for (_, revocations) in judgement.revoked.iter() {
            acts.extend(revocations);
        }
        for (m, changes) in judgement.changes.iter() {
            let before = |at: StatementIx| {
                judgement.role_knowing(&self.graph, m, |change| self.graph.knew(at, change), |_| false)
            };
            acts.extend(changes.iter().filter(|at| self.role_given(**at) < Some(before(**at))));
        }
        acts.into_iter().map(|at| self.graph.id(at)).collect()
    }

    /// Whether logs of this device are cut by a statement that ends or lowers somebody.
    pub fn cuts_logs_of(&self, act: &StatementId, device: &DeviceKey) -> bool {
        let Some(node) = self.graph.at(act).map(|at| &self.graph.nodes[at].fact) else { return false };
        match &node.act {
            Act::Revoke(_, key, _) => key == device,
            Act::Remove(person, _) | Act::SetRole(person, ..) => self.person_of(device) == Some(*person),
            Act::Leave(_) => self.person_of(device) == Some(node.by.person),
            _ => false,
        }
    }

    /// Whom a statement that ends or lowers somebody is about.
    pub fn subject(&self, act: &StatementId) -> Option<PersonId> {
        let fact = &self.graph.nodes[self.graph.at(act)?].fact;
        match &fact.act {
            Act::Revoke(person, ..) | Act::Remove(person, _) | Act::SetRole(person, ..) => Some(*person),
            Act::Leave(_) => Some(fact.by.person),
            _ => None,
        }
    }

    /// How far logs of these devices are spared by one statement and all that was declared held
    /// against it.
    pub fn spared_by(&self, act: &StatementId, devices: &BTreeSet<DeviceKey>) -> Cut {
        let acts: Vec<StatementIx> = self.graph.at(act).into_iter().collect();
        reach(&self.graph, &self.reading().judgement, &acts, devices)
    }

    fn role_given(&self, at: StatementIx) -> Option<Role> {
        match self.graph.nodes[at].fact.act {
            Act::SetRole(_, role, _) => Some(role),
            _ => None,
        }
    }
}
