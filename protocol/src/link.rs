//! The code by which a new device is linked to a person.
//!
//! An old device makes it and shows it; the new device proves with it that it was meant. It is a
//! secret for minutes: whoever holds it becomes a device of the person. Text form: docs/PROTOCOL.md,
//! section 8.

use crate::ids::{EntityId, PersonId};

/// What a link code carries.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkCode {
    /// Whose device the new one becomes.
    pub person: PersonId,
    /// The home of that person.
    pub home: EntityId,
    /// 128 random bits.
    pub secret: [u8; 16],
    /// Where the old device may be dialled; at most `limits::INVITE_ADDRESSES_MAX`.
    pub addresses: Vec<String>,
}

impl std::fmt::Debug for LinkCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LinkCode({})", self.home.short())
    }
}
