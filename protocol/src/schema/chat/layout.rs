//! The keys and records of a chat: which map, whose key, which bytes.
//!
//! The one place that knows both directions of each. `index` and the views read through it, the
//! operations write through it, `rights` judges by it.

use super::{Attachment, MessageId};
use crate::bytes::{Malformed, Reader, Writer};
use crate::limits::{ATTACHMENTS_MAX, EMOJI_BYTES_MAX, TEXT_BYTES_MAX};
use crate::roster::Role;
use crate::schema::Put;
use crate::schema::key::{Owner, join, name, spell, split};
use crate::schema::record::{self, Tail};
use crate::schema::rights::{Denied, Right};
use crate::time::WallTime;

pub(super) const MESSAGES: &str = "messages";
pub(super) const EDITS: &str = "edits";
pub(super) const DELETED: &str = "deleted";
const REACTIONS: &str = "reactions";
const PINS: &str = "pins";

/// The root maps of a chat.
pub const ROOTS: &[&str] = &[MESSAGES, EDITS, DELETED, REACTIONS, PINS];

/// A key of a chat. The first part always names the one who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key<'a> {
    /// `owner|random` in `messages`.
    Message(MessageId),
    /// `owner|random` in `edits`.
    Edit(MessageId),
    /// `actor|owner|random` in `deleted`.
    Deleted(Owner, MessageId),
    /// `member|owner|random|emoji` in `reactions`.
    Reaction(Owner, MessageId, &'a str),
    /// `member|owner|random` in `pins`.
    Pin(Owner, MessageId),
}

impl<'a> Key<'a> {
    /// Reads a key of the map `root`.
    pub(super) fn parse(root: &str, key: &'a str) -> Result<Key<'a>, Denied> {
        let parsed = match root {
            MESSAGES => split(key).and_then(|[owner, random]| Some(Key::Message(id(owner, random)?))),
            EDITS => split(key).and_then(|[owner, random]| Some(Key::Edit(id(owner, random)?))),
            DELETED => split(key)
                .and_then(|[actor, owner, random]| Some(Key::Deleted(name(actor)?, id(owner, random)?))),
            PINS => split(key)
                .and_then(|[member, owner, random]| Some(Key::Pin(name(member)?, id(owner, random)?))),
            REACTIONS => split(key).and_then(|[member, owner, random, emoji]| {
                let key = Key::Reaction(name(member)?, id(owner, random)?, emoji);
                is_emoji(emoji).then_some(key)
            }),
            _ => return Err(Denied::UnknownRoot),
        };
        parsed.ok_or(Denied::MalformedKey)
    }

    /// Who may write it: the one it names, who deletes another's message only as an admin.
    pub(super) fn right(&self) -> Right {
        match self {
            Key::Message(id) | Key::Edit(id) => Right::of(id.owner),
            Key::Reaction(member, ..) | Key::Pin(member, _) => Right::of(*member),
            Key::Deleted(actor, id) if *actor == id.owner => Right::of(*actor),
            Key::Deleted(actor, _) => Right { owner: Some(*actor), least: Role::Admin },
        }
    }

    /// Whether the value is a record such as belongs under this key.
    pub(super) fn check(&self, value: &[u8]) -> Result<(), Malformed> {
        match self {
            Key::Message(_) => MessageRecord::read(value).map(|_| ()),
            Key::Edit(_) => EditRecord::read(value).map(|_| ()),
            Key::Deleted(..) => record::read(value, |reader, _| record::time(reader)).map(|_| ()),
            Key::Reaction(..) | Key::Pin(..) => record::read_flag(value).map(|_| ()),
        }
    }

    /// The message it is about.
    pub(super) fn message(&self) -> MessageId {
        match self {
            Key::Message(id)
            | Key::Edit(id)
            | Key::Deleted(_, id)
            | Key::Reaction(_, id, _)
            | Key::Pin(_, id) => *id,
        }
    }

    /// The map it belongs to.
    pub(super) fn root(&self) -> &'static str {
        match self {
            Key::Message(_) => MESSAGES,
            Key::Edit(_) => EDITS,
            Key::Deleted(..) => DELETED,
            Key::Reaction(..) => REACTIONS,
            Key::Pin(..) => PINS,
        }
    }

    /// The key as it stands in its map.
    pub(super) fn text(&self) -> String {
        match self {
            Key::Message(id) | Key::Edit(id) => join(&[&spell(&id.owner), &spell(&id.random)]),
            Key::Deleted(person, id) | Key::Pin(person, id) => {
                join(&[&spell(person), &spell(&id.owner), &spell(&id.random)])
            }
            Key::Reaction(person, id, emoji) => {
                join(&[&spell(person), &spell(&id.owner), &spell(&id.random), emoji])
            }
        }
    }

    /// Sets a record under it.
    pub(super) fn put(&self, value: Vec<u8>) -> Put {
        Put { root: self.root(), key: self.text(), value }
    }
}

