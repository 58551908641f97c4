//! Keys follow the members: who is given which, who asks, and who cannot be made to give.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a story that goes wrong shall stop")]

use std::collections::BTreeSet;

use fourword_protocol::command::{ChatCommand, Command, JoinBy, Reply, SyncState};
use fourword_protocol::epoch::{self, EpochKey};
use fourword_protocol::identity::DeviceSecret;
use fourword_protocol::ids::{EntityId, StatementId};
use fourword_protocol::limits::{
    KEYS_PUSHED_MAX, LACKING_EPOCHS_MAX, SEALS_FOR_ONE_PERSON_MAX, SEALS_REPEATED_MAX,
};
use fourword_protocol::roster::{Body, Role, Seal};
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::core::Setting;
use fourword_protocol::wire::Frame;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;
use fourword_tests::insider::{Insider, envelopes, keys_of, roster_of};

use crate::people::{id_of, remove, set_role};

fn epochs(c: &Cluster, at: &str, id: EntityId) -> BTreeSet<StatementId> {
    roster_of(c, at, id).epochs().into_iter().collect()
}

/// How many statements a node's device has signed.
fn signed(c: &Cluster, by: &str, id: EntityId) -> usize {
    let (roster, device) = (roster_of(c, by, id), c.device(by).unwrap());
    roster.ids().filter(|id| roster.statement(id).is_some_and(|s| s.author() == device)).count()
}

/// An epoch by hand: sealed well to some devices and to others not so that it opens.
fn half_sealed(by: &mut Insider, well: &[&DeviceSecret], ill: &[&DeviceSecret]) -> (StatementId, Vec<u8>) {
    let key = EpochKey::generate(&mut by.random);
    let mut seals: Vec<Seal> = Vec::new();
    for device in well {
        let to = by.roster.sealing_key(&device.key()).unwrap();
        let sealed = epoch::seal(by.entity, &key, &by.secret, to, &mut by.random).unwrap();
        seals.push(Seal { device: device.key(), sealed });
    }
    seals.extend(ill.iter().map(|device| Seal { device: device.key(), sealed: vec![7; 112] }));
    seals.sort_by_key(|seal| seal.device);
    let counter = by.roster.next_counter();
    let (id, bytes) = by.state(Body::Epoch { counter, commitment: key.commitment(), seals });
    by.keys.insert(id, key);
    (id, bytes)
}

#[test]
fn two_who_change_the_key_at_once_end_with_one_and_everybody_reads_everything() {
    let mut c = Cluster::new(1);
    let group = c.group_of(&["ada", "ben", "cem", "dan", "eve"]);
    let id = id_of(&mut c, "ada", group);
    set_role(&mut c, "ada", group, "ben", Role::Admin);
    c.settle();
    c.isolate("ada");
    c.isolate("ben");
    remove(&mut c, "ada", group, "dan");
    remove(&mut c, "ben", group, "eve");
    c.send_message("ada", group, "from ada apart");
    c.send_message("ben", group, "from ben apart");
    c.heal();
    c.settle();
    for name in ["ada", "ben", "cem"] {
        c.send_message(name, group, &format!("from {name}"));
        c.settle();
    }
    let shown = c.read_chat("ada", group);
    assert_eq!(shown.len(), 5);
    for name in ["ben", "cem"] {
        assert_eq!(c.read_chat(name, group), shown, "{name}");
    }
    let roster = roster_of(&c, "ada", id);
    let last: BTreeSet<StatementId> = envelopes(&c, "ada", id)
        .iter()
        .filter(|e| e.header.heads == roster.heads())
        .map(|e| e.header.epoch)
        .collect();
    assert_eq!(last, BTreeSet::from([roster.reading().epoch.unwrap()]), "under one epoch");
    assert!(roster.epochs().len() <= 5, "nobody opens epochs for nothing: {}", roster.epochs().len());
}

