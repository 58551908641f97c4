//! Takes what a copy of a chat lacked: rows, people and digest, in one transaction.
//!
//! A whole copy is swept in: each page marks what it brings with a new sweep, and the end drops
//! what bears an older one. Until then the segment has no digest, so a crash between begins anew.

use fourword_protocol::command::{Changes, ChatCopy, MessageView, PersonView};
use fourword_protocol::ids::{Digest, EntityId};
use fourword_protocol::schema::chat::MessageId;
use fourword_protocol::schema::key;
use rusqlite::{Connection, OptionalExtension, params};

use super::layout::NUMBERS_PER_MS;
use super::{Place, ReadModel, failed, row};
use crate::StoreError;

impl ReadModel {
    /// Writes a page of what a segment lacked. `begins` says that it is the first of a whole copy.
    pub(super) fn write(
        &mut self,
        (chat, segment): Place,
        copy: &ChatCopy,
        begins: bool,
    ) -> Result<(), StoreError> {
        self.change(|db| {
            let number = chat_number(db, chat)?;
            db.prepare_cached("INSERT OR IGNORE INTO segments (chat, segment) VALUES (?1, ?2)")?
                .execute(params![number, segment])?;
            let at = Segment { chat: number, segment };
            if let Some((digest, people)) = &copy.people {
                replace_people(db, number, *digest, people)?;
            }
            take_changes(db, at, &copy.changes, begins)?;
            let settle = "UPDATE segments SET digest = ?3 WHERE chat = ?1 AND segment = ?2";
            let mut settle = db.prepare_cached(settle)?;
            settle.execute(params![number, segment, copy.digest.map(|digest| digest.0)]).map(drop)
        })
    }

    /// Keeps the name of a chat.
    pub fn name(&mut self, chat: EntityId, name: &str) -> Result<(), StoreError> {
        self.change(|db| {
            let number = chat_number(db, chat)?;
            let mut update =
                db.prepare_cached("UPDATE chats SET name = ?2 WHERE chat = ?1 AND name <> ?2")?;
            update.execute(params![number, name]).map(drop)
        })
    }

