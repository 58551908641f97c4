//! Judges whether a whole state with its block index may reach the CRDT library.
//!
//! `document` calls this before it opens a snapshot, also one of its own. A state holds the blocks
//! of all clients, many of them emptied since; where those lay only the index knows, so the two
//! travel together. Invariant: what is accepted holds each client's clocks from 0 to its end in
//! the index, and every block that still has a place lies, with its origins, where the index says.

use super::index::{BlockIndex, Known, Place};
use super::parse::{self, Fault, allows, ordered_deletions};
use super::read::{Block, Content, Parent, Tie, Update};
use super::varint::Unreadable;
use super::{BlockId, Shape};

impl From<Unreadable> for Fault {
    fn from(_: Unreadable) -> Fault {
        Fault::Unreadable
    }
}

/// Checks a whole state against its index, for a document with these roots and this shape.
///
/// `index` has been decoded for the same roots. Takes time in proportion to both.
pub fn check(bytes: &[u8], index: &BlockIndex, shape: Shape) -> Result<(), Fault> {
    let mut update = Update::new(bytes);
    let mut ends = index.clock_ends().collect::<Vec<_>>().into_iter().rev();
    for _ in 0..update.clients()? {
        let section = update.section()?;
        // The library writes the highest client first, each once.
        let Some((client, end)) = ends.next() else { return Err(Fault::Client) };
        if section.client != client {
            return Err(Fault::Client);
        }
        if section.clock != 0 {
            return Err(Fault::Clock);
        }
        let mut clock = 0u32;
        for _ in 0..section.blocks {
            let block = update.block(client, clock)?;
            clock = clock.saturating_add(block.length);
            if clock > end {
                return Err(Fault::Clock);
            }
            check_block(&block, index, shape)?;
        }
        if clock != end {
            return Err(Fault::Clock);
        }
    }
    if ends.next().is_some() {
        return Err(Fault::Client);
    }
    ordered_deletions(&update.deletions()?, |client| index.next_clock(client))?;
    if update.is_at_end() { Ok(()) } else { Err(Fault::Trailing) }
}

fn check_block(block: &Block<'_>, index: &BlockIndex, shape: Shape) -> Result<(), Fault> {
    let content = match block.content {
        // Emptied, or void from the beginning: it has no effect, wherever it lay.
        Content::Gone(_) => return Ok(()),
        Content::Skip(_) | Content::Other(_) => return Err(Fault::Content),
        Content::Deleted(_) => None,
        Content::Bytes(bytes) => Some(parse::Content::Bytes(bytes)),
        Content::Map => Some(parse::Content::Map),
        Content::Text(text) => Some(parse::Content::Text(text)),
        Content::Format(name, value) => Some(parse::Content::Format(name, value)),
    };
    let known = index.resolve(block.id).ok_or(Fault::Clock)?;
    let place = known.place().ok_or(Fault::Parent)?;
    let clocks = block.id.clock..block.id.clock.saturating_add(block.length);
    if index.over(block.id.client, clocks).any(|other| other.place() != Some(place)) {
        return Err(Fault::Torn);
    }
    if let Some(content) = content {
        let is_map = content == parse::Content::Map;
        if !allows(shape, place, &content) || is_map != matches!(known, Known::Map(_)) {
            return Err(Fault::Content);
        }
    }
    check_tie(block, place, index, shape)
}

fn check_tie(block: &Block<'_>, place: &Place, index: &BlockIndex, shape: Shape) -> Result<(), Fault> {
    match block.tie {
        Tie::None => Err(Fault::Parent),
        Tie::Parent(parent, key) => {
            if key.is_some() != (shape == Shape::Maps) {
                return Err(Fault::Key);
            }
            let key = key.unwrap_or_default();
            let agrees = match parent {
                Parent::Root(name) => name == place.root && key == &*place.key && place.field.is_none(),
                Parent::Block(id) => match (index.resolve(id), &place.field) {
                    (Some(Known::Map(owner)), Some(field)) => {
                        owner.root == place.root && owner.key == place.key && key == &**field
                    }
                    _ => false,
                },
            };
            if agrees { Ok(()) } else { Err(Fault::Parent) }
        }
        Tie::Origins(left, right) => {
            if right.is_some() && shape == Shape::Maps {
                return Err(Fault::Torn);
            }
            let agrees = |id: &BlockId| {
                let earlier = id.client != block.id.client || id.clock < block.id.clock;
                earlier && index.resolve(*id).and_then(Known::place) == Some(place)
            };
            if left.iter().chain(&right).all(agrees) { Ok(()) } else { Err(Fault::Origin) }
        }
    }
}
