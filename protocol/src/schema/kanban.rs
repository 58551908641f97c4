//! A board: columns in order, cards in columns.
//!
//! Where a card stands is one value, so each card is in exactly one column whatever moves at once.
//! A card whose column was deleted meanwhile shows in the first one. How many cards a column takes
//! is kept where somebody puts one there; two who do so at once can pass it, and then it shows.

use super::field::{Field, Holds, Parts, Value};
use super::filter;
use super::rank::Rank;
use super::thing::{ThingId, ThingKind};
use super::things::{Layout, Set, Table, Thing, Things};
use crate::command::RefusalCode;
use crate::roster::Role;

/// The columns of a board.
pub const COLUMNS: &Table = &Table {
    root: "columns",
    kind: ThingKind::Column,
    fields: &["title", "order", "limit"],
    required: &["title", "order"],
};

/// The cards of a board.
pub const CARDS: &Table = &Table {
    root: "cards",
    kind: ThingKind::Card,
    fields: &[
        "title",
        "description",
        "pos",
        "assignees",
        "priority",
        "labels",
        "due",
        "checklist",
        "checked",
        "archived",
    ],
    required: &["title", "pos"],
};

/// How urgent cards and issues are.
pub const PRIORITIES: &[&str] = &["urgent", "high", "medium", "low"];

const FIELDS: &[Field] = &[
    Field::one("title", Holds::Line),
    Field::one("description", Holds::Text),
    Field::one("order", Holds::Rank),
    Field::one("limit", Holds::Whole),
    Field::one("pos", Holds::Place),
    Field::many("assignees", Holds::Flag, Parts::People),
    Field::one("priority", Holds::Word(PRIORITIES)),
    Field::many("labels", Holds::Flag, Parts::Texts),
    Field::one("due", Holds::Day),
    Field::many("checklist", Holds::Entry, Parts::Drawn),
    Field::many("checked", Holds::Flag, Parts::Drawn),
    Field::one("archived", Holds::Flag),
];

/// Neighbours on either side that are moved first where there is no room, and at most: what moves
/// goes into one envelope.
const REACH: usize = 4;
const REACH_MAX: usize = 256;

/// What a board holds.
pub const LAYOUT: &Layout = &Layout {
    roots: &["columns", "cards", "fields", "deleted", "comments", "edits"],
    tables: &[COLUMNS, CARDS],
    fields: FIELDS,
    metadata: &[],
    deletes: Role::Admin,
};

/// Where among its like something is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    /// Before all.
    First,
    /// After all.
    Last,
    /// Right before this one.
    Before(ThingId),
    /// Right after this one.
    After(ThingId),
}

/// One column and what stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The column.
    pub column: Thing,
    /// Its cards from the top, without archived ones.
    pub cards: Vec<Thing>,
}

impl Column {
    /// How many cards it takes, if that is limited.
    pub fn limit(&self) -> Option<u64> {
        limit(&self.column)
    }
}

/// Why something is not put where it was asked to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unplaced {
    /// There is no such column, or what it was to be put beside is not there.
    #[error("there is no {0} {short} there", short = .1.short())]
    Unknown(&'static str, ThingId),
    /// The column holds as many as it takes.
    #[error("column {0:?} holds {1} cards, and takes at most {2}")]
    Full(String, usize, u64),
    /// The column still holds cards.
    #[error("column {0:?} still holds {1} cards")]
    NotEmpty(String, usize),
    /// Too many stand too close to each other there.
    #[error("there is no room between {0}s there")]
    NoRoom(&'static str),
}

impl Unplaced {
    /// The kind of refusal, for programs.
    pub fn code(&self) -> RefusalCode {
        match self {
            Unplaced::Unknown(..) => RefusalCode::NotFound,
            Unplaced::Full(..) | Unplaced::NoRoom(_) => RefusalCode::TooMuch,
            Unplaced::NotEmpty(..) => RefusalCode::Usage,
        }
    }
}

/// A board as a replica holds it.
#[derive(Clone, Copy)]
pub struct Board<'a>(pub Things<'a>);

