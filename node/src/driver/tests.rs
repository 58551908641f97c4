//! The driver with a scripted machine and a store that waits for permission.

use std::sync::mpsc as blocking;
use std::time::Duration as StdDuration;

use fourword_protocol::command::{Command, Notice, Outcome, Progress, RefusalCode, Reply};
use fourword_protocol::ids::DeviceKey;
use fourword_protocol::record::{Batch, BatchId, LoadId, LocalKey, Page, Query, Record, StoreFailure};
use fourword_protocol::time::Duration;
use fourword_protocol::words::Naming;
use fourword_storage::{Fault, MemoryStore, StoreError};

use super::*;

const DEADLINE: StdDuration = StdDuration::from_secs(30);

/// A machine that does what a closure says.
struct Script<F>(F);

impl<F: FnMut(Now, Event) -> Vec<Effect> + Send + 'static> Machine for Script<F> {
    fn handle(&mut self, now: Now, event: Event) -> Vec<Effect> {
        (self.0)(now, event)
    }
}

/// Tells what it is asked to do; each write waits for a permit.
struct Gated {
    told: blocking::Sender<Vec<u64>>,
    permits: blocking::Receiver<()>,
    inner: MemoryStore,
}

impl Store for Gated {
    fn write(&mut self, batches: &[Batch]) -> Result<(), StoreError> {
        self.told.send(batches.iter().map(|batch| batch.id.0).collect()).unwrap();
        self.permits.recv_timeout(DEADLINE).unwrap();
        self.inner.write(batches)
    }

    fn read(&self, query: &Query) -> Result<Page, StoreError> {
        self.told.send(Vec::new()).unwrap();
        self.inner.read(query)
    }
}

fn batch(number: u64) -> Batch {
    let key = LocalKey { kind: "test".to_string(), of: number.to_be_bytes().to_vec() };
    Batch { id: BatchId(number), records: vec![Record::Local { key, value: Some(vec![1]) }], urgent: true }
}

fn ok() -> Outcome {
    Outcome::Done(Reply::Ok)
}

fn run<S: Store + 'static>(
    store: S,
    script: impl FnMut(Now, Event) -> Vec<Effect> + Send + 'static,
) -> Running<S> {
    start(Script(script), store, false, swarm::Options::default()).unwrap()
}

