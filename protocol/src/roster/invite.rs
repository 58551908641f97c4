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

impl std::fmt::Display for InviteCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = [&self.entity.0[..], &self.secret[..]].concat();
        f.write_str(&crate::ids::to_base32(&bytes))
    }
}

/// The text is no invite code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not an invite code")]
pub struct CodeError;

impl std::str::FromStr for InviteCode {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        let bytes = crate::ids::from_base32(text).ok_or(CodeError)?;
        let (entity, secret) = bytes.split_at_checked(32).ok_or(CodeError)?;
        let entity = EntityId(entity.try_into().map_err(|_| CodeError)?);
        let secret = secret.try_into().map_err(|_| CodeError)?;
        Ok(InviteCode { entity, secret, addresses: Vec::new() })
    }
}
