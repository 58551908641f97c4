//! The writes that bring things, or all of a document, back to how they were at an earlier state.
//!
//! Ordinary writes of who restores, with its rights: fields are set back, what was deleted since is
//! made anew under another name, and what came later is put away where things can be, else deleted.
//! What people said about things stays. Invariant: restoring does what it may and names the rest.

use std::collections::{BTreeMap, BTreeSet};

use super::layout::{FieldRecord, Key};
use super::reverting::{ARCHIVED, Mark, Stays};
use super::values::Slot;
use super::{Set, Table, Thing, ThingError, Things};
use crate::schema::Put;
use crate::schema::chat::write_deletion;
use crate::schema::field::Value;
use crate::schema::kanban::COLUMNS;
use crate::schema::rights::Actor;
use crate::schema::thing::ThingId;
use crate::time::WallTime;

/// What restoring takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// The writes.
    pub puts: Vec<Put>,
    /// The things that change, each by the name it has from then on.
    pub things: Vec<ThingId>,
    /// What stays as it is.
    pub left: Vec<Left>,
}

/// Something that stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Which thing.
    pub thing: ThingId,
    /// Which field of it; empty for the thing as a whole.
    pub field: &'static str,
    /// Why.
    pub why: Stays,
}

/// One restoring under way.
struct Restoring<'a> {
    now: Things<'a>,
    then: Things<'a>,
    actor: &'a Actor,
    time: WallTime,
    restored: Restored,
    /// Things that are made anew, by their old name.
    renamed: BTreeMap<ThingId, ThingId>,
}

impl<'a> Things<'a> {
    /// What brings one thing, or all and the document's own fields, back to how they were `then`.
    /// `draw` names what must be made anew. Unknown if the one thing was not there.
    pub(crate) fn restore(
        &self,
        then: Things<'a>,
        of: Option<ThingId>,
        actor: &'a Actor,
        draw: &mut dyn FnMut() -> [u8; 8],
        time: WallTime,
    ) -> Result<Restored, ThingError> {
        let (restored, renamed) = Default::default();
        let mut restoring = Restoring { now: *self, then, actor, time, restored, renamed };
        if let Some(id) = of {
            let was = self.layout.tables.iter().find_map(|table| Some((*table, then.thing(table.root, id)?)));
            let (table, was) = was.ok_or(ThingError::Unknown("thing", id))?;
            restoring.thing(table, &was, draw)?;
            return Ok(restoring.restored);
        }
        for table in self.layout.tables {
            for was in then.all(table.root) {
                restoring.thing(table, &was, draw)?;
            }
        }
        restoring.metadata()?;
        for table in self.layout.tables.iter().rev() {
            restoring.take_away(table);
        }
        Ok(restoring.restored)
    }
}