#[test]
fn a_leave_is_followed_by_one_new_epoch_and_not_by_one_of_each_member() {
    let mut c = Cluster::new(2);
    let group = c.group_of(&["ada", "ben", "cem", "dan", "eve", "fay"]);
    let id = id_of(&mut c, "ada", group);
    let before = epochs(&c, "ada", id).len();
    c.must("fay", Command::Leave(group));
    c.settle();
    let opened = epochs(&c, "ada", id).len() - before;
    assert!((1..=3).contains(&opened), "{opened} epochs for one leave");
    c.send_message("ada", group, "without fay");
    c.settle();
    assert_eq!(c.read_chat("eve", group), ["without fay"]);
    assert_eq!(c.read_chat("fay", group), Vec::<String>::new());
}

#[test]
fn nobody_writes_under_an_epoch_that_somebody_opened_while_being_removed() {
    let mut c = Cluster::new(3);
    let group = c.group_of(&["ada", "ben", "cem", "eve"]);
    let id = id_of(&mut c, "ada", group);
    set_role(&mut c, "ada", group, "eve", Role::Admin);
    c.settle();
    c.isolate("eve");
    // Junior to eve by its invite, so that eve may remove it and opens an epoch for it.
    remove(&mut c, "ada", group, "eve");
    let mut eve = Insider::take_over(&mut c, "eve");
    let [ada, ben, cem] = ["ada", "ben", "cem"].map(|name| c.secret(name));
    let own = eve.device.clone();
    let (by_eve, statement) = half_sealed(&mut eve, &[&ada, &ben, &cem, &own], &[]);
    c.heal();
    eve.greet(&mut c, "ben");
    eve.send_statements(&mut c, "ben", vec![statement]);
    c.settle();
    for name in ["ada", "ben", "cem"] {
        assert!(roster_of(&c, name, id).contains(&by_eve), "{name} has heard of it");
        c.send_message(name, group, name);
    }
    c.settle();
    let (keys, _) = keys_of(&roster_of(&c, "ada", id), &eve.device);
    let chat = eve.document(&Concern::Chat);
    let messages = envelopes(&c, "ada", id).into_iter().filter(|e| e.header.log.document == chat);
    let messages: Vec<_> = messages.collect();
    assert_eq!(messages.len(), 3);
    assert!(messages.iter().all(|e| e.header.epoch != by_eve));
    assert!(messages.iter().all(|e| keys.values().all(|key| e.open(key).is_err())));
}

#[test]
fn a_newcomer_who_misses_an_epoch_opened_at_the_same_moment_gets_its_key_from_anyone() {
    let mut c = Cluster::new(4);
    let group = c.group_of(&["ada", "ben", "eve"]);
    c.add("dan");
    let code = c.invite("ada", group, Role::Member, 1);
    c.settle();
    c.isolate("ada");
    remove(&mut c, "ada", group, "eve");
    c.send_message("ada", group, "under the new key");
    c.isolate("eve");
    c.connect("ben", "dan");
    let join = Command::Join { words: group, by: JoinBy::Code(code), peers: vec!["sim:ben".into()] };
    c.must("dan", join);
    c.settle();
    // Ada tells ben and is gone again: only ben can give dan the key.
    c.heal();
    c.isolate("dan");
    c.settle();
    c.isolate("ada");
    c.connect("ben", "dan");
    c.heal();
    c.isolate("ada");
    c.settle();
    assert_eq!(c.read_chat("dan", group), ["under the new key"]);
}

