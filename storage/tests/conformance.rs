//! One suite for every store: what the machine may rely on.

#![cfg(test)]

mod fixture;

use fixture::*;
use fourword_protocol::ids::{DocumentKey, EntityId, Incarnation, LogHead, LogId};
use fourword_protocol::limits::{
    BATCH_RECORDS_MAX, ENVELOPE_BYTES_MAX, FRAME_LOGS_MAX, LOCAL_KEY_BYTES_MAX, LOCAL_VALUE_BYTES_MAX,
    SNAPSHOT_PART_BYTES_MAX, STATEMENT_BYTES_MAX,
};
use fourword_protocol::record::{Query, Snapshot, StoreFailure};
use fourword_storage::{MemoryStore, Store};

macro_rules! on_every_store {
    ($($behaviour:ident),* $(,)?) => {
        mod in_memory {
            use super::*;
            $(#[test] fn $behaviour() { super::$behaviour(&mut MemoryStore::new()); })*
        }
        mod on_disk {
            use super::*;
            $(#[test] fn $behaviour() {
                let home = tempfile::tempdir().unwrap();
                super::$behaviour(&mut open_store(home.path()));
            })*
        }
        mod on_disk_in_small_files {
            use super::*;
            $(#[test] fn $behaviour() {
                let home = tempfile::tempdir().unwrap();
                super::$behaviour(&mut open_small(home.path()));
            })*
        }
    };
}

on_every_store!(
    an_empty_store_answers_with_nothing,
    statements_come_back_in_the_order_written_and_once,
    the_last_value_written_holds,
    a_forgotten_value_is_gone_and_may_come_again,
    values_come_sorted_by_key,
    a_log_is_read_in_order_from_where_it_is_asked,
    a_page_gives_at_least_one_and_says_where_to_go_on,
    a_document_gives_all_its_logs_in_the_order_written,
    an_envelope_written_twice_is_kept_once,
    both_branches_of_a_fork_are_kept,
    a_head_is_the_end_of_the_unbroken_run,
    logs_of_one_device_are_told_apart,
    a_batch_touches_several_entities_at_once,
    what_no_query_could_give_back_is_refused_whole,
    the_largest_records_are_kept,
    a_snapshot_stands_for_the_beginnings_of_logs,
    a_later_snapshot_takes_the_place_of_the_one_before,
    parts_without_their_snapshot_change_nothing,
    the_past_lies_behind_the_parts_of_a_snapshot_and_goes_with_it,
    what_a_snapshot_covers_is_not_kept_again,
    a_head_goes_on_behind_what_a_snapshot_covers,
    a_forgotten_document_is_as_if_nothing_had_been_written_of_it,
    what_is_written_of_a_forgotten_document_counts_from_its_beginning,
);

fn an_empty_store_answers_with_nothing(store: &mut dyn Store) {
    assert_eq!(
        opening(store),
        Opening { locals: vec![], statements: vec![], heads: vec![], snapshots: vec![] }
    );
    assert_eq!(
        page(store, &Query::Log { log: log(1, 1), after: 0, bytes_max: 10, except: Vec::new() }),
        (vec![], None)
    );
    let document = DocumentKey([1; 32]);
    assert_eq!(page(store, &Query::Document { document, after: 0, bytes_max: 10 }), (vec![], None));
    store.write(&[]).unwrap();
    put(store, []);
    put(store, [forgotten("never")]);
    assert_eq!(
        opening(store),
        Opening { locals: vec![], statements: vec![], heads: vec![], snapshots: vec![] }
    );
}

fn statements_come_back_in_the_order_written_and_once(store: &mut dyn Store) {
    put(store, [statement(2, b"zwei"), statement(1, b"one")]);
    store.write(&[batch(2, [statement(2, b"two")]), batch(3, [statement(1, b"one")])]).unwrap();
    put(store, [statement(2, b"zwei"), statement(3, b"three"), statement(3, b"three")]);
    let held: Vec<_> = opening(store).statements.into_iter().map(|(e, _, bytes)| (e.0[0], bytes)).collect();
    let expected = [(2, &b"zwei"[..]), (1, b"one"), (2, b"two"), (3, b"three")];
    assert_eq!(held, expected.map(|(entity, bytes)| (entity, bytes.to_vec())));
}

