//! Answers commands about chats, whose messages are spread over segments.
//!
//! What is new goes to the segment that is not full; what is said about a message goes to the segment
//! in which that was written, which is looked for from the last one back. Reading gathers from all.
//! The product reads by a copy instead; see `copying`.

use rand::Rng;

use crate::command::{ChatCommand, Command, CommandId, MessageView, Outcome, Refusal, RefusalCode, Reply};
use crate::ids::{DocumentKey, EntityId};
use crate::limits::READ_MESSAGES_MAX;
use crate::outbox::refusal;
use crate::replica::Live;
use crate::replicator::Replicator;
use crate::schema::Concern;
use crate::schema::Put;
use crate::schema::chat::{ChatError, MessageId, NewMessage};
use crate::schema::rights::Actor;
use crate::time::WallTime;
use crate::words::FourWords;

use super::unknown;

/// Where a command goes next.
enum Way {
    /// It is to be done in this segment.
    To(DocumentKey),
    /// This one must be read first.
    Read(DocumentKey),
}

impl Replicator {
    pub(super) fn chat(
        &mut self,
        id: CommandId,
        words: FourWords,
        command: ChatCommand,
    ) -> Result<(), Refusal> {
        let (entity, place) = self.place(words).ok_or_else(|| unknown(words))?;
        let at = (entity.id, place);
        if entity.document(place, &Concern::Chat).is_none() {
            return Err(refusal(RefusalCode::NotFound, format!("{words} has no chat"), ""));
        }
        if let ChatCommand::Read { last } = command {
            return self.read_chat(id, words, at, last);
        }
        let way = match &command {
            ChatCommand::Send(NewMessage { parent, .. }) => match (self.way_to_the_new(at, words)?, parent) {
                (Way::To(document), Some(parent)) => self.way_to_reply(id, at, *parent, document)?,
                (way, _) => way,
            },
            ChatCommand::Edit(message, _) | ChatCommand::Delete(message) => {
                self.way_to_message(id, at, *message)?
            }
            ChatCommand::React { message, .. } | ChatCommand::Pin { message, .. } => {
                self.way_to_message(id, at, *message)?
            }
            ChatCommand::Read { .. } | ChatCommand::MarkRead(_) => return Ok(()),
        };
        match way {
            Way::To(document) => {
                self.walks.remove(&id);
                self.write_chat(id, words, (at.0, document), command)
            }
            Way::Read(document) => {
                self.ask_again(id, Command::Chat(words, command), (at.0, document));
                Ok(())
            }
        }
    }

    fn write_chat(
        &mut self,
        id: CommandId,
        words: FourWords,
        (entity, document): (EntityId, DocumentKey),
        command: ChatCommand,
    ) -> Result<(), Refusal> {
        let actor = self.ready_to_write(entity, words)?;
        let replica = self.entities.get(&entity).and_then(|e| e.replicas.get(&document));
        if !replica.is_some_and(|replica| replica.has_room()) {
            return Err(refusal(
                RefusalCode::TooMuch,
                "too many writes wait for the disk",
                "try again in a moment",
            ));
        }
        let random = self.random.next_u64().to_be_bytes();
        let live = self.entities.get(&entity).and_then(|e| e.replicas.get(&document)?.live());
        let Some(live) = live else { return Ok(()) };
        match chat_put(live, &actor, random, self.now.wall, command).map_err(|e| chat_refusal(&e))? {
            (Some(put), reply) => {
                self.check_room(entity, document, std::slice::from_ref(&put))?;
                self.put(entity, document, vec![put], Some((id, Outcome::Done(reply))));
            }
            (None, reply) => self.out.answer(id, Outcome::Done(reply)),
        }
        Ok(())
    }

    /// Where new messages are written.
    fn way_to_the_new(&self, (id, place): (EntityId, EntityId), words: FourWords) -> Result<Way, Refusal> {
        let replica = self.entities.get(&id).and_then(|e| e.document(place, &Concern::Chat));
        let replica = replica.filter(|replica| !replica.is_full).ok_or_else(|| {
            let hint = "make a channel, which has a chat of its own";
            refusal(RefusalCode::TooMuch, format!("the chat of {words} takes no further message"), hint)
        })?;
        Ok(if replica.live().is_some() { Way::To(replica.key) } else { Way::Read(replica.key) })
    }

