//! Removed, demoted, gone: what somebody can still read and do, and what becomes of what it wrote.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a story that goes wrong shall stop")]

use std::collections::BTreeSet;

use fourword_protocol::command::{ChatCommand, Command, JoinBy, RefusalCode, Reply};
use fourword_protocol::envelope::{Envelope, Header};
use fourword_protocol::ids::{EnvelopeHash, StatementId};
use fourword_protocol::limits::STATEMENTS_PER_DEVICE_MAX;
use fourword_protocol::roster::{Body, Role};
use fourword_protocol::schema::Concern;
use fourword_protocol::time::WallTime;
use fourword_protocol::wire::Frame;
use fourword_tests::cluster::Cluster;
use fourword_tests::insider::{Insider, envelopes, frame, keys_of, roster_of};

use crate::people::{act_on, id_of, members, refused, remove, set_role, words_of};

/// How many of these envelopes some key of those opens.
fn opened<'a>(
    envelopes: impl IntoIterator<Item = &'a Envelope>,
    keys: &std::collections::BTreeMap<StatementId, fourword_protocol::epoch::EpochKey>,
) -> usize {
    envelopes.into_iter().filter(|envelope| keys.values().any(|key| envelope.open(key).is_ok())).count()
}

#[test]
fn a_removed_member_cannot_open_anything_written_by_those_who_know() {
    let mut c = Cluster::new(1);
    let group = c.group_of(&["ada", "ben", "eve"]);
    let id = id_of(&mut c, "ada", group);
    c.send_message("ada", group, "before");
    c.settle();
    let before: BTreeSet<EnvelopeHash> = envelopes(&c, "ada", id).iter().map(Envelope::hash).collect();
    remove(&mut c, "ada", group, "eve");
    // The very next thing, written before anybody else has heard of the removal.
    c.send_message("ada", group, "at once");
    c.settle();
    for number in 0..5 {
        c.send_message(["ada", "ben"][number % 2], group, &format!("after {number}"));
    }
    c.settle();
    assert_eq!(c.read_chat("ben", group).len(), 7);

    // All that eve ever had, and all that anybody could ever pass on to it.
    let (roster, all) = (roster_of(&c, "ada", id), envelopes(&c, "ada", id));
    let later: Vec<&Envelope> = all.iter().filter(|envelope| !before.contains(&envelope.hash())).collect();
    let (keys, _) = keys_of(&roster, &c.secret("eve"));
    assert!(later.len() >= 6 && !keys.is_empty());
    assert_eq!(opened(later.iter().copied(), &keys), 0);
    assert_eq!(opened(all.iter().filter(|e| before.contains(&e.hash())), &keys), before.len());
    let (of_ben, _) = keys_of(&roster, &c.secret("ben"));
    assert_eq!(opened(later.iter().copied(), &of_ben), later.len(), "a member opens them all");
    assert_eq!(c.read_chat("eve", group), ["before"], "what eve could read it still can");
}

#[test]
fn a_removed_member_sees_that_it_is_out_and_its_node_writes_nothing_more() {
    let mut c = Cluster::new(2);
    let group = c.group_of(&["ada", "eve"]);
    c.send_message("eve", group, "mine");
    c.settle();
    remove(&mut c, "ada", group, "eve");
    c.settle();
    for restart in [false, true] {
        if restart {
            c.stop("eve");
            c.restart("eve");
        }
        let Reply::Entity(view) = c.must("eve", Command::Show(group)) else { panic!("an entity") };
        assert_eq!((view.role, view.members), (None, 1));
        let send = ChatCommand::say("no", None);
        let refusal = refused(&mut c, "eve", Command::Chat(group, send));
        assert_eq!(refusal.code, RefusalCode::NotAllowed);
        assert!(refusal.message.contains("removed"), "{}", refusal.message);
        assert_eq!(c.read_chat("eve", group), ["mine"]);
    }
    assert_eq!(c.read_chat("ada", group), ["mine"], "what was held of it stays");
}

