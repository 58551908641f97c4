//! Joining by the words alone: found, asked, decided, and remembered meanwhile.

use fourword_protocol::command::{
    Command, EntityView, JoinBy, JoinState, JoinView, MemberCommand, Outcome, RefusalCode, Reply, RequestView,
};
use fourword_protocol::ids::{EntityId, PersonId};
use fourword_protocol::roster::{Body, Role, Signer};
use fourword_protocol::time::WallTime;
use fourword_protocol::wire::Frame;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;

use crate::people;
use crate::returning::roster_of;

pub(crate) const NOW: WallTime = WallTime(1_800_000_000_000);
pub(crate) const DAY_MS: u64 = 86_400_000;

pub(crate) fn by_words(words: FourWords, id: Option<EntityId>, note: &str) -> Command {
    Command::Join { words, by: JoinBy::Words { id, note: note.into() }, peers: Vec::new() }
}

/// Asks to be let in and waits until a member keeps the request.
pub(crate) fn ask_in(c: &mut Cluster, name: &str, group: FourWords) {
    match c.must(name, by_words(group, None, "hello")) {
        Reply::Joined(_, JoinState::Requested) => {}
        other => panic!("{other:?}"),
    }
}

pub(crate) fn requests(c: &mut Cluster, name: &str, group: FourWords) -> Vec<RequestView> {
    match c.must(name, Command::Member(group, MemberCommand::Requests)) {
        Reply::Requests(requests) => requests,
        other => panic!("{other:?}"),
    }
}

/// Who asked what, and when; words come when they were stretched.
fn asked(c: &mut Cluster, name: &str, group: FourWords) -> Vec<(PersonId, String, WallTime)> {
    requests(c, name, group).into_iter().map(|r| (r.person.person, r.note, r.asked)).collect()
}

