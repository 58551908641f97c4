//! What the read model gives back: pages, threads, hits and counts of what it was fed.

#![cfg(test)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use std::fs;
use std::path::Path;

use fourword_protocol::command::{Changes, Copied, DocumentCopy, MessageView, PersonView, Row, StandView};
use fourword_protocol::ids::{Digest, EntityId, PersonId};
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::chat::{Attachment, Lookup, Message, MessageId};
use fourword_protocol::schema::home::ReadMarker;
use fourword_protocol::schema::key;
use fourword_protocol::time::WallTime;
use fourword_storage::DiskStore;
use fourword_storage::read_model::{
    Document, Found, Known, Missing, Piece, ReadModel, Search, Shown, UNREAD_MAX,
};

const CHAT: EntityId = EntityId([7; 32]);
const FIRST: Document = (CHAT, Concern::Chat, 1);
const OTHER: EntityId = EntityId([8; 32]);

fn person(n: u8) -> PersonView {
    PersonView { person: PersonId([n; 32]), words: None, name: format!("Person {n}") }
}

fn id(author: u8, n: u64) -> MessageId {
    MessageId { owner: key::owner(&person(author).person), random: n.to_be_bytes() }
}

fn message(author: u8, n: u64, text: &str) -> MessageView {
    let message = Message {
        id: id(author, n),
        text: text.into(),
        time: WallTime(1_000_000 + n),
        parent: None,
        attachments: Vec::new(),
        edited: false,
        deleted: false,
    };
    MessageView { message, author: person(author), reactions: Vec::new(), pinned_by: Vec::new() }
}

fn people() -> Option<(Digest, Vec<PersonView>)> {
    Some((Digest([1; 32]), vec![person(1), person(2)]))
}

fn some(changed: Vec<MessageView>, gone: Vec<MessageId>, digest: u8) -> DocumentCopy {
    let changed = changed.into_iter().map(Row::Message).collect();
    let changes = Changes::Some { changed, gone, more: false };
    DocumentCopy {
        segments: 1,
        revision: None,
        digest: Some(Digest([digest; 32])),
        changes,
        people: people(),
    }
}

fn whole(messages: Vec<MessageView>, is_last: bool, digest: Option<u8>) -> DocumentCopy {
    let last = messages.last().map(|view| (view.message.time, view.message.id));
    let rows = messages.into_iter().map(Row::Message).collect();
    let changes = Changes::Whole { reading: 1, rows, next: last.filter(|_| !is_last) };
    DocumentCopy {
        segments: 1,
        revision: None,
        digest: digest.map(|n| Digest([n; 32])),
        changes,
        people: people(),
    }
}

fn open(home: &Path) -> (ReadModel, Option<String>) {
    let opened = DiskStore::open(home, None).unwrap();
    let key = opened.store.read_key();
    opened.store.close().unwrap();
    ReadModel::open(home, key).unwrap()
}

fn texts(messages: &[Shown]) -> Vec<&str> {
    messages.iter().map(|shown| shown.view.message.text.as_str()).collect()
}

fn views(messages: Vec<Shown>) -> Vec<MessageView> {
    messages.into_iter().map(|shown| shown.view).collect()
}

fn shown(found: Found) -> Shown {
    let Found::Message(shown) = found else { panic!("{found:?} is no message") };
    shown
}

fn found(model: &ReadModel, text: &str, chats: &[EntityId]) -> Vec<String> {
    let hits = model.search(&Search::new(text).unwrap(), chats, None, 50).unwrap().unwrap();
    hits.into_iter().map(|hit| shown(hit.found).view.message.text).collect()
}

