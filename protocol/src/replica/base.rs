//! The snapshot that stands for the beginnings of a document's logs, and who vouches for it.
//!
//! It lies on disk in parts, written by `stability` once a checkpoint is confirmed, and is read
//! before the envelopes behind it. Members who lack what it covers are sent the same bytes.
//! Layout: docs/PROTOCOL.md, section 5.

use std::collections::BTreeMap;

use crate::bytes::{Malformed, Reader, Writer};
use crate::checkpoint::Checkpoint;
use crate::identity::SignatureBytes;
use crate::ids::{DeviceKey, LogHead, LogId};
use crate::limits::{CHECKPOINT_SIGNATURES_MAX, SNAPSHOT_PACKED_BYTES_MAX, SNAPSHOT_PART_BYTES_MAX};
use crate::record::Snapshot;

/// What the store says of the snapshot that counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Base {
    /// Which one it is, counted up.
    pub(crate) number: u64,
    /// How many parts it has.
    pub(crate) parts: u32,
    /// How much of each log it covers.
    pub(crate) covers: BTreeMap<LogId, LogHead>,
}

impl From<Snapshot> for Base {
    fn from(snapshot: Snapshot) -> Base {
        let Snapshot { number, parts, covers, .. } = snapshot;
        Base { number, parts, covers: covers.into_iter().collect() }
    }
}

/// A snapshot with what is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Vouched {
    /// What it is.
    pub(crate) checkpoint: Checkpoint,
    /// The devices that found the same, at most `limits::CHECKPOINT_SIGNATURES_MAX`.
    pub(crate) signatures: BTreeMap<DeviceKey, SignatureBytes>,
    /// As `Live::write_snapshot` made it.
    pub(crate) packed: Vec<u8>,
}

impl Vouched {
    /// Cuts it into parts for the disk and for others: at least one.
    pub(crate) fn parts(&self) -> Vec<Vec<u8>> {
        let mut writer = Writer::new();
        let checkpoint = self.checkpoint.encode();
        writer.u32(u32::try_from(checkpoint.len()).unwrap_or(u32::MAX)).raw(&checkpoint);
        let signatures: Vec<(&DeviceKey, &SignatureBytes)> = self.signatures.iter().collect();
        writer.list(&signatures, |writer, (device, signature)| {
            writer.raw(&device.0).raw(*signature);
        });
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
        let signatures = reader
            .list(CHECKPOINT_SIGNATURES_MAX, |reader| Ok((DeviceKey(reader.array()?), reader.array()?)))?;
        let packed = reader.take(reader.left())?.to_vec();
        Ok(Vouched { checkpoint, signatures: signatures.into_iter().collect(), packed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Reached;
    use crate::ids::{Digest, DocumentKey, EntityId, EnvelopeHash, Incarnation};

    fn vouched(packed: usize) -> Vouched {
        let document = DocumentKey([2; 32]);
        let log = LogId { document, device: DeviceKey([3; 32]), incarnation: Incarnation(4) };
        let head = LogHead { sequence: 5, hash: EnvelopeHash([6; 32]) };
        let checkpoint = Checkpoint {
            entity: EntityId([1; 32]),
            document,
            content: Digest([7; 32]),
            logs: BTreeMap::from([(log, Reached { head, clock: 8 })]),
        };
        let signatures =
            (0..CHECKPOINT_SIGNATURES_MAX).map(|n| (DeviceKey([n as u8; 32]), [9; 64])).collect();
        Vouched { checkpoint, signatures, packed: vec![10; packed] }
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
    fn parts_that_are_too_many_or_cut_short_are_malformed() {
        assert_eq!(Vouched::read(&[]), Err(Malformed));
        assert_eq!(Vouched::read(&[vouched(9).parts()[0][..150].to_vec()]), Err(Malformed));
        assert_eq!(Vouched::read(&vouched(SNAPSHOT_PACKED_BYTES_MAX).parts()), Err(Malformed));
    }
}
