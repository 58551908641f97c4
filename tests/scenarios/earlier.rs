//! What went wrong in systems of this kind before, each as the behaviour that holds here.
//!
//! Adding and removing at once, values lost where two make the first one, quiet peers that write
//! for ever, rights taken on trust, deletions undone by who was away, gaps that are never filled,
//! bytes that stop everything after them. The promises themselves are in `promises`.

use std::collections::BTreeSet;

use fourword_protocol::command::{
    ChatCommand, Command, FaultKind, MessageView, Outcome, RefusalCode, Reply, Status,
};
use fourword_protocol::envelope::Envelope;
use fourword_protocol::identity::Certificate;
use fourword_protocol::ids::{DeviceKey, LogId};
use fourword_protocol::roster::{Body, Role, Roster};
use fourword_protocol::schema::Concern;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;
use fourword_tests::insider::{Insider, envelopes, frame, page};

use crate::asking::{approve, ask_in, code, done, requests};
use crate::people::{id_of, members, remove, set_role};
use crate::promises::{orders, say};

const DAY_MS: u64 = 86_400_000;

fn chat(c: &mut Cluster, by: &str, group: FourWords, command: ChatCommand) -> Outcome {
    c.ask(by, Command::Chat(group, command))
}

fn messages(c: &mut Cluster, name: &str, group: FourWords) -> Vec<MessageView> {
    match c.must(name, Command::Chat(group, ChatCommand::Read { last: 100 })) {
        Reply::Messages(messages) => messages,
        other => panic!("{other:?}"),
    }
}

fn status(c: &mut Cluster, name: &str) -> Status {
    match c.must(name, Command::Status) {
        Reply::Status(status) => status,
        other => panic!("{other:?}"),
    }
}

/// What a device was let in by.
fn certificate(roster: &Roster, device: DeviceKey) -> Certificate {
    let bodies = roster.ids().filter_map(|id| Some(roster.statement(&id)?.body().clone()));
    let admitted = bodies.filter_map(|body| match body {
        Body::AcceptInvite { certificate, .. } | Body::Add { certificate, .. } => Some(certificate),
        _ => None,
    });
    let mut of_device = admitted.filter(|certificate| certificate.device.key == device);
    of_device.next().unwrap()
}

/// A group of these and of `mal`, for whom the test speaks from now on.
fn with_mal(seed: u64, names: &[&str]) -> (Cluster, FourWords, Insider) {
    let mut c = Cluster::new(seed);
    let group = c.group_of(&[names, &["mal"]].concat());
    let mal = Insider::take_over(&mut c, "mal");
    (c, group, mal)
}

/// Another start of a node from a copy of its home, which only `mal` has reached.
fn copy_with_mal(c: &mut Cluster, mal: &Insider, of: &str, name: &str) {
    c.restore_copy(of, name);
    c.connect("mal", name);
    mal.greet(c, name);
    c.run_for(500);
}

// -- members ----------------------------------------------------------------------------------

#[test]
fn a_member_added_and_removed_at_once_is_removed_in_every_order() {
    let mut c = Cluster::new(1);
    let group = c.group_of(&["ada", "ben", "dia", "eve", "mal"]);
    set_role(&mut c, "ada", group, "ben", Role::Admin);
    c.settle();
    let (ada, ben) = (Insider::of(&c, "ada"), Insider::of(&c, "ben"));
    let eve = Insider::of(&c, "eve");
    let mal = Insider::take_over(&mut c, "mal");
    let again = certificate(&ada.roster, eve.device.key());
    // None of the three knows of the others, and the senior is for adding.
    let made = [
        ada.sign(Body::Add { certificate: again, role: Role::Admin }),
        ben.sign(Body::Remove { person: eve.person, vectors: Vec::new() }),
        ada.sign(Body::SetRole { person: eve.person, role: Role::Admin, vectors: Vec::new() }),
    ];
    c.stop("dia");
    for (number, order) in orders(made.len()).into_iter().enumerate() {
        let dia = format!("dia {number}");
        copy_with_mal(&mut c, &mal, "dia", &dia);
        for at in &order {
            mal.send_statements(&mut c, &dia, vec![made[*at].bytes().to_vec()]);
            c.run_for(50);
        }
        for restarted in [false, true] {
            let Reply::Members(members) = c.must(&dia, Command::Members(group)) else { panic!("members") };
            let is_in = members.iter().any(|member| member.person.person == eve.person);
            assert!(!is_in && members.len() == 4, "{order:?}, restarted: {restarted}");
            c.crash(&dia);
            c.restart(&dia);
        }
        c.crash(&dia);
    }
}

