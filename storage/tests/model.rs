//! Random writes, crashes, lost indexes and files that were copied but not removed: the store on disk
//! stays equal to the one in memory.

#![cfg(test)]

mod fixture;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use fixture::*;
use fourword_protocol::record::Record;
use fourword_storage::{DiskStore, MemoryStore, Store};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a document's snapshot covers grows, as the machine sees to.
type Covered = BTreeMap<u8, (u64, BTreeMap<u8, u64>)>;

/// A snapshot of a document that covers at least what the one before did.
fn fold(random: &mut ChaCha8Rng, covered: &mut Covered) -> Vec<Record> {
    let document = (random.next_u32() % 3) as u8;
    let (number, logs) = covered.entry(document).or_default();
    *number += 1;
    let covers: Vec<_> = (0..2)
        .map(|device| {
            let sequence = logs.entry(device).or_insert(0);
            *sequence += u64::from(random.next_u32() % 4);
            (log(document, device), head(*sequence, &[document, device]))
        })
        .filter(|(_, head)| head.sequence > 0)
        .collect();
    let parts = random.next_u32() % 3 + 1;
    let mut records: Vec<Record> =
        (0..parts).map(|at| part(document, *number, at, &[at as u8; 200])).collect();
    // A crash may come before what makes the parts count.
    if !random.next_u32().is_multiple_of(4) {
        records.push(snapshot(document, *number, parts, &covers));
    }
    records
}

/// A batch like one of the machine's: small writes, now and then a snapshot, and now and then a document
/// that is forgotten before or after them.
fn draw(random: &mut ChaCha8Rng, covered: &mut Covered) -> Vec<Record> {
    let forget_one = |random: &mut ChaCha8Rng, covered: &mut Covered, records: &mut Vec<Record>| {
        if random.next_u32().is_multiple_of(12) {
            let document = (random.next_u32() % 3) as u8;
            covered.remove(&document);
            records.push(forget(document));
        }
    };
    let mut records = Vec::new();
    forget_one(random, covered, &mut records);
    for _ in 0..random.next_u32() % 5 {
        records.push(record(random));
    }
    if random.next_u32().is_multiple_of(8) {
        records.extend(fold(random, covered));
    }
    forget_one(random, covered, &mut records);
    records
}

/// Puts files back that a write removed, as if the disk had failed before that.
fn put_back(old: &Path, home: &Path) {
    for file in fs::read_dir(old).unwrap().map(|file| file.unwrap()) {
        let path = home.join("journal").join(file.file_name());
        if !path.exists() {
            fs::copy(file.path(), path).unwrap();
        }
    }
}

fn record(random: &mut ChaCha8Rng) -> Record {
    let mut below = |n: u32| random.next_u32() % n;
    let (document, device) = (below(3) as u8, below(2) as u8);
    let bytes = vec![below(4) as u8; below(300) as usize];
    match below(10) {
        0 => statement(below(2) as u8, &bytes),
        1..=4 => envelope(log(document, device), u64::from(below(12)) + 1, &bytes),
        5..=8 => local(["a", "b", "c", "d"][below(4) as usize], &bytes),
        _ => forgotten(["a", "b", "c", "d"][below(4) as usize]),
    }
}

fn assert_equal(disk: &DiskStore, memory: &MemoryStore, seed: u64, step: u32) {
    assert_eq!(opening(disk), opening(memory), "seed {seed}, step {step}");
    for document in 0..3 {
        for bytes_max in [1, 700] {
            let (left, right) =
                (whole_document(disk, document, bytes_max), whole_document(memory, document, bytes_max));
            assert_eq!(left, right, "seed {seed}, step {step}");
        }
        assert_eq!(
            snapshot_parts(disk, document),
            snapshot_parts(memory, document),
            "seed {seed}, step {step}"
        );
        for device in 0..2 {
            let log = log(document, device);
            assert_eq!(whole_log(disk, log, 400), whole_log(memory, log, 400), "seed {seed}, step {step}");
        }
    }
    assert_eq!(disk.damage(), [""; 0], "seed {seed}, step {step}");
}

#[test]
fn disk_and_memory_stay_equal_under_random_writes_and_restarts() {
    for seed in 0..6 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let root = tempfile::tempdir().unwrap();
        let (home, old) = (&root.path().join("home"), &root.path().join("old"));
        let (mut disk, mut memory) = (open_small(home), MemoryStore::new());
        let mut covered = Covered::new();
        for step in 0..80 {
            let batches: Vec<_> = (0..random.next_u32() % 4)
                .map(|id| batch(u64::from(id), draw(&mut random, &mut covered)))
                .collect();
            let _ = fs::remove_dir_all(old);
            copy_directory(&home.join("journal"), old);
            disk.write(&batches).unwrap();
            memory.write(&batches).unwrap();
            match random.next_u32() % 12 {
                0 => {
                    drop(disk);
                    disk = open_small(home);
                }
                1 => {
                    disk.close().unwrap();
                    disk = open_small(home);
                }
                2 => {
                    drop(disk);
                    fs::remove_dir_all(home.join("index")).unwrap();
                    disk = open_small(home);
                }
                3 => {
                    drop(disk);
                    put_back(old, home);
                    disk = open_small(home);
                }
                4 => {
                    drop(disk);
                    put_back(old, home);
                    fs::remove_dir_all(home.join("index")).unwrap();
                    disk = open_small(home);
                }
                5..=7 => assert_equal(&disk, &memory, seed, step),
                _ => {}
            }
        }
        assert_equal(&disk, &memory, seed, 80);
    }
}
