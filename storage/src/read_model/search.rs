//! Searches the texts of messages, in all chats or in one, the latest first.
//!
//! What people type is no query language: every word must occur, in any case and with or without
//! accents, what stands between quotation marks must occur as it is, and the last word may be the
//! beginning of one. Nothing that is typed can be a mistake in the query that SQLite is given.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use fourword_protocol::ids::EntityId;
use fourword_protocol::schema::chat::MessageId;
use rusqlite::{OptionalExtension, params};

use super::row::Shown;
use super::{HITS_MAX, Missing, ReadModel, SEARCH_WORDS_MAX, SNIPPET_WORDS, failed, row};
use crate::StoreError;

/// What surrounds a hit in what SQLite gives back. A text that has them too shows more hits.
const HIT_BEGINS: char = '\u{2}';
const HIT_ENDS: char = '\u{3}';

/// What is searched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    query: String,
}

/// A message that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// In which chat.
    pub chat: EntityId,
    /// The message.
    pub message: Shown,
    /// A part of its text, around what was found.
    pub snippet: Vec<Piece>,
}

/// A piece of text that was found, or stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// Whether it was searched for.
    pub is_hit: bool,
}

impl Search {
    /// Reads what somebody types; `None` if it has no word to search for.
    pub fn new(text: &str) -> Option<Search> {
        let mut words: Vec<String> = Vec::new();
        let mut open_ended = false;
        // Every second part stands between quotation marks.
        for (at, part) in text.split('"').enumerate() {
            let is_quoted = at % 2 == 1;
            let parts: Vec<&str> = if is_quoted { vec![part] } else { part.split_whitespace().collect() };
            for part in parts.into_iter().filter(|part| part.contains(char::is_alphanumeric)) {
                // Quoted, everything is text; a zero byte would end it.
                words.push(format!("\"{}\"", part.replace('\0', " ")));
                // A single letter begins too many words to be of use.
                open_ended = !is_quoted && part.chars().nth(1).is_some();
            }
            // Whoever typed a blank after the last word has finished it.
            open_ended &= part.trim().is_empty() || !part.ends_with(char::is_whitespace);
        }
        words.truncate(SEARCH_WORDS_MAX);
        if let Some(last) = words.last_mut().filter(|_| open_ended) {
            last.push('*');
        }
        (!words.is_empty()).then(|| Search { query: words.join(" AND ") })
    }
}

impl ReadModel {
    /// The latest messages that fit, or the latest of them before one; of these chats only.
    pub fn search(
        &self,
        search: &Search,
        chats: &[EntityId],
        before: Option<(EntityId, MessageId)>,
        limit: usize,
    ) -> Result<Result<Vec<Hit>, Missing>, StoreError> {
        let mut places = Vec::new();
        for chat in chats {
            places.extend(self.number(*chat)?.map(|number| (number, *chat)));
        }
        let until = match before {
            None => i64::MAX,
            Some((chat, id)) => match self.row_number(chat, &id)? {
                Some(number) => number,
                None => return Ok(Err(Missing(id))),
            },
        };
        if places.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        let limit = i64::try_from(limit.min(HITS_MAX)).unwrap_or_default();
        self.hits(search, &places, until, limit).map(Ok).map_err(failed("search"))
    }

    fn hits(
        &self,
        search: &Search,
        places: &[(i64, EntityId)],
        until: i64,
        limit: i64,
    ) -> rusqlite::Result<Vec<Hit>> {
        let within: Vec<String> = places.iter().map(|(number, _)| number.to_string()).collect();
        // One chat is a word to look for; of many, most messages are in one of them.
        let query = match places {
            [(number, _)] => format!("place : \"c{number}\" AND text : ({})", search.query),
            _ => format!("text : ({})", search.query),
        };
        let sql = format!(
            "SELECT {}, m.chat, snippet(texts, 1, ?4, ?5, '…', ?6)
             FROM texts CROSS JOIN messages m ON m.number = texts.rowid
             WHERE texts MATCH ?1 AND texts.rowid < ?2
             AND m.chat IN (SELECT value FROM json_each(?7)) ORDER BY texts.rowid DESC LIMIT ?3",
            row::COLUMNS
        );
        let mut rows = self.db.prepare_cached(&sql)?;
        let (begins, ends) = (HIT_BEGINS.to_string(), HIT_ENDS.to_string());
        let within = format!("[{}]", within.join(","));
        let mut rows = rows.query(params![query, until, limit, begins, ends, SNIPPET_WORDS, within])?;
        let mut people = BTreeMap::new();
        let mut hits = Vec::new();
        while let Some(found) = rows.next()? {
            let number: i64 = found.get(row::COLUMNS_COUNT)?;
            let Some((_, chat)) = places.iter().find(|(of, _)| *of == number) else { continue };
            let people = match people.entry(number) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => unknown.insert(row::people(&self.db, number)?),
            };
            let snippet: String = found.get(row::COLUMNS_COUNT + 1)?;
            if let Some(message) = row::read(found, people)? {
                hits.push(Hit { chat: *chat, message, snippet: pieces(&snippet) });
            }
        }
        Ok(hits)
    }

    fn row_number(&self, chat: EntityId, id: &MessageId) -> Result<Option<i64>, StoreError> {
        let Some(number) = self.number(chat)? else { return Ok(None) };
        let sql = "SELECT number FROM messages WHERE chat = ?1 AND random = ?2 AND owner = ?3
                   ORDER BY segment LIMIT 1";
        let row = self.db.prepare_cached(sql).and_then(|mut row| {
            row.query_row(params![number, id.random, id.owner], |row| row.get(0)).optional()
        });
        row.map_err(failed("read"))
    }
}

/// Takes the marks of SQLite out of a text.
fn pieces(marked: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut is_hit = false;
    for part in marked.split_inclusive([HIT_BEGINS, HIT_ENDS]) {
        let text = part.trim_end_matches([HIT_BEGINS, HIT_ENDS]);
        if !text.is_empty() {
            pieces.push(Piece { text: text.to_owned(), is_hit });
        }
        is_hit = part.ends_with(HIT_BEGINS);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_typed_becomes_words_and_phrases() {
        let query = |text| Search::new(text).map(|search| search.query);
        assert_eq!(query("hello wor").as_deref(), Some("\"hello\" AND \"wor\"*"));
        assert_eq!(query("hello wor ").as_deref(), Some("\"hello\" AND \"wor\""));
        assert_eq!(query("say \"good night\"").as_deref(), Some("\"say\" AND \"good night\""));
        assert_eq!(query("\"open en").as_deref(), Some("\"open en\""));
        assert_eq!(query("NEAR(a* -b ^c").as_deref(), Some("\"NEAR(a*\" AND \"-b\" AND \"^c\"*"));
        assert_eq!(query("plan b").as_deref(), Some("\"plan\" AND \"b\""));
        for nothing in ["", "  ", "\"", "** \"\" -", "👍"] {
            assert_eq!(query(nothing), None, "{nothing}");
        }
        let many = Search::new(&"a ".repeat(100)).unwrap().query;
        assert_eq!(many.split(" AND ").count(), SEARCH_WORDS_MAX);
    }

    #[test]
    fn a_snippet_is_cut_at_its_hits() {
        let piece = |text: &str, is_hit| Piece { text: text.into(), is_hit };
        assert_eq!(
            pieces("…a \u{2}hit\u{3} and \u{2}one\u{3}"),
            [piece("…a ", false), piece("hit", true), piece(" and ", false), piece("one", true)]
        );
        assert_eq!(pieces("none"), [piece("none", false)]);
    }
}
