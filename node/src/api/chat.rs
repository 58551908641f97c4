//! The chat of a group.

use axum::Json;
use axum::extract::{Path, Query, State};
use fourword_protocol::command::{ChatCommand, Command, PersonView, Reply};
use fourword_protocol::ids::Digest;
use fourword_protocol::limits;
use fourword_protocol::schema::chat::{self, Lookup, MessageId};
use fourword_protocol::words::FourWords;
use fourword_storage::read_model::{PAGE_MESSAGES_MAX, Shown};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Api;
use super::body::Body;
use super::error::{Code, Problem};
use super::revision::{Revised, Seen, revision};
use super::text;
use super::things;
use crate::reading::gone;

/// Messages read if nobody says how many.
const LAST: usize = 50;

/// A message to write.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMessage {
    /// The text.
    pub text: String,
    /// The id of the message replied to.
    #[serde(default)]
    pub parent: Option<String>,
    /// Files that it is about, at most 16.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
}

/// A reference to a file: whoever has a file can tell by its hash that it is this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// The name of the file, without a path.
    pub name: String,
    /// How many bytes it has, as the author says.
    pub size: u64,
    /// The BLAKE3 hash of its bytes, as 64 digits.
    pub hash: String,
}

/// Another text for a message.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The text.
    pub text: String,
}

/// How much to read.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadQuery {
    /// How many; `last` says the same.
    limit: Option<usize>,
    /// How many.
    last: Option<usize>,
    /// Those before this message.
    before: Option<String>,
    /// This message, and those that reply to it or to one that does.
    thread: Option<String>,
    /// Only those that somebody pinned.
    #[serde(default)]
    pinned: bool,
}

/// A message of a chat, after which a list goes on.
pub type Cursor = (FourWords, MessageId);

/// Names the message that was written, changed or reacted to. It is saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Saved {
    /// The message.
    pub id: String,
}

/// Messages of a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Messages {
    /// Oldest first.
    pub messages: Vec<Message>,
    /// Whether there are older ones: read those before the first of these.
    #[serde(default)]
    pub has_older: bool,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// Who wrote it: four words if they are known, else the first digits of the id.
    pub author: String,
    /// The author's name, empty if there is none.
    pub author_name: String,
    /// The text, the latest edit applied; empty if deleted.
    pub text: String,
    /// When its author says it was written, in milliseconds since 1970.
    pub time: u64,
    /// The message it replies to.
    pub parent: Option<String>,
    /// Whether an edit is applied.
    pub edited: bool,
    /// Whether it was deleted.
    pub deleted: bool,
    /// The files that it is about.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// Who reacted with what.
    pub reactions: Vec<Reaction>,
    /// Who pinned it: four words if they are known, else the first digits of the id.
    #[serde(default)]
    pub pinned_by: Vec<String>,
    /// How many reply to it.
    #[serde(default)]
    pub replies: u32,
    /// Whom it mentions by `@` and four words or a name: four words if they are known, else the first
    /// digits of the id.
    #[serde(default)]
    pub mentions: Vec<String>,
    /// What `If-Match` takes, to change it only if its text still is as it is shown here.
    #[serde(default)]
    pub revision: String,
}

/// Those who reacted alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reaction {
    /// With what.
    pub emoji: String,
    /// Who: four words if they are known, else the first digits of the id.
    pub by: Vec<String>,
}

impl From<Shown> for Message {
    fn from(Shown { view, replies, mentions }: Shown) -> Message {
        let reactions = view.reactions.into_iter();
        let attachment = |file: chat::Attachment| Attachment {
            name: file.name,
            size: file.size_bytes,
            hash: Digest(file.blob).to_string(),
        };
        let people = |people: &[PersonView]| people.iter().map(text::identity).collect();
        let id = view.message.id.to_string();
        Message {
            revision: revision(&(&id, &view.message.text, view.message.edited, view.message.deleted)),
            id,
            author: text::identity(&view.author),
            author_name: view.author.name,
            text: view.message.text,
            time: view.message.time.0,
            parent: view.message.parent.map(|parent| parent.to_string()),
            edited: view.message.edited,
            deleted: view.message.deleted,
            attachments: view.message.attachments.into_iter().map(attachment).collect(),
            reactions: reactions.map(|(emoji, by)| Reaction { emoji, by: people(&by) }).collect(),
            pinned_by: people(&view.pinned_by),
            replies,
            mentions: people(&mentions),
        }
    }
}

impl Revised for Message {
    fn revision(&self) -> &str {
        &self.revision
    }
}

/// `GET /api/v1/groups/{words}/chat/messages?limit=N&before=ID&thread=ID&pinned=true`
pub async fn read(
    State(api): State<Api>,
    Path(words): Path<String>,
    Query(query): Query<ReadQuery>,
) -> Result<Json<Messages>, Problem> {
    let limit = query.limit.or(query.last).unwrap_or(LAST);
    if limit > PAGE_MESSAGES_MAX {
        return Err(Problem::usage(format!("at most {PAGE_MESSAGES_MAX} messages are read at once")));
    }
    let group = text::words(&words)?;
    let before = found(&api, group, query.before).await?;
    let thread = found(&api, group, query.thread).await?;
    if query.pinned && thread.is_some() {
        return Err(Problem::usage("what is pinned is read of a whole chat, not of a thread"));
    }
    let page = api.reading.chat(group, move |model, chat| match thread {
        Some(root) => model.thread(chat, root, before, limit),
        None if query.pinned => model.pinned(chat, before, limit),
        None => model.page(chat, before, limit),
    });
    let page = page.await?.map_err(gone)?;
    let messages = page.messages.into_iter().map(Message::from).collect();
    Ok(Json(Messages { messages, has_older: page.has_older }))
}

