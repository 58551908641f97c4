//! Takes what a copy of a document lacked: rows, people and digest, in one transaction.
//!
//! A whole copy is swept in: each page marks what it brings with a new sweep, and the end drops
//! what bears an older one. Until then the document has no digest, so a crash between begins anew.

use std::collections::{BTreeMap, BTreeSet};

use fourword_protocol::command::{Changes, DocumentCopy, MessageView, PersonView, PlaceView, Row};
use fourword_protocol::ids::{Digest, EntityId};
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::chat::MessageId;
use fourword_protocol::schema::key;
use fourword_protocol::schema::thing::ThingId;
use rusqlite::{Connection, OptionalExtension, params};

use super::texts::{self, Held, Text};
use super::{Document, ReadModel, failed, row, things};
use crate::StoreError;

impl ReadModel {
    /// Writes a page of what a document lacked. `begins` says that it is the first of a whole copy.
    pub(super) fn write(
        &mut self,
        (entity, concern, segment): Document,
        copy: &DocumentCopy,
        begins: bool,
    ) -> Result<(), StoreError> {
        let concern = concern.name();
        self.change(|db| {
            let place = place_number(db, entity)?;
            let of = Kept { place, concern: &concern, segment };
            db.prepare_cached(
                "INSERT OR IGNORE INTO documents (place, concern, segment) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![place, of.concern, segment])?;
            if let Some((digest, people)) = &copy.people {
                replace_people(db, place, *digest, people)?;
            }
            take_changes(db, of, &copy.changes, begins)?;
            let settle =
                "UPDATE documents SET digest = ?4 WHERE place = ?1 AND concern = ?2 AND segment = ?3";
            let mut settle = db.prepare_cached(settle)?;
            settle.execute(params![place, of.concern, segment, copy.digest.map(|digest| digest.0)]).map(drop)
        })
    }

    /// Keeps the name of a place.
    pub fn name(&mut self, place: EntityId, name: &str) -> Result<(), StoreError> {
        self.change(|db| {
            let number = place_number(db, place)?;
            let mut update =
                db.prepare_cached("UPDATE places SET name = ?2 WHERE place = ?1 AND name <> ?2")?;
            update.execute(params![number, name]).map(drop)
        })
    }

    /// Drops all places but these.
    pub fn keep_only(&mut self, places: &[EntityId]) -> Result<(), StoreError> {
        let held = held_places(&self.db).map_err(failed("read"))?;
        let goes = |(_, entity): &(i64, EntityId)| !places.contains(entity);
        let gone: BTreeSet<i64> = held.into_iter().filter(goes).map(|(number, _)| number).collect();
        if gone.is_empty() {
            return Ok(());
        }
        self.change(|db| {
            let held = held_documents(db)?.into_iter();
            held.filter(|(_, place, _)| gone.contains(place))
                .try_for_each(|(_, place, named)| forget(db, place, &named))?;
            gone.iter().try_for_each(|place| {
                db.execute("DELETE FROM people WHERE place = ?1", [place])?;
                db.execute("DELETE FROM places WHERE place = ?1", [place]).map(drop)
            })
        })?;
        self.emptied = self.emptied.saturating_add(1);
        Ok(())
    }

    /// Drops all documents of these places that they do not have any more.
    pub fn keep_documents(&mut self, places: &[PlaceView]) -> Result<(), StoreError> {
        let names = |place: &PlaceView| -> Vec<Named> {
            place.documents.iter().map(|stand| (stand.concern.name(), stand.segment)).collect()
        };
        let had: BTreeMap<EntityId, Vec<Named>> = places.iter().map(|view| (view.id, names(view))).collect();
        let mut gone = held_documents(&self.db).map_err(failed("read"))?;
        gone.retain(|(entity, _, named)| had.get(entity).is_some_and(|had| !had.contains(named)));
        if gone.is_empty() {
            return Ok(());
        }
        self.change(|db| gone.iter().try_for_each(|(_, place, named)| forget(db, *place, named)))?;
        self.emptied = self.emptied.saturating_add(1);
        Ok(())
    }

    fn change<T>(
        &mut self,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let changes = self.db.transaction().map_err(failed("write"))?;
        // What is not committed is rolled back when it is dropped.
        let done = change(&changes).map_err(failed("write"))?;
        changes.commit().map_err(failed("write"))?;
        Ok(done)
    }
}

/// A document as it is kept: by the number of its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept<'a> {
    pub(super) place: i64,
    pub(super) concern: &'a str,
    pub(super) segment: u32,
}

