//! How nodes find a way to each other: by the words, after a parting, and where they were met.

use std::collections::BTreeSet;

use fourword_protocol::command::{Command, Kind, MemberCommand, Reply};
use fourword_protocol::ids::{DeviceKey, Digest};
use fourword_protocol::limits::{ADDRESS_BYTES_MAX, FOUND_DEVICES_MAX, MET_ADDRESSES_MAX};
use fourword_protocol::roster::Role;
use fourword_tests::cluster::Cluster;
use fourword_tests::insider::Insider;

use crate::asking::{by_words, requests};
use crate::people::remove;

const MINUTE_MS: u64 = 60_000;

fn strangers(count: u8) -> Vec<DeviceKey> {
    (0..count).map(|number| DeviceKey([number; 32])).collect()
}

/// How many addresses of fellow members a node remembers, by device.
fn remembered(c: &Cluster, name: &str) -> usize {
    c.remembered(name).locals.iter().filter(|(key, _)| key.kind == "met").count()
}

#[test]
fn who_knows_the_words_and_nobody_is_led_to_a_member_and_let_in() {
    let mut c = Cluster::new(1);
    c.add("ada");
    c.add("eve");
    let group = c.create_group("ada", "team");
    c.open_rendezvous();
    c.begin("eve", by_words(group, None, "it is me"));
    c.run_for(MINUTE_MS);
    assert!(c.are_connected("ada", "eve"));
    let who = requests(&mut c, "ada", group)[0].person.person.to_string();
    c.must("ada", Command::Member(group, MemberCommand::Approve { who, role: Role::Member }));
    c.settle();
    c.send_message("eve", group, "found you");
    c.settle();
    assert_eq!(c.read_chat("ada", group), ["found you"]);
}

#[test]
fn the_words_of_a_channel_lead_to_the_members_of_its_group() {
    let mut c = Cluster::new(10);
    c.add("ada");
    c.add("eve");
    let group = c.create_group("ada", "team");
    let channel = c.create_child("ada", Kind::Channel, "talk", group);
    c.open_rendezvous();
    c.begin("eve", by_words(channel, None, ""));
    c.run_for(MINUTE_MS);
    assert!(c.are_connected("ada", "eve"));
    assert_eq!(requests(&mut c, "ada", group).len(), 1);
}

#[test]
fn an_invite_whose_addresses_are_stale_still_leads_in_by_its_words() {
    let mut c = Cluster::new(2);
    for name in ["ada", "ben", "eve"] {
        c.add(name);
    }
    let group = c.create_group("ada", "team");
    let code = c.invite("ada", group, Role::Member, 10);
    c.join("ben", group, &code);
    c.stop("ada");
    c.open_rendezvous();
    // The code names Ada, who is gone; Ben is found instead.
    c.join("eve", group, &code);
    assert!(c.are_connected("ben", "eve"));
}

#[test]
fn members_who_were_cut_off_find_each_other_again_by_themselves() {
    let mut c = Cluster::new(3);
    let group = c.group_of(&["ada", "ben", "cem"]);
    c.open_rendezvous();
    for name in ["ada", "ben", "cem"] {
        c.stop(name);
    }
    for name in ["ada", "ben", "cem"] {
        c.restart(name);
    }
    c.run_for(MINUTE_MS);
    assert!(c.are_connected("ada", "ben") && c.are_connected("ben", "cem") && c.are_connected("cem", "ada"));
    c.disconnect("ada", "ben");
    c.run_for(5_000);
    assert!(c.are_connected("ada", "ben"));
    c.send_message("ada", group, "all here");
    c.settle();
    assert_eq!(c.read_chat("cem", group), ["all here"]);
}

#[test]
fn room_is_kept_for_fellow_members_from_the_start_and_for_the_removed_no_more() {
    let mut c = Cluster::new(11);
    let group = c.group_of(&["ada", "ben", "cem"]);
    c.add("eve");
    c.connect("ada", "eve");
    c.settle();
    let device = |c: &Cluster, name: &str| c.device(name).unwrap();
    let both: BTreeSet<DeviceKey> = ["ben", "cem"].iter().map(|name| device(&c, name)).collect();
    assert_eq!(BTreeSet::from_iter(c.fellows("ada")), both);
    assert!(c.fellows("eve").is_empty());
    c.stop("ada");
    c.restart("ada");
    c.settle();
    assert_eq!(BTreeSet::from_iter(c.fellows("ada")), both, "also after a restart, with nobody connected");
    c.connect("ada", "ben");
    c.settle();
    remove(&mut c, "ada", group, "cem");
    c.settle();
    assert_eq!(c.fellows("ada"), [device(&c, "ben")]);
    assert_eq!(c.fellows("ben"), [device(&c, "ada")]);
}

#[test]
fn whom_all_have_found_nobody_searches_for_any_more() {
    let mut c = Cluster::new(4);
    c.group_of(&["ada", "ben"]);
    c.open_rendezvous();
    c.run_for(10 * MINUTE_MS);
    c.pose(c.offered("ada").into_iter().next().unwrap(), strangers(1));
    c.run_for(60 * MINUTE_MS);
    assert!(c.node("ada").tried.is_empty());
}

