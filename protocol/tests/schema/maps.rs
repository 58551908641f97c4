//! Root maps without a document beneath: what the tests read from and write to.

use std::collections::BTreeMap;

use fourword_protocol::ids::PersonId;
use fourword_protocol::roster::Role;
use fourword_protocol::schema::chat::{Chat, ChatIndex, MessageId, NewMessage};
use fourword_protocol::schema::rights::Actor;
use fourword_protocol::schema::{Maps, Put};
use fourword_protocol::time::WallTime;

/// A document's root maps.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlainMaps(BTreeMap<(String, String), Vec<u8>>);

impl PlainMaps {
    pub(crate) fn set(&mut self, put: &Put) {
        self.0.insert((put.root.into(), put.key.clone()), put.value.clone());
    }

    pub(crate) fn set_raw(&mut self, root: &str, key: &str, value: &[u8]) {
        self.0.insert((root.into(), key.into()), value.to_vec());
    }

    pub(crate) fn prune(&mut self, root: &str, key: &str) {
        self.0.remove(&(root.into(), key.into()));
    }
}

impl Maps for PlainMaps {
    fn get(&self, root: &str, key: &str) -> Option<&[u8]> {
        self.0.get(&(root.to_owned(), key.to_owned())).map(Vec::as_slice)
    }

    fn range<'a>(&'a self, root: &str, prefix: &str) -> Box<dyn Iterator<Item = (&'a str, &'a [u8])> + 'a> {
        let (root, prefix) = (root.to_owned(), prefix.to_owned());
        let from = (root.clone(), prefix.clone());
        let pairs = self.0.range(from..).map(|((root, key), value)| (root, key, value));
        let inside = pairs.take_while(move |(of, key, _)| **of == root && key.starts_with(&prefix));
        Box::new(inside.map(|(_, key, value)| (key.as_str(), value.as_slice())))
    }
}

/// A person made of one byte.
pub(crate) fn actor(byte: u8, role: Role) -> Actor {
    Actor { person: PersonId([byte; 32]), role }
}

pub(crate) fn ada() -> Actor {
    actor(1, Role::Member)
}

pub(crate) fn ben() -> Actor {
    actor(2, Role::Member)
}

pub(crate) fn admin() -> Actor {
    actor(3, Role::Admin)
}

pub(crate) fn viewer() -> Actor {
    actor(4, Role::Viewer)
}

/// A chat as a replica keeps it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room {
    pub(crate) maps: PlainMaps,
    pub(crate) index: ChatIndex,
}

impl Room {
    pub(crate) fn chat(&self) -> Chat<'_> {
        Chat::new(&self.maps, &self.index)
    }

    pub(crate) fn apply(&mut self, put: &Put) {
        self.maps.set(put);
        self.index.note(put.root, &put.key, Some(&put.value));
    }

    pub(crate) fn prune(&mut self, root: &str, key: &str) {
        self.maps.prune(root, key);
        self.index.note(root, key, None);
    }

    /// Sends a message named by `random` in every byte, at that many milliseconds.
    pub(crate) fn say(&mut self, author: &Actor, random: u8, text: &str) -> MessageId {
        let (id, put) = self.chat().send(author, [random; 8], &plain(text), WallTime(random.into())).unwrap();
        self.apply(&put);
        id
    }

    pub(crate) fn text(&self, id: MessageId) -> String {
        self.chat().message(id).unwrap().text
    }
}

/// A message without parent or files.
pub(crate) fn plain(text: &str) -> NewMessage {
    NewMessage { text: text.into(), ..NewMessage::default() }
}
