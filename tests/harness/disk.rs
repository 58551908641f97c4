//! One node's disk: what is asked of it is done in order, takes time, and may fail or be lost.
//!
//! As the real driver's store thread does, a flush takes all writes that wait when it begins, and
//! a read sees every write asked for before it. Invariant: `Durable` is told only of what survives
//! every crash from then on.

use std::collections::{BTreeSet, VecDeque};

use fourword_protocol::event::Event;
use fourword_protocol::ids::{DocumentKey, LogId};
use fourword_protocol::record::{Batch, LoadId, Page, Query, Record};
use fourword_storage::{Fault, MemoryStore, Store};
use rand_chacha::ChaCha20Rng;

use crate::cluster::Cluster;
use crate::draw;

/// How long a disk takes, from and to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskProfile {
    /// One flush.
    pub flush_ms: (u64, u64),
    /// How much longer one takes of which nothing waits for anything: those are gathered first.
    pub gather_ms: (u64, u64),
    /// One read.
    pub read_ms: (u64, u64),
}

impl DiskProfile {
    /// A disk that is always as fast.
    pub const CALM: DiskProfile = DiskProfile { flush_ms: (1, 1), gather_ms: (0, 0), read_ms: (1, 1) };

    /// Draws how long this takes, in milliseconds.
    pub(crate) fn time(self, work: Work, random: &mut ChaCha20Rng) -> u64 {
        let mut within = |(least, most): (u64, u64)| match least == most {
            true => least,
            false => draw::within(random, (least, most)),
        };
        match work {
            Work::Flush { urgent: true } => within(self.flush_ms),
            Work::Flush { urgent: false } => within(self.flush_ms) + within(self.gather_ms),
            Work::Read => within(self.read_ms),
        }
    }
}

/// One node's disk.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) store: MemoryStore,
    jobs: VecDeque<Job>,
    /// How many of the jobs are being done.
    under_way: usize,
    /// What happens to the next flush.
    fault: Option<Fault>,
    /// Some write failed since the disk was last opened.
    pub(crate) failed: bool,
    /// What such writes forget, which may be gone when it is opened again.
    doubtful: BTreeSet<DocumentKey>,
}

#[derive(Debug)]
enum Job {
    Write(Batch),
    Load(LoadId, Query),
}

/// What a disk has begun to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Flush { urgent: bool },
    Read,
}

impl Disk {
    pub(crate) fn new(store: MemoryStore) -> Disk {
        Disk { store, ..Disk::default() }
    }

    pub(crate) fn write(&mut self, batch: Batch) {
        self.jobs.push_back(Job::Write(batch));
    }

    pub(crate) fn load(&mut self, id: LoadId, query: Query) {
        self.jobs.push_back(Job::Load(id, query));
    }

    /// Begins what waits, unless something is under way.
    pub(crate) fn begin(&mut self) -> Option<Work> {
        if self.under_way > 0 || self.jobs.is_empty() {
            return None;
        }
        let writes = self.jobs.iter().map_while(|job| match job {
            Job::Write(batch) => Some(batch.urgent),
            Job::Load(..) => None,
        });
        let urgent: Vec<bool> = writes.collect();
        self.under_way = urgent.len().max(1);
        if urgent.is_empty() {
            return Some(Work::Read);
        }
        // A load that waits behind them is waited for as well.
        let urgent = urgent.len() < self.jobs.len() || urgent.contains(&true);
        Some(Work::Flush { urgent })
    }

    /// Ends what was under way and says what to tell the machine, in order.
    pub(crate) fn end(&mut self) -> Vec<Event> {
        let done: Vec<Job> = self.jobs.drain(..std::mem::take(&mut self.under_way)).collect();
        let mut batches = Vec::new();
        let mut events = Vec::new();
        for job in done {
            match job {
                Job::Write(batch) => batches.push(batch),
                Job::Load(id, query) => {
                    let page = self.store.read(&query).map_err(|error| error.failure());
                    events.push(Event::Loaded(id, page));
                }
            }
        }
        if !batches.is_empty() {
            self.fault.take().into_iter().for_each(|fault| self.store.fail_next(fault));
            let written = self.store.write(&batches);
            self.failed |= written.is_err();
            if written.is_err() {
                self.doubtful.extend(batches.iter().flat_map(forgotten));
            }
            events.extend(batches.iter().map(|batch| match &written {
                Ok(()) => Event::Durable(batch.id),
                Err(error) => Event::WriteFailed(batch.id, error.failure()),
            }));
        }
        events
    }

    /// How many writes would be lost if power went now.
    pub(crate) fn unflushed(&self) -> usize {
        self.jobs.iter().filter(|job| matches!(job, Job::Write(_))).count()
    }

    /// Power goes, and the disk is opened again: what was not flushed is lost, but for the first
    /// `kept` batches of the flush under way, which had reached it.
    pub(crate) fn crash(&mut self, kept: usize) {
        let under_way = self.jobs.drain(..).take(std::mem::take(&mut self.under_way));
        let reached: Vec<Batch> = under_way
            .filter_map(|job| match job {
                Job::Write(batch) => Some(batch),
                Job::Load(..) => None,
            })
            .take(kept)
            .collect();
        // A store that is broken takes nothing more; only what reached it before counts then.
        let _ = self.store.append(&reached);
        self.store.crash(reached.len());
        (self.failed, self.fault) = (false, None);
        self.doubtful.clear();
    }

