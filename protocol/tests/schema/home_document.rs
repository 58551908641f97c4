//! What is private to one person: groups, read markers, settings, drafts.

use fourword_protocol::command::Kind;
use fourword_protocol::ids::{DocumentKey, EntityId};
use fourword_protocol::limits::{SETTING_BYTES_MAX, TEXT_BYTES_MAX};
use fourword_protocol::roster::Role;
use fourword_protocol::schema::chat::MessageId;
use fourword_protocol::schema::home::{self, Group, HomeError, ReadMarker};
use fourword_protocol::schema::rights::{Denied, judge};
use fourword_protocol::schema::{Concern, Maps, Put};
use fourword_protocol::time::WallTime;

use crate::maps::{PlainMaps, actor};

const GARDEN: EntityId = EntityId([5; 32]);
const CHAT: DocumentKey = DocumentKey([6; 32]);

fn marker(time: u64, random: u8) -> ReadMarker {
    ReadMarker { time: WallTime(time), message: MessageId { owner: [1; 16], random: [random; 8] } }
}

#[test]
fn a_group_is_listed_until_and_after_it_is_left_and_can_be_joined_again() {
    let mut maps = PlainMaps::default();
    let words = [1, 2, 3, 4, 5, 6];
    assert_eq!(home::leave_group(&maps, GARDEN), None);
    for kind in [Kind::Home, Kind::Channel, Kind::Project, Kind::Organization, Kind::Group] {
        maps.set(&home::join_group(GARDEN, kind, words, WallTime(7)));
        assert_eq!(home::group(&maps, GARDEN).unwrap().kind, kind);
    }
    let joined = Group { left: false, kind: Kind::Group, words, joined: WallTime(7) };
    assert_eq!(home::groups(&maps), [(GARDEN, joined)]);

    maps.set(&home::leave_group(&maps, GARDEN).unwrap());
    assert_eq!(home::groups(&maps), [(GARDEN, Group { left: true, ..joined })]);
    assert_eq!(home::leave_group(&maps, GARDEN), None, "it is left already");

    maps.set(&home::join_group(GARDEN, Kind::Group, words, WallTime(9)));
    assert_eq!(home::group(&maps, GARDEN), Some(Group { joined: WallTime(9), ..joined }));
}

#[test]
fn leaving_keeps_what_a_later_version_wrote_about_the_group() {
    let mut maps = PlainMaps::default();
    let put = home::join_group(GARDEN, Kind::Group, [0; 6], WallTime(7));
    let later = [&[2], &put.value[1..], &b"later fields"[..]].concat();
    maps.set(&Put { value: later.clone(), ..put.clone() });
    maps.set(&home::leave_group(&maps, GARDEN).unwrap());
    assert!(home::group(&maps, GARDEN).unwrap().left);
    let kept = maps.get(put.root, &put.key).unwrap();
    assert_eq!((kept[0], &kept[2..]), (2, &later[2..]));
}

#[test]
fn a_read_marker_moves_forward_only() {
    let mut maps = PlainMaps::default();
    assert_eq!(home::read_marker(&maps, GARDEN, CHAT), None);
    for (next, moves) in [
        (marker(5, 1), true),
        (marker(5, 1), false),
        (marker(4, 9), false),
        (marker(5, 2), true),
        (marker(6, 0), true),
    ] {
        let put = home::mark_read(&maps, GARDEN, CHAT, next);
        assert_eq!(put.is_some(), moves, "{next:?}");
        put.iter().for_each(|put| maps.set(put));
    }
    assert_eq!(home::read_marker(&maps, GARDEN, CHAT), Some(marker(6, 0)));
    assert_eq!(home::read_marker(&maps, GARDEN, DocumentKey([7; 32])), None);
}

#[test]
fn a_setting_is_any_bounded_bytes_under_a_plain_name() {
    let mut maps = PlainMaps::default();
    assert_eq!(home::setting(&maps, "theme"), None);
    maps.set(&home::set_setting("theme", b"dark").unwrap());
    assert_eq!(home::setting(&maps, "theme"), Some(&b"dark"[..]));

    assert!(home::set_setting(&"n".repeat(64), &[0; SETTING_BYTES_MAX]).is_ok());
    let refused = home::set_setting("x", &[0; SETTING_BYTES_MAX + 1]);
    assert_eq!(refused, Err(HomeError::SettingTooLong(SETTING_BYTES_MAX + 1)));
    for name in ["", "Theme", "a b", "a|b", "ä", &"n".repeat(65)] {
        assert_eq!(home::set_setting(name, b"x"), Err(HomeError::NoSetting), "{name}");
    }
}

#[test]
fn a_draft_is_kept_until_it_is_emptied() {
    let mut maps = PlainMaps::default();
    assert_eq!(home::draft(&maps, GARDEN, CHAT), "");
    for text in ["half a tho", "half a thought", ""] {
        maps.set(&home::set_draft(GARDEN, CHAT, text).unwrap());
        assert_eq!(home::draft(&maps, GARDEN, CHAT), text);
    }
    let over = "x".repeat(TEXT_BYTES_MAX + 1);
    assert_eq!(home::set_draft(GARDEN, CHAT, &over), Err(HomeError::DraftTooLong(over.len())));
}

#[test]
fn any_write_of_a_home_is_its_owners_and_nobody_elses() {
    let maps = PlainMaps::default();
    let puts = [
        home::join_group(GARDEN, Kind::Group, [0; 6], WallTime(7)),
        home::mark_read(&maps, GARDEN, CHAT, marker(1, 1)).unwrap(),
        home::set_setting("theme", b"dark").unwrap(),
        home::set_draft(GARDEN, CHAT, "x").unwrap(),
    ];
    for put in &puts {
        assert_eq!(judge(&Concern::Home, &put.into(), &actor(1, Role::Owner)), Ok(()), "{}", put.root);
        for role in [Role::Member, Role::Admin] {
            let denied = judge(&Concern::Home, &put.into(), &actor(2, role));
            assert_eq!(denied, Err(Denied::NeedsRole(Role::Owner)), "{}", put.root);
        }
        assert_eq!(judge(&Concern::Home, &put.into(), &actor(2, Role::Viewer)), Err(Denied::ReadOnly));
    }
}
