//! Documents that hold things: cards and columns, issues, elements of a canvas, and their comments.
//!
//! A concern says in a [`Layout`] what things it has; all else is the same for each: a thing is
//! written once, each field merges on its own, deletion is a flag that stays. Invariants: a thing
//! with a flag is gone whatever else arrives, before or after; every write offered here passes
//! `rights`; what is not known here is kept and passed on.

mod index;
mod layout;
mod restoring;
mod reverting;
mod saying;
mod telling;
mod values;

pub use index::ThingIndex;
use layout::{COMMENTS, FIELDS, FieldRecord, Key, ThingRecord};
pub use layout::{Layout, Table};
pub use restoring::{Left, Restored};
pub use reverting::{Deed, Mark, Print, Reversal, Stays, print};
pub use saying::{Said, assigned};
use values::Values;

use super::chat::{EditRecord, MessageRecord, write_deletion};
use super::field::{Field, Holds, Unfit, Value};
use super::key::{Owner, join, spell};
pub use super::record::Tail;
use super::rights::{Actor, Denied, Right, judge};
use super::thing::{Lookup, ThingId, named_between};
use super::{About, Concern, Maps, Part, Put};
use crate::command::RefusalCode;
use crate::limits::{PARTS_MAX, RECORD_FIELDS_MAX, TEXT_BYTES_MAX};
use crate::time::WallTime;

/// One field, or one part of a field, and what it is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// A field of the concern.
    pub field: String,
    /// Which part of it, if it has parts.
    pub part: Option<String>,
    /// Its value; `None`: it is not set any more.
    pub value: Option<Value>,
}

/// One thing as the document has it. Who made it is `id.owner`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// Its name.
    pub id: ThingId,
    /// The root map that it is in.
    pub table: &'static str,
    /// When its author says it was made.
    pub created: WallTime,
    /// When somebody says to have set the field that was set last.
    pub updated: WallTime,
    values: Values,
}

impl Thing {
    /// The value of a field without parts.
    pub fn value(&self, field: &str) -> Option<&Value> {
        self.values.get(field, None)
    }

    /// A field that is text; empty where it was never set.
    pub fn text(&self, field: &str) -> &str {
        self.value(field).map_or("", Value::text)
    }

    /// A field that is on or off.
    pub fn flag(&self, field: &str) -> bool {
        self.value(field) == Some(&Value::Flag(true))
    }

    /// The parts of a field, in order of their names.
    pub fn parts<'t>(&'t self, field: &'t str) -> impl Iterator<Item = (&'t str, &'t Value)> {
        self.values.of(field).filter_map(|(part, value)| Some((part?, value)))
    }

    /// The names of the parts of a field that are on.
    pub fn on<'t>(&'t self, field: &'t str) -> impl Iterator<Item = &'t str> {
        self.parts(field).filter(|(_, value)| **value == Value::Flag(true)).map(|(part, _)| part)
    }
}

/// What somebody said about a thing. Who is `id.owner`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Its name.
    pub id: ThingId,
    /// The thing.
    pub subject: ThingId,
    /// The text, the latest edit applied.
    pub text: String,
    /// When its author says it was written.
    pub time: WallTime,
    /// When its author says it was last edited.
    pub edited: Option<WallTime>,
}

