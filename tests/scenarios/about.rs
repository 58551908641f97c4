//! What a group says of itself: who may say it, who is shown it, and how it was before.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a story that goes wrong shall stop")]

use fourword_protocol::command::{AboutView, Command, HistoryCommand, Kind, PersonView, RefusalCode, Reply};
use fourword_protocol::identity::{DeviceSecret, PersonCard, RootSecret};
use fourword_protocol::ids::Digest;
use fourword_protocol::limits::TEXT_BYTES_MAX;
use fourword_protocol::roster::{Body, Role};
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::core::{Setting, Settings};
use fourword_protocol::schema::things::Stays;
use fourword_protocol::schema::told::Presence;
use fourword_tests::cluster::Cluster;
use fourword_tests::insider::{Insider, roster_of};

use crate::history::{THREE, compared, told, versions};
use crate::people::{refused, remove, set_role, words_of};

#[test]
fn what_a_group_says_of_itself_is_set_by_admins_and_shown_to_all_with_who_is_and_was_in() {
    let mut c = Cluster::new(41);
    let group = c.group_of(&["ada", "ben", "eve"]);
    let set = |setting| Command::Configure(group, setting);
    for setting in [
        Setting::Name("Kitchen".into()),
        Setting::Description("All about\nthe kitchen".into()),
        Setting::Website(Some([7; 32])),
    ] {
        assert_eq!(refused(&mut c, "ben", set(setting.clone())).code, RefusalCode::NotAllowed);
        c.must("ada", set(setting));
    }
    for (wrong, code) in [
        (Setting::Name(" ".into()), RefusalCode::Usage),
        (Setting::Name("two\nlines".into()), RefusalCode::Usage),
        (Setting::Description("x".repeat(TEXT_BYTES_MAX + 1)), RefusalCode::TooMuch),
    ] {
        assert_eq!(refused(&mut c, "ada", set(wrong)).code, code);
    }
    remove(&mut c, "ada", group, "eve");
    c.settle();
    let Reply::Core(core) = c.must("ben", Command::Core(group)) else { panic!("a core document") };
    assert_eq!(core.entity.name, "Kitchen");
    assert_eq!(core.entity.about.description, "All about\nthe kitchen");
    assert_eq!(core.entity.about.website, Some(Digest([7; 32])));
    let words = |person: &PersonView| person.words.map(|words| words.to_string());
    assert_eq!(words(&core.creator), Some(words_of(&mut c, "ada")));
    let members: Vec<_> = core.members.iter().map(|member| words(&member.person)).collect();
    assert_eq!(members, [Some(words_of(&mut c, "ada")), Some(words_of(&mut c, "ben"))]);
    let [former] = &core.former[..] else { panic!("{:?}", core.former) };
    assert_eq!(words(&former.person), Some(words_of(&mut c, "eve")));
    assert_eq!(former.ended_by.iter().map(words).collect::<Vec<_>>(), [Some(words_of(&mut c, "ada"))]);
    assert_eq!(core.children, []);
    c.must("ada", set(Setting::Website(None)));
    c.must("ada", set(Setting::Description(String::new())));
    c.settle();
    let Reply::Entity(view) = c.must("ben", Command::Show(group)) else { panic!("an entity") };
    assert_eq!(view.about, AboutView::default());
}

