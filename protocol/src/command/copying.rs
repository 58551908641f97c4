//! How a program on this device keeps a copy of what groups write, to page through and search it.
//!
//! The copy says what it knows and is given what it lacks, document by document. It is never the
//! truth: whatever it says it knows, what it then has equals what the document shows, or it is told
//! that it has not all yet.

use super::view::{MessageView, PersonView};
use crate::ids::{Digest, EntityId};
use crate::schema::Concern;
use crate::schema::home::ReadMarker;
use crate::schema::key::Owner;
use crate::schema::thing::ThingId;
use crate::schema::things::Said;
use crate::time::WallTime;
use crate::words::FourWords;

/// A place in the order in which a document is copied: after this message or thing. Names an order,
/// not a thing that must exist.
pub type Place = (WallTime, ThingId);

/// How often a document in memory changed. Counts within one run of the node alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision {
    /// How often the document was read from disk: two readings have nothing in common.
    pub reading: u64,
    /// How many changes came since.
    pub change: u64,
}

/// What a copy of one document knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// The digest under which it had everything; lasts over restarts.
    pub digest: Option<Digest>,
    /// The revision up to which it has everything, in this run.
    pub revision: Option<Revision>,
    /// The digest of the people it knows.
    pub people: Option<Digest>,
    /// It copies the whole document in this reading, and has all up to this place.
    pub whole: Option<(u64, Option<Place>)>,
}

/// What a copy of one document lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentCopy {
    /// How many segments the series has now, each of which is copied by itself.
    pub segments: u32,
    /// What it says it knows from now on, as to rows. Equal to what it said: it lacks nothing.
    pub revision: Option<Revision>,
    /// The digest under which it has everything now; `None` if it has not, or if what it has is not
    /// settled and must be asked for again.
    pub digest: Option<Digest>,
    /// What changed.
    pub changes: Changes,
    /// All who are or were in, with the digest of that, if it differs.
    pub people: Option<(Digest, Vec<PersonView>)>,
}

/// One row of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A message of a chat.
    Message(MessageView),
    /// A thing, or a comment on one.
    Thing(Said),
}

impl Row {
    /// Its name.
    pub fn id(&self) -> ThingId {
        match self {
            Row::Message(view) => view.message.id,
            Row::Thing(said) => said.id,
        }
    }
}

/// A page of what a copy lacks: at most `limits::COPY_ROWS_MAX`, those of a chat oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// These rows are to be replaced, and those to be dropped.
    Some {
        /// As they are now.
        changed: Vec<Row>,
        /// Not shown any more.
        gone: Vec<ThingId>,
        /// Whether there is more: ask again.
        more: bool,
    },
    /// What the copy has is of no use: it is to copy the whole document, of which this is a page.
    Whole {
        /// The reading that all pages must have in common.
        reading: u64,
        /// The next rows.
        rows: Vec<Row>,
        /// Where to go on; `None` at the end.
        next: Option<Place>,
    },
}

/// How one document stands that can be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandView {
    /// What it is about.
    pub concern: Concern,
    /// Which one of its series, from 1.
    pub segment: u32,
    /// How it stands, as in [`DocumentCopy`].
    pub digest: Option<Digest>,
    /// How it stands, as in [`DocumentCopy`]; `None` before it was read in this run.
    pub revision: Option<Revision>,
}

/// One group, channel or project, for who keeps copies of what is written there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceView {
    /// Its name.
    pub words: FourWords,
    /// Its full id.
    pub id: EntityId,
    /// What people call it; `None` while that is not in memory.
    pub name: Option<String>,
    /// Whether this person is in.
    pub is_member: bool,
    /// What stands for this person in its documents.
    pub me: Owner,
    /// How its documents stand, segment by segment: the chat, and what else anybody wrote in.
    pub documents: Vec<StandView>,
    /// How far this person has read the chat, on any of its devices.
    pub read: Option<ReadMarker>,
    /// How many entries of this device in its documents count for nobody.
    pub unaccepted: u64,
}
