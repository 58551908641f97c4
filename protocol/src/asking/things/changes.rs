//! Turns what a person asks of a board, issue tracker or canvas into the writes that it takes.
//!
//! Invariant: all writes of one request go into one envelope, so they arrive together or not at all.

use std::cell::RefCell;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::command::{
    At, BoardCommand, CanvasCommand, Change, CommentCommand, IssueCommand, Refusal, RefusalCode, Reply,
};
use crate::limits::RECORD_FIELDS_MAX;
use crate::outbox::refusal;
use crate::schema::Put;
use crate::schema::canvas::ELEMENTS;
use crate::schema::field::{Value, person_part};
use crate::schema::issues::{self, FIRST_STATUS, ISSUES};
use crate::schema::kanban::{self, Board, CARDS, COLUMNS, Placed, Spot, Unplaced};
use crate::schema::key::Owner;
use crate::schema::rank::Rank;
use crate::schema::rights::{Actor, Denied};
use crate::schema::thing::{Lookup, ThingId};
use crate::schema::things::{Set, Table, Thing, ThingError, Things};
use crate::time::WallTime;

/// Bytes of what one request writes: it must fit one envelope.
const REQUEST_BYTES_MAX: usize = 160 * 1024;

/// Finds the member that a person names.
type FindMember<'a> = &'a dyn Fn(&str) -> Result<Owner, Refusal>;

/// What a request writes, and what it answers once that is durable.
type Written = Result<(Vec<Put>, Reply), Refusal>;

/// The things of a document as people name them.
#[derive(Clone, Copy)]
pub(super) struct Named<'a>(pub(super) Things<'a>);

impl Named<'_> {
    /// The thing of a table that is meant.
    pub(super) fn thing(&self, table: &'static Table, name: &str) -> Result<ThingId, Refusal> {
        self.found(table.noun(), name, self.0.find(table.root, name))
    }

    /// A column, by its title too where only one has it.
    pub(super) fn column(&self, name: &str) -> Result<ThingId, Refusal> {
        let columns = Board(self.0).columns().into_iter().map(|column| column.column);
        let titled = columns.filter(|column| column.text("title").to_lowercase() == name.to_lowercase());
        match titled.map(|column| column.id).collect::<Vec<_>>()[..] {
            [only] => Ok(only),
            _ => self.thing(COLUMNS, name),
        }
    }

    /// The comment that is meant.
    pub(super) fn comment(&self, name: &str) -> Result<ThingId, Refusal> {
        self.found("comment", name, self.0.find_comment(name))
    }

    fn spot(&self, at: At, find: impl Fn(&str) -> Result<ThingId, Refusal>) -> Result<Spot, Refusal> {
        Ok(match at {
            At::First => Spot::First,
            At::Last => Spot::Last,
            At::Before(name) => Spot::Before(find(&name)?),
            At::After(name) => Spot::After(find(&name)?),
        })
    }

    fn found(&self, noun: &str, name: &str, lookup: Lookup) -> Result<ThingId, Refusal> {
        match lookup {
            Lookup::Found(id) => Ok(id),
            Lookup::Missing => {
                let message = format!("no {noun} is named \"{name}\"");
                Err(refusal(RefusalCode::NotFound, message, "give the first digits of an id that is shown"))
            }
            Lookup::Ambiguous(fitting) => {
                let names: Vec<String> = fitting.iter().map(ToString::to_string).collect();
                let message = format!("\"{name}\" may be any of {}", names.join(", "));
                Err(refusal(RefusalCode::Usage, message, "give more of the id"))
            }
        }
    }
}

/// One request that writes.
pub(super) struct Writing<'a> {
    things: Things<'a>,
    actor: Actor,
    now: WallTime,
    random: RefCell<ChaCha20Rng>,
    member: FindMember<'a>,
}