pub(crate) fn joins(c: &mut Cluster, name: &str) -> Vec<JoinView> {
    match c.must(name, Command::Joins) {
        Reply::Joins(joins) => joins,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn approve(c: &mut Cluster, name: &str, group: FourWords, who: &str) -> Outcome {
    let approve = MemberCommand::Approve { who: who.into(), role: Role::Member };
    c.ask(name, Command::Member(group, approve))
}

pub(crate) fn deny(c: &mut Cluster, name: &str, group: FourWords, who: &str) -> Outcome {
    c.ask(name, Command::Member(group, MemberCommand::Deny { who: who.into() }))
}

pub(crate) fn done(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Done(_))
}

pub(crate) fn code(outcome: &Outcome) -> Option<RefusalCode> {
    match outcome {
        Outcome::Refused(refusal) => Some(refusal.code),
        Outcome::Done(_) => None,
    }
}

pub(crate) fn show(c: &mut Cluster, name: &str, group: FourWords) -> Option<EntityView> {
    match c.ask(name, Command::Show(group)) {
        Outcome::Done(Reply::Entity(view)) => Some(view),
        _ => None,
    }
}

pub(crate) fn id_of(c: &mut Cluster, name: &str, group: FourWords) -> EntityId {
    show(c, name, group).unwrap().id
}

/// A group of ada and ben, and eve who is named and in no group; all are connected.
pub(crate) fn strangers(seed: u64) -> (Cluster, FourWords) {
    let mut c = Cluster::new(seed);
    let group = c.group_of(&["ada", "ben"]);
    c.add("eve");
    c.must("eve", Command::SetName("Eve".into()));
    c.connect_all();
    c.settle();
    (c, group)
}

#[test]
fn an_admin_who_was_away_approves_what_an_ordinary_member_kept() {
    let (mut c, group) = strangers(1);
    c.isolate("ada");
    ask_in(&mut c, "eve", group);
    assert_eq!(code(&approve(&mut c, "ben", group, "Eve")), Some(RefusalCode::NotAllowed));
    c.stop("eve");
    c.heal();
    c.settle();
    let asking = requests(&mut c, "ada", group);
    let [request] = &asking[..] else { panic!("{asking:?}") };
    assert_eq!((request.person.name.as_str(), request.note.as_str()), ("Eve", "hello"));
    assert!(done(&approve(&mut c, "ada", group, "Eve")));
    c.settle();
    c.stop("ada");
    c.send_message("ben", group, "welcome");
    c.restart("eve");
    c.connect("eve", "ben");
    c.run_for(70_000);
    assert_eq!(c.read_chat("eve", group), ["welcome"]);
    assert!(joins(&mut c, "eve").is_empty());
    assert!(requests(&mut c, "ben", group).is_empty());
}

#[test]
fn who_is_approved_while_connected_is_in_at_once() {
    let (mut c, group) = strangers(2);
    ask_in(&mut c, "eve", group);
    c.run_for(1_000);
    let person = requests(&mut c, "ada", group)[0].person.person;
    assert!(done(&approve(&mut c, "ada", group, &person.short())));
    c.run_for(1_000);
    let view = show(&mut c, "eve", group).unwrap();
    assert_eq!((view.members, view.role), (3, Some(Role::Member)));
    c.settle();
    c.send_message("eve", group, "thank you");
    c.settle();
    assert_eq!(c.read_chat("ben", group), ["thank you"]);
    assert!(requests(&mut c, "ben", group).is_empty(), "decided requests are forgotten everywhere");
}

#[test]
fn nobody_grants_a_role_above_its_own_and_who_does_not_ask_cannot_be_approved() {
    let (mut c, group) = strangers(3);
    ask_in(&mut c, "eve", group);
    c.settle();
    assert_eq!(code(&approve(&mut c, "ada", group, "Mallory")), Some(RefusalCode::NotFound));
    assert_eq!(code(&deny(&mut c, "ben", group, "Eve")), Some(RefusalCode::NotAllowed));
    let owner = MemberCommand::Approve { who: "Eve".into(), role: Role::Owner };
    assert_eq!(code(&c.ask("ben", Command::Member(group, owner.clone()))), Some(RefusalCode::NotAllowed));
    assert!(done(&c.ask("ada", Command::Member(group, owner))));
    c.settle();
    assert_eq!(show(&mut c, "eve", group).unwrap().role, Some(Role::Owner));
}

#[test]
fn one_asks_by_words_as_shown_and_is_named_by_them() {
    let (mut c, group) = strangers(4);
    ask_in(&mut c, "eve", group);
    c.settle();
    let Reply::Status(status) = c.must("eve", Command::Status) else { panic!("a status") };
    let words = status.identity.to_string();
    // Nobody's words are stretched before somebody looks who asks.
    assert_eq!(code(&approve(&mut c, "ada", group, &words)), Some(RefusalCode::Pending));
    c.settle();
    assert_eq!(requests(&mut c, "ada", group)[0].person.words, Some(status.identity));
    assert!(done(&approve(&mut c, "ada", group, &words)));
}

#[test]
fn who_is_denied_is_told_and_may_not_ask_again_for_a_week_but_may_be_invited() {
    let (mut c, group) = strangers(5);
    ask_in(&mut c, "eve", group);
    c.settle();
    assert!(done(&deny(&mut c, "ada", group, "Eve")));
    c.settle();
    let [refused] = &joins(&mut c, "eve")[..] else { panic!("one join that was refused") };
    assert!(refused.reason.contains("against"), "{refused:?}");
    assert!(requests(&mut c, "ben", group).is_empty(), "ben knows of the denial");
    c.isolate("ada");
    let again = c.ask("eve", by_words(group, None, "please"));
    assert_eq!(code(&again), Some(RefusalCode::NotAllowed));
    c.run_for(8 * DAY_MS);
    ask_in(&mut c, "eve", group);
    c.heal();
    c.settle();
    assert_eq!(requests(&mut c, "ada", group).len(), 1);
    assert!(done(&deny(&mut c, "ada", group, "Eve")));
    let code = c.invite("ada", group, Role::Member, 1);
    c.join("eve", group, &code);
    c.settle();
    assert_eq!(show(&mut c, "eve", group).unwrap().members, 3);
}

#[test]
fn a_request_survives_restarts_of_who_asks_and_of_who_keeps_it() {
    let (mut c, group) = strangers(6);
    c.isolate("ada");
    ask_in(&mut c, "eve", group);
    let before = asked(&mut c, "ben", group);
    c.crash("eve");
    c.crash("ben");
    c.restart("ben");
    assert_eq!(asked(&mut c, "ben", group), before);
    c.restart("eve");
    assert_eq!(joins(&mut c, "eve").len(), 1);
    c.connect("eve", "ben");
    c.settle();
    assert_eq!(joins(&mut c, "eve")[0].state, JoinState::Requested);
    assert_eq!(asked(&mut c, "ben", group), before, "it was not made anew");
    c.heal();
    c.settle();
    assert!(done(&approve(&mut c, "ada", group, "Eve")));
    c.settle();
    assert!(show(&mut c, "eve", group).is_some());
}

#[test]
fn words_that_nobody_knows_are_sought_until_somebody_does() {
    let (mut c, group) = strangers(7);
    c.isolate("ada");
    c.isolate("ben");
    let id = c.begin("eve", by_words(group, None, ""));
    c.settle();
    assert_eq!(c.answer("eve", id), None);
    c.must("eve", Command::StopWaiting(id));
    let Some(Outcome::Done(Reply::Joined(_, JoinState::Unreachable))) = c.answer("eve", id) else {
        panic!("{:?}", c.answer("eve", id))
    };
    c.crash("eve");
    c.restart("eve");
    let [sought] = &joins(&mut c, "eve")[..] else { panic!("one join") };
    assert_eq!((sought.words, sought.id, sought.state), (group, None, JoinState::Unreachable));
    c.heal();
    c.run_for(70_000);
    let [asked] = &joins(&mut c, "eve")[..] else { panic!("one join") };
    assert_eq!((asked.state, asked.id.is_some()), (JoinState::Requested, true));
    assert_eq!(requests(&mut c, "ada", group).len(), 1);
}

#[test]
fn a_join_that_is_given_up_is_over_after_a_restart_too() {
    let (mut c, group) = strangers(8);
    ask_in(&mut c, "eve", group);
    let unknown = FourWords::from_bytes([3; 6]);
    let id = c.begin("eve", by_words(unknown, None, ""));
    c.must("eve", Command::CancelJoin(group));
    c.must("eve", Command::CancelJoin(unknown));
    assert!(matches!(c.answer("eve", id), Some(Outcome::Refused(_))));
    assert_eq!(code(&c.ask("eve", Command::CancelJoin(group))), Some(RefusalCode::NotFound));
    c.stop("eve");
    c.restart("eve");
    assert!(joins(&mut c, "eve").is_empty());
}

#[test]
fn asking_twice_keeps_one_request_and_answers_both() {
    let (mut c, group) = strangers(9);
    let first = c.begin("eve", by_words(group, None, "hello"));
    let second = c.begin("eve", by_words(group, None, "hello"));
    c.settle();
    assert!(matches!(c.answer("eve", first), Some(Outcome::Refused(_))), "the later one is answered");
    assert!(matches!(c.answer("eve", second), Some(Outcome::Done(Reply::Joined(_, JoinState::Requested)))));
    let before = asked(&mut c, "ada", group);
    c.run_for(1_000);
    ask_in(&mut c, "eve", group);
    assert_eq!(asked(&mut c, "ada", group), before, "no new work was done");
    c.must("eve", by_words(group, None, "another note"));
    c.settle();
    let after = requests(&mut c, "ada", group);
    assert_eq!(after.iter().map(|r| r.note.as_str()).collect::<Vec<_>>(), ["another note"]);
}

#[test]
fn two_admins_who_approve_at_once_let_one_person_in() {
    let mut c = Cluster::new(10);
    c.add("ada");
    let group = c.create_group("ada", "tea");
    for name in ["ben", "eve"] {
        c.add(name);
    }
    let admin = c.invite("ada", group, Role::Admin, 1);
    c.join("ben", group, &admin);
    c.must("eve", Command::SetName("Eve".into()));
    c.connect_all();
    c.settle();
    ask_in(&mut c, "eve", group);
    c.settle();
    c.isolate("eve");
    c.disconnect("ada", "ben");
    assert!(done(&approve(&mut c, "ada", group, "Eve")) && done(&approve(&mut c, "ben", group, "Eve")));
    c.heal();
    c.run_for(70_000);
    for name in ["ada", "ben", "eve"] {
        assert_eq!(show(&mut c, name, group).unwrap().members, 3, "{name}");
    }
    c.send_message("eve", group, "twice welcome");
    c.settle();
    assert_eq!(c.read_chat("ada", group), ["twice welcome"]);
    assert_eq!(c.read_chat("ben", group), ["twice welcome"]);
}

#[test]
fn a_request_that_nobody_decides_is_forgotten_after_a_month() {
    let (mut c, group) = strangers(11);
    ask_in(&mut c, "eve", group);
    c.crash("eve");
    c.settle();
    assert_eq!(requests(&mut c, "ada", group).len(), 1);
    c.run_for(31 * DAY_MS);
    assert!(requests(&mut c, "ada", group).is_empty());
    assert_eq!(c.queues("ben").requests, 0);
}

#[test]
fn who_was_removed_may_ask_again_and_be_let_in_anew() {
    let (mut c, group) = strangers(24);
    let code = c.invite("ada", group, Role::Member, 1);
    c.join("eve", group, &code);
    c.settle();
    c.send_message("ada", group, "all three");
    c.settle();
    let Reply::Status(eve) = c.must("eve", Command::Status) else { panic!("a status") };
    remove(&mut c, "ada", group, eve.person);
    c.settle();
    assert_eq!(show(&mut c, "eve", group).unwrap().role, None);
    ask_in(&mut c, "eve", group);
    c.settle();
    assert!(done(&approve(&mut c, "ada", group, "Eve")));
    c.settle();
    assert_eq!(show(&mut c, "eve", group).unwrap().role, Some(Role::Member));
    assert!(joins(&mut c, "eve").is_empty());
    c.send_message("eve", group, "back again");
    c.settle();
    assert_eq!(c.read_chat("ben", group), ["all three", "back again"]);
}

/// What the first knock would be answered is no answer to the request that is made meanwhile.
#[test]
fn who_knows_that_it_was_removed_is_not_refused_for_that_while_an_admin_has_its_request() {
    for seed in 0..20 {
        let mut c = Cluster::new(seed);
        let group = c.group_of(&["ada", "eve"]);
        people::remove(&mut c, "ada", group, "eve");
        c.settle();
        ask_in(&mut c, "eve", group);
        c.settle();
        assert_eq!(requests(&mut c, "ada", group).len(), 1);
        assert!(joins(&mut c, "eve").iter().all(|join| join.state == JoinState::Requested), "seed {seed}");
    }
}

/// Removes somebody by a statement that a device of ada's signs: it comes by another member.
fn remove(c: &mut Cluster, by: &str, group: FourWords, person: PersonId) {
    let entity = id_of(c, by, group);
    let body = Body::Remove { person, vectors: Vec::new() };
    let removal = roster_of(c, by, entity).draft(Signer::Device(&c.secret(by)), body).unwrap();
    let frame = Frame::Statements { entity, statements: vec![removal.bytes().to_vec()] };
    c.inject("ben", by, frame.encode());
}
