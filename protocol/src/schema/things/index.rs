//! Orders the things of a document and gathers comments by what they are about.
//!
//! The replica keeps one per open document and notes each key that an update changed. Invariant:
//! it equals what a scan of the same maps gives, whatever the order of the notes. It holds names
//! and times only.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::layout::{COMMENTS, Key, Layout, ThingRecord};
use crate::schema::chat::MessageRecord;
use crate::schema::key::Owner;
use crate::schema::thing::ThingId;
use crate::schema::{Maps, record};
use crate::time::WallTime;

/// When a thing was made and, if it is a comment, what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stand {
    subject: Option<ThingId>,
    time: WallTime,
}

/// What a document holds, by table and time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThingIndex {
    order: BTreeSet<(&'static str, Option<ThingId>, WallTime, ThingId)>,
    /// Begins with the random part, by which people name a thing. One name may be in two maps, if
    /// its owner wants it so.
    stands: BTreeMap<([u8; 8], Owner, &'static str), Stand>,
    deleted: BTreeSet<(ThingId, Owner)>,
}

impl ThingIndex {
    /// Reads all maps once.
    pub fn scan(layout: &Layout, maps: &dyn Maps) -> ThingIndex {
        let mut index = ThingIndex::default();
        for root in layout.roots {
            for (key, value) in maps.range(root, "") {
                index.note(layout, root, key, Some(value));
            }
        }
        index
    }

    /// Takes in what a key holds now; `None` if its content is gone. Costs O(log n).
    ///
    /// Foreign keys and malformed records, which `rights` lets nobody write, count as absent.
    pub fn note(&mut self, layout: &Layout, root: &str, key: &str, value: Option<&[u8]>) {
        let Ok(key) = Key::parse(layout, root, key) else { return };
        match key {
            Key::Thing(root, id) => {
                let record = value.and_then(|value| ThingRecord::read(layout, value).ok());
                self.stand(root, id, record.map(|record| Stand { subject: None, time: record.time }));
            }
            Key::Comment(id) => {
                let record = value.and_then(|value| MessageRecord::read(value).ok());
                let stand = record
                    .and_then(|record| Some(Stand { subject: Some(record.parent?), time: record.time }));
                self.stand(COMMENTS, id, stand);
            }
            Key::Deleted(actor, id) => {
                // Of a flag that was pruned nothing is left but that it is there.
                let reads = |value: &[u8]| record::read(value, |reader, _| record::time(reader)).is_ok();
                let is_flag = value.is_some_and(|value| value.is_empty() || reads(value));
                match is_flag {
                    true => drop(self.deleted.insert((id, actor))),
                    false => drop(self.deleted.remove(&(id, actor))),
                }
            }
            Key::Field(..) | Key::Edit(_) | Key::Metadata(_) => {}
        }
    }

    fn stand(&mut self, root: &'static str, id: ThingId, now: Option<Stand>) {
        let name = (id.random, id.owner, root);
        let before = match now {
            Some(now) => self.stands.insert(name, now),
            None => self.stands.remove(&name),
        };
        if let Some(Stand { subject, time }) = before {
            self.order.remove(&(root, subject, time, id));
        }
        if let Some(Stand { subject, time }) = now {
            self.order.insert((root, subject, time, id));
        }
    }

    /// The things of a table that are not deleted, by time, then by name.
    pub(super) fn of(&self, root: &'static str) -> impl Iterator<Item = ThingId> {
        let least = (root, None, WallTime(0), ThingId { owner: [0; 16], random: [0; 8] });
        let all = self.order.range(least..).take_while(move |(of, ..)| *of == root);
        all.map(|(.., id)| *id).filter(|id| !self.is_deleted(*id))
    }

    /// The comments on a thing that are not deleted, by time, then by name.
    pub(super) fn comments(&self, subject: ThingId) -> impl Iterator<Item = ThingId> {
        let least = ThingId { owner: [0; 16], random: [0; 8] };
        let all = self.order.range((COMMENTS, Some(subject), WallTime(0), least)..);
        let all = all.take_while(move |(root, of, ..)| *root == COMMENTS && *of == Some(subject));
        all.map(|(.., id)| *id).filter(|id| !self.is_deleted(*id))
    }

    /// All comments that are not deleted.
    pub(super) fn all_comments(&self) -> impl Iterator<Item = ThingId> {
        let all = self.order.iter().filter(|(root, ..)| *root == COMMENTS);
        all.map(|(.., id)| *id).filter(|id| !self.is_deleted(*id))
    }

    /// Whether a map holds something of this name: it has come and is not pruned.
    pub(super) fn holds(&self, root: &'static str, id: ThingId) -> bool {
        self.stands.contains_key(&(id.random, id.owner, root))
    }

    /// Whether any map holds something of this name, or it was deleted before it came.
    pub(super) fn is_taken(&self, id: ThingId) -> bool {
        let all = (id.random, id.owner, "")..(id.random, id.owner, "\u{7f}");
        self.stands.range(all).next().is_some() || self.is_deleted(id)
    }

    /// What stands here after a name, in the order of the random parts: each name once, with the
    /// time of its making. What is deleted is among it.
    pub(super) fn names_after(&self, after: Option<ThingId>) -> impl Iterator<Item = (WallTime, ThingId)> {
        let from = match after {
            Some(ThingId { owner, random }) => Bound::Excluded((random, owner, "\u{7f}")),
            None => Bound::Unbounded,
        };
        let mut last = None;
        let names = self
            .stands
            .range((from, Bound::Unbounded))
            .map(|((random, owner, _), stand)| (stand.time, ThingId { owner: *owner, random: *random }));
        names.filter(move |(_, id)| last.replace(*id) != Some(*id))
    }

    /// The map in which a name stands: the first, where its owner wants it to be in two.
    pub(super) fn root_of(&self, id: ThingId) -> Option<&'static str> {
        let all = (id.random, id.owner, "")..(id.random, id.owner, "\u{7f}");
        self.stands.range(all).next().map(|((.., root), _)| *root)
    }

    /// What a comment is about.
    pub(super) fn subject(&self, id: ThingId) -> Option<ThingId> {
        self.stands.get(&(id.random, id.owner, COMMENTS))?.subject
    }

    /// Things of a table whose random part lies between the two, both included.
    pub(super) fn between(
        &self,
        root: &'static str,
        low: [u8; 8],
        high: [u8; 8],
    ) -> impl Iterator<Item = ThingId> {
        let within = self.stands.range((low, [0; 16], "")..=(high, [0xff; 16], "\u{7f}"));
        let of = within.filter(move |((.., of), _)| *of == root);
        of.map(|((random, owner, _), _)| ThingId { owner: *owner, random: *random })
    }

    /// Whether anybody with the right to it deleted the thing, even if it has not come yet.
    pub fn is_deleted(&self, id: ThingId) -> bool {
        self.deleted.range((id, [0; 16])..=(id, [0xff; 16])).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_listed_once_and_the_list_goes_on_after_any_of_them() {
        let id = |owner: u8, random: u8| ThingId { owner: [owner; 16], random: [random; 8] };
        let stand = |subject, time| Some(Stand { subject, time: WallTime(time) });
        let mut index = ThingIndex::default();
        let names = [id(2, 1), id(1, 2), id(2, 2), id(1, 3)];
        for (name, time) in names.into_iter().zip(1..) {
            index.stand("cards", name, stand(None, time));
        }
        // As its owner may want it.
        index.stand(COMMENTS, id(1, 2), stand(Some(id(2, 1)), 9));
        for from in 0..=names.len() {
            let after = from.checked_sub(1).and_then(|at| names.get(at).copied());
            let listed: Vec<ThingId> = index.names_after(after).map(|(_, id)| id).collect();
            assert_eq!(Some(&listed[..]), names.get(from..), "after {after:?}");
        }
        assert_eq!((index.root_of(id(1, 2)), index.root_of(id(9, 9))), (Some("cards"), None));
    }
}
