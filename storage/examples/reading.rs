//! Measures the read model: how fast pages, searches and counts of many messages and things are.
//!
//! Prints figures and judges none. Run it as `cargo run --release -p fourword-storage --example
//! reading -- 100000`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement that fails shall stop")]

use std::ops::Range;
use std::time::{Duration, Instant};

use fourword_protocol::command::{Changes, DocumentCopy, MessageView, PersonView, Row};
use fourword_protocol::ids::{Digest, EntityId, PersonId};
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::chat::{Message, MessageId};
use fourword_protocol::schema::key;
use fourword_protocol::schema::thing::ThingKind;
use fourword_protocol::schema::things::Said;
use fourword_protocol::time::WallTime;
use fourword_storage::DiskStore;
use fourword_storage::read_model::{Known, ReadModel, Search};

const CHAT: EntityId = EntityId([7; 32]);
const OTHER: EntityId = EntityId([8; 32]);
const PAGE: u64 = 512;

/// Messages of one segment.
const SEGMENT: u64 = 50_000;

/// Issues and cards beside the messages, and comments on each issue.
const ISSUES: u64 = 1000;
const CARDS: u64 = 500;
const COMMENTS: u64 = 2;

/// Words of the made-up language of the messages: the first are in most of them.
const WORDS: u64 = 5000;

/// A text of so many words at least, and up to so many more.
fn text(n: u64, least: u64, more: u64) -> String {
    let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let length = least + draw() % more;
    let words = (0..length).map(|_| {
        let (a, b) = (draw() % WORDS, draw() % WORDS);
        format!("wo{:x}rd", a * b / WORDS)
    });
    words.collect::<Vec<_>>().join(" ")
}

fn message(n: u64) -> MessageView {
    let person = PersonId([u8::try_from(n % 20).unwrap(); 32]);
    let text = text(n, 4, 20);
    let id =
        MessageId { owner: key::owner(&person), random: n.wrapping_mul(0x1234_5678_9abc_def1).to_be_bytes() };
    let (time, author) =
        (WallTime(1_700_000_000_000 + n * 30_000), PersonView { person, words: None, name: "A".into() });
    let message =
        Message { id, text, time, parent: None, attachments: Vec::new(), edited: false, deleted: false };
    MessageView { message, author, reactions: Vec::new(), pinned_by: Vec::new() }
}

fn fill(model: &mut ReadModel, count: u64) {
    let people = (0..20).map(|n| message(n).author).collect();
    let mut people = Some((Digest([1; 32]), people));
    for (segment, first) in (1..).zip((0..count).step_by(usize::try_from(SEGMENT).unwrap())) {
        fill_segment(model, segment, first..count.min(first + SEGMENT), &mut people);
    }
}

fn fill_segment(
    model: &mut ReadModel,
    segment: u32,
    Range { start: first, end: count }: Range<u64>,
    people: &mut Option<(Digest, Vec<PersonView>)>,
) {
    let mut known = Known::default();
    for start in (first..count).step_by(usize::try_from(PAGE).unwrap()) {
        let end = (start + PAGE).min(count);
        let last = message(end.saturating_sub(1)).message;
        let rows = (start..end).map(|n| Row::Message(message(n))).collect();
        let next = (end < count).then_some((last.time, last.id));
        let changes = Changes::Whole { reading: 1, rows, next };
        let copy =
            DocumentCopy { segments: segment, revision: None, digest: None, changes, people: people.take() };
        known = model.take((CHAT, Concern::Chat, segment), known, &copy).unwrap();
    }
}

fn thing(kind: ThingKind, n: u64, about: Option<u64>) -> Said {
    let id = |n: u64| message(n).message.id;
    let (title, text) = match kind {
        ThingKind::Comment => (String::new(), text(n, 4, 20)),
        _ => (text(n, 4, 3), text(n.wrapping_mul(7), 30, 20)),
    };
    let assigned = vec![id(n % 20).owner];
    let (id, time, about) = (id(n), WallTime(1_700_000_000_000 + n * 30_000), about.map(id));
    Said { id, kind, about, title, text, time, closed: n.is_multiple_of(2), assigned }
}

