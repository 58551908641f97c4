//! What this device did to boards, issue trackers and canvases, to be undone and done again.
//!
//! `asking::things` notes here what each request did and asks what comes next. Invariants: it is
//! kept in memory alone, so a node that starts has nothing to undo; it is bounded in documents,
//! steps and bytes, the oldest going first; whatever is done anew ends what could be done again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::ids::DocumentKey;
use crate::limits::{UNDO_BYTES_MAX, UNDO_DOCUMENTS_MAX, UNDO_FIELDS_MAX, UNDO_STEPS_MAX};
use crate::schema::thing::ThingId;
use crate::schema::things::{Deed, Mark, Print, print};
use crate::schema::{self, Concern, Part, Put};

/// Bytes that one deed takes beside its values, about.
const DEED_BYTES: usize = 128;

/// Which way a person goes through what it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Back.
    Undo,
    /// Forth again.
    Redo,
}

/// What one request did.
#[derive(Debug)]
struct Step {
    deeds: Vec<Deed>,
    bytes: usize,
}

impl Step {
    fn new(deeds: Vec<Deed>) -> Step {
        let add = |sum: usize, deed: &Deed| sum.saturating_add(deed.size()).saturating_add(DEED_BYTES);
        let bytes = deeds.iter().fold(0, add);
        Step { deeds, bytes }
    }
}

/// What was done to all documents in this run.
#[derive(Debug, Default)]
pub(crate) struct Undoing {
    documents: BTreeMap<DocumentKey, History>,
    /// Counts what was done, to tell which document was left alone the longest.
    count: u64,
}

/// What one step was taken by.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// What was written.
    pub(crate) puts: Vec<Put>,
    /// For each write the record that the deed which it reverts had written over.
    pub(crate) over: Vec<Option<Print>>,
    /// What reverts these in turn.
    pub(crate) back: Vec<Deed>,
    /// Things that were made anew, by their old and their new name.
    pub(crate) renamed: Vec<(ThingId, ThingId)>,
}

/// What was done to one document.
#[derive(Debug, Default)]
pub(crate) struct History {
    undo: VecDeque<Step>,
    redo: VecDeque<Step>,
    /// Of things that were made here and are in the steps: what this device wrote last under each
    /// of their keys. What else stands there is another's work.
    made: BTreeMap<ThingId, BTreeMap<String, Print>>,
    last: u64,
}

impl Undoing {
    /// What was done to a document, if anything.
    pub(crate) fn of(&self, document: &DocumentKey) -> Option<&History> {
        self.documents.get(document)
    }

    /// Forgets what was done to a document.
    pub(crate) fn forget(&mut self, document: &DocumentKey) {
        self.documents.remove(document);
    }

    /// Notes what a request did to a document, which ends what could be done again there.
    pub(crate) fn did(&mut self, document: DocumentKey, concern: &Concern, deeds: Vec<Deed>, puts: &[Put]) {
        if deeds.is_empty() {
            return;
        }
        let history = self.history(document);
        history.redo.clear();
        history.undo.push_back(Step::new(deeds));
        history.end(concern, puts);
    }

    /// Notes that the last step one way was taken, and by what.
    pub(crate) fn went(&mut self, way: Way, document: DocumentKey, concern: &Concern, taken: &Taken) {
        let history = self.history(document);
        let (from, to) = match way {
            Way::Undo => (&mut history.undo, &mut history.redo),
            Way::Redo => (&mut history.redo, &mut history.undo),
        };
        from.pop_back();
        for (put, over) in taken.puts.iter().zip(&taken.over) {
            let Some(over) = *over else { continue };
            let mut deeds = from.iter_mut().rev().flat_map(|step| &mut step.deeds);
            let _: bool = deeds.any(|deed| deed.adopt(put, over));
        }
        if !taken.back.is_empty() {
            to.push_back(Step::new(taken.back.clone()));
        }
        for (old, new) in &taken.renamed {
            history.rename(*old, *new);
        }
        history.end(concern, &taken.puts);
    }

