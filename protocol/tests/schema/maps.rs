//! Root maps without a document beneath: what the tests read from and write to.

use std::collections::BTreeMap;

use fourword_protocol::ids::PersonId;
use fourword_protocol::roster::Role;
use fourword_protocol::schema::chat::{Chat, ChatIndex, MessageId, NewMessage};
use fourword_protocol::schema::field::{Number, Value};
use fourword_protocol::schema::kanban::{self, Board, Spot};
use fourword_protocol::schema::rights::Actor;
use fourword_protocol::schema::thing::ThingId;
use fourword_protocol::schema::things::{Set, Table, ThingIndex, Things};
use fourword_protocol::schema::{Concern, Maps, Put, layout};
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

/// A document of things as a replica keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) concern: Concern,
    pub(crate) maps: PlainMaps,
    pub(crate) index: ThingIndex,
}

impl Desk {
    pub(crate) fn new(concern: Concern) -> Desk {
        Desk { concern, maps: PlainMaps::default(), index: ThingIndex::default() }
    }

    pub(crate) fn things(&self) -> Things<'_> {
        Things::new(&self.concern, &self.maps, &self.index).unwrap()
    }

    pub(crate) fn board(&self) -> Board<'_> {
        Board(self.things())
    }

    pub(crate) fn apply(&mut self, put: &Put) {
        self.set_raw(put.root, &put.key, &put.value);
    }

    pub(crate) fn set_raw(&mut self, root: &str, key: &str, value: &[u8]) {
        self.maps.set_raw(root, key, value);
        self.index.note(layout(&self.concern).unwrap(), root, key, Some(value));
    }

    pub(crate) fn prune(&mut self, root: &str, key: &str) {
        self.maps.prune(root, key);
        self.index.note(layout(&self.concern).unwrap(), root, key, None);
    }

    /// Makes a thing named by `random` in every byte, at that many milliseconds.
    pub(crate) fn make(&mut self, by: &Actor, random: u8, table: &'static Table, sets: Vec<Set>) -> ThingId {
        let (id, put) = self.things().make(by, [random; 8], table, sets, WallTime(random.into())).unwrap();
        self.apply(&put);
        id
    }

    /// Sets fields of a thing, each by its own write.
    pub(crate) fn set(&mut self, by: &Actor, id: ThingId, table: &'static Table, sets: Vec<Set>) {
        for put in self.things().set(by, id, table, sets, WallTime(500)).unwrap() {
            self.apply(&put);
        }
    }

    pub(crate) fn delete(&mut self, by: &Actor, id: ThingId, table: &'static Table) {
        let put = self.things().delete(by, id, table, WallTime(600)).unwrap();
        self.apply(&put);
    }

    /// Says something about a thing, named by `random` in every byte.
    pub(crate) fn say(
        &mut self,
        by: &Actor,
        random: u8,
        about: (ThingId, &'static Table),
        text: &str,
    ) -> ThingId {
        let said = self.things().say(by, [random; 8], about, text, WallTime(random.into()));
        let (id, put) = said.unwrap();
        self.apply(&put);
        id
    }

    /// A new column after all others.
    pub(crate) fn column(&mut self, by: &Actor, random: u8, title: &str) -> ThingId {
        let placed = self.board().order(Spot::Last, None, random.into()).unwrap();
        self.make(by, random, kanban::COLUMNS, vec![text("title", title), placed.set])
    }

    /// A new card at the end of a column.
    pub(crate) fn card(&mut self, by: &Actor, random: u8, column: ThingId, title: &str) -> ThingId {
        let placed = self.board().pos(column, Spot::Last, None, false, random.into()).unwrap();
        self.make(by, random, kanban::CARDS, vec![text("title", title), placed.set])
    }

    /// The titles of the cards of each column.
    pub(crate) fn shown(&self) -> Vec<(String, Vec<String>)> {
        shown(self.board())
    }
}

/// The titles of the cards of each column.
pub(crate) fn shown(board: Board<'_>) -> Vec<(String, Vec<String>)> {
    let columns = board.columns().into_iter().map(|column| {
        let cards = column.cards.iter().map(|card| card.text("title").to_owned()).collect();
        (column.column.text("title").to_owned(), cards)
    });
    columns.collect()
}

/// A field that is text.
pub(crate) fn text(field: &str, text: &str) -> Set {
    Set { field: field.into(), part: None, value: Some(Value::Text(text.into())) }
}

/// A part of a field that is on or off.
pub(crate) fn part(field: &str, part: &str, on: bool) -> Set {
    Set { field: field.into(), part: Some(part.into()), value: Some(Value::Flag(on)) }
}

/// A field that is two numbers.
pub(crate) fn pair(field: &str, one: f64, other: f64) -> Set {
    let number = |number| Number::new(number).unwrap();
    Set { field: field.into(), part: None, value: Some(Value::Pair(number(one), number(other))) }
}
