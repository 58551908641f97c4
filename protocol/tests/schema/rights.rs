//! Who may write what, read off key, record and role alone.

use fourword_protocol::command::RefusalCode;
use fourword_protocol::roster::Role;
use fourword_protocol::schema::rights::{Actor, Denied, PutRef, judge};
use fourword_protocol::schema::{Concern, FileId, roots};
use proptest::prelude::*;

use crate::maps::{actor, ada, admin, ben, viewer};

const ON: &[u8] = &[1, 1];
const TIME: &[u8] = &[1, 5];
const MESSAGE: &[u8] = &[1, 0, 5, 1, b'x'];
const EDIT: &[u8] = &[1, 5, 1, b'x'];
const TEXT: &[u8] = &[1, 1, b'x'];

const RANDOM: &str = "aeaqcaibaeaqc";

fn name(actor: &Actor) -> String {
    fourword_protocol::ids::to_base32(&actor.owner())
}

fn ask(concern: Concern, root: &str, key: &str, value: &[u8], actor: &Actor) -> Result<(), Denied> {
    judge(&concern, &PutRef { root, key, value: Some(value) }, actor)
}

fn ask_chat(root: &str, key: &str, value: &[u8], actor: &Actor) -> Result<(), Denied> {
    ask(Concern::Chat, root, key, value, actor)
}

/// Every key of a chat that names `actor` as the one who writes, about a message of `author`.
fn chat_keys(actor: &Actor, author: &Actor) -> Vec<(&'static str, String, &'static [u8])> {
    let (actor, author) = (name(actor), name(author));
    vec![
        ("messages", format!("{actor}|{RANDOM}"), MESSAGE),
        ("edits", format!("{actor}|{RANDOM}"), EDIT),
        ("deleted", format!("{actor}|{author}|{RANDOM}"), TIME),
        ("reactions", format!("{actor}|{author}|{RANDOM}|👍"), ON),
        ("pins", format!("{actor}|{author}|{RANDOM}"), ON),
    ]
}

#[test]
fn a_member_writes_under_its_own_name() {
    for (root, key, value) in chat_keys(&ada(), &ada()) {
        assert_eq!(ask_chat(root, &key, value, &ada()), Ok(()), "{root}");
    }
    for (root, key, value) in chat_keys(&ada(), &ben()) {
        let expected = if root == "deleted" { Err(Denied::NeedsRole(Role::Admin)) } else { Ok(()) };
        assert_eq!(ask_chat(root, &key, value, &ada()), expected, "{root}");
    }
}

#[test]
fn nobody_writes_in_anothers_name_whatever_its_role() {
    for (root, key, value) in chat_keys(&ada(), &ada()) {
        for other in [ben(), admin(), actor(9, Role::Owner)] {
            assert_eq!(ask_chat(root, &key, value, &other), Err(Denied::NotOwner), "{root}");
        }
    }
    let named = ask(Concern::Core, "names", &name(&ada()), TEXT, &actor(9, Role::Owner));
    assert_eq!(named, Err(Denied::NotOwner));
    assert_eq!(ask(Concern::Core, "names", &name(&ada()), TEXT, &ada()), Ok(()));
}

#[test]
fn a_viewer_writes_nothing() {
    for (root, key, value) in chat_keys(&viewer(), &viewer()) {
        assert_eq!(ask_chat(root, &key, value, &viewer()), Err(Denied::ReadOnly), "{root}");
    }
    let own = ask(Concern::Core, "names", &name(&viewer()), TEXT, &viewer());
    assert_eq!(own, Err(Denied::ReadOnly));
    assert_eq!(ask(Concern::Home, "settings", "theme", TEXT, &viewer()), Err(Denied::ReadOnly));
}

#[test]
fn admins_and_owners_delete_the_messages_of_others_under_their_own_name() {
    for role in [Role::Admin, Role::Owner] {
        let senior = actor(7, role);
        let key = format!("{}|{}|{RANDOM}", name(&senior), name(&ada()));
        assert_eq!(ask_chat("deleted", &key, TIME, &senior), Ok(()));
        let borrowed = format!("{}|{}|{RANDOM}", name(&ada()), name(&ada()));
        assert_eq!(ask_chat("deleted", &borrowed, TIME, &senior), Err(Denied::NotOwner));
    }
}

