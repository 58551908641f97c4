//! Who gives a newcomer what there is: one, and another where that one does not.

use std::collections::BTreeMap;

use fourword_protocol::checkpoint;
use fourword_protocol::command::{Command, JoinBy, Kind};
use fourword_protocol::effect::Effect;
use fourword_protocol::event::Event;
use fourword_protocol::limits::SNAPSHOT_PART_BYTES_MAX;
use fourword_protocol::roster::Role;
use fourword_protocol::schema::core::Setting;
use fourword_protocol::schema::{self, Concern};
use fourword_protocol::wire::{Frame, Vector, kind_of};
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;
use fourword_tests::disk::DiskProfile;
use fourword_tests::insider::Insider;
use fourword_tests::network::LinkProfile;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::folding::{cluster, folded, write};
use crate::keeping::{CHAT, assert_same, chat_key, keep, must_drop};
use crate::standing::run_seen;

/// Messages of which the log takes several pages.
const MESSAGES: usize = 400;

/// Ada writes much, which does not pack well, so that there are several pages.
fn write_much(c: &mut Cluster, group: FourWords, letters: usize) {
    let mut random = ChaCha20Rng::seed_from_u64(1);
    for number in 0..MESSAGES {
        let noise: String = (0..letters).map(|_| char::from(b' ' + random.next_u32() as u8 % 90)).collect();
        c.send_message("ada", group, &format!("{number} {noise}"));
    }
    c.settle();
}

/// Three of whom one has written much, and dan, who is connected with all of them and joins now.
fn long_talk(seed: u64) -> (Cluster, FourWords) {
    talk(Cluster::new(seed), 1_000)
}

/// The same with messages of so many letters, and what they want to fold folded.
fn talk(mut c: Cluster, letters: usize) -> (Cluster, FourWords) {
    let group = c.group_of(&["ada", "ben", "cem"]);
    write_much(&mut c, group, letters);
    c.run_for(60_000);
    let code = c.invite("ada", group, Role::Member, 5);
    c.add("dan");
    c.connect_all();
    c.begin("dan", Command::Join { words: group, by: JoinBy::Code(code), peers: Vec::new() });
    (c, group)
}

/// How many envelopes are sent to dan in so much time, by each.
fn sent_to_dan(c: &mut Cluster, ms: u64) -> BTreeMap<String, usize> {
    counted_to_dan(c, ms, |frame| match frame {
        Frame::Envelopes { envelopes, .. } => envelopes.len(),
        _ => 0,
    })
}

/// How much of something is sent to dan in so much time, by each.
fn counted_to_dan(c: &mut Cluster, ms: u64, count: impl Fn(Frame) -> usize) -> BTreeMap<String, usize> {
    let dan = c.device("dan").unwrap();
    let mut sent: BTreeMap<String, usize> = BTreeMap::new();
    run_seen(c, ms, &mut |happened| {
        for effect in &happened.effects {
            if let Effect::Send(to, bytes) = effect
                && *to == dan
                && let Ok(counted @ 1..) = Frame::decode(bytes).map(&count)
            {
                *sent.entry(happened.name.clone()).or_default() += counted;
            }
        }
    });
    sent
}

#[test]
fn a_newcomer_is_given_what_there_is_by_one_and_not_by_everybody() {
    let (mut c, group) = long_talk(811);
    let sent = sent_to_dan(&mut c, 20_000);
    assert_eq!(c.read_chat("dan", group).len(), MESSAGES);
    let all: usize = sent.values().sum();
    assert!(all < MESSAGES * 3 / 2, "of {MESSAGES} messages it was sent {sent:?}");
}

#[test]
fn a_newcomer_is_given_a_snapshot_by_one_and_not_by_everybody() {
    let mut c = Cluster::new(814);
    c.fold_after = 12;
    let (mut c, group) = talk(c, 4_000);
    // It takes longer than a peer is waited for that brings nothing.
    c.set_links(LinkProfile { stream_ms: (400, 500), ..LinkProfile::CALM });
    let sent = counted_to_dan(&mut c, 60_000, |frame| match frame {
        Frame::SnapshotPart { bytes, .. } => bytes.len(),
        _ => 0,
    });
    assert_eq!(c.read_chat("dan", group).len(), MESSAGES);
    let (all, most) = (sent.values().sum::<usize>(), sent.values().copied().max().unwrap());
    assert!(most > 3 * SNAPSHOT_PART_BYTES_MAX, "the snapshot has many parts: {sent:?}");
    assert_eq!(all, most, "one gives it: {sent:?}");
}

#[test]
fn where_the_one_who_gives_falls_silent_or_is_gone_another_one_gives() {
    for is_gone in [false, true] {
        let (mut c, group) = long_talk(812);
        // Whoever begins says nothing after its first page.
        let mut first = None;
        while first.is_none() {
            first = sent_to_dan(&mut c, 10).into_keys().next();
        }
        let first = first.unwrap();
        match is_gone {
            false => c.lose(&first, "dan", |frame| matches!(frame, Frame::Envelopes { .. }), u64::MAX),
            true => c.crash(&first),
        }
        assert!(c.read_chat("dan", group).len() < MESSAGES);
        c.run_for(10_000);
        assert_eq!(c.read_chat("dan", group).len(), MESSAGES, "{first} gone: {is_gone}");
    }
}

