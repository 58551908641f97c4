//! Every bound of the schema: taken at the bound, refused one past it, offered and judged alike.

use fourword_protocol::limits::{
    EMOJI_BYTES_MAX, MAP_KEY_BYTES_MAX, NAME_BYTES_MAX, RECORD_TIME_MS_MAX, SETTING_KEY_BYTES_MAX,
};
use fourword_protocol::roster::Role;
use fourword_protocol::schema::chat::{Attachment, ChatError, NewMessage};
use fourword_protocol::schema::core::{self, CoreError};
use fourword_protocol::schema::home::{self, HomeError};
use fourword_protocol::schema::rights::{Denied, PutRef, judge};
use fourword_protocol::schema::{Concern, Put};
use fourword_protocol::time::WallTime;

use crate::maps::{Room, actor, ada, plain};

/// How a write by ada, an owner, is judged where it arrives.
fn judged(concern: &Concern, put: &Put) -> Result<(), Denied> {
    judge(concern, &put.into(), &actor(1, Role::Owner))
}

/// The same write with one more letter at the end of the only text of its record.
fn longer(put: &Put) -> Put {
    let length = u64::try_from(put.value.len() - 3).unwrap();
    assert_eq!(
        u64::from(put.value[1] & 0x7f) | u64::from(put.value[2]) << 7,
        length,
        "a text of two length bytes"
    );
    let grown = length + 1;
    let head = vec![put.value[0], (grown & 0x7f) as u8 | 0x80, (grown >> 7) as u8];
    Put { value: [head, put.value[3..].to_vec(), vec![b'a']].concat(), ..put.clone() }
}

#[test]
fn a_name_is_taken_at_its_bound_and_not_one_byte_past_it() {
    let (at, over) = ("n".repeat(NAME_BYTES_MAX), "n".repeat(NAME_BYTES_MAX + 1));
    let admin = actor(1, Role::Admin);
    for set in [core::set_entity_name, core::set_shown_name] {
        let put = set(&admin, &at).unwrap();
        assert_eq!(judged(&Concern::Core, &put), Ok(()));
        assert_eq!(set(&admin, &over), Err(CoreError::NoName));
        assert_eq!(judged(&Concern::Core, &longer(&put)), Err(Denied::MalformedRecord));
    }
    let file = |name: &str| NewMessage {
        attachments: vec![Attachment { blob: [7; 32], size_bytes: 1, name: name.into() }],
        ..plain("with a file")
    };
    let room = Room::default();
    assert!(room.chat().send(&ada(), [1; 8], &file(&at), WallTime(1)).is_ok());
    assert_eq!(room.chat().send(&ada(), [1; 8], &file(&over), WallTime(1)), Err(ChatError::NoFileName(over)));
}

#[test]
fn a_reaction_is_taken_at_its_bound_and_not_one_byte_past_it() {
    let mut room = Room::default();
    let id = room.say(&ada(), 1, "hello");
    let (at, over) = ("e".repeat(EMOJI_BYTES_MAX), "e".repeat(EMOJI_BYTES_MAX + 1));
    let put = room.chat().react(&ada(), id, &at, true).unwrap().unwrap();
    assert_eq!(judged(&Concern::Chat, &put), Ok(()));
    assert_eq!(room.chat().react(&ada(), id, &over, true), Err(ChatError::NoEmoji));
    let over = Put { key: format!("{}e", put.key), ..put };
    assert_eq!(judged(&Concern::Chat, &over), Err(Denied::MalformedKey));
}

#[test]
fn a_settings_name_is_taken_at_its_bound_and_not_one_byte_past_it() {
    let (at, over) = ("s".repeat(SETTING_KEY_BYTES_MAX), "s".repeat(SETTING_KEY_BYTES_MAX + 1));
    let put = home::set_setting(&at, b"value").unwrap();
    assert_eq!(judged(&Concern::Home, &put), Ok(()));
    assert_eq!(home::set_setting(&over, b"value"), Err(HomeError::NoSetting));
    let over = Put { key: put.key.replace(&at, &over), ..put };
    assert_eq!(judged(&Concern::Home, &over), Err(Denied::MalformedKey));
}

#[test]
fn a_key_of_any_length_past_the_bound_is_no_key() {
    let admin = actor(1, Role::Admin);
    let judged = |length: usize| {
        let key = "k".repeat(length);
        judge(&Concern::Core, &PutRef { root: "meta", key: &key, value: Some(&[1, 0]) }, &admin)
    };
    for length in [0, 1, MAP_KEY_BYTES_MAX, MAP_KEY_BYTES_MAX + 1, 1 << 20] {
        assert_eq!(judged(length), Err(Denied::MalformedKey));
    }
}

#[test]
fn a_time_is_taken_at_its_bound_and_a_later_one_is_not() {
    let mut room = Room::default();
    let id = room.say(&ada(), 1, "hello");
    let put = room.chat().delete(&ada(), id, WallTime(RECORD_TIME_MS_MAX)).unwrap();
    assert_eq!(judged(&Concern::Chat, &put), Ok(()));
    let clamped = room.chat().delete(&ada(), id, WallTime(u64::MAX)).unwrap();
    assert_eq!(clamped, put, "a clock beyond all dates writes the latest");
    // 2^53 - 1 ends in a byte of 0x0f; one more is 2^53.
    let over = [&[1][..], &[0x80; 7], &[0x10]].concat();
    assert_eq!(put.value, [&[1][..], &[0xff; 7], &[0x0f]].concat());
    assert_eq!(judged(&Concern::Chat, &Put { value: over, ..put }), Err(Denied::MalformedRecord));
}
