//! Runs the store on a thread of its own and groups what waits into one flush.
//!
//! The machine's thread puts jobs in and never waits; `driver` takes no more commands and arrivals
//! while many jobs are in flight, which is what bounds the queue. While a flush runs, writes
//! gather, and the next flush takes all of them; writes for which nothing waits are gathered for a
//! moment. Order is kept: a load sees every write put in before it, and answers come in the order of
//! the jobs.

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
use crate::limits::{STORE_BYTES_MAX, STORE_GATHERS_FOR, STORE_JOBS_MAX};

/// So many jobs, or bytes to be written, are not gathered any longer: the machine would be held up.
const GATHERED_MAX: (usize, usize) = (STORE_JOBS_MAX / 4, STORE_BYTES_MAX / 4);

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
    /// About what the writes among them take.
    bytes: usize,
    /// When the oldest of them was put in.
    since: Option<Instant>,
    /// Something waits for one of them.
    urgent: bool,
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
        let (bytes, urgent) = (size(&batch), batch.urgent);
        self.bytes = self.bytes.saturating_add(bytes);
        self.put(Job::Write(batch), bytes, urgent);
    }

    /// Reads; answered by `Loaded`.
    pub(super) fn load(&mut self, id: LoadId, query: Query) {
        self.put(Job::Load(id, query), 0, true);
    }

    fn put(&mut self, job: Job, bytes: usize, urgent: bool) {
        self.count += 1;
        if self.queue.lock().put(job, (bytes, urgent), Instant::now()) {
            self.queue.changed.notify_one();
        }
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

impl State {
    /// Puts a job in. True if the thread has to wake: it knows itself when gathering ends.
    fn put(&mut self, job: Job, (bytes, urgent): (usize, bool), now: Instant) -> bool {
        let (was_empty, was_due) = (self.jobs.is_empty(), self.is_due(now));
        self.jobs.push_back(job);
        self.bytes = self.bytes.saturating_add(bytes);
        self.urgent |= urgent;
        self.since.get_or_insert(now);
        was_empty || (!was_due && self.is_due(now))
    }

    /// Whether the jobs are gathered no longer.
    fn is_due(&self, now: Instant) -> bool {
        let (jobs, bytes) = GATHERED_MAX;
        let is_old = || self.gathered_for(now).is_some_and(|so_long| so_long >= STORE_GATHERS_FOR);
        self.urgent || self.jobs.len() >= jobs || self.bytes >= bytes || is_old()
    }

    fn gathered_for(&self, now: Instant) -> Option<Duration> {
        self.since.map(|since| now.saturating_duration_since(since))
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements, also after a panic elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All jobs that wait, at least one, once they are due; empty at the end.
    fn take_all(&self) -> VecDeque<Job> {
        let mut state = self.lock();
        while !state.closed && !state.is_due(Instant::now()) {
            state = match state.gathered_for(Instant::now()) {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(so_long) => {
                    let left = STORE_GATHERS_FOR.saturating_sub(so_long);
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        let jobs = std::mem::take(&mut state.jobs);
        *state = State { closed: state.closed, ..State::default() };
        jobs
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
        Record::Forget { document } => document.0.len(),
        Record::Local { key, value } => key.of.len() + value.as_ref().map_or(0, Vec::len),
    });
    records.fold(0, |sum, bytes| sum.saturating_add(bytes))
}

#[cfg(test)]
mod tests {
    use fourword_protocol::record::BatchId;

    use super::*;

    fn put(state: &mut State, urgent: bool, now: Instant) -> bool {
        let batch = Batch { id: BatchId(0), records: Vec::new(), urgent };
        state.put(Job::Write(batch), (10, urgent), now)
    }

    #[test]
    fn writes_for_which_nothing_waits_are_gathered_for_a_moment_or_until_something_does() {
        let (mut state, begun) = (State::default(), Instant::now());
        assert!(!state.is_due(begun));
        assert!(put(&mut state, false, begun), "the thread has to count the time");
        let soon = begun + STORE_GATHERS_FOR / 2;
        assert!(!put(&mut state, false, soon) && !state.is_due(soon));
        assert!(state.is_due(begun + STORE_GATHERS_FOR), "the first of them counts");
        assert!(put(&mut state, true, soon) && state.is_due(soon));
        assert!(!put(&mut state, true, soon), "it is awake");
    }

    #[test]
    fn so_much_is_not_gathered_that_the_machine_is_held_up() {
        let (mut state, now) = (State::default(), Instant::now());
        let woken = (0..GATHERED_MAX.0).filter(|_| put(&mut state, false, now)).count();
        assert!(state.is_due(now) && woken == 2, "at the first and at the last");
        let mut state = State::default();
        let batch = Batch { id: BatchId(0), records: Vec::new(), urgent: false };
        assert!(state.put(Job::Write(batch), (GATHERED_MAX.1, false), now) && state.is_due(now));
    }
}
