//! What the verbs of boards, cards, issues and canvases share: where things are put, what is said
//! about them, and how they are shown.

use std::collections::BTreeMap;

use hyper::Method;

use super::Context;
use super::chat::{short, whole};
use super::client::{Client, path};
use super::failure::{Exit, Failure};
use super::output::{plain, plain_lines, time};
use crate::api::things::{self, Finished, Made, NewComment, Person, Spot};
use crate::api::undo::{Reverted, Untouched};

/// Where something is put among its like.
#[derive(Debug, clap::Args)]
#[group(required = false, multiple = false)]
pub(super) struct Where {
    /// Before all.
    #[arg(long)]
    first: bool,
    /// After all, as if nothing is said.
    #[arg(long)]
    last: bool,
    /// Right before this one.
    #[arg(long, value_name = "ID")]
    before: Option<String>,
    /// Right after this one.
    #[arg(long, value_name = "ID")]
    after: Option<String>,
}

impl From<Where> for Spot {
    fn from(place: Where) -> Spot {
        match place {
            Where { before: Some(id), .. } => Spot::Before(id),
            Where { after: Some(id), .. } => Spot::After(id),
            Where { first: true, .. } => Spot::First,
            Where { .. } => Spot::Last,
        }
    }
}

/// What is said about a card or an issue.
#[derive(Debug)]
pub(super) enum Saying {
    /// Something new, about what has this id.
    Add(String, String),
    /// Another text for the comment of this id.
    Edit(String, String),
    /// Nothing any more, by the comment of this id.
    Delete(String),
}

/// Says something: about what stands at `things` in the paths of a group, by comments that stand at
/// `comments`.
pub(super) async fn say(
    saying: Saying,
    (words, things, comments): (&str, &[&str], &str),
    context: &Context,
) -> Result<Exit, Failure> {
    let client = context.client();
    let comment = |id: &str| path(["groups", words, comments, id]);
    let told = match saying {
        Saying::Add(thing, text) => {
            let parts = ["groups", words].into_iter().chain(things.iter().copied());
            let place = path(parts.chain([thing.as_str(), "comments"]));
            let made: Made = client.send(Method::POST, &place, &NewComment { text: whole(text)? }).await?;
            return made_is_told(&made, context);
        }
        Saying::Edit(id, text) => {
            client.send(Method::PATCH, &comment(&id), &NewComment { text: whole(text)? }).await?
        }
        Saying::Delete(id) => client.act(Method::DELETE, &comment(&id)).await?,
    };
    finished(&told, context)
}

/// Prints the short id of what was made.
pub(super) fn made_is_told(made: &Made, context: &Context) -> Result<Exit, Failure> {
    context.output.answer(made, |made| short(&made.id).to_owned())?;
    Ok(Exit::Done)
}

/// Says that it was done.
pub(super) fn finished(finished: &Finished, context: &Context) -> Result<Exit, Failure> {
    context.output.answer(finished, |_| "done".to_owned())?;
    Ok(Exit::Done)
}

/// The step that `undo` and `redo` of a group's document take.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// The last one is taken back.
    Undo,
    /// The one that was taken back last is done again.
    Redo,
}

/// Takes back what was done last to a document, or does it again.
pub(super) async fn revert(
    step: Step,
    words: &str,
    document: &str,
    context: &Context,
) -> Result<Exit, Failure> {
    let step = match step {
        Step::Undo => "undo",
        Step::Redo => "redo",
    };
    let place = path(["groups", words, step, document]);
    let reverted: Reverted = context.client().act(Method::POST, &place).await?;
    context.output.answer(&reverted, reverted_text)?;
    Ok(Exit::Done)
}

/// What became of taking something back, or of bringing it back.
pub(super) fn reverted_text(reverted: &Reverted) -> String {
    let Reverted { things, left, undo, redo } = reverted;
    let changed = things.iter().map(|id| format!("changed  {}", short(id)));
    let stays = left.iter().map(|Untouched { thing, field, why }| {
        let thing = thing.as_deref().map(short).unwrap_or_default().to_owned();
        line(["stays".to_owned(), thing, plain(field), plain(why)])
    });
    let more = format!("{undo} more to undo, {redo} to redo");
    changed.chain(stays).chain([more]).collect::<Vec<_>>().join("\n")
}

/// Deletes what stands at a path.
pub(super) async fn delete(client: &Client, place: &str, context: &Context) -> Result<Exit, Failure> {
    finished(&client.act(Method::DELETE, place).await?, context)
}

/// What is put on and what is taken off. What is named for both is taken off.
pub(super) fn switched(on: Vec<String>, off: Vec<String>) -> BTreeMap<String, bool> {
    on.into_iter().map(|name| (name, true)).chain(off.into_iter().map(|name| (name, false))).collect()
}

/// The name by which people know somebody.
pub(super) fn person(person: &Person) -> String {
    plain(if person.name.is_empty() { &person.identity } else { &person.name })
}

/// Parts of a line that are not empty.
pub(super) fn line(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}

/// Labels as they are shown in a line.
pub(super) fn labels(labels: &[String]) -> String {
    labels.iter().map(|label| format!("#{}", plain(label))).collect::<Vec<_>>().join(" ")
}

/// How many comments there are, in words.
pub(super) fn comment_count(count: u32) -> String {
    match count {
        0 => String::new(),
        1 => "1 comment".to_owned(),
        count => format!("{count} comments"),
    }
}

/// Names and values in two columns, without those that are empty.
pub(super) fn sheet(rows: &[(&str, String)]) -> String {
    let rows = rows.iter().filter(|(_, value)| !value.is_empty());
    rows.map(|(name, value)| format!("\n{name:<9}  {value}")).collect()
}

/// A text set off by blank lines, if there is one.
pub(super) fn paragraph(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("\n\n{}", plain_lines(text, "")) }
}

/// What was said, one after the other.
pub(super) fn said(comments: &[things::Comment]) -> String {
    let line = |comment: &things::Comment| {
        let edited = if comment.edited.is_some() { " (edited)" } else { "" };
        let text = plain_lines(&comment.text, "    ");
        let (author, when) = (person(&comment.author), time(comment.time));
        format!("[{when}] {author}: {text}{edited}  {}", short(&comment.id))
    };
    let lines: Vec<String> = comments.iter().map(line).collect();
    if lines.is_empty() { String::new() } else { format!("\n\n{}", lines.join("\n")) }
}
