//! Records: how small they are, what hostile bytes do, and what a later version's keep readable.

use fourword_protocol::command::Kind;
use fourword_protocol::ids::{DocumentKey, EntityId, to_hex};
use fourword_protocol::limits::{RECORD_BYTES_MAX, TEXT_BYTES_MAX};
use fourword_protocol::roster::Role;
use fourword_protocol::schema::chat::{Attachment, MessageId, NewMessage};
use fourword_protocol::schema::core::{self, Setting};
use fourword_protocol::schema::home::{self, ReadMarker};
use fourword_protocol::schema::rights::{Actor, Denied, PutRef, judge};
use fourword_protocol::schema::{Concern, Put};
use fourword_protocol::time::WallTime;
use proptest::prelude::*;

use crate::maps::{PlainMaps, Room, actor, ada, plain};

const NOW: WallTime = WallTime(1_790_000_000_000);

fn owner() -> Actor {
    actor(1, Role::Owner)
}

/// One write of every kind.
fn every_put() -> Vec<(Concern, Put)> {
    let mut room = Room::default();
    let id = room.say(&owner(), 1, "hello");
    let attachments = vec![Attachment { blob: [7; 32], size_bytes: 300, name: "plan.md".into() }];
    let reply = NewMessage { text: "full".into(), parent: Some(id), attachments };
    let chat = room.chat();
    let chats = [
        chat.send(&owner(), [2; 8], &plain("plain"), NOW).unwrap().1,
        chat.send(&owner(), [3; 8], &reply, NOW).unwrap().1,
        chat.edit(&owner(), id, "other", NOW).unwrap().unwrap(),
        chat.delete(&owner(), id, NOW).unwrap(),
        chat.react(&owner(), id, "👍", true).unwrap().unwrap(),
        chat.pin(&owner(), id, true).unwrap().unwrap(),
    ];
    let cores = [
        core::set_entity_name(&owner(), "Garden").unwrap(),
        core::set(&owner(), &Setting::Description("Beds".into())).unwrap(),
        core::set(&owner(), &Setting::LapseDays(9)).unwrap(),
        core::set(&owner(), &Setting::Website(Some([7; 32]))).unwrap(),
        core::set_shown_name(&owner(), "Ada").unwrap(),
    ];
    let (entity, document) = (EntityId([5; 32]), DocumentKey([6; 32]));
    let homes = [
        home::join_group(entity, Kind::Group, [0; 6], NOW),
        home::mark_read(&PlainMaps::default(), entity, document, ReadMarker { time: NOW, message: id })
            .unwrap(),
        home::set_setting("theme", b"dark").unwrap(),
        home::set_draft(entity, document, "half").unwrap(),
    ];
    let of = |concern, puts: Vec<Put>| puts.into_iter().map(move |put| (concern, put));
    of(Concern::Chat, chats.into())
        .chain(of(Concern::Core, cores.into()))
        .chain(of(Concern::Home, homes.into()))
        .collect()
}

fn verdict(concern: &Concern, put: &Put, value: &[u8]) -> Result<(), Denied> {
    judge(concern, &PutRef { value: Some(value), ..put.into() }, &owner())
}

#[test]
fn a_message_costs_less_than_fifty_bytes_beside_its_text() {
    let text = "exactly twenty-four long";
    assert_eq!(text.len(), 24);
    let (_, put) = Room::default().chat().send(&ada(), [1; 8], &plain(text), NOW).unwrap();
    assert_eq!(put.key.len() + put.value.len() - text.len(), 49);
}

