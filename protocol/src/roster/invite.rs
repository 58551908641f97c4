//! Invites: a code that lets whoever holds it be admitted by any member.

use crate::ids::EntityId;

/// What an invite's code carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InviteCode {
    /// The full id of the entity.
    pub entity: EntityId,
    /// 128 random bits from which the invite's key is derived.
    pub secret: [u8; 16],
    /// Where members may be dialled.
    pub addresses: Vec<String>,
}
