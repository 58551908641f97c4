//! Chats in any order of arrival: deletion wins, and the index equals a scan.

use std::collections::BTreeMap;

use fourword_protocol::limits::READ_MESSAGES_MAX;
use fourword_protocol::roster::Role;
use fourword_protocol::schema::Put;
use fourword_protocol::schema::chat::{ChatIndex, Message, MessageId};
use fourword_protocol::schema::rights::Actor;
use fourword_protocol::time::WallTime;
use proptest::prelude::*;

use crate::maps::{Room, actor, ada, admin, ben, plain};

/// All orders of up to a handful of things.
fn orders<T: Clone>(things: &[T]) -> Vec<Vec<T>> {
    if things.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (i, first) in things.iter().enumerate() {
        let rest: Vec<T> = [&things[..i], &things[i + 1..]].concat();
        all.extend(orders(&rest).into_iter().map(|mut order| {
            order.insert(0, first.clone());
            order
        }));
    }
    all
}

/// A message and everything done to it by people who did not know of its deletion.
fn life_of_a_message() -> (MessageId, Vec<Put>) {
    let mut room = Room::default();
    let (id, sent) = room.chat().send(&ada(), [1; 8], &plain("first"), WallTime(1)).unwrap();
    room.apply(&sent);
    let chat = room.chat();
    let puts = vec![
        sent,
        chat.edit(&ada(), id, "late edit", WallTime(9)).unwrap().unwrap(),
        chat.react(&ben(), id, "👍", true).unwrap().unwrap(),
        chat.pin(&ben(), id, true).unwrap().unwrap(),
        chat.delete(&ada(), id, WallTime(5)).unwrap(),
        chat.delete(&admin(), id, WallTime(2)).unwrap(),
    ];
    (id, puts)
}

#[test]
fn deletion_wins_in_every_order() {
    let (id, puts) = life_of_a_message();
    let orders = orders(&puts);
    assert_eq!(orders.len(), 720);
    for order in orders {
        let mut room = Room::default();
        let mut deleted = false;
        for put in &order {
            room.apply(put);
            deleted |= put.root == "deleted";
            if let (true, Some(shown)) = (deleted, room.chat().message(id)) {
                assert!(shown.deleted && shown.text.is_empty(), "{shown:?} after {}", put.root);
            }
            assert!(!deleted || room.chat().reactions(id).is_empty());
            assert!(!deleted || room.chat().pins(id).is_empty());
        }
        assert_eq!(room.chat().messages(10).len(), 1);
    }
}

#[test]
fn a_message_that_comes_after_its_content_was_pruned_shows_as_deleted() {
    let (id, puts) = life_of_a_message();
    let mut room = Room::default();
    puts.iter().for_each(|put| room.apply(put));
    puts.iter().filter(|put| put.root != "deleted").for_each(|put| room.prune(put.root, &put.key));
    assert_eq!(room.chat().message(id), None);
    assert!(room.chat().messages(10).is_empty());
    assert!(room.index.is_deleted(id));

    room.apply(&puts[0]);
    assert!(room.chat().message(id).unwrap().deleted);
    let again = room.chat().send(&ada(), [1; 8], &plain("anew"), WallTime(9));
    assert!(again.is_err(), "a deleted name is never used again");
}

#[test]
fn overlays_that_come_before_their_message_take_effect_when_it_comes() {
    let (id, puts) = life_of_a_message();
    let mut room = Room::default();
    puts[1..4].iter().for_each(|put| room.apply(put));
    assert_eq!(room.chat().message(id), None);
    assert!(room.chat().pins(id).is_empty());
    room.apply(&puts[0]);
    let shown = room.chat().message(id).unwrap();
    assert_eq!((shown.text.as_str(), shown.edited), ("late edit", true));
    assert_eq!(room.chat().reactions(id).len(), 1);
    assert_eq!(room.chat().pins(id).len(), 1);
}

#[test]
fn messages_are_ordered_by_time_then_name_and_the_last_are_given() {
    let mut room = Room::default();
    for (author, random, time) in [(ada(), 5, 30), (ben(), 6, 10), (ben(), 4, 20), (ada(), 9, 20)] {
        let (_, put) = room.chat().send(&author, [random; 8], &plain("x"), WallTime(time)).unwrap();
        room.apply(&put);
    }
    let shown: Vec<u8> = room.chat().messages(9).iter().map(|message| message.id.random[0]).collect();
    assert_eq!(shown, [6, 9, 4, 5], "at one time the author's name decides");
    let last: Vec<u8> = room.chat().messages(2).iter().map(|message| message.id.random[0]).collect();
    assert_eq!(last, [4, 5]);
    assert!(room.chat().messages(0).is_empty());
}

#[test]
fn no_reader_is_given_more_messages_than_the_limit() {
    let mut room = Room::default();
    for i in 0..=READ_MESSAGES_MAX as u64 {
        let (_, put) = room.chat().send(&ada(), i.to_be_bytes(), &plain("x"), WallTime(i)).unwrap();
        room.apply(&put);
    }
    assert_eq!(room.index.len(), READ_MESSAGES_MAX + 1);
    let shown = room.chat().messages(usize::MAX);
    assert_eq!(shown.len(), READ_MESSAGES_MAX);
    assert_eq!(shown[0].time, WallTime(1), "the oldest is left out");
}

