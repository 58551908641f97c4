//! How the rest of the process speaks with the node: asks, listens, stops.
//!
//! The API and the command line hold clones. What an asker waits for lives here and in the driver,
//! never in the machine. Invariant: at most `COMMANDS_MAX` commands wait for an answer; whoever
//! gives up waiting makes room at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fourword_protocol::command::{Command, CommandId, Notice, Outcome, Progress, Refusal, RefusalCode};
use fourword_protocol::limits::COMMANDS_MAX;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc, oneshot, watch};

use super::Report;
use crate::limits::{LOOKS_MAX, NOTICES_MAX, REPORTS_MAX};
use crate::swarm::{Listening, Paths};

/// The node has stopped, or is stopping, and answers no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node has stopped")]
pub struct Stopped;

/// Speaks with a running node, which stops when no handle is left.
#[derive(Clone)]
pub struct Handle {
    asks: mpsc::Sender<Ask>,
    looks: mpsc::Sender<oneshot::Sender<Report>>,
    next: Arc<AtomicU64>,
    room: Arc<Semaphore>,
    notices: broadcast::Sender<Notice>,
    listening: watch::Receiver<Listening>,
    paths: watch::Receiver<Paths>,
    stop: watch::Sender<bool>,
    ended: watch::Receiver<()>,
}

/// A command that waits for its answer. Dropping it gives up waiting; the command goes on.
pub struct Asking {
    id: CommandId,
    answer: oneshot::Receiver<Outcome>,
    progress: mpsc::Receiver<Progress>,
    _room: Option<OwnedSemaphorePermit>,
}

/// A command on its way to the machine.
pub(super) struct Ask {
    pub(super) id: CommandId,
    pub(super) command: Command,
    pub(super) answer: oneshot::Sender<Outcome>,
    pub(super) progress: mpsc::Sender<Progress>,
}

/// The driver's end of all handles.
pub(super) struct Callers {
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) looks: mpsc::Receiver<oneshot::Sender<Report>>,
    pub(super) notices: broadcast::Sender<Notice>,
    pub(super) listening: watch::Sender<Listening>,
    pub(super) paths: watch::Sender<Paths>,
    pub(super) stop: watch::Receiver<bool>,
}

/// A handle, the driver's end, and what is dropped when all has ended.
pub(super) fn handle() -> (Handle, Callers, watch::Sender<()>) {
    let (asks, asked) = mpsc::channel(COMMANDS_MAX);
    let (looks, looked) = mpsc::channel(LOOKS_MAX);
    let (notices, _) = broadcast::channel(NOTICES_MAX);
    let (told, listening) = watch::channel(Listening::default());
    let (paths_told, paths) = watch::channel(Paths::new());
    let (stop, stopping) = watch::channel(false);
    let (ending, ended) = watch::channel(());
    let handle = Handle {
        asks,
        looks,
        next: Arc::new(AtomicU64::new(0)),
        room: Arc::new(Semaphore::new(COMMANDS_MAX)),
        notices: notices.clone(),
        listening,
        paths,
        stop,
        ended,
    };
    let (listening, paths) = (told, paths_told);
    let callers = Callers { asks: asked, looks: looked, notices, listening, paths, stop: stopping };
    (handle, callers, ending)
}

impl Handle {
    /// Asks for something and waits for the answer.
    pub async fn ask(&self, command: Command) -> Result<Outcome, Stopped> {
        self.begin(command)?.outcome().await
    }

    /// Asks for something and reports how far it has come while it waits for the answer.
    pub async fn ask_with_progress(
        &self,
        command: Command,
        mut report: impl FnMut(Progress),
    ) -> Result<Outcome, Stopped> {
        let mut asking = self.begin(command)?;
        while let Some(progress) = asking.progress().await {
            report(progress);
        }
        asking.outcome().await
    }

    /// Asks for something without waiting. If too many wait already, the answer is a refusal.
    pub fn begin(&self, command: Command) -> Result<Asking, Stopped> {
        let id = CommandId(self.next.fetch_add(1, Ordering::Relaxed));
        let (answer, answered) = oneshot::channel();
        let (progress, reports) = mpsc::channel(REPORTS_MAX);
        let room = Arc::clone(&self.room).try_acquire_owned().ok();
        let ask = Ask { id, command, answer, progress };
        let ask =
            if room.is_some() { self.asks.try_send(ask) } else { Err(mpsc::error::TrySendError::Full(ask)) };
        match ask {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(Stopped),
            // The receiver is at hand, so this cannot fail.
            Err(mpsc::error::TrySendError::Full(ask)) => drop(ask.answer.send(too_much())),
        }
        Ok(Asking { id, answer: answered, progress: reports, _room: room })
    }

    /// How the node does. An answer says that its machine and its network go round.
    pub async fn report(&self) -> Result<Report, Stopped> {
        let (answer, report) = oneshot::channel();
        self.looks.send(answer).await.map_err(|_| Stopped)?;
        report.await.map_err(|_| Stopped)
    }

    /// Notices from now on. A listener that lags behind is told how many it missed.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Where this node can be dialled, those addresses last that only this machine can use.
    pub fn addresses(&self) -> Vec<String> {
        self.listening.borrow().addresses.clone()
    }

    /// By which path each connected device is reached.
    pub fn paths(&self) -> Paths {
        self.paths.borrow().clone()
    }

    /// Waits until every address asked for is listened on.
    pub async fn addresses_ready(&self) -> Result<(), Stopped> {
        let mut listening = self.listening.clone();
        listening.wait_for(|listening| listening.ready).await.map(drop).map_err(|_| Stopped)
    }

    /// Asks the node to stop and waits until all is written and closed.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        // Nothing is ever sent: this waits for the sender to be dropped.
        let _ = self.ended.clone().changed().await;
    }
}

impl Asking {
    /// Names the command, so that another one can refer to it.
    pub fn id(&self) -> CommandId {
        self.id
    }

    /// The next report of progress; `None` once the command is answered. Some may be left out.
    pub async fn progress(&mut self) -> Option<Progress> {
        self.progress.recv().await
    }

    /// Waits for the answer.
    pub async fn outcome(self) -> Result<Outcome, Stopped> {
        self.answer.await.map_err(|_| Stopped)
    }
}

fn too_much() -> Outcome {
    Outcome::Refused(Refusal {
        code: RefusalCode::TooMuch,
        message: format!("{COMMANDS_MAX} commands wait for an answer already"),
        hint: "try again in a while".to_string(),
    })
}
