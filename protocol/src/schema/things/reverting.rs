//! What a write did to a document of things, and the write that takes it back.
//!
//! `undoing` keeps what this device did; this says of each deed how it is reverted now. Invariant:
//! a deed is reverted by ordinary writes that go forward, and only where the document still holds
//! what the deed wrote: what somebody else did since stays as it is.

use std::collections::BTreeMap;

use super::layout::{COMMENTS, FieldRecord, Key};
use super::{Table, ThingError, Things};
use crate::schema::Put;
use crate::schema::chat::{EditRecord, MessageRecord, write_deletion};
use crate::schema::field::{Field, Value};
use crate::schema::kanban::{Board, COLUMNS};
use crate::schema::record::Tail;
use crate::schema::rights::Actor;
use crate::schema::thing::ThingId;
use crate::time::WallTime;

/// The field by which a thing is put away, in tables whose things can be.
pub(super) const ARCHIVED: &str = "archived";

/// One thing that was done to a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A value was set.
    Set {
        /// Which.
        mark: Mark,
        /// What it held before; `None` where it held nothing.
        before: Option<Value>,
        /// What later software had put behind that.
        tail: Tail,
        /// The record that stood there.
        over: Option<Print>,
        /// The record that was written; empty where another name of the thing had it.
        wrote: Vec<u8>,
    },
    /// A thing or comment was made.
    Made {
        /// In which root map.
        root: &'static str,
        /// Which.
        id: ThingId,
        /// The record that was written.
        wrote: Vec<u8>,
    },
    /// What was made was taken back.
    Withdrawn {
        /// In which root map.
        root: &'static str,
        /// Which.
        id: ThingId,
        /// The record with which it was made.
        made: Vec<u8>,
        /// The record by which it was put away, and the one that stood there; `None` where it was
        /// deleted.
        away: Option<(Vec<u8>, Option<Print>)>,
    },
    /// A thing or comment was deleted.
    Deleted(ThingId),
}

/// The beginning of a record's hash, by which it is known again.
pub type Print = [u8; 16];

/// Knows a record again.
pub fn print(record: &[u8]) -> Print {
    let mut print = [0; 16];
    blake3::Hasher::new().update(record).finalize_xof().fill(&mut print);
    print
}

/// What holds one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A field of a thing, and which part of it.
    Field(ThingId, String, Option<String>),
    /// The text of a comment.
    Text(ThingId),
    /// A field of the document itself.
    Metadata(String),
}

/// Why a deed stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stays {
    /// The value is not the one that was written.
    #[error("somebody else changed it since")]
    Changed,
    /// Others set fields of it, spoke about it or put something into it.
    #[error("others have worked on it since")]
    WorkedOn,
    /// It is gone, for good.
    #[error("it was deleted since")]
    Gone,
    /// A deletion cannot be taken back.
    #[error("what is deleted stays so")]
    Final,
    /// It would have to be deleted or set, which this person may not.
    #[error("only an admin may do that, or who made it")]
    NotAllowed,
}

/// What reverts a deed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reversal {
    /// The write.
    pub put: Put,
    /// What it does, by which it can be reverted in turn.
    pub deed: Deed,
    /// The record that the deed had written over: who wrote that finds it replaced by this.
    pub over: Option<Print>,
    /// The thing has this name from now on, as what is deleted never comes back under its own.
    pub renamed: Option<ThingId>,
}

impl Deed {
    /// The thing or comment that it was about; `None` for the document itself.
    pub fn about(&self) -> Option<ThingId> {
        match self {
            Deed::Set { mark: Mark::Field(id, ..) | Mark::Text(id), .. } => Some(*id),
            Deed::Made { id, .. } | Deed::Withdrawn { id, .. } | Deed::Deleted(id) => Some(*id),
            Deed::Set { mark: Mark::Metadata(_), .. } => None,
        }
    }

