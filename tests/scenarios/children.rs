//! Entities with a parent: channels and projects that have their members from a group.

use std::collections::BTreeSet;

use fourword_protocol::command::{
    Command, EntityView, JoinState, Kind, MemberCommand, Outcome, RefusalCode, Reply, SyncState,
};
use fourword_protocol::identity::{PersonCard, RootSecret};
use fourword_protocol::ids::EntityId;
use fourword_protocol::limits::{CHILDREN_MAX, PARENTS_MAX};
use fourword_protocol::roster::{Genesis, Role, Statement};
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::core::{self, Setting};
use fourword_protocol::schema::rights::Actor;
use fourword_protocol::time::WallTime;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;
use fourword_tests::insider::Insider;

use crate::asking::{approve, by_words, done, joins, requests};

fn view(c: &mut Cluster, name: &str, words: FourWords) -> Option<EntityView> {
    match c.ask(name, Command::Show(words)) {
        Outcome::Done(Reply::Entity(view)) => Some(view),
        _ => None,
    }
}

/// Ada's group with Ben in it, and a channel in the group.
fn group_with_channel(seed: u64) -> (Cluster, FourWords, FourWords) {
    let mut c = Cluster::new(seed);
    let group = c.group_of(&["ada", "ben"]);
    let channel = c.create_child("ada", Kind::Channel, "coffee", group);
    c.settle();
    (c, group, channel)
}

#[test]
fn a_channel_appears_at_every_member_of_its_group_and_is_written_by_all() {
    let (mut c, group, channel) = group_with_channel(1);
    let seen = view(&mut c, "ben", channel).unwrap();
    assert_eq!((seen.name.as_str(), seen.kind, seen.parent), ("coffee", Kind::Channel, Some(group)));
    assert_eq!(seen.members, 2, "its members are the group's");
    c.send_message("ada", channel, "in the channel");
    c.send_message("ben", channel, "here too");
    c.send_message("ben", group, "in the group");
    c.settle();
    for name in ["ada", "ben"] {
        assert_eq!(c.read_chat(name, channel), ["in the channel", "here too"]);
        assert_eq!(c.read_chat(name, group), ["in the group"]);
    }
}

#[test]
fn a_newcomer_to_the_group_finds_its_channels_and_their_history() {
    let (mut c, group, channel) = group_with_channel(2);
    c.send_message("ada", channel, "before");
    c.add("eve");
    let code = c.invite("ada", group, Role::Member, 1);
    c.join("eve", group, &code);
    c.settle();
    assert_eq!(c.read_chat("eve", channel), ["before"]);
}

#[test]
fn a_channel_survives_a_crash_of_who_made_it_and_of_who_learnt_of_it() {
    let (mut c, _, channel) = group_with_channel(3);
    c.send_message("ben", channel, "kept");
    c.settle();
    for name in ["ada", "ben"] {
        c.crash(name);
        c.restart(name);
    }
    for name in ["ada", "ben"] {
        assert_eq!(c.read_chat(name, channel), ["kept"], "before anybody is connected");
    }
    c.connect_all();
    c.send_message("ada", channel, "more");
    c.settle();
    assert_eq!(c.read_chat("ben", channel), ["kept", "more"]);
}

#[test]
fn a_channel_in_a_project_in_an_organization_has_the_members_of_the_organization() {
    let mut c = Cluster::new(4);
    c.add("ada");
    c.add("ben");
    let kind = Kind::Organization;
    let Reply::Entity(top) = c.must("ada", Command::Create { kind, name: "firm".into(), parent: None })
    else {
        panic!("an entity")
    };
    let project = c.create_child("ada", Kind::Project, "rocket", top.words);
    let channel = c.create_child("ada", Kind::Channel, "engines", project);
    let code = c.invite("ada", top.words, Role::Member, 1);
    c.join("ben", top.words, &code);
    c.settle();
    assert_eq!(view(&mut c, "ben", channel).unwrap().parent, Some(project));
    c.send_message("ben", channel, "ready");
    c.settle();
    assert_eq!(c.read_chat("ada", channel), ["ready"]);
    // A restart opens parents before their children, whatever the order on disk.
    c.crash("ben");
    c.restart("ben");
    assert_eq!(c.read_chat("ben", channel), ["ready"]);
}