fn the_last_value_written_holds(store: &mut dyn Store) {
    put(store, [local("a", b"1"), local("b", b"2"), local("a", b"3")]);
    assert_eq!(value(store, "a"), Some(b"3".to_vec()));
    store.write(&[batch(2, [local("b", b"4")]), batch(3, [local("b", b"")])]).unwrap();
    assert_eq!(value(store, "b"), Some(vec![]));
}

fn a_forgotten_value_is_gone_and_may_come_again(store: &mut dyn Store) {
    put(store, [local("a", b"1"), forgotten("a")]);
    assert_eq!(value(store, "a"), None);
    put(store, [forgotten("a")]);
    put(store, [local("a", b"2")]);
    assert_eq!(value(store, "a"), Some(b"2".to_vec()));
    put(store, [forgotten("a")]);
    assert_eq!(opening(store).locals, []);
}

fn values_come_sorted_by_key(store: &mut dyn Store) {
    for kind in ["m", "z", "a"] {
        put(store, [local(kind, b"v")]);
    }
    let kinds: Vec<String> = opening(store).locals.into_iter().map(|(key, _)| key.kind).collect();
    assert_eq!(kinds, ["a", "m", "z"]);
}

fn a_log_is_read_in_order_from_where_it_is_asked(store: &mut dyn Store) {
    for sequence in [1, 2, 4, 3] {
        put(store, [envelope(log(1, 1), sequence, &[sequence as u8])]);
    }
    put(store, [envelope(log(1, 2), 1, b"other")]);
    assert_eq!(whole_log(store, log(1, 1), 1000), [[1], [2], [3], [4]]);
    let after_two = Query::Log { log: log(1, 1), after: 2, bytes_max: 1000, except: Vec::new() };
    assert_eq!(page(store, &after_two), (vec![vec![3], vec![4]], None));
    let after_all = Query::Log { log: log(1, 1), after: u64::MAX, bytes_max: 1000, except: Vec::new() };
    assert_eq!(page(store, &after_all), (vec![], None));
}

fn a_page_gives_at_least_one_and_says_where_to_go_on(store: &mut dyn Store) {
    let all: Vec<Vec<u8>> = (1..=5).map(|n| vec![n; 10]).collect();
    for (sequence, bytes) in (1..).zip(&all) {
        put(store, [envelope(log(1, 1), sequence, bytes)]);
    }
    for (bytes_max, expected) in [(0, 1), (9, 1), (10, 1), (19, 1), (20, 2), (49, 4), (50, 5)] {
        let (envelopes, next) =
            page(store, &Query::Log { log: log(1, 1), after: 0, bytes_max, except: Vec::new() });
        assert_eq!(envelopes, all[..expected], "{bytes_max} bytes");
        assert_eq!(next, (expected < 5).then_some(expected as u64), "{bytes_max} bytes");
        let document = DocumentKey([1; 32]);
        let (envelopes, next) = page(store, &Query::Document { document, after: 0, bytes_max });
        assert_eq!((envelopes.len(), next.is_some()), (expected, expected < 5), "{bytes_max} bytes");
        assert_eq!(whole_log(store, log(1, 1), bytes_max), all);
        assert_eq!(whole_document(store, 1, bytes_max), all);
    }
}

fn a_document_gives_all_its_logs_in_the_order_written(store: &mut dyn Store) {
    put(store, [envelope(log(1, 9), 1, b"a"), envelope(log(2, 9), 1, b"elsewhere")]);
    put(store, [envelope(log(1, 3), 1, b"b"), envelope(log(1, 9), 2, b"c")]);
    assert_eq!(whole_document(store, 1, 1), [b"a", b"b", b"c"]);
    assert_eq!(whole_document(store, 2, 1), [b"elsewhere"]);
}

fn an_envelope_written_twice_is_kept_once(store: &mut dyn Store) {
    let first = envelope(log(1, 1), 1, b"first");
    put(store, [first.clone(), first.clone()]);
    put(store, [first.clone(), envelope(log(1, 1), 2, b"second")]);
    store.write(&[batch(3, [first.clone()]), batch(4, [first])]).unwrap();
    assert_eq!(whole_document(store, 1, 1000), [&b"first"[..], b"second"]);
    assert_eq!(whole_log(store, log(1, 1), 1000), [&b"first"[..], b"second"]);
}

