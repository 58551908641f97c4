//! The test vectors of docs/PROTOCOL.md, section 12: read from the document and compared with
//! what this implementation makes and reads, so that the two cannot part.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use fourword_protocol::acknowledgement::{Acknowledgement, Positions};
use fourword_protocol::bytes::Writer;
use fourword_protocol::command::Kind;
use fourword_protocol::command::{Presence, Scene};
use fourword_protocol::envelope::{Envelope, Header};
use fourword_protocol::epoch::{self, EntitySecret, EpochKey, Greeting};
use fourword_protocol::identity::{DeviceSecret, PersonCard, RootSecret};
use fourword_protocol::ids::{
    Digest, DocumentKey, EntityId, EnvelopeHash, Incarnation, LogHead, LogId, PersonId, StatementId,
    to_base32, to_hex,
};
use fourword_protocol::link::LinkCode;
use fourword_protocol::presence::Saying;
use fourword_protocol::request::{Denial, Draft, Request};
use fourword_protocol::roster::invite::InviteCode;
use fourword_protocol::roster::{Body, Genesis, Inserted, Role, Roster, Signer, Statement};
use fourword_protocol::schema::field::Number;
use fourword_protocol::schema::rights::{Actor, PutRef, judge};
use fourword_protocol::schema::thing::ThingId;
use fourword_protocol::schema::{self, Concern, document_key};
use fourword_protocol::time::WallTime;
use fourword_protocol::update::document::{Document, Put};
use fourword_protocol::update::parse::{Content, parse};
use fourword_protocol::update::{Shape, client_id};
use fourword_protocol::wire::{DocumentState, Frame, Quiet, State, Turned, Vector};
use fourword_protocol::words::{FourWords, Naming, StretchInput};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

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

/// The three statements. The creator has root seed 01.., device seeds 02.. and 03..; the one added
/// 11.., 12.., 13...
fn founded() -> (Roster, Vec<Statement>) {
    let certified = |root: u8| {
        let (secret, device) =
            (RootSecret::from_seed(&[root; 32]), DeviceSecret::from_seeds(&[root + 1; 32], &[root + 2; 32]));
        let person = PersonCard { root: secret.public(), nonce: 5 };
        (secret.certify(5, &device.card(person.id())), device)
    };
    let (creator, device) = certified(0x01);
    let (added, _) = certified(0x11);
    let genesis = Genesis {
        kind: Kind::Group,
        nonce: 6,
        created: WallTime(7),
        secret_commitment: [8; 32],
        parent: None,
        creator,
    };
    let mut statements = vec![genesis.sign(&device).unwrap()];
    let mut roster = Roster::new(statements[0].clone()).unwrap();
    let log =
        LogId { document: DocumentKey([9; 32]), device: added.device.key, incarnation: Incarnation(10) };
    let held = LogHead { sequence: 11, hash: EnvelopeHash([7; 32]) };
    let person = added.person.id();
    let add = Body::Add { certificate: added, role: Role::Member };
    for body in [add, Body::Remove { person, vectors: vec![(log, held)] }] {
        let statement = roster.draft(Signer::Device(&device), body).unwrap();
        assert!(matches!(roster.add(statement.clone()), Inserted::New(_)));
        statements.push(statement);
    }
    (roster, statements)
}

