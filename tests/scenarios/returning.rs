//! Coming back: devices that a member's root key vouches for and that the roster does not know, and homes
//! that are older copies.

use fourword_protocol::bytes::Writer;
use fourword_protocol::command::{ChatCommand, Command, JoinBy, Outcome, Reply};
use fourword_protocol::effect::Effect;
use fourword_protocol::epoch;
use fourword_protocol::event::Event;
use fourword_protocol::identity::{Certificate, DeviceSecret, PersonCard, RootSecret};
use fourword_protocol::ids::EntityId;
use fourword_protocol::record::Record;
use fourword_protocol::roster::{Body, Role, Roster, Signer, Statement};
use fourword_protocol::wire::{Frame, Knock, Proof, Turned};
use fourword_tests::cluster::{Cluster, Happened};

use crate::asking::{ask_in, by_words, id_of, show, strangers};
use crate::devices::{add_device, devices, link, refused, revoke};
use crate::pressing::{Somebody, turned};

/// Ben's root key, by its phrase, and a device of its own that ben's root vouches for.
fn another_device_of_ben(c: &mut Cluster, name: &str) -> (RootSecret, Certificate) {
    let Reply::Phrase(phrase) = c.must("ben", Command::Phrase) else { panic!("a phrase") };
    let Reply::Status(status) = c.must("ben", Command::Status) else { panic!("a status") };
    let root = RootSecret::from_phrase(&phrase).unwrap();
    let card = |nonce| PersonCard { root: root.public(), nonce };
    let nonce = (0..1_000).find(|nonce| card(*nonce).id() == status.person).unwrap();
    let certificate = root.certify(nonce, &c.secret(name).card(status.person));
    (root, certificate)
}

fn knock_as(entity: EntityId, certificate: &Certificate) -> Vec<u8> {
    let mut writer = Writer::new();
    certificate.write(&mut writer);
    Frame::Knock(Knock { entity, certificate: writer.into_bytes(), proof: Proof::Member }).encode()
}

fn statements(c: &mut Cluster, puppet: &str) -> Vec<Vec<u8>> {
    let frames = c.take_inbox(puppet).into_iter().filter_map(|(_, bytes)| Frame::decode(&bytes).ok());
    let given = frames.filter_map(|frame| match frame {
        Frame::Statements { statements, .. } => Some(statements),
        _ => None,
    });
    given.flatten().collect()
}

#[test]
fn a_device_that_a_members_root_vouches_for_gets_the_roster_and_with_its_certification_the_keys() {
    let (mut c, group) = strangers(19);
    let entity = id_of(&mut c, "ada", group);
    c.add("new");
    c.connect_all();
    c.take_over("new");
    c.settle();
    let (root, certificate) = another_device_of_ben(&mut c, "new");
    c.isolate("ben");
    c.take_inbox("new");
    c.inject("new", "ada", knock_as(entity, &certificate));
    c.settle();
    let given = statements(&mut c, "new");
    let mut roster = Roster::new(Statement::read(&given[0]).unwrap()).unwrap();
    given.iter().for_each(|bytes| drop(roster.insert(bytes)));
    let device = c.device("new").unwrap();
    assert!(roster.seals_for(&device).is_empty(), "no key before the roster knows the device");
    let body = Body::Certify { device: certificate.device.clone() };
    let certify = roster.draft(Signer::Root(&root), body).unwrap();
    let certified = Frame::Statements { entity, statements: vec![certify.bytes().to_vec()] };
    c.inject("new", "ada", certified.encode());
    c.settle();
    statements(&mut c, "new").iter().for_each(|bytes| drop(roster.insert(bytes)));
    assert!(roster.contains(&certify.id()));
    let opens = roster.seals_for(&device).iter().any(|(epoch, seal)| {
        let Some(Body::Epoch { commitment, .. }) = roster.statement(epoch).map(Statement::body) else {
            return false;
        };
        let secret = roster.genesis().secret_commitment;
        epoch::open(entity, *commitment, secret, &seal.sealed, &c.secret("new")).is_some()
    });
    assert!(opens, "a key that opens was sealed to the new device");
}