#[test]
fn only_admins_and_owners_speak_for_the_entity() {
    let values: [(&str, &[u8]); 4] =
        [("name", TEXT), ("description", TEXT), ("website", &[1, 0]), ("settings|any-name.1", TEXT)];
    for (key, value) in values {
        assert_eq!(ask(Concern::Core, "meta", key, value, &admin()), Ok(()), "{key}");
        assert_eq!(ask(Concern::Core, "meta", key, value, &actor(9, Role::Owner)), Ok(()), "{key}");
        let denied = ask(Concern::Core, "meta", key, value, &ada());
        assert_eq!(denied, Err(Denied::NeedsRole(Role::Admin)), "{key}");
    }
    let unnamed = ask(Concern::Core, "meta", "name", &[1, 0], &admin());
    assert_eq!(unnamed, Err(Denied::MalformedRecord), "an entity's name is not empty");
    let two_lines = ask(Concern::Core, "meta", "name", &[1, 3, b'a', b'\n', b'b'], &admin());
    assert_eq!(two_lines, Err(Denied::MalformedRecord));
}

#[test]
fn a_map_that_the_concern_has_not_is_refused() {
    let owner = actor(1, Role::Owner);
    let concerns = [
        Concern::Core,
        Concern::Chat,
        Concern::Home,
        Concern::Kanban,
        Concern::Issues,
        Concern::Canvas,
        Concern::Disk,
        Concern::File(FileId([0; 16])),
    ];
    let all: Vec<&str> = concerns.iter().flat_map(roots).copied().chain(["", "Messages", "other"]).collect();
    for concern in concerns {
        for root in &all {
            let refused = ask(concern, root, "", &[], &owner) == Err(Denied::UnknownRoot);
            // What a file has is a text.
            let is_map = roots(&concern).contains(root) && !matches!(concern, Concern::File(_));
            assert_eq!(refused, !is_map, "{concern:?} {root}");
        }
    }
}

#[test]
fn a_key_of_a_foreign_shape_is_refused() {
    let (ada, own) = (ada(), name(&ada()));
    let upper = own.to_uppercase();
    let keys = [
        ("messages", String::new()),
        ("messages", own.clone()),
        ("messages", format!("{own}|{RANDOM}|")),
        ("messages", format!("{own}|{RANDOM}|{RANDOM}")),
        ("messages", format!("{own}-{RANDOM}")),
        ("messages", format!("{upper}|{RANDOM}")),
        ("messages", format!("{own}|{}", RANDOM.to_uppercase())),
        ("messages", format!("{own}|{}", &RANDOM[1..])),
        ("messages", format!("{own}|{}b", &RANDOM[..12])),
        ("messages", format!("{own}|{RANDOM} ")),
        ("messages", format!("{own}a|{RANDOM}")),
        ("messages", format!("{RANDOM}|{own}")),
        ("edits", format!("{own}|{own}|{RANDOM}")),
        ("deleted", format!("{own}|{RANDOM}")),
        ("deleted", format!("{own}|{upper}|{RANDOM}")),
        ("pins", format!("{own}|{own}|{RANDOM}|👍")),
        ("reactions", format!("{own}|{own}|{RANDOM}")),
        ("reactions", format!("{own}|{own}|{RANDOM}|")),
        ("reactions", format!("{own}|{own}|{RANDOM}|a b")),
        ("reactions", format!("{own}|{own}|{RANDOM}|a|b")),
        ("reactions", format!("{own}|{own}|{RANDOM}|{}", "e".repeat(65))),
        ("reactions", format!("{own}|{own}|{RANDOM}|{}", "e".repeat(10_000))),
    ];
    for (root, key) in keys {
        for value in [ON, TIME, MESSAGE, EDIT] {
            assert_eq!(ask_chat(root, &key, value, &ada), Err(Denied::MalformedKey), "{root} {key}");
        }
    }
    for (root, key) in [("meta", "other"), ("meta", "settings"), ("meta", "settings|A"), ("names", "ada")] {
        let denied = ask(Concern::Core, root, key, TEXT, &admin());
        assert_eq!(denied, Err(Denied::MalformedKey), "{root} {key}");
    }
    let long = "a".repeat(52);
    for (root, key) in [("groups", "a"), ("read", &*long), ("drafts", "a|b"), ("settings", "a b")] {
        let denied = ask(Concern::Home, root, key, TEXT, &actor(1, Role::Owner));
        assert_eq!(denied, Err(Denied::MalformedKey), "{root} {key}");
    }
}