#[test]
fn a_device_whose_key_was_late_ends_with_everything() {
    let mut c = Cluster::new(5);
    let group = c.group_of(&["ada", "ben", "dan", "mal"]);
    let id = id_of(&mut c, "ada", group);
    c.isolate("dan");
    c.settle();
    let mut mal = Insider::take_over(&mut c, "mal");
    let [ada, ben, dan] = ["ada", "ben", "dan"].map(|name| c.secret(name));
    let own = mal.device.clone();
    let (ill, statement) = half_sealed(&mut mal, &[&ada, &ben, &own], &[&dan]);
    mal.send_statements(&mut c, "ada", vec![statement]);
    c.settle();
    c.send_message("ada", group, "one");
    c.send_message("ben", group, "two");
    c.settle();
    assert!(envelopes(&c, "ada", id).iter().any(|e| e.header.epoch == ill), "they write under it");
    // Only what dan cannot open comes at first: whoever gives it the roster says nothing of keys.
    c.heal();
    for name in ["ada", "ben"] {
        c.disconnect("dan", name);
    }
    c.connect("dan", "ben");
    let waiting = |c: &mut Cluster| match c.must("dan", Command::SyncStatus(Some(group))) {
        Reply::Sync { documents, .. } => {
            let mut waiting = documents.into_iter().filter(|d| d.state == SyncState::WaitingForKey);
            waiting.next().map(|document| document.reason)
        }
        other => panic!("{other:?}"),
    };
    let mut waited = Vec::new();
    for _ in 0..200 {
        c.run_for(10);
        waited.extend(waiting(&mut c));
    }
    let names = |reason: &String| reason.contains("came without the key that device");
    assert!(!waited.is_empty() && waited.iter().all(names), "shown while it lasts: {waited:?}");
    c.settle();
    assert_eq!(waiting(&mut c), None);
    assert_eq!(c.read_chat("dan", group), ["one", "two"]);
    c.send_message("dan", group, "three");
    c.settle();
    assert_eq!(c.read_chat("ben", group), ["one", "two", "three"]);
    c.crash("dan");
    c.restart("dan");
    assert_eq!(c.read_chat("dan", group), ["one", "two", "three"]);
}

#[test]
fn who_asks_for_keys_without_end_is_not_given_them_without_end() {
    let mut c = Cluster::new(6);
    let group = c.group_of(&["ada", "ben", "mal"]);
    let id = id_of(&mut c, "ada", group);
    let mut mal = Insider::take_over(&mut c, "mal");
    let before = signed(&c, "ada", id);
    let own: Vec<StatementId> = mal.keys.keys().copied().collect();
    for _ in 0..300 {
        mal.send(&mut c, "ada", &Frame::Lacking { entity: id, epochs: own.clone() });
        mal.send(&mut c, "ada", &Frame::Lacking { entity: id, epochs: vec![StatementId([9; 32]); 40] });
        c.run_for(700);
    }
    let ones = signed(&c, "ada", id) - before;
    assert!((1..=SEALS_REPEATED_MAX * own.len()).contains(&ones), "{ones} seals for {} epochs", own.len());
    // Devices made for the purpose do not help.
    for number in 0..40 {
        let device = DeviceSecret::generate(&mut mal.random);
        let card = device.card(mal.person);
        let certify = mal.state(Body::Certify { device: card }).1;
        mal.send_statements(&mut c, "ada", vec![certify]);
        c.run_for(100 + number);
    }
    c.settle();
    assert!(
        signed(&c, "ada", id) - before <= SEALS_REPEATED_MAX * own.len(),
        "who does not ask itself is given nothing"
    );
    let many = vec![own[0]; LACKING_EPOCHS_MAX + 1];
    for _ in 0..20 {
        if c.are_connected("mal", "ada") {
            mal.send(&mut c, "ada", &Frame::Lacking { entity: id, epochs: many.clone() });
            c.run_for(10);
        }
    }
    assert!(!c.are_connected("mal", "ada"), "who breaks the limit is sent away");
    c.send_message("ada", group, "unimpressed");
    c.settle();
    assert_eq!(c.read_chat("ben", group), ["unimpressed"]);
}