/// The vectors that follow from the three statements, as they are made now.
fn made() -> Vec<(&'static str, String)> {
    let (roster, statements) = founded();
    let mut made = Vec::new();
    for (statement, [id, bytes]) in
        statements.iter().zip([["genesis id", "genesis"], ["add id", "add"], ["remove id", "remove"]])
    {
        made.push((id, statement.id().to_string()));
        made.push((bytes, to_hex(statement.bytes())));
    }
    made.push(("roster digest", to_hex(&roster.digest().0)));
    let mut random = ChaCha20Rng::seed_from_u64(0);
    let (key, secret, entity) =
        (EpochKey::new([0x02; 32]), EntitySecret::new([0x01; 32]), EntityId(statements[0].id().0));
    let seal = epoch::seal(entity, &key, &secret, device().card(person()).sealing, &mut random).unwrap();
    made.push(("seal", to_hex(&seal)));
    let log = LogId { document: chat(), device: device().key(), incarnation: INCARNATION };
    let (previous, epoch) = (EnvelopeHash([0; 32]), StatementId([0x07; 32]));
    let header = Header { log, sequence: 1, previous, heads: roster.heads(), epoch };
    let envelope = Envelope::seal(header, &written().1, &key, &device(), &mut random).unwrap();
    made.push(("envelope", to_hex(envelope.bytes())));
    made.push(("envelope hash", to_hex(&envelope.hash().0)));
    let logs = vec![(device().key(), Incarnation(300), envelope.head())];
    let vector = Frame::Vector(Vector { entity, document: chat(), page: 0, logs, last: true });
    made.push(("Vector", to_hex(&vector.encode())));
    made.push(("State", to_hex(&told(&roster, entity, envelope.head()).encode())));
    made.push(("Quiet", to_hex(&quiet().encode())));
    let (ack, acks) = acknowledged(entity, envelope.head());
    made.push(("acknowledgement", to_hex(ack.bytes())));
    made.push(("Acks", to_hex(&acks.encode())));
    made.push(("Turned", to_hex(&Frame::Turned { entity, why: Turned::UsedUp }.encode())));
    let mut random = ChaCha20Rng::seed_from_u64(1);
    let sealed = shown(entity).seal(entity, (epoch, &key), device().key(), &mut random).unwrap();
    made.push(("Presence", to_hex(&Frame::Presence(sealed).encode())));
    let addresses = vec!["/ip4/192.0.2.1/tcp/4001".to_owned()];
    made.push(("invite code", InviteCode { entity, secret: [0xab; 16], addresses }.to_string()));
    let addresses = vec!["/ip4/192.0.2.1/tcp/4001".to_owned()];
    let link = LinkCode { person: person(), home: entity, secret: [0xab; 16], addresses };
    made.push(("link code", link.to_string()));
    made.push(("link key", to_hex(&link.key().0)));
    let mut certificate = Writer::new();
    let first = RootSecret::from_seed(&[0x01; 32]).certify(5, &device().card(person()));
    let next = DeviceSecret::from_seeds(&[0x22; 32], &[0x23; 32]).card(person());
    first.extend(&device(), &next).unwrap().write(&mut certificate);
    made.push(("certificate", to_hex(certificate.as_slice())));
    made.extend(made_of_requests(entity));
    made.push(("invite key", to_hex(&InviteCode { entity, secret: [0xab; 16], addresses: vec![] }.key().0)));
    made
}

/// How a replica with that one log stands.
fn told(roster: &Roster, entity: EntityId, head: LogHead) -> Frame {
    let mut vector = blake3::Hasher::new();
    vector.update(&device().key().0).update(&300u64.to_be_bytes());
    vector.update(&head.sequence.to_be_bytes()).update(&head.hash.0);
    let content = Digest(bytes("content digest").try_into().unwrap());
    let vector = Digest(*vector.finalize().as_bytes());
    let documents = vec![DocumentState { document: chat(), vector, content: Some(content) }];
    Frame::State { number: 7 << 32 | 1, state: State { entity, roster: roster.digest(), documents } }
}

/// The creator's acknowledgement of its log with that one envelope, and the frame that passes it on.
fn acknowledged(entity: EntityId, head: LogHead) -> (Acknowledgement, Frame) {
    let document = chat();
    let log = LogId { document, device: device().key(), incarnation: INCARNATION };
    let positions = Positions::from([(log, head.sequence)]);
    let ack = Acknowledgement::sign(
        (entity, document),
        16,
        false,
        vec![StatementId([1; 32])],
        positions,
        &device(),
    );
    let frame = Frame::Acks { entity, document, waits: true, acks: vec![ack.bytes().to_vec()] };
    (ack, frame)
}

/// The creator points at the thing of the first record.
fn shown(entity: EntityId) -> Saying {
    let number = |number| Number::new(number).unwrap();
    let selected = vec![ThingId { owner: [1; 16], random: [2; 8] }];
    let presence = Some(Presence::Pointing { at: Some((number(1.0), number(-0.5))), selected });
    Saying { number: 7 << 32 | 1, place: entity, scene: Scene::Canvas, presence }
}