#[test]
fn channels_made_apart_are_both_there_after_the_partition_heals() {
    let (mut c, group, _) = group_with_channel(5);
    c.isolate("ben");
    let one = c.create_child("ada", Kind::Channel, "one", group);
    let two = c.create_child("ben", Kind::Channel, "two", group);
    c.heal();
    c.settle();
    for name in ["ada", "ben"] {
        assert_eq!(view(&mut c, name, one).unwrap().name, "one");
        assert_eq!(view(&mut c, name, two).unwrap().name, "two");
    }
}

#[test]
fn a_viewer_makes_no_channel_and_a_home_or_stranger_takes_none() {
    let mut c = Cluster::new(6);
    c.add("ada");
    c.add("ben");
    let group = c.create_group("ada", "tea");
    let code = c.invite("ada", group, Role::Viewer, 1);
    c.join("ben", group, &code);
    c.settle();
    let channel = |parent| Command::Create { kind: Kind::Channel, name: "x".into(), parent: Some(parent) };
    let refused = |outcome| match outcome {
        Outcome::Refused(refusal) => refusal.code,
        Outcome::Done(reply) => panic!("{reply:?}"),
    };
    assert_eq!(refused(c.ask("ben", channel(group))), RefusalCode::NotAllowed);
    let nested = Command::Create { kind: Kind::Organization, name: "x".into(), parent: Some(group) };
    assert_eq!(refused(c.ask("ada", nested)), RefusalCode::Usage);
    let other = FourWords::from_bytes([9; 6]);
    assert_eq!(refused(c.ask("ada", channel(other))), RefusalCode::NotFound);
}

#[test]
fn members_cannot_be_changed_through_a_channel() {
    let (mut c, _, channel) = group_with_channel(7);
    let Outcome::Refused(_) = c.ask("ben", Command::Leave(channel)) else { panic!("refused") };
    c.settle();
    let Reply::Members(members) = c.must("ada", Command::Members(channel)) else { panic!("members") };
    assert_eq!(members.len(), 2);
}

#[test]
fn a_channel_says_something_of_itself_and_has_the_settings_of_its_group() {
    let (mut c, group, channel) = group_with_channel(8);
    c.must("ada", Command::Configure(channel, Setting::Name("tea".into())));
    c.must("ada", Command::Configure(channel, Setting::Description("no coffee".into())));
    let lapse = Setting::LapseDays(7);
    let there = c.ask("ada", Command::Configure(channel, lapse.clone()));
    assert_eq!(refused(&there), Some(RefusalCode::Usage), "it is settled in the group");
    c.must("ada", Command::Configure(group, lapse));
    c.settle();
    let seen = view(&mut c, "ben", channel).unwrap();
    assert_eq!((seen.name.as_str(), seen.about.description.as_str()), ("tea", "no coffee"));
    assert_eq!(seen.settings.lapse_days, 7);
    let of_group = view(&mut c, "ben", group).unwrap();
    assert_eq!(of_group.about.description, "");
    let Reply::Core(core) = c.must("ben", Command::Core(channel)) else { panic!("a core document") };
    assert_eq!((core.entity.words, core.members.len()), (channel, 2));
}

fn channel(parent: FourWords) -> Command {
    Command::Create { kind: Kind::Channel, name: "one more".into(), parent: Some(parent) }
}

fn refused(outcome: &Outcome) -> Option<RefusalCode> {
    match outcome {
        Outcome::Refused(refusal) => Some(refusal.code),
        Outcome::Done(_) => None,
    }
}

#[test]
fn a_group_takes_as_many_below_it_as_may_be_and_no_more() {
    let mut c = Cluster::new(8);
    c.add("ada");
    let group = c.create_group("ada", "tea");
    let mut words: Vec<FourWords> = vec![c.create_child("ada", Kind::Project, "first", group)];
    while words.len() < CHILDREN_MAX {
        // Children of children count too.
        let parent = if words.len().is_multiple_of(2) { group } else { words[0] };
        words.push(c.create_child("ada", Kind::Channel, &format!("number {}", words.len()), parent));
    }
    for parent in [group, words[0]] {
        assert_eq!(refused(&c.ask("ada", channel(parent))), Some(RefusalCode::Usage));
    }
    let last = words[CHILDREN_MAX - 1];
    c.send_message("ada", last, "room for words");
    c.crash("ada");
    c.restart("ada");
    assert_eq!(c.read_chat("ada", last), ["room for words"]);
    assert_eq!(refused(&c.ask("ada", channel(group))), Some(RefusalCode::Usage));
    assert!(words.iter().all(|words| view(&mut c, "ada", *words).is_some()));
}

