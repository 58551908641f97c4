//! On whom a device may rely that drops a document: nothing is lost, whoever drops it and whatever breaks.

use std::collections::BTreeSet;

use fourword_protocol::command::{Command, Outcome, RefusalCode, Reply};
use fourword_protocol::ids::{Digest, DocumentKey};
use fourword_protocol::limits::SEGMENTS_MAX;
use fourword_protocol::wire::{Frame, Spare};
use fourword_tests::cluster::Cluster;
use fourword_tests::insider::Insider;

use crate::keeping::{
    CHAT, assert_same, chat_key, chats, drop_document, is_on_disk, keep, must_drop, refused,
};

#[test]
fn a_drop_is_refused_where_nobody_who_is_there_has_everything() {
    let mut c = Cluster::new(1904);
    let group = c.group_of(&["ada", "ben"]);
    c.isolate("ben");
    c.send_message("ada", group, "ben has not seen this");
    c.settle();
    let refusal = refused(drop_document(&mut c, "ada", group, CHAT));
    assert_eq!(refusal.code, RefusalCode::Pending);
    assert!(refusal.message.contains("holds all of the chat"), "{refusal:?}");
    assert_eq!(c.read_chat("ada", group), ["ben has not seen this"]);
    c.heal();
    c.connect_all();
    c.settle();
    must_drop(&mut c, "ada", group, CHAT);
    assert_eq!(c.read_chat("ben", group), ["ben has not seen this"]);
    refused(drop_document(&mut c, "ben", group, CHAT));
}

#[test]
fn of_devices_that_drop_a_document_at_the_same_moment_one_keeps_it() {
    for seed in 1905..1915 {
        let mut c = Cluster::new(seed);
        let group = c.group_of(&["ada", "ben", "eve"]);
        c.send_message("ada", group, "must not be lost");
        c.settle();
        let names = ["ada", "ben", "eve"];
        let asked = names.map(|name| (name, c.begin(name, Command::Drop(group, CHAT))));
        c.run_until(|c| asked.iter().all(|(name, id)| c.answer(name, *id).is_some()));
        c.settle();
        let holders = names.iter().filter(|name| !chats(&c, name).is_empty()).count();
        assert!(holders > 0, "seed {seed}");
        for name in names {
            keep(&mut c, name, group, CHAT);
        }
        c.settle();
        assert_same(&mut c, &names, group);
        assert_eq!(c.read_chat("eve", group), ["must not be lost"]);
    }
}

#[test]
fn who_is_asked_answers_only_once_everything_is_on_its_disk() {
    let mut c = Cluster::new(1915);
    let group = c.group_of(&["ada", "ben"]);
    c.send_message("ada", group, "on both disks");
    c.settle();
    c.disks.flush_ms = (2_000, 2_000);
    let asked = c.begin("ada", Command::Drop(group, CHAT));
    c.run_for(1_000);
    assert_eq!(c.answer("ada", asked), None, "ben's disk may have something to do yet");
    c.run_for(9_000);
    assert_eq!(c.answer("ada", asked), Some(&Outcome::Done(Reply::Ok)));
    assert!(chats(&c, "ada").is_empty());
}

#[test]
fn who_does_not_answer_or_says_no_or_leaves_is_not_relied_on() {
    let mut c = Cluster::new(1916);
    let group = c.group_of(&["ada", "ben"]);
    c.send_message("ada", group, "stays");
    c.settle();
    let ben = Insider::take_over(&mut c, "ben");
    let asked = c.begin("ada", Command::Drop(group, CHAT));
    c.run_for(5_000);
    assert_eq!(c.answer("ada", asked), None);
    let documents: Vec<(DocumentKey, Digest)> = c
        .take_inbox("ben")
        .iter()
        .find_map(|(_, bytes)| match Frame::decode(bytes) {
            Ok(Frame::Spare { number: 1, documents, says: Spare::Asks, .. }) => Some(documents),
            _ => None,
        })
        .unwrap();
    let spare =
        |number, documents: Vec<_>, says| Frame::Spare { entity: ben.entity, number, documents, says };
    // What was not asked for is no answer.
    ben.send(&mut c, "ada", &spare(1, vec![(documents[0].0, Digest([1; 32]))], Spare::Yes));
    c.run_for(1_000);
    assert_eq!(c.answer("ada", asked), None);
    c.run_for(10_000);
    refused(c.answer("ada", asked).unwrap().clone());
    let again = c.begin("ada", Command::Drop(group, CHAT));
    c.run_for(1_000);
    // Nor is what was said to an earlier question.
    ben.send(&mut c, "ada", &spare(1, documents.clone(), Spare::Yes));
    c.run_for(1_000);
    assert_eq!(c.answer("ada", again), None);
    ben.send(&mut c, "ada", &spare(2, documents.clone(), Spare::No));
    c.run_for(1_000);
    refused(c.answer("ada", again).unwrap().clone());
    let last = c.begin("ada", Command::Drop(group, CHAT));
    c.run_for(1_000);
    c.isolate("ben");
    c.run_for(1_000);
    refused(c.answer("ada", last).unwrap().clone());
    assert_eq!(c.read_chat("ada", group), ["stays"]);
    c.heal();
    let many = vec![documents[0]; usize::try_from(SEGMENTS_MAX).unwrap() + 1];
    c.connect("ada", "ben");
    ben.greet(&mut c, "ada");
    c.run_for(1_000);
    ben.send(&mut c, "ada", &spare(4, many, Spare::Asks));
    c.run_for(1_000);
    let Reply::Status(status) = c.must("ada", Command::Status) else { panic!("a status") };
    assert!(status.dropped.iter().any(|(why, _)| why == "too many documents to be spared"), "{status:?}");
}

#[test]
fn a_crash_at_any_moment_of_a_drop_leaves_all_of_it_or_nothing() {
    let mut outcomes = BTreeSet::new();
    for ms in 0..120 {
        let mut c = Cluster::new(1921);
        let group = c.group_of(&["ada", "ben"]);
        c.send_message("ben", group, "kept or brought back");
        c.settle();
        let chat = chat_key(&c, "ada");
        c.begin("ben", Command::Drop(group, CHAT));
        c.run_for(ms);
        c.crash("ben");
        c.restart("ben");
        let is_kept = !chats(&c, "ben").is_empty();
        c.run_until(|c| c.device("ben").is_some());
        assert_eq!(is_on_disk(&c, "ben", chat), !chats(&c, "ben").is_empty(), "{ms} ms");
        outcomes.insert(is_on_disk(&c, "ben", chat));
        c.connect_all();
        c.settle();
        keep(&mut c, "ben", group, CHAT);
        c.settle();
        assert_eq!(c.read_chat("ben", group), ["kept or brought back"], "{ms} ms, {is_kept}");
        assert_same(&mut c, &["ada", "ben"], group);
    }
    assert_eq!(outcomes.len(), 2, "some crashes came before, some after");
}
