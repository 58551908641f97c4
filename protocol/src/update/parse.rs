//! Judges whether one log's update may reach the CRDT library, and says what it writes where.
//!
//! `replica` calls [`parse`] after decrypting, judges rights on the [`Write`]s, and hands the
//! [`Parsed`] to `document`. Invariant: the verdict depends on the bytes, the shape of the document
//! and the blocks before it alone, so all nodes reach the same one. What is accepted has one
//! client, continues its clocks, follows only known blocks of the same place, and holds only what
//! the shape allows; the library has no way to fail on that. A refused update says which clocks it
//! took, so that the log can go on without it. One that follows another log's block which has not
//! come ([`Fault::Early`]) is not refused: it is judged again when that has come.
//! Not checked, because no reader can: that a block of a text lies between neighbours which its
//! author saw. A hostile member can so make texts differ between nodes; content digests show it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::index::{BlockIndex, Known, Place, Runs};
use super::read::{self, Block, Parent, Tie};
use super::{BlockId, Shape};
use crate::limits;

/// What an update must continue.
#[derive(Clone, Copy, Debug)]
pub struct Expect<'e> {
    /// Client id of the log that the update came in.
    pub client: u64,
    /// The blocks that are there; the log's next clock is read off it.
    pub index: &'e BlockIndex,
    /// The names that the document's roots may have.
    pub roots: &'e [&'static str],
    /// What the document holds.
    pub shape: Shape,
}

/// An update that may be applied, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed<'a> {
    /// Client id of the log.
    pub client: u64,
    /// The clocks it takes; empty if it only deletes.
    pub clocks: Range<u32>,
    /// What it writes, in order; void clocks are left out.
    pub writes: Vec<Write<'a>>,
    /// What it deletes of texts.
    pub deletions: Vec<Deletion>,
    /// Where each of its clocks lies.
    pub(super) runs: Runs,
    /// The update itself, so that no other bytes can be applied in its name.
    pub(super) bytes: &'a [u8],
}

/// One block's effect.
#[derive(Clone, Debug, PartialEq)]
pub struct Write<'a> {
    /// The block.
    pub block: BlockId,
    /// Where it writes.
    pub place: Place,
    /// What it writes.
    pub content: Content<'a>,
}

/// What a block writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// A value in a map.
    Bytes(&'a [u8]),
    /// A new, empty nested map.
    Map,
    /// Characters in a text.
    Text(&'a str),
    /// The begin or end of a mark in a text: its name and its JSON value.
    Format(&'a str, &'a str),
    /// So many clocks of text that its author deleted before sending.
    Deleted(u32),
}

/// Clocks of one client that are deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Who wrote them.
    pub client: u64,
    /// Which.
    pub clocks: Range<u32>,
}

/// Why an update is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused update: {fault}")]
pub struct ParseError {
    /// The first thing that is wrong.
    pub fault: Fault,
    /// The clocks it took, if they can be read; without them its log ends here.
    pub range: Option<Range<u32>>,
}

/// What is wrong with an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The bytes are no update, or hold a kind of block we do not read.
    #[error("it cannot be read")]
    Unreadable,
    /// It has blocks of several clients, or of another than its log's.
    #[error("it writes for another client")]
    Client,
    /// It does not begin where its log ends.
    #[error("its clocks do not continue its log")]
    Clock,
    /// It neither writes nor deletes.
    #[error("it is empty")]
    Empty,
    /// It has more blocks than `limits::UPDATE_BLOCKS_MAX`.
    #[error("it has too many blocks")]
    Blocks,
    /// A block holds what the document's shape does not allow.
    #[error("a block holds what this document does not")]
    Content,
    /// No verdict yet: it follows or deletes this block of another log, which has not come.
    #[error("it waits for clock {} of client {}", .0.clock, .0.client)]
    Early(BlockId),
    /// A block follows one that is void, or lies in one: its author may not have known.
    #[error("a block builds on what is void")]
    Void,
    /// A block follows itself or a later one.
    #[error("a block follows one that it cannot follow")]
    Origin,
    /// A block lies between two that lie in different places.
    #[error("a block lies in two places")]
    Torn,
    /// A block names a root that is not the document's, or a parent that is no nested map.
    #[error("a block has a wrong parent")]
    Parent,
    /// A block has no key where it needs one, an empty or long one, or one where it must not.
    #[error("a block has a wrong key")]
    Key,
    /// A block begins a key anew in which its log has a block already.
    #[error("a key is begun twice")]
    Twice,
    /// It deletes where nothing may be deleted, its own future, or in no order.
    #[error("it deletes what it may not")]
    Deletion,
    /// Bytes are left over.
    #[error("bytes follow it")]
    Trailing,
}

