//! Which four words belong to which id, as far as this node has stretched them.
//!
//! A stretch takes a fifth of a second, so each is done once and kept, few at a time, and what a
//! person waits for goes first: members can be made faster than their names. A name that was
//! never stretched here is never shown: words that somebody else claims prove nothing.

use std::collections::{BTreeMap, VecDeque};

use crate::event::StretchId;
use crate::ids::{EntityId, PersonId};
use crate::limits::{STRETCHES_MAX, STRETCHES_WAITING_MAX};
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
    /// Not begun, the next one first. At most `STRETCHES_WAITING_MAX`.
    waiting: VecDeque<[u8; 32]>,
    /// Under way. At most `STRETCHES_MAX`.
    running: BTreeMap<StretchId, [u8; 32]>,
}

impl Names {
    /// No names yet.
    pub(crate) fn new(naming: Naming) -> Names {
        Names { naming, known: BTreeMap::new(), waiting: VecDeque::new(), running: BTreeMap::new() }
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

    /// Has a member's id stretched when its turn comes, unless it is known. False if there is no
    /// room: then it must be wanted again once others are done.
    pub(crate) fn want(&mut self, id: [u8; 32], out: &mut Outbox) -> bool {
        if self.is_known(&id) || self.is_wanted(&id) {
            return true;
        }
        let room = self.waiting.len() < STRETCHES_WAITING_MAX;
        if room {
            self.waiting.push_back(id);
            self.begin(out);
        }
        room
    }

    /// Has an id stretched before all others: somebody on this device waits for it.
    pub(crate) fn want_first(&mut self, id: [u8; 32], out: &mut Outbox) {
        if self.is_known(&id) || self.running.values().any(|running| *running == id) {
            return;
        }
        self.waiting.retain(|waiting| *waiting != id);
        self.waiting.push_front(id);
        self.waiting.truncate(STRETCHES_WAITING_MAX);
        self.begin(out);
    }

    fn is_wanted(&self, id: &[u8; 32]) -> bool {
        self.waiting.contains(id) || self.running.values().any(|running| running == id)
    }

    fn begin(&mut self, out: &mut Outbox) {
        while self.running.len() < STRETCHES_MAX
            && let Some(id) = self.waiting.pop_front()
        {
            let stretch = out.stretch(StretchInput::Name(self.naming, id));
            self.running.insert(stretch, id);
        }
    }

    /// Takes a stretch that was wanted here and gives the record to keep. `None` if it was not.
    pub(crate) fn stretched(
        &mut self,
        stretch: StretchId,
        bytes: &[u8; 32],
        out: &mut Outbox,
    ) -> Option<Record> {
        let id = self.running.remove(&stretch)?;
        self.begin(out);
        Some(self.learn(id, FourWords::from_stretch(self.naming, bytes)))
    }

    /// How many stretches run and how many wait.
    pub(crate) fn stretching(&self) -> (usize, usize) {
        (self.running.len(), self.waiting.len())
    }

    /// Takes a name found elsewhere (by minting it) and gives the record to keep.
    pub(crate) fn learn(&mut self, id: [u8; 32], words: Option<FourWords>) -> Record {
        self.known.insert(id, words);
        local(NAME, &id, Some(words.map(|w| w.to_bytes().to_vec()).unwrap_or_default()))
    }
}
