//! `search`, `inbox` and `index`: finds what was written, and shows what was not read yet.

use std::io::IsTerminal;

use hyper::Method;
use serde_json::json;

use super::Context;
use super::chat::{message_line, short};
use super::client::{escaped, path};
use super::failure::{Exit, Failure};
use super::output::{plain, time};
use crate::api::inbox::{Inbound, Inbox, Index};
use crate::api::search::{Hit, Hits};

/// What `search` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  fourword search friday\n  fourword search '\"next friday\" noon' --in ocean-forest-moon-star\n  fourword search friday --limit 50 --json\n\nAll words must occur, in any case and with or without accents; the last may be the beginning of one.\nWhat stands between quotation marks must occur as it is. The latest messages come first."
)]
pub(super) struct SearchArgs {
    /// What to search for.
    text: String,
    /// Search this group alone.
    #[arg(long = "in", value_name = "WORDS")]
    within: Option<String>,
    /// How many messages at most.
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,
    /// Go on where an earlier search ended, which says how.
    #[arg(long, value_name = "PLACE")]
    before: Option<String>,
}

/// What can be done with the copy of the chats.
#[derive(Debug, clap::Subcommand)]
pub(super) enum IndexVerb {
    /// Make the copy by which chats are read and searched anew. Nothing can be lost by it.
    #[command(after_help = "Example:\n  fourword index rebuild")]
    Rebuild,
    /// Show how much it holds.
    #[command(after_help = "Example:\n  fourword index status")]
    Status,
}

pub(super) async fn search(args: SearchArgs, context: &Context) -> Result<Exit, Failure> {
    let mut place = format!("{}?q={}&limit={}", path(["search"]), escaped(&args.text), args.limit);
    for (name, value) in [("group", &args.within), ("before", &args.before)] {
        if let Some(value) = value {
            place.push_str(&format!("&{name}={}", escaped(value)));
        }
    }
    let hits: Hits = context.client().get(&place).await?;
    let marks = if std::io::stdout().is_terminal() { ("\x1b[1m", "\x1b[0m") } else { ("*", "*") };
    context.output.answer(&hits, |hits| listed(hits, marks))?;
    if !hits.complete {
        context.output.note("some chats are still being copied: there may be more");
    }
    Ok(Exit::Done)
}

pub(super) async fn inbox(context: &Context) -> Result<Exit, Failure> {
    let inbox: Inbox = context.client().get(&path(["inbox"])).await?;
    context.output.answer(&inbox, |inbox| inbox.groups.iter().map(line).collect::<Vec<_>>().join("\n"))?;
    Ok(Exit::Done)
}

pub(super) async fn index(verb: IndexVerb, context: &Context) -> Result<Exit, Failure> {
    let client = context.client();
    let index: Index = match verb {
        IndexVerb::Rebuild => {
            client.send_long(&path(["index", "rebuild"]), &json!({}), context.output).await?
        }
        IndexVerb::Status => client.act(Method::GET, &path(["index"])).await?,
    };
    context.output.answer(&index, |index| {
        format!("{} messages in {} KiB", index.messages, index.bytes.div_ceil(1024))
    })?;
    Ok(Exit::Done)
}

fn listed(hits: &Hits, marks: (&str, &str)) -> String {
    if hits.hits.is_empty() {
        return "nothing was found".to_owned();
    }
    let mut lines: Vec<String> = hits.hits.iter().map(|hit| found(hit, marks)).collect();
    lines.extend(hits.next.as_ref().map(|next| format!("more: --before {next}")));
    lines.join("\n")
}

fn found(hit: &Hit, (begins, ends): (&str, &str)) -> String {
    let snippet: String = hit
        .snippet
        .iter()
        .map(|piece| {
            let text = plain(&piece.text);
            if piece.hit { format!("{begins}{text}{ends}") } else { text }
        })
        .collect();
    let message = &hit.message;
    let author = if message.author_name.is_empty() { &message.author } else { &message.author_name };
    let (author, id) = (plain(author), short(&message.id));
    format!("[{}] {} {author}: {snippet}  {id}", time(message.time), hit.group)
}

fn line(chat: &Inbound) -> String {
    let more = if chat.or_more { "+" } else { "" };
    let last = chat.last.as_ref().map(message_line).unwrap_or_default();
    let last = last.lines().next().unwrap_or_default();
    let unread = format!("{}{more}", chat.unread);
    let mentions = match chat.mentions {
        0 => String::new(),
        some => format!("  (mentions you: {some})"),
    };
    format!("{unread:>5}  {}  {}{mentions}  {last}", chat.words, plain(&chat.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::chat::Message;
    use crate::api::search::Piece;

    fn message() -> Message {
        Message {
            id: "OWNER-pmlq2weexxxxx".into(),
            author: "river-wind-wave-fire".into(),
            author_name: "Ada".into(),
            text: "see you on friday\nat noon".into(),
            time: 0,
            parent: None,
            edited: false,
            deleted: false,
            reactions: Vec::new(),
            pinned_by: Vec::new(),
            replies: 0,
            mentions: Vec::new(),
        }
    }

    #[test]
    fn a_hit_is_shown_with_what_was_found_marked_and_no_escape_of_its_author() {
        let piece = |text: &str, hit| Piece { text: text.into(), hit };
        let snippet = vec![piece("see\x1b you on ", false), piece("friday", true)];
        let hit = Hit { group: "a-b-c-d".into(), message: message(), snippet };
        let hits = Hits { hits: vec![hit], next: Some("a-b-c-d:ID".into()), complete: true };
        assert_eq!(
            listed(&hits, ("*", "*")),
            "[1970-01-01 00:00] a-b-c-d Ada: see\u{fffd} you on *friday*  pmlq2wee\nmore: --before a-b-c-d:ID"
        );
    }

    #[test]
    fn an_inbox_shows_one_line_for_each_group() {
        let chat = Inbound {
            words: "a-b-c-d".into(),
            name: "Team".into(),
            unread: 1000,
            or_more: true,
            mentions: 2,
            last: Some(message()),
        };
        let shown = line(&chat);
        assert!(
            shown.starts_with(
                "1000+  a-b-c-d  Team  (mentions you: 2)  [1970-01-01 00:00] Ada: see you on friday"
            ),
            "{shown}"
        );
        assert!(!shown.contains('\n'));
    }
}
