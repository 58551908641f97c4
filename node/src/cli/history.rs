//! `history`, `diff` and `restore`: what documents were, how that differs, and back to it.

use hyper::Method;

use super::Context;
use super::chat::short;
use super::client::{escaped, path};
use super::failure::{Exit, Failure};
use super::output::{plain, plain_lines, time};
use super::thing;
use crate::api::history::{Difference, Differences, Field, Presence, Restoration, Version, Versions};
use crate::api::undo::Reverted;
use crate::difference::Piece;

/// Characters of what is the same that are shown on either side of what differs.
const AROUND: usize = 30;

/// Documents that have versions.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Document {
    Chat,
    Board,
    Issues,
    Canvas,
    /// What the group says of itself: name, description, settings and what its members call themselves.
    Group,
}

impl Document {
    fn name(self) -> &'static str {
        match self {
            Document::Chat => "chat",
            Document::Board => "board",
            Document::Issues => "issues",
            Document::Canvas => "canvas",
            Document::Group => "group",
        }
    }
}

/// What `history` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  fourword history ocean-forest-moon-star board\n  fourword history ocean-forest-moon-star board pmlq2wee\n  fourword history ocean-forest-moon-star issues --limit 5 --before 4vabq2xy\n  fourword history ocean-forest-moon-star board --at 4vabq2xy"
)]
pub(super) struct HistoryArgs {
    /// The group's four words.
    words: String,
    /// Of which document.
    document: Document,
    /// Only the versions of this message, card, issue or other thing.
    thing: Option<String>,
    /// How many at most.
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,
    /// Those before this version.
    #[arg(long, value_name = "VERSION")]
    before: Option<String>,
    /// Show what was there at this version instead.
    #[arg(long, value_name = "VERSION", conflicts_with = "before")]
    at: Option<String>,
}

/// What `diff` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  fourword diff ocean-forest-moon-star board 4vabq2xy\n  fourword diff ocean-forest-moon-star board 4vabq2xy q7pmlz3d --of pmlq2wee"
)]
pub(super) struct DiffArgs {
    /// The group's four words.
    words: String,
    /// Of which document.
    document: Document,
    /// The earlier version.
    from: String,
    /// The later version; without it the document as it is.
    to: Option<String>,
    /// Only in this thing.
    #[arg(long, value_name = "ID")]
    of: Option<String>,
}

/// What `restore` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  fourword restore ocean-forest-moon-star board 4vabq2xy pmlq2wee\n  fourword restore ocean-forest-moon-star board 4vabq2xy --yes"
)]
pub(super) struct RestoreArgs {
    /// The group's four words.
    words: String,
    /// Of which document.
    document: Document,
    /// The version as of which.
    version: String,
    /// Only this thing. Without it all comes back, and what came later is put away or deleted.
    thing: Option<String>,
}

pub(super) async fn history(args: HistoryArgs, context: &Context) -> Result<Exit, Failure> {
    let HistoryArgs { words, document, thing, limit, before, at } = args;
    if let Some(at) = at {
        let query = query([("to", Some(at)), ("thing", thing)]);
        return differences(&words, document, &query, context).await;
    }
    let query = query([("limit", Some(limit.to_string())), ("before", before), ("thing", thing)]);
    let place = path(["groups", &words, "history", document.name()]) + &query;
    let versions: Versions = context.client().get(&place).await?;
    context.output.answer(&versions, versions_text)?;
    Ok(Exit::Done)
}

pub(super) async fn diff(args: DiffArgs, context: &Context) -> Result<Exit, Failure> {
    let DiffArgs { words, document, from, to, of } = args;
    let query = query([("from", Some(from)), ("to", to), ("thing", of)]);
    differences(&words, document, &query, context).await
}