#[test]
fn a_member_that_brings_a_little_now_and_then_holds_others_up_for_a_bounded_time() {
    let mut c = Cluster::new(813);
    let group = c.group_of(&["ada", "ben", "dan"]);
    let ben = Insider::take_over(&mut c, "ben");
    let (entity, document) = (ben.entity, ben.document(&Concern::Chat));
    c.disconnect("ada", "dan");
    write_much(&mut c, group, 1_000);
    let bring = |c: &mut Cluster, number: u64| {
        let envelopes = vec![ben.log(Concern::Chat, number).say("one more").bytes().to_vec()];
        assert!(c.inject(
            "ben",
            "dan",
            Frame::Envelopes { entity, document, envelopes, more: true }.encode()
        ));
        c.run_for(1_000);
    };
    bring(&mut c, 0);
    c.connect("ada", "dan");
    (1..15).for_each(|number| bring(&mut c, number));
    assert!(c.read_chat("dan", group).len() < MESSAGES, "ben is still at it");
    (15..30).for_each(|number| bring(&mut c, number));
    assert!(c.read_chat("dan", group).len() > MESSAGES, "ada was asked although ben goes on");
}

#[test]
fn a_newcomer_who_may_not_read_what_is_old_does_not_ask_for_it_without_end() {
    let mut c = Cluster::new(814);
    let group = c.group_of(&["ada", "ben"]);
    c.send_message("ada", group, "old");
    c.send_message("ben", group, "old too");
    c.must("ada", Command::Configure(group, Setting::NewcomersReadHistory(false)));
    c.settle();
    let code = c.invite("ada", group, Role::Member, 5);
    c.add("dan");
    c.connect_all();
    c.join("dan", group, &code);
    c.settle();
    c.send_message("ada", group, "new");
    c.settle();
    assert_eq!(c.read_chat("dan", group), ["new"]);
    let mut pages = 0;
    run_seen(&mut c, 10_000, &mut |happened| {
        if let Event::Received(_, bytes) = &happened.event {
            pages += usize::from(matches!(Frame::decode(bytes), Ok(Frame::Envelopes { .. })));
        }
    });
    assert!(pages <= 2 * schema::concerns(Kind::Group).len(), "{pages} pages of what cannot be read");
}

/// Ada, and ben who is played, with a chat of which ada has folded the beginning: how far that goes, and
/// what ada sends when ben shows these two vectors so soon one after the other that what the first one
/// asks for is still being read.
fn asked_twice(seed: u64, shows: impl Fn(checkpoint::Vector) -> [checkpoint::Vector; 2]) -> Vec<String> {
    let mut c = cluster(seed);
    let group = c.group_of(&["ada", "ben"]);
    write(&mut c, &["ada", "ben"], group, 0..20);
    c.run_for(60_000);
    write(&mut c, &["ada"], group, 20..23);
    c.settle();
    let document = chat_key(&c, "ada");
    let covered = folded(&c, "ada", document);
    assert!(!covered.is_empty());
    let entity = Insider::take_over(&mut c, "ben").entity;
    c.disks = DiskProfile { read_ms: (100, 100), ..DiskProfile::CALM };
    for vector in shows(covered) {
        let logs = vector.iter().map(|(log, head)| (log.device, log.incarnation, *head)).collect();
        let vector = Vector { entity, document, page: 0, logs, last: true };
        assert!(c.inject("ben", "ada", Frame::Vector(vector).encode()));
        c.run_for(20);
    }
    c.take_inbox("ben");
    c.run_for(1_000);
    c.take_inbox("ben").iter().map(|(_, bytes)| kind_of(bytes).to_owned()).collect()
}

#[test]
fn who_has_a_snapshot_by_now_is_given_what_follows_it_though_it_is_just_being_read_once_more() {
    let sent = asked_twice(815, |covered| [checkpoint::Vector::new(), covered]);
    assert!(sent.iter().any(|kind| kind == "envelopes"), "{sent:?}");
}

#[test]
fn who_turns_out_to_lack_the_snapshot_is_given_it_though_a_page_is_just_being_read() {
    let sent = asked_twice(816, |covered| [covered, checkpoint::Vector::new()]);
    assert!(sent.iter().any(|kind| kind == "snapshotpart"), "{sent:?}");
}

#[test]
fn a_snapshot_that_comes_before_its_document_was_read_is_asked_for_once_more() {
    let mut c = cluster(817);
    c.compare_every = None;
    let group = c.group_of(&["ada", "ben"]);
    write(&mut c, &["ada", "ben"], group, 0..20);
    c.run_for(60_000);
    assert!(!folded(&c, "ada", chat_key(&c, "ada")).is_empty());
    must_drop(&mut c, "ben", group, CHAT);
    c.settle();
    // What ben still has of it, nothing, takes long to read.
    c.disks = DiskProfile { read_ms: (200, 200), ..DiskProfile::CALM };
    keep(&mut c, "ben", group, CHAT);
    c.disks = DiskProfile::CALM;
    c.settle();
    assert_eq!(c.read_chat("ben", group).len(), 20);
    assert_same(&mut c, &["ada", "ben"], group);
}