#[test]
fn what_was_being_written_when_the_removal_came_is_refused_and_the_node_still_stops() {
    let mut c = Cluster::new(3);
    let group = c.group_of(&["ada", "eve"]);
    remove(&mut c, "ada", group, "eve");
    let send = |n| ChatCommand::say(format!("late {n}"), None);
    let asked: Vec<_> = (0..50).map(|n| c.begin("eve", Command::Chat(group, send(n)))).collect();
    c.settle();
    for id in asked {
        assert!(c.answer("eve", id).is_some(), "every writer is answered");
    }
    c.stop("eve");
    c.restart("eve");
    assert_eq!(c.read_chat("eve", group).len(), c.read_chat("ada", group).len());
}

#[test]
fn nothing_a_removed_member_sends_is_accepted_anywhere() {
    let mut c = Cluster::new(4);
    let group = c.group_of(&["ada", "ben", "cem", "eve"]);
    let id = id_of(&mut c, "ada", group);
    set_role(&mut c, "ada", group, "eve", Role::Admin);
    c.send_message("eve", group, "as a member");
    c.settle();
    let topics = c.topics("ada");
    let mut eve = Insider::take_over(&mut c, "eve");
    act_on(&mut c, "ada", group, &eve, None);
    c.settle();

    let (ada, ben) = (c.device("ada").unwrap(), c.device("ben").unwrap());
    let [ada, ben] = [ada, ben].map(|device| eve.roster.person_of(&device).unwrap());
    let key =
        fourword_protocol::roster::invite::InviteCode { entity: id, secret: [1; 16], addresses: vec![] };
    let statements = [
        Body::Remove { person: ben, vectors: Vec::new() },
        Body::SetRole { person: ada, role: Role::Viewer, vectors: Vec::new() },
        Body::OpenInvite { key: key.key(), role: Role::Admin, expires: WallTime(u64::MAX >> 12), uses: 9 },
    ];
    let statements = statements.map(|body| eve.state(body).1).to_vec();
    let heads = eve.roster.heads();
    let unaware = vec![eve.roster.ids().next().unwrap()];
    let later = roster_of(&c, "ada", id).heads();
    let mut forged = Vec::new();
    for (number, heads) in [heads, unaware, later].into_iter().enumerate() {
        let mut log = eve.log(Concern::Chat, 77 + number as u64);
        let message = log.message(eve.person, "from outside");
        let update = log.update(&message);
        forged.push(eve.seal(Header { heads, ..log.header() }, &update));
    }
    for to in ["ada", "ben", "cem"] {
        eve.greet(&mut c, to);
        for envelope in &forged {
            eve.send(&mut c, to, &frame(id, std::slice::from_ref(envelope)));
            // By gossip on every topic that eve knew, also as if an honest node passed it on.
            for (topic, from) in topics.iter().flat_map(|t| [(t, "eve"), (t, "ben"), (t, "cem")]) {
                c.inject_gossip(from, to, *topic, envelope.bytes().to_vec());
            }
        }
        eve.send_statements(&mut c, to, statements.clone());
        let lacking = later_epochs(&c, id, &eve);
        assert!(!lacking.is_empty());
        eve.send(&mut c, to, &Frame::Lacking { entity: id, epochs: lacking });
    }
    c.settle();
    for name in ["ada", "ben", "cem"] {
        assert_eq!(c.read_chat(name, group), ["as a member"], "{name}");
        let (keys, _) = keys_of(&roster_of(&c, name, id), &eve.device);
        assert_eq!(keys.len(), eve.keys.len(), "{name} sealed nothing to it");
        let shown = members(&mut c, name, group, &["ada", "ben", "cem"]);
        let roles: Vec<Role> = ["ada", "ben", "cem"].map(|name| shown[name]).to_vec();
        assert_eq!((shown.len(), roles), (3, vec![Role::Owner, Role::Member, Role::Member]), "{name}");
    }
}

/// Epochs that were opened since the insider last looked.
fn later_epochs(c: &Cluster, id: fourword_protocol::ids::EntityId, insider: &Insider) -> Vec<StatementId> {
    roster_of(c, "ada", id).epochs().into_iter().filter(|e| !insider.keys.contains_key(e)).collect()
}