    /// Whether what is held of a document may be gone by what was asked of the disk already.
    pub(crate) fn may_forget(&self, document: DocumentKey) -> bool {
        let asked = self.jobs.iter().filter_map(|job| match job {
            Job::Write(batch) => Some(batch),
            Job::Load(..) => None,
        });
        self.doubtful.contains(&document) || asked.flat_map(forgotten).any(|of| of == document)
    }

    /// Makes the next flush fail, and all after it until the disk is opened again.
    pub(crate) fn fail_next(&mut self, fault: Fault) {
        self.fault = Some(fault);
    }

    /// The next flush does not fail, if it was to.
    pub(crate) fn spare(&mut self) {
        self.fault = None;
    }
}

/// The documents that a batch forgets.
fn forgotten(batch: &Batch) -> impl Iterator<Item = DocumentKey> {
    batch.records.iter().filter_map(|record| match record {
        Record::Forget { document } => Some(*document),
        _ => None,
    })
}

impl Cluster {
    /// Makes the next write of a node fail for want of room, and all after it until a restart.
    pub fn fill_disk(&mut self, name: &str) {
        self.node_mut(name).disk.fail_next(Fault::DiskFull);
    }

    /// All logs that a node holds on its disk.
    pub fn logs(&self, name: &str) -> BTreeSet<LogId> {
        match self.node(name).disk.store.read(&Query::Opening) {
            Ok(Page::Opening { heads, .. }) => heads.into_iter().map(|(_, log, _)| log).collect(),
            other => panic!("{other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use fourword_protocol::record::{BatchId, LocalKey, Page};

    use super::*;

    fn batch(number: u64) -> Batch {
        let key = LocalKey { kind: "test".into(), of: number.to_be_bytes().to_vec() };
        Batch {
            id: BatchId(number),
            records: vec![Record::Local { key, value: Some(vec![1]) }],
            urgent: true,
        }
    }

    fn kept(disk: &Disk) -> usize {
        match disk.store.read(&Query::Opening) {
            Ok(Page::Opening { locals, .. }) => locals.len(),
            _ => 0,
        }
    }

    #[test]
    fn a_flush_takes_what_waits_when_it_begins_and_a_read_sees_what_was_asked_before() {
        let mut disk = Disk::default();
        disk.write(batch(1));
        disk.write(batch(2));
        disk.load(LoadId(1), Query::Opening);
        assert_eq!(disk.begin(), Some(Work::Flush { urgent: true }));
        disk.write(batch(3));
        assert_eq!(disk.begin(), None, "one thing at a time");
        assert_eq!(disk.end(), [Event::Durable(BatchId(1)), Event::Durable(BatchId(2))]);
        assert_eq!(disk.begin(), Some(Work::Read));
        let [Event::Loaded(_, Ok(Page::Opening { locals, .. }))] = &disk.end()[..] else { panic!("a page") };
        assert_eq!(locals.len(), 2);
        assert_eq!(disk.begin(), Some(Work::Flush { urgent: true }));
    }

    #[test]
    fn a_flush_is_urgent_if_anything_waits_for_any_of_it() {
        let mut disk = Disk::default();
        disk.write(Batch { urgent: false, ..batch(1) });
        assert_eq!(disk.begin(), Some(Work::Flush { urgent: false }));
        disk.end();
        disk.write(Batch { urgent: false, ..batch(2) });
        disk.load(LoadId(1), Query::Opening);
        assert_eq!(disk.begin(), Some(Work::Flush { urgent: true }), "the load sees it");
    }

    #[test]
    fn a_crash_loses_what_was_not_flushed_but_for_what_had_reached_the_disk() {
        let mut disk = Disk::default();
        [1, 2].into_iter().for_each(|number| disk.write(batch(number)));
        disk.begin();
        disk.write(batch(3));
        assert_eq!(disk.unflushed(), 3);
        disk.crash(1);
        assert_eq!((kept(&disk), disk.unflushed(), disk.begin()), (1, 0, None));
    }

    #[test]
    fn a_write_that_fails_is_told_and_so_is_every_one_after_it_until_the_disk_is_opened_again() {
        let mut disk = Disk::default();
        disk.fail_next(Fault::Torn(1));
        [1, 2].into_iter().for_each(|number| disk.write(batch(number)));
        disk.begin();
        assert!(disk.end().iter().all(|event| matches!(event, Event::WriteFailed(..))));
        disk.write(batch(3));
        disk.begin();
        assert!(disk.failed && matches!(disk.end()[..], [Event::WriteFailed(..)]));
        disk.crash(0);
        assert_eq!(kept(&disk), 1, "the first batch was there although nobody was told so");
        disk.write(batch(4));
        disk.begin();
        assert_eq!(disk.end(), [Event::Durable(BatchId(4))]);
    }
}
