//! Made-up and damaged updates: what is accepted never breaks a document, and all agree on it.
//!
//! Updates are made from the grammar, with ties to blocks near those that exist, and then often
//! damaged. `UPDATE_FUZZ_CASES` sets how many are tried.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod writer;

use std::collections::BTreeMap;

use fourword_protocol::bytes::{Reader, Writer};
use fourword_protocol::update::Shape;
use fourword_protocol::update::document::{Document, DocumentError, Put, TextEdit};
use fourword_protocol::update::index::BlockIndex;
use fourword_protocol::update::parse::{Fault, parse};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use writer::{number, string};

const ROOTS: &[&str] = &["cards", "notes"];
const TEXTS: &[&str] = &["text", "more"];
const HONEST: u64 = 5;
const HOSTILE: [u64; 2] = [3, 9];
/// Accepted updates in one document before the next begins.
const CHAIN: usize = 24;

fn cases() -> usize {
    std::env::var("UPDATE_FUZZ_CASES").ok().map_or(50_000, |text| text.parse().unwrap())
}

fn roots(shape: Shape) -> &'static [&'static str] {
    if shape == Shape::Maps { ROOTS } else { TEXTS }
}

/// One document under attack, with all that it took in.
struct Chain {
    shape: Shape,
    document: Document,
    /// Accepted updates by client, in order.
    logs: BTreeMap<u64, Vec<Vec<u8>>>,
    accepted: usize,
}

impl Chain {
    fn new(shape: Shape) -> Chain {
        let mut document = Document::new("doc", roots(shape), shape);
        document.begin_log(HONEST).unwrap();
        let mut chain = Chain { shape, document, logs: BTreeMap::new(), accepted: 0 };
        for step in 0..3 {
            chain.honest_edit(step);
        }
        chain
    }

    /// Whatever happened before, an honest edit works and shows.
    fn honest_edit(&mut self, step: usize) {
        let edit = match self.shape {
            Shape::Maps => {
                let value = step.to_be_bytes().to_vec();
                let put = Put { root: ROOTS[step % 2], key: "k1".into(), value: value.clone() };
                let edit = self.document.edit(&[put]).unwrap();
                assert_eq!(self.document.get(ROOTS[step % 2], "k1").unwrap().as_ref(), value);
                edit
            }
            Shape::Texts => {
                let text = self.document.text("text").unwrap();
                let at = text.chars().take(step % 7).map(char::len_utf16).sum::<usize>() as u32;
                let edit = TextEdit { at, removed: 0, inserted: "né".into() };
                let edit = self.document.edit_text("text", &[edit]).unwrap();
                assert_eq!(self.document.text("text").unwrap().len(), text.len() + 3);
                edit
            }
        };
        self.logs.entry(HONEST).or_default().push(edit.update);
    }

    /// Judges one update and, if it is accepted, checks that the document is whole.
    fn attack(&mut self, client: u64, update: &[u8]) -> bool {
        let Ok(parsed) = parse(update, &self.document.expect(client)) else { return false };
        assert!(self.document.apply(&parsed).is_ok(), "{update:?}");
        self.logs.entry(client).or_default().push(update.to_vec());
        self.accepted += 1;
        if self.accepted.is_multiple_of(3) {
            self.honest_edit(self.accepted);
        }
        let (state, index) = (self.document.encode_state().unwrap(), self.document.index().clone());
        let again = Document::open("doc", roots(self.shape), self.shape, &state, index).unwrap();
        self.agrees(&again);
        true
    }

    /// Other documents with the same blocks show the same.
    ///
    /// Texts only as long as every author puts its blocks between neighbours that it saw, which
    /// no reader can check: a hostile member can make texts differ, but not break them.
    fn agrees(&self, other: &Document) {
        assert_eq!(other.clock_ends(), self.document.clock_ends());
        if self.shape == Shape::Maps {
            assert_eq!(other.content_digest(), self.document.content_digest());
        }
    }