#[test]
fn who_comes_back_after_a_removal_is_in_by_a_new_adding() {
    let mut c = Cluster::new(2);
    let group = c.group_of(&["ada", "ben", "eve"]);
    c.send_message("eve", group, "before");
    c.settle();
    remove(&mut c, "ada", group, "eve");
    c.settle();
    let old: Vec<Vec<u8>> = c.remembered("ada").statements.into_iter().map(|(.., bytes)| bytes).collect();
    ask_in(&mut c, "eve", group);
    c.settle();
    let who = requests(&mut c, "ada", group)[0].person.person.to_string();
    assert!(done(&approve(&mut c, "ada", group, &who)));
    c.run_for(70_000);
    c.send_message("eve", group, "back again");
    c.settle();
    // The removal of before, once more, from who is in: it ends what it knew of and no more.
    let ben = Insider::take_over(&mut c, "ben");
    for name in ["ada", "eve"] {
        ben.send_statements(&mut c, name, old.clone());
    }
    c.settle();
    for restarted in [false, true] {
        for name in ["ada", "eve"] {
            let Reply::Members(members) = c.must(name, Command::Members(group)) else { panic!("members") };
            assert_eq!(members.len(), 3, "{name}");
            assert_eq!(c.read_chat(name, group), ["before", "back again"], "{name}, {restarted}");
            c.crash(name);
            c.restart(name);
        }
    }
}

#[test]
fn two_who_make_the_first_value_of_a_kind_at_once_lose_neither() {
    let mut c = Cluster::new(3);
    let names = ["ada", "ben", "cem"];
    let group = c.group_of(&names);
    let id = c.send_message("ada", group, "tea?");
    c.settle();
    names.iter().for_each(|name| c.isolate(name));
    for name in names {
        c.must(name, Command::SetName(format!("{name} the first")));
        let react = ChatCommand::React { message: id, emoji: "+1".into(), on: true };
        assert!(done(&chat(&mut c, name, group, react)));
    }
    // A role and a name are of one person and made by two.
    set_role(&mut c, "ada", group, "ben", Role::Admin);
    c.heal();
    c.settle();
    for name in names {
        let Reply::Members(members) = c.must(name, Command::Members(group)) else { panic!("members") };
        let shown: BTreeSet<(String, Role)> =
            members.into_iter().map(|member| (member.person.name, member.role)).collect();
        let expected = [("ada", Role::Owner), ("ben", Role::Admin), ("cem", Role::Member)];
        let expected = expected.map(|(name, role)| (format!("{name} the first"), role));
        assert_eq!(shown, BTreeSet::from(expected), "at {name}");
        let shown = messages(&mut c, name, group);
        assert_eq!(shown[0].reactions.iter().map(|(_, by)| by.len()).sum::<usize>(), 3, "at {name}");
    }
}

#[test]
fn nobody_raises_itself_or_lowers_its_seniors_by_what_it_signs_itself() {
    let (mut c, group, mut mal) = with_mal(4, &["ada", "ben"]);
    let ada = Insider::of(&c, "ada").person;
    let own = certificate(&mal.roster, mal.device.key());
    let before = members(&mut c, "ada", group, &["ada", "ben"]);
    let tried = [
        Body::SetRole { person: mal.person, role: Role::Owner, vectors: Vec::new() },
        Body::Add { certificate: own, role: Role::Owner },
        Body::SetRole { person: ada, role: Role::Viewer, vectors: Vec::new() },
        Body::Remove { person: ada, vectors: Vec::new() },
        Body::Revoke { person: ada, key: c.device("ada").unwrap(), vectors: Vec::new() },
    ];
    for body in tried {
        let (_, statement) = mal.state(body.clone());
        for name in ["ada", "ben"] {
            mal.send_statements(&mut c, name, vec![statement.clone()]);
        }
        c.settle();
        for name in ["ada", "ben"] {
            assert_eq!(members(&mut c, name, group, &["ada", "ben"]), before, "{body:?} at {name}");
        }
    }
    c.send_message("ada", group, "still here");
    c.settle();
    assert_eq!(c.read_chat("ben", group), ["still here"]);
}