    fn history(&mut self, document: DocumentKey) -> &mut History {
        self.count = self.count.saturating_add(1);
        if !self.documents.contains_key(&document) && self.documents.len() >= UNDO_DOCUMENTS_MAX {
            let oldest = self.documents.iter().min_by_key(|(_, history)| history.last);
            if let Some(oldest) = oldest.map(|(document, _)| *document) {
                self.documents.remove(&oldest);
            }
        }
        let history = self.documents.entry(document).or_default();
        history.last = self.count;
        history
    }
}

impl History {
    /// What comes next one way.
    pub(crate) fn next(&self, way: Way) -> Option<&[Deed]> {
        let steps = match way {
            Way::Undo => &self.undo,
            Way::Redo => &self.redo,
        };
        steps.back().map(|step| step.deeds.as_slice())
    }

    /// How many steps there are each way.
    pub(crate) fn lengths(&self) -> (usize, usize) {
        (self.undo.len(), self.redo.len())
    }

    /// Whether this device wrote what stands under a key of a thing that was made here.
    pub(crate) fn is_ours(&self, id: ThingId, key: &str, value: &[u8]) -> bool {
        self.made.get(&id).and_then(|keys| keys.get(key)) == Some(&print(value))
    }

    /// Speaks of a thing that was made anew by its new name, under which nothing was set yet.
    fn rename(&mut self, from: ThingId, to: ThingId) {
        let mut begun: Vec<Mark> = Vec::new();
        let steps = self.undo.iter_mut().chain(self.redo.iter_mut().rev());
        for deed in steps.flat_map(|step| &mut step.deeds) {
            let is_about = deed.about() == Some(from);
            deed.rename(from, to);
            if let Some(mark) = deed.mark().filter(|mark| is_about && !begun.contains(mark)) {
                begun.push(mark.clone());
                deed.begin_anew();
            }
        }
    }

    /// Keeps within bounds, and notes what was written on things that were made here.
    fn end(&mut self, concern: &Concern, puts: &[Put]) {
        while self.undo.len() + self.redo.len() > UNDO_STEPS_MAX || self.bytes() > UNDO_BYTES_MAX {
            if self.undo.pop_front().or_else(|| self.redo.pop_front()).is_none() {
                break;
            }
        }
        let deeds = self.undo.iter().chain(&self.redo).flat_map(|step| &step.deeds);
        let made: BTreeSet<ThingId> = deeds.filter_map(Deed::made).collect();
        self.made.retain(|id, _| made.contains(id));
        for id in made {
            self.made.entry(id).or_default();
        }
        for put in puts {
            let about = schema::about(concern, put.root, &put.key);
            let Some(about) = about.filter(|about| about.part == Part::Set) else { continue };
            let count: usize = self.made.values().map(BTreeMap::len).sum();
            if let Some(keys) = self.made.get_mut(&about.id)
                && (count < UNDO_FIELDS_MAX || keys.contains_key(&put.key))
            {
                keys.insert(put.key.clone(), print(&put.value));
            }
        }
    }

