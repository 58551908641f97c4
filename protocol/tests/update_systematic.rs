//! Every content, tie, head and ending that an update of a text can be put together from.
//!
//! What must become of each is read off docs/PROTOCOL.md, section 9, and not asked of the parser.
//! What is taken never breaks the document: a good edit still applies, and it opens again.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod writer;

use fourword_protocol::limits::MAP_KEY_BYTES_MAX;
use fourword_protocol::update::Shape;
use fourword_protocol::update::document::{Document, TextEdit};
use fourword_protocol::update::parse::{Fault, parse};
use writer::{Says, id, number, string, update_of, verdict};

const ROOTS: &[&str] = &["text", "more"];
const ME: u64 = 7;
const ADA: u64 = 5;
const NOBODY: u64 = 99;

/// A document in which ada wrote "honest" and another text, and this log "mine" and a void clock.
fn document() -> Document {
    let mut document = Document::new("doc", ROOTS, Shape::Texts);
    document.begin_log(ADA).unwrap();
    document.edit_text("text", &[TextEdit { at: 0, removed: 0, inserted: "honest".into() }]).unwrap();
    document.edit_text("more", &[TextEdit { at: 0, removed: 0, inserted: "😀".into() }]).unwrap();
    let block = [vec![4, 1], string("text"), string("mine")].concat();
    let mine = update_of(ME, 0, &[block], &[0]);
    document.apply(&parse(&mine, &document.expect(ME)).unwrap()).unwrap();
    document.reject(ME, 4..5).unwrap();
    document
}

/// Kind and bytes.
fn contents() -> Vec<(u8, Vec<u8>, Says)> {
    let mark = |name: &str, value: &str| [string(name), string(value)].concat();
    let long = "m".repeat(MAP_KEY_BYTES_MAX);
    vec![
        (4, string("x"), Says::Fine),
        (4, string("é😀漢"), Says::Fine),
        (4, string(""), Says::Ends),
        (4, vec![2, 0xc3, 0x28], Says::Ends),
        (4, number(1 << 31), Says::Ends),
        (1, number(3), Says::Fine),
        (1, number(0), Says::Ends),
        (1, number(1 << 31), Says::Ends),
        (6, mark("bold", "true"), Says::Fine),
        (6, mark(&long, "1"), Says::Fine),
        (6, mark(&format!("{long}m"), "1"), Says::Void),
        (6, mark("color", &format!("\"{long}\"")), Says::Fine),
        (6, mark("color", &format!("\"{long}m\"")), Says::Void),
        (6, mark("bold", &"[".repeat(2000)), Says::Void),
        (6, mark("bold", "1e9"), Says::Void),
        (3, string("binary"), Says::Void),
        (8, vec![1, 116, 1, 9], Says::Void),
        (7, vec![1], Says::Void),
        (7, vec![2], Says::Foreign),
        (7, vec![7, 0], Says::Ends),
        (5, string("{}"), Says::Foreign),
        (8, vec![2, 126, 126], Says::Foreign),
        (8, [number(250_000_000), vec![126]].concat(), Says::Ends),
        (2, vec![1, 1, b'n'], Says::Ends),
        (9, [string("guid"), vec![118, 0]].concat(), Says::Ends),
        (13, vec![0], Says::Ends),
    ]
}

/// A block's info and tie, without its content.
fn ties(next: u64) -> Vec<(u8, Vec<u8>, Says)> {
    let left = |client, clock, says| (0x80, id(client, clock), says);
    let right = |client, clock, says| (0x40, id(client, clock), says);
    let between = |a: (u64, u64), b: (u64, u64), says| (0xc0, [id(a.0, a.1), id(b.0, b.1)].concat(), says);
    vec![
        (0, [vec![1], string("text")].concat(), Says::Fine),
        (0, [vec![1], string("more")].concat(), Says::Fine),
        (0, [vec![1], string("roles")].concat(), Says::Void),
        (0x20, [vec![1], string("text"), string("key")].concat(), Says::Void),
        (0, [vec![0], id(ADA, 0)].concat(), Says::Void),
        (0, vec![2, 0], Says::Ends),
        left(ADA, 3, Says::Fine),
        left(ME, 0, Says::Fine),
        left(ME, 4, Says::Void),
        left(ME, next, Says::Void),
        left(ADA, 8, Says::Waits),
        left(NOBODY, 0, Says::Waits),
        left(1 << 53, 0, Says::Ends),
        left(ADA, 1 << 32, Says::Ends),
        right(ADA, 3, Says::Fine),
        right(ME, 4, Says::Void),
        right(NOBODY, 1, Says::Waits),
        between((ADA, 1), (ADA, 2), Says::Fine),
        between((ADA, 5), (ADA, 0), Says::Fine),
        between((ADA, 1), (ADA, 6), Says::Void),
        between((ME, 4), (ADA, 1), Says::Void),
        between((ADA, 1), (NOBODY, 1), Says::Waits),
    ]
}

