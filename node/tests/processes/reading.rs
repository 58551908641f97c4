//! Chats are read and searched right after kills, and after their copy was removed or damaged.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::daemon::{Home, eventually};
use crate::story::two_in_a_group;

/// How often a process is killed while its copy follows.
const KILLS: usize = 24;

fn id(saved: &Value) -> String {
    saved["id"].as_str().expect("an id").to_owned()
}

fn texts<'a>(list: &'a Value, of: impl Fn(&'a Value) -> &'a Value) -> Vec<String> {
    let list = list.as_array().expect("a list");
    list.iter().map(|one| of(one)["text"].as_str().expect("a text").to_owned()).collect()
}

fn found(home: &Home, text: &str) -> Vec<String> {
    texts(&home.must(&["search", text, "--limit", "200"])["hits"], |hit| &hit["message"])
}

#[test]
fn what_is_read_and_found_after_kills_is_what_was_saved() {
    let home = Home::new();
    let mut daemon = home.up();
    let group = home.must(&["group", "create", "Tea"])["words"].as_str().expect("words").to_owned();
    let mut expected: Vec<(String, String)> = Vec::new();
    for round in 0..KILLS {
        let text = format!("needle {round}");
        expected.push((id(&home.must(&["chat", "send", &group, &text])), text));
        if round % 3 == 1 {
            let (first, changed) = expected.remove(0);
            let changed = format!("{changed} changed");
            home.must(&["chat", "edit", &group, &first, &changed]);
            expected.push((first, changed));
        }
        if round % 5 == 2 {
            let (first, _) = expected.remove(0);
            home.must(&["chat", "delete", &group, &first]);
        }
        daemon.kill();
        let file = home.path().join("reading/model");
        match round % 8 {
            5 => fs::remove_dir_all(home.path().join("reading")).expect("it was there"),
            6 => {
                let mut bytes = fs::read(&file).expect("it is there");
                (100..bytes.len()).step_by(4096).for_each(|at| bytes[at] ^= 1);
                fs::write(&file, bytes).expect("it is written");
            }
            _ => {}
        }
        daemon = home.up();
        let sorted = |mut texts: Vec<String>| {
            texts.sort();
            texts
        };
        let wanted = sorted(expected.iter().map(|(_, text)| text.clone()).collect());
        let read = home.chat(&group).into_iter().filter(|text| text != "(deleted)").collect();
        assert_eq!(sorted(read), wanted, "read in round {round}");
        assert_eq!(sorted(found(&home, "needle")), wanted, "found in round {round}");
    }
    let before = home.must(&["index", "status"])["messages"].clone();
    assert_eq!(home.must(&["index", "rebuild"])["messages"], before);
    assert_eq!(found(&home, "needle").len(), expected.len());
}

#[test]
fn pages_and_threads_go_as_far_back_as_there_are_messages() {
    let home = Home::new();
    let _daemon = home.up();
    let group = home.must(&["group", "create", "Tea"])["words"].as_str().expect("words").to_owned();
    let sent: Vec<String> =
        (0..25).map(|n| id(&home.must(&["chat", "send", &group, &format!("m{n}")]))).collect();
    let reply = id(&home.must(&["chat", "reply", &group, &sent[3], "a reply"]));
    home.must(&["chat", "reply", &group, &reply, "a reply to it"]);
    let thread = home.must(&["chat", "read", &group, "--thread", &sent[3]]);
    let mut shown = texts(&thread["messages"], |message| message);
    shown.sort();
    assert_eq!(shown, ["a reply", "a reply to it", "m3"]);
    let (mut read, mut before) = (Vec::new(), None::<String>);
    loop {
        let mut arguments = vec!["chat", "read", &group, "--limit", "10"];
        arguments.extend(before.iter().flat_map(|before| ["--before", before]));
        let page = home.must(&arguments);
        let ids: Vec<String> = page["messages"].as_array().expect("a list").iter().map(id).collect();
        before = ids.first().cloned();
        read.splice(0..0, ids);
        if page["has_older"] == false {
            break;
        }
        // What comes meanwhile moves nothing.
        home.must(&["chat", "send", &group, "late"]);
    }
    assert_eq!(read.len(), 27, "{read:?}");
    assert!(sent.iter().all(|sent| read.contains(sent)));
    let told = home.tell(&["chat", "read", &group, "--before", "aaaaaaaa"]);
    assert_eq!(told.code, 3, "{}", told.error);
}

#[test]
fn what_others_wrote_is_unread_until_it_was_read_and_stays_so_over_a_restart() {
    let (a, b, group, of_a, of_b) = two_in_a_group();
    for text in ["one", "two", "three"] {
        a.must(&["chat", "send", &group, text]);
    }
    b.wait_for_chat(&group, &["one", "two", "three"]);
    let unread = |home: &Home| home.must(&["inbox"])["groups"][0]["unread"].as_u64().expect("a number");
    assert_eq!((unread(&a), unread(&b)), (0, 3), "what one wrote is read, and --json notes nothing");
    assert_eq!(b.must(&["inbox"])["groups"][0]["last"]["text"], "three");
    let shown = b.must(&["chat", "read", &group]);
    b.must(&["chat", "mark-read", &group, &id(&shown["messages"][1])]);
    assert_eq!(unread(&b), 1);
    of_b.kill();
    let of_b = b.up();
    assert_eq!(unread(&b), 1);
    // As a person reads it.
    let read = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fourword"));
        command.args(["chat", "read", &group, "--home"]).arg(b.path()).args(more);
        command.env_remove("XDG_RUNTIME_DIR");
        assert!(command.output().expect("the program runs").status.success());
    };
    read(&["--keep-unread"]);
    assert_eq!(unread(&b), 1);
    read(&[]);
    assert_eq!(unread(&b), 0);
    b.must(&["chat", "mark-read", &group, &id(&shown["messages"][0])]);
    assert_eq!(unread(&b), 0, "never back");
    a.must(&["chat", "send", &group, "four"]);
    // The restarted node is dialled again by the other, in its time.
    b.must(&["dial", &of_a.address()]);
    eventually("another one", || unread(&b) == 1);
    drop((of_a, of_b));
}
