//! The test vectors of docs/PROTOCOL.md, section 12: read from the document and compared with
//! what this implementation makes and reads, so that the two cannot part.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use fourword_protocol::bytes::Writer;
use fourword_protocol::envelope::Envelope;
use fourword_protocol::epoch::{self, EntitySecret, EpochKey, Greeting};
use fourword_protocol::identity::{DeviceSecret, PersonCard, RootSecret};
use fourword_protocol::ids::{DocumentKey, EntityId, Incarnation, LogId, PersonId, to_base32, to_hex};
use fourword_protocol::request::{Denial, Draft, Request};
use fourword_protocol::roster::invite::InviteCode;
use fourword_protocol::roster::{Inserted, Role, Roster, Statement};
use fourword_protocol::schema::rights::{Actor, PutRef, judge};
use fourword_protocol::schema::{self, Concern, document_key};
use fourword_protocol::time::WallTime;
use fourword_protocol::update::document::{Document, Put};
use fourword_protocol::update::parse::{Content, parse};
use fourword_protocol::update::{Shape, client_id};
use fourword_protocol::wire::{Frame, Turned, Vector};
use fourword_protocol::words::{FourWords, Naming, StretchInput};

const DOCUMENT: &str = include_str!("../../docs/PROTOCOL.md");
const INCARNATION: Incarnation = Incarnation(10);

/// The text that stands behind a name in the list of vectors.
fn printed(name: &str) -> &'static str {
    let (_, vectors) = DOCUMENT.split_once("## 12. Test vectors").unwrap();
    let mut found = vectors.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix("  "));
    let (text, another) = (found.next(), found.next());
    assert!(text.is_some() && another.is_none(), "one vector is called {name}");
    text.unwrap().trim()
}

