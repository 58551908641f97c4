//! Members act on members: who may remove, promote, demote, close and configure, and what each is
//! told who may not.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a story that goes wrong shall stop")]

use fourword_protocol::command::{Command, JoinBy, MemberCommand, RefusalCode, Reply};
use fourword_protocol::roster::Role;
use fourword_protocol::schema::core::Setting;
use fourword_tests::cluster::Cluster;
use fourword_tests::insider::roster_of;

use crate::people::{id_of, members, refused, remove, set_role, words_of};

fn act(group: fourword_protocol::words::FourWords, command: MemberCommand) -> Command {
    Command::Member(group, command)
}

#[test]
fn roles_are_given_by_who_is_senior_and_never_above_ones_own() {
    let mut c = Cluster::new(1);
    let names = ["ada", "ben", "cem"];
    let group = c.group_of(&names);
    let [ada, ben, cem] = names.map(|name| words_of(&mut c, name));
    let to = |who: &String, role| act(group, MemberCommand::SetRole { who: who.clone(), role });
    for (by, command) in [("ben", to(&cem, Role::Viewer)), ("cem", to(&cem, Role::Admin))] {
        assert_eq!(refused(&mut c, by, command).code, RefusalCode::NotAllowed);
    }
    set_role(&mut c, "ada", group, "ben", Role::Admin);
    c.settle();
    for (by, command) in [
        ("ben", to(&cem, Role::Owner)),
        ("ben", to(&ada, Role::Member)),
        ("ben", act(group, MemberCommand::Remove { who: ada.clone() })),
        ("cem", act(group, MemberCommand::Remove { who: ben.clone() })),
        ("ada", to(&ada, Role::Member)),
    ] {
        let refusal = refused(&mut c, by, command);
        assert_eq!(refusal.code, RefusalCode::NotAllowed, "{}", refusal.message);
        assert!(!refusal.hint.is_empty());
    }
    set_role(&mut c, "ben", group, "cem", Role::Admin);
    set_role(&mut c, "ben", group, "cem", Role::Admin);
    c.settle();
    set_role(&mut c, "cem", group, "cem", Role::Viewer);
    c.settle();
    for name in names {
        let shown = members(&mut c, name, group, &names);
        assert_eq!(names.map(|n| shown[n]), [Role::Owner, Role::Admin, Role::Viewer], "{name}");
    }
    let id = id_of(&mut c, "ada", group);
    assert!(roster_of(&c, "ada", id).reading().ignored.is_empty(), "what was refused was never signed");
}

#[test]
fn a_person_is_named_by_words_by_a_name_only_one_has_or_by_digits() {
    let mut c = Cluster::new(2);
    let group = c.group_of(&["ada", "ben", "cem", "dan"]);
    for (name, shown) in [("ben", "Benedikt"), ("cem", "Twin"), ("dan", "Twin")] {
        c.must(name, Command::SetName(shown.into()));
    }
    c.settle();
    let Reply::Members(shown) = c.must("ada", Command::Members(group)) else { panic!("members") };
    let to = |who: &str, role| act(group, MemberCommand::SetRole { who: who.into(), role });
    c.must("ada", to("benedikt", Role::Viewer));
    let ambiguous = refused(&mut c, "ada", to("Twin", Role::Viewer));
    assert_eq!(ambiguous.code, RefusalCode::Usage);
    for name in ["cem", "dan"] {
        let words = words_of(&mut c, name);
        assert!(ambiguous.message.contains(&words), "{}", ambiguous.message);
    }
    for unknown in ["Nobody", "ffff0000ffff", "", "abc", "ocean-forest-moon-star", "\u{1b}[31m"] {
        let refusal = refused(&mut c, "ada", to(unknown, Role::Viewer));
        assert_eq!(refusal.code, RefusalCode::NotFound, "{unknown:?}");
        assert!(!refusal.message.contains('\u{1b}'));
    }
    let cem = words_of(&mut c, "cem");
    c.must("ada", to(&cem.replace('-', " ").to_uppercase(), Role::Viewer));
    let dan = shown.iter().find(|m| m.person.words.unwrap().to_string() == words_of(&mut c, "dan")).unwrap();
    c.must("ada", to(&dan.person.person.to_string()[..12], Role::Viewer));
    // Who takes the digits of another's id as its name is not taken for it.
    let digits = dan.person.person.to_string()[..12].to_owned();
    c.must("ben", Command::SetName("Ben".into()));
    c.must("ada", Command::SetName(digits.clone()));
    c.settle();
    assert_eq!(refused(&mut c, "ada", to(&digits, Role::Member)).code, RefusalCode::Usage);
    c.settle();
    let now = members(&mut c, "ben", group, &["ada", "ben", "cem", "dan"]);
    assert_eq!(["ben", "cem", "dan"].map(|n| now[n]), [Role::Viewer; 3]);
}

