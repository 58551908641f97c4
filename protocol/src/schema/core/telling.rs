//! Tells what a write did to what an entity says of itself, how two states of that differ, and brings it
//! back to how it was.

use std::collections::BTreeSet;

use super::{
    CHILDREN, DESCRIPTION, LAPSE_DAYS, META, NAME, NAMES, NEWCOMERS_READ_HISTORY, ROOTS, SETTINGS, Settings,
    WEBSITE, allowed, entity_name, read_child, read_name, read_website, setting_key,
};
use crate::limits::TEXT_BYTES_MAX;
use crate::schema::field::Value;
use crate::schema::key::{self, spell};
use crate::schema::rights::Actor;
use crate::schema::things::Stays;
use crate::schema::told::{Did, Difference, FieldDifference, Presence, To, Told};
use crate::schema::{Maps, Put, record};

const NOUN: &str = "group";

/// What a write did that left the document as it is here.
pub(crate) fn tell(maps: &dyn Maps, root: &str, key: &str) -> Option<Told> {
    let (field, part) = field(root, key)?;
    let held = held(maps, root, key);
    let did = if held.is_some() { Did::Set } else { Did::Cleared };
    let to = match held {
        Some(Value::Text(text)) => To::text(&text),
        Some(Value::Flag(on)) => To::text(if on { "on" } else { "off" }),
        Some(Value::Whole(number)) => To::text(&number.to_string()),
        _ => To::Something,
    };
    let (thing, title) = Default::default();
    Some(Told { thing, noun: NOUN, title, did, field: field.to_owned(), part: part.to_owned(), to })
}

/// How this state differs from an earlier one; `None` if it does not.
pub(crate) fn difference(now: &dyn Maps, then: &dyn Maps) -> Option<Difference> {
    let mut fields = Vec::new();
    for (root, key) in keys(now, then) {
        let (before, after) = (held(then, root, &key), held(now, root, &key));
        if let Some((field, part)) = field(root, &key).filter(|_| before != after) {
            let part = (!part.is_empty()).then(|| part.to_owned());
            fields.push(FieldDifference { field: field.to_owned(), part, before, after });
        }
    }
    let is_new = ROOTS.iter().all(|root| then.range(root, "").next().is_none());
    let presence = if is_new { Presence::Added } else { Presence::Both };
    let title = entity_name(now).unwrap_or_default();
    (!fields.is_empty()).then_some(Difference { thing: None, noun: NOUN, title, presence, fields })
}

/// What brings back what was `then`, and by its name what stays as it is. What others call themselves
/// and which entities were made under this one is no part of it.
pub(crate) fn restore(now: &dyn Maps, then: &dyn Maps, actor: &Actor) -> (Vec<Put>, Vec<(String, Stays)>) {
    let own = spell(&actor.owner());
    let (mut puts, mut left) = (Vec::new(), Vec::new());
    for (root, key) in keys(now, then).into_iter().filter(|(root, key)| *root == META || *key == own) {
        let was = held(then, root, &key);
        if held(now, root, &key) == was {
            continue;
        }
        let value = match was {
            Some(_) => then.get(root, &key).map(<[u8]>::to_vec),
            None => nothing(root, &key),
        };
        let put = value.map(|value| Put { root, key: key.clone(), value });
        let put = put.ok_or(Stays::Final).and_then(|put| allowed(put, actor).map_err(|_| Stays::NotAllowed));
        match put {
            Ok(put) => puts.push(put),
            Err(why) => left.extend(field(root, &key).map(|(field, _)| (field.to_owned(), why))),
        }
    }
    (puts, left)
}

/// The keys of both states, each once.
fn keys(now: &dyn Maps, then: &dyn Maps) -> BTreeSet<(&'static str, String)> {
    fn of(maps: &dyn Maps) -> impl Iterator<Item = (&'static str, String)> + '_ {
        ROOTS.iter().flat_map(|root| maps.range(root, "").map(|(key, _)| (*root, key.to_owned())))
    }
    of(now).chain(of(then)).collect()
}

/// What people call an entry, and which of several it is.
fn field<'a>(root: &str, key: &'a str) -> Option<(&'a str, &'a str)> {
    match root {
        META => match key::split(key) {
            Some([SETTINGS, name]) => Some((name, "")),
            _ => Some((key, "")),
        },
        NAMES => Some((NAMES, key)),
        CHILDREN => Some((CHILDREN, key::split::<2>(key)?[1])),
        _ => None,
    }
}

/// What an entry holds; `None` where it holds nothing, or what this software cannot read.
fn held(maps: &dyn Maps, root: &str, key: &str) -> Option<Value> {
    let value = maps.get(root, key)?;
    let text = |text: &str| (!text.is_empty()).then(|| Value::Text(text.to_owned()));
    match (root, key) {
        (META, NAME) | (NAMES, _) => text(read_name(value).ok()?),
        (META, DESCRIPTION) => text(record::read_text(value, TEXT_BYTES_MAX).ok()?),
        (META, WEBSITE) => read_website(value).ok()?.map(Value::Blob),
        (META, _) => match (field(root, key)?.0, record::read_setting(value).ok()?) {
            (NEWCOMERS_READ_HISTORY, [on @ (0 | 1)]) => Some(Value::Flag(*on == 1)),
            (LAPSE_DAYS, [high, low]) => Some(Value::Whole(u16::from_be_bytes([*high, *low]).into())),
            (_, bytes) => Some(Value::Text(bytes.escape_ascii().to_string())),
        },
        (CHILDREN, _) => text(read_child(value).ok()?.1),
        _ => None,
    }
}

/// What leaves an entry as if it had never been set; `None` where it cannot be.
fn nothing(root: &str, key: &str) -> Option<Vec<u8>> {
    let Settings { newcomers_read_history, lapse_days } = Settings::default();
    match (root, key) {
        (META, DESCRIPTION) | (NAMES, _) => Some(record::write_text("")),
        (META, WEBSITE) => Some(super::write_website(None)),
        _ if key == setting_key(NEWCOMERS_READ_HISTORY) => {
            Some(record::write_setting(&[u8::from(newcomers_read_history)]))
        }
        _ if key == setting_key(LAPSE_DAYS) => Some(record::write_setting(&lapse_days.to_be_bytes())),
        _ => None,
    }
}
