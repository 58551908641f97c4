//! What boards, issue trackers and canvases have in common: people, places, comments.
//!
//! Things are named by their full id or by the first digits that people are shown of it; the machine
//! finds which is meant.

use fourword_protocol::command::{At, Change, Command, CommentCommand, CommentView, PersonView, Reply};
use fourword_protocol::limits;
use fourword_protocol::schema::field::Value;
use fourword_protocol::schema::thing::ThingId;
use fourword_protocol::time::WallTime;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::error::{Code, Problem};
use super::revision::{Revised, revision};
use super::{Api, text};

/// Entries of a list given if nobody says how many.
const ENTRIES: usize = 100;

/// Entries of a list given at once: with the longest texts they fill half of what a client reads.
pub const ENTRIES_MAX: usize = 500;

/// Somebody who is or was in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Person {
    /// Four words if they are known, else the first digits of the id.
    pub identity: String,
    /// The name shown, empty if there is none.
    pub name: String,
}

/// Names what was made. It is saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Made {
    /// Its id.
    pub id: String,
}

/// The answer when something was done and there is nothing to show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finished {
    /// Always true.
    pub done: bool,
}

/// What somebody said about a thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Comment {
    /// Its id.
    pub id: String,
    /// Who said it.
    pub author: Person,
    /// The text, the latest edit applied.
    pub text: String,
    /// When its author says it was written, in milliseconds since 1970.
    pub time: u64,
    /// When its author says it was last edited, in milliseconds since 1970.
    pub edited: Option<u64>,
    /// What `If-Match` takes, to change it only if it still is as it is shown here.
    #[serde(default)]
    pub revision: String,
}

/// A comment to write, or another text for one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewComment {
    /// The text.
    pub text: String,
}

/// Where something is put among its like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Spot {
    /// Before all.
    First,
    /// After all.
    #[default]
    Last,
    /// Right before the one of this id.
    Before(String),
    /// Right after the one of this id.
    After(String),
}

/// Which part of a long list.
#[derive(Clone, Debug, Default)]
pub struct PageQuery {
    /// How many entries at most.
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub after: Option<String>,
}

impl From<PersonView> for Person {
    fn from(person: PersonView) -> Person {
        Person { identity: text::identity(&person), name: person.name }
    }
}

impl From<ThingId> for Made {
    fn from(id: ThingId) -> Made {
        Made { id: id.to_string() }
    }
}

impl From<CommentView> for Comment {
    fn from(view: CommentView) -> Comment {
        let comment = Comment {
            id: view.comment.id.to_string(),
            author: view.author.into(),
            text: view.comment.text,
            time: view.comment.time.0,
            edited: view.comment.edited.map(|time| time.0),
            revision: String::new(),
        };
        Comment { revision: revision(&comment), ..comment }
    }
}

impl Revised for Comment {
    fn revision(&self) -> &str {
        &self.revision
    }
}

impl Finished {
    /// It was done.
    pub(super) const YES: Finished = Finished { done: true };
}

impl NewComment {
    /// What says it about a thing.
    pub(super) fn about(self, thing: String) -> Result<CommentCommand, Problem> {
        Ok(CommentCommand::Add { about: named(thing)?, text: self.text })
    }

    /// What gives a comment this text.
    pub(super) fn instead_of(self, comment: String) -> Result<CommentCommand, Problem> {
        Ok(CommentCommand::Edit { comment: named(comment)?, text: self.text })
    }
}

impl TryFrom<Spot> for At {
    type Error = Problem;

    fn try_from(spot: Spot) -> Result<At, Problem> {
        Ok(match spot {
            Spot::First => At::First,
            Spot::Last => At::Last,
            Spot::Before(id) => At::Before(named(id)?),
            Spot::After(id) => At::After(named(id)?),
        })
    }
}

impl PageQuery {
    /// Cuts a page out of a list that is sorted by time and name; gives what `after` takes to go on.
    pub(super) fn cut<T>(
        &self,
        all: Vec<T>,
        place: impl Fn(&T) -> (WallTime, ThingId),
    ) -> Result<(Vec<T>, Option<String>), Problem> {
        let limit = self.limit.unwrap_or(ENTRIES);
        if !(1..=ENTRIES_MAX).contains(&limit) {
            return Err(Problem::usage(format!("1 to {ENTRIES_MAX} entries are given at once")));
        }
        let after = self.after.as_deref().map(cursor).transpose()?;
        let mut rest = all.into_iter().filter(|entry| after.is_none_or(|after| place(entry) > after));
        let page: Vec<T> = rest.by_ref().take(limit).collect();
        let last = page.last().filter(|_| rest.next().is_some()).map(place);
        Ok((page, last.map(|(time, id)| format!("{}:{id}", time.0))))
    }
}

