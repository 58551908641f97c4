//! What things say to people: all that a search looks through, whatever the concern.
//!
//! `copying` gives it to copies. Invariant: what is said of a name follows from what was noted under
//! that name and from nothing else, so a copy that is told of each change stays what a scan gives.

use super::layout::COMMENTS;
use super::{Thing, Things};
use crate::schema::field::{Value, part_person};
use crate::schema::key::Owner;
use crate::schema::thing::{ThingId, ThingKind};
use crate::schema::{issues, kanban};
use crate::time::WallTime;

/// What one thing or comment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its name. Who made it is `id.owner`.
    pub id: ThingId,
    /// What it is.
    pub kind: ThingKind,
    /// Of a comment, what it is about; that may be deleted, or not here yet.
    pub about: Option<ThingId>,
    /// One line; empty where such things have none.
    pub title: String,
    /// All else, in lines: descriptions, texts, lists and labels.
    pub text: String,
    /// When its author says it was made.
    pub time: WallTime,
    /// Nobody is to do anything about it any more: an archived card, a closed issue.
    pub closed: bool,
    /// Who is to do it.
    pub assigned: Vec<Owner>,
}

impl Things<'_> {
    /// What stands here after a name, in an order of its own; each name once, with a time.
    pub(crate) fn names_after(&self, after: Option<ThingId>) -> impl Iterator<Item = (WallTime, ThingId)> {
        self.index.names_after(after)
    }

    /// What a thing or comment says; `None` if it has not come, is deleted or was pruned.
    pub fn said(&self, id: ThingId) -> Option<Said> {
        let root = self.index.root_of(id)?;
        if root == COMMENTS {
            let comment = self.comment(id)?;
            return Some(Said {
                id,
                kind: ThingKind::Comment,
                about: Some(comment.subject),
                title: String::new(),
                text: comment.text,
                time: comment.time,
                closed: false,
                assigned: Vec::new(),
            });
        }
        let kind = self.layout.tables.iter().find(|table| table.root == root)?.kind;
        let thing = self.thing(root, id)?;
        Some(Said {
            id,
            kind,
            about: None,
            title: thing.text("title").to_owned(),
            text: lines(&thing),
            time: thing.created,
            closed: thing.flag("archived") || issues::is_closed(thing.text("status")),
            assigned: assigned(&thing),
        })
    }
}

/// All that a thing says beneath its title.
fn lines(thing: &Thing) -> String {
    let texts = ["description", "text"].map(|field| thing.text(field));
    let list = kanban::checklist(thing).into_iter().map(|(_, line, _)| line);
    let lines = texts.into_iter().chain(list).chain(thing.on("labels"));
    lines.filter(|line| !line.is_empty()).collect::<Vec<&str>>().join("\n")
}

/// Who is to do a card or an issue.
pub fn assigned(thing: &Thing) -> Vec<Owner> {
    let one = match thing.value("assignee") {
        Some(Value::Person(person)) => *person,
        _ => None,
    };
    one.into_iter().chain(thing.on("assignees").filter_map(part_person)).collect()
}
