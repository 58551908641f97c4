//! Takes an update apart into blocks and deletions, and judges nothing.
//!
//! `parse`, `snapshot` and `write` read through this. Its rules decide whether the clocks of a
//! rejected update can be read at all, so every node must have the same ones: readable are blocks
//! of the kinds in `Content`, with shortest numbers and valid UTF-8, values nested at most
//! `ANY_DEPTH_MAX` deep, and clocks up to `CLOCK_MAX`. Invariant: no count is believed beyond
//! the bytes that are left, and only small fixed things are held per block.
//! Source: the yrs v1 update encoding.

use super::varint::{Cursor, Unreadable};
use super::{BlockId, CLIENT_MAX, CLOCK_MAX};

/// How deep values may lie in one another before we stop reading.
const ANY_DEPTH_MAX: u32 = 16;

const HAS_ORIGIN: u8 = 0x80;
const HAS_RIGHT_ORIGIN: u8 = 0x40;
const HAS_KEY: u8 = 0x20;
const RESERVED: u8 = 0x10;

/// The bits of a block's first byte that say what it holds, and what they say of what was deleted.
pub(super) const CONTENT_KIND: u8 = 0x0f;
pub(super) const DELETED: u8 = 1;

/// What a block holds, with the lengths it takes of its log's clocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Content<'a> {
    /// A run of clocks without content (GC).
    Gone(u32),
    /// A gap in the clocks.
    Skip(u32),
    /// Content that was deleted; its place in the sequence remains.
    Deleted(u32),
    /// One byte string, as a value or as binary content.
    Bytes(&'a [u8]),
    /// A run of characters.
    Text(&'a str),
    /// A mark in a text: its name and its value as JSON.
    Format(&'a str, &'a str),
    /// A nested map.
    Map,
    /// Anything else that we can step over, by its length.
    Other(u32),
}

impl Content<'_> {
    /// How many clocks it takes; text counts in UTF-16 units, as in JavaScript.
    pub(super) fn length(&self) -> u32 {
        match self {
            Content::Gone(length)
            | Content::Skip(length)
            | Content::Deleted(length)
            | Content::Other(length) => *length,
            Content::Text(text) => {
                text.chars().fold(0u32, |sum, c| sum.saturating_add(if c > '\u{ffff}' { 2 } else { 1 }))
            }
            Content::Bytes(_) | Content::Format(..) | Content::Map => 1,
        }
    }
}

/// Where a block without origins says it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Parent<'a> {
    /// A root by its name.
    Root(&'a str),
    /// A nested map by the block that made it.
    Block(BlockId),
}

/// How a block is tied to the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tie<'a> {
    /// It has no place: Gone and Skip.
    None,
    /// It names its parent, and in a map its key.
    Parent(Parent<'a>, Option<&'a str>),
    /// It lies where its neighbours lie.
    Origins(Option<BlockId>, Option<BlockId>),
}

/// One block as it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Block<'a> {
    pub(super) id: BlockId,
    pub(super) length: u32,
    pub(super) tie: Tie<'a>,
    pub(super) content: Content<'a>,
}

/// The head of one client's blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) blocks: u32,
    pub(super) client: u64,
    pub(super) clock: u32,
}

/// Reads an update from front to back; the caller follows its order.
pub(super) struct Update<'a> {
    cursor: Cursor<'a>,
    content_at: usize,
}