/// Deletions and what follows them.
fn endings(next: u64) -> Vec<(Vec<u8>, Says)> {
    let one =
        |client, clock, length| [vec![1], number(client), vec![1], number(clock), number(length)].concat();
    vec![
        (vec![0], Says::Fine),
        (one(ADA, 1, 2), Says::Fine),
        (one(ME, 0, 5), Says::Fine),
        (one(ME, next, 1), Says::Fine),
        (one(ME, 0, next + 100), Says::Void),
        (one(ADA, 6, 2), Says::Fine),
        (one(ADA, 7, 2), Says::Waits),
        (one(NOBODY, 0, 1), Says::Waits),
        (one(ADA, 1, 0), Says::Void),
        (one(ADA, 1, (1 << 32) - 1), Says::Void),
        ([vec![1], number(ADA), vec![2, 3, 1, 1, 1]].concat(), Says::Void),
        ([vec![1], number(ADA), vec![0]].concat(), Says::Void),
        (number(1 << 40), Says::Void),
        (vec![0, 0], Says::Void),
    ]
}

fn heads(next: u64) -> Vec<(u64, u64)> {
    let clocks = [next, 0, next - 1, next + 1, (1 << 31) - 1, 1 << 32];
    [ME, ADA, NOBODY, 1 << 53].iter().flat_map(|client| clocks.map(|clock| (*client, clock))).collect()
}

fn judged(document: &Document, update: &[u8]) -> Says {
    match parse(update, &document.expect(ME)) {
        Ok(_) => Says::Fine,
        Err(error) => match (error.fault, error.range) {
            (Fault::Early(_), Some(_)) => Says::Waits,
            (_, Some(_)) => Says::Void,
            (_, None) => Says::Ends,
        },
    }
}

/// Takes what may be taken, and shows that the document is whole.
fn takes(mut document: Document, update: &[u8]) {
    let parsed = parse(update, &document.expect(ME)).unwrap();
    document.apply(&parsed).unwrap();
    let length = document.text("text").unwrap().len();
    document.edit_text("text", &[TextEdit { at: 0, removed: 0, inserted: "good".into() }]).unwrap();
    assert_eq!(document.text("text").unwrap().len(), length + 4);
    let state = document.encode_state().unwrap();
    let again = Document::open("doc", ROOTS, Shape::Texts, &state, document.index().clone()).unwrap();
    assert_eq!(again.content_digest(), document.content_digest(), "{update:?}");
}

#[test]
fn every_combination_of_content_tie_head_and_ending_of_a_text_is_judged_as_the_protocol_says() {
    let fixed = document();
    let next = u64::from(fixed.next_clock(ME));
    let (mut tried, mut taken) = (0, 0);
    for (kind, body, content) in contents() {
        for (number_of_tie, (info, tie, tied)) in ties(next).into_iter().enumerate() {
            let endings = endings(next);
            let right = (0..endings.len()).map(|ending| (0, ending));
            let wrong = (1..heads(next).len()).map(|head| (head, (head + number_of_tie) % endings.len()));
            for (head, ending) in right.chain(wrong) {
                let (client, clock) = heads(next)[head];
                let (deletions, ended) = &endings[ending];
                let block = [vec![info | kind], tie.clone(), body.clone()].concat();
                let update = update_of(client, clock, &[block], deletions);
                let says = verdict(content, tied, head == 0, *ended);
                assert_eq!(
                    judged(&fixed, &update),
                    says,
                    "kind {kind} {body:?}, tie {info} {tie:?}, {deletions:?}"
                );
                tried += 1;
                if says == Says::Fine {
                    takes(document(), &update);
                    taken += 1;
                }
            }
        }
    }
    println!("{tried} updates of texts made by hand, {taken} taken");
    assert!(tried >= 20_000 && taken > 150);
}
