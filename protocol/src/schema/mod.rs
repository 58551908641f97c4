//! What documents hold: one file per concern, in terms of flat root maps of byte strings.
//!
//! A concern reads through [`Maps`] and writes [`Put`]s; `update::Document` holds the maps and
//! `rights` judges every write of every device, this one's included. Nothing here knows how a
//! document is stored or travels. Key shapes and records: docs/PROTOCOL.md, section 10.

mod about;
pub mod canvas;
pub mod chat;
pub mod core;
pub mod field;
pub mod filter;
pub mod home;
pub mod issues;
pub mod kanban;
pub mod key;
pub mod rank;
mod record;
pub mod rights;
pub mod thing;
pub mod things;
pub mod told;

use std::fmt;

use crate::command::Kind;
use crate::ids::{DocumentKey, to_base32};
use crate::limits::{
    CANVAS_BYTES_MAX, CHAT_BYTES_MAX, CORE_BYTES_MAX, FILE_BYTES_MAX, ISSUES_BYTES_MAX, KANBAN_BYTES_MAX,
};
use crate::time::WallTime;
use crate::update::Shape;
pub use crate::update::document::Put;
pub use about::{About, Index, Part, about, counted, writer};
pub(crate) use record::is_one_line;

/// The root text of a document that is the text of one file.
pub const TEXT: &str = "text";

const DOCUMENT_KEY: &str = "fourword v1 document key";

/// Names the text of one file on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub [u8; 16]);

/// What a document is about. Each entity has at most one document, or series, of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Concern {
    /// Name, description, settings and the names of its members.
    Core,
    /// A conversation.
    Chat,
    /// A board of cards.
    Kanban,
    /// An issue tracker.
    Issues,
    /// A drawing surface.
    Canvas,
    /// What files there are.
    Disk,
    /// The text of one file.
    File(FileId),
    /// What is private to one person: groups, read markers, settings, drafts.
    Home,
}

impl Concern {
    /// The name within an entity, such as `chat` or `file/<id>`, without a segment's number.
    pub fn name(&self) -> String {
        match self {
            Concern::Core => "core".into(),
            Concern::Chat => "chat".into(),
            Concern::Kanban => "kanban".into(),
            Concern::Issues => "issues".into(),
            Concern::Canvas => "canvas".into(),
            Concern::Disk => "disk".into(),
            Concern::File(id) => format!("file/{}", to_base32(&id.0)),
            Concern::Home => "home".into(),
        }
    }

    /// Whether it is a series of documents, of which a full one is followed by the next number.
    pub fn is_series(&self) -> bool {
        matches!(self, Concern::Chat | Concern::Kanban | Concern::Issues | Concern::Canvas)
    }

    /// Whether every node reads and listens to it from the start. Of others nothing is in memory or
    /// on the wire before somebody wrote in them.
    pub fn opens_at_once(&self) -> bool {
        matches!(self, Concern::Core | Concern::Chat | Concern::Home)
    }

    /// Whether a device has it only from when somebody there opens it by its name.
    pub fn opens_by_name(&self) -> bool {
        matches!(self, Concern::File(_))
    }

    /// Whether a segment that is full is followed by the next; else it takes nothing new.
    pub fn goes_on(&self) -> bool {
        *self == Concern::Chat
    }

    /// Bytes of content with which a document is full; `None` where no bound is set.
    pub fn bytes_max(&self) -> Option<u64> {
        match self {
            Concern::Core => Some(CORE_BYTES_MAX),
            Concern::Chat => Some(CHAT_BYTES_MAX),
            Concern::Kanban => Some(KANBAN_BYTES_MAX),
            Concern::Issues => Some(ISSUES_BYTES_MAX),
            Concern::Canvas => Some(CANVAS_BYTES_MAX),
            Concern::File(_) => Some(FILE_BYTES_MAX),
            Concern::Disk | Concern::Home => None,
        }
    }

    /// The name of one document: `chat/1`, `chat/2`, but `core`. Segments count from 1; a concern
    /// that is no series has one document, whatever `segment` says.
    pub fn segment_name(&self, segment: u32) -> String {
        if self.is_series() { format!("{}/{segment}", self.name()) } else { self.name() }
    }
}

