//! How large documents are, how long they take to load, and what they take in memory.
//!
//! Made as a node makes them, one edit for each thing that a person does; loaded from their whole
//! state. Memory is what the allocator gave out and did not get back.

use std::time::Instant;

use anyhow::{Context, anyhow};
use fourword_protocol::bytes::{Reader, Writer};
use fourword_protocol::command::Kind;
use fourword_protocol::identity::{DeviceSecret, PersonCard, RootSecret};
use fourword_protocol::ids::PersonId;
use fourword_protocol::roster::{Body, Genesis, Inserted, Role, Roster, Signer, Statement};
use fourword_protocol::schema::chat::{Chat, ChatIndex, NewMessage};
use fourword_protocol::schema::field::Value;
use fourword_protocol::schema::kanban::Spot;
use fourword_protocol::schema::rights::Actor;
use fourword_protocol::schema::things::{Layout, Set, Thing, ThingIndex, Things};
use fourword_protocol::schema::{Concern, about, core, issues, kanban, roots};
use fourword_protocol::time::WallTime;
use fourword_protocol::update::Shape;
use fourword_protocol::update::document::{Document, Put};
use fourword_protocol::update::index::BlockIndex;
use peak_alloc::PeakAlloc;

use crate::figures::{Figure, figure};

#[global_allocator]
static COUNTED: PeakAlloc = PeakAlloc;

/// How hard a state is packed, as envelopes and snapshots are.
const PACKING: i32 = 3;

/// The client that writes.
const CLIENT: u64 = 7;

/// When the first message was written.
const BEGUN: u64 = 1_700_000_000_000;

/// A chat of so many messages of 100 bytes, by four people.
pub(crate) fn chat(messages: u64) -> anyhow::Result<Vec<Figure>> {
    let (mut document, ..) = chat_of(messages)?;
    load(&mut document, &Concern::Chat, |document| Some(ChatIndex::scan(document)))
}

/// What is left of so many messages that were deleted and pruned, beside as many that stay: how much
/// larger the state is than one that never had them, for each.
pub(crate) fn pruned(messages: u64) -> anyhow::Result<Vec<Figure>> {
    let (mut never, ..) = chat_of(messages)?;
    let (mut document, mut index, sent) = chat_of(2 * messages)?;
    for put in sent.iter().step_by(2) {
        let id = about(&Concern::Chat, put.root, &put.key).context("a message has a name")?.id;
        let time = WallTime(BEGUN + 2 * messages);
        let deletion = Chat::new(&document, &index).delete(&actor(PersonId([0; 32])), id, time)?;
        index.note(deletion.root, &deletion.key, Some(&deletion.value));
        let flag = (deletion.root, deletion.key.clone());
        document.edit(&[deletion])?;
        document.prune(put.root, &put.key)?;
        document.bare(flag.0, &flag.1)?;
    }
    let (without, with) = (Saved::of(&mut never)?, Saved::of(&mut document)?);
    let each = |of: fn(&Saved) -> usize| (of(&with) as f64 - of(&without) as f64) / messages as f64;
    let packed = |saved: &Saved| Ok::<_, anyhow::Error>(zstd::bulk::compress(&saved.whole(), PACKING)?.len());
    let packed = (packed(&with)? as f64 - packed(&without)? as f64) / messages as f64;
    let memory = with.memory()? as f64 / without.memory()? as f64;
    Ok(vec![
        figure("the CRDT, as it is", "bytes each", each(|saved| saved.state.len())),
        figure("the CRDT and the index of its blocks, as they are", "bytes each", each(|s| s.whole().len())),
        figure("both packed, as they lie and travel", "bytes each", packed),
        figure("memory", "times", memory),
    ])
}

/// A document as it is saved.
struct Saved {
    index: Vec<u8>,
    state: Vec<u8>,
}

impl Saved {
    fn of(document: &mut Document) -> anyhow::Result<Saved> {
        let mut index = Writer::new();
        document.index().encode(&mut index);
        Ok(Saved { index: index.into_bytes(), state: document.encode_state()? })
    }

    fn whole(&self) -> Vec<u8> {
        [&self.index[..], &self.state].concat()
    }

    /// Opens it again; nothing of it is shared with the document that was saved.
    fn open(&self, concern: &Concern) -> anyhow::Result<Document> {
        let index = BlockIndex::decode(&mut Reader::new(&self.index), roots(concern));
        let index = index.map_err(|_| anyhow!("no index"))?;
        Ok(Document::open("bench", roots(concern), Shape::Maps, &self.state, index)?)
    }

    /// Bytes that a chat takes in memory with all that is kept beside it.
    fn memory(&self) -> anyhow::Result<usize> {
        let held = COUNTED.current_usage();
        let opened = self.open(&Concern::Chat)?;
        let shown = ChatIndex::scan(&opened);
        let taken = COUNTED.current_usage().saturating_sub(held);
        drop((opened, shown));
        Ok(taken)
    }
}

