//! What can be asked about the versions of a document, and what is answered.
//!
//! A version is named by the first digits of its id. Each envelope that changed what people see makes
//! one; with age neighbours are joined to one.

use super::thing::Named;
use super::view::PersonView;
use crate::history::VersionId;
use crate::schema::thing::ThingId;
use crate::schema::told::{Did, Presence};
use crate::time::WallTime;

/// What can be asked about the versions of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryCommand {
    /// Which there are, the newest first. Answered by `Reply::Versions`.
    List {
        /// Those of one thing; of all if none is named.
        of: Option<Named>,
        /// Those before this version.
        before: Option<Named>,
        /// At most so many, 1 to `limits::TOLD_VERSIONS_MAX`.
        limit: usize,
    },
    /// How two differ. Answered by `Reply::Differences`.
    Compare {
        /// The earlier; all that is in the other where none is named.
        from: Option<Named>,
        /// The later; the document as it is where none is named.
        to: Option<Named>,
        /// In one thing; in all if none is named.
        of: Option<Named>,
        /// Go on behind this thing: `next` of the page before.
        after: Option<ThingId>,
    },
    /// Bring one thing, or all, back to how it was. Answered by `Reply::Reverted`.
    Restore {
        /// How it was then.
        version: Named,
        /// What; all if nothing is named.
        of: Option<Named>,
    },
}

impl HistoryCommand {
    /// The versions that it names.
    pub(crate) fn versions(&self) -> impl Iterator<Item = &str> {
        let named = match self {
            HistoryCommand::List { before, .. } => [before.as_ref(), None],
            HistoryCommand::Compare { from, to, .. } => [from.as_ref(), to.as_ref()],
            HistoryCommand::Restore { version, .. } => [Some(version), None],
        };
        named.into_iter().flatten().map(String::as_str)
    }

    /// The one thing that it is about.
    pub(crate) fn of(&self) -> Option<&Named> {
        match self {
            HistoryCommand::List { of, .. }
            | HistoryCommand::Compare { of, .. }
            | HistoryCommand::Restore { of, .. } => of.as_ref(),
        }
    }
}

/// A page of versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionsView {
    /// The newest first.
    pub versions: Vec<VersionView>,
    /// Whether there are more before these.
    pub has_more: bool,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionView {
    /// Its name.
    pub id: VersionId,
    /// Who made it, at most `limits::VERSION_PEOPLE_MAX`; nobody where another device's snapshot took
    /// the place of what was here.
    pub by: Vec<PersonView>,
    /// When its authors say that it was made, and of joined ones the first; `None` where they do not
    /// say, as with reactions.
    pub times: Option<(WallTime, WallTime)>,
    /// How many versions were joined in it.
    pub count: u64,
    /// What was done, at most `limits::TOLD_CHANGES_MAX`.
    pub changes: Vec<ChangeView>,
    /// How much more was done.
    pub more: u64,
}

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeView {
    /// To which thing; `None` for the document itself.
    pub thing: Option<ThingId>,
    /// What, for programs.
    pub did: Did,
    /// Which field was set; empty where none was.
    pub field: String,
    /// What was done, in words, without who did it.
    pub text: String,
}

/// How two versions differ: a page of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DifferencesView {
    /// By the names of the things; at most `limits::DIFFERING_THINGS_MAX`.
    pub things: Vec<DifferenceView>,
    /// Where to go on, if there is more.
    pub next: Option<ThingId>,
}

/// How one thing differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DifferenceView {
    /// Which; `None` for the document itself.
    pub thing: Option<ThingId>,
    /// What people call such a thing.
    pub noun: String,
    /// By what people know this one; of a comment, what it is about.
    pub title: String,
    /// In which of the two it is.
    pub presence: Presence,
    /// What differs in it.
    pub fields: Vec<FieldView>,
}

/// How one field differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldView {
    /// Its name.
    pub field: String,
    /// Which part of it, such as a label; empty where it has none.
    pub part: String,
    /// What it held, as text; `None` where it held nothing.
    pub before: Option<String>,
    /// What it holds, likewise.
    pub after: Option<String>,
}
