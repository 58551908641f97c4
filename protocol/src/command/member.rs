//! What can be asked about who is in an entity, and who may come in.

use crate::roster::Role;

/// One request about members. `who` is a person as people name it: four words, the name shown in
/// the entity where only one has it, or the first digits of the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberCommand {
    /// Remove somebody junior; the group's key changes at once.
    Remove {
        /// Who.
        who: String,
    },
    /// Give a member another role; not above one's own.
    SetRole {
        /// Who.
        who: String,
        /// Which role.
        role: Role,
    },
    /// Who asks to be let in.
    Requests,
    /// Let somebody in who asked.
    Approve {
        /// Who, among those who ask.
        who: String,
        /// With which role; not above one's own.
        role: Role,
    },
    /// Turn somebody away who asked.
    Deny {
        /// Who, among those who ask.
        who: String,
    },
    /// The invites that were made.
    Invites,
    /// Close an invite, so that it admits nobody any more.
    CloseInvite {
        /// The first digits of its key.
        invite: String,
    },
}
