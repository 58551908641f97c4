//! Searching what was written.

use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use fourword_storage::read_model::{HITS_MAX, SEARCH_BYTES_MAX, Search};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Api;
use super::chat::{self, Message};
use super::error::{Code, Problem};
use super::text;

/// Hits given if nobody says how many.
const HITS: usize = 20;

/// How long a search waits for chats that are still being copied.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is searched for, and where.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchQuery {
    /// What to search for.
    q: String,
    /// The four words of a group, to search it alone.
    group: Option<String>,
    /// `next` of the page before.
    before: Option<String>,
    /// How many messages at most.
    limit: Option<usize>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hits {
    /// The latest first.
    pub hits: Vec<Hit>,
    /// What `before` takes to go on; `None` if this was all.
    pub next: Option<String>,
    /// Whether all chats were searched: right after a start some may still be copied.
    pub complete: bool,
}

/// One message that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hit {
    /// The group's four words.
    pub group: String,
    /// The message.
    pub message: Message,
    /// A part of its text around what was found, in pieces.
    pub snippet: Vec<Piece>,
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// Whether it was searched for.
    pub hit: bool,
}

/// `GET /api/v1/search?q=TEXT&group=WORDS&limit=N&before=NEXT`
pub async fn search(State(api): State<Api>, Query(query): Query<SearchQuery>) -> Result<Json<Hits>, Problem> {
    if query.q.len() > SEARCH_BYTES_MAX {
        return Err(Problem::usage(format!("at most {SEARCH_BYTES_MAX} bytes are searched for")));
    }
    let limit = query.limit.unwrap_or(HITS);
    if limit > HITS_MAX {
        return Err(Problem::usage(format!("at most {HITS_MAX} hits are given at once")));
    }
    let search = Search::new(&query.q).ok_or_else(|| {
        Problem::new(Code::Usage, "there is no word to search for", "give at least one letter or digit")
    })?;
    let within = query.group.as_deref().map(text::words).transpose()?;
    let before = query.before.as_deref().map(cursor).transpose()?;
    let found = api.reading.search(&search, within, before, limit.saturating_add(1), PATIENCE).await?;
    let has_more = found.hits.len() > limit;
    let hits: Vec<Hit> = found
        .hits
        .into_iter()
        .take(limit)
        .map(|(words, hit)| Hit {
            group: words.to_string(),
            message: hit.message.into(),
            snippet: hit.snippet.into_iter().map(|p| Piece { text: p.text, hit: p.is_hit }).collect(),
        })
        .collect();
    let next = hits.last().filter(|_| has_more).map(|hit| format!("{}:{}", hit.group, hit.message.id));
    Ok(Json(Hits { hits, next, complete: found.is_complete }))
}

/// Reads `WORDS:ID`.
fn cursor(text: &str) -> Result<chat::Cursor, Problem> {
    let (words, id) = text.split_once(':').ok_or_else(|| {
        Problem::new(Code::Usage, "a place in a list of hits is WORDS:ID", "take `next` of the page before")
    })?;
    Ok((text::words(words)?, text::message(id)?))
}