    fn bytes(&self) -> usize {
        self.undo.iter().chain(&self.redo).fold(0, |sum, step| sum.saturating_add(step.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::field::Value;
    use crate::schema::things::{Mark, Tail};

    const CONCERN: Concern = Concern::Canvas;

    fn document(number: usize) -> DocumentKey {
        DocumentKey(*blake3::hash(&number.to_be_bytes()).as_bytes())
    }

    fn id(number: u64) -> ThingId {
        ThingId { owner: [1; 16], random: number.to_be_bytes() }
    }

    fn set(thing: u64, bytes: usize) -> Deed {
        let mark = Mark::Field(id(thing), "text".into(), None);
        let (before, tail) = (Some(Value::Text(String::new())), Tail::default());
        Deed::Set { mark, before, tail, over: None, wrote: vec![7; bytes] }
    }

    fn made(thing: u64) -> Deed {
        Deed::Made { root: "elements", id: id(thing), wrote: vec![1] }
    }

    fn put(thing: u64, field: usize) -> Put {
        let key = format!("{}|f{field}", id(thing).to_string().replace('-', "|"));
        Put { root: "fields", key, value: vec![9] }
    }

    #[test]
    fn the_oldest_steps_go_first_where_there_are_too_many_or_they_are_too_large() {
        let mut undoing = Undoing::default();
        for number in 0..=UNDO_STEPS_MAX {
            undoing.did(document(0), &CONCERN, vec![set(u64::try_from(number).unwrap(), 1)], &[]);
        }
        let history = undoing.of(&document(0)).unwrap();
        assert_eq!(history.lengths(), (UNDO_STEPS_MAX, 0));
        assert_eq!(history.undo[0].deeds, [set(1, 1)]);
        let third = UNDO_BYTES_MAX / 3;
        for number in 0..3 {
            undoing.did(document(1), &CONCERN, vec![set(number, third)], &[]);
        }
        assert_eq!(undoing.of(&document(1)).unwrap().lengths(), (2, 0), "with what each takes beside");
        undoing.did(document(1), &CONCERN, vec![set(9, UNDO_BYTES_MAX)], &[]);
        assert_eq!(undoing.of(&document(1)).unwrap().lengths(), (0, 0), "too large to be undone at all");
    }

    #[test]
    fn the_document_that_was_left_alone_the_longest_is_forgotten_first() {
        let mut undoing = Undoing::default();
        for number in 0..UNDO_DOCUMENTS_MAX {
            undoing.did(document(number), &CONCERN, vec![set(1, 1)], &[]);
        }
        undoing.did(document(0), &CONCERN, vec![set(1, 1)], &[]);
        undoing.did(document(UNDO_DOCUMENTS_MAX), &CONCERN, vec![set(1, 1)], &[]);
        assert_eq!(undoing.documents.len(), UNDO_DOCUMENTS_MAX);
        assert!(undoing.of(&document(1)).is_none());
        assert_eq!(undoing.of(&document(0)).unwrap().lengths(), (2, 0));
    }

    #[test]
    fn what_is_done_anew_ends_what_could_be_done_again() {
        let mut undoing = Undoing::default();
        undoing.did(document(0), &CONCERN, vec![set(1, 1)], &[]);
        undoing.went(Way::Undo, document(0), &CONCERN, &Taken { back: vec![set(1, 2)], ..Taken::default() });
        assert_eq!(undoing.of(&document(0)).unwrap().next(Way::Redo), Some(&[set(1, 2)][..]));
        undoing.did(document(0), &CONCERN, vec![set(2, 1)], &[]);
        assert_eq!(undoing.of(&document(0)).unwrap().lengths(), (1, 0));
        undoing.went(Way::Undo, document(0), &CONCERN, &Taken::default());
        assert_eq!(undoing.of(&document(0)).unwrap().lengths(), (0, 0), "nothing of it could be undone");
    }

    #[test]
    fn only_so_many_fields_are_known_to_be_ours_and_none_once_the_thing_is_out_of_the_steps() {
        let mut undoing = Undoing::default();
        undoing.did(document(0), &CONCERN, vec![made(1)], &[]);
        let puts: Vec<Put> = (0..=UNDO_FIELDS_MAX).map(|field| put(1, field)).collect();
        undoing.did(document(0), &CONCERN, vec![set(1, 1)], &puts);
        let history = undoing.of(&document(0)).unwrap();
        let is_ours = |put: &Put| history.is_ours(id(1), &put.key, &put.value);
        assert!(is_ours(&puts[UNDO_FIELDS_MAX - 1]) && !is_ours(&puts[UNDO_FIELDS_MAX]));
        assert!(!history.is_ours(id(1), &puts[0].key, &[8]), "another value is another's");
        for _ in 0..UNDO_STEPS_MAX {
            undoing.did(document(0), &CONCERN, vec![set(2, 1)], &[]);
        }
        assert!(undoing.of(&document(0)).unwrap().made.is_empty());
    }
}
