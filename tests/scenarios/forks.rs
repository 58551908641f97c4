//! Logs written twice, pasts written anew, and what does not count: all end equal, nothing is lost.

use std::collections::BTreeSet;

use fourword_protocol::command::{
    Command, DocumentSync, FaultKind, FaultView, Notice, Reply, SyncState, UnacceptedView,
};
use fourword_protocol::ids::{LogHead, LogId};
use fourword_protocol::roster::{Body, Role};
use fourword_protocol::schema::rights::Actor;
use fourword_protocol::schema::{Concern, core};
use fourword_protocol::wire::Frame;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;
use fourword_tests::insider::{Insider, Log, page};

/// A group of honest nodes and of `mal`, for which the test speaks from now on.
fn with_mal(seed: u64, honest: &[&str]) -> (Cluster, FourWords, Insider) {
    let mut c = Cluster::new(seed);
    let names = [honest, &["mal"]].concat();
    let group = c.group_of(&names);
    c.send_message(honest[0], group, "hello");
    c.settle();
    c.take_over("mal");
    let mal = Insider::of(&c, "mal");
    (c, group, mal)
}

/// Two branches of one log that part after a position, the one that counts first.
fn parting(log: &Log, after: usize, texts: [&str; 2]) -> [Log; 2] {
    let mut branches = texts.map(|text| {
        let mut branch = log.branch(after);
        branch.say(text);
        branch
    });
    branches.sort_by_key(|branch| branch.head().hash);
    branches
}

fn tell(c: &mut Cluster, from: &str, to: &[&str], bytes: &[u8]) {
    for name in to {
        assert!(c.inject(from, name, bytes.to_vec()), "{from} is connected to {name}");
    }
}

fn state(c: &mut Cluster, from: &str, to: &[&str], insider: &Insider, statement: Vec<u8>) {
    let frame = Frame::Statements { entity: insider.entity, statements: vec![statement] };
    tell(c, from, to, &frame.encode());
}

fn chat(c: &mut Cluster, name: &str, group: FourWords) -> BTreeSet<String> {
    let shown = c.read_chat(name, group);
    let texts: BTreeSet<String> = shown.iter().cloned().collect();
    assert_eq!(texts.len(), shown.len(), "{name} shows nothing twice: {shown:?}");
    texts
}

fn faults(c: &mut Cluster, name: &str, kind: FaultKind) -> Vec<FaultView> {
    let Reply::Status(status) = c.must(name, Command::Status) else { panic!("a status") };
    status.faults.into_iter().filter(|fault| fault.kind == kind).collect()
}

fn chat_sync(c: &mut Cluster, name: &str, group: FourWords) -> DocumentSync {
    let Reply::Sync { documents, .. } = c.must(name, Command::SyncStatus(Some(group))) else {
        panic!("a status")
    };
    documents.into_iter().find(|d| d.id.ends_with(":chat")).unwrap_or_else(|| panic!("a chat"))
}

fn unaccepted(c: &mut Cluster, name: &str, group: FourWords) -> Vec<UnacceptedView> {
    match c.must(name, Command::Unaccepted(group)) {
        Reply::Unaccepted(views) => views,
        other => panic!("{other:?}"),
    }
}

/// All honest nodes show the same, and say so of each other.
fn agree(c: &mut Cluster, honest: &[&str], group: FourWords) -> BTreeSet<String> {
    let first = chat(c, honest[0], group);
    for name in honest {
        assert_eq!(chat(c, name, group), first, "{name}");
        let devices: Vec<_> = honest.iter().filter(|other| *other != name).map(|n| c.device(n)).collect();
        for peer in chat_sync(c, name, group).peers {
            if devices.contains(&Some(peer.device)) {
                assert_eq!(peer.state, SyncState::InSync, "{name} with {peer:?}");
            }
        }
    }
    first
}

fn has(texts: &BTreeSet<String>, text: &str) -> bool {
    texts.contains(text)
}

