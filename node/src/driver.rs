//! A stand-in for the driver: a node that knows its name and nothing else.

use fourword_protocol::command::{
    Command, CommandId, Notice, Outcome, Progress, Refusal, RefusalCode, Reply, Status,
};
use fourword_protocol::ids::{DeviceKey, PersonId};
use tokio::sync::{broadcast, watch};

/// The node has ended and answers nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// Speaks to a running node.
#[derive(Clone, Debug)]
pub struct Handle {
    notices: broadcast::Sender<Notice>,
    stopped: watch::Sender<bool>,
}

impl Handle {
    pub(crate) fn new() -> Handle {
        Handle { notices: broadcast::channel(64).0, stopped: watch::channel(false).0 }
    }

    /// Asks one command.
    pub async fn ask(&self, command: Command) -> Result<Outcome, Stopped> {
        if *self.stopped.borrow() {
            return Err(Stopped);
        }
        let refusal = |message: &str| {
            Outcome::Refused(Refusal {
                code: RefusalCode::NotFound,
                message: message.into(),
                hint: String::new(),
            })
        };
        let Ok(identity) = "ocean-forest-moon-star".parse() else { return Err(Stopped) };
        Ok(match command {
            Command::Status => Outcome::Done(Reply::Status(Status {
                identity,
                person: PersonId([1; 32]),
                device: DeviceKey([2; 32]),
                name: String::new(),
                root_here: true,
                entities: 0,
                peers: 0,
                read_only: None,
                dropped: Vec::new(),
            })),
            Command::SetName(_) => Outcome::Done(Reply::Ok),
            Command::Entities => Outcome::Done(Reply::Entities(Vec::new())),
            _ => refusal("nothing is here"),
        })
    }

    /// Asks for something without waiting.
    pub fn begin(&self, command: Command) -> Result<Asking, Stopped> {
        Ok(Asking { handle: self.clone(), command })
    }

    /// What changes from now on.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Where this node may be dialled.
    pub fn addresses(&self) -> Vec<String> {
        vec!["/ip4/127.0.0.1/tcp/4001".into()]
    }

    /// Waits until every address asked for is listened on.
    pub async fn addresses_ready(&self) -> Result<(), Stopped> {
        Ok(())
    }

    /// Asks the node to end.
    pub async fn stop(&self) {
        self.stopped.send_replace(true);
    }

    pub(crate) async fn stopped(&self) {
        let _ = self.stopped.subscribe().wait_for(|stopped| *stopped).await;
    }
}

/// A command that waits for its answer.
#[derive(Debug)]
pub struct Asking {
    handle: Handle,
    command: Command,
}

impl Asking {
    /// Names the command, so that another one can refer to it.
    pub fn id(&self) -> CommandId {
        CommandId(0)
    }

    /// The next report of progress; `None` once the command is answered.
    pub async fn progress(&mut self) -> Option<Progress> {
        None
    }

    /// Waits for the answer.
    pub async fn outcome(self) -> Result<Outcome, Stopped> {
        self.handle.ask(self.command).await
    }
}
