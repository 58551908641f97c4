//! What is shown of boards, issue trackers and canvases: one struct for each thing shown.

use super::PersonView;
use crate::schema::field::Number;
use crate::schema::thing::ThingId;
use crate::schema::things::Comment;
use crate::time::WallTime;

/// A column and the cards in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnView {
    /// Its name.
    pub id: ThingId,
    /// One line.
    pub title: String,
    /// How many cards it takes, if that is limited. Two who put one there at once can pass it.
    pub limit: Option<u64>,
    /// How many cards stand in it, those included that do not fit what is looked for.
    pub count: usize,
    /// Those that fit from the top, without those that were put away.
    pub cards: Vec<CardView>,
}

/// A board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardView {
    /// In order.
    pub columns: Vec<ColumnView>,
    /// Where all columns were deleted, the cards that are left, without those that were put away.
    pub loose: Vec<CardView>,
}

/// A card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardView {
    /// Its name.
    pub id: ThingId,
    /// Who made it.
    pub author: PersonView,
    /// One line.
    pub title: String,
    /// May be empty.
    pub description: String,
    /// The column in which it shows; `None` while there is none at all.
    pub column: Option<ThingId>,
    /// Who is to do it.
    pub assignees: Vec<PersonView>,
    /// Empty where nobody set one.
    pub priority: String,
    /// In order.
    pub labels: Vec<String>,
    /// As `2026-11-30`; empty where nobody set one.
    pub due: String,
    /// In order.
    pub checklist: Vec<LineView>,
    /// Whether it was put away.
    pub archived: bool,
    /// How many comments there are.
    pub comments: u32,
    /// When its author says it was made.
    pub created: WallTime,
    /// When somebody says to have changed it last.
    pub updated: WallTime,
}

/// A line of a card's checklist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineView {
    /// Its name within the card.
    pub id: String,
    /// What it says.
    pub text: String,
    /// Whether it is done.
    pub done: bool,
}

/// An issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueView {
    /// Its name.
    pub id: ThingId,
    /// Who reported it.
    pub reporter: PersonView,
    /// One line.
    pub title: String,
    /// May be empty.
    pub description: String,
    /// How it stands: one of `schema::issues::STATUSES`, or a word of later software.
    pub status: String,
    /// Whether that closes it.
    pub closed: bool,
    /// Empty where nobody set one.
    pub priority: String,
    /// Who is to do it.
    pub assignee: Option<PersonView>,
    /// In order.
    pub labels: Vec<String>,
    /// How many comments there are.
    pub comments: u32,
    /// When its reporter says it was made.
    pub created: WallTime,
    /// When somebody says to have changed it last.
    pub updated: WallTime,
}

/// A drawing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanvasView {
    /// Its size and ground, where somebody set them.
    pub width: Option<Number>,
    /// Likewise.
    pub height: Option<Number>,
    /// Likewise; empty where nobody did.
    pub background_color: String,
    /// The lowest first.
    pub elements: Vec<ElementView>,
}

/// An element of a drawing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementView {
    /// Its name.
    pub id: ThingId,
    /// Who drew it.
    pub author: PersonView,
    /// One of `schema::canvas::TYPES`, or a word of later software.
    pub element_type: String,
    /// Across and down.
    pub place: (Number, Number),
    /// Width and height.
    pub size: (Number, Number),
    /// In degrees.
    pub rotation: Option<Number>,
    /// What is higher covers what is lower.
    pub z_index: i64,
    /// What is written in it.
    pub text: String,
    /// Which shape, if it is one.
    pub shape: String,
    /// The corners of a line or path: across and down in turn.
    pub points: Vec<Number>,
    /// What names the bytes of an image.
    pub image: Option<[u8; 32]>,
    /// Which chart, if it is one.
    pub chart: String,
    /// What the chart shows.
    pub values: Vec<Number>,
    /// A colour.
    pub fill: String,
    /// A colour.
    pub stroke: String,
    /// How wide the stroke is.
    pub stroke_width: Option<Number>,
    /// How large the text is.
    pub font_size: Option<Number>,
    /// When somebody says to have changed it last.
    pub updated: WallTime,
}

/// What somebody said about a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommentView {
    /// The comment as the document has it.
    pub comment: Comment,
    /// Who said it.
    pub author: PersonView,
}
