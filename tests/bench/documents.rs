//! How large documents are, how long they take to load, and what they take in memory.
//!
//! Made as a node makes them, one edit for each thing that a person does; loaded from their whole
//! state. Memory is what the allocator gave out and did not get back.

use std::time::Instant;

use anyhow::{Context, anyhow};
use fourword_protocol::command::Kind;
use fourword_protocol::identity::{DeviceSecret, PersonCard, RootSecret};
use fourword_protocol::ids::PersonId;
use fourword_protocol::roster::{Body, Genesis, Inserted, Role, Roster, Signer, Statement};
use fourword_protocol::schema::chat::{Chat, ChatIndex, NewMessage};
use fourword_protocol::schema::rights::Actor;
use fourword_protocol::schema::{Concern, core, roots};
use fourword_protocol::time::WallTime;
use fourword_protocol::update::Shape;
use fourword_protocol::update::document::{Document, Put};
use peak_alloc::PeakAlloc;

use crate::figures::{Figure, figure};

#[global_allocator]
static COUNTED: PeakAlloc = PeakAlloc;

/// The client that writes.
const CLIENT: u64 = 7;

/// When the first message was written.
const BEGUN: u64 = 1_700_000_000_000;

/// A chat of so many messages of 100 bytes, by four people.
pub(crate) fn chat(messages: u64) -> anyhow::Result<Vec<Figure>> {
    let (mut document, mut index) = (begin(&Concern::Chat)?, ChatIndex::default());
    for number in 0..messages {
        let person = PersonId([u8::try_from(number % 4)?; 32]);
        let text = format!("message {number:06}: {}", "what people write to each other ".repeat(3));
        let new = NewMessage { text, parent: None, attachments: Vec::new() };
        let random = blake3::hash(&number.to_be_bytes());
        let random = random.as_bytes().first_chunk().context("a hash has eight bytes")?;
        let time = WallTime(BEGUN + number);
        let (_, put) = Chat::new(&document, &index).send(&actor(person), *random, &new, time)?;
        index.note(put.root, &put.key, Some(&put.value));
        document.edit(&[put])?;
    }
    load(&mut document, &Concern::Chat, |document| Some(ChatIndex::scan(document)))
}

/// The core document of a group in which so many members have given their names.
pub(crate) fn core_of(members: u64) -> anyhow::Result<Vec<Figure>> {
    let mut document = begin(&Concern::Core)?;
    let founder = actor(person(0));
    let mut puts: Vec<Put> = vec![core::set_entity_name(&founder, "A group of people")?];
    for number in 0..members {
        puts.push(core::set_shown_name(&actor(person(number)), &format!("Member number {number}"))?);
    }
    for put in puts {
        document.edit(&[put])?;
    }
    load(&mut document, &Concern::Core, |document| {
        let names = core::shown_names(document);
        (names.len() as u64 == members).then_some(names)
    })
}

/// The roster of so many members, each let in by the founder, as a newcomer takes it from a peer.
pub(crate) fn roster_of(members: u64) -> anyhow::Result<Vec<Figure>> {
    let founder = device(0);
    let genesis = Genesis {
        kind: Kind::Group,
        nonce: 0,
        created: WallTime(BEGUN),
        secret_commitment: [4; 32],
        parent: None,
        creator: root(0).certify(0, &founder.card(person(0))),
    };
    let mut roster = Roster::new(genesis.sign(&founder)?)?;
    for number in 1..members {
        let certificate = root(number).certify(0, &device(number).card(person(number)));
        let body = Body::Add { certificate, role: Role::Member };
        roster.add(roster.draft(Signer::Device(&founder), body)?);
    }
    let ids = roster.missing_from(&std::collections::BTreeSet::new());
    let statements: Vec<Vec<u8>> = ids.iter().filter_map(|id| roster.bytes(id).map(<[u8]>::to_vec)).collect();
    let (first, rest) = statements.split_first().context("a roster has a genesis")?;
    let (held, begun) = (COUNTED.current_usage(), Instant::now());
    let mut taken = Roster::new(Statement::read(first)?)?;
    for bytes in rest {
        let inserted = taken.insert(bytes);
        anyhow::ensure!(matches!(inserted, Inserted::New(_)), "{inserted:?}");
    }
    let count = taken.reading().members.len() as u64;
    let took = begun.elapsed();
    anyhow::ensure!(count == members, "{count} members");
    let size = statements.iter().map(Vec::len).sum();
    Ok(figures(size, took.as_secs_f64(), held))
}

fn begin(concern: &Concern) -> anyhow::Result<Document> {
    let mut document = Document::new("bench", roots(concern), Shape::Maps);
    document.begin_log(CLIENT)?;
    Ok(document)
}

/// Opens the state of a document anew, with what is made of it for people.
fn load<T>(
    document: &mut Document,
    concern: &Concern,
    show: impl FnOnce(&Document) -> Option<T>,
) -> anyhow::Result<Vec<Figure>> {
    let (state, index) = (document.encode_state()?, document.index().clone());
    let (held, begun) = (COUNTED.current_usage(), Instant::now());
    let opened = Document::open("bench", roots(concern), Shape::Maps, &state, index)?;
    let shown = show(&opened).ok_or_else(|| anyhow!("the document shows something else"))?;
    let took = begun.elapsed().as_secs_f64();
    let figures = figures(state.len(), took, held);
    drop((opened, shown));
    Ok(figures)
}

fn figures(size: usize, took_s: f64, held_before: usize) -> Vec<Figure> {
    let held = COUNTED.current_usage().saturating_sub(held_before);
    vec![
        figure("size", "MB", size as f64 / 1e6),
        figure("load", "ms", took_s * 1e3),
        figure("memory", "MB", held as f64 / 1e6),
    ]
}

fn actor(person: PersonId) -> Actor {
    Actor { person, role: Role::Owner }
}

fn seed(what: &str, number: u64) -> [u8; 32] {
    blake3::derive_key(what, &number.to_be_bytes())
}

fn root(number: u64) -> RootSecret {
    RootSecret::from_seed(&seed("fourword bench root", number))
}

fn person(number: u64) -> PersonId {
    PersonCard { root: root(number).public(), nonce: 0 }.id()
}

fn device(number: u64) -> DeviceSecret {
    DeviceSecret::from_seeds(&seed("fourword bench signing", number), &seed("fourword bench sealing", number))
}
