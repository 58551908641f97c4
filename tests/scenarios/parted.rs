//! Two parts of a group that each folded without the other, and meet again; and who is left alone.

use fourword_protocol::command::{ChatCommand, Command};
use fourword_protocol::ids::DocumentKey;
use fourword_protocol::roster::Role;
use fourword_protocol::wire::Frame;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;

use crate::folding::{
    FOLD_AFTER, FOUR, assert_on_disk, assert_same, cluster, document, doings, folded, reach, write,
};
use crate::offering::dropped;
use crate::people::{remove, set_role};

/// Two pairs that wrote together, heard nothing of each other for a month, and folded what each wrote.
fn parted(seed: u64, before: usize) -> (Cluster, FourWords, DocumentKey) {
    parted_after(seed, before, |_, _| {})
}

fn parted_after(
    seed: u64,
    before: usize,
    first: impl FnOnce(&mut Cluster, FourWords),
) -> (Cluster, FourWords, DocumentKey) {
    let mut c = cluster(seed);
    let group = c.group_of(&FOUR);
    first(&mut c, group);
    let written = write(&mut c, &FOUR, group, 0..before);
    c.run_for(60_000);
    let (_, document) = document(&c, "ada", &FOUR);
    for (here, there) in [("ada", "cem"), ("ada", "eve"), ("ben", "cem"), ("ben", "eve")] {
        c.disconnect(here, there);
    }
    write(&mut c, &["ada", "ben"], group, 100..140);
    write(&mut c, &["cem", "eve"], group, 200..250);
    c.must("ada", Command::Chat(group, ChatCommand::Delete(written[0])));
    c.must("eve", Command::Chat(group, ChatCommand::Delete(written[3])));
    c.run_for(120_000);
    c.let_days_pass(31);
    c.run_for(120_000);
    for name in FOUR {
        let reached = reach(&folded(&c, name, document));
        assert!(reached > 30, "{name} has folded to {reached}");
        assert_on_disk(&c, name, document);
    }
    (c, group, document)
}

#[test]
fn two_parts_that_each_folded_without_the_other_hold_the_same_again_once_they_meet() {
    for before in [4, 4 * FOLD_AFTER as usize] {
        let (mut c, group, document) = parted(91, before);
        c.heal();
        c.run_for(120_000);
        assert_same(&mut c, &FOUR, group, document);
        let shown = c.read_chat("ada", group);
        let mut expected: Vec<String> =
            (0..before).filter(|n| ![0, 3].contains(n)).map(|n| format!("message {n}")).collect();
        expected.extend((100..140).chain(200..250).map(|n| format!("message {n}")));
        let said = |text: &String| shown.contains(text);
        assert_eq!((shown.len(), expected.iter().all(said)), (expected.len(), true), "{shown:?}");
        assert_eq!(doings(&mut c, 600_000), 0, "all is said");
    }
}

/// Its logs go on beyond what the demotion spared, and count there for who knows of both.
#[test]
fn what_one_wrote_who_was_lowered_before_and_raised_again_is_joined_like_all_else() {
    let (mut c, group, document) = parted_after(96, 8, |c, group| {
        c.send_message("eve", group, "as a member");
        c.settle();
        for role in [Role::Viewer, Role::Member] {
            set_role(c, "ada", group, "eve", role);
            c.settle();
        }
    });
    c.heal();
    c.run_for(120_000);
    assert_same(&mut c, &FOUR, group, document);
    assert_eq!(c.read_chat("ada", group).len(), 1 + 8 - 2 + 40 + 50);
}

