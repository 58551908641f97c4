//! A chat: write-once messages with overlays for edits, deletions, reactions and pins.
//!
//! `replicator` asks [`Chat`] for what people see and for the writes that their commands need;
//! the replica keeps the [`ChatIndex`]. Invariants: a message with a deletion shows as deleted
//! whatever else arrives, before or after; every write offered here passes `rights`. Flat keys
//! with one writer each, because concurrent nested maps lose one side.

mod index;
mod layout;
mod telling;

pub use index::ChatIndex;
pub use layout::ROOTS;
pub(super) use layout::{EditRecord, MessageRecord, write_deletion};
use layout::{Key, is_emoji, is_file_name};

use super::key::Owner;
use super::record::Tail;
use super::rights::{Actor, Denied, Right, judge};
pub use super::thing::Lookup;
use super::thing::ThingId;
pub use super::thing::named_between;
use super::{About, Concern, Maps, Part, Put};
use crate::command::RefusalCode;
use crate::limits::{ATTACHMENTS_MAX, EMOJI_BYTES_MAX, READ_MESSAGES_MAX, TEXT_BYTES_MAX};
use crate::time::WallTime;

/// A message's name.
pub type MessageId = ThingId;

/// What a value says to people: the text of a message or an edit.
pub(super) fn text_of(root: &str, value: &[u8]) -> String {
    let text = match root {
        layout::MESSAGES => MessageRecord::read(value).map(|record| record.text),
        layout::EDITS => EditRecord::read(value).map(|record| record.text),
        _ => Ok(""),
    };
    text.unwrap_or_default().to_owned()
}

/// A file sent with a message; its bytes lie on the entity's shared disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The BLAKE3 hash that names the bytes.
    pub blob: [u8; 32],
    /// How many bytes, as the author says.
    pub size_bytes: u64,
    /// A file name without a path, at most `limits::NAME_BYTES_MAX`.
    pub name: String,
}

/// One message as the chat has it. Who wrote it is `id.owner`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its name.
    pub id: MessageId,
    /// The text, the latest edit applied; empty if deleted.
    pub text: String,
    /// When its author says it was written.
    pub time: WallTime,
    /// The message it replies to.
    pub parent: Option<MessageId>,
    /// The files sent with it; empty if deleted.
    pub attachments: Vec<Attachment>,
    /// Whether an edit is applied.
    pub edited: bool,
    /// Whether it was deleted.
    pub deleted: bool,
}

/// When the author of a record says that it was written; `None` if it does not say.
pub(super) fn time_of(root: &str, value: &[u8]) -> Option<WallTime> {
    match root {
        layout::MESSAGES => MessageRecord::read(value).map(|record| record.time),
        layout::EDITS | layout::DELETED => super::record::begins_with_time(value),
        _ => return None,
    }
    .ok()
}

/// What a key of a chat is about; `None` if it is no key of a chat.
pub(super) fn about(root: &str, key: &str) -> Option<About> {
    let key = Key::parse(root, key).ok()?;
    let part = match key {
        Key::Message(_) => Part::Made,
        Key::Edit(_) | Key::Reaction(..) | Key::Pin(..) => Part::Set,
        Key::Deleted(..) => Part::Deleted,
    };
    Some(About { id: key.message(), part })
}

/// What an author wants to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewMessage {
    /// At most `limits::TEXT_BYTES_MAX`; may be blank only if a file is attached.
    pub text: String,
    /// The message replied to.
    pub parent: Option<MessageId>,
    /// At most `limits::ATTACHMENTS_MAX`.
    pub attachments: Vec<Attachment>,
}

/// Why a chat does not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    /// There is no such message here.
    #[error("there is no message {} in this chat", .0.short())]
    Unknown(MessageId),
    /// It is deleted, for good.
    #[error("message {} was deleted", .0.short())]
    Deleted(MessageId),
    /// Somebody else wrote it.
    #[error("message {} can be edited by its author only", .0.short())]
    NotAuthor(MessageId),
    /// Nothing but blanks.
    #[error("a message needs a text")]
    Empty,
    /// Too many bytes; says how many.
    #[error("the text is {0} bytes long, and a message holds at most {TEXT_BYTES_MAX}")]
    TooLong(usize),
    /// Not a short text without blanks.
    #[error(
        "a reaction is an emoji or a short word without blanks or \"|\", at most {EMOJI_BYTES_MAX} bytes"
    )]
    NoEmoji,
    /// Too many files; says how many.
    #[error("{0} files are attached, and a message takes at most {ATTACHMENTS_MAX}")]
    TooManyAttachments(usize),
    /// Not the name of a file.
    #[error("{0:?} cannot be the name of an attached file")]
    NoFileName(String),
    /// The random name drawn is in use: draw another.
    #[error("message {} exists already", .0.short())]
    Taken(MessageId),
    /// The person may not.
    #[error(transparent)]
    Denied(#[from] Denied),
}