/// What this version writes for [`every_put`], in order: root, key, value.
///
/// A message is version, flags, time, text; then parent and attachments. `aeaqcaib…` is the name
/// of a person or message made of ones.
const VECTORS: [&str; 15] = [
    "messages aeaqcaibaeaqcaibaeaqcaibae|aibaeaqcaibae 010080d8c1a28c3405706c61696e",
    "messages aeaqcaibaeaqcaibaeaqcaibae|ambqgaydambqg 010380d8c1a28c340466756c6c\
     010101010101010101010101010101010101010101010101\
     00010707070707070707070707070707070707070707070707070707070707070707ac0207706c616e2e6d64",
    "edits aeaqcaibaeaqcaibaeaqcaibae|aeaqcaibaeaqc 0180d8c1a28c34056f74686572",
    "deleted aeaqcaibaeaqcaibaeaqcaibae|aeaqcaibaeaqcaibaeaqcaibae|aeaqcaibaeaqc 0180d8c1a28c34",
    "reactions aeaqcaibaeaqcaibaeaqcaibae|aeaqcaibaeaqcaibaeaqcaibae|aeaqcaibaeaqc|👍 0101",
    "pins aeaqcaibaeaqcaibaeaqcaibae|aeaqcaibaeaqcaibaeaqcaibae|aeaqcaibaeaqc 0101",
    "meta name 010647617264656e",
    "meta description 010442656473",
    "meta settings|lapse-days 01020009",
    "meta website 01010707070707070707070707070707070707070707070707070707070707070707",
    "names aeaqcaibaeaqcaibaeaqcaibae 0103416461",
    "groups aucqkbifaucqkbifaucqkbifaucqkbifaucqkbifaucqkbifaucq 01000100000000000080d8c1a28c34",
    "read aucqkbifaucqkbifaucqkbifaucqkbifaucqkbifaucqkbifaucq|\
     aydambqgaydambqgaydambqgaydambqgaydambqgaydambqgayda \
     0180d8c1a28c34010101010101010101010101010101010101010101010101",
    "settings theme 01046461726b",
    "drafts aucqkbifaucqkbifaucqkbifaucqkbifaucqkbifaucqkbifaucq|\
     aydambqgaydambqgaydambqgaydambqgaydambqgaydambqgayda 010468616c66",
];

#[test]
fn keys_and_records_are_written_as_the_vectors_say() {
    let shown = |(_, put): (Concern, Put)| format!("{} {} {}", put.root, put.key, to_hex(&put.value));
    assert_eq!(every_put().into_iter().map(shown).collect::<Vec<_>>(), VECTORS);
}

#[test]
fn every_record_is_refused_when_cut_short_or_followed_by_more() {
    for (concern, put) in every_put() {
        assert_eq!(verdict(&concern, &put, &put.value), Ok(()), "{put:?}");
        for end in 0..put.value.len() {
            let cut = verdict(&concern, &put, &put.value[..end]);
            assert_eq!(cut, Err(Denied::MalformedRecord), "{} cut at {end}", put.root);
        }
        let longer = [&put.value[..], &[0]].concat();
        assert_eq!(verdict(&concern, &put, &longer), Err(Denied::MalformedRecord), "{}", put.root);
        let older = [&[0], &put.value[1..]].concat();
        assert_eq!(verdict(&concern, &put, &older), Err(Denied::MalformedRecord), "{}", put.root);
    }
}

#[test]
fn a_later_versions_record_is_accepted_with_what_follows_the_known_fields() {
    for (concern, put) in every_put() {
        for version in [2, 255] {
            let later = [&[version], &put.value[1..], &b"fields of a later version"[..]].concat();
            assert_eq!(verdict(&concern, &put, &later), Ok(()), "{}", put.root);
        }
        let endless = [&[2], &put.value[1..], &vec![0; RECORD_BYTES_MAX][..]].concat();
        assert_eq!(verdict(&concern, &put, &endless), Err(Denied::MalformedRecord), "{}", put.root);
    }
}

#[test]
fn a_later_versions_message_shows_the_fields_known_here() {
    let mut room = Room::default();
    let parent = room.say(&ada(), 1, "parent");
    let new = NewMessage { parent: Some(parent), ..plain("reply") };
    let (id, put) = room.chat().send(&ada(), [2; 8], &new, NOW).unwrap();
    let mut later = [&put.value[..], b"more"].concat();
    later[0] = 2;
    later[1] |= 0b1000_0000;
    room.apply(&Put { value: later.clone(), ..put.clone() });
    let shown = room.chat().message(id).unwrap();
    assert_eq!((shown.text.as_str(), shown.parent, shown.time), ("reply", Some(parent), NOW));

    later.truncate(put.value.len());
    later[0] = 1;
    assert_eq!(verdict(&Concern::Chat, &put, &later), Err(Denied::MalformedRecord), "an unknown flag");
}

