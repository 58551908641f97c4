//! The versions of a chat, board, issue tracker, canvas or group: which there are, how they differ, and back.
//!
//! What differs in a text is told by characters, compared on a thread of its own within a bounded time.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Path, Query, State};
use fourword_protocol::command::{
    ChangeView, Command, DifferenceView, DifferencesView, FieldView, HistoryCommand, Reply, VersionView,
    VersionsView,
};
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::told::{Did, Presence as In};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Api;
use super::body::Body;
use super::error::{Code, Problem};
use super::text;
use super::things::{Person, named};
use super::undo::Reverted;
use crate::difference::{self, Piece};

/// Versions given if nobody says how many.
const VERSIONS: usize = 50;

/// How long the texts of one answer may be compared; what is left then differs as a whole.
const COMPARE_TIME_MAX: Duration = Duration::from_millis(500);

/// A page of versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Versions {
    /// The newest first; of a chat in several segments those of the last one, then of the one before.
    pub versions: Vec<Version>,
    /// What `before` takes to go on; null at the end.
    pub next: Option<String>,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Version {
    /// Its id, of which the first digits name it.
    pub id: String,
    /// Who made it; nobody where this device took all of it from another one.
    pub by: Vec<Person>,
    /// When its authors say that it was made, in milliseconds since 1970; null where they do not say,
    /// as of reactions.
    pub time: Option<u64>,
    /// Of versions that were joined the time of the first.
    pub since: Option<u64>,
    /// How many versions were joined in it.
    pub count: u64,
    /// What was done, of more than 16 things the first.
    pub changes: Vec<Change>,
    /// How much more was done.
    pub more: u64,
}

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "VersionChange")]
pub struct Change {
    /// The id of what it was done to; null for the document itself.
    pub thing: Option<String>,
    /// What was done, for programs.
    pub did: Deed,
    /// Which field was set; empty where none was.
    pub field: String,
    /// What was done, in words.
    pub text: String,
}

/// What can be done to a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// It was made.
    Made,
    /// A field was set.
    Set,
    /// A field was emptied, or a part of it taken away.
    Cleared,
    /// It was put elsewhere.
    Moved,
    /// It was deleted.
    Deleted,
    /// Somebody said something about it.
    Said,
    /// A text of it was changed by its author.
    Edited,
    /// Somebody reacted to it.
    Reacted,
    /// A reaction was taken back.
    Unreacted,
    /// It was pinned.
    Pinned,
    /// It is pinned no more.
    Unpinned,
}

/// Which versions.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VersionsQuery {
    /// Those of this thing alone.
    pub thing: Option<String>,
    /// Those before this one: `next` of the page before.
    pub before: Option<String>,
    /// How many at most.
    pub limit: Option<usize>,
}

/// Which versions are compared.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompareQuery {
    /// The earlier version; without it all that is in the other is given. Of a chat the segment in which
    /// the version is.
    pub from: Option<String>,
    /// The later version, of the same segment; without it the document as it is.
    pub to: Option<String>,
    /// In this thing alone.
    pub thing: Option<String>,
    /// `next` of the page before.
    pub after: Option<String>,
}

/// How two versions differ: a page of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Differences {
    /// The things that differ, by id.
    pub things: Vec<Difference>,
    /// What `after` takes to go on; null at the end.
    pub next: Option<String>,
}

/// How one thing differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// Its id; null for the document itself.
    pub thing: Option<String>,
    /// What such a thing is called.
    pub noun: String,
    /// By what people know this one; of a comment, what it is about.
    pub title: String,
    /// Whether it was added or removed, or is in both.
    pub presence: Presence,
    /// What differs in it.
    pub fields: Vec<Field>,
}

/// In which of two versions a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "DifferencePresence")]
pub enum Presence {
    /// In the later alone.
    Added,
    /// In the earlier alone.
    Removed,
    /// In both.
    Changed,
}

/// How one field differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DifferenceField")]
pub struct Field {
    /// Its name.
    pub field: String,
    /// Which part of it, such as a label; empty where it has none.
    pub part: String,
    /// What it held; null where it held nothing.
    pub before: Option<String>,
    /// What it holds, likewise.
    pub after: Option<String>,
    /// Both by characters, where it held something and still does.
    pub pieces: Vec<Piece>,
}

/// What is to be brought back.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restoration {
    /// The version as of which.
    pub version: String,
    /// The one thing; without it all of the document.
    pub thing: Option<String>,
}

impl From<VersionsView> for Versions {
    fn from(view: VersionsView) -> Versions {
        let versions: Vec<Version> = view.versions.into_iter().map(Version::from).collect();
        let next = versions.last().filter(|_| view.has_more).map(|last| last.id.clone());
        Versions { versions, next }
    }
}

impl From<VersionView> for Version {
    fn from(view: VersionView) -> Version {
        Version {
            id: view.id.to_string(),
            by: view.by.into_iter().map(Person::from).collect(),
            time: view.times.map(|(_, last)| last.0),
            since: view.times.map(|(first, _)| first.0).filter(|_| view.count > 1),
            count: view.count,
            changes: view.changes.into_iter().map(Change::from).collect(),
            more: view.more,
        }
    }
}

impl From<ChangeView> for Change {
    fn from(ChangeView { thing, did, field, text }: ChangeView) -> Change {
        Change { thing: thing.map(|thing| thing.to_string()), did: did.into(), field, text }
    }
}

