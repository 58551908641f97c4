//! The local API: how programs on this device speak to the node, the command line among them.
//!
//! HTTP with JSON under `/api/v1`, on a unix socket and on loopback TCP (`server`). A handler maps
//! a request to one command of the machine and the reply to an object of its own; the types of the
//! protocol are never shown. One file per noun; `routes` has all operations, `error` has the status codes, `guard` says who may
//! ask. Invariant: everything read is bounded and everything waited for has an end.

pub mod boards;
pub mod body;
pub mod bounded;
pub mod canvases;
pub mod chat;
pub mod devices;
pub mod documents;
pub mod error;
pub mod events;
pub mod filter;
pub mod groups;
pub mod guard;
pub mod history;
pub mod identity;
pub mod inbox;
pub mod invites;
pub mod issue_file;
pub mod issues;
pub mod joins;
pub mod log;
pub mod members;
pub mod metrics;
pub mod node;
pub mod openapi;
pub mod operation;
pub mod pictures;
pub mod presence;
pub mod progress;
pub mod requests;
pub mod revision;
mod routes;
pub mod search;
pub mod server;
pub mod sync;
pub mod text;
pub mod things;
pub mod tombstones;
pub mod undo;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use fourword_protocol::command::{Command, Notice, Outcome, Progress, Reply};
use fourword_protocol::limits;
use fourword_protocol::schema::thing::ThingId;
use futures::future::BoxFuture;
use tokio::sync::{OwnedRwLockWriteGuard, RwLock, Semaphore, broadcast, mpsc, watch};

use crate::driver::{Handle, Report, Stopped};
use crate::logging::Levels;
use crate::reading::Reading;
use crate::swarm::{self, addresses};
use error::{Code, Problem};

/// How long a command may take that is not known to be long.
const ASK_TIME_MAX: Duration = Duration::from_secs(30);

/// How long a node that goes round may take to say how it does: its disk may be slow, not its parts.
const REPORT_TIME_MAX: Duration = Duration::from_secs(10);

/// Who answers commands: the running node; in tests a script.
pub trait Answers: Send + Sync + 'static {
    /// Asks one command. Dropping the future forgets the asker, not what was begun.
    fn ask(&self, command: Command) -> BoxFuture<'_, Result<Outcome, Stopped>>;

    /// Asks one command and hears how far it has come.
    fn ask_with_progress(
        &self,
        command: Command,
        progress: mpsc::Sender<Progress>,
    ) -> BoxFuture<'_, Result<Outcome, Stopped>>;

    /// Asks one command and, once `wait` is over, has it answered as it then stands.
    fn ask_for(&self, command: Command, wait: Duration) -> BoxFuture<'_, Result<Outcome, Stopped>>;

    /// What changes from now on.
    fn notices(&self) -> broadcast::Receiver<Notice>;

    /// How the node does, in numbers. An answer says that all of it goes round.
    fn report(&self) -> BoxFuture<'_, Result<Report, Stopped>>;

    /// Where this node may be dialled, the best addresses first.
    fn addresses(&self) -> Vec<String>;

    /// By which path each connected device is reached.
    fn paths(&self) -> swarm::Paths;
}

impl Answers for Handle {
    fn ask(&self, command: Command) -> BoxFuture<'_, Result<Outcome, Stopped>> {
        Box::pin(Handle::ask(self, command))
    }

    fn ask_with_progress(
        &self,
        command: Command,
        progress: mpsc::Sender<Progress>,
    ) -> BoxFuture<'_, Result<Outcome, Stopped>> {
        Box::pin(async move {
            let mut asking = self.begin(command)?;
            while let Some(report) = asking.progress().await {
                // Whoever listened may have gone: the answer is waited for nevertheless.
                let _ = progress.send(report).await;
            }
            asking.outcome().await
        })
    }

    fn ask_for(&self, command: Command, wait: Duration) -> BoxFuture<'_, Result<Outcome, Stopped>> {
        Box::pin(async move {
            let asking = self.begin(command)?;
            let id = asking.id();
            let outcome = asking.outcome();
            tokio::pin!(outcome);
            if let Ok(outcome) = tokio::time::timeout(wait, &mut outcome).await {
                return outcome;
            }
            // Its own answer tells nothing: what counts is that the first command is answered now.
            drop(self.begin(Command::StopWaiting(id))?);
            outcome.await
        })
    }

    fn notices(&self) -> broadcast::Receiver<Notice> {
        Handle::notices(self)
    }

    fn report(&self) -> BoxFuture<'_, Result<Report, Stopped>> {
        Box::pin(Handle::report(self))
    }

    fn addresses(&self) -> Vec<String> {
        Handle::addresses(self)
    }

    fn paths(&self) -> swarm::Paths {
        Handle::paths(self)
    }
}

/// Whether an address leads to the machine on which it is dialled.
fn is_loopback(address: &str) -> bool {
    address.parse().is_ok_and(|address| addresses::is_loopback(&address))
}

/// What every handler works with.
#[derive(Clone)]
pub struct Api {
    node: Arc<dyn Answers>,
    reading: Reading,
    events: Arc<events::Log>,
    levels: Option<Levels>,
    stop: Arc<watch::Sender<bool>>,
    /// Shared by all who change things; held by one who changes something as it was seen.
    turns: Arc<RwLock<()>>,
    /// Held by this one.
    turn: Option<Arc<OwnedRwLockWriteGuard<()>>>,
    /// The place of the one large file that is taken at a time.
    files: Arc<Semaphore>,
}