    /// The same logs are taken in any causal order.
    fn replays(&self, rng: &mut ChaCha8Rng) {
        let mut other = Document::new("doc", roots(self.shape), self.shape);
        let mut left: Vec<_> =
            self.logs.iter().map(|(client, log)| (*client, log.iter().peekable())).collect();
        while !left.is_empty() {
            let at = rng.random_range(0..left.len());
            let (client, log) = &mut left[at];
            let Some(update) = log.peek() else {
                drop(left.swap_remove(at));
                continue;
            };
            match parse(update, &other.expect(*client)) {
                Ok(parsed) => {
                    other.apply(&parsed).unwrap();
                    log.next();
                }
                Err(error) => assert!(matches!(error.fault, Fault::Early(_)), "{error}"),
            }
        }
        self.agrees(&other);
    }
}

/// Makes updates up from the grammar.
struct Maker<'r> {
    rng: &'r mut ChaCha8Rng,
    shape: Shape,
    ends: BTreeMap<u64, u32>,
}

impl Maker<'_> {
    fn chance(&mut self, one_in: u32) -> bool {
        self.rng.random_range(0..one_in) == 0
    }

    fn update(&mut self, client: u64, clock: u32) -> Vec<u8> {
        let mut out = Vec::new();
        let blocks = self.rng.random_range(0..6u64);
        let mut end = clock;
        if blocks > 0 || self.shape == Shape::Maps {
            out.extend([1, blocks as u8]);
            out.extend(number(client));
            out.extend(number(u64::from(clock)));
        } else {
            out.push(0);
        }
        for _ in 0..blocks {
            self.ends.insert(client, end);
            end += self.block(&mut out);
        }
        self.ends.insert(client, end);
        self.deletions(&mut out);
        out
    }

    fn block(&mut self, out: &mut Vec<u8>) -> u32 {
        if self.chance(12) {
            let length = self.rng.random_range(1..4);
            out.extend([0, length]);
            return u32::from(length);
        }
        let kind = match (self.shape, self.rng.random_range(0..8)) {
            (Shape::Maps, 0..=4) => 8,
            (Shape::Maps, 5) => 3,
            (Shape::Maps, _) => 7,
            (Shape::Texts, 0..=4) => 4,
            (Shape::Texts, 5) => 1,
            (Shape::Texts, _) => 6,
        };
        self.tie(kind, out);
        match kind {
            8 => out.extend([1, 116, 8, 1, 2, 3, 4, 5, 6, 7, 8]),
            3 => out.extend([1, 9]),
            7 => out.push(1),
            6 => {
                out.extend(string("bold"));
                out.extend(string(if self.chance(2) { "true" } else { "null" }));
            }
            1 => {
                let length = self.rng.random_range(1..4);
                out.push(length);
                return u32::from(length);
            }
            _ => {
                let text = ["a", "bcd", "é😀", "漢"][self.rng.random_range(0..4)];
                out.extend(string(text));
                return text.encode_utf16().count() as u32;
            }
        }
        1
    }

    fn tie(&mut self, kind: u8, out: &mut Vec<u8>) {
        let key = ["k1", "k2", "k3"][self.rng.random_range(0..3)];
        match (self.shape, self.rng.random_range(0..6)) {
            (Shape::Maps, 0 | 1) => {
                out.extend([0x20 | kind, 1]);
                out.extend(string(ROOTS[self.rng.random_range(0..2)]));
                out.extend(string(key));
            }
            (Shape::Maps, 2) => {
                out.extend([0x20 | kind, 0]);
                self.id(out);
                out.extend(string(key));
            }
            (Shape::Maps, _) => {
                out.push(0xa0 | kind);
                self.id(out);
            }
            (Shape::Texts, 0) => {
                out.extend([kind, 1]);
                out.extend(string(TEXTS[self.rng.random_range(0..2)]));
            }
            (Shape::Texts, n) => {
                out.push(kind | if n != 1 { 0x80 } else { 0 } | if n != 2 { 0x40 } else { 0 });
                if n != 1 {
                    self.id(out);
                }
                if n != 2 {
                    self.id(out);
                }
            }
        }
    }

    /// A block that exists, or now and then the one after the last.
    fn id(&mut self, out: &mut Vec<u8>) {
        let known: Vec<_> = self.ends.iter().map(|(client, end)| (*client, *end)).collect();
        let (client, end) = known[self.rng.random_range(0..known.len())];
        let past = u32::from(self.chance(20));
        out.extend(number(client));
        out.extend(number(u64::from(self.rng.random_range(0..(end + past).max(1)))));
    }

    fn deletions(&mut self, out: &mut Vec<u8>) {
        if self.shape == Shape::Maps || self.chance(2) {
            out.push(0);
            return;
        }
        let known: Vec<_> = self.ends.iter().map(|(client, end)| (*client, *end)).collect();
        out.push(known.len() as u8);
        for (client, end) in known {
            let start = self.rng.random_range(0..end.max(1));
            let length = self.rng.random_range(1..=(end - start).clamp(1, 4));
            out.extend(number(client));
            out.push(1);
            out.extend(number(u64::from(start)));
            out.extend(number(u64::from(length)));
        }
    }
}

