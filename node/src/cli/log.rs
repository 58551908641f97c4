//! `log`: what the node or relay that runs here logs, by subsystem.

use std::fmt::Write;

use hyper::Method;

use super::client::Client;
use super::failure::{Exit, Failure};
use super::{Context, relay};
use crate::api::log::Changes;
use crate::logging::{Change, Level, Shown};

/// Where the levels are shown and set.
const LOG: &str = "/api/v1/log";

/// What `log` takes.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(
    after_help = "Examples:\n  fourword log\n  fourword log network=debug circuits=debug\n  fourword log reset\n\nLevels: off, error, warn, info, debug, trace. The next start returns to the setting `log`."
)]
pub(super) struct Args {
    /// LEVEL for all, SUBSYSTEM=LEVEL for one, or reset; nothing shows them.
    changes: Vec<String>,
    /// Of the relay that runs here.
    #[arg(long)]
    relay: bool,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    for change in &args.changes {
        change.parse::<Change>().map_err(Failure::usage)?;
    }
    let client =
        if args.relay { Client::new(&relay::paths(context)?, context.timeout) } else { context.client() };
    let shown: Result<Shown, Failure> = if args.changes.is_empty() {
        client.get(LOG).await
    } else {
        client.send(Method::PUT, LOG, &Changes { changes: args.changes }).await
    };
    let shown = if args.relay { shown.map_err(relay::not_running)? } else { shown? };
    context.output.answer(&shown, text)?;
    Ok(Exit::Done)
}

fn text(shown: &Shown) -> String {
    let word = |level: Option<Level>| level.map_or_else(|| "see the setting".to_owned(), |l| l.to_string());
    let mut text = format!("{:<12}{:<8}all that is named below not\n", "", word(shown.others));
    for subsystem in &shown.subsystems {
        let _ = writeln!(text, "{:<12}{:<8}{}", subsystem.name, word(subsystem.level), subsystem.about);
    }
    let _ = write!(text, "Setting: {}", shown.settings);
    if shown.changed {
        text.push_str("\nChanged until the next start; `fourword log reset` returns to the setting.");
    }
    text
}
