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

impl std::fmt::Display for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", crate::ids::to_base32(&self.owner), crate::ids::to_base32(&self.random))
    }
}

/// The text names no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a message id")]
pub struct MessageIdError;

impl std::str::FromStr for MessageId {
    type Err = MessageIdError;

    fn from_str(text: &str) -> Result<Self, MessageIdError> {
        let (owner, random) = text.split_once('-').ok_or(MessageIdError)?;
        let read = |text| crate::ids::from_base32(text).ok_or(MessageIdError);
        let owner = read(owner)?.try_into().map_err(|_| MessageIdError)?;
        let random = read(random)?.try_into().map_err(|_| MessageIdError)?;
        Ok(MessageId { owner, random })
    }
}
