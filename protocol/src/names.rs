//! Which four words belong to which id, as far as this node has stretched them.
//!
//! A stretch takes a fifth of a second, so each is done once and kept. A name that was never
//! stretched here is never shown: words that somebody else claims prove nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::StretchId;
use crate::ids::{EntityId, PersonId};
use crate::outbox::{Outbox, local};
use crate::record::Record;
use crate::words::{FourWords, Naming, StretchInput};

/// The kind of the small values that keep names.
pub(crate) const NAME: &str = "name";

/// The names known here, and those being stretched.
#[derive(Debug)]
pub(crate) struct Names {
    naming: Naming,
    known: BTreeMap<[u8; 32], Option<FourWords>>,
    wanted: BTreeSet<[u8; 32]>,
    running: BTreeMap<StretchId, [u8; 32]>,
}

impl Names {
    /// No names yet.
    pub(crate) fn new(naming: Naming) -> Names {
        Names { naming, known: BTreeMap::new(), wanted: BTreeSet::new(), running: BTreeMap::new() }
    }

    /// How names are stretched here.
    pub(crate) fn naming(&self) -> Naming {
        self.naming
    }

    /// Takes a name kept from an earlier run; values that are no name are stretched anew.
    pub(crate) fn restore(&mut self, of: &[u8], value: &[u8]) {
        let Ok(id) = of.try_into() else { return };
        match <[u8; 6]>::try_from(value) {
            Ok(words) => drop(self.known.insert(id, Some(FourWords::from_bytes(words)))),
            Err(_) if value.is_empty() => drop(self.known.insert(id, None)),
            Err(_) => {}
        }
    }

    /// A person's words, once stretched; `None` also if the id has no valid name.
    pub(crate) fn person(&self, person: PersonId) -> Option<FourWords> {
        self.known.get(&person.0).copied().flatten()
    }

    /// An entity's words, once stretched; `None` also if the id has no valid name.
    pub(crate) fn entity(&self, entity: EntityId) -> Option<FourWords> {
        self.known.get(&entity.0).copied().flatten()
    }

    /// Whether this id was stretched, with whatever result.
    pub(crate) fn is_known(&self, id: &[u8; 32]) -> bool {
        self.known.contains_key(id)
    }

    /// Has an id stretched, unless it is known or under way.
    pub(crate) fn want(&mut self, id: [u8; 32], out: &mut Outbox) {
        if !self.known.contains_key(&id) && self.wanted.insert(id) {
            let stretch = out.stretch(StretchInput::Name(self.naming, id));
            self.running.insert(stretch, id);
        }
    }

    /// Takes a stretch that was wanted here and gives the record to keep. `None` if it was not.
    pub(crate) fn stretched(&mut self, stretch: StretchId, bytes: &[u8; 32]) -> Option<Record> {
        let id = self.running.remove(&stretch)?;
        self.wanted.remove(&id);
        Some(self.learn(id, FourWords::from_stretch(self.naming, bytes)))
    }

    /// Takes a name found elsewhere (by minting it) and gives the record to keep.
    pub(crate) fn learn(&mut self, id: [u8; 32], words: Option<FourWords>) -> Record {
        self.known.insert(id, words);
        local(NAME, &id, Some(words.map(|w| w.to_bytes().to_vec()).unwrap_or_default()))
    }
}
