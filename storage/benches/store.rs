//! Times the store on a real disk: what one flush costs, alone and shared, and reading back.
//!
//! `cargo bench -p fourword-storage` measures in the folder for temporary files; `cargo test` runs
//! each once, so that none rots.

#![allow(clippy::unwrap_used, reason = "a bench that goes wrong shall stop")]

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use fourword_protocol::ids::{DeviceKey, DocumentKey, EntityId, EnvelopeHash, Incarnation, LogId};
use fourword_protocol::record::{Batch, BatchId, Page, Query, Record};
use fourword_storage::{DiskStore, Store};

/// Bytes of an envelope with one message in it, about.
const ENVELOPE_BYTES: usize = 500;

/// Envelopes of the log that is read.
const READ: u64 = 1000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    writing(&mut criterion);
    reading(&mut criterion);
    criterion.final_summary();
}

fn log() -> LogId {
    LogId { document: DocumentKey([1; 32]), device: DeviceKey([2; 32]), incarnation: Incarnation(3) }
}

fn batch(sequence: u64) -> Batch {
    let hash = EnvelopeHash(*blake3::hash(&sequence.to_be_bytes()).as_bytes());
    let bytes = vec![7; ENVELOPE_BYTES];
    let record = Record::Envelope { entity: EntityId([4; 32]), log: log(), sequence, hash, bytes };
    Batch { id: BatchId(sequence), records: vec![record], urgent: true }
}

fn writing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("store");
    for count in [1, 100] {
        let home = tempfile::tempdir().unwrap();
        let mut store = DiskStore::open(home.path(), None).unwrap().store;
        let mut sequence = 0;
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("{count} envelopes in one flush"), |bench| {
            bench.iter(|| {
                let batches: Vec<Batch> = (1..=count).map(|number| batch(sequence + number)).collect();
                sequence += count;
                store.write(black_box(&batches)).unwrap();
            });
        });
    }
    group.finish();
}

fn reading(criterion: &mut Criterion) {
    let home = tempfile::tempdir().unwrap();
    let mut store = DiskStore::open(home.path(), None).unwrap().store;
    store.write(&(1..=READ).map(batch).collect::<Vec<Batch>>()).unwrap();
    let query = Query::Log { log: log(), after: READ / 2, bytes_max: 128 * 1024, except: Vec::new() };
    criterion.bench_function("store, a page of a log", |bench| {
        bench.iter(|| {
            let page = store.read(black_box(&query)).unwrap();
            assert!(matches!(&page, Page::Envelopes { envelopes, .. } if envelopes.len() > 100));
        });
    });
}
