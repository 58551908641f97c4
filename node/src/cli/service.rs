//! `service`: has the service manager of this user run the node or a relay.
//!
//! Writes the file in any case; where no manager answers it says what to run later. A file that it
//! did not write itself is left alone.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Serialize;

use super::failure::{Exit, Failure};
use super::{Context, relay};
use crate::api::error::Code;
use crate::paths::{self, Paths};
use crate::service::{MARK, Manager, Role, Service};

/// What can be done with the service.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Write the service's file and start it, now and with each session.
    #[command(
        after_help = "Examples:\n  fourword service install\n  fourword service install --relay -- --external /dns4/relay.example.org/tcp/4001\n  fourword service install --dry-run\n\nTo have it run while you are not logged in: loginctl enable-linger"
    )]
    Install {
        #[command(flatten)]
        which: Which,
        /// Print the file and change nothing.
        #[arg(long)]
        dry_run: bool,
        /// What `fourword up` or `fourword relay` is to be started with.
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Stop the service and remove its file; the home stays.
    #[command(after_help = "Example:\n  fourword service uninstall")]
    Uninstall {
        #[command(flatten)]
        which: Which,
        /// Say what would be done and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Show whether it is installed and runs; exit code 3 if not installed, 7 if it does not run.
    #[command(after_help = "Example:\n  fourword service status --relay")]
    Status {
        #[command(flatten)]
        which: Which,
    },
}

/// Which service.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Which {
    /// The relay instead of the node.
    #[arg(long)]
    relay: bool,
}

/// What was done, or would be.
#[derive(Serialize)]
struct Done {
    file: PathBuf,
    /// What the file says; only where nothing was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Whether the service manager took it.
    managed: bool,
    /// What is left to be run by hand.
    to_run: Vec<String>,
}

#[derive(Serialize)]
struct Shown {
    file: PathBuf,
    installed: bool,
    active: bool,
    health: bool,
}

impl Which {
    fn role(self) -> Role {
        if self.relay { Role::Relay } else { Role::Node }
    }

    /// The places of the node or of the relay.
    fn paths(self, context: &Context) -> Result<Paths, Failure> {
        if self.relay { relay::paths(context) } else { Ok(context.paths.clone()) }
    }

    fn file(self) -> Result<PathBuf, Failure> {
        Manager::here().file(self.role(), |name| std::env::var_os(name)).map_err(Failure::usage)
    }
}

pub(super) async fn run(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    match verb {
        Verb::Install { which, dry_run, arguments } => install(which, dry_run, arguments, context),
        Verb::Uninstall { which, dry_run } => uninstall(which, dry_run, context),
        Verb::Status { which } => status(which, context).await,
    }
}

fn install(which: Which, dry_run: bool, arguments: Vec<String>, context: &Context) -> Result<Exit, Failure> {
    let (role, manager, file) = (which.role(), Manager::here(), which.file()?);
    let service = service(which, arguments, context)?;
    let text = manager.text(&service).map_err(Failure::usage)?;
    let commands = manager.begin(role, &file);
    if dry_run {
        let to_run = commands.iter().map(|command| shown(command)).collect();
        let done = Done { file, text: Some(text), managed: false, to_run };
        context.output.answer(&done, |done| {
            format!(
                "{}# {}\n# {}",
                done.text.as_deref().unwrap_or_default(),
                done.file.display(),
                done.to_run.join("\n# ")
            )
        })?;
        return Ok(Exit::Done);
    }
    refuse_foreign(&file)?;
    let written = which.paths(context)?.create().and_then(|()| {
        file.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        paths::replace(&file, text.as_bytes())
    });
    written.map_err(|e| Failure::internal(format!("{}: {e}", file.display())))?;
    let to_run = run_all(commands);
    let done = Done { file, text: None, managed: to_run.is_empty(), to_run };
    context.output.answer(&done, |done| {
        let file = done.file.display();
        if done.managed {
            format!("Installed and started: {file}\nTo have it run while you are not logged in:\n  loginctl enable-linger")
        } else {
            format!("Written: {file}\nNo service manager took it. Run later:\n  {}", done.to_run.join("\n  "))
        }
    })?;
    Ok(Exit::Done)
}

