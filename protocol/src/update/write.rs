//! Makes updates out of updates: without deletions, in order, joined, or standing for a rejected one.
//!
//! `document` strips what it writes into maps and puts its state in order; `replica` joins what goes
//! into one envelope and asks for void clocks. Everything here takes updates that our own side made, so a failure to
//! read one is a fault of ours and is reported as [`Unmade`].

use std::collections::BTreeMap;
use std::ops::Range;

use super::read::{CONTENT_KIND, Content, DELETED, Section, Tie, Update};
use super::varint::write_number;
use crate::limits;

/// The bytes are no update of one client, or do not continue one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these updates cannot be joined")]
pub struct Unmade;

/// The update without its deletions.
///
/// In maps an overwritten value is deleted wherever the overwriting one is integrated, so nothing
/// is lost; and what carries no deletions cannot delete what its author never saw.
pub fn strip_deletes(update: &[u8]) -> Result<Vec<u8>, Unmade> {
    let parts = Parts::of(update)?;
    let mut out = update.get(..parts.blocks.end).ok_or(Unmade)?.to_vec();
    write_number(&mut out, 0);
    Ok(out)
}

/// The same state as the CRDT library might have written it, but always in one way: void clocks that
/// follow one another are one block, and what is deleted is in order.
///
/// What was deleted becomes void where `is_forgotten` says so of its clocks, and with that names its
/// key no longer: what follows it later becomes void too.
pub(super) fn in_order(
    state: &[u8],
    is_forgotten: impl Fn(u64, Range<u32>) -> bool,
) -> Result<Vec<u8>, Unmade> {
    let mut update = Update::new(state);
    let mut out = Vec::with_capacity(state.len());
    let clients = update.clients().map_err(|_| Unmade)?;
    write_number(&mut out, u64::from(clients));
    for _ in 0..clients {
        let Section { blocks, client, clock } = update.section().map_err(|_| Unmade)?;
        let (mut body, mut count, mut void, mut at) = (Vec::new(), 0u64, 0u32, clock);
        for _ in 0..blocks {
            let from = update.at();
            let block = update.block(client, at).map_err(|_| Unmade)?;
            let clocks = at..at.saturating_add(block.length);
            at = clocks.end;
            match block.content {
                Content::Gone(length) => void = void.saturating_add(length),
                Content::Deleted(length) if is_forgotten(client, clocks) => {
                    void = void.saturating_add(length)
                }
                _ => {
                    count = count.saturating_add(u64::from(end_void(&mut body, &mut void))).saturating_add(1);
                    body.extend_from_slice(state.get(from..update.at()).ok_or(Unmade)?);
                }
            }
        }
        count = count.saturating_add(u64::from(end_void(&mut body, &mut void)));
        write_number(&mut out, count);
        write_number(&mut out, client);
        write_number(&mut out, u64::from(clock));
        out.append(&mut body);
    }
    let mut deleted: BTreeMap<u64, Vec<Range<u32>>> = BTreeMap::new();
    for (client, start, length) in update.deletions().map_err(|_| Unmade)? {
        deleted.entry(client).or_default().push(start..start.saturating_add(length));
    }
    write_deletions(&mut out, deleted);
    if update.is_at_end() { Ok(out) } else { Err(Unmade) }
}

/// Writes the void clocks that were counted, if any were, as one block.
fn end_void(body: &mut Vec<u8>, void: &mut u32) -> bool {
    let length = std::mem::take(void);
    if length > 0 {
        body.push(0);
        write_number(body, u64::from(length));
    }
    length > 0
}

/// Joins as many updates from the front as one envelope may carry, and says how many.
///
/// Each continues the one before, all of one client. At least one is taken; the result has at
/// most `limits::ENVELOPE_EDITS_MAX` updates, `limits::UPDATE_BLOCKS_MAX` blocks and, beyond the
/// first update, `limits::CONTENT_BYTES_MAX` bytes.
pub fn merge(updates: &[Vec<u8>]) -> Result<(usize, Vec<u8>), Unmade> {
    let (mut head, mut body, mut taken): (Option<Section>, Vec<u8>, usize) = (None, Vec::new(), 0);
    let mut deleted = BTreeMap::new();
    let (mut bytes, mut end) = (0usize, None);
    for update in updates.iter().take(limits::ENVELOPE_EDITS_MAX) {
        let parts = Parts::of(update)?;
        let blocks = head.map_or(0, |head| head.blocks).saturating_add(parts.section.map_or(0, |s| s.blocks));
        bytes = bytes.saturating_add(update.len());
        let full = bytes > limits::CONTENT_BYTES_MAX
            || usize::try_from(blocks).map_or(true, |blocks| blocks > limits::UPDATE_BLOCKS_MAX);
        if full && taken > 0 {
            break;
        }
        if let Some(section) = parts.section {
            let first = *head.get_or_insert(Section { blocks: 0, ..section });
            if first.client != section.client || end.is_some_and(|end| end != section.clock) {
                return Err(Unmade);
            }
            head = Some(Section { blocks, ..first });
            end = Some(parts.end);
            body.extend_from_slice(update.get(parts.blocks).ok_or(Unmade)?);
        }
        for (client, start, length) in parts.deletions {
            let ranges: &mut Vec<Range<u32>> = deleted.entry(client).or_default();
            ranges.push(start..start.saturating_add(length));
        }
        taken += 1;
    }
    Ok((taken, join(head, &body, deleted)))
}

