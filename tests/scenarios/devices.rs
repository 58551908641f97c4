//! One person, several devices: linked, revoked, recovered, in the home and in every group.

use fourword_protocol::command::{
    Command, DeviceCommand, DeviceView, JoinBy, JoinState, Notice, Outcome, RefusalCode, Reply,
};
use fourword_protocol::ids::{DeviceKey, PersonId};
use fourword_protocol::link::LinkCode;
use fourword_protocol::roster::Role;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;

fn refused(outcome: Outcome) -> Option<RefusalCode> {
    match outcome {
        Outcome::Refused(refusal) => Some(refusal.code),
        Outcome::Done(_) => None,
    }
}

/// A code made by a node, which carries its address.
fn code(c: &mut Cluster, by: &str) -> LinkCode {
    let addresses = vec![format!("sim:{by}")];
    match c.must(by, Command::Device(DeviceCommand::Add { addresses })) {
        Reply::Link(code) => code,
        other => panic!("{other:?}"),
    }
}

fn link_by(code: LinkCode) -> Command {
    Command::Device(DeviceCommand::Link { code, peers: Vec::new() })
}

/// Starts a new node and makes it a device of another's person.
fn add_device(c: &mut Cluster, of: &str, name: &str) {
    c.add(name);
    let code = code(c, of);
    c.must(name, link_by(code));
    c.connect_all();
    c.settle();
}

fn devices(c: &mut Cluster, name: &str) -> Vec<DeviceView> {
    match c.must(name, Command::Device(DeviceCommand::List)) {
        Reply::Devices(devices) => devices,
        other => panic!("{other:?}"),
    }
}

fn revoke(c: &mut Cluster, by: &str, device: DeviceKey) -> Outcome {
    c.ask(by, Command::Device(DeviceCommand::Revoke { device: device.to_string() }))
}

fn person(c: &mut Cluster, name: &str) -> PersonId {
    match c.must(name, Command::Status) {
        Reply::Status(status) => status.person,
        other => panic!("{other:?}"),
    }
}

fn phrase(c: &mut Cluster, name: &str) -> String {
    match c.must(name, Command::Phrase) {
        Reply::Phrase(phrase) => phrase,
        other => panic!("{other:?}"),
    }
}

fn recover(c: &mut Cluster, name: &str, phrase: &str) -> FourWords {
    let command = DeviceCommand::Recover { phrase: phrase.to_owned(), peers: Vec::new() };
    match c.must(name, Command::Device(command)) {
        Reply::Recovered(words) => words,
        other => panic!("{other:?}"),
    }
}

fn groups(c: &mut Cluster, name: &str) -> Vec<FourWords> {
    match c.must(name, Command::Entities) {
        Reply::Entities(entities) => entities.into_iter().map(|e| e.words).collect(),
        other => panic!("{other:?}"),
    }
}