fn quiet() -> Frame {
    let (state, requests, acks) = (Digest([1; 32]), Digest([2; 32]), Digest([3; 32]));
    Frame::Quiet(Quiet { state, requests, acks, answers: true, told: 7 << 32 | 1 })
}

/// The other person's request to a group, and the creator's denial. The work is a second's in a
/// release build, so it is done anew only where the page is written.
fn made_of_requests(entity: EntityId) -> Vec<(&'static str, String)> {
    let (root, other) =
        (RootSecret::from_seed(&[0x11; 32]), DeviceSecret::from_seeds(&[0x12; 32], &[0x13; 32]));
    let person = PersonCard { root: root.public(), nonce: 5 }.id();
    let certificate = root.certify(5, &other.card(person));
    let draft = Draft::new(entity, &certificate, "Ben", "hello", WallTime(14));
    let challenge = draft.challenge();
    let nonce = if is_writing() {
        let bits = Naming::Standard.work_bits();
        let found = StretchInput::Work { bits, challenge }.run();
        u64::from_be_bytes(found[..8].try_into().unwrap())
    } else {
        u64::from_be_bytes(bytes("work nonce").try_into().unwrap())
    };
    let denial = Denial::sign(entity, person, WallTime(15), &device());
    vec![
        ("work challenge", to_hex(&challenge)),
        ("work nonce", to_hex(&nonce.to_be_bytes())),
        ("request", to_hex(&draft.sign(nonce, &other))),
        ("denial", to_hex(denial.bytes())),
    ]
}

fn is_writing() -> bool {
    std::env::var_os("FOURWORD_WRITE_VECTORS").is_some()
}

/// Writes the vectors that follow from statements anew, where a change of the protocol is meant.
fn write_anew() {
    let mut document = DOCUMENT.to_owned();
    for (name, text) in made() {
        let line = |text: &str| format!("\n{name:<20} {text}\n");
        document = document.replace(&line(printed(name)), &line(&text));
    }
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/PROTOCOL.md"), document).unwrap();
}

/// `FOURWORD_WRITE_VECTORS=1 cargo test -p fourword-protocol --test vectors` puts the page right.
#[test]
fn what_follows_from_statements_is_printed_as_it_is_made() {
    if is_writing() {
        return write_anew();
    }
    for (name, text) in made() {
        assert_eq!(text, printed(name), "{name}");
    }
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
fn the_statements_are_written_as_printed_and_give_the_printed_digest() {
    let (founded, statements) = founded();
    for (statement, name) in statements.iter().zip(["genesis", "add", "remove"]) {
        assert_printed(&format!("{name} id"), &statement.id().0);
        assert_printed(name, statement.bytes());
    }
    assert_printed("roster digest", &founded.digest().0);
    assert_eq!(roster().digest(), founded.digest());
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
    assert_printed("Vector", &Frame::Vector(Vector { entity, document, page: 0, logs, last: true }).encode());
    assert_printed("State", &told(&roster(), entity, head).encode());
    assert_printed("Quiet", &quiet().encode());
    let (ack, acks) = acknowledged(entity, head);
    assert_printed("acknowledgement", ack.bytes());
    assert!(Acknowledgement::read(&bytes("acknowledgement")).unwrap().is_signed());
    assert_printed("Acks", &acks.encode());
    let Ok(Frame::Presence(sealed)) = Frame::decode(&bytes("Presence")) else { panic!() };
    let key = EpochKey::new([0x02; 32]);
    assert_eq!(Saying::open(&sealed, &key, device().key()), Ok(shown(entity)));
    assert_printed("Turned", &Frame::Turned { entity, why: Turned::UsedUp }.encode());
}

#[test]
fn the_printed_request_has_its_work_and_is_genuine_and_so_is_the_denial() {
    let request = Request::read(&bytes("request")).unwrap();
    assert!(request.has_work(Naming::Standard.work_bits()) && request.is_genuine());
    assert_eq!((request.entity, request.time), (entity(), WallTime(14)));
    assert_eq!((request.name.as_str(), request.note.as_str()), ("Ben", "hello"));
    let denial = Denial::read(&bytes("denial")).unwrap();
    assert!(denial.is_signed());
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
