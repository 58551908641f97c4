//! What is saved stays: crashes, clean stops, copied homes and peers that remember more.

use fourword_protocol::command::{ChatCommand, Command, Notice, Outcome, RefusalCode, Reply};
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

#[test]
fn a_full_disk_refuses_writes_says_so_and_loses_nothing_that_was_saved() {
    let mut c = Cluster::new(6);
    let group = c.group_of(&["ada", "ben"]);
    c.send_message("ada", group, "saved");
    c.fill_disk("ada");
    let send = |text: &str| {
        let command = ChatCommand::say(text, None);
        Command::Chat(group, command)
    };
    let refused =
        |outcome| matches!(outcome, Outcome::Refused(refusal) if refusal.code == RefusalCode::Storage);
    assert!(refused(c.ask("ada", send("lost"))), "the first write that fails");
    assert!(refused(c.ask("ada", send("refused"))), "and every one after it");
    assert!(c.notices("ada").iter().any(|notice| matches!(notice, Notice::ReadOnly(_))));
    assert_eq!(c.read_chat("ada", group), ["saved"], "what is shown is what is saved");

    c.send_message("ben", group, "meanwhile");
    c.crash("ada");
    c.restart("ada");
    c.connect_all();
    c.settle();
    c.send_message("ada", group, "room again");
    c.settle();
    for name in ["ada", "ben"] {
        let shown = c.read_chat(name, group);
        for text in ["saved", "meanwhile", "room again"] {
            assert!(shown.iter().any(|t| t == text), "{name}: {shown:?}");
        }
    }
}

#[test]
fn a_log_is_continued_only_after_a_clean_stop() {
    let mut c = Cluster::new(7);
    c.add("ada");
    let group = c.create_group("ada", "tea");
    c.send_message("ada", group, "one");
    c.stop("ada");
    let before = c.logs("ada");
    c.restart("ada");
    c.send_message("ada", group, "two");
    assert_eq!(c.logs("ada"), before, "after a clean stop the same log goes on");
    c.crash("ada");
    c.restart("ada");
    c.send_message("ada", group, "three");
    assert_eq!(c.logs("ada").difference(&before).count(), 1, "after a crash a new one begins");
}

#[test]
fn what_somebody_wrote_stays_after_it_has_left() {
    let mut c = Cluster::new(8);
    let group = c.group_of(&["ada", "ben", "eve"]);
    c.send_message("ben", group, "before I go");
    c.settle();
    c.must("ben", Command::Leave(group));
    c.settle();
    for name in ["ada", "eve"] {
        assert_eq!(c.read_chat(name, group), ["before I go"], "{name}");
    }
    c.crash("ada");
    c.restart("ada");
    assert_eq!(c.read_chat("ada", group), ["before I go"], "judged anew from the disk");
    let Reply::Members(members) = c.must("ada", Command::Members(group)) else { panic!("members") };
    assert_eq!(members.len(), 2);
    c.connect_all();
    c.settle();
    c.send_message("ada", group, "among us");
    c.settle();
    assert_eq!(c.read_chat("eve", group), ["before I go", "among us"]);
    assert_eq!(c.read_chat("ben", group), ["before I go"], "who has left reads no more");
}

// Found by the simulation, seed 10707.
#[test]
fn a_log_that_a_crash_ended_is_not_gone_on_with_after_a_later_clean_stop() {
    let mut c = Cluster::new(9);
    let group = c.group_of(&["ada", "ben"]);
    c.send_message("ben", group, "one");
    c.settle();
    // Published, and gone from its author before it was on disk.
    c.begin("ben", Command::Chat(group, ChatCommand::say("two", None)));
    c.run_until_delivered("ada");
    c.crash("ben");
    c.restart("ben");
    c.stop("ben");
    c.restart("ben");
    c.send_message("ben", group, "three");
    c.connect_all();
    c.settle();
    assert_eq!(c.read_chat("ada", group).len(), 3, "the one that its author lost is kept by who got it");
    assert_eq!(c.read_chat("ben", group), c.read_chat("ada", group));
}

// Found by the simulation.
#[test]
fn a_node_that_cannot_save_does_not_fetch_the_same_again_and_again() {
    let mut c = Cluster::new(10);
    let group = c.group_of(&["ada", "ben"]);
    c.fill_disk("ada");
    c.send_message("ben", group, "one");
    c.settle();
    c.send_message("ben", group, "two");
    let before = c.delivered;
    c.settle();
    let frames = c.delivered - before;
    assert!(frames < 60, "{frames} frames for one message that cannot be saved");
    c.crash("ada");
    c.restart("ada");
    c.connect_all();
    c.settle();
    assert_eq!(c.read_chat("ada", group), ["one", "two"]);
}