/// A board of so many cards in four columns.
pub(crate) fn board(cards: u64) -> anyhow::Result<Vec<Figure>> {
    let mut held = Held::of(&Concern::Kanban, kanban::LAYOUT)?;
    let mut columns = Vec::new();
    for number in 0..4 {
        let (random, time) = (u64::MAX - number, WallTime(BEGUN));
        let things = held.things()?;
        let placed = kanban::Board(things).order(Spot::Last, None, random).map_err(|e| anyhow!("{e:?}"))?;
        let sets = vec![text("title", format!("Column {number}")), placed.set];
        let made = things.make(&held.actor, random.to_be_bytes(), kanban::COLUMNS, sets, time)?;
        columns.push(made.0);
        held.write(vec![made.1])?;
    }
    for (number, column) in (0..cards).zip(columns.iter().cycle()) {
        let time = WallTime(BEGUN + number);
        let things = held.things()?;
        let placed = kanban::Board(things).pos(*column, Spot::Last, None, true, number);
        let placed = placed.map_err(|e| anyhow!("{e:?}"))?;
        let sets = vec![text("title", format!("Card {number:04}: something that is to be done")), placed.set];
        let (id, put) = things.make(&held.actor, number.to_be_bytes(), kanban::CARDS, sets, time)?;
        held.write(vec![put])?;
        let sets = vec![
            text("description", "What is to be done about it, in a few words. ".repeat(4)),
            text("priority", "high".into()),
            text("due", "2026-11-30".into()),
            label(number % 7),
        ];
        let puts = held.things()?.set(&held.actor, id, kanban::CARDS, sets, time)?;
        held.write(puts)?;
    }
    load(&mut held.document, &Concern::Kanban, |document| {
        let index = ThingIndex::scan(kanban::LAYOUT, document);
        let shown = kanban::Board(Things::new(&Concern::Kanban, document, &index)?).columns();
        (shown.iter().map(|column| column.cards.len() as u64).sum::<u64>() == cards).then_some((shown, index))
    })
}

/// A tracker of so many issues, each of which was taken up once.
pub(crate) fn issues(count: u64) -> anyhow::Result<Vec<Figure>> {
    let mut held = Held::of(&Concern::Issues, issues::LAYOUT)?;
    for number in 0..count {
        let time = WallTime(BEGUN + number);
        let sets = vec![
            text("title", format!("Issue {number:04}: something that does not work as it should")),
            text("description", "What was done, what was expected, and what happened instead. ".repeat(10)),
            text("status", issues::FIRST_STATUS.into()),
            text("priority", "medium".into()),
            label(number % 7),
        ];
        let made = held.things()?.make(&held.actor, number.to_be_bytes(), issues::ISSUES, sets, time)?;
        held.write(vec![made.1])?;
        let sets = vec![text("status", "in-progress".into()), label(7)];
        let puts = held.things()?.set(&held.actor, made.0, issues::ISSUES, sets, time)?;
        held.write(puts)?;
    }
    load(&mut held.document, &Concern::Issues, |document| {
        let index = ThingIndex::scan(issues::LAYOUT, document);
        let shown: Vec<Thing> =
            Things::new(&Concern::Issues, document, &index)?.all(issues::ISSUES.root).collect();
        (shown.len() as u64 == count).then_some((shown, index))
    })
}

/// A document of things with the index over it, and who writes in it.
struct Held {
    concern: &'static Concern,
    layout: &'static Layout,
    document: Document,
    index: ThingIndex,
    actor: Actor,
}

impl Held {
    fn of(concern: &'static Concern, layout: &'static Layout) -> anyhow::Result<Held> {
        let (document, index) = (begin(concern)?, ThingIndex::default());
        Ok(Held { concern, layout, document, index, actor: actor(PersonId([1; 32])) })
    }

    fn things(&self) -> anyhow::Result<Things<'_>> {
        Things::new(self.concern, &self.document, &self.index).context("the document holds things")
    }

    fn write(&mut self, puts: Vec<Put>) -> anyhow::Result<()> {
        for put in &puts {
            self.index.note(self.layout, put.root, &put.key, Some(&put.value));
        }
        self.document.edit(&puts)?;
        Ok(())
    }
}

fn text(field: &str, text: String) -> Set {
    Set { field: field.into(), part: None, value: Some(Value::Text(text)) }
}

fn label(number: u64) -> Set {
    Set { field: "labels".into(), part: Some(format!("label-{number}")), value: Some(Value::Flag(true)) }
}

fn chat_of(messages: u64) -> anyhow::Result<(Document, ChatIndex, Vec<Put>)> {
    let (mut document, mut index) = (begin(&Concern::Chat)?, ChatIndex::default());
    let mut sent = Vec::new();
    for number in 0..messages {
        let person = PersonId([u8::try_from(number % 4)?; 32]);
        let text = format!("message {number:06}: {}", "what people write to each other ".repeat(3));
        let new = NewMessage { text, parent: None, attachments: Vec::new() };
        let random = blake3::hash(&number.to_be_bytes());
        let random = random.as_bytes().first_chunk().context("a hash has eight bytes")?;
        let time = WallTime(BEGUN + number);
        let (_, put) = Chat::new(&document, &index).send(&actor(person), *random, &new, time)?;
        index.note(put.root, &put.key, Some(&put.value));
        document.edit(std::slice::from_ref(&put))?;
        sent.push(put);
    }
    Ok((document, index, sent))
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
    let saved = Saved::of(document)?;
    let (held, begun) = (COUNTED.current_usage(), Instant::now());
    let opened = saved.open(concern)?;
    let shown = show(&opened).ok_or_else(|| anyhow!("the document shows something else"))?;
    let took = begun.elapsed().as_secs_f64();
    let figures = figures(saved.state.len(), took, held);
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