#[test]
fn a_removed_member_is_not_let_in_again_by_an_invite() {
    let mut c = Cluster::new(5);
    let group = c.group_of(&["ada", "eve"]);
    let code = c.invite("ada", group, Role::Member, 9);
    remove(&mut c, "ada", group, "eve");
    c.settle();
    let join = Command::Join { words: group, by: JoinBy::Code(code), peers: Vec::new() };
    let refusal = refused(&mut c, "eve", join);
    assert_eq!(refusal.code, RefusalCode::NotAllowed);
    assert!(refusal.message.contains("removed"), "{}", refusal.message);
}

#[test]
fn who_left_may_come_back_by_an_invite_and_reads_on() {
    let mut c = Cluster::new(6);
    let group = c.group_of(&["ada", "ben"]);
    c.must("ben", Command::Leave(group));
    c.settle();
    c.send_message("ada", group, "while ben was away");
    let code = c.invite("ada", group, Role::Member, 9);
    c.join("ben", group, &code);
    c.settle();
    c.send_message("ben", group, "back");
    c.settle();
    for name in ["ada", "ben"] {
        assert_eq!(c.read_chat(name, group), ["while ben was away", "back"], "{name}");
    }
}

#[test]
fn an_invite_kept_by_a_removed_admin_admits_nobody() {
    let mut c = Cluster::new(7);
    let group = c.group_of(&["ada", "ben", "cem"]);
    c.add("fay");
    set_role(&mut c, "ada", group, "ben", Role::Admin);
    c.settle();
    let code = c.invite("ben", group, Role::Member, 9);
    c.settle();
    remove(&mut c, "ada", group, "ben");
    c.settle();
    c.connect_all();
    let join = Command::Join { words: group, by: JoinBy::Code(code), peers: Vec::new() };
    assert_eq!(refused(&mut c, "fay", join).code, RefusalCode::NotAllowed);
    c.settle();
    assert_eq!(members(&mut c, "cem", group, &["ada", "cem"]).len(), 2);
}

#[test]
fn of_two_admins_apart_the_senior_removes_the_other_and_what_that_one_did_meanwhile_is_void() {
    let mut c = Cluster::new(8);
    let group = c.group_of(&["ada", "ben", "cem", "dan"]);
    for name in ["ben", "cem"] {
        set_role(&mut c, "ada", group, name, Role::Admin);
        c.settle();
    }
    c.isolate("ben");
    c.isolate("cem");
    remove(&mut c, "ben", group, "cem");
    let who = words_of(&mut c, "ben");
    let command = fourword_protocol::command::MemberCommand::Remove { who };
    let refusal = refused(&mut c, "cem", Command::Member(group, command));
    assert!(refusal.message.contains("senior"), "{}", refusal.message);
    remove(&mut c, "cem", group, "dan");
    c.heal();
    c.settle();
    for name in ["ada", "ben", "cem", "dan"] {
        let shown = members(&mut c, name, group, &["ada", "ben", "dan"]);
        assert_eq!(shown.keys().map(String::as_str).collect::<Vec<_>>(), ["ada", "ben", "dan"], "{name}");
    }
    c.send_message("dan", group, "still in");
    c.settle();
    assert_eq!(c.read_chat("ben", group), ["still in"]);
    assert_eq!(c.read_chat("cem", group), Vec::<String>::new());
}

#[test]
fn a_removal_made_apart_spares_what_its_author_held_and_voids_the_rest_until_a_member_vouches() {
    let mut c = Cluster::new(9);
    let group = c.group_of(&["ada", "ben", "cem", "eve"]);
    c.send_message("eve", group, "seen by all");
    c.settle();
    c.isolate("ada");
    c.isolate("cem");
    c.send_message("eve", group, "seen by ben");
    c.settle();
    remove(&mut c, "ada", group, "eve");
    c.isolate("eve");
    c.send_message("eve", group, "seen by nobody");
    c.heal();
    c.isolate("ben");
    c.settle();
    for name in ["ada", "cem", "eve"] {
        assert_eq!(c.read_chat(name, group), ["seen by all"], "{name}");
    }
    c.heal();
    c.settle();
    for name in ["ada", "ben", "cem", "eve"] {
        assert_eq!(c.read_chat(name, group), ["seen by all", "seen by ben"], "{name}");
    }
    for name in ["ada", "ben"] {
        c.crash(name);
        c.restart(name);
        c.connect_all();
        c.settle();
        assert_eq!(c.read_chat(name, group), ["seen by all", "seen by ben"], "{name}, from the disk");
    }
}

