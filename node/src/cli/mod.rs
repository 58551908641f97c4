//! The command line: a client of the local API, and `up`, which runs the node itself.
//!
//! One file per noun. Each verb gives one answer through `output`, and an exit code from
//! `failure`. Invariant: with `--json` standard output holds JSON alone, whatever happens.

mod board;
mod canvas;
mod card;
mod chat;
mod client;
mod config;
mod device;
mod doctor;
mod document;
mod failure;
mod filter;
mod group;
mod history;
mod identity;
mod invite;
mod issue;
mod issue_file;
mod join;
mod log;
mod member;
mod node;
mod output;
mod picture;
mod relay;
mod search;
mod service;
mod signals;
mod silent;
mod start;
mod sync;
mod thing;
mod tombstones;
mod up;
mod watch;

use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::api::error::Code;
use crate::logging;
use crate::paths::Paths;
use client::Client;
use failure::{Exit, Failure};
use output::Output;

/// How long the end of the process waits for what still runs in it.
const LEFTOVERS_TIME_MAX: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
First steps:
  fourword start                       run the node in the background
  fourword identity phrase             show the recovery phrase, to be written down
  fourword group create \"Our team\"     make a group and its four words
  fourword invite WORDS                make an invite; send its link to somebody
  fourword join LINK                   join by an invite
  fourword join WORDS                  ask to be let in, by the words alone
  fourword chat send WORDS \"Hello\"     write a message

Exit codes: 0 done, 1 error, 2 usage, 3 not found, 4 not allowed, 5 no node runs,
6 timed out, 7 pending or not yet in sync.";

/// Work together without a server: groups joined by four words.
#[derive(Debug, Parser)]
#[command(name = "fourword", version, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "For every command")]
struct Global {
    /// Print JSON: one value, or one per line for streams.
    #[arg(long, global = true)]
    json: bool,
    /// Print the answer and nothing else.
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Answer yes to all questions.
    #[arg(long, short, global = true)]
    yes: bool,
    /// Where the node keeps its things [default: FOURWORD_HOME, else the data directory].
    #[arg(long, global = true, value_name = "DIR")]
    home: Option<PathBuf>,
    /// How long to wait for an answer, for example 10s or 2m.
    #[arg(long, global = true, value_name = "TIME", default_value = "60s", value_parser = duration)]
    timeout: Duration,
    /// How lines of the log look.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    log_format: logging::Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the node here until it is told to stop.
    Up(up::Args),
    /// Run the node in the background.
    Start(start::Args),
    /// Stop the node.
    #[command(after_help = "Example:\n  fourword stop")]
    Stop,
    /// Show who this node is and how it does.
    #[command(after_help = "Example:\n  fourword status --json")]
    Status,
    /// Succeed if the node or relay that runs here is well: exit code 0, else 1.
    Healthcheck(watch::HealthArgs),
    /// Look for what is wrong with this node, and say what to do.
    Doctor(doctor::Args),
    /// Print what the node measures, for Prometheus.
    Metrics(watch::MetricsArgs),
    /// Show and change what is logged, until the next start.
    Log(log::Args),
    /// Show the devices that are connected.
    #[command(after_help = "Example:\n  fourword peers")]
    Peers,
    /// Dial an address now.
    Dial(node::DialArgs),
    /// Set the name under which you appear to others.
    Name(node::NameArgs),
    /// Make, show, set and leave groups.
    #[command(subcommand)]
    Group(group::Verb),
    /// Make, show and close invites to a group.
    Invite(invite::InviteArgs),
    /// Join a group by an invite, or ask to be let in by its words alone.
    Join(join::JoinArgs),
    /// Show the joins under way, or give one up.
    Joins(join::JoinsArgs),
    /// Show who asks to be let into a group.
    Requests(member::RequestsArgs),
    /// Let somebody in who asked.
    Approve(member::ApproveArgs),
    /// Turn somebody away who asked.
    Deny(member::DenyArgs),
    /// Show and remove members, and give roles.
    #[command(subcommand)]
    Member(member::Verb),
    /// Show, link and revoke your devices.
    #[command(subcommand)]
    Device(device::Verb),
    /// Make this device one of yours, by a code of another one.
    Link(device::LinkArgs),
    /// Show who you are and your recovery phrase, or get yourself back by it.
    #[command(subcommand)]
    Identity(identity::Verb),
    /// Write and read messages.
    #[command(subcommand)]
    Chat(chat::Verb),
    /// Show a group's board, and make and move its columns.
    #[command(subcommand)]
    Board(board::Verb),
    /// Make, show, change and move the cards of a board, and talk about them.
    #[command(subcommand)]
    Card(card::Verb),
    /// Report, find, change and close issues, and talk about them.
    #[command(subcommand)]
    Issue(issue::Verb),
    /// Show a group's canvas, and draw on it.
    #[command(subcommand)]
    Canvas(canvas::Verb),
    /// Show who did what to a document and when, or what was there at one of its versions.
    History(history::HistoryArgs),
    /// Show how two versions of a document differ, in texts by characters.
    Diff(history::DiffArgs),
    /// Bring a document, or one thing in it, back to how it was at a version.
    Restore(history::RestoreArgs),
    /// Search messages, cards, issues, canvases and comments, in all groups or in one.
    Search(search::SearchArgs),
    /// Show how much of each group is unread on all your devices, for you to do, or not accepted.
    #[command(after_help = "Example:\n  fourword inbox --json")]
    Inbox,
    /// Make the copy by which chats are read and everything is searched anew, or show it.
    #[command(subcommand)]
    Index(search::IndexVerb),
    /// Show how far everything is in sync.
    #[command(subcommand)]
    Sync(sync::Verb),
    /// Show how large the documents of a group are, and keep some of them on this device or not.
    #[command(subcommand)]
    Document(document::Verb),
    /// Show what was deleted in a group and waits to be forgotten, and for whom.
    Tombstones(tombstones::Args),
    /// Run a relay, which leads nodes to each other, or show how it does.
    Relay(relay::Args),
    /// Have the node or a relay run in the background with each session.
    #[command(subcommand)]
    Service(service::Verb),
    /// Show where the node keeps its things.
    #[command(after_help = "Example:\n  fourword paths")]
    Paths,
    /// Show and change the settings.
    #[command(subcommand)]
    Config(config::Verb),
    /// Print completions for a shell.
    #[command(
        after_help = "Example:\n  fourword completions bash > ~/.local/share/bash-completion/completions/fourword"
    )]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// What every verb works with.
