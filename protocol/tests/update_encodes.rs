//! A saved state depends on what was written and what was pruned, not on when either came.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use fourword_protocol::bytes::{Reader, Writer};
use fourword_protocol::ids::to_base32;
use fourword_protocol::schema::chat::ROOTS;
use fourword_protocol::update::Shape;
use fourword_protocol::update::document::{Document, Put};
use fourword_protocol::update::index::BlockIndex;
use fourword_protocol::update::parse::parse;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CONTENT: [&str; 4] = ["messages", "edits", "reactions", "pins"];

fn empty(client: u64) -> Document {
    let mut document = Document::new("chat", ROOTS, Shape::Maps);
    document.begin_log(client).unwrap();
    document
}

fn take(document: &mut Document, client: u64, update: &[u8]) {
    let parsed = parse(update, &document.expect(client)).unwrap();
    document.apply(&parsed).unwrap();
}

/// What is saved of a document: its state and its index.
fn saved(document: &mut Document) -> (Vec<u8>, Vec<u8>) {
    let mut index = Writer::new();
    document.index().encode(&mut index);
    (document.encode_state().unwrap(), index.into_bytes())
}

/// The document as it is after it was saved and opened again.
fn opened((state, index): &(Vec<u8>, Vec<u8>)) -> Document {
    let mut reader = Reader::new(index);
    let index = BlockIndex::decode(&mut reader, ROOTS).unwrap();
    Document::open("chat", ROOTS, Shape::Maps, state, index).unwrap()
}

/// Three people's logs over a few messages: what they write, and who knew of what then.
fn logs(rng: &mut ChaCha8Rng) -> Vec<(u64, Vec<u8>)> {
    let mut documents = [11, 12, 13].map(empty);
    let mut all: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut known = [0; 3];
    for _ in 0..rng.random_range(10..60) {
        let at = rng.random_range(0..3usize);
        if rng.random_range(0..3) == 0 {
            for (client, update) in &all[known[at]..] {
                if *client != documents[at].client() {
                    take(&mut documents[at], *client, update);
                }
            }
            known[at] = all.len();
        }
        let puts: Vec<Put> = (0..rng.random_range(1..4))
            .map(|_| {
                let root = CONTENT[rng.random_range(0..4usize)];
                let mut value = vec![0; rng.random_range(1..20)];
                rng.fill_bytes(&mut value);
                Put { root, key: format!("m{}", rng.random_range(0..6)), value }
            })
            .collect();
        let update = documents[at].edit(&puts).unwrap().update;
        all.push((documents[at].client(), update));
    }
    all
}

#[test]
fn whenever_replicas_prune_and_in_which_order_they_take_logs_they_save_the_same_bytes() {
    let (mut differed_before, mut compared) = (0, 0);
    for seed in 0..300 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let all = logs(&mut rng);
        let forgotten: Vec<String> =
            (0..6).filter(|_| rng.random_range(0..2) == 0).map(|n| format!("m{n}")).collect();
        let mut states = Vec::new();
        for replica in 0..4 {
            let mut document = Document::new("chat", ROOTS, Shape::Maps);
            let prune_at = match replica {
                0 => 0,
                1 => all.len(),
                _ => rng.random_range(0..=all.len()),
            };
            let prune = |document: &mut Document| {
                for key in &forgotten {
                    for root in CONTENT {
                        document.prune(root, key).unwrap();
                    }
                }
            };
            let mut next: BTreeMap<u64, Vec<&[u8]>> = BTreeMap::new();
            for (client, update) in all.iter().rev() {
                next.entry(*client).or_default().push(update);
            }
            let mut taken = 0;
            while taken < all.len() {
                if taken == prune_at {
                    prune(&mut document);
                }
                if rng.random_range(0..8) == 0 {
                    document = opened(&saved(&mut document));
                }
                let client = [11, 12, 13][rng.random_range(0..3usize)];
                let Some(update) = next.get(&client).and_then(|updates| updates.last()) else { continue };
                // What builds on another's write waits for that, as it does at a replica.
                if parse(update, &document.expect(client)).is_ok() {
                    take(&mut document, client, update);
                    next.get_mut(&client).unwrap().pop();
                    taken += 1;
                }
            }
            if prune_at == all.len() {
                prune(&mut document);
            }
            let before = saved(&mut document);
            let after = saved(&mut opened(&before));
            states.push((before, after, document.content_digest()));
        }
        for (before, after, content) in &states {
            assert_eq!(*content, states[0].2, "seed {seed}: content");
            assert_eq!(after.1, states[0].1.1, "seed {seed}: the index");
            assert_eq!(after.0, states[0].1.0, "seed {seed}: the state once it was loaded afresh");
            differed_before += usize::from(*before != states[0].0);
            compared += 1;
        }
    }
    println!("{differed_before} of {compared} states differed before they were loaded afresh");
}