fn both_branches_of_a_fork_are_kept(store: &mut dyn Store) {
    put(store, [envelope(log(1, 1), 1, b"root"), envelope(log(1, 1), 2, b"left")]);
    put(store, [envelope(log(1, 1), 2, b"right"), envelope(log(1, 1), 3, b"on")]);
    assert_eq!(whole_document(store, 1, 1), [&b"root"[..], b"left", b"right", b"on"]);
    assert_eq!(whole_log(store, log(1, 1), 1), [&b"root"[..], b"left", b"on"]);
    let of_branch = |except: &[&[u8]]| {
        let except = except.iter().map(|bytes| hash(bytes)).collect();
        page(store, &Query::Log { log: log(1, 1), after: 1, bytes_max: 1000, except }).0
    };
    assert_eq!(of_branch(&[b"left"]), [&b"right"[..], b"on"]);
    assert_eq!(of_branch(&[b"left", b"on"]), [b"right"]);
    let head = LogHead { sequence: 3, hash: hash(b"on") };
    assert_eq!(opening(store).heads, [(EntityId([0xee; 32]), log(1, 1), head)]);
    put(store, [envelope(log(1, 1), 3, b"also on")]);
    assert_eq!(opening(store).heads, [(EntityId([0xee; 32]), log(1, 1), head)]);
}

fn a_head_is_the_end_of_the_unbroken_run(store: &mut dyn Store) {
    let sequence_of = |store: &dyn Store| opening(store).heads.first().map(|(_, _, head)| *head);
    put(store, [envelope(log(1, 1), 2, b"2"), envelope(log(1, 1), 3, b"3")]);
    assert_eq!(sequence_of(store), None);
    put(store, [envelope(log(1, 1), 5, b"5"), envelope(log(1, 1), 1, b"1")]);
    assert_eq!(sequence_of(store), Some(LogHead { sequence: 3, hash: hash(b"3") }));
    put(store, [envelope(log(1, 1), 4, b"4")]);
    assert_eq!(sequence_of(store), Some(LogHead { sequence: 5, hash: hash(b"5") }));
}

fn logs_of_one_device_are_told_apart(store: &mut dyn Store) {
    let mut later = log(1, 1);
    later.incarnation.0 += 1;
    put(store, [envelope(later, 1, b"later"), envelope(log(1, 1), 1, b"earlier")]);
    put(store, [envelope(log(2, 1), 1, b"elsewhere")]);
    let logs: Vec<_> = opening(store).heads.into_iter().map(|(_, log, _)| log).collect();
    assert_eq!(logs, [log(1, 1), later, log(2, 1)]);
    assert_eq!(whole_log(store, later, 1), [b"later"]);
}

fn a_batch_touches_several_entities_at_once(store: &mut dyn Store) {
    put(store, [statement(1, b"s1"), envelope(log(1, 1), 1, b"e"), local("k", b"v"), statement(2, b"s2")]);
    let held = opening(store);
    assert_eq!((held.locals.len(), held.statements.len(), held.heads.len()), (1, 2, 1));
}

fn what_no_query_could_give_back_is_refused_whole(store: &mut dyn Store) {
    let ill = [
        statement(1, &vec![0; STATEMENT_BYTES_MAX + 1]),
        envelope(log(1, 1), 1, &vec![0; ENVELOPE_BYTES_MAX + 1]),
        envelope(log(1, 1), 0, b"no such position"),
        part(1, 1, 0, &vec![0; SNAPSHOT_PART_BYTES_MAX + 1]),
        snapshot(1, 0, 1, &[]),
        snapshot(1, 1, 1, &vec![(log(1, 1), head(1, b"")); FRAME_LOGS_MAX + 1]),
        local("k", &vec![0; LOCAL_VALUE_BYTES_MAX + 1]),
        local(&"k".repeat(LOCAL_KEY_BYTES_MAX + 1), b"v"),
    ];
    for record in ill {
        let refused = store.write(&[batch(1, [local("before", b"v")]), batch(2, [record])]);
        assert!(matches!(refused.unwrap_err().failure(), StoreFailure::Failed(_)));
    }
    let many = vec![local("before", b"v"); BATCH_RECORDS_MAX + 1];
    assert!(store.write(&[batch(1, many)]).is_err());
    assert_eq!(opening(store).locals, []);
    put(store, [local("after", b"v")]);
    assert_eq!(value(store, "after"), Some(b"v".to_vec()));
}