/// The update that stands for a rejected one: its clocks, void. Empty clocks give an empty update.
pub fn gc_update(client: u64, clocks: Range<u32>) -> Vec<u8> {
    let mut body = vec![0];
    write_number(&mut body, u64::from(clocks.end.saturating_sub(clocks.start)));
    let head = Section { blocks: 1, client, clock: clocks.start };
    join((!clocks.is_empty()).then_some(head), &body, BTreeMap::new())
}

/// The update with all that it writes deleted already, and without its deletions: what others write beside
/// that keeps its place.
pub(super) fn hidden(update: &[u8]) -> Result<Vec<u8>, Unmade> {
    let mut reader = Update::new(update);
    let (mut body, mut head) = (Vec::new(), None);
    for _ in 0..reader.clients().map_err(|_| Unmade)? {
        let section = reader.section().map_err(|_| Unmade)?;
        let mut at = section.clock;
        for _ in 0..section.blocks {
            let from = reader.at();
            let block = reader.block(section.client, at).map_err(|_| Unmade)?;
            at = at.saturating_add(block.length);
            if block.tie == Tie::None {
                body.extend_from_slice(update.get(from..reader.at()).ok_or(Unmade)?);
                continue;
            }
            let (info, tie) =
                update.get(from..reader.content_at()).and_then(<[u8]>::split_first).ok_or(Unmade)?;
            body.push((info & !CONTENT_KIND) | DELETED);
            body.extend_from_slice(tie);
            write_number(&mut body, u64::from(block.length));
        }
        if head.replace(section).is_some() {
            return Err(Unmade);
        }
    }
    Ok(join(head, &body, BTreeMap::new()))
}

/// The update that only deletes.
pub(super) fn deleting(deleted: BTreeMap<u64, Vec<Range<u32>>>) -> Vec<u8> {
    join(None, &[], deleted)
}

fn join(head: Option<Section>, body: &[u8], deleted: BTreeMap<u64, Vec<Range<u32>>>) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len().saturating_add(32));
    write_number(&mut out, u64::from(head.is_some()));
    if let Some(head) = head {
        write_number(&mut out, u64::from(head.blocks));
        write_number(&mut out, head.client);
        write_number(&mut out, u64::from(head.clock));
        out.extend_from_slice(body);
    }
    write_deletions(&mut out, deleted);
    out
}

/// Writes what is deleted, in the order of clients and clocks.
fn write_deletions(out: &mut Vec<u8>, deleted: BTreeMap<u64, Vec<Range<u32>>>) {
    write_number(out, deleted.len().try_into().unwrap_or(u64::MAX));
    for (client, ranges) in deleted {
        let ranges = united(ranges);
        write_number(out, client);
        write_number(out, ranges.len().try_into().unwrap_or(u64::MAX));
        for range in ranges {
            write_number(out, u64::from(range.start));
            write_number(out, u64::from(range.end.saturating_sub(range.start)));
        }
    }
}

