//! The names of things in documents: messages, cards, columns, issues, elements, comments.
//!
//! A thing is named by its author and 64 random bits, so no two devices can name two things alike
//! and the name itself says whose it is. People type the first digits of the random part.

use std::fmt;
use std::str::FromStr;

use super::key::{Owner, name, spell};
use crate::ids::from_base32;

/// What kind of thing a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ThingKind {
    /// Of a chat.
    Message,
    /// Of a board.
    Card,
    /// Of a board.
    Column,
    /// Of an issue tracker.
    Issue,
    /// Of a canvas.
    Element,
    /// On a card or an issue.
    Comment,
}

impl ThingKind {
    /// All kinds.
    pub const ALL: [ThingKind; 6] = [
        ThingKind::Message,
        ThingKind::Card,
        ThingKind::Column,
        ThingKind::Issue,
        ThingKind::Element,
        ThingKind::Comment,
    ];

    /// What people call one of them.
    pub const fn noun(self) -> &'static str {
        match self {
            ThingKind::Message => "message",
            ThingKind::Card => "card",
            ThingKind::Column => "column",
            ThingKind::Issue => "issue",
            ThingKind::Element => "element",
            ThingKind::Comment => "comment",
        }
    }

    /// The kind of this noun.
    pub fn of_noun(noun: &str) -> Option<ThingKind> {
        ThingKind::ALL.into_iter().find(|kind| kind.noun() == noun)
    }
}

/// Digits of a random part.
const RANDOM_DIGITS: usize = 13;

/// Digits of the random part that name a thing to people: 40 bits.
const SHORT_DIGITS: usize = 8;

/// Things named when a short name fits several.
const CANDIDATES_MAX: usize = 8;

/// A thing's name: the first 128 bits of its author's id and 64 random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThingId {
    /// The first half of the author's id.
    pub owner: Owner,
    /// Drawn by the author's device.
    pub random: [u8; 8],
}

impl ThingId {
    /// The name that people type: the first digits of the random part.
    pub fn short(&self) -> String {
        spell(&self.random).chars().take(SHORT_DIGITS).collect()
    }

    /// Reads the two parts of a key that name a thing.
    pub(super) fn parse(owner: &str, random: &str) -> Option<ThingId> {
        Some(ThingId { owner: name(owner)?, random: name(random)? })
    }
}

impl fmt::Display for ThingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", spell(&self.owner), spell(&self.random))
    }
}

/// The text is no thing's full name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a full name is 26 and 13 letters or digits with a hyphen between")]
pub struct ThingIdError;

impl FromStr for ThingId {
    type Err = ThingIdError;

    fn from_str(text: &str) -> Result<ThingId, ThingIdError> {
        let text = text.to_ascii_lowercase();
        let (owner, random) = text.split_once('-').ok_or(ThingIdError)?;
        ThingId::parse(owner, random).ok_or(ThingIdError)
    }
}

/// What a name that a person typed fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// One thing.
    Found(ThingId),
    /// Several things, of which the first few are given.
    Ambiguous(Vec<ThingId>),
    /// Nothing.
    Missing,
}

impl Lookup {
    /// Of things that fit a name, in order.
    pub(super) fn among(mut fitting: impl Iterator<Item = ThingId>) -> Lookup {
        match (fitting.next(), fitting.next()) {
            (None, _) => Lookup::Missing,
            (Some(only), None) => Lookup::Found(only),
            (Some(first), Some(second)) => {
                Lookup::Ambiguous([first, second].into_iter().chain(fitting).take(CANDIDATES_MAX).collect())
            }
        }
    }
}

/// The least and the greatest random part that begin with these base32 digits, in either case.
pub fn named_between(digits: &str) -> Option<([u8; 8], [u8; 8])> {
    if digits.is_empty() || !digits.is_ascii() {
        return None;
    }
    // The last digit holds one bit beyond the 64, which is always zero: `6` is its greatest.
    Some((filled(digits, 'a', 'a')?, filled(digits, '7', '6')?))
}

fn filled(digits: &str, middle: char, last: char) -> Option<[u8; 8]> {
    let missing = RANDOM_DIGITS.checked_sub(digits.len())?;
    let middle = std::iter::repeat_n(middle, missing.saturating_sub(1));
    let last = (missing > 0).then_some(last);
    let text: String = digits.chars().chain(middle).chain(last).collect();
    from_base32(&text)?.try_into().ok()
}
