//! Runs the machine on real I/O: turns its effects into I/O and what happens into its events.
//!
//! The only module that sees both sides. The machine lives on one thread; the store on another;
//! the swarm and the callers on tokio. Effects are carried out in order. Nobody waits in a circle:
//! the store's answers have their own channel and the machine never waits for the store; the swarm
//! takes orders at all times, so the machine may wait for it; and neither commands nor arrivals
//! are taken while the store has much to do.

mod handle;
mod report;
mod store;

use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use fourword_protocol::command::{CommandId, Outcome, Progress};
use fourword_protocol::effect::Effect;
use fourword_protocol::event::{Event, StretchId};
use fourword_protocol::identity::DeviceSecret;
use fourword_protocol::limits::COMMANDS_MAX;
use fourword_protocol::replicator::Replicator;
use fourword_protocol::time::{Instant, Now, WallTime};
use fourword_protocol::words::StretchInput;
use fourword_storage::Store;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use self::handle::{Ask, Callers};
pub use self::handle::{Asking, Handle, Stopped};
use self::report::Counts;
pub use self::report::{Envelopes, Flushes, Queues, Report};
use self::store::Jobs;
use crate::clock;
use crate::limits::{MACHINE_STACK_BYTES, STRETCHES_MAX};
use crate::swarm::{self, Arrival, ListenError, Network, Order};

/// What decides: the protocol's machine, or a script in tests.
pub trait Machine: Send + 'static {
    /// Advances by one event and returns what must now be done, in order.
    fn handle(&mut self, now: Now, event: Event) -> Vec<Effect>;
}

impl Machine for Replicator {
    fn handle(&mut self, now: Now, event: Event) -> Vec<Effect> {
        Replicator::handle(self, now, event)
    }
}

/// Why a node ended that nobody stopped.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It could not listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A part of it died, and the node without it would only pretend to run.
    #[error("the {0} failed, which is a fault of this program; the log says more")]
    Died(&'static str),
}

/// A node whose threads run.
pub struct Running<S> {
    /// Speaks with it.
    pub handle: Handle,
    machine: JoinHandle<Result<(), Failure>>,
    store: JoinHandle<S>,
    ending: watch::Sender<()>,
}

/// Starts the threads of a node. Must be called within a tokio runtime.
///
/// `clean` is what the store says of the last stop. The network is opened when the machine says
/// so; if that fails, the node ends.
pub fn start<S: Store + 'static>(
    machine: impl Machine,
    store: S,
    clean: bool,
    network: swarm::Options,
) -> io::Result<Running<S>> {
    let (jobs, store) = store::start(store)?;
    let (handle, callers, ending) = handle::handle();
    let runtime = tokio::runtime::Handle::current();
    let thread = std::thread::Builder::new().name("machine".to_string()).stack_size(MACHINE_STACK_BYTES);
    let machine = thread.spawn(move || {
        let driver = Driver::new(machine, jobs, callers, network);
        runtime.block_on(driver.run(clean))
    })?;
    Ok(Running { handle, machine, store, ending })
}

impl<S: Send + 'static> Running<S> {
    /// Waits for the node's end. After an orderly stop all is written, and the store is given to
    /// `close`; after any other end it is dropped as it is, so that the stop does not count as
    /// clean.
    pub async fn wait(
        self,
        close: impl FnOnce(S) -> anyhow::Result<()> + Send + 'static,
    ) -> anyhow::Result<()> {
        // The handle is kept: a node without one stops.
        let Running { handle: _handle, machine, store, ending } = self;
        let joined = tokio::task::spawn_blocking(move || {
            let ended = machine.join().unwrap_or(Err(Failure::Died("machine")));
            let store = store.join().map_err(|_| Failure::Died("store"));
            ended?;
            close(store?)
        });
        let ended = joined.await.context("closing the store");
        drop(ending);
        ended?
    }
}