/// Stops a node whose script answers `Stopping` with `Stopped`, and gives its store back.
async fn stop<S: Send + 'static>(running: Running<S>) -> S {
    let (give, store) = blocking::channel();
    let handle = running.handle.clone();
    let waiting = tokio::spawn(running.wait(move |store| {
        give.send(store).unwrap();
        Ok(())
    }));
    tokio::time::timeout(DEADLINE, handle.stop()).await.unwrap();
    waiting.await.unwrap().unwrap();
    store.recv().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_come_while_one_is_in_flight_go_in_one_flush() {
    let (told, groups) = blocking::channel();
    let (permit, permits) = blocking::channel();
    let store = Gated { told, permits, inner: MemoryStore::new() };
    let (durable, durables) = blocking::channel();
    let mut next = 1;
    let running = run(store, move |_, event| match event {
        Event::Started { .. } => vec![Effect::Write(batch(0))],
        Event::Asked(id, _) => {
            next += 1;
            vec![Effect::Write(batch(next - 1)), Effect::Answer(id, ok())]
        }
        Event::Durable(BatchId(number)) => {
            durable.send(number).unwrap();
            Vec::new()
        }
        Event::Stopping => vec![Effect::Stopped],
        _ => Vec::new(),
    });
    assert_eq!(groups.recv_timeout(DEADLINE).unwrap(), [0]);
    for _ in 0..3 {
        running.handle.ask(Command::Status).await.unwrap();
    }
    permit.send(()).unwrap();
    assert_eq!(groups.recv_timeout(DEADLINE).unwrap(), [1, 2, 3]);
    assert_eq!(durables.recv_timeout(DEADLINE).unwrap(), 0);
    assert!(durables.try_recv().is_err(), "nothing is durable before its flush returned");
    permit.send(()).unwrap();
    for number in 1..4 {
        assert_eq!(durables.recv_timeout(DEADLINE).unwrap(), number);
    }
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nothing_waits_for_becomes_durable_all_the_same() {
    let (durable, durables) = blocking::channel();
    let running = run(MemoryStore::new(), move |_, event| match event {
        Event::Started { .. } => vec![Effect::Write(Batch { urgent: false, ..batch(1) })],
        Event::Durable(BatchId(number)) => {
            durable.send(number).unwrap();
            Vec::new()
        }
        Event::Stopping => vec![Effect::Stopped],
        _ => Vec::new(),
    });
    assert_eq!(durables.recv_timeout(DEADLINE).unwrap(), 1);
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_sees_the_writes_before_it_and_not_those_after_it() {
    let (give, pages) = blocking::channel();
    let running = run(MemoryStore::new(), move |_, event| match event {
        Event::Started { .. } => {
            let loads = [LoadId(1), LoadId(2)].map(|id| Effect::Load(id, Query::Opening));
            let [first, second] = loads;
            vec![Effect::Write(batch(1)), first, Effect::Write(batch(2)), second]
        }
        Event::Loaded(id, Ok(Page::Opening { locals, .. })) => {
            give.send((id.0, locals.len())).unwrap();
            Vec::new()
        }
        Event::Stopping => vec![Effect::Stopped],
        _ => Vec::new(),
    });
    assert_eq!(pages.recv_timeout(DEADLINE).unwrap(), (1, 1));
    assert_eq!(pages.recv_timeout(DEADLINE).unwrap(), (2, 2));
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_write_is_told_to_the_machine() {
    let mut store = MemoryStore::new();
    store.fail_next(Fault::DiskFull);
    let (give, failures) = blocking::channel();
    let running = run(store, move |_, event| match event {
        Event::Started { .. } => vec![Effect::Write(batch(7))],
        Event::WriteFailed(id, failure) => {
            give.send((id, failure)).unwrap();
            Vec::new()
        }
        Event::Stopping => vec![Effect::Stopped],
        _ => Vec::new(),
    });
    assert_eq!(failures.recv_timeout(DEADLINE).unwrap(), (BatchId(7), StoreFailure::DiskFull));
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_while_stopping_is_in_the_store_that_is_closed() {
    let running = run(MemoryStore::new(), |_, event| match event {
        Event::Stopping => vec![Effect::Write(batch(1))],
        Event::Durable(_) => vec![Effect::Stopped],
        _ => Vec::new(),
    });
    match stop(running).await.read(&Query::Opening).unwrap() {
        Page::Opening { locals, .. } => assert_eq!(locals.len(), 1),
        page => panic!("{page:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_panics_ends_the_node_without_closing_the_store() {
    let running = run(MemoryStore::new(), |_, event| match event {
        Event::Asked(..) => panic!("a broken invariant"),
        _ => Vec::new(),
    });
    let asked = running.handle.ask(Command::Status).await;
    assert_eq!(asked, Err(Stopped));
    let handle = running.handle.clone();
    let (closed, was_closed) = blocking::channel();
    let ended = running.wait(move |_| Ok(closed.send(())?)).await;
    assert!(ended.is_err());
    assert!(was_closed.try_recv().is_err());
    assert_eq!(handle.ask(Command::Status).await, Err(Stopped));
    handle.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_panics_ends_the_node() {
    struct Broken;
    impl Store for Broken {
        fn write(&mut self, _: &[Batch]) -> Result<(), StoreError> {
            panic!("a broken store")
        }
        fn read(&self, _: &Query) -> Result<Page, StoreError> {
            panic!("a broken store")
        }
    }
    let running = run(Broken, |_, event| match event {
        Event::Started { .. } => vec![Effect::Write(batch(1))],
        _ => Vec::new(),
    });
    let ended = tokio::time::timeout(DEADLINE, running.wait(|_| Ok(()))).await.unwrap();
    assert!(ended.unwrap_err().to_string().contains("store"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_comes_before_the_answer_and_notices_to_all_who_listen() {
    let progress = |done| Progress { what: "counting".to_string(), done, expected: 3 };
    let notice = Notice::PeerChanged { device: DeviceKey([1; 32]), connected: true };
    let noticed = notice.clone();
    let running = run(MemoryStore::new(), move |_, event| match event {
        Event::Asked(id, _) => (1..=3)
            .map(|done| Effect::Report(id, progress(done)))
            .chain([Effect::Notify(noticed.clone()), Effect::Answer(id, ok())])
            .collect(),
        Event::Stopping => vec![Effect::Stopped],
        _ => Vec::new(),
    });
    let mut notices = [running.handle.notices(), running.handle.notices()];
    let mut seen = Vec::new();
    let outcome =
        running.handle.ask_with_progress(Command::Status, |progress| seen.push(progress.done)).await;
    assert_eq!((outcome, seen), (Ok(ok()), vec![1, 2, 3]));
    for listener in &mut notices {
        assert_eq!(listener.recv().await, Ok(notice.clone()));
    }
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_beyond_the_bound_are_refused_until_somebody_gives_up() {
    let running = run(MemoryStore::new(), |_, event| match event {
        Event::Asked(id, Command::Peers) => vec![Effect::Answer(id, ok())],
        Event::Stopping => vec![Effect::Stopped],
        _ => Vec::new(),
    });
    let mut waiting: Vec<Asking> =
        (0..COMMANDS_MAX).map(|_| running.handle.begin(Command::Status).unwrap()).collect();
    match running.handle.ask(Command::Peers).await {
        Ok(Outcome::Refused(refusal)) => assert_eq!(refusal.code, RefusalCode::TooMuch),
        other => panic!("{other:?}"),
    }
    waiting.clear();
    // The queue into the machine empties as fast as it takes commands.
    let answered = async {
        loop {
            match running.handle.ask(Command::Peers).await.unwrap() {
                Outcome::Done(_) => break,
                Outcome::Refused(_) => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(DEADLINE, answered).await.unwrap();
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_machine_is_woken_at_the_last_time_it_asked_for_and_once() {
    let (give, wakes) = blocking::channel();
    let running = run(MemoryStore::new(), move |now, event| match event {
        Event::Started { .. } => {
            let far = Effect::WakeAt(now.instant + Duration::from_secs(3600));
            vec![far, Effect::WakeAt(now.instant + Duration(20))]
        }
        Event::Wake => {
            give.send(now.instant).unwrap();
            Vec::new()
        }
        Event::Stopping => vec![Effect::Stopped],
        _ => Vec::new(),
    });
    assert!(wakes.recv_timeout(DEADLINE).unwrap() >= Instant(20));
    stop(running).await;
    assert!(wakes.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stretch_is_answered_with_what_it_gives() {
    let input = |byte| StretchInput::Name(Naming::Test, [byte; 32]);
    let (give, stretched) = blocking::channel();
    let running = run(MemoryStore::new(), move |_, event| match event {
        Event::Started { .. } => {
            (0..5).map(|number| Effect::Stretch(StretchId(number), input(number as u8))).collect()
        }
        Event::Stretched(id, bytes) => {
            give.send((id.0, bytes)).unwrap();
            Vec::new()
        }
        Event::Stopping => vec![Effect::Stopped],
        _ => Vec::new(),
    });
    let mut answers: Vec<(u64, [u8; 32])> =
        (0..5).map(|_| stretched.recv_timeout(DEADLINE).unwrap()).collect();
    answers.sort_unstable();
    let expected: Vec<(u64, [u8; 32])> = (0..5).map(|number| (number, input(number as u8).run())).collect();
    assert_eq!(answers, expected);
    stop(running).await;
}