impl<'a> Writing<'a> {
    /// All that is drawn at random follows from `drawn`.
    pub(super) fn new(
        things: Things<'a>,
        actor: Actor,
        now: WallTime,
        drawn: [u8; 32],
        member: FindMember<'a>,
    ) -> Writing<'a> {
        Writing { things, actor, now, random: RefCell::new(ChaCha20Rng::from_seed(drawn)), member }
    }

    // -- boards -------------------------------------------------------------------------------

    pub(super) fn board(&self, command: BoardCommand) -> Written {
        let (board, named) = (Board(self.things), Named(self.things));
        match command {
            BoardCommand::AddColumn { title, limit, at } => {
                let spot = named.spot(at, |name| named.column(name))?;
                let placed = board.order(spot, None, self.draw()).map_err(unplaced)?;
                let mut sets = vec![text("title", title)];
                if limit > 0 {
                    sets.push(set("limit", Value::Whole(limit.into())));
                }
                self.make_at(COLUMNS, sets, placed)
            }
            BoardCommand::AddCard { title, column, at, changes, over } => {
                let column = named.column(&column)?;
                let spot = named.spot(at, |name| named.thing(CARDS, name))?;
                let placed = board.pos(column, spot, None, over, self.draw()).map_err(unplaced)?;
                let mut sets = vec![text("title", title)];
                sets.extend(self.sets(None, changes)?);
                self.make_at(CARDS, sets, placed)
            }
            BoardCommand::MoveColumn(column, at) => {
                let column = named.column(&column)?;
                let spot = named.spot(at, |name| named.column(name))?;
                let placed = board.order(spot, Some(column), self.draw()).map_err(unplaced)?;
                self.place(column, COLUMNS, placed)
            }
            BoardCommand::MoveCard { card, column, at, over } => {
                let (card, column) = (named.thing(CARDS, &card)?, named.column(&column)?);
                let spot = named.spot(at, |name| named.thing(CARDS, name))?;
                let placed = board.pos(column, spot, Some(card), over, self.draw()).map_err(unplaced)?;
                self.place(card, CARDS, placed)
            }
            BoardCommand::SetColumn(name, changes) => self.change(named.column(&name)?, COLUMNS, changes),
            BoardCommand::SetCard(name, changes) => self.change(named.thing(CARDS, &name)?, CARDS, changes),
            BoardCommand::Archive(name, on) => {
                let changes = vec![Change::Field("archived".to_owned(), Value::Flag(on))];
                self.change(named.thing(CARDS, &name)?, CARDS, changes)
            }
            BoardCommand::DeleteColumn(name) => {
                let column = named.column(&name)?;
                board.check_empty(column).map_err(unplaced)?;
                self.delete(column, COLUMNS)
            }
            BoardCommand::DeleteCard(name) => self.delete(named.thing(CARDS, &name)?, CARDS),
            BoardCommand::Comment(command) => self.comment(CARDS, command),
            BoardCommand::Show(_) | BoardCommand::Archived(_) | BoardCommand::Card(_) => done(Vec::new()),
        }
    }

    /// Makes a thing at its place, and room for it.
    fn make_at(&self, table: &'static Table, mut sets: Vec<Set>, placed: Placed) -> Written {
        sets.push(placed.set);
        let (mut puts, reply) = self.make(table, sets)?;
        puts.extend(self.make_room(table, placed.others)?);
        bounded(puts, reply)
    }

    fn place(&self, id: ThingId, table: &'static Table, placed: Placed) -> Written {
        let mut puts = self.set(id, table, vec![placed.set])?;
        puts.extend(self.make_room(table, placed.others)?);
        bounded(puts, Reply::Ok)
    }

    fn make_room(&self, table: &'static Table, others: Vec<(ThingId, Set)>) -> Result<Vec<Put>, Refusal> {
        let puts = others.into_iter().map(|(id, set)| self.set(id, table, vec![set]));
        Ok(puts.collect::<Result<Vec<_>, _>>()?.concat())
    }

    // -- issues -------------------------------------------------------------------------------

    pub(super) fn issue(&self, command: IssueCommand) -> Written {
        let named = Named(self.things);
        match command {
            IssueCommand::Add { title, changes } => {
                let mut sets = vec![text("title", title)];
                sets.extend(self.sets(None, changes)?);
                if sets.iter().all(|set| set.field != "status") {
                    sets.push(text("status", FIRST_STATUS.to_owned()));
                }
                let (puts, reply) = self.make(ISSUES, sets)?;
                bounded(puts, reply)
            }
            IssueCommand::Set(name, changes) => self.change(named.thing(ISSUES, &name)?, ISSUES, changes),
            IssueCommand::Delete(name) => self.delete(named.thing(ISSUES, &name)?, ISSUES),
            IssueCommand::Comment(command) => self.comment(ISSUES, command),
            IssueCommand::List(_) | IssueCommand::Show(_) => done(Vec::new()),
        }
    }

    // -- canvases -----------------------------------------------------------------------------

    pub(super) fn canvas(&self, command: CanvasCommand) -> Written {
        let named = Named(self.things);
        match command {
            CanvasCommand::Add(changes) => {
                let (puts, reply) = self.make(ELEMENTS, self.sets(None, changes)?)?;
                bounded(puts, reply)
            }
            CanvasCommand::Set(name, changes) => {
                self.change(named.thing(ELEMENTS, &name)?, ELEMENTS, changes)
            }
            CanvasCommand::Delete(name) => self.delete(named.thing(ELEMENTS, &name)?, ELEMENTS),
            CanvasCommand::Metadata(field, value) => {
                let put = self.things.set_metadata(&self.actor, &field, value, self.now);
                done(put.map_err(|error| refused(&error))?.into_iter().collect())
            }
            CanvasCommand::Show => done(Vec::new()),
        }
    }

    // -- what all have ------------------------------------------------------------------------

    fn comment(&self, table: &'static Table, command: CommentCommand) -> Written {
        let (named, things) = (Named(self.things), self.things);
        match command {
            CommentCommand::Add { about, text } => {
                let about = (named.thing(table, &about)?, table);
                let name = self.draw().to_be_bytes();
                let said = things.say(&self.actor, name, about, &text, self.now);
                let (id, put) = said.map_err(|error| refused(&error))?;
                Ok((vec![put], Reply::Thing(id)))
            }
            CommentCommand::Edit { comment, text } => {
                let edited = things.edit_comment(&self.actor, named.comment(&comment)?, &text, self.now);
                done(edited.map_err(|error| refused(&error))?.into_iter().collect())
            }
            CommentCommand::Delete(comment) => {
                let deleted = things.delete_comment(&self.actor, named.comment(&comment)?, self.now);
                done(vec![deleted.map_err(|error| refused(&error))?])
            }
            CommentCommand::Show(_) => done(Vec::new()),
        }
    }

    fn make(&self, table: &'static Table, sets: Vec<Set>) -> Written {
        let made = self.things.make(&self.actor, self.draw().to_be_bytes(), table, sets, self.now);
        let (id, put) = made.map_err(|error| refused(&error))?;
        Ok((vec![put], Reply::Thing(id)))
    }

    fn change(&self, id: ThingId, table: &'static Table, changes: Vec<Change>) -> Written {
        let thing = self.things.thing(table.root, id);
        bounded(self.set(id, table, self.sets(thing.as_ref(), changes)?)?, Reply::Ok)
    }

    fn set(&self, id: ThingId, table: &'static Table, sets: Vec<Set>) -> Result<Vec<Put>, Refusal> {
        self.things.set(&self.actor, id, table, sets, self.now).map_err(|error| refused(&error))
    }

    fn delete(&self, id: ThingId, table: &'static Table) -> Written {
        let put = self.things.delete(&self.actor, id, table, self.now);
        done(vec![put.map_err(|error| refused(&error))?])
    }

    /// The fields that changes set, on a thing that is there or on one that is being made.
    fn sets(&self, thing: Option<&Thing>, changes: Vec<Change>) -> Result<Vec<Set>, Refusal> {
        if changes.len() > RECORD_FIELDS_MAX {
            let message = format!("at most {RECORD_FIELDS_MAX} changes are made at once");
            return Err(refusal(RefusalCode::TooMuch, message, "make them one after the other"));
        }
        let mut last_line = thing.and_then(kanban::last_line).cloned();
        let mut sets = Vec::new();
        for change in changes {
            sets.push(match change {
                Change::Field(field, value) => Set { field, part: None, value: Some(value) },
                Change::Clear(field) => Set { field, part: None, value: None },
                Change::Label(label, on) => on_part("labels", label, on),
                Change::Assign(who, on) => self.assign(thing, &who, on)?,
                Change::AddLine(line) => {
                    let rank = Rank::between(last_line.as_ref(), None, self.draw()).ok_or_else(no_room)?;
                    last_line = Some(rank.clone());
                    let name = crate::ids::to_base32(&self.draw().to_be_bytes());
                    entry(name, rank, line)
                }
                Change::Line(name, line) => {
                    let (part, rank) = self.line(thing, &name)?;
                    entry(part, rank, line)
                }
                Change::Tick(name, on) => on_part("checked", self.line(thing, &name)?.0, on),
            });
        }
        Ok(sets)
    }

    /// A card has assignees, each by itself; an issue has one or none.
    fn assign(&self, thing: Option<&Thing>, who: &str, on: bool) -> Result<Set, Refusal> {
        let person = (self.member)(who)?;
        if self.things.has_field("assignees") {
            return Ok(on_part("assignees", person_part(&person), on));
        }
        let now = thing.and_then(issues::assignee);
        let assignee = if on { Some(person) } else { now.filter(|now| *now != person) };
        Ok(set("assignee", Value::Person(assignee)))
    }

    /// The line of a card's checklist that a person names, and where it stands.
    fn line(&self, thing: Option<&Thing>, name: &str) -> Result<(String, Rank), Refusal> {
        let lines = thing.into_iter().flat_map(|card| card.parts("checklist"));
        let fitting = lines.filter_map(|(part, value)| match value {
            Value::Entry(rank, text) if part.starts_with(&name.to_ascii_lowercase()) && !text.is_empty() => {
                Some((part.to_owned(), rank.clone()))
            }
            _ => None,
        });
        match &fitting.collect::<Vec<_>>()[..] {
            [only] => Ok(only.clone()),
            [] => {
                let message = format!("no line of the checklist is named \"{name}\"");
                Err(refusal(RefusalCode::NotFound, message, "give the first digits of an id that is shown"))
            }
            _ => {
                let message = format!("\"{name}\" may be several lines of the checklist");
                Err(refusal(RefusalCode::Usage, message, "give more of the id"))
            }
        }
    }

    fn draw(&self) -> u64 {
        self.random.borrow_mut().next_u64()
    }
}

