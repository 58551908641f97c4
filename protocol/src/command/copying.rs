//! How a program on this device keeps a copy of chats, to page through and search them.
//!
//! The copy says what it knows and is given what it lacks. It is never the truth: whatever it says
//! it knows, what it then has equals what the chat shows, or it is told that it has not all yet.

use super::view::{MessageView, PersonView};
use crate::ids::{Digest, EntityId};
use crate::schema::chat::MessageId;
use crate::schema::home::ReadMarker;
use crate::schema::key::Owner;
use crate::time::WallTime;
use crate::words::FourWords;

/// A place in the order of a chat: after this message. Names an order, not a thing that must exist.
pub type Place = (WallTime, MessageId);

/// How often a chat in memory changed. Counts within one run of the node alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision {
    /// How often the chat was read from disk: two readings have nothing in common.
    pub reading: u64,
    /// How many changes came since.
    pub change: u64,
}

/// What a copy of one segment of a chat knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// The digest under which it had everything; lasts over restarts.
    pub digest: Option<Digest>,
    /// The revision up to which it has everything, in this run.
    pub revision: Option<Revision>,
    /// The digest of the people it knows.
    pub people: Option<Digest>,
    /// It copies the whole segment in this reading, and has all up to this place.
    pub whole: Option<(u64, Option<Place>)>,
}

/// What a copy of one segment of a chat lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatCopy {
    /// How many segments the chat has now, each of which is copied by itself.
    pub segments: u32,
    /// What it says it knows from now on, as to messages. Equal to what it said: it lacks nothing.
    pub revision: Option<Revision>,
    /// The digest under which it has everything now; `None` if it has not, or if what it has is not
    /// settled and must be asked for again.
    pub digest: Option<Digest>,
    /// What changed.
    pub changes: Changes,
    /// All who are or were in, with the digest of that, if it differs.
    pub people: Option<(Digest, Vec<PersonView>)>,
}

/// A page of what a copy lacks: at most `limits::COPY_MESSAGES_MAX`, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// These messages are to be replaced, and those to be dropped.
    Some {
        /// As they are now.
        changed: Vec<MessageView>,
        /// Not shown any more.
        gone: Vec<MessageId>,
        /// Whether there is more: ask again.
        more: bool,
    },
    /// What the copy has is of no use: it is to copy the whole segment, of which this is a page.
    Whole {
        /// The reading that all pages must have in common.
        reading: u64,
        /// The next messages.
        messages: Vec<MessageView>,
        /// Where to go on; `None` at the end.
        next: Option<Place>,
    },
}

/// One segment of a chat, for who keeps copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentView {
    /// How it stands, as in [`ChatCopy`].
    pub digest: Option<Digest>,
    /// How it stands, as in [`ChatCopy`]; `None` before it was read in this run.
    pub revision: Option<Revision>,
}

/// One chat, for who keeps copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatView {
    /// Whose chat.
    pub words: FourWords,
    /// Its full id.
    pub id: EntityId,
    /// Its name; `None` while that is not in memory.
    pub name: Option<String>,
    /// Whether this person is in.
    pub is_member: bool,
    /// What stands for this person in its messages.
    pub me: Owner,
    /// How its segments stand, from the first on.
    pub segments: Vec<SegmentView>,
    /// How far this person has read it, on any of its devices.
    pub read: Option<ReadMarker>,
}