/// Reads `MILLISECONDS:ID`.
fn cursor(text: &str) -> Result<(WallTime, ThingId), Problem> {
    let parts = text.split_once(':').and_then(|(time, id)| Some((time.parse().ok()?, id.parse().ok()?)));
    let (time, id) = parts.ok_or_else(|| {
        Problem::new(Code::Usage, "a place in a list is MILLISECONDS:ID", "take `next` of the page before")
    })?;
    Ok((WallTime(time), id))
}

/// Reads how a client names a thing; which one it is the machine finds.
pub(super) fn named(name: String) -> Result<String, Problem> {
    let max = limits::NAME_BYTES_MAX;
    if name.trim().is_empty() || name.len() > max {
        let detail = format!("what is meant is named by 1 to {max} bytes");
        return Err(Problem::new(Code::Usage, detail, "give the first digits of an id that is shown"));
    }
    Ok(name)
}

/// Reads a field that may be taken back: it was given, be it null.
pub(super) fn given<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// Whether a name means the thing of an id: all of it, or the first digits of what is random in it.
pub(crate) fn is_named(id: &str, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    id == name || id.split_once('-').is_some_and(|(_, random)| random.starts_with(&name))
}

/// The comment that a command shows.
pub(super) async fn said(api: &Api, command: Command) -> Result<Comment, Problem> {
    let Reply::Comment(comment) = api.ask(command).await? else { return Err(Problem::mismatch()) };
    Ok(comment.into())
}

/// Nothing has that name.
pub(super) fn missing(noun: &str, name: &str) -> Problem {
    let hint = "it may have been deleted; see what is there now";
    Problem::new(Code::NotFound, format!("no {noun} is named \"{name}\""), hint)
}

/// Changes of those fields that are given, all of which are text.
pub(super) fn texts<const N: usize>(fields: [(&str, Option<String>); N]) -> Vec<Change> {
    let given = fields.into_iter().filter_map(|(name, text)| Some((name, text?)));
    given.map(|(name, text)| Change::Field(name.to_owned(), Value::Text(text))).collect()
}

/// What a request changes: at least something.
pub(super) fn some(changes: Vec<Change>) -> Result<Vec<Change>, Problem> {
    if changes.is_empty() {
        return Err(Problem::usage("nothing to be changed is given"));
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(time: u64, random: u8) -> (WallTime, ThingId) {
        (WallTime(time), ThingId { owner: [1; 16], random: [random; 8] })
    }

    #[test]
    fn pages_of_a_list_hold_each_entry_once_though_one_goes_meanwhile() {
        let mut all: Vec<_> = [(1, 1), (1, 2), (2, 1), (3, 9), (4, 1)].map(|(t, r)| entry(t, r)).into();
        let page = |limit, after| PageQuery { limit: Some(limit), after };
        let (first, next) = page(2, None).cut(all.clone(), |entry| *entry).unwrap();
        assert_eq!(first, all[..2]);
        all.remove(1);
        let (second, next) = page(2, next).cut(all.clone(), |entry| *entry).unwrap();
        assert_eq!(second, all[1..3]);
        let (third, next) = page(2, next).cut(all.clone(), |entry| *entry).unwrap();
        assert_eq!((&third[..], next), (&all[3..], None));
        for wrong in [page(0, None), page(ENTRIES_MAX + 1, None), page(1, Some("1:x".into()))] {
            assert_eq!(wrong.cut(all.clone(), |entry| *entry).unwrap_err().code, Code::Usage);
        }
    }

    #[test]
    fn a_name_is_neither_empty_nor_longer_than_any_title() {
        assert_eq!(named("pmlq2wee".into()), Ok("pmlq2wee".into()));
        for wrong in [String::new(), "  ".into(), "x".repeat(limits::NAME_BYTES_MAX + 1)] {
            assert_eq!(named(wrong).unwrap_err().code, Code::Usage);
        }
    }
}