#[test]
fn of_very_many_keys_some_are_pushed_the_others_asked_for_and_nobody_gets_seals_without_end() {
    let mut c = Cluster::new(11);
    let group = c.group_of(&["ada", "mal"]);
    let id = id_of(&mut c, "ada", group);
    let mut mal = Insider::take_over(&mut c, "mal");
    let (ada, device) = (c.secret("ada"), mal.device.key());
    let enough = SEALS_FOR_ONE_PERSON_MAX / SEALS_REPEATED_MAX + 1;
    let opened: Vec<(StatementId, Vec<u8>)> =
        (0..enough).map(|_| half_sealed(&mut mal, &[&ada], &[])).collect();
    mal.send_statements(&mut c, "ada", opened.iter().map(|(_, bytes)| bytes.clone()).collect());
    c.settle();
    let sealed_to = |c: &Cluster, to| roster_of(c, "ada", id).sealed_by(&ada.key(), |device| *device == to);

    // As many are asked for at once as may, and each again and again.
    let asked: Vec<StatementId> = opened.iter().map(|(epoch, _)| *epoch).collect();
    for round in 0..=SEALS_REPEATED_MAX {
        for part in asked.chunks(LACKING_EPOCHS_MAX) {
            mal.send(&mut c, "ada", &Frame::Lacking { entity: id, epochs: part.to_vec() });
            c.run_for(1_000);
        }
        if round == 0 {
            let once = sealed_to(&c, device);
            assert!(asked.iter().all(|epoch| once.get(epoch) == Some(&1)), "all that were asked for");
        }
    }
    let sealed = sealed_to(&c, device);
    assert_eq!(asked.iter().filter_map(|epoch| sealed.get(epoch)).max(), Some(&SEALS_REPEATED_MAX));
    assert_eq!(sealed.values().sum::<usize>(), SEALS_FOR_ONE_PERSON_MAX);

    // Another person has a share of its own.
    c.add("dan");
    let code = c.invite("ada", group, Role::Member, 1);
    c.join("dan", group, &code);
    let dan = c.device("dan").unwrap();
    assert_eq!(sealed_to(&c, dan).values().sum::<usize>(), KEYS_PUSHED_MAX);
    c.run_for(30_000);
    let (keys, _) = keys_of(&roster_of(&c, "dan", id), &c.secret("dan"));
    assert_eq!(keys.len(), epochs(&c, "ada", id).len());
    assert!(keys.len() > KEYS_PUSHED_MAX);
}

#[test]
fn devices_that_come_and_go_do_not_make_others_open_epochs_without_end() {
    let mut c = Cluster::new(7);
    let group = c.group_of(&["ada", "ben", "mal"]);
    let id = id_of(&mut c, "ada", group);
    let mut mal = Insider::take_over(&mut c, "mal");
    let (before, began) = ([signed(&c, "ada", id), signed(&c, "ben", id)], 200);
    for _ in 0..began {
        // The newest key that mal can have, given to a device that is revoked at once.
        mal.hear(&c.take_inbox("mal"));
        let device = DeviceSecret::generate(&mut mal.random);
        let certify = mal.state(Body::Certify { device: device.card(mal.person) }).1;
        let epoch = mal.roster.reading().epoch.unwrap_or(mal.epoch);
        let seals = vec![Seal { device: device.key(), sealed: vec![1; 112] }];
        let seal = mal.state(Body::SealKey { epoch, seals }).1;
        let person = mal.person;
        let revoke = mal.state(Body::Revoke { person, key: device.key(), vectors: Vec::new() }).1;
        mal.send_statements(&mut c, "ada", vec![certify, seal, revoke]);
        c.run_for(250);
    }
    let elapsed_s = began / 4;
    let opened = [signed(&c, "ada", id) - before[0], signed(&c, "ben", id) - before[1]];
    let allowed = 8 + elapsed_s / 10 + 1;
    assert!(opened.iter().all(|count| *count <= allowed), "{opened:?} epochs in {elapsed_s} s");
    assert!(opened.iter().sum::<usize>() >= 8, "the attack does make them open epochs: {opened:?}");
    // Once it rests, what was written meanwhile is sealed and everybody is at one.
    let waiting = c.begin("ada", Command::Chat(group, ChatCommand::say("x", None)));
    c.run_for(30_000);
    assert!(c.answer("ada", waiting).is_some());
    c.send_message("ben", group, "after the storm");
    c.settle();
    assert!(c.read_chat("ada", group).contains(&"after the storm".to_owned()));
}

