//! Reads pages, threads and counts of one chat.
//!
//! The order is that of the chat itself: by time, then by name. A page ends before a message that
//! the reader names, so what arrives meanwhile moves nothing.

use fourword_protocol::ids::EntityId;
use fourword_protocol::schema::chat::{self, Lookup, MessageId};
use fourword_protocol::schema::home::ReadMarker;
use fourword_protocol::schema::key::Owner;
use fourword_protocol::time::WallTime;
use rusqlite::{OptionalExtension, params};

use super::mention::mentioned;
use super::row::Shown;
use super::{PAGE_MESSAGES_MAX, ReadModel, THREAD_MESSAGES_MAX, UNREAD_MAX, failed, row};
use crate::StoreError;

/// Messages named when a short name fits several.
const CANDIDATES_MAX: i64 = 8;

/// A message that was named is not here (any more).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing(pub MessageId);

/// Messages of a chat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Oldest first.
    pub messages: Vec<Shown>,
    /// Whether there are older ones.
    pub has_older: bool,
}

/// What one person has not read of a chat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// How many, at most [`UNREAD_MAX`].
    pub count: u32,
    /// How many of these mention this person.
    pub mentions: u32,
    /// How many cards and issues this person is to do that are not done, read or not.
    pub assigned: u32,
    /// The chat's name; empty if it is not known.
    pub name: String,
    /// The last message.
    pub last: Option<Shown>,
}