#[test]
fn pages_of_any_depth_go_back_in_the_order_of_the_chat_whatever_arrives_meanwhile() {
    let mut model = ReadModel::in_memory().unwrap();
    let messages: Vec<MessageView> = (0..95).map(|n| message(1, n, &format!("m{n}"))).collect();
    model.take(FIRST, Known::default(), &whole(messages.clone(), true, Some(1))).unwrap();
    let mut read: Vec<MessageView> = Vec::new();
    let mut before = None;
    loop {
        let page = model.page(CHAT, before, 10).unwrap().unwrap();
        before = page.messages.first().map(|shown| shown.view.message.id);
        read.splice(0..0, views(page.messages));
        model
            .take(
                FIRST,
                Known::default(),
                &some(vec![message(2, 1000 + read.len() as u64, "late")], Vec::new(), 2),
            )
            .unwrap();
        if !page.has_older {
            break;
        }
    }
    assert_eq!(read, messages);
    assert_eq!(model.page(CHAT, Some(id(1, 5000)), 10).unwrap(), Err(Missing(id(1, 5000))));
    assert_eq!(model.page(OTHER, None, 10).unwrap().unwrap().messages, Vec::new());
}

#[test]
fn all_that_a_message_has_comes_back_and_names_are_those_of_now() {
    let mut model = ReadModel::in_memory().unwrap();
    let mut view = message(1, 1, "with everything");
    view.message.parent = Some(id(2, 9));
    view.message.edited = true;
    view.message.attachments = vec![Attachment { blob: [3; 32], size_bytes: 9, name: "a.txt".into() }];
    view.reactions = vec![("👍".into(), vec![person(1), person(2)]), ("no".into(), vec![person(2)])];
    view.pinned_by = vec![person(2)];
    model.take(FIRST, Known::default(), &some(vec![view.clone()], Vec::new(), 1)).unwrap();
    assert_eq!(views(model.page(CHAT, None, 5).unwrap().unwrap().messages), [view.clone()]);
    let renamed = PersonView { name: "Ada".into(), ..person(1) };
    let people = Some((Digest([2; 32]), vec![renamed, person(2)]));
    model.take(FIRST, Known::default(), &DocumentCopy { people, ..some(Vec::new(), Vec::new(), 1) }).unwrap();
    let page = model.page(CHAT, None, 5).unwrap().unwrap();
    assert_eq!(page.messages[0].view.author.name, "Ada");
    assert_eq!(page.messages[0].view.reactions[0].1[0].name, "Ada");
}

#[test]
fn what_is_pinned_is_paged_by_itself_while_somebodys_pin_stands() {
    let mut model = ReadModel::in_memory().unwrap();
    let pinned =
        |n: u64, by: Vec<PersonView>| MessageView { pinned_by: by, ..message(1, n, &format!("m{n}")) };
    let messages = (0..20).map(|n| pinned(n, if n % 3 == 0 { vec![person(2)] } else { Vec::new() }));
    model.take(FIRST, Known::default(), &some(messages.collect(), Vec::new(), 1)).unwrap();
    let page = model.pinned(CHAT, None, 4).unwrap().unwrap();
    assert_eq!((texts(&page.messages), page.has_older), (vec!["m9", "m12", "m15", "m18"], true));
    let older = model.pinned(CHAT, Some(id(1, 9)), 4).unwrap().unwrap();
    assert_eq!((texts(&older.messages), older.has_older), (vec!["m0", "m3", "m6"], false));
    model.take(FIRST, Known::default(), &some(vec![pinned(9, Vec::new())], Vec::new(), 2)).unwrap();
    assert_eq!(texts(&model.pinned(CHAT, None, 2).unwrap().unwrap().messages), ["m15", "m18"]);
    assert_eq!(model.pinned(CHAT, None, 50).unwrap().unwrap().messages.len(), 6);
}

