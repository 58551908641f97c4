//! `chat`: write, change, read and follow the messages of a group.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use fourword_protocol::limits;
use fourword_storage::read_model::PAGE_MESSAGES_MAX;
use hyper::Method;

use super::Context;
use super::client::{Client, escaped, path};
use super::failure::{Exit, Failure};
use super::output::{plain, plain_lines, time};
use crate::api::chat::{Attachment, Edit, Message, Messages, NewMessage, Saved};
use crate::api::error::Code;
use crate::api::events::Event;
use crate::api::inbox::{Marked, Read};

/// Digits of a message's id that people are shown.
const SHORT_ID_BYTES: usize = 8;

/// Messages looked through for those that changed, before all are.
const RECENT: usize = 200;

/// What can be done in a chat.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Write a message; its id is printed once it is saved.
    #[command(
        after_help = "Examples:\n  fourword chat send ocean-forest-moon-star \"Hello\"\n  date | fourword chat send ocean-forest-moon-star -\n  fourword chat send ocean-forest-moon-star \"The plan\" --attach plan.pdf"
    )]
    Send {
        /// The group's four words.
        words: String,
        /// The text, or - to read it from standard input. It may be "" where something is attached.
        text: String,
        /// Refer to this file by its name, size and hash; its bytes are not sent. May be given again.
        #[arg(long, value_name = "FILE")]
        attach: Vec<PathBuf>,
    },
    /// Reply to a message.
    #[command(after_help = "Example:\n  fourword chat reply ocean-forest-moon-star ID \"I agree\"")]
    Reply {
        /// The group's four words.
        words: String,
        /// The message replied to.
        id: String,
        /// The text, or - to read it from standard input.
        text: String,
    },
    /// Give your own message another text.
    #[command(after_help = "Example:\n  fourword chat edit ocean-forest-moon-star ID \"Hello all\"")]
    Edit {
        /// The group's four words.
        words: String,
        /// The message.
        id: String,
        /// The text, or - to read it from standard input.
        text: String,
    },
    /// Delete your own message, or anybody's as an admin.
    #[command(after_help = "Example:\n  fourword chat delete ocean-forest-moon-star ID")]
    Delete {
        /// The group's four words.
        words: String,
        /// The message.
        id: String,
    },
    /// React to a message, or take a reaction back.
    #[command(after_help = "Example:\n  fourword chat react ocean-forest-moon-star ID 👍")]
    React {
        /// The group's four words.
        words: String,
        /// The message.
        id: String,
        /// With what.
        emoji: String,
        /// Take the reaction back.
        #[arg(long)]
        remove: bool,
    },
    /// Pin a message, or take your pin back; it shows as pinned while anybody's stands.
    #[command(
        after_help = "Examples:\n  fourword chat pin ocean-forest-moon-star ID\n  fourword chat read ocean-forest-moon-star --pinned"
    )]
    Pin {
        /// The group's four words.
        words: String,
        /// The message.
        id: String,
        /// Take the pin back.
        #[arg(long)]
        remove: bool,
    },
    /// Show the last messages, oldest first, and note on all your devices that you have read them.
    #[command(
        after_help = "Examples:\n  fourword chat read ocean-forest-moon-star --last 20\n  fourword chat read ocean-forest-moon-star --before ID\n  fourword chat read ocean-forest-moon-star --thread ID\n  fourword chat read ocean-forest-moon-star --pinned\n\nOlder pages, threads, pinned messages and --json note nothing; nor does --keep-unread."
    )]
    Read {
        /// The group's four words.
        words: String,
        /// How many.
        #[arg(long, visible_alias = "last", default_value_t = 50, value_name = "N")]
        limit: usize,
        /// Those before this message.
        #[arg(long, value_name = "ID")]
        before: Option<String>,
        /// This message, and those that reply to it or to one that does.
        #[arg(long, value_name = "ID")]
        thread: Option<String>,
        /// Only messages that somebody pinned.
        #[arg(long, conflicts_with = "thread")]
        pinned: bool,
        /// Do not note that they were read.
        #[arg(long)]
        keep_unread: bool,
    },
    /// Note on all your devices that you have read up to a message, or to the last one.
    #[command(
        after_help = "Examples:\n  fourword chat mark-read ocean-forest-moon-star\n  fourword chat mark-read ocean-forest-moon-star ID"
    )]
    MarkRead {
        /// The group's four words.
        words: String,
        /// The message.
        id: Option<String>,
    },
    /// Show messages as they come, and again when they change.
    #[command(after_help = "Example:\n  fourword chat follow ocean-forest-moon-star --json")]
    Follow {
        /// The group's four words.
        words: String,
        /// How many of the last messages to show first.
        #[arg(long, default_value_t = 10, value_name = "N")]
        last: usize,
    },
}