/// What the machine's thread owns.
struct Driver<M> {
    machine: M,
    clock: std::time::Instant,
    jobs: Jobs,
    callers: Callers,
    waiting: BTreeMap<CommandId, Waiting>,
    options: swarm::Options,
    network: Option<Network>,
    stretching: Arc<Semaphore>,
    stretched: (mpsc::Sender<Stretched>, mpsc::Receiver<Stretched>),
    wake: Option<Instant>,
    counts: Counts,
    stopping: bool,
    stopped: bool,
}

type Stretched = (StretchId, [u8; 32]);

/// Somebody who waits for a command's answer.
struct Waiting {
    answer: oneshot::Sender<Outcome>,
    progress: mpsc::Sender<Progress>,
}

impl<M: Machine> Driver<M> {
    fn new(machine: M, jobs: Jobs, callers: Callers, options: swarm::Options) -> Driver<M> {
        Driver {
            machine,
            clock: std::time::Instant::now(),
            jobs,
            callers,
            waiting: BTreeMap::new(),
            options,
            network: None,
            stretching: Arc::new(Semaphore::new(STRETCHES_MAX)),
            stretched: mpsc::channel(STRETCHES_MAX),
            wake: None,
            counts: Counts::default(),
            stopping: false,
            stopped: false,
        }
    }

    /// Runs until the machine says that all is written, then closes the network.
    async fn run(mut self, clean: bool) -> Result<(), Failure> {
        let mut event = Event::Started { clean };
        loop {
            let effects = self.machine.handle(self.now(), event);
            for effect in effects {
                self.carry_out(effect).await?;
            }
            if self.stopped {
                break;
            }
            event = loop {
                if let Some(event) = self.next().await? {
                    break event;
                }
            };
            self.counts.events += 1;
        }
        if let Some(Network { orders, arrivals, task }) = self.network {
            drop((orders, arrivals));
            task.await.map_err(|_| Failure::Died("network"))?;
        }
        Ok(())
    }

    fn now(&self) -> Now {
        let instant = u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now { instant: Instant(instant), wall: WallTime(clock::wall_ms()) }
    }

    /// Waits for what happens next; `None` if that was no affair of the machine.
    async fn next(&mut self) -> Result<Option<Event>, Failure> {
        let has_room = self.jobs.has_room();
        let wake = self.wake.map(|Instant(wake)| self.clock + Duration::from_millis(wake));
        tokio::select! {
            answer = self.jobs.answer() => answer.map(Some).ok_or(Failure::Died("store")),
            Some((id, bytes)) = self.stretched.1.recv() => Ok(Some(Event::Stretched(id, bytes))),
            () = sleep_until(wake) => {
                self.wake = None;
                Ok(Some(Event::Wake))
            }
            () = asked_to_stop(&mut self.callers.stop), if !self.stopping => {
                self.stopping = true;
                Ok(Some(Event::Stopping))
            }
            Some(asker) = self.callers.looks.recv() => self.report(asker).await.map(|()| None),
            Some(ask) = self.callers.asks.recv(), if has_room => Ok(Some(self.asked(ask))),
            arrival = next_arrival(&mut self.network), if has_room => {
                arrival.map(|arrival| Some(arrival.event)).ok_or(Failure::Died("network"))
            }
        }
    }

    /// Tells how the node does: this thread its part, the network's task its own.
    async fn report(&mut self, asker: oneshot::Sender<Report>) -> Result<(), Failure> {
        let report = Report {
            uptime_s: self.clock.elapsed().as_secs(),
            waiting: self.counts.waiting(self.waiting.len(), &self.jobs),
            envelopes: self.counts.envelopes.clone(),
            events: self.counts.events,
            flushes: self.jobs.flushes().clone(),
            network: None,
        };
        let (answer, answered) = oneshot::channel();
        if self.network.is_some() {
            self.order(Order::Report(answer)).await?;
        }
        tokio::spawn(async move {
            // An error says that there is no network, or none any more.
            let network = answered.await.ok();
            // Fails if the asker has gone.
            let _ = asker.send(Report { network, ..report });
        });
        Ok(())
    }

