//! The keys and records of documents that hold things: which map, whose key, which bytes.
//!
//! A thing is written once, as a record of its first fields; what changes later stands in overlays,
//! one key per field, so that two who change two fields at once both keep their change. Flat keys,
//! because of two nested maps made at once one side is lost.

use super::values::{Slot, Values};
use crate::bytes::{Malformed, Reader, Writer};
use crate::limits::{RECORD_FIELDS_MAX, WORD_BYTES_MAX};
use crate::roster::Role;
use crate::schema::field::{Field, Value, is_part};
use crate::schema::key::{Owner, join, name, spell, split};
use crate::schema::record::{self, Tail};
use crate::schema::rights::{Denied, Right};
use crate::schema::thing::{ThingId, ThingKind};
use crate::schema::{Put, chat};
use crate::time::WallTime;

pub(super) const FIELDS: &str = "fields";
const DELETED: &str = "deleted";
pub(super) const COMMENTS: &str = "comments";
const EDITS: &str = "edits";
const METADATA: &str = "metadata";

/// What one concern holds: tables of things, and what may be set on them.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    /// All root maps: those of the tables first.
    pub roots: &'static [&'static str],
    /// The kinds of things.
    pub tables: &'static [&'static Table],
    /// Fields of things. One name means the same in each table.
    pub fields: &'static [Field],
    /// Fields of the document itself.
    pub metadata: &'static [Field],
    /// The least role that may delete what another made.
    pub deletes: Role,
}

/// One kind of thing.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// Its root map.
    pub root: &'static str,
    /// What kind of thing is in it.
    pub kind: ThingKind,
    /// Its fields. Without those named `required` none can be made.
    pub fields: &'static [&'static str],
    /// The fields that a new one must have.
    pub required: &'static [&'static str],
}

impl Table {
    /// What people call one of them.
    pub fn noun(&self) -> &'static str {
        self.kind.noun()
    }
}

impl Layout {
    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    fn table(&self, root: &str) -> Option<&'static Table> {
        self.tables.iter().find(|table| table.root == root).copied()
    }
}

/// A key of such a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key<'a> {
    /// `owner|random` in the map of a table.
    Thing(&'static str, ThingId),
    /// `owner|random|field` or `owner|random|field|part` in `fields`.
    Field(ThingId, &'a str, Option<&'a str>),
    /// `actor|owner|random` in `deleted`: a thing or a comment.
    Deleted(Owner, ThingId),
    /// `owner|random` in `comments`.
    Comment(ThingId),
    /// `owner|random` in `edits`: the later text of a comment.
    Edit(ThingId),
    /// `field` in `metadata`.
    Metadata(&'a str),
}

impl<'a> Key<'a> {
    /// Reads a key of the map `root`.
    pub(super) fn parse(layout: &Layout, root: &str, key: &'a str) -> Result<Key<'a>, Denied> {
        if !layout.roots.contains(&root) {
            return Err(Denied::UnknownRoot);
        }
        let id = |key| split(key).and_then(|[owner, random]| ThingId::parse(owner, random));
        let parsed = match root {
            FIELDS => field(key),
            DELETED => split(key).and_then(|[actor, owner, random]| {
                Some(Key::Deleted(name(actor)?, ThingId::parse(owner, random)?))
            }),
            COMMENTS => id(key).map(Key::Comment),
            EDITS => id(key).map(Key::Edit),
            METADATA => is_field_name(key).then_some(Key::Metadata(key)),
            _ => layout.table(root).zip(id(key)).map(|(table, id)| Key::Thing(table.root, id)),
        };
        let parsed = parsed.ok_or(Denied::MalformedKey)?;
        // A field that is known here has parts or none, as it says; others are later software's.
        if let Key::Field(_, name, part) = parsed
            && layout.field(name).is_some_and(|field| !field.parts.fits(part))
        {
            return Err(Denied::MalformedKey);
        }
        Ok(parsed)
    }

    /// Who may write it.
    pub(super) fn right(&self, layout: &Layout) -> Right {
        match self {
            Key::Thing(_, id) | Key::Comment(id) | Key::Edit(id) => Right::of(id.owner),
            Key::Field(..) | Key::Metadata(_) => Right::from(Role::Member),
            Key::Deleted(actor, id) if *actor == id.owner => Right::of(*actor),
            Key::Deleted(actor, _) => Right { owner: Some(*actor), least: layout.deletes },
        }
    }

    /// Whether the value is a record such as belongs under this key.
    pub(super) fn check(&self, layout: &Layout, value: &[u8]) -> Result<(), Malformed> {
        match self {
            Key::Thing(..) => ThingRecord::read(layout, value).map(drop),
            Key::Field(_, name, _) => check_field(layout.field(name), value),
            Key::Metadata(name) => {
                check_field(layout.metadata.iter().find(|field| field.name == *name), value)
            }
            Key::Deleted(..) => record::read(value, |reader, _| record::time(reader)).map(drop),
            Key::Comment(_) => match chat::MessageRecord::read(value)?.parent {
                Some(_) => Ok(()),
                None => Err(Malformed),
            },
            Key::Edit(_) => chat::EditRecord::read(value).map(drop),
        }
    }

    /// The thing or comment that it is about.
    pub(super) fn about(&self) -> Option<ThingId> {
        match self {
            Key::Thing(_, id)
            | Key::Field(id, ..)
            | Key::Deleted(_, id)
            | Key::Comment(id)
            | Key::Edit(id) => Some(*id),
            Key::Metadata(_) => None,
        }
    }

    fn root(&self) -> &'static str {
        match self {
            Key::Thing(root, _) => root,
            Key::Field(..) => FIELDS,
            Key::Deleted(..) => DELETED,
            Key::Comment(_) => COMMENTS,
            Key::Edit(_) => EDITS,
            Key::Metadata(_) => METADATA,
        }
    }

    /// The key as it stands in its map.
    pub(super) fn text(&self) -> String {
        let of = |id: &ThingId| join(&[&spell(&id.owner), &spell(&id.random)]);
        match self {
            Key::Thing(_, id) | Key::Comment(id) | Key::Edit(id) => of(id),
            Key::Field(id, field, None) => join(&[&of(id), field]),
            Key::Field(id, field, Some(part)) => join(&[&of(id), field, part]),
            Key::Deleted(actor, id) => join(&[&spell(actor), &of(id)]),
            Key::Metadata(field) => (*field).into(),
        }
    }

    /// Map and key, by which a value is found.
    pub(super) fn place(&self) -> (&'static str, String) {
        (self.root(), self.text())
    }

    /// Sets a record under it.
    pub(super) fn put(&self, value: Vec<u8>) -> Put {
        Put { root: self.root(), key: self.text(), value }
    }
}

fn field(key: &str) -> Option<Key<'_>> {
    let mut parts = key.splitn(4, '|');
    let id = ThingId::parse(parts.next()?, parts.next()?)?;
    let name = parts.next().filter(|name| is_field_name(name))?;
    let part = parts.next();
    part.is_none_or(is_part).then_some(Key::Field(id, name, part))
}

