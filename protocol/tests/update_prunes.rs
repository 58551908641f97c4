//! What is pruned is gone for good, moves no clock, and changes no verdict.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use fourword_protocol::bytes::{Reader, Writer};
use fourword_protocol::update::Shape;
use fourword_protocol::update::document::{Counted, Document, DocumentError, Put, Value};
use fourword_protocol::update::index::BlockIndex;
use fourword_protocol::update::parse::{Fault, parse};
use fourword_protocol::update::write::strip_deletes;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use yrs::updates::decoder::Decode;
use yrs::{Any, Doc, Map, MapPrelim, MapRef, Out, Transact, Update};

const ROOTS: &[&str] = &["cards", "notes"];
const KEYS: [&str; 4] = ["a", "b", "c", "nested"];

fn put(key: &str, value: &[u8]) -> Put {
    Put { root: "notes", key: key.into(), value: value.into() }
}

fn take(document: &mut Document, client: u64, update: &[u8]) {
    let parsed = parse(update, &document.expect(client)).unwrap();
    document.apply(&parsed).unwrap();
}

/// The document as it is after it was saved and opened again.
fn reopened(document: &mut Document) -> Document {
    let state = document.encode_state().unwrap();
    let mut writer = Writer::new();
    document.index().encode(&mut writer);
    let bytes = writer.into_bytes();
    let mut reader = Reader::new(&bytes);
    let index = BlockIndex::decode(&mut reader, ROOTS).unwrap();
    reader.finish().unwrap();
    Document::open("doc", ROOTS, Shape::Maps, &state, index).unwrap()
}

#[test]
fn pruned_content_is_gone_also_after_it_was_saved_and_takes_no_room() {
    let mut document = Document::new("doc", ROOTS, Shape::Maps);
    document.begin_log(2).unwrap();
    document.edit(&[put("k", &[7; 5000]), put("l", b"stays")]).unwrap();
    let clocks = document.clock_ends();
    let change = document.prune("notes", "k").unwrap().unwrap();
    assert!(change.before.is_some() && change.after.is_none());
    assert_eq!(document.prune("notes", "k"), Ok(None), "a second time changes nothing");
    assert_eq!(document.clock_ends(), clocks);
    assert!(document.encode_state().unwrap().len() < 100);
    let mut again = reopened(&mut document);
    assert_eq!((again.get("notes", "k"), again.clock_ends()), (None, clocks));
    assert_eq!(again.content_digest(), document.content_digest());
    again.begin_log(3).unwrap();
    again.edit(&[put("k", b"late"), put("l", b"late")]).unwrap();
    assert_eq!((again.get("notes", "k"), again.get("notes", "l").unwrap().as_ref()), (None, &b"late"[..]));
}

#[test]
fn of_a_bared_key_it_stays_that_it_is_there_whatever_comes_for_it_and_wherever_it_is_opened() {
    let mut documents = [2, 3].map(|client| {
        let mut document = Document::new("doc", ROOTS, Shape::Maps);
        document.begin_log(client).unwrap();
        document
    });
    let first = documents[0].edit(&[put("k", &[7; 5000]), put("l", b"stays")]).unwrap().update;
    take(&mut documents[1], 2, &first);
    let counted = |_: &str, key: &str| if key == "k" { Counted::Key } else { Counted::Whole };
    let digests = |documents: &[Document]| [0, 1].map(|at: usize| documents[at].content_digest_of(counted));
    let before = digests(&documents);
    assert_eq!(documents[0].bare("notes", "never written"), Ok(None));
    let change = documents[0].bare("notes", "k").unwrap().unwrap();
    assert_eq!(change.after, Some(Value::Bytes([].into())));
    assert_eq!(documents[0].bare("notes", "k"), Ok(None), "a second time changes nothing");
    assert_eq!(digests(&documents), before, "only the key counts");
    assert!(documents[0].encode_state().unwrap().len() < 100);
    documents[0] = reopened(&mut documents[0]);
    let late = documents[1].edit(&[put("k", b"late"), put("l", b"late")]).unwrap().update;
    take(&mut documents[0], 3, &late);
    let shown = |document: &Document| ["k", "l"].map(|key| document.get("notes", key).unwrap().to_vec());
    assert_eq!(shown(&documents[0]), [Vec::new(), b"late".to_vec()]);
    let again = digests(&documents);
    assert_eq!((again[0], documents[0].clock_ends()), (again[1], documents[1].clock_ends()));
    let [one, other] = &mut documents;
    for joined in [one.joined(other).unwrap(), other.joined(one).unwrap()] {
        assert_eq!(shown(&joined), [Vec::new(), b"late".to_vec()]);
        assert_eq!(joined.content_digest_of(counted), again[0]);
    }
}

