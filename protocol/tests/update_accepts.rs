//! What the CRDT library writes for our shapes is accepted, resolved to its place, and enough.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use fourword_protocol::update::document::{Document, DocumentError, Put, TextEdit, Value};
use fourword_protocol::update::index::Place;
use fourword_protocol::update::parse::{Content, Fault, parse};
use fourword_protocol::update::write::{merge, strip_deletes};
use fourword_protocol::update::{BlockId, Shape};
use yrs::updates::decoder::Decode;
use yrs::{Any, Doc, GetString, Map, MapPrelim, MapRef, ReadTxn, Text, Transact, TransactionMut, Update};

const ROOTS: &[&str] = &["cards", "notes"];
const TEXTS: &[&str] = &["text"];

fn library_doc(client: u64) -> Doc {
    Doc::with_client_id(client)
}

/// What one transaction of the library writes, as it travels.
fn written(doc: &Doc, act: impl FnOnce(&mut TransactionMut<'_>)) -> Vec<u8> {
    let mut txn = doc.transact_mut();
    act(&mut txn);
    txn.encode_update_v1()
}

fn record(bytes: &[u8]) -> Any {
    Any::Buffer(bytes.into())
}

fn put(txn: &mut TransactionMut<'_>, map: &MapRef, key: &str, bytes: &[u8]) {
    map.insert(txn, key, record(bytes));
}

fn take(document: &mut Document, client: u64, update: &[u8]) {
    let parsed = parse(update, &document.expect(client)).unwrap();
    document.apply(&parsed).unwrap();
}

fn give(doc: &Doc, update: &[u8]) {
    doc.transact_mut().apply_update(Update::decode_v1(update).unwrap()).unwrap();
}

fn place(root: &'static str, key: &str, field: Option<&str>) -> Place {
    Place { root, key: key.into(), field: field.map(Into::into) }
}

#[test]
fn an_overwrite_names_no_key_and_still_resolves_to_it() {
    let doc = library_doc(5);
    let cards = doc.get_or_insert_map("cards");
    let mut ours = Document::new("doc", ROOTS, Shape::Maps);
    let first = written(&doc, |txn| put(txn, &cards, "a", b"one"));
    take(&mut ours, 5, &first);
    let second = strip_deletes(&written(&doc, |txn| put(txn, &cards, "a", b"two"))).unwrap();
    assert!(!second.windows(5).any(|window| window == b"cards"));
    let parsed = parse(&second, &ours.expect(5)).unwrap();
    assert_eq!((parsed.clocks.clone(), parsed.writes.len()), (1..2, 1));
    let write = &parsed.writes[0];
    assert_eq!((write.block, &write.place), (BlockId { client: 5, clock: 1 }, &place("cards", "a", None)));
    assert_eq!(write.content, Content::Bytes(b"two"));
    take(&mut ours, 5, &second);
    assert_eq!(ours.get("cards", "a").unwrap().as_ref(), b"two");
}

#[test]
fn fields_of_a_nested_map_resolve_to_its_key_in_one_update_and_later() {
    let doc = library_doc(5);
    let cards = doc.get_or_insert_map("cards");
    let mut ours = Document::new("doc", ROOTS, Shape::Maps);
    let first = written(&doc, |txn| {
        let card = cards.insert(txn, "c", MapPrelim::from([("title", record(b"t"))]));
        card.insert(txn, "pos", record(b"p"));
        card.insert(txn, "pos", record(b"q"));
    });
    let first = strip_deletes(&first).unwrap();
    let places: Vec<_> =
        parse(&first, &ours.expect(5)).unwrap().writes.into_iter().map(|w| w.place).collect();
    let (card, title, pos) =
        (place("cards", "c", None), place("cards", "c", Some("title")), place("cards", "c", Some("pos")));
    assert_eq!(places, [card, title.clone(), pos.clone(), pos]);
    take(&mut ours, 5, &first);
    let other = library_doc(6);
    let cards = other.get_or_insert_map("cards");
    give(&other, &first);
    let second = written(&other, |txn| {
        let Some(yrs::Out::YMap(card)) = cards.get(txn, "c") else { unreachable!() };
        card.insert(txn, "title", record(b"new"));
    });
    let second = strip_deletes(&second).unwrap();
    assert_eq!(parse(&second, &ours.expect(6)).unwrap().writes[0].place, title);
    take(&mut ours, 6, &second);
    let fields = ours.fields("cards", "c").unwrap();
    assert_eq!(
        fields.iter().map(|(k, v)| (&**k, &**v)).collect::<Vec<_>>(),
        [("pos", &b"q"[..]), ("title", b"new")]
    );
}

#[test]
fn text_edits_with_deletions_marks_and_wide_characters_are_taken() {
    let doc = library_doc(5);
    let text = doc.get_or_insert_text("text");
    let mut ours = Document::new("doc", TEXTS, Shape::Texts);
    let steps: [&dyn Fn(&mut TransactionMut<'_>); 6] = [
        &|txn| text.insert(txn, 0, "hello 😀 world"),
        &|txn| text.remove_range(txn, 1, 3),
        &|txn| text.insert(txn, 0, ">"),
        &|txn| text.format(txn, 0, 3, [("bold".into(), true.into())].into()),
        &|txn| {
            text.insert(txn, 2, "inside");
            text.remove_range(txn, 3, 2);
        },
        &|txn| text.remove_range(txn, 0, 2),
    ];
    for step in steps {
        let update = written(&doc, step);
        take(&mut ours, 5, &update);
        assert_eq!(ours.text("text").unwrap(), text.get_string(&doc.transact()));
    }
    let state = ours.encode_state().unwrap();
    let again = Document::open("doc", TEXTS, Shape::Texts, &state, ours.index().clone()).unwrap();
    assert_eq!((again.text("text"), again.content_digest()), (ours.text("text"), ours.content_digest()));
}

/// All orders that keep each writer's updates in their own order.
fn interleavings(a: &[Vec<u8>], b: &[Vec<u8>]) -> Vec<Vec<(usize, Vec<u8>)>> {
    let (Some(first_a), Some(first_b)) = (a.first(), b.first()) else {
        let rest = a.iter().map(|u| (0, u.clone())).chain(b.iter().map(|u| (1, u.clone())));
        return vec![rest.collect()];
    };
    let mut all = Vec::new();
    for (writer, first, rest) in
        [(0, first_a, interleavings(&a[1..], b)), (1, first_b, interleavings(a, &b[1..]))]
    {
        for mut order in rest {
            order.insert(0, (writer, first.clone()));
            all.push(order);
        }
    }
    all
}

#[test]
fn stripped_of_their_deletions_updates_do_the_same_in_every_order_of_two_writers() {
    for clients in [[3u64, 9], [9, 3]] {
        let docs = clients.map(library_doc);
        let maps = [0, 1].map(|i: usize| docs[i].get_or_insert_map("cards"));
        let base = written(&docs[0], |txn| put(txn, &maps[0], "k", b"base"));
        give(&docs[1], &base);
        let whole = [0, 1].map(|i: usize| {
            [1u8, 2, 3]
                .map(|n| {
                    written(&docs[i], |txn| {
                        put(txn, &maps[i], "k", &[n]);
                        put(txn, &maps[i], "k", &[n, n, clients[i] as u8]);
                        put(txn, &maps[i], &format!("own{i}{n}"), &[n]);
                    })
                })
                .to_vec()
        });
        let stripped =
            whole.clone().map(|list| list.iter().map(|u| strip_deletes(u).unwrap()).collect::<Vec<_>>());
        assert!(whole[0][0].len() > stripped[0][0].len());
        let reference = library_doc(1);
        let map = reference.get_or_insert_map("cards");
        for update in std::iter::once(&base).chain(whole.iter().flatten()) {
            give(&reference, update);
        }
        let wanted = reference.transact().snapshot();
        let visible = |txn: &yrs::Transaction<'_>, map: &MapRef| -> BTreeMap<String, String> {
            map.iter(txn).map(|(key, value)| (key.to_owned(), value.to_string(txn))).collect()
        };
        let content = visible(&reference.transact(), &map);
        for order in interleavings(&stripped[0], &stripped[1]) {
            let doc = library_doc(1);
            let map = doc.get_or_insert_map("cards");
            let mut ours = Document::new("doc", ROOTS, Shape::Maps);
            give(&doc, &base);
            take(&mut ours, clients[0], &base);
            for (writer, update) in order {
                give(&doc, &update);
                take(&mut ours, clients[writer], &update);
            }
            let txn = doc.transact();
            assert_eq!(visible(&txn, &map), content);
            assert_eq!(txn.snapshot(), wanted, "the same blocks exist and the same are deleted");
            assert_eq!(ours.iter("cards").count(), content.len());
        }
    }
}

#[test]
fn a_document_writes_what_it_would_accept_and_the_library_agrees_with_it() {
    let mut ours = Document::new("doc", ROOTS, Shape::Maps);
    ours.begin_log(77).unwrap();
    let put = |key: &str, value: &[u8]| Put { root: "notes", key: key.into(), value: value.into() };
    let edits = [
        ours.edit(&[put("a", b"1"), put("b", b"2")]).unwrap(),
        ours.edit(&[put("a", b"3"), put("a", b"4"), put("a", b"5")]).unwrap(),
    ];
    assert_eq!(edits[1].changes.keys.len(), 1);
    assert_eq!(edits[1].changes.keys[0].before, Some(Value::Bytes(b"1"[..].into())));
    assert_eq!(edits[1].changes.keys[0].after, Some(Value::Bytes(b"5"[..].into())));
    let (taken, joined) = merge(&edits.map(|edit| edit.update)).unwrap();
    let mut other = Document::new("doc", ROOTS, Shape::Maps);
    take(&mut other, 77, &joined);
    assert_eq!(
        (taken, other.content_digest(), other.clock_ends()),
        (2, ours.content_digest(), vec![(77, 5)])
    );
    let keys: Vec<_> = other.iter("notes").map(|(key, _)| &**key).collect();
    assert_eq!((keys, other.iter_from("notes", "b").count()), (vec!["a", "b"], 1));
    let doc = library_doc(1);
    let notes = doc.get_or_insert_map("notes");
    give(&doc, &joined);
    assert_eq!(notes.get(&doc.transact(), "a").unwrap().to_string(&doc.transact()), "0x35");
}

#[test]
fn a_log_goes_on_after_its_document_was_rebuilt_with_another_client() {
    let mut ours = Document::new("doc", ROOTS, Shape::Maps);
    let put = |value: &[u8]| [Put { root: "notes", key: "k".into(), value: value.into() }];
    assert!(ours.edit(&put(b"1")).is_err(), "no log was begun");
    ours.begin_log(2).unwrap();
    ours.edit(&put(b"1")).unwrap();
    ours.begin_log(3).unwrap();
    ours.edit(&put(b"2")).unwrap();
    ours.begin_log(2).unwrap();
    let edit = ours.edit(&put(b"3")).unwrap();
    assert_eq!(ours.clock_ends(), [(2, 2), (3, 1)]);
    assert_eq!(ours.get("notes", "k").unwrap().as_ref(), b"3");
    assert_eq!(parse(&edit.update, &ours.expect(2)).unwrap_err().fault, Fault::Clock, "it is in already");
}

#[test]
fn a_rejected_update_keeps_its_clocks_and_what_follows_it_is_refused_but_no_other() {
    let mut author = Document::new("doc", ROOTS, Shape::Maps);
    author.begin_log(2).unwrap();
    let put = |key: &str| [Put { root: "notes", key: key.into(), value: b"v".into() }];
    let refused = author.edit(&put("mine")).unwrap().update;
    let follows = author.edit(&put("mine")).unwrap().update;
    let free = author.edit(&put("else")).unwrap().update;
    let mut reader = Document::new("doc", ROOTS, Shape::Maps);
    let clocks = parse(&refused, &reader.expect(2)).unwrap().clocks;
    reader.reject(2, clocks).unwrap();
    let error = parse(&follows, &reader.expect(2)).unwrap_err();
    assert_eq!((error.fault, error.range.clone()), (Fault::Void, Some(1..2)));
    reader.reject(2, error.range.unwrap()).unwrap();
    take(&mut reader, 2, &free);
    assert_eq!(reader.iter("notes").count(), 1);
    let state = reader.encode_state().unwrap();
    let again = Document::open("doc", ROOTS, Shape::Maps, &state, reader.index().clone()).unwrap();
    assert_eq!(again.content_digest(), reader.content_digest());
}

fn edit(at: u32, removed: u32, inserted: &str) -> TextEdit {
    TextEdit { at, removed, inserted: inserted.into() }
}

/// A document of one text with a log of its own, and what it wrote so far given to a reader.
fn text(inserted: &str) -> (Document, Document) {
    let (mut own, mut reader) =
        (Document::new("doc", TEXTS, Shape::Texts), Document::new("doc", TEXTS, Shape::Texts));
    own.begin_log(5).unwrap();
    let first = own.edit_text("text", &[edit(0, 0, inserted)]).unwrap();
    take(&mut reader, 5, &first.update);
    (own, reader)
}

#[test]
fn edits_of_a_text_are_made_one_after_the_other_and_travel_as_one() {
    let (mut own, mut reader) = text("hello world");
    let edits = [edit(0, 1, "H"), edit(5, 0, " 😀"), edit(8, 6, ""), edit(8, 0, "!")];
    let made = own.edit_text("text", &edits).unwrap();
    assert_eq!(own.text("text").unwrap(), "Hello 😀!");
    assert_eq!(made.changes.texts.into_iter().collect::<Vec<_>>(), ["text"]);
    take(&mut reader, 5, &made.update);
    assert_eq!(reader.text("text").unwrap(), "Hello 😀!");
    assert_eq!(reader.content_digest(), own.content_digest());
}

#[test]
fn an_edit_beyond_a_text_or_within_a_pair_is_refused_and_changes_nothing() {
    let (mut own, _) = text("a😀b");
    let beyond = [edit(5, 0, "x"), edit(4, 1, ""), edit(1, u32::MAX, ""), edit(u32::MAX, u32::MAX, "x")];
    let within = [edit(2, 0, "x"), edit(1, 1, "x"), edit(2, 1, "x"), edit(0, 2, "")];
    let nothing = [edit(1, 0, "")];
    for refused in beyond.into_iter().chain(within).chain(nothing) {
        for edits in [vec![refused.clone()], vec![edit(0, 0, "before"), refused.clone()]] {
            let shifted: Vec<TextEdit> = match edits.len() {
                1 => edits,
                _ => vec![edits[0].clone(), TextEdit { at: refused.at.saturating_add(6), ..refused.clone() }],
            };
            assert_eq!(own.edit_text("text", &shifted), Err(DocumentError::Unwritable), "{shifted:?}");
        }
    }
    assert_eq!(own.edit_text("text", &[]), Err(DocumentError::Unwritable));
    assert_eq!(own.edit_text("other", &[edit(0, 0, "x")]), Err(DocumentError::Unwritable));
    assert!(!own.is_poisoned());
    own.edit_text("text", &[edit(1, 2, "")]).unwrap();
    assert_eq!(own.text("text").unwrap(), "ab");
}

#[test]
fn pairs_that_came_with_a_state_or_from_others_are_not_divided_either() {
    let (mut own, reader) = text("😀");
    let index = own.index().clone();
    let opened = Document::open("doc", TEXTS, Shape::Texts, &own.encode_state().unwrap(), index).unwrap();
    for mut document in [opened, reader] {
        document.begin_log(6).unwrap();
        assert_eq!(document.edit_text("text", &[edit(1, 0, "x")]), Err(DocumentError::Unwritable));
    }
}
