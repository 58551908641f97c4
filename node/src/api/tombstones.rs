//! What was deleted in a group and waits until everybody knows of it.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use fourword_protocol::command::{Command, DocumentTombstones, KeeperView, Keeps, Reply};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::{Api, text};

/// What waits to be forgotten in each document of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tombstones {
    /// One entry for each.
    pub documents: Vec<Document>,
}

/// What was deleted in one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TombstoneDocument")]
pub struct Document {
    /// `{kind}:{words}:{concern}`.
    pub id: String,
    /// How many deleted messages wait.
    pub waiting: u64,
    /// How many are forgotten, but for the flag that keeps them from coming back.
    pub pruned: u64,
    /// The devices of all members, this one among them.
    pub devices: Vec<Keeper>,
    /// Those that wait, of more than 500 the first.
    pub tombstones: Vec<Tombstone>,
}

/// A member's device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Keeper {
    /// Whose: four words if they are known, else the first digits of the id.
    pub identity: String,
    /// The device.
    pub device: String,
    /// How it stands to what waits.
    pub state: Standing,
    /// Since when something has waited for it, or it last said anything new, in milliseconds since
    /// 1970; null if nothing waits for it.
    pub since: Option<u64>,
}

/// How a device stands to what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TombstoneStanding")]
pub enum Standing {
    /// It knows of everything that was deleted.
    HasAll,
    /// It is waited for.
    Awaited,
    /// It was waited for too long, and is no more.
    Lapsed,
    /// It keeps the document no longer.
    Stopped,
}

/// A message that was deleted and waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tombstone {
    /// Its id.
    pub message: String,
    /// By device, whether it is known to have the deletion.
    pub ack_vector: BTreeMap<String, bool>,
}

impl From<KeeperView> for Keeper {
    fn from(view: KeeperView) -> Keeper {
        let state = match view.keeps {
            Keeps::All => Standing::HasAll,
            Keeps::Awaited => Standing::Awaited,
            Keeps::Lapsed => Standing::Lapsed,
            Keeps::Stopped => Standing::Stopped,
        };
        Keeper {
            identity: text::identity(&view.person),
            device: view.device.to_string(),
            state,
            since: view.since.map(|since| since.0),
        }
    }
}

impl From<DocumentTombstones> for Document {
    fn from(document: DocumentTombstones) -> Document {
        let devices: Vec<String> = document.devices.iter().map(|keeper| keeper.device.to_string()).collect();
        let tombstones = document.tombstones.into_iter().map(|tombstone| Tombstone {
            message: tombstone.message.to_string(),
            ack_vector: devices.iter().cloned().zip(tombstone.ack_vector).collect(),
        });
        Document {
            id: document.id,
            waiting: document.waiting,
            pruned: document.pruned,
            tombstones: tombstones.collect(),
            devices: document.devices.into_iter().map(Keeper::from).collect(),
        }
    }
}

/// `GET /api/v1/groups/{words}/tombstones`
pub async fn list(State(api): State<Api>, Path(words): Path<String>) -> Result<Json<Tombstones>, Problem> {
    let Reply::Tombstones(documents) = api.ask(Command::Tombstones(text::words(&words)?)).await? else {
        return Err(Problem::mismatch());
    };
    Ok(Json(Tombstones { documents: documents.into_iter().map(Document::from).collect() }))
}