#[test]
fn only_keys_of_the_documents_own_maps_can_be_pruned() {
    let mut maps = Document::new("doc", ROOTS, Shape::Maps);
    assert_eq!(maps.prune("other", "k"), Err(DocumentError::Unwritable));
    assert_eq!(maps.prune("notes", ""), Err(DocumentError::Unwritable));
    let long = "k".repeat(fourword_protocol::limits::MAP_KEY_BYTES_MAX);
    assert_eq!(maps.prune("notes", &long), Ok(None));
    assert_eq!(maps.prune("notes", &format!("{long}k")), Err(DocumentError::Unwritable));
    let mut texts = Document::new("doc", &["text"], Shape::Texts);
    assert_eq!(texts.prune("text", "k"), Err(DocumentError::Unwritable));
}

#[test]
fn what_follows_a_pruned_block_is_placed_and_judged_as_before() {
    let mut docs = [2, 3].map(|client| {
        let mut document = Document::new("doc", ROOTS, Shape::Maps);
        document.begin_log(client).unwrap();
        document
    });
    let first = docs[0].edit(&[put("k", b"value")]).unwrap().update;
    take(&mut docs[1], 2, &first);
    docs[0].prune("notes", "k").unwrap();
    docs[0] = reopened(&mut docs[0]);
    let late = docs[1].edit(&[put("k", b"late")]).unwrap().update;
    let parsed = parse(&late, &docs[0].expect(3)).unwrap();
    assert_eq!((parsed.writes[0].place.root, &*parsed.writes[0].place.key), ("notes", "k"));
    // Void clocks stay void beside the pruned ones: what follows them is refused on both sides.
    for document in &mut docs {
        document.reject(7, 0..1).unwrap();
        let follows_void = [1, 1, 7, 1, 0xa8, 7, 0, 1, 116, 1, 0, 0];
        let error = parse(&follows_void, &document.expect(7)).unwrap_err();
        assert_eq!((error.fault, error.range), (Fault::Void, Some(1..2)));
    }
    take(&mut docs[0], 3, &late);
    assert_eq!(docs[0].get("notes", "k"), None, "what comes late is dropped at once");
    docs[1].prune("notes", "k").unwrap();
    assert_eq!(docs[0].content_digest(), docs[1].content_digest());
}

/// Two people's logs over a few keys, one of which holds nested maps.
fn logs(rng: &mut ChaCha8Rng) -> Vec<(u64, Vec<u8>)> {
    let docs = [5u64, 6].map(Doc::with_client_id);
    let notes: [MapRef; 2] = [0, 1].map(|at: usize| docs[at].get_or_insert_map("notes"));
    let mut all: Vec<(u64, Vec<u8>)> = Vec::new();
    for _ in 0..rng.random_range(5..25) {
        let at = rng.random_range(0..2usize);
        if rng.random_range(0..3) == 0 {
            for (_, update) in &all {
                docs[at].transact_mut().apply_update(Update::decode_v1(update).unwrap()).unwrap();
            }
        }
        let mut txn = docs[at].transact_mut();
        let key = KEYS[rng.random_range(0..KEYS.len())];
        let value = Any::Buffer(rng.random::<u32>().to_be_bytes()[..].into());
        match (key, notes[at].get(&txn, key)) {
            ("nested", Some(Out::YMap(map))) => {
                map.insert(&mut txn, ["x", "y"][rng.random_range(0..2)], value);
            }
            ("nested", _) => drop(notes[at].insert(&mut txn, key, MapPrelim::from([("x", value)]))),
            _ => drop(notes[at].insert(&mut txn, key, value)),
        }
        let update = strip_deletes(&txn.encode_update_v1()).unwrap();
        drop(txn);
        all.push((docs[at].client_id().get(), update));
    }
    all
}

