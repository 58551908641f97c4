//! Tells what a write did to a chat, how two states of one differ, and brings a message back.

use super::layout::{EditRecord, Key, MessageRecord};
use super::{Chat, ChatError, MessageId, NewMessage};
use crate::schema::Put;
use crate::schema::field::Value;
use crate::schema::record::{self, Tail};
use crate::schema::rights::Actor;
use crate::schema::told::{Did, Difference, FieldDifference, Presence, To, Told, shortened};
use crate::time::WallTime;

const NOUN: &str = "message";

impl Chat<'_> {
    /// What a write did that left the chat as it is here.
    pub(crate) fn tell(&self, root: &str, key: &str) -> Option<Told> {
        let (key, value) = (Key::parse(root, key).ok()?, self.maps.get(root, key)?);
        let is_on = || record::read_flag(value).unwrap_or(false);
        let (did, to) = match &key {
            Key::Message(_) => (Did::Made, To::text(MessageRecord::read(value).ok()?.text)),
            Key::Edit(_) => (Did::Edited, To::text(EditRecord::read(value).ok()?.text)),
            Key::Deleted(..) => (Did::Deleted, To::Something),
            Key::Reaction(_, _, emoji) => {
                (if is_on() { Did::Reacted } else { Did::Unreacted }, To::text(emoji))
            }
            Key::Pin(..) => (if is_on() { Did::Pinned } else { Did::Unpinned }, To::Something),
        };
        let id = key.message();
        let title = self.whatever(id).map(|text| shortened(&text)).unwrap_or_default();
        let (field, part) = Default::default();
        Some(Told { thing: Some(id), noun: NOUN, title, did, field, part, to })
    }

    /// How this state differs from an earlier one, message by message in the order of their names
    /// from `after` on; of one message, or of all.
    pub(crate) fn differences<'a>(
        &'a self,
        earlier: &'a Chat<'a>,
        of: Option<MessageId>,
        after: Option<MessageId>,
    ) -> impl Iterator<Item = Difference> + 'a {
        let ids = self.index.in_order().chain(earlier.index.in_order());
        let mut ids: Vec<MessageId> = ids.filter(|id| of.is_none_or(|of| *id == of)).collect();
        ids.sort_unstable();
        ids.dedup();
        let wanted = move |id: &MessageId| after.is_none_or(|after| *id > after);
        ids.into_iter().filter(wanted).filter_map(|id| self.differs(earlier, id))
    }

    fn differs(&self, earlier: &Chat<'_>, id: MessageId) -> Option<Difference> {
        let said = |chat: &Chat<'_>| chat.message(id).filter(|message| !message.deleted).map(|m| m.text);
        let (before, after) = (said(earlier), said(self));
        let presence = match (&before, &after) {
            (None, None) => return None,
            (None, Some(_)) => Presence::Added,
            (Some(_), None) => Presence::Removed,
            (Some(before), Some(after)) if before == after => return None,
            (Some(_), Some(_)) => Presence::Both,
        };
        let title = shortened(after.as_ref().or(before.as_ref())?);
        let (before, after) = (before.map(Value::Text), after.map(Value::Text));
        let fields = vec![FieldDifference { field: "text".to_owned(), part: None, before, after }];
        Some(Difference { thing: Some(id), noun: NOUN, title, presence, fields })
    }

    /// What gives one's own message the text that it had `then`, or writes it anew if it was deleted
    /// since; `random` names that. `None` if it says so already.
    pub(crate) fn restore(
        &self,
        then: &Chat<'_>,
        actor: &Actor,
        (id, random): (MessageId, [u8; 8]),
        time: WallTime,
    ) -> Result<Option<(MessageId, Put)>, ChatError> {
        let was = then.message(id).filter(|was| !was.deleted).ok_or(ChatError::Unknown(id))?;
        if !self.index.is_deleted(id) {
            let tail = then.edit_tail(id);
            let is_other = tail != self.edit_tail(id) || self.living(id)?.text != was.text;
            let put = self.edited(actor, id, (&was.text, &tail), time)?;
            return Ok(is_other.then_some((id, put)));
        }
        if id.owner != actor.owner() {
            return Err(ChatError::NotAuthor(id));
        }
        let parent = was.parent.filter(|parent| self.living(*parent).is_ok());
        let new = NewMessage { text: was.text, parent, attachments: was.attachments };
        self.send(actor, random, &new, time).map(Some)
    }

    /// What later software put behind the text that a message was given.
    fn edit_tail(&self, id: MessageId) -> Tail {
        let tail = self.value(Key::Edit(id)).and_then(|edit| EditRecord::tail(edit).ok());
        tail.unwrap_or_default()
    }

    /// What a message says, deleted or not.
    fn whatever(&self, id: MessageId) -> Option<String> {
        let edit = self.value(Key::Edit(id)).and_then(|value| EditRecord::read(value).ok());
        let record = MessageRecord::read(self.value(Key::Message(id))?).ok()?;
        Some(edit.map_or(record.text, |edit| edit.text).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ids::PersonId;
    use crate::roster::Role;
    use crate::schema::chat::ChatIndex;
    use crate::schema::{Concern, Index, Maps};

    /// A chat as its records alone.
    #[derive(Default)]
    struct Records(BTreeMap<(String, String), Vec<u8>>);

    impl Maps for Records {
        fn get(&self, root: &str, key: &str) -> Option<&[u8]> {
            self.0.get(&(root.to_owned(), key.to_owned())).map(Vec::as_slice)
        }

        fn range<'a>(
            &'a self,
            root: &str,
            prefix: &str,
        ) -> Box<dyn Iterator<Item = (&'a str, &'a [u8])> + 'a> {
            let (root, prefix) = (root.to_owned(), prefix.to_owned());
            let all = self.0.iter().filter(move |((r, key), _)| *r == root && key.starts_with(&prefix));
            Box::new(all.map(|((_, key), value)| (key.as_str(), value.as_slice())))
        }
    }

    impl Records {
        fn with(&self, put: &Put) -> Records {
            let mut records = self.0.clone();
            records.insert((put.root.to_owned(), put.key.clone()), put.value.clone());
            Records(records)
        }

        fn index(&self) -> ChatIndex {
            let mut index = Index::new(&Concern::Chat);
            self.0.iter().for_each(|((root, key), value)| index.note(root, key, Some(value)));
            match index {
                Index::Chat(index) => index,
                _ => panic!("a chat has the index of a chat"),
            }
        }
    }

    #[test]
    fn a_text_that_is_brought_back_has_behind_it_what_later_software_put_there() {
        let actor = Actor { person: PersonId([1; 32]), role: Role::Member };
        let (records, now) = (Records::default(), WallTime(9));
        let index = records.index();
        let new = NewMessage { text: "hello".into(), ..NewMessage::default() };
        let (id, put) = Chat::new(&records, &index).send(&actor, [7; 8], &new, now).unwrap();
        let sent = records.with(&put);
        let index = sent.index();
        let later = Put { root: "edits", key: put.key.clone(), value: vec![2, 9, 1, b'x', 42] };
        let then = sent.with(&later);
        let edit = Chat::new(&sent, &index).edit(&actor, id, "y", now).unwrap().unwrap();
        let is = sent.with(&edit);
        let (then_index, is_index) = (then.index(), is.index());
        let then_chat = Chat::new(&then, &then_index);
        let restored = Chat::new(&is, &is_index).restore(&then_chat, &actor, (id, [8; 8]), WallTime(10));
        let (_, put) = restored.unwrap().unwrap();
        assert_eq!((put.root, put.value), ("edits", vec![2, 10, 1, b'x', 42]));
        let same = then_chat.restore(&then_chat, &actor, (id, [8; 8]), now);
        assert_eq!(same.unwrap(), None, "it is so already");
    }
}
