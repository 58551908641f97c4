//! What a node finds again after crashes, damage, copies and full disks.

#![cfg(test)]

mod fixture;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fixture::*;
use fourword_protocol::record::StoreFailure;
use fourword_storage::{DiskStore, Medium, OpenError, RealMedium, Settings, Store};

fn fill(store: &mut dyn Store) {
    put(store, [statement(1, b"genesis"), local("identity", b"secret")]);
    put(store, [envelope(log(1, 1), 1, b"one"), envelope(log(1, 2), 1, b"uno")]);
    put(store, [envelope(log(1, 1), 2, b"two"), local("draft", b"old")]);
    put(store, [local("draft", b"new"), local("gone", b"x"), forgotten("gone")]);
}

fn assert_filled(store: &dyn Store) {
    assert_eq!(opening(store).statements.len(), 1);
    assert_eq!(value(store, "identity"), Some(b"secret".to_vec()));
    assert_eq!(value(store, "draft"), Some(b"new".to_vec()));
    assert_eq!(value(store, "gone"), None);
    assert_eq!(whole_document(store, 1, 1), [b"one", b"uno", b"two"]);
    assert_eq!(opening(store).heads.len(), 2);
}

#[test]
fn a_store_closed_properly_is_clean_once() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let opened = open(home);
    assert!(opened.new && !opened.clean);
    let mut store = opened.store;
    fill(&mut store);
    store.close().unwrap();
    assert!(home.join("clean").exists());
    let opened = open(home);
    assert!(opened.clean && !opened.new);
    assert!(!home.join("clean").exists(), "the mark is gone before anything is sent");
    assert_filled(&opened.store);
    drop(opened);
    assert!(!open(home).clean, "a store dropped without closing is not clean");
}

#[test]
fn an_unclean_stop_loses_nothing_written() {
    let home = tempfile::tempdir().unwrap();
    fill(&mut open_store(home.path()));
    for _ in 0..3 {
        let opened = open(home.path());
        assert!(!opened.clean);
        assert_filled(&opened.store);
        assert_eq!(opened.store.damage(), [""; 0]);
    }
}

#[test]
fn a_process_killed_after_any_write_loses_nothing_acknowledged() {
    let home = tempfile::tempdir().unwrap();
    let (home, killed) = (home.path().join("home"), home.path().join("killed"));
    let mut store = open_small(&home);
    for n in 1..=30 {
        put(&mut store, [envelope(log(1, 1), n, &[n as u8; 300]), local("last", &[n as u8; 300])]);
        // What a kill leaves is what lies in the files while the store is still open.
        let _ = fs::remove_dir_all(&killed);
        copy_directory(&home, &killed);
        let opened = open(&killed);
        assert!(!opened.clean);
        assert_eq!(opening(&opened.store), opening(&store), "killed after write {n}");
        assert_eq!(whole_document(&opened.store, 1, 1000), whole_document(&store, 1, 1000));
        assert_eq!(opened.store.damage(), [""; 0], "killed after write {n}");
    }
}

#[test]
fn an_index_deleted_or_destroyed_costs_nothing() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fill(&mut open_store(home));
    fs::remove_dir_all(home.join("index")).unwrap();
    assert_filled(&open_store(home));
    for file in all_files(&home.join("index")) {
        fs::write(file, [0x5a; 3000]).unwrap();
    }
    let store = open_store(home);
    assert_filled(&store);
    assert_eq!(store.repairs().len(), 1, "{:?}", store.repairs());
    assert!(home.join("index.damaged").is_dir(), "what is bad is set aside, not deleted");
    drop(store);
    fs::remove_dir_all(home.join("index")).unwrap();
    fs::write(home.join("index"), "a file where a directory belongs").unwrap();
    assert_filled(&open_store(home));
}

#[test]
fn an_index_older_than_the_journal_catches_up() {
    let home = tempfile::tempdir().unwrap();
    let (home, old) = (home.path().join("home"), home.path().join("old"));
    let mut store = open_store(&home);
    put(&mut store, [local("draft", b"first"), envelope(log(1, 1), 1, b"one")]);
    store.close().unwrap();
    copy_directory(&home.join("index"), &old);
    fill(&mut open_store(&home));
    fs::remove_dir_all(home.join("index")).unwrap();
    copy_directory(&old, &home.join("index"));
    let store = open_store(&home);
    assert_filled(&store);
    assert_eq!(store.repairs(), [""; 0], "an index that is merely behind is used");
}