/// The children that a node's home remembers.
fn opened(c: &Cluster, name: &str) -> BTreeSet<EntityId> {
    let children = c.remembered(name).locals.into_iter().filter(|(key, _)| key.kind == "child");
    children.map(|(key, _)| EntityId(key.of.try_into().unwrap())).collect()
}

/// A channel that a member founds by hand.
fn genesis(by: &Insider, parent: EntityId, nonce: u64) -> Statement {
    let root = RootSecret::from_seed(&[9; 32]);
    let person = PersonCard { root: root.public(), nonce: 0 }.id();
    let creator = root.certify(0, &by.device.card(person));
    let (kind, created) = (Kind::Channel, WallTime(5));
    let genesis = Genesis { kind, nonce, created, secret_commitment: [0; 32], parent: Some(parent), creator };
    genesis.sign(&by.device).unwrap()
}

/// Has a member list channels in its group's core document. Gives their ids, in this order.
fn list(c: &mut Cluster, by: &str, to: &str, parents: &[EntityId]) -> Vec<EntityId> {
    let insider = Insider::of(c, by);
    let actor = Actor { person: insider.person, role: Role::Member };
    let mut log = insider.log(Concern::Core, 1);
    let founded = parents.iter().zip(0..).map(|(parent, nonce)| genesis(&insider, *parent, nonce));
    let founded: Vec<Statement> = founded.collect();
    let ids: Vec<EntityId> = founded.iter().map(|statement| EntityId(statement.id().0)).collect();
    for (id, statement) in ids.iter().zip(&founded) {
        log.put(core::list_child(&actor, *id, statement.bytes(), "listed").unwrap());
    }
    c.inject(by, to, log.page());
    c.settle();
    ids
}

#[test]
fn of_more_children_than_may_be_that_a_member_lists_the_surplus_is_not_opened() {
    let mut c = Cluster::new(9);
    let group = c.group_of(&["ada", "mal"]);
    let own = c.create_child("ada", Kind::Channel, "coffee", group);
    let id = view(&mut c, "ada", group).unwrap().id;
    c.settle();
    c.take_over("mal");
    let listed = list(&mut c, "mal", "ada", &vec![id; CHILDREN_MAX]);
    let open = opened(&c, "ada");
    assert_eq!(open.len(), CHILDREN_MAX);
    assert_eq!(listed.iter().filter(|id| !open.contains(id)).count(), 1);
    c.send_message("ada", own, "mine stays");
    c.crash("ada");
    c.restart("ada");
    assert_eq!(c.read_chat("ada", own), ["mine stays"]);
    assert_eq!(opened(&c, "ada"), open, "the same ones");
}

#[test]
fn as_many_stand_above_one_as_may_and_nothing_deeper_is_made_or_opened() {
    let mut c = Cluster::new(10);
    let group = c.group_of(&["ada", "mal"]);
    let mut line = vec![group];
    while line.len() <= PARENTS_MAX {
        line.push(c.create_child("ada", Kind::Project, "deeper", line[line.len() - 1]));
    }
    assert_eq!(refused(&c.ask("ada", channel(line[PARENTS_MAX]))), Some(RefusalCode::Usage));
    c.send_message("ada", line[PARENTS_MAX], "down here");
    c.settle();
    assert_eq!(c.read_chat("mal", line[PARENTS_MAX]), ["down here"]);
    let above =
        [line[PARENTS_MAX - 1], line[PARENTS_MAX]].map(|words| view(&mut c, "ada", words).unwrap().id);
    c.take_over("mal");
    let listed = list(&mut c, "mal", "ada", &above);
    let open = opened(&c, "ada");
    assert!(open.contains(&listed[0]) && !open.contains(&listed[1]));
}

