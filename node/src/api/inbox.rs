//! What is unread or to be done, and the copy of what was written.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use fourword_storage::read_model::{Held, UNREAD_MAX};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Api;
use super::body::Body;
use super::chat::{Message, named};
use super::error::Problem;
use super::progress::{self, Long, Progress};
use super::text;

/// Every group, channel and project, with what of its chat is unread, what is to be done there, and
/// what was written in vain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inbox {
    /// Those in which something was written last first.
    pub groups: Vec<Inbound>,
}

/// One group, channel or project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inbound {
    /// The group's four words.
    pub words: String,
    /// Its name.
    pub name: String,
    /// How many messages of others this person has not read on any device.
    pub unread: u32,
    /// Whether there are more than that.
    pub or_more: bool,
    /// How many of them mention this person.
    #[serde(default)]
    pub mentions: u32,
    /// How many cards and issues this person is to do there that are neither archived nor closed.
    #[serde(default)]
    pub assigned: u32,
    /// How many entries of this device there count for nobody: `unaccepted` of the group has them.
    #[serde(default)]
    pub unaccepted: u64,
    /// The last message.
    pub last: Option<Message>,
}

/// Up to where something was read.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// Up to this message; up to the last one if it is left out.
    #[serde(default)]
    pub message: Option<String>,
}

/// The answer when it was noted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Marked {
    /// The group's four words.
    pub words: String,
    /// Always true.
    pub read: bool,
}

/// How much the copy of what was written holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Index {
    /// Messages of all chats.
    pub messages: u64,
    /// Cards, columns, issues, elements and comments.
    #[serde(default)]
    pub things: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

impl From<Held> for Index {
    fn from(Held { messages, things, bytes }: Held) -> Index {
        Index { messages, things, bytes }
    }
}

/// `GET /api/v1/inbox`
pub async fn show(State(api): State<Api>) -> Result<Json<Inbox>, Problem> {
    let groups = api.reading.inbox().await?.into_iter().map(|chat| Inbound {
        words: chat.words.to_string(),
        name: chat.unread.name,
        unread: chat.unread.count,
        or_more: chat.unread.count >= UNREAD_MAX,
        mentions: chat.unread.mentions,
        assigned: chat.unread.assigned,
        unaccepted: chat.unaccepted,
        last: chat.unread.last.map(Message::from),
    });
    Ok(Json(Inbox { groups: groups.collect() }))
}

/// `PUT /api/v1/groups/{words}/chat/read`
pub async fn mark(
    State(api): State<Api>,
    Path(words): Path<String>,
    Body(read): Body<Read>,
) -> Result<Json<Marked>, Problem> {
    let group = text::words(&words)?;
    let message = match &read.message {
        Some(message) => Some(named(&api, &words, message).await?),
        None => None,
    };
    api.reading.mark_read(group, message).await?;
    Ok(Json(Marked { words: group.to_string(), read: true }))
}

/// `GET /api/v1/index`
pub async fn index(State(api): State<Api>) -> Result<Json<Index>, Problem> {
    let held = api.reading.held().await?;
    Ok(Json(held.into()))
}

/// `POST /api/v1/index/rebuild`: may take long; reports progress to who accepts JSON Lines.
pub async fn rebuild(State(api): State<Api>, headers: HeaderMap) -> Result<Long<Index>, Problem> {
    progress::follow(&headers, async move |reports| {
        let held = api
            .reading
            .rebuild(|done, expected| {
                let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
                let what = "Copying what was written".to_owned();
                // A reader that lags behind misses some of them; later ones say it all.
                let _ = reports.try_send(Progress { what, done: number(done), expected: number(expected) });
            })
            .await?;
        Ok(held.into())
    })
    .await
}
