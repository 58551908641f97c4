//! A store without a disk, for tests and the simulator: deterministic, and able to fail on request.
//!
//! Invariant: what `write` or `flush` acknowledged survives [`MemoryStore::crash`]; what was only
//! appended survives it as far as the caller says, as on a real disk. After a failed write it
//! refuses further ones until it is "opened again" by `crash`.

use std::collections::{BTreeMap, BTreeSet};

use fourword_protocol::ids::{DocumentKey, EntityId, EnvelopeHash, LogHead, LogId, StatementId};
use fourword_protocol::record::{Batch, LocalKey, Page, Query, Record, Snapshot};

use crate::page::Gathering;
use crate::{Cause, Store, StoreError, check};

/// What happens at the next flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing reaches the disk: it is full.
    DiskFull,
    /// So many whole batches reach the disk, and the flush fails all the same: after a crash they
    /// are there although nobody was told so.
    Torn(usize),
}

/// A [`Store`] in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    durable: Contents,
    appended: Vec<Batch>,
    /// Whole batches that reached the disk in a flush that failed: they count after a crash.
    torn: Vec<Batch>,
    fault: Option<Fault>,
    broken: bool,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// How much of a log the snapshot of its document stands for.
    pub fn covered(&self, log: &LogId) -> u64 {
        self.durable.base(log)
    }

    /// Hands batches to the disk without waiting for it; they do not count before `flush`.
    pub fn append(&mut self, batches: &[Batch]) -> Result<(), StoreError> {
        if self.broken {
            return Err(StoreError::refused(
                "write",
                "memory",
                "an earlier write failed: open the store again",
            ));
        }
        check(batches)?;
        self.appended.extend_from_slice(batches);
        Ok(())
    }

    /// Makes durable what was appended.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        let mut appended = std::mem::take(&mut self.appended);
        match self.fault.take() {
            None => appended.into_iter().for_each(|batch| self.durable.apply(batch)),
            Some(fault) => {
                self.broken = true;
                let kind = match fault {
                    Fault::DiskFull => std::io::ErrorKind::StorageFull,
                    Fault::Torn(whole) => {
                        appended.truncate(whole);
                        self.torn = appended;
                        std::io::ErrorKind::Other
                    }
                };
                return Err(StoreError {
                    action: "write",
                    what: "memory".into(),
                    cause: Cause::Disk(kind.into()),
                });
            }
        }
        Ok(())
    }

    /// Makes the next flush fail.
    pub fn fail_next(&mut self, fault: Fault) {
        self.fault = Some(fault);
    }

    /// Loses power and opens again. Of what was appended and not flushed the first `kept` batches
    /// had reached the disk.
    pub fn crash(&mut self, kept: usize) {
        let reached = std::mem::take(&mut self.appended).into_iter().take(kept);
        for batch in std::mem::take(&mut self.torn).into_iter().chain(reached) {
            self.durable.apply(batch);
        }
        self.fault = None;
        self.broken = false;
    }
}

impl Store for MemoryStore {
    fn write(&mut self, batches: &[Batch]) -> Result<(), StoreError> {
        self.append(batches)?;
        self.flush()
    }

    fn read(&self, query: &Query) -> Result<Page, StoreError> {
        Ok(match query {
            Query::Opening => self.durable.opening(),
            Query::Log { log, after, bytes_max, except } => self.durable.log(log, *after, *bytes_max, except),
            Query::Document { document, after, bytes_max } => {
                self.durable.document(*document, *after, *bytes_max)
            }
            Query::SnapshotPart { document, part } => {
                Page::SnapshotPart(self.durable.snapshot_part(*document, *part))
            }
        })
    }
}

/// An envelope as held: its entity, its name and its bytes.
#[derive(Clone, Debug)]
struct Held {
    entity: EntityId,
    hash: EnvelopeHash,
    bytes: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
struct Contents {
    /// How many records were ever kept: the order of the last one.
    order: u64,
    locals: BTreeMap<LocalKey, Vec<u8>>,
    statements: Vec<(EntityId, StatementId, Vec<u8>)>,
    statements_known: BTreeSet<(EntityId, StatementId)>,
    envelopes: BTreeMap<u64, Held>,
    /// The orders of what is held at each position of each log; more than one is a fork.
    logs: BTreeMap<LogId, BTreeMap<u64, Vec<u64>>>,
    documents: BTreeMap<DocumentKey, BTreeSet<u64>>,
    snapshots: BTreeMap<DocumentKey, Snapshot>,
    /// By document, snapshot and place.
    parts: BTreeMap<(DocumentKey, u64, u32), Vec<u8>>,
    /// What snapshots cover.
    bases: BTreeMap<LogId, (EntityId, LogHead)>,
}

impl Contents {
    fn apply(&mut self, batch: Batch) {
        for record in batch.records {
            match record {
                Record::Local { key, value: Some(value) } => {
                    self.locals.insert(key, value);
                }
                Record::Local { key, value: None } => {
                    self.locals.remove(&key);
                }
                Record::Statement { entity, id, bytes } => {
                    if self.statements_known.insert((entity, id)) {
                        self.statements.push((entity, id, bytes));
                    }
                }
                Record::Envelope { entity, log, sequence, hash, bytes } => {
                    self.keep(log, sequence, Held { entity, hash, bytes });
                }
                Record::SnapshotPart { document, number, part, bytes } => {
                    if self.snapshots.get(&document).is_none_or(|snapshot| number >= snapshot.number) {
                        self.parts.insert((document, number, part), bytes);
                    }
                }
                Record::Snapshot { entity, document, number, parts, covers } => {
                    self.fold(Snapshot { document, entity, number, parts, covers });
                }
                Record::Forget { document } => self.forget(document),
            }
        }
    }

