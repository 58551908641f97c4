//! `sync`: how far everything is in sync, and what of one's own does not count.

use std::fmt::Write;

use super::Context;
use super::client::{escaped, path};
use super::failure::{Exit, Failure};
use super::output::{plain, plain_lines};
use crate::api::sync::{Awaits, Document, Refused, Standing, Sync, Unaccepted};

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
    /// Show what you wrote in a group that does not count, and why.
    #[command(after_help = "Example:\n  fourword sync unaccepted ocean-forest-moon-star")]
    Unaccepted {
        /// The group's four words.
        words: String,
    },
}

pub(super) async fn run(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    match verb {
        Verb::Status { words } => status(words, context).await,
        Verb::Unaccepted { words } => {
            let unaccepted: Unaccepted =
                context.client().get(&path(["groups", &words, "unaccepted"])).await?;
            context.output.answer(&unaccepted, unaccepted_text)?;
            Ok(Exit::Done)
        }
    }
}

async fn status(words: Option<String>, context: &Context) -> Result<Exit, Failure> {
    let query = words.map(|words| format!("?group={}", escaped(&words))).unwrap_or_default();
    let sync: Sync = context.client().get(&format!("/api/v1/sync{query}")).await?;
    context.output.answer(&sync, text)?;
    let settled = sync.joins.is_empty() && sync.documents.iter().all(Document::is_settled);
    Ok(if settled { Exit::Done } else { Exit::Pending })
}

fn text(sync: &Sync) -> String {
    let mut text = String::new();
    for document in &sync.documents {
        let _ = writeln!(text, "{}  {}", document.id, told(word(document.state), &document.reason));
        for peer in &document.peers {
            let device: String = peer.device.chars().take(8).collect();
            let state = match peer.state {
                // The line names the device already, and there is no more to say of it.
                Standing::Alone if !peer.keeps => "does not keep this document".to_owned(),
                Standing::Alone => "not connected".to_owned(),
                state => told(word(state), &peer.reason),
            };
            let _ = writeln!(text, "  {} ({device})  {state}", peer.identity);
        }
        for (what, count) in &document.waiting {
            let _ = writeln!(text, "  waiting here for {}: {}", plain(what), entries(*count));
        }
        if document.tombstones > 0 {
            let waits = match document.tombstones {
                1 => "1 deleted message waits".to_owned(),
                count => format!("{count} deleted messages wait"),
            };
            let _ =
                writeln!(text, "  {waits} to be forgotten; see fourword tombstones {}", words_of(document));
        }
        if document.unaccepted > 0 {
            let _ = writeln!(
                text,
                "  not accepted: {} of yours; see fourword sync unaccepted {}",
                entries(document.unaccepted),
                words_of(document)
            );
        }
    }
    for join in &sync.joins {
        let state = match join.state {
            Awaits::WaitingForApproval => "waiting for approval",
            Awaits::WaitingForKey => "waiting for the keys",
            Awaits::Unreachable => "not reached yet",
        };
        let _ = writeln!(text, "{}  {}", join.words, told(state, &join.reason));
    }
    if text.is_empty() { "There is nothing to sync yet.".into() } else { text.trim_end().into() }
}

/// A state and the reason for it, if there is one.
fn told(state: &str, reason: &str) -> String {
    if reason.is_empty() { state.to_owned() } else { format!("{state}: {}", plain(reason)) }
}

fn entries(count: u64) -> String {
    if count == 1 { "1 entry".into() } else { format!("{count} entries") }
}

/// The four words in the id of a document.
fn words_of(document: &Document) -> &str {
    document.id.split(':').nth(1).unwrap_or("WORDS")
}

fn unaccepted_text(unaccepted: &Unaccepted) -> String {
    if unaccepted.unaccepted.is_empty() {
        return "All that you wrote here counts.".into();
    }
    let line = |refused: &Refused| {
        let text = match refused.text.as_str() {
            "" => format!("{} {}", plain(&refused.root), plain(&refused.key)),
            text => format!("\"{}\"", plain_lines(text, "  ")),
        };
        format!("{}: {text}\n  {}", refused.document, plain(&refused.reason))
    };
    unaccepted.unaccepted.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn word(state: Standing) -> &'static str {
    match state {
        Standing::InSync => "in sync",
        Standing::Alone => "alone",
        Standing::Behind => "behind",
        Standing::Unconfirmed => "unconfirmed",
        Standing::WaitingForKey => "waiting for a key",
        Standing::Diverged => "diverged",
        Standing::NotMember => "not a member",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::api::sync::{Awaited, Peer};

    #[test]
    fn what_waits_and_what_does_not_count_is_told_below_its_document() {
        let document = Document {
            id: "group:a-b-c-d:chat".into(),
            state: Standing::WaitingForKey,
            reason: "2 entries came without their key".into(),
            peers: Vec::new(),
            waiting: [("a key".into(), 2)].into(),
            unaccepted: 1,
            tombstones: 1,
        };
        let expected = "group:a-b-c-d:chat  waiting for a key: 2 entries came without their key\n  \
                        waiting here for a key: 2 entries\n  \
                        1 deleted message waits to be forgotten; see fourword tombstones a-b-c-d\n  \
                        not accepted: 1 entry of yours; see fourword sync unaccepted a-b-c-d";
        assert_eq!(text(&Sync { documents: vec![document], joins: Vec::new() }), expected);
    }

    #[test]
    fn each_device_and_each_join_has_a_line_that_says_why_it_is_not_settled() {
        let peer = |state, reason: &str| Peer {
            identity: "e-f-g-h".into(),
            device: "0123456789abcdef".into(),
            keeps: true,
            state,
            behind: 0,
            reason: reason.into(),
        };
        let document = Document {
            id: "group:a-b-c-d:chat".into(),
            state: Standing::Behind,
            reason: "it lacks 2 entries".into(),
            peers: vec![
                peer(Standing::Behind, "it lacks 2 entries"),
                peer(Standing::InSync, ""),
                peer(Standing::Alone, "it is not connected"),
            ],
            waiting: BTreeMap::new(),
            unaccepted: 0,
            tombstones: 0,
        };
        let join = Awaited {
            words: "i-j-k-l".into(),
            state: Awaits::WaitingForApproval,
            reason: "an admin decides".into(),
        };
        assert_eq!(
            text(&Sync { documents: vec![document], joins: vec![join] }),
            "group:a-b-c-d:chat  behind: it lacks 2 entries\n  \
             e-f-g-h (01234567)  behind: it lacks 2 entries\n  \
             e-f-g-h (01234567)  in sync\n  \
             e-f-g-h (01234567)  not connected\n\
             i-j-k-l  waiting for approval: an admin decides"
        );
    }

    #[test]
    fn what_does_not_count_is_shown_with_the_reason() {
        let refused = Refused {
            document: "group:a-b-c-d:chat".into(),
            root: "messages".into(),
            key: "k".into(),
            text: "one\ntwo".into(),
            reason: "written after you were removed".into(),
        };
        let flag = Refused { text: String::new(), ..refused.clone() };
        assert_eq!(
            unaccepted_text(&Unaccepted { unaccepted: vec![refused, flag] }),
            "group:a-b-c-d:chat: \"one\n  two\"\n  written after you were removed\n\
             group:a-b-c-d:chat: messages k\n  written after you were removed"
        );
    }
}