/// Flips, overwrites, cuts out, repeats or cuts off a few bytes.
fn damage(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    for _ in 0..rng.random_range(1..5) {
        if bytes.is_empty() {
            return;
        }
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..6) {
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => bytes[at] = [0, 1, 2, 0x7f, 0x80, 0xff][rng.random_range(0..6)],
            2 => drop(bytes.remove(at)),
            3 => {
                let end = (at + rng.random_range(1..9)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = rng.random_range(0..bytes.len());
                bytes.splice(to..to, piece);
            }
            4 => drop(
                bytes.splice(at..at, [0xff, 0xff, 0xff, 0xff, 0x0f].into_iter().take(rng.random_range(1..6))),
            ),
            _ => bytes.truncate(at),
        }
    }
}

fn survives(shape: Shape, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut chain = Chain::new(shape);
    let (mut accepted, mut damaged) = (0, 0);
    for _ in 0..cases() / 2 {
        let client = HOSTILE[rng.random_range(0..2)];
        let clock = chain.document.next_clock(client);
        let ends = chain.document.clock_ends().into_iter().collect();
        let mut update = Maker { rng: &mut rng, shape, ends }.update(client, clock);
        let hurt = rng.random_range(0..2) == 0;
        if hurt {
            damage(&mut rng, &mut update);
        }
        if chain.attack(client, &update) {
            accepted += 1;
            damaged += usize::from(hurt);
        }
        if chain.accepted >= CHAIN {
            chain.replays(&mut rng);
            chain = Chain::new(shape);
        }
    }
    // A parser that refuses everything, or damage that never gets through, would prove nothing.
    assert!(accepted > cases() / 20 && damaged > cases() / 1000, "{accepted} accepted, {damaged} damaged");
}

#[test]
fn no_made_up_or_damaged_update_of_maps_breaks_a_document() {
    survives(Shape::Maps, 1);
}

#[test]
fn no_made_up_or_damaged_update_of_texts_breaks_a_document() {
    survives(Shape::Texts, 2);
}

#[test]
fn no_damaged_state_or_index_panics_or_opens_to_a_broken_document() {
    for (shape, seed) in [(Shape::Maps, 3), (Shape::Texts, 4)] {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut chain = Chain::new(shape);
        while chain.accepted < CHAIN {
            let client = HOSTILE[rng.random_range(0..2)];
            let clock = chain.document.next_clock(client);
            let ends = chain.document.clock_ends().into_iter().collect();
            let update = Maker { rng: &mut rng, shape, ends }.update(client, clock);
            chain.attack(client, &update);
        }
        let state = chain.document.encode_state().unwrap();
        let mut writer = Writer::new();
        chain.document.index().encode(&mut writer);
        let index = writer.into_bytes();
        let mut opened = 0;
        for case in 0..cases() / 10 {
            let (mut state, mut index) = (state.clone(), index.clone());
            damage(&mut rng, if case % 4 == 0 { &mut index } else { &mut state });
            let Ok(index) = BlockIndex::decode(&mut Reader::new(&index), roots(shape)) else { continue };
            match Document::open("doc", roots(shape), shape, &state, index) {
                Ok(mut document) => {
                    opened += 1;
                    document.begin_log(HONEST).unwrap();
                    let (state, index) = (document.encode_state().unwrap(), document.index().clone());
                    let again = Document::open("doc", roots(shape), shape, &state, index).unwrap();
                    assert_eq!(again.clock_ends(), document.clock_ends());
                    if shape == Shape::Maps {
                        assert_eq!(again.content_digest(), document.content_digest());
                    }
                }
                Err(error) => assert_ne!(error, DocumentError::Poisoned),
            }
        }
        assert!(opened > 0);
    }
}
