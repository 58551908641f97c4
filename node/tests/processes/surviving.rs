//! What was saved is there: after kills, lost indexes, copies and clean ends.

use std::collections::BTreeSet;

use fourword_protocol::ids::LogId;
use fourword_protocol::record::{Page, Query};
use fourword_storage::{DiskStore, Store};

use crate::daemon::{Home, eventually};
use crate::story::two_in_a_group;

/// How often a process is killed right after it said that a message is saved.
const KILLS: usize = 200;

/// All logs that a home holds.
fn logs(home: &Home) -> BTreeSet<LogId> {
    let opened = DiskStore::open(home.path(), None).expect("no process has it open");
    let Page::Opening { heads, .. } = opened.store.read(&Query::Opening).expect("it reads") else {
        panic!("an opening page")
    };
    // Closed, so that looking does not count as an unclean stop.
    let logs = heads.iter().map(|(_, log, _)| *log).collect();
    if opened.clean {
        opened.store.close().expect("it closes");
    }
    logs
}

#[test]
fn two_hundred_kills_right_after_saved_lose_nothing() {
    let home = Home::new();
    let mut daemon = home.up();
    let group = home.must(&["group", "create", "Tea"])["words"].as_str().expect("words").to_owned();
    let mut expected = Vec::new();
    for round in 0..KILLS {
        let text = format!("message {round}");
        assert!(home.must(&["chat", "send", &group, &text])["id"].is_string());
        daemon.kill();
        expected.push(text);
        daemon = home.up();
    }
    let mut shown = home.chat(&group);
    // Messages of one millisecond are shown in the order of their random names.
    shown.sort();
    expected.sort();
    assert_eq!(shown, expected);
}

#[test]
fn a_log_goes_on_after_a_clean_stop_and_a_new_one_begins_after_a_kill() {
    let home = Home::new();
    let daemon = home.up();
    let group = home.must(&["group", "create", "Tea"])["words"].as_str().expect("words").to_owned();
    home.must(&["chat", "send", &group, "one"]);
    daemon.stop();
    let before = logs(&home);

    let daemon = home.up();
    home.must(&["chat", "send", &group, "two"]);
    daemon.stop();
    assert_eq!(logs(&home), before, "a clean stop: the same logs go on");

    let daemon = home.up();
    daemon.kill();
    let daemon = home.up();
    home.must(&["chat", "send", &group, "three"]);
    daemon.stop();
    let after = logs(&home);
    assert_eq!(after.difference(&before).count(), 1, "a kill: the chat goes on in a new log");
}

#[test]
fn a_copied_home_beside_its_original_harms_nobody() {
    let (a, b, group, of_a, of_b) = two_in_a_group();
    a.must(&["chat", "send", &group, "one"]);
    b.wait_for_chat(&group, &["one"]);
    of_a.stop();
    let copy = a.copy();

    // Original and copy write apart; the other hears the one, then the other.
    let of_copy = copy.up();
    copy.must(&["chat", "send", &group, "from the copy"]);
    copy.must(&["dial", &of_b.address()]);
    b.wait_for_chat(&group, &["one", "from the copy"]);
    of_copy.stop();

    let of_a = a.up();
    a.must(&["chat", "send", &group, "from the original"]);
    a.must(&["dial", &of_b.address()]);
    let expected = ["one", "from the copy", "from the original"];
    b.wait_for_chat(&group, &expected);
    a.wait_for_chat(&group, &expected);
    of_a.stop();
    of_b.stop();
}

#[test]
fn deleting_the_index_loses_nothing() {
    let home = Home::new();
    let daemon = home.up();
    let group = home.must(&["group", "create", "Tea"])["words"].as_str().expect("words").to_owned();
    for i in 0..20 {
        home.must(&["chat", "send", &group, &format!("message {i:02}")]);
    }
    let before = home.chat(&group);
    let identity = daemon.identity();
    daemon.stop();
    std::fs::remove_dir_all(home.path().join("index")).expect("the index was there");
    let daemon = home.up();
    assert_eq!(daemon.identity(), identity);
    assert_eq!(home.chat(&group), before);
}

#[test]
fn a_join_goes_on_in_the_background_until_a_member_is_reached() {
    let (a, b) = (Home::new(), Home::new());
    let of_a = a.up();
    let group = a.must(&["group", "create", "Tea"])["words"].as_str().expect("words").to_owned();
    let code = a.must(&["invite", &group])["code"].as_str().expect("a code").to_owned();
    let listen = of_a.address();
    of_a.stop();
    let _of_b = b.up();
    let joined = b.tell(&["join", &group, "--code", &code, "--wait", "1"]);
    assert_ne!(joined.code, 0);
    assert_eq!(joined.out["state"], "unreachable");
    let _of_a = a.up_with(&["--listen", &listen[..listen.find("/p2p").expect("a peer id")]]);
    eventually("being in", || b.tell(&["group", "show", &group]).code == 0);
}
