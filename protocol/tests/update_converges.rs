//! Documents that take in the same edits in different causal orders show the same.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use fourword_protocol::update::document::{Document, Put, TextEdit};
use fourword_protocol::update::parse::{Fault, parse};
use fourword_protocol::update::write::merge;
use fourword_protocol::update::{BlockId, Shape};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const ROOTS: &[&str] = &["cards", "notes"];
const TEXTS: &[&str] = &["text"];
const DOCUMENTS: usize = 3;

/// Bytes `removed` of a text give way to others.
fn text_edit(text: &str, removed: std::ops::Range<usize>, inserted: &str) -> TextEdit {
    let units = |part: &str| part.encode_utf16().count() as u32;
    TextEdit { at: units(&text[..removed.start]), removed: units(&text[removed]), inserted: inserted.into() }
}

/// Documents that write at random and pass on envelopes late and out of order.
struct World {
    rng: ChaCha8Rng,
    documents: Vec<Document>,
    /// For each log its envelopes in order.
    logs: Vec<Vec<Vec<u8>>>,
    /// For each document how much it has of each log.
    held: Vec<Vec<usize>>,
    waited: usize,
}

impl World {
    fn new(seed: u64, shape: Shape) -> World {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let roots = if shape == Shape::Maps { ROOTS } else { TEXTS };
        let documents = (0..DOCUMENTS).map(|_| {
            let mut document = Document::new("doc", roots, shape);
            document.begin_log(rng.random_range(1..1 << 53)).unwrap();
            document
        });
        let documents = documents.collect();
        let (logs, held) = (vec![Vec::new(); DOCUMENTS], vec![vec![0; DOCUMENTS]; DOCUMENTS]);
        World { rng, documents, logs, held, waited: 0 }
    }

    fn write_map(&mut self, at: usize) {
        let edits = self.rng.random_range(1..4);
        let updates: Vec<_> = (0..edits)
            .map(|_| {
                let puts: Vec<_> = (0..self.rng.random_range(1..4))
                    .map(|_| Put {
                        root: ROOTS[self.rng.random_range(0..2)],
                        key: format!("k{}", self.rng.random_range(0..6)),
                        value: self.rng.random::<u64>().to_be_bytes().to_vec(),
                    })
                    .collect();
                self.documents[at].edit(&puts).unwrap().update
            })
            .collect();
        self.pack(at, updates);
    }

    fn write_text(&mut self, at: usize) {
        let mut updates = Vec::new();
        for _ in 0..self.rng.random_range(1..4) {
            let mut model = self.documents[at].text("text").unwrap();
            let mut bound = || {
                let bounds: Vec<_> = model.char_indices().map(|(at, _)| at).chain([model.len()]).collect();
                bounds[self.rng.random_range(0..bounds.len())]
            };
            let (a, b) = (bound(), bound());
            let removed = a.min(b)..a.max(b).min(a.min(b) + 4);
            let removed =
                if model.is_char_boundary(removed.end) { removed } else { removed.start..removed.start };
            let inserted = ["x", "é", "😀", "wörd ", "漢字"][self.rng.random_range(0..5)];
            let edit = text_edit(&model, removed.clone(), inserted);
            model.replace_range(removed, inserted);
            updates.push(self.documents[at].edit_text("text", &[edit]).unwrap().update);
            assert_eq!(
                self.documents[at].text("text").unwrap(),
                model,
                "an own edit does what a string does"
            );
        }
        self.pack(at, updates);
    }

    fn pack(&mut self, at: usize, updates: Vec<Vec<u8>>) {
        let (taken, joined) = merge(&updates).unwrap();
        assert_eq!(taken, updates.len());
        self.logs[at].push(joined);
        self.held[at][at] += 1;
    }

    /// Gives one document the next envelope of one log, which may have to wait for others.
    fn deliver(&mut self, to: usize, from: usize) {
        let Some(envelope) = self.logs[from].get(self.held[to][from]).cloned() else { return };
        let client = self.documents[from].client();
        match parse(&envelope, &self.documents[to].expect(client)) {
            Ok(parsed) => {
                self.documents[to].apply(&parsed).unwrap();
                self.held[to][from] += 1;
            }
            Err(error) => {
                let early = |BlockId { client, clock }| clock >= self.documents[to].next_clock(client);
                assert!(matches!(error.fault, Fault::Early(id) if early(id)), "{error}");
                self.waited += 1;
            }
        }
    }

    fn settle(&mut self) {
        while self.held.iter().any(|held| held.iter().zip(&self.logs).any(|(held, log)| *held < log.len())) {
            let (to, from) = (self.rng.random_range(0..DOCUMENTS), self.rng.random_range(0..DOCUMENTS));
            self.deliver(to, from);
        }
    }
}

fn converges(shape: Shape) -> usize {
    let mut waited = 0;
    for seed in 0..30 {
        let mut world = World::new(seed, shape);
        for _ in 0..60 {
            let at = world.rng.random_range(0..DOCUMENTS);
            match (world.rng.random_range(0..3), shape) {
                (0, Shape::Maps) => world.write_map(at),
                (0, Shape::Texts) => world.write_text(at),
                _ => {
                    let from = world.rng.random_range(0..DOCUMENTS);
                    world.deliver(at, from);
                }
            }
        }
        world.settle();
        let digests: Vec<_> = world.documents.iter().map(Document::content_digest).collect();
        assert!(digests.iter().all(|digest| *digest == digests[0]), "seed {seed}");
        let ends: Vec<_> = world.documents.iter().map(Document::clock_ends).collect();
        assert!(ends.iter().all(|end| *end == ends[0]), "seed {seed}");
        reopens(&mut world.documents, shape);
        waited += world.waited;
    }
    waited
}

/// A whole state opens to the same content, and only with the index that belongs to it.
fn reopens(documents: &mut [Document], shape: Shape) {
    let roots = if shape == Shape::Maps { ROOTS } else { TEXTS };
    for document in documents {
        let state = document.encode_state().unwrap();
        let mut again = Document::open("doc", roots, shape, &state, document.index().clone()).unwrap();
        assert_eq!(again.content_digest(), document.content_digest());
        again.begin_log(12).unwrap();
        assert_eq!(again.content_digest(), document.content_digest());
        assert_eq!(again.iter("cards").collect::<BTreeMap<_, _>>(), document.iter("cards").collect());
        assert!(Document::open("doc", roots, shape, &state, Default::default()).is_err());
    }
}

#[test]
fn random_puts_delivered_in_any_causal_order_end_in_equal_maps() {
    assert!(converges(Shape::Maps) > 0, "some envelopes came before what they follow");
}

#[test]
fn random_text_edits_delivered_in_any_causal_order_end_in_equal_texts() {
    assert!(converges(Shape::Texts) > 0, "some envelopes came before what they follow");
}
