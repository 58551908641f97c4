//! A message as a row: what is no column of its own goes into one byte string, and back.
//!
//! `write` lays rows out and `read` reads them. People are kept by what stands for them in keys,
//! and looked up when a row is shown, so that a new name shows everywhere at once.

use std::collections::BTreeMap;

use fourword_protocol::bytes::{Malformed, Reader, Writer};
use fourword_protocol::command::{MessageView, PersonView};
use fourword_protocol::ids::PersonId;
use fourword_protocol::limits::{ATTACHMENTS_MAX, EMOJI_BYTES_MAX, NAME_BYTES_MAX};
use fourword_protocol::schema::chat::{Attachment, Message, MessageId};
use fourword_protocol::schema::key::{self, Owner};
use fourword_protocol::time::WallTime;
use fourword_protocol::words::FourWords;
use rusqlite::types::Type;
use rusqlite::{Connection, Row};

use super::mention::mentioned;

/// What the columns of a message are, in the order in which [`read`] takes them.
pub(super) const COLUMNS: &str =
    "m.time, m.owner, m.random, m.text, m.parent_owner, m.parent_random, m.edited, m.deleted, m.more,
     (SELECT count(*) FROM messages r WHERE r.place = m.place AND r.parent_random = m.random
      AND r.parent_owner = m.owner AND r.deleted = 0)";

/// How many they are.
pub(super) const COLUMNS_COUNT: usize = 10;

/// A message, and what follows from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The message.
    pub view: MessageView,
    /// How many reply to it and are not deleted.
    pub replies: u32,
    /// Whom it mentions, by four words or a name.
    pub mentions: Vec<PersonView>,
}

/// Different reactions of one message, and people of one: beyond what any honest group has.
const REACTIONS_MAX: usize = 65_536;

/// Who is or was in a chat, by what stands for them.
pub(super) type People = BTreeMap<Owner, PersonView>;

/// The people of a chat.
pub(super) fn people(db: &Connection, chat: i64) -> rusqlite::Result<People> {
    let mut rows = db.prepare_cached("SELECT person, words, name FROM people WHERE place = ?1")?;
    let rows = rows.query_map([chat], |row| {
        let words: Option<[u8; 6]> = row.get(1)?;
        let person = PersonId(row.get(0)?);
        let words = words.map(FourWords::from_bytes);
        Ok((key::owner(&person), PersonView { person, words, name: row.get(2)? }))
    })?;
    rows.collect()
}

/// Attachments, reactions and pins; `None` if there are none.
pub(super) fn more(view: &MessageView) -> Option<Vec<u8>> {
    if view.message.attachments.is_empty() && view.reactions.is_empty() && view.pinned_by.is_empty() {
        return None;
    }
    let put_person = |writer: &mut Writer, person: &PersonView| {
        writer.raw(&key::owner(&person.person));
    };
    let mut writer = Writer::new();
    writer.list(&view.message.attachments, |writer, file| {
        writer.raw(&file.blob).u64(file.size_bytes).text(&file.name);
    });
    writer.list(&view.reactions, |writer, (emoji, people)| {
        writer.text(emoji).list(people, put_person);
    });
    writer.list(&view.pinned_by, put_person);
    Some(writer.into_bytes())
}

type More = (Vec<Attachment>, Vec<(String, Vec<Owner>)>, Vec<Owner>);

fn read_more(bytes: &[u8]) -> Result<More, Malformed> {
    let mut reader = Reader::new(bytes);
    let attachments = reader.list(ATTACHMENTS_MAX, |reader| {
        let (blob, size_bytes) = (reader.array()?, reader.u64()?);
        Ok(Attachment { blob, size_bytes, name: reader.text(NAME_BYTES_MAX)?.to_owned() })
    })?;
    let reactions = reader.list(REACTIONS_MAX, |reader| {
        let emoji = reader.text(EMOJI_BYTES_MAX)?.to_owned();
        Ok((emoji, reader.list(REACTIONS_MAX, Reader::array)?))
    })?;
    let pins = reader.list(REACTIONS_MAX, Reader::array)?;
    reader.finish()?;
    Ok((attachments, reactions, pins))
}

/// A message from a row that begins with [`COLUMNS`]; `None` if its author is not known.
pub(super) fn read(row: &Row<'_>, people: &People) -> rusqlite::Result<Option<Shown>> {
    let id = MessageId { owner: row.get(1)?, random: row.get(2)? };
    let Some(author) = people.get(&id.owner).cloned() else { return Ok(None) };
    let time: i64 = row.get(0)?;
    let parent: (Option<Owner>, Option<[u8; 8]>) = (row.get(4)?, row.get(5)?);
    let more: Option<Vec<u8>> = row.get(8)?;
    let more = more.map(|more| read_more(&more)).transpose();
    let (attachments, reactions, pins) = more
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(8, Type::Blob, Box::new(error)))?
        .unwrap_or_default();
    let known = |by: Vec<Owner>| by.iter().filter_map(|owner| people.get(owner).cloned()).collect();
    let message = Message {
        id,
        text: row.get(3)?,
        time: WallTime(u64::try_from(time).unwrap_or_default()),
        parent: parent.0.zip(parent.1).map(|(owner, random)| MessageId { owner, random }),
        attachments,
        edited: row.get(6)?,
        deleted: row.get(7)?,
    };
    let mentions = mentioned(&message.text, people).cloned().collect();
    let reactions = reactions.into_iter().map(|(emoji, by)| (emoji, known(by))).collect();
    let view = MessageView { author, reactions, pinned_by: known(pins), message };
    Ok(Some(Shown { view, replies: row.get(9)?, mentions }))
}
