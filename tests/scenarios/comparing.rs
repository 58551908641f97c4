//! What two nodes send each other when nothing happens, and how whatever was lost is found again.

use std::collections::BTreeMap;

use fourword_protocol::command::{Command, Notice, Reply, SyncState};
use fourword_protocol::effect::Effect;
use fourword_protocol::event::Event;
use fourword_protocol::limits::FRAME_LOGS_MAX;
use fourword_protocol::schema::Concern;
use fourword_protocol::wire::Frame;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;
use fourword_tests::insider::{Insider, page};
use fourword_tests::network::LinkProfile;

use crate::asking::{ask_in, requests};
use crate::people::remove;
use crate::standing::{chat_sync, line, run_seen};

/// The kind of a frame, and for envelopes how many there are.
fn kind(frame: &Frame) -> &'static str {
    match frame {
        Frame::Hello(_) => "hello",
        Frame::State { .. } => "state",
        Frame::Have { .. } => "have",
        Frame::Statements { .. } => "statements",
        Frame::Vector(_) => "vector",
        Frame::Envelopes { .. } => "envelopes",
        Frame::Next { .. } => "next",
        Frame::Requests { .. } => "requests",
        Frame::Quiet(_) => "quiet",
        _ => "other",
    }
}

/// Runs for so long and gives what each node did: frames by kind and receiver, writes, notices.
pub(crate) fn watch(c: &mut Cluster, ms: u64) -> BTreeMap<(String, String), u64> {
    let mut seen: BTreeMap<(String, String), u64> = BTreeMap::new();
    run_seen(c, ms, &mut |happened| {
        for effect in &happened.effects {
            let what = match effect {
                Effect::Send(to, bytes) => {
                    format!("{} to {}", kind(&Frame::decode(bytes).unwrap()), to.short())
                }
                Effect::Write(_) => "write".into(),
                Effect::Notify(notice) => format!("{notice:?}"),
                Effect::Load(..) => "load".into(),
                _ => continue,
            };
            *seen.entry((happened.name.clone(), what)).or_insert(0) += 1;
        }
    });
    seen
}

/// How many envelopes one node sends another while the cluster runs for so long.
fn envelopes_sent(c: &mut Cluster, from: &str, to: &str, ms: u64) -> usize {
    let to = c.device(to).unwrap();
    let mut count = 0;
    run_seen(c, ms, &mut |happened| {
        for effect in happened.effects.iter().filter(|_| happened.name == from) {
            if let Effect::Send(device, bytes) = effect
                && *device == to
                && let Ok(Frame::Envelopes { envelopes, .. }) = Frame::decode(bytes)
            {
                count += envelopes.len();
            }
        }
    });
    count
}

/// All agree, and all say so.
fn assert_in_sync(c: &mut Cluster, names: &[&str], group: FourWords, why: &str) {
    let expected = c.read_chat(names[0], group);
    for name in names {
        assert_eq!(c.read_chat(name, group), expected, "{name} {why}");
        let Reply::Sync { documents, .. } = c.must(name, Command::SyncStatus(Some(group))) else {
            panic!("a status")
        };
        let settled = documents.iter().all(|document| document.state == SyncState::InSync);
        assert!(settled, "{name} {why}: {documents:#?}");
    }
}

#[test]
fn two_quiet_peers_send_one_digest_each_way_in_an_interval_and_nothing_else() {
    let mut c = Cluster::new(501);
    let group = c.group_of(&["ada", "ben"]);
    c.send_message("ada", group, "before the quiet");
    c.settle();
    let seen = watch(&mut c, 1_200_000);
    let [ada, ben] = ["ada", "ben"].map(|name| c.device(name).unwrap().short());
    let kinds: Vec<(String, String)> = seen.keys().cloned().collect();
    let expected =
        [("ada".to_owned(), format!("quiet to {ben}")), ("ben".to_owned(), format!("quiet to {ada}"))];
    assert_eq!(kinds, expected, "{seen:?}");
    assert!(seen.values().all(|count| (10..=20).contains(count)), "every one to two minutes: {seen:?}");
    assert_in_sync(&mut c, &["ada", "ben"], group, "after the quiet");
}