#[test]
fn a_journal_cut_at_any_byte_keeps_the_batches_before() {
    let home = tempfile::tempdir().unwrap();
    let (home, cut) = (home.path().join("home"), home.path().join("cut"));
    let mut store = open_store(&home);
    put(&mut store, [local("n", b"1"), envelope(log(1, 1), 1, b"one")]);
    let journal = &journal_files(&home)[0];
    let mut ends = vec![fs::metadata(journal).unwrap().len()];
    for n in [b"2", b"3"] {
        put(&mut store, [local("n", n), local("twin", n)]);
        ends.push(fs::metadata(journal).unwrap().len());
    }
    drop(store);
    let whole = fs::read(journal).unwrap();
    fs::create_dir_all(cut.join("journal")).unwrap();
    fs::copy(home.join("key"), cut.join("key")).unwrap();
    for end in ends[0]..=ends[2] {
        let _ = fs::remove_dir_all(cut.join("index"));
        fs::write(cut.join("journal/00000001.log"), &whole[..end as usize]).unwrap();
        let mut store = open_store(&cut);
        let held = ends.iter().filter(|batch_end| **batch_end <= end).count();
        assert_eq!(value(&store, "n"), Some(vec![b'0' + held as u8]), "cut at {end}");
        assert_eq!(value(&store, "twin").is_some(), held > 1, "cut at {end}");
        assert_eq!(store.repairs().len(), usize::from(!ends.contains(&end)), "cut at {end}");
        assert_eq!(store.damage(), [""; 0], "cut at {end}");
        put(&mut store, [local("n", b"9")]);
        drop(store);
        assert_eq!(value(&open_store(&cut), "n"), Some(b"9".to_vec()), "cut at {end}");
    }
}

#[test]
fn a_journal_that_lost_what_was_acknowledged_says_so() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let mut store = open_store(home);
    put(&mut store, [local("n", b"1")]);
    let journal = &journal_files(home)[0];
    let end = fs::metadata(journal).unwrap().len();
    put(&mut store, [local("n", b"2")]);
    store.close().unwrap();
    OpenOptions::new().write(true).open(journal).unwrap().set_len(end).unwrap();
    let opened = open(home);
    assert!(!opened.clean, "logs may not go on from an earlier state");
    assert_eq!(value(&opened.store, "n"), Some(b"1".to_vec()));
    assert!(opened.store.damage()[0].contains("shorter"), "{:?}", opened.store.damage());
}

#[test]
fn a_changed_byte_is_set_aside_and_reported_and_the_rest_is_read() {
    let home = tempfile::tempdir().unwrap();
    let (home, bad) = (home.path().join("home"), home.path().join("bad"));
    let mut store = open_store(&home);
    for n in [b"a", b"b", b"c"] {
        put(&mut store, [statement(1, n), local(std::str::from_utf8(n).unwrap(), n)]);
    }
    drop(store);
    let whole = fs::read(&journal_files(&home)[0]).unwrap();
    for at in (0..whole.len()).step_by(11) {
        let _ = fs::remove_dir_all(&bad);
        fs::create_dir_all(bad.join("journal")).unwrap();
        fs::copy(home.join("key"), bad.join("key")).unwrap();
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        fs::write(bad.join("journal/00000001.log"), &changed).unwrap();
        let mut store = open_store(&bad);
        assert_eq!(opening(&store).statements.len(), 2, "changed at {at}");
        assert_eq!(opening(&store).locals.len(), 2, "changed at {at}");
        assert_eq!(store.damage().len(), 1, "changed at {at}");
        assert_eq!(fs::read(bad.join("journal/00000001.damaged")).unwrap(), changed);
        put(&mut store, [local("later", b"v")]);
        store.close().unwrap();
        let opened = open(&bad);
        assert_eq!(opening(&opened.store).locals.len(), 3, "changed at {at}");
        assert_eq!(opened.store.damage().len(), 1, "the file is still reported");
        assert!(opened.clean, "old damage does not make a later stop unclean");
    }
}