#[test]
fn invites_are_listed_and_closed_by_their_opener_or_a_senior_and_then_admit_nobody() {
    let mut c = Cluster::new(3);
    let group = c.group_of(&["ada", "ben", "cem"]);
    c.add("fay");
    for name in ["ben", "cem"] {
        set_role(&mut c, "ada", group, name, Role::Admin);
        c.settle();
    }
    let of_ben = c.invite("ben", group, Role::Member, 3);
    let of_ada = c.invite("ada", group, Role::Member, 3);
    c.settle();
    let invites = |c: &mut Cluster, at| match c.must(at, act(group, MemberCommand::Invites)) {
        Reply::Invites(invites) => invites,
        other => panic!("{other:?}"),
    };
    // The one that everybody came by, ben's and ada's.
    let shown = invites(&mut c, "cem");
    assert_eq!(shown.len(), 3);
    assert_eq!((shown[0].used, shown[0].uses, shown[0].open), (2, 100, true));
    let close = |key: String| act(group, MemberCommand::CloseInvite { invite: key });
    let key = |code: &fourword_protocol::roster::invite::InviteCode| code.key().to_string()[..12].to_owned();
    for (by, key, code) in [
        ("cem", key(&of_ben), RefusalCode::NotAllowed),
        ("ben", key(&of_ada), RefusalCode::NotAllowed),
        ("ada", "ab".into(), RefusalCode::Usage),
        ("ada", "fffffffffff0".into(), RefusalCode::NotFound),
    ] {
        assert_eq!(refused(&mut c, by, close(key)).code, code);
    }
    c.must("ben", close(key(&of_ben)));
    c.must("ada", close(of_ada.key().to_string()));
    c.settle();
    assert_eq!(invites(&mut c, "cem").iter().map(|i| i.open).collect::<Vec<_>>(), [true, false, false]);
    c.connect_all();
    for code in [of_ben, of_ada] {
        let join = Command::Join { words: group, by: JoinBy::Code(code), peers: Vec::new() };
        assert_eq!(refused(&mut c, "fay", join).code, RefusalCode::NotAllowed);
    }
}

#[test]
fn admins_settle_and_members_do_not() {
    let mut c = Cluster::new(4);
    let group = c.group_of(&["ada", "ben"]);
    let command = Command::Configure(group, Setting::LapseDays(7));
    assert_eq!(refused(&mut c, "ben", command.clone()).code, RefusalCode::NotAllowed);
    let nonsense = Command::Configure(group, Setting::LapseDays(0));
    assert_eq!(refused(&mut c, "ada", nonsense).code, RefusalCode::Usage);
    c.must("ada", command);
    c.settle();
    c.crash("ben");
    c.restart("ben");
    let Reply::Entity(view) = c.must("ben", Command::Show(group)) else { panic!("an entity") };
    assert_eq!(view.settings.lapse_days, 7);
}

#[test]
fn when_the_owner_leaves_the_most_senior_member_rules() {
    let mut c = Cluster::new(5);
    let group = c.group_of(&["ada", "ben", "cem", "dan"]);
    c.must("ada", Command::Leave(group));
    c.settle();
    let shown = members(&mut c, "dan", group, &["ben", "cem", "dan"]);
    assert_eq!(["ben", "cem", "dan"].map(|n| shown[n]), [Role::Owner, Role::Member, Role::Member]);
    let who = words_of(&mut c, "ben");
    assert_eq!(
        refused(&mut c, "cem", act(group, MemberCommand::Remove { who })).code,
        RefusalCode::NotAllowed
    );
    remove(&mut c, "ben", group, "cem");
    c.settle();
    c.send_message("dan", group, "the two of us");
    c.settle();
    assert_eq!(c.read_chat("ben", group), ["the two of us"]);
    assert_eq!(c.read_chat("cem", group), Vec::<String>::new());
    assert_eq!(c.read_chat("ada", group), Vec::<String>::new());
}

#[test]
fn a_removal_that_was_answered_survives_a_crash_and_one_that_was_not_is_whole_or_not_at_all() {
    for after_ms in [0, 1, 2, 3] {
        let mut c = Cluster::new(50 + after_ms);
        let group = c.group_of(&["ada", "ben", "eve"]);
        let id = id_of(&mut c, "ada", group);
        let who = words_of(&mut c, "eve");
        let asked = c.begin("ada", act(group, MemberCommand::Remove { who }));
        c.run_for(after_ms);
        let answered = c.answer("ada", asked).is_some();
        c.crash("ada");
        let roster = roster_of(&c, "ada", id);
        let gone = roster.reading().members.len() == 2;
        assert!(gone || !answered, "answered after {after_ms} ms and then forgotten");
        assert_eq!(gone, roster.epochs().len() == 2, "the key changes with the removal or not at all");
        c.restart("ada");
        c.connect_all();
        c.settle();
        let expected = if gone { 2 } else { 3 };
        assert_eq!(members(&mut c, "ben", group, &["ada", "ben", "eve"]).len(), expected);
        c.send_message("ben", group, "on we go");
        c.settle();
        assert_eq!(c.read_chat("ada", group), ["on we go"]);
    }
}