impl<'a> Update<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Update<'a> {
        Update { cursor: Cursor::new(bytes), content_at: 0 }
    }

    /// How many bytes have been read.
    pub(super) fn at(&self) -> usize {
        self.cursor.at()
    }

    /// Where the content of the block that was read last begins, if that has a place.
    pub(super) fn content_at(&self) -> usize {
        self.content_at
    }

    /// First: how many clients have blocks.
    pub(super) fn clients(&mut self) -> Result<u32, Unreadable> {
        self.cursor.count()
    }

    /// Then for each client its head, followed by as many blocks as it says.
    pub(super) fn section(&mut self) -> Result<Section, Unreadable> {
        let blocks = self.cursor.count()?;
        Ok(Section { blocks, client: self.client()?, clock: self.cursor.number32()? })
    }

    /// The next block, which begins at `clock` of `client`.
    pub(super) fn block(&mut self, client: u64, clock: u32) -> Result<Block<'a>, Unreadable> {
        let info = self.cursor.byte()?;
        let (tie, content) = match info {
            0 => (Tie::None, Content::Gone(self.cursor.number32()?)),
            10 => (Tie::None, Content::Skip(self.cursor.number32()?)),
            _ if info & RESERVED != 0 => return Err(Unreadable),
            _ => {
                let tie = self.tie(info)?;
                self.content_at = self.at();
                (tie, self.content(info & CONTENT_KIND)?)
            }
        };
        let length = content.length();
        match clock.checked_add(length) {
            Some(end) if length > 0 && end <= CLOCK_MAX => {
                Ok(Block { id: BlockId { client, clock }, length, tie, content })
            }
            _ => Err(Unreadable),
        }
    }

    /// Last: the deleted ranges by client, as (client, first clock, length), in written order.
    ///
    /// A client comes with all its ranges at once, and with at least one.
    pub(super) fn deletions(&mut self) -> Result<Vec<(u64, u32, u32)>, Unreadable> {
        let mut ranges: Vec<(u64, u32, u32)> = Vec::new();
        for _ in 0..self.cursor.count()? {
            let client = self.client()?;
            let count = self.cursor.count()?;
            if count == 0 || ranges.last().is_some_and(|(last, ..)| *last == client) {
                return Err(Unreadable);
            }
            for _ in 0..count {
                ranges.push((client, self.cursor.number32()?, self.cursor.number32()?));
            }
        }
        Ok(ranges)
    }

    /// Whether everything has been read.
    pub(super) fn is_at_end(&self) -> bool {
        self.cursor.left() == 0
    }

    fn client(&mut self) -> Result<u64, Unreadable> {
        // The library keeps 53 bits and silently drops the others.
        self.cursor.number().and_then(|id| if id <= CLIENT_MAX { Ok(id) } else { Err(Unreadable) })
    }

    fn id(&mut self) -> Result<BlockId, Unreadable> {
        Ok(BlockId { client: self.client()?, clock: self.cursor.number32()? })
    }

    fn tie(&mut self, info: u8) -> Result<Tie<'a>, Unreadable> {
        let left = if info & HAS_ORIGIN != 0 { Some(self.id()?) } else { None };
        let right = if info & HAS_RIGHT_ORIGIN != 0 { Some(self.id()?) } else { None };
        if left.is_some() || right.is_some() {
            return Ok(Tie::Origins(left, right));
        }
        let parent = match self.cursor.number()? {
            1 => Parent::Root(self.cursor.string()?),
            0 => Parent::Block(self.id()?),
            _ => return Err(Unreadable),
        };
        let key = if info & HAS_KEY != 0 { Some(self.cursor.string()?) } else { None };
        Ok(Tie::Parent(parent, key))
    }

    fn content(&mut self, kind: u8) -> Result<Content<'a>, Unreadable> {
        let cursor = &mut self.cursor;
        Ok(match kind {
            DELETED => Content::Deleted(cursor.number32()?),
            3 => Content::Bytes(cursor.buffer()?),
            4 => Content::Text(cursor.string()?),
            5 => {
                cursor.string()?;
                Content::Other(1)
            }
            6 => Content::Format(cursor.string()?, cursor.string()?),
            7 => self.nested()?,
            8 => self.values()?,
            _ => return Err(Unreadable),
        })
    }

    fn nested(&mut self) -> Result<Content<'a>, Unreadable> {
        match self.cursor.byte()? {
            1 => Ok(Content::Map),
            0 | 2 | 4..=6 => Ok(Content::Other(1)),
            3 => self.cursor.string().map(|_| Content::Other(1)),
            _ => Err(Unreadable),
        }
    }

    fn values(&mut self) -> Result<Content<'a>, Unreadable> {
        let count = self.cursor.count()?;
        let mut only = None;
        for _ in 0..count {
            only = self.value(0)?;
        }
        Ok(match only {
            Some(bytes) if count == 1 => Content::Bytes(bytes),
            _ => Content::Other(count),
        })
    }

    /// Steps over one value; gives its bytes if it is a byte string.
    fn value(&mut self, depth: u32) -> Result<Option<&'a [u8]>, Unreadable> {
        if depth > ANY_DEPTH_MAX {
            return Err(Unreadable);
        }
        let cursor = &mut self.cursor;
        match cursor.byte()? {
            120 | 121 | 126 | 127 => {}
            125 => signed(cursor)?,
            124 => cursor.take(4).map(drop)?,
            122 | 123 => cursor.take(8).map(drop)?,
            119 => cursor.string().map(drop)?,
            116 => return cursor.buffer().map(Some),
            118 => {
                for _ in 0..cursor.count()? {
                    self.cursor.string()?;
                    self.value(depth + 1)?;
                }
            }
            117 => {
                for _ in 0..cursor.count()? {
                    self.value(depth + 1)?;
                }
            }
            _ => return Err(Unreadable),
        }
        Ok(None)
    }
}

/// Steps over a signed number: six bits and a sign, then seven bits a byte, 64 bits at most.
fn signed(cursor: &mut Cursor<'_>) -> Result<(), Unreadable> {
    for _ in 0..9 {
        if cursor.byte()? < 0x80 {
            return Ok(());
        }
    }
    Err(Unreadable)
}
