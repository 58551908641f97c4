//! One person, several devices: linked, revoked, recovered, in the home and in every group.

use std::collections::BTreeMap;

use fourword_protocol::command::{
    ChatCommand, Command, DeviceCommand, DeviceView, JoinBy, JoinState, Notice, Outcome, RefusalCode, Reply,
};
use fourword_protocol::envelope::Envelope;
use fourword_protocol::epoch;
use fourword_protocol::ids::{DeviceKey, EntityId, LogId, PersonId};
use fourword_protocol::link::LinkCode;
use fourword_protocol::roster::{Body, Role, Roster, Statement};
use fourword_protocol::schema::home::ReadMarker;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;

pub(crate) fn refused(outcome: Outcome) -> Option<RefusalCode> {
    match outcome {
        Outcome::Refused(refusal) => Some(refusal.code),
        Outcome::Done(_) => None,
    }
}

/// A code made by a node, which carries its address.
pub(crate) fn code(c: &mut Cluster, by: &str) -> LinkCode {
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
pub(crate) fn add_device(c: &mut Cluster, of: &str, name: &str) {
    c.add(name);
    link(c, of, name);
}

/// Makes a node a device of another's person.
pub(crate) fn link(c: &mut Cluster, of: &str, name: &str) {
    let code = code(c, of);
    c.must(name, link_by(code));
    c.connect_all();
    c.settle();
}

pub(crate) fn devices(c: &mut Cluster, name: &str) -> Vec<DeviceView> {
    match c.must(name, Command::Device(DeviceCommand::List)) {
        Reply::Devices(devices) => devices,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn revoke(c: &mut Cluster, by: &str, device: DeviceKey) -> Outcome {
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

/// Joins by the words alone, as a person who is a member already.
fn come_back(c: &mut Cluster, name: &str, group: FourWords) {
    let by = JoinBy::Words { id: None, note: String::new() };
    let join = Command::Join { words: group, by, peers: Vec::new() };
    let Reply::Joined(_, JoinState::Joined) = c.must(name, join) else { panic!("in") };
    c.settle();
}

/// Opens, with a device's own keys, every seal for it that anybody holds, and tries what comes out
/// on each envelope that a node got since its logs had these heads.
fn assert_no_key_opens(c: &Cluster, thief: &str, honest: &str, since: &BTreeMap<LogId, u64>) {
    let secret = c.secret(thief);
    let there = c.remembered(honest);
    let mut rosters: BTreeMap<EntityId, Roster> = BTreeMap::new();
    for (entity, _, bytes) in there.statements.iter().filter(|(entity, id, _)| entity.0 == id.0) {
        rosters.insert(*entity, Roster::new(Statement::read(bytes).unwrap()).unwrap());
    }
    for (entity, _, bytes) in &there.statements {
        rosters.get_mut(entity).unwrap().insert(bytes);
    }
    let mut keys = Vec::new();
    for (entity, roster) in &rosters {
        for (epoch, seal) in roster.seals_for(&secret.key()) {
            let Some(Body::Epoch { commitment, .. }) = roster.statement(&epoch).map(Statement::body) else {
                continue;
            };
            let to = roster.genesis().secret_commitment;
            keys.extend(epoch::open(*entity, *commitment, to, &seal.sealed, &secret).map(|(key, _)| key));
        }
    }
    let mut tried = 0;
    for (_, log, head) in &there.heads {
        let before = since.get(log).copied().unwrap_or(0);
        for envelope in c.stored_log(honest, *log).iter().map(|bytes| Envelope::read(bytes).unwrap()) {
            if envelope.header.sequence > before && envelope.header.sequence <= head.sequence {
                tried += 1;
                assert!(keys.iter().all(|key| envelope.open(key).is_err()), "{thief} reads on");
            }
        }
    }
    assert!(tried > 0, "nothing was written since");
}

/// How far each log reaches that a node holds.
fn heads(c: &Cluster, name: &str) -> BTreeMap<LogId, u64> {
    c.remembered(name).heads.into_iter().map(|(_, log, head)| (log, head.sequence)).collect()
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
    let send = ChatCommand::say("x", None);
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
    let send = ChatCommand::say("x", None);
    assert_eq!(refused(c.ask("laptop", Command::Chat(group, send))), Some(RefusalCode::NotAllowed));
    assert_eq!(
        refused(c.ask("laptop", Command::Device(DeviceCommand::Add { addresses: vec![] }))),
        Some(RefusalCode::NotAllowed)
    );
    let Reply::Messages(shown) = c.must("laptop", Command::Chat(group, ChatCommand::Read { last: 1 })) else {
        panic!("messages")
    };
    let marker = ReadMarker { time: shown[0].message.time, message: shown[0].message.id };
    let mark = ChatCommand::MarkRead(marker);
    assert_eq!(refused(c.ask("laptop", Command::Chat(group, mark))), Some(RefusalCode::NotAllowed));
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
    c.crash("phone");

    c.add("new");
    recover(&mut c, "new", &words);
    assert_eq!(person(&mut c, "new"), before);
    c.connect_all();
    come_back(&mut c, "new", group);
    assert_eq!(c.read_chat("new", group), ["from the phone"]);
    c.send_message("new", group, "I am back");
    c.settle();
    assert_eq!(c.read_chat("ben", group), ["from the phone", "I am back"]);
    assert_eq!(members(&mut c, "ben", group), (2, 3));

    // The new home never knew the lost device; the group does.
    let shown: Vec<_> = devices(&mut c, "new").into_iter().map(|d| (d.device, d.revoked)).collect();
    let new = c.device("new").unwrap();
    assert_eq!(shown, [(new, false), (lost, false)]);
    assert_eq!(refused(revoke(&mut c, "new", lost)), None);
    c.settle();
    assert_eq!(members(&mut c, "ben", group), (2, 2));
    c.send_message("new", group, "without the lost one");
    c.restart("phone");
    c.connect_all();
    c.settle();
    let send = ChatCommand::say("I found it", None);
    assert_eq!(refused(c.ask("phone", Command::Chat(group, send))), Some(RefusalCode::NotAllowed));
    assert_eq!(c.read_chat("phone", group), ["from the phone"], "and it is given nothing any more");
}

#[test]
fn a_lost_device_is_shut_out_of_groups_that_its_person_comes_back_to_later() {
    let mut c = Cluster::new(6);
    let first = c.group_of(&["ben", "phone"]);
    let second = c.create_group("ben", "second");
    let code = c.invite("ben", second, Role::Member, 1);
    c.join("phone", second, &code);
    let words = phrase(&mut c, "phone");
    let lost = c.device("phone").unwrap();
    c.crash("phone");
    c.add("new");
    recover(&mut c, "new", &words);
    c.connect_all();
    come_back(&mut c, "new", first);
    assert_eq!(refused(revoke(&mut c, "new", lost)), None);
    c.settle();
    assert_eq!(members(&mut c, "ben", first), (2, 2));
    come_back(&mut c, "new", second);
    let Reply::Members(members) = c.must("ben", Command::Members(second)) else { panic!("members") };
    let devices: Vec<DeviceKey> = members.into_iter().flat_map(|member| member.devices).collect();
    assert!(devices.contains(&c.device("new").unwrap()) && !devices.contains(&lost));
    assert_eq!(refused(revoke(&mut c, "new", lost)), Some(RefusalCode::NotFound), "it is over");
}

#[test]
fn a_phrase_that_is_none_is_refused_and_says_what_is_wrong() {
    let mut c = Cluster::new(7);
    c.add("phone");
    let words = phrase(&mut c, "phone");
    let mut wrong: Vec<&str> = words.split(' ').collect();
    wrong[2] = "fourword";
    c.add("new");
    let before = person(&mut c, "new");
    let recover = |phrase: String| Command::Device(DeviceCommand::Recover { phrase, peers: Vec::new() });
    let Outcome::Refused(refusal) = c.ask("new", recover(wrong.join(" "))) else { panic!("refused") };
    assert_eq!(refusal.code, RefusalCode::Usage);
    assert!(refusal.message.contains("word 3") && refusal.message.contains("fourword"), "{refusal:?}");
    wrong[2] = wrong[3];
    let Outcome::Refused(refusal) = c.ask("new", recover(wrong.join(" "))) else { panic!("refused") };
    assert!(refusal.message.contains("checksum"), "{refusal:?}");
    assert_eq!(person(&mut c, "new"), before);
    assert_eq!(refused(c.ask("phone", recover(words))), Some(RefusalCode::Usage), "it is this person's");
}

#[test]
fn a_code_links_one_device_once_and_not_for_long() {
    let mut c = Cluster::new(8);
    for name in ["phone", "laptop", "tablet", "other"] {
        c.add(name);
    }
    let code = code(&mut c, "phone");
    let guessed = LinkCode { secret: [7; 16], ..code.clone() };
    assert_eq!(refused(c.ask("laptop", link_by(guessed))), Some(RefusalCode::NotAllowed));
    let others = LinkCode { person: person(&mut c, "other"), ..code.clone() };
    assert_eq!(refused(c.ask("laptop", link_by(others))), Some(RefusalCode::NotAllowed));
    c.must("laptop", link_by(code.clone()));
    assert_eq!(refused(c.ask("laptop", link_by(code.clone()))), Some(RefusalCode::Usage));
    assert_eq!(refused(c.ask("tablet", link_by(code))), Some(RefusalCode::NotAllowed));

    let late = self::code(&mut c, "phone");
    c.run_for(15 * 60_000);
    assert_eq!(refused(c.ask("tablet", link_by(late.clone()))), Some(RefusalCode::NotAllowed));
    c.isolate("phone");
    assert_eq!(refused(c.ask("tablet", link_by(late))), Some(RefusalCode::NotFound));
}

#[test]
fn only_a_node_whose_person_is_in_use_nowhere_becomes_anothers_device() {
    let mut c = Cluster::new(9);
    c.group_of(&["phone", "ben"]);
    let code = code(&mut c, "phone");
    assert_eq!(refused(c.ask("ben", link_by(code))), Some(RefusalCode::NotAllowed));
    let words = phrase(&mut c, "phone");
    let command = DeviceCommand::Recover { phrase: words, peers: Vec::new() };
    assert_eq!(refused(c.ask("ben", Command::Device(command))), Some(RefusalCode::NotAllowed));
}

#[test]
fn a_crash_of_either_device_at_any_moment_leaves_one_identity_whole_and_linking_again_works() {
    let (mut before, mut after) = (0, 0);
    for ms in (0..90).step_by(3) {
        for crashed in ["phone", "laptop"] {
            let mut c = Cluster::new(100 + ms);
            let group = c.group_of(&["phone", "ben"]);
            c.add("laptop");
            let code = code(&mut c, "phone");
            c.begin("laptop", link_by(code));
            c.run_for(ms);
            c.crash(crashed);
            c.settle();
            c.restart(crashed);
            c.connect_all();
            c.run_for(70_000);
            if person(&mut c, "laptop") == person(&mut c, "phone") {
                after += 1;
            } else {
                before += 1;
                let code = self::code(&mut c, "phone");
                c.must("laptop", link_by(code));
            }
            c.run_for(70_000);
            assert_eq!(groups(&mut c, "laptop"), [group], "{crashed} after {ms} ms");
            c.send_message("laptop", group, "linked");
            c.settle();
            assert_eq!(c.read_chat("ben", group), ["linked"], "{crashed} after {ms} ms");
            assert_eq!(devices(&mut c, "phone").len(), 2, "{crashed} after {ms} ms");
        }
    }
    assert!(before > 5 && after > 5, "both were seen: {before} before and {after} after");
}

#[test]
fn two_devices_are_linked_at_once_by_one_or_by_two() {
    let mut c = Cluster::new(10);
    let group = c.group_of(&["phone", "ben"]);
    c.add("laptop");
    c.add("tablet");
    let codes = [code(&mut c, "phone"), code(&mut c, "phone")];
    for (name, code) in ["laptop", "tablet"].into_iter().zip(codes) {
        c.begin(name, link_by(code));
    }
    c.connect_all();
    c.settle();
    // Now by two that cannot reach each other.
    c.add("watch");
    c.add("desk");
    c.isolate("laptop");
    c.isolate("tablet");
    for (old, new) in [("laptop", "watch"), ("tablet", "desk")] {
        c.reunite(old, new);
        let code = code(&mut c, old);
        c.must(new, link_by(code));
        c.settle();
    }
    c.heal();
    c.settle();
    for name in ["phone", "laptop", "tablet", "watch", "desk"] {
        assert_eq!(devices(&mut c, name).len(), 5, "{name}");
        c.send_message(name, group, name);
        c.settle();
    }
    let expected = ["phone", "laptop", "tablet", "watch", "desk"];
    assert_eq!(c.read_chat("ben", group), expected);
    assert_eq!(c.read_chat("desk", group), expected);
    assert_eq!(members(&mut c, "ben", group), (2, 6));
}

#[test]
fn what_a_stolen_device_does_before_it_hears_of_its_revocation_counts_nowhere() {
    let mut c = Cluster::new(11);
    let group = c.group_of(&["phone", "ben"]);
    add_device(&mut c, "phone", "laptop");
    let laptop = c.device("laptop").unwrap();
    c.isolate("laptop");
    c.must("phone", Command::Device(DeviceCommand::Revoke { device: laptop.to_string()[..8].to_owned() }));
    c.settle();
    c.send_message("laptop", group, "stolen");
    let code = code(&mut c, "laptop");
    c.add("thief");
    c.isolate("thief");
    c.reunite("laptop", "thief");
    c.must("thief", link_by(code));
    c.settle();
    c.heal();
    c.settle();
    let before = heads(&c, "ben");
    c.send_message("phone", group, "among us");
    c.settle();
    assert_eq!(c.read_chat("ben", group), ["among us"]);
    assert_eq!(c.read_chat("phone", group), ["among us"]);
    assert_eq!(members(&mut c, "ben", group), (2, 2));
    assert_eq!(devices(&mut c, "phone").len(), 2, "the thief's device was never one");
    for thief in ["laptop", "thief"] {
        let shown = c.read_chat(thief, group);
        assert!(!shown.contains(&"among us".to_owned()), "{thief}: {shown:?}");
        assert_no_key_opens(&c, thief, "ben", &before);
    }
}

#[test]
fn a_recovered_device_moves_into_the_home_that_others_still_live_in_and_finds_its_groups() {
    let mut c = Cluster::new(12);
    let group = c.group_of(&["phone", "ben"]);
    add_device(&mut c, "phone", "laptop");
    let words = phrase(&mut c, "phone");
    let phone = c.device("phone").unwrap();
    c.crash("phone");
    c.isolate("laptop");
    c.add("new");
    recover(&mut c, "new", &words);
    c.crash("new");
    c.restart("new");
    let own = c.create_group("new", "made meanwhile");
    c.heal();
    c.run_for(70_000);
    assert_eq!(devices(&mut c, "new").len(), 3);
    assert_eq!(devices(&mut c, "laptop"), {
        let mut shown = devices(&mut c, "new");
        for device in &mut shown {
            device.here = device.device == c.device("laptop").unwrap();
        }
        shown
    });
    let mut both = [group, own];
    both.sort();
    assert_eq!(groups(&mut c, "new"), both);
    assert_eq!(groups(&mut c, "laptop"), both);
    assert_eq!(refused(revoke(&mut c, "new", phone)), None, "the phrase outranks the phone");
    c.settle();
    assert_eq!(members(&mut c, "ben", group), (2, 3));
    c.send_message("new", group, "all of it");
    c.settle();
    assert_eq!(c.read_chat("laptop", group), ["all of it"]);
    c.crash("new");
    c.restart("new");
    c.connect_all();
    c.settle();
    assert_eq!(groups(&mut c, "new"), both, "after a restart too");
    assert_eq!(devices(&mut c, "new").len(), 3);
}

#[test]
fn a_device_linked_to_a_person_of_many_groups_gets_into_all_and_blames_nobody() {
    let mut c = Cluster::new(13);
    c.add("phone");
    let mut all: Vec<FourWords> = (0..25).map(|i| c.create_group("phone", &format!("group {i}"))).collect();
    all.sort();
    add_device(&mut c, "phone", "laptop");
    c.run_for(180_000);
    assert_eq!(groups(&mut c, "laptop"), all);
    for name in ["phone", "laptop"] {
        let Reply::Status(status) = c.must(name, Command::Status) else { panic!("a status") };
        let faults: Vec<_> =
            status.dropped.iter().filter(|(reason, _)| reason.contains("too often")).collect();
        assert!(faults.is_empty(), "{name}: {faults:?}");
    }
}

#[test]
fn quiet_devices_of_one_person_state_nothing_more() {
    let mut c = Cluster::new(14);
    let group = c.group_of(&["phone", "ben"]);
    for name in ["laptop", "tablet"] {
        add_device(&mut c, "phone", name);
    }
    let laptop = c.device("laptop").unwrap();
    c.must("phone", Command::Device(DeviceCommand::Revoke { device: laptop.to_string() }));
    c.settle();
    c.send_message("tablet", group, "still here");
    c.settle();
    let statements = |c: &Cluster| c.remembered("phone").statements.len();
    let before = statements(&c);
    c.run_for(600_000);
    for name in ["phone", "tablet", "laptop", "ben"] {
        c.crash(name);
        c.restart(name);
    }
    c.connect_all();
    c.run_for(600_000);
    assert_eq!(statements(&c), before);
}
