//! What programs on a device are told as it happens, so that they need not look again and again.

use fourword_protocol::command::{ChatCommand, Command, Kind, Notice};
use fourword_protocol::roster::Role;
use fourword_protocol::schema::core::Setting;
use fourword_protocol::schema::home::ReadMarker;
use fourword_protocol::time::WallTime;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;

use crate::devices::add_device;
use crate::folding::{THREE, assert_same, folded_group};
use crate::people::set_role;

/// How often a node told this.
fn told(c: &Cluster, name: &str, notice: &Notice) -> usize {
    c.notices(name).iter().filter(|told| *told == notice).count()
}

/// Whether a node told of a change of a group while something was done elsewhere.
fn tells_of(c: &mut Cluster, name: &str, group: FourWords, act: impl FnOnce(&mut Cluster)) -> bool {
    c.settle();
    let before = told(c, name, &Notice::EntityChanged(group));
    act(c);
    c.settle();
    told(c, name, &Notice::EntityChanged(group)) > before
}

#[test]
fn a_new_name_setting_or_channel_of_a_group_is_told_and_idle_groups_tell_nothing() {
    let mut c = Cluster::new(1);
    let group = c.group_of(&["ada", "ben"]);
    for setting in [Setting::Name("Kitchen".into()), Setting::LapseDays(60)] {
        let set = |c: &mut Cluster| drop(c.must("ada", Command::Configure(group, setting)));
        assert!(tells_of(&mut c, "ben", group, set));
    }
    let make = |c: &mut Cluster| _ = c.create_child("ada", Kind::Channel, "coffee", group);
    assert!(tells_of(&mut c, "ben", group, make));
    assert!(!tells_of(&mut c, "ben", group, |c| _ = c.send_message("ada", group, "hello")));
    assert!(!tells_of(&mut c, "ben", group, |c| c.run_for(600_000)));
}

#[test]
fn a_channel_that_another_made_is_told_once_its_words_are_known() {
    let mut c = Cluster::new(2);
    let group = c.group_of(&["ada", "ben"]);
    let channel = c.create_child("ada", Kind::Channel, "coffee", group);
    c.settle();
    assert!(told(&c, "ben", &Notice::EntityChanged(channel)) > 0);
}

#[test]
fn that_one_read_further_is_told_on_ones_other_devices() {
    let mut c = Cluster::new(3);
    let group = c.group_of(&["ada", "ben"]);
    add_device(&mut c, "ben", "bens phone");
    let message = c.send_message("ada", group, "hello");
    c.settle();
    let homes = |c: &Cluster| ["bens phone", "ada"].map(|name| told(c, name, &Notice::HomeChanged));
    let [phone, ada] = homes(&c);
    let marker = ReadMarker { time: WallTime(1), message };
    c.must("ben", Command::Chat(group, ChatCommand::MarkRead(marker)));
    c.settle();
    let [phone_later, ada_later] = homes(&c);
    assert!(phone_later > phone);
    assert_eq!(ada_later, ada, "it is nobody else's to know");
}

/// How often a node told that a whole part of the chat came or counts otherwise.
fn told_anew(c: &Cluster, name: &str, group: FourWords) -> usize {
    let anew = Notice::ChatChanged { entity: group, messages: Vec::new() };
    c.notices(name).iter().filter(|notice| **notice == anew).count()
}

#[test]
fn whoever_watches_a_chat_is_told_when_a_snapshot_of_it_is_taken_and_not_when_it_is_folded() {
    let (mut c, group, document) = folded_group(84);
    for name in THREE {
        assert_eq!(told_anew(&c, name, group), 0, "{name} shows what it showed before");
    }
    c.add("dia");
    let code = c.invite("ada", group, Role::Member, 1);
    c.join("dia", group, &code);
    c.connect_all();
    c.run_for(60_000);
    assert_same(&mut c, &["ada", "dia"], group, document);
    assert!(told_anew(&c, "dia", group) > 0);
}

#[test]
fn whoever_watches_a_chat_is_told_when_a_demotion_makes_void_what_it_shows() {
    let mut c = Cluster::new(85);
    let group = c.group_of(&THREE);
    let written = c.send_message("ada", group, "hello");
    set_role(&mut c, "ada", group, "eve", Role::Admin);
    c.settle();
    c.isolate("eve");
    c.must("eve", Command::Chat(group, ChatCommand::Delete(written)));
    set_role(&mut c, "ada", group, "eve", Role::Member);
    c.settle();
    assert_eq!((c.read_chat("eve", group), told_anew(&c, "eve", group)), (vec!["(deleted)".to_owned()], 0));
    c.heal();
    c.settle();
    assert_eq!(c.read_chat("eve", group), ["hello"]);
    assert!(told_anew(&c, "eve", group) > 0);
}
