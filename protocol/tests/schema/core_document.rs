//! What an entity says of itself: who may say it, and how it is shown.

use fourword_protocol::command::RefusalCode;
use fourword_protocol::ids::EntityId;
use fourword_protocol::limits::{GENESIS_BYTES_MAX, TEXT_BYTES_MAX};
use fourword_protocol::roster::Role;
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::core::{self, CoreError, LAPSE_DAYS_MAX, Setting, Settings};
use fourword_protocol::schema::rights::{Denied, judge};

use crate::maps::{PlainMaps, actor, ada, admin, ben, viewer};

#[test]
fn a_new_entity_has_no_name_and_default_settings() {
    let maps = PlainMaps::default();
    assert_eq!(core::entity_name(&maps), None);
    assert_eq!(core::description(&maps), "");
    assert_eq!(core::website(&maps), None);
    assert_eq!(core::settings(&maps), Settings { newcomers_read_history: true, lapse_days: 30 });
    assert_eq!(core::shown_name(&maps, ada().owner()), "");
}

#[test]
fn an_admin_names_describes_and_publishes_and_the_last_value_holds() {
    let mut maps = PlainMaps::default();
    for name in ["Garden", " Garden club "] {
        maps.set(&core::set_entity_name(&admin(), name).unwrap());
    }
    maps.set(&core::set(&admin(), &Setting::Description("Beds 1 to 9\nand the shed".into())).unwrap());
    maps.set(&core::set(&admin(), &Setting::Website(Some([7; 32]))).unwrap());
    assert_eq!(core::entity_name(&maps).as_deref(), Some("Garden club"));
    assert_eq!(core::description(&maps), "Beds 1 to 9\nand the shed");
    assert_eq!(core::website(&maps), Some([7; 32]));

    maps.set(&core::set(&admin(), &Setting::Description(String::new())).unwrap());
    maps.set(&core::set(&admin(), &Setting::Website(None)).unwrap());
    assert_eq!(core::description(&maps), "");
    assert_eq!(core::website(&maps), None);
}

#[test]
fn two_settings_changed_apart_both_hold() {
    let mut maps = PlainMaps::default();
    maps.set(&core::set(&admin(), &Setting::NewcomersReadHistory(false)).unwrap());
    maps.set(&core::set(&actor(8, Role::Owner), &Setting::LapseDays(LAPSE_DAYS_MAX)).unwrap());
    let settled = Settings { newcomers_read_history: false, lapse_days: LAPSE_DAYS_MAX };
    assert_eq!(core::settings(&maps), settled);
    maps.set(&core::set(&admin(), &Setting::NewcomersReadHistory(true)).unwrap());
    assert!(core::settings(&maps).newcomers_read_history);
}

#[test]
fn a_setting_that_cannot_be_read_has_its_default() {
    let mut maps = PlainMaps::default();
    maps.set_raw("meta", "settings|newcomers-read-history", &[1, 1, 9]);
    for days in [[0, 0], [0xff, 0xff]] {
        maps.set_raw("meta", "settings|lapse-days", &[&[1, 2], &days[..]].concat());
        assert_eq!(core::settings(&maps), Settings::default());
    }
}

#[test]
fn devices_lapse_after_a_sensible_number_of_days() {
    for days in [0, LAPSE_DAYS_MAX + 1] {
        let refused = core::set(&admin(), &Setting::LapseDays(days));
        assert_eq!(refused, Err(CoreError::NoLapse(days)));
    }
}