/// Lower-case letters, digits and underscores.
fn is_field_name(text: &str) -> bool {
    (1..=WORD_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// A field that is not known here is later software's: any record may stand there.
fn check_field(field: Option<&Field>, value: &[u8]) -> Result<(), Malformed> {
    match field {
        Some(field) => FieldRecord::read(field, value).map(drop),
        None => record::read(value, |reader, _| reader.take(reader.left())).map(drop),
    }
}

/// A value that was set on a thing, and when; without a value the field is not set any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldRecord {
    pub(super) time: WallTime,
    pub(super) value: Option<Value>,
}

impl FieldRecord {
    pub(super) fn write(&self) -> Vec<u8> {
        self.write_with(&Tail::default())
    }

    /// Writes it as an earlier one was that had this tail and the same value.
    pub(super) fn write_with(&self, tail: &Tail) -> Vec<u8> {
        record::write_with(tail, |writer| {
            record::put_time(writer, self.time);
            if let Some(value) = &self.value {
                value.write(writer);
            }
        })
    }

    pub(super) fn read(field: &Field, bytes: &[u8]) -> Result<FieldRecord, Malformed> {
        record::read(bytes, |reader, _| FieldRecord::fields(field, reader))
    }

    /// What later software put behind the value.
    pub(super) fn tail(field: &Field, bytes: &[u8]) -> Result<Tail, Malformed> {
        record::tail(bytes, |reader, _| FieldRecord::fields(field, reader))
    }

    fn fields(field: &Field, reader: &mut Reader<'_>) -> Result<FieldRecord, Malformed> {
        let time = record::time(reader)?;
        // Every value takes at least one byte.
        let value = (reader.left() > 0).then(|| field.holds.read(reader)).transpose()?;
        Ok(FieldRecord { time, value })
    }
}

/// A thing as it was made. Fields that are not known here are left out.
///
/// Fields on the wire: time, then a list in ascending order of name, part (empty where there is
/// none) and the length and bytes of the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ThingRecord {
    pub(super) time: WallTime,
    pub(super) fields: Values,
}

impl ThingRecord {
    pub(super) fn write(&self) -> Vec<u8> {
        record::write(|writer| {
            record::put_time(writer, self.time);
            let fields: Vec<_> = self.fields.iter().collect();
            writer.list(&fields, |writer, ((name, part), value)| {
                writer.short_text(name).short_text(part.as_deref().unwrap_or_default());
                let mut bytes = Writer::new();
                value.write(&mut bytes);
                writer.short_bytes(bytes.as_slice());
            });
        })
    }

    pub(super) fn read(layout: &Layout, bytes: &[u8]) -> Result<ThingRecord, Malformed> {
        record::read(bytes, |reader, _| {
            let time = record::time(reader)?;
            let mut last: Option<(&str, &str)> = None;
            let fields = reader.list(RECORD_FIELDS_MAX, |reader| {
                let slot = (reader.short_text(WORD_BYTES_MAX)?, reader.short_text(WORD_BYTES_MAX)?);
                if !is_field_name(slot.0) || last.is_some_and(|last| last >= slot) {
                    return Err(Malformed);
                }
                last = Some(slot);
                let value = reader.short_bytes(crate::limits::RECORD_BYTES_MAX)?;
                known(layout, slot, value)
            })?;
            Ok(ThingRecord { time, fields: fields.into_iter().flatten().collect() })
        })
    }
}

fn known(
    layout: &Layout,
    (name, part): (&str, &str),
    bytes: &[u8],
) -> Result<Option<(Slot, Value)>, Malformed> {
    let part = (!part.is_empty()).then_some(part);
    let Some(field) = layout.field(name) else { return Ok(None) };
    if !field.parts.fits(part) {
        return Err(Malformed);
    }
    let mut reader = Reader::new(bytes);
    let value = field.holds.read(&mut reader)?;
    reader.finish()?;
    Ok(Some(((field.name, part.map(Into::into)), value)))
}