#[test]
fn replies_are_counted_and_who_is_mentioned_is_named_and_told_how_often() {
    let mut model = ReadModel::in_memory().unwrap();
    let reply = |n: u64, deleted: bool| {
        let mut reply = message(2, n, "yes, @person 1");
        (reply.message.parent, reply.message.deleted) = (Some(id(1, 1)), deleted);
        if deleted {
            reply.message.text.clear();
        }
        reply
    };
    let first = vec![message(1, 1, "@Person 2, come"), reply(2, false), reply(3, false), reply(4, true)];
    model.take(FIRST, Known::default(), &some(first, Vec::new(), 1)).unwrap();
    let page = model.page(CHAT, None, 5).unwrap().unwrap().messages;
    assert_eq!(page.iter().map(|shown| shown.replies).collect::<Vec<_>>(), [2, 0, 0, 0]);
    assert_eq!(page[0].mentions, [person(2)]);
    assert_eq!(page[1].mentions, [person(1)]);
    let unread = |n: u8| {
        let unread = model.unread(CHAT, key::owner(&person(n).person), None, WallTime(u64::MAX)).unwrap();
        (unread.count, unread.mentions)
    };
    assert_eq!((unread(1), unread(2)), ((2, 2), (1, 1)));
}

#[test]
fn what_changes_or_goes_is_found_no_more() {
    let mut model = ReadModel::in_memory().unwrap();
    let first = vec![message(1, 1, "the harvest begins"), message(1, 2, "harvest of apples")];
    model.take(FIRST, Known::default(), &some(first, Vec::new(), 1)).unwrap();
    assert_eq!(found(&model, "harvest", &[CHAT]), ["harvest of apples", "the harvest begins"]);
    let mut deleted = message(1, 1, "");
    deleted.message.deleted = true;
    model
        .take(FIRST, Known::default(), &some(vec![deleted, message(1, 2, "crop of apples")], Vec::new(), 2))
        .unwrap();
    assert_eq!(found(&model, "harvest", &[CHAT]), Vec::<String>::new());
    assert_eq!(found(&model, "crop", &[CHAT]), ["crop of apples"]);
    model.take(FIRST, Known::default(), &some(Vec::new(), vec![id(1, 2)], 3)).unwrap();
    assert_eq!(found(&model, "crop", &[CHAT]), Vec::<String>::new());
    assert_eq!(texts(&model.page(CHAT, None, 5).unwrap().unwrap().messages), [""]);
}

#[test]
fn a_search_minds_neither_case_nor_accents_and_no_text_is_a_mistake() {
    let mut model = ReadModel::in_memory().unwrap();
    let messages = ["Ünïcode Café", "say \"good night\" now", "night good", "NEAR and far", "c++ (a*b)"];
    let messages = messages.iter().zip(0..).map(|(text, n)| message(1, n, text)).collect();
    model.take(FIRST, Known::default(), &some(messages, Vec::new(), 1)).unwrap();
    model
        .take(
            (OTHER, Concern::Chat, 1),
            Known::default(),
            &some(vec![message(2, 50, "a café elsewhere")], Vec::new(), 1),
        )
        .unwrap();
    assert_eq!(found(&model, "CAFE", &[CHAT, OTHER]), ["a café elsewhere", "Ünïcode Café"]);
    assert_eq!(found(&model, "cafe", &[CHAT]), ["Ünïcode Café"]);
    assert_eq!(found(&model, "unic", &[CHAT]), ["Ünïcode Café"], "the last word may be a beginning");
    assert_eq!(found(&model, "unic ", &[CHAT]), Vec::<String>::new(), "unless a blank ends it");
    assert_eq!(found(&model, "\"good night\"", &[CHAT]), ["say \"good night\" now"]);
    assert_eq!(found(&model, "good night", &[CHAT]).len(), 2);
    assert_eq!(found(&model, "NEAR(", &[CHAT]), ["NEAR and far"]);
    for odd in ["a AND", "(a OR", "text : a", "a* *", "^a", "\"a", "-a", "a\0b", "{a} : b", "a + b"] {
        let hits = model.search(&Search::new(odd).unwrap(), &[CHAT], None, 5).unwrap();
        assert!(hits.is_ok(), "{odd}");
    }
}