#[test]
fn members_and_viewers_do_not_speak_for_the_entity() {
    let needs_admin = CoreError::Denied(Denied::NeedsRole(Role::Admin));
    let read_only = CoreError::Denied(Denied::ReadOnly);
    for (actor, error) in [(ada(), needs_admin), (viewer(), read_only)] {
        assert_eq!(core::set_entity_name(&actor, "Mine"), Err(error.clone()));
        assert_eq!(core::set(&actor, &Setting::Description("Mine".into())), Err(error.clone()));
        assert_eq!(core::set(&actor, &Setting::Website(None)), Err(error.clone()));
        assert_eq!(core::set(&actor, &Setting::LapseDays(3)), Err(error.clone()));
        assert_eq!(error.code(), RefusalCode::NotAllowed);
    }
    assert_eq!(core::set_shown_name(&viewer(), "Vi"), Err(CoreError::Denied(Denied::ReadOnly)));
}

#[test]
fn each_person_names_itself() {
    let mut maps = PlainMaps::default();
    maps.set(&core::set_shown_name(&ada(), "  Ada ").unwrap());
    maps.set(&core::set_shown_name(&ben(), "Ben 🌱").unwrap());
    let (a, b) = (ada().owner(), ben().owner());
    assert_eq!(core::shown_names(&maps), [(a, "Ada".into()), (b, "Ben 🌱".into())]);
    assert_eq!(core::shown_name(&maps, b), "Ben 🌱");

    maps.set(&core::set_shown_name(&ada(), "").unwrap());
    assert_eq!(core::shown_name(&maps, a), "", "an empty name takes it away");
}

#[test]
fn a_name_is_one_bounded_line_that_turns_nothing_around() {
    let longest = "n".repeat(256);
    assert!(core::set_entity_name(&admin(), &longest).is_ok());
    assert!(core::set_shown_name(&ada(), &longest).is_ok());
    let over = format!("{longest}n");
    for name in ["two\nlines", "\u{1b}[31mred", "nul\0", "a\u{202e}b", "a\u{2066}b", "a\u{2028}b", &over] {
        assert_eq!(core::set_entity_name(&admin(), name), Err(CoreError::NoName), "{name:?}");
        assert_eq!(core::set_shown_name(&ada(), name), Err(CoreError::NoName), "{name:?}");
    }
    assert_eq!(core::set_entity_name(&admin(), " \t"), Err(CoreError::Empty));
}

#[test]
fn a_description_is_bounded() {
    let longest = "d".repeat(TEXT_BYTES_MAX);
    assert!(core::set(&admin(), &Setting::Description(longest.clone())).is_ok());
    let refused = core::set(&admin(), &Setting::Description(format!("{longest}d")));
    assert_eq!(refused, Err(CoreError::TooLong(TEXT_BYTES_MAX + 1)));
}

#[test]
fn anybody_who_writes_lists_a_child_and_nobody_unlists_it_for_others() {
    let mut maps = PlainMaps::default();
    let child = EntityId([5; 32]);
    maps.set(&core::list_child(&ada(), child, b"genesis", "coffee").unwrap());
    maps.set(&core::list_child(&ben(), child, b"another", "tea").unwrap());
    let listed = core::children(&maps);
    assert_eq!(
        listed.iter().map(|l| (l.id, &*l.name)).collect::<Vec<_>>(),
        [(child, "coffee"), (child, "tea")]
    );
    assert!(matches!(core::list_child(&viewer(), child, b"genesis", "x"), Err(CoreError::Denied(_))));
    let other = core::list_child(&ada(), child, b"genesis", "coffee").unwrap();
    assert_eq!(judge(&Concern::Core, &(&other).into(), &ben()), Err(Denied::NotOwner));
}

#[test]
fn a_listing_holds_a_genesis_at_its_bound_and_none_past_it() {
    let child = EntityId([5; 32]);
    assert!(core::list_child(&ada(), child, &[1; GENESIS_BYTES_MAX], "x").is_ok());
    let past = core::list_child(&ada(), child, &[1; GENESIS_BYTES_MAX + 1], "x");
    assert_eq!(past, Err(CoreError::Denied(Denied::MalformedRecord)));
    assert_eq!(core::list_child(&ada(), child, b"genesis", "two\nlines"), Err(CoreError::NoName));
}