#[test]
fn who_knows_the_words_of_a_channel_is_led_to_the_group_and_is_in_both_once_let_in() {
    let mut c = Cluster::new(31);
    c.add("ada");
    c.add("ben");
    c.add("eve");
    let kind = Kind::Organization;
    let Reply::Entity(top) = c.must("ada", Command::Create { kind, name: "firm".into(), parent: None })
    else {
        panic!("an entity")
    };
    let code = c.invite("ada", top.words, Role::Member, 1);
    c.join("ben", top.words, &code);
    let project = c.create_child("ada", Kind::Project, "rocket", top.words);
    let channel = c.create_child("ada", Kind::Channel, "engines", project);
    c.send_message("ada", channel, "before");
    c.connect_all();
    c.settle();
    c.isolate("ada");
    // Ben, who may not decide, answers who has the words and keeps the request.
    match c.must("eve", by_words(channel, None, "hello")) {
        Reply::Joined(view, JoinState::Requested) => assert_eq!((view.words, view.id), (channel, top.id)),
        other => panic!("{other:?}"),
    }
    c.crash("eve");
    c.restart("eve");
    let [asked] = &joins(&mut c, "eve")[..] else { panic!("one join") };
    assert_eq!((asked.words, asked.id), (channel, Some(top.id)));
    c.connect("eve", "ben");
    match c.must("eve", by_words(channel, None, "hello")) {
        Reply::Joined(view, JoinState::Requested) => assert_eq!(view.id, top.id, "the same one"),
        other => panic!("{other:?}"),
    }
    c.heal();
    c.settle();
    let [request] = &requests(&mut c, "ada", top.words)[..] else { panic!("one request") };
    let who = request.person.person.to_string();
    assert!(done(&approve(&mut c, "ada", top.words, &who)));
    c.run_for(70_000);
    assert_eq!(c.read_chat("eve", channel), ["before"]);
    assert_eq!(view(&mut c, "eve", channel).unwrap().parent, Some(project));
    match c.must("eve", by_words(channel, None, "")) {
        Reply::Joined(view, JoinState::Joined) => assert_eq!(view.words, top.words, "in already"),
        other => panic!("{other:?}"),
    }
}

/// Every node says that all of its documents are in sync.
fn assert_settled(c: &mut Cluster, names: &[&str]) {
    for name in names {
        let Reply::Sync { documents, .. } = c.must(name, Command::SyncStatus(None)) else {
            panic!("a status")
        };
        let settled = documents.iter().all(|document| document.state == SyncState::InSync);
        assert!(settled, "{name}: {documents:#?}");
    }
}

/// Ada's group with Ben and Cem in it. Ben, an admin, makes a channel while he is apart, alone or with
/// Cem, and meanwhile Ada, who has not seen it, makes him a viewer; then all meet.
fn channel_of_the_demoted(seed: u64, with_cem: bool) -> (Cluster, FourWords) {
    let mut c = Cluster::new(seed);
    let group = c.group_of(&["ada", "ben", "cem"]);
    let Reply::Status(status) = c.must("ben", Command::Status) else { panic!("a status") };
    let who = status.person.to_string();
    let to = |role| Command::Member(group, MemberCommand::SetRole { who: who.clone(), role });
    c.must("ada", to(Role::Admin));
    c.settle();
    c.isolate("ben");
    if with_cem {
        c.isolate("cem");
        c.reunite("ben", "cem");
    }
    let channel = c.create_child("ben", Kind::Channel, "coffee", group);
    c.settle();
    if with_cem {
        c.send_message("cem", channel, "still here");
        c.settle();
    }
    assert!(view(&mut c, "ben", channel).is_some());
    c.must("ada", to(Role::Viewer));
    c.heal();
    c.settle();
    (c, channel)
}

#[test]
fn a_channel_that_its_maker_had_no_right_to_make_is_closed_where_it_was_open() {
    let (mut c, channel) = channel_of_the_demoted(12, false);
    for _ in 0..2 {
        for name in ["ada", "ben", "cem"] {
            assert_eq!(view(&mut c, name, channel), None, "{name} shows it");
        }
        assert_settled(&mut c, &["ada", "ben", "cem"]);
        c.crash("ben");
        c.restart("ben");
        c.heal();
        c.settle();
    }
}

#[test]
fn a_channel_that_a_member_saw_in_time_outlives_the_right_of_who_made_it() {
    let (mut c, channel) = channel_of_the_demoted(13, true);
    for name in ["ada", "ben", "cem"] {
        let seen = view(&mut c, name, channel).unwrap_or_else(|| panic!("{name} does not show it"));
        assert_eq!(seen.name, "coffee");
        assert_eq!(c.read_chat(name, channel), ["still here"], "{name}");
    }
    assert_settled(&mut c, &["ada", "ben", "cem"]);
}