#[test]
fn hits_are_given_latest_first_page_by_page_with_what_was_found_marked() {
    let mut model = ReadModel::in_memory().unwrap();
    // Fed in another order than they were written; several claim one time.
    let messages: Vec<MessageView> = (0..30)
        .map(|n| {
            let mut view = message(1, (n * 7) % 30, "a needle in the hay");
            view.message.time = WallTime(1_000 + view.message.time.0 % 10);
            view
        })
        .collect();
    model.take(FIRST, Known::default(), &some(messages, Vec::new(), 1)).unwrap();
    let search = Search::new("needle").unwrap();
    let (mut times, mut before, mut names) = (Vec::new(), None, std::collections::BTreeSet::new());
    loop {
        let hits = model.search(&search, &[CHAT], before, 7).unwrap().unwrap();
        let Some(last) = hits.last() else { break };
        before = Some((CHAT, last.found.id()));
        times.extend(hits.iter().map(|hit| shown(hit.found.clone()).view.message.time));
        names.extend(hits.iter().map(|hit| hit.found.id()));
        assert!(hits[0].snippet.contains(&Piece { text: "needle".into(), is_hit: true }));
    }
    assert_eq!((times.len(), names.len()), (30, 30));
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
}

#[test]
fn a_thread_is_a_message_and_all_that_reply_to_it_however_deep() {
    let mut model = ReadModel::in_memory().unwrap();
    let reply = |n, to| {
        let mut view = message(2, n, &format!("m{n}"));
        view.message.parent = Some(to);
        view
    };
    let messages =
        vec![message(1, 1, "root"), reply(2, id(1, 1)), message(1, 3, "aside"), reply(4, id(2, 2))];
    model.take(FIRST, Known::default(), &some(messages, Vec::new(), 1)).unwrap();
    let thread = model.thread(CHAT, id(1, 1), None, 10).unwrap().unwrap();
    assert_eq!(texts(&thread.messages), ["root", "m2", "m4"]);
    let last = model.thread(CHAT, id(1, 1), None, 1).unwrap().unwrap();
    assert_eq!((texts(&last.messages), last.has_older), (vec!["m4"], true));
    let earlier = model.thread(CHAT, id(1, 1), Some(id(2, 4)), 10).unwrap().unwrap();
    assert_eq!((texts(&earlier.messages), earlier.has_older), (vec!["root", "m2"], false));
    assert_eq!(model.thread(CHAT, id(1, 77), None, 10).unwrap(), Err(Missing(id(1, 77))));
}

#[test]
fn unread_is_what_others_wrote_after_the_marker_and_no_time_from_far_ahead() {
    let mut model = ReadModel::in_memory().unwrap();
    let mut messages: Vec<MessageView> = (0..20).map(|n| message(1 + (n % 2) as u8, n, "m")).collect();
    messages[5].message.deleted = true;
    messages[19].message.time = WallTime(5_000_000);
    model.take(FIRST, Known::default(), &some(messages, Vec::new(), 1)).unwrap();
    model.name(CHAT, "Tea").unwrap();
    let me = key::owner(&person(1).person);
    let latest = WallTime(2_000_000);
    let unread = model.unread(CHAT, me, None, latest).unwrap();
    assert_eq!((unread.count, unread.name.as_str()), (8, "Tea"));
    assert_eq!(unread.last.unwrap().view.message.time, WallTime(5_000_000));
    let read = model.marker(CHAT, id(2, 9)).unwrap();
    assert_eq!(read, Some(ReadMarker { time: WallTime(1_000_009), message: id(2, 9) }));
    assert_eq!(model.unread(CHAT, me, read, latest).unwrap().count, 4);
    let many = (0..u64::from(UNREAD_MAX) + 100).map(|n| message(2, 100 + n, "m")).collect();
    model.take(FIRST, Known::default(), &some(many, Vec::new(), 2)).unwrap();
    assert_eq!(model.unread(CHAT, me, read, latest).unwrap().count, UNREAD_MAX);
}

