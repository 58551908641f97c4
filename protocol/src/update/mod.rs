//! What an envelope changes in a document: our own reader of the CRDT encoding, and the document.
//!
//! The CRDT library corrupts memory on hostile input, so nothing reaches it that [`parse`] has not
//! accepted; that parser, not the signature, is the wall. From outside to inside: `varint` and
//! `read` take bytes apart and judge nothing, [`parse`] judges one log's update and
//! [`snapshot`] a whole state, both against [`index`], which remembers where every block lies.
//! [`mod@write`] joins updates and makes the blocks that stand for rejected ones; `glean` and `anew`
//! read what does not count. [`document`] alone calls the library. Format: docs/PROTOCOL.md, section 9.

pub(crate) mod anew;
pub mod document;
pub(crate) mod glean;
pub mod index;
pub mod parse;
mod read;
pub mod snapshot;
mod varint;
pub mod write;

use bincode::{Decode, Encode};

use crate::ids::{DeviceKey, DocumentKey, Incarnation};

/// Client ids have 53 bits, so that a JavaScript editor can hold them.
pub const CLIENT_MAX: u64 = (1 << 53) - 1;

/// Clocks end here: the library subtracts them as signed 32-bit numbers.
pub const CLOCK_MAX: u32 = i32::MAX as u32;

const CLIENT_CONTEXT: &str = "fourword client of a log v1";

/// What a document holds; it decides which blocks and deletions its updates may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Shape {
    /// Root maps of byte strings, or of maps of byte strings. No deletions: overwriting deletes.
    Maps,
    /// Root texts, edited together; deletions travel.
    Texts,
}

/// Names one block, or one character of one: the log's client id and the position in its clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockId {
    /// Client id of the log that wrote it.
    pub client: u64,
    /// Its clock.
    pub clock: u32,
}

/// The client id of a log: the first 53 bits of a hash of its name, never 0.
pub fn client_id(device: &DeviceKey, document: &DocumentKey, incarnation: Incarnation) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key(CLIENT_CONTEXT);
    hasher.update(device.as_bytes());
    hasher.update(document.as_bytes());
    hasher.update(&incarnation.0.to_be_bytes());
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    (u64::from_be_bytes(first) >> 11).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_has_53_bits_and_changes_with_every_part_of_the_log() {
        let of = |device, document, incarnation| {
            client_id(&DeviceKey([device; 32]), &DocumentKey([document; 32]), Incarnation(incarnation))
        };
        let ids = [of(1, 2, 3), of(9, 2, 3), of(1, 9, 3), of(1, 2, 9)];
        assert!(ids.iter().all(|id| (1..=CLIENT_MAX).contains(id)));
        assert_eq!(std::collections::BTreeSet::from(ids).len(), 4);
        assert_eq!(of(1, 2, 3), of(1, 2, 3));
    }
}
