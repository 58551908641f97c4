//! What a write did to a document, and how two states of one differ, as it can be told to people.
//!
//! `things` and `chat` fill these from their keys and records; `views` puts them into words.

use super::field::Value;
use super::key::Owner;
use super::thing::ThingId;
use crate::limits::TOLD_TEXT_BYTES_MAX;

/// What one write did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The thing; of a comment, what it is about. `None` for the document itself.
    pub thing: Option<ThingId>,
    /// What people call such a thing.
    pub noun: &'static str,
    /// By what people know this one; empty where nothing of it is left.
    pub title: String,
    /// What was done.
    pub did: Did,
    /// Which field, where one was set.
    pub field: String,
    /// Which part of it, if it has parts.
    pub part: String,
    /// What was set or said.
    pub to: To,
}

/// What can be done to a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Did {
    /// It was made.
    Made,
    /// A field was set.
    Set,
    /// A field was emptied, or a part of it taken away.
    Cleared,
    /// It was put elsewhere.
    Moved,
    /// It was deleted.
    Deleted,
    /// Somebody said something about it.
    Said,
    /// Its text, or that of a comment on it, was changed by its author.
    Edited,
    /// Somebody reacted to it.
    Reacted,
    /// Somebody took a reaction back.
    Unreacted,
    /// Somebody pinned it.
    Pinned,
    /// Somebody took a pin away.
    Unpinned,
}

/// To what something was set, as far as it can be said in a few words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// That takes more than a few words.
    Something,
    /// At most `limits::TOLD_TEXT_BYTES_MAX` bytes.
    Text(String),
    /// Somebody.
    Person(Owner),
}

impl To {
    /// A text, shortened where it is long.
    pub(super) fn text(text: &str) -> To {
        To::Text(shortened(text))
    }
}

/// The first line of a text, shortened where it is long.
pub(super) fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let end = line.floor_char_boundary(TOLD_TEXT_BYTES_MAX - '…'.len_utf8());
    match line.get(..end) {
        Some(begin) if begin.len() < text.trim_end().len() => format!("{begin}…"),
        _ => line.to_owned(),
    }
}

/// How a thing differs between two states of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which; `None` for the document itself.
    pub thing: Option<ThingId>,
    /// What people call such a thing.
    pub noun: &'static str,
    /// By what people know this one.
    pub title: String,
    /// Whether it is in both.
    pub presence: Presence,
    /// What differs in it.
    pub fields: Vec<FieldDifference>,
}

/// In which of two states a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// In the later alone.
    Added,
    /// In the earlier alone.
    Removed,
    /// In both.
    Both,
}

/// How a field differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldDifference {
    /// Its name.
    pub field: String,
    /// Which part of it, if it has parts.
    pub part: Option<String>,
    /// What it held; `None` where it held nothing.
    pub before: Option<Value>,
    /// What it holds.
    pub after: Option<Value>,
}

impl Difference {
    /// Bytes of the values in it, about.
    pub fn bytes(&self) -> usize {
        let value = |value: &Option<Value>| value.as_ref().map_or(0, Value::size);
        let field = |field: &FieldDifference| {
            let part = field.part.as_ref().map_or(0, String::len);
            field.field.len() + part + value(&field.before) + value(&field.after)
        };
        self.fields.iter().map(field).fold(self.title.len(), usize::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_shortened_to_its_bound_and_never_within_a_character() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened("first\nsecond"), "first…");
        let long = "é".repeat(TOLD_TEXT_BYTES_MAX);
        let told = shortened(&long);
        assert!(told.len() <= TOLD_TEXT_BYTES_MAX && told.ends_with("é…"), "{told}");
    }
}