#[test]
fn a_group_that_was_left_stays_left_whatever_others_say_of_it() {
    let mut c = Cluster::new(5);
    let group = c.group_of(&["ada", "ben", "eve"]);
    c.isolate("ben");
    c.must("eve", Command::Leave(group));
    c.settle();
    c.crash("eve");
    c.restart("eve");
    c.heal();
    c.settle();
    for name in ["ada", "ben"] {
        let Reply::Members(members) = c.must(name, Command::Members(group)) else { panic!("members") };
        assert_eq!(members.len(), 2, "{name}");
    }
    assert_eq!(code(&c.ask("eve", say(group, "no"))), Some(RefusalCode::NotAllowed));
    let Reply::Entities(entities) = c.must("eve", Command::Entities) else { panic!("entities") };
    assert!(entities.iter().all(|entity| entity.words != group || entity.role.is_none()), "{entities:?}");
}

// -- quiet ------------------------------------------------------------------------------------

#[test]
fn idle_peers_write_nothing_and_send_nothing_but_comparisons() {
    let mut c = Cluster::new(6);
    let names = ["ada", "ben", "cem", "dia", "eve"];
    let group = c.group_of(&names);
    for name in names {
        let id = c.send_message(name, group, "something");
        assert!(done(&chat(&mut c, "ada", group, ChatCommand::Delete(id))) || name != "ada");
    }
    remove(&mut c, "ada", group, "eve");
    c.run_for(600_000);
    let homes = |c: &Cluster| names.map(|name| c.remembered(name));
    let (before, sent) = (homes(&c), c.delivered);
    c.run_for(3_600_000);
    for (name, (before, after)) in names.into_iter().zip(before.into_iter().zip(homes(&c))) {
        assert_eq!(before.locals, after.locals, "{name}");
        assert_eq!(before.statements, after.statements, "{name}");
        assert_eq!(before.heads, after.heads, "{name}");
    }
    // Twenty ordered pairs that compare at most once a minute each, with answers.
    let sent = c.delivered - sent;
    assert!(sent <= 20 * 60 * 3, "{sent} frames in an hour");
}

// -- deletions and gaps -----------------------------------------------------------------------

#[test]
fn what_was_deleted_does_not_come_back_from_who_was_away_for_a_year() {
    let mut c = Cluster::new(7);
    let group = c.group_of(&["ada", "ben", "eve"]);
    let ids = ["one", "two"].map(|text| c.send_message("eve", group, text));
    c.settle();
    c.isolate("eve");
    c.send_message("eve", group, "from afar");
    assert!(done(&chat(&mut c, "ada", group, ChatCommand::Delete(ids[0]))));
    c.settle();
    ["ada", "ben"].iter().for_each(|name| c.isolate(name));
    for name in ["ada", "eve"] {
        c.crash(name);
        c.restart(name);
    }
    c.run_for(400 * DAY_MS);
    c.heal();
    c.settle();
    for name in ["ada", "ben", "eve"] {
        assert_eq!(c.read_chat(name, group), ["two", "from afar"], "{name}");
    }
}