#[test]
fn two_branches_given_to_two_halves_end_as_one_everywhere_and_are_remembered_as_evidence() {
    for (seed, turned) in [(1, false), (2, true)] {
        let (mut c, group, mal) = with_mal(seed, &["ada", "ben", "cem"]);
        let mut log = mal.log(Concern::Chat, 7);
        log.say("common");
        let [mut counts, mut loses] = parting(&log, 1, ["one", "two"]);
        counts.say("on what counts");
        for text in ["on what loses", "longer"] {
            loses.say(text);
        }
        let (to_counting, to_losing) = if turned { ("ben", "ada") } else { ("ada", "ben") };
        tell(&mut c, "mal", &[to_counting], &counts.page());
        tell(&mut c, "mal", &[to_losing], &loses.page());
        c.settle();
        let shown = agree(&mut c, &["ada", "ben", "cem"], group);
        assert!(has(&shown, "common") && has(&shown, "on what counts"), "{shown:?}");
        assert!(!has(&shown, "on what loses") && !has(&shown, "longer"), "{shown:?}");
        for name in ["ada", "ben"] {
            let seen = faults(&mut c, name, FaultKind::Fork);
            assert_eq!(seen.len(), 1, "{name}");
            assert_eq!(Some(seen[0].device), c.device("mal"));
        }
        c.crash("ada");
        c.restart("ada");
        c.connect_all();
        c.settle();
        assert_eq!(faults(&mut c, "ada", FaultKind::Fork).len(), 1, "evidence outlives a restart");
        assert_eq!(agree(&mut c, &["ada", "ben", "cem"], group), shown);
    }
}

#[test]
fn while_branches_differ_nobody_calls_them_in_sync() {
    let (mut c, group, mal) = with_mal(3, &["ada", "ben"]);
    let log = mal.log(Concern::Chat, 7);
    let [counts, loses] = parting(&log, 0, ["one", "two"]);
    c.disconnect("ada", "ben");
    tell(&mut c, "mal", &["ada"], &counts.page());
    tell(&mut c, "mal", &["ben"], &loses.page());
    c.settle();
    c.connect("ada", "ben");
    for _ in 0..60 {
        c.run_for(10);
        let (of_ada, of_ben) = (chat(&mut c, "ada", group), chat(&mut c, "ben", group));
        let ben = c.device("ben");
        let peers = chat_sync(&mut c, "ada", group).peers;
        let state = peers.into_iter().find(|peer| Some(peer.device) == ben).map(|peer| peer.state);
        assert!(of_ada == of_ben || state != Some(SyncState::InSync), "{of_ada:?} {of_ben:?}");
    }
    c.settle();
    agree(&mut c, &["ada", "ben"], group);
}

#[test]
fn of_many_branches_one_counts_whatever_came_first_and_a_restart_amid_changes_nothing() {
    let mut ends = BTreeSet::new();
    for seed in 10..16 {
        let (mut c, group, mal) = with_mal(10, &["ada", "ben", "cem"]);
        let mut log = mal.log(Concern::Chat, 7);
        log.say("common");
        let branches: Vec<Log> = (0..4)
            .map(|number| {
                let mut branch = log.branch(usize::from(number > 0));
                branch.say(&format!("branch {number}"));
                branch.say(&format!("more of {number}"));
                branch
            })
            .collect();
        for (number, name) in ["ada", "ben", "cem", "ada", "ben", "cem"].iter().enumerate() {
            let branch = &branches[(number * 3 + seed) % 4];
            tell(&mut c, "mal", &[name], &branch.page());
            c.run_for((seed as u64 * 7 + number as u64 * 3) % 20);
        }
        for name in ["ada", "ben"] {
            c.run_for(seed as u64 % 5);
            c.crash(name);
            c.restart(name);
        }
        c.connect_all();
        c.settle();
        // In the end all that was ever written is known to somebody.
        for branch in branches.iter().chain(&branches) {
            tell(&mut c, "mal", &["cem"], &branch.page());
            c.run_for(70_000);
        }
        ends.insert(agree(&mut c, &["ada", "ben", "cem"], group));
    }
    assert_eq!(ends.len(), 1, "{ends:?}");
}