fn bytes(name: &str) -> Vec<u8> {
    let digits = printed(name);
    let pairs = (0..digits.len()).step_by(2).map(|at| &digits[at..at + 2]);
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

#[track_caller]
fn assert_printed(name: &str, made: &[u8]) {
    assert_eq!(to_hex(made), printed(name), "{name}");
}

fn device() -> DeviceSecret {
    DeviceSecret::from_seeds(&[0x02; 32], &[0x03; 32])
}

fn person() -> PersonId {
    PersonCard { root: RootSecret::from_seed(&[0x01; 32]).public(), nonce: 5 }.id()
}

fn entity() -> EntityId {
    EntityId(bytes("genesis id").try_into().unwrap())
}

fn chat() -> DocumentKey {
    document_key(&[0x01; 32], &Concern::Chat, 1)
}

fn client() -> u64 {
    client_id(&device().key(), &chat(), INCARNATION)
}

fn greeting() -> Greeting {
    let other = DeviceSecret::from_seeds(&[0x12; 32], &[0x13; 32]).key();
    EntitySecret::new([0x01; 32]).greeting(device().key(), other)
}

fn roster() -> Roster {
    let mut roster = Roster::new(Statement::read(&bytes("genesis")).unwrap()).unwrap();
    for name in ["add", "remove"] {
        assert!(matches!(roster.insert(&bytes(name)), Inserted::New(_)), "{name}");
    }
    roster
}

/// The document after its one update.
fn written() -> (Document, Vec<u8>) {
    let mut document = Document::new("chat", schema::roots(&Concern::Chat), Shape::Maps);
    document.begin_log(client()).unwrap();
    let key = format!("{}|{}", to_base32(&person().0[..16]), to_base32(&[2; 8]));
    assert!(DOCUMENT.contains(&format!("`{key}`")), "{key}");
    let value = b"\x01\x00\x80\xd8\xc1\xa2\x8c\x34\x05plain".to_vec();
    assert!(DOCUMENT.contains(&to_hex(&value)));
    let edit = document.edit(&[Put { root: "messages", key, value }]).unwrap();
    (document, edit.update)
}

#[test]
fn identities_are_derived_as_printed() {
    let root = RootSecret::from_seed(&[0x01; 32]);
    assert_printed("root key", &root.public().0);
    assert_printed("person id", &person().0);
    assert_printed("device key", &device().key().0);
    assert_printed("sealing key", &device().card(person()).sealing.0);
    let other = DeviceSecret::from_seeds(&[0x12; 32], &[0x13; 32]);
    assert_printed("other device key", &other.key().0);
}

#[test]
fn the_printed_statements_are_those_of_the_roster_and_give_its_digest() {
    let held = include_str!("roster_vectors.txt").lines().zip(["genesis", "add", "remove"]);
    for (line, name) in held {
        assert_eq!(line, format!("{} {}", printed(&format!("{name} id")), printed(name)));
    }
    assert_printed("roster digest", &roster().digest().0);
}

#[test]
fn the_printed_seal_opens_to_the_committed_keys() {
    let (key, secret) = (EpochKey::new([0x02; 32]), EntitySecret::new([0x01; 32]));
    assert_printed("key commitment", &key.commitment());
    assert_printed("secret commitment", &secret.commitment());
    let seal = bytes("seal");
    assert_eq!(seal.len(), epoch::SEAL_BYTES);
    let opened = epoch::open(entity(), key.commitment(), secret.commitment(), &seal, &device());
    assert_eq!(opened, Some((key, secret)));
}

#[test]
fn documents_topics_greetings_and_clients_are_derived_as_printed() {
    assert_printed("document chat/1", &chat().0);
    assert_printed("document core", &document_key(&[0x01; 32], &Concern::Core, 1).0);
    assert_printed("topic", &EpochKey::new([0x02; 32]).topic(chat()).0);
    assert_printed("greeting", &greeting());
    assert_printed("client", &client().to_be_bytes());
}

#[test]
fn a_topic_moves_with_the_epoch_key_and_the_document() {
    let topic = |key, document| EpochKey::new([key; 32]).topic(DocumentKey([document; 32]));
    assert_ne!(topic(1, 3), topic(2, 3));
    assert_ne!(topic(1, 3), topic(1, 4));
}

#[test]
fn an_update_is_written_and_shown_as_printed() {
    let (document, update) = written();
    assert_printed("update", &update);
    assert_printed("content digest", &document.content_digest().0);
    let mut index = Writer::new();
    document.index().encode(&mut index);
    assert_printed("block index", index.as_slice());
}

#[test]
fn the_printed_envelope_is_read_opened_and_allowed() {
    let envelope = Envelope::read(&bytes("envelope")).unwrap();
    assert_printed("envelope hash", &envelope.hash().0);
    assert!(envelope.verify());
    let header = &envelope.header;
    assert_eq!(header.log, LogId { document: chat(), device: device().key(), incarnation: INCARNATION });
    assert_eq!((header.sequence, header.previous.0, header.epoch.0), (1, [0; 32], [0x07; 32]));
    let roster = roster();
    assert_eq!(header.heads, roster.heads());
    let update = envelope.open(&EpochKey::new([0x02; 32])).unwrap();
    assert_printed("update", &update);

    let empty = Document::new("chat", schema::roots(&Concern::Chat), Shape::Maps);
    let parsed = parse(&update, &empty.expect(client())).unwrap();
    let role = roster.role_at(&header.log.device, &header.heads, Some((&header.log, 1))).unwrap();
    assert_eq!(role, Role::Owner);
    let actor = Actor { person: roster.person_of(&header.log.device).unwrap(), role };
    let [write] = parsed.writes.as_slice() else { panic!("one write") };
    let Content::Bytes(value) = write.content else { panic!("a record") };
    let put = PutRef { root: write.place.root, key: &write.place.key, value: Some(value) };
    assert_eq!(judge(&Concern::Chat, &put, &actor), Ok(()));
}

#[test]
fn frames_are_written_as_printed() {
    let head = Envelope::read(&bytes("envelope")).unwrap().head();
    let logs = vec![(device().key(), Incarnation(300), head)];
    let (entity, document) = (entity(), chat());
    assert_printed("Hello", &Frame::Hello(vec![greeting()]).encode());
    assert_printed("Vector", &Frame::Vector(Vector { entity, document, logs }).encode());
    assert_printed("Turned", &Frame::Turned { entity, why: Turned::UsedUp }.encode());
}

#[test]
fn a_request_and_a_denial_are_signed_as_printed() {
    let (root, other) =
        (RootSecret::from_seed(&[0x11; 32]), DeviceSecret::from_seeds(&[0x12; 32], &[0x13; 32]));
    let person = PersonCard { root: root.public(), nonce: 5 }.id();
    let certificate = root.certify(5, &other.card(person));
    let draft = Draft::new(entity(), &certificate, "Ben", "hello", WallTime(14));
    assert_printed("work challenge", &draft.challenge());
    let nonce = u64::from_be_bytes(bytes("work nonce").try_into().unwrap());
    assert_printed("request", &draft.sign(nonce, &other));
    let request = Request::read(&bytes("request")).unwrap();
    assert!(request.has_work(Naming::Standard.work_bits()) && request.is_genuine());
    assert_eq!(request.person(), person);

    let denial = Denial::sign(entity(), person, WallTime(15), &device());
    assert_printed("denial", denial.bytes());
    assert!(Denial::read(&bytes("denial")).unwrap().is_signed());
}

#[test]
fn an_invite_code_is_written_as_printed() {
    let addresses = vec!["/ip4/192.0.2.1/tcp/4001".to_owned()];
    let code = InviteCode { entity: entity(), secret: [0xab; 16], addresses };
    assert_eq!(code.to_string(), printed("invite code"));
    assert_printed("invite key", &code.key().0);
}

#[test]
fn names_are_stretched_and_looked_up_as_printed() {
    assert_printed("word list", blake3::hash(include_bytes!("../data/words.txt")).as_bytes());
    let stretched = StretchInput::Name(Naming::Standard, [0x02; 32]).run();
    assert_printed("name stretch of 02…", &stretched);
    let words = FourWords::from_stretch(Naming::Standard, &stretched).unwrap();
    assert_eq!(words.to_string(), printed("its words"));
    let stretched = StretchInput::Lookup(Naming::Standard, words).run();
    assert_printed("lookup stretch", &stretched);
    assert_printed("lookup key", &FourWords::lookup_key(&stretched).0);
}