pub(super) async fn run(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    let client = context.client();
    let saved: Saved = match verb {
        Verb::Send { words, text, attach } => {
            let attachments = attach.iter().map(|file| attachment(file)).collect::<Result<_, _>>()?;
            send(&client, &words, NewMessage { text: whole(text)?, parent: None, attachments }).await?
        }
        Verb::Reply { words, id, text } => {
            let new = NewMessage { text: whole(text)?, parent: Some(id), attachments: Vec::new() };
            send(&client, &words, new).await?
        }
        Verb::Edit { words, id, text } => {
            let edit = Edit { text: whole(text)? };
            client.send(Method::PATCH, &message(&words, &id), &edit).await?
        }
        Verb::Delete { words, id } => client.act(Method::DELETE, &message(&words, &id)).await?,
        Verb::React { words, id, emoji, remove } => {
            let method = if remove { Method::DELETE } else { Method::PUT };
            let path = path(["groups", &words, "chat", "messages", &id, "reactions", &emoji]);
            client.act(method, &path).await?
        }
        Verb::Pin { words, id, remove } => {
            let method = if remove { Method::DELETE } else { Method::PUT };
            client.act(method, &path(["groups", &words, "chat", "messages", &id, "pin"])).await?
        }
        Verb::Read { words, limit, before, thread, pinned, keep_unread } => {
            let is_part = before.is_some() || thread.is_some() || pinned;
            let marks = !keep_unread && !is_part && !context.output.is_json();
            let messages = page(&client, &words, limit, &Part { before, thread, pinned }).await?;
            context.output.answer(&messages, listed)?;
            if let Some(last) = messages.messages.last().filter(|_| marks) {
                // What was shown was shown: that it cannot be noted is no failure of reading.
                let _ = mark_read(&client, &words, Some(last.id.clone())).await;
            }
            return Ok(Exit::Done);
        }
        Verb::MarkRead { words, id } => {
            let marked = mark_read(&client, &words, id).await?;
            context.output.answer(&marked, |marked| format!("{} is read", marked.words))?;
            return Ok(Exit::Done);
        }
        Verb::Follow { words, last } => return follow(&client, &words, last, context).await,
    };
    context.output.answer(&saved, |saved| short(&saved.id).to_owned())?;
    Ok(Exit::Done)
}

async fn send(client: &Client, words: &str, new: NewMessage) -> Result<Saved, Failure> {
    client.send(Method::POST, &path(["groups", words, "chat", "messages"]), &new).await
}

/// Refers to a file of this computer.
fn attachment(file: &Path) -> Result<Attachment, Failure> {
    let failed = |error: std::io::Error| Failure::usage(format!("{}: {error}", file.display()));
    let name = file.file_name().and_then(OsStr::to_str);
    let name = name.ok_or_else(|| Failure::usage(format!("{} names no file", file.display())))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(file).map_err(failed)?).map_err(failed)?;
    let hash = hasher.finalize().to_hex().to_string();
    Ok(Attachment { name: name.to_owned(), size: hasher.count(), hash })
}

async fn read(client: &Client, words: &str, last: usize) -> Result<Messages, Failure> {
    page(client, words, last, &Part::default()).await
}

/// Which part of a chat is read.
#[derive(Clone, Debug, Default)]
struct Part {
    before: Option<String>,
    thread: Option<String>,
    pinned: bool,
}

async fn page(client: &Client, words: &str, limit: usize, part: &Part) -> Result<Messages, Failure> {
    let mut place = format!("{}?limit={limit}", path(["groups", words, "chat", "messages"]));
    for (name, id) in [("before", &part.before), ("thread", &part.thread)] {
        if let Some(id) = id {
            place.push_str(&format!("&{name}={}", escaped(id)));
        }
    }
    if part.pinned {
        place.push_str("&pinned=true");
    }
    client.get(&place).await
}

async fn mark_read(client: &Client, words: &str, message: Option<String>) -> Result<Marked, Failure> {
    client.send(Method::PUT, &path(["groups", words, "chat", "read"]), &Read { message }).await
}

fn listed(page: &Messages) -> String {
    let oldest = page.messages.first().filter(|_| page.has_older);
    let earlier = oldest.map(|oldest| format!("(earlier ones: --before {})", short(&oldest.id)));
    earlier.into_iter().chain(page.messages.iter().map(message_line)).collect::<Vec<_>>().join("\n")
}

/// What people are shown of an id, and may type: the first digits of its random part.
pub(super) fn short(id: &str) -> &str {
    let random = id.split_once('-').map_or(id, |(_, random)| random);
    random.get(..SHORT_ID_BYTES).unwrap_or(random)
}

fn message(words: &str, id: &str) -> String {
    path(["groups", words, "chat", "messages", id])
}

/// The text, read from standard input if it is `-`.
pub(super) fn whole(text: String) -> Result<String, Failure> {
    if text != "-" {
        return Ok(text);
    }
    let mut text = String::new();
    let bytes_max = limits::TEXT_BYTES_MAX as u64 + 1;
    let read = std::io::stdin().lock().take(bytes_max).read_to_string(&mut text);
    read.map_err(|e| Failure::usage(format!("standard input: {e}")))?;
    if text.len() as u64 >= bytes_max {
        return Err(Failure::usage(format!("a text has at most {} bytes", limits::TEXT_BYTES_MAX)));
    }
    text.truncate(text.trim_end_matches('\n').len());
    Ok(text)
}