impl Board<'_> {
    /// All columns in order, each with those cards that are not archived.
    pub fn columns(&self) -> Vec<Column> {
        let mut columns: Vec<Column> =
            self.column_things().into_iter().map(|column| Column { column, cards: Vec::new() }).collect();
        for card in self.cards() {
            let named = place(&card).map(|(column, _)| column);
            let at = columns.iter().position(|column| Some(column.column.id) == named).unwrap_or(0);
            if let Some(column) = columns.get_mut(at) {
                column.cards.push(card);
            }
        }
        columns
    }

    /// The cards that show in no column, since there is none, without archived ones.
    pub fn loose(&self) -> Vec<Thing> {
        if self.column_things().is_empty() { self.cards() } else { Vec::new() }
    }

    /// The cards that are not archived, in the order of their ranks.
    fn cards(&self) -> Vec<Thing> {
        let mut cards: Vec<Thing> = self.0.all(CARDS.root).filter(|card| !card.flag("archived")).collect();
        sort_by_rank(&mut cards, "pos");
        cards
    }

    /// The column in which a card shows; `None` while there is no column at all.
    pub fn column_of(&self, card: &Thing) -> Option<ThingId> {
        let columns = self.column_things();
        let named = place(card).map(|(column, _)| column);
        let named = columns.iter().find(|column| Some(column.id) == named);
        named.or(columns.first()).map(|column| column.id)
    }

    /// What puts a new column at a spot: its `order`, and those of others where there is no room.
    pub fn order(&self, spot: Spot, moved: Option<ThingId>, random: u64) -> Result<Placed, Unplaced> {
        let columns = self.column_things();
        let others: Vec<&Thing> = columns.iter().filter(|column| Some(column.id) != moved).collect();
        let value = |rank| Set { field: "order".into(), part: None, value: Some(Value::Rank(rank)) };
        placed(&others, "order", COLUMNS.noun(), spot, random, value)
    }

    /// What puts a card into a column at a spot. A card that stands there already fits in any case,
    /// and so does any if `over` the limit is allowed.
    pub fn pos(
        &self,
        column: ThingId,
        spot: Spot,
        moved: Option<ThingId>,
        over: bool,
        random: u64,
    ) -> Result<Placed, Unplaced> {
        let columns = self.columns();
        let there = columns.iter().find(|there| there.column.id == column);
        let there = there.ok_or(Unplaced::Unknown(COLUMNS.noun(), column))?;
        let others: Vec<&Thing> = there.cards.iter().filter(|card| Some(card.id) != moved).collect();
        let is_new = others.len() == there.cards.len();
        let full = there.limit().filter(|limit| u64::try_from(others.len()).unwrap_or(u64::MAX) >= *limit);
        if let Some(limit) = full.filter(|_| is_new && !over) {
            return Err(Unplaced::Full(there.column.text("title").into(), others.len(), limit));
        }
        let value = |rank| Set { field: "pos".into(), part: None, value: Some(Value::Place(column, rank)) };
        placed(&others, "pos", CARDS.noun(), spot, random, value)
    }

    /// Refuses to let a column go that still shows cards. Archived ones stay, and show in the first
    /// column once they are restored.
    pub fn check_empty(&self, column: ThingId) -> Result<(), Unplaced> {
        let columns = self.columns();
        let there = columns.iter().find(|there| there.column.id == column);
        match there {
            Some(there) if !there.cards.is_empty() => {
                Err(Unplaced::NotEmpty(there.column.text("title").into(), there.cards.len()))
            }
            _ => Ok(()),
        }
    }

    fn column_things(&self) -> Vec<Thing> {
        let mut columns: Vec<Thing> = self.0.all(COLUMNS.root).collect();
        sort_by_rank(&mut columns, "order");
        columns
    }
}

/// What cards are looked for. A card fits if all that is given fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// What is asked of issues too.
    pub thing: filter::Filter,
    /// It shows in this column.
    pub column: Option<ThingId>,
    /// It is due on a day before this one.
    pub due_before: Option<String>,
    /// It was due before today, or not.
    pub is_overdue: Option<bool>,
    /// Which day is today.
    pub today: String,
}