    fn forget(&mut self, document: DocumentKey) {
        for order in self.documents.remove(&document).into_iter().flatten() {
            self.envelopes.remove(&order);
        }
        self.logs.retain(|log, _| log.document != document);
        self.bases.retain(|log, _| log.document != document);
        self.parts.retain(|(of, ..), _| *of != document);
        self.snapshots.remove(&document);
    }

    fn fold(&mut self, snapshot: Snapshot) {
        let Snapshot { document, entity, number, ref covers, .. } = snapshot;
        self.parts.retain(|(of, part_of, _), _| *of != document || *part_of >= number);
        for (log, head) in covers {
            self.bases.insert(*log, (entity, *head));
            let positions = self.logs.entry(*log).or_default();
            let kept = positions.split_off(&head.sequence.saturating_add(1));
            for order in std::mem::replace(positions, kept).into_values().flatten() {
                self.envelopes.remove(&order);
                self.documents.entry(document).or_default().remove(&order);
            }
        }
        self.snapshots.insert(document, snapshot);
    }

    fn snapshot_part(&self, document: DocumentKey, part: u32) -> Option<Vec<u8>> {
        let number = self.snapshots.get(&document)?.number;
        self.parts.get(&(document, number, part)).cloned()
    }

    fn base(&self, log: &LogId) -> u64 {
        self.bases.get(log).map_or(0, |(_, head)| head.sequence)
    }

    fn keep(&mut self, log: LogId, sequence: u64, envelope: Held) {
        if sequence <= self.base(&log) {
            return;
        }
        let at = self.logs.entry(log).or_default().entry(sequence).or_default();
        if at.iter().filter_map(|order| self.envelopes.get(order)).any(|held| held.hash == envelope.hash) {
            return;
        }
        self.order += 1;
        at.push(self.order);
        self.documents.entry(log.document).or_default().insert(self.order);
        self.envelopes.insert(self.order, envelope);
    }

    fn first_at(&self, orders: &[u64]) -> Option<&Held> {
        orders.first().and_then(|order| self.envelopes.get(order))
    }

    fn opening(&self) -> Page {
        let heads = self.logs.iter().filter_map(|(log, positions)| {
            let from = self.base(log).saturating_add(1);
            let unbroken =
                (from..).zip(positions).take_while(|(expected, (sequence, _))| expected == *sequence);
            let Some((sequence, (_, orders))) = unbroken.last() else {
                return self.bases.get(log).map(|(entity, head)| (*entity, *log, *head));
            };
            let held = self.first_at(orders)?;
            Some((held.entity, *log, LogHead { sequence, hash: held.hash }))
        });
        Page::Opening {
            locals: self.locals.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            statements: self.statements.clone(),
            heads: heads.collect(),
            snapshots: self.snapshots.values().cloned().collect(),
        }
    }

    fn log(&self, log: &LogId, after: u64, bytes_max: usize, except: &[EnvelopeHash]) -> Page {
        let mut page = Gathering::new(bytes_max);
        let positions = self.logs.get(log).into_iter().flatten().filter(|(sequence, _)| **sequence > after);
        for (sequence, orders) in positions {
            let held = orders.iter().filter_map(|order| self.envelopes.get(order));
            if let Some(held) = held.into_iter().find(|held| !except.contains(&held.hash))
                && !page.offer(*sequence, held.bytes.clone())
            {
                break;
            }
        }
        page.into_page()
    }

    fn document(&self, document: DocumentKey, after: u64, bytes_max: usize) -> Page {
        let mut page = Gathering::new(bytes_max);
        let orders = self.documents.get(&document).into_iter().flatten().filter(|order| **order > after);
        for order in orders {
            if let Some(held) = self.envelopes.get(order)
                && !page.offer(*order, held.bytes.clone())
            {
                break;
            }
        }
        page.into_page()
    }
}