/// Why a document does not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThingError {
    /// There is no such thing here.
    #[error("there is no {0} {short} here", short = .1.short())]
    Unknown(&'static str, ThingId),
    /// It is deleted, for good.
    #[error("{0} {short} was deleted", short = .1.short())]
    Deleted(&'static str, ThingId),
    /// A thing of this kind has no such field.
    #[error("{0}s have no {1:?}")]
    NoField(&'static str, String),
    /// A field that every one has was left out.
    #[error("every {0} needs: {1}")]
    Missing(&'static str, &'static str),
    /// A field does not hold such a value.
    #[error("{0} {1}")]
    Unfit(String, Unfit),
    /// A field has parts and none was named, or the name is none.
    #[error("{0} cannot be set on {1:?}")]
    NoPart(String, String),
    /// More fields than one record holds, or more parts than a field may have.
    #[error("one {0} takes at most {1} of these")]
    TooMany(&'static str, usize),
    /// Somebody else wrote it.
    #[error("comment {} can be edited by its author only", .0.short())]
    NotAuthor(ThingId),
    /// Nothing but blanks.
    #[error("a comment needs a text")]
    Empty,
    /// Too many bytes; says how many.
    #[error("the text is {0} bytes long, and a comment holds at most {TEXT_BYTES_MAX}")]
    TooLong(usize),
    /// The random name drawn is in use: draw another.
    #[error("{} exists already", .0.short())]
    Taken(ThingId),
    /// The person may not.
    #[error(transparent)]
    Denied(#[from] Denied),
}

impl ThingError {
    /// The kind of refusal, for programs.
    pub fn code(&self) -> RefusalCode {
        match self {
            ThingError::Unknown(..) | ThingError::Deleted(..) => RefusalCode::NotFound,
            ThingError::NotAuthor(_) => RefusalCode::NotAllowed,
            ThingError::TooMany(..) | ThingError::TooLong(_) | ThingError::Unfit(_, Unfit::TooLong(..)) => {
                RefusalCode::TooMuch
            }
            ThingError::NoField(..)
            | ThingError::Missing(..)
            | ThingError::Unfit(..)
            | ThingError::NoPart(..)
            | ThingError::Empty => RefusalCode::Usage,
            ThingError::Taken(_) => RefusalCode::Internal,
            ThingError::Denied(denied) => denied.code(),
        }
    }
}

/// One segment of such a document as a replica holds it: what people see, and what their commands
/// write. An operation that would change nothing gives no write, because each costs for ever.
#[derive(Clone, Copy)]
pub struct Things<'a> {
    concern: &'a Concern,
    layout: &'static Layout,
    maps: &'a dyn Maps,
    index: &'a ThingIndex,
}

impl<'a> Things<'a> {
    /// `index` must have noted all that `maps` holds. None if the concern holds no things.
    pub fn new(concern: &'a Concern, maps: &'a dyn Maps, index: &'a ThingIndex) -> Option<Things<'a>> {
        Some(Things { concern, layout: super::layout(concern)?, maps, index })
    }

    // -- reading ------------------------------------------------------------------------------

    /// One thing of a table; `None` if it has not come, or is deleted.
    pub fn thing(&self, table: &'static str, id: ThingId) -> Option<Thing> {
        if self.index.is_deleted(id) {
            return None;
        }
        let record = ThingRecord::read(self.layout, self.value(Key::Thing(table, id))?).ok()?;
        Some(self.with_overlay(table, id, record))
    }

    /// A thing as it was made, with what was set on it since.
    fn with_overlay(&self, table: &'static str, id: ThingId, record: ThingRecord) -> Thing {
        let (created, mut updated) = (record.time, record.time);
        let mut values = record.fields;
        for (key, value) in self.overlay(id) {
            let Ok(Key::Field(_, name, part)) = Key::parse(self.layout, FIELDS, key) else { continue };
            let Some(field) = self.layout.field(name) else { continue };
            if let Ok(record) = FieldRecord::read(field, value) {
                // What every such thing has stays, whatever somebody writes.
                if record.value.is_none() && self.is_required(table, name) {
                    continue;
                }
                values.set((field.name, part.map(Into::into)), record.value);
                updated = updated.max(record.time);
            }
        }
        Thing { id, table, created, updated, values: values.shrunk() }
    }

    /// The things of a table that are not deleted, by time, then by name.
    pub fn all(&self, table: &'static str) -> impl Iterator<Item = Thing> {
        self.index.of(table).filter_map(move |id| self.thing(table, id))
    }

    /// Whether things here have a field of this name.
    pub fn has_field(&self, name: &str) -> bool {
        self.layout.field(name).is_some()
    }

    /// Finds the comment that a person names, as [`Things::find`] does.
    pub fn find_comment(&self, text: &str) -> Lookup {
        self.find(COMMENTS, text)
    }

    /// Finds the thing of a table that a person names, by its full name or the first digits of its
    /// random part, in either case.
    pub fn find(&self, table: &'static str, text: &str) -> Lookup {
        if let Ok(id) = text.parse::<ThingId>() {
            return if self.index.holds(table, id) { Lookup::Found(id) } else { Lookup::Missing };
        }
        let Some((low, high)) = named_between(text) else { return Lookup::Missing };
        Lookup::among(self.index.between(table, low, high))
    }

    /// The comments on a thing, the oldest first.
    pub fn comments(&self, subject: ThingId) -> impl Iterator<Item = Comment> {
        self.index.comments(subject).filter_map(|id| self.comment(id))
    }

    /// How many comments on a thing there are.
    pub fn comment_count(&self, subject: ThingId) -> usize {
        self.index.comments(subject).count()
    }

    /// One comment that is not deleted.
    pub fn comment(&self, id: ThingId) -> Option<Comment> {
        let subject = self.index.subject(id).filter(|_| !self.index.is_deleted(id))?;
        let record = MessageRecord::read(self.value(Key::Comment(id))?).ok()?;
        let edit = self.value(Key::Edit(id)).and_then(|value| EditRecord::read(value).ok());
        let text = edit.map_or(record.text, |edit| edit.text).to_owned();
        Some(Comment { id, subject, text, time: record.time, edited: edit.map(|edit| edit.time) })
    }

    /// A field of the document itself; `None` where it was never set.
    pub fn metadata(&self, name: &str) -> Option<Value> {
        let field = self.layout.metadata.iter().find(|field| field.name == name)?;
        FieldRecord::read(field, self.value(Key::Metadata(field.name))?).ok()?.value
    }

    // -- writing ------------------------------------------------------------------------------

    /// Makes a thing named by `random`, 64 bits that the caller draws.
    pub fn make(
        &self,
        actor: &Actor,
        random: [u8; 8],
        table: &'static Table,
        sets: Vec<Set>,
        time: WallTime,
    ) -> Result<(ThingId, Put), ThingError> {
        let id = ThingId { owner: actor.owner(), random };
        if sets.len() > RECORD_FIELDS_MAX {
            return Err(ThingError::TooMany(table.noun(), RECORD_FIELDS_MAX));
        }
        let mut fields = Values::default();
        for set in sets {
            let field = self.check(table, &set)?;
            fields.set((field.name, set.part), set.value.filter(|value| !is_no_word(field, value)));
        }
        for required in table.required {
            let is_given = match fields.get(required, None) {
                Some(Value::Text(text)) => !text.trim().is_empty(),
                value => value.is_some(),
            };
            if !is_given {
                return Err(ThingError::Missing(table.noun(), required));
            }
        }
        self.free(id)?;
        let record = ThingRecord { time, fields };
        Ok((id, self.allowed(Key::Thing(table.root, id).put(record.write()), actor)?))
    }

    /// Sets fields of a thing: one write for each that has another value.
    pub fn set(
        &self,
        actor: &Actor,
        id: ThingId,
        table: &'static Table,
        sets: Vec<Set>,
        time: WallTime,
    ) -> Result<Vec<Put>, ThingError> {
        let thing = self.living(id, table)?;
        let mut puts = Vec::new();
        for set in sets {
            let field = self.check(table, &set)?;
            let is_nothing = match &set.value {
                Some(Value::Text(text)) => text.trim().is_empty(),
                value => value.is_none(),
            };
            if is_nothing && table.required.contains(&field.name) {
                return Err(ThingError::Missing(table.noun(), field.name));
            }
            let is_new = set.part.is_some()
                && thing.parts(field.name).all(|(part, _)| Some(part) != set.part.as_deref());
            if is_new && thing.parts(field.name).count() >= PARTS_MAX {
                return Err(ThingError::TooMany(table.noun(), PARTS_MAX));
            }
            let value = set.value.filter(|value| !is_no_word(field, value));
            if thing.values.get(field.name, set.part.as_deref()) == value.as_ref() {
                continue;
            }
            let key = Key::Field(id, field.name, set.part.as_deref());
            puts.push(self.allowed(key.put(FieldRecord { time, value }.write()), actor)?);
        }
        Ok(puts)
    }

    /// Sets a field of the document itself, or unsets it where `value` is `None`; `None` if it is so
    /// already.
    pub fn set_metadata(
        &self,
        actor: &Actor,
        name: &str,
        value: Option<Value>,
        time: WallTime,
    ) -> Result<Option<Put>, ThingError> {
        let field = self.layout.metadata.iter().find(|field| field.name == name);
        let field = field.ok_or_else(|| ThingError::NoField("document", name.into()))?;
        let judged = value.as_ref().map_or(Ok(()), |value| field.holds.judge(value));
        judged.map_err(|unfit| ThingError::Unfit(name.into(), unfit))?;
        if self.metadata(name) == value {
            return Ok(None);
        }
        let put = Key::Metadata(field.name).put(FieldRecord { time, value }.write());
        self.allowed(put, actor).map(Some)
    }

    /// Deletes a thing for good.
    pub fn delete(
        &self,
        actor: &Actor,
        id: ThingId,
        table: &'static Table,
        time: WallTime,
    ) -> Result<Put, ThingError> {
        self.living(id, table)?;
        self.allowed(Key::Deleted(actor.owner(), id).put(write_deletion(time)), actor)
    }

    /// Says something about a thing; `random` names the comment.
    pub fn say(
        &self,
        actor: &Actor,
        random: [u8; 8],
        (subject, table): (ThingId, &'static Table),
        text: &str,
        time: WallTime,
    ) -> Result<(ThingId, Put), ThingError> {
        check_text(text)?;
        self.living(subject, table)?;
        let id = ThingId { owner: actor.owner(), random };
        self.free(id)?;
        let record = MessageRecord { time, text, parent: Some(subject), attachments: Vec::new() };
        Ok((id, self.allowed(Key::Comment(id).put(record.write()), actor)?))
    }

    /// Gives one's own comment another text; `None` if it has this text already.
    pub fn edit_comment(
        &self,
        actor: &Actor,
        id: ThingId,
        text: &str,
        time: WallTime,
    ) -> Result<Option<Put>, ThingError> {
        check_text(text)?;
        let comment = self.living_comment(id)?;
        if id.owner != actor.owner() {
            return Err(ThingError::NotAuthor(id));
        }
        let put = self.allowed(Key::Edit(id).put(EditRecord { time, text }.write()), actor)?;
        Ok((comment.text != text).then_some(put))
    }

    /// Deletes one's own comment, or anybody's with the right to it, for good.
    pub fn delete_comment(&self, actor: &Actor, id: ThingId, time: WallTime) -> Result<Put, ThingError> {
        self.living_comment(id)?;
        self.allowed(Key::Deleted(actor.owner(), id).put(write_deletion(time)), actor)
    }

    // -- what these need ----------------------------------------------------------------------

    fn value(&self, key: Key<'_>) -> Option<&'a [u8]> {
        let (root, text) = key.place();
        self.maps.get(root, &text)
    }

    /// What was set on a thing since it was made, by key.
    fn overlay(&self, id: ThingId) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.maps.range(FIELDS, &format!("{}|", join(&[&spell(&id.owner), &spell(&id.random)])))
    }

    fn is_required(&self, table: &str, field: &str) -> bool {
        let table = self.layout.tables.iter().find(|of| of.root == table);
        table.is_some_and(|table| table.required.contains(&field))
    }

    fn allowed(&self, put: Put, actor: &Actor) -> Result<Put, ThingError> {
        judge(self.concern, &(&put).into(), actor)?;
        Ok(put)
    }

    /// A deletion that came first would swallow what is written under its name.
    fn free(&self, id: ThingId) -> Result<(), ThingError> {
        if self.index.is_taken(id) { Err(ThingError::Taken(id)) } else { Ok(()) }
    }

    fn living(&self, id: ThingId, table: &'static Table) -> Result<Thing, ThingError> {
        if self.index.is_deleted(id) {
            return Err(ThingError::Deleted(table.noun(), id));
        }
        self.thing(table.root, id).ok_or(ThingError::Unknown(table.noun(), id))
    }

    fn living_comment(&self, id: ThingId) -> Result<Comment, ThingError> {
        if self.index.is_deleted(id) {
            return Err(ThingError::Deleted("comment", id));
        }
        self.comment(id).ok_or(ThingError::Unknown("comment", id))
    }

    fn check(&self, table: &'static Table, set: &Set) -> Result<&'static Field, ThingError> {
        let field = self.layout.field(&set.field).filter(|field| table.fields.contains(&field.name));
        let field = field.ok_or_else(|| ThingError::NoField(table.noun(), set.field.clone()))?;
        if !field.parts.fits(set.part.as_deref()) {
            return Err(ThingError::NoPart(set.field.clone(), set.part.clone().unwrap_or_default()));
        }
        let is_required = table.required.contains(&field.name);
        if let Some(value) = set.value.as_ref().filter(|value| is_required || !is_no_word(field, value)) {
            field.holds.judge(value).map_err(|unfit| ThingError::Unfit(set.field.clone(), unfit))?;
        }
        Ok(field)
    }
}

/// Whether a value takes back the word that a field holds: no word is empty.
fn is_no_word(field: &Field, value: &Value) -> bool {
    matches!((field.holds, value), (Holds::Word(_), Value::Text(word)) if word.is_empty())
}

/// Who may write this key, if key and value have the shape of its map.
pub(super) fn right(layout: &Layout, root: &str, key: &str, value: &[u8]) -> Result<Right, Denied> {
    let key = Key::parse(layout, root, key)?;
    key.check(layout, value)?;
    Ok(key.right(layout))
}

/// What a key is about; `None` if it is that of no thing or comment.
pub(super) fn about(layout: &Layout, root: &str, key: &str) -> Option<About> {
    let key = Key::parse(layout, root, key).ok()?;
    let part = match key {
        Key::Thing(..) | Key::Comment(_) => Part::Made,
        Key::Field(..) | Key::Edit(_) | Key::Metadata(_) => Part::Set,
        Key::Deleted(..) => Part::Deleted,
    };
    Some(About { id: key.about()?, part })
}

/// The one person who may write a key; `None` if several may.
pub(super) fn writer(layout: &Layout, root: &str, key: &str) -> Option<Owner> {
    Key::parse(layout, root, key).ok()?.right(layout).owner
}

/// When the author of a record says that it was written; `None` if it does not say.
pub(super) fn time_of(root: &str, value: &[u8]) -> Option<WallTime> {
    match root {
        COMMENTS => MessageRecord::read(value).map(|record| record.time),
        _ => super::record::begins_with_time(value),
    }
    .ok()
}

/// What a value says to people.
pub(super) fn text_of(layout: &Layout, root: &str, key: &str, value: &[u8]) -> String {
    match Key::parse(layout, root, key) {
        Ok(Key::Thing(..)) => {
            let record = ThingRecord::read(layout, value);
            let title = record.ok().and_then(|record| record.fields.get("title", None).cloned());
            title.map_or_else(String::new, |value| value.text().to_owned())
        }
        Ok(Key::Field(_, name, _)) => {
            let record = layout.field(name).and_then(|field| FieldRecord::read(field, value).ok());
            let value = record.and_then(|record| record.value);
            value.map_or_else(String::new, |value| value.text().to_owned())
        }
        Ok(Key::Comment(_)) => {
            MessageRecord::read(value).map_or_else(|_| String::new(), |record| record.text.into())
        }
        Ok(Key::Edit(_)) => {
            EditRecord::read(value).map_or_else(|_| String::new(), |record| record.text.into())
        }
        Ok(Key::Deleted(..) | Key::Metadata(_)) | Err(_) => String::new(),
    }
}

fn check_text(text: &str) -> Result<(), ThingError> {
    if text.trim().is_empty() {
        return Err(ThingError::Empty);
    }
    if text.len() > TEXT_BYTES_MAX { Err(ThingError::TooLong(text.len())) } else { Ok(()) }
}
