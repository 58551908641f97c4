//! The index of texts: what rows say, and the numbers under which they are found.
//!
//! SQLite keeps no text of its own for the index, so what is taken out must be what was put in.
//! Invariant: the index has exactly what the view `searchable` shows of rows that say anything.

use fourword_protocol::schema::thing::ThingKind;
use rusqlite::{Connection, params};

use super::layout::NUMBERS_PER_MS;

/// What a row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text<'a> {
    pub(super) kind: &'a str,
    /// By what people name it, if they search for that.
    pub(super) name: &'a str,
    pub(super) title: &'a str,
    pub(super) text: &'a str,
}

/// Where a row stands, and what it says there.
pub(super) struct Held<'a> {
    pub(super) number: i64,
    pub(super) time: i64,
    pub(super) text: Text<'a>,
}

impl<'a> Text<'a> {
    /// What a message says. Its name is not looked for: too many words would begin alike.
    pub(super) fn of_message(text: &'a str) -> Text<'a> {
        Text { kind: ThingKind::Message.noun(), name: "", title: "", text }
    }

    fn is_empty(&self) -> bool {
        self.name.is_empty() && self.title.is_empty() && self.text.is_empty()
    }
}

/// The word of the index for all that is of one place.
pub(super) fn word_of(place: i64) -> String {
    format!("c{place}")
}

/// The number of a row from now on, under which its text is found. Of a row that stood under another
/// one before, nothing is found there any more.
pub(super) fn renew(
    db: &Connection,
    place: i64,
    held: Option<&Held<'_>>,
    time: i64,
    text: &Text<'_>,
) -> rusqlite::Result<i64> {
    let number = match held {
        Some(held) if held.time == time && held.text == *text => return Ok(held.number),
        Some(held) => {
            remove(db, place, held.number, &held.text)?;
            if held.time == time { held.number } else { new_number(db, time)? }
        }
        None => new_number(db, time)?,
    };
    add(db, place, number, text)?;
    Ok(number)
}

/// Has a row be found no more.
pub(super) fn remove(db: &Connection, place: i64, number: i64, text: &Text<'_>) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO texts (texts, rowid, kept, name, title, text) VALUES ('delete', ?1, ?2, ?3, ?4, ?5)";
    change(db, sql, place, number, text)
}

fn add(db: &Connection, place: i64, number: i64, text: &Text<'_>) -> rusqlite::Result<()> {
    let sql = "INSERT INTO texts (rowid, kept, name, title, text) VALUES (?1, ?2, ?3, ?4, ?5)";
    change(db, sql, place, number, text)
}

fn change(db: &Connection, sql: &str, place: i64, number: i64, text: &Text<'_>) -> rusqlite::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let kept = format!("{} {}", word_of(place), text.kind);
    db.prepare_cached(sql)?.execute(params![number, kept, text.name, text.title, text.text]).map(drop)
}

/// A number that is free, for something of this time.
fn new_number(db: &Connection, time: i64) -> rusqlite::Result<i64> {
    let mut last = db.prepare_cached(
        "SELECT max(number) FROM (
             SELECT max(number) AS number FROM messages WHERE number >= ?1 AND number < ?2 UNION ALL
             SELECT max(number) FROM things WHERE number >= ?1 AND number < ?2)",
    )?;
    let mut first = time.saturating_mul(NUMBERS_PER_MS).min(i64::MAX - NUMBERS_PER_MS);
    loop {
        let end = first.saturating_add(NUMBERS_PER_MS);
        let taken: Option<i64> = last.query_row([first, end], |row| row.get(0))?;
        match taken.map_or(first, |taken| taken.saturating_add(1)) {
            // Where a millisecond is full, the next ones stand in: order suffers, nothing is lost.
            full if full >= end && end < i64::MAX - NUMBERS_PER_MS => first = end,
            number => return Ok(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use fourword_protocol::command::{Changes, DocumentCopy, MessageView, PersonView, Row};
    use fourword_protocol::ids::{EntityId, PersonId};
    use fourword_protocol::schema::Concern;
    use fourword_protocol::schema::chat::Message;
    use fourword_protocol::schema::thing::ThingId;
    use fourword_protocol::schema::things::Said;
    use fourword_protocol::time::WallTime;

    use super::super::{Known, ReadModel};
    use super::*;

    /// One of few rows, in one of few states: so that each comes, changes, moves and goes often.
    fn row(concern: Concern, n: u8, state: u64) -> Row {
        let id = ThingId { owner: [1; 16], random: [n; 8] };
        let text = ["", "some words", "other words"][usize::try_from(state % 3).unwrap()].to_owned();
        let time = WallTime(state % 2);
        if concern == Concern::Chat {
            let author = PersonView { person: PersonId([1; 32]), words: None, name: String::new() };
            let (parent, attachments) = (None, Vec::new());
            let message = Message { id, text, time, parent, attachments, edited: false, deleted: false };
            return Row::Message(MessageView {
                message,
                author,
                reactions: Vec::new(),
                pinned_by: Vec::new(),
            });
        }
        let (kind, closed, assigned) =
            (ThingKind::ALL[1 + usize::from(n) % 5], state.is_multiple_of(5), vec![[2; 16]]);
        Row::Thing(Said { id, kind, about: None, title: format!("title {n}"), text, time, closed, assigned })
    }

    #[test]
    fn the_index_has_what_the_rows_say_after_any_changes() {
        let mut model = ReadModel::in_memory().unwrap();
        let mut state: u64 = 1;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        for _ in 0..300 {
            let concern =
                [Concern::Chat, Concern::Kanban, Concern::Issues][usize::try_from(draw(3)).unwrap()];
            let entity = EntityId([u8::try_from(draw(2)).unwrap(); 32]);
            let mut rows: Vec<Row> = (0..5)
                .filter(|_| draw(2) == 0)
                .collect::<Vec<u8>>()
                .into_iter()
                .map(|n| row(concern, n, draw(30)))
                .collect();
            let changes = match draw(4) {
                0 => Changes::Whole { reading: 1, rows, next: None },
                _ => {
                    let gone = rows.split_off(rows.len() / 2).iter().map(Row::id).collect();
                    Changes::Some { changed: rows, gone, more: false }
                }
            };
            let copy = DocumentCopy { segments: 1, revision: None, digest: None, changes, people: None };
            model.take((entity, concern, 1), Known::default(), &copy).unwrap();
            // SQLite compares each text that it was given with what the view shows now.
            let check = "INSERT INTO texts (texts, rank) VALUES ('integrity-check', 1)";
            model.db.execute_batch(check).unwrap();
        }
        model.keep_only(&[]).unwrap();
        let left = |table: &str| -> i64 {
            model.db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
        };
        assert_eq!(
            ["places", "documents", "messages", "things", "assigned", "texts_docsize"].map(left),
            [0; 6]
        );
    }
}
