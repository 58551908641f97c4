//! A statement as the fold sees it: who says what, knowing what. No signatures, no sealed bytes.
//!
//! `set` makes facts of checked statements; the comparison with other implementations of the
//! fold makes them of plain text. Keys and names here are opaque: only equality and order matter.

use super::Role;
use super::body::Vectors;
use crate::ids::{DeviceKey, PersonId, StatementId};

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The statement's name.
    pub id: StatementId,
    /// Who signed it. A genesis has no use for this: it makes its own author.
    pub by: By,
    /// The roster heads its author knew.
    pub parents: Vec<StatementId>,
    /// What it says.
    pub act: Act,
}

/// Who signed a statement, and what it stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct By {
    /// The person.
    pub person: PersonId,
    /// The statement that added the person.
    pub membership: StatementId,
    /// The statement that vouches for the key: the membership for root key and first device.
    pub certification: StatementId,
    /// The key that signed.
    pub key: DeviceKey,
}

/// A person let in, with its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newcomer {
    /// Who.
    pub person: PersonId,
    /// The root key, which outranks all devices.
    pub root: DeviceKey,
    /// The first device, certified by the root in the adding statement.
    pub device: Option<DeviceKey>,
}

/// What a statement says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// The entity begins, with this owner.
    Genesis(Newcomer),
    /// Somebody is let in.
    Add(Newcomer, Role),
    /// Somebody is let in by an invite, with the invite's role.
    AcceptInvite(Newcomer, StatementId),
    /// A person is removed.
    Remove(PersonId, Vectors),
    /// A person's role becomes another.
    SetRole(PersonId, Role, Vectors),
    /// The author's person gets another device.
    Certify(DeviceKey),
    /// A key of a person ends.
    Revoke(PersonId, DeviceKey, Vectors),
    /// Whoever has the code may be let in with this role.
    OpenInvite(Role),
    /// An invite ends.
    CloseInvite(StatementId),
    /// The author ends its own membership.
    Leave(Vectors),
    /// The author held more than a removal, demotion or revocation says.
    Held(StatementId, Vectors),
    /// A new epoch key, known to these devices.
    Epoch(u64, Vec<DeviceKey>),
    /// An epoch key, now known to these devices too.
    SealKey(StatementId, Vec<DeviceKey>),
    /// What this version does not know: it counts, and does nothing.
    Unknown,
}

impl Act {
    /// The person let in, if the statement lets one in.
    pub fn newcomer(&self) -> Option<&Newcomer> {
        match self {
            Act::Genesis(newcomer) | Act::Add(newcomer, _) | Act::AcceptInvite(newcomer, _) => Some(newcomer),
            _ => None,
        }
    }

    /// How far the author held the logs of those the statement is about.
    pub fn vectors(&self) -> &[(crate::ids::LogId, crate::ids::LogHead)] {
        match self {
            Act::Remove(_, vectors)
            | Act::SetRole(_, _, vectors)
            | Act::Revoke(_, _, vectors)
            | Act::Leave(vectors)
            | Act::Held(_, vectors) => vectors,
            _ => &[],
        }
    }
}
