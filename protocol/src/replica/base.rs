//! The snapshot that stands for the beginnings of a document's logs, and who vouches for it.
//!
//! It lies on disk in parts, written by `stability` once a checkpoint is confirmed, and is read
//! before the envelopes behind it. Members who lack what it covers are sent the same bytes.
//! Layout: docs/PROTOCOL.md, section 5.

use std::sync::Arc;

use crate::bytes::{Malformed, Reader, Writer};
use crate::checkpoint::{self, Checkpoint, Signatures, Signed, Vector};
use crate::ids::{DeviceKey, Digest};
use crate::limits::{CHECKPOINT_SIGNATURES_MAX, SNAPSHOT_PACKED_BYTES_MAX, SNAPSHOT_PART_BYTES_MAX};
use crate::record::Snapshot;

/// What the store says of the snapshot that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    /// Which one it is, counted up.
    pub(crate) number: u64,
    /// How many parts it has.
    pub(crate) parts: u32,
    /// Bytes of all parts, once they were read or written.
    pub(crate) bytes: Option<u64>,
    /// How much of each log it covers.
    pub(crate) covers: Vector,
    /// What it is, once it was read.
    checkpoint: Option<Arc<Checkpoint>>,
    /// Whose signatures are kept of the checkpoint of that name.
    signed: (Digest, Signatures),
}

impl From<Snapshot> for Base {
    fn from(snapshot: Snapshot) -> Base {
        let Snapshot { number, parts, covers, .. } = snapshot;
        let (checkpoint, signed) = (None, (Digest([0; 32]), Signatures::new()));
        Base { number, parts, bytes: None, covers: covers.into_iter().collect(), checkpoint, signed }
    }
}

impl Base {
    /// The snapshot that is being written now.
    pub(crate) fn new(number: u64, parts: u32, signed: &Signed) -> Base {
        let (covers, checkpoint) = (signed.checkpoint.vector(), Some(Arc::clone(&signed.checkpoint)));
        Base {
            number,
            parts,
            bytes: None,
            covers,
            checkpoint,
            signed: (signed.name, signed.signatures.clone()),
        }
    }

    /// Notes what it is, as was read from its parts.
    pub(crate) fn found(&mut self, checkpoint: &Checkpoint) {
        let name = checkpoint.name();
        if self.signed.0 != name {
            self.signed = (name, Signatures::new());
        }
        self.checkpoint = Some(Arc::new(checkpoint.clone()));
    }

    /// Notes of how many bytes its parts are.
    pub(crate) fn weigh(&mut self, parts: &[Vec<u8>]) {
        self.bytes = u64::try_from(parts.iter().map(Vec::len).sum::<usize>()).ok();
    }

    /// Its checkpoint with all signatures that are kept; none before it was read.
    pub(crate) fn signed(&self) -> Option<Signed> {
        let (name, signatures) = self.signed.clone();
        Some(Signed { checkpoint: Arc::clone(self.checkpoint.as_ref()?), name, signatures })
    }

    /// Whether it is the one of this name, as far as is known.
    pub(crate) fn is_named(&self, name: &Digest) -> bool {
        self.checkpoint.is_some() && self.signed.0 == *name
    }

    /// The signatures that are kept, if it is the one of this name.
    pub(crate) fn signatures_of(&self, name: &Digest) -> Option<&Signatures> {
        (self.signed.0 == *name).then_some(&self.signed.1)
    }

    /// Takes further signatures of it, which were checked. True if any was not known.
    pub(crate) fn join(&mut self, signatures: &Signatures) -> bool {
        checkpoint::join(&mut self.signed.1, signatures)
    }

    /// The signatures as a small value.
    pub(crate) fn write_signatures(&self) -> Vec<u8> {
        let (name, signatures) = &self.signed;
        let mut writer = Writer::new();
        writer.raw(&name.0);
        let signatures: Vec<_> = signatures.iter().collect();
        writer.list(&signatures, |writer, (device, signature)| {
            writer.raw(&device.0).raw(*signature);
        });
        writer.into_bytes()
    }

    /// Reads back what `write_signatures` gave.
    pub(crate) fn restore_signatures(&mut self, value: &[u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(value);
        let name = Digest(reader.array()?);
        let signatures = reader
            .list(CHECKPOINT_SIGNATURES_MAX, |reader| Ok((DeviceKey(reader.array()?), reader.array()?)))?;
        reader.finish()?;
        self.signed = (name, signatures.into_iter().collect());
        Ok(())
    }
}

/// A snapshot and the checkpoint that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Vouched {
    /// What it is.
    pub(crate) checkpoint: Checkpoint,
    /// As `Live::write_snapshot` made it.
    pub(crate) packed: Vec<u8>,
}

