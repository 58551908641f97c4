//! Runs the store on a thread of its own and groups what waits into one flush.
//!
//! The machine's thread puts jobs in and never waits; `driver` takes no more commands and arrivals
//! while many jobs are in flight, which is what bounds the queue. While a flush runs, writes
//! gather, and the next flush takes all of them. Order is kept: a load sees every write put in
//! before it, and answers come in the order of the jobs.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fourword_protocol::event::Event;
use fourword_protocol::record::{Batch, LoadId, Query, Record};
use fourword_storage::Store;
use tokio::sync::mpsc;

use super::report::Flushes;
use crate::limits::{STORE_BYTES_MAX, STORE_JOBS_MAX};

/// One thing for the store to do.
enum Job {
    Write(Batch),
    Load(LoadId, Query),
}

/// A job's answer, with the bytes that are in flight no more.
struct Answer {
    event: Event,
    bytes: usize,
    /// How long the flush took that ended with this answer.
    flush: Option<Duration>,
}

/// The machine's end: puts jobs in and takes answers out. When dropped, the thread does what is
/// left and ends.
pub(super) struct Jobs {
    queue: Arc<Queue>,
    answers: mpsc::Receiver<Answer>,
    count: usize,
    bytes: usize,
    flushes: Flushes,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

/// Starts the thread. Joining it gives the store back.
pub(super) fn start<S: Store + 'static>(store: S) -> io::Result<(Jobs, JoinHandle<S>)> {
    let queue = Arc::new(Queue::default());
    let (sender, answers) = mpsc::channel(STORE_JOBS_MAX);
    let taken = Arc::clone(&queue);
    let thread = std::thread::Builder::new().name("store".to_string());
    let thread = thread.spawn(move || run(store, &taken, &sender))?;
    Ok((Jobs { queue, answers, count: 0, bytes: 0, flushes: Flushes::default() }, thread))
}

impl Jobs {
    /// Makes a batch durable; answered by `Durable` or `WriteFailed`.
    pub(super) fn write(&mut self, batch: Batch) {
        self.bytes = self.bytes.saturating_add(size(&batch));
        self.put(Job::Write(batch));
    }

    /// Reads; answered by `Loaded`.
    pub(super) fn load(&mut self, id: LoadId, query: Query) {
        self.put(Job::Load(id, query));
    }

    fn put(&mut self, job: Job) {
        self.count += 1;
        self.queue.lock().jobs.push_back(job);
        self.queue.changed.notify_one();
    }

    /// Whether more that may lead to writes can be taken on.
    pub(super) fn has_room(&self) -> bool {
        self.count < STORE_JOBS_MAX && self.bytes < STORE_BYTES_MAX
    }

    /// Jobs in flight, and the bytes that they write.
    pub(super) fn in_flight(&self) -> (usize, usize) {
        (self.count, self.bytes)
    }

    /// The flushes so far.
    pub(super) fn flushes(&self) -> &Flushes {
        &self.flushes
    }

    /// The next answer; `None` if the thread has died.
    pub(super) async fn answer(&mut self) -> Option<Event> {
        let Answer { event, bytes, flush } = self.answers.recv().await?;
        if let Some(took) = flush {
            self.flushes.add(took, matches!(event, Event::WriteFailed(..)));
        }
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        Some(event)
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.changed.notify_one();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements, also after a panic elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All jobs that wait, at least one; empty at the end.
    fn take_all(&self) -> VecDeque<Job> {
        let mut state = self.lock();
        while state.jobs.is_empty() && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::take(&mut state.jobs)
    }
}

fn run<S: Store>(mut store: S, queue: &Queue, answers: &mpsc::Sender<Answer>) -> S {
    loop {
        let jobs = queue.take_all();
        if jobs.is_empty() {
            return store;
        }
        let mut batches = Vec::new();
        for job in jobs {
            match job {
                Job::Write(batch) => batches.push(batch),
                Job::Load(id, query) => {
                    flush(&mut store, &mut batches, answers);
                    let page = store.read(&query).map_err(|error| {
                        tracing::error!(%error, "reading failed");
                        error.failure()
                    });
                    tell(answers, Event::Loaded(id, page), 0, None);
                }
            }
        }
        flush(&mut store, &mut batches, answers);
    }
}

/// Makes all batches durable at once.
fn flush<S: Store>(store: &mut S, batches: &mut Vec<Batch>, answers: &mpsc::Sender<Answer>) {
    if batches.is_empty() {
        return;
    }
    let begun = Instant::now();
    let written = store.write(batches).map_err(|error| {
        tracing::error!(%error, "writing failed");
        error.failure()
    });
    let mut flush = Some(begun.elapsed());
    for batch in batches.drain(..) {
        let event = match &written {
            Ok(()) => Event::Durable(batch.id),
            Err(failure) => Event::WriteFailed(batch.id, failure.clone()),
        };
        tell(answers, event, size(&batch), flush.take());
    }
}

fn tell(answers: &mpsc::Sender<Answer>, event: Event, bytes: usize, flush: Option<Duration>) {
    // Fails only when the machine has ended and nobody waits for answers.
    let _ = answers.blocking_send(Answer { event, bytes, flush });
}

/// About what a batch takes in memory.
fn size(batch: &Batch) -> usize {
    let records = batch.records.iter().map(|record| match record {
        Record::Statement { bytes, .. }
        | Record::Envelope { bytes, .. }
        | Record::SnapshotPart { bytes, .. } => bytes.len(),
        Record::Snapshot { covers, .. } => size_of_val(covers.as_slice()),
        Record::Local { key, value } => key.of.len() + value.as_ref().map_or(0, Vec::len),
    });
    records.fold(0, |sum, bytes| sum.saturating_add(bytes))
}
