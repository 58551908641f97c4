//! Searches what was written, everywhere or in one group, the latest first.
//!
//! What people type is no query language: every word must occur, in any case and with or without
//! accents, what stands between quotation marks must occur as it is, and the last word may be the
//! beginning of one. Nothing that is typed can be a mistake in the query that SQLite is given.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use fourword_protocol::ids::EntityId;
use fourword_protocol::schema::thing::{ThingId, ThingKind};
use rusqlite::{OptionalExtension, Row, params};

use super::row::{People, Shown};
use super::texts::word_of;
use super::things::ShownThing;
use super::{HITS_MAX, Missing, ReadModel, SEARCH_WORDS_MAX, SNIPPET_WORDS, failed, row, things};
use crate::StoreError;

/// What surrounds a hit in what SQLite gives back. A text that has them too shows more hits.
const HIT_BEGINS: char = '\u{2}';
const HIT_ENDS: char = '\u{3}';

/// What is searched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    query: String,
    /// Of these kinds alone; of all where there are none.
    kinds: Vec<ThingKind>,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// In which group, channel or project.
    pub place: EntityId,
    /// What.
    pub found: Found,
    /// A part of its title or text, around what was found.
    pub snippet: Vec<Piece>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A message of a chat.
    Message(Shown),
    /// A thing, or a comment on one.
    Thing(ShownThing),
}

impl Found {
    /// Its name.
    pub fn id(&self) -> ThingId {
        match self {
            Found::Message(shown) => shown.view.message.id,
            Found::Thing(shown) => shown.id,
        }
    }
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
        (!words.is_empty()).then(|| Search { query: words.join(" AND "), kinds: Vec::new() })
    }

    /// The same, among what is of these kinds alone; among all if there are none.
    pub fn among(self, kinds: Vec<ThingKind>) -> Search {
        Search { kinds, ..self }
    }

    /// As SQLite takes it; of one place, if that is given.
    fn query(&self, place: Option<i64>) -> String {
        let mut query = format!("{{name title text}} : ({})", self.query);
        if let Some(place) = place {
            query.push_str(&format!(" AND kept : \"{}\"", word_of(place)));
        }
        if !self.kinds.is_empty() {
            let nouns: Vec<String> = self.kinds.iter().map(|kind| format!("\"{}\"", kind.noun())).collect();
            query.push_str(&format!(" AND kept : ({})", nouns.join(" OR ")));
        }
        query
    }
}

impl ReadModel {
    /// The latest that fits, or the latest of it before one hit; of these places only.
    pub fn search(
        &self,
        search: &Search,
        within: &[EntityId],
        before: Option<(EntityId, ThingId)>,
        limit: usize,
    ) -> Result<Result<Vec<Hit>, Missing>, StoreError> {
        let mut places = Vec::new();
        for place in within {
            places.extend(self.number(*place)?.map(|number| (number, *place)));
        }
        let until = match before {
            None => i64::MAX,
            Some((place, id)) => match self.row_number(place, &id)? {
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
        // One place is a word to look for; of many, most of what was written is in one of them.
        let query = match places {
            [(number, _)] => search.query(Some(*number)),
            _ => search.query(None),
        };
        let sql = format!(
            "SELECT {}, {}, coalesce(m.place, t.place), highlight(texts, 2, ?4, ?5),
             snippet(texts, 3, ?4, ?5, '…', ?6)
             FROM texts LEFT JOIN messages m ON m.number = texts.rowid
             LEFT JOIN things t ON t.number = texts.rowid {}
             WHERE texts MATCH ?1 AND texts.rowid < ?2
             AND coalesce(m.place, t.place) IN (SELECT value FROM json_each(?7))
             AND (t.about_random IS NULL OR a.number IS NOT NULL) ORDER BY texts.rowid DESC LIMIT ?3",
            row::COLUMNS,
            things::COLUMNS,
            things::ABOUT
        );
        let mut rows = self.db.prepare_cached(&sql)?;
        let (begins, ends) = (HIT_BEGINS.to_string(), HIT_ENDS.to_string());
        let within = format!("[{}]", within.join(","));
        let mut rows = rows.query(params![query, until, limit, begins, ends, SNIPPET_WORDS, within])?;
        let mut people = BTreeMap::new();
        let mut hits = Vec::new();
        let after = row::COLUMNS_COUNT + things::COLUMNS_COUNT;
        while let Some(row) = rows.next()? {
            let number: i64 = row.get(after)?;
            let Some((_, place)) = places.iter().find(|(of, _)| *of == number) else { continue };
            let people = match people.entry(number) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => unknown.insert(row::people(&self.db, number)?),
            };
            let (title, text): (String, String) = (row.get(after + 1)?, row.get(after + 2)?);
            // What is found in a title alone is shown there.
            let snippet = if title.contains(HIT_BEGINS) && !text.contains(HIT_BEGINS) { title } else { text };
            if let Some(found) = found(row, people)? {
                hits.push(Hit { place: *place, found, snippet: pieces(&snippet) });
            }
        }
        Ok(hits)
    }

    fn row_number(&self, place: EntityId, id: &ThingId) -> Result<Option<i64>, StoreError> {
        let Some(number) = self.number(place)? else { return Ok(None) };
        let sql = "SELECT number FROM (
                       SELECT number, segment FROM messages WHERE place = ?1 AND random = ?2 AND owner = ?3
                       UNION ALL
                       SELECT number, segment FROM things WHERE place = ?1 AND random = ?2 AND owner = ?3)
                   ORDER BY segment LIMIT 1";
        let row = self.db.prepare_cached(sql).and_then(|mut row| {
            row.query_row(params![number, id.random, id.owner], |row| row.get(0)).optional()
        });
        row.map_err(failed("read"))
    }
}

/// What a row shows: a message, or else a thing; `None` if its author is not known.
fn found(row: &Row<'_>, people: &People) -> rusqlite::Result<Option<Found>> {
    let is_message = row.get::<_, Option<i64>>(0)?.is_some();
    Ok(match is_message {
        true => row::read(row, people)?.map(Found::Message),
        false => things::read(row, row::COLUMNS_COUNT, people)?.map(Found::Thing),
    })
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