/// Reads and judges one update of the log that `expect` names.
///
/// The caller has bounded `bytes` by `limits::CONTENT_BYTES_MAX`. Takes time and memory in
/// proportion to them.
pub fn parse<'a>(bytes: &'a [u8], expect: &Expect<'_>) -> Result<Parsed<'a>, ParseError> {
    let start = expect.index.next_clock(expect.client);
    let unranged = |fault| ParseError { fault, range: None };
    let unreadable = |_| unranged(Fault::Unreadable);
    let mut update = read::Update::new(bytes);
    let mut judge = Judge::new(expect, start);
    let mut clock = start;
    match update.clients().map_err(unreadable)? {
        0 => {}
        1 => {
            let section = update.section().map_err(unreadable)?;
            if section.client != expect.client {
                return Err(unranged(Fault::Client));
            }
            if section.clock != start || section.blocks == 0 {
                return Err(unranged(Fault::Clock));
            }
            for number in 0..section.blocks {
                let block = update.block(section.client, clock).map_err(unreadable)?;
                clock = clock.saturating_add(block.length);
                judge.block(number, &block);
            }
        }
        _ => return Err(unranged(Fault::Client)),
    }
    let clocks = start..clock;
    match update.deletions() {
        Ok(ranges) => judge.deletions(&ranges, clocks.end),
        Err(_) => judge.fault(Fault::Unreadable),
    }
    if !update.is_at_end() {
        judge.fault(Fault::Trailing);
    }
    if clocks.is_empty() && judge.deletions.is_empty() {
        judge.fault(Fault::Empty);
    }
    judge.finish(bytes, clocks)
}

/// Judges blocks in order; after the first fault it only lets them pass.
struct Judge<'e, 'a> {
    expect: &'e Expect<'e>,
    runs: Runs,
    writes: Vec<Write<'a>>,
    deletions: Vec<Deletion>,
    /// Fields of nested maps that were begun.
    begun: BTreeSet<(Parent<'a>, &'a str)>,
    /// Keys of root maps that were written.
    written: BTreeSet<Place>,
    fault: Option<Fault>,
}

impl<'e, 'a> Judge<'e, 'a> {
    fn new(expect: &'e Expect<'e>, start: u32) -> Judge<'e, 'a> {
        let (writes, deletions, begun, written) = Default::default();
        Judge { expect, runs: Runs::from(start), writes, deletions, begun, written, fault: None }
    }

