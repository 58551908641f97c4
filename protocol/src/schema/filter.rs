//! Which cards and issues are looked for, by what both have.
//!
//! `kanban` and `issues` add what only theirs have. Invariant: what fits is read off the thing alone,
//! so all devices that hold the same find the same.

use super::key::Owner;
use super::things::{Thing, assigned};

/// What things are looked for. A thing fits if all that is given fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// One of these priorities; an empty one: nobody set one.
    pub priorities: Vec<String>,
    /// This person is to do it; `Some(None)`: nobody is.
    pub assignee: Option<Option<Owner>>,
    /// This person made it.
    pub author: Option<Owner>,
    /// It has all these labels.
    pub labels: Vec<String>,
    /// Title or description contain this, in any case.
    pub text: String,
}

impl Filter {
    /// Whether a card or issue is looked for.
    pub(super) fn fits(&self, thing: &Thing) -> bool {
        one_of(&self.priorities, thing.text("priority"))
            && self.assignee.is_none_or(|person| is_to_do(person, thing))
            && self.author.is_none_or(|person| person == thing.id.owner)
            && self.labels.iter().all(|label| thing.on("labels").any(|on| on == label))
            && self.contains_text(thing)
    }

    fn contains_text(&self, thing: &Thing) -> bool {
        let needle = self.text.to_lowercase();
        let says = |field: &&str| thing.text(field).to_lowercase().contains(&needle);
        needle.is_empty() || ["title", "description"].iter().any(says)
    }
}

/// Whether a person is to do a thing, or nobody is.
fn is_to_do(person: Option<Owner>, thing: &Thing) -> bool {
    let assigned = assigned(thing);
    person.map_or(assigned.is_empty(), |person| assigned.contains(&person))
}

/// Whether a word is one of those that are looked for; where none is given, any is.
pub(super) fn one_of(words: &[String], word: &str) -> bool {
    words.is_empty() || words.iter().any(|one| one == word)
}
