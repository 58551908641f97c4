//! Updates as a hostile member writes them: a grammar without any of the rules.
//!
//! The parts are written by the same hand that writes for the tests of the parser, and whatever is
//! put in is written as it is.

use crate::writer::{gone, id, number, record, string};

/// A block by client and clock.
pub(crate) type Id = (u64, u64);

/// One update.
#[derive(Clone, Debug, Default)]
pub(crate) struct Update {
    pub(crate) sections: Vec<Section>,
    pub(crate) deletions: Vec<(u64, Vec<(u64, u64)>)>,
    pub(crate) tail: Vec<u8>,
}

/// The blocks of one client.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) client: u64,
    pub(crate) clock: u64,
    pub(crate) blocks: Vec<Block>,
}

/// One block.
#[derive(Clone, Debug)]
pub(crate) enum Block {
    /// Void clocks.
    Gone(u64),
    /// A gap.
    Skip(u64),
    /// Anything with a place.
    Item { tie: Tie, kind: u8, body: Vec<u8> },
}

/// Where a block says that it lies.
#[derive(Clone, Debug)]
pub(crate) enum Tie {
    /// A root, and a key if it is a map.
    Root(String, Option<String>),
    /// A nested map by its block, and a field.
    Nested(Id, Option<String>),
    /// Neighbours.
    Origins(Option<Id>, Option<Id>),
}

/// Reads a number at a place; gives it and how many bytes it takes.
pub(crate) fn number_at(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (count, byte) in bytes.get(at..)?.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(7 * count as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, count + 1));
        }
    }
    None
}

impl Update {
    /// An update of one client that deletes nothing.
    pub(crate) fn of(client: u64, clock: u64, blocks: Vec<Block>) -> Update {
        Update { sections: vec![Section { client, clock, blocks }], ..Update::default() }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = number(self.sections.len() as u64);
        for section in &self.sections {
            out.extend(number(section.blocks.len() as u64));
            out.extend(number(section.client));
            out.extend(number(section.clock));
            section.blocks.iter().for_each(|block| block.write(&mut out));
        }
        out.extend(number(self.deletions.len() as u64));
        for (client, ranges) in &self.deletions {
            out.extend(number(*client));
            out.extend(number(ranges.len() as u64));
            for (clock, length) in ranges {
                out.extend(number(*clock));
                out.extend(number(*length));
            }
        }
        out.extend(&self.tail);
        out
    }
}

impl Block {
    /// A record under a key of a root map.
    pub(crate) fn put(root: &str, key: &str, bytes: &[u8]) -> Block {
        Block::Item { tie: Tie::Root(root.into(), Some(key.into())), kind: 8, body: record(bytes) }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Block::Gone(length) => out.extend(gone(*length)),
            Block::Skip(length) => {
                out.push(10);
                out.extend(number(*length));
            }
            Block::Item { tie, kind, body } => {
                tie.write(*kind, out);
                out.extend(body);
            }
        }
    }
}

impl Tie {
    fn write(&self, kind: u8, out: &mut Vec<u8>) {
        let key = |key: &Option<String>| if key.is_some() { 0x20 } else { 0 };
        match self {
            Tie::Root(root, name) => {
                out.extend([kind | key(name), 1]);
                out.extend(string(root));
                name.iter().for_each(|name| out.extend(string(name)));
            }
            Tie::Nested(block, name) => {
                out.extend([kind | key(name), 0]);
                out.extend(id(block.0, block.1));
                name.iter().for_each(|name| out.extend(string(name)));
            }
            Tie::Origins(left, right) => {
                let flags = u8::from(left.is_some()) << 7 | u8::from(right.is_some()) << 6;
                // Writers of maps flag the key of a block that follows another, and do not write it.
                out.push(kind | flags | 0x20);
                left.iter().chain(right).for_each(|block| out.extend(id(block.0, block.1)));
            }
        }
    }
}
