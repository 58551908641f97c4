//! `search`, `inbox` and `index`: finds what was written, and shows what is unread or to be done.

use std::io::IsTerminal;

use clap::builder::PossibleValuesParser;
use fourword_protocol::schema::thing::ThingKind;
use hyper::Method;
use serde_json::json;

use super::Context;
use super::chat::{message_line, short};
use super::client::{escaped, path};
use super::failure::{Exit, Failure};
use super::output::{plain, time};
use crate::api::inbox::{Inbound, Inbox, Index};
use crate::api::search::{Hit, Hits, Subject};

/// What `search` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  fourword search friday\n  fourword search '\"next friday\" noon' --in ocean-forest-moon-star\n  fourword search roof --kind issue --kind comment\n  fourword search friday --limit 50 --json\n\nMessages, cards, columns, issues, elements of canvases and comments are searched, archived and closed\nones too; what was deleted is not found. All words must occur in one of them, in any case and with or\nwithout accents; the last may be the beginning of one. What stands between quotation marks must occur\nas it is. All but messages are found by their ids too. The latest comes first.\n\nWhat is found shows its id at the end: `card show`, `issue show` and `chat read --thread` open it."
)]
pub(super) struct SearchArgs {
    /// What to search for.
    text: String,
    /// Search this group alone.
    #[arg(long = "in", value_name = "WORDS")]
    within: Option<String>,
    /// Find things of this kind alone; may be repeated for one of several.
    #[arg(long = "kind", value_name = "KIND", value_parser = kinds())]
    kinds: Vec<String>,
    /// How many hits at most.
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,
    /// Go on where an earlier search ended, which says how.
    #[arg(long, value_name = "PLACE")]
    before: Option<String>,
}

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(ThingKind::ALL.map(ThingKind::noun))
}

/// What can be done with the copy of what was written.
#[derive(Debug, clap::Subcommand)]
pub(super) enum IndexVerb {
    /// Make the copy anew by which chats are read and everything is searched. Nothing can be lost by it.
    #[command(after_help = "Example:\n  fourword index rebuild")]
    Rebuild,
    /// Show how much it holds.
    #[command(after_help = "Example:\n  fourword index status")]
    Status,
}

pub(super) async fn search(args: SearchArgs, context: &Context) -> Result<Exit, Failure> {
    let mut place = format!("{}?q={}&limit={}", path(["search"]), escaped(&args.text), args.limit);
    let kinds = (!args.kinds.is_empty()).then(|| args.kinds.join(","));
    for (name, value) in [("group", &args.within), ("kind", &kinds), ("before", &args.before)] {
        if let Some(value) = value {
            place.push_str(&format!("&{name}={}", escaped(value)));
        }
    }
    let hits: Hits = context.client().get(&place).await?;
    let marks = if std::io::stdout().is_terminal() { ("\x1b[1m", "\x1b[0m") } else { ("*", "*") };
    context.output.answer(&hits, |hits| listed(hits, marks))?;
    if !hits.complete {
        context.output.note("some of it is still being copied: there may be more");
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
        let Index { messages, things, bytes } = index;
        format!(
            "{messages} messages, {things} cards, issues and other things in {} KiB",
            bytes.div_ceil(1024)
        )
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
            let text = line_of(&piece.text);
            if piece.hit { format!("{begins}{text}{ends}") } else { text }
        })
        .collect();
    let author = if hit.author.name.is_empty() { &hit.author.identity } else { &hit.author.name };
    format!("[{}] {} {}: {snippet}  {}", time(hit.time), hit.group, plain(author), named(hit))
}

/// What was found, so that it can be opened. A title that the snippet shows is not repeated.
fn named(hit: &Hit) -> String {
    let (kind, id) = (plain(&hit.kind), short(&hit.id));
    if hit.message.is_some() {
        return id.to_owned();
    }
    if let Some(Subject { kind: of, id, title, closed }) = &hit.about {
        return format!("{kind} on {} {} {}{}", plain(of), short(id), plain(title), done(of, *closed));
    }
    let shown: String = hit.snippet.iter().map(|piece| piece.text.as_str()).collect();
    let title = match hit.title.as_str() {
        title if title.is_empty() || title == shown => String::new(),
        title => format!(" {}", plain(title)),
    };
    format!("{kind} {id}{title}{}", done(&hit.kind, hit.closed))
}