/// Prints messages as they come. Events are opened first, so that none falls between.
async fn follow(client: &Client, words: &str, last: usize, context: &Context) -> Result<Exit, Failure> {
    let mut events = client.events().await?;
    let group: crate::api::groups::Group = client.get(&path(["groups", words])).await?;
    let mut shown = Shown::default();
    shown.show(read(client, words, last).await?, |_| true, context)?;
    while let Some(line) = events.next().await? {
        let Some(data) = line.strip_prefix(b"data: ") else { continue };
        // An event of a newer node may be unknown here: it is nothing that this command shows.
        match serde_json::from_slice::<Event>(data) {
            Ok(Event::ChatChanged { group: changed, .. }) if changed != group.words => {}
            Ok(Event::ChatChanged { messages, .. }) if !messages.is_empty() => {
                let changed: BTreeSet<String> = messages.into_iter().collect();
                let found = find(client, words, &changed).await?;
                shown.show(found, |message| changed.contains(&message.id), context)?;
            }
            Ok(Event::Gap | Event::ChatChanged { .. }) => {
                let all = read(client, words, PAGE_MESSAGES_MAX).await?;
                let known = shown.clone();
                shown.show(all, |message| known.is_news(message), context)?;
            }
            _ => {}
        }
    }
    Err(Failure::new(Code::NotRunning, "the node has ended", "start it with `fourword start`"))
}

/// Messages among which are those that changed: recent ones, or all if those are not enough.
async fn find(client: &Client, words: &str, changed: &BTreeSet<String>) -> Result<Messages, Failure> {
    let recent = read(client, words, RECENT).await?;
    let found = recent.messages.iter().filter(|message| changed.contains(&message.id)).count();
    if found == changed.len() || recent.messages.len() < RECENT {
        return Ok(recent);
    }
    read(client, words, PAGE_MESSAGES_MAX).await
}

/// What was shown already, so that after a gap only news is.
#[derive(Clone, Default)]
struct Shown {
    ids: BTreeSet<String>,
    since: Option<u64>,
}

impl Shown {
    fn show(
        &mut self,
        messages: Messages,
        wanted: impl Fn(&Message) -> bool,
        context: &Context,
    ) -> Result<(), Failure> {
        for message in messages.messages.iter().filter(|message| wanted(message)) {
            context.output.answer(message, message_line)?;
            self.since = self.since.or(Some(message.time));
            if self.ids.len() >= PAGE_MESSAGES_MAX {
                self.ids.pop_first();
            }
            self.ids.insert(message.id.clone());
        }
        Ok(())
    }

    fn is_news(&self, message: &Message) -> bool {
        !self.ids.contains(&message.id) && self.since.is_none_or(|since| message.time >= since)
    }
}

/// A message in one line, and more where its text has more.
pub(super) fn message_line(message: &Message) -> String {
    let author = if message.author_name.is_empty() { &message.author } else { &message.author_name };
    let head = format!("[{}] {}", time(message.time), plain(author));
    if message.deleted {
        return format!("{head}: (deleted)  {}", short(&message.id));
    }
    let reply = if message.parent.is_some() { " (reply)" } else { "" };
    let edited = if message.edited { " (edited)" } else { "" };
    let pinned = if message.pinned_by.is_empty() { "" } else { " (pinned)" };
    let replies = match message.replies {
        0 => String::new(),
        1 => "  1 reply".to_owned(),
        several => format!("  {several} replies"),
    };
    let reactions: String = message
        .reactions
        .iter()
        .map(|reaction| format!("  {} {}", plain(&reaction.emoji), reaction.by.len()))
        .collect();
    let file = |file: &Attachment| format!("  [{}, {} bytes]", plain(&file.name), file.size);
    let files: String = message.attachments.iter().map(file).collect();
    format!(
        "{head}{reply}: {}{files}{edited}{pinned}{reactions}{replies}  {}",
        plain_lines(&message.text, "    "),
        short(&message.id)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::chat::Reaction;

    #[test]
    fn a_message_is_shown_with_all_that_happened_to_it() {
        let mut message = Message {
            revision: String::new(),
            id: "ID".into(),
            author: "ocean-forest-moon-star".into(),
            author_name: String::new(),
            text: "one\ntwo\x1b[2J".into(),
            time: 0,
            parent: Some("P".into()),
            edited: true,
            deleted: false,
            attachments: vec![Attachment { name: "plan.pdf".into(), size: 12, hash: "0c".repeat(32) }],
            reactions: vec![Reaction { emoji: "👍".into(), by: vec!["a".into(), "b".into()] }],
            pinned_by: vec!["a".into()],
            replies: 2,
            mentions: Vec::new(),
        };
        assert_eq!(
            message_line(&message),
            "[1970-01-01 00:00] ocean-forest-moon-star (reply): one\n    two\u{fffd}[2J  [plan.pdf, 12 bytes] (edited) (pinned)  👍 2  2 replies  ID"
        );
        message.deleted = true;
        message.author_name = "Ada".into();
        assert_eq!(message_line(&message), "[1970-01-01 00:00] Ada: (deleted)  ID");
    }
}