#[test]
fn a_device_that_makes_ever_smaller_branches_does_not_keep_others_reading() {
    let (mut c, group, mal) = with_mal(20, &["ada", "ben"]);
    let log = mal.log(Concern::Chat, 7);
    let mut branches: Vec<Log> = (0..100)
        .map(|number| {
            let mut branch = log.branch(0);
            branch.say(&format!("branch {number}"));
            branch
        })
        .collect();
    branches.sort_by_key(|branch| std::cmp::Reverse(branch.head().hash));
    for branch in &branches {
        tell(&mut c, "mal", &["ada"], &branch.page());
        c.run_for(20);
    }
    let kept = c.stored_log_branches("ada", log.id);
    assert!((2..=12).contains(&kept), "{kept} branches were kept");
    c.send_message("ada", group, "still here");
    c.settle();
    agree(&mut c, &["ada", "ben"], group);
    // What was put off is taken in later exchanges, a few at a time.
    for _ in 0..4 {
        c.run_for(600_000);
        tell(&mut c, "mal", &["ada", "ben"], &branches.last().unwrap_or(&log).page());
    }
    c.settle();
    let last = agree(&mut c, &["ada", "ben"], group);
    let smallest = branches.last().map(|branch| branch.head()).unwrap_or_else(|| panic!("branches"));
    assert_eq!(c.head_of("ada", log.id), Some(smallest), "{last:?}");
}

#[test]
fn a_copied_home_that_writes_on_both_copies_loses_nothing() {
    for seed in 30..36 {
        let mut c = Cluster::new(seed);
        let group = c.group_of(&["ada", "ben"]);
        c.send_message("ada", group, "before");
        c.settle();
        c.stop("ada");
        c.start_twin("ada", "twin");
        c.restart("ada");
        let mut expected = BTreeSet::from(["before".to_owned()]);
        for number in 0..3 {
            for name in ["ada", "twin"] {
                let text = format!("{name} {number}");
                c.send_message(name, group, &text);
                expected.insert(text);
            }
        }
        take_turns(&mut c, seed);
        for name in ["ada", "ben", "twin"] {
            assert_eq!(chat(&mut c, name, group), expected, "{name}, seed {seed}");
        }
        assert_eq!(faults(&mut c, "ben", FaultKind::Fork).len(), 1);
        for name in ["ada", "twin"] {
            assert_eq!(unaccepted(&mut c, name, group), [], "{name}");
            c.send_message(name, group, &format!("{name} goes on"));
            expected.insert(format!("{name} goes on"));
            c.crash(name);
            c.restart(name);
        }
        take_turns(&mut c, seed);
        for name in ["ada", "ben", "twin"] {
            assert_eq!(chat(&mut c, name, group), expected, "{name} after a restart, seed {seed}");
        }
    }
}

/// Two nodes that run under one device's key are never connected to a third at the same time.
pub(crate) fn take_turns(c: &mut Cluster, seed: u64) {
    let turns = if seed.is_multiple_of(2) { ["ada", "twin"] } else { ["twin", "ada"] };
    for name in turns.iter().cycle().take(5) {
        c.connect(name, "ben");
        c.run_for(10_000);
        c.disconnect(name, "ben");
    }
}

/// Ada's removal of Mal, as far as she says that she held its log.
fn removal(c: &Cluster, mal: &Insider, held: &[(LogId, LogHead)]) -> (Insider, Vec<u8>) {
    let mut ada = Insider::of(c, "ada");
    let (_, statement) = ada.state(Body::Remove { person: mal.person, vectors: held.to_vec() });
    (ada, statement)
}

#[test]
fn a_removed_member_cannot_write_its_past_anew_under_old_heads() {
    for (seed, smaller) in [(40, true), (41, false)] {
        let (mut c, group, mal) = with_mal(seed, &["ada", "ben", "cem"]);
        let mut log = mal.log(Concern::Chat, 7);
        log.say("common");
        let [counts, loses] = parting(&log, 1, ["one", "two"]);
        // By hash the altered past would count in the first round and lose in the second.
        let (mut named, mut altered) = if smaller { (loses, counts) } else { (counts, loses) };
        named.say("named");
        altered.say("altered");
        altered.say("beyond the cut");
        c.isolate("cem");
        tell(&mut c, "mal", &["ada", "ben"], &named.page());
        c.settle();
        let (_, statement) = removal(&c, &mal, &[(log.id, named.head())]);
        state(&mut c, "mal", &["ada", "ben"], &mal, statement);
        c.settle();
        let before = agree(&mut c, &["ada", "ben"], group);
        assert!(has(&before, "named"));
        // Whoever is cut off still believes Mal; the others hear it no more, and their friends do.
        tell(&mut c, "ben", &["ada"], &altered.page());
        c.settle();
        assert_eq!(agree(&mut c, &["ada", "ben"], group), before);
        c.heal();
        tell(&mut c, "ben", &["cem"], &altered.page());
        c.run_for(200_000);
        assert_eq!(agree(&mut c, &["ada", "ben", "cem"], group), before, "seed {seed}");
        for name in ["ada", "cem"] {
            c.crash(name);
            c.restart(name);
        }
        c.connect_all();
        c.run_for(200_000);
        assert_eq!(agree(&mut c, &["ada", "ben", "cem"], group), before, "seed {seed}, restarted");
    }
}