struct Context {
    output: Output,
    paths: Paths,
    timeout: Duration,
    yes: bool,
    log_format: logging::Format,
}

impl Context {
    fn client(&self) -> Client {
        Client::new(&self.paths, self.timeout)
    }

    /// Asks the person before something that cannot be undone.
    fn confirm(&self, question: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if self.output.is_json() || !io::stdin().is_terminal() {
            return Err(Failure::new(
                Code::Usage,
                format!("not done without a yes: {question}"),
                "add --yes",
            ));
        }
        let _ = write!(io::stderr(), "{question} [y/N] ");
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).map_err(|e| Failure::internal(e.to_string()))?;
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => Err(Failure::usage("left as it was")),
        }
    }
}

/// The command line as it is declared, for completions and for pages that tell of it.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let bare = arguments.len() <= 1;
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(misused(&error, bare, &arguments)),
    };
    let output = Output::new(cli.global.json, cli.global.quiet);
    match run(cli, output) {
        Ok(exit) => ExitCode::from(exit.number()),
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.number())
        }
    }
}

/// Prints help or what is wrong with the arguments; gives the exit code.
fn misused(error: &clap::Error, bare: bool, arguments: &[OsString]) -> u8 {
    let asked_for_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if asked_for_help || bare {
        let _ = write!(io::stdout(), "{}", error.render());
        return 0;
    }
    if arguments.iter().any(|argument| argument == "--json") {
        let text = error.render().to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let failure = Failure::new(Code::Usage, message, "see `fourword --help`");
        Output::new(true, true).failure(&failure);
    } else {
        let _ = error.print();
    }
    2
}

