//! What an entity says of itself: name, description, settings, website, and its members' names.
//!
//! Who is in, with which role, is never stored here: the roster decides it. Entries of `meta` are
//! set by admins and owners; a shown name is set by the person it names. Each setting has its own
//! key, so that two admins who change two settings at once both succeed.

mod telling;

use super::key::{self, Owner, name, spell};
use super::rights::{Actor, Denied, Right, judge};
use super::{Concern, Maps, Put, record};
use crate::bytes::Malformed;
use crate::command::RefusalCode;
use crate::ids::EntityId;
use crate::limits::{GENESIS_BYTES_MAX, NAME_BYTES_MAX, TEXT_BYTES_MAX};
use crate::roster::Role;
pub(crate) use telling::{difference, restore, tell};

const META: &str = "meta";
const NAMES: &str = "names";
const CHILDREN: &str = "children";

/// The root maps of a core document.
pub const ROOTS: &[&str] = &[META, NAMES, CHILDREN];

const NAME: &str = "name";
const DESCRIPTION: &str = "description";
const WEBSITE: &str = "website";
const SETTINGS: &str = "settings";
const NEWCOMERS_READ_HISTORY: &str = "newcomers-read-history";
const LAPSE_DAYS: &str = "lapse-days";

/// Days after which a silent device holds nothing back, at most: ten years.
pub const LAPSE_DAYS_MAX: u16 = 3650;

/// What an entity's admins have settled, with the default where they have not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether newcomers are given the older epoch keys too.
    pub newcomers_read_history: bool,
    /// Days after which a device that acknowledges nothing holds nothing back.
    pub lapse_days: u16,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { newcomers_read_history: true, lapse_days: 30 }
    }
}

/// One thing that an entity says of itself, to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Its name: one line of at most `limits::NAME_BYTES_MAX` bytes, and not empty.
    Name(String),
    /// At most `limits::TEXT_BYTES_MAX` bytes; an empty text takes the description away.
    Description(String),
    /// The hash of the manifest of its published website; `None` takes that away.
    Website(Option<[u8; 32]>),
    /// See [`Settings::newcomers_read_history`].
    NewcomersReadHistory(bool),
    /// See [`Settings::lapse_days`]; 1 to [`LAPSE_DAYS_MAX`].
    LapseDays(u16),
}

impl Setting {
    /// Whether it holds for all who share a roster, so that it is settled where the roster is.
    pub fn is_of_roster(&self) -> bool {
        matches!(self, Setting::NewcomersReadHistory(_) | Setting::LapseDays(_))
    }
}

/// Why a core document does not take what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoreError {
    /// Nothing but blanks.
    #[error("a name needs at least one letter")]
    Empty,
    /// It would not stand on one line, or is too long.
    #[error("a name is one line of at most {NAME_BYTES_MAX} bytes without control characters")]
    NoName,
    /// Too many bytes; says how many.
    #[error("the description is {0} bytes long; at most {TEXT_BYTES_MAX} are kept")]
    TooLong(usize),
    /// Not a number of days that makes sense.
    #[error("devices lapse after 1 to {LAPSE_DAYS_MAX} days, not {0}")]
    NoLapse(u16),
    /// The person may not.
    #[error(transparent)]
    Denied(#[from] Denied),
}

impl CoreError {
    /// The kind of refusal, for programs.
    pub fn code(&self) -> RefusalCode {
        match self {
            CoreError::Empty | CoreError::NoName | CoreError::NoLapse(_) => RefusalCode::Usage,
            CoreError::TooLong(_) => RefusalCode::TooMuch,
            CoreError::Denied(denied) => denied.code(),
        }
    }
}

/// The entity's name; `None` until one has come.
pub fn entity_name(maps: &dyn Maps) -> Option<String> {
    read_name(maps.get(META, NAME)?).ok().map(str::to_owned)
}

/// The entity's description; empty if there is none.
pub fn description(maps: &dyn Maps) -> String {
    let text = maps.get(META, DESCRIPTION).and_then(|value| record::read_text(value, TEXT_BYTES_MAX).ok());
    text.unwrap_or_default().to_owned()
}