impl Api {
    /// An API to this node, which reads its chats by a copy of them. Must be called within a tokio
    /// runtime: it listens to the node's notices.
    pub fn new(node: Arc<dyn Answers>, reading: Reading) -> Api {
        let events = Arc::new(events::Log::new());
        tokio::spawn(events::gather(node.notices(), events.clone()));
        let (stop, turns) = (Arc::new(watch::Sender::new(false)), Arc::default());
        let files = Arc::new(Semaphore::new(1));
        Api { node, reading, events, levels: None, stop, turns, turn: None, files }
    }

    /// The same API, through which the levels of the log can be changed.
    pub fn with_levels(self, levels: Levels) -> Api {
        Api { levels: Some(levels), ..self }
    }

    /// How the node does. Fails with `TimedOut` if a part of it hangs.
    pub async fn report(&self) -> Result<Report, Problem> {
        let report = tokio::time::timeout(REPORT_TIME_MAX, self.node.report()).await;
        Ok(report.map_err(|_| too_long(REPORT_TIME_MAX))??)
    }

    /// Waits until somebody asks the node to stop, or `stop` was called.
    pub async fn stopping(&self) {
        // The sender lives as long as `self`: waiting ends by the value alone.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }

    /// Ends the API and with it all streams.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Where others may dial this node, as many addresses as a code carries.
    fn addresses(&self) -> Vec<String> {
        let fitting = self.node.addresses().into_iter().filter(|a| a.len() <= limits::ADDRESS_BYTES_MAX);
        let (near, far): (Vec<String>, Vec<String>) = fitting.partition(|address| is_loopback(address));
        // On another machine a loopback address leads to that machine itself.
        let told = if far.is_empty() { near } else { far };
        told.into_iter().take(limits::INVITE_ADDRESSES_MAX).collect()
    }

    /// The same API; until that is dropped, nobody else changes things through this node.
    async fn alone(&self) -> Api {
        let turn = self.turns.clone().write_owned().await;
        Api { turn: Some(Arc::new(turn)), ..self.clone() }
    }

    async fn ask(&self, command: Command) -> Result<Reply, Problem> {
        let _beside = match &self.turn {
            None if is_guarded(&command) => Some(self.turns.read().await),
            _ => None,
        };
        let outcome = tokio::time::timeout(ASK_TIME_MAX, self.node.ask(command)).await;
        done(outcome.map_err(|_| too_long(ASK_TIME_MAX))?)
    }

    /// Has something done of which there is nothing to show.
    async fn act(&self, command: Command) -> Result<(), Problem> {
        match self.ask(command).await? {
            Reply::Ok => Ok(()),
            _ => Err(Problem::mismatch()),
        }
    }

    /// Has a thing made, and names it.
    async fn make(&self, command: Command) -> Result<ThingId, Problem> {
        match self.ask(command).await? {
            Reply::Thing(id) => Ok(id),
            _ => Err(Problem::mismatch()),
        }
    }

    async fn ask_for(&self, command: Command, wait: Duration) -> Result<Reply, Problem> {
        let time_max = wait + ASK_TIME_MAX;
        let outcome = tokio::time::timeout(time_max, self.node.ask_for(command, wait)).await;
        done(outcome.map_err(|_| too_long(time_max))?)
    }
}

/// Whether it waits while somebody changes, alone, what a client has seen: it may change that too.
fn is_guarded(command: &Command) -> bool {
    matches!(
        command,
        Command::Chat(..)
            | Command::Configure(..)
            | Command::Board(..)
            | Command::Issue(..)
            | Command::Canvas(..)
            | Command::Undo(..)
            | Command::Redo(..)
            | Command::History(..)
    )
}

fn done(outcome: Result<Outcome, Stopped>) -> Result<Reply, Problem> {
    match outcome? {
        Outcome::Done(reply) => Ok(reply),
        Outcome::Refused(refusal) => Err(refusal.into()),
    }
}

fn too_long(time: Duration) -> Problem {
    let detail = format!("the node did not answer within {} seconds", time.as_secs());
    Problem::new(Code::TimedOut, detail, "it may still be done: look before you ask again")
}

/// What carries out all operations, not yet guarded.
pub fn router(api: Api) -> Router {
    operation::router(routes::all())
        .layer(DefaultBodyLimit::max(body::BODY_BYTES_MAX))
        .layer(map_response(as_problem))
        .with_state(api)
}

/// Gives the errors that axum makes by itself (no such path, wrong method, wrong query) our shape.
async fn as_problem(response: Response) -> Response {
    let status = response.status();
    let ours = response
        .headers()
        .get(axum::http::header::CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/problem+json");
    if ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let text = axum::body::to_bytes(response.into_body(), 4096).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let detail = if text.is_empty() { status.to_string() } else { text.into_owned() };
    let code = match status.as_u16() {
        404 => Code::NotFound,
        400..500 => Code::Usage,
        _ => Code::Internal,
    };
    Problem::new(code, detail, "").with_status(status).into_response()
}