#[test]
fn what_a_group_says_of_itself_has_versions_and_is_brought_back_by_its_admins() {
    let mut c = Cluster::new(12);
    let group = c.group_of(&THREE);
    let core = (group, Concern::Core);
    for setting in [
        Setting::Description("All about the kitchen".into()),
        Setting::LapseDays(60),
        Setting::NewcomersReadHistory(false),
    ] {
        c.must("ada", Command::Configure(group, setting));
        c.settle();
    }
    c.must("ben", Command::SetName("Benno".into()));
    c.settle();
    let then = versions(&mut c, "eve", core, None, 50);
    assert_eq!(
        told(&then)[..4],
        [
            "goes by the name \"Benno\"",
            "set newcomers-read-history of the group to \"off\"",
            "set lapse-days of the group to \"60\"",
            "set description of the group to \"All about the kitchen\"",
        ]
    );
    assert_eq!(then[0].by[0].name, "Benno");
    let first = then[3].id.to_string();
    c.must("ada", Command::Configure(group, Setting::Description(String::new())));
    c.must("ada", Command::Configure(group, Setting::Website(Some([7; 32]))));
    c.settle();
    let told = told(&versions(&mut c, "eve", core, None, 2));
    assert_eq!(told[..2], ["set website of the group", "cleared description of the group"]);

    let [difference] = &compared(&mut c, "eve", core, (Some(&first), None))[..] else { panic!("one") };
    assert_eq!((difference.thing, difference.presence), (None, Presence::Both));
    let fields: Vec<_> =
        difference.fields.iter().map(|f| (&*f.field, &*f.part, f.after.as_deref())).collect();
    let site = "07".repeat(32);
    let expected = [
        ("description", "", None),
        ("lapse-days", "", Some("60")),
        ("newcomers-read-history", "", Some("no")),
        ("website", "", Some(&*site)),
        ("names", "Benno", Some("Benno")),
    ];
    assert_eq!(fields, expected);
    assert!(compared(&mut c, "eve", core, (Some(&first), Some(&first))).is_empty());

    let back = |by: &str, c: &mut Cluster| {
        let restore = HistoryCommand::Restore { version: first.clone(), of: None };
        match c.must(by, Command::History(group, Concern::Core, restore)) {
            Reply::Reverted(view) => {
                view.left.into_iter().map(|left| (left.field, left.why)).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        }
    };
    let denied = ["description", "lapse-days", "newcomers-read-history", "website"];
    assert_eq!(back("ben", &mut c), denied.map(|field| (field.to_owned(), Stays::NotAllowed)));
    c.settle();
    assert_eq!(compared(&mut c, "eve", core, (Some(&first), None))[0].fields.len(), 4, "his own name is his");
    assert_eq!(back("ada", &mut c), []);
    c.settle();
    let Reply::Entity(view) = c.must("eve", Command::Show(group)) else { panic!("an entity") };
    assert_eq!((&*view.about.description, view.about.website), ("All about the kitchen", None));
    assert_eq!(view.settings, Settings::default());
    let one = HistoryCommand::List { of: Some("ab".repeat(12)), before: None, limit: 1 };
    let refusal = refused(&mut c, "ada", Command::History(group, Concern::Core, one));
    assert_eq!(refusal.code, RefusalCode::Usage);
}

#[test]
fn who_left_ended_it_alone_and_what_belongs_to_a_group_is_listed_there() {
    let mut c = Cluster::new(43);
    let group = c.group_of(&THREE);
    let channel = c.create_child("ada", Kind::Channel, "coffee", group);
    let project = c.create_child("ben", Kind::Project, "cups", group);
    c.must("eve", Command::Leave(group));
    c.settle();
    let mut children = vec![channel, project];
    children.sort();
    let eve = words_of(&mut c, "eve");
    let words = |person: &PersonView| person.words.map(|words| words.to_string());
    for name in ["ada", "ben"] {
        let Reply::Core(core) = c.must(name, Command::Core(group)) else { panic!("a core document") };
        let [former] = &core.former[..] else { panic!("{:?}", core.former) };
        assert_eq!(words(&former.person).as_ref(), Some(&eve));
        assert_eq!(former.ended_by.iter().map(words).collect::<Vec<_>>(), [Some(eve.clone())]);
        assert_eq!(core.children, children);
        let Reply::Core(within) = c.must(name, Command::Core(channel)) else { panic!("a core document") };
        assert_eq!((within.children, within.entity.parent), (Vec::new(), Some(group)));
    }
}

#[test]
fn who_was_let_in_without_the_right_to_it_never_was_in() {
    let mut c = Cluster::new(42);
    let group = c.group_of(&THREE);
    set_role(&mut c, "ada", group, "eve", Role::Viewer);
    c.settle();
    let mut eve = Insider::take_over(&mut c, "eve");
    let root = RootSecret::from_seed(&[7; 32]);
    let person = PersonCard { root: root.public(), nonce: 0 }.id();
    let device = DeviceSecret::from_seeds(&[8; 32], &[9; 32]);
    let certificate = root.certify(0, &device.card(person));
    let (id, statement) = eve.state(Body::Add { certificate, role: Role::Viewer });
    eve.greet(&mut c, "ada");
    eve.send_statements(&mut c, "ada", vec![statement]);
    c.settle();
    let Reply::Core(core) = c.must("ada", Command::Core(group)) else { panic!("a core document") };
    let roster = roster_of(&c, "ada", core.entity.id);
    assert!(roster.contains(&id), "it was taken, and counts for nothing");
    assert_eq!((core.members.len(), core.former), (3, Vec::new()));
}
