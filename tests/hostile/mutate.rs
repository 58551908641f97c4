//! Changes good updates: their bytes, and their structure.

use rand::RngExt;
use rand_chacha::ChaCha20Rng;

use crate::grammar::{Block, Section, Tie, Update, number_at};
use crate::writer::{number, string};

/// Numbers at which arithmetic goes wrong.
const EDGES: [u64; 14] = [
    0,
    1,
    2,
    127,
    128,
    4096,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    (1 << 53) - 1,
    1 << 53,
    1 << 63,
    u64::MAX,
];

/// Changes one to four places of an update's bytes; `other` is another good update.
pub(crate) fn bytes(rng: &mut ChaCha20Rng, update: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..rng.random_range(1..5) {
        if update.is_empty() {
            return;
        }
        // As often as not within the head and the first block, where the numbers lie.
        let near = if rng.random_range(0..2) == 0 { update.len() } else { update.len().min(60) };
        let at = rng.random_range(0..near);
        let to = rng.random_range(0..update.len());
        let piece = at..(at + rng.random_range(1..20)).min(update.len());
        match rng.random_range(0..10) {
            0 => update[at] ^= 1 << rng.random_range(0..8),
            1 => update[at] = rng.random_range(0..=255),
            2 => update.truncate(at),
            3 => drop(update.drain(piece)),
            4 => {
                let piece = update[piece].to_vec();
                drop(update.splice(to..to, piece));
            }
            5 => {
                let cut = rng.random_range(0..=other.len());
                update.truncate(at);
                update.extend(&other[cut..]);
            }
            6 => {
                let length = piece.len();
                let from = rng.random_range(0..=other.len().saturating_sub(length));
                let end = (from + length).min(other.len());
                drop(update.splice(piece, other[from..end].to_vec()));
            }
            7 => update.swap(at, to),
            _ => renumber(rng, update, at),
        }
    }
}

/// Writes another number where one may stand.
fn renumber(rng: &mut ChaCha20Rng, update: &mut Vec<u8>, at: usize) {
    let Some((value, length)) = number_at(update, at) else { return };
    let value = match rng.random_range(0..4) {
        0 => value.wrapping_add(1),
        1 => value.wrapping_sub(1),
        _ => EDGES[rng.random_range(0..EDGES.len())],
    };
    drop(update.splice(at..at + length, number(value)));
}

/// Changes the structure of an update in one to three places. `known` are blocks that exist.
pub(crate) fn structure(rng: &mut ChaCha20Rng, update: &mut Update, known: &[(u64, u32)]) {
    for _ in 0..rng.random_range(1..4) {
        let edge = EDGES[rng.random_range(0..EDGES.len())];
        let (client, end) = known[rng.random_range(0..known.len())];
        let id = (client, u64::from(rng.random_range(0..end.max(1) + 2)));
        let Some(section) = update.sections.last_mut() else { return };
        let at = rng.random_range(0..=section.blocks.len());
        let old = section.blocks.get(at.saturating_sub(1)).cloned();
        match rng.random_range(0..14) {
            0 => section.client = if edge.is_multiple_of(2) { client } else { edge },
            1 => section.clock = if edge.is_multiple_of(2) { section.clock.wrapping_add(1) } else { edge },
            2 => section.blocks.insert(at, Block::Gone(rng.random_range(1..5))),
            3 => section
                .blocks
                .insert(at, if edge.is_multiple_of(2) { Block::Skip(3) } else { Block::Gone(edge) }),
            4 => {
                update.sections.push(Section { client, clock: u64::from(end), blocks: vec![Block::Gone(1)] })
            }
            5 => update.deletions.push((client, vec![(id.1, 1)])),
            6 => update.deletions.push((section.client, vec![(section.clock, edge)])),
            7 => update.tail = number(edge),
            8 => section.blocks.extend(old),
            9 => section.blocks.clear(),
            10 => section.blocks.reverse(),
            11 => replace_tie(section, at, Tie::Origins(Some(id), edge.is_multiple_of(4).then_some(id))),
            12 => {
                let tie = [
                    Tie::Nested(id, Some("field".into())),
                    Tie::Root("roles".into(), Some("key".into())),
                    Tie::Root("messages".into(), None),
                    Tie::Origins(None, Some(id)),
                ];
                replace_tie(section, at, tie[rng.random_range(0..tie.len())].clone());
            }
            _ => replace_content(rng, section, at),
        }
    }
}

fn replace_tie(section: &mut Section, at: usize, by: Tie) {
    if let Some(Block::Item { tie, .. }) = section.blocks.get_mut(at) {
        *tie = by;
    }
}

fn replace_content(rng: &mut ChaCha20Rng, section: &mut Section, at: usize) {
    if let Some(Block::Item { kind, body, .. }) = section.blocks.get_mut(at) {
        let all = contents();
        let (other, bytes) = &all[rng.random_range(0..all.len())];
        (*kind, *body) = (*other, bytes.clone());
    }
}

/// Content of every kind, and some that is none: what a block holds, by its kind.
pub(crate) fn contents() -> Vec<(u8, Vec<u8>)> {
    vec![
        (0, number(3)),
        (1, number(4)),
        (2, [number(1), string("null")].concat()),
        (3, string("binary")),
        (4, string("text 😀")),
        (5, string("{}")),
        (6, [string("bold"), string("true")].concat()),
        (6, [string("bold"), string(&"[".repeat(500))].concat()),
        (7, vec![0]),
        (7, vec![1]),
        (7, [vec![3], string("p")].concat()),
        (7, vec![6]),
        (7, vec![7, 0x80]),
        (8, [vec![1, 118, 1], string("k"), vec![126]].concat()),
        (8, vec![2, 116, 0, 116, 0]),
        (8, vec![1, 125, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        (8, [vec![1], [117, 1].repeat(400), vec![126]].concat()),
        (8, [vec![1, 116], number(u64::MAX)].concat()),
        (8, [number(250_000_000), vec![126]].concat()),
        (9, [string("guid"), vec![118, 0]].concat()),
        (11, vec![0, 1, 2, 3]),
        (12, vec![9]),
        (15, vec![1]),
    ]
}
