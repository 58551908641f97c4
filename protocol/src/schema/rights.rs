//! Decides whether a person may set a value: a pure function of key, record and role.
//!
//! `replica` asks for every write of every envelope before it is applied, and the concerns ask
//! before they offer a write of their own, so what is allowed here is never refused elsewhere.
//! Invariant: only the key says whose a thing is, never the present content, so every replica
//! reaches the same verdict in whatever order envelopes arrive.

use super::key::{self, Owner};
use super::{Concern, Put, chat, core, home, things};
use crate::bytes::Malformed;
use crate::command::RefusalCode;
use crate::ids::PersonId;
use crate::limits::MAP_KEY_BYTES_MAX;
use crate::roster::Role;

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The person whose device signed.
    pub person: PersonId,
    /// Its role under the roster heads of the envelope.
    pub role: Role,
}

impl Actor {
    /// What stands for the person in keys.
    pub fn owner(&self) -> Owner {
        key::owner(&self.person)
    }
}

/// One write to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutRef<'a> {
    /// Which map.
    pub root: &'a str,
    /// Which key.
    pub key: &'a str,
    /// The byte string set; `None` if the write is anything else, such as a nested map.
    pub value: Option<&'a [u8]>,
}

impl<'a> From<&'a Put> for PutRef<'a> {
    fn from(put: &'a Put) -> PutRef<'a> {
        PutRef { root: put.root, key: &put.key, value: Some(&put.value) }
    }
}

/// Why a write is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Viewers write nothing.
    #[error("viewers can read but not write")]
    ReadOnly,
    /// The key names another person as the one who writes.
    #[error("only the person it belongs to may write this")]
    NotOwner,
    /// It takes a higher role.
    #[error("only {} may do this", holders(*.0))]
    NeedsRole(Role),
    /// The concern has no such map.
    #[error("the document has no such part")]
    UnknownRoot,
    /// The key has not the shape that its map demands.
    #[error("the key is malformed")]
    MalformedKey,
    /// The value is no record of its map, or is too long.
    #[error("the record is malformed or too long")]
    MalformedRecord,
}

impl Denied {
    /// The kind of refusal, for programs.
    pub fn code(&self) -> RefusalCode {
        match self {
            Denied::ReadOnly | Denied::NotOwner | Denied::NeedsRole(_) => RefusalCode::NotAllowed,
            Denied::UnknownRoot | Denied::MalformedKey | Denied::MalformedRecord => RefusalCode::Usage,
        }
    }
}

impl From<Malformed> for Denied {
    fn from(_: Malformed) -> Denied {
        Denied::MalformedRecord
    }
}

/// Who has at least this role, in words.
fn holders(least: Role) -> &'static str {
    match least {
        Role::Viewer => "somebody who is in",
        Role::Member => "members, admins and owners",
        Role::Admin => "admins and owners",
        Role::Owner => "an owner",
    }
}

/// Who may write a key, as read off the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Right {
    /// The only person who may, if it is one person's.
    pub(super) owner: Option<Owner>,
    /// The least role.
    pub(super) least: Role,
}

impl Right {
    /// One person's own.
    pub(super) fn of(owner: Owner) -> Right {
        Right { owner: Some(owner), least: Role::Member }
    }

    /// Anybody's with this role.
    pub(super) fn from(least: Role) -> Right {
        Right { owner: None, least }
    }
}

/// Says whether `actor` may write anything at all, as in a text, of which nothing is anybody's own.
pub fn judge_writer(actor: &Actor) -> Result<(), Denied> {
    if actor.role < Role::Member { Err(Denied::ReadOnly) } else { Ok(()) }
}

/// Says whether `actor` may set this value in a document of this concern.
pub fn judge(concern: &Concern, put: &PutRef<'_>, actor: &Actor) -> Result<(), Denied> {
    judge_writer(actor)?;
    if put.key.len() > MAP_KEY_BYTES_MAX {
        return Err(Denied::MalformedKey);
    }
    let value = put.value.ok_or(Denied::MalformedRecord)?;
    let right = match concern {
        Concern::Core => core::right(put.root, put.key, value)?,
        Concern::Chat => chat::right(put.root, put.key, value)?,
        Concern::Home => home::right(put.root, put.key, value)?,
        Concern::Kanban | Concern::Issues | Concern::Canvas | Concern::Disk | Concern::File(_) => {
            let layout = super::layout(concern).ok_or(Denied::UnknownRoot)?;
            things::right(layout, put.root, put.key, value)?
        }
    };
    if right.owner.is_some_and(|owner| owner != actor.owner()) {
        return Err(Denied::NotOwner);
    }
    if actor.role < right.least {
        return Err(Denied::NeedsRole(right.least));
    }
    Ok(())
}
