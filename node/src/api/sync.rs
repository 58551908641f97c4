//! How far each document is in sync with each peer, and what of this person's does not count.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use fourword_protocol::command::{
    Command, DocumentSync, JoinState, JoinView, PeerSync, Reply, SyncState, UnacceptedView,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::{Api, text};

/// Of what the sync is asked.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncQuery {
    /// The four words of a group, to be told of it alone.
    group: Option<String>,
}

/// How all documents stand, or those of one group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sync {
    /// One entry for each.
    pub documents: Vec<Document>,
    /// What this person wants to get into and is not in yet; none where one group was asked for.
    pub joins: Vec<Awaited>,
}

/// What this person wants to get into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Awaited {
    /// Its four words.
    pub words: String,
    /// What the join waits for.
    pub state: Awaits,
    /// The same in words for people.
    pub reason: String,
}

/// What a join waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Awaits {
    /// An admin decides.
    WaitingForApproval,
    /// A member was reached and has not let this device in yet.
    WaitingForKey,
    /// Nobody who could let this device in was reached.
    Unreachable,
}

/// How one document stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SyncDocument")]
pub struct Document {
    /// `{kind}:{words}:{concern}`.
    pub id: String,
    /// The worst of what is so here and with each device; `alone` counts for less than the others.
    pub state: Standing,
    /// Why it is not in sync, in words for people; empty if it is.
    pub reason: String,
    /// One entry for each other device of a member.
    pub peers: Vec<Peer>,
    /// How many entries came and wait here, by what they wait for, in words for people.
    pub waiting: BTreeMap<String, u64>,
    /// How many entries of this device do not count.
    pub unaccepted: u64,
    /// How many deleted messages wait until everybody knows that they are.
    pub tombstones: u64,
}

/// How one document stands with one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SyncPeer")]
pub struct Peer {
    /// Whose device: four words if they are known, else the first digits of the id.
    pub identity: String,
    /// The device.
    pub device: String,
    /// Whether it keeps the document, as far as is known.
    pub keeps: bool,
    /// How it stands.
    pub state: Standing,
    /// How many entries the two lack of each other, as far as is known.
    pub behind: u64,
    /// Why it is not in sync, in words for people; empty if it is.
    pub reason: String,
}

/// All that this person wrote in a group and that does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unaccepted {
    /// By document and in the order written.
    pub unaccepted: Vec<Refused>,
}

/// Something that does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refused {
    /// The document's id.
    pub document: String,
    /// To which of its maps it was written.
    pub root: String,
    /// Under which key.
    pub key: String,
    /// What was written, as far as it is text.
    pub text: String,
    /// Why it does not count, for people.
    pub reason: String,
}

/// The states a document can be in, of which only `InSync` says that nothing is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SyncStanding")]
pub enum Standing {
    /// Both hold the same.
    InSync,
    /// There is nobody to compare with, and nothing is known to be missing: the other is not connected, or
    /// one of the two does not keep the document.
    Alone,
    /// Something is missing on one side.
    Behind,
    /// What is shown was given by one person's device, and nobody else has confirmed it yet.
    Unconfirmed,
    /// Something waits for its key.
    WaitingForKey,
    /// Equal logs with other content, or two branches of one log.
    Diverged,
    /// This person is not a member any more.
    NotMember,
}

impl Document {
    /// Whether there is nothing to wait for. Who is cut off from all others knows of nothing that
    /// is missing, and waits to meet them; who has no others that keep it does not.
    pub fn is_settled(&self) -> bool {
        match self.state {
            Standing::InSync | Standing::NotMember => true,
            Standing::Alone => self.peers.iter().all(|peer| !peer.keeps),
            Standing::Behind | Standing::Unconfirmed | Standing::WaitingForKey | Standing::Diverged => false,
        }
    }
}

impl From<SyncState> for Standing {
    fn from(state: SyncState) -> Standing {
        match state {
            SyncState::InSync => Standing::InSync,
            SyncState::Alone => Standing::Alone,
            SyncState::Behind => Standing::Behind,
            SyncState::Unconfirmed => Standing::Unconfirmed,
            SyncState::WaitingForKey => Standing::WaitingForKey,
            SyncState::Diverged => Standing::Diverged,
            SyncState::NotMember => Standing::NotMember,
        }
    }
}

impl From<PeerSync> for Peer {
    fn from(peer: PeerSync) -> Peer {
        Peer {
            identity: text::identity(&peer.person),
            device: peer.device.to_string(),
            keeps: peer.keeps,
            state: peer.state.into(),
            behind: peer.behind,
            reason: peer.reason,
        }
    }
}

impl From<DocumentSync> for Document {
    fn from(document: DocumentSync) -> Document {
        Document {
            id: document.id,
            state: document.state.into(),
            reason: document.reason,
            peers: document.peers.into_iter().map(Peer::from).collect(),
            waiting: document.waiting.into_iter().collect(),
            unaccepted: document.unaccepted,
            tombstones: document.tombstones,
        }
    }
}

impl From<JoinView> for Awaited {
    fn from(join: JoinView) -> Awaited {
        let (state, reason) = match join.state {
            JoinState::Requested => (Awaits::WaitingForApproval, "you asked to be let in; an admin decides"),
            JoinState::Pending | JoinState::Joined => {
                (Awaits::WaitingForKey, "a member was reached; the keys have not come yet")
            }
            JoinState::Unreachable => (Awaits::Unreachable, "nobody who could let you in was reached yet"),
        };
        let reason = if join.reason.is_empty() { reason.to_owned() } else { join.reason };
        Awaited { words: join.words.to_string(), state, reason }
    }
}

impl From<UnacceptedView> for Refused {
    fn from(view: UnacceptedView) -> Refused {
        Refused {
            document: view.document,
            root: view.root,
            key: view.key,
            text: view.text,
            reason: view.reason,
        }
    }
}

/// `GET /api/v1/groups/{words}/unaccepted`
pub async fn unaccepted(
    State(api): State<Api>,
    Path(words): Path<String>,
) -> Result<Json<Unaccepted>, Problem> {
    let Reply::Unaccepted(views) = api.ask(Command::Unaccepted(text::words(&words)?)).await? else {
        return Err(Problem::mismatch());
    };
    Ok(Json(Unaccepted { unaccepted: views.into_iter().map(Refused::from).collect() }))
}

/// `GET /api/v1/sync?group=WORDS`
pub async fn status(State(api): State<Api>, Query(query): Query<SyncQuery>) -> Result<Json<Sync>, Problem> {
    let words = query.group.as_deref().map(text::words).transpose()?;
    let Reply::Sync { documents, joins } = api.ask(Command::SyncStatus(words)).await? else {
        return Err(Problem::mismatch());
    };
    Ok(Json(Sync {
        documents: documents.into_iter().map(Document::from).collect(),
        joins: joins.into_iter().map(Awaited::from).collect(),
    }))
}
