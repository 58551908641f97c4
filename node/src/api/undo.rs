//! Takes back what this device did last to a board, an issue tracker or a canvas, and does it again.
//!
//! Only what nobody else has changed since is taken back; an answer names what stays, and why.

use axum::Json;
use axum::extract::{Path, State};
use fourword_protocol::command::{Command, LeftView, Reply, RevertedView};
use fourword_protocol::schema::Concern;
use fourword_protocol::words::FourWords;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Api;
use super::error::{Code, Problem};
use super::text;

/// What became of one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reverted {
    /// The ids of what changed. What was deleted and is made again has another one than before.
    pub things: Vec<String>,
    /// What stays as it is.
    pub left: Vec<Untouched>,
    /// How many steps can be taken back after this one.
    pub undo: usize,
    /// How many can be done again.
    pub redo: usize,
}

/// Something that stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Untouched {
    /// Which thing; null for what is said of the whole.
    pub thing: Option<String>,
    /// Which field of it; empty for all of it.
    pub field: String,
    /// Why, in words.
    pub why: String,
}

impl From<RevertedView> for Reverted {
    fn from(view: RevertedView) -> Reverted {
        Reverted {
            things: view.things.iter().map(ToString::to_string).collect(),
            left: view.left.into_iter().map(Untouched::from).collect(),
            undo: view.undo,
            redo: view.redo,
        }
    }
}

impl From<LeftView> for Untouched {
    fn from(LeftView { thing, field, why }: LeftView) -> Untouched {
        Untouched { thing: thing.map(|thing| thing.to_string()), field, why: why.to_string() }
    }
}

/// `POST /api/v1/groups/{words}/undo/{document}`
pub async fn undo(
    State(api): State<Api>,
    Path(of): Path<(String, String)>,
) -> Result<Json<Reverted>, Problem> {
    revert(&api, of, Command::Undo).await
}

/// `POST /api/v1/groups/{words}/redo/{document}`
pub async fn redo(
    State(api): State<Api>,
    Path(of): Path<(String, String)>,
) -> Result<Json<Reverted>, Problem> {
    revert(&api, of, Command::Redo).await
}

async fn revert(
    api: &Api,
    (words, document): (String, String),
    command: fn(FourWords, Concern) -> Command,
) -> Result<Json<Reverted>, Problem> {
    let concern = match document.as_str() {
        "board" => Concern::Kanban,
        "issues" => Concern::Issues,
        "canvas" => Concern::Canvas,
        other => {
            let detail = format!("nothing can be taken back in \"{other}\"");
            return Err(Problem::new(Code::NotFound, detail, "give board, issues or canvas"));
        }
    };
    let Reply::Reverted(view) = api.ask(command(text::words(&words)?, concern)).await? else {
        return Err(Problem::mismatch());
    };
    Ok(Json(view.into()))
}
