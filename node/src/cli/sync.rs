//! `sync`: how far everything is in sync.

use std::fmt::Write;

use super::Context;
use super::client::escaped;
use super::failure::{Exit, Failure};
use crate::api::sync::{Standing, Sync};

/// What can be asked of the sync.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Show how each document stands with each device; exit code 7 unless all is in sync.
    #[command(
        after_help = "Examples:\n  fourword sync status\n  fourword sync status ocean-forest-moon-star --json"
    )]
    Status {
        /// The group's four words; all groups if left out.
        words: Option<String>,
    },
}

pub(super) async fn run(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    let Verb::Status { words } = verb;
    let query = words.map(|words| format!("?group={}", escaped(&words))).unwrap_or_default();
    let sync: Sync = context.client().get(&format!("/api/v1/sync{query}")).await?;
    context.output.answer(&sync, text)?;
    let settled = sync.documents.iter().all(|document| document.state.is_settled());
    Ok(if settled { Exit::Done } else { Exit::Pending })
}

fn text(sync: &Sync) -> String {
    let mut text = String::new();
    for document in &sync.documents {
        let _ = writeln!(text, "{}  {}", document.id, word(document.state));
        for peer in &document.peers {
            let behind = if peer.behind > 0 { format!(", {} behind", peer.behind) } else { String::new() };
            let device: String = peer.device.chars().take(8).collect();
            let _ = writeln!(text, "  {} ({device})  {}{behind}", peer.identity, word(peer.state));
        }
    }
    if text.is_empty() { "There is nothing to sync yet.".into() } else { text.trim_end().into() }
}

fn word(state: Standing) -> &'static str {
    match state {
        Standing::InSync => "in sync",
        Standing::Alone => "alone: no other device is known",
        Standing::Behind => "behind",
        Standing::WaitingForKey => "waiting for a key",
        Standing::Diverged => "diverged",
    }
}
