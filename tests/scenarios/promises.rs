//! The six promises of the product, as somebody would check them who does not believe them.
//!
//! Each promise has more stories elsewhere; here stand those that no other file tells.
//! 1. Nothing that was called saved is lost: also `surviving`, `forks`, `removed`.
//! 2. All who reach each other, through others too, converge, and the status is true: also `chat`.
//! 3. Deletion wins in every order: also `chat`, `earlier`.
//! 4. No outsider reads or writes, nobody writes in another's name: also `removed`, `keys`,
//!    and `stranger`, `rights` and `member` in tests/hostile.
//! 5. What others can make a node hold is bounded: `bounds`, `pressing`; `floods` and `siege` there.
//! 6. No input crashes, hangs or poisons: `mutants`, `grammar`, `home` there; `earlier` here.

use std::collections::{BTreeMap, BTreeSet};

use fourword_protocol::command::{ChatCommand, Command, DocumentSync, Kind, Outcome, Reply, SyncState};
use fourword_protocol::envelope::Envelope;
use fourword_protocol::ids::{DeviceKey, EnvelopeHash};
use fourword_protocol::schema::chat::MessageId;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;
use fourword_tests::insider::{Insider, envelopes, page};

use crate::people::id_of;

pub(crate) fn say(group: FourWords, text: &str) -> Command {
    Command::Chat(group, ChatCommand::say(text.to_owned(), None))
}

// -- nothing that was called saved is lost ----------------------------------------------------

#[test]
fn a_power_cut_at_any_moment_takes_nothing_that_was_called_saved_and_leaves_nothing_in_halves() {
    let mut answered = BTreeSet::new();
    for (moment, kept) in (0..14).flat_map(|moment| (0..3).map(move |kept| (moment, kept))) {
        let mut c = Cluster::new(1);
        let group = c.group_of(&["ada", "ben"]);
        c.isolate("ada");
        let mut asked = Vec::new();
        for ms in 0..moment {
            let text = format!("message {ms}");
            asked.push((c.begin("ada", say(group, &text)), text));
            c.run_for(1);
        }
        let saved = asked
            .iter()
            .filter(|(id, _)| matches!(c.answer("ada", *id), Some(Outcome::Done(Reply::Message(_)))));
        let saved: Vec<String> = saved.map(|(_, text)| text.clone()).collect();
        answered.insert(saved.len());
        c.crash_keeping("ada", kept);
        c.restart("ada");
        let shown = c.read_chat("ada", group);
        assert!(saved.iter().all(|text| shown.contains(text)), "cut at {moment}: {saved:?} in {shown:?}");
        let asked: Vec<String> = asked.into_iter().map(|(_, text)| text).take(shown.len()).collect();
        assert_eq!(shown, asked, "cut at {moment}: in their order, none without those before it");
        c.heal();
        c.settle();
        assert_eq!(c.read_chat("ben", group), shown, "cut at {moment}");
    }
    assert!(answered.len() > 5, "cuts came at many moments: {answered:?}");
}

// -- all converge, and the status is true -----------------------------------------------------

fn chat_sync(c: &mut Cluster, name: &str, group: FourWords) -> DocumentSync {
    let Reply::Sync { documents, .. } = c.must(name, Command::SyncStatus(Some(group))) else {
        panic!("a status")
    };
    documents.into_iter().find(|document| document.id.ends_with(":chat")).unwrap()
}

/// Whom a node says to be in sync with, by name.
fn in_sync_with(c: &mut Cluster, name: &str, group: FourWords, names: &[&str]) -> BTreeSet<String> {
    let of: BTreeMap<DeviceKey, &str> = names.iter().map(|name| (c.device(name).unwrap(), *name)).collect();
    let peers = chat_sync(c, name, group).peers.into_iter();
    let equal = peers.filter(|peer| peer.state == SyncState::InSync);
    equal.map(|peer| of[&peer.device].to_owned()).collect()
}