#[test]
fn what_comes_in_reverse_is_held_back_and_taken_whole_once_the_first_has_come() {
    let (mut c, group, mal) = with_mal(8, &["ada", "ben"]);
    let mut log = mal.log(Concern::Chat, 7);
    let said: Vec<Envelope> = (0..40).map(|number| log.say(&format!("said {number}"))).collect();
    for envelope in said[1..].iter().rev() {
        mal.send(&mut c, "ada", &frame(mal.entity, std::slice::from_ref(envelope)));
    }
    c.run_for(500);
    assert!(c.read_chat("ada", group).is_empty(), "nothing without what comes before it");
    mal.send(&mut c, "ada", &frame(mal.entity, &said[..1]));
    c.settle();
    for name in ["ada", "ben"] {
        assert_eq!(c.read_chat(name, group).len(), 40, "{name}");
        assert_eq!(c.head_of(name, log.id), Some(log.head()), "{name}");
    }
}

#[test]
fn a_vector_tells_of_each_log_so_nothing_of_one_author_is_skipped_for_another_log_of_its() {
    let mut c = Cluster::new(9);
    let group = c.group_of(&["ada", "ben", "cem"]);
    c.gossip_loss = 100;
    c.isolate("cem");
    c.send_message("ben", group, "first log, not for cem");
    c.settle();
    let before: BTreeSet<LogId> = c.logs("ben");
    c.crash("ben");
    c.restart("ben");
    ["ada", "ben"].iter().for_each(|name| c.isolate(name));
    // Cem has much of the later log before it hears of the earlier one.
    (0..30).for_each(|number| {
        c.send_message("ben", group, &format!("second log {number}"));
    });
    assert!(c.logs("ben").len() > before.len());
    c.reunite("ada", "cem");
    c.settle();
    assert_eq!(c.read_chat("cem", group), ["first log, not for cem"]);
    c.reunite("ben", "cem");
    c.settle();
    c.reunite("ada", "cem");
    c.settle();
    for name in ["ada", "ben", "cem"] {
        assert_eq!(c.read_chat(name, group).len(), 31, "{name}");
    }
}

#[test]
fn what_arrives_while_a_document_is_read_from_disk_is_not_lost() {
    let mut c = Cluster::new(10);
    let group = c.group_of(&["ada", "ben"]);
    (0..200).for_each(|number| {
        c.begin("ada", say(group, &format!("kept {number}")));
    });
    c.settle();
    for wait in 0..12 {
        c.crash("ada");
        c.restart("ada");
        c.connect("ada", "ben");
        c.run_for(wait * 3);
        c.begin("ben", say(group, &format!("from ben {wait}")));
        let asked = c.begin("ada", say(group, &format!("from ada {wait}")));
        c.run_for(200);
        assert!(c.answer("ada", asked).is_some_and(done), "what waits for the reading is answered after it");
    }
    c.settle();
    let shown = c.read_chat("ada", group);
    assert_eq!(shown, c.read_chat("ben", group));
    let from = |name: &str| shown.iter().filter(|text| text.starts_with(&format!("from {name}"))).count();
    assert_eq!((from("ben"), from("ada")), (12, 12));
}

// -- bytes ------------------------------------------------------------------------------------

#[test]
fn an_undecodable_update_does_not_stop_later_edits_from_being_sent() {
    let (mut c, group, mal) = with_mal(11, &["ada", "ben"]);
    let mut log = mal.log(Concern::Chat, 7);
    let good = log.say("good");
    let junk = log.write(&[0xff; 40]);
    for name in ["ada", "ben"] {
        mal.send(&mut c, name, &frame(mal.entity, &[good.clone(), junk.clone()]));
    }
    // Edits of this side at the same moment, and later.
    c.begin("ada", say(group, "at once"));
    c.settle();
    c.send_message("ada", group, "later");
    c.send_message("ben", group, "too");
    c.settle();
    for name in ["ada", "ben"] {
        let mut shown = c.read_chat(name, group);
        shown.sort();
        assert_eq!(shown, ["at once", "good", "later", "too"], "{name}");
        let faults = status(&mut c, name).faults;
        assert!(faults.iter().any(|fault| fault.kind == FaultKind::Malformed), "{name}: {faults:?}");
    }
}