#[test]
fn a_member_whose_home_is_an_older_copy_gets_the_roster_back_from_who_can_only_read() {
    let mut c = Cluster::new(73);
    c.add("ada");
    c.add("ben");
    c.restore_copy("ben", "old ben");
    c.crash("old ben");
    let group = c.create_group("ben", "team");
    let code = c.invite("ben", group, Role::Viewer, 1);
    c.join("ada", group, &code);
    let message = c.send_message("ben", group, "before");
    c.settle();
    c.crash("ben");
    c.restart("old ben");
    c.connect("ada", "old ben");
    assert!(matches!(c.ask("old ben", Command::Show(group)), Outcome::Refused(_)), "it knows of no group");
    c.begin(
        "old ben",
        Command::Join { words: group, by: JoinBy::Words { id: None, note: "".into() }, peers: vec![] },
    );
    c.run_for(120_000);
    assert_eq!(c.read_chat("old ben", group), ["before"]);
    c.must("old ben", Command::Chat(group, ChatCommand::Delete(message)));
}

#[test]
fn a_device_whose_home_is_from_before_it_was_linked_is_linked_again() {
    let mut c = Cluster::new(75);
    let group = c.group_of(&["phone", "ben"]);
    c.add("laptop");
    c.restore_copy("laptop", "old laptop");
    c.crash("old laptop");
    link(&mut c, "phone", "laptop");
    c.send_message("laptop", group, "before");
    c.settle();
    c.crash("laptop");
    c.restart("old laptop");
    c.connect_all();
    c.settle();
    assert!(matches!(c.ask("old laptop", Command::Show(group)), Outcome::Refused(_)), "it knows of no group");
    link(&mut c, "phone", "old laptop");
    c.send_message("old laptop", group, "after");
    c.settle();
    for name in ["phone", "ben", "old laptop"] {
        assert_eq!(c.read_chat(name, group), ["before", "after"], "{name}");
    }
    assert_eq!(devices(&mut c, "phone").len(), 2, "it is the same device");
}

#[test]
fn a_revocation_that_was_lost_with_a_home_comes_back_from_the_device_that_it_ended() {
    let mut c = Cluster::new(74);
    c.group_of(&["phone", "ben"]);
    add_device(&mut c, "phone", "laptop");
    c.restore_copy("phone", "old phone");
    c.crash("old phone");
    let laptop = c.device("laptop").unwrap();
    c.isolate("laptop");
    // It lists it in the home, which does not count once the laptop is none of ada's.
    c.create_group("laptop", "mine");
    revoke(&mut c, "phone", laptop);
    c.heal();
    c.settle();
    c.crash("phone");
    c.crash("ben");
    c.restart("old phone");
    c.connect("old phone", "laptop");
    c.run_for(10_000);
    let listed = devices(&mut c, "old phone");
    assert!(listed.iter().any(|view| view.device == laptop && view.revoked), "{listed:?}");
}

#[test]
fn a_certificate_that_is_forged_or_of_a_stranger_gets_no_roster() {
    let (mut c, group) = strangers(20);
    let entity = id_of(&mut c, "ada", group);
    c.add("new");
    c.connect_all();
    c.take_over("new");
    c.settle();
    let (_, certificate) = another_device_of_ben(&mut c, "new");
    let forged = Certificate { signature: [1; 64], ..certificate.clone() };
    assert_eq!(turned(&mut c, "new", "ada", knock_as(entity, &forged)), Some(Turned::BadProof));
    let stranger = Somebody::new(7, c.secret("new")).certificate();
    assert_eq!(turned(&mut c, "new", "ada", knock_as(entity, &stranger)), Some(Turned::NotHere));
    // Ben's own first device is not the one that knocks.
    let bens = RootSecret::from_seed(&[7; 32]);
    let person = PersonCard { root: bens.public(), nonce: 0 }.id();
    let others = bens.certify(0, &DeviceSecret::from_seeds(&[8; 32], &[8; 32]).card(person));
    assert_eq!(turned(&mut c, "new", "ada", knock_as(entity, &others)), Some(Turned::BadProof));
    assert!(statements(&mut c, "new").is_empty());
}