fn service(which: Which, arguments: Vec<String>, context: &Context) -> Result<Service, Failure> {
    let program = std::env::current_exe().map_err(|e| Failure::internal(format!("this program: {e}")))?;
    let paths = which.paths(context)?;
    let socket = paths.socket().parent().map(Path::to_owned);
    let also_writes = socket.into_iter().filter(|directory| !directory.starts_with(context.paths.home()));
    Ok(Service {
        role: which.role(),
        program,
        home: context.paths.home().into(),
        also_writes: also_writes.collect(),
        arguments,
    })
}

fn uninstall(which: Which, dry_run: bool, context: &Context) -> Result<Exit, Failure> {
    let (role, manager, file) = (which.role(), Manager::here(), which.file()?);
    if !file.exists() {
        return Err(not_installed(&file));
    }
    refuse_foreign(&file)?;
    let commands = manager.end(role, &file);
    let to_run = if dry_run {
        commands.iter().map(|command| shown(command)).collect()
    } else {
        let to_run = run_all(commands);
        std::fs::remove_file(&file).map_err(|e| Failure::internal(format!("{}: {e}", file.display())))?;
        to_run
    };
    let done = Done { file, text: None, managed: to_run.is_empty(), to_run };
    context.output.answer(&done, |done| {
        let file = done.file.display();
        match (dry_run, done.managed) {
            (true, _) => format!("Would run\n  {}\nand remove {file}", done.to_run.join("\n  ")),
            (false, true) => format!("Stopped and removed: {file}"),
            (false, false) => format!("Removed: {file}\nNo service manager answered."),
        }
    })?;
    Ok(Exit::Done)
}

async fn status(which: Which, context: &Context) -> Result<Exit, Failure> {
    let file = which.file()?;
    if !file.exists() {
        return Err(not_installed(&file));
    }
    let client = super::client::Client::new(&which.paths(context)?, context.timeout);
    let shown = Shown {
        installed: true,
        active: runs(&Manager::here().is_active(which.role())),
        health: client.get::<crate::api::node::Health>("/health").await.is_ok(),
        file,
    };
    context.output.answer(&shown, |shown| {
        let active = if shown.active { "the manager runs it" } else { "the manager does not run it" };
        let health = if shown.health { "it answers" } else { "it does not answer" };
        format!("Installed: {}\n{active}, {health}.", shown.file.display())
    })?;
    Ok(if shown.active && shown.health { Exit::Done } else { Exit::Pending })
}

fn not_installed(file: &Path) -> Failure {
    let message = format!("there is no {}", file.display());
    Failure::new(Code::NotFound, message, "install it with `fourword service install`")
}

/// Fails if a file is there that somebody else wrote.
fn refuse_foreign(file: &Path) -> Result<(), Failure> {
    match std::fs::read_to_string(file) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(text) if text.lines().take(3).any(|line| line.contains(MARK)) => Ok(()),
        Ok(_) => Err(Failure::new(
            Code::InUse,
            format!("{} was not written by this program", file.display()),
            "move it away first",
        )),
        Err(e) => Err(Failure::internal(format!("{}: {e}", file.display()))),
    }
}

/// Runs commands until one fails. Gives those that were not carried out.
fn run_all(commands: Vec<Vec<String>>) -> Vec<String> {
    commands.iter().skip_while(|command| runs(command)).map(|command| shown(command)).collect()
}

fn runs(command: &[String]) -> bool {
    let Some((program, arguments)) = command.split_first() else { return false };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A command as a person would type it.
fn shown(command: &[String]) -> String {
    let word = |word: &String| if word.contains(' ') { format!("'{word}'") } else { word.clone() };
    command.iter().map(word).collect::<Vec<_>>().join(" ")
}