/// Fails if two say at one moment to be in sync with each other and show different chats.
fn nobody_lies(c: &mut Cluster, group: FourWords, names: &[&str]) -> usize {
    let said: BTreeMap<&str, BTreeSet<String>> =
        names.iter().map(|name| (*name, in_sync_with(c, name, group, names))).collect();
    let mutual = names.iter().flat_map(|a| names.iter().map(move |b| (*a, *b)));
    let mutual: Vec<(&str, &str)> =
        mutual.filter(|(a, b)| a < b && said[a].contains(*b) && said[b].contains(*a)).collect();
    for (a, b) in &mutual {
        assert_eq!(c.read_chat(a, group), c.read_chat(b, group), "{a} and {b} say that they are equal");
    }
    mutual.len()
}

#[test]
fn those_who_never_meet_converge_through_others_and_nobody_calls_unequal_chats_equal_meanwhile() {
    const NAMES: [&str; 4] = ["ada", "ben", "cem", "dia"];
    let mut c = Cluster::new(2);
    let group = c.group_of(&NAMES);
    c.gossip_loss = 100;
    NAMES.iter().for_each(|name| c.isolate(name));
    for name in NAMES {
        c.send_message(name, group, &format!("{name} alone"));
        assert_eq!(chat_sync(&mut c, name, group).state, SyncState::Alone);
    }
    NAMES.windows(2).for_each(|pair| c.reunite(pair[0], pair[1]));
    let mut agreed = BTreeSet::new();
    for moment in 0..200 {
        if moment % 40 == 7 {
            c.begin(NAMES[moment % 4], say(group, &format!("while others listen {moment}")));
        }
        c.run_for(37);
        agreed.insert(nobody_lies(&mut c, group, &NAMES));
    }
    assert!(agreed.len() > 1, "they were equal at some moments and not at others: {agreed:?}");
    c.settle();
    let expected = c.read_chat("ada", group);
    assert_eq!(expected.len(), NAMES.len() + 5);
    for (place, name) in NAMES.into_iter().enumerate() {
        assert_eq!(c.read_chat(name, group), expected, "{name}");
        let neighbours = (0..NAMES.len()).filter(|other| other.abs_diff(place) == 1);
        let neighbours: BTreeSet<String> = neighbours.map(|other| NAMES[other].to_owned()).collect();
        assert_eq!(in_sync_with(&mut c, name, group, &NAMES), neighbours, "{name} answers for whom it meets");
    }
}

#[test]
fn two_who_are_never_up_at_once_converge_by_a_third_that_crashes_between_its_visits() {
    let mut c = Cluster::new(3);
    let group = c.group_of(&["ada", "ben", "cem"]);
    c.stop("cem");
    for round in 0..4 {
        let (up, down) = [("ada", "cem"), ("cem", "ada")][round % 2];
        if round > 0 {
            c.stop(down);
            c.restart(up);
        }
        c.send_message(up, group, &format!("round {round}"));
        c.connect(up, "ben");
        c.settle();
        c.crash("ben");
        c.restart("ben");
    }
    c.connect("cem", "ben");
    c.settle();
    let shown = c.read_chat("cem", group);
    assert_eq!(shown, ["round 0", "round 1", "round 2", "round 3"]);
    c.stop("cem");
    c.restart("ada");
    c.connect("ada", "ben");
    c.settle();
    assert_eq!(c.read_chat("ada", group), shown);
}

// -- deletion wins ----------------------------------------------------------------------------

/// All orders of so many things.
pub(crate) fn orders(count: usize) -> Vec<Vec<usize>> {
    let mut orders = vec![Vec::new()];
    for thing in 0..count {
        let longer = orders.iter().flat_map(|order: &Vec<usize>| {
            (0..=order.len()).map(move |at| {
                let mut longer = order.clone();
                longer.insert(at, thing);
                longer
            })
        });
        orders = longer.collect();
    }
    orders
}

fn chat(c: &mut Cluster, by: &str, group: FourWords, command: ChatCommand) {
    c.must(by, Command::Chat(group, command));
}