impl Restoring<'_> {
    /// Brings one thing back.
    fn thing(
        &mut self,
        table: &'static Table,
        was: &Thing,
        draw: &mut dyn FnMut() -> [u8; 8],
    ) -> Result<(), ThingError> {
        match self.now.thing(table.root, was.id) {
            Some(is) => self.set_back(table, was, &is),
            None => self.make_anew(table, was, draw()),
        }
    }

    fn set_back(&mut self, table: &'static Table, was: &Thing, is: &Thing) -> Result<(), ThingError> {
        let slots: BTreeSet<&Slot> =
            was.values.iter().chain(is.values.iter()).map(|(slot, _)| slot).collect();
        let before = self.restored.puts.len();
        for (name, part) in slots {
            let part = part.as_deref();
            let (value, held) = (was.values.get(name, part).cloned(), is.values.get(name, part));
            let Some(value) = self.renamed(value) else {
                let field = table.fields.iter().find(|field| *field == name).copied().unwrap_or_default();
                self.restored.left.push(Left { thing: was.id, field, why: Stays::Gone });
                continue;
            };
            let mark = Mark::Field(was.id, (*name).to_owned(), part.map(Into::into));
            let tail = self.then.tail(&mark);
            if value.as_ref() != held || tail != self.now.tail(&mark) {
                let key = Key::Field(was.id, name, part);
                let put = key.put(FieldRecord { time: self.time, value }.write_with(&tail));
                self.restored.puts.push(self.now.allowed(put, self.actor)?);
            }
        }
        if self.restored.puts.len() > before {
            self.restored.things.push(was.id);
        }
        Ok(())
    }

    /// What is deleted stays so: what was in it is made once more, under another name.
    fn make_anew(&mut self, table: &'static Table, was: &Thing, random: [u8; 8]) -> Result<(), ThingError> {
        let mut sets = Vec::new();
        for ((field, part), value) in was.values.iter() {
            // Its column went with it and cannot come back: it shows in the first one.
            let value = self.renamed(Some(value.clone())).flatten().unwrap_or_else(|| value.clone());
            sets.push(Set { field: (*field).to_owned(), part: part.clone(), value: Some(value) });
        }
        match self.now.make(self.actor, random, table, sets, self.time) {
            Ok((id, put)) => {
                self.renamed.insert(was.id, id);
                self.restored.puts.push(put);
                self.restored.things.push(id);
                Ok(())
            }
            Err(ThingError::Denied(denied)) => Err(denied.into()),
            // It has more fields than one record holds, or words of later software.
            Err(_) => {
                self.restored.left.push(Left { thing: was.id, field: "", why: Stays::Final });
                Ok(())
            }
        }
    }

    /// A value as it is to stand now: what was made anew is spoken of by its new name. `None` for a
    /// place in a column that is gone.
    fn renamed(&self, value: Option<Value>) -> Option<Option<Value>> {
        let Some(Value::Place(column, rank)) = value else { return Some(value) };
        let column = self.renamed.get(&column).copied().unwrap_or(column);
        let stands =
            self.renamed.values().any(|new| *new == column) || self.now.thing(COLUMNS.root, column).is_some();
        stands.then_some(Some(Value::Place(column, rank)))
    }

    fn metadata(&mut self) -> Result<(), ThingError> {
        for field in self.now.layout.metadata {
            let mark = Mark::Metadata(field.name.to_owned());
            let (was, tail) = (self.then.metadata(field.name), self.then.tail(&mark));
            if was != self.now.metadata(field.name) || tail != self.now.tail(&mark) {
                let record = FieldRecord { time: self.time, value: was }.write_with(&tail);
                let put = Key::Metadata(field.name).put(record);
                self.restored.puts.push(self.now.allowed(put, self.actor)?);
            }
        }
        Ok(())
    }

    /// Takes away what came later.
    fn take_away(&mut self, table: &'static Table) {
        let can_be_put_away = table.fields.contains(&ARCHIVED);
        let keeps_cards = self.restored.left.iter().any(|left| left.field == "pos");
        for is in self.now.all(table.root).filter(|is| self.then.thing(table.root, is.id).is_none()) {
            if can_be_put_away && is.flag(ARCHIVED) {
                continue;
            }
            if *table == *COLUMNS && keeps_cards {
                self.restored.left.push(Left { thing: is.id, field: "", why: Stays::WorkedOn });
                continue;
            }
            let put = if can_be_put_away {
                let away = FieldRecord { time: self.time, value: Some(Value::Flag(true)) };
                Key::Field(is.id, ARCHIVED, None).put(away.write())
            } else {
                Key::Deleted(self.actor.owner(), is.id).put(write_deletion(self.time))
            };
            match self.now.allowed(put, self.actor) {
                Ok(put) => {
                    self.restored.puts.push(put);
                    self.restored.things.push(is.id);
                }
                Err(_) => self.restored.left.push(Left { thing: is.id, field: "", why: Stays::NotAllowed }),
            }
        }
    }
}