    /// What it made, or took back again.
    pub fn made(&self) -> Option<ThingId> {
        match self {
            Deed::Made { id, .. } | Deed::Withdrawn { id, .. } => Some(*id),
            Deed::Set { .. } | Deed::Deleted(_) => None,
        }
    }

    /// The field that it set; empty where it set none.
    pub fn field(&self) -> &str {
        match self {
            Deed::Set { mark: Mark::Field(_, field, _) | Mark::Metadata(field), .. } => field,
            Deed::Set { mark: Mark::Text(_), .. } => "text",
            Deed::Made { .. } | Deed::Withdrawn { .. } | Deed::Deleted(_) => "",
        }
    }

    /// Speaks of a thing by its new name from now on.
    pub fn rename(&mut self, from: ThingId, to: ThingId) {
        match self {
            Deed::Set { mark: Mark::Field(id, ..) | Mark::Text(id), .. }
            | Deed::Made { id, .. }
            | Deed::Withdrawn { id, .. }
            | Deed::Deleted(id)
                if *id == from =>
            {
                *id = to;
            }
            _ => {}
        }
        if let Deed::Set { before: Some(Value::Place(column, _)), .. } = self
            && *column == from
        {
            *column = to;
        }
        // A comment names what it is about in its record.
        if let Deed::Made { root: COMMENTS, wrote: record, .. }
        | Deed::Withdrawn { root: COMMENTS, made: record, .. } = self
            && let Some(moved) = about_another(record, from, to)
        {
            *record = moved;
        }
    }

    /// What it set, if it set a value.
    pub fn mark(&self) -> Option<&Mark> {
        match self {
            Deed::Set { mark, .. } => Some(mark),
            Deed::Made { .. } | Deed::Withdrawn { .. } | Deed::Deleted(_) => None,
        }
    }

    /// Takes it that what it set has not been set under the thing's new name.
    pub fn begin_anew(&mut self) {
        if let Deed::Set { wrote, .. } = self {
            wrote.clear();
        }
    }

    /// Takes a record, which says what this deed wrote, for its own. True if it does.
    pub fn adopt(&mut self, put: &Put, over: Print) -> bool {
        match self {
            Deed::Set { mark, wrote, .. }
                if print(wrote) == over && mark.key().place() == (put.root, put.key.clone()) =>
            {
                wrote.clone_from(&put.value);
                true
            }
            _ => false,
        }
    }

    /// Bytes that it takes to keep.
    pub fn size(&self) -> usize {
        match self {
            Deed::Set { before, tail, wrote, .. } => {
                let before = before.as_ref().map_or(0, Value::size);
                before.saturating_add(tail.size()).saturating_add(wrote.len())
            }
            Deed::Made { wrote, .. } => wrote.len(),
            Deed::Withdrawn { made, away, .. } => {
                made.len().saturating_add(away.as_ref().map_or(0, |(away, _)| away.len()))
            }
            Deed::Deleted(_) => 0,
        }
    }
}

impl Mark {
    fn key(&self) -> Key<'_> {
        match self {
            Mark::Field(id, field, part) => Key::Field(*id, field, part.as_deref()),
            Mark::Text(id) => Key::Edit(*id),
            Mark::Metadata(field) => Key::Metadata(field),
        }
    }
}

