//! Counts what happened by kind, so that a run can show that it tried what it claims to.

use std::collections::BTreeMap;

/// Counts by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(pub BTreeMap<String, u64>);

impl Tally {
    /// Counts one.
    pub fn count(&mut self, kind: &str) {
        self.add(kind, 1);
    }

    /// Counts many.
    pub fn add(&mut self, kind: &str, many: u64) {
        match self.0.get_mut(kind) {
            Some(count) => *count += many,
            None => drop(self.0.insert(kind.to_owned(), many)),
        }
    }

    /// How many of a kind were counted.
    pub fn of(&self, kind: &str) -> u64 {
        self.0.get(kind).copied().unwrap_or(0)
    }

    /// Adds all of another tally.
    pub fn merge(&mut self, other: &Tally) {
        for (kind, many) in &other.0 {
            self.add(kind, *many);
        }
    }
}