impl From<Did> for Deed {
    fn from(did: Did) -> Deed {
        match did {
            Did::Made => Deed::Made,
            Did::Set => Deed::Set,
            Did::Cleared => Deed::Cleared,
            Did::Moved => Deed::Moved,
            Did::Deleted => Deed::Deleted,
            Did::Said => Deed::Said,
            Did::Edited => Deed::Edited,
            Did::Reacted => Deed::Reacted,
            Did::Unreacted => Deed::Unreacted,
            Did::Pinned => Deed::Pinned,
            Did::Unpinned => Deed::Unpinned,
        }
    }
}

impl Differences {
    fn of(view: DifferencesView, deadline: Instant) -> Differences {
        let things = view.things.into_iter().map(|thing| Difference::of(thing, deadline)).collect();
        Differences { things, next: view.next.map(|next| next.to_string()) }
    }
}

impl Difference {
    fn of(view: DifferenceView, deadline: Instant) -> Difference {
        let presence = match view.presence {
            In::Added => Presence::Added,
            In::Removed => Presence::Removed,
            In::Both => Presence::Changed,
        };
        let fields = view.fields.into_iter().map(|field| Field::of(field, deadline)).collect();
        let thing = view.thing.map(|thing| thing.to_string());
        Difference { thing, noun: view.noun, title: view.title, presence, fields }
    }
}

impl Field {
    fn of(FieldView { field, part, before, after }: FieldView, deadline: Instant) -> Field {
        let pieces = match (&before, &after) {
            (Some(before), Some(after)) => difference::pieces(before, after, deadline),
            _ => Vec::new(),
        };
        Field { field, part, before, after, pieces }
    }
}

/// `GET /api/v1/groups/{words}/history/{document}`
pub async fn list(
    State(api): State<Api>,
    Path((words, document)): Path<(String, String)>,
    Query(query): Query<VersionsQuery>,
) -> Result<Json<Versions>, Problem> {
    let VersionsQuery { thing, before, limit } = query;
    let (of, before) = (thing.map(named).transpose()?, before.map(version).transpose()?);
    let command = HistoryCommand::List { of, before, limit: limit.unwrap_or(VERSIONS) };
    match api.ask(asked(&words, &document, command)?).await? {
        Reply::Versions(view) => Ok(Json(view.into())),
        _ => Err(Problem::mismatch()),
    }
}

/// `GET /api/v1/groups/{words}/diff/{document}`
pub async fn compare(
    State(api): State<Api>,
    Path((words, document)): Path<(String, String)>,
    Query(query): Query<CompareQuery>,
) -> Result<Json<Differences>, Problem> {
    let CompareQuery { from, to, thing, after } = query;
    let (from, to) = (from.map(version).transpose()?, to.map(version).transpose()?);
    let after = after.map(|after| {
        after.parse().map_err(|_| {
            Problem::new(Code::Usage, "this is no place in a list", "take `next` of the page before")
        })
    });
    let command =
        HistoryCommand::Compare { from, to, of: thing.map(named).transpose()?, after: after.transpose()? };
    let Reply::Differences(view) = api.ask(asked(&words, &document, command)?).await? else {
        return Err(Problem::mismatch());
    };
    let compared =
        tokio::task::spawn_blocking(move || Differences::of(view, Instant::now() + COMPARE_TIME_MAX)).await;
    compared.map(Json).map_err(|_| Problem::mismatch())
}

/// `POST /api/v1/groups/{words}/restore/{document}`
pub async fn restore(
    State(api): State<Api>,
    Path((words, document)): Path<(String, String)>,
    Body(restoration): Body<Restoration>,
) -> Result<Json<Reverted>, Problem> {
    let Restoration { version: of_version, thing } = restoration;
    let command =
        HistoryCommand::Restore { version: version(of_version)?, of: thing.map(named).transpose()? };
    match api.ask(asked(&words, &document, command)?).await? {
        Reply::Reverted(view) => Ok(Json(view.into())),
        _ => Err(Problem::mismatch()),
    }
}

fn asked(words: &str, document: &str, command: HistoryCommand) -> Result<Command, Problem> {
    let concern = match document {
        "chat" => Concern::Chat,
        "board" => Concern::Kanban,
        "issues" => Concern::Issues,
        "canvas" => Concern::Canvas,
        "group" => Concern::Core,
        other => {
            let detail = format!("\"{other}\" has no versions");
            return Err(Problem::new(Code::NotFound, detail, "give chat, board, issues, canvas or group"));
        }
    };
    Ok(Command::History(text::words(words)?, concern, command))
}

/// Reads the first digits of a version's id.
fn version(text: String) -> Result<String, Problem> {
    if !text::is_short_message(&text) {
        let detail = format!("\"{}\" names no version", text.chars().take(60).collect::<String>());
        return Err(Problem::new(
            Code::Usage,
            detail,
            "give at least 4 digits of an id that `fourword history` shows",
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_documents_are_named_within_bounds() {
        assert_eq!(version("pmlq2wee".into()), Ok("pmlq2wee".into()));
        for wrong in ["", "abc", "0123", "a b c", &"a".repeat(14)] {
            assert_eq!(version(wrong.into()).unwrap_err().code, Code::Usage, "{wrong}");
        }
        let list = || HistoryCommand::List { of: None, before: None, limit: 1 };
        let of = |document: &str| asked("ocean-forest-moon-star", document, list()).map_err(|p| p.code);
        assert!(of("chat").is_ok() && of("board").is_ok() && of("issues").is_ok() && of("canvas").is_ok());
        assert_eq!(of("core"), Err(Code::NotFound));
    }
}
