//! How fast pages, searches and counts are by the copy of a long chat, with a board and issues beside it.
//!
//! Each is done several times by a copy that is open; the figure is the one in the middle.

use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
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

use crate::figures::{Figure, figure, percentile};

const CHAT: EntityId = EntityId([7; 32]);
const OTHER: EntityId = EntityId([8; 32]);
const PAGE: usize = 512;

/// How often each is done.
const RUNS: usize = 21;

/// Messages of one segment.
const SEGMENT: usize = 50_000;

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
    let person = PersonId([(n % 20) as u8; 32]);
    let text = text(n, 4, 20);
    let id =
        MessageId { owner: key::owner(&person), random: n.wrapping_mul(0x1234_5678_9abc_def1).to_be_bytes() };
    let (time, author) =
        (WallTime(1_700_000_000_000 + n * 30_000), PersonView { person, words: None, name: "A".into() });
    let message =
        Message { id, text, time, parent: None, attachments: Vec::new(), edited: false, deleted: false };
    MessageView { message, author, reactions: Vec::new(), pinned_by: Vec::new() }
}

fn fill(model: &mut ReadModel, count: u64) -> anyhow::Result<()> {
    let people = (0..20).map(|n| message(n).author).collect();
    let mut people = Some((Digest([1; 32]), people));
    for (segment, first) in (1..).zip((0..count).step_by(SEGMENT)) {
        fill_segment(model, segment, first..count.min(first + SEGMENT as u64), &mut people)?;
    }
    Ok(())
}

fn fill_segment(
    model: &mut ReadModel,
    segment: u32,
    Range { start: first, end: count }: Range<u64>,
    people: &mut Option<(Digest, Vec<PersonView>)>,
) -> anyhow::Result<()> {
    let mut known = Known::default();
    for start in (first..count).step_by(PAGE) {
        let end = (start + PAGE as u64).min(count);
        let last = message(end.saturating_sub(1)).message;
        let rows = (start..end).map(|n| Row::Message(message(n))).collect();
        let next = (end < count).then_some((last.time, last.id));
        let changes = Changes::Whole { reading: 1, rows, next };
        let copy =
            DocumentCopy { segments: segment, revision: None, digest: None, changes, people: people.take() };
        known = model.take((CHAT, Concern::Chat, segment), known, &copy)?;
    }
    Ok(())
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
fn fill_things(model: &mut ReadModel) -> anyhow::Result<()> {
    let issues = (0..ISSUES).flat_map(|n| {
        let said = (1..=COMMENTS).map(move |k| thing(ThingKind::Comment, ISSUES * k + n, Some(n)));
        std::iter::once(thing(ThingKind::Issue, n, None)).chain(said)
    });
    let cards = (0..CARDS).map(|n| thing(ThingKind::Card, n, None));
    for (concern, things) in
        [(Concern::Issues, issues.collect::<Vec<Said>>()), (Concern::Kanban, cards.collect())]
    {
        let (mut known, pages) = (Known::default(), things.chunks(PAGE));
        let last = pages.len() - 1;
        for (at, page) in pages.enumerate() {
            let next = page.last().map(|said| (said.time, said.id)).filter(|_| at < last);
            let rows = page.iter().cloned().map(Row::Thing).collect();
            let changes = Changes::Whole { reading: 1, rows, next };
            let copy = DocumentCopy { segments: 1, revision: None, digest: None, changes, people: None };
            known = model.take((CHAT, concern, 1), known, &copy)?;
        }
    }
    Ok(())
}

/// The middle time of several runs, in milliseconds.
fn middle(mut act: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let begun = Instant::now();
        act()?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(percentile(&times, 50))
}

fn open(home: &Path) -> anyhow::Result<ReadModel> {
    let store = DiskStore::open(home, None)?.store;
    Ok(ReadModel::open(home, store.read_key())?.0)
}

/// A copy of a chat of so many messages.
pub(crate) fn copy_of(messages: u64, scratch: &Path) -> anyhow::Result<Vec<Figure>> {
    let home = tempfile::tempdir_in(scratch)?;
    let mut model = open(home.path())?;
    let begun = Instant::now();
    fill(&mut model, messages)?;
    let filled = begun.elapsed().as_secs_f64();
    fill_things(&mut model)?;
    model.name(OTHER, "of which nothing is there")?;
    let held = model.held()?;
    let mut figures = vec![
        figure("copied", "messages a second", held.messages as f64 / filled),
        figure("size", "bytes a message", held.bytes as f64 / held.messages as f64),
    ];
    drop(model);
    let opened = || read(&open(home.path())?, None);
    figures.push(figure("opened, and the last 50 messages", "ms", middle(opened)?));
    let model = open(home.path())?;
    for (name, before) in [
        ("the last 50 messages", None),
        ("50 messages in the middle", Some(messages / 2)),
        ("the first 50 messages", Some(50)),
    ] {
        figures.push(figure(name, "ms", middle(|| read(&model, before))?));
    }
    let common = || Search::new("wo1rd");
    for (name, search, places) in [
        ("search: a frequent word", common(), &[CHAT][..]),
        ("search: a rare word", Search::new("wo1387rd"), &[CHAT]),
        ("search: the beginning of many words", Search::new("wo1"), &[CHAT]),
        ("search: a word and the beginning of another", Search::new("wo1rd wo2"), &[CHAT]),
        ("search: what is nowhere", Search::new("nowhere"), &[CHAT]),
        ("search among issues alone", common().map(|s| s.among(vec![ThingKind::Issue])), &[CHAT]),
        ("search in all of two groups", common(), &[CHAT, OTHER]),
    ] {
        let search = search.context("a search has words")?;
        let find = || {
            let found = model.search(&search, places, None, 20)?.ok().context("the chat is there")?;
            anyhow::ensure!(found.len() <= 20, "{} hits", found.len());
            Ok(())
        };
        figures.push(figure(name, "ms", middle(find)?));
    }
    let me = message(1).message.id.owner;
    let unread = || {
        let unread = model.unread(CHAT, me, None, WallTime(u64::MAX))?;
        anyhow::ensure!(unread.count > 0, "all is read");
        Ok(())
    };
    figures.push(figure("what is unread, of all", "ms", middle(unread)?));
    Ok(figures)
}

fn read(model: &ReadModel, before: Option<u64>) -> anyhow::Result<()> {
    let page =
        model.page(CHAT, before.map(|n| message(n).message.id), 50)?.ok().context("the chat is there")?;
    anyhow::ensure!(page.messages.len() == 50, "{} messages", page.messages.len());
    Ok(())
}