#[test]
fn a_message_is_found_by_the_beginning_of_its_name() {
    let mut model = ReadModel::in_memory().unwrap();
    model
        .take(FIRST, Known::default(), &some(vec![message(1, 1, "a"), message(2, 2, "b")], Vec::new(), 1))
        .unwrap();
    let short = id(1, u64::MAX).short();
    assert_eq!(model.find(CHAT, &short).unwrap(), Lookup::Missing);
    assert_eq!(model.find(CHAT, &id(1, 1).to_string()).unwrap(), Lookup::Found(id(1, 1)));
    assert_eq!(model.find(CHAT, &id(1, 2).to_string()).unwrap(), Lookup::Missing);
    let random = id(1, 1).to_string().split_once('-').unwrap().1.to_uppercase();
    assert_eq!(model.find(CHAT, &random).unwrap(), Lookup::Found(id(1, 1)));
    assert_eq!(model.find(CHAT, "aaaa").unwrap(), Lookup::Ambiguous(vec![id(1, 1), id(2, 2)]));
    assert_eq!(model.find(CHAT, "'; --").unwrap(), Lookup::Missing);
}

#[test]
fn a_whole_copy_sweeps_out_what_is_no_more_and_counts_at_its_end_only() {
    let home = tempfile::tempdir().unwrap();
    let (mut model, _) = open(home.path());
    let old: Vec<MessageView> = (0..10).map(|n| message(1, n, &format!("old {n}"))).collect();
    model.take(FIRST, Known::default(), &whole(old, true, Some(1))).unwrap();
    assert_eq!(model.copied(FIRST).unwrap().digest, Some(Digest([1; 32])));
    let new: Vec<MessageView> = (5..15).map(|n| message(1, n, &format!("new {n}"))).collect();
    model.take(FIRST, Known::default(), &whole(new[..4].to_vec(), false, None)).unwrap();
    assert_eq!(model.copied(FIRST).unwrap().digest, None);
    // As after a crash in between.
    drop(model);
    let (mut model, dropped) = open(home.path());
    assert_eq!(dropped, None);
    assert_eq!(model.copied(FIRST).unwrap().digest, None);
    let known = model.take(FIRST, Known::default(), &whole(new[..4].to_vec(), false, None)).unwrap();
    model.take(FIRST, known, &whole(new[4..].to_vec(), true, Some(2))).unwrap();
    assert_eq!(views(model.page(CHAT, None, 50).unwrap().unwrap().messages), new);
    assert_eq!(found(&model, "old", &[CHAT]), Vec::<String>::new());
    model.keep_only(&[OTHER]).unwrap();
    assert_eq!(model.held().unwrap().messages, 0);
    assert_eq!(found(&model, "new", &[CHAT]), Vec::<String>::new());
}

#[test]
fn what_was_asked_for_before_the_copy_was_emptied_is_not_taken() {
    let mut model = ReadModel::in_memory().unwrap();
    let known = model.take(FIRST, Known::default(), &some(vec![message(1, 1, "a")], Vec::new(), 1)).unwrap();
    assert!(known.has_all() && !known.is_unsettled());
    model.clear().unwrap();
    let mut known = model.take(FIRST, known, &some(vec![message(1, 2, "b")], Vec::new(), 2)).unwrap();
    assert!(!known.has_all(), "it lacks all that came before");
    assert_eq!(model.held().unwrap().messages, 0);
    assert_eq!(model.lacking(FIRST, &mut known).unwrap(), Copied::default());
}