#[test]
fn what_is_no_byte_string_is_refused_everywhere() {
    for (root, key, _) in chat_keys(&ada(), &ada()) {
        let put = PutRef { root, key: &key, value: None };
        assert_eq!(judge(&Concern::Chat, &put, &ada()), Err(Denied::MalformedRecord), "{root}");
    }
}

#[test]
fn a_record_of_another_map_is_refused() {
    for (root, key, fitting) in chat_keys(&ada(), &ada()) {
        for value in [&[][..], MESSAGE, EDIT, &[1, 2, 3, 4, 5], &[1]] {
            let fits = value == fitting;
            assert_eq!(ask_chat(root, &key, value, &ada()).is_ok(), fits, "{root} {value:?}");
        }
    }
    for flag in [&[1, 2][..], &[1, 0xff]] {
        let key = format!("{0}|{0}|{RANDOM}", name(&ada()));
        assert_eq!(ask_chat("pins", &key, flag, &ada()), Err(Denied::MalformedRecord));
    }
}

#[test]
fn a_denial_speaks_to_people_and_to_programs() {
    let denials = [
        (Denied::ReadOnly, "viewers can read but not write", RefusalCode::NotAllowed),
        (Denied::NotOwner, "only the person it belongs to may write this", RefusalCode::NotAllowed),
        (Denied::NeedsRole(Role::Admin), "only admins and owners may do this", RefusalCode::NotAllowed),
        (Denied::NeedsRole(Role::Owner), "only an owner may do this", RefusalCode::NotAllowed),
        (Denied::MalformedKey, "the key is malformed", RefusalCode::Usage),
    ];
    for (denied, words, code) in denials {
        assert_eq!((denied.to_string().as_str(), denied.code()), (words, code));
    }
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Viewer), Just(Role::Member), Just(Role::Admin), Just(Role::Owner)]
}

fn spelled(length: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(prop_oneof![9 => 1u8..4, 1 => any::<u8>()], 1)
        .prop_map(move |byte| fourword_protocol::ids::to_base32(&vec![byte[0]; length]))
}

fn part() -> impl Strategy<Value = String> {
    prop_oneof![4 => spelled(16), 2 => spelled(8), 1 => "[a-z2-7|👍 ]{0,30}"]
}

proptest! {
    #[test]
    fn whoever_is_allowed_is_named_first_by_the_key(
        root in prop::sample::select(roots(&Concern::Chat)),
        parts in prop::collection::vec(part(), 1..5),
        value in prop::sample::select(vec![ON, TIME, MESSAGE, EDIT]),
        person in 1u8..4,
        role in role(),
    ) {
        let (key, actor) = (parts.join("|"), actor(person, role));
        if ask_chat(root, &key, value, &actor).is_ok() {
            prop_assert!(role >= Role::Member);
            prop_assert_eq!(key.split('|').next(), Some(&*name(&actor)));
            let of_another = root == "deleted" && key.split('|').nth(1) != Some(&*name(&actor));
            prop_assert!(!of_another || role >= Role::Admin);
        }
    }

    #[test]
    fn a_higher_role_may_whatever_a_lower_one_may(
        root in prop::sample::select(roots(&Concern::Chat)),
        parts in prop::collection::vec(part(), 1..5),
        value in prop::sample::select(vec![ON, TIME, MESSAGE, EDIT]),
        person in 1u8..4,
        (low, high) in (role(), role()),
    ) {
        let (key, low, high) = (parts.join("|"), low.min(high), low.max(high));
        let lower = ask_chat(root, &key, value, &actor(person, low));
        prop_assert!(lower.is_err() || ask_chat(root, &key, value, &actor(person, high)).is_ok());
    }
}