#[test]
fn damage_in_what_is_indexed_is_met_on_reading_and_mended_by_opening_again() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let mut store = open_store(home);
    put(&mut store, [envelope(log(1, 1), 1, b"one")]);
    put(&mut store, [envelope(log(1, 1), 2, b"two")]);
    put(&mut store, [envelope(log(1, 1), 3, b"three")]);
    store.close().unwrap();
    let journal = &journal_files(home)[0];
    let mut bytes = fs::read(journal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(journal, bytes).unwrap();
    let store = open_store(home);
    let query = fourword_protocol::record::Query::Log {
        log: log(1, 1),
        after: 0,
        bytes_max: 1000,
        except: Vec::new(),
    };
    let failure = store.read(&query).unwrap_err().failure();
    assert!(matches!(failure, StoreFailure::Damaged(_)));
    assert!(store.close().is_err(), "no clean stop after damage");
    let opened = open(home);
    assert!(!opened.clean);
    assert_eq!(whole_document(&opened.store, 1, 1), [&b"one"[..], b"three"]);
    assert_eq!(opening(&opened.store).heads[0].2.sequence, 1, "the head does not claim what is lost");
    assert_eq!(opened.store.damage().len(), 1);
}

#[test]
fn files_of_the_journal_cannot_take_each_others_place() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let mut store = open_small(home);
    for n in 0..3 {
        put(&mut store, [envelope(log(1, 1), n + 1, &[n as u8; 2100])]);
    }
    drop(store);
    let files = journal_files(home);
    fs::rename(&files[1], home.join("x")).unwrap();
    fs::rename(&files[2], &files[1]).unwrap();
    fs::rename(home.join("x"), &files[2]).unwrap();
    fs::remove_dir_all(home.join("index")).unwrap();
    let store = open_store(home);
    assert_eq!(whole_document(&store, 1, 1), [[0; 2100]]);
    assert_eq!(store.damage().len(), 2);
}

#[test]
fn a_copied_home_holds_everything_and_is_not_clean() {
    let home = tempfile::tempdir().unwrap();
    let (home, copy) = (home.path().join("home"), home.path().join("copy"));
    let mut store = open_store(&home);
    fill(&mut store);
    store.close().unwrap();
    copy_directory(&home, &copy);
    let copied = open(&copy);
    assert!(!copied.clean);
    assert_filled(&copied.store);
    assert!(open(&home).clean, "the original is");
}

#[test]
fn a_home_serves_one_process() {
    let home = tempfile::tempdir().unwrap();
    let store = open_store(home.path());
    let error = DiskStore::open(home.path(), None).err().unwrap();
    assert!(matches!(&error, OpenError::InUse { pid, .. } if *pid == std::process::id().to_string()));
    drop(store);
    open_store(home.path());
}

#[test]
fn a_home_that_cannot_be_made_is_refused_in_words() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let error = DiskStore::open(&file.join("home"), None).err().unwrap();
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error}");
}

#[test]
fn what_snapshots_cover_gives_its_room_back_and_stays_covered_when_all_is_read_anew() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let mut store = open_small(home);
    let mut sequence = 0;
    for number in 1..=20 {
        for _ in 0..20 {
            sequence += 1;
            put(&mut store, [envelope(log(9, 9), sequence, &[number as u8; 700])]);
        }
        let covers = [(log(9, 9), head(sequence, &[number as u8; 700]))];
        put(&mut store, [part(9, number, 0, &[number as u8; 100])]);
        put(&mut store, [snapshot(9, number, 1, &covers)]);
    }
    put(&mut store, [envelope(log(9, 9), sequence + 1, b"next")]);
    drop(store);
    let bytes: u64 = journal_files(home).iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(bytes < 30_000, "{bytes} bytes are left of 300,000");
    fs::remove_dir_all(home.join("index")).unwrap();
    let store = open_store(home);
    assert_eq!(whole_document(&store, 9, 1000), [b"next"]);
    assert_eq!(snapshot_parts(&store, 9), [[20; 100]]);
    assert!(opening(&store).heads.iter().any(|(_, of, at)| *of == log(9, 9) && at.sequence == sequence + 1));
}