#[test]
fn a_clock_beyond_what_records_hold_is_written_as_their_latest() {
    let mut room = Room::default();
    let (id, put) = room.chat().send(&ada(), [1; 8], &plain("x"), WallTime(u64::MAX)).unwrap();
    room.apply(&put);
    assert_eq!(room.chat().message(id).unwrap().time, WallTime((1 << 53) - 1));

    let beyond = [1, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 1, b'x'];
    assert_eq!(
        judge(&Concern::Chat, &PutRef { value: Some(&beyond), ..(&put).into() }, &ada()),
        Err(Denied::MalformedRecord)
    );
}

#[test]
fn a_declared_length_beyond_the_bytes_or_the_limit_is_refused() {
    let (concern, message) = every_put().swap_remove(0);
    for length in [[0xff, 0xff, 0xff, 0x0f], [0x81, 0x80, 0x04, b'x']] {
        let value = [&[1, 0, 1][..], &length].concat();
        assert_eq!(verdict(&concern, &message, &value), Err(Denied::MalformedRecord));
    }
    let text = vec![b'x'; TEXT_BYTES_MAX + 1];
    let over = [&[1, 0, 1, 0x81, 0x80, 0x04][..], &text].concat();
    assert_eq!(verdict(&concern, &message, &over), Err(Denied::MalformedRecord));
    let most = [&[1, 0, 1, 0x80, 0x80, 0x04][..], &text[1..]].concat();
    assert_eq!(verdict(&concern, &message, &most), Ok(()));
}

#[test]
fn a_message_has_one_encoding() {
    let (concern, message) = every_put().swap_remove(0);
    let no_attachments = [1, 2, 1, 1, b'x', 0, 0];
    let long_time = [1, 0, 0x81, 0x00, 1, b'x'];
    let no_text = [1, 0, 1, 1, 0xff];
    for value in [&no_attachments[..], &long_time, &no_text] {
        assert_eq!(verdict(&concern, &message, value), Err(Denied::MalformedRecord), "{value:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_verdict_or_a_view_fail(
        which in 0usize..15,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        tail in prop::collection::vec(any::<u8>(), 0..20),
        random in prop::option::of(prop::collection::vec(any::<u8>(), 0..300)),
    ) {
        let puts = every_put();
        prop_assert_eq!(puts.len(), 15);
        let (concern, put) = &puts[which];
        let mut value = [&put.value[..], &tail].concat();
        for (at, byte) in flips {
            let at = at.index(value.len());
            value[at] = byte;
        }
        let value = random.unwrap_or(value);
        let verdict = verdict(concern, put, &value);
        prop_assert!(matches!(verdict, Ok(()) | Err(Denied::MalformedRecord)), "{:?}", verdict);

        let mut room = Room::default();
        room.apply(&Put { value: value.clone(), ..put.clone() });
        let id = MessageId { owner: owner().owner(), random: [3; 8] };
        let shown = room.chat().message(id).is_some();
        prop_assert_eq!(shown, which == 1 && verdict.is_ok(), "what is shown is what is allowed");
        for message in room.chat().messages(9) {
            prop_assert!(message.text.len() <= TEXT_BYTES_MAX);
        }
        let entity = EntityId([5; 32]);
        prop_assert_eq!(home::group(&room.maps, entity).is_some(), put.root == "groups" && verdict.is_ok());
        core::settings(&room.maps);
        core::website(&room.maps);
        core::shown_names(&room.maps);
        home::read_marker(&room.maps, entity, DocumentKey([6; 32]));
        home::draft(&room.maps, entity, DocumentKey([6; 32]));
    }
}
