//! Orders a chat and gathers its overlays by message, so that no view scans the maps.
//!
//! The replica keeps one per open chat and notes each key that an update changed. Invariant: it
//! equals what a scan of the same maps gives, whatever the order of the notes. It holds names and
//! times only; texts stay in the maps.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::MessageId;
use super::layout::{Key, MESSAGES, MessageRecord, ROOTS};
use crate::planted::{self, Planted};
use crate::schema::key::Owner;
use crate::schema::{Maps, record};
use crate::time::WallTime;

/// What a chat holds, by time and by message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatIndex {
    order: BTreeSet<(WallTime, MessageId)>,
    /// Begins with the random part, by which people name a message.
    times: BTreeMap<([u8; 8], Owner), WallTime>,
    deleted: BTreeSet<(MessageId, Owner)>,
    reactions: BTreeSet<(MessageId, String, Owner)>,
    pins: BTreeSet<(MessageId, Owner)>,
}

impl ChatIndex {
    /// Reads all maps once.
    pub fn scan(maps: &dyn Maps) -> ChatIndex {
        let mut index = ChatIndex::default();
        // A set that is made of everything at once is made sooner than one that grows.
        let message = |(key, value)| match (Key::parse(MESSAGES, key), MessageRecord::read(value)) {
            (Ok(Key::Message(id)), Ok(record)) => Some((id, record.time)),
            _ => None,
        };
        let messages: Vec<(MessageId, WallTime)> = maps.range(MESSAGES, "").filter_map(message).collect();
        index.order = messages.iter().map(|(id, time)| (*time, *id)).collect();
        index.times = messages.iter().map(|(id, time)| ((id.random, id.owner), *time)).collect();
        for root in ROOTS.iter().filter(|root| **root != MESSAGES) {
            for (key, value) in maps.range(root, "") {
                index.note(root, key, Some(value));
            }
        }
        index
    }

    /// Takes in what a key holds now; `None` if its content is gone. Costs O(log n).
    ///
    /// Foreign keys and malformed records, which `rights` lets nobody write, count as absent.
    pub fn note(&mut self, root: &str, key: &str, value: Option<&[u8]>) {
        let Ok(key) = Key::parse(root, key) else { return };
        // Of a flag that was pruned nothing is left but that it is there.
        let is_bare = |value: &[u8]| value.is_empty() && matches!(key, Key::Deleted(..));
        let value = value.filter(|value| key.check(value).is_ok() || is_bare(value));
        let on = value.is_some_and(|value| record::read_flag(value).unwrap_or(false));
        match key {
            Key::Message(id) => self.note_message(id, value),
            Key::Edit(_) => {}
            Key::Deleted(actor, id) if planted::is(Planted::DropDelete) && actor != id.owner => {}
            Key::Deleted(actor, id) => set(&mut self.deleted, (id, actor), value.is_some()),
            Key::Reaction(member, id, emoji) => {
                set(&mut self.reactions, (id, emoji.to_owned(), member), on);
            }
            Key::Pin(member, id) => set(&mut self.pins, (id, member), on),
        }
    }

    fn note_message(&mut self, id: MessageId, value: Option<&[u8]>) {
        let name = (id.random, id.owner);
        let time = value.and_then(|value| MessageRecord::read(value).ok()).map(|record| record.time);
        let before = match time {
            Some(time) => self.times.insert(name, time),
            None => self.times.remove(&name),
        };
        if let Some(before) = before {
            self.order.remove(&(before, id));
        }
        if let Some(time) = time {
            self.order.insert((time, id));
        }
    }

    /// How many messages there are, deleted ones that are not yet pruned included.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// All messages by time, then by name.
    pub(super) fn in_order(&self) -> impl DoubleEndedIterator<Item = MessageId> {
        self.order.iter().map(|(_, id)| *id)
    }

    /// Messages after a place, in order, with their times.
    pub(crate) fn after(
        &self,
        place: Option<(WallTime, MessageId)>,
    ) -> impl Iterator<Item = (WallTime, MessageId)> {
        let start = place.map_or(Bound::Unbounded, Bound::Excluded);
        self.order.range((start, Bound::Unbounded)).copied()
    }

    pub(super) fn contains(&self, id: MessageId) -> bool {
        self.times.contains_key(&(id.random, id.owner))
    }

    /// Messages whose random part lies between the two, both included.
    pub(super) fn between(&self, low: [u8; 8], high: [u8; 8]) -> impl Iterator<Item = MessageId> {
        self.times
            .range((low, [0; 16])..=(high, [0xff; 16]))
            .map(|((random, owner), _)| MessageId { owner: *owner, random: *random })
    }

    /// Whether anybody with the right to it deleted the message, even if it has not come yet.
    pub fn is_deleted(&self, id: MessageId) -> bool {
        any(&self.deleted, id)
    }

    pub(super) fn has_pin(&self, id: MessageId, member: Owner) -> bool {
        self.pins.contains(&(id, member))
    }

    /// The members who have pinned the message.
    pub(super) fn pins(&self, id: MessageId) -> impl Iterator<Item = Owner> {
        self.pins.range((id, [0; 16])..=(id, [0xff; 16])).map(|(_, member)| *member)
    }

    pub(super) fn has_reaction(&self, id: MessageId, emoji: &str, member: Owner) -> bool {
        self.reactions.contains(&(id, emoji.to_owned(), member))
    }

    /// The reactions that stand, by emoji, then by member.
    pub(super) fn reactions(&self, id: MessageId) -> impl Iterator<Item = (&str, Owner)> {
        self.reactions
            .range((id, String::new(), [0; 16])..)
            .take_while(move |(of, ..)| *of == id)
            .map(|(_, emoji, member)| (emoji.as_str(), *member))
    }
}

fn set<T: Ord>(values: &mut BTreeSet<T>, value: T, present: bool) {
    if present {
        values.insert(value);
    } else {
        values.remove(&value);
    }
}

fn any(flags: &BTreeSet<(MessageId, Owner)>, id: MessageId) -> bool {
    flags.range((id, [0; 16])..=(id, [0xff; 16])).next().is_some()
}