#[test]
fn files_with_little_left_alive_are_rewritten_and_nothing_is_lost() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let mut store = open_small(home);
    fill(&mut store);
    for n in 0..400u32 {
        put(&mut store, [local("draft", &n.to_be_bytes().repeat(20)), local("gone", b"x")]);
        put(
            &mut store,
            [forgotten("gone"), local(&format!("once {n}"), b""), forgotten(&format!("once {n}"))],
        );
    }
    put(&mut store, [local("draft", b"new")]);
    assert_filled(&store);
    drop(store);
    let bytes: u64 = journal_files(home).iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(bytes < 12_000, "{bytes} bytes are left of 300,000");
    assert_filled(&open_store(home));
    fs::remove_dir_all(home.join("index")).unwrap();
    let store = open_store(home);
    assert_filled(&store);
    assert_eq!(opening(&store).locals.len(), 2);
}

#[test]
fn a_forgotten_value_stays_forgotten_when_only_its_forgetting_is_rewritten() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let mut store = open_small(home);
    put(&mut store, [local("gone", b"x"), local("kept", &[1; 2000])]);
    put(&mut store, [forgotten("gone"), local("filler", &[1; 2000])]);
    put(&mut store, [local("filler", b""), local("more", &[1; 2000])]);
    put(&mut store, [local("last", b"v")]);
    assert!(home.join("journal/00000001.log").exists(), "the value lies where it was");
    assert!(!home.join("journal/00000002.log").exists(), "the forgetting was copied");
    drop(store);
    fs::remove_dir_all(home.join("index")).unwrap();
    assert_eq!(value(&open_small(home), "gone"), None);
}

#[test]
fn files_that_were_copied_but_not_removed_count_once() {
    let home = tempfile::tempdir().unwrap();
    let (home, old) = (home.path().join("home"), home.path().join("old"));
    let mut store = open_small(&home);
    fill(&mut store);
    put(&mut store, [local("draft", &[1; 2000])]);
    copy_directory(&home.join("journal"), &old);
    put(&mut store, [local("draft", b"new"), local("filler", &[1; 2000])]);
    // This begins a third file, and the first has little left alive by now.
    put(&mut store, [local("later", b"v")]);
    drop(store);
    for file in fs::read_dir(&old).unwrap() {
        let file = file.unwrap();
        assert!(!home.join("journal").join(file.file_name()).exists());
        fs::copy(file.path(), home.join("journal").join(file.file_name())).unwrap();
    }
    let store = open_small(&home);
    assert_filled(&store);
    drop(store);
    fs::remove_dir_all(home.join("index")).unwrap();
    assert_filled(&open_small(&home));
}

#[test]
fn a_forgotten_document_gives_its_room_back_and_stays_forgotten_when_all_is_read_anew() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let mut store = open_small(home);
    for sequence in 1..=100 {
        put(&mut store, [envelope(log(9, 9), sequence, &[sequence as u8; 700])]);
    }
    put(&mut store, [part(9, 1, 0, &[1; 5000]), snapshot(9, 1, 1, &[(log(9, 9), head(50, &[50; 700]))])]);
    put(&mut store, [forget(9)]);
    for n in 0..60u8 {
        put(&mut store, [local("filler", &[n; 1500])]);
    }
    drop(store);
    let bytes: u64 = journal_files(home).iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(bytes < 12_000, "{bytes} bytes are left of 170,000");
    fs::remove_dir_all(home.join("index")).unwrap();
    let store = open_store(home);
    assert!(whole_document(&store, 9, 1000).is_empty() && opening(&store).heads.is_empty());
}

#[test]
fn what_was_forgotten_gives_its_room_back_with_the_next_write_however_little_that_is() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let settings = || Settings { rewrite_bytes_min: 50_000, ..Settings::default() };
    let mut store = DiskStore::open_with(home, None, settings()).unwrap().store;
    let bytes = || journal_files(home).iter().map(|file| fs::metadata(file).unwrap().len()).sum::<u64>();
    put(&mut store, [local("stays", b"here")]);
    for sequence in 1..=100 {
        put(&mut store, [envelope(log(9, 9), sequence, &[sequence as u8; 700])]);
    }
    put(&mut store, [forget(9)]);
    assert!(bytes() > 70_000, "it lies there still");
    put(&mut store, [local("next", b"write")]);
    assert!(bytes() < 1_000, "{} bytes are left", bytes());
    let held = |store: &DiskStore| (value(store, "stays"), value(store, "next"));
    assert_eq!(held(&store), (Some(b"here".to_vec()), Some(b"write".to_vec())));
    drop(store);
    fs::remove_dir_all(home.join("index")).unwrap();
    let store = open_store(home);
    assert_eq!(held(&store), (Some(b"here".to_vec()), Some(b"write".to_vec())));
    assert!(whole_document(&store, 9, 1000).is_empty());
}