fn run(cli: Cli, output: Output) -> Result<Exit, Failure> {
    if let Verb::Completions { shell } = cli.verb {
        clap_complete::generate(shell, &mut command(), "fourword", &mut io::stdout());
        return Ok(Exit::Done);
    }
    let paths = Paths::find(cli.global.home, |name| std::env::var_os(name)).map_err(Failure::usage)?;
    let context = Context {
        output,
        paths,
        timeout: cli.global.timeout,
        yes: cli.global.yes,
        log_format: cli.global.log_format,
    };
    let mut runtime = match cli.verb {
        Verb::Up(_) | Verb::Relay(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build();
    let runtime = runtime.map_err(|e| Failure::internal(format!("cannot start: {e}")))?;
    let exit = runtime.block_on(act(cli.verb, &context));
    // A part that hangs must not keep the process from ending.
    runtime.shutdown_timeout(LEFTOVERS_TIME_MAX);
    exit
}

async fn act(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    match verb {
        Verb::Up(args) => up::run(args, context).await,
        Verb::Start(args) => start::start(args, context).await,
        Verb::Stop => start::stop(context).await,
        Verb::Status => node::status(context).await,
        Verb::Healthcheck(args) => watch::healthcheck(args, context).await,
        Verb::Doctor(args) => doctor::run(args, context).await,
        Verb::Metrics(args) => watch::metrics(args, context).await,
        Verb::Log(args) => log::run(args, context).await,
        Verb::Peers => node::peers(context).await,
        Verb::Dial(args) => node::dial(args, context).await,
        Verb::Name(args) => node::name(args, context).await,
        Verb::Group(verb) => group::run(verb, context).await,
        Verb::Invite(args) => invite::run(args, context).await,
        Verb::Join(args) => join::join(args, context).await,
        Verb::Joins(args) => join::joins(args, context).await,
        Verb::Requests(args) => member::requests(args, context).await,
        Verb::Approve(args) => member::approve(args, context).await,
        Verb::Deny(args) => member::deny(args, context).await,
        Verb::Member(verb) => member::run(verb, context).await,
        Verb::Device(verb) => device::run(verb, context).await,
        Verb::Link(args) => device::link(args, context).await,
        Verb::Identity(verb) => identity::run(verb, context).await,
        Verb::Chat(verb) => chat::run(verb, context).await,
        Verb::Board(verb) => board::run(verb, context).await,
        Verb::Card(verb) => card::run(verb, context).await,
        Verb::Issue(verb) => issue::run(verb, context).await,
        Verb::Canvas(verb) => canvas::run(verb, context).await,
        Verb::History(args) => history::history(args, context).await,
        Verb::Diff(args) => history::diff(args, context).await,
        Verb::Restore(args) => history::restore(args, context).await,
        Verb::Search(args) => search::search(args, context).await,
        Verb::Inbox => search::inbox(context).await,
        Verb::Index(verb) => search::index(verb, context).await,
        Verb::Sync(verb) => sync::run(verb, context).await,
        Verb::Document(verb) => document::run(verb, context).await,
        Verb::Tombstones(args) => tombstones::run(args, context).await,
        Verb::Relay(args) => relay::run(args, context).await,
        Verb::Service(verb) => service::run(verb, context).await,
        Verb::Paths => node::paths(context),
        Verb::Config(verb) => config::run(verb, context),
        Verb::Completions { .. } => Ok(Exit::Done),
    }
}

/// Reads a length of time: a whole number and `ms`, `s`, `m`, `h`, `d` or `w`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is not a time like 30s, 15m, 24h, 7d or 2w");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (count, unit) = text.split_at(digits);
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 3600 * 1000,
        "d" => 24 * 3600 * 1000,
        "w" => 7 * 24 * 3600 * 1000,
        _ => return Err(wrong()),
    };
    let count: u64 = count.parse().map_err(|_| wrong())?;
    count.checked_mul(unit_ms).map(Duration::from_millis).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed_and_every_verb_has_an_example() {
        let mut command = command();
        command.build();
        command.clone().debug_assert();
        for_each_verb(&command, &mut |verb| {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("fourword "), "`{}` has no example", verb.get_name());
        });
    }

    fn for_each_verb(command: &clap::Command, check: &mut impl FnMut(&clap::Command)) {
        for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
            if verb.has_subcommands() {
                for_each_verb(verb, check);
            } else {
                check(verb);
            }
        }
    }

    #[test]
    fn lengths_of_time_are_read_with_their_unit() {
        assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 86_400)));
        assert_eq!(duration("24h"), Ok(Duration::from_secs(86_400)));
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1500)));
        for wrong in ["", "7", "d", "-1d", "1.5h", "7 d", "99999999999999999999s", "18446744073709551615w"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn flags_for_all_may_stand_anywhere() {
        for arguments in [
            ["fourword", "--json", "--home", "/h", "chat", "read", "a-b-c-d"],
            ["fourword", "chat", "read", "a-b-c-d", "--home", "/h", "--json"],
        ] {
            let cli = Cli::try_parse_from(arguments).unwrap();
            assert!(cli.global.json);
            assert_eq!(cli.global.home, Some("/h".into()));
        }
    }
}