fn the_largest_records_are_kept(store: &mut dyn Store) {
    let large = vec![7; ENVELOPE_BYTES_MAX];
    put(store, [envelope(log(1, 1), 1, &large), local("k", &large[..LOCAL_VALUE_BYTES_MAX])]);
    put(store, [statement(1, &large[..STATEMENT_BYTES_MAX])]);
    assert_eq!(whole_log(store, log(1, 1), 1), [large]);
    assert_eq!(opening(store).statements[0].2.len(), STATEMENT_BYTES_MAX);
    assert_eq!(value(store, "k").unwrap().len(), LOCAL_VALUE_BYTES_MAX);
    let covers: Vec<_> = (0..FRAME_LOGS_MAX as u64)
        .map(|n| (LogId { incarnation: Incarnation(n), ..log(2, 1) }, head(1, b"one")))
        .collect();
    put(store, [part(2, 1, 0, &vec![7; SNAPSHOT_PART_BYTES_MAX]), snapshot(2, 1, 1, &covers)]);
    assert_eq!(snapshot_parts(store, 2), [vec![7; SNAPSHOT_PART_BYTES_MAX]]);
    assert_eq!(opening(store).snapshots[0].covers, covers);
    let long = "k".repeat(LOCAL_KEY_BYTES_MAX);
    put(store, vec![local(&long, b"v"); BATCH_RECORDS_MAX]);
    assert_eq!(value(store, &long), Some(b"v".to_vec()));
}

fn a_snapshot_stands_for_the_beginnings_of_logs(store: &mut dyn Store) {
    let all: Vec<Vec<u8>> = (1..=6).map(|n| vec![n; 300]).collect();
    for (sequence, bytes) in (1..).zip(&all) {
        put(store, [envelope(log(1, 1), sequence, bytes), envelope(log(1, 2), sequence, bytes)]);
    }
    put(store, [part(1, 1, 0, b"state"), part(1, 1, 1, b" of it")]);
    let covers = [(log(1, 1), head(4, &all[3])), (log(1, 2), head(6, &all[5]))];
    put(store, [snapshot(1, 1, 2, &covers)]);
    let opened = opening(store);
    assert_eq!(opened.heads.iter().map(|(_, _, head)| head.sequence).collect::<Vec<_>>(), [6, 6]);
    let held = Snapshot {
        document: DocumentKey([1; 32]),
        entity: EntityId([0xee; 32]),
        number: 1,
        parts: 2,
        covers: covers.to_vec(),
    };
    assert_eq!(opened.snapshots, [held]);
    assert_eq!(snapshot_parts(store, 1), [&b"state"[..], b" of it"]);
    assert_eq!(whole_log(store, log(1, 1), 1000), all[4..]);
    assert_eq!(whole_document(store, 1, 1000), all[4..]);
    assert_eq!(whole_log(store, log(1, 2), 1000), Vec::<Vec<u8>>::new());
}

fn a_later_snapshot_takes_the_place_of_the_one_before(store: &mut dyn Store) {
    for sequence in 1..=3 {
        put(store, [envelope(log(1, 1), sequence, &[sequence as u8])]);
    }
    put(store, [part(1, 1, 0, b"one"), part(1, 1, 1, b"more")]);
    put(store, [snapshot(1, 1, 2, &[(log(1, 1), head(1, &[1]))])]);
    put(store, [part(1, 2, 0, b"two")]);
    assert_eq!(snapshot_parts(store, 1), [&b"one"[..], b"more"], "nothing counts before its snapshot");
    put(store, [snapshot(1, 2, 1, &[(log(1, 1), head(3, &[3]))])]);
    put(store, [part(1, 1, 0, b"late")]);
    assert_eq!(snapshot_parts(store, 1), [b"two"]);
    assert_eq!(whole_log(store, log(1, 1), 1000), Vec::<Vec<u8>>::new());
    assert_eq!(opening(store).heads[0].2, head(3, &[3]));
}

fn parts_without_their_snapshot_change_nothing(store: &mut dyn Store) {
    put(store, [envelope(log(1, 1), 1, b"kept"), part(1, 1, 0, b"begun"), part(1, 1, 1, b"and left")]);
    assert_eq!(snapshot_parts(store, 1), Vec::<Vec<u8>>::new());
    assert_eq!(opening(store).snapshots, []);
    put(store, [part(1, 1, 0, b"begun anew"), snapshot(1, 1, 1, &[(log(1, 1), head(1, b"kept"))])]);
    assert_eq!(snapshot_parts(store, 1)[0], b"begun anew", "the last one written at a place holds");
}