#[test]
fn the_branch_that_a_removal_names_counts_also_where_the_other_came_first() {
    for seed in 50..54 {
        let (mut c, group, mal) = with_mal(seed, &["ada", "ben", "cem"]);
        let mut log = mal.log(Concern::Chat, 7);
        log.say("common");
        let [mut counts, mut loses] = parting(&log, 1, ["one", "two"]);
        for number in 0..5 {
            loses.say(&format!("loses {number}"));
            counts.say(&format!("counts {number}"));
        }
        // Cem holds the smaller hash and knows nothing of the other branch before it hears, at
        // once, of the removal that names it.
        c.isolate("cem");
        tell(&mut c, "mal", &["ada"], &loses.page());
        c.settle();
        c.connect("cem", "mal");
        let (_, statement) = removal(&c, &mal, &[(log.id, loses.head())]);
        state(&mut c, "mal", &["ada", "ben"], &mal, statement);
        c.settle();
        tell(&mut c, "ben", &["ada"], &counts.page());
        c.heal();
        c.run_for(1);
        tell(&mut c, "mal", &["cem"], &counts.page());
        if seed % 2 == 0 {
            c.run_for(seed);
            c.crash("cem");
            c.restart("cem");
            c.connect_all();
        }
        c.run_for(200_000);
        let shown = agree(&mut c, &["ada", "ben", "cem"], group);
        assert!(has(&shown, "loses 4") && !has(&shown, "counts 4"), "{shown:?}");
    }
}

#[test]
fn an_edit_that_builds_on_void_content_waits_and_is_let_in_by_who_held_it() {
    let (mut c, _, mal) = with_mal(60, &["ada", "ben", "cem"]);
    c.take_over("ben");
    let mut ben = Insider::of(&c, "ben");
    let put = |by: &Insider, name: &str| {
        let actor = Actor { person: by.person, role: Role::Member };
        core::set_shown_name(&actor, name).unwrap_or_else(|error| panic!("{error}"))
    };
    // A foreign block can only be followed under a common key; Mal follows its own and Ben follows
    // Mal's in the same place, which is void for its content but must wait for its origin first.
    let mut of_mal = mal.log(Concern::Core, 7);
    let first = of_mal.put(put(&mal, "mal"));
    let mut of_ben = ben.log(Concern::Core, 8);
    let begun = of_ben.put(put(&ben, "ben"));
    of_ben.take(&first);
    let builds = of_ben.put(put(&mal, "built on mal"));
    let after = of_ben.put(put(&ben, "ben again"));

    let (_, statement) = removal(&c, &mal, &[]);
    state(&mut c, "ben", &["ada", "cem"], &mal, statement.clone());
    c.settle();
    ben.roster.insert(&statement);
    let bytes = [&begun, &builds, &after].map(|envelope| envelope.bytes().to_vec());
    tell(&mut c, "ben", &["ada", "cem"], &page(ben.entity, bytes.to_vec()));
    tell(&mut c, "ben", &["ada", "cem"], &of_mal.page());
    c.settle();
    let waiting = |c: &mut Cluster| {
        let Reply::Sync { documents, .. } = c.must("cem", Command::SyncStatus(None)) else {
            panic!("a status")
        };
        documents.into_iter().flat_map(|document| document.waiting).collect::<Vec<_>>()
    };
    let visible = waiting(&mut c);
    assert!(visible.contains(&("for what it builds on".to_owned(), 1)), "{visible:?}");
    assert_eq!(c.head_of("cem", of_ben.id).map(|head| head.sequence), Some(1));

    let removal = ben.roster.heads()[0];
    let (_, held) = ben.state(Body::Held { removal, vectors: vec![(of_mal.id, of_mal.head())] });
    state(&mut c, "ben", &["ada", "cem"], &mal, held);
    c.settle();
    tell(&mut c, "ben", &["ada", "cem"], &of_mal.page());
    c.settle();
    assert_eq!(waiting(&mut c), []);
    for name in ["ada", "cem"] {
        assert_eq!(c.head_of(name, of_ben.id).map(|head| head.sequence), Some(3), "{name}");
    }
}