/// A node of ben's person on the device of `name`, which the roster does not know.
fn become_another_device_of_ben(c: &mut Cluster, name: &str) -> Certificate {
    let (_, certificate) = another_device_of_ben(c, name);
    let mut writer = Writer::new();
    certificate.write(&mut writer);
    let locals = c.remembered(name).locals;
    let (key, identity) = locals.into_iter().find(|(key, _)| key.kind == "identity").unwrap();
    // Version and seeds stay; the certificate is ben's, and the root key is not here.
    let home = &identity[1 + 64 + 234 + 1 + 32..];
    let identity = [&identity[..1 + 64], writer.as_slice(), &[0], home].concat();
    c.stop(name);
    c.rewrite(name, key, identity);
    c.restart(name);
    certificate
}

#[test]
fn a_members_second_device_that_joins_by_words_comes_back_without_a_request() {
    let (mut c, group) = strangers(23);
    let entity = id_of(&mut c, "ada", group);
    c.add("second");
    let certificate = become_another_device_of_ben(&mut c, "second");
    c.connect_all();
    c.settle();
    c.send_message("ada", group, "before");
    let join = c.begin("second", by_words(group, None, ""));
    c.settle();
    assert_eq!(c.answer("second", join), None, "the roster came, and the device is not in it yet");
    assert_eq!(c.queues("ada").requests, 0);
    // Ben's first device certifies the second, as linking would have done.
    let body = Body::Certify { device: certificate.device };
    let certify = roster_of(&c, "ben", entity).draft(Signer::Device(&c.secret("ben")), body).unwrap();
    let certified = Frame::Statements { entity, statements: vec![certify.bytes().to_vec()] };
    c.inject("ben", "ada", certified.encode());
    c.crash("second");
    c.restart("second");
    c.connect_all();
    c.run_for(70_000);
    assert_eq!(c.read_chat("second", group), ["before"]);
    assert_eq!(show(&mut c, "second", group).unwrap().members, 2, "another device is no other member");
    c.send_message("second", group, "from my other device");
    c.settle();
    assert_eq!(c.read_chat("ada", group), ["before", "from my other device"]);
}

/// The roster of an entity as a node has it on its disk.
pub(crate) fn roster_of(c: &Cluster, name: &str, entity: EntityId) -> Roster {
    let held = c.remembered(name).statements.into_iter().filter(|(of, ..)| *of == entity);
    let (genesis, others): (Vec<_>, Vec<_>) = held.partition(|(_, id, _)| id.0 == entity.0);
    let mut roster = Roster::new(Statement::read(&genesis[0].2).unwrap()).unwrap();
    others.iter().for_each(|(_, _, bytes)| drop(roster.insert(bytes)));
    roster
}

#[test]
fn a_revoked_device_that_asks_to_be_let_in_where_its_person_is_writes_down_nothing_that_it_knows() {
    let mut c = Cluster::new(22);
    let group = c.group_of(&["ada", "ben"]);
    c.add("phone");
    add_device(&mut c, "phone", "laptop");
    ask_in(&mut c, "laptop", group);
    let laptop = c.device("laptop").unwrap();
    assert_eq!(refused(revoke(&mut c, "phone", laptop)), None);
    let code = c.invite("ada", group, Role::Member, 1);
    c.join("phone", group, &code);
    c.run_for(120_000);
    let (mut shown, mut written) = (0, 0);
    let mut see = |happened: &Happened| {
        let is_roster = |bytes: &[u8]| matches!(Frame::decode(bytes), Ok(Frame::Statements { .. }));
        let is_statement = |record: &Record| matches!(record, Record::Statement { .. });
        let writes = |effect: &&Effect| matches!(effect, Effect::Write(batch) if batch.records.iter().any(is_statement));
        if happened.name == "laptop" {
            shown += u32::from(matches!(&happened.event, Event::Received(_, bytes) if is_roster(bytes)));
            written += happened.effects.iter().filter(writes).count();
        }
    };
    let end = c.now() + 300_000;
    while c.now() < end && c.step_seen(&mut |_, happened| see(happened)) {}
    assert!(shown > 3, "members show it who is in each time it knocks: {shown}");
    assert_eq!(written, 0);
}
