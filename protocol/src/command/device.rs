//! What can be asked about the devices of one person, and about getting a person back.

use crate::link::LinkCode;

/// One request about this person's devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceCommand {
    /// All devices of this person, by its home.
    List,
    /// Make a code by which one new device is linked to this person.
    Add {
        /// Where this node may be dialled; at most `limits::INVITE_ADDRESSES_MAX`.
        addresses: Vec<String>,
    },
    /// Become a device of the person that made the code. Only where this node's own person is in
    /// no group yet. Answered when linked or refused.
    Link {
        /// The code.
        code: LinkCode,
        /// Addresses to dial besides those in the code.
        peers: Vec<String>,
    },
    /// End a device for good, in the home and in every entity: it was lost or stolen.
    Revoke {
        /// The first digits of its key.
        device: String,
    },
    /// Become a device of the person of this recovery phrase. Only where this node's own person is
    /// in no group yet. Takes seconds and reports progress.
    Recover {
        /// 24 words.
        phrase: String,
        /// Addresses of this person's other devices or of members to dial.
        peers: Vec<String>,
    },
}