/// The same clocks as ranges in order that neither touch nor overlap.
fn united(mut ranges: Vec<Range<u32>>) -> Vec<Range<u32>> {
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<u32>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// An update of at most one client, taken apart.
struct Parts {
    section: Option<Section>,
    /// Where its blocks lie in the bytes.
    blocks: Range<usize>,
    /// The clock after its last block.
    end: u32,
    deletions: Vec<(u64, u32, u32)>,
}

impl Parts {
    fn of(bytes: &[u8]) -> Result<Parts, Unmade> {
        let mut update = Update::new(bytes);
        let section = match update.clients().map_err(|_| Unmade)? {
            0 => None,
            1 => Some(update.section().map_err(|_| Unmade)?),
            _ => return Err(Unmade),
        };
        let from = update.at();
        let mut end = section.map_or(0, |section| section.clock);
        if let Some(section) = section {
            for _ in 0..section.blocks {
                let block = update.block(section.client, end).map_err(|_| Unmade)?;
                end = end.saturating_add(block.length);
            }
        }
        let blocks = from..update.at();
        let deletions = update.deletions().map_err(|_| Unmade)?;
        if update.is_at_end() { Ok(Parts { section, blocks, end, deletions }) } else { Err(Unmade) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn void_clocks_join_with_what_follows_them_but_not_with_a_gap() {
        let (first, second) = (gc_update(9, 3..5), gc_update(9, 5..200));
        let (taken, joined) = merge(&[first.clone(), second.clone()]).unwrap();
        assert_eq!((taken, joined), (2, vec![1, 2, 9, 3, 0, 2, 0, 0xc3, 1, 0]));
        assert_eq!(merge(&[second, first.clone()]), Err(Unmade));
        assert_eq!(merge(&[first, gc_update(8, 5..6)]), Err(Unmade));
        assert_eq!(gc_update(9, 3..3), vec![0, 0]);
    }

    #[test]
    fn an_envelope_takes_no_more_than_its_bounds() {
        let updates: Vec<_> = (0..150).map(|clock| gc_update(9, clock..clock + 1)).collect();
        assert_eq!(merge(&updates).unwrap().0, limits::ENVELOPE_EDITS_MAX);
        let large = || {
            let mut update = vec![1, 1, 9, 0, 0x24, 1, 1, b'r', 1, b'k'];
            write_number(&mut update, 700_000);
            update.extend_from_slice(&[b'x'; 700_000]);
            update.push(0);
            update
        };
        assert_eq!(merge(&[large(), gc_update(9, 700_000..700_001)]).unwrap().0, 2);
        assert_eq!(merge(&[large(), large()]).unwrap().0, 1);
    }

    #[test]
    fn what_is_hidden_keeps_its_clocks_and_its_place_and_deletes_nothing() {
        // A text of three in a root, one of two behind it, and a deletion of another client's.
        let text =
            [&[1, 2, 9, 0, 0x04, 1, 1, b'r', 3][..], b"abc", &[0x84, 9, 2, 2], b"de", &[1, 7, 1, 0, 4]];
        let hidden_text = [1, 2, 9, 0, 0x01, 1, 1, b'r', 3, 0x81, 9, 2, 2, 0];
        assert_eq!(hidden(&text.concat()), Ok(hidden_text.to_vec()));
        assert_eq!(hidden(&hidden_text), Ok(hidden_text.to_vec()));
        assert_eq!(hidden(&gc_update(9, 3..5)), Ok(gc_update(9, 3..5)));
        assert_eq!(hidden(&[0, 1, 7, 1, 0, 4]), Ok(vec![0, 0]));
        assert_eq!(hidden(&text.concat()[..9]), Err(Unmade));
    }

    #[test]
    fn deletions_of_joined_updates_are_united() {
        assert_eq!(united(vec![5..9, 1..3, 2..4, 9..11]), vec![1..4, 5..11]);
    }

    #[test]
    fn a_state_names_what_is_deleted_in_the_order_of_clients_and_clocks() {
        let blocks = gc_update(5, 0..4);
        let blocks = &blocks[..blocks.len() - 1];
        let with = |deletions: &[u8]| [blocks, deletions].concat();
        // Two clients: each with its ranges, as start and length.
        let ordered = with(&[2, 3, 1, 0, 1, 9, 2, 0, 1, 4, 2]);
        let mixed = with(&[2, 9, 2, 4, 2, 0, 1, 3, 1, 0, 1]);
        assert_eq!(in_order(&mixed, |_, _| false), Ok(ordered.clone()));
        assert_eq!(in_order(&ordered, |_, _| false), Ok(ordered));
        assert_eq!(in_order(&mixed[..mixed.len() - 1], |_, _| false), Err(Unmade));
    }

    #[test]
    fn void_clocks_that_follow_one_another_are_one_block_of_a_state() {
        let deleted = [0x21, 1, 1, b'r', 1, b'k', 3];
        let cut = [&[1, 4, 9, 0, 0, 2, 0, 3][..], &deleted, &[0, 1, 0]].concat();
        let whole = [&[1, 3, 9, 0, 0, 5][..], &deleted, &[0, 1, 0]].concat();
        assert_eq!(in_order(&cut, |_, _| false), Ok(whole.clone()));
        assert_eq!(in_order(&whole, |_, _| false), Ok(whole.clone()));
        // What lay under a key that was pruned is void like its neighbours.
        let forgotten = |client, clocks| (client, clocks) == (9, 5..8);
        assert_eq!(in_order(&whole, forgotten), Ok(vec![1, 1, 9, 0, 0, 9, 0]));
    }
}
