//! Hand-built hostile updates are refused, with their clocks wherever these can be read.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod writer;

use fourword_protocol::limits;
use fourword_protocol::update::document::{Document, Put, TextEdit};
use fourword_protocol::update::parse::{Fault, parse};
use fourword_protocol::update::{BlockId, CLIENT_MAX, CLOCK_MAX, Shape};
use writer::{gone, id, nested, number, record, string, update_of};

const ROOTS: &[&str] = &["cards"];
const TEXTS: &[&str] = &["text"];
const ME: u64 = 7;
const VICTIM: u64 = 5;

/// Content: one byte string as a value.
fn bytes(length: usize) -> Vec<u8> {
    record(&vec![b'x'; length])
}

/// A block of `kind` that names its root and key.
fn entry(root: &str, key: &str, kind: u8, content: Vec<u8>) -> Vec<u8> {
    [vec![0x20 | kind, 1], string(root), string(key), content].concat()
}

fn value(key: &str) -> Vec<u8> {
    entry("cards", key, 8, bytes(3))
}

/// A block of `kind` in a root text.
fn stretch(kind: u8, content: Vec<u8>) -> Vec<u8> {
    [vec![kind, 1], string("text"), content].concat()
}

fn mine(blocks: &[Vec<u8>]) -> Vec<u8> {
    update_of(ME, 0, blocks, &[0])
}

/// A document in which the victim holds clocks 0 to 2: two values and a void one.
fn maps() -> Document {
    let mut document = Document::new("doc", ROOTS, Shape::Maps);
    document.begin_log(VICTIM).unwrap();
    let put = |key: &str| Put { root: "cards", key: key.into(), value: b"honest".into() };
    document.edit(&[put("a"), put("b")]).unwrap();
    document.reject(VICTIM, 2..3).unwrap();
    document
}

/// A document in which the victim wrote "honest", clocks 0 to 5.
fn texts() -> Document {
    let mut document = Document::new("doc", TEXTS, Shape::Texts);
    document.begin_log(VICTIM).unwrap();
    document.edit_text("text", &[TextEdit { at: 0, removed: 0, inserted: "honest".into() }]).unwrap();
    document
}

#[track_caller]
fn refused(document: &Document, update: &[u8], fault: Fault, range: Option<std::ops::Range<u32>>) {
    let error = parse(update, &document.expect(ME)).unwrap_err();
    assert_eq!((error.fault, error.range), (fault, range));
}

#[test]
fn the_builder_itself_builds_what_is_accepted() {
    let mut document = maps();
    let update = mine(&[value("k"), gone(3), value("l")]);
    let parsed = parse(&update, &document.expect(ME)).unwrap();
    assert_eq!((parsed.clocks.clone(), parsed.writes.len()), (0..5, 2));
    document.apply(&parsed).unwrap();
    let mut document = texts();
    let update = update_of(ME, 0, &[stretch(4, string("me"))], &[1, VICTIM as u8, 2, 0, 1, 3, 2]);
    let parsed = parse(&update, &document.expect(ME)).unwrap();
    assert_eq!(parsed.deletions.len(), 2);
    document.apply(&parsed).unwrap();
    assert_eq!(document.text("text").unwrap().replace("me", ""), "ont");
}

#[test]
fn another_clients_blocks_are_refused_also_beside_ones_own() {
    let document = maps();
    refused(&document, &update_of(VICTIM, 3, &[value("k")], &[0]), Fault::Client, None);
    refused(&document, &update_of(VICTIM, 0, &[gone(0xffff_ffff)], &[0]), Fault::Client, None);
    refused(&document, &update_of(VICTIM, 3, &[gone(0xffff_fff0)], &[0]), Fault::Client, None);
    let own = [number(1), number(ME), number(0), value("k")].concat();
    let foreign = [number(1), number(VICTIM), number(3), value("l")].concat();
    let both = [vec![2], own.clone(), foreign, vec![0]].concat();
    refused(&document, &both, Fault::Client, None);
    refused(&document, &[vec![2], own.clone(), own, vec![0]].concat(), Fault::Client, None);
    let wide = update_of(CLIENT_MAX + 1 + ME, 0, &[value("k")], &[0]);
    refused(&document, &wide, Fault::Unreadable, None);
}