/// The settings; one that is absent or that this software cannot read has its default.
pub fn settings(maps: &dyn Maps) -> Settings {
    let read = |name| maps.get(META, &setting_key(name)).and_then(|value| record::read_setting(value).ok());
    let mut settings = Settings::default();
    match read(NEWCOMERS_READ_HISTORY) {
        Some([0]) => settings.newcomers_read_history = false,
        Some([1]) => settings.newcomers_read_history = true,
        _ => {}
    }
    if let Some(&[high, low]) = read(LAPSE_DAYS) {
        let days = u16::from_be_bytes([high, low]);
        if (1..=LAPSE_DAYS_MAX).contains(&days) {
            settings.lapse_days = days;
        }
    }
    settings
}

/// The hash of the published website's manifest; `None` if nothing is published.
pub fn website(maps: &dyn Maps) -> Option<[u8; 32]> {
    read_website(maps.get(META, WEBSITE)?).ok().flatten()
}

/// The name a person gave itself here; empty if none.
pub fn shown_name(maps: &dyn Maps, person: Owner) -> String {
    let text = maps.get(NAMES, &spell(&person)).and_then(|value| read_name(value).ok());
    text.unwrap_or_default().to_owned()
}

/// All names that persons gave themselves here, by person.
pub fn shown_names(maps: &dyn Maps) -> Vec<(Owner, String)> {
    let one = |(key, value)| Some((name(key)?, read_name(value).ok()?.to_owned()));
    maps.range(NAMES, "").filter_map(one).collect()
}

/// An entity that names this one as its parent, as somebody listed it. Believed only once the
/// signature of the genesis was checked and the id found to be its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id, by the key.
    pub id: EntityId,
    /// Its genesis statement.
    pub genesis: Vec<u8>,
    /// The name it was given when it was made; an admin may name it otherwise in its own core.
    pub name: String,
}

/// The entities listed here as children, by who listed them; one may be listed more than once.
pub fn children(maps: &dyn Maps) -> Vec<Listed> {
    let one = |(key, value)| {
        let [_, child] = key::split(key)?;
        let (genesis, text) = read_child(value).ok()?;
        Some(Listed { id: EntityId(name(child)?), genesis: genesis.to_vec(), name: text.to_owned() })
    };
    maps.range(CHILDREN, "").filter_map(one).collect()
}

/// Lists an entity that names this one as its parent. Anybody who writes may list one, so that
/// nobody can unlist it by overwriting.
pub fn list_child(actor: &Actor, child: EntityId, genesis: &[u8], text: &str) -> Result<Put, CoreError> {
    check_name(text)?;
    let value = record::write(|writer| {
        writer.bytes(genesis).short_text(text);
    });
    allowed(Put { root: CHILDREN, key: key::join(&[&spell(&actor.owner()), &spell(&child.0)]), value }, actor)
}

/// Names the entity. Blanks around the name are dropped.
pub fn set_entity_name(actor: &Actor, text: &str) -> Result<Put, CoreError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(CoreError::Empty);
    }
    check_name(text)?;
    meta(actor, NAME.into(), record::write_text(text))
}

/// Changes one thing that the entity says of itself.
pub fn set(actor: &Actor, setting: &Setting) -> Result<Put, CoreError> {
    let (name, value) = match setting {
        Setting::Name(text) => return set_entity_name(actor, text),
        Setting::Description(text) if text.len() > TEXT_BYTES_MAX => {
            return Err(CoreError::TooLong(text.len()));
        }
        Setting::Description(text) => return meta(actor, DESCRIPTION.into(), record::write_text(text)),
        Setting::Website(root) => return meta(actor, WEBSITE.into(), write_website(*root)),
        Setting::NewcomersReadHistory(on) => (NEWCOMERS_READ_HISTORY, vec![u8::from(*on)]),
        Setting::LapseDays(days) if (1..=LAPSE_DAYS_MAX).contains(days) => {
            (LAPSE_DAYS, days.to_be_bytes().to_vec())
        }
        Setting::LapseDays(days) => return Err(CoreError::NoLapse(*days)),
    };
    meta(actor, setting_key(name), record::write_setting(&value))
}