impl Kept<'_> {
    fn is_chat(&self) -> bool {
        self.concern == Concern::Chat.name()
    }
}

fn held_places(db: &Connection) -> rusqlite::Result<Vec<(i64, EntityId)>> {
    let mut rows = db.prepare_cached("SELECT place, entity FROM places")?;
    let rows = rows.query_map([], |row| Ok((row.get(0)?, EntityId(row.get(1)?))))?;
    rows.collect()
}

/// What a document of a place is about, and which one of its series.
type Named = (String, u32);

/// What is copied, each with its place.
fn held_documents(db: &Connection) -> rusqlite::Result<Vec<(EntityId, i64, Named)>> {
    let sql =
        "SELECT p.entity, d.place, d.concern, d.segment FROM documents d JOIN places p ON p.place = d.place";
    let mut rows = db.prepare_cached(sql)?;
    let rows =
        rows.query_map([], |row| Ok((EntityId(row.get(0)?), row.get(1)?, (row.get(2)?, row.get(3)?))))?;
    rows.collect()
}

fn forget(db: &Connection, place: i64, (concern, segment): &Named) -> rusqlite::Result<()> {
    sweep_out(db, Kept { place, concern, segment: *segment }, i64::MAX)?;
    let sql = "DELETE FROM documents WHERE place = ?1 AND concern = ?2 AND segment = ?3";
    db.execute(sql, params![place, concern, segment]).map(drop)
}

/// The number of a place, which is made if it has none.
fn place_number(db: &Connection, place: EntityId) -> rusqlite::Result<i64> {
    db.prepare_cached("INSERT OR IGNORE INTO places (entity) VALUES (?1)")?.execute([place.0])?;
    db.prepare_cached("SELECT place FROM places WHERE entity = ?1")?.query_row([place.0], |row| row.get(0))
}

fn replace_people(
    db: &Connection,
    place: i64,
    digest: Digest,
    people: &[PersonView],
) -> rusqlite::Result<()> {
    db.execute("DELETE FROM people WHERE place = ?1", [place])?;
    let mut insert = db.prepare_cached(
        "INSERT OR REPLACE INTO people (place, owner, person, words, name) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for PersonView { person, words, name } in people {
        let words = words.map(|words| words.to_bytes());
        insert.execute(params![place, key::owner(person), person.0, words, name])?;
    }
    db.execute("UPDATE places SET people = ?2 WHERE place = ?1", params![place, digest.0]).map(drop)
}

fn take_changes(db: &Connection, of: Kept<'_>, changes: &Changes, begins: bool) -> rusqlite::Result<()> {
    let named = params![of.place, of.concern, of.segment];
    let which = "WHERE place = ?1 AND concern = ?2 AND segment = ?3";
    if begins {
        db.execute(&format!("UPDATE documents SET sweep = sweep + 1 {which}"), named)?;
    }
    let mut sweep = db.prepare_cached(&format!("SELECT sweep FROM documents {which}"))?;
    let sweep: i64 = sweep.query_row(named, |row| row.get(0))?;
    match changes {
        Changes::Some { changed, gone, .. } => {
            gone.iter().try_for_each(|id| remove(db, of, id))?;
            changed.iter().try_for_each(|row| put(db, of, sweep, row))
        }
        Changes::Whole { rows, next, .. } => {
            rows.iter().try_for_each(|row| put(db, of, sweep, row))?;
            if next.is_none() { sweep_out(db, of, sweep) } else { Ok(()) }
        }
    }
}