#[test]
fn who_learns_of_two_removals_at_once_vouches_against_both() {
    let mut c = Cluster::new(14);
    let group = c.group_of(&["ada", "ben", "cem", "dan", "eve"]);
    set_role(&mut c, "ada", group, "cem", Role::Admin);
    c.settle();
    c.isolate("ada");
    c.isolate("cem");
    c.send_message("dan", group, "from dan");
    c.send_message("eve", group, "from eve");
    c.settle();
    remove(&mut c, "ada", group, "eve");
    remove(&mut c, "cem", group, "dan");
    c.heal();
    for name in ["ben", "dan", "eve"] {
        c.isolate(name);
    }
    c.settle();
    assert_eq!(c.read_chat("ada", group), Vec::<String>::new());
    c.heal();
    for name in ["dan", "eve"] {
        c.isolate(name);
    }
    c.settle();
    for name in ["ada", "ben", "cem"] {
        assert_eq!(c.read_chat(name, group), ["from dan", "from eve"], "{name}");
    }
}

#[test]
fn who_crashes_the_moment_it_learns_of_a_removal_has_vouched_or_vouches_when_it_learns_again() {
    for after_ms in 0..30 {
        let mut c = Cluster::new(100 + after_ms);
        let group = c.group_of(&["ada", "ben", "eve"]);
        c.isolate("ada");
        c.send_message("eve", group, "seen by ben");
        c.settle();
        remove(&mut c, "ada", group, "eve");
        c.isolate("eve");
        c.isolate("ben");
        c.heal();
        c.isolate("eve");
        c.run_for(after_ms);
        c.crash("ben");
        c.restart("ben");
        c.connect_all();
        c.settle();
        assert_eq!(c.read_chat("ada", group), ["seen by ben"], "crashed after {after_ms} ms");
        assert_eq!(c.read_chat("ben", group), ["seen by ben"], "crashed after {after_ms} ms");
    }
}

#[test]
fn a_demotion_to_viewer_cuts_what_was_written_apart_from_it() {
    let mut c = Cluster::new(10);
    let group = c.group_of(&["ada", "ben", "cem"]);
    c.send_message("ben", group, "as a member");
    c.settle();
    c.isolate("ben");
    set_role(&mut c, "ada", group, "ben", Role::Viewer);
    c.send_message("ben", group, "unaware");
    c.heal();
    c.settle();
    for name in ["ada", "ben", "cem"] {
        assert_eq!(c.read_chat(name, group), ["as a member"], "{name}");
    }
    let send = ChatCommand::say("no", None);
    assert_eq!(refused(&mut c, "ben", Command::Chat(group, send)).code, RefusalCode::NotAllowed);
    c.send_message("ada", group, "ben still reads");
    c.settle();
    assert_eq!(c.read_chat("ben", group), ["as a member", "ben still reads"]);
    set_role(&mut c, "ada", group, "ben", Role::Member);
    c.settle();
    c.send_message("ben", group, "again");
    c.settle();
    for name in ["ada", "ben", "cem"] {
        assert_eq!(c.read_chat(name, group), ["as a member", "ben still reads", "again"], "{name}");
    }
}

