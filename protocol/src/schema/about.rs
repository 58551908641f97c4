//! Says of a key which thing it is about, and keeps the index of a document by its concern.
//!
//! The replica and what forgets go through this, so that none of them knows one concern from
//! another. Invariant: what is said of a key follows from the key alone.

use super::chat::{self, ChatIndex};
use super::key::{self, Owner};
use super::thing::ThingId;
use super::things::{self, Layout, ThingIndex};
use super::{Concern, Maps, layout};
use crate::update::document::Counted;

/// What a key is about: a message, card, comment or other thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Which.
    pub id: ThingId,
    /// What of it.
    pub part: Part,
}

/// What a key holds of the thing that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The thing as its author made it.
    Made,
    /// What was set on it later.
    Set,
    /// That it is deleted.
    Deleted,
}

impl About {
    /// The thing, if the key holds what a deletion takes away.
    pub fn content(self) -> Option<ThingId> {
        (self.part != Part::Deleted).then_some(self.id)
    }

    /// The thing, if the key flags it as deleted.
    pub fn deleted(self) -> Option<ThingId> {
        (self.part == Part::Deleted).then_some(self.id)
    }
}

/// What a key of a document is about; `None` if that is no thing.
pub fn about(concern: &Concern, root: &str, key: &str) -> Option<About> {
    match concern {
        Concern::Chat => chat::about(root, key),
        _ => things::about(layout(concern)?, root, key),
    }
}

/// What counts for a hash of the content of a document, of which this is the index: nothing of what is deleted,
/// pruned or not, and of what deletes it who and what.
pub fn counted(concern: &Concern, index: &Index, root: &str, key: &str) -> Counted {
    match about(concern, root, key) {
        Some(About { part: Part::Deleted, .. }) => Counted::Key,
        Some(About { id, .. }) if index.is_deleted(id) => Counted::Nothing,
        Some(_) | None => Counted::Whole,
    }
}

/// The one person who may write a key; `None` if several may.
pub fn writer(concern: &Concern, root: &str, key: &str) -> Option<Owner> {
    match layout(concern) {
        Some(layout) => things::writer(layout, root, key),
        // The first part names the one who writes, wherever it names anybody.
        None => key::name(key.split('|').next()?),
    }
}

/// What one document in memory keeps in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Index {
    /// Nothing: it is read as it is.
    Plain,
    /// Messages.
    Chat(ChatIndex),
    /// Things, and what is said about them.
    Things(&'static Layout, ThingIndex),
}

impl Index {
    /// Of a document without content.
    pub fn new(concern: &Concern) -> Index {
        match (concern, layout(concern)) {
            (Concern::Chat, _) => Index::Chat(ChatIndex::default()),
            (_, Some(layout)) => Index::Things(layout, ThingIndex::default()),
            (_, None) => Index::Plain,
        }
    }

    /// Of a document as it is.
    pub fn scan(concern: &Concern, maps: &dyn Maps) -> Index {
        match Index::new(concern) {
            Index::Chat(_) => Index::Chat(ChatIndex::scan(maps)),
            Index::Things(layout, _) => Index::Things(layout, ThingIndex::scan(layout, maps)),
            Index::Plain => Index::Plain,
        }
    }

    /// Takes in what a key holds now; `None` if its content is gone.
    pub fn note(&mut self, root: &str, key: &str, value: Option<&[u8]>) {
        match self {
            Index::Plain => {}
            Index::Chat(index) => index.note(root, key, value),
            Index::Things(layout, index) => index.note(layout, root, key, value),
        }
    }

    /// Whether anybody with the right to it deleted the thing, even if it has not come yet.
    pub fn is_deleted(&self, id: ThingId) -> bool {
        match self {
            Index::Plain => false,
            Index::Chat(index) => index.is_deleted(id),
            Index::Things(_, index) => index.is_deleted(id),
        }
    }
}
