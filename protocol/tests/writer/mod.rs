//! Writes the parts of an update by hand, and says what must become of them put together.
//!
//! Written from the layout in docs/PROTOCOL.md, section 9, and not with the code under test, so
//! that it can write what that code never would. Tests of the parser and attacks on whole nodes
//! share it.

#![allow(dead_code, reason = "each test uses a part of it")]

/// A number of any width.
pub(crate) fn number(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// A string behind its length.
pub(crate) fn string(text: &str) -> Vec<u8> {
    [number(text.len() as u64), text.into()].concat()
}

/// A block by client and clock.
pub(crate) fn id(client: u64, clock: u64) -> Vec<u8> {
    [number(client), number(clock)].concat()
}

/// The content of a block of kind 8 that is one byte string.
pub(crate) fn record(bytes: &[u8]) -> Vec<u8> {
    [vec![1, 116], number(bytes.len() as u64), bytes.to_vec()].concat()
}

/// The content of a block of kind 8 that is an array in an array and so on, as deep as this.
pub(crate) fn nested(depth: usize) -> Vec<u8> {
    [vec![1], [117, 1].repeat(depth), vec![126]].concat()
}

/// Void clocks.
pub(crate) fn gone(length: u64) -> Vec<u8> {
    [vec![0], number(length)].concat()
}

/// Blocks of one client, and whatever stands behind them.
pub(crate) fn update_of(client: u64, clock: u64, blocks: &[Vec<u8>], deletions: &[u8]) -> Vec<u8> {
    let head = [number(1), number(blocks.len() as u64), number(client), number(clock)].concat();
    [head, blocks.concat(), deletions.to_vec()].concat()
}

/// What the protocol says of one part of an update, taken alone, or of all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Says {
    /// Nothing is wrong.
    Fine,
    /// It is void, once the ties are known.
    Void,
    /// It waits for another log.
    Waits,
    /// No document takes such content, whatever it is tied to. Of no other part is this said.
    Foreign,
    /// The log ends: its clocks cannot be read, or are not the log's.
    Ends,
}

/// What becomes of an update of one block with such content, tie and ending, in place or not.
pub(crate) fn verdict(content: Says, tie: Says, in_place: bool, ending: Says) -> Says {
    match (content, tie, ending) {
        _ if !in_place => Says::Ends,
        (Says::Ends, ..) | (_, Says::Ends, _) => Says::Ends,
        (Says::Foreign, ..) => Says::Void,
        (_, Says::Waits, _) => Says::Waits,
        (_, Says::Void, _) | (Says::Void, ..) => Says::Void,
        (.., ending) => ending,
    }
}