impl ReadModel {
    /// The last messages of a chat, or the last before one of them.
    pub fn page(
        &self,
        chat: EntityId,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<Result<Page, Missing>, StoreError> {
        self.page_where(chat, before, limit, "")
    }

    /// The same of those that somebody pinned.
    pub fn pinned(
        &self,
        chat: EntityId,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<Result<Page, Missing>, StoreError> {
        self.page_where(chat, before, limit, "AND m.pinned = 1")
    }

    fn page_where(
        &self,
        chat: EntityId,
        before: Option<MessageId>,
        limit: usize,
        condition: &'static str,
    ) -> Result<Result<Page, Missing>, StoreError> {
        let limit = limit.min(PAGE_MESSAGES_MAX);
        let Some(number) = self.number(chat)? else { return Ok(empty(before)) };
        let (time, until) = match self.end(number, before)? {
            Ok(end) => end,
            Err(missing) => return Ok(Err(missing)),
        };
        let sql = format!(
            "SELECT {} FROM messages m WHERE m.place = ?1 AND (m.time, m.owner, m.random) < (?2, ?3, ?4)
             {condition} ORDER BY m.time DESC, m.owner DESC, m.random DESC LIMIT ?5",
            row::COLUMNS
        );
        self.gather(number, limit, &sql, params![number, time, until.owner, until.random, wanted(limit)])
            .map(Ok)
    }

    /// The last messages of a thread: a message and all that reply to it or to one that does.
    pub fn thread(
        &self,
        chat: EntityId,
        root: MessageId,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<Result<Page, Missing>, StoreError> {
        let limit = limit.min(PAGE_MESSAGES_MAX);
        let Some(number) = self.number(chat)? else { return Ok(Err(Missing(root))) };
        if self.time(number, &root)?.is_none() {
            return Ok(Err(Missing(root)));
        }
        let (time, until) = match self.end(number, before)? {
            Ok(end) => end,
            Err(missing) => return Ok(Err(missing)),
        };
        let sql = format!(
            "WITH RECURSIVE thread (owner, random) AS (
                 SELECT ?2, ?3 UNION
                 SELECT r.owner, r.random FROM thread t CROSS JOIN messages r
                 ON r.place = ?1 AND r.parent_random = t.random AND r.parent_owner = t.owner
                 LIMIT {THREAD_MESSAGES_MAX}
             )
             SELECT {} FROM thread t CROSS JOIN messages m
             ON m.place = ?1 AND m.random = t.random AND m.owner = t.owner
             WHERE (m.time, m.owner, m.random) < (?4, ?5, ?6)
             ORDER BY m.time DESC, m.owner DESC, m.random DESC LIMIT ?7",
            row::COLUMNS
        );
        let params = params![number, root.owner, root.random, time, until.owner, until.random, wanted(limit)];
        self.gather(number, limit, &sql, params).map(Ok)
    }

    /// One message; `None` if there is none of this name.
    pub fn message(&self, chat: EntityId, id: MessageId) -> Result<Option<Shown>, StoreError> {
        let Some(number) = self.number(chat)? else { return Ok(None) };
        let sql = format!(
            "SELECT {} FROM messages m WHERE m.place = ?1 AND m.owner = ?2 AND m.random = ?3",
            row::COLUMNS
        );
        let page = self.gather(number, 1, &sql, params![number, id.owner, id.random])?;
        Ok(page.messages.into_iter().next())
    }

    /// The message that a person names, as [`chat::Chat::find`] finds it.
    pub fn find(&self, chat: EntityId, text: &str) -> Result<Lookup, StoreError> {
        let Some(number) = self.number(chat)? else { return Ok(Lookup::Missing) };
        if let Ok(id) = text.parse::<MessageId>() {
            let found = self.time(number, &id)?;
            return Ok(if found.is_some() { Lookup::Found(id) } else { Lookup::Missing });
        }
        let Some((low, high)) = chat::named_between(text) else { return Ok(Lookup::Missing) };
        let sql = "SELECT DISTINCT owner, random FROM messages WHERE place = ?1 AND random BETWEEN ?2 AND ?3
                   ORDER BY random, owner LIMIT ?4";
        let fitting = self.db.prepare_cached(sql).and_then(|mut rows| {
            let rows = rows.query_map(params![number, low, high, CANDIDATES_MAX], |row| {
                Ok(MessageId { owner: row.get(0)?, random: row.get(1)? })
            })?;
            rows.collect::<rusqlite::Result<Vec<MessageId>>>()
        });
        Ok(match fitting.map_err(failed("read"))?.as_slice() {
            [] => Lookup::Missing,
            [only] => Lookup::Found(*only),
            several => Lookup::Ambiguous(several.to_vec()),
        })
    }

    /// How much of a chat somebody has not read. Messages that claim a time after `latest` do not
    /// count: no marker reaches them.
    pub fn unread(
        &self,
        chat: EntityId,
        me: Owner,
        read: Option<ReadMarker>,
        latest: WallTime,
    ) -> Result<Unread, StoreError> {
        let Some(number) = self.number(chat)? else { return Ok(Unread::default()) };
        let name = self.db.prepare_cached("SELECT name FROM places WHERE place = ?1");
        let name = name.and_then(|mut name| name.query_row([number], |row| row.get(0)));
        let after = read.map(|marker| (marker.time.0, marker.message));
        let (time, id) = after.unwrap_or((0, MessageId { owner: [0; 16], random: [0; 8] }));
        // Of a text that names nobody nothing is read.
        let sql = "SELECT CASE WHEN instr(text, '@') THEN text END FROM messages WHERE place = ?1
                   AND (time, owner, random) > (?2, ?3, ?4) AND time <= ?5 AND owner <> ?6 AND deleted = 0
                   LIMIT ?7";
        let (time, latest) = (i64::try_from(time).unwrap_or(i64::MAX), i64::try_from(latest.0));
        let texts = self.db.prepare_cached(sql).and_then(|mut texts| {
            let latest = latest.unwrap_or(i64::MAX);
            let limits = params![number, time, id.owner, id.random, latest, me, UNREAD_MAX];
            texts.query_map(limits, |row| row.get(0))?.collect::<rusqlite::Result<Vec<Option<String>>>>()
        });
        let texts = texts.map_err(failed("read"))?;
        let mut people = row::people(&self.db, number).map_err(failed("read"))?;
        people.retain(|owner, _| *owner == me);
        let number_of = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let mentions = texts.iter().flatten().filter(|text| mentioned(text, &people).next().is_some());
        let (count, mentions) = (number_of(texts.len()), number_of(mentions.count()));
        let assigned =
            self.db.prepare_cached("SELECT count(*) FROM assigned WHERE place = ?1 AND person = ?2");
        let assigned = assigned.and_then(|mut count| count.query_row(params![number, me], |row| row.get(0)));
        let assigned = assigned.map_err(failed("read"))?;
        let last = self.page(chat, None, 1)?.unwrap_or_default().messages.pop();
        Ok(Unread { count, mentions, assigned, name: name.map_err(failed("read"))?, last })
    }

    /// Of which time a message is.
    pub fn marker(&self, chat: EntityId, id: MessageId) -> Result<Option<ReadMarker>, StoreError> {
        let Some(number) = self.number(chat)? else { return Ok(None) };
        let time = self.time(number, &id)?.and_then(|time| u64::try_from(time).ok());
        Ok(time.map(|time| ReadMarker { time: WallTime(time), message: id }))
    }

    pub(super) fn number(&self, chat: EntityId) -> Result<Option<i64>, StoreError> {
        let number = self.db.prepare_cached("SELECT place FROM places WHERE entity = ?1");
        let number = number.and_then(|mut number| number.query_row([chat.0], |row| row.get(0)).optional());
        number.map_err(failed("read"))
    }

    /// Before which place in the order a page ends.
    fn end(
        &self,
        chat: i64,
        before: Option<MessageId>,
    ) -> Result<Result<(i64, MessageId), Missing>, StoreError> {
        let Some(id) = before else {
            return Ok(Ok((i64::MAX, MessageId { owner: [0xff; 16], random: [0xff; 8] })));
        };
        Ok(self.time(chat, &id)?.map(|time| (time, id)).ok_or(Missing(id)))
    }

    fn time(&self, chat: i64, id: &MessageId) -> Result<Option<i64>, StoreError> {
        // Whoever writes one name in two segments is found by the first.
        let sql = "SELECT time FROM messages WHERE place = ?1 AND random = ?2 AND owner = ?3
                   ORDER BY segment LIMIT 1";
        let time = self.db.prepare_cached(sql).and_then(|mut time| {
            time.query_row(params![chat, id.random, id.owner], |row| row.get(0)).optional()
        });
        time.map_err(failed("read"))
    }

    /// Runs a query of messages, the latest first, which asks for one more than is wanted.
    fn gather(
        &self,
        chat: i64,
        limit: usize,
        sql: &str,
        params: &[&dyn rusqlite::ToSql],
    ) -> Result<Page, StoreError> {
        let page = row::people(&self.db, chat).and_then(|people| {
            let mut rows = self.db.prepare_cached(sql)?;
            let mut rows = rows.query(params)?;
            let mut page = Page::default();
            while let Some(found) = rows.next()? {
                if page.messages.len() == limit {
                    page.has_older = true;
                    break;
                }
                page.messages.extend(row::read(found, &people)?);
            }
            page.messages.reverse();
            Ok(page)
        });
        page.map_err(failed("read"))
    }
}

fn empty(before: Option<MessageId>) -> Result<Page, Missing> {
    before.map_or_else(|| Ok(Page::default()), |id| Err(Missing(id)))
}

/// One more than is given tells whether there are older ones.
fn wanted(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}