    /// Where a reply is written: among what is new, once what it replies to was found, wherever.
    fn way_to_reply(
        &mut self,
        asker: CommandId,
        at: (EntityId, EntityId),
        parent: MessageId,
        document: DocumentKey,
    ) -> Result<Way, Refusal> {
        let found = match self.way_to_message(asker, at, parent)? {
            Way::To(found) => found,
            way => return Ok(way),
        };
        let live = self.entities.get(&at.0).and_then(|e| e.replicas.get(&found)?.live());
        let answerable = live.and_then(Live::chat).map_or(Ok(()), |chat| chat.check_parent(parent));
        answerable.map(|()| Way::To(document)).map_err(|error| chat_refusal(&error))
    }

    /// Where a message was written: it is looked for in memory, then from the last segment back.
    fn way_to_message(
        &mut self,
        asker: CommandId,
        (id, place): (EntityId, EntityId),
        message: MessageId,
    ) -> Result<Way, Refusal> {
        let Some(entity) = self.entities.get(&id) else {
            return Err(chat_refusal(&ChatError::Unknown(message)));
        };
        let series = entity.series(place, &Concern::Chat);
        let has = |live: &Live| live.chat().is_some_and(|chat| chat.knows(message));
        if let Some(found) = series.iter().rev().find(|replica| replica.live().is_some_and(has)) {
            return Ok(Way::To(found.key));
        }
        let below = self.walks.get(&asker).map_or(u32::MAX, |walk| walk.below);
        let next = series.iter().rev().find(|replica| replica.segment < below && replica.live().is_none());
        let Some((next, segment)) = next.map(|replica| (replica.key, replica.segment)) else {
            self.walks.remove(&asker);
            return Err(chat_refusal(&ChatError::Unknown(message)));
        };
        self.walks.entry(asker).or_default().below = segment;
        Ok(Way::Read(next))
    }

    /// Gathers the last messages from one segment after the other.
    fn read_chat(
        &mut self,
        id: CommandId,
        words: FourWords,
        (entity_id, place): (EntityId, EntityId),
        last: u32,
    ) -> Result<(), Refusal> {
        let count = usize::try_from(last).unwrap_or(usize::MAX).min(READ_MESSAGES_MAX);
        loop {
            let Some(entity) = self.entities.get(&entity_id) else { return Ok(()) };
            let below = self.walks.get(&id).map_or(u32::MAX, |walk| walk.below);
            let series = entity.series(place, &Concern::Chat);
            let Some(next) = series.into_iter().rev().find(|replica| replica.segment < below) else { break };
            let (document, segment) = (next.key, next.segment);
            let Some(live) = next.shown() else {
                let again = Command::Chat(words, ChatCommand::Read { last });
                self.ask_again(id, again, (entity_id, document));
                return Ok(());
            };
            let messages = self.message_views(entity, live, count);
            let walk = self.walks.entry(id).or_default();
            walk.below = segment;
            walk.found.extend(messages);
            walk.found.sort_by_key(|view| (view.message.time, view.message.id));
            let before = walk.found.len().saturating_sub(count);
            walk.found.drain(..before);
        }
        let found: Vec<MessageView> = self.walks.remove(&id).map(|walk| walk.found).unwrap_or_default();
        self.out.answer(id, Outcome::Done(Reply::Messages(found)));
        Ok(())
    }
}

/// What a chat command that writes puts, if it changes anything, and what it answers.
fn chat_put(
    live: &Live,
    actor: &Actor,
    random: [u8; 8],
    now: WallTime,
    command: ChatCommand,
) -> Result<(Option<Put>, Reply), ChatError> {
    let Some(chat) = live.chat() else { return Ok((None, Reply::Ok)) };
    let put = match command {
        ChatCommand::Send(new) => {
            let (message, put) = chat.send_after(actor, random, &new, now)?;
            return Ok((Some(put), Reply::Message(message)));
        }
        ChatCommand::Edit(message, text) => chat.edit(actor, message, &text, now)?,
        ChatCommand::Delete(message) => Some(chat.delete(actor, message, now)?),
        ChatCommand::React { message, emoji, on } => chat.react(actor, message, &emoji, on)?,
        ChatCommand::Pin { message, on } => chat.pin(actor, message, on)?,
        ChatCommand::Read { .. } | ChatCommand::MarkRead(_) => None,
    };
    Ok((put, Reply::Ok))
}

pub(super) fn chat_refusal(error: &ChatError) -> Refusal {
    refusal(error.code(), error.to_string(), "")
}
