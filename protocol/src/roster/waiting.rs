//! Statements whose parents have not come yet, bounded in number and bytes.
//!
//! `set` puts them here and takes them back when the last parent arrives. Signatures are checked
//! already, rights cannot be. When full, what waits stays and more is refused: whoever syncs
//! gives parents first and needs no waiting at all.

use std::collections::{BTreeMap, BTreeSet};

use super::statement::Statement;
use crate::ids::StatementId;
use crate::limits::{WAITING_STATEMENT_BYTES_MAX, WAITING_STATEMENTS_MAX};

#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    statements: BTreeMap<StatementId, (Statement, BTreeSet<StatementId>)>,
    /// By missing parent, who waits for it.
    wanted: BTreeMap<StatementId, BTreeSet<StatementId>>,
    bytes: usize,
}

impl Waiting {
    pub(super) fn contains(&self, id: &StatementId) -> bool {
        self.statements.contains_key(id)
    }

    pub(super) fn count(&self) -> usize {
        self.statements.len()
    }

    /// Lets a statement wait for these parents; false if there is no room.
    pub(super) fn push(&mut self, statement: Statement, missing: BTreeSet<StatementId>) -> bool {
        let id = statement.id();
        if self.contains(&id) {
            return true;
        }
        let bytes = self.bytes.saturating_add(statement.bytes().len());
        if self.statements.len() >= WAITING_STATEMENTS_MAX || bytes > WAITING_STATEMENT_BYTES_MAX {
            return false;
        }
        self.bytes = bytes;
        for parent in &missing {
            self.wanted.entry(*parent).or_default().insert(id);
        }
        self.statements.insert(id, (statement, missing));
        true
    }

    /// Gives back what waited for this parent and for nothing else.
    pub(super) fn arrived(&mut self, parent: &StatementId) -> Vec<Statement> {
        let mut ready = Vec::new();
        for id in self.wanted.remove(parent).unwrap_or_default() {
            let Some((_, missing)) = self.statements.get_mut(&id) else { continue };
            missing.remove(parent);
            if missing.is_empty()
                && let Some((statement, _)) = self.statements.remove(&id)
            {
                self.bytes = self.bytes.saturating_sub(statement.bytes().len());
                ready.push(statement);
            }
        }
        ready
    }
}
