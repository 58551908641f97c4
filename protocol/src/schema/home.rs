//! What is private to one person and shared by its devices: groups, read markers, settings, drafts.
//!
//! A home has one person, its owner, any of whose devices may write all of it; so operations ask
//! for no actor. The list of groups is what a new device learns first: whom to find and sync.

use super::chat::MessageId;
use super::key::{join, name, spell, split};
use super::rights::{Denied, Right};
use super::{Maps, Put, record};
use crate::bytes::{Malformed, Reader};
use crate::command::Kind;
use crate::ids::{DocumentKey, EntityId};
use crate::limits::{SETTING_BYTES_MAX, SETTING_KEY_BYTES_MAX, TEXT_BYTES_MAX};
use crate::roster::Role;
use crate::time::WallTime;

const GROUPS: &str = "groups";
const READ: &str = "read";
const SETTINGS: &str = "settings";
const DRAFTS: &str = "drafts";

/// The setting that holds the name under which this person appears to others.
pub const NAME: &str = "name";

/// The root maps of a home document.
pub const ROOTS: &[&str] = &[GROUPS, READ, SETTINGS, DRAFTS];

/// An entity this person joined or made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// Whether this person has left it.
    pub left: bool,
    /// What it is for.
    pub kind: Kind,
    /// Its four words, 12 bits each.
    pub words: [u8; 6],
    /// When it was joined.
    pub joined: WallTime,
}

/// How far this person has read a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReadMarker {
    /// The time of the last message read.
    pub time: WallTime,
    /// The last message read.
    pub message: MessageId,
}

/// Why a home does not take what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HomeError {
    /// Not a setting's name.
    #[error("a setting is named by 1 to {SETTING_KEY_BYTES_MAX} of a-z, 0-9, \"-\", \"_\" and \".\"")]
    NoSetting,
    /// Too many bytes; says how many.
    #[error("the value is {0} bytes long; at most {SETTING_BYTES_MAX} are kept")]
    SettingTooLong(usize),
    /// Too many bytes; says how many.
    #[error("the draft is {0} bytes long; at most {TEXT_BYTES_MAX} are kept")]
    DraftTooLong(usize),
}

/// All entities ever joined, by id; those left are marked so.
pub fn groups(maps: &dyn Maps) -> Vec<(EntityId, Group)> {
    let one = |(key, value)| Some((EntityId(name(key)?), read_group(value).ok()?));
    maps.range(GROUPS, "").filter_map(one).collect()
}

/// One entity; `None` if it was never joined.
pub fn group(maps: &dyn Maps, entity: EntityId) -> Option<Group> {
    read_group(maps.get(GROUPS, &spell(&entity.0))?).ok()
}

/// Notes that this person is in an entity, for the first time or again.
pub fn join_group(entity: EntityId, kind: Kind, words: [u8; 6], joined: WallTime) -> Put {
    let value = record::write(|writer| {
        writer.u8(0).u8(kind_code(kind)).raw(&words);
        record::put_time(writer, joined);
    });
    Put { root: GROUPS, key: spell(&entity.0), value }
}

/// Notes that this person has left an entity; `None` if it is not in it.
///
/// Changes the one byte after the version, so what a later version wrote beside it is kept.
pub fn leave_group(maps: &dyn Maps, entity: EntityId) -> Option<Put> {
    let key = spell(&entity.0);
    let value = maps.get(GROUPS, &key)?;
    let group = read_group(value).ok()?;
    match value {
        [version, _, rest @ ..] if !group.left => {
            let value = [&[*version, 1], rest].concat();
            Some(Put { root: GROUPS, key, value })
        }
        _ => None,
    }
}

/// How far this person has read a document; `None` if not at all.
pub fn read_marker(maps: &dyn Maps, entity: EntityId, document: DocumentKey) -> Option<ReadMarker> {
    read_marker_record(maps.get(READ, &place(entity, document))?).ok()
}

/// Moves the read marker forward; `None` if it is there already or further.
pub fn mark_read(
    maps: &dyn Maps,
    entity: EntityId,
    document: DocumentKey,
    marker: ReadMarker,
) -> Option<Put> {
    if read_marker(maps, entity, document).is_some_and(|present| present >= marker) {
        return None;
    }
    Some(put_marker(place(entity, document), marker))
}