    /// Drops all chats but these.
    pub fn keep_only(&mut self, chats: &[EntityId]) -> Result<(), StoreError> {
        self.change(|db| {
            let mut rows = db.prepare_cached("SELECT chat, entity FROM chats")?;
            let held: Vec<(i64, [u8; 32])> =
                rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
            for (number, entity) in held.into_iter().filter(|(_, entity)| !chats.contains(&EntityId(*entity)))
            {
                forget(db, number, entity)?;
            }
            Ok(())
        })
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

/// A segment by the number of its chat.
#[derive(Clone, Copy, Debug)]
struct Segment {
    chat: i64,
    segment: u32,
}

fn forget(db: &Connection, chat: i64, entity: [u8; 32]) -> rusqlite::Result<()> {
    let mut segments = db.prepare_cached("SELECT segment FROM segments WHERE chat = ?1")?;
    let segments: Vec<u32> = segments.query_map([chat], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for segment in segments {
        sweep_out(db, Segment { chat, segment }, i64::MAX)?;
    }
    db.execute("DELETE FROM segments WHERE chat = ?1", [chat])?;
    db.execute("DELETE FROM people WHERE chat = ?1", [chat])?;
    db.execute("DELETE FROM chats WHERE entity = ?1", [entity]).map(drop)
}

/// The number of a chat, which is made if it has none.
fn chat_number(db: &Connection, chat: EntityId) -> rusqlite::Result<i64> {
    db.prepare_cached("INSERT OR IGNORE INTO chats (entity) VALUES (?1)")?.execute([chat.0])?;
    db.prepare_cached("SELECT chat FROM chats WHERE entity = ?1")?.query_row([chat.0], |row| row.get(0))
}

fn replace_people(db: &Connection, chat: i64, digest: Digest, people: &[PersonView]) -> rusqlite::Result<()> {
    db.execute("DELETE FROM people WHERE chat = ?1", [chat])?;
    let mut insert = db.prepare_cached(
        "INSERT OR REPLACE INTO people (chat, owner, person, words, name) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for PersonView { person, words, name } in people {
        let words = words.map(|words| words.to_bytes());
        insert.execute(params![chat, key::owner(person), person.0, words, name])?;
    }
    db.execute("UPDATE chats SET people = ?2 WHERE chat = ?1", params![chat, digest.0]).map(drop)
}

fn take_changes(db: &Connection, at: Segment, changes: &Changes, begins: bool) -> rusqlite::Result<()> {
    let of = params![at.chat, at.segment];
    if begins {
        db.execute("UPDATE segments SET sweep = sweep + 1 WHERE chat = ?1 AND segment = ?2", of)?;
    }
    let mut sweep = db.prepare_cached("SELECT sweep FROM segments WHERE chat = ?1 AND segment = ?2")?;
    let sweep: i64 = sweep.query_row(of, |row| row.get(0))?;
    match changes {
        Changes::Some { changed, gone, .. } => {
            for message in gone {
                remove(db, at, message)?;
            }
            changed.iter().try_for_each(|view| put(db, at, sweep, view))
        }
        Changes::Whole { messages, next, .. } => {
            messages.iter().try_for_each(|view| put(db, at, sweep, view))?;
            if next.is_none() { sweep_out(db, at, sweep) } else { Ok(()) }
        }
    }
}

/// Removes what no page of a sweep brought.
fn sweep_out(db: &Connection, at: Segment, sweep: i64) -> rusqlite::Result<()> {
    let mut rows = db.prepare_cached(
        "SELECT number, text FROM messages WHERE chat = ?1 AND segment = ?2 AND sweep <> ?3",
    )?;
    let left = rows.query_map(params![at.chat, at.segment, sweep], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let left: Vec<(i64, String)> = left.collect::<Result<_, _>>()?;
    left.iter().try_for_each(|(number, text)| remove_row(db, at.chat, *number, text))
}

/// The number and text under which a message is held.
fn held(db: &Connection, at: Segment, id: &MessageId) -> rusqlite::Result<Option<(i64, i64, String)>> {
    let mut row = db.prepare_cached(
        "SELECT number, time, text FROM messages WHERE chat = ?1 AND random = ?2 AND owner = ?3 AND segment = ?4",
    )?;
    row.query_row(params![at.chat, id.random, id.owner, at.segment], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })
    .optional()
}

fn remove(db: &Connection, at: Segment, id: &MessageId) -> rusqlite::Result<()> {
    match held(db, at, id)? {
        Some((number, _, text)) => remove_row(db, at.chat, number, &text),
        None => Ok(()),
    }
}

fn remove_row(db: &Connection, chat: i64, number: i64, text: &str) -> rusqlite::Result<()> {
    unindex(db, chat, number, text)?;
    db.prepare_cached("DELETE FROM messages WHERE number = ?1")?.execute([number]).map(drop)
}

fn put(db: &Connection, at: Segment, sweep: i64, view: &MessageView) -> rusqlite::Result<()> {
    let (chat, message) = (at.chat, &view.message);
    let time = i64::try_from(message.time.0).unwrap_or(i64::MAX);
    let number = match held(db, at, &message.id)? {
        Some((number, before, text)) if before == time && text == message.text => number,
        Some((number, before, text)) => {
            unindex(db, chat, number, &text)?;
            if before == time {
                index(db, chat, number, &message.text)?;
                number
            } else {
                db.prepare_cached("DELETE FROM messages WHERE number = ?1")?.execute([number])?;
                new_number(db, chat, time, &message.text)?
            }
        }
        None => new_number(db, chat, time, &message.text)?,
    };
    let (parent_owner, parent_random) = message.parent.map(|parent| (parent.owner, parent.random)).unzip();
    let mut insert = db.prepare_cached(
        "INSERT INTO messages (number, chat, segment, time, owner, random, text, parent_owner, parent_random,
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
            chat,
            at.segment,
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

/// A number that is free, for a message of this time, under which its text is found from now on.
fn new_number(db: &Connection, chat: i64, time: i64, text: &str) -> rusqlite::Result<i64> {
    let mut last =
        db.prepare_cached("SELECT max(number) FROM messages WHERE number >= ?1 AND number < ?2")?;
    let mut first = time.saturating_mul(NUMBERS_PER_MS).min(i64::MAX - NUMBERS_PER_MS);
    let number = loop {
        let end = first.saturating_add(NUMBERS_PER_MS);
        let taken: Option<i64> = last.query_row([first, end], |row| row.get(0))?;
        match taken.map_or(first, |taken| taken.saturating_add(1)) {
            // Where a millisecond is full, the next ones stand in: order suffers, nothing is lost.
            full if full >= end && end < i64::MAX - NUMBERS_PER_MS => first = end,
            number => break number,
        }
    };
    index(db, chat, number, text)?;
    Ok(number)
}

fn index(db: &Connection, chat: i64, number: i64, text: &str) -> rusqlite::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let mut insert = db.prepare_cached("INSERT INTO texts (rowid, place, text) VALUES (?1, ?2, ?3)")?;
    insert.execute(params![number, format!("c{chat}"), text]).map(drop)
}

fn unindex(db: &Connection, chat: i64, number: i64, text: &str) -> rusqlite::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let mut delete =
        db.prepare_cached("INSERT INTO texts (texts, rowid, place, text) VALUES ('delete', ?1, ?2, ?3)")?;
    delete.execute(params![number, format!("c{chat}"), text]).map(drop)
}
