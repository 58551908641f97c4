//! Things and comments as rows: cards, columns, issues, elements, and what was said about them.
//!
//! `write` lays them out and `search` reads them. A comment is kept whether what it is about is here
//! or not, and found only while it is: so neither needs to know when the other comes and goes.

use fourword_protocol::command::PersonView;
use fourword_protocol::schema::key::Owner;
use fourword_protocol::schema::thing::{ThingId, ThingKind};
use fourword_protocol::schema::things::Said;
use fourword_protocol::time::WallTime;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::row::People;
use super::texts::{self, Held, Text};
use super::write::Kept;

/// What the columns of a thing are, in the order in which [`read`] takes them. `a` is what a comment
/// is about.
pub(super) const COLUMNS: &str =
    "t.kind, t.time, t.owner, t.random, t.title, t.closed, a.kind, a.owner, a.random, a.title, a.closed";

/// How many they are.
pub(super) const COLUMNS_COUNT: usize = 11;

/// Joins a thing `t` with what it is about, if it is a comment.
pub(super) const ABOUT: &str =
    "LEFT JOIN things a ON a.place = t.place AND a.random = t.about_random AND a.owner = t.about_owner
     AND a.concern = t.concern AND a.segment = t.segment AND a.kind IN ('card', 'issue')";

/// A thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownThing {
    /// Its name.
    pub id: ThingId,
    /// What it is.
    pub kind: ThingKind,
    /// Who made it.
    pub author: PersonView,
    /// One line; empty where such things have none.
    pub title: String,
    /// When its author says it was made.
    pub time: WallTime,
    /// Nobody is to do anything about it any more: an archived card, a closed issue.
    pub closed: bool,
    /// Of a comment, what it is about.
    pub about: Option<Subject>,
}

/// What a comment is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its name.
    pub id: ThingId,
    /// A card or an issue.
    pub kind: ThingKind,
    /// One line.
    pub title: String,
    /// As in [`ShownThing`].
    pub closed: bool,
}

/// A thing from the columns [`COLUMNS`], of which `first` is the first; `None` if its author is not
/// known, or it is of a kind that is not.
pub(super) fn read(row: &Row<'_>, first: usize, people: &People) -> rusqlite::Result<Option<ShownThing>> {
    let at = |column: usize| first + column;
    let id = ThingId { owner: row.get(at(2))?, random: row.get(at(3))? };
    let kind = ThingKind::of_noun(&row.get::<_, String>(at(0))?);
    let Some((kind, author)) = kind.zip(people.get(&id.owner).cloned()) else { return Ok(None) };
    let time: i64 = row.get(at(1))?;
    let about = row.get::<_, Option<String>>(at(6))?.and_then(|kind| ThingKind::of_noun(&kind));
    let about = about.map(|kind| {
        let id = ThingId { owner: row.get(at(7))?, random: row.get(at(8))? };
        Ok::<_, rusqlite::Error>(Subject { id, kind, title: row.get(at(9))?, closed: row.get(at(10))? })
    });
    Ok(Some(ShownThing {
        id,
        kind,
        author,
        title: row.get(at(4))?,
        time: WallTime(u64::try_from(time).unwrap_or_default()),
        closed: row.get(at(5))?,
        about: about.transpose()?,
    }))
}

/// Lays a thing out, in place of what was held under its name.
pub(super) fn put(db: &Connection, of: Kept<'_>, sweep: i64, said: &Said) -> rusqlite::Result<()> {
    let before = held(db, of, &said.id)?;
    let (time, name) = (i64::try_from(said.time.0).unwrap_or(i64::MAX), name(&said.id));
    let text = Text { kind: said.kind.noun(), name: &name, title: &said.title, text: &said.text };
    let number = texts::renew(db, of.place, before.as_ref().map(Before::held).as_ref(), time, &text)?;
    if let Some(before) = before {
        drop_row(db, before.number)?;
    }
    let (about_owner, about_random) = said.about.map(|about| (about.owner, about.random)).unzip();
    let ThingId { owner, random } = said.id;
    let (place, concern, segment) = (of.place, of.concern, of.segment);
    let mut insert = db.prepare_cached(
        "INSERT INTO things (number, place, concern, segment, kind, time, owner, random, name, title, text,
         about_owner, about_random, closed, sweep)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?;
    insert.execute(params![
        number,
        place,
        concern,
        segment,
        text.kind,
        time,
        owner,
        random,
        text.name,
        text.title,
        text.text,
        about_owner,
        about_random,
        said.closed,
        sweep
    ])?;
    // Of what is done nobody is told any more.
    let open: &[Owner] = if said.closed { &[] } else { &said.assigned };
    let mut assign =
        db.prepare_cached("INSERT OR IGNORE INTO assigned (place, person, number) VALUES (?1, ?2, ?3)")?;
    open.iter().try_for_each(|person| assign.execute(params![place, person, number]).map(drop))
}

/// Drops what is held under a name.
pub(super) fn remove(db: &Connection, of: Kept<'_>, id: &ThingId) -> rusqlite::Result<()> {
    held(db, of, id)?.map_or(Ok(()), |before| forget(db, of.place, &before))
}

/// Drops what no page of a sweep brought.
pub(super) fn sweep_out(db: &Connection, of: Kept<'_>, sweep: i64) -> rusqlite::Result<()> {
    let mut rows = db.prepare_cached(
        "SELECT number, time, kind, name, title, text FROM things
         WHERE place = ?1 AND concern = ?2 AND segment = ?3 AND sweep <> ?4",
    )?;
    let left = rows.query_map(params![of.place, of.concern, of.segment, sweep], before)?;
    let left: Vec<Before> = left.collect::<Result<_, _>>()?;
    left.iter().try_for_each(|before| forget(db, of.place, before))
}

/// A row as it is held.
struct Before {
    number: i64,
    time: i64,
    kind: String,
    name: String,
    title: String,
    text: String,
}

impl Before {
    fn held(&self) -> Held<'_> {
        let Before { number, time, kind, name, title, text } = self;
        Held { number: *number, time: *time, text: Text { kind, name, title, text } }
    }
}

fn before(row: &Row<'_>) -> rusqlite::Result<Before> {
    let (number, time) = (row.get(0)?, row.get(1)?);
    Ok(Before { number, time, kind: row.get(2)?, name: row.get(3)?, title: row.get(4)?, text: row.get(5)? })
}

fn held(db: &Connection, of: Kept<'_>, id: &ThingId) -> rusqlite::Result<Option<Before>> {
    let mut row = db.prepare_cached(
        "SELECT number, time, kind, name, title, text FROM things
         WHERE place = ?1 AND random = ?2 AND owner = ?3 AND concern = ?4 AND segment = ?5",
    )?;
    row.query_row(params![of.place, id.random, id.owner, of.concern, of.segment], before).optional()
}

fn forget(db: &Connection, place: i64, before: &Before) -> rusqlite::Result<()> {
    texts::remove(db, place, before.number, &before.held().text)?;
    drop_row(db, before.number)
}

fn drop_row(db: &Connection, number: i64) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM assigned WHERE number = ?1")?.execute([number])?;
    db.prepare_cached("DELETE FROM things WHERE number = ?1")?.execute([number]).map(drop)
}

/// What people type to name a thing: as short as it is shown, and as long as it is.
fn name(id: &ThingId) -> String {
    let full = id.to_string();
    let random = full.split_once('-').map_or("", |(_, random)| random);
    format!("{} {random}", id.short())
}