/// A message, an edit, a reaction and a deletion, made apart from one another: each in an envelope.
fn deleted_meanwhile(c: &mut Cluster, group: FourWords, deleter: &str) -> Vec<Envelope> {
    let entity = id_of(c, "ada", group);
    let before: BTreeSet<EnvelopeHash> = envelopes(c, "ada", entity).iter().map(Envelope::hash).collect();
    let id: MessageId = c.send_message("ben", group, "secret");
    c.settle();
    for (a, b) in [("ada", "ben"), ("ben", "cem"), ("ada", "cem")] {
        c.disconnect(a, b);
    }
    chat(c, "ben", group, ChatCommand::Edit(id, "changed".into()));
    chat(c, "cem", group, ChatCommand::React { message: id, emoji: "+1".into(), on: true });
    chat(c, deleter, group, ChatCommand::Delete(id));
    for (a, b) in [("ada", "ben"), ("ben", "cem"), ("ada", "cem")] {
        c.connect(a, b);
    }
    c.settle();
    let new = envelopes(c, "ada", entity).into_iter().filter(|envelope| !before.contains(&envelope.hash()));
    new.collect()
}

#[test]
fn deletion_wins_over_message_edit_and_reaction_in_every_order_in_which_they_can_arrive() {
    for deleter in ["ada", "ben"] {
        let mut c = Cluster::new(4);
        let group = c.group_of(&["ada", "ben", "cem", "dia", "mal"]);
        ["ada", "ben", "cem"].iter().for_each(|name| c.disconnect("dia", name));
        let mal = Insider::take_over(&mut c, "mal");
        let made = deleted_meanwhile(&mut c, group, deleter);
        assert_eq!(made.len(), 4);
        c.stop("dia");
        let deletion = c.device(deleter).unwrap();
        let of_deleter: Vec<usize> = (0..4).filter(|at| made[*at].header.log.device == deletion).collect();
        for (number, order) in orders(4).into_iter().enumerate() {
            let dia = format!("dia {number}");
            c.restore_copy("dia", &dia);
            c.connect("mal", &dia);
            mal.greet(&mut c, &dia);
            c.run_for(500);
            for came in 0..order.len() {
                let bytes = made[order[came]].bytes().to_vec();
                assert!(c.inject("mal", &dia, page(mal.entity, vec![bytes])));
                c.run_for(50);
                let is_deleted = of_deleter.iter().all(|at| order[..=came].contains(at));
                let shown = c.read_chat(&dia, group);
                let shows = shown.iter().any(|text| text != "(deleted)");
                assert!(!(is_deleted && shows), "{shown:?} by {deleter} after {:?}", &order[..=came]);
            }
            for restarted in [false, true] {
                assert_eq!(c.read_chat(&dia, group), ["(deleted)"], "{order:?} {restarted}");
                c.crash(&dia);
                c.restart(&dia);
            }
            c.crash(&dia);
        }
    }
}

// -- nobody outside reads ---------------------------------------------------------------------

#[test]
fn nothing_that_is_sent_or_passed_on_shows_a_word_of_what_was_written() {
    let mut c = Cluster::new(5);
    let words = ["plain-message", "plain-channel", "plain-name", "plain-reply"];
    let group = c.group_of(&["ada", "ben"]);
    c.add("eve");
    c.take_over("eve");
    c.must("ben", Command::SetName("plain-name".into()));
    let channel = c.create_child("ada", Kind::Channel, "plain-channel", group);
    c.connect_all();
    c.settle();
    let id = c.send_message("ada", channel, "plain-message");
    c.settle();
    let reply = ChatCommand::say("plain-reply", Some(id));
    chat(&mut c, "ben", channel, reply);
    c.settle();
    let entity = id_of(&mut c, "ada", group);
    let envelopes = envelopes(&c, "ben", entity);
    let statements = c.remembered("ben").statements;
    let heard = c.take_inbox("eve");
    assert!(envelopes.len() >= 4 && statements.len() >= 4 && !heard.is_empty(), "there is much to look at");
    let passed_on = envelopes.iter().map(|envelope| envelope.bytes().to_vec());
    let all = passed_on.chain(statements.into_iter().map(|(_, _, bytes)| bytes));
    for bytes in all.chain(heard.into_iter().map(|(_, bytes)| bytes)) {
        let shows = |word: &&&str| bytes.windows(word.len()).any(|part| part == word.as_bytes());
        assert_eq!(words.iter().find(shows), None);
    }
    assert!(c.read_chat("ben", channel).contains(&"plain-message".to_owned()), "members read it");
}