fn the_past_lies_behind_the_parts_of_a_snapshot_and_goes_with_it(store: &mut dyn Store) {
    let covers = [(log(1, 1), head(1, b"one"))];
    put(store, [part(1, 1, 0, b"state"), part(1, 1, 1, b"past"), part(1, 1, 2, b"and more")]);
    put(store, [snapshot(1, 1, 1, &covers)]);
    assert_eq!(opening(store).snapshots[0].parts, 1);
    assert_eq!(snapshot_parts(store, 1), [&b"state"[..], b"past", b"and more"]);
    put(store, [part(1, 2, 0, b"new state"), part(1, 2, 1, b"new past"), snapshot(1, 2, 1, &covers)]);
    assert_eq!(snapshot_parts(store, 1), [&b"new state"[..], b"new past"]);
}

fn what_a_snapshot_covers_is_not_kept_again(store: &mut dyn Store) {
    put(store, [part(1, 1, 0, b"state"), snapshot(1, 1, 1, &[(log(1, 1), head(2, b"two"))])]);
    put(store, [envelope(log(1, 1), 1, b"one"), envelope(log(1, 1), 2, b"other")]);
    assert_eq!(whole_document(store, 1, 1000), Vec::<Vec<u8>>::new());
    assert_eq!(opening(store).heads[0].2, head(2, b"two"));
}

fn a_head_goes_on_behind_what_a_snapshot_covers(store: &mut dyn Store) {
    put(store, [envelope(log(1, 1), 4, b"four"), envelope(log(1, 1), 5, b"five")]);
    put(store, [part(1, 1, 0, b"state"), snapshot(1, 1, 1, &[(log(1, 1), head(3, b"three"))])]);
    assert_eq!(opening(store).heads[0].2, head(5, b"five"));
    put(store, [envelope(log(1, 1), 6, b"six")]);
    assert_eq!(opening(store).heads[0].2, head(6, b"six"));
    assert_eq!(whole_log(store, log(1, 1), 1000), [&b"four"[..], b"five", b"six"]);
}

/// A document of two logs, one of them forked, with a snapshot and what lies behind it.
fn fill_document(store: &mut dyn Store, document: u8) {
    let (one, two) = (log(document, 1), log(document, 2));
    put(store, [envelope(one, 1, b"a"), envelope(one, 2, b"b"), envelope(two, 1, b"c")]);
    put(store, [part(document, 1, 0, b"state"), part(document, 1, 1, b"past")]);
    put(store, [snapshot(document, 1, 1, &[(one, head(1, b"a"))])]);
    put(store, [envelope(one, 3, b"d"), envelope(one, 3, b"fork"), envelope(two, 7, b"gap")]);
}

fn a_forgotten_document_is_as_if_nothing_had_been_written_of_it(store: &mut dyn Store) {
    fill_document(store, 1);
    fill_document(store, 2);
    put(store, [statement(1, b"s"), local("kept", b"v"), forget(1)]);
    assert!(whole_document(store, 1, 100).is_empty());
    assert!(whole_log(store, log(1, 1), 100).is_empty() && whole_log(store, log(1, 2), 100).is_empty());
    assert!(snapshot_parts(store, 1).is_empty());
    let opening = opening(store);
    assert!(opening.heads.iter().all(|(_, of, _)| of.document == DocumentKey([2; 32])));
    assert_eq!(opening.heads.len(), 2, "the other document keeps its own");
    assert_eq!(opening.snapshots.len(), 1);
    assert_eq!((opening.statements.len(), opening.locals.len()), (1, 1));
    assert_eq!(whole_document(store, 2, 100).len(), 5);
    put(store, [forget(1), forget(3)]);
    assert_eq!(whole_document(store, 2, 100).len(), 5, "forgetting what is not there changes nothing");
}

fn what_is_written_of_a_forgotten_document_counts_from_its_beginning(store: &mut dyn Store) {
    fill_document(store, 1);
    // The same envelopes and a snapshot of the same number, as others give them back; all at once.
    put(
        store,
        [forget(1), envelope(log(1, 1), 1, b"a"), envelope(log(1, 1), 2, b"b"), part(1, 1, 0, b"new state")],
    );
    assert_eq!(whole_document(store, 1, 100), [b"a", b"b"]);
    assert_eq!(opening(store).heads, [(EntityId([0xee; 32]), log(1, 1), head(2, b"b"))]);
    assert!(snapshot_parts(store, 1).is_empty(), "a part alone makes no snapshot");
    put(store, [snapshot(1, 1, 1, &[(log(1, 1), head(1, b"a"))])]);
    assert_eq!(snapshot_parts(store, 1), [b"new state"]);
    assert_eq!(whole_document(store, 1, 100), [b"b"]);
}