pub(super) async fn restore(args: RestoreArgs, context: &Context) -> Result<Exit, Failure> {
    let RestoreArgs { words, document, version, thing } = args;
    if thing.is_none() {
        let name = document.name();
        context.confirm(&format!("bring all of the {name} back, and take away what came later?"))?;
    }
    let place = path(["groups", &words, "restore", document.name()]);
    let restoration = Restoration { version, thing };
    let reverted: Reverted = context.client().send(Method::POST, &place, &restoration).await?;
    context.output.answer(&reverted, thing::reverted_text)?;
    Ok(Exit::Done)
}

/// Shows all pages of how two versions differ as one.
async fn differences(
    words: &str,
    document: Document,
    query: &str,
    context: &Context,
) -> Result<Exit, Failure> {
    let place = path(["groups", words, "diff", document.name()]) + query;
    let mut all = Differences { things: Vec::new(), next: None };
    loop {
        let after = all.next.as_ref().map(|next| format!("&after={}", escaped(next)));
        let page: Differences = context.client().get(&(place.clone() + &after.unwrap_or_default())).await?;
        all.things.extend(page.things);
        all.next = page.next;
        if all.next.is_none() {
            break;
        }
    }
    context.output.answer(&all, differences_text)?;
    Ok(Exit::Done)
}

fn query<const N: usize>(parts: [(&str, Option<String>); N]) -> String {
    let given = parts.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", escaped(&value?))));
    format!("?{}", given.collect::<Vec<_>>().join("&"))
}

fn versions_text(versions: &Versions) -> String {
    if versions.versions.is_empty() {
        return "nothing was done here yet".to_owned();
    }
    let mut lines: Vec<String> = versions.versions.iter().map(version_text).collect();
    if let Some(next) = &versions.next {
        lines.push(format!("more: --before {}", short(next)));
    }
    lines.join("\n")
}

fn version_text(version: &Version) -> String {
    let when = version.time.map_or_else(|| " ".repeat(16), time);
    let by: Vec<String> = version.by.iter().map(thing::person).collect();
    let head = format!("{}  {when}  ", short(&version.id));
    if by.is_empty() {
        return head + "taken as it was from another device";
    }
    let mut done: Vec<String> = version.changes.iter().map(|change| plain(&change.text)).collect();
    if done.is_empty() {
        done.push("did what this version of the program cannot tell".to_owned());
    }
    if version.more > 0 {
        done.push(format!("and {} more", version.more));
    }
    if version.count > 1 {
        done.push(format!("({} versions)", version.count));
    }
    let indent = format!("\n{}", " ".repeat(head.chars().count()));
    format!("{head}{}: {}", by.join(", "), done.join(&indent))
}

fn differences_text(differences: &Differences) -> String {
    if differences.things.is_empty() {
        return "nothing differs".to_owned();
    }
    differences.things.iter().map(difference_text).collect::<Vec<_>>().join("\n")
}

fn difference_text(difference: &Difference) -> String {
    let Difference { thing, noun, title, presence, fields } = difference;
    let sign = match presence {
        Presence::Added => '+',
        Presence::Removed => '-',
        Presence::Changed => '~',
    };
    let title = if title.is_empty() { String::new() } else { format!(" \"{}\"", plain(title)) };
    let id = thing.as_deref().map(|thing| format!("  {}", short(thing))).unwrap_or_default();
    let head = format!("{sign} {noun}{title}{id}");
    fields.iter().map(field_text).fold(head, |text, field| text + "\n    " + &field)
}

fn field_text(field: &Field) -> String {
    let Field { field, part, before, after, pieces } = field;
    let name = if part.is_empty() { plain(field) } else { format!("{} {}", plain(field), plain(part)) };
    let shown = match (before, after) {
        (Some(_), Some(_)) => pieces_text(pieces),
        (Some(text), None) => format!("[-{}-]", plain_lines(text, "    ")),
        (None, Some(text)) => plain_lines(text, "    "),
        (None, None) => String::new(),
    };
    format!("{name}: {shown}")
}