/// All read markers, each by its key.
pub(crate) fn read_markers(maps: &dyn Maps) -> impl Iterator<Item = (&str, ReadMarker)> {
    maps.range(READ, "").filter_map(|(key, value)| Some((key, read_marker_record(value).ok()?)))
}

/// Sets a read marker by its key, wherever it is.
pub(crate) fn put_marker(key: String, marker: ReadMarker) -> Put {
    let value = record::write(|writer| {
        record::put_time(writer, marker.time);
        writer.raw(&marker.message.owner).raw(&marker.message.random);
    });
    Put { root: READ, key, value }
}

/// The value of a personal setting; `None` if it was never set.
pub fn setting<'a>(maps: &'a dyn Maps, name: &str) -> Option<&'a [u8]> {
    record::read_setting(maps.get(SETTINGS, name)?).ok()
}

/// Sets a personal setting.
pub fn set_setting(name: &str, value: &[u8]) -> Result<Put, HomeError> {
    if !record::names_a_setting(name) {
        return Err(HomeError::NoSetting);
    }
    if value.len() > SETTING_BYTES_MAX {
        return Err(HomeError::SettingTooLong(value.len()));
    }
    Ok(Put { root: SETTINGS, key: name.into(), value: record::write_setting(value) })
}

/// What this person has begun to write in a document; empty if nothing.
pub fn draft(maps: &dyn Maps, entity: EntityId, document: DocumentKey) -> String {
    let value = maps.get(DRAFTS, &place(entity, document));
    value.and_then(|value| record::read_text(value, TEXT_BYTES_MAX).ok()).unwrap_or_default().to_owned()
}

/// Keeps what this person has begun to write; an empty text forgets it.
pub fn set_draft(entity: EntityId, document: DocumentKey, text: &str) -> Result<Put, HomeError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(HomeError::DraftTooLong(text.len()));
    }
    Ok(Put { root: DRAFTS, key: place(entity, document), value: record::write_text(text) })
}

/// Who may write this key of a home, if key and value have the shape of its map.
///
/// Somebody else who got into the roster of a home would still write nothing.
pub(super) fn right(root: &str, key: &str, value: &[u8]) -> Result<Right, Denied> {
    let fits = match root {
        GROUPS => name::<32>(key).is_some(),
        READ | DRAFTS => is_place(key),
        SETTINGS => record::names_a_setting(key),
        _ => return Err(Denied::UnknownRoot),
    };
    if !fits {
        return Err(Denied::MalformedKey);
    }
    match root {
        GROUPS => read_group(value).map(drop)?,
        READ => read_marker_record(value).map(drop)?,
        SETTINGS => record::read_setting(value).map(drop)?,
        _ => record::read_text(value, TEXT_BYTES_MAX).map(drop)?,
    }
    Ok(Right::from(Role::Owner))
}

/// `left` stands first: see [`leave_group`].
fn read_group(value: &[u8]) -> Result<Group, Malformed> {
    record::read(value, |reader, _| {
        Ok(Group {
            left: record::flag(reader)?,
            kind: kind(reader)?,
            words: reader.array()?,
            joined: record::time(reader)?,
        })
    })
}

fn read_marker_record(value: &[u8]) -> Result<ReadMarker, Malformed> {
    record::read(value, |reader, _| {
        let time = record::time(reader)?;
        Ok(ReadMarker { time, message: MessageId { owner: reader.array()?, random: reader.array()? } })
    })
}

fn place(entity: EntityId, document: DocumentKey) -> String {
    join(&[&spell(&entity.0), &spell(&document.0)])
}

fn is_place(key: &str) -> bool {
    split(key)
        .is_some_and(|[entity, document]| name::<32>(entity).is_some() && name::<32>(document).is_some())
}

fn kind_code(kind: Kind) -> u8 {
    match kind {
        Kind::Home => 0,
        Kind::Group => 1,
        Kind::Channel => 2,
        Kind::Project => 3,
        Kind::Organization => 4,
    }
}

fn kind(reader: &mut Reader<'_>) -> Result<Kind, Malformed> {
    match reader.u8()? {
        0 => Ok(Kind::Home),
        1 => Ok(Kind::Group),
        2 => Ok(Kind::Channel),
        3 => Ok(Kind::Project),
        4 => Ok(Kind::Organization),
        _ => Err(Malformed),
    }
}