fn text(field: &str, text: String) -> Set {
    set(field, Value::Text(text))
}

fn set(field: &str, value: Value) -> Set {
    Set { field: field.to_owned(), part: None, value: Some(value) }
}

fn on_part(field: &str, part: String, on: bool) -> Set {
    Set { field: field.to_owned(), part: Some(part), value: Some(Value::Flag(on)) }
}

fn entry(part: String, rank: Rank, line: String) -> Set {
    Set { field: "checklist".to_owned(), part: Some(part), value: Some(Value::Entry(rank, line)) }
}

fn done(puts: Vec<Put>) -> Written {
    Ok((puts, Reply::Ok))
}

pub(in crate::asking) fn bounded(puts: Vec<Put>, reply: Reply) -> Written {
    let bytes: usize = puts.iter().map(|put| put.key.len() + put.value.len()).sum();
    if bytes > REQUEST_BYTES_MAX {
        let message = format!("this would write {bytes} bytes, and at most {REQUEST_BYTES_MAX} go at once");
        return Err(refusal(RefusalCode::TooMuch, message, "make the changes one after the other"));
    }
    Ok((puts, reply))
}

fn no_room() -> Refusal {
    refusal(RefusalCode::TooMuch, "the checklist takes no more lines", "make another card")
}

pub(in crate::asking) fn refused(error: &ThingError) -> Refusal {
    let hint = match error {
        ThingError::Unknown(..) => "it may have been deleted; see what is there now",
        ThingError::Deleted(..) => "what is deleted stays so; make a new one",
        ThingError::Denied(Denied::NeedsRole(_)) => "ask an owner or admin, or who made it",
        ThingError::Denied(Denied::ReadOnly) => "ask an owner or admin for the role of a member",
        ThingError::NotAuthor(_) => "say it in a comment of your own",
        ThingError::TooMany(..) | ThingError::TooLong(_) => "make it shorter, or several of it",
        _ => "",
    };
    refusal(error.code(), error.to_string(), hint)
}

fn unplaced(error: Unplaced) -> Refusal {
    let hint = match &error {
        Unplaced::Unknown(..) => "see what stands in that column now",
        Unplaced::Full(..) => "move a card out first, or say that the limit may be passed",
        Unplaced::NotEmpty(..) => "move its cards to another column first",
        Unplaced::NoRoom(_) => "put it first or last",
    };
    refusal(error.code(), error.to_string(), hint)
}
