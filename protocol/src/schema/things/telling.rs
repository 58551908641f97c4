//! Tells what a write did to a document of things, and how two states of one differ.
//!
//! Only reads. A thing that was deleted is told by its title as long as that is there.

use std::collections::BTreeSet;

use super::layout::{FieldRecord, Key, ThingRecord};
use super::values::Slot;
use super::{Table, Thing, Things};
use crate::schema::chat::{EditRecord, MessageRecord};
use crate::schema::field::{Parts, Value};
use crate::schema::key::name;
use crate::schema::thing::ThingId;
use crate::schema::told::{Did, Difference, FieldDifference, Presence, To, Told, shortened};

/// What people call a comment, and the document itself.
const COMMENT: &str = "comment";
const DOCUMENT: &str = "document";

/// Fields by which things are known that have no title.
const NAMES: [&str; 4] = ["title", "text", "shape", "element_type"];

impl Things<'_> {
    /// What a write did that left the document as it is here; `before` is what stood under the key.
    pub(crate) fn tell(&self, root: &str, key: &str, before: Option<&[u8]>) -> Option<Told> {
        let after = self.maps.get(root, key);
        let told = |thing, did, field: &str, to| {
            let (noun, title) = self.known_as(thing);
            let (field, part) = (field.to_owned(), String::new());
            Some(Told { thing: Some(thing), noun, title, did, field, part, to })
        };
        match Key::parse(self.layout, root, key).ok()? {
            Key::Thing(_, id) => after.and_then(|_| told(id, Did::Made, "", To::Something)),
            Key::Deleted(_, id) => after.and_then(|_| {
                let subject = self.index.subject(id).unwrap_or(id);
                let field = if subject == id { "" } else { COMMENT };
                told(subject, Did::Deleted, field, To::Something)
            }),
            Key::Comment(id) => {
                let text = MessageRecord::read(after?).ok()?.text;
                told(self.index.subject(id)?, Did::Said, COMMENT, To::text(text))
            }
            Key::Edit(id) => {
                let text = EditRecord::read(after?).ok()?.text;
                told(self.index.subject(id)?, Did::Edited, COMMENT, To::text(text))
            }
            Key::Metadata(field) => {
                let holds = self.layout.metadata.iter().find(|known| known.name == field)?;
                let value = FieldRecord::read(holds, after?).ok()?.value;
                let did = if value.is_some() { Did::Set } else { Did::Cleared };
                let to = value.as_ref().map_or(To::Something, |value| self.in_words(value));
                let (title, part) = Default::default();
                Some(Told { thing: None, noun: DOCUMENT, title, did, field: field.to_owned(), part, to })
            }
            Key::Field(id, field, part) => self.tell_field((id, field, part), before, after?),
        }
    }

    fn tell_field(
        &self,
        (id, name_of, part): (ThingId, &str, Option<&str>),
        before: Option<&[u8]>,
        after: &[u8],
    ) -> Option<Told> {
        let field = self.layout.field(name_of)?;
        let value = FieldRecord::read(field, after).ok()?.value;
        let before = before.and_then(|before| FieldRecord::read(field, before).ok()?.value);
        let (noun, title) = self.known_as(id);
        let (did, to) = match &value {
            None | Some(Value::Flag(false)) => (Did::Cleared, To::Something),
            Some(Value::Person(None)) => (Did::Cleared, To::Something),
            Some(Value::Text(text) | Value::Entry(_, text)) if text.is_empty() => {
                (Did::Cleared, before.as_ref().map_or(To::Something, |before| self.in_words(before)))
            }
            Some(value @ (Value::Place(..) | Value::Rank(_))) => (Did::Moved, self.in_words(value)),
            Some(value) => (Did::Set, self.in_words(value)),
        };
        // Whom a part is about says more than that it is on.
        let person = part.filter(|_| field.parts == Parts::People).and_then(name);
        let to = person.map_or(to, To::Person);
        let part = part.filter(|_| field.parts == Parts::Texts).unwrap_or_default().to_owned();
        Some(Told { thing: Some(id), noun, title, did, field: name_of.to_owned(), part, to })
    }

    /// What people call a thing and by what they know it, deleted or not.
    pub(crate) fn known_as(&self, id: ThingId) -> (&'static str, String) {
        let tables = self.layout.tables.iter().filter(|table| self.index.holds(table.root, id));
        let held = tables.filter_map(|table| Some((table.noun(), self.whatever(table.root, id)?))).next();
        let Some((noun, thing)) = held else {
            let is_comment = self.value(Key::Comment(id)).is_some();
            return (if is_comment { COMMENT } else { "" }, String::new());
        };
        let mut names = NAMES.iter().map(|name| shortened(thing.text(name)));
        (noun, names.find(|name| !name.is_empty()).unwrap_or_default())
    }

    fn in_words(&self, value: &Value) -> To {
        match value {
            Value::Text(text) | Value::Entry(_, text) => To::text(text),
            Value::Person(Some(person)) => To::Person(*person),
            Value::Number(number) => To::text(&number.get().to_string()),
            Value::Whole(number) => To::text(&number.to_string()),
            Value::Pair(one, other) => To::text(&format!("{}, {}", one.get(), other.get())),
            Value::Place(column, _) => To::text(&self.known_as(*column).1),
            Value::Flag(_) | Value::Person(None) | Value::Rank(_) | Value::Numbers(_) | Value::Blob(_) => {
                To::Something
            }
        }
    }

    // -- two states ---------------------------------------------------------------------------

    /// How this state differs from an earlier one, thing by thing in the order of their names from
    /// `after` on; of one thing, or of all and the document itself. What is said of one takes as long
    /// as it is asked for.
    pub(crate) fn differences<'a>(
        &'a self,
        earlier: &'a Things<'a>,
        of: Option<ThingId>,
        after: Option<ThingId>,
    ) -> impl Iterator<Item = Difference> + 'a {
        let metadata = (of.is_none() && after.is_none()).then(|| self.metadata_differs(earlier)).flatten();
        let tables = self.layout.tables.iter().map(|table| table.root);
        let things = tables.flat_map(|root| self.index.of(root).chain(earlier.index.of(root)));
        let comments = self.index.all_comments().chain(earlier.index.all_comments());
        let ids: BTreeSet<ThingId> = things.chain(comments).collect();
        let wanted = move |id: &ThingId| {
            let is_about = || {
                let subject = self.index.subject(*id).or(earlier.index.subject(*id));
                of.is_none_or(|of| *id == of || subject == Some(of))
            };
            after.is_none_or(|after| *id > after) && is_about()
        };
        let things = ids.into_iter().filter(wanted).filter_map(|id| self.differs(earlier, id));
        metadata.into_iter().chain(things)
    }

    fn differs(&self, earlier: &Things<'_>, id: ThingId) -> Option<Difference> {
        if let Some(difference) = self.comment_differs(earlier, id) {
            return Some(difference);
        }
        let held =
            |table: &&&'static Table| self.index.holds(table.root, id) || earlier.index.holds(table.root, id);
        let table = self.layout.tables.iter().find(held)?;
        let (before, after) = (earlier.thing(table.root, id), self.thing(table.root, id));
        let presence = presence(before.is_some(), after.is_some())?;
        let slots = before.iter().chain(&after).flat_map(|thing| thing.values.iter());
        let slots: BTreeSet<&Slot> = slots.map(|(slot, _)| slot).collect();
        let of = |thing: &Option<Thing>, (field, part): &Slot| {
            thing.as_ref().and_then(|thing| thing.values.get(field, part.as_deref()).cloned())
        };
        let fields = slots.into_iter().filter_map(|slot| field(slot, of(&before, slot), of(&after, slot)));
        let fields: Vec<FieldDifference> = fields.collect();
        let (_, title) = if after.is_some() { self.known_as(id) } else { earlier.known_as(id) };
        let noun = table.noun();
        (presence != Presence::Both || !fields.is_empty()).then_some(Difference {
            thing: Some(id),
            noun,
            title,
            presence,
            fields,
        })
    }

    fn comment_differs(&self, earlier: &Things<'_>, id: ThingId) -> Option<Difference> {
        let (before, after) = (earlier.comment(id), self.comment(id));
        let presence = presence(before.is_some(), after.is_some())?;
        let subject = before.as_ref().or(after.as_ref()).map(|comment| comment.subject)?;
        let text = |comment: Option<super::Comment>| comment.map(|comment| Value::Text(comment.text));
        let field = field(&("text", None), text(before), text(after))?;
        let title = self.known_as(subject).1;
        Some(Difference { thing: Some(id), noun: COMMENT, title, presence, fields: vec![field] })
    }

    fn metadata_differs(&self, earlier: &Things<'_>) -> Option<Difference> {
        let fields = self
            .layout
            .metadata
            .iter()
            .filter_map(|of| field(&(of.name, None), earlier.metadata(of.name), self.metadata(of.name)));
        let fields: Vec<FieldDifference> = fields.collect();
        let (title, presence) = (String::new(), Presence::Both);
        (!fields.is_empty()).then_some(Difference { thing: None, noun: DOCUMENT, title, presence, fields })
    }

    /// A thing, deleted or not.
    fn whatever(&self, table: &'static str, id: ThingId) -> Option<Thing> {
        let record = ThingRecord::read(self.layout, self.value(Key::Thing(table, id))?).ok()?;
        Some(self.with_overlay(table, id, record))
    }
}

fn presence(before: bool, after: bool) -> Option<Presence> {
    match (before, after) {
        (false, false) => None,
        (false, true) => Some(Presence::Added),
        (true, false) => Some(Presence::Removed),
        (true, true) => Some(Presence::Both),
    }
}

fn field(slot: &Slot, before: Option<Value>, after: Option<Value>) -> Option<FieldDifference> {
    let (field, part) = slot.clone();
    (before != after).then_some(FieldDifference { field: field.to_owned(), part, before, after })
}
