//! `document`: how large the documents of a group are, and which of them this device keeps.

use std::fmt::Write;

use hyper::Method;

use super::Context;
use super::client::path;
use super::failure::{Exit, Failure};
use crate::api::documents::{Documents, Keeping, Size};

/// What `document` can do.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Show what each document takes in memory, in the log and in the snapshot.
    #[command(
        after_help = "Examples:\n  fourword document show ocean-forest-moon-star\n  fourword document show ocean-forest-moon-star --json"
    )]
    Show {
        /// The group's four words.
        words: String,
    },
    /// Keep a document on this device no longer, once somebody who is connected says to hold all of it.
    ///
    /// Its content leaves this device's memory at once, and the disk as soon as 4 MiB can be won there by
    /// rewriting files. The other members' devices keep it, and wait for this one no more.
    #[command(after_help = "Examples:\n  fourword document drop ocean-forest-moon-star chat")]
    Drop {
        /// The four words of the group, channel or project.
        words: String,
        /// Which document: chat, kanban, issues or canvas.
        document: String,
    },
    /// Keep a document on this device again: it is brought back from the others.
    #[command(after_help = "Examples:\n  fourword document keep ocean-forest-moon-star chat")]
    Keep {
        /// The four words of the group, channel or project.
        words: String,
        /// Which document: chat, kanban, issues or canvas.
        document: String,
    },
}

pub(super) async fn run(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    match verb {
        Verb::Show { words } => {
            let documents: Documents = context.client().get(&path(["groups", &words, "documents"])).await?;
            context.output.answer(&documents, text)?;
        }
        Verb::Drop { words, document } => set(context, Method::DELETE, &words, &document).await?,
        Verb::Keep { words, document } => set(context, Method::PUT, &words, &document).await?,
    }
    Ok(Exit::Done)
}

async fn set(context: &Context, method: Method, words: &str, document: &str) -> Result<(), Failure> {
    let path = path(["groups", words, "documents", document]);
    let keeping: Keeping = context.client().act(method, &path).await?;
    context.output.answer(&keeping, |keeping| match keeping.kept {
        true => format!("This device keeps the {} of {words}; it is being brought back.", keeping.document),
        false => format!("This device does not keep the {} of {words} any more.", keeping.document),
    })
}

fn text(documents: &Documents) -> String {
    let mut text = String::new();
    for size in &documents.documents {
        let _ = writeln!(text, "{}  {}", size.id, state(size));
        if size.kept {
            let _ = writeln!(text, "  {}", parts(size).join(", "));
        }
    }
    if text.is_empty() { "Nobody has written anything here.".into() } else { text.trim_end().into() }
}

fn state(size: &Size) -> &'static str {
    match (size.live, size.full) {
        _ if !size.kept => "not kept on this device",
        (true, false) => "in memory",
        (true, true) => "in memory, full",
        (false, false) => "on disk",
        (false, true) => "on disk, full",
    }
}

fn parts(size: &Size) -> Vec<String> {
    let full = size.full_bytes.map(|bytes| format!(" of {}", kib(bytes))).unwrap_or_default();
    let content = size.content_bytes.map(|bytes| format!("content {}{full}", kib(bytes)));
    let log = size.log_envelopes.zip(size.log_bytes);
    let log = log.map(|(count, bytes)| format!("log {count} of {} entries, {}", size.envelopes, kib(bytes)));
    let log = log.unwrap_or_else(|| format!("log {} entries", size.envelopes));
    let snapshot = size.snapshot_bytes.map(|bytes| match bytes {
        0 => "no snapshot".to_owned(),
        bytes => format!("snapshot {}", kib(bytes)),
    });
    let flags = size.flags_waiting.zip(size.flags_pruned).filter(|flags| *flags != (0, 0));
    let flags = flags.map(|(waiting, pruned)| {
        let bytes = size.flags_bytes.map(|bytes| format!(", flags {}", kib(bytes))).unwrap_or_default();
        format!("{waiting} deleted and waiting, {pruned} forgotten{bytes}")
    });
    content.into_iter().chain([log]).chain(snapshot).chain(flags).collect()
}

/// Bytes in units of 1,024, rounded up.
fn kib(bytes: u64) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_as_far_as_they_are_known() {
        let read = Size {
            id: "group:a-b-c-d:chat".into(),
            segment: 1,
            kept: true,
            live: false,
            full: true,
            content_bytes: Some(10_485_761),
            full_bytes: Some(10_485_760),
            envelopes: 900,
            log_envelopes: Some(20),
            log_bytes: Some(4_096),
            snapshot_bytes: Some(1),
            flags_waiting: Some(2),
            flags_pruned: Some(7),
            flags_bytes: Some(900),
        };
        let unread = Size {
            id: "group:a-b-c-d:chat/2".into(),
            live: true,
            full: false,
            content_bytes: None,
            log_envelopes: None,
            snapshot_bytes: Some(0),
            flags_waiting: None,
            ..read.clone()
        };
        let dropped = Size { id: "group:a-b-c-d:kanban".into(), kept: false, ..unread.clone() };
        assert_eq!(
            text(&Documents { documents: vec![read, unread, dropped] }),
            "group:a-b-c-d:chat  on disk, full\n\
             \x20 content 10241 KiB of 10240 KiB, log 20 of 900 entries, 4 KiB, snapshot 1 KiB, \
             2 deleted and waiting, 7 forgotten, flags 1 KiB\n\
             group:a-b-c-d:chat/2  in memory\n\
             \x20 log 900 entries, no snapshot\n\
             group:a-b-c-d:kanban  not kept on this device"
        );
    }
}