#[test]
fn clocks_that_overlap_leave_a_gap_or_overflow_are_refused() {
    let mut document = maps();
    let first = mine(&[value("k"), value("l")]);
    document.apply(&parse(&first, &document.expect(ME)).unwrap()).unwrap();
    for clock in [0, 1, 3, 1000, 0xffff_ffff] {
        refused(&document, &update_of(ME, clock, &[value("m")], &[0]), Fault::Clock, None);
    }
    let skip = [vec![10], number(5)].concat();
    let with_skip = update_of(ME, 2, &[skip, value("m")], &[0]);
    refused(&document, &with_skip, Fault::Content, Some(2..8));
    for length in [u64::from(CLOCK_MAX) - 1, 0xffff_fffe, 0xffff_ffff] {
        let overflow = update_of(ME, 2, &[gone(length), value("m")], &[0]);
        refused(&document, &overflow, Fault::Unreadable, None);
    }
    refused(&document, &update_of(ME, 2, &[gone(0)], &[0]), Fault::Unreadable, None);
    refused(&document, &update_of(ME, 2, &[], &[0]), Fault::Clock, None);
}

#[test]
fn what_follows_an_unknown_block_waits_and_what_follows_a_void_or_later_one_is_refused() {
    let document = maps();
    let follows =
        |client, clock| mine(&[value("k"), [vec![0xa8], id(client, clock), bytes(1)].concat(), value("l")]);
    assert!(parse(&follows(VICTIM, 1), &document.expect(ME)).is_ok());
    assert!(parse(&follows(ME, 0), &document.expect(ME)).is_ok());
    let early = |client, clock| Fault::Early(BlockId { client, clock });
    refused(&document, &follows(VICTIM, 3), early(VICTIM, 3), Some(0..3));
    refused(&document, &follows(99, 0), early(99, 0), Some(0..3));
    refused(&document, &follows(VICTIM, 2), Fault::Void, Some(0..3));
    refused(&document, &follows(ME, 1), Fault::Origin, Some(0..3));
    refused(&document, &follows(ME, 2), Fault::Origin, Some(0..3));
    let child = |client, clock| mine(&[[vec![0x28, 0], id(client, clock), string("f"), bytes(1)].concat()]);
    refused(&document, &child(VICTIM, 0), Fault::Parent, Some(0..1));
    refused(&document, &child(VICTIM, 2), Fault::Void, Some(0..1));
    refused(&document, &child(VICTIM, 9), early(VICTIM, 9), Some(0..1));
    refused(&document, &child(ME, 0), Fault::Origin, Some(0..1));
}

#[test]
fn a_block_cannot_lie_in_two_places() {
    let between = |left, right| [vec![0xe8], id(VICTIM, left), id(VICTIM, right), bytes(1)].concat();
    refused(&maps(), &mine(&[between(0, 1)]), Fault::Torn, Some(0..1));
    refused(&maps(), &mine(&[between(0, 0)]), Fault::Torn, Some(0..1));
    let mut two = Document::new("doc", &["one", "two"], Shape::Texts);
    two.begin_log(VICTIM).unwrap();
    two.edit_text("one", &[TextEdit { at: 0, removed: 0, inserted: "1".into() }]).unwrap();
    two.edit_text("two", &[TextEdit { at: 0, removed: 0, inserted: "2".into() }]).unwrap();
    let text = [vec![0xc4], id(VICTIM, 0), id(VICTIM, 1), string("x")].concat();
    refused(&two, &mine(&[text]), Fault::Torn, Some(0..1));
}

#[test]
fn roots_and_keys_are_the_documents_own() {
    let document = maps();
    refused(&document, &mine(&[entry("members", "k", 8, bytes(1))]), Fault::Parent, Some(0..1));
    refused(&document, &mine(&[entry("cards", "", 8, bytes(1))]), Fault::Key, Some(0..1));
    let long = "k".repeat(limits::MAP_KEY_BYTES_MAX + 1);
    refused(&document, &mine(&[value(&long)]), Fault::Key, Some(0..1));
    assert!(parse(&mine(&[value(&long[1..])]), &document.expect(ME)).is_ok());
    let keyless = [vec![8, 1], string("cards"), bytes(1)].concat();
    refused(&document, &mine(&[keyless]), Fault::Key, Some(0..1));
    let keyed = entry("text", "k", 4, string("x"));
    refused(&texts(), &mine(&[keyed]), Fault::Key, Some(0..1));
    refused(&document, &mine(&[value("k"), value("k")]), Fault::Twice, Some(0..2));
}

