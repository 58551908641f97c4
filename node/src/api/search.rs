//! Searching what was written.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use fourword_protocol::schema::thing::ThingKind;
use fourword_storage::read_model::{self, Found, HITS_MAX, SEARCH_BYTES_MAX, Search, ShownThing};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Api;
use super::chat::{self, Message};
use super::error::{Code, Problem};
use super::text;
use super::things::Person;

/// Hits given if nobody says how many.
const HITS: usize = 20;

/// How long a search waits for what is still being copied.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is searched for, and where.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchQuery {
    /// What to search for.
    q: String,
    /// The four words of a group, to search it alone.
    group: Option<String>,
    /// Of these kinds alone, with commas between: message, card, column, issue, element, comment.
    kind: Option<String>,
    /// `next` of the page before.
    before: Option<String>,
    /// How many hits at most.
    limit: Option<usize>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hits {
    /// The latest first.
    pub hits: Vec<Hit>,
    /// What `before` takes to go on; `None` if this was all.
    pub next: Option<String>,
    /// Whether everything was searched: right after a start some of it may still be copied.
    pub complete: bool,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hit {
    /// The four words of its group, channel or project.
    pub group: String,
    /// In which document of that: chat, kanban, issues or canvas.
    pub document: String,
    /// What it is: message, card, column, issue, element or comment.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Who wrote or made it.
    pub author: Person,
    /// When its author says that was, in milliseconds since 1970.
    pub time: u64,
    /// One line; empty where such things have none.
    pub title: String,
    /// Whether it is an archived card or a closed issue.
    pub closed: bool,
    /// What a comment is about.
    pub about: Option<Subject>,
    /// The whole message, if it is one.
    pub message: Option<Message>,
    /// A part of its title or text around what was found, in pieces.
    pub snippet: Vec<Piece>,
}

/// What a comment is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subject {
    /// What it is: card or issue.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// One line.
    pub title: String,
    /// Whether it is an archived card or a closed issue.
    pub closed: bool,
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// Whether it was searched for.
    pub hit: bool,
}

/// `GET /api/v1/search?q=TEXT&group=WORDS&kind=KIND,KIND&limit=N&before=NEXT`
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
    let search =
        search.among(query.kind.as_deref().map_or(Ok(BTreeSet::new()), kinds)?.into_iter().collect());
    let within = query.group.as_deref().map(text::words).transpose()?;
    let before = query.before.as_deref().map(cursor).transpose()?;
    let found = api.reading.search(&search, within, before, limit.saturating_add(1), PATIENCE).await?;
    let has_more = found.hits.len() > limit;
    let hits: Vec<Hit> =
        found.hits.into_iter().take(limit).map(|(words, hit)| shown(words.to_string(), hit)).collect();
    let next = hits.last().filter(|_| has_more).map(|hit| format!("{}:{}", hit.group, hit.id));
    Ok(Json(Hits { hits, next, complete: found.is_complete }))
}

fn shown(group: String, hit: read_model::Hit) -> Hit {
    let snippet = hit.snippet.into_iter().map(|p| Piece { text: p.text, hit: p.is_hit }).collect();
    match hit.found {
        Found::Message(shown) => Hit {
            group,
            document: document(ThingKind::Message).to_owned(),
            kind: ThingKind::Message.noun().to_owned(),
            id: shown.view.message.id.to_string(),
            author: shown.view.author.clone().into(),
            time: shown.view.message.time.0,
            title: String::new(),
            closed: false,
            about: None,
            message: Some(shown.into()),
            snippet,
        },
        Found::Thing(ShownThing { id, kind, author, title, time, closed, about }) => Hit {
            group,
            document: document(about.as_ref().map_or(kind, |about| about.kind)).to_owned(),
            kind: kind.noun().to_owned(),
            id: id.to_string(),
            author: author.into(),
            time: time.0,
            title,
            closed,
            about: about.map(|about| Subject {
                kind: about.kind.noun().to_owned(),
                id: about.id.to_string(),
                title: about.title,
                closed: about.closed,
            }),
            message: None,
            snippet,
        },
    }
}

/// In which document things of a kind are. A comment is where that is which it is about.
fn document(kind: ThingKind) -> &'static str {
    match kind {
        ThingKind::Message => "chat",
        ThingKind::Card | ThingKind::Column => "kanban",
        ThingKind::Issue => "issues",
        ThingKind::Element => "canvas",
        ThingKind::Comment => "",
    }
}

/// Reads `KIND,KIND`.
fn kinds(text: &str) -> Result<BTreeSet<ThingKind>, Problem> {
    let nouns = ThingKind::ALL.map(ThingKind::noun).join(", ");
    let kind = |noun: &str| {
        ThingKind::of_noun(noun).ok_or_else(|| {
            let noun: String = noun.chars().take(60).collect();
            Problem::new(
                Code::Usage,
                format!("nothing is of the kind \"{noun}\""),
                format!("kinds are {nouns}"),
            )
        })
    };
    text.split(',').map(kind).collect()
}

/// Reads `WORDS:ID`.
fn cursor(text: &str) -> Result<chat::Cursor, Problem> {
    let (words, id) = text.split_once(':').ok_or_else(|| {
        Problem::new(Code::Usage, "a place in a list of hits is WORDS:ID", "take `next` of the page before")
    })?;
    Ok((text::words(words)?, text::message(id)?))
}