#[test]
fn bytes_behind_a_frame_are_a_fault_and_neither_of_them_is_read() {
    let (mut c, group, mal) = with_mal(12, &["ada", "ben"]);
    let mut log = mal.log(Concern::Chat, 7);
    let one = page(mal.entity, vec![log.say("one").bytes().to_vec()]);
    let two = page(mal.entity, vec![log.say("two").bytes().to_vec()]);
    for glued in [[&one[..], &two].concat(), [&one[..], &[0]].concat(), [&[0], &one[..]].concat()] {
        assert!(c.inject("mal", "ada", glued));
        c.run_for(100);
        assert!(c.read_chat("ada", group).is_empty());
    }
    let dropped = status(&mut c, "ada").dropped;
    assert_eq!(dropped.iter().find(|(why, _)| why == "malformed frame").map(|(_, count)| *count), Some(3));
    [one, two].into_iter().for_each(|bytes| assert!(c.inject("mal", "ada", bytes)));
    c.settle();
    assert_eq!(c.read_chat("ben", group), ["one", "two"]);
}

#[test]
fn who_passes_an_envelope_on_can_change_no_byte_of_it() {
    let mut c = Cluster::new(13);
    let group = c.group_of(&["ada", "ben", "dia", "mal"]);
    let mal = Insider::take_over(&mut c, "mal");
    c.isolate("dia");
    let entity = id_of(&mut c, "ada", group);
    c.send_message("ada", group, "as ada wrote it");
    c.settle();
    let device = c.device("ada").unwrap();
    let chat = mal.document(&Concern::Chat);
    let made = envelopes(&c, "ben", entity);
    let of_ada = |e: &&Envelope| e.header.log.device == device && e.header.log.document == chat;
    let real = made.iter().find(of_ada).unwrap().bytes().to_vec();
    c.stop("dia");
    for (number, at) in (0..real.len()).step_by(9).chain([real.len() - 1]).enumerate() {
        let dia = format!("dia {number}");
        copy_with_mal(&mut c, &mal, "dia", &dia);
        let mut changed = real.clone();
        changed[at] ^= 1;
        assert!(c.inject("mal", &dia, page(entity, vec![changed])));
        c.run_for(50);
        assert!(c.read_chat(&dia, group).is_empty(), "byte {at}");
        assert!(c.inject("mal", &dia, page(entity, vec![real.clone()])));
        c.run_for(50);
        assert_eq!(c.read_chat(&dia, group), ["as ada wrote it"], "and keeps the real one out nowhere");
        c.crash(&dia);
    }
}

#[test]
fn all_that_was_ever_sent_changes_nothing_when_it_is_sent_again() {
    let (mut c, group, mal) = with_mal(14, &["ada", "ben", "eve"]);
    let entity = id_of(&mut c, "ada", group);
    let ids = ["one", "two", "three"].map(|text| c.send_message("ben", group, text));
    c.settle();
    assert!(done(&chat(&mut c, "ada", group, ChatCommand::Delete(ids[0]))));
    assert!(done(&chat(&mut c, "ben", group, ChatCommand::Edit(ids[1], "second".into()))));
    c.send_message("eve", group, "before I go");
    c.settle();
    remove(&mut c, "ada", group, "eve");
    c.settle();
    let (statements, sent) = (c.remembered("ada").statements, envelopes(&c, "ada", entity));
    let names = ["ada", "ben"];
    let before = names.map(|name| (c.read_chat(name, group), c.remembered(name).heads));
    assert_eq!(before[0].0, ["(deleted)", "second", "three", "before I go"]);
    let again: Vec<Vec<u8>> =
        statements.into_iter().filter(|(of, ..)| *of == entity).map(|(.., bytes)| bytes).rev().collect();
    for name in names {
        mal.send_statements(&mut c, name, again.clone());
        for envelope in sent.iter().rev().chain(&sent) {
            mal.send(&mut c, name, &frame(entity, std::slice::from_ref(envelope)));
        }
    }
    c.settle();
    assert_eq!(names.map(|name| (c.read_chat(name, group), c.remembered(name).heads)), before);
    let Reply::Members(members) = c.must("ben", Command::Members(group)) else { panic!("members") };
    assert_eq!(members.len(), 3);
}