#[test]
fn content_that_the_shape_does_not_hold_is_refused_and_its_clocks_are_read() {
    let document = maps();
    let contents: [(u8, Vec<u8>, u32); 12] = [
        (1, number(4), 4),
        (4, string("text"), 4),
        (4, string("a😀"), 3),
        (5, string("{}"), 1),
        (6, [string("bold"), string("true")].concat(), 1),
        (7, vec![0], 1),
        (7, vec![2], 1),
        (7, [vec![3], string("p")].concat(), 1),
        (8, [vec![2, 116, 0], vec![116, 0]].concat(), 2),
        (8, [vec![1, 118, 1], string("k"), vec![126]].concat(), 1),
        (8, vec![1, 125, 5], 1),
        (8, nested(16), 1),
    ];
    for (kind, content, length) in contents {
        let update = mine(&[value("l"), entry("cards", "k", kind, content)]);
        refused(&document, &update, Fault::Content, Some(0..1 + length));
    }
    for (kind, content) in [
        (2, vec![0, 0]),
        (9, string("guid")),
        (7, vec![7, 0]),
        (7, vec![200]),
        (8, nested(17)),
        (8, nested(10_000)),
    ] {
        refused(&document, &mine(&[entry("cards", "k", kind, content)]), Fault::Unreadable, None);
    }
    for (kind, content) in [(3, [vec![1], vec![9]].concat()), (7, vec![1]), (8, bytes(2))] {
        refused(&texts(), &mine(&[stretch(kind, content)]), Fault::Content, Some(0..1));
    }
    let mark = |value: &str| mine(&[stretch(6, [string("bold"), string(value)].concat())]);
    assert!(parse(&mark("true"), &texts().expect(ME)).is_ok());
    refused(&texts(), &mark(&"[".repeat(1000)), Fault::Content, Some(0..1));
}

#[test]
fn maps_nest_no_deeper_than_one() {
    let map = entry("cards", "k", 7, vec![1]);
    let inner = [vec![0x27, 0], id(ME, 0), string("f"), vec![1]].concat();
    refused(&maps(), &mine(&[map, inner]), Fault::Content, Some(0..2));
}

#[test]
fn deletions_reach_nothing_in_maps_and_only_known_clocks_in_texts() {
    let delete = |ranges: &[u8]| update_of(ME, 0, &[value("k")], ranges);
    refused(&maps(), &delete(&[1, VICTIM as u8, 1, 0, 1]), Fault::Deletion, Some(0..1));
    refused(&maps(), &delete(&[1, ME as u8, 1, 0, 1]), Fault::Deletion, Some(0..1));
    let delete = |ranges: &[u8]| update_of(ME, 0, &[stretch(4, string("me"))], ranges);
    let document = texts();
    for ranges in [
        &[1, VICTIM as u8, 1, 0, 0][..],
        &[1, VICTIM as u8, 2, 3, 1, 0, 1],
        &[1, VICTIM as u8, 2, 0, 2, 1, 2],
        &[3, VICTIM as u8, 1, 0, 1, ME as u8, 1, 0, 1, VICTIM as u8, 1, 2, 1],
        &[1, ME as u8, 1, 1, 2],
        &[1, VICTIM as u8, 1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f],
    ] {
        refused(&document, &delete(ranges), Fault::Deletion, Some(0..2));
    }
    let early = |client, clock| Fault::Early(BlockId { client, clock });
    refused(&document, &delete(&[1, VICTIM as u8, 1, 5, 2]), early(VICTIM, 6), Some(0..2));
    refused(&document, &delete(&[1, 99, 1, 0, 1]), early(99, 0), Some(0..2));
    for ranges in [
        &[1, VICTIM as u8, 0x7f][..],
        &[1, VICTIM as u8, 0],
        &[2, VICTIM as u8, 1, 0, 1, VICTIM as u8, 1, 2, 1],
    ] {
        refused(&document, &delete(ranges), Fault::Unreadable, Some(0..2));
    }
}