#[test]
fn whenever_replicas_prune_they_give_the_same_verdicts_and_end_with_equal_content() {
    let mut late = 0;
    for seed in 0..400 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let all = logs(&mut rng);
        let forgotten: Vec<&str> = KEYS.into_iter().filter(|_| rng.random_range(0..2) == 0).collect();
        let mut digests = Vec::new();
        for replica in 0..4 {
            let mut document = Document::new("doc", ROOTS, Shape::Maps);
            // The last one prunes at the end, the first at the beginning.
            let prune_at = [0, rng.random_range(0..=all.len()), rng.random_range(0..=all.len()), all.len()];
            for (number, (client, update)) in all.iter().enumerate() {
                if number == prune_at[replica] {
                    forgotten.iter().for_each(|key| drop(document.prune("notes", key).unwrap()));
                }
                if rng.random_range(0..6) == 0 {
                    document = reopened(&mut document);
                }
                take(&mut document, *client, update);
            }
            if prune_at[replica] == all.len() {
                forgotten.iter().for_each(|key| drop(document.prune("notes", key).unwrap()));
            } else {
                late += forgotten.len();
            }
            for key in &forgotten {
                assert!(document.get("notes", key).is_none() && document.fields("notes", key).is_none());
            }
            let again = reopened(&mut document);
            assert_eq!(again.content_digest(), document.content_digest(), "seed {seed}");
            digests.push((document.content_digest(), document.clock_ends()));
        }
        assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "seed {seed}: {digests:?}");
    }
    assert!(late > 500, "pruning before the writes came was tried {late} times");
}

#[test]
fn what_one_of_two_copies_pruned_is_gone_where_they_are_joined_and_the_rest_is_there() {
    let mut one = Document::new("doc", ROOTS, Shape::Maps);
    let mut other = Document::new("doc", ROOTS, Shape::Maps);
    one.begin_log(2).unwrap();
    let first = one.edit(&[put("k", b"goes"), put("l", b"stays"), put("n", b"goes")]).unwrap();
    take(&mut other, 2, &first.update);
    other.begin_log(3).unwrap();
    other.edit(&[put("m", b"more"), put("k", b"goes too")]).unwrap();
    one.edit(&[put("l", b"later")]).unwrap();
    for key in ["k", "n"] {
        one.prune("notes", key).unwrap();
    }
    for mut joined in [one.joined(&mut other).unwrap(), other.joined(&mut one).unwrap()] {
        let shown = |key: &str| joined.get("notes", key).map(|value| value.to_vec());
        assert_eq!((shown("l"), shown("m")), (Some(b"later".into()), Some(b"more".into())));
        assert_eq!((shown("k"), shown("n")), (None, None));
        assert_eq!(joined.clock_ends(), [(2, 4), (3, 2)]);
        joined.begin_log(4).unwrap();
        joined.edit(&[put("k", b"late")]).unwrap();
        assert_eq!(joined.get("notes", "k"), None, "it stays pruned");
    }
    let mut apart = Document::new("doc", ROOTS, Shape::Maps);
    apart.begin_log(2).unwrap();
    apart.edit(&[put("other", b"block")]).unwrap();
    assert_eq!(apart.joined(&mut one).err(), Some(DocumentError::Stale), "one log, other blocks");
}