#[test]
fn an_author_sees_what_does_not_count_and_sees_it_return_when_the_removal_is_undone() {
    let mut c = Cluster::new(70);
    let group = c.group_of(&["ada"]);
    // Dia comes first, so that she is senior to Ben.
    for (name, role) in [("dia", Role::Admin), ("ben", Role::Member), ("cem", Role::Member)] {
        c.add(name);
        let code = c.invite("ada", group, role, 1);
        c.join(name, group, &code);
    }
    c.connect_all();
    c.settle();
    c.send_message("ben", group, "before");
    c.settle();
    let ben = Insider::of(&c, "ben");
    let mut dia = Insider::of(&c, "dia");
    let heads: Vec<(LogId, LogHead)> =
        c.remembered("ada").heads.into_iter().map(|(_, log, head)| (log, head)).collect();
    let held = heads.into_iter().filter(|(log, _)| log.device == ben.device.key()).collect();
    c.isolate("ben");
    c.send_message("ben", group, "while apart");
    let (_, statement) = dia.state(Body::Remove { person: ben.person, vectors: held });
    c.take_over("dia");
    state(&mut c, "dia", &["ada", "cem"], &dia, statement);
    c.settle();
    c.heal();
    c.settle();
    let shown = unaccepted(&mut c, "ben", group);
    assert_eq!(shown.iter().map(|view| view.text.as_str()).collect::<Vec<_>>(), ["while apart"]);
    assert_eq!(chat_sync(&mut c, "ben", group).unaccepted, 1);
    assert!(c.notices("ben").contains(&Notice::AcceptanceChanged(group)));
    for name in ["ada", "cem"] {
        assert_eq!(chat(&mut c, name, group), BTreeSet::from(["before".to_owned()]), "{name}");
    }
    c.crash("ben");
    c.restart("ben");
    c.connect_all();
    assert_eq!(unaccepted(&mut c, "ben", group).len(), 1, "kept over a restart");

    // Ada undoes it, not knowing of it: what she signed before she heard of the removal.
    let mut ada = Insider::of(&c, "ada");
    ada.roster = ben.roster.clone();
    let (_, undo) = ada.state(Body::Remove { person: dia.person, vectors: Vec::new() });
    state(&mut c, "cem", &["ada", "ben"], &ada, undo);
    c.run_for(200_000);
    for name in ["ada", "ben", "cem"] {
        let expected = BTreeSet::from(["before".to_owned(), "while apart".to_owned()]);
        assert_eq!(chat(&mut c, name, group), expected, "{name}");
    }
    assert_eq!(unaccepted(&mut c, "ben", group), []);
    assert_eq!(chat_sync(&mut c, "ben", group).unaccepted, 0);
}

#[test]
fn an_envelope_of_a_newer_version_is_nobodys_fault_and_what_follows_it_waits() {
    let (mut c, group, mal) = with_mal(80, &["ada", "ben"]);
    let mut log = mal.log(Concern::Chat, 7);
    let first = log.say("old");
    let newer = log.say("new").bytes().to_vec();
    let newer = [&[2], &newer[1..]].concat();
    let after = log.say("after");
    for _ in 0..20 {
        let bytes = vec![first.bytes().to_vec(), newer.clone(), after.bytes().to_vec()];
        tell(&mut c, "mal", &["ada"], &page(mal.entity, bytes));
        c.run_for(50);
    }
    assert!(c.are_connected("mal", "ada"), "nobody is blamed");
    let status = chat_sync(&mut c, "ada", group).waiting;
    assert!(status.iter().any(|(what, _)| what == "for an update of this software"), "{status:?}");
    assert!(status.iter().any(|(what, _)| what == "for an earlier envelope"), "{status:?}");
    let seen = faults(&mut c, "ada", FaultKind::UnknownVersion);
    assert_eq!(seen.len(), 1);
    assert!(seen[0].person.is_none() && seen[0].detail.contains("version 2"), "{seen:?}");
    c.settle();
    let shown = agree(&mut c, &["ada", "ben"], group);
    assert!(has(&shown, "old") && !has(&shown, "after"));
    c.send_message("ben", group, "goes on");
    c.settle();
    assert!(has(&agree(&mut c, &["ada", "ben"], group), "goes on"));
}