#[test]
fn after_a_restart_a_node_dials_fellow_members_where_they_were_met() {
    let mut c = Cluster::new(5);
    c.group_of(&["ada", "ben"]);
    c.tell_address("ben", "ada");
    c.settle();
    assert_eq!(remembered(&c, "ben"), 1);
    c.stop("ben");
    c.restart("ben");
    c.settle();
    assert!(c.are_connected("ada", "ben"), "without anything that leads nodes to each other");
}

#[test]
fn a_stranger_is_neither_remembered_nor_tried_under_a_groups_key() {
    let mut c = Cluster::new(6);
    let group = c.group_of(&["ada", "ben"]);
    c.add("mal");
    c.connect("mal", "ada");
    c.tell_address("ada", "mal");
    c.settle();
    assert_eq!(remembered(&c, "ada"), 0);
    for key in c.offered("ada") {
        c.pose(key, strangers(3));
    }
    c.open_rendezvous();
    c.stop("ben");
    c.run_for(10 * MINUTE_MS);
    assert!(c.node("ada").tried.is_empty(), "{:?}", c.node("ada").tried);

    // Whoever wants in has nothing but the words, and tries some of those who pose as members.
    c.add("eve");
    for key in c.offered("ada") {
        c.pose(key, strangers(200));
    }
    c.isolate("ada");
    c.begin("eve", by_words(group, None, ""));
    c.run_for(2_000);
    assert_eq!(c.node("eve").tried.len(), FOUND_DEVICES_MAX);
}

#[test]
fn a_device_that_is_no_member_any_more_is_forgotten_at_the_next_need_for_room() {
    let mut c = Cluster::new(7);
    let group = c.group_of(&["ada", "ben"]);
    let insider = Insider::of(&c, "ada");
    let members = insider.roster.reading().members.len();
    assert_eq!(members, 2);
    c.tell_address("ada", "ben");
    c.settle();
    assert_eq!(remembered(&c, "ada"), 1);
    let who = c.must("ben", Command::Status);
    let Reply::Status(status) = who else { panic!("a status") };
    let who = status.person.to_string();
    c.must("ada", Command::Member(group, MemberCommand::Remove { who }));
    c.settle();
    c.stop("ada");
    c.disconnect("ada", "ben");
    c.restart("ada");
    c.settle();
    assert!(!c.are_connected("ada", "ben"), "who was removed is not dialled");
}

#[test]
fn a_node_remembers_so_many_addresses_of_a_device_and_none_that_is_too_long() {
    let mut c = Cluster::new(8);
    c.group_of(&["ada", "ben"]);
    let fitting = |number: usize| format!("{number:0>width$}", width = ADDRESS_BYTES_MAX);
    let addresses = (0..MET_ADDRESSES_MAX + 1).map(fitting).chain(["x".repeat(ADDRESS_BYTES_MAX + 1)]);
    c.tell_addresses("ada", "ben", addresses.rev().collect());
    c.settle();
    let kept = c.remembered("ada").locals.into_iter().find(|(key, _)| key.kind == "met").unwrap().1;
    // A count, and before each address its length.
    let bytes = MET_ADDRESSES_MAX * ADDRESS_BYTES_MAX;
    assert!(kept.len() > bytes && kept.len() < bytes + ADDRESS_BYTES_MAX, "{}", kept.len());
    assert!(String::from_utf8_lossy(&kept).contains(&fitting(MET_ADDRESSES_MAX)));
}

#[test]
fn a_node_is_found_by_its_groups_and_its_person_and_by_nothing_that_it_left() {
    let mut c = Cluster::new(9);
    let group = c.group_of(&["ada", "ben"]);
    let with_both = c.offered("ben");
    assert_eq!(with_both.len(), 2);
    let shared: Vec<Digest> = with_both.intersection(&c.offered("ada")).copied().collect();
    assert_eq!(shared.len(), 1, "the group's key, which who has its words can compute");
    c.must("ben", Command::Leave(group));
    c.settle();
    assert_eq!(c.offered("ben"), with_both.into_iter().filter(|key| *key != shared[0]).collect());
    let other = c.must("ben", Command::Create { kind: Kind::Group, name: "own".into(), parent: None });
    assert!(matches!(other, Reply::Entity(_)));
    c.settle();
    assert_eq!(c.offered("ben").len(), 2);
}

#[test]
fn a_member_that_tells_ever_new_addresses_is_heard_now_and_then() {
    let mut c = Cluster::new(11);
    c.group_of(&["ada", "ben"]);
    let kept = |c: &Cluster| {
        let locals = c.remembered("ada").locals;
        let (_, value) = locals.into_iter().find(|(key, _)| key.kind == "met").unwrap();
        String::from_utf8_lossy(&value).into_owned()
    };
    for number in 0..100 {
        c.tell_addresses("ada", "ben", vec![format!("sim:nowhere-{number}!")]);
    }
    c.settle();
    assert!(kept(&c).contains("nowhere-7!"), "{}", kept(&c));
    c.run_for(MINUTE_MS);
    c.tell_addresses("ada", "ben", vec!["sim:there".to_owned()]);
    c.settle();
    assert!(kept(&c).contains("there"));
}
