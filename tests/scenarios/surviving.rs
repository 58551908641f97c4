//! What is saved stays: crashes, clean stops, copied homes and peers that remember more.

use fourword_protocol::command::{Command, Reply};
use fourword_tests::cluster::Cluster;

#[test]
fn what_was_saved_is_there_after_a_crash() {
    let mut c = Cluster::new(1);
    c.add("ada");
    let group = c.create_group("ada", "tea");
    for i in 0..20 {
        c.send_message("ada", group, &format!("message {i}"));
        c.crash("ada");
        c.restart("ada");
    }
    assert_eq!(c.read_chat("ada", group).len(), 20);
}

#[test]
fn a_node_knows_its_groups_and_its_name_after_a_restart() {
    let mut c = Cluster::new(2);
    c.add("ada");
    let group = c.create_group("ada", "tea");
    let Reply::Status(before) = c.must("ada", Command::Status) else { panic!("a status") };
    c.stop("ada");
    c.restart("ada");
    let Reply::Status(after) = c.must("ada", Command::Status) else { panic!("a status") };
    assert_eq!((before.identity, before.device), (after.identity, after.device));
    let Reply::Entities(entities) = c.must("ada", Command::Entities) else { panic!("entities") };
    assert_eq!(entities.iter().map(|e| e.words).collect::<Vec<_>>(), [group]);
}

#[test]
fn both_write_while_the_other_is_down_and_both_end_with_the_same_chat() {
    let mut c = Cluster::new(3);
    let group = c.group_of(&["ada", "ben"]);
    c.stop("ben");
    c.send_message("ada", group, "ben is away");
    c.settle();
    c.stop("ada");
    c.restart("ben");
    c.send_message("ben", group, "ada is away");
    c.settle();
    c.restart("ada");
    c.connect_all();
    c.settle();
    assert_eq!(c.read_chat("ada", group), ["ben is away", "ada is away"]);
    assert_eq!(c.read_chat("ben", group), ["ben is away", "ada is away"]);
}

#[test]
fn a_copied_home_started_beside_its_original_harms_nobody() {
    let mut c = Cluster::new(4);
    let group = c.group_of(&["ada", "ben"]);
    c.send_message("ada", group, "one");
    c.settle();
    c.isolate("ada");
    c.restore_copy("ada", "copy");
    c.connect("copy", "ben");
    c.send_message("copy", group, "from the copy");
    c.send_message("ada", group, "from the original");
    c.settle();
    c.crash("copy");
    c.heal();
    c.settle();
    let of_ben = c.read_chat("ben", group);
    assert_eq!(of_ben.len(), 3, "{of_ben:?}");
    assert_eq!(c.read_chat("ada", group), of_ben);
}

#[test]
fn what_a_crash_took_from_its_author_comes_back_from_whoever_got_it() {
    let mut c = Cluster::new(5);
    let group = c.group_of(&["ada", "ben"]);
    c.send_message("ada", group, "one");
    c.settle();
    // The home as it was before the next message: a restored backup.
    c.stop("ada");
    c.restart("ada");
    c.restore_copy("ada", "backup");
    c.connect("ada", "ben");
    c.send_message("ada", group, "two");
    c.settle();
    c.crash("ada");
    c.send_message("backup", group, "three");
    c.connect("backup", "ben");
    c.settle();
    assert_eq!(c.read_chat("backup", group).len(), 3);
    assert_eq!(c.read_chat("ben", group).len(), 3);
}