    fn fault(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    fn finish(self, bytes: &'a [u8], clocks: Range<u32>) -> Result<Parsed<'a>, ParseError> {
        let Judge { expect, runs, writes, deletions, fault, .. } = self;
        match fault {
            Some(fault) => Err(ParseError { fault, range: Some(clocks) }),
            None => Ok(Parsed { client: expect.client, clocks, writes, deletions, runs, bytes }),
        }
    }

    fn block(&mut self, number: u32, block: &Block<'a>) {
        if usize::try_from(number).map_or(true, |number| number >= limits::UPDATE_BLOCKS_MAX) {
            self.fault(Fault::Blocks);
        }
        if self.fault.is_some() {
            return;
        }
        if let Err(fault) = self.judge(block) {
            self.fault(fault);
        }
    }

    fn judge(&mut self, block: &Block<'a>) -> Result<(), Fault> {
        let content = match block.content {
            read::Content::Gone(length) => {
                self.runs.push(length, Known::Gone);
                return Ok(());
            }
            read::Content::Bytes(bytes) => Content::Bytes(bytes),
            read::Content::Map => Content::Map,
            read::Content::Text(text) => Content::Text(text),
            read::Content::Format(name, value) => Content::Format(name, value),
            read::Content::Deleted(length) => Content::Deleted(length),
            read::Content::Skip(_) | read::Content::Other(_) => return Err(Fault::Content),
        };
        let place = self.place(&block.tie)?;
        if !allows(self.expect.shape, &place, &content) {
            return Err(Fault::Content);
        }
        let known = match content {
            Content::Map => Known::Map(place.clone()),
            _ => Known::Value(place.clone()),
        };
        if place.field.is_none() && self.expect.shape == Shape::Maps {
            self.written.insert(place.clone());
        }
        self.runs.push(block.length, known);
        self.writes.push(Write { block: block.id, place, content });
        Ok(())
    }

    fn place(&mut self, tie: &Tie<'a>) -> Result<Place, Fault> {
        match *tie {
            Tie::None => Err(Fault::Content),
            Tie::Parent(parent, key) => {
                let place = self.under(parent, key)?;
                // An author knows its own blocks and lets the next follow the last. Beginning
                // anew each time would make the library walk all of them for each.
                let again = match (parent, key) {
                    (Parent::Root(_), Some(_)) => {
                        self.written.contains(&place)
                            || self.expect.index.has_written(self.expect.client, &place)
                    }
                    (Parent::Block(_), Some(key)) => !self.begun.insert((parent, key)),
                    (_, None) => false,
                };
                if again { Err(Fault::Twice) } else { Ok(place) }
            }
            Tie::Origins(left, right) => {
                // Only texts have an order in which something could lie to the right.
                if right.is_some() && self.expect.shape == Shape::Maps {
                    return Err(Fault::Torn);
                }
                match (left.map(|id| self.origin(id)), right.map(|id| self.origin(id))) {
                    (Some(left), Some(right)) => {
                        let (left, right) = (left?, right?);
                        if left == right { Ok(left) } else { Err(Fault::Torn) }
                    }
                    (Some(place), None) | (None, Some(place)) => place,
                    (None, None) => Err(Fault::Origin),
                }
            }
        }
    }

    fn under(&self, parent: Parent<'a>, key: Option<&str>) -> Result<Place, Fault> {
        match (parent, self.expect.shape) {
            (Parent::Root(name), shape) => {
                let root = self.expect.roots.iter().copied().find(|root| *root == name);
                let root = root.ok_or(Fault::Parent)?;
                let key = match (shape, key) {
                    (Shape::Maps, Some(key)) => checked_key(key)?,
                    (Shape::Texts, None) => Arc::from(""),
                    _ => return Err(Fault::Key),
                };
                Ok(Place { root, key, field: None })
            }
            (Parent::Block(id), Shape::Maps) => {
                let owner = match self.known(id)? {
                    Known::Map(owner) => owner,
                    Known::Gone => return Err(Fault::Void),
                    Known::Value(_) => return Err(Fault::Parent),
                };
                let field = checked_key(key.ok_or(Fault::Key)?)?;
                Ok(Place { root: owner.root, key: owner.key.clone(), field: Some(field) })
            }
            (Parent::Block(_), Shape::Texts) => Err(Fault::Parent),
        }
    }

    fn origin(&self, id: BlockId) -> Result<Place, Fault> {
        self.known(id)?.place().cloned().ok_or(Fault::Void)
    }

    /// A block of the document, or an earlier one of this update.
    fn known(&self, id: BlockId) -> Result<&Known, Fault> {
        if id.client == self.expect.client {
            self.runs.at(id.clock).or_else(|| self.expect.index.resolve(id)).ok_or(Fault::Origin)
        } else {
            self.expect.index.resolve(id).ok_or(Fault::Early(id))
        }
    }

    fn deletions(&mut self, ranges: &[(u64, u32, u32)], own_end: u32) {
        if !ranges.is_empty() && self.expect.shape == Shape::Maps {
            return self.fault(Fault::Deletion);
        }
        let Expect { client: own, index, .. } = *self.expect;
        let end_of = |client| if client == own { own_end } else { index.next_clock(client) };
        match ordered_deletions(ranges, end_of) {
            Ok(deletions) => self.deletions = deletions,
            Err(Fault::Early(id)) if id.client == own => self.fault(Fault::Deletion),
            Err(fault) => self.fault(fault),
        }
    }
}

/// The deletions, if each client comes once with ranges that grow, hold something and do not
/// overlap; `Early` if one passes its client's clock end.
pub(super) fn ordered_deletions(
    ranges: &[(u64, u32, u32)],
    end_of: impl Fn(u64) -> u32,
) -> Result<Vec<Deletion>, Fault> {
    let mut clients = BTreeSet::new();
    let mut deletions: Vec<Deletion> = Vec::with_capacity(ranges.len());
    for (client, start, length) in ranges.iter().copied() {
        let after = match deletions.last() {
            Some(last) if last.client == client => last.clocks.end,
            _ if clients.insert(client) => 0,
            _ => return Err(Fault::Deletion),
        };
        let end = start.checked_add(length).ok_or(Fault::Deletion)?;
        if start < after || length == 0 {
            return Err(Fault::Deletion);
        }
        if end > end_of(client) {
            return Err(Fault::Early(BlockId { client, clock: end.saturating_sub(1) }));
        }
        deletions.push(Deletion { client, clocks: start..end });
    }
    Ok(deletions)
}

/// A key of a map: not empty, at most `limits::MAP_KEY_BYTES_MAX`.
fn checked_key(key: &str) -> Result<Arc<str>, Fault> {
    if key.is_empty() || key.len() > limits::MAP_KEY_BYTES_MAX { Err(Fault::Key) } else { Ok(key.into()) }
}

/// Whether a document of this shape may hold such content at such a place.
pub(super) fn allows(shape: Shape, place: &Place, content: &Content<'_>) -> bool {
    match (shape, content) {
        (Shape::Maps, Content::Bytes(_)) => true,
        // Maps lie one deep: the library deletes what is nested by recursion.
        (Shape::Maps, Content::Map) => place.field.is_none(),
        (Shape::Texts, Content::Text(_) | Content::Deleted(_)) => true,
        (Shape::Texts, Content::Format(name, value)) => {
            name.len() <= limits::MAP_KEY_BYTES_MAX && is_scalar(value)
        }
        _ => false,
    }
}

/// Whether `json` is `null`, a truth value, a whole number of at most 15 digits, or a short string
/// without escapes. The library would take any depth; marks need none.
fn is_scalar(json: &str) -> bool {
    if let Some(inner) = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        let plain = |c: char| c >= ' ' && c != '"' && c != '\\';
        return inner.len() <= limits::MAP_KEY_BYTES_MAX && inner.chars().all(plain);
    }
    let digits = json.strip_prefix('-').unwrap_or(json);
    let number = digits.bytes().all(|byte| byte.is_ascii_digit())
        && (1..=15).contains(&digits.len())
        && (json == "0" || !digits.starts_with('0'));
    matches!(json, "null" | "true" | "false") || number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_in_texts_have_plain_scalars_as_values() {
        for json in ["null", "true", "false", "0", "-7", "123456789012345", "\"red\"", "\"\""] {
            assert!(is_scalar(json), "{json}");
        }
        for json in ["", "-", "01", "-0", "1e9", "1.5", "{}", "[]", "\"", "\"\\u0041\"", "\"a\"b\"", "nul"] {
            assert!(!is_scalar(json), "{json}");
        }
    }
}