#[test]
fn who_shares_nothing_any_more_but_a_roster_compares_in_quiet_too() {
    let mut c = Cluster::new(502);
    let group = c.group_of(&["ada", "ben", "cem"]);
    remove(&mut c, "ada", group, "cem");
    c.settle();
    let seen = watch(&mut c, 600_000);
    assert!(seen.keys().all(|(_, what)| what.starts_with("quiet")), "{seen:?}");
}

#[test]
fn a_state_for_who_is_no_member_names_no_documents() {
    let mut c = Cluster::new(503);
    let group = c.group_of(&["ada", "ben", "cem"]);
    c.send_message("ada", group, "for cem too");
    c.settle();
    remove(&mut c, "ada", group, "cem");
    let cem = c.device("cem").unwrap();
    let mut told = Vec::new();
    run_seen(&mut c, 2_000, &mut |happened| {
        for effect in &happened.effects {
            if let Effect::Send(to, bytes) = effect
                && *to == cem
                && let Ok(Frame::State { state, .. }) = Frame::decode(bytes)
            {
                told.push(state.documents.len());
            }
        }
    });
    assert!(!told.is_empty() && told.iter().all(|documents| *documents == 0), "{told:?}");
}

/// How many states one of so many members tells while somebody writes for ten seconds.
fn told_in_a_busy_group(members: usize) -> usize {
    let names: Vec<String> = (0..members).map(|number| format!("member {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut c = Cluster::new(504);
    let group = c.group_of(&names);
    c.settle();
    let (mut told, end) = (0, c.now() + 10_000);
    while c.now() < end {
        c.send_message(names[0], group, "busy");
        run_seen(&mut c, 100, &mut |happened| {
            let sent = happened.effects.iter().filter(|_| happened.name == names[1]);
            told += sent
                .filter(|effect| match effect {
                    Effect::Send(_, bytes) => Frame::decode(bytes).is_ok_and(|frame| kind(&frame) == "state"),
                    _ => false,
                })
                .count();
        });
    }
    c.settle();
    assert_in_sync(&mut c, &names, group, "in a busy group");
    told
}

#[test]
fn a_device_tells_no_more_of_itself_in_a_time_the_more_it_is_connected_with() {
    let (few, many) = (told_in_a_busy_group(9), told_in_a_busy_group(33));
    assert!(few > 0 && many < few * 3 / 2, "{few} states told by one of 9, {many} by one of 33");
}

/// Ben was away while ada wrote more than two pages; then frames of a kind are lost on each way.
fn lose_after_absence(seed: u64, lost: fn(&Frame) -> bool, count: u64) -> (Cluster, FourWords) {
    let mut c = Cluster::new(seed);
    let group = c.group_of(&["ada", "ben", "cem"]);
    c.gossip_loss = 100;
    c.isolate("ben");
    for number in 0..30 {
        c.send_message("ada", group, &format!("{number}: {}", "x".repeat(12_000)));
    }
    c.send_message("ben", group, "while away");
    remove(&mut c, "ada", group, "cem");
    c.isolate("cem");
    c.settle();
    c.lose("ada", "ben", lost, count);
    c.lose("ben", "ada", lost, count);
    c.reunite("ada", "ben");
    (c, group)
}

#[test]
fn whichever_frame_is_lost_the_next_comparison_finds_what_it_carried() {
    let kinds: [fn(&Frame) -> bool; 7] = [
        |frame| kind(frame) == "hello",
        |frame| kind(frame) == "state",
        |frame| kind(frame) == "have",
        |frame| kind(frame) == "statements",
        |frame| kind(frame) == "vector",
        |frame| kind(frame) == "envelopes",
        |frame| kind(frame) == "next",
    ];
    for (at, lost) in kinds.into_iter().enumerate() {
        let (mut c, group) = lose_after_absence(510, lost, 1);
        c.run_for(250_000);
        assert_in_sync(&mut c, &["ada", "ben"], group, &format!("kind {at}"));
        assert_eq!(c.read_chat("ben", group).len(), 31);
    }
}

#[test]
fn a_page_that_is_lost_every_time_for_a_while_stops_nothing_for_ever() {
    let (mut c, group) = lose_after_absence(511, |frame| kind(frame) == "envelopes", 4);
    c.run_for(500_000);
    assert_in_sync(&mut c, &["ada", "ben"], group, "after four lost pages");
}

#[test]
fn both_greetings_lost_on_a_live_connection_are_sent_again() {
    let mut c = Cluster::new(512);
    let group = c.group_of(&["ada", "ben"]);
    c.disconnect("ada", "ben");
    c.gossip_loss = 100;
    c.send_message("ada", group, "greet me");
    for (from, to) in [("ada", "ben"), ("ben", "ada")] {
        c.lose(from, to, |frame| kind(frame) == "hello", 1);
    }
    c.connect("ada", "ben");
    c.settle();
    assert_eq!(line(&chat_sync(&mut c, "ada", group), "ben", &c).state, SyncState::Behind, "it has not told");
    c.run_for(130_000);
    assert_in_sync(&mut c, &["ada", "ben"], group, "after both greetings were lost");
}

#[test]
fn a_request_whose_frame_was_lost_reaches_the_other_admin_by_comparison() {
    let mut c = Cluster::new(513);
    let group = c.group_of(&["ada", "ben"]);
    c.add("eve");
    c.connect("ada", "eve");
    c.lose("ada", "ben", |frame| kind(frame) == "requests", 1);
    ask_in(&mut c, "eve", group);
    c.settle();
    assert_eq!(requests(&mut c, "ben", group).len(), 0, "its frame was lost");
    c.run_for(130_000);
    assert_eq!(requests(&mut c, "ben", group).len(), 1);
}

#[test]
fn links_that_lose_double_and_delay_frames_end_with_all_in_sync() {
    for seed in 520..524 {
        let mut c = Cluster::new(seed);
        let names = ["ada", "ben", "cem"];
        let group = c.group_of(&names);
        c.gossip_loss = 60;
        c.set_links(LinkProfile { lost: 150, doubled: 100, overtaken: 150, ..LinkProfile::CALM });
        for round in 0..40 {
            c.send_message(names[round % 3], group, &format!("{round}: {}", "y".repeat(9_000)));
            c.run_for(300);
        }
        c.set_links(LinkProfile::CALM);
        c.run_for(400_000);
        assert_in_sync(&mut c, &names, group, &format!("seed {seed}"));
        assert_eq!(c.read_chat("cem", group).len(), 40);
    }
}

#[test]
fn without_the_slow_comparison_all_converge_by_connects_changes_and_gaps() {
    let mut c = Cluster::new(530);
    c.compare_every = None;
    let group = c.group_of(&["ada", "ben"]);
    c.gossip_loss = 100;
    c.send_message("ada", group, "by a change notice");
    c.settle();
    assert_eq!(c.read_chat("ben", group).len(), 1);
    c.disconnect("ada", "ben");
    c.send_message("ben", group, "by a connect");
    c.connect("ada", "ben");
    c.settle();
    assert_in_sync(&mut c, &["ada", "ben"], group, "without comparison");
    let seen = watch(&mut c, 600_000);
    assert!(seen.keys().all(|(_, what)| !what.starts_with("quiet")), "{seen:?}");
}

#[test]
fn a_state_that_comes_after_a_later_one_is_passed_over() {
    let mut c = Cluster::new(531);
    let group = c.group_of(&["ada", "ben"]);
    let (ada, mut states) = (c.device("ada").unwrap(), Vec::new());
    c.send_message("ada", group, "one");
    run_seen(&mut c, 5_000, &mut |happened| {
        if let Event::Received(from, bytes) = &happened.event
            && *from == ada
            && matches!(Frame::decode(bytes), Ok(Frame::State { .. }))
        {
            states.push(bytes.clone());
        }
    });
    let old = states.last().unwrap().clone();
    c.send_message("ada", group, "two");
    c.settle();
    assert_eq!(line(&chat_sync(&mut c, "ben", group), "ada", &c).state, SyncState::InSync);
    assert!(c.inject("ada", "ben", old));
    c.run_for(1);
    assert_eq!(line(&chat_sync(&mut c, "ben", group), "ada", &c).state, SyncState::InSync);
}

#[test]
fn a_comparison_that_comes_after_a_later_state_hides_nothing_of_that() {
    let mut c = Cluster::new(533);
    let group = c.group_of(&["ada", "ben"]);
    let (ada, mut comparisons) = (c.device("ada").unwrap(), Vec::new());
    c.send_message("ada", group, "one");
    run_seen(&mut c, 300_000, &mut |happened| {
        if let Event::Received(from, bytes) = &happened.event
            && *from == ada
            && matches!(Frame::decode(bytes), Ok(Frame::Quiet(_)))
        {
            comparisons.push(bytes.clone());
        }
    });
    let old = comparisons.last().unwrap().clone();
    c.lose("ada", "ben", |frame| matches!(frame, Frame::Envelopes { .. }), 1_000);
    c.gossip_loss = 100;
    c.send_message("ada", group, "two");
    c.run_for(5_000);
    assert_eq!(line(&chat_sync(&mut c, "ben", group), "ada", &c).state, SyncState::Behind);
    assert!(c.inject("ada", "ben", old));
    c.run_for(1);
    assert_eq!(line(&chat_sync(&mut c, "ben", group), "ada", &c).state, SyncState::Behind);
}

#[test]
fn more_logs_than_one_frame_names_are_synced_and_nothing_is_sent_twice() {
    let mut c = Cluster::new(540);
    c.compare_every = None;
    let group = c.group_of(&["ada", "ben", "cem"]);
    c.isolate("cem");
    let ben = Insider::take_over(&mut c, "ben");
    let count = FRAME_LOGS_MAX + 1;
    let written: Vec<Vec<u8>> = (0..count as u64)
        .map(|number| ben.log(Concern::Chat, number).say(&number.to_string()).bytes().to_vec())
        .collect();
    for part in written.chunks(200) {
        assert!(c.inject("ben", "ada", page(ben.entity, part.to_vec())));
        c.run_for(100);
    }
    c.isolate("ben");
    c.settle();
    c.reunite("ada", "cem");
    assert_eq!(envelopes_sent(&mut c, "ada", "cem", 200_000), count);
    assert_in_sync(&mut c, &["ada", "cem"], group, "with many logs");
    c.disconnect("ada", "cem");
    c.send_message("ada", group, "one more");
    c.connect("ada", "cem");
    assert_eq!(envelopes_sent(&mut c, "ada", "cem", 20_000), 1);
    assert_in_sync(&mut c, &["ada", "cem"], group, "with one more");
}

#[test]
fn whoever_listens_hears_once_that_the_sync_fell_behind_and_once_that_it_is_in_sync() {
    let mut c = Cluster::new(550);
    let group = c.group_of(&["ada", "ben"]);
    let heard = |c: &Cluster, name: &str| {
        c.notices(name).iter().filter(|notice| **notice == Notice::SyncChanged(group)).count()
    };
    let before = heard(&c, "ada");
    c.send_message("ada", group, "news");
    c.settle();
    assert_eq!(heard(&c, "ada") - before, 2, "behind, and in sync again");
    let before = heard(&c, "ada");
    c.run_for(600_000);
    assert_eq!(heard(&c, "ada"), before, "nothing changed");
    c.disconnect("ada", "ben");
    c.settle();
    assert_eq!(heard(&c, "ada") - before, 1, "alone");
}