#[test]
fn declared_counts_beyond_the_bytes_are_refused() {
    let document = maps();
    let bomb = number(250_000_000);
    refused(&document, &bomb, Fault::Unreadable, None);
    refused(&document, &[vec![1], bomb.clone()].concat(), Fault::Unreadable, None);
    refused(&document, &[vec![1], bomb.clone(), id(ME, 0)].concat(), Fault::Unreadable, None);
    for content in
        [bomb.clone(), [vec![1, 118], bomb.clone()].concat(), [vec![1, 117], bomb.clone()].concat()]
    {
        refused(&document, &mine(&[entry("cards", "k", 8, content)]), Fault::Unreadable, None);
    }
    let text = [vec![4, 1], bomb.clone()].concat();
    refused(&document, &mine(&[text]), Fault::Unreadable, None);
    refused(&document, &update_of(ME, 0, &[value("k")], &bomb), Fault::Unreadable, Some(0..1));
    let many = vec![[vec![0xa8], id(VICTIM, 0), bytes(0)].concat(); limits::UPDATE_BLOCKS_MAX + 1];
    assert!(parse(&mine(&many[1..]), &document.expect(ME)).is_ok());
    refused(&document, &mine(&many), Fault::Blocks, Some(0..many.len() as u32));
}

#[test]
fn bytes_have_one_reading() {
    let document = maps();
    let good = mine(&[value("k")]);
    refused(&document, &[good.clone(), vec![0]].concat(), Fault::Trailing, Some(0..1));
    for end in 0..good.len() {
        assert!(parse(&good[..end], &document.expect(ME)).is_err());
    }
    let overlong = [vec![0x81, 0], good[1..].to_vec()].concat();
    refused(&document, &overlong, Fault::Unreadable, None);
    let reserved = [vec![0x38, 1], string("cards"), string("k"), bytes(1)].concat();
    refused(&document, &mine(&[reserved]), Fault::Unreadable, None);
    let parent = [vec![0x28, 2], string("cards"), string("k"), bytes(1)].concat();
    refused(&document, &mine(&[parent]), Fault::Unreadable, None);
    let second_version = [0, 0, 1, 7, 0, 0, 1, 40, 5, 4, b'c', b'a', b'r', b'd', 1, 1, 0, 1, 0, 0];
    assert!(parse(&second_version, &document.expect(ME)).is_err());
    refused(&document, &[0, 0], Fault::Empty, Some(0..0));
    refused(&texts(), &[0, 0], Fault::Empty, Some(0..0));
    refused(&document, &[], Fault::Unreadable, None);
}

#[test]
fn a_log_begins_a_key_once_and_goes_on_from_there() {
    let mut document = maps();
    let (first, follows) = (value("k"), [vec![0xa8], id(ME, 0), bytes(1)].concat());
    for (block, fault) in [(&first, None), (&first, Some(Fault::Twice)), (&follows, None)] {
        let clock = document.next_clock(ME);
        let update = update_of(ME, clock.into(), std::slice::from_ref(block), &[0]);
        match fault {
            Some(fault) => {
                refused(&document, &update, fault, Some(clock..clock + 1));
                document.reject(ME, clock..clock + 1).unwrap();
            }
            None => drop(document.apply(&parse(&update, &document.expect(ME)).unwrap()).unwrap()),
        }
    }
    // Another's block is no begin of one's own, and a void one is none either.
    let other = update_of(9, 0, &[gone(1), value("k"), value("a")], &[0]);
    document.apply(&parse(&other, &document.expect(9)).unwrap()).unwrap();
    // Who follows another's block has written the key as well.
    let follows = update_of(ME, 3, &[[vec![0xa8], id(9, 2), bytes(1)].concat(), value("a")], &[0]);
    refused(&document, &follows, Fault::Twice, Some(3..5));
    let state = document.encode_state().unwrap();
    let again = Document::open("doc", ROOTS, Shape::Maps, &state, document.index().clone()).unwrap();
    refused(&again, &update_of(ME, 3, &[value("k")], &[0]), Fault::Twice, Some(3..4));
}