fn close_history(c: &mut Cluster, by: &str, group: FourWords) {
    c.must(by, Command::Configure(group, Setting::NewcomersReadHistory(false)));
    c.settle();
}

#[test]
fn a_newcomer_reads_no_history_where_the_group_says_so_and_all_that_follows() {
    let mut c = Cluster::new(8);
    let group = c.group_of(&["ada", "ben"]);
    let id = id_of(&mut c, "ada", group);
    c.send_message("ada", group, "old");
    c.send_message("ben", group, "old too");
    close_history(&mut c, "ada", group);
    let old = envelopes(&c, "ada", id);
    c.add("dan");
    let code = c.invite("ada", group, Role::Member, 2);
    c.join("dan", group, &code);
    c.connect_all();
    c.settle();
    c.send_message("ada", group, "new");
    c.send_message("ben", group, "new too");
    c.send_message("dan", group, "hello");
    c.settle();
    assert_eq!(c.read_chat("dan", group), ["new", "new too", "hello"]);
    assert_eq!(c.read_chat("ben", group), ["old", "old too", "new", "new too", "hello"]);
    let (keys, _) = keys_of(&roster_of(&c, "ada", id), &c.secret("dan"));
    assert!(!keys.is_empty());
    assert!(old.iter().all(|envelope| keys.values().all(|key| envelope.open(key).is_err())));
    // Also when the members come up anew, and dan asks them for what it lacks.
    for name in ["ada", "ben", "dan"] {
        c.crash(name);
        c.restart(name);
        c.connect_all();
    }
    c.run_for(200_000);
    let (after, _) = keys_of(&roster_of(&c, "ada", id), &c.secret("dan"));
    assert_eq!(after.keys().collect::<Vec<_>>(), keys.keys().collect::<Vec<_>>());
    c.send_message("ben", group, "and on");
    c.settle();
    assert_eq!(c.read_chat("dan", group).last().unwrap(), "and on");
}

#[test]
fn history_that_is_opened_later_comes_to_who_was_let_in_without_it() {
    let mut c = Cluster::new(9);
    let group = c.group_of(&["ada", "ben"]);
    c.send_message("ada", group, "old");
    close_history(&mut c, "ada", group);
    c.add("dan");
    let code = c.invite("ada", group, Role::Member, 2);
    c.join("dan", group, &code);
    c.connect_all();
    c.settle();
    assert_eq!(c.read_chat("dan", group), Vec::<String>::new());
    c.must("ada", Command::Configure(group, Setting::NewcomersReadHistory(true)));
    c.run_for(200_000);
    assert_eq!(c.read_chat("dan", group), ["old"]);
    c.send_message("dan", group, "I see");
    c.settle();
    assert_eq!(c.read_chat("ada", group), ["old", "I see"]);
}

// Found by the simulation.
#[test]
fn what_waited_for_a_new_key_is_sealed_when_another_write_brings_it() {
    let mut c = Cluster::new(21);
    let group = c.group_of(&["ada", "ben", "fay"]);
    c.isolate("ben");
    c.must("fay", Command::Leave(group));
    c.run_for(100);
    // The name waits for a key that nobody has opened yet; the message has it opened at once.
    c.must("ada", Command::SetName("Ada".into()));
    c.send_message("ada", group, "without fay");
    c.settle();
    c.stop("ada");
    c.restart("ada");
    let Reply::Members(members) = c.must("ada", Command::Members(group)) else { panic!("members") };
    assert!(members.iter().any(|member| member.person.name == "Ada"), "{members:?}");
}
