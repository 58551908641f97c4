//! An issue tracker: what is to be done, by whom, and how it stands.
//!
//! Each field merges on its own. Closed is a status, not a deletion, so an issue can be opened
//! again. Its reporter is who made it.

use super::field::{Field, Holds, Parts, Value};
use super::filter;
use super::kanban::PRIORITIES;
use super::key::Owner;
use super::thing::ThingKind;
use super::things::{Layout, Table, Thing};
use crate::roster::Role;

/// The issues.
pub const ISSUES: &Table = &Table {
    root: "issues",
    kind: ThingKind::Issue,
    fields: &["title", "description", "status", "priority", "assignee", "labels"],
    required: &["title", "status"],
};

/// How an issue can stand. The last two close it.
pub const STATUSES: &[&str] = &["backlog", "todo", "in-progress", "done", "canceled"];

/// The status of an issue of which nothing else was said.
pub const FIRST_STATUS: &str = "backlog";

const FIELDS: &[Field] = &[
    Field::one("title", Holds::Line),
    Field::one("description", Holds::Text),
    Field::one("status", Holds::Word(STATUSES)),
    Field::one("priority", Holds::Word(PRIORITIES)),
    Field::one("assignee", Holds::Person),
    Field::many("labels", Holds::Flag, Parts::Texts),
];

/// What an issue tracker holds.
pub const LAYOUT: &Layout = &Layout {
    roots: &["issues", "fields", "deleted", "comments", "edits"],
    tables: &[ISSUES],
    fields: FIELDS,
    metadata: &[],
    deletes: Role::Admin,
};

/// Whether an issue with this status is closed.
pub fn is_closed(status: &str) -> bool {
    matches!(status, "done" | "canceled")
}

/// Who is to do it.
pub fn assignee(issue: &Thing) -> Option<Owner> {
    match issue.value("assignee") {
        Some(Value::Person(person)) => *person,
        _ => None,
    }
}

/// What issues are looked for. An issue fits if all that is given fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// What is asked of cards too.
    pub thing: filter::Filter,
    /// One of these statuses.
    pub statuses: Vec<String>,
    /// Closed or not.
    pub is_closed: Option<bool>,
}

impl Filter {
    /// Whether an issue is looked for.
    pub fn fits(&self, issue: &Thing) -> bool {
        let status = issue.text("status");
        filter::one_of(&self.statuses, status)
            && self.is_closed.is_none_or(|closed| closed == is_closed(status))
            && self.thing.fits(issue)
    }
}