#[test]
fn the_file_shows_nothing_and_what_does_not_open_is_dropped() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("reading/model");
    let fill = |model: &mut ReadModel| {
        let messages = (0..500).map(|n| message(1, n, "a very particular sentence")).collect();
        let mut known = Known::default();
        model.lacking(FIRST, &mut known).unwrap();
        model.take(FIRST, known, &whole(messages, true, Some(1))).unwrap();
    };
    let (mut model, _) = open(home.path());
    fill(&mut model);
    drop(model);
    let sealed = fs::read(&file).unwrap();
    assert!(sealed.len() > 20_000);
    for needle in [&b"particular"[..], b"SQLite format", b"Person 1", &[7; 16], &[1; 16]] {
        assert!(!sealed.windows(needle.len()).any(|window| window == needle));
    }
    let damaged = |at: usize| {
        let mut bytes = sealed.clone();
        bytes[at] ^= 1;
        bytes
    };
    for bytes in [damaged(100), Vec::from(*b"no database at all"), sealed[..5000].to_vec()] {
        fs::write(&file, bytes).unwrap();
        let (model, dropped) = open(home.path());
        assert!(dropped.is_some());
        assert_eq!(model.copied(FIRST).unwrap().digest, None);
        assert_eq!(model.held().unwrap().messages, 0);
    }
    // Damage further on shows when it is read; what is cleared can be filled again.
    let mut bytes = sealed.clone();
    (8192..bytes.len()).step_by(4096).for_each(|at| bytes[at + 100] ^= 1);
    fs::write(&file, bytes).unwrap();
    let (mut model, _) = open(home.path());
    let read = model.page(CHAT, None, 500).map(|_| ()).and(model.held().map(|_| ()));
    let found = model.search(&Search::new("particular").unwrap(), &[CHAT], None, 200).map(|_| ());
    assert!(read.and(found).is_err(), "a page of the file was changed");
    model.clear().unwrap();
    fill(&mut model);
    assert_eq!(model.held().unwrap().messages, 500);
    // Of another home: another key.
    drop(model);
    let elsewhere = tempfile::tempdir().unwrap();
    drop(open(elsewhere.path()));
    fs::copy(&file, elsewhere.path().join("reading/model")).unwrap();
    assert!(open(elsewhere.path()).1.is_some());
}

#[test]
fn segments_are_copied_each_by_itself_and_read_as_one() {
    let mut model = ReadModel::in_memory().unwrap();
    let second = (CHAT, Concern::Chat, 2);
    // Clocks differ: what was written later may claim an earlier time.
    let (early, late) = (vec![message(1, 10, "one"), message(1, 30, "three")], vec![message(2, 20, "two")]);
    let first = model.take(FIRST, Known::default(), &whole(early, true, None)).unwrap();
    model.take(FIRST, first, &some(Vec::new(), Vec::new(), 1)).unwrap();
    model.take(second, Known::default(), &whole(late, true, None)).unwrap();
    let texts = |model: &ReadModel| -> Vec<String> {
        let page = model.page(CHAT, None, 10).unwrap().unwrap();
        page.messages.into_iter().map(|shown| shown.view.message.text).collect()
    };
    assert_eq!(texts(&model), ["one", "two", "three"]);
    assert_eq!(found(&model, "two", &[CHAT]), ["two"]);
    // A segment that is copied anew drops what it had, and nothing of another.
    let known =
        model.take(second, Known::default(), &whole(vec![message(2, 40, "four")], true, None)).unwrap();
    model.take(second, known, &some(Vec::new(), Vec::new(), 2)).unwrap();
    assert_eq!(texts(&model), ["one", "three", "four"]);
    let digest = |segment| model.copied((CHAT, Concern::Chat, segment)).unwrap().digest;
    assert_eq!([digest(1), digest(2), digest(3)], [Some(Digest([1; 32])), Some(Digest([2; 32])), None]);
    let stands = |segment, digest| StandView {
        concern: Concern::Chat,
        segment,
        digest: Some(Digest([digest; 32])),
        revision: None,
    };
    assert!(model.has(CHAT, &stands(1, 1), &Known::default()).unwrap());
    assert!(!model.has(CHAT, &stands(2, 1), &Known::default()).unwrap());
    // Who writes one name in two segments shows both, and is named by the first.
    model.take(second, Known::default(), &some(vec![message(1, 30, "again")], Vec::new(), 3)).unwrap();
    assert_eq!(texts(&model).len(), 4);
    assert_eq!(model.find(CHAT, &id(1, 30).to_string()).unwrap(), Lookup::Found(id(1, 30)));
    model.take(FIRST, first, &some(Vec::new(), vec![id(1, 30)], 4)).unwrap();
    assert!(texts(&model).contains(&"again".to_owned()), "what goes in one segment stays in the other");
    model.keep_only(&[]).unwrap();
    assert_eq!(model.held().unwrap().messages, 0);
    assert_eq!(model.copied(FIRST).unwrap(), Copied::default());
}
