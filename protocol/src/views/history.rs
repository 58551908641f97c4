//! Puts into words what was done to a document, and how two states of one differ.
//!
//! Only reads. Whoever wrote something that counts is or was in the roster, so each author shows.

use std::collections::BTreeMap;

use super::Faces;
use crate::command::{ChangeView, DifferenceView, FieldView, PersonView, VersionView};
use crate::history::{Line, Picture};
use crate::schema::chat::Chat;
use crate::schema::core;
use crate::schema::field::{Value, part_person};
use crate::schema::kanban::Board;
use crate::schema::key::Owner;
use crate::schema::thing::ThingId;
use crate::schema::things::Things;
use crate::schema::told::{Did, Difference, FieldDifference, To, Told};

/// A version as it is shown.
pub(crate) fn version(line: Line, faces: &Faces) -> VersionView {
    let Line { id, by, times, count, told, more } = line;
    let by = by.iter().filter_map(|owner| faces.get(owner).cloned()).collect();
    let change = |told: Told| {
        let text = sentence(&told, faces);
        ChangeView { thing: told.thing, did: told.did, field: told.field, text }
    };
    VersionView { id, by, times, count, changes: told.into_iter().map(change).collect(), more }
}

/// What was done, without who did it: `moved card "paint" to "done"`.
fn sentence(told: &Told, faces: &Faces) -> String {
    let Told { thing, noun, did, field, part, to, .. } = told;
    let what = match thing {
        None => format!("the {noun}"),
        Some(id) if told.title.is_empty() => format!("{noun} {}", id.short()).trim().to_owned(),
        Some(_) => format!("{noun} \"{}\"", told.title),
    };
    let to = match to {
        To::Something => None,
        To::Text(text) => Some(format!("\"{text}\"")),
        To::Person(owner) => Some(faces.get(owner).map_or_else(|| "somebody".to_owned(), name)),
    };
    match (did, field.as_str(), to) {
        (Did::Made, _, Some(text)) => format!("wrote {text}"),
        (Did::Made, _, None) => format!("made {what}"),
        (Did::Moved, "pos", Some(column)) => format!("moved {what} to {column}"),
        (Did::Moved, _, _) => format!("moved {what}"),
        (Did::Deleted, "", _) => format!("deleted {what}"),
        (Did::Deleted, part, _) => format!("deleted a {part} on {what}"),
        (Did::Said, _, text) => format!("said {} about {what}", text.unwrap_or_default()),
        (Did::Edited, "", text) => format!("changed a message to {}", text.unwrap_or_default()),
        (Did::Edited, part, text) => format!("changed a {part} on {what} to {}", text.unwrap_or_default()),
        (Did::Reacted, _, emoji) => format!("reacted {} to {what}", emoji.unwrap_or_default()),
        (Did::Unreacted, _, emoji) => format!("took {} back from {what}", emoji.unwrap_or_default()),
        (Did::Pinned, ..) => format!("pinned {what}"),
        (Did::Unpinned, ..) => format!("unpinned {what}"),
        (Did::Set, "archived", _) => format!("put {what} away"),
        (Did::Cleared, "archived", _) => format!("put {what} back"),
        (Did::Set, "labels", _) => format!("put label \"{part}\" on {what}"),
        (Did::Cleared, "labels", _) => format!("took label \"{part}\" off {what}"),
        (Did::Set, "assignee" | "assignees", Some(person)) => format!("gave {what} to {person}"),
        (Did::Cleared, "assignee" | "assignees", Some(person)) => format!("took {what} from {person}"),
        (Did::Set, "checked", _) => format!("ticked a line of {what}"),
        (Did::Cleared, "checked", _) => format!("unticked a line of {what}"),
        (Did::Set, "checklist", Some(line)) => format!("wrote {line} into the checklist of {what}"),
        (Did::Cleared, "checklist", line) => {
            format!("took {} off the checklist of {what}", line.unwrap_or_else(|| "a line".to_owned()))
        }
        (Did::Set, "names", Some(name)) => format!("goes by the name {name}"),
        (Did::Cleared, "names", _) => "took its name away".to_owned(),
        (Did::Set, "children", Some(name)) => format!("made {name} a part of {what}"),
        (Did::Set, field, Some(to)) => format!("set {field} of {what} to {to}"),
        (Did::Set, field, None) => format!("set {field} of {what}"),
        (Did::Cleared, field, _) => format!("cleared {field} of {what}"),
    }
}