/// How many members a node sees, and how many devices they have in all.
fn members(c: &mut Cluster, name: &str, group: FourWords) -> (usize, usize) {
    match c.must(name, Command::Members(group)) {
        Reply::Members(members) => (members.len(), members.iter().map(|m| m.devices.len()).sum()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_linked_device_writes_and_reads_everything_history_included() {
    let mut c = Cluster::new(1);
    let group = c.group_of(&["phone", "ben"]);
    c.send_message("ben", group, "before");
    c.settle();
    add_device(&mut c, "phone", "laptop");
    assert_eq!(person(&mut c, "laptop"), person(&mut c, "phone"));
    assert_eq!(groups(&mut c, "laptop"), [group]);
    assert_eq!(c.read_chat("laptop", group), ["before"]);
    c.send_message("laptop", group, "from the laptop");
    c.send_message("phone", group, "from the phone");
    c.settle();
    for name in ["phone", "laptop", "ben"] {
        assert_eq!(c.read_chat(name, group), ["before", "from the laptop", "from the phone"], "{name}");
    }
    assert_eq!(members(&mut c, "ben", group), (2, 3));
    let (phone, laptop) = (c.device("phone").unwrap(), c.device("laptop").unwrap());
    let shown: Vec<_> = devices(&mut c, "laptop")
        .into_iter()
        .map(|d| (d.device, d.here, d.online, d.revoked, d.certified_by))
        .collect();
    assert_eq!(shown, [(phone, false, true, false, None), (laptop, true, true, false, Some(phone))]);
    assert!(c.notices("phone").contains(&Notice::DevicesChanged));
    assert!(c.notices("laptop").contains(&Notice::DevicesChanged));
}

#[test]
fn a_group_joined_on_one_device_appears_on_the_other_and_left_on_one_is_left_on_both() {
    let mut c = Cluster::new(2);
    c.add("phone");
    c.add("ben");
    add_device(&mut c, "phone", "laptop");
    c.must("phone", Command::SetName("Ada".into()));
    c.settle();
    for (by, name) in [("laptop", "tea"), ("phone", "coffee")] {
        let group = c.create_group("ben", name);
        let code = c.invite("ben", group, Role::Member, 1);
        c.join(by, group, &code);
        c.settle();
        for device in ["phone", "laptop"] {
            c.send_message(device, group, &format!("{device} is here"));
            c.settle();
        }
        assert_eq!(c.read_chat("ben", group), ["phone is here", "laptop is here"], "{name}");
        let Reply::Members(members) = c.must("ben", Command::Members(group)) else { panic!("members") };
        assert!(members.iter().any(|m| m.person.name == "Ada" && m.devices.len() == 2), "{members:?}");
    }
    let all = groups(&mut c, "phone");
    assert_eq!(groups(&mut c, "laptop"), all);
    c.must("laptop", Command::Leave(all[0]));
    c.settle();
    let send = fourword_protocol::command::ChatCommand::Send { text: "x".into(), parent: None };
    assert_eq!(refused(c.ask("phone", Command::Chat(all[0], send))), Some(RefusalCode::NotAllowed));
}

#[test]
fn a_device_linked_by_the_second_after_the_first_is_gone_enters_new_groups() {
    let mut c = Cluster::new(3);
    let group = c.group_of(&["phone", "ben"]);
    c.must("phone", Command::ForgetRoot);
    add_device(&mut c, "phone", "laptop");
    c.crash("phone");
    add_device(&mut c, "laptop", "tablet");
    c.send_message("tablet", group, "third");
    c.settle();
    assert_eq!(c.read_chat("ben", group), ["third"]);
    assert_eq!(c.read_chat("laptop", group), ["third"]);
    // Vouched for by the laptop, which the phone vouched for.
    let new = c.create_group("ben", "new");
    let code = c.invite("ben", new, Role::Member, 1);
    c.isolate("laptop");
    c.join("tablet", new, &code);
    c.heal();
    c.settle();
    c.send_message("laptop", new, "so do I");
    c.settle();
    assert_eq!(c.read_chat("ben", new), ["so do I"]);
}

#[test]
fn a_stolen_laptop_cannot_revoke_the_phone_and_is_shut_out_by_it() {
    let mut c = Cluster::new(4);
    let group = c.group_of(&["phone", "ben"]);
    c.must("phone", Command::ForgetRoot);
    add_device(&mut c, "phone", "laptop");
    let (phone, laptop) = (c.device("phone").unwrap(), c.device("laptop").unwrap());
    assert_eq!(refused(revoke(&mut c, "laptop", phone)), Some(RefusalCode::NotAllowed));
    assert_eq!(refused(revoke(&mut c, "phone", phone)), Some(RefusalCode::NotAllowed));
    c.send_message("laptop", group, "mine still");
    c.settle();

    assert_eq!(refused(revoke(&mut c, "phone", laptop)), None);
    c.settle();
    c.send_message("phone", group, "among us");
    c.settle();
    assert_eq!(c.read_chat("ben", group), ["mine still", "among us"]);
    assert_eq!(c.read_chat("laptop", group), ["mine still"]);
    let send = fourword_protocol::command::ChatCommand::Send { text: "x".into(), parent: None };
    assert_eq!(refused(c.ask("laptop", Command::Chat(group, send))), Some(RefusalCode::NotAllowed));
    assert_eq!(
        refused(c.ask("laptop", Command::Device(DeviceCommand::Add { addresses: vec![] }))),
        Some(RefusalCode::NotAllowed)
    );
    let revoked: Vec<bool> = devices(&mut c, "phone").iter().map(|d| d.revoked).collect();
    assert_eq!(revoked, [false, true]);
    assert_eq!(members(&mut c, "ben", group), (2, 2));
    assert_eq!(refused(revoke(&mut c, "phone", laptop)), Some(RefusalCode::NotFound), "it is over");
}

#[test]
fn with_all_devices_lost_the_phrase_brings_back_the_person_its_groups_and_their_history() {
    let mut c = Cluster::new(5);
    let group = c.group_of(&["ben", "phone"]);
    c.send_message("phone", group, "from the phone");
    c.settle();
    let before = person(&mut c, "phone");
    let words = phrase(&mut c, "phone");
    let lost = c.device("phone").unwrap();
    let id = match c.must("ben", Command::Show(group)) {
        Reply::Entity(view) => view.id,
        other => panic!("{other:?}"),
    };
    c.crash("phone");

    c.add("new");
    recover(&mut c, "new", &words);
    assert_eq!(person(&mut c, "new"), before);
    c.connect_all();
    let by = JoinBy::Words { id: Some(id), note: String::new() };
    let join = Command::Join { words: group, by, peers: Vec::new() };
    let Reply::Joined(_, JoinState::Joined) = c.must("new", join) else { panic!("in") };
    c.settle();
    assert_eq!(c.read_chat("new", group), ["from the phone"]);
    c.send_message("new", group, "I am back");
    c.settle();
    assert_eq!(c.read_chat("ben", group), ["from the phone", "I am back"]);
    assert_eq!(members(&mut c, "ben", group), (2, 3));
    let _ = lost;
}
