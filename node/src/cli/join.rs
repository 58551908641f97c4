//! `join` and `joins`: getting into a group by an invite or by its words alone.

use std::time::Duration;

use hyper::Method;

use super::Context;
use super::client::path;
use super::failure::{Exit, Failure};
use super::output::plain;
use crate::api::joins::{Cancelled, Join, Joins, NewJoin, Standing, Underway};

/// What `join` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  fourword join 'fourword://join/ocean-forest-moon-star#CODE'\n  fourword join ocean-forest-moon-star --code CODE --wait 120\n  fourword join ocean-forest-moon-star --peer /ip4/192.0.2.1/tcp/4001 --note \"It is me, Ben\""
)]
pub(super) struct JoinArgs {
    /// The group's four words, which alone ask an admin to be let in; or the link of an invite.
    #[arg(value_name = "WORDS|LINK")]
    words: String,
    /// The code of an invite, or its link.
    #[arg(long, conflicts_with_all = ["note", "id"])]
    code: Option<String>,
    /// A multiaddr to dial besides those in the code; may be given more than once.
    #[arg(long = "peer", value_name = "MULTIADDR")]
    peers: Vec<String>,
    /// What the admin who decides is told.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// The group's full id, to pick one of two groups of the same words.
    #[arg(long, value_name = "HEX")]
    id: Option<String>,
    /// How many seconds to wait for being let in.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    wait: u32,
}

/// What `joins` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  fourword joins\n  fourword joins cancel ocean-forest-moon-star")]
pub(super) struct JoinsArgs {
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// What can be done with joins under way.
#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Give a join up.
    #[command(after_help = "Example:\n  fourword joins cancel ocean-forest-moon-star")]
    Cancel {
        /// The group's four words.
        words: String,
    },
}

pub(super) async fn join(args: JoinArgs, context: &Context) -> Result<Exit, Failure> {
    let JoinArgs { words, code, peers, note, id, wait } = args;
    let new = NewJoin { words: Some(words), code, id, note, peers, wait: Some(wait) };
    context.output.note("Joining ...");
    let client = context.client().patient(Duration::from_secs(wait.into()));
    let join: Join = client.send(Method::POST, "/api/v1/joins", &new).await?;
    context.output.answer(&join, join_text)?;
    Ok(match join.state {
        Standing::Joined => Exit::Done,
        Standing::Pending | Standing::Requested => Exit::Pending,
        Standing::Unreachable => Exit::TimedOut,
    })
}

fn join_text(join: &Join) -> String {
    let words = &join.words;
    match join.state {
        Standing::Joined => format!("You are in {words} {}", plain(&join.group.name)).trim_end().into(),
        Standing::Pending => {
            format!("A member of {words} was reached; it has not let you in yet. The node goes on.")
        }
        Standing::Requested => format!(
            "Members of {words} have your request; an admin decides. Then you are in by yourself.\n\
             `fourword joins` shows how it stands."
        ),
        Standing::Unreachable => format!(
            "Nobody of {words} could be reached yet. The node goes on trying; `fourword joins` shows it.\n\
             If you know where a member listens, add --peer MULTIADDR."
        ),
    }
}

pub(super) async fn joins(args: JoinsArgs, context: &Context) -> Result<Exit, Failure> {
    let (client, output) = (context.client(), context.output);
    match args.verb {
        None => {
            let joins: Joins = client.get("/api/v1/joins").await?;
            output.answer(&joins, joins_text)?;
        }
        Some(Verb::Cancel { words }) => {
            let cancelled: Cancelled = client.act(Method::DELETE, &path(["joins", &words])).await?;
            output.answer(&cancelled, |cancelled| format!("Joining {} is given up.", cancelled.words))?;
        }
    }
    Ok(Exit::Done)
}

fn joins_text(joins: &Joins) -> String {
    if joins.joins.is_empty() {
        return "No join is under way.".into();
    }
    let line = |join: &Underway| {
        let reason = match join.reason.as_str() {
            "" => String::new(),
            reason => format!(" ({})", plain(reason)),
        };
        format!("{}  {}{reason}", join.words, word(join.state))
    };
    joins.joins.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn word(state: Standing) -> &'static str {
    match state {
        Standing::Joined => "in",
        Standing::Pending => "a member was reached; not let in yet",
        Standing::Requested => "members have the request; an admin decides",
        Standing::Unreachable => "nobody could be reached yet",
    }
}
