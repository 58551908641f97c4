//! How the store in memory fails when it is told to.

#![cfg(test)]

mod fixture;

use fixture::*;
use fourword_protocol::record::StoreFailure;
use fourword_storage::{Fault, MemoryStore, Store};

#[test]
fn what_was_not_flushed_is_lost_in_a_crash_but_for_what_reached_the_disk() {
    let mut store = MemoryStore::new();
    put(&mut store, [local("a", b"flushed")]);
    store.append(&[batch(1, [local("b", b"1")]), batch(2, [local("c", b"2")])]).unwrap();
    assert_eq!(value(&store, "b"), None, "nothing counts before it is flushed");
    store.crash(1);
    assert_eq!(value(&store, "a"), Some(b"flushed".to_vec()));
    assert_eq!(value(&store, "b"), Some(b"1".to_vec()));
    assert_eq!(value(&store, "c"), None);
}

#[test]
fn after_a_failed_write_nothing_is_written_until_it_is_opened_again() {
    let mut store = MemoryStore::new();
    store.fail_next(Fault::DiskFull);
    let error = store.write(&[batch(1, [local("a", b"1")])]).unwrap_err();
    assert_eq!(error.failure(), StoreFailure::DiskFull);
    assert!(store.write(&[batch(2, [local("a", b"2")])]).is_err());
    assert_eq!(value(&store, "a"), None);
    store.crash(usize::MAX);
    assert_eq!(value(&store, "a"), None, "the failed batch does not come back");
    put(&mut store, [local("a", b"3")]);
    assert_eq!(value(&store, "a"), Some(b"3".to_vec()));
}

#[test]
fn a_torn_write_fails_and_leaves_whole_batches_behind() {
    let mut store = MemoryStore::new();
    store.fail_next(Fault::Torn(1));
    let batches = [batch(1, [local("a", b"1"), local("b", b"1")]), batch(2, [local("a", b"2")])];
    assert!(store.write(&batches).is_err());
    assert_eq!(opening(&store).locals, []);
    store.crash(0);
    assert_eq!(value(&store, "a"), Some(b"1".to_vec()));
    assert_eq!(value(&store, "b"), Some(b"1".to_vec()));
}