/// What was removed as `[-so-]` and what was added as `{+so+}`; of what is the same, what is near.
fn pieces_text(pieces: &[Piece]) -> String {
    let last = pieces.len().saturating_sub(1);
    let text = |(at, piece): (usize, &Piece)| match piece {
        Piece::Same(text) => near(&plain_lines(text, "    "), at > 0, at < last),
        Piece::Removed(text) => format!("[-{}-]", plain_lines(text, "    ")),
        Piece::Added(text) => format!("{{+{}+}}", plain_lines(text, "    ")),
    };
    pieces.iter().enumerate().map(text).collect()
}

/// The ends of a text that are next to something.
fn near(text: &str, left: bool, right: bool) -> String {
    let count = text.chars().count();
    let begin = if left { AROUND } else { 0 };
    let end = if right { AROUND } else { 0 };
    if count <= begin + end + 1 {
        return text.to_owned();
    }
    let first: String = text.chars().take(begin).collect();
    let rest: String = text.chars().skip(count - end).collect();
    format!("{first}…{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::history::{Change, Deed};
    use crate::api::things::Person;

    fn version(id: &str, by: &[&str], texts: &[&str]) -> Version {
        let person = |name: &&str| Person { identity: "a-b-c-d".into(), name: (*name).into() };
        let change =
            |text: &&str| Change { thing: None, did: Deed::Set, field: String::new(), text: (*text).into() };
        Version {
            id: id.into(),
            by: by.iter().map(person).collect(),
            time: (!by.is_empty()).then_some(60_000),
            since: None,
            count: 1,
            changes: texts.iter().map(change).collect(),
            more: 0,
        }
    }

    #[test]
    fn versions_are_shown_a_line_for_each_thing_that_was_done() {
        let joined =
            Version { count: 12, more: 3, ..version("q7pmlz3dxxxxx", &["Ada", "Ben"], &["wrote \"hi\""]) };
        let all = Versions {
            versions: vec![
                version(
                    "4vabq2xyxxxxx",
                    &["Ada"],
                    &["moved card \"pa\x1bint\" to \"done\"", "made card \"saw\""],
                ),
                joined,
                version("aaaaaaaaxxxxx", &[], &[]),
            ],
            next: Some("aaaaaaaaxxxxx".into()),
        };
        assert_eq!(
            versions_text(&all),
            "4vabq2xy  1970-01-01 00:01  Ada: moved card \"pa\u{fffd}int\" to \"done\"\n\
             \x20                           made card \"saw\"\n\
             q7pmlz3d  1970-01-01 00:01  Ada, Ben: wrote \"hi\"\n\
             \x20                           and 3 more\n\
             \x20                           (12 versions)\n\
             aaaaaaaa                    taken as it was from another device\n\
             more: --before aaaaaaaa"
        );
        assert_eq!(versions_text(&Versions { versions: vec![], next: None }), "nothing was done here yet");
    }

    #[test]
    fn differences_are_shown_by_characters_with_what_is_near() {
        let field = |field: &str, before: Option<&str>, after: Option<&str>, pieces| Field {
            field: field.into(),
            part: String::new(),
            before: before.map(Into::into),
            after: after.map(Into::into),
            pieces,
        };
        let long = "x".repeat(100);
        let pieces = vec![Piece::Same(long), Piece::Removed("é".into()), Piece::Added("è".into())];
        let changed = Difference {
            thing: Some("OWNER-pmlq2weexxxxx".into()),
            noun: "card".into(),
            title: "paint".into(),
            presence: Presence::Changed,
            fields: vec![
                field("description", Some(""), Some(""), pieces),
                field("due", None, Some("2026-11-30"), vec![]),
            ],
        };
        let removed = Difference { presence: Presence::Removed, fields: vec![], ..changed.clone() };
        let all = Differences { things: vec![changed, removed], next: None };
        assert_eq!(
            differences_text(&all),
            format!(
                "~ card \"paint\"  pmlq2wee\n    description: …{}[-é-]{{+è+}}\n    due: 2026-11-30\n- card \"paint\"  pmlq2wee",
                "x".repeat(AROUND)
            )
        );
        assert_eq!(differences_text(&Differences { things: vec![], next: None }), "nothing differs");
    }
}