fn name(person: &PersonView) -> String {
    match (&*person.name, person.words) {
        ("", Some(words)) => words.to_string(),
        ("", None) => person.person.short(),
        (name, _) => name.to_owned(),
    }
}

/// Two states of a document, of which it is said how they differ.
pub(crate) struct Comparing<'a> {
    things: Option<(Things<'a>, Things<'a>)>,
    chats: Option<(Chat<'a>, Chat<'a>)>,
    /// What an entity says of itself, where that is compared.
    plain: Option<(&'a Picture, &'a Picture)>,
    /// Where the cards and columns of a board stood, in words.
    places: (Places, Places),
    faces: Faces,
}

type Places = BTreeMap<ThingId, String>;

impl<'a> Comparing<'a> {
    pub(crate) fn new(from: &'a Picture, to: &'a Picture, faces: Faces) -> Comparing<'a> {
        let (things, chats) = (from.things().zip(to.things()), from.chat().zip(to.chat()));
        let places = things.map(|(from, to)| (places(from), places(to))).unwrap_or_default();
        let plain = (things.is_none() && chats.is_none()).then_some((from, to));
        Comparing { things, chats, plain, places, faces }
    }

    /// What differs, by the names of the things from `after` on; in one thing, or in all.
    pub(crate) fn differences(
        &'a self,
        of: Option<ThingId>,
        after: Option<ThingId>,
    ) -> impl Iterator<Item = Difference> + 'a {
        let things = self.things.iter().flat_map(move |(from, to)| to.differences(from, of, after));
        let messages = self.chats.iter().flat_map(move |(from, to)| to.differences(from, of, after));
        // All that an entity says of itself stands before any place in a list.
        let plain = self.plain.filter(|_| of.is_none() && after.is_none());
        let plain = plain.and_then(|(from, to)| core::difference(to, from));
        things.chain(messages).chain(plain)
    }

    /// One of them as it is shown.
    pub(crate) fn view(&self, difference: Difference) -> DifferenceView {
        let Difference { thing, noun, title, presence, fields } = difference;
        let fields = fields.into_iter().map(|field| self.field(thing, field)).collect();
        DifferenceView { thing, noun: noun.to_owned(), title, presence, fields }
    }

    fn field(&self, thing: Option<ThingId>, field: FieldDifference) -> FieldView {
        let FieldDifference { field, part, before, after } = field;
        let person = part.as_deref().and_then(part_person).and_then(|owner| self.faces.get(&owner));
        let part = person.map(name).or(part).unwrap_or_default();
        let text =
            |value: Option<Value>, places: &Places| value.map(|value| self.text(thing, &value, places));
        let (before, after) = (text(before, &self.places.0), text(after, &self.places.1));
        FieldView { field, part, before, after }
    }

    fn text(&self, thing: Option<ThingId>, value: &Value, places: &Places) -> String {
        let person = |owner: &Owner| self.faces.get(owner).map(name).unwrap_or_default();
        match value {
            Value::Text(text) | Value::Entry(_, text) => text.clone(),
            Value::Flag(on) => if *on { "yes" } else { "no" }.to_owned(),
            Value::Person(owner) => owner.as_ref().map(person).unwrap_or_default(),
            Value::Number(number) => number.get().to_string(),
            Value::Whole(number) => number.to_string(),
            Value::Pair(one, other) => format!("{}, {}", one.get(), other.get()),
            Value::Numbers(numbers) => {
                numbers.iter().map(|number| number.get().to_string()).collect::<Vec<_>>().join(", ")
            }
            Value::Place(..) | Value::Rank(_) => {
                thing.and_then(|thing| places.get(&thing)).cloned().unwrap_or_default()
            }
            Value::Blob(hash) => crate::ids::Digest(*hash).to_string(),
        }
    }
}

/// Where everything on a board stands: `done, place 2`; columns are counted among themselves.
fn places(things: Things<'_>) -> Places {
    let mut places = Places::new();
    for (at, column) in (1..).zip(Board(things).columns()) {
        let title = column.column.text("title");
        for (at, card) in (1..).zip(&column.cards) {
            places.insert(card.id, format!("{title}, place {at}"));
        }
        places.insert(column.column.id, format!("place {at}"));
    }
    places
}