fn id(owner: &str, random: &str) -> Option<MessageId> {
    Some(MessageId { owner: name(owner)?, random: name(random)? })
}

/// Whether a text can be a reaction: short, without blanks, and no part of a key's shape.
pub(super) fn is_emoji(text: &str) -> bool {
    (1..=EMOJI_BYTES_MAX).contains(&text.len())
        && record::is_name(text)
        && !text.chars().any(|c| c == '|' || c.is_whitespace())
}

const HAS_PARENT: u8 = 1;
const HAS_ATTACHMENTS: u8 = 2;

/// A message as its author wrote it: 9 bytes beside the text, 24 more for a reply.
///
/// Fields: flags, time, text, the parent's 24 bytes if flagged, the attachments if flagged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::schema) struct MessageRecord<'a> {
    pub(in crate::schema) time: WallTime,
    pub(in crate::schema) text: &'a str,
    pub(in crate::schema) parent: Option<MessageId>,
    pub(in crate::schema) attachments: Vec<Attachment>,
}

impl<'a> MessageRecord<'a> {
    pub(in crate::schema) fn write(&self) -> Vec<u8> {
        let parent = if self.parent.is_some() { HAS_PARENT } else { 0 };
        let attachments = if self.attachments.is_empty() { 0 } else { HAS_ATTACHMENTS };
        record::write(|writer| {
            writer.u8(parent | attachments);
            record::put_time(writer, self.time);
            writer.short_text(self.text);
            if let Some(id) = self.parent {
                writer.raw(&id.owner).raw(&id.random);
            }
            if !self.attachments.is_empty() {
                writer.list(&self.attachments, put_attachment);
            }
        })
    }

    pub(in crate::schema) fn read(bytes: &'a [u8]) -> Result<MessageRecord<'a>, Malformed> {
        record::read(bytes, |reader, newer| {
            let flags = reader.u8()?;
            // A flag of a later version announces a field that follows all those known here.
            if !newer && flags & !(HAS_PARENT | HAS_ATTACHMENTS) != 0 {
                return Err(Malformed);
            }
            let time = record::time(reader)?;
            let text = reader.short_text(TEXT_BYTES_MAX)?;
            let parent = match flags & HAS_PARENT {
                0 => None,
                _ => Some(MessageId { owner: reader.array()?, random: reader.array()? }),
            };
            let attachments = match flags & HAS_ATTACHMENTS {
                0 => Vec::new(),
                _ => attachments(reader)?,
            };
            Ok(MessageRecord { time, text, parent, attachments })
        })
    }
}

fn put_attachment(writer: &mut Writer, attachment: &Attachment) {
    writer.raw(&attachment.blob).varint(attachment.size_bytes).short_text(&attachment.name);
}

/// An empty list is spelled by its flag alone, so that a message has one encoding.
fn attachments(reader: &mut Reader<'_>) -> Result<Vec<Attachment>, Malformed> {
    let attachments = reader.list(ATTACHMENTS_MAX, |reader| {
        let blob = reader.array()?;
        let size_bytes = reader.varint()?;
        let name = reader.short_text(crate::limits::NAME_BYTES_MAX)?;
        if is_file_name(name) {
            Ok(Attachment { blob, size_bytes, name: name.into() })
        } else {
            Err(Malformed)
        }
    })?;
    if attachments.is_empty() { Err(Malformed) } else { Ok(attachments) }
}

/// Whether a text names a file and no path: saving an attachment must not leave its folder.
pub(super) fn is_file_name(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && record::is_name(text) && !text.contains(['/', '\\'])
}

/// The author's latest text of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::schema) struct EditRecord<'a> {
    pub(in crate::schema) time: WallTime,
    pub(in crate::schema) text: &'a str,
}

impl<'a> EditRecord<'a> {
    pub(in crate::schema) fn write(&self) -> Vec<u8> {
        self.write_with(&Tail::default())
    }

    /// Writes it as an earlier one was that had this tail and the same text.
    pub(in crate::schema) fn write_with(&self, tail: &Tail) -> Vec<u8> {
        record::write_with(tail, |writer| {
            record::put_time(writer, self.time);
            writer.short_text(self.text);
        })
    }

    pub(in crate::schema) fn read(bytes: &'a [u8]) -> Result<EditRecord<'a>, Malformed> {
        record::read(bytes, |reader, _| EditRecord::fields(reader))
    }

    /// What later software put behind the text.
    pub(in crate::schema) fn tail(bytes: &[u8]) -> Result<Tail, Malformed> {
        record::tail(bytes, |reader, _| EditRecord::fields(reader))
    }

    fn fields(reader: &mut Reader<'a>) -> Result<EditRecord<'a>, Malformed> {
        Ok(EditRecord { time: record::time(reader)?, text: reader.short_text(TEXT_BYTES_MAX)? })
    }
}

/// The record of a deletion: when the one who deleted says it was. The flag is the key itself.
pub(in crate::schema) fn write_deletion(time: WallTime) -> Vec<u8> {
    record::write(|writer| record::put_time(writer, time))
}
