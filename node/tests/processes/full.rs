//! A home on a disk that runs full: writes are refused, what was called saved stays, and once there
//! is room again all goes on.

use std::collections::BTreeSet;
use std::ffi::OsString;

use serde_json::Value;

use crate::apart::{SmallDisk, in_a_world_of_its_own};
use crate::daemon::{Home, Told, told};

/// Room for an index and some journal, and soon filled.
const DISK_BYTES: u64 = 24 * 1024 * 1024;

/// Messages that are tried on a full disk before the test gives up: what a file has of room in its
/// last block lets some more be written.
const TRIES: usize = 200;

/// Starts a node that nobody finds.
const UP: [&str; 4] = ["up", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"];

/// What was called saved, and the first thing that was refused.
fn until_refused(home: &Home, group: &str, saved: &mut Vec<String>) -> Told {
    for number in 0..TRIES {
        let text = format!("on a full disk {number} {}", "x".repeat(2000));
        let told = home.tell(&["chat", "send", group, &text]);
        if told.code != 0 {
            return told;
        }
        saved.push(text);
    }
    panic!("{TRIES} messages were saved on a full disk");
}

fn shows(home: &Home, group: &str, saved: &[String]) {
    let (mut shown, mut saved) = (home.chat(group), saved.to_vec());
    shown.sort();
    saved.sort();
    assert_eq!(shown, saved);
}

/// What lies in a home, by name.
fn files(home: &Home) -> BTreeSet<OsString> {
    let entries = std::fs::read_dir(home.path()).expect("a home");
    entries.map(|entry| entry.expect("an entry").file_name()).collect()
}

/// Why the node writes no more, as its status says it.
fn read_only(home: &Home) -> Value {
    home.must(&["status"])["read_only"].clone()
}

#[test]
fn a_full_disk_refuses_writes_loses_nothing_saved_and_goes_on_when_there_is_room() {
    in_a_world_of_its_own(
        "full::a_full_disk_refuses_writes_loses_nothing_saved_and_goes_on_when_there_is_room",
        filled_and_freed,
    );
}

fn filled_and_freed() {
    let home = Home::new();
    let disk = SmallDisk::over(home.path(), DISK_BYTES);
    let node = home.up();
    let group = home.must(&["group", "create", "Tea"])["words"].as_str().expect("words").to_owned();
    let mut saved: Vec<String> = (0..5).map(|number| format!("with room {number}")).collect();
    for text in &saved {
        home.must(&["chat", "send", &group, text]);
    }
    assert_eq!(read_only(&home), Value::Null);

    let filling = disk.fill();
    let refused = until_refused(&home, &group, &mut saved);
    assert_eq!((refused.code, refused.error_code().as_str()), (1, "storage"), "{refused:?}");
    assert!(refused.error.contains("the disk is full"), "it names the cause: {}", refused.error);
    assert_eq!(read_only(&home), "the disk is full");
    shows(&home, &group, &saved);
    let again = home.tell(&["chat", "send", &group, "and again"]);
    assert_eq!((again.code, again.error_code().as_str()), (1, "storage"), "it stays refused: {again:?}");

    // A killed node does not begin again on a disk without room, however often it is started, and
    // what it has is not touched.
    node.kill();
    let before = files(&home);
    for _ in 0..3 {
        let begun = told(home.command(&UP).output().expect("the program runs"));
        assert_eq!(begun.code, 1, "{begun:?}");
        assert!(begun.error.contains("is full: make room"), "{}", begun.error);
    }
    assert_eq!(files(&home), before);

    std::fs::remove_file(filling).expect("it was there");
    let node = home.up();
    assert_eq!(read_only(&home), Value::Null);
    shows(&home, &group, &saved);
    home.must(&["chat", "send", &group, "with room again"]);
    saved.push("with room again".to_owned());
    node.stop();
    let _node = home.up();
    shows(&home, &group, &saved);
}