/// Sets the name under which this person appears here; an empty one takes it away. Blanks around
/// the name are dropped.
pub fn set_shown_name(actor: &Actor, text: &str) -> Result<Put, CoreError> {
    let text = text.trim();
    check_name(text)?;
    allowed(Put { root: NAMES, key: spell(&actor.owner()), value: record::write_text(text) }, actor)
}

/// Who may write this key of a core document, if key and value have the shape of its map.
pub(super) fn right(root: &str, key: &str, value: &[u8]) -> Result<Right, Denied> {
    match root {
        META => {
            check_meta(key, value)?;
            Ok(Right::from(Role::Admin))
        }
        NAMES => {
            let owner = name(key).ok_or(Denied::MalformedKey)?;
            read_name(value)?;
            Ok(Right::of(owner))
        }
        CHILDREN => {
            let [owner, child] = key::split(key).ok_or(Denied::MalformedKey)?;
            let owner = name(owner).ok_or(Denied::MalformedKey)?;
            name::<32>(child).ok_or(Denied::MalformedKey)?;
            read_child(value)?;
            Ok(Right::of(owner))
        }
        _ => Err(Denied::UnknownRoot),
    }
}

/// A setting of any name is well formed, so that later versions can add some.
fn check_meta(key: &str, value: &[u8]) -> Result<(), Denied> {
    match (key, key::split(key)) {
        (NAME, _) if read_name(value)?.is_empty() => return Err(Denied::MalformedRecord),
        (NAME, _) => {}
        (DESCRIPTION, _) => {
            record::read_text(value, TEXT_BYTES_MAX)?;
        }
        (WEBSITE, _) => {
            read_website(value)?;
        }
        (_, Some([SETTINGS, name])) if record::names_a_setting(name) => {
            record::read_setting(value)?;
        }
        _ => return Err(Denied::MalformedKey),
    }
    Ok(())
}

/// What a value says to people.
pub(super) fn text_of(value: &[u8]) -> String {
    record::read_text(value, TEXT_BYTES_MAX).unwrap_or_default().to_owned()
}

fn read_name(value: &[u8]) -> Result<&str, Malformed> {
    let name = record::read_text(value, NAME_BYTES_MAX)?;
    if record::is_name(name) { Ok(name) } else { Err(Malformed) }
}

fn read_child(value: &[u8]) -> Result<(&[u8], &str), Malformed> {
    record::read(value, |reader, _| {
        let (genesis, text) = (reader.bytes(GENESIS_BYTES_MAX)?, reader.short_text(NAME_BYTES_MAX)?);
        if record::is_name(text) { Ok((genesis, text)) } else { Err(Malformed) }
    })
}

fn read_website(value: &[u8]) -> Result<Option<[u8; 32]>, Malformed> {
    record::read(value, |reader, _| if record::flag(reader)? { reader.array().map(Some) } else { Ok(None) })
}

fn write_website(root: Option<[u8; 32]>) -> Vec<u8> {
    record::write(|writer| {
        writer.u8(u8::from(root.is_some())).raw(root.as_ref().map_or(&[], |hash| hash.as_slice()));
    })
}

fn check_name(text: &str) -> Result<(), CoreError> {
    if record::is_name(text) { Ok(()) } else { Err(CoreError::NoName) }
}

fn setting_key(name: &str) -> String {
    key::join(&[SETTINGS, name])
}

fn meta(actor: &Actor, key: String, value: Vec<u8>) -> Result<Put, CoreError> {
    allowed(Put { root: META, key, value }, actor)
}

fn allowed(put: Put, actor: &Actor) -> Result<Put, CoreError> {
    judge(&Concern::Core, &(&put).into(), actor)?;
    Ok(put)
}