    fn asked(&mut self, ask: Ask) -> Event {
        let Ask { id, command, answer, progress } = ask;
        if self.waiting.len() >= COMMANDS_MAX {
            self.waiting.retain(|_, waiting| !waiting.answer.is_closed());
        }
        self.waiting.insert(id, Waiting { answer, progress });
        Event::Asked(id, command)
    }

    async fn carry_out(&mut self, effect: Effect) -> Result<(), Failure> {
        match effect {
            Effect::Listen(secret) => self.listen(&secret)?,
            Effect::Write(batch) => {
                self.counts.envelopes.add(&batch);
                self.jobs.write(batch);
            }
            Effect::Load(id, query) => self.jobs.load(id, query),
            Effect::Stretch(id, input) => self.stretch(id, input),
            Effect::Connect(address) => self.order(Order::Connect(address)).await?,
            Effect::Offer(key) => self.order(Order::Offer(key)).await?,
            Effect::Withdraw(key) => self.order(Order::Withdraw(key)).await?,
            Effect::Find(key) => self.order(Order::Find(key)).await?,
            Effect::Reach(device) => self.order(Order::Reach(device)).await?,
            Effect::Fellows(devices) => self.order(Order::Fellows(devices)).await?,
            Effect::Disconnect(device, reason) => self.order(Order::Disconnect(device, reason)).await?,
            Effect::Send(device, frame) => self.order(Order::Send(device, frame)).await?,
            Effect::Subscribe(topic) => self.order(Order::Subscribe(topic)).await?,
            Effect::Unsubscribe(topic) => self.order(Order::Unsubscribe(topic)).await?,
            Effect::Publish(topic, bytes) => self.order(Order::Publish(topic, bytes)).await?,
            Effect::Judge(id, verdict) => self.order(Order::Judge(id, verdict)).await?,
            Effect::Answer(id, outcome) => {
                if let Some(waiting) = self.waiting.remove(&id) {
                    // Fails if the asker has given up waiting.
                    let _ = waiting.answer.send(outcome);
                }
            }
            Effect::Report(id, progress) => {
                if let Some(waiting) = self.waiting.get(&id) {
                    // Fails if the asker lags or has gone; later reports say it all.
                    let _ = waiting.progress.try_send(progress);
                }
            }
            Effect::Notify(notice) => {
                // Fails if nobody listens.
                let _ = self.callers.notices.send(notice);
            }
            Effect::WakeAt(at) => self.wake = Some(at),
            Effect::Stopped => self.stopped = true,
        }
        Ok(())
    }

    fn listen(&mut self, secret: &DeviceSecret) -> Result<(), ListenError> {
        let (listening, paths) = (self.callers.listening.clone(), self.callers.paths.clone());
        let network = swarm::start(&secret.signing_seed(), &self.options, listening, paths)?;
        self.network = Some(network);
        self.counts.envelopes.own = Some(secret.key());
        Ok(())
    }

    /// Hands an order to the swarm; waits while others are before it, never for the network.
    async fn order(&mut self, order: Order) -> Result<(), Failure> {
        match &self.network {
            Some(network) => network.orders.send(order).await.map_err(|_| Failure::Died("network")),
            None => {
                tracing::error!(?order, "ordered before the network was opened");
                Ok(())
            }
        }
    }

    fn stretch(&self, id: StretchId, input: StretchInput) {
        let (room, stretched) = (Arc::clone(&self.stretching), self.stretched.0.clone());
        tokio::spawn(async move {
            let Ok(_room) = room.acquire_owned().await else { return };
            match tokio::task::spawn_blocking(move || input.run()).await {
                // Fails only when the machine has ended.
                Ok(bytes) => drop(stretched.send((id, bytes)).await),
                Err(error) => tracing::error!(%error, "stretching a name failed"),
            }
        });
    }
}

async fn asked_to_stop(stop: &mut watch::Receiver<bool>) {
    // An error says that no handle is left: then nobody can ever stop the node.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn next_arrival(network: &mut Option<Network>) -> Option<Arrival> {
    match network {
        Some(network) => network.arrivals.recv().await,
        None => pending().await,
    }
}

async fn sleep_until(wake: Option<std::time::Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake.into()).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests;