const WORDS: [&str; 16] = [
    "we",
    "meet",
    "tomorrow",
    "at",
    "the",
    "river",
    "bring",
    "bread",
    "and",
    "somebody",
    "asked",
    "about",
    "that",
    "boat",
    "again",
    "yesterday",
];

/// The key and the record of a message of so many words, as a chat has them.
fn message(rng: &mut ChaCha8Rng, owner: &str) -> Put {
    let words: Vec<&str> =
        (0..rng.random_range(12..28)).map(|_| WORDS[rng.random_range(0..16usize)]).collect();
    let text = words.join(" ");
    let mut value = vec![1, 0];
    value.extend(&(rng.next_u64() | 1 << 47).to_be_bytes()[2..]);
    value.push(u8::try_from(text.len()).unwrap());
    value.extend(text.as_bytes());
    Put { root: "messages", key: format!("{owner}|{}", to_base32(&rng.next_u64().to_be_bytes())), value }
}

/// The flag by which somebody deletes a message.
fn deletion(rng: &mut ChaCha8Rng, actor: &str, message: &Put) -> Put {
    let mut value = vec![1];
    value.extend(&rng.next_u64().to_be_bytes()[2..]);
    Put { root: "deleted", key: format!("{actor}|{}", message.key), value }
}

fn packed(state: &[u8]) -> usize {
    zstd::bulk::compress(state, 3).unwrap().len()
}

#[test]
fn a_chat_that_forgot_half_of_itself_is_little_larger_than_one_that_never_had_it() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let owner = to_base32(&[0x5a; 16]);
    let messages: Vec<Put> = (0..2_000).map(|_| message(&mut rng, &owner)).collect();
    let (mut whole, mut never) = (empty(11), empty(11));
    for (number, message) in messages.iter().enumerate() {
        whole.edit(std::slice::from_ref(message)).unwrap();
        if number % 2 == 1 {
            never.edit(std::slice::from_ref(message)).unwrap();
        }
    }
    let kept = saved(&mut whole);
    for message in messages.iter().step_by(2) {
        let flag = deletion(&mut rng, &owner, message);
        whole.edit(std::slice::from_ref(&flag)).unwrap();
        whole.prune("messages", &message.key).unwrap();
        whole.bare(flag.root, &flag.key).unwrap();
    }
    let (forgot, never) = (saved(&mut whole), saved(&mut never));
    let state = |(state, _): &(Vec<u8>, Vec<u8>)| state.len();
    // Packed with the index, as content travels and rests.
    let all = |(state, index): &(Vec<u8>, Vec<u8>)| packed(&[&index[..], state].concat());
    for (what, size) in [("the CRDT", &state as &dyn Fn(&_) -> usize), ("packed with its index", &all)] {
        println!("{what}: whole {}, forgot {}, never had it {}", size(&kept), size(&forgot), size(&never));
        assert!(size(&forgot) <= size(&never) * 115 / 100 + 1_000 * 40, "{what}");
    }
    assert!(state(&forgot) < state(&never) + 1_000 * 10, "nothing is left in it but void clocks");
}