/// One thing that happens to a chat, with small numbers so that things meet.
#[derive(Clone, Debug)]
enum Act {
    Send(u64),
    Edit(String),
    Delete,
    React(&'static str, bool),
    Pin(bool),
    Prune,
    Raw(&'static str, Vec<u8>),
}

fn act() -> impl Strategy<Value = Act> {
    let root = prop_oneof![Just("messages"), Just("deleted"), Just("pins"), Just("elsewhere")];
    prop_oneof![
        4 => (0u64..6).prop_map(Act::Send),
        2 => "[a-c]{1,2}".prop_map(Act::Edit),
        1 => Just(Act::Delete),
        2 => (prop_oneof![Just("👍"), Just("no")], any::<bool>()).prop_map(|(e, on)| Act::React(e, on)),
        1 => any::<bool>().prop_map(Act::Pin),
        1 => Just(Act::Prune),
        1 => (root, prop::collection::vec(any::<u8>(), 0..12)).prop_map(|(root, value)| Act::Raw(root, value)),
    ]
}

fn people() -> [Actor; 3] {
    [ada(), ben(), actor(3, Role::Owner)]
}

/// What a chat should show, kept the plainest way.
#[derive(Default)]
struct Plain {
    messages: BTreeMap<MessageId, (u64, String)>,
    edits: BTreeMap<MessageId, String>,
    deleted: Vec<MessageId>,
}

impl Plain {
    fn shown(&self) -> Vec<(WallTime, MessageId, String, bool)> {
        let mut all: Vec<_> = (self.messages.iter())
            .map(|(id, (time, text))| {
                let deleted = self.deleted.contains(id);
                let text = self.edits.get(id).unwrap_or(text).clone();
                (WallTime(*time), *id, if deleted { String::new() } else { text }, deleted)
            })
            .collect();
        all.sort();
        all
    }
}

fn key_of(id: MessageId) -> String {
    id.to_string().replace('-', "|")
}

fn play(room: &mut Room, plain_chat: &mut Plain, who: &Actor, id: MessageId, act: Act) {
    let chat = room.chat();
    let put = match act {
        Act::Send(time) => {
            let sent = chat.send(who, id.random, &plain("x"), WallTime(time)).ok().map(|(_, put)| put);
            if sent.is_some() {
                plain_chat.messages.insert(MessageId { owner: who.owner(), ..id }, (time, "x".into()));
            }
            sent
        }
        Act::Edit(text) => {
            let put = chat.edit(who, id, &text, WallTime(7)).unwrap_or(None);
            if put.is_some() {
                plain_chat.edits.insert(id, text);
            }
            put
        }
        Act::Delete => {
            let put = chat.delete(who, id, WallTime(8)).ok();
            if put.is_some() {
                plain_chat.deleted.push(id);
            }
            put
        }
        Act::React(emoji, on) => chat.react(who, id, emoji, on).unwrap_or(None),
        Act::Pin(on) => chat.pin(who, id, on).unwrap_or(None),
        Act::Prune => {
            room.prune("messages", &key_of(id));
            plain_chat.messages.remove(&id);
            None
        }
        Act::Raw(root, value) => {
            // A foreign shape of key, which index and views must pass over.
            let key = format!("{}|{}", key_of(id), value.len());
            room.maps.set_raw(root, &key, &value);
            room.index.note(root, &key, Some(&value));
            None
        }
    };
    if let Some(put) = put {
        room.apply(&put);
    }
}

proptest! {
    #[test]
    fn the_index_equals_a_scan_and_the_views_equal_the_plainest_model(
        acts in prop::collection::vec((0usize..3, 0usize..3, 0u8..4, act()), 0..60),
    ) {
        let (mut room, mut plain_chat) = (Room::default(), Plain::default());
        for (who, whose, random, act) in acts {
            let id = MessageId { owner: people()[whose].owner(), random: [random; 8] };
            play(&mut room, &mut plain_chat, &people()[who], id, act);
            prop_assert_eq!(&room.index, &ChatIndex::scan(&room.maps));
        }
        let shown = |message: Message| (message.time, message.id, message.text, message.deleted);
        let messages: Vec<_> = room.chat().messages(100).into_iter().map(shown).collect();
        prop_assert_eq!(messages, plain_chat.shown());
    }

    #[test]
    fn a_record_that_is_replaced_or_spoiled_leaves_the_index_equal_to_a_scan(
        values in prop::collection::vec((0usize..3, value()), 0..40),
    ) {
        let mut room = Room::default();
        let key = key_of(MessageId { owner: ada().owner(), random: [1; 8] });
        let (ada, _) = key.split_once('|').unwrap();
        let keys = [
            ("messages", key.clone()),
            ("deleted", format!("{ada}|{key}")),
            ("reactions", format!("{ada}|{key}|ok")),
        ];
        for (which, value) in values {
            let (root, key) = &keys[which];
            match &value {
                Some(value) => {
                    room.maps.set_raw(root, key, value);
                    room.index.note(root, key, Some(value));
                }
                None => room.prune(root, key),
            }
            prop_assert_eq!(&room.index, &ChatIndex::scan(&room.maps));
        }
    }
}

/// A message without text, a flag or a time, something malformed, or nothing.
fn value() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop_oneof![
        3 => (0u8..4).prop_map(|time| Some(vec![1, 0, time, 0])),
        3 => (0u8..2).prop_map(|flag| Some(vec![1, flag])),
        2 => prop::collection::vec(0u8..4, 0..6).prop_map(Some),
        1 => Just(None),
    ]
}