impl Vouched {
    /// Cuts it into parts for the disk and for others: at least one.
    pub(crate) fn parts(&self) -> Vec<Vec<u8>> {
        let mut writer = Writer::new();
        let checkpoint = self.checkpoint.encode();
        writer.u32(u32::try_from(checkpoint.len()).unwrap_or(u32::MAX)).raw(&checkpoint);
        writer.raw(&self.packed);
        writer.as_slice().chunks(SNAPSHOT_PART_BYTES_MAX).map(<[u8]>::to_vec).collect()
    }

    /// Puts parts together. Whether it is what it says is for `Live::open_snapshot` to find.
    pub(crate) fn read(parts: &[Vec<u8>]) -> Result<Vouched, Malformed> {
        let bytes = parts.concat();
        if bytes.len() > SNAPSHOT_PACKED_BYTES_MAX {
            return Err(Malformed);
        }
        let mut reader = Reader::new(&bytes);
        let length = usize::try_from(reader.u32()?).map_err(|_| Malformed)?;
        let checkpoint = Checkpoint::read(reader.take(length)?)?;
        let packed = reader.take(reader.left())?.to_vec();
        Ok(Vouched { checkpoint, packed })
    }

    /// Whether it is small enough to be read again.
    pub(crate) fn fits(&self) -> bool {
        let bytes = self.checkpoint.encode().len().saturating_add(self.packed.len()).saturating_add(4);
        bytes <= SNAPSHOT_PACKED_BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::checkpoint::Reached;
    use crate::ids::{DocumentKey, EntityId, EnvelopeHash, Incarnation, LogHead, LogId};
    use crate::limits::SNAPSHOT_PARTS_MAX;

    fn vouched(packed: usize) -> Vouched {
        let document = DocumentKey([2; 32]);
        let log = LogId { document, device: DeviceKey([3; 32]), incarnation: Incarnation(4) };
        let head = LogHead { sequence: 5, hash: EnvelopeHash([6; 32]) };
        let checkpoint = Checkpoint {
            entity: EntityId([1; 32]),
            document,
            content: Digest([7; 32]),
            heads: Vec::new(),
            logs: BTreeMap::from([(log, Reached { head, clock: 8 })]),
        };
        Vouched { checkpoint, packed: vec![10; packed] }
    }

    #[test]
    fn a_snapshot_is_cut_into_parts_and_put_together_again() {
        for (packed, count) in [(0, 1), (SNAPSHOT_PART_BYTES_MAX, 2), (3 * SNAPSHOT_PART_BYTES_MAX, 4)] {
            let parts = vouched(packed).parts();
            assert_eq!(parts.len(), count);
            assert!(parts.iter().all(|part| part.len() <= SNAPSHOT_PART_BYTES_MAX));
            assert_eq!(Vouched::read(&parts), Ok(vouched(packed)));
        }
    }

    #[test]
    fn full_parts_hold_the_largest_snapshot() {
        assert_eq!(SNAPSHOT_PARTS_MAX * SNAPSHOT_PART_BYTES_MAX, SNAPSHOT_PACKED_BYTES_MAX);
    }

    #[test]
    fn the_largest_snapshot_fits_and_one_of_a_byte_more_does_not() {
        let room = SNAPSHOT_PACKED_BYTES_MAX - 4 - vouched(0).checkpoint.encode().len();
        assert!(vouched(room).fits() && !vouched(room + 1).fits());
        assert_eq!(Vouched::read(&vouched(room).parts()), Ok(vouched(room)));
        assert_eq!(Vouched::read(&vouched(room + 1).parts()), Err(Malformed));
    }

    #[test]
    fn parts_that_are_cut_short_are_malformed() {
        assert_eq!(Vouched::read(&[]), Err(Malformed));
        assert_eq!(Vouched::read(&[vouched(9).parts()[0][..150].to_vec()]), Err(Malformed));
    }

    #[test]
    fn signatures_are_kept_with_the_name_of_what_was_signed_and_forgotten_with_it() {
        let mut signed = Signed::new(vouched(0).checkpoint);
        signed.signatures =
            (0..CHECKPOINT_SIGNATURES_MAX).map(|n| (DeviceKey([n as u8; 32]), [9; 64])).collect();
        let written = Base::new(1, 1, &signed);
        let mut base =
            Base { checkpoint: None, signed: (Digest([0; 32]), Signatures::new()), ..written.clone() };
        base.restore_signatures(&written.write_signatures()).unwrap();
        assert_eq!(base.signed(), None, "what it is was not read yet");
        base.found(&signed.checkpoint);
        assert_eq!(base.signed(), Some(signed.clone()));
        let other = Checkpoint { content: Digest([0; 32]), ..(*signed.checkpoint).clone() };
        base.found(&other);
        assert!(base.signed().is_some_and(|signed| signed.signatures.is_empty()));
        assert!(base.restore_signatures(&written.write_signatures()[1..]).is_err());
    }
}
