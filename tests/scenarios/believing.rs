//! What others believe of a device that drops a document or keeps it again: words that are lost, older
//! homes, copies.

use fourword_protocol::command::Keeps;
use fourword_protocol::roster::Role;
use fourword_protocol::wire::Frame;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;

use crate::comparing::watch;
use crate::keeping::{CHAT, assert_same, chats, delete, flags, keep, keeps, must_drop};

/// A group in whose chat something was said, and which then rests.
fn resting_group(c: &mut Cluster, names: &[&str]) -> FourWords {
    let group = c.group_of(names);
    c.send_message("ada", group, "hello");
    c.settle();
    group
}

/// A copy of ben's home, the only one that runs, drops the chat.
fn drop_by_a_copy_of_ben(c: &mut Cluster, group: FourWords) {
    c.stop("ben");
    c.start_twin("ben", "copy of ben");
    c.connect("ada", "copy of ben");
    c.settle();
    must_drop(c, "copy of ben", group, CHAT);
}

#[test]
fn a_word_that_is_lost_on_the_way_is_found_missing() {
    let mut c = Cluster::new(1919);
    let group = resting_group(&mut c, &["ada", "ben"]);
    let ben = c.device("ben").unwrap();
    let is_acks = |frame: &Frame| matches!(frame, Frame::Acks { .. });
    c.lose("ben", "ada", is_acks, 1);
    must_drop(&mut c, "ben", group, CHAT);
    c.run_for(300_000);
    assert_eq!(keeps(&mut c, "ada", group, ben), Keeps::Stopped);
    c.lose("ben", "ada", is_acks, 1);
    keep(&mut c, "ben", group, CHAT);
    c.run_for(300_000);
    assert_ne!(keeps(&mut c, "ada", group, ben), Keeps::Stopped);
    assert_same(&mut c, &["ada", "ben"], group);
}

#[test]
fn who_keeps_a_chat_again_is_soon_awaited_by_those_whom_it_does_not_meet() {
    let mut c = Cluster::new(1932);
    c.compare_every = None;
    let group = resting_group(&mut c, &["ada", "ben", "cem"]);
    let ada = c.device("ada").unwrap();
    c.disconnect("ada", "cem");
    must_drop(&mut c, "ada", group, CHAT);
    c.settle();
    assert_eq!(keeps(&mut c, "cem", group, ada), Keeps::Stopped);
    keep(&mut c, "ada", group, CHAT);
    c.settle();
    assert_ne!(keeps(&mut c, "cem", group, ada), Keeps::Stopped);
    assert_same(&mut c, &["ada", "ben", "cem"], group);
}

#[test]
fn who_dropped_a_chat_finds_missing_that_another_keeps_it_again() {
    let mut c = Cluster::new(1936);
    let group = resting_group(&mut c, &["ada", "ben", "eve"]);
    must_drop(&mut c, "ben", group, CHAT);
    must_drop(&mut c, "eve", group, CHAT);
    c.settle();
    c.lose("ben", "eve", |frame| matches!(frame, Frame::Acks { .. }), 2);
    keep(&mut c, "ben", group, CHAT);
    c.run_for(300_000);
    let seen = watch(&mut c, 600_000);
    assert!(seen.keys().all(|(_, what)| what.starts_with("quiet to ")), "{seen:?}");
}

#[test]
fn a_home_from_before_the_drop_says_that_it_keeps_the_chat() {
    let mut c = Cluster::new(1925);
    let group = resting_group(&mut c, &["ada", "ben"]);
    let ben = c.device("ben").unwrap();
    c.stop("ben");
    c.restore_copy("ben", "ben from before");
    c.crash("ben from before");
    c.restart("ben");
    c.connect_all();
    c.settle();
    must_drop(&mut c, "ben", group, CHAT);
    c.settle();
    assert_eq!(keeps(&mut c, "ada", group, ben), Keeps::Stopped);
    c.crash("ben");
    c.restart("ben from before");
    c.connect("ada", "ben from before");
    c.settle();
    assert_eq!(c.read_chat("ben from before", group), ["hello"]);
    c.send_message("ben from before", group, "I am still here");
    c.settle();
    assert_ne!(keeps(&mut c, "ada", group, ben), Keeps::Stopped);
    assert_same(&mut c, &["ada", "ben from before"], group);
}