impl ChatError {
    /// The kind of refusal, for programs.
    pub fn code(&self) -> RefusalCode {
        match self {
            ChatError::Unknown(_) | ChatError::Deleted(_) => RefusalCode::NotFound,
            ChatError::NotAuthor(_) => RefusalCode::NotAllowed,
            ChatError::TooLong(_) | ChatError::TooManyAttachments(_) => RefusalCode::TooMuch,
            ChatError::Empty | ChatError::NoEmoji | ChatError::NoFileName(_) => RefusalCode::Usage,
            ChatError::Taken(_) => RefusalCode::Internal,
            ChatError::Denied(denied) => denied.code(),
        }
    }
}

/// One segment of a chat as a replica holds it: what people see, and what their commands write.
///
/// An operation that would change nothing gives no write, because each overwrite costs for ever.
#[derive(Clone, Copy)]
pub struct Chat<'a> {
    maps: &'a dyn Maps,
    index: &'a ChatIndex,
}

impl<'a> Chat<'a> {
    /// `index` must have noted all that `maps` holds.
    pub fn new(maps: &'a dyn Maps, index: &'a ChatIndex) -> Chat<'a> {
        Chat { maps, index }
    }

    /// The last messages, oldest first; at most `limits::READ_MESSAGES_MAX`.
    pub fn messages(&self, last: usize) -> Vec<Message> {
        let newest_first = self.index.in_order().rev().take(last.min(READ_MESSAGES_MAX));
        let mut messages: Vec<Message> = newest_first.filter_map(|id| self.message(id)).collect();
        messages.reverse();
        messages
    }

    /// Messages after a place in the order of time, with their times.
    pub(crate) fn after(
        &self,
        place: Option<(WallTime, MessageId)>,
    ) -> impl Iterator<Item = (WallTime, MessageId)> {
        self.index.after(place)
    }

    /// One message; `None` if it has not come or its content was pruned.
    pub fn message(&self, id: MessageId) -> Option<Message> {
        let record = MessageRecord::read(self.value(Key::Message(id))?).ok()?;
        let (time, parent) = (record.time, record.parent);
        if self.index.is_deleted(id) {
            let (text, attachments) = (String::new(), Vec::new());
            return Some(Message { id, text, time, parent, attachments, edited: false, deleted: true });
        }
        let edit = self.value(Key::Edit(id)).and_then(|value| EditRecord::read(value).ok());
        let text = edit.map_or(record.text, |edit| edit.text).to_owned();
        let (attachments, edited) = (record.attachments, edit.is_some());
        Some(Message { id, text, time, parent, attachments, edited, deleted: false })
    }

    /// Whether a message was written or deleted here.
    pub fn knows(&self, id: MessageId) -> bool {
        self.index.contains(id) || self.index.is_deleted(id)
    }

    /// When its author says that a message was last edited.
    pub fn edit_time(&self, id: MessageId) -> Option<WallTime> {
        EditRecord::read(self.value(Key::Edit(id))?).ok().map(|edit| edit.time)
    }

    /// Who reacted to a message with what, by emoji; nothing if it is deleted.
    pub fn reactions(&self, id: MessageId) -> Vec<(String, Vec<Owner>)> {
        let mut reactions: Vec<(String, Vec<Owner>)> = Vec::new();
        if self.index.is_deleted(id) {
            return reactions;
        }
        for (emoji, member) in self.index.reactions(id) {
            match reactions.last_mut() {
                Some((last, members)) if last == emoji => members.push(member),
                _ => reactions.push((emoji.to_owned(), vec![member])),
            }
        }
        reactions
    }

    /// Who pinned a message; nobody if it is deleted or has not come.
    pub fn pins(&self, id: MessageId) -> Vec<Owner> {
        let is_here = self.index.contains(id) && !self.index.is_deleted(id);
        if is_here { self.index.pins(id).collect() } else { Vec::new() }
    }

    /// Finds the message that a person names, by its full name or the first digits of its random
    /// part, in either case.
    pub fn find(&self, text: &str) -> Lookup {
        if let Ok(id) = text.parse::<MessageId>() {
            return if self.index.contains(id) { Lookup::Found(id) } else { Lookup::Missing };
        }
        let Some((low, high)) = named_between(text) else { return Lookup::Missing };
        Lookup::among(self.index.between(low, high))
    }

    /// Writes a new message named by `random`, 64 bits that the caller draws.
    pub fn send(
        &self,
        actor: &Actor,
        random: [u8; 8],
        new: &NewMessage,
        time: WallTime,
    ) -> Result<(MessageId, Put), ChatError> {
        new.parent.map_or(Ok(()), |parent| self.check_parent(parent))?;
        self.send_after(actor, random, new, time)
    }

    /// Whether a message is here that can be replied to.
    pub fn check_parent(&self, parent: MessageId) -> Result<(), ChatError> {
        self.living(parent).map(drop)
    }

    /// Writes a new message whose parent, if it has one, was found, be it in another segment.
    pub fn send_after(
        &self,
        actor: &Actor,
        random: [u8; 8],
        new: &NewMessage,
        time: WallTime,
    ) -> Result<(MessageId, Put), ChatError> {
        let id = MessageId { owner: actor.owner(), random };
        check_new(new)?;
        // A deletion that came first would swallow what is written under its name.
        if self.knows(id) {
            return Err(ChatError::Taken(id));
        }
        let (text, parent, attachments) = (new.text.as_str(), new.parent, new.attachments.clone());
        let record = MessageRecord { time, text, parent, attachments };
        Ok((id, allowed(Key::Message(id).put(record.write()), actor)?))
    }

    /// Gives one's own message another text; `None` if it has this text already.
    pub fn edit(
        &self,
        actor: &Actor,
        id: MessageId,
        text: &str,
        time: WallTime,
    ) -> Result<Option<Put>, ChatError> {
        let put = self.edited(actor, id, (text, &Tail::default()), time)?;
        Ok((self.living(id)?.text != text).then_some(put))
    }

    /// Gives one's own message a text with what an earlier record of it had behind it.
    fn edited(
        &self,
        actor: &Actor,
        id: MessageId,
        (text, tail): (&str, &Tail),
        time: WallTime,
    ) -> Result<Put, ChatError> {
        check_text(text)?;
        self.living(id)?;
        if id.owner != actor.owner() {
            return Err(ChatError::NotAuthor(id));
        }
        allowed(Key::Edit(id).put(EditRecord { time, text }.write_with(tail)), actor)
    }

    /// Deletes one's own message, or anybody's as an admin, for good.
    pub fn delete(&self, actor: &Actor, id: MessageId, time: WallTime) -> Result<Put, ChatError> {
        self.living(id)?;
        allowed(Key::Deleted(actor.owner(), id).put(write_deletion(time)), actor)
    }

    /// Sets or takes back one's own reaction; `None` if it stands so already.
    pub fn react(
        &self,
        actor: &Actor,
        id: MessageId,
        emoji: &str,
        on: bool,
    ) -> Result<Option<Put>, ChatError> {
        if !is_emoji(emoji) {
            return Err(ChatError::NoEmoji);
        }
        self.living(id)?;
        let put = allowed(Key::Reaction(actor.owner(), id, emoji).put(super::record::write_flag(on)), actor)?;
        Ok((self.index.has_reaction(id, emoji, actor.owner()) != on).then_some(put))
    }

    /// Sets or takes back one's own pin; `None` if it stands so already.
    pub fn pin(&self, actor: &Actor, id: MessageId, on: bool) -> Result<Option<Put>, ChatError> {
        self.living(id)?;
        let put = allowed(Key::Pin(actor.owner(), id).put(super::record::write_flag(on)), actor)?;
        Ok((self.index.has_pin(id, actor.owner()) != on).then_some(put))
    }

    fn value(&self, key: Key<'_>) -> Option<&'a [u8]> {
        self.maps.get(key.root(), &key.text())
    }

    /// The message, if it is here and not deleted.
    fn living(&self, id: MessageId) -> Result<Message, ChatError> {
        if self.index.is_deleted(id) {
            return Err(ChatError::Deleted(id));
        }
        self.message(id).ok_or(ChatError::Unknown(id))
    }
}