#[test]
fn who_was_lowered_cannot_vouch_for_itself() {
    let mut c = Cluster::new(11);
    let group = c.group_of(&["ada", "ben", "eve"]);
    let mut eve = Insider::take_over(&mut c, "eve");
    act_on(&mut c, "ada", group, &eve, Some(Role::Viewer));
    c.settle();
    let envelope = eve.log(Concern::Chat, 5).say("backdated");
    eve.hear(&c.take_inbox("eve"));
    let lowered = eve.roster.cutting();
    let [act] = lowered.into_iter().collect::<Vec<_>>()[..] else { panic!("one demotion") };
    let vectors = vec![(envelope.header.log, envelope.head())];
    let (_, held) = eve.state(Body::Held { removal: act, vectors });
    eve.greet(&mut c, "ada");
    eve.send_statements(&mut c, "ada", vec![held]);
    c.settle();
    eve.send(&mut c, "ada", &frame(eve.entity, &[envelope]));
    c.settle();
    assert_eq!(c.read_chat("ada", group), Vec::<String>::new());
}

#[test]
fn adding_apart_from_a_removal_loses_and_adding_after_it_wins() {
    let mut c = Cluster::new(12);
    let group = c.group_of(&["ada", "ben", "eve"]);
    let id = id_of(&mut c, "ada", group);
    set_role(&mut c, "ada", group, "ben", Role::Admin);
    c.settle();
    let certificate = |c: &Cluster| {
        let roster = roster_of(c, "ada", id);
        let eve = c.device("eve").unwrap();
        let statements = roster.ids().filter_map(|id| roster.statement(&id).cloned()).collect::<Vec<_>>();
        statements.into_iter().find_map(|statement| match statement.body() {
            Body::AcceptInvite { certificate, .. } if certificate.device.key == eve => {
                Some(certificate.clone())
            }
            _ => None,
        })
    };
    let certificate = certificate(&c).unwrap();
    c.isolate("ben");
    remove(&mut c, "ben", group, "eve");
    // Both at once: ada adds eve a second time, by hand, while ben removes it.
    let mut by_hand = Insider::of(&c, "ada");
    let add = by_hand.state(Body::Add { certificate: certificate.clone(), role: Role::Member }).1;
    c.inject("ada", "eve", Frame::Statements { entity: id, statements: vec![add] }.encode());
    c.settle();
    c.heal();
    c.settle();
    for name in ["ada", "ben", "eve"] {
        assert_eq!(members(&mut c, name, group, &["ada", "ben"]).len(), 2, "{name}");
    }
    let mut by_hand = Insider::of(&c, "ada");
    let add = by_hand.state(Body::Add { certificate, role: Role::Member }).1;
    c.inject("ada", "ben", Frame::Statements { entity: id, statements: vec![add] }.encode());
    c.settle();
    for name in ["ada", "ben", "eve"] {
        assert_eq!(members(&mut c, name, group, &["ada", "ben", "eve"]).len(), 3, "{name}");
    }
    c.send_message("ada", group, "welcome back");
    c.send_message("eve", group, "thank you");
    c.settle();
    assert_eq!(c.read_chat("eve", group), ["welcome back", "thank you"]);
    assert_eq!(c.read_chat("ben", group), ["welcome back", "thank you"]);
}

#[test]
fn a_member_with_very_many_logs_loses_none_of_them_when_it_is_removed() {
    let mut c = Cluster::new(13);
    let group = c.group_of(&["ada", "eve"]);
    let id = id_of(&mut c, "ada", group);
    let eve = Insider::take_over(&mut c, "eve");
    let logs = 600;
    eve.greet(&mut c, "ada");
    for incarnation in 0..logs {
        let envelope = eve.log(Concern::Chat, incarnation).say(&format!("{incarnation}"));
        eve.send(&mut c, "ada", &frame(id, &[envelope]));
    }
    c.settle();
    let before = envelopes(&c, "ada", id).len();
    assert!(before > 600, "{before}");
    act_on(&mut c, "ada", group, &eve, None);
    c.settle();
    let roster = roster_of(&c, "ada", id);
    let named = roster.cutting().into_iter().flat_map(|act| {
        let devices = BTreeSet::from([eve.device.key()]);
        roster.spared_by(&act, &devices)
    });
    assert!(named.count() as u64 >= logs, "all are spared");
    assert!(roster.ids().count() < STATEMENTS_PER_DEVICE_MAX);
}