/// Fills a board and an issue tracker as a group of twenty does beside its chat.
fn fill_things(model: &mut ReadModel) {
    let issues = (0..ISSUES).flat_map(|n| {
        let said = (1..=COMMENTS).map(move |k| thing(ThingKind::Comment, ISSUES * k + n, Some(n)));
        std::iter::once(thing(ThingKind::Issue, n, None)).chain(said)
    });
    let cards = (0..CARDS).map(|n| thing(ThingKind::Card, n, None));
    for (concern, things) in
        [(Concern::Issues, issues.collect::<Vec<Said>>()), (Concern::Kanban, cards.collect())]
    {
        let (mut known, pages) = (Known::default(), things.chunks(usize::try_from(PAGE).unwrap()));
        let last = pages.len() - 1;
        for (at, page) in pages.enumerate() {
            let next = page.last().map(|said| (said.time, said.id)).filter(|_| at < last);
            let rows = page.iter().cloned().map(Row::Thing).collect();
            let changes = Changes::Whole { reading: 1, rows, next };
            let copy = DocumentCopy { segments: 1, revision: None, digest: None, changes, people: None };
            known = model.take((CHAT, concern, 1), known, &copy).unwrap();
        }
    }
}

/// The least, the middle and the greatest time of several runs.
fn measure(what: &str, mut act: impl FnMut()) {
    let mut times: Vec<Duration> = (0..21)
        .map(|_| {
            let begun = Instant::now();
            act();
            begun.elapsed()
        })
        .collect();
    times.sort();
    println!("{what:<44} {:>10.3?} {:>10.3?} {:>10.3?}", times[0], times[10], times[20]);
}

fn open(home: &std::path::Path) -> ReadModel {
    let store = DiskStore::open(home, None).unwrap().store;
    ReadModel::open(home, store.read_key()).unwrap().0
}

fn main() {
    let count: u64 = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(100_000);
    let home = std::env::temp_dir().join(format!("fourword-reading-{}", std::process::id()));
    let mut model = open(&home);
    let begun = Instant::now();
    fill(&mut model, count);
    let filled = begun.elapsed();
    let begun = Instant::now();
    fill_things(&mut model);
    model.name(OTHER, "of which nothing is there").unwrap();
    let things_filled = begun.elapsed();
    let held = model.held().unwrap();
    println!(
        "{} messages copied in {filled:.1?}, {} bytes for each",
        held.messages,
        held.bytes / held.messages
    );
    println!("{} cards, issues and comments copied in {things_filled:.1?}", held.things);
    drop(model);

    println!("{:<44} {:>10} {:>10} {:>10}", "", "least", "middle", "greatest");
    measure("opened, and the last 50 messages", || {
        drop(open(&home).page(CHAT, None, 50).unwrap().unwrap());
    });
    let model = open(&home);
    let before = |n: u64| Some(message(n).message.id);
    measure("the last 50 messages", || drop(model.page(CHAT, None, 50).unwrap().unwrap()));
    measure("50 messages in the middle", || drop(model.page(CHAT, before(count / 2), 50).unwrap().unwrap()));
    measure("the first 50 messages", || drop(model.page(CHAT, before(50), 50).unwrap().unwrap()));
    for (what, text) in [
        ("a search: a frequent word", "wo1rd"),
        ("a search: a rare word", "wo1387rd"),
        ("a search: the beginning of many words", "wo1"),
        ("a search: a word and the beginning of another", "wo1rd wo2"),
        ("a search: what is nowhere", "nowhere"),
    ] {
        let search = Search::new(text).unwrap();
        let mut hits = 0;
        measure(what, || hits = model.search(&search, &[CHAT], None, 20).unwrap().unwrap().len());
        println!("{:<44} {hits} hits", "");
    }
    let common = || Search::new("wo1rd").unwrap();
    for (what, search, places) in [
        ("a search among issues alone", common().among(vec![ThingKind::Issue]), &[CHAT][..]),
        ("a search among messages alone", common().among(vec![ThingKind::Message]), &[CHAT]),
        ("a search in all of two groups", common(), &[CHAT, OTHER]),
        (
            "the same among cards and comments",
            common().among(vec![ThingKind::Card, ThingKind::Comment]),
            &[CHAT, OTHER],
        ),
    ] {
        let mut hits = 0;
        measure(what, || hits = model.search(&search, places, None, 20).unwrap().unwrap().len());
        println!("{:<44} {hits} hits", "");
    }
    let me = message(1).message.id.owner;
    measure("what is unread, of all", || {
        drop(model.unread(CHAT, me, None, WallTime(u64::MAX)).unwrap());
    });
    drop(model);
    std::fs::remove_dir_all(&home).unwrap();
}