#[test]
fn what_came_back_counts_though_what_was_forgotten_lies_behind_it_in_the_journal() {
    let home = tempfile::tempdir().unwrap();
    let (home, old) = (home.path().join("home"), home.path().join("old"));
    let mut store = open_small(&home);
    put(&mut store, [envelope(log(9, 9), 1, b"first"), envelope(log(9, 9), 2, b"other branch")]);
    drop(store);
    copy_directory(&home.join("journal"), &old);
    let mut store = open_small(&home);
    put(&mut store, [forget(9), envelope(log(9, 9), 1, b"first"), envelope(log(9, 9), 2, b"second")]);
    drop(store);
    // The records from before lie in a file of their own behind all others, as rewriting leaves them.
    let copy = home.join("copy");
    fs::create_dir(&copy).unwrap();
    fs::copy(home.join("key"), copy.join("key")).unwrap();
    copy_directory(&old, &copy.join("journal"));
    let mut lone = open_small(&copy);
    lone.write(&[batch(1, [local("filler", &[1; 3000]), local("filler", b"")])]).unwrap();
    put(&mut lone, [local("last", b"v")]);
    put(&mut lone, [local("filler", &[2; 3000])]);
    put(&mut lone, [local("filler", b"")]);
    drop(lone);
    let rewritten =
        journal_files(&copy).into_iter().find(|file| !old.join(file.file_name().unwrap()).exists());
    let rewritten = rewritten.expect("the first file was copied");
    assert!(!copy.join("journal/00000001.log").exists());
    fs::copy(&rewritten, home.join("journal").join(rewritten.file_name().unwrap())).unwrap();
    for index in [home.join("index"), copy.clone()] {
        fs::remove_dir_all(index).unwrap();
    }
    let store = open_store(&home);
    assert_eq!(whole_document(&store, 9, 1000), [&b"first"[..], b"second"]);
    assert_eq!(whole_log(&store, log(9, 9), 1000), [&b"first"[..], b"second"]);
}

/// A disk that fails from a certain operation on: as a full one, or one that cannot flush.
struct Failing {
    left: Arc<AtomicUsize>,
    at_flush: bool,
}

impl Failing {
    fn fails(&self, is_flush: bool) -> bool {
        is_flush == self.at_flush
            && self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_err()
    }
}

impl Medium for Failing {
    fn append(&mut self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if self.fails(false) {
            RealMedium.append(file, offset, &bytes[..bytes.len() / 2])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        RealMedium.append(file, offset, bytes)
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        if self.fails(true) { Err(io::Error::other("flush failed")) } else { RealMedium.sync(file) }
    }
}

fn open_failing(home: &Path, after: usize, at_flush: bool) -> (DiskStore, Arc<AtomicUsize>) {
    let left = Arc::new(AtomicUsize::new(after));
    let medium = Box::new(Failing { left: left.clone(), at_flush });
    let settings = Settings { medium, ..Settings::default() };
    (DiskStore::open_with(home, None, settings).unwrap().store, left)
}

#[test]
fn nothing_counts_after_a_failed_write_or_flush_until_the_store_is_opened_again() {
    for at_flush in [false, true] {
        let home = tempfile::tempdir().unwrap();
        let (mut store, left) = open_failing(home.path(), 1, at_flush);
        put(&mut store, [local("n", b"1")]);
        let error = store.write(&[batch(2, [local("n", b"2"), local("m", b"2")])]).unwrap_err();
        assert_eq!(error.failure() == StoreFailure::DiskFull, !at_flush);
        assert_eq!(value(&store, "n"), Some(b"1".to_vec()), "reading goes on, without the failed batch");
        left.store(100, Ordering::SeqCst);
        let refused = store.write(&[batch(3, [local("n", b"3")])]).unwrap_err();
        assert!(refused.to_string().contains("an earlier write failed"), "{refused}");
        assert!(store.close().is_err(), "no clean stop: others may have been sent what is not here");
        let opened = open(home.path());
        assert!(!opened.clean);
        let mut store = opened.store;
        assert_eq!(opening(&store).locals.len(), 1, "the failed batch does not come back");
        put(&mut store, [local("n", b"4")]);
        assert_eq!(value(&store, "n"), Some(b"4".to_vec()));
    }
}