fn done(kind: &str, closed: bool) -> &'static str {
    match (closed, kind) {
        (false, _) => "",
        (true, "card") => " (archived)",
        (true, _) => " (closed)",
    }
}

/// A text as one line.
fn line_of(text: &str) -> String {
    plain(&text.replace('\n', " "))
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
    let assigned = match chat.assigned {
        0 => String::new(),
        some => format!("  (for you to do: {some})"),
    };
    let unaccepted = match chat.unaccepted {
        0 => String::new(),
        some => format!("  (not accepted: {some})"),
    };
    let (words, name) = (&chat.words, plain(&chat.name));
    format!("{unread:>5}  {words}  {name}{mentions}{assigned}{unaccepted}  {last}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::chat::Message;
    use crate::api::search::Piece;
    use crate::api::things::Person;

    fn message() -> Message {
        Message {
            revision: String::new(),
            id: "OWNER-pmlq2weexxxxx".into(),
            author: "river-wind-wave-fire".into(),
            author_name: "Ada".into(),
            text: "see you on friday\nat noon".into(),
            time: 0,
            parent: None,
            edited: false,
            deleted: false,
            attachments: Vec::new(),
            reactions: Vec::new(),
            pinned_by: Vec::new(),
            replies: 0,
            mentions: Vec::new(),
        }
    }

    fn hit(kind: &str, snippet: &[(&str, bool)]) -> Hit {
        let snippet = snippet.iter().map(|(text, hit)| Piece { text: (*text).into(), hit: *hit });
        Hit {
            group: "a-b-c-d".into(),
            document: String::new(),
            kind: kind.into(),
            id: "OWNER-pmlq2weexxxxx".into(),
            author: Person { identity: "river-wind-wave-fire".into(), name: "Ada".into() },
            time: 0,
            title: String::new(),
            closed: false,
            about: None,
            message: None,
            snippet: snippet.collect(),
        }
    }

    #[test]
    fn a_hit_is_shown_with_what_was_found_marked_and_no_escape_of_its_author() {
        let snippet = [("see\x1b you\non ", false), ("friday", true)];
        let hit = Hit { message: Some(message()), ..hit("message", &snippet) };
        let hits = Hits { hits: vec![hit], next: Some("a-b-c-d:ID".into()), complete: true };
        assert_eq!(
            listed(&hits, ("*", "*")),
            "[1970-01-01 00:00] a-b-c-d Ada: see\u{fffd} you on *friday*  pmlq2wee\nmore: --before a-b-c-d:ID"
        );
    }

    #[test]
    fn a_hit_that_is_no_message_says_what_it_is_and_shows_its_title_once() {
        let shown = |hit: &Hit| found(hit, ("*", "*"));
        let title = || "The roof leaks".to_owned();
        let issue = Hit {
            title: title(),
            closed: true,
            ..hit("issue", &[("The ", false), ("roof", true), (" leaks", false)])
        };
        assert_eq!(
            shown(&issue),
            "[1970-01-01 00:00] a-b-c-d Ada: The *roof* leaks  issue pmlq2wee (closed)"
        );
        let card = Hit { title: title(), closed: true, ..hit("card", &[("rain", true)]) };
        assert_eq!(
            shown(&card),
            "[1970-01-01 00:00] a-b-c-d Ada: *rain*  card pmlq2wee The roof leaks (archived)"
        );
        assert_eq!(
            shown(&hit("element", &[("Plan", true)])),
            "[1970-01-01 00:00] a-b-c-d Ada: *Plan*  element pmlq2wee"
        );
        let about =
            Subject { kind: "issue".into(), id: "OWNER-q5vdh6ooxxxxx".into(), title: title(), closed: false };
        let comment = Hit { about: Some(about), ..hit("comment", &[("rain", true)]) };
        assert_eq!(
            shown(&comment),
            "[1970-01-01 00:00] a-b-c-d Ada: *rain*  comment on issue q5vdh6oo The roof leaks"
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
            assigned: 3,
            unaccepted: 4,
            last: Some(message()),
        };
        let shown = line(&chat);
        assert!(
            shown.starts_with(
                "1000+  a-b-c-d  Team  (mentions you: 2)  (for you to do: 3)  (not accepted: 4)  [1970-01-01 00:00] Ada: see you on friday"
            ),
            "{shown}"
        );
        assert!(!shown.contains('\n'));
    }
}