impl Filter {
    /// Whether a card is looked for that shows in this column.
    pub fn fits(&self, card: &Thing, column: Option<ThingId>) -> bool {
        let due = card.text("due");
        let is_before = |day: &str| !due.is_empty() && due < day;
        (self.column.is_none() || self.column == column)
            && self.due_before.as_deref().is_none_or(is_before)
            && self.is_overdue.is_none_or(|overdue| overdue == is_before(&self.today))
            && self.thing.fits(card)
    }
}

/// What puts something at its spot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The field of what is put there.
    pub set: Set,
    /// Fields of others, which make room.
    pub others: Vec<(ThingId, Set)>,
}

/// The entries of a card's checklist in order: name, text, and whether it is done.
pub fn checklist(card: &Thing) -> Vec<(&str, &str, bool)> {
    let entries = card.parts("checklist").filter_map(|(part, value)| match value {
        Value::Entry(rank, text) if !text.is_empty() => Some((rank, part, text.as_str())),
        _ => None,
    });
    let mut entries: Vec<_> = entries.collect();
    entries.sort();
    let is_done = |part: &str| card.on("checked").any(|checked| checked == part);
    entries.into_iter().map(|(_, part, text)| (part, text, is_done(part))).collect()
}

/// Where the last line of a card's checklist stands, those that were taken away included.
pub fn last_line(card: &Thing) -> Option<&Rank> {
    let ranks = card.parts("checklist").filter_map(|(_, value)| match value {
        Value::Entry(rank, _) => Some(rank),
        _ => None,
    });
    ranks.max()
}

fn limit(column: &Thing) -> Option<u64> {
    match column.value("limit") {
        Some(Value::Whole(limit)) => u64::try_from(*limit).ok().filter(|limit| *limit > 0),
        _ => None,
    }
}

fn place(card: &Thing) -> Option<(ThingId, &Rank)> {
    match card.value("pos") {
        Some(Value::Place(column, rank)) => Some((*column, rank)),
        _ => None,
    }
}

fn rank<'t>(thing: &'t Thing, field: &str) -> Option<&'t Rank> {
    match thing.value(field) {
        Some(Value::Rank(rank) | Value::Place(_, rank)) => Some(rank),
        _ => None,
    }
}

/// Of two of one rank the lesser name comes first, so all devices show one order.
fn sort_by_rank(things: &mut [Thing], field: &str) {
    things.sort_by(|a, b| (rank(a, field), a.id).cmp(&(rank(b, field), b.id)));
}

/// A rank at a spot among `others`, which stand in order.
fn placed(
    others: &[&Thing],
    field: &str,
    noun: &'static str,
    spot: Spot,
    random: u64,
    set: impl Fn(Rank) -> Set,
) -> Result<Placed, Unplaced> {
    let at = |id: ThingId| others.iter().position(|thing| thing.id == id).ok_or(Unplaced::Unknown(noun, id));
    let index = match spot {
        Spot::First => 0,
        Spot::Last => others.len(),
        Spot::Before(id) => at(id)?,
        Spot::After(id) => at(id)? + 1,
    };
    let of = |index: usize| others.get(index).and_then(|thing| rank(thing, field));
    let low = index.checked_sub(1).and_then(of);
    if let Some(rank) = Rank::between(low, of(index), random) {
        return Ok(Placed { set: set(rank), others: Vec::new() });
    }
    // As few neighbours as possible make room; each costs a write.
    let mut reach = REACH;
    while reach <= REACH_MAX {
        let (from, to) = (index.saturating_sub(reach), index.saturating_add(reach).min(others.len()));
        let moved = others.get(from..to).unwrap_or_default();
        let low = from.checked_sub(1).and_then(of);
        if let Some(mut ranks) = Rank::spread(low, of(to), moved.len() + 1, random) {
            let own = ranks.remove(index - from);
            let others = moved.iter().zip(ranks).map(|(thing, rank)| (thing.id, set(rank))).collect();
            return Ok(Placed { set: set(own), others });
        }
        reach *= 2;
    }
    Err(Unplaced::NoRoom(noun))
}