/// Who may write this key of a chat, if key and value have the shape of its map.
pub(super) fn right(root: &str, key: &str, value: &[u8]) -> Result<Right, Denied> {
    let key = Key::parse(root, key)?;
    key.check(value)?;
    Ok(key.right())
}

fn allowed(put: Put, actor: &Actor) -> Result<Put, ChatError> {
    judge(&Concern::Chat, &(&put).into(), actor)?;
    Ok(put)
}

fn check_text(text: &str) -> Result<(), ChatError> {
    if text.trim().is_empty() {
        return Err(ChatError::Empty);
    }
    check_length(text)
}

fn check_length(text: &str) -> Result<(), ChatError> {
    if text.len() > TEXT_BYTES_MAX { Err(ChatError::TooLong(text.len())) } else { Ok(()) }
}

fn check_new(new: &NewMessage) -> Result<(), ChatError> {
    if new.attachments.is_empty() {
        check_text(&new.text)?;
    }
    check_length(&new.text)?;
    if new.attachments.len() > ATTACHMENTS_MAX {
        return Err(ChatError::TooManyAttachments(new.attachments.len()));
    }
    match new.attachments.iter().find(|attachment| !is_file_name(&attachment.name)) {
        Some(attachment) => Err(ChatError::NoFileName(attachment.name.clone())),
        None => Ok(()),
    }
}
