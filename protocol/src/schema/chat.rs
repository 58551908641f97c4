//! A chat: write-once messages with overlays for edits, deletions, reactions and pins.

use crate::ids::PersonId;
use crate::time::WallTime;

/// A message's name: the first 128 bits of its author's id and 64 random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId {
    /// The first half of the author's id.
    pub owner: [u8; 16],
    /// Drawn by the author's device.
    pub random: [u8; 8],
}

/// One message as the chat has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its name.
    pub id: MessageId,
    /// Who wrote it.
    pub author: PersonId,
    /// The text, the latest edit applied; empty if deleted.
    pub text: String,
    /// When its author says it was written.
    pub time: WallTime,
    /// The message it replies to.
    pub parent: Option<MessageId>,
    /// Whether an edit is applied.
    pub edited: bool,
    /// Whether it was deleted.
    pub deleted: bool,
}
