//! How large the documents of a group are, segment by segment, and which of them this device keeps.

use axum::Json;
use axum::extract::{Path, State};
use fourword_protocol::command::{Command, DocumentView, Reply};
use fourword_protocol::schema::Concern;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::{Code, Problem};
use super::{Api, text};

/// The documents of a group in which somebody wrote, and those that this device does not keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Documents {
    /// By concern, and of a series by segment.
    pub documents: Vec<Size>,
}

/// How large one document is. What is known only of a document that was read since the node started
/// is null before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DocumentSize")]
pub struct Size {
    /// `{kind}:{words}:{concern}`, and `/{segment}` of any but the first.
    pub id: String,
    /// Which one of its series, from 1.
    pub segment: u32,
    /// Whether this device keeps it; of what it does not keep nothing else is known.
    pub kept: bool,
    /// Whether its content is in memory.
    pub live: bool,
    /// Whether it takes no new things: they are made in a later segment.
    pub full: bool,
    /// Bytes of its content, at most: the state of the snapshot and all updates behind it.
    pub content_bytes: Option<u64>,
    /// Bytes with which it is full; null where no bound is set.
    pub full_bytes: Option<u64>,
    /// Envelopes of all its logs, those that the snapshot stands for among them.
    pub envelopes: u64,
    /// How many of them lie behind the snapshot.
    pub log_envelopes: Option<u64>,
    /// The bytes of those.
    pub log_bytes: Option<u64>,
    /// Bytes of the snapshot as it is packed; 0 if there is none.
    pub snapshot_bytes: Option<u64>,
    /// How many deleted things wait to be forgotten.
    pub flags_waiting: Option<u64>,
    /// How many are forgotten, but for the flag that keeps them from coming back.
    pub flags_pruned: Option<u64>,
    /// Bytes of all flags, which are part of the content.
    pub flags_bytes: Option<u64>,
}

impl From<DocumentView> for Size {
    fn from(view: DocumentView) -> Size {
        let (log_envelopes, log_bytes) = view.log.unzip();
        let (flags_waiting, flags_pruned) = view.flags.unzip();
        Size {
            id: view.id,
            segment: view.segment,
            kept: view.is_kept,
            live: view.is_in_memory,
            full: view.is_full,
            content_bytes: view.content_bytes,
            full_bytes: view.full_bytes,
            envelopes: view.envelopes,
            log_envelopes,
            log_bytes,
            snapshot_bytes: view.snapshot_bytes,
            flags_waiting,
            flags_pruned,
            flags_bytes: view.flag_bytes,
        }
    }
}

/// Whether this device keeps a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Keeping {
    /// `chat`, `kanban`, `issues` or `canvas`.
    pub document: String,
    /// Whether it keeps it now.
    pub kept: bool,
}

/// `GET /api/v1/groups/{words}/documents`
pub async fn list(State(api): State<Api>, Path(words): Path<String>) -> Result<Json<Documents>, Problem> {
    let Reply::Documents(documents) = api.ask(Command::Documents(text::words(&words)?)).await? else {
        return Err(Problem::mismatch());
    };
    Ok(Json(Documents { documents: documents.into_iter().map(Size::from).collect() }))
}

/// `PUT /api/v1/groups/{words}/documents/{document}`
pub async fn keep(
    State(api): State<Api>,
    Path((words, document)): Path<(String, String)>,
) -> Result<Json<Keeping>, Problem> {
    let concern = concern(&document)?;
    api.act(Command::Keep(text::words(&words)?, concern)).await?;
    Ok(Json(Keeping { document: concern.name(), kept: true }))
}

/// `DELETE /api/v1/groups/{words}/documents/{document}`
pub async fn drop(
    State(api): State<Api>,
    Path((words, document)): Path<(String, String)>,
) -> Result<Json<Keeping>, Problem> {
    let concern = concern(&document)?;
    api.act(Command::Drop(text::words(&words)?, concern)).await?;
    Ok(Json(Keeping { document: concern.name(), kept: false }))
}

/// What a document is about, by the word in its id or that of the command line.
fn concern(document: &str) -> Result<Concern, Problem> {
    match document {
        "chat" => Ok(Concern::Chat),
        "kanban" | "board" => Ok(Concern::Kanban),
        "issues" => Ok(Concern::Issues),
        "canvas" => Ok(Concern::Canvas),
        other => {
            let detail = format!("\"{other}\" is no document that a device drops or keeps");
            Err(Problem::new(Code::NotFound, detail, "give chat, kanban, issues or canvas"))
        }
    }
}