impl Things<'_> {
    /// What these writes are about to do to the document.
    pub fn deeds(&self, puts: &[Put]) -> Vec<Deed> {
        // Of several that set one value the last counts.
        let last: BTreeMap<_, _> = puts.iter().map(|put| ((put.root, put.key.as_str()), put)).collect();
        last.into_values().filter_map(|put| self.deed(put)).collect()
    }

    fn deed(&self, put: &Put) -> Option<Deed> {
        let wrote = put.value.clone();
        let mark = match Key::parse(self.layout, put.root, &put.key).ok()? {
            Key::Thing(root, id) => return Some(Deed::Made { root, id, wrote }),
            Key::Comment(id) => return Some(Deed::Made { root: COMMENTS, id, wrote }),
            Key::Deleted(_, id) => return Some(Deed::Deleted(id)),
            Key::Field(id, field, part) => Mark::Field(id, field.to_owned(), part.map(str::to_owned)),
            Key::Edit(id) => Mark::Text(id),
            Key::Metadata(field) => Mark::Metadata(field.to_owned()),
        };
        let (before, tail, over) = (self.held(&mark), self.tail(&mark), self.value(mark.key()).map(print));
        Some(Deed::Set { mark, before, tail, over, wrote })
    }

    /// What reverts a deed now, or why it stays. `random` names what must be made anew, and
    /// `is_ours` says whether this device alone wrote what a field of a thing holds.
    pub fn revert(
        &self,
        deed: &Deed,
        actor: &Actor,
        random: [u8; 8],
        time: WallTime,
        is_ours: &dyn Fn(ThingId, &str, &[u8]) -> bool,
    ) -> Result<Result<Reversal, Stays>, ThingError> {
        let reversal = match deed {
            Deed::Set { mark, before, tail, over, wrote } => {
                let set = self.set_back(mark, (before.as_ref(), tail), wrote, time);
                set.map(|reversal| Reversal { over: *over, ..reversal })
            }
            Deed::Made { root, id, wrote } => self.withdraw((root, *id), wrote, actor, time, is_ours),
            Deed::Withdrawn { root, id, made, away: Some((away, over)) } => {
                let back = self.bring_back((root, *id), made, away, time);
                back.map(|reversal| Reversal { over: *over, ..reversal })
            }
            Deed::Withdrawn { root, made, away: None, .. } => {
                let anew = ThingId { owner: actor.owner(), random };
                self.free(anew)?;
                self.make_anew(root, made, anew)
            }
            Deed::Deleted(_) => Err(Stays::Final),
        };
        if let Ok(reversal) = &reversal {
            self.allowed(reversal.put.clone(), actor)?;
        }
        Ok(reversal)
    }

    fn set_back(
        &self,
        mark: &Mark,
        (before, tail): (Option<&Value>, &Tail),
        wrote: &[u8],
        time: WallTime,
    ) -> Result<Reversal, Stays> {
        if let Mark::Field(id, ..) | Mark::Text(id) = mark
            && self.index.is_deleted(*id)
        {
            return Err(Stays::Gone);
        }
        let now = self.value(mark.key());
        if now.unwrap_or_default() != wrote {
            return Err(Stays::Changed);
        }
        let value = match (mark, before) {
            (Mark::Text(_), text) => EditRecord { time, text: text.map_or("", Value::text) }.write_with(tail),
            (_, value) => FieldRecord { time, value: value.cloned() }.write_with(tail),
        };
        let (before, tail, over) = (self.held(mark), self.tail(mark), now.map(print));
        let deed = Deed::Set { mark: mark.clone(), before, tail, over, wrote: value.clone() };
        Ok(Reversal { put: mark.key().put(value), deed, over: None, renamed: None })
    }

    /// Puts away what was made, where that is known, else deletes it.
    fn withdraw(
        &self,
        (root, id): (&'static str, ThingId),
        made: &[u8],
        actor: &Actor,
        time: WallTime,
        is_ours: &dyn Fn(ThingId, &str, &[u8]) -> bool,
    ) -> Result<Reversal, Stays> {
        if self.index.is_deleted(id) {
            return Err(Stays::Gone);
        }
        if self.is_worked_on((root, id), is_ours) {
            return Err(Stays::WorkedOn);
        }
        let withdrawn = |away| Deed::Withdrawn { root, id, made: made.to_vec(), away };
        let can_be_put_away = self.table(root).is_some_and(|table| table.fields.contains(&ARCHIVED));
        let (put, deed) = if can_be_put_away {
            let away = FieldRecord { time, value: Some(Value::Flag(true)) }.write();
            let key = Key::Field(id, ARCHIVED, None);
            let over = self.value(key).map(print);
            (key.put(away.clone()), withdrawn(Some((away, over))))
        } else {
            (Key::Deleted(actor.owner(), id).put(write_deletion(time)), withdrawn(None))
        };
        Ok(Reversal { put, deed, over: None, renamed: None })
    }

    /// Whether anybody but this device did anything to a thing since it was made, or to a comment.
    fn is_worked_on(
        &self,
        (root, id): (&'static str, ThingId),
        is_ours: &dyn Fn(ThingId, &str, &[u8]) -> bool,
    ) -> bool {
        let holds_cards = root == COLUMNS.root && Board(*self).check_empty(id).is_err();
        let mut set = self.overlay(id);
        holds_cards
            || self.index.comments(id).next().is_some()
            || set.any(|(key, value)| !is_ours(id, key, value))
    }

    fn bring_back(
        &self,
        (root, id): (&'static str, ThingId),
        made: &[u8],
        away: &[u8],
        time: WallTime,
    ) -> Result<Reversal, Stays> {
        let key = Key::Field(id, ARCHIVED, None);
        if self.index.is_deleted(id) {
            return Err(Stays::Gone);
        }
        if self.value(key) != Some(away) {
            return Err(Stays::Changed);
        }
        let put = key.put(FieldRecord { time, value: Some(Value::Flag(false)) }.write());
        let deed = Deed::Made { root, id, wrote: made.to_vec() };
        Ok(Reversal { put, deed, over: None, renamed: None })
    }

    /// What is deleted stays so: what was in it is made once more, under another name.
    fn make_anew(&self, root: &'static str, made: &[u8], anew: ThingId) -> Result<Reversal, Stays> {
        let key = match self.table(root) {
            Some(_) => Key::Thing(root, anew),
            None => Key::Comment(anew),
        };
        let subject = MessageRecord::read(made).ok().and_then(|record| record.parent);
        if root == COMMENTS && subject.is_none_or(|subject| !self.stands(subject)) {
            return Err(Stays::Gone);
        }
        let deed = Deed::Made { root, id: anew, wrote: made.to_vec() };
        Ok(Reversal { put: key.put(made.to_vec()), deed, over: None, renamed: Some(anew) })
    }

    // -- what these need ----------------------------------------------------------------------

    pub(super) fn table(&self, root: &str) -> Option<&'static Table> {
        self.layout.tables.iter().find(|table| table.root == root).copied()
    }

    fn stands(&self, id: ThingId) -> bool {
        self.layout.tables.iter().any(|table| self.index.holds(table.root, id)) && !self.index.is_deleted(id)
    }

    /// What later software put behind what something holds.
    pub(super) fn tail(&self, mark: &Mark) -> Tail {
        let of = |fields: &'static [Field], name: &str| fields.iter().find(|field| field.name == name);
        let tail = self.value(mark.key()).and_then(|record| match mark {
            Mark::Text(_) => EditRecord::tail(record).ok(),
            Mark::Field(_, name, _) => FieldRecord::tail(of(self.layout.fields, name)?, record).ok(),
            Mark::Metadata(name) => FieldRecord::tail(of(self.layout.metadata, name)?, record).ok(),
        });
        tail.unwrap_or_default()
    }

    /// What something shows.
    fn held(&self, mark: &Mark) -> Option<Value> {
        match mark {
            Mark::Metadata(field) => self.metadata(field),
            Mark::Text(id) => self.comment(*id).map(|comment| Value::Text(comment.text)),
            Mark::Field(id, field, part) => {
                let of = self.layout.tables.iter().find(|table| self.index.holds(table.root, *id))?;
                self.thing(of.root, *id)?.values.get(field, part.as_deref()).cloned()
            }
        }
    }
}

/// The record of a comment on one thing as one on another; `None` if it is on a third.
fn about_another(record: &[u8], from: ThingId, to: ThingId) -> Option<Vec<u8>> {
    let mut comment = MessageRecord::read(record).ok().filter(|comment| comment.parent == Some(from))?;
    comment.parent = Some(to);
    Some(comment.write())
}
