//! Finds out what an update of texts wrote that does not count, so that it can be written in another log.
//!
//! `document` writes it, where that lay by then: behind what it followed, wherever that has moved itself.
//! What it deleted is deleted again. Marks are left out.

use std::collections::BTreeMap;
use std::ops::Range;

use super::BlockId;
use super::read::{Content, Tie, Update};
use super::varint::Unreadable;

/// How many runs of clocks are remembered to have moved: what follows older ones goes by its other neighbour.
const MOVED_MAX: usize = 64 * 1024;

/// How often what moved may have moved on.
const HOPS_MAX: usize = 64;

/// Where runs of clocks lie that were written anew.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moved(BTreeMap<BlockId, (u32, BlockId)>);

impl Moved {
    /// Notes that so many clocks were written anew.
    pub(super) fn note(&mut self, from: BlockId, length: u32, to: BlockId) {
        if self.0.len() >= MOVED_MAX {
            self.0.clear();
        }
        self.0.insert(from, (length, to));
    }

    /// Where a clock lies now.
    pub(super) fn follow(&self, id: BlockId) -> BlockId {
        let step = |id: BlockId| {
            let (from, (length, to)) = self.0.range(..=id).next_back()?;
            let offset = id.clock.checked_sub(from.clock).filter(|_| from.client == id.client)?;
            (offset < *length).then(|| BlockId { clock: to.clock.saturating_add(offset), ..*to })
        };
        std::iter::successors(Some(id), |id| step(*id)).take(HOPS_MAX).last().unwrap_or(id)
    }
}

/// Characters that follow one another, and what they lay between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run<'a> {
    pub(super) id: BlockId,
    pub(super) length: u32,
    pub(super) left: Option<BlockId>,
    pub(super) right: Option<BlockId>,
    pub(super) text: &'a str,
}

/// What an update wrote and deleted.
#[derive(Debug, Default)]
pub(super) struct Written<'a> {
    pub(super) runs: Vec<Run<'a>>,
    pub(super) deletions: Vec<(u64, Range<u32>)>,
}

/// Reads an update of texts, as far as it can be read.
pub(super) fn written(bytes: &[u8]) -> Written<'_> {
    let mut written = Written::default();
    let _ = read(bytes, &mut written);
    written
}

fn read<'a>(bytes: &'a [u8], written: &mut Written<'a>) -> Result<(), Unreadable> {
    let mut update = Update::new(bytes);
    for _ in 0..update.clients()? {
        let section = update.section()?;
        let mut clock = section.clock;
        for _ in 0..section.blocks {
            let block = update.block(section.client, clock)?;
            clock = clock.saturating_add(block.length);
            if let Content::Text(text) = block.content {
                let (left, right) = match block.tie {
                    Tie::Origins(left, right) => (left, right),
                    Tie::Parent(..) | Tie::None => (None, None),
                };
                written.runs.push(Run { id: block.id, length: block.length, left, right, text });
            }
        }
    }
    for (client, start, length) in update.deletions()? {
        written.deletions.push((client, start..start.saturating_add(length)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(client: u64, clock: u32) -> BlockId {
        BlockId { client, clock }
    }

    #[test]
    fn what_moved_twice_is_found_where_it_lies_now() {
        let mut moved = Moved::default();
        moved.note(id(1, 10), 3, id(2, 0));
        moved.note(id(2, 0), 2, id(3, 7));
        assert_eq!(moved.follow(id(1, 11)), id(3, 8));
        assert_eq!(moved.follow(id(1, 12)), id(2, 2), "it moved but once");
        assert_eq!(moved.follow(id(1, 13)), id(1, 13));
        assert_eq!(moved.follow(id(1, 9)), id(1, 9));
        moved.note(id(3, 7), 1, id(2, 0));
        let _ = moved.follow(id(1, 10));
    }
}
