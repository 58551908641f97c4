//! Which four words belong to which id, and where they are looked up, as far as stretched here.
//!
//! A stretch takes a fifth of a second, so each is done once and kept, few at a time, and what a
//! person waits for goes first: members can be made faster than their names. A name that was
//! never stretched here is never shown: words that somebody else claims prove nothing.

use std::collections::{BTreeMap, VecDeque};

use crate::event::StretchId;
use crate::ids::{Digest, EntityId, PersonId};
use crate::limits::{STRETCHES_MAX, STRETCHES_WAITING_MAX};
use crate::outbox::{Outbox, local};
use crate::record::Record;
use crate::words::{FourWords, Naming, StretchInput};

/// The kind of the small values that keep names.
pub(crate) const NAME: &str = "name";

/// The kind of the small values that keep where words are looked up.
pub(crate) const LOOKUP: &str = "lookup";

/// The names known here, and those being stretched.
#[derive(Debug)]
pub(crate) struct Names {
    naming: Naming,
    known: BTreeMap<[u8; 32], Option<FourWords>>,
    lookups: BTreeMap<FourWords, Digest>,
    /// Not begun, the next one first. At most `STRETCHES_WAITING_MAX`.
    waiting: VecDeque<StretchInput>,
    /// Under way. At most `STRETCHES_MAX`.
    running: BTreeMap<StretchId, StretchInput>,
}

impl Names {
    /// No names yet.
    pub(crate) fn new(naming: Naming) -> Names {
        Names {
            naming,
            known: BTreeMap::new(),
            lookups: BTreeMap::new(),
            waiting: VecDeque::new(),
            running: BTreeMap::new(),
        }
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

    /// Takes a lookup key kept from an earlier run; what is none is stretched anew.
    pub(crate) fn restore_lookup(&mut self, of: &[u8], value: &[u8]) {
        if let (Ok(words), Ok(key)) = (of.try_into(), value.try_into()) {
            self.lookups.insert(FourWords::from_bytes(words), Digest(key));
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

    /// Where these words are looked up, once stretched.
    pub(crate) fn lookup(&self, words: FourWords) -> Option<Digest> {
        self.lookups.get(&words).copied()
    }

    /// Whether this id was stretched, with whatever result.
    pub(crate) fn is_known(&self, id: &[u8; 32]) -> bool {
        self.known.contains_key(id)
    }

    /// Has a member's id stretched when its turn comes, unless it is known. False if there is no
    /// room: then it must be wanted again once others are done.
    pub(crate) fn want(&mut self, id: [u8; 32], out: &mut Outbox) -> bool {
        self.is_known(&id) || self.add(StretchInput::Name(self.naming, id), out)
    }

    /// Has words stretched to their lookup key when their turn comes; as `want`.
    pub(crate) fn want_lookup(&mut self, words: FourWords, out: &mut Outbox) -> bool {
        self.lookups.contains_key(&words) || self.add(StretchInput::Lookup(self.naming, words), out)
    }

    /// Has an id stretched before all others: somebody on this device waits for it.
    pub(crate) fn want_first(&mut self, id: [u8; 32], out: &mut Outbox) {
        if !self.is_known(&id) {
            self.add_first(StretchInput::Name(self.naming, id), out);
        }
    }

    /// Has words stretched to their lookup key before all others; as `want_first`.
    pub(crate) fn want_lookup_first(&mut self, words: FourWords, out: &mut Outbox) {
        if !self.lookups.contains_key(&words) {
            self.add_first(StretchInput::Lookup(self.naming, words), out);
        }
    }

    fn add(&mut self, input: StretchInput, out: &mut Outbox) -> bool {
        if self.waiting.contains(&input) || self.is_running(&input) {
            return true;
        }
        let room = self.waiting.len() < STRETCHES_WAITING_MAX;
        if room {
            self.waiting.push_back(input);
            self.begin(out);
        }
        room
    }

    fn add_first(&mut self, input: StretchInput, out: &mut Outbox) {
        if self.is_running(&input) {
            return;
        }
        self.waiting.retain(|waiting| *waiting != input);
        self.waiting.push_front(input);
        self.waiting.truncate(STRETCHES_WAITING_MAX);
        self.begin(out);
    }

    fn is_running(&self, input: &StretchInput) -> bool {
        self.running.values().any(|running| running == input)
    }

    fn begin(&mut self, out: &mut Outbox) {
        while self.running.len() < STRETCHES_MAX
            && let Some(input) = self.waiting.pop_front()
        {
            let stretch = out.stretch(input);
            self.running.insert(stretch, input);
        }
    }

    /// The id whose name a stretch is for that was wanted here.
    pub(crate) fn named_by(&self, stretch: StretchId) -> Option<[u8; 32]> {
        match self.running.get(&stretch)? {
            StretchInput::Name(_, id) => Some(*id),
            StretchInput::Lookup(..) | StretchInput::Work { .. } => None,
        }
    }

    /// Takes a stretch that was wanted here and gives the record to keep. `None` if it was not.
    pub(crate) fn stretched(
        &mut self,
        stretch: StretchId,
        bytes: &[u8; 32],
        out: &mut Outbox,
    ) -> Option<Record> {
        let input = self.running.remove(&stretch)?;
        self.begin(out);
        match input {
            StretchInput::Name(naming, id) => Some(self.learn(id, FourWords::from_stretch(naming, bytes))),
            StretchInput::Lookup(_, words) => {
                let key = FourWords::lookup_key(bytes).0;
                self.lookups.insert(words, Digest(key));
                Some(local(LOOKUP, &words.to_bytes(), Some(key.to_vec())))
            }
            StretchInput::Work { .. } => None,
        }
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