#[test]
fn who_is_left_alone_folds_nothing_until_those_who_left_have_had_a_month_to_come_back() {
    for comes_back in [true, false] {
        let mut c = cluster(97);
        let group = c.group_of(&["ada", "ben", "cem"]);
        write(&mut c, &["ada", "ben", "cem"], group, 0..4);
        c.settle();
        let (_, document) = document(&c, "ada", &["ada", "ben", "cem"]);
        c.isolate("ada");
        write(&mut c, &["ben", "cem"], group, 4..44);
        c.run_for(120_000);
        c.let_days_pass(31);
        c.run_for(120_000);
        assert!(reach(&folded(&c, "cem", document)) > FOLD_AFTER, "what ada has not heard of");
        for name in ["ben", "cem"] {
            c.must(name, Command::Leave(group));
            c.settle();
        }
        c.isolate("ben");
        c.reunite("ada", "cem");
        c.settle();
        write(&mut c, &["ada"], group, 44..84);
        c.run_for(120_000);
        assert_eq!(reach(&folded(&c, "ada", document)), 0);
        if comes_back {
            let code = c.invite("ada", group, Role::Member, 1);
            c.join("cem", group, &code);
            c.run_for(120_000);
            assert_same(&mut c, &["ada", "cem"], group, document);
            assert_eq!(c.read_chat("cem", group).len(), 84);
        } else {
            c.crash("ada");
            c.restart("ada");
            c.let_days_pass(31);
            c.send_message("ada", group, "nobody came");
            c.run_for(120_000);
            assert!(reach(&folded(&c, "ada", document)) > FOLD_AFTER);
        }
    }
}

#[test]
fn who_joins_two_parts_that_had_folded_apart_is_given_all_of_it() {
    let (mut c, group, document) = parted(92, 8);
    c.heal();
    c.run_for(120_000);
    c.add("dia");
    let code = c.invite("ada", group, Role::Member, 1);
    c.join("dia", group, &code);
    c.connect_all();
    c.run_for(60_000);
    assert_same(&mut c, &["ada", "ben", "cem", "dia", "eve"], group, document);
    write(&mut c, &["dia", "cem"], group, 300..340);
    c.run_for(120_000);
    assert_same(&mut c, &["ada", "ben", "cem", "dia", "eve"], group, document);
}

#[test]
fn one_who_meets_both_parts_carries_each_to_the_other() {
    let (mut c, group, document) = parted(93, 8);
    c.reunite("ben", "cem");
    c.run_for(240_000);
    assert_same(&mut c, &FOUR, group, document);
}

#[test]
fn what_two_put_together_by_different_rosters_they_put_together_again() {
    let (mut c, group, document) = parted(95, 8);
    c.invite("ada", group, Role::Member, 1);
    c.run_for(60_000);
    for (from, to) in [("ben", "cem"), ("cem", "ben")] {
        c.lose(from, to, |frame| matches!(frame, Frame::Statements { .. }), 1_000);
    }
    c.reunite("ben", "cem");
    c.run_for(120_000);
    assert!(!c.read_chat("ben", group).contains(&"message 201".to_owned()), "cem knows of no invite");
    c.lose_no_more();
    c.run_for(120_000);
    assert_same(&mut c, &FOUR, group, document);
}

#[test]
fn what_one_wrote_who_was_removed_meanwhile_counts_once_a_member_has_vouched_for_it_and_not_before() {
    let (mut c, group, document) = parted(94, 8);
    remove(&mut c, "ada", group, "eve");
    c.run_for(60_000);
    c.isolate("eve");
    for name in ["ada", "ben"] {
        c.lose(name, "cem", |frame| matches!(frame, Frame::Statements { .. }), 1_000);
        c.reunite(name, "cem");
    }
    c.run_for(120_000);
    for name in ["ada", "ben"] {
        assert!(dropped(&mut c, name, "snapshot that is not wanted") > 0, "cem has not heard of the removal");
        assert_eq!(c.read_chat(name, group).len(), 47, "{name}");
    }
    c.lose_no_more();
    c.run_for(120_000);
    assert_same(&mut c, &["ada", "ben", "cem"], group, document);
    assert!(c.read_chat("ada", group).contains(&"message 201".to_owned()), "eve wrote it");
}
