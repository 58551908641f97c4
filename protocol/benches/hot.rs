//! Times the functions through which every message goes: envelopes, updates, frames, the roster.
//!
//! `cargo bench -p fourword-protocol` measures; `cargo test` runs each once, so that none rots.

#![allow(clippy::unwrap_used, reason = "a bench that goes wrong shall stop")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion};
use fourword_protocol::command::Kind;
use fourword_protocol::envelope::{Envelope, Header};
use fourword_protocol::epoch::EpochKey;
use fourword_protocol::identity::{DeviceSecret, PersonCard, RootSecret};
use fourword_protocol::ids::{
    DocumentKey, EntityId, EnvelopeHash, Incarnation, LogId, PersonId, StatementId,
};
use fourword_protocol::roster::{Body, Genesis, Role, Roster, Signer};
use fourword_protocol::schema::chat::{Chat, ChatIndex, NewMessage};
use fourword_protocol::schema::rights::Actor;
use fourword_protocol::schema::{Concern, roots};
use fourword_protocol::time::WallTime;
use fourword_protocol::update::document::{Document, Put};
use fourword_protocol::update::parse::parse;
use fourword_protocol::update::{Shape, write};
use fourword_protocol::wire::Frame;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

/// The client id of the log that writes.
const CLIENT: u64 = 7;

/// How many edits an envelope holds while much is written.
const GROUP: u64 = 100;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    envelopes(&mut criterion);
    updates(&mut criterion);
    frames(&mut criterion);
    roster(&mut criterion);
    criterion.final_summary();
}

fn device() -> DeviceSecret {
    DeviceSecret::from_seeds(&[1; 32], &[2; 32])
}

fn header() -> Header {
    let log = LogId { document: DocumentKey([3; 32]), device: device().key(), incarnation: Incarnation(4) };
    let (previous, heads) = (EnvelopeHash([5; 32]), vec![StatementId([6; 32])]);
    Header { log, sequence: 2, previous, heads, epoch: StatementId([7; 32]) }
}

fn sealed(content: &[u8]) -> Envelope {
    let mut random = ChaCha20Rng::from_seed([8; 32]);
    Envelope::seal(header(), content, &EpochKey::new([9; 32]), &device(), &mut random).unwrap()
}

fn chat() -> Document {
    Document::new("bench", roots(&Concern::Chat), Shape::Maps)
}

/// What writes the next message of a chat.
fn message(document: &Document, number: u64) -> Put {
    let index = ChatIndex::scan(document);
    let actor = Actor { person: PersonId([1; 32]), role: Role::Member };
    let text = format!("message {number}: what people write to each other, in a line or two");
    let new = NewMessage { text, parent: None, attachments: Vec::new() };
    let random = blake3::hash(&number.to_be_bytes()).as_bytes().first_chunk().copied().unwrap();
    Chat::new(document, &index).send(&actor, random, &new, WallTime(number)).unwrap().1
}

/// So many messages as one update.
fn update(messages: u64) -> Vec<u8> {
    let mut document = chat();
    document.begin_log(CLIENT).unwrap();
    let mut edit = |number| {
        let put = message(&document, number);
        document.edit(&[put]).unwrap().update
    };
    let updates: Vec<Vec<u8>> = (0..messages).map(&mut edit).collect();
    write::merge(&updates).unwrap().1
}

fn envelopes(criterion: &mut Criterion) {
    for messages in [1, GROUP] {
        let content = update(messages);
        let (envelope, key) = (sealed(&content), EpochKey::new([9; 32]));
        let mut group = criterion.benchmark_group(format!("envelope of {messages}"));
        group.bench_function("seal", |bench| bench.iter(|| sealed(black_box(&content))));
        group.bench_function("read and verify", |bench| {
            bench.iter(|| Envelope::read(black_box(envelope.bytes())).unwrap().verify());
        });
        group.bench_function("open", |bench| bench.iter(|| black_box(&envelope).open(&key).unwrap()));
        group.finish();
    }
}

fn updates(criterion: &mut Criterion) {
    for messages in [1, GROUP] {
        let content = update(messages);
        criterion.bench_function(&format!("update of {messages}, judged and applied"), |bench| {
            bench.iter_batched(
                chat,
                |mut document| {
                    let parsed = parse(black_box(&content), &document.expect(CLIENT)).unwrap();
                    document.apply(&parsed).unwrap();
                    document
                },
                BatchSize::SmallInput,
            );
        });
    }
    criterion.bench_function("one message written", |bench| {
        let put = message(&chat(), 0);
        let empty = || {
            let mut document = chat();
            document.begin_log(CLIENT).unwrap();
            document
        };
        bench.iter_batched(
            empty,
            |mut document| document.edit(black_box(std::slice::from_ref(&put))).unwrap(),
            BatchSize::SmallInput,
        );
    });
}

fn frames(criterion: &mut Criterion) {
    let envelope = sealed(&update(GROUP)).bytes().to_vec();
    let frame = Frame::Envelopes {
        entity: EntityId([1; 32]),
        document: DocumentKey([3; 32]),
        envelopes: vec![envelope; 10],
        more: true,
    };
    let bytes = frame.encode();
    criterion
        .bench_function("frame of ten envelopes, encoded", |bench| bench.iter(|| black_box(&frame).encode()));
    criterion.bench_function("frame of ten envelopes, decoded", |bench| {
        bench.iter(|| Frame::decode(black_box(&bytes)).unwrap());
    });
}

/// The roster of a group whose founder let so many in.
fn group_of(members: u64) -> Roster {
    let seed = |what: &str, number: u64| blake3::derive_key(what, &number.to_be_bytes());
    let root = |number| RootSecret::from_seed(&seed("root", number));
    let device = |number| DeviceSecret::from_seeds(&seed("signing", number), &seed("sealing", number));
    let certificate = |number| {
        let person = PersonCard { root: root(number).public(), nonce: 0 }.id();
        root(number).certify(0, &device(number).card(person))
    };
    let genesis = Genesis {
        kind: Kind::Group,
        nonce: 0,
        created: WallTime(1),
        secret_commitment: [4; 32],
        parent: None,
        creator: certificate(0),
    };
    let mut roster = Roster::new(genesis.sign(&device(0)).unwrap()).unwrap();
    for number in 1..members {
        let body = Body::Add { certificate: certificate(number), role: Role::Member };
        roster.add(roster.draft(Signer::Device(&device(0)), body).unwrap());
    }
    roster
}

fn roster(criterion: &mut Criterion) {
    let (before, after) = (group_of(99), group_of(100));
    let known = before.ids().collect();
    let missing = after.missing_from(&known);
    let last = missing.first().and_then(|id| after.bytes(id)).unwrap();
    assert_eq!(missing.len(), 1);
    criterion.bench_function("roster of 100, one statement taken and folded", |bench| {
        bench.iter_batched(
            || before.clone(),
            |mut roster| {
                roster.insert(black_box(last));
                assert_eq!(roster.reading().members.len(), 100);
                roster
            },
            BatchSize::SmallInput,
        );
    });
}