fn put(db: &Connection, of: Kept<'_>, sweep: i64, row: &Row) -> rusqlite::Result<()> {
    match row {
        Row::Message(view) => put_message(db, of, sweep, view),
        Row::Thing(said) => things::put(db, of, sweep, said),
    }
}

fn remove(db: &Connection, of: Kept<'_>, id: &ThingId) -> rusqlite::Result<()> {
    if !of.is_chat() {
        return things::remove(db, of, id);
    }
    match held(db, of, id)? {
        Some((number, _, text)) => remove_row(db, of.place, number, &text),
        None => Ok(()),
    }
}

/// Removes what no page of a sweep brought.
fn sweep_out(db: &Connection, of: Kept<'_>, sweep: i64) -> rusqlite::Result<()> {
    if !of.is_chat() {
        return things::sweep_out(db, of, sweep);
    }
    let mut rows = db.prepare_cached(
        "SELECT number, text FROM messages WHERE place = ?1 AND segment = ?2 AND sweep <> ?3",
    )?;
    let left = rows.query_map(params![of.place, of.segment, sweep], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let left: Vec<(i64, String)> = left.collect::<Result<_, _>>()?;
    left.iter().try_for_each(|(number, text)| remove_row(db, of.place, *number, text))
}

/// The number, time and text under which a message is held.
fn held(db: &Connection, of: Kept<'_>, id: &MessageId) -> rusqlite::Result<Option<(i64, i64, String)>> {
    let mut row = db.prepare_cached(
        "SELECT number, time, text FROM messages WHERE place = ?1 AND random = ?2 AND owner = ?3 AND segment = ?4",
    )?;
    row.query_row(params![of.place, id.random, id.owner, of.segment], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })
    .optional()
}

fn remove_row(db: &Connection, place: i64, number: i64, text: &str) -> rusqlite::Result<()> {
    texts::remove(db, place, number, &Text::of_message(text))?;
    db.prepare_cached("DELETE FROM messages WHERE number = ?1")?.execute([number]).map(drop)
}

fn put_message(db: &Connection, of: Kept<'_>, sweep: i64, view: &MessageView) -> rusqlite::Result<()> {
    let message = &view.message;
    let time = i64::try_from(message.time.0).unwrap_or(i64::MAX);
    let before = held(db, of, &message.id)?;
    let before = before.as_ref().map(|(number, time, text)| Held {
        number: *number,
        time: *time,
        text: Text::of_message(text),
    });
    let number = texts::renew(db, of.place, before.as_ref(), time, &Text::of_message(&message.text))?;
    if let Some(moved) = before.filter(|before| before.number != number) {
        db.prepare_cached("DELETE FROM messages WHERE number = ?1")?.execute([moved.number])?;
    }
    let (parent_owner, parent_random) = message.parent.map(|parent| (parent.owner, parent.random)).unzip();
    let mut insert = db.prepare_cached(
        "INSERT INTO messages (number, place, segment, time, owner, random, text, parent_owner, parent_random,
         edited, deleted, pinned, more, sweep)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT (number) DO UPDATE SET text = excluded.text, edited = excluded.edited,
         deleted = excluded.deleted, pinned = excluded.pinned, more = excluded.more,
         sweep = excluded.sweep",
    )?;
    let (owner, random) = (message.id.owner, message.id.random);
    let (edited, deleted, more) = (message.edited, message.deleted, row::more(view));
    let pinned = !view.pinned_by.is_empty();
    insert
        .execute(params![
            number,
            of.place,
            of.segment,
            time,
            owner,
            random,
            message.text,
            parent_owner,
            parent_random,
            edited,
            deleted,
            pinned,
            more,
            sweep
        ])
        .map(drop)
}
