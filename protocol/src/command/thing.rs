//! What can be asked of boards, issue trackers and canvases.
//!
//! Things are named as people name them: by their full id or the first digits of its random part,
//! columns by their title too where only one has it. What several fit is refused and says which.

use crate::schema::field::Value;

/// A thing as a person names it.
pub type Named = String;

/// What can be asked of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoardCommand {
    /// All columns in order, with those of their cards that fit. Answered by `Reply::Board`.
    Show(CardFilter),
    /// The cards that were put away and fit. Answered by `Reply::Cards`.
    Archived(CardFilter),
    /// One card and what was said about it. Answered by `Reply::Card`.
    Card(Named),
    /// Make a column. Answered by `Reply::Thing`.
    AddColumn {
        /// One line.
        title: String,
        /// How many cards it takes; 0 for as many as there are.
        limit: u32,
        /// Where.
        at: At,
    },
    /// Make a card. Answered by `Reply::Thing`.
    AddCard {
        /// One line.
        title: String,
        /// In which column.
        column: Named,
        /// Where in it.
        at: At,
        /// What else it has.
        changes: Vec<Change>,
        /// Even if the column takes no more.
        over: bool,
    },
    /// Put a column elsewhere.
    MoveColumn(Named, At),
    /// Put a card elsewhere.
    MoveCard {
        /// Which.
        card: Named,
        /// Into which column.
        column: Named,
        /// Where in it.
        at: At,
        /// Even if the column takes no more.
        over: bool,
    },
    /// Change a column.
    SetColumn(Named, Vec<Change>),
    /// Change a card.
    SetCard(Named, Vec<Change>),
    /// Put a card away, or back where it was.
    Archive(Named, bool),
    /// Delete a column that holds no cards, for good: one's own, or anybody's as an admin.
    DeleteColumn(Named),
    /// Delete a card for good: one's own, or anybody's as an admin.
    DeleteCard(Named),
    /// Talk about a card.
    Comment(CommentCommand),
}

impl BoardCommand {
    /// Whether it asks for a change.
    pub(crate) fn writes(&self) -> bool {
        match self {
            BoardCommand::Show(_) | BoardCommand::Archived(_) | BoardCommand::Card(_) => false,
            BoardCommand::Comment(command) => command.writes(),
            _ => true,
        }
    }
}

/// What can be asked of an issue tracker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssueCommand {
    /// The issues that fit, the oldest first. Answered by `Reply::Issues`.
    List(IssueFilter),
    /// One issue and what was said about it. Answered by `Reply::Issue`.
    Show(Named),
    /// Report an issue. Answered by `Reply::Thing`.
    Add {
        /// One line.
        title: String,
        /// What else it has.
        changes: Vec<Change>,
    },
    /// Change an issue; closing it is a change of its status.
    Set(Named, Vec<Change>),
    /// Delete an issue for good: one's own, or anybody's as an admin.
    Delete(Named),
    /// Talk about an issue.
    Comment(CommentCommand),
}

impl IssueCommand {
    /// Whether it asks for a change.
    pub(crate) fn writes(&self) -> bool {
        match self {
            IssueCommand::List(_) | IssueCommand::Show(_) => false,
            IssueCommand::Comment(command) => command.writes(),
            _ => true,
        }
    }
}

/// What can be asked of a canvas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CanvasCommand {
    /// All elements, the lowest first. Answered by `Reply::Canvas`.
    Show,
    /// Draw an element. Answered by `Reply::Thing`.
    Add(Vec<Change>),
    /// Change an element.
    Set(Named, Vec<Change>),
    /// Erase an element for good.
    Delete(Named),
    /// Set a field of the canvas itself; without a value it is not set any more.
    Metadata(String, Option<Value>),
}

impl CanvasCommand {
    /// Whether it asks for a change.
    pub(crate) fn writes(&self) -> bool {
        !matches!(self, CanvasCommand::Show)
    }
}

/// What can be said about a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommentCommand {
    /// One comment. Answered by `Reply::Comment`.
    Show(Named),
    /// Say something. Answered by `Reply::Thing`.
    Add {
        /// About which thing.
        about: Named,
        /// At most `limits::TEXT_BYTES_MAX`.
        text: String,
    },
    /// Give one's own comment another text.
    Edit {
        /// Which comment.
        comment: Named,
        /// At most `limits::TEXT_BYTES_MAX`.
        text: String,
    },
    /// Delete one's own comment, or anybody's as an admin.
    Delete(Named),
}

impl CommentCommand {
    /// Whether it asks for a change.
    pub(crate) fn writes(&self) -> bool {
        !matches!(self, CommentCommand::Show(_))
    }
}

/// Where something is put among its like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// Before all.
    First,
    /// After all.
    Last,
    /// Right before this one.
    Before(Named),
    /// Right after this one.
    After(Named),
}

/// One change to a thing. Each merges on its own with what others change at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A field that has one value.
    Field(String, Value),
    /// A field that has one value and is not set any more; refused where every such thing has it.
    Clear(String),
    /// A label, put on or taken off.
    Label(String, bool),
    /// A member, named as in `MemberCommand`, who is to do it or no longer is.
    Assign(String, bool),
    /// A new line at the end of a card's checklist.
    AddLine(String),
    /// Another text of a line, named by the first digits of its id; an empty one takes it away.
    Line(String, String),
    /// Whether a line is done.
    Tick(String, bool),
}

/// What things are looked for, by what cards and issues have. A thing fits if all that is given fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThingFilter {
    /// One of these priorities; an empty one: nobody set one.
    pub priorities: Vec<String>,
    /// This member is to do it; an empty name: nobody is.
    pub assignee: Option<String>,
    /// This member made it.
    pub author: Option<String>,
    /// It has all these labels.
    pub labels: Vec<String>,
    /// Title or description contain this, in any case.
    pub text: String,
}

/// What cards are looked for. A card fits if all that is given fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CardFilter {
    /// What is asked of issues too.
    pub thing: ThingFilter,
    /// It shows in this column.
    pub column: Option<Named>,
    /// It is due on a day before this one, as `2026-11-30`.
    pub due_before: Option<String>,
    /// It was due before today, or not.
    pub is_overdue: Option<bool>,
}

/// What issues are looked for. An issue fits if all that is given fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IssueFilter {
    /// What is asked of cards too; the author is who reported it.
    pub thing: ThingFilter,
    /// One of these statuses.
    pub statuses: Vec<String>,
    /// Closed or not.
    pub is_closed: Option<bool>,
}
