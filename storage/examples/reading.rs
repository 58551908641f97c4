//! Measures the read model: how fast pages, searches and counts of many messages are.
//!
//! Prints figures and judges none. Run it as `cargo run --release -p fourword-storage --example
//! reading -- 100000`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement that fails shall stop")]

use std::ops::Range;
use std::time::{Duration, Instant};

use fourword_protocol::command::{Changes, ChatCopy, MessageView, PersonView};
use fourword_protocol::ids::{Digest, EntityId, PersonId};
use fourword_protocol::schema::chat::{Message, MessageId};
use fourword_protocol::schema::key;
use fourword_protocol::time::WallTime;
use fourword_storage::DiskStore;
use fourword_storage::read_model::{Known, ReadModel, Search};

const CHAT: EntityId = EntityId([7; 32]);
const PAGE: u64 = 512;

/// Messages of one segment.
const SEGMENT: u64 = 50_000;

/// Words of the made-up language of the messages: the first are in most of them.
const WORDS: u64 = 5000;

fn message(n: u64) -> MessageView {
    let person = PersonId([u8::try_from(n % 20).unwrap(); 32]);
    let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let length = 4 + draw() % 20;
    let words = (0..length).map(|_| {
        let (a, b) = (draw() % WORDS, draw() % WORDS);
        format!("wo{:x}rd", a * b / WORDS)
    });
    let text = words.collect::<Vec<_>>().join(" ");
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
        let messages: Vec<MessageView> = (start..end).map(message).collect();
        let last = messages.last().map(|view| (view.message.time, view.message.id));
        let changes = Changes::Whole { reading: 1, messages, next: last.filter(|_| end < count) };
        let copy =
            ChatCopy { segments: segment, revision: None, digest: None, changes, people: people.take() };
        known = model.take((CHAT, segment), known, &copy).unwrap();
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
    let held = model.held().unwrap();
    println!(
        "{} messages copied in {filled:.1?}, {} bytes for each",
        held.messages,
        held.bytes / held.messages
    );
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
    let me = message(1).message.id.owner;
    measure("what is unread, of all", || {
        drop(model.unread(CHAT, me, None, WallTime(u64::MAX)).unwrap());
    });
    drop(model);
    std::fs::remove_dir_all(&home).unwrap();
}