/// `GET /api/v1/groups/{words}/chat/messages/{id}`
pub async fn show(
    State(api): State<Api>,
    Path((words, id)): Path<(String, String)>,
) -> Result<Json<Message>, Problem> {
    one(&api, &words, &id).await.map(Json)
}

/// `POST /api/v1/groups/{words}/chat/messages`
pub async fn send(
    State(api): State<Api>,
    Path(words): Path<String>,
    Body(new): Body<NewMessage>,
) -> Result<Json<Saved>, Problem> {
    if !new.text.is_empty() || new.attachments.is_empty() {
        check_text(&new.text)?;
    }
    let attachments = new.attachments.into_iter().map(|file| {
        let blob = text::hash(&file.hash)?;
        Ok(chat::Attachment { blob, size_bytes: file.size, name: file.name })
    });
    let attachments = attachments.collect::<Result<_, Problem>>()?;
    let parent = match &new.parent {
        Some(parent) => Some(named(&api, &words, parent).await?),
        None => None,
    };
    let command = Command::Chat(
        text::words(&words)?,
        ChatCommand::Send(chat::NewMessage { text: new.text, parent, attachments }),
    );
    let Reply::Message(id) = api.ask(command).await? else { return Err(Problem::mismatch()) };
    Ok(Json(Saved { id: id.to_string() }))
}

/// `PATCH /api/v1/groups/{words}/chat/messages/{id}`, perhaps with `If-Match`
pub async fn edit(
    State(api): State<Api>,
    Path((words, id)): Path<(String, String)>,
    seen: Seen,
    Body(edit): Body<Edit>,
) -> Result<Json<Saved>, Problem> {
    check_text(&edit.text)?;
    let api = seen.guard(api, async |api| one(api, &words, &id).await).await?;
    change(&api, &words, id, |id| ChatCommand::Edit(id, edit.text)).await
}

/// `DELETE /api/v1/groups/{words}/chat/messages/{id}`, perhaps with `If-Match`
pub async fn remove(
    State(api): State<Api>,
    Path((words, id)): Path<(String, String)>,
    seen: Seen,
) -> Result<Json<Saved>, Problem> {
    let api = seen.guard(api, async |api| one(api, &words, &id).await).await?;
    change(&api, &words, id, ChatCommand::Delete).await
}

/// `PUT /api/v1/groups/{words}/chat/messages/{id}/reactions/{emoji}`
pub async fn react(
    State(api): State<Api>,
    Path((words, id, emoji)): Path<(String, String, String)>,
) -> Result<Json<Saved>, Problem> {
    change(&api, &words, id, |message| ChatCommand::React { message, emoji, on: true }).await
}

/// `DELETE /api/v1/groups/{words}/chat/messages/{id}/reactions/{emoji}`
pub async fn unreact(
    State(api): State<Api>,
    Path((words, id, emoji)): Path<(String, String, String)>,
) -> Result<Json<Saved>, Problem> {
    change(&api, &words, id, |message| ChatCommand::React { message, emoji, on: false }).await
}

/// `PUT /api/v1/groups/{words}/chat/messages/{id}/pin`
pub async fn pin(
    State(api): State<Api>,
    Path((words, id)): Path<(String, String)>,
) -> Result<Json<Saved>, Problem> {
    change(&api, &words, id, |message| ChatCommand::Pin { message, on: true }).await
}

/// `DELETE /api/v1/groups/{words}/chat/messages/{id}/pin`
pub async fn unpin(
    State(api): State<Api>,
    Path((words, id)): Path<(String, String)>,
) -> Result<Json<Saved>, Problem> {
    change(&api, &words, id, |message| ChatCommand::Pin { message, on: false }).await
}

async fn change(
    api: &Api,
    words: &str,
    id: String,
    command: impl FnOnce(MessageId) -> ChatCommand,
) -> Result<Json<Saved>, Problem> {
    let id = named(api, words, &id).await?;
    let command = Command::Chat(text::words(words)?, command(id));
    api.act(command).await?;
    Ok(Json(Saved { id: id.to_string() }))
}

/// One message as it is now.
async fn one(api: &Api, words: &str, name: &str) -> Result<Message, Problem> {
    let id = named(api, words, name).await?;
    let message = api.reading.chat(text::words(words)?, move |model, chat| model.message(chat, id)).await?;
    message.map(Message::from).ok_or_else(|| things::missing("message", name))
}

/// The message of a full id, or of the first digits that `fourword chat read` shows people.
pub(super) async fn named(api: &Api, words: &str, name: &str) -> Result<MessageId, Problem> {
    if !text::is_short_message(name) {
        return text::message(name);
    }
    let hint = "`fourword chat read` shows the ids of messages";
    let short = name.to_owned();
    match api.reading.chat(text::words(words)?, move |model, chat| model.find(chat, &short)).await? {
        Lookup::Found(id) => Ok(id),
        Lookup::Missing => Err(Problem::new(Code::NotFound, format!("no message is named \"{name}\""), hint)),
        Lookup::Ambiguous(fitting) => {
            let names: Vec<String> = fitting.iter().map(ToString::to_string).collect();
            let detail = format!("\"{name}\" may be any of {}", names.join(", "));
            Err(Problem::new(Code::Usage, detail, "give more of the id"))
        }
    }
}

async fn found(api: &Api, words: FourWords, name: Option<String>) -> Result<Option<MessageId>, Problem> {
    match name {
        Some(name) => named(api, &words.to_string(), &name).await.map(Some),
        None => Ok(None),
    }
}

fn check_text(text: &str) -> Result<(), Problem> {
    let max = limits::TEXT_BYTES_MAX;
    if text.is_empty() || text.len() > max {
        return Err(Problem::usage(format!("a message has 1 to {max} bytes")));
    }
    Ok(())
}