/// The documents that every entity of a kind has from the start.
pub fn concerns(kind: Kind) -> &'static [Concern] {
    match kind {
        Kind::Home => &[Concern::Home],
        Kind::Group | Kind::Project => {
            &[Concern::Core, Concern::Chat, Concern::Kanban, Concern::Issues, Concern::Canvas]
        }
        Kind::Channel | Kind::Organization => &[Concern::Core, Concern::Chat, Concern::Canvas],
    }
}

/// What a document of this concern holds, maps or a text.
pub fn shape(concern: &Concern) -> Shape {
    match concern {
        Concern::File(_) => Shape::Texts,
        _ => Shape::Maps,
    }
}

/// The root maps or texts that a document of this concern may hold; any other is refused when parsed.
pub fn roots(concern: &Concern) -> &'static [&'static str] {
    match concern {
        Concern::Core => core::ROOTS,
        Concern::Chat => chat::ROOTS,
        Concern::Home => home::ROOTS,
        Concern::Kanban | Concern::Issues | Concern::Canvas => {
            layout(concern).map_or(&[], |layout| layout.roots)
        }
        Concern::File(_) => &[TEXT],
        Concern::Disk => &[],
    }
}

/// What things a document of this concern holds, if it holds things.
pub fn layout(concern: &Concern) -> Option<&'static things::Layout> {
    match concern {
        Concern::Kanban => Some(kanban::LAYOUT),
        Concern::Issues => Some(issues::LAYOUT),
        Concern::Canvas => Some(canvas::LAYOUT),
        Concern::Core | Concern::Chat | Concern::Disk | Concern::File(_) | Concern::Home => None,
    }
}

/// Whether what a document of this concern holds can be deleted, and then is forgotten.
pub fn forgets(concern: &Concern) -> bool {
    matches!(concern, Concern::Chat | Concern::File(_)) || layout(concern).is_some()
}

/// Whether people can look at the versions of a document of this concern.
pub fn has_versions(concern: &Concern) -> bool {
    *concern == Concern::Core || (forgets(concern) && shape(concern) == Shape::Maps)
}

/// The id shown to people, `{kind}:{words}:{concern}`; a first segment is shown without a number.
pub fn document_id(kind: Kind, words: impl fmt::Display, concern: &Concern, segment: u32) -> String {
    let name = if segment == 1 { concern.name() } else { concern.segment_name(segment) };
    format!("{}:{words}:{name}", kind.word())
}

/// What a value says to people, as far as it is text; empty where it is none.
pub fn text_of(concern: &Concern, root: &str, key: &str, value: &[u8]) -> String {
    match (concern, layout(concern)) {
        (Concern::Chat, _) => chat::text_of(root, value),
        (Concern::Core, _) => core::text_of(value),
        (Concern::File(_), _) => String::from_utf8_lossy(value).into_owned(),
        (_, Some(layout)) => things::text_of(layout, root, key, value),
        (_, None) => String::new(),
    }
}

/// When the author of a value says that it was written, where things or messages are written;
/// `None` if it does not say.
pub fn time_of(concern: &Concern, root: &str, value: &[u8]) -> Option<WallTime> {
    match concern {
        Concern::Chat => chat::time_of(root, value),
        _ => layout(concern).and_then(|_| things::time_of(root, value)),
    }
}

/// The name under which a document travels, opaque to all who lack the entity's secret.
///
/// `entity_secret` must never rotate, else the document would be lost under its new name.
pub fn document_key(entity_secret: &[u8; 32], concern: &Concern, segment: u32) -> DocumentKey {
    let key = blake3::derive_key(DOCUMENT_KEY, entity_secret);
    DocumentKey(*blake3::keyed_hash(&key, concern.segment_name(segment).as_bytes()).as_bytes())
}

/// What a replica shows of a document's root maps.
pub trait Maps {
    /// The value under a key; `None` if there is none or it was pruned.
    fn get(&self, root: &str, key: &str) -> Option<&[u8]>;

    /// All pairs whose key begins with `prefix`, in byte order of the keys.
    fn range<'a>(&'a self, root: &str, prefix: &str) -> Box<dyn Iterator<Item = (&'a str, &'a [u8])> + 'a>;
}