#[test]
fn a_home_from_before_it_kept_the_chat_again_says_that_it_does_not() {
    let mut c = Cluster::new(1926);
    let group = resting_group(&mut c, &["ada", "ben"]);
    let ben = c.device("ben").unwrap();
    must_drop(&mut c, "ben", group, CHAT);
    c.stop("ben");
    c.restore_copy("ben", "ben from before");
    c.crash("ben from before");
    c.restart("ben");
    c.connect_all();
    keep(&mut c, "ben", group, CHAT);
    c.settle();
    c.crash("ben");
    c.restart("ben from before");
    c.connect("ada", "ben from before");
    c.run_for(300_000);
    assert_eq!(keeps(&mut c, "ada", group, ben), Keeps::Stopped);
    let seen = watch(&mut c, 600_000);
    assert!(seen.keys().all(|(_, what)| what.starts_with("quiet to ")), "{seen:?}");
}

#[test]
fn a_device_of_whose_home_a_copy_dropped_the_chat_says_that_it_keeps_all_segments_of_it() {
    let mut c = Cluster::new(1927);
    let group = resting_group(&mut c, &["ada", "ben", "eve"]);
    let ben = c.device("ben").unwrap();
    drop_by_a_copy_of_ben(&mut c, group);
    c.settle();
    assert_eq!(keeps(&mut c, "ada", group, ben), Keeps::Stopped);
    c.crash("copy of ben");
    c.restart("ben");
    c.connect_all();
    c.settle();
    for name in ["ada", "eve"] {
        assert_ne!(keeps(&mut c, name, group, ben), Keeps::Stopped, "{name}");
        let unkept = chats(&c, name).iter().filter(|holding| holding.stopped().contains(&ben)).count();
        assert_eq!(unkept, 0, "{name} knows that it keeps those in which nobody wrote, too");
    }
    let seen = watch(&mut c, 600_000);
    assert!(seen.keys().all(|(_, what)| what.starts_with("quiet to ")), "{seen:?}");
}

#[test]
fn a_device_of_whose_home_a_copy_said_otherwise_under_one_number_is_heard() {
    let mut c = Cluster::new(1933);
    let group = resting_group(&mut c, &["ada", "ben"]);
    let ben = c.device("ben").unwrap();
    drop_by_a_copy_of_ben(&mut c, group);
    c.settle();
    assert_eq!(keeps(&mut c, "ada", group, ben), Keeps::Stopped);
    c.crash("copy of ben");
    c.restart("ben");
    let soon_gone = c.send_message("ben", group, "soon gone");
    delete(&mut c, "ben", group, soon_gone);
    c.settle();
    c.connect("ada", "ben");
    c.settle();
    assert_ne!(keeps(&mut c, "ada", group, ben), Keeps::Stopped);
    assert_eq!(flags(&mut c, "ada", group), (0, 1));
    assert_same(&mut c, &["ada", "ben"], group);
}

#[test]
fn two_homes_of_one_device_that_say_otherwise_do_not_keep_each_other_busy() {
    let mut c = Cluster::new(1928);
    let group = resting_group(&mut c, &["ada", "ben"]);
    drop_by_a_copy_of_ben(&mut c, group);
    c.add("eve");
    let code = c.invite("ada", group, Role::Member, 1);
    c.join("eve", group, &code);
    c.restart("ben");
    c.connect("eve", "ben");
    c.settle();
    let seen = watch(&mut c, 600_000);
    let writes = |name: &str| seen.get(&(name.to_owned(), "write".to_owned())).copied().unwrap_or(0);
    assert!(writes("ben") <= 130 && writes("copy of ben") <= 130, "once in ten seconds: {seen:?}");
}
